import math
from functools import partial
from types import SimpleNamespace

import pytest
import torch

import ganlib
from ganlib import losses


def now(*rows, **every):
    history = [{"step": 100 * (i + 1), **every, **row} for i, row in enumerate(rows)]
    return SimpleNamespace(history=history, step=history[-1]["step"] if history else 0)


def distances(*values):
    return now(*({} if value is None else {"frechet_distance": value, "kid": value} for value in values))


def test_below():
    rule = ganlib.below("frechet_distance", 20)
    assert rule(now()) is None and rule(distances(None, 21.0)) is None and rule(distances(20.0)) is None
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


@pytest.mark.parametrize("objective, level", [
    ("non_saturating", 2 * math.log(2)), ("saturating", 2 * math.log(2)), ("relativistic", math.log(2)), ("hinge", 2),
    ("least_squares", 0.5),
])  # fmt: skip
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
        ganlib.equilibrium(rows=1)(now({"d_loss": 0.0, "objective": "losses.wasserstein", "variety": 1.0}))


def test_a_name_that_no_evaluation_has():
    with pytest.raises(ValueError, match="'fid' is not among the figures.*frechet_distance, kid"):
        ganlib.below("fid", 20)(distances(3.0))
    with pytest.raises(ValueError, match="patience=0"):
        ganlib.plateau(patience=0)


def test_a_rule_that_needs_an_evaluation_asks_for_one(small, digits):
    with pytest.raises(
        ValueError, match="until waits for 'frechet_distance', and nothing evaluates: give evaluate_every"
    ):
        next(ganlib.train(small(), digits, until=[ganlib.below("frechet_distance", 20)], batch_size=10))


def test_evaluations_join_the_history_and_end_the_run(small, digits):
    gan, seen, best = small(), [], []

    def evaluate(gan, data):
        seen.append(gan.step)
        return {"frechet_distance": 100.0 - 2 * gan.step if gan.step < 20 else 90.0, "n_real": 5, "extractor": "none"}

    rules = [1000, ganlib.below("frechet_distance", 70.5)]
    for now in ganlib.train(gan, digits, until=rules, batch_size=10, evaluate_every=5, evaluate=evaluate):
        best += [now.step] if now.best() else []
    assert seen == best == [5, 10, 15] and now.reason == "frechet_distance 70, below 70.5, at step 15"
    judged = [row for row in gan.history if "frechet_distance" in row]
    assert [row["step"] for row in judged] == seen and "n_real" not in judged[0] and "d_loss" in judged[0]
    for now in ganlib.train(gan, digits, until=20, batch_size=10, evaluate_every=5, evaluate=evaluate):
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
    assert all(torch.equal(a, b) for a, b in zip(plain.G.parameters(), judged.G.parameters(), strict=True))
    assert {"kid", "recall", "memorised", "floor"} < set(judged.history[-1])


@pytest.mark.parametrize("settings, message", [
    ({"evaluate_every": 0}, "evaluate_every=0 was given"),
    ({"until": ganlib.equilibrium(), "step": partial(ganlib.gan_step, objective=losses.wasserstein)}, "no known value"),
    ({"evaluate_every": 100, "data": "mine"}, "'mine' is neither of 'digits' and 'mnist'"),
])  # fmt: skip
def test_what_is_wrong_is_said_before_the_first_step(small, digits, settings, message):
    gan = small()
    data = ganlib.Images(digits.images[:300], name=settings.get("data", "digits"))
    with pytest.raises(ValueError, match=message):
        next(
            ganlib.train(
                gan, data, batch_size=10, **{"until": 200} | {k: v for k, v in settings.items() if k != "data"}
            )
        )
    assert gan.step == 0


def test_a_run_that_a_figure_ended_is_finished(small, digits):
    settings = {"until": ganlib.below("fid", 5), "batch_size": 10, "evaluate_every": 2,
                "evaluate": lambda gan, data: {"fid": torch.tensor(3.0)}}  # fmt: skip
    gan = small()
    assert len(list(ganlib.train(gan, digits, **settings))) == 2 and list(ganlib.train(gan, digits, **settings)) == []
