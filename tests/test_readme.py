"""README and the guides in docs/ are true: their commands, links, tree and code."""

import json
import re
import subprocess
import sys

import pytest
from conftest import ROOT
from milling import NOTEBOOKS, TRANSLATED

sys.path.insert(0, str(ROOT / "tools"))
import translate  # noqa: E402

README = (ROOT / "README.md").read_text()
CHINESE = (ROOT / "README.zh.md").read_text(encoding="utf-8")
PAGES = [
    ROOT / "README.md",
    ROOT / "README.zh.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "DECISIONS.md",
]
SHORTER = (  # so that an example takes seconds
    (r"until=\d+_\d{3}\b", "until=6"),
    (r"\b\d+_\d{3}\b", "200"),
    (r"evaluate_every=\d+", "evaluate_every=2"),
    (r"range\(300\)", "range(30)"),
)


def test_the_two_commands_are_one_line_each_and_set_themselves_up():
    for name, last in (
        ("main", "papermill notebooks/01_first_gan.ipynb first_gan.ipynb"),
        ("tests", "python -m pytest -n 2 --dist loadfile"),
    ):
        (command,) = re.findall(rf"<!-- command: {name} -->\n```bash\n(.+)\n```", README)
        assert command.startswith(
            "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt"
        )
        assert command.endswith(f".venv/bin/{last}")


def test_it_opens_with_a_picture_and_is_short():
    picture = re.search(r"!\[.+\]\((.+?)\)", README)
    assert README[: picture.start()].count("\n") <= 3 and (ROOT / picture[1]).stat().st_size > 5000
    assert len(README.split()) <= 1200


def test_the_tree_has_a_line_for_each_folder():
    tree = re.search(r"## The tree\n\n```\n(.+?)```", README, re.DOTALL)[1]
    if not (ROOT / ".git").exists():
        pytest.skip("no git checkout: which files belong to the tree is unknown")
    files = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    tops = {file.split("/")[0] + "/" * ("/" in file) for file in files} - {
        "README.md",
        "README.zh.md",
        ".gitignore",
    }
    rooms = {"/".join(file.split("/")[:2]) + "/" for file in files if re.match("ganlib/.+/", file)}
    listed = set(re.findall(r"^(?:  )?([\w.]+/|[\w.]+\.\w+|LICENSE)", tree, re.MULTILINE))
    listed |= set(re.search(r"^pyproject.+", tree, re.MULTILINE)[0].split())
    assert {name for name in tops if not name.startswith(".git-")} <= listed, tops - listed
    assert {room.removeprefix("ganlib/") for room in rooms} <= listed
    floors = dict(re.findall(r"^  (\w+)/ +(\d)  ", tree, re.MULTILINE))
    from test_house import FLOORS

    assert {name: int(floor) for name, floor in floors.items()} == FLOORS


def test_each_notebook_has_a_row_a_thumbnail_and_a_badge():
    for path in NOTEBOOKS:
        place = f"notebooks/{path.name}"
        assert "![" in README and f"](docs/{path.name[:2]}.png) | [{path.name[:2]} " in README, path
        assert f"]({place})" in README and f"<!-- badge {place} -->" in README
        assert (ROOT / "docs" / f"{path.name[:2]}.png").exists()


def test_the_chinese_page_has_the_same_commands_picture_and_licences():
    commands, theirs = (
        re.findall(r"<!-- command: (\w+) -->\n```bash\n(.+)\n```", page)
        for page in (README, CHINESE)
    )
    assert commands == theirs and len(commands) == 2
    assert "](README.zh.md)" in README and "](README.md)" in CHINESE
    for part in ("](docs/first_gan.png)", "MIT", "CC BY-SA 3.0", "3.11", "3.13"):
        assert part in README and part in CHINESE
    assert "**负责任地使用。**" in CHINESE
    code, same = (
        [
            re.sub("  # .+", "", block)
            for block in re.findall(r"```python\n(.+?)```", page, re.DOTALL)
        ]
        for page in (README, CHINESE)
    )
    assert code == same


