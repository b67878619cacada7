"""Keep the translated notebooks, notebooks/zh/, in step with the English ones.

    python tools/translate.py                    say what is missing, older or different (status 1)
    python tools/translate.py --update           copy code, outputs, order, numbers from the English
    python tools/translate.py --export notebooks/zh/02_two_dimensions.ipynb 02.txt
    python tools/translate.py --import 02.txt

Cells belong together by their ids. A translated cell of text keeps the hash of the English text
that it was made from, `metadata.translated`: if that changes, the translation is older. Numbers
that come from outputs (tools/claims.py) are not part of the hash: `--update` copies them, in the
order in which each output is named. It leads links to where the files are, and says what exercises
printed in the notebook's language (tools/speech.py).

`--export` writes the cells of text for an editor, each in English and, after a line `==== zh`, as
translated so far; the translated notebook need not be there. `--import` takes those that have a
translation. A cell that was older counts as translated anew if its text was changed or if its state
in the file, `older`, was changed to `ok`.
"""

import argparse
import copy
import hashlib
import json
import os
import re
import sys
from collections import defaultdict
from pathlib import Path

from claims import CLAIM, MARK
from speech import spoken

ROOT = Path(__file__).parents[1]
BADGE = re.compile(r"(<!-- badge -->).*")
LINK = re.compile(r"(\]\()([^)\s]+)(\))")
LANGUAGE = re.compile(r'^LANGUAGE = "en"', re.MULTILINE)
FENCE = re.compile(r"```.*?```", re.DOTALL)
CODE = re.compile(r"`[^`]+`|<code>.*?</code>")
FORMULA = re.compile(r"\$\$.+?\$\$|\$[^$\n]+\$", re.DOTALL)
HEAD = re.compile(r"^==== (.+)$\n?", re.MULTILINE)
HIDDEN = re.compile(r"<!--.*?-->|<[^>]+>|\]\([^)]*\)", re.DOTALL)

# a Chinese sign beside a Latin letter or digit; a sign that is half as wide as those around it
CLOSE = re.compile(r"[\u4e00-\u9fff][A-Za-z0-9]|[A-Za-z0-9%][\u4e00-\u9fff]")
NARROW = re.compile(r"[\u4e00-\u9fff](?:[,;:?!(]|\.(?![\w.]))|[,;:?!)][\u4e00-\u9fff]")
# Markdown does not see bold or italics where a sign stands inside and a letter outside
BOLD = re.compile(r"(\*{1,2})(?![\s*])([^*\n]+?)\1")
SIGN = re.compile(r"[^\w\s]")


def text_of(cell):
    return "".join(cell["source"])


def claimed(text):
    """Return {cell id: [(start, end) of each number that is marked as this cell's]}."""
    places = defaultdict(list)
    for mark in MARK.finditer(text):
        if before := CLAIM.search(text[: mark.start()]):
            places[mark[1].strip()].append(before.span(1))
    return places


def with_numbers(text, numbers):
    """Return a text with other numbers before its marks: `numbers` is {cell id: [number, ...]}."""
    spans = [
        (span, number)
        for target, places in claimed(text).items()
        if len(places) == len(numbers.get(target, []))
        for span, number in zip(places, numbers[target], strict=True)
    ]
    for (start, end), number in sorted(spans, reverse=True):
        text = text[:start] + number + text[end:]
    return text


def fingerprint(text):
    """Return 12 digits that change with a text, but not with its marked numbers and its badge."""
    text = with_numbers(text, {target: ["#"] * len(p) for target, p in claimed(text).items()})
    return hashlib.sha256(BADGE.sub(r"\1", text).encode()).hexdigest()[:12]


def placed(link, path):
    """Return a link as it leads from a notebook to its file, in its folder or in the one above."""
    name, mark, anchor = link.partition("#")
    folder = path.parent
    files = [(base / name).resolve() for base in (folder, folder.parent)]
    file = next((file for file in files if file.exists()), None)
    if not name or re.match(r"\w+:", name) or file is None or file.name == path.name:
        return link  # the last: to this notebook in the other language
    if file.parent == folder.parent.resolve() and (folder / file.name).exists():
        file = folder / file.name  # it is translated
    return Path(os.path.relpath(file, folder.resolve())).as_posix() + mark + anchor


