"""The table of `bench`: its counts have oracles, its rates only have to be there."""

from functools import partial

import pytest
import torch

from benchmarks.classic_same import fisher
from ganlib.__main__ import main
from ganlib.run.recipes import recipe
from ganlib.run.speed import _player, bench, planned_rate, rate


def test_the_operations_of_the_classic_recipe_are_those_counted_by_hand(digits):
    """Products only, 2 operations for each weight.

    G 3 times for its own move (forward, weights, inputs but the first) and once for D's; D twice
    forward and twice for its weights, its inputs but the first, then once for G's move, forward and
    inputs.
    """
    G, D = (100, 128, 256, 512, 1024, 784), (784, 1024, 512, 256, 1)
    g, d = (sum(a * b for a, b in zip(net, net[1:], strict=False)) for net in (G, D))
    g_first, d_first = G[0] * G[1], D[0] * D[1]
    by_hand = 2 * (g + 2 * d + 2 * d + 2 * (d - d_first) + g + 2 * d + g + g - g_first)
    _, operations = _player(recipe("classic"), digits, 10, torch.device("cpu"))
    assert operations == pytest.approx(by_hand)


def test_a_table_and_a_plot(tmp_path, capsys):
    rows = bench(
        torch.device("cpu"),
        ["classic"],
        batches=(2, 4),
        sizes=(14, 28),
        seconds=0.01,
        out=tmp_path / "b.png",
    )
    assert [(row["size"], row["batch"]) for row in rows] == [(28, 2), (28, 4), (14, 50), (28, 50)]
    assert (
        all(row["images/s"] > 0 for row in rows)
        and (tmp_path / "b.png").read_bytes()[:4] == b"\x89PNG"
    )
    out = capsys.readouterr().out
    assert "GFLOP/s" in out and "| classic | 14x14 | 50 |" in out


def test_bench_on_the_command_line_refuses_no_time(capsys):
    assert main(["bench", "--seconds", "0"]) == 1
    assert "--seconds 0.0 was given" in capsys.readouterr().err


def test_a_budget_of_less_than_a_step_gives_a_rate_too(digits):
    assert rate(recipe("classic"), digits, seconds=0.001, batch_size=5) > 0


def test_a_rate_leaves_no_trace(digits):
    torch.manual_seed(7)
    before = torch.get_rng_state()
    assert rate(recipe("classic"), digits, seconds=0.2, batch_size=10) > 0
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "a, b, p", [(3, 7, 0.178895), (0, 5, 0.032508), (8, 1, 0.005477), (4, 4, 1.0)]
)
def test_fishers_exact_test(a, b, p):
    """Against scipy.stats.fisher_exact([[a, 10 - a], [b, 10 - b]])."""
    assert fisher(a, 10, b, 10) == pytest.approx(p, rel=1e-4)


def test_a_long_plan_is_measured_with_the_batches_that_it_will_have(digits, monkeypatch):
    asked = []

    def rate(made, data, seconds, batch_size=None):
        asked.append((made.images, batch_size or made.batch_size, seconds))
        return {50: 1000.0, 200: 1200.0, 8: 500.0}[batch_size or made.batch_size]

    monkeypatch.setattr("ganlib.run.speed.rate", rate)
    make = partial(recipe, "small", digits.shape, 10)
    assert planned_rate(make, digits, 60) == 1000 and asked == [(120_000, 50, 4.0)]
    asked.clear()
    assert planned_rate(make, digits, 600, seconds=1.0) == 1200
    assert asked == [(120_000, 50, 1.0), (600_000, 200, 1.0)]
    asked.clear()
    assert planned_rate(make, digits, 600, batch_size=8) == 500 and asked == [(120_000, 8, 4.0)]