def test_the_chinese_page_names_the_chinese_notebook_where_there_is_one():
    translated = {path.name for path in TRANSLATED}
    for path in NOTEBOOKS:
        folder = "notebooks/zh" if path.name in translated else "notebooks"
        row = next(line for line in CHINESE.splitlines() if f"](docs/{path.name[:2]}.png)" in line)
        assert (
            f"]({folder}/{path.name})" in row and f"<!-- badge {folder}/{path.name} -->" in CHINESE
        )
        assert ("（英文）" in row) == (path.name not in translated)


def test_the_chinese_page_is_set_as_chinese():
    text = translate.HIDDEN.sub("", re.sub("`[^`]+`", "x", translate.FENCE.sub("", CHINESE)))
    assert not translate.style(text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!http)([^)#]*)(?:#[^)]*)?\)", page.read_text()):
        assert not target or (page.parent / target).exists(), target
    for target in re.findall(r"\]\(#([^)]+)\)", page.read_text()):
        heads = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
        assert target in {
            re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads
        }, target


def test_every_guide_is_linked_and_has_an_example():
    guides = sorted((ROOT / "docs").glob("*.md"))
    assert len(guides) >= 9
    for page in guides:
        assert f"docs/{page.name}" in README
        assert "```python" in page.read_text() or page.stem in (
            "architecture",
            "beyond",
            "questions",
        )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_its_code_runs(page, tmp_path, monkeypatch):
    """All examples of a page, one after the other, with fewer steps and images."""
    blocks = re.findall(r"```python\n(.+?)```", page.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    space = {"__name__": "example"}
    for block in blocks:
        for pattern, shorter in SHORTER:
            block = re.sub(pattern, shorter, block)
        exec(compile(block, page.name, "exec"), space)
    assert not blocks or "ganlib" in space


def test_the_twenty_questions_name_sections_that_exist():
    """Each answer names, in italics, a heading of its part's notebook."""
    text = (ROOT / "docs" / "questions.md").read_text()
    parts = re.split(r"^## .*\[(\d\d)\]\(\.\./notebooks/(\w+)\.ipynb\).*$", text, flags=re.M)[1:]
    asked, headings = 0, {}
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text())["cells"]
        prose = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
        headings[path.stem] = re.findall(r"^#+ (.*)$|\*\*(.*?)\*\*", prose, flags=re.M)
        headings[path.stem] = ["".join(pair) for pair in headings[path.stem]]
    for _, stem, part in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        for answer in re.findall(r"<details>(.*?)</details>", part, flags=re.S):
            asked += 1
            (where,) = re.findall(r"\(([^()]*\*[^()]+\*[^()]*)\)\s*$", answer)
            for name in re.findall(r"\*(.+?)\*", " ".join(where.split())):
                known = sum(headings.values(), []) if "notebook 0" in where else headings[stem]
                assert any(heading.startswith(name.rstrip(",")) for heading in known), name
    assert asked == 20 == len(re.findall(r"^\*\*\d+\.", text, flags=re.M))


def test_decisions_have_a_table_of_contents_and_say_nothing_twice():
    """Each entry stands in the table once and in order of its number, and no paragraph again."""
    text = (ROOT / "DECISIONS.md").read_text()
    contents, entries = text.split("\n## ", 1)
    heads = re.findall(r"^## (\d+)\. (.+) \((\d{4}-\d\d-\d\d)\)$", "## " + entries, re.MULTILINE)
    numbers = [int(number) for number, _, _ in heads]
    assert numbers == sorted(set(numbers)) and len(heads) == text.count("\n## ")
    listed = re.findall(r"\[(\d+) ([^\]]+)\]\(#(\d+)-", contents)
    assert all(number == anchor for number, _, anchor in listed)
    assert sorted((int(number), title) for number, title, _ in listed) == [
        (int(number), title) for number, title, _ in heads
    ]
    lines = [line for line in entries.splitlines() if len(line) > 80]
    assert len(lines) == len(set(lines)), [line for line in lines if lines.count(line) > 1]
