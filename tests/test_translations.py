"""The Chinese notebooks: the same code and outputs, prose as new as its original, exercises too."""

import copy
import json
import re
import subprocess
import sys

import nbformat
import papermill
import pytest
from conftest import ROOT
from milling import TRANSLATED, mill, read, shortest

sys.path.insert(0, str(ROOT / "tools"))
import translate  # noqa: E402
from speech import spoken  # noqa: E402

each = pytest.mark.parametrize("path", TRANSLATED, ids=lambda path: path.stem)


@each
def test_it_is_the_english_notebook_with_other_prose(path):
    wrong = translate.problems(*translate.pair(path), path)
    assert not wrong, "\n".join([f"{path.parent.name}/{path.name}:", *wrong])


@each
def test_it_is_a_notebook_that_says_what_it_takes_in_chinese(path):
    notebook = read(path)
    nbformat.validate(notebook)
    title, setup, parameters = notebook.cells[:3]
    assert re.match(r"# .*[\u4e00-\u9fff]", title.source) and "**用时：**" in title.source
    assert f"](../{path.name})" in title.source and "<!-- badge" in title.source
    assert (path.parents[1] / path.name).exists()
    assert f"](zh/{path.name})" in read(path.parents[1] / path.name).cells[0].source
    assert setup.metadata.tags == ["setup"] and parameters.metadata.tags == ["parameters"]
    assert 'LANGUAGE = "zh"' in parameters.source
    assert path.stat().st_size <= 500_000
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            assert re.search(r"[\u4e00-\u9fff]", cell.source), cell.id
            for link in re.findall(r"\]\((?!http)([^)#]+)", cell.source):
                assert (path.parent / link).exists(), link


@each
def test_it_runs_from_its_folder_and_its_exercises_answer_in_chinese(path, tmp_path):
    """As short as it goes; what the exercises print is what the saved notebook shows."""
    out = tmp_path / "out.ipynb"
    settings = shortest(path)
    if "RUN" in papermill.inspect_notebook(str(path)):
        settings["RUN"] = tmp_path / "run"
    done = mill(path.name, out, path.parent, **settings)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "unknown parameter" not in done.stderr.lower()

    def answers(notebook):
        return {
            cell.id: "".join(output.text for output in cell.outputs)
            for cell in read(notebook).cells
            if "exercise" in "".join(cell.metadata.get("tags", []))
        }

    ran = answers(out)
    assert ran == answers(path) and len(ran) > 3
    assert all("还没有" in text or "请先" in text for text in ran.values())


# The tool


def markdown(id, text, **metadata):
    return {"cell_type": "markdown", "id": id, "metadata": metadata, "source": [text]}


def code(id, text, printed="", *tags):
    outputs = [{"output_type": "stream", "name": "stdout", "text": [printed]}] if printed else []
    metadata = {"tags": list(tags)} if tags else {}
    return {
        "cell_type": "code",
        "id": id,
        "metadata": metadata,
        "source": [text],
        "outputs": outputs,
        "execution_count": 1,
    }


ENGLISH = [
    markdown("title", "# A net\n\n<!-- badge -->"),
    code("settings", 'SEED = 0\nLANGUAGE = "en"', "", "parameters"),
    code("run", "print(7, 0.25)", "7 0.25"),
    markdown("said", "It gave 7<!--=run--> and 0.25<!--=run-->; see [02](02.ipynb) and `f`."),
    code("task", "exercises.check(f)", "f: not done yet\n", "exercise"),
]
CHINESE = {
    "title": "# 一个网络\n\n<!-- badge -->",
    "said": "得到了 7<!--=run--> 和 0.25<!--=run-->；见 [02](../02.ipynb) 和 `f`。",
}


