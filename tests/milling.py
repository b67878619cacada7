"""Run notebooks as people do: by papermill and nbval, where no other ganlib can be imported."""

import os
import re
import subprocess
import sys

import nbformat
import papermill
from conftest import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
TRANSLATED = sorted((ROOT / "notebooks").glob("zh/*.ipynb"))
NAMED = {path.stem[3:]: path for path in NOTEBOOKS}
FIRST, PLANE, MODERN = (NAMED[name] for name in ("first_gan", "two_dimensions", "modern_gan"))
CHOOSE, JUDGE, OWN, TURN, SAY, STYLE = (
    NAMED[name]
    for name in (
        "choose_the_digit",
        "judge",
        "your_images",
        "pictures_from_pictures",
        "words_and_motion",
        "style_and_faces",
    )
)
SHORT = {"STEPS": 60, "BATCH": 20, "QUICK": 200}
LATER = {"IMAGES": 300, "SAMPLES": 200}
# what makes any notebook short, by the names that they share
SHORTEST = LATER | {
    "STEPS": 60,
    "CLIPS": 300,
    "WORDS": 300,
    "QUICK": 200,
    "SEEDS": 1,
    "BAKE_IMAGES": 100,
    "BAKE_OFF": "sngan, small",
    "SICK_STEPS": 16,
}


def shortest(path):
    """The parameters that make a notebook as short as it goes: those of SHORTEST that it has."""
    return {
        name: value
        for name, value in SHORTEST.items()
        if name in papermill.inspect_notebook(str(path))
    }


def read(path):
    return nbformat.read(path, as_version=4)


def cells(path, tag):
    return [cell for cell in read(path).cells if tag in cell.metadata.get("tags", [])]


def run(command, folder, **environment):
    """Run a command as on a user's machine: ganlib is not importable from elsewhere."""
    bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | environment
    return subprocess.run(
        list(map(str, command)), cwd=folder, env=bare, capture_output=True, text=True
    )


def mill(notebook, out, folder, python=sys.executable, **parameters):
    pairs = [part for name, value in parameters.items() for part in ("-p", name, value)]
    return run([python, "-m", "papermill", notebook, out, "-k", "python3", *pairs], folder)


def nbval(folder):
    """Run folder's out.ipynb again by nbval, which compares what each cell printed."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval",
        "--nbval-cell-timeout=300",
        "-p",
        "no:cacheprovider",
        "-q",
    ]
    done = run(
        [*command, f"--rootdir={folder}", "-c", os.devnull, folder / "out.ipynb"],
        ROOT,
        PYTHONPATH=str(ROOT),
    )
    assert done.returncode == 0, done.stdout[-5000:]
    assert re.search(r"\d+ passed", done.stdout)


def text_of(path):
    """All that a notebook's cells printed."""
    return "".join(
        o.text
        for cell in read(path).cells
        for o in cell.get("outputs", [])
        if o.output_type == "stream"
    )
