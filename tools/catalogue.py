"""Say which sentences of the exercises the Chinese catalogue lacks, and which it has for nothing.

    python tools/catalogue.py    exit status 1 if there are any

The catalogue is ganlib/lessons/zh.json. Missing sentences are printed as lines to paste into it.
Those of notebooks 01 to 03 and those that all exercises share have to be there.
"""

import ast
import json
import re
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from translate import style  # noqa: E402

from ganlib.lessons import telling  # noqa: E402
from ganlib.lessons.task import Task  # noqa: E402

LESSONS = ROOT / "ganlib" / "lessons"
TRANSLATED = ("first_gan", "first_moves", "two_dimensions", "modern_gan")  # notebooks 01 to 03
OTHERS = tuple(  # a new notebook's file is found by itself
    file.stem
    for file in sorted((LESSONS / "tasks").glob("*.py"))
    if file.stem not in ("__init__", *TRANSLATED)
)


def shared():
    """Return the sentences that are given to `tell` as they stand, and the meanings of errors."""
    found = [meaning for _, meaning in telling.MEANINGS]
    for file in sorted(LESSONS.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "tell":
                (sentence,) = node.args
                if isinstance(sentence, ast.Constant):
                    found.append(sentence.value)
                else:  # looked up by name: from a task, or from a table
                    assert not isinstance(sentence, (ast.JoinedStr, ast.BinOp)), ast.unparse(node)
    return [*found, "predict and compare", "result"]


def of_tasks(lesson):
    """Return all sentences of a lesson's exercises: hints, remarks, reasons, cases, names."""
    found = []
    for task in import_module(f"ganlib.lessons.tasks.{lesson}").TASKS.values():
        found += [*task.hints, *(remark for remark, _ in task.slips)]
        if isinstance(task, Task):
            found.append(task.shape)
            for text, arguments in task.cases():
                seen = task.observe(task.answer, *arguments)
                found += [text, *(seen if isinstance(seen, dict) else ())]
        else:
            found.append(task.why)
    return found


def needed(lessons=TRANSLATED):
    """Return the sentences that a catalogue has to hold, each once."""
    return list(dict.fromkeys([*shared(), *(s for lesson in lessons for s in of_tasks(lesson))]))


def problems(catalogue):
    """Return what is wrong with a catalogue, a sentence a line."""
    found = [
        f'missing: {json.dumps(sentence)}: "",'
        for sentence in needed()
        if sentence not in catalogue
    ]
    known = set(needed(TRANSLATED + OTHERS))
    for sentence, other in catalogue.items():
        names, others = (Counter(re.findall(r"\{\w*\}", text)) for text in (sentence, other))
        if sentence not in known:
            found.append(f"unused: {sentence!r}")
        if names != others:
            found.append(f"other names in braces: {other!r} for {sentence!r}")
        found += [f"{problem}: {other!r}" for problem in style(other)]
    return found


if __name__ == "__main__":
    found = problems(json.loads((LESSONS / "zh.json").read_text(encoding="utf-8")))
    print("\n".join(found) or "zh.json holds each sentence")
    sys.exit(bool(found))
