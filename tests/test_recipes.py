import dataclasses

import pytest
import torch
from conftest import same

import ganlib
from ganlib import losses, nets
from ganlib.keep import export
from ganlib.run.recipes import RECIPES


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("classes", [0, 10])
def test_each_recipe_trains_saves_and_draws(name, classes, digits, tmp_path):
    if (name in ("classic", "infogan") and classes) or (name == "acgan" and not classes):
        with pytest.raises(ValueError, match="classes="):
            ganlib.recipe(name, classes=classes)
        return
    torch.manual_seed(0)
    made = ganlib.recipe(name, digits.shape, classes, 10)  # D plays by the second step
    gan = made.gan(seed=0)
    before = [p.clone() for p in [*gan.G.parameters(), *gan.D.parameters()]]
    for now in ganlib.train(gan, digits, made.step, until=2, batch_size=8):
        pass
    assert all(torch.isfinite(value) for value in now.stats.values())
    moved = [
        not torch.equal(a, b)
        for a, b in zip(before, [*gan.G.parameters(), *gan.D.parameters()], strict=True)
    ]
    assert sum(moved) > 0.6 * len(moved)
    assert gan.images_seen == 2 * 8 * made.n_critic
    ganlib.save(tmp_path, gan)
    assert torch.equal(export.rebuild(tmp_path).sample(4), gan.sample(4))
    twin = made.gan(seed=0)
    assert ganlib.resume(tmp_path, twin) and same(twin.state_dict(), gan.state_dict())


@pytest.mark.parametrize("name", [name for name in RECIPES if name not in ("acgan",)])
def test_each_recipe_at_32_pixels_in_colour(name):
    gan = ganlib.recipe(name, (3, 32, 32)).gan(seed=0)
    assert gan.sample(2).shape == (2, 3, 32, 32)


def test_the_classic_recipe_is_the_one_of_the_first_notebook():
    made = ganlib.recipe("classic")
    assert (made.lr, made.betas, made.batch_size, made.n_critic) == (2e-4, (0.9, 0.999), 100, 1)
    assert (
        made.objective is losses.non_saturating and made.penalty is made.augment is made.ema is None
    )
    torch.manual_seed(0)
    gan = made.gan(seed=0)
    torch.manual_seed(0)
    assert same(gan.G.state_dict(), nets.MLPGenerator().state_dict())


def test_settings_of_the_papers():
    wgan_gp, sngan, r3gan = (ganlib.recipe(name) for name in ("wgan-gp", "sngan", "r3gan"))
    assert (wgan_gp.objective, wgan_gp.n_critic, wgan_gp.lr, wgan_gp.betas) == (
        losses.wasserstein,
        5,
        1e-4,
        (0, 0.9),
    )
    assert wgan_gp.penalty.name == "gradient_penalty(10.0)"
    assert sngan.objective is losses.hinge and sngan.D.keywords["norm"] == "spectral"
    assert r3gan.objective is losses.relativistic and r3gan.penalty.name.startswith(
        "r1_r2(Cosine(start=1.0, end=0.1"
    )
    assert r3gan.penalty.weight(0) == 1.0 and r3gan.penalty.weight(10**7) == pytest.approx(0.1)
    assert (
        ganlib.recipe("r3gan", images=200_000).ema(40_000) == 10_000
    )  # a twentieth of the run, as in the paper
    assert (r3gan.lr, r3gan.betas[1](0), r3gan.betas[1](10**7), r3gan.ema(10**7)) == (
        2e-4,
        0.9,
        0.99,
        500_000,
    )


def test_g_alone_has_momentum_and_the_game_none():
    """The first beta is 0.9 in each step of the time without D, and 0 in each step of the game."""
    made = ganlib.recipe("pictures", (3, 32, 32), images=12_800)
    first, second = made.betas
    alone = range(0, made.warm, made.batch_size)
    assert {first(seen) for seen in alone} == {0.9} and second == 0.99
    assert {first(seen) for seen in range(made.warm, 12_800, made.batch_size)} == {0.0}
    assert ganlib.recipe("style", (3, 32, 32)).betas == (0.0, 0.99)
    data = ganlib.load("digits").subset(torch.arange(64))
    for stage, beta in (("l1", 0.9), ("content", 0.0), ("gan", 0.0)):
        assert ganlib.games.enlarging.recipe(stage, data).betas == (beta, 0.99)


def test_style_is_alone_for_a_shorter_time_and_rehearses():
    """With classes (DECISIONS 101) and above 16 pixels (106); else it is as it was. All learn as
    fast as asked.
    """
    asked, small_asked, large, plain = (
        ganlib.recipe("style", (3, size, size), classes, 60_000)
        for size, classes in ((32, 6), (16, 6), (32, 0), (16, 0))
    )
    for made in (asked, small_asked, large):
        assert (made.warm, made.rehearse, made.batch_size) == (6_000, 1, 16)
        assert repr(made.penalty) == "losses.r1_r2(0.3)"
    assert large.question is None and asked.question is not None
    assert (plain.warm, plain.rehearse, plain.batch_size) == (18_000, 0, 32)
    for made, highest in ((asked, 1e-3), (large, 1e-3), (plain, 5e-4)):
        rates = [made.lr[0](seen) for seen in range(made.warm, 60_001, 100)]
        assert max(rates) == pytest.approx(highest) and rates[-1] == pytest.approx(highest / 50)
    assert ganlib.recipe("style", (3, 32, 32), 6, 1_000_000).batch_size == 32


def test_a_recipe_prints_and_changes():
    made = ganlib.recipe("wgan-gp", classes=10)
    text = str(made)
    for line in (
        "objective  losses.wasserstein",
        "penalty  losses.gradient_penalty(10.0)",
        "n_critic  5",
        "lr  0.0001",
        "nets.ConvGenerator(shape=(1, 28, 28), classes=10)",
    ):
        assert line in text
    assert "augment" not in text
    other = dataclasses.replace(made, objective=losses.hinge, n_critic=1)
    assert other.objective is losses.hinge and other.n_critic == 1 and other.penalty is made.penalty


def test_schedules_stretch_to_the_plan():
    long = ganlib.recipe("small", images=1_000_000)
    assert long.lr(499_999) == pytest.approx(max(long.lr.values)) and long.lr(
        1_000_000
    ) < 0.03 * max(long.lr.values)
    assert [ganlib.recipe("small", images=n).batch_size for n in (None, 300_000, 1_000_000)] == [
        50,
        100,
        200,
    ]
    assert ganlib.recipe("r3gan", images=50_000).penalty.weight(10_000) == pytest.approx(0.1)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("clasic",), "did you mean 'classic'"),
        (("dcgan", (1, 30, 30)), "4 or 7 times a power of two"),
        (("small", (1, 28, 28), 0, -5), "images=-5"),
        (("r3gan", (3, 28)), "a square size"),
        (("infogan", (1, 28, 28), 10), "classes=10"),
    ],
)
def test_impossible_recipes(arguments, message):
    with pytest.raises(ValueError, match=message):
        ganlib.recipe(*arguments)
