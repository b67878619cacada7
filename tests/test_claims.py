"""Claims in the notebooks' prose: each marked number is in the output that it names."""

import json
import subprocess
import sys

import pytest
from conftest import ROOT
from milling import NOTEBOOKS, TRANSLATED

sys.path.insert(0, str(ROOT / "tools"))
from claims import claims, short  # noqa: E402


@pytest.mark.parametrize("path", NOTEBOOKS + TRANSLATED, ids=short)
def test_the_prose_of_the_notebooks_says_what_the_outputs_say(path):
    wrong = [
        claim.problem
        for claim in claims(json.loads(path.read_text()), short(path))
        if claim.problem is not None
    ]
    assert not wrong, "\n".join(wrong)


def book(prose, *outputs):
    """A notebook of one text and one cell `run` with these outputs: text printed, or a dict."""
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": output.splitlines(True)}
        if isinstance(output, str)
        else output
        for output in outputs
    ]
    return {
        "cells": [
            {"cell_type": "markdown", "id": "text", "source": prose.splitlines(True)},
            {"cell_type": "code", "id": "run", "source": [], "outputs": outputs},
            {"cell_type": "code", "id": "silent", "source": [], "outputs": []},
        ]
    }


def problems(prose, *outputs):
    return [claim.problem for claim in claims(book(prose, *outputs), "00.ipynb")]


@pytest.mark.parametrize(
    ("prose", "output"),
    [
        ("2,116", "modes 2116"),
        ("2,116", "modes 2,116.4 of all"),
        ("2116", "modes 2,116"),
        ("1,234,567", "1234567 weights"),
        ("2.1", "loss=2.1499"),
        ("2.1", "loss 2.05"),  # a tie may be rounded either way
        ("0.10", "0.0951"),
        ("98 %", "share 0.983"),
        ("98 %", "share 98.3"),
        ("98 %", "share 98.3%"),
        ("98%", "98.3 %"),
        ("98 percent", "0.98"),
        ("0.98", "98.3 %"),
        ("**98 %**", "0.983"),
        ("`0.25`", "tensor(0.2500)"),
        ("25 times", "24.6"),
        ("25x", "x25? no: 25.3x"),
        ("25×", "25.3"),
        ("3 min", "took 3.2 min"),
        ("0.5 MB", "0.49 MB"),
        ("-0.3", "from -0.31 on"),
        ("\u22120.3", "from -0.31 on"),
        ("-0.3", "from \u22120.31 on"),
        ("4", "a range of 2-4"),
        ("2e-4", "lr 0.0002"),
        ("0.0002", "lr 2.1e-04"),
        ("1.5e3", "1,480"),
        (".5", "0.52"),
        ("7", "[1, 2, 7]"),
        ("16", "[0,16,0,10]"),
        ("73", "\x1b[31m73\x1b[0m"),
        ("12", "step 12."),
        ("从 0.502", "0.502"),
        ("有 25 倍", "24.6"),
        ("3 分钟", "took 3.2 min"),
        ("约 29 %", "28.8 %"),
    ],
)
def test_a_number_of_the_output_is_found(prose, output):
    assert problems(f"In the run saved here {prose}<!--=run--> of them, 一共.", output) == [None]


@pytest.mark.parametrize(
    ("prose", "output", "nearest"),
    [
        ("2,116", "2,117", "2,117"),
        ("2,116", "2 and 116", "116"),
        ("2.1", "2.16", "2.16"),
        ("2.10", "2.106", "2.106"),
        ("98.3 %", "0.98", "0.98"),
        ("98 %", "0.973", "0.973"),
        ("98", "0.98", "0.98"),  # no percent anywhere
        ("0.98", "98.3", "98.3"),
        ("0.3", "-0.3", "-0.3"),
        ("-0.3", "0.3", "0.3"),
        ("-4", "a range of 2-4", "2"),
        ("2e-4", "2e-5", "2e-5"),
        ("5", "float5 step_5 v1.5", None),
        ("25 times", "24", "24"),
        ("12", "0.12 1.2 120", "1.2"),
    ],
)
def test_what_is_not_in_the_output_is_said_with_the_nearest_number(prose, output, nearest):
    (problem,) = problems(f"so {prose}<!--=run-->", output)
    start = f"00.ipynb, cell text: {prose!r} is said to come from the output of cell 'run', "
    said = f"where the nearest number is {nearest}" if nearest else "which prints no number"
    assert problem == start + said


@pytest.mark.parametrize(
    ("prose", "said"),
    [
        ("5<!--=other-->", "'other', but the notebook has no cell of this id"),
        ("5<!--=silent-->", "'silent', which has no output"),
        ("5<!--=text-->", "'text', but that is a cell of text"),
        ("five<!--=run-->", "'run', but no number stands right before the mark"),
        ("5 of the many<!--=run-->", "'run', but no number stands right before the mark"),
        ("5<!--=-->", "'', but the notebook has no cell of this id"),
    ],
)
def test_a_mark_that_names_nothing_fails(prose, said):
    (problem,) = problems(prose, "5")
    assert problem.endswith(said)


def test_results_count_and_pictures_and_warnings_do_not():
    result = {"output_type": "execute_result", "data": {"text/plain": ["tensor(0.25)\n", "7"]}}
    assert problems("7<!--=run--> and 0.25<!-- = run -->", result) == [None, None]
    picture = {"output_type": "display_data", "data": {"image/png": "5", "text/plain": "<images>"}}
    stderr = {"output_type": "stream", "name": "stderr", "text": "5"}
    assert "prints no number" in problems("5<!--=run-->", picture, stderr)[0]


def test_comments_that_are_no_marks_are_left_alone():
    assert problems("5 <!-- badge --> and 6 <!-- see run -->", "7") == []


def test_the_command_lists_every_mark(tmp_path):
    path = tmp_path / "small.ipynb"
    command = [sys.executable, ROOT / "tools" / "claims.py", path]
    for prose, status, last in (
        ("5<!--=run--> and 12 %<!--=run-->", 0, "2 claims, 0 of them stale"),
        ("5<!--=run--> and 13 %<!--=run-->", 1, "2 claims, 1 of them stale"),
        ("nothing", 0, "0 claims, 0 of them stale"),
    ):
        path.write_text(json.dumps(book(prose, "5 and 0.12")))
        done = subprocess.run(command, capture_output=True, text=True)
        lines = done.stdout.splitlines()
        assert (done.returncode, lines[-1]) == (status, last), done.stderr
        if len(lines) == 3:
            assert lines[0] == "  ok  small.ipynb, cell text: 5 is 5 in run"
            assert lines[1].startswith("STALE small.ipynb, cell text: '13 %'" if status else "  ok")