@pytest.fixture
def books(tmp_path, monkeypatch):
    """An English notebook in a folder, and its translation; `faults` lists what is wrong."""

    class Books:
        path = tmp_path / "notebooks" / "zh" / "01.ipynb"
        english = {"cells": copy.deepcopy(ENGLISH), "metadata": {}, "nbformat": 4}

        def save(self):
            (self.path.parents[1] / "01.ipynb").write_text(json.dumps(self.english))

        def fill(self, texts):
            """Export, write the texts below their originals, and import."""
            lines = translate.export(self.path).split("\n")
            for id, text in texts.items():
                (place,) = [i for i, line in enumerate(lines) if line.startswith(f"==== cell {id}")]
                place = lines.index("==== zh", place) + 1
                lines.insert(place, text)
            return translate.taken("\n".join(lines))

        def cell(self, id):
            return next(c for c in self.read()["cells"] if c["id"] == id)

        def read(self):
            return json.loads(self.path.read_text())

        def faults(self):
            return translate.problems(*translate.pair(self.path), self.path)

        def update(self):
            return translate.written(
                self.path, translate.updated(*translate.pair(self.path), self.path)
            )

    books = Books()
    books.path.parent.mkdir(parents=True)
    monkeypatch.setattr(translate, "ROOT", tmp_path)
    (tmp_path / "notebooks" / "02.ipynb").write_text("{}")
    books.save()
    books.fill(CHINESE)
    return books


def test_a_translation_by_export_and_import_is_complete(books):
    assert books.faults() == []
    assert [cell["id"] for cell in books.read()["cells"]] == [cell["id"] for cell in ENGLISH]
    assert "".join(books.cell("settings")["source"]) == 'SEED = 0\nLANGUAGE = "zh"'
    assert books.cell("said")["source"] == [CHINESE["said"]]
    assert books.cell("task")["outputs"][0]["text"] == ["f：还没有做\n"]
    assert not books.update()
    before = books.read()
    translate.taken(translate.export(books.path))
    assert books.read() == before


def test_after_a_new_run_update_is_all_it_takes(books):
    books.english["cells"][2] = code("run", "print(7, 0.25)", "8 0.31")
    books.english["cells"][3]["source"] = [
        "It gave 8<!--=run--> and 0.31<!--=run-->; see [02](02.ipynb) and `f`."
    ]
    books.save()
    assert books.faults() == [
        "cell run: code differs: outputs",
        "cell said: numbers, links or metadata are not up to date",
        "cell said: other numbers from outputs: [('run', ['7', '0.25'])] for "
        "[('run', ['8', '0.31'])]",
    ]
    assert books.update() and books.faults() == []
    assert books.cell("said")["source"][0].startswith("得到了 8<!--=run--> 和 0.31<!--=run-->")


def test_prose_that_is_older_is_named_until_somebody_looked(books):
    books.english["cells"][3]["source"] = [
        "It once gave 7<!--=run--> and 0.25<!--=run-->; see [02](02.ipynb) and `f`."
    ]
    books.save()
    books.update()
    older = ["cell said is older than its original: translate the change"]
    assert books.faults() == older
    exported = translate.export(books.path)
    translate.taken(exported)  # as it was
    assert books.faults() == older
    translate.taken(exported.replace("得到了", "有一次得到了"))
    assert books.faults() == []
    books.english["cells"][0]["source"] = ["# The net\n\n<!-- badge -->"]
    books.save()
    translate.taken(translate.export(books.path).replace(" older\n", " ok\n"))  # nothing to change
    assert books.faults() == []


def test_the_badge_may_be_stamped(books):
    books.english["cells"][0]["source"] = ["# A net\n\n<!-- badge --><a href='x'>"]
    books.save()
    assert books.faults() == []


def test_cells_that_come_go_and_move_are_named_and_updated(books):
    books.english["cells"].insert(1, markdown("more", "More."))
    books.english["cells"].insert(2, code("new", "1 + 1"))
    del books.english["cells"][-1]
    books.save()
    assert books.faults() == [
        "cell more is missing",
        "cell new is missing",
        "cell task is extra: the English notebook has none",
    ]
    books.update()
    assert books.faults() == ["cell more is not translated"]
    books.fill({"more": "还有。"})
    assert books.faults() == []
    books.english["cells"].insert(1, books.english["cells"].pop(3))
    books.save()
    assert books.faults() == ["the cells are in another order"]
    assert books.update() and books.faults() == []


