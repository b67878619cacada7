"""Two processes against one with the whole batch, in float64: every recipe and game, penalties,
augmentations, pools and batch statistics included.

The one process draws what two would (see processes.py). Batch normalisation takes the statistics of
each process's own images, which the one process imitates half by half; or, "synced", those of all.
"""

import pytest
import torch
from conftest import ROOT, same
from processes import ALL, BATCHED, GAMES, PLAN, SYNCED
from test_several import by_hand, ended

FEW = [
    "r3gan ada",
    "shared fakes",
    "small",
    SYNCED + "small",
    SYNCED + "wgan-gp",
    SYNCED + "sngan",
]
# a bias that shifts all logits of a relativistic loss, or that batch normalisation takes away, has
# a gradient of 0, and Adam makes steps of its rounding; the mean that follows is taken away, too
NOTHING = {"verdict.bias", "verdict.linear.bias", "layers.2.bias", "layers.3.running_mean"}


def played(folder, names):
    """Play games in two processes and in one; return (first, second, the one), dicts by name."""
    command = ROOT / "tests" / "processes.py", folder, *names
    for status, _, said in ended(by_hand(2, *command) + by_hand(1, *command), timeout=900):
        assert status == 0, said[-3000:]
    return [torch.load(folder / f"{which}.pt") for which in ("2-0", "2-1", "1-0")]


def compare(name, first, second, one):
    assert same(first[name], second[name])  # bit for bit: the two never drift
    for key, value in first[name].items():
        expected = one[name][key]
        if value is None:
            assert expected is None
            continue
        allowed = 1e-7 if key.partition("0.")[2] in NOTHING else 1e-10
        gap = (value - expected).abs().max().item()
        assert gap <= allowed, (key, gap)
    assert first[name]["images"] >= PLAN


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    return played(tmp_path_factory.mktemp("few"), FEW)


@pytest.mark.parametrize("name", FEW)
def test_two_processes_equal_one(name, few):
    compare(name, *few)


def test_batch_statistics_differ_where_they_are_not_synchronised(few):
    """So that the option does something: 8 images have other statistics than 4 and 4."""
    mean = "G0.layers.8.running_mean"
    apart, together = (few[2][name][f".{mean}"] for name in ("small", SYNCED + "small"))
    assert (apart - together).abs().max() > 1e-4


@pytest.fixture(scope="module")
def all_of_them(tmp_path_factory):
    return played(tmp_path_factory.mktemp("all"), ALL)


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_two_processes_equal_one_in_every_game(name, all_of_them):
    compare(name, *all_of_them)


@pytest.mark.slow
def test_no_game_with_batch_statistics_is_left_out():
    for name, make in GAMES.items():
        gans = make()[0].gans.values()
        found = any(
            isinstance(module, torch.nn.modules.batchnorm._BatchNorm)
            for gan in gans
            for module in (*gan.G.modules(), *gan.D.modules())
        )
        assert found == (name in BATCHED), name
