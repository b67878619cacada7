"""Notebooks 02 to 10 as people meet them: run by papermill, again, cut off by a signal, driven."""

import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from functools import partial

import nbformat
import papermill
import pytest
import torch
from conftest import ROOT, same
from milling import (
    CHOOSE,
    FIRST,
    NOTEBOOKS,
    OWN,
    PLANE,
    cells,
    mill,
    nbval,
    read,
    shortest,
    text_of,
)

import ganlib
from ganlib.keep import checkpoint

TESTED = (
    FIRST,
    PLANE,
    OWN,
)  # which have tests of their own; a new notebook is run as the others are
OTHERS = [path for path in NOTEBOOKS if path not in TESTED]


others = pytest.mark.parametrize("path", OTHERS, ids=[path.stem for path in OTHERS])


@pytest.mark.slow
@others
def test_the_later_notebooks_from_their_folder_and_again(path, tmp_path):
    """From their folder; then by nbval, which compares what each cell prints in a second run."""
    done = mill(
        path.name, tmp_path / "out.ipynb", path.parent, RUN=tmp_path / "run", **shortest(path)
    )
    trained(done, tmp_path / "out.ipynb", again=False)
    shutil.rmtree(tmp_path / "run")
    nbval(tmp_path)


def trained(done, out, again):
    """One picture and one line in each training cell; they say if the run was finished before."""
    assert done.returncode == 0, done.stderr[-3000:]
    for cell in cells(out, "training"):
        pictures = [o for o in cell.outputs if {"image/png", "image/jpeg"} & {*o.get("data", {})}]
        lines = [o for o in cell.outputs if "text/html" in o.get("data", {})]
        assert len(pictures) == len(lines) == 1
        assert re.search(r"\b[1-9]\d+ images, at step", lines[0].data["text/plain"])
        assert ("this run is finished" in lines[0].data["text/plain"]) == again


@pytest.mark.slow
@others
def test_the_later_notebooks_on_finished_runs(path, tmp_path):
    for again in (False, True):
        done = mill(path, tmp_path / "out.ipynb", ROOT, RUN=tmp_path / "run", **shortest(path))
        trained(done, tmp_path / "out.ipynb", again)


