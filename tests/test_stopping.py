import math
from functools import partial
from types import SimpleNamespace

import pytest
import torch

import ganlib
from ganlib import losses
from ganlib.run.until import length


def now(*rows, **every):
    history = [{"step": 100 * (i + 1), **every, **row} for i, row in enumerate(rows)]
    return SimpleNamespace(history=history, step=history[-1]["step"] if history else 0)


def distances(*values):
    return now(
        *({} if value is None else {"frechet_distance": value, "kid": value} for value in values)
    )


def test_below():
    rule = ganlib.below("frechet_distance", 20)
    assert (
        rule(now()) is None
        and rule(distances(None, 21.0)) is None
        and rule(distances(20.0)) is None
    )
    assert rule(distances(30.0, 19.5, None)) == "frechet_distance 19.5, below 20, at step 200"
    assert rule(distances(19.5, 30.0)) is None, "only the last evaluation counts"


def test_plateau():
    rule = ganlib.plateau(patience=3, improvement=0.1)
    assert rule(distances(9.0, 9.0, 9.0)) is None, "there is nothing yet to compare with"
    falling = [100 * 0.85**i for i in range(20)]
    assert all(rule(distances(*falling[:n])) is None for n in range(21))
    assert rule(distances(50.0, None, 46.0, 48.0, None, 45.5)) == (
        "frechet_distance has not fallen by 10 % in 3 evaluations: best 50 at step 100, 45.5 now"
    )
    assert rule(distances(50.0, 46.0, 48.0, 44.9)) is None


@pytest.mark.parametrize(
    "objective, level",
    [
        ("non_saturating", 2 * math.log(2)),
        ("saturating", 2 * math.log(2)),
        ("relativistic", math.log(2)),
        ("hinge", 2),
        ("least_squares", 0.5),
    ],
)
def test_equilibrium_is_where_d_cannot_tell(objective, level):
    assert getattr(losses, objective).guess == pytest.approx(level, abs=1e-4)
    rule = ganlib.equilibrium(tolerance=0.1, rows=3)
    play = {"objective": f"losses.{objective}", "variety": 5.0, "real_variety": 6.0}
    near, far = {"d_loss": 1.09 * level}, {"d_loss": 0.85 * level}
    assert rule(now(near, near, **play)) is None and rule(now(near, far, near, **play)) is None
    assert "equilibrium" in rule(now(far, near, near, {"d_loss": 0.91 * level}, **play))
    assert rule(now(near, near, near, **play | {"variety": 2.0})) is None, (
        "a G that draws one shape is in no equilibrium"
    )


def test_a_critic_has_no_equilibrium():
    with pytest.raises(ValueError, match="wasserstein has no known value of D's loss.*plateau"):
        ganlib.equilibrium(rows=1)(
            now({"d_loss": 0.0, "objective": "losses.wasserstein", "variety": 1.0})
        )


def test_a_name_that_no_evaluation_has():
    with pytest.raises(ValueError, match="'fid' is not among the figures.*frechet_distance, kid"):
        ganlib.below("fid", 20)(distances(3.0))
    with pytest.raises(ValueError, match="patience=0"):
        ganlib.plateau(patience=0)


def test_a_rule_that_needs_an_evaluation_asks_for_one(small, digits):
    with pytest.raises(
        ValueError,
        match="until waits for 'frechet_distance', and nothing evaluates: give evaluate_every",
    ):
        next(
            ganlib.train(
                small(), digits, until=[ganlib.below("frechet_distance", 20)], batch_size=10
            )
        )


def test_evaluations_join_the_history_and_end_the_run(small, digits):
    gan, seen, best = small(), [], []

    def evaluate(gan, data):
        seen.append(gan.step)
        return {
            "frechet_distance": 100.0 - 2 * gan.step if gan.step < 20 else 90.0,
            "n_real": 5,
            "extractor": "none",
        }

    rules = [1000, ganlib.below("frechet_distance", 70.5)]
    for now in ganlib.train(
        gan, digits, until=rules, batch_size=10, evaluate_every=5, evaluate=evaluate
    ):
        best += [now.step] if now.best() else []
    assert (
        seen == best == [5, 10, 15] and now.reason == "frechet_distance 70, below 70.5, at step 15"
    )
    judged = [row for row in gan.history if "frechet_distance" in row]
    assert (
        [row["step"] for row in judged] == seen
        and "n_real" not in judged[0]
        and "d_loss" in judged[0]
    )
    for now in ganlib.train(
        gan, digits, until=20, batch_size=10, evaluate_every=5, evaluate=evaluate
    ):
        assert not now.best()