def updated(english, translated, path):
    """Return the translated notebook with all but its prose from the English one."""
    prose = {cell["id"]: cell for cell in translated["cells"] if cell["cell_type"] == "markdown"}
    result = copy.deepcopy(english)
    for cell in result["cells"]:
        known = prose.get(cell["id"], {"metadata": {}})["metadata"].get("translated")
        if "parameters" in cell["metadata"].get("tags", []):
            source = LANGUAGE.sub(f'LANGUAGE = "{path.parent.name}"', text_of(cell))
            cell["source"] = source.splitlines(keepends=True)
        elif {"exercise", "exercise-run"} & set(cell["metadata"].get("tags", [])):
            for output in cell["outputs"]:
                if "text" in output:
                    said = spoken("".join(output["text"]), path.parent.name)
                    output["text"] = said.splitlines(keepends=True)
        elif cell["cell_type"] == "markdown" and known:
            source = text_of(cell)
            numbers = {id: [source[a:b] for a, b in p] for id, p in claimed(source).items()}
            text = with_numbers(text_of(prose[cell["id"]]), numbers)
            text = LINK.sub(lambda link: link[1] + placed(link[2], path) + link[3], text)
            cell["source"] = text.splitlines(keepends=True)
            cell["metadata"]["translated"] = known
    return result


def parts(text, path):
    """Return {what: list} of the parts of a text that are the same in each language."""
    links = sorted(placed(link[1], path) for link in LINK.findall(text))
    links = [link for link in links if Path(link).name != path.name]
    bare = FENCE.sub("", text)
    return {
        "numbers from outputs": sorted(
            (target, [text[a:b] for a, b in places]) for target, places in claimed(text).items()
        ),
        "links": links,
        "blocks of code": FENCE.findall(text),
        "code": sorted(CODE.findall(bare)),
        "formulas": sorted(FORMULA.findall(CODE.sub("", bare))),
        "folds": re.findall("</?(?:details|summary)>", text),
        "headings": [len(marks) for marks in re.findall(r"^(#+) ", bare, re.MULTILINE)],
        "badge": re.findall("<!-- badge.*?-->", text),
    }


def problems(english, translated, path):
    """Return a sentence for each cell of a translated notebook that is not as it should be."""
    found = []
    right, there = (
        {cell["id"]: cell | {"source": text_of(cell)} for cell in notebook["cells"]}
        for notebook in (updated(english, translated, path), translated)
    )
    found += [f"cell {id} is missing" for id in right if id not in there]
    found += [f"cell {id} is extra: the English notebook has none" for id in there.keys() - right]
    if list(there) != list(right) and there.keys() == right.keys():
        found.append("the cells are in another order")
    if english["metadata"] != translated["metadata"]:
        found.append("the notebook's metadata differ")
    for original in english["cells"]:
        id, source = original["id"], text_of(original)
        cell = there.get(id)
        if cell is None:
            continue
        if original["cell_type"] == "code":
            if "parameters" in original["metadata"].get("tags", []) and not LANGUAGE.search(source):
                found.append(f'cell {id}: the English parameters have no line LANGUAGE = "en"')
            differ = [key for key in right[id] if cell.get(key) != right[id][key]]
            found += [f"cell {id}: code differs: {', '.join(differ)}"] if differ else []
            continue
        made_from = cell["metadata"].get("translated")
        if made_from is None:
            found.append(f"cell {id} is not translated")
            continue
        if made_from != fingerprint(source):
            found.append(f"cell {id} is older than its original: translate the change")
            continue
        if cell != right[id]:
            found.append(f"cell {id}: numbers, links or metadata are not up to date")
        text = text_of(cell)
        ours, theirs = parts(text, path), parts(source, path)
        found += [
            f"cell {id}: other {what}: {ours[what]} for {theirs[what]}"
            for what in ours
            if ours[what] != theirs[what]
        ]
        plain = FORMULA.sub("x", HIDDEN.sub("", CODE.sub("x", FENCE.sub("", text))))
        found += [f"cell {id}: {problem}" for problem in style(plain)]
    return found