@pytest.mark.parametrize("again", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_two_dimensions(tmp_path, again):
    """From its folder, as short as it goes: pictures, one line a run, coverage at the end.

    Again by nbval, in the slow tier.
    """
    parameters = {"SEED", "STEPS", "SEEDS", "DATA", "LANGUAGE"}
    assert set(papermill.inspect_notebook(str(PLANE))) == parameters
    done = mill(PLANE.name, tmp_path / "out.ipynb", PLANE.parent, STEPS=30, SEEDS=1, DATA="grid")
    assert done.returncode == 0, done.stderr[-3000:]
    for cell in cells(tmp_path / "out.ipynb", "training"):
        (line,) = [o.data["text/plain"] for o in cell.outputs if "text/html" in o.get("data", {})]
        assert (
            "step 30 / 30" in line
            and sum("image/" in kind for o in cell.outputs for kind in o.get("data", {})) == 1
        )
    said = text_of(tmp_path / "out.ipynb")
    assert "of 8 modes" in said and "a grid of 25:" in said and said.count("not done yet") == 3
    if again:
        nbval(tmp_path)


def test_the_sliders_change_the_picture():
    """Notebook 04's cells as they stand, nets untrained: each slider draws another picture."""
    torch.manual_seed(0)
    space = {
        "gan": ganlib.recipe("small", classes=10).gan(0),
        "info": ganlib.recipe("infogan").gan(0),
    }
    space |= {"ganlib": ganlib, "torch": torch, "lab": ganlib.lab}
    (sliders,) = cells(CHOOSE, "sliders")
    exec(next(cell.source for cell in read(CHOOSE).cells if "def draw(" in cell.source), space)
    exec(sliders.source, space)
    panel = space["sliders"]
    seen = {panel.picture.value}
    for name, value in (("digit", 7), ("style", 5), ("code_1", 1.5), ("code_2", -1.5)):
        panel.controls[name].value = value
        seen.add(panel.picture.value)
    assert len(seen) == 5


def test_from_a_messy_folder_to_a_shared_generator(tmp_path):
    """Notebook 06 on its faces, then on a zip of one's own, by one parameter."""
    done = mill(OWN, tmp_path / "out.ipynb", ROOT, IMAGES=400, RUN=tmp_path / "runs" / "own")
    assert done.returncode == 0, done.stderr[-3000:]
    said = text_of(tmp_path / "out.ipynb")
    for text in (
        "505 found, 503 used, 2 skipped",
        "angry/broken.png (broken",
        "notes.txt (no image",
        "CMYK to RGB: 1",
        "turned as EXIF says: 1",
        "5 classes: angry 100, happy 103, sad 100, surprised 100, winking 100",
        "happy/copy_of_010.png = happy/happy_010.png",
        "453 to train on, 50 kept back",
        "the same weights as before: True",
        "going on from step 10 (320 images)",
        "page: index.html",
        "Faces that nobody has drawn | 13 steps",
    ):
        assert text in said, text
    shared = ganlib.load_generator(tmp_path / "runs" / "shared")
    assert shared.shape == (3, 28, 28) and (tmp_path / "runs" / "shared" / "index.html").exists()
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as archive:
        for i in range(40):
            name = f"sad_{10 * (i // 4) + 5 + i % 4:03}.png"
            archive.write(tmp_path / "runs" / "faces" / "sad" / name, f"photos/{i}.png")
    done = mill(
        OWN,
        tmp_path / "mine.ipynb",
        ROOT,
        IMAGES=200,
        RUN=tmp_path / "mine" / "own",
        SIZE=32,
        SOURCE=tmp_path / "mine.zip",
        AUGMENT="ada",
    )
    assert done.returncode == 0, done.stderr[-3000:]
    said = text_of(tmp_path / "mine.ipynb")
    assert "mine: 40 images of 32 x 32" in said and "are very few: it will memorise them" in said
    assert ganlib.load_generator(tmp_path / "mine" / "shared").shape == (3, 32, 32)


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_a_papermill_run_that_is_signalled_goes_on_to_the_same_end(tmp_path, which):
    """The signal goes to papermill itself, as a scheduler's does.

    By SIGINT the kernel ends the loop and saves. By SIGTERM papermill is gone at once and takes the
    kernel along: what is there then was saved by the clock.
    """
    seconds = 3600 if which == signal.SIGINT else 0.3
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [
        nbformat.v4.new_code_cell('RUN = ""\nPAUSE = 0.0', metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(
            f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
            "import ganlib, time\nganlib.setup(0, threads=1)\n"
            "gan = ganlib.recipe('classic').gan(0)\nganlib.resume(RUN, gan)\n"
            "for now in ganlib.train(gan, ganlib.load('digits'), until=160, "
            "batch_size=10, record_every=5,\n"
            f"                        folder=RUN, save_seconds={seconds}, "
            "view=ganlib.LiveView(folder=RUN, every=0.1)):\n    time.sleep(PAUSE)\n"
            "print('reached', gan.step)"
        ),
    ]
    notebook.metadata = read(FIRST).metadata
    nbformat.write(notebook, tmp_path / "short.ipynb")
    # a background job of a shell ignores SIGINT, and would hand that on
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "papermill",
            "short.ipynb",
            "cut.ipynb",
            "-p",
            "RUN",
            "cut",
            "-p",
            "PAUSE",
            "0.3",
        ],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    while not (tmp_path / "cut" / "latest.png").exists() and process.poll() is None:
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(which)
    process.communicate(timeout=90)
    for _ in range(100):  # the kernel has a moment of its own to save
        if (tmp_path / "cut" / "checkpoint.pt").exists():
            break
        time.sleep(0.1)
    middle = checkpoint.newest(tmp_path / "cut")["state"]["step"]
    assert 0 < middle < 160
    done = mill("short.ipynb", "cut.ipynb", tmp_path, RUN="cut")
    assert done.returncode == 0 and "reached 160" in text_of(tmp_path / "cut.ipynb"), done.stderr[
        -2000:
    ]
    ganlib.setup(0, threads=1)  # the run uncut, in this process
    gan = ganlib.recipe("classic").gan(0)
    settings = {"batch_size": 10, "record_every": 5, "folder": tmp_path / "whole"}
    for _ in ganlib.train(gan, ganlib.load("digits"), until=160, **settings):
        pass
    cut, whole = (checkpoint.newest(tmp_path / name)["state"] for name in ("cut", "whole"))
    assert same({**cut, "history": 0}, {**whole, "history": 0})


@pytest.mark.slow
def test_smileys_in_the_notebook_for_images_of_ones_own(tmp_path):
    """One parameter changed: icons that come with ganlib, and the recipe for pictures."""
    wanted = {"SOURCE": "smileys", "RECIPE": "pictures", "IMAGES": 320, "RUN": tmp_path / "run"}
    done = mill(OWN, tmp_path / "out.ipynb", ROOT, **wanted)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "169 images" in text_of(tmp_path / "out.ipynb")
