import pytest
import torch
from conftest import same

import ganlib
from ganlib import augment, losses, nets

GAMES = {
    "classic": {},
    "paired, exact penalties": {"objective": losses.relativistic, "penalty": losses.r1_r2(0.5)},
    "critic": {"objective": losses.wasserstein, "penalty": losses.clip_weights(0.1), "n_critic": 2},
    "question": {"question": losses.mutual_information(3, 2)},
    "adaptive": {
        "augment": augment.Augmentation(
            "none", lambda x, p, draws: x * (1 + p), target=0.6, ramp=1000
        )
    },
}


def make(game, dropout=0.0, **settings):
    with torch.random.fork_rng():
        torch.manual_seed(2)
        asked = {"answers": 5} if "question" in game else {}
        codes = {"categorical": 3} if "question" in game else {}
        if asked:
            G = nets.ResidualGenerator(8, (1, 28, 28), **codes)
            D = nets.ResidualDiscriminator((1, 28, 28), **asked)
        else:
            G, D = (
                nets.MLPGenerator(8, widths=(16, 32)),
                nets.MLPDiscriminator(widths=(32, 16), dropout=dropout),
            )
    return ganlib.GAN(G, D, seed=0, ema=20.0, **settings).to(dtype=torch.float64)


def short_of_memory(net, times, error=torch.OutOfMemoryError):
    """Let a net fail in its next `times` forward passes."""
    left = [times]

    def hook(module, inputs):
        if left[0]:
            left[0] -= 1
            raise error(
                "CUDA out of memory. Tried to allocate 2.00 GiB.\nmore"
                if error is torch.OutOfMemoryError
                else "[enforce fail] DefaultCPUAllocator: can't allocate memory"
            )

    net.register_forward_pre_hook(hook)


@pytest.mark.parametrize("player", ["G", "D"])
@pytest.mark.parametrize("game", GAMES.values(), ids=GAMES)
def test_a_batch_that_is_split_makes_the_same_update(game, player, digits, capsys):
    """In float64, to 1e-10, over 3 steps: out of memory once in the first, in G's pass or D's."""
    found = []
    for fails in (0, 1):
        gan = make(game)
        short_of_memory(getattr(gan, player), fails)
        for i in range(3):
            wanted = game.get("n_critic", 1) + game.get("objective", losses.hinge).paired
            stats = ganlib.gan_step(gan, digits.batches(0, i, wanted, 7, torch.float64), **game)
        found.append((gan, stats))
    (whole, stats), (split, parted) = found
    assert (whole.parts, split.parts) == (1, 2) and stats.keys() == parted.keys()
    for name in ("G", "D", "G_ema"):
        for a, b in zip(
            getattr(whole, name).parameters(), getattr(split, name).parameters(), strict=True
        ):
            assert torch.allclose(a, b, rtol=0, atol=1e-10), name
    assert all(torch.allclose(stats[name], parted[name], rtol=0, atol=1e-10) for name in stats)
    assert torch.equal(whole.adaptive, split.adaptive)
    assert "out of memory at step 1: each batch is played in 2 parts" in capsys.readouterr().out


def test_it_is_halved_as_often_as_it_has_to_be_and_says_why_it_cannot(digits, capsys):
    gan = make({})
    short_of_memory(gan.D, 2)
    ganlib.gan_step(gan, digits.batches(0, 0, 1, 7, torch.float64))
    assert gan.parts == 4 and capsys.readouterr().out.count("out of memory") == 2
    short_of_memory(gan.D, 1)
    with pytest.raises(
        torch.OutOfMemoryError,
        match="out of memory at step 2 with a batch of 7, which cannot be split: "
        "there is less than one image a part. Use a smaller batch_size",
    ):
        ganlib.gan_step(gan, digits.batches(0, 1, 1, 7, torch.float64))


def test_a_cpu_is_short_of_memory_in_other_words_and_other_errors_are_left_alone(digits):
    gan = make({})
    short_of_memory(gan.D, 1, RuntimeError)
    ganlib.gan_step(gan, digits.batches(0, 0, 1, 7, torch.float64))
    assert gan.parts == 2
    short_of_memory(gan.D, 1, lambda text: RuntimeError("something else"))
    with pytest.raises(RuntimeError, match="something else"):
        ganlib.gan_step(gan, digits.batches(0, 0, 1, 7, torch.float64))
    assert gan.parts == 2


@pytest.mark.parametrize(
    "norm, why", [("batch", "D has batch normalisation"), ("spectral", "D has a parametrization")]
)
def test_what_would_be_another_update_is_refused(digits, norm, why):
    gan = make({})
    gan = ganlib.GAN(gan.G, nets.ConvDiscriminator((1, 28, 28), norm=norm).double(), seed=0)
    before = {name: value.clone() for name, value in gan.D.named_parameters()}
    short_of_memory(gan.D, 1)
    with pytest.raises(torch.OutOfMemoryError, match=why):
        ganlib.gan_step(gan, digits.batches(0, 0, 1, 6, torch.float64))
    assert same(before, dict(gan.D.named_parameters()))


def test_shared_fakes_are_one_pass_of_G(digits):
    gan = make({})
    short_of_memory(gan.D, 0)
    calls = []
    gan.D.register_forward_pre_hook(
        lambda module, inputs: calls.append(1) or _fail(len(calls) == 2)
    )
    with pytest.raises(torch.OutOfMemoryError, match="both moves share one pass of G"):
        ganlib.gan_step(gan, digits.batches(0, 0, 1, 6, torch.float64), shared_fakes=True)


def _fail(now):
    if now:
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_training_goes_on_through_it(digits, capsys):
    """With dropout, whose masks then differ: the loop ends where it should, and all is finite."""
    gan = make({}, dropout=0.3)
    for now in ganlib.train(gan, digits, until=12, batch_size=9, record_every=4):
        if now.step == 3:
            short_of_memory(gan.G, 1)
    assert now.reason == "12 steps" and gan.parts == 2 and len(gan.history) == 4