def style(text):
    """Return what is wrong with the spacing and the punctuation of a Chinese text."""
    wrong = [f"a space is missing in {hit[0]!r}" for hit in CLOSE.finditer(text)]
    wrong += [f"{hit[0]!r} has a narrow sign" for hit in NARROW.finditer(text)]
    for span in BOLD.finditer(text):
        before, after = text[: span.start()][-1:], text[span.end() :][:1]
        shut = (SIGN.match(span[2][0]) and before.isalnum()) or (
            SIGN.match(span[2][-1]) and after.isalnum()
        )
        wrong += [f"{span[0]!r} would show its stars: part them from the text"] if shut else []
    return wrong


def pair(path):
    """Return the English and the translated notebook of a path in notebooks/zh/."""
    english = json.loads((path.parents[1] / path.name).read_text(encoding="utf-8"))
    if path.exists():
        return english, json.loads(path.read_text(encoding="utf-8"))
    return english, english | {"cells": []}


def written(path, notebook):
    """Write a notebook; return whether anything in it is new."""
    text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return True


def export(path):
    """Return the text of a notebook's prose for an editor."""
    english, translated = pair(path)
    there = {cell["id"]: cell for cell in translated["cells"]}
    blocks = [f"==== notebook {path.resolve().relative_to(ROOT).as_posix()}\n"]
    for original in english["cells"]:
        if original["cell_type"] != "markdown":
            continue
        source, cell = text_of(original), there.get(original["id"], {"metadata": {}})
        made_from, now = cell["metadata"].get("translated"), fingerprint(source)
        state = "new" if made_from is None else "ok" if made_from == now else "older"
        text = text_of(cell) if made_from else ""
        blocks.append(f"==== cell {original['id']} {now} {state}\n{source}\n")
        blocks.append(f"==== {path.parent.name}\n{text}\n")
    return "\n".join(blocks)


def taken(text):
    """Write the translations of a text from `export` into its notebook; return its path."""
    _, *pieces = HEAD.split(text)
    heads = list(zip(pieces[::2], pieces[1::2], strict=True))
    path = ROOT / heads[0][0].removeprefix("notebook ")
    english, translated = pair(path)
    there = {cell["id"]: cell for cell in translated["cells"]}
    for (head, _), (_, prose) in zip(heads[1::2], heads[2::2], strict=True):
        _, id, now, state = head.split()
        prose, old = prose.strip("\n"), there.get(id)
        if not prose:
            continue
        if old is not None and state == "older" and text_of(old) == prose:
            continue  # looked at by nobody
        there[id] = {
            "id": id,
            "cell_type": "markdown",
            "metadata": {"translated": now},
            "source": prose.splitlines(keepends=True),
        }
    path.parent.mkdir(exist_ok=True)
    result = translated | {"cells": list(there.values())}
    written(path, updated(english, result, path))
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--export", nargs=2, type=Path, metavar=("NOTEBOOK", "FILE"))
    parser.add_argument("--import", dest="taken", type=Path, metavar="FILE")
    options = parser.parse_args()
    if options.export:
        path, file = options.export
        file.write_text(export(path), encoding="utf-8")
        return 0
    if options.taken:
        print(taken(options.taken.read_text(encoding="utf-8")).relative_to(ROOT))
    wrong = 0
    for path in sorted((ROOT / "notebooks").glob("zh/*.ipynb")):
        name = path.relative_to(ROOT).as_posix()
        if options.update and written(path, updated(*pair(path), path)):
            print(f"{name}: updated")
        for problem in problems(*pair(path), path):
            print(f"{name}: {problem}")
            wrong += 1
    print(f"{wrong} faults" if wrong else "all translations are up to date")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
