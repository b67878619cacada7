"""The house: imports point downward only, and a reader can hold each file, and the whole, in the head."""

import ast
import re
import subprocess
import sys

import pytest
from conftest import ROOT

import ganlib

FLOORS = {
    "__init__": 9, "__main__": 4, "recipes": 3, "training": 3, "steps": 2, "checkpoint": 2, "sharing": 3, "page": 0,
    "evaluation": 2, "gan": 1, "records": 1, "compiled": 3, "bench": 3.5, "loop": 2, "judging": 2.7,
    "device": 0, "randomness": 0, "data": 0, "losses": 0, "terms": 0, "schedules": 0, "augment": 0, "parallel": 0,
    "nets": 0, "convolutions": 0, "files": 0, "until": 0, "stopping": 0, "doctor": 0, "metrics": 0, "features": 0,
    "classifiers": 0, "extractors": 0, "pictures": 0, "view": 0, "downloads": 0, "terminal": 0, "labels": 0,
    "trials": 0, "compact": 0, "averages": 0, "contract": 0, "keeper": 2.5, "parts": 1, "decoding": 0, "sources": 0,
    "own": 0, "preflight": 3.7, "plane": 1, "latent": 1, "panel": 0, "explorer": 2, "stepper": 3, "lab": 4, "tasks": 0,
    "later_tasks": 0, "exercises": 1,
}  # fmt: skip
SIDEWAYS = {  # within floor 0, and why: DECISIONS.md
    ("data", "randomness"), ("pictures", "data"), ("pictures", "files"), ("view", "pictures"), ("view", "files"),
    ("losses", "terms"), ("terms", "schedules"), ("nets", "convolutions"), ("data", "downloads"), ("view", "terminal"),
    ("features", "extractors"), ("features", "classifiers"), ("extractors", "data"), ("classifiers", "extractors"),
    ("classifiers", "data"), ("classifiers", "files"), ("classifiers", "randomness"), ("stopping", "losses"),
    ("doctor", "stopping"), ("view", "doctor"), ("device", "trials"),
    ("data", "own"), ("own", "sources"), ("own", "decoding"), ("own", "files"),
    ("panel", "pictures"), ("later_tasks", "tasks"), ("nets", "compact"), ("averages", "labels"),
    ("compact", "convolutions"),
}  # fmt: skip
FILES = sorted((ROOT / "ganlib").rglob("*.py"))


def imports(file):
    """The modules of ganlib that a file imports."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            yield from [node.module.split(".")[0]] if node.module else [name.name for name in node.names]
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [node.module] if isinstance(node, ast.ImportFrom) else [name.name for name in node.names]
            assert not any(re.match(r"ganlib\b", name) for name in names), (
                f"{file.name}: import relatively within ganlib"
            )


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_imports_point_downward(file):
    for name in imports(file):
        assert FLOORS[name] < FLOORS[file.stem] or (file.stem, name) in SIDEWAYS, f"{file.stem} imports {name}"


def test_each_file_has_a_floor():
    assert {file.stem for file in FILES} == set(FLOORS)


def test_files_are_short_and_the_core_is_thin():
    """A file is at most 280 lines; the core, all that the first notebook needs, below 1,250 that are not blank.

    DECISIONS.md, 20.
    """
    lines = {file.stem: file.read_text().splitlines() for file in FILES}
    assert max(map(len, lines.values())) <= 280, {name: len(text) for name, text in lines.items()}
    beyond = [
        "__main__", "metrics", "features", "evaluation", "recipes", "schedules", "terms", "augment", "parallel",
        "extractors", "classifiers", "records", "doctor", "stopping", "compiled", "bench", "trials",
        "compact", "averages", "convolutions", "downloads", "terminal", "sharing", "labels", "keeper", "checkpoint",
        "files", "parts", "decoding", "sources", "own", "preflight", "page", "plane",
        "latent", "panel", "explorer", "stepper", "lab", "tasks", "later_tasks", "exercises",
    ]  # fmt: skip
    core = set(lines) - set(beyond)
    assert sum(bool(line.strip()) for name in core for line in lines[name]) < 1320


def test_the_front_door_is_public_names_and_nothing_else():
    tree = ast.parse((ROOT / "ganlib" / "__init__.py").read_text())
    assert all(isinstance(node, (ast.ImportFrom, ast.Assign, ast.Expr)) for node in tree.body)
    for name in ganlib.__all__:
        assert getattr(ganlib, name).__doc__, f"{name} has no docstring"


def test_importing_ganlib_imports_nothing_heavy():
    code = "import sys, ganlib; print([m for m in ('torchvision', 'matplotlib', 'IPython', 'PIL') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_no_host_read_in_a_step():
    """The functions of a training step read nothing back from the device."""
    reads = re.compile(r"\.(item|tolist|cpu|numpy)\(|float\(|bool\(")
    for file in ("losses", "terms", "nets", "convolutions", "augment", "gan"):
        source = (ROOT / "ganlib" / f"{file}.py").read_text()
        assert not reads.search(source), file
    tree = ast.parse((ROOT / "ganlib" / "steps.py").read_text())
    steps = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.endswith("_step")]
    assert len(steps) == 3 and not any(reads.search(ast.unparse(node)) for node in steps)
