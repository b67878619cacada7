import math

import pytest
import torch
from conftest import same

import ganlib
from ganlib import nets
from ganlib.game.schedules import Cosine, Linear


def test_a_cosine_goes_from_start_to_end_and_stays():
    schedule = Cosine(2.0, 0.5, 100)
    assert [schedule(n) for n in (0, 100, 10**9)] == pytest.approx([2.0, 0.5, 0.5], rel=1e-15)
    assert schedule(50) == pytest.approx(1.25)
    for n in (1, 25, 70):
        assert schedule(n) == pytest.approx(
            0.5 + 1.5 * math.cos(math.pi * n / 200) ** 2
        )  # (1 + cos 2a) / 2 = cos^2 a


def test_lines_through_points():
    schedule = Linear(((10, 1.0), (20, 3.0), (40, 0.0)))
    assert [schedule(n) for n in (0, 10, 15, 20, 30, 40, 99)] == [1.0, 1.0, 2.0, 3.0, 1.5, 0.0, 0.0]


@pytest.mark.parametrize(
    "make", [lambda: Cosine(1, 2, 0), lambda: Linear(()), lambda: Linear(((5, 1), (5, 2)))]
)
def test_impossible_schedules(make):
    with pytest.raises(ValueError, match="was given"):
        make()


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"lr": Cosine(1e-3, 0, 10)}, "lr=Cosine"),
        ({"betas": (0, Linear(((0, 0.9), (9, 1.0))))}, "betas="),
        ({"ema": Cosine(-1, 5, 10)}, "ema="),
        ({"betas": (0, 1)}, "betas="),
        ({"ema": -1}, "ema=-1"),
    ],
)
def test_schedules_that_leave_the_possible(settings, message):
    with pytest.raises(ValueError, match=message):
        ganlib.GAN(
            nets.MLPGenerator(8, widths=(16,)), nets.MLPDiscriminator(widths=(16,)), **settings
        )


def test_optimizers_follow_and_the_penalty_too(small, digits):
    from functools import partial

    lr, beta = Cosine(1e-3, 1e-4, 100), Linear(((0, 0.9), (50, 0.99)))
    gan = small(lr=lr, betas=(0.0, beta))
    gamma = Cosine(2.0, 0.0, 60)
    step = partial(ganlib.gan_step, penalty=ganlib.losses.r1(gamma))
    for now in ganlib.train(gan, digits, step, until=8, batch_size=20):
        seen = now.images - 20  # what had been seen before this step
        for optimizer in (gan.opt_G, gan.opt_D):
            group = optimizer.param_groups[0]
            assert group["lr"] == pytest.approx(lr(seen)) and group["betas"] == (0.0, beta(seen))
        assert (now.stats["penalty"] == 0).item() == (seen >= 60)


def test_a_scheduled_run_can_be_cut_anywhere(small, digits, tmp_path):
    settings = {
        "lr": Cosine(1e-3, 1e-4, 100),
        "betas": (0.0, Cosine(0.9, 0.99, 70)),
        "ema": Cosine(0, 40, 60),
    }
    whole, cut, rest = (small(**settings) for _ in range(3))
    for gan, until in ((whole, 9), (cut, 4)):
        for _ in ganlib.train(gan, digits, until=until, batch_size=20):
            pass
    ganlib.save(tmp_path, cut)
    assert ganlib.resume(tmp_path, rest)
    for _ in ganlib.train(rest, digits, until=9, batch_size=20):
        pass
    assert same(whole.state_dict(), rest.state_dict())
    with pytest.raises(ValueError, match="has lr = Cosine.* this one lr = 0.0002"):
        ganlib.resume(tmp_path, small(betas=settings["betas"], ema=settings["ema"]))


# The average of G


def with_batchnorm(ema, **settings):
    torch.manual_seed(0)
    G = nets.ConvGenerator(8, widths=(8, 8))
    return ganlib.GAN(G, nets.MLPDiscriminator(widths=(16,)), ema=ema, seed=0, **settings)


def test_after_its_half_life_half_is_left():
    gan = with_batchnorm(ema=1000)
    old = [p.clone() for p in gan.G.parameters()]
    with torch.no_grad():
        for p in gan.G.parameters():
            p += 1.0
    for _ in range(10):
        gan.average(100)
    for ema, before in zip(gan.G_ema.parameters(), old, strict=True):
        assert torch.allclose(ema, before + 0.5, atol=1e-5)


def test_the_average_is_the_one_written_out(digits):
    """Ten steps against w <- w + (1 - 0.5^(B / H)) (g - w), in Python; the half-life changes."""
    half_life = Cosine(0, 200, 150)
    gan = with_batchnorm(half_life)
    hand = [p.detach().double().clone() for p in gan.G.parameters()]
    for now in ganlib.train(gan, digits, until=10, batch_size=20):
        h = half_life(now.images - 20)
        share = 1.0 if h == 0 else 1 - 0.5 ** (20 / h)
        hand = [
            w + share * (g.detach().double() - w)
            for w, g in zip(hand, gan.G.parameters(), strict=True)
        ]
        for ema, w in zip(gan.G_ema.parameters(), hand, strict=True):
            assert torch.allclose(ema.double(), w, atol=1e-5)


def test_a_half_life_of_0_copies_and_buffers_are_those_of_g(digits):
    for ema in (0, 500):
        gan = with_batchnorm(ema)
        for _ in ganlib.train(gan, digits, until=3, batch_size=20):
            pass
        assert same(
            dict(gan.G_ema.named_buffers()), dict(gan.G.named_buffers())
        )  # running means, counters
        assert (
            int(dict(gan.G.named_buffers())["layers.2.num_batches_tracked"]) == 6
        )  # twice a step: D's move, G's move
        assert same(list(gan.G_ema.parameters()), list(gan.G.parameters())) == (ema == 0)
        assert not any(p.requires_grad for p in gan.G_ema.parameters())


def test_sample_draws_from_the_average():
    gan = with_batchnorm(ema=100)
    with torch.no_grad():
        for p in gan.G_ema.parameters():
            p.zero_()
    assert gan.sample(3).abs().max() == 0 and gan.sample(3, ema=False).abs().max() > 0


def test_a_schedule_of_ones_own_is_kept_by_its_name(small, digits, tmp_path):
    def mine(images):
        return 1e-3 / (1 + images)

    gan = small(lr=mine)
    for _ in ganlib.train(gan, digits, until=1, batch_size=10):
        pass
    ganlib.save(tmp_path, gan)
    assert ganlib.resume(tmp_path, small(lr=mine))
    with pytest.raises(ValueError, match="has lr = .*mine, this one lr = 0.0002"):
        ganlib.resume(tmp_path, small())
    assert gan.opt_G.param_groups[0]["lr"] == 1e-3


def test_a_snapshot_in_memory_stays_as_it_is(small, digits):
    a, b = small(), small()
    b.load_state_dict(a.state_dict())
    a.adaptive += 1
    a.history.append({})
    assert b.adaptive.sum() == 0 and b.history == []