def test_evaluating_changes_nothing_else(small, digits):
    """The evaluation of ganlib itself, of 128 fakes: weights and generators as without it."""
    plain, judged = small(), small()

    def evaluate(gan, data):
        torch.randn(3)  # whoever evaluates may draw from the global generator
        return ganlib.evaluate(gan, data, n=128, quiet=True)

    for gan, settings in ((plain, {}), (judged, {"evaluate_every": 4, "evaluate": evaluate})):
        for _ in ganlib.train(gan, digits, until=8, batch_size=10, **settings):
            pass
    assert all(
        torch.equal(a, b) for a, b in zip(plain.G.parameters(), judged.G.parameters(), strict=True)
    )
    assert {"kid", "recall", "memorised", "floor"} < set(judged.history[-1])


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"evaluate_every": 0}, "evaluate_every=0 was given"),
        (
            {
                "until": ganlib.equilibrium(),
                "step": partial(ganlib.gan_step, objective=losses.wasserstein),
            },
            "no known value",
        ),
        (
            {"evaluate_every": 100, "until": ganlib.below("frechet_distance", 1), "some": 100},
            "until waits for 'frechet_distance', and evaluations of 'mine' leave it out: 100 "
            "images a side, 128 are needed; there are kid, precision",
        ),
    ],
)
def test_what_is_wrong_is_said_before_the_first_step(small, digits, settings, message):
    gan = small()
    settings = {"until": 200} | settings
    data = ganlib.Images(digits.images[: settings.pop("some", 300)], name="mine")
    with pytest.raises(ValueError, match=message):
        next(ganlib.train(gan, data, batch_size=10, **settings))
    assert gan.step == 0


def test_a_run_that_a_figure_ended_is_finished(small, digits):
    settings = {
        "until": ganlib.below("fid", 5),
        "batch_size": 10,
        "evaluate_every": 2,
        "evaluate": lambda gan, data: {"fid": torch.tensor(3.0)},
    }
    gan = small()
    assert (
        len(list(ganlib.train(gan, digits, **settings))) == 2
        and list(ganlib.train(gan, digits, **settings)) == []
    )


BETTER = [
    ("frechet_distance", [9, 5, 7, 3]),
    ("kid", [0.2, 0.1, 0.3, -0.01]),
    ("precision", [0.2, 0.6, 0.4, 0.7]),
    ("coverage", [0.1, 0.5, 0.2, 0.9]),
    ("inception_score", [2, 8, 5, 9]),
    ("density", [0.2, 1.4, 3.0, 1.1]),
    ("memorised", [0.9, 0.45, 0.2, 0.51]),
]


@pytest.mark.parametrize("name, values", BETTER, ids=[name for name, _ in BETTER])
def test_the_best_is_the_best_of_each_figure(small, digits, name, values):
    """Lower, higher or nearer to a number, as the table of figures says.

    True at the first, second and fourth.
    """
    left, gan = iter(values), small()
    settings = {"until": 4, "batch_size": 10, "evaluate_every": 1}
    settings["evaluate"] = lambda *_: {name: float(next(left))}
    best = [now.step for now in ganlib.train(gan, digits, **settings) if now.best(name)]
    assert best == [1, 2, 4]


def test_a_figure_of_ones_own_says_which_way_is_better(small, digits):
    left, gan = iter([1.0, 3.0, 2.0]), small()
    settings = {
        "until": 3,
        "batch_size": 10,
        "evaluate_every": 1,
        "evaluate": lambda *_: {"mine": next(left)},
    }
    best = [now.best("mine", better="higher") for now in ganlib.train(gan, digits, **settings)]
    assert best == [True, True, False]
    with pytest.raises(
        ValueError, match="nothing says which way 'mine' is better.*frechet_distance.*better="
    ):
        for now in ganlib.train(
            gan, digits, **settings | {"until": 4, "evaluate": lambda *_: {"mine": 2.0}}
        ):
            now.best("mine")
    with pytest.raises(ValueError, match="nothing says which way 'mine' is better"):
        ganlib.plateau("mine")


def test_a_plateau_of_a_figure_that_is_to_rise():
    """Precision that goes on rising ends nothing; one that has stopped does."""
    rule = ganlib.plateau("precision", patience=2, improvement=0.1)
    rising = [{"precision": 0.1 * 1.2**i, "frechet_distance": 1.0} for i in range(8)]
    assert all(rule(now(*rising[:n])) is None for n in range(9))
    stopped = [*rising, {"precision": 0.35}, {"precision": 0.37}]
    assert rule(now(*stopped)) == (
        "precision has not risen by 10 % in 2 evaluations: best 0.3583 at step 800, 0.37 now"
    )
    near = ganlib.plateau("density", patience=1, improvement=0.1)
    assert near(now({"density": 3.0}, {"density": 1.5})) is None
    assert "has not come nearer to 1.0 by 10 % in 1 evaluations" in near(
        now({"density": 1.5}, {"density": 3.0})
    )


@pytest.mark.parametrize(
    "text, expected",
    [
        (3, (3, "step")),
        ("3", (3, "step")),
        ("10_000", (10_000, "step")),
        ("10,000 steps", (10_000, "step")),
        ("40k images", (40_000, "image")),
        ("1.5M images", (1_500_000, "image")),
        ("2 epochs", (1000, "image")),
        ("5 min", (300, "second")),
        ("1h", (3600, "second")),
        ("0.5s", (0.5, "second")),
        ("2k", (2000, "step")),
        ("2.5", None),
        ("soon", None),
        ("", None),
        (True, None),
        (2.5, None),
        (-1, None),
        (None, None),
    ],
)
def test_one_reader_of_lengths(text, expected):
    assert length(text, 500) == expected
    if expected == (3, "step"):  # a bare number is of whatever is counted there
        assert length(text, 500, bare="image") == (3, "image")