@pytest.mark.parametrize(
    "id, change, told",
    [
        ("run", {"source": ["print(8)"]}, "cell run: code differs: source"),
        ("run", {"metadata": {"x": 1}}, "cell run: code differs: metadata"),
        ("run", {"execution_count": 3}, "cell run: code differs: execution_count"),
        ("settings", {"source": ['LANGUAGE = "en"']}, "cell settings: code differs: source"),
        ("said", {"metadata": {}}, "cell said is not translated"),
        ("title", {"source": ["# 一个网络"]}, "cell title: other badge: [] for ['<!-- badge -->']"),
        ("title", {"source": ["一个\n\n<!-- badge -->"]}, "cell title: other headings: [] for [1]"),
    ],
)
def test_what_was_changed_in_the_translation_alone_is_named(books, id, change, told):
    notebook = books.read()
    next(cell for cell in notebook["cells"] if cell["id"] == id).update(change)
    books.path.write_text(json.dumps(notebook))
    assert books.faults() == [told]


@pytest.mark.parametrize(
    "before, after, told",
    [
        ("`f`", "`g`", "cell said: other code: ['`g`'] for ['`f`']"),
        ("](../02.ipynb)", "](../03.ipynb)", "cell said: other links: "),
        ("0.25<!--=run-->", "0.25", "cell said: other numbers from outputs: "),
        ("得到了", "看X 得到了", "cell said: a space is missing in '看X'"),
        ("和 `f`", "和`f`", "cell said: a space is missing in '和x'"),
        ("；见", ";见", "cell said: ';见' has a narrow sign"),
        ("；见", "；见. ", "cell said: '见.' has a narrow sign"),
        ("得到了", "**得到（了）**呀", "cell said: '**得到（了）**' would show its stars"),
        ("得到了", "**得到**（了）呀", None),
        ("得到了", "*好。* 得到了", None),
    ],
)
def test_slips_of_a_translator_are_named(books, before, after, told):
    books.fill({})
    translate.taken(translate.export(books.path).replace(CHINESE["said"], "得"))
    text = CHINESE["said"].replace(before, after)
    translate.taken(translate.export(books.path).replace("==== zh\n得", f"==== zh\n{text}"))
    faults = books.faults()
    assert faults == [] if told is None else (len(faults) == 1 and faults[0].startswith(told))


def test_links_lead_to_translations_where_there_are_any(books):
    (books.path.parent / "02.ipynb").write_text("{}")
    assert books.faults() == ["cell said: numbers, links or metadata are not up to date"]
    assert books.update() and books.faults() == []
    assert "[02](02.ipynb)" in books.cell("said")["source"][0]


def test_an_english_notebook_without_a_language_is_told(books):
    books.english["cells"][1]["source"] = ["SEED = 0"]
    books.save()
    books.update()
    assert books.faults() == ['cell settings: the English parameters have no line LANGUAGE = "en"']


def test_the_commands(books, tmp_path):
    command = [sys.executable, ROOT / "tools" / "translate.py"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout == "all translations are up to date\n", done
    file = tmp_path / "01.txt"
    subprocess.run([*command, "--export", TRANSLATED[0], file], check=True)
    text = file.read_text()
    assert text.startswith(f"==== notebook notebooks/zh/{TRANSLATED[0].name}\n")
    assert text.count("==== zh\n") == text.count("==== cell ") > 20


@pytest.mark.parametrize(
    "printed, said",
    [
        ("f: right", "f：正确"),
        ("f: not this time.", "f：这次没猜中。"),
        ("f: not yet. 3 is too low.", "f：还不对。3 太小了。"),
        ("f: nobody knows this", "f：nobody knows this"),
        ("step 3 of 4", "step 3 of 4"),
        (
            "r1: not yet. For four points:\n"
            "                         yours  expected\n"
            "  penalty of each point  [1]    [2, 3]   <-- differs\n"
            "  The half is missing: gamma / 2.\n",
            "r1：还不对。对于四个点：\n"
            "                你的  应为\n"
            "  每个点的惩罚  [1]   [2, 3]  <-- 不同\n"
            "  少了一半：应是 gamma / 2。\n",
        ),
    ],
)
def test_what_an_exercise_printed_is_said_in_chinese(printed, said):
    assert spoken(printed, "zh") == said
