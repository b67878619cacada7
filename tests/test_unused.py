"""Options of the command line that change nothing are refused, for every game, before anything is
trained or written; what a run began with is found again.
"""

import contextlib
import io

import pytest

import ganlib
from ganlib.__main__ import GAMES, main
from ganlib.games.translation import KINDS
from ganlib.keep import checkpoint


def said(*arguments):
    """Run a command, and return (its exit status, the lines that it wrote)."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        status = main(list(map(str, arguments)))
    return status, out.getvalue()


VALUES = {
    "objective": "hinge",
    "scale": "2",
    "fit": "pad",
    "size": "32",
    "fallback": "digits",
    "recipe": "small",
    "augment": "ada",
    "conditional": None,
    "to": "printed",
}
NOISE = {"recipe", "augment", "conditional"}
USED = {  # by game, of the options above; recipe of clips is one of their own
    None: {"recipe", "augment", "conditional", "fallback"},
    "enlarge": {"scale", "fallback", "objective"},
    "words": set(),
    "flows": set(),
    "clips": {"recipe"},
    **dict.fromkeys(KINDS, {"objective", "to"}),
}


def test_the_table_knows_every_game():
    assert set(USED) == {None, *KINDS, *GAMES}


@pytest.mark.parametrize("game", USED)
@pytest.mark.parametrize("option", VALUES)
def test_what_a_game_has_no_use_for(game, option, tmp_path):
    if option in USED[game] or (option == "size" and game in set(KINDS) - {"cycle"}):
        pytest.skip("it is used, or as with cycle")
    arguments = ["--game", game] * (game is not None)
    if game in KINDS and option != "to":
        arguments += ["--to", "printed"]
    arguments += [f"--{option}", VALUES[option]] if VALUES[option] else [f"--{option}"]
    status, text = said("train", *arguments, "--out", tmp_path / "run", "--device", "cpu")
    error = text.splitlines()[-1]
    assert status == 1 and error.startswith("error: ") and text.count("error: ") == 1
    assert f"--{option}" in error or f"{option}=" in error
    assert not (tmp_path / "run").exists()


def test_two_lengths_are_refused(tmp_path):
    status, text = said("train", "--steps", 5, "--until", "3 epochs", "--out", tmp_path / "run")
    assert status == 1 and "--until stands in place of --steps" in text


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    place = tmp_path_factory.mktemp("run")
    gan = ganlib.recipe("classic").gan(0)
    for _ in ganlib.train(gan, ganlib.load("digits"), until=1, batch_size=4, folder=place):
        pass
    return place


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--size", "28"], "--size was given, and 'digits' has squares of a size of its own"),
        (["--fit", "pad"], "--fit was given, and 'digits' has"),
        (["--data", "faces", "--fit", "pad"], "--fit was given, and 'faces' has"),
        (["--device", "cuda"], "device='cuda' was given, but this machine offers"),
        (["--device", "gpu"], "cuda, mps or cpu is expected"),
        (["--strength", "0.5"], "MLPGenerator draws its noise to no training images"),
    ],
)
def test_what_evaluate_has_no_use_for(arguments, message, run):
    import torch

    if "cuda" in arguments and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    status, text = said("evaluate", run, "--n", 200, *arguments)
    assert status == 1 and message in text


@pytest.mark.slow
def test_evaluate_takes_a_device(run):
    status, text = said("evaluate", run, "--n", 200, "--device", "cpu")
    assert status == 0 and "200 fakes" in text


@pytest.mark.slow
@pytest.mark.parametrize(
    "game, data, drawn", [("words", "faces", "faces in words"), ("clips", "pairs", "pairs")]
)
def test_the_data_of_a_run_are_found_again(game, data, drawn, tmp_path):
    """The run goes on without --data, with the set that it began with."""
    train = ["train", "--game", game, "--out", tmp_path, "--batch-size", 8, "--device", "cpu"]
    assert said(*train, "--steps", 1, "--data", data)[0] == 0
    status, text = said(*train, "--steps", 2)
    assert status == 0, text
    state = checkpoint.newest(tmp_path)["state"]
    assert state["step"] == 2 and state["trained_on"]["loaded"]["drawn"] == drawn
