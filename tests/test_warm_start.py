"""A game that begins without D: its codes, its moves written out, and cuts anywhere."""

import copy
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest
import test_compiled
import torch
from conftest import same
from test_compiled import captured  # noqa: F401
from torch.nn.functional import interpolate

import ganlib
from ganlib import losses, nets
from ganlib.game import steps
from ganlib.game.steps import WarmStart
from ganlib.run import speed


def pictures(n=40, size=8, labels=None):
    draws = torch.Generator().manual_seed(3)
    coarse = torch.rand(n, 3, 2, 2, generator=draws) * 255
    smooth = interpolate(coarse, size=size, mode="bilinear").to(torch.uint8)
    return ganlib.Images(smooth, labels, () if labels is None else tuple("abcd"), "smooth")


def pair(seed=0, classes=0, dtype=None, anchors=0, **settings):
    torch.manual_seed(seed)
    G = nets.PictureGenerator(6, (3, 8, 8), (12, 8), classes=classes, anchors=anchors)
    D = nets.PictureDiscriminator((3, 8, 8), (8,), classes=classes)
    settings = {"lr": (2e-3, 1e-3), "betas": (0.0, 0.99), "ema": 50} | settings
    return ganlib.GAN(G, D, seed=seed, **settings).to(dtype=dtype)


GAME = WarmStart(
    losses.relativistic, penalty=losses.approximate_r1_r2(0.1, 0.05), augment=None, warm=24
)


def play(gan, data, game=GAME, until=6, **settings):
    return [
        {name: value.clone() for name, value in now.stats.items()}
        for now in ganlib.train(gan, data, game, until=until, batch_size=8, **settings)
    ]


def test_codes_are_principal_components_of_variance_1():
    """Against the eigenvectors of the covariance, in numpy's float64."""
    import numpy

    data = pictures(60)
    mean, directions = steps._codes(data, 6, "cpu")
    x = (data.images.numpy().reshape(60, -1) / 127.5 - 1).astype(numpy.float64)
    values, vectors = numpy.linalg.eigh(numpy.cov(x.T, bias=True))
    best = x - x.mean(0)
    best = best @ vectors[:, ::-1][:, :6] / numpy.sqrt(values[::-1][:6])
    ours = ((torch.from_numpy(x).float() - mean) @ directions).double().numpy()
    signs = numpy.sign((best * ours).sum(0))  # of eigenvectors they are arbitrary
    assert (directions.gather(0, directions.abs().argmax(0, keepdim=True)) > 0).all()
    assert numpy.allclose(ours, best * signs, atol=1e-3)
    assert numpy.allclose(ours.T @ ours / 60, numpy.eye(6), atol=1e-3)
    z = steps.codes((mean, directions), data.floats(torch.arange(60)))
    assert torch.allclose(z.norm(dim=1), torch.full((60,), 6**0.5))


def test_large_images_are_coded_by_16_by_16_means():
    data = pictures(20, 64)
    small = data.floats(torch.arange(20)).unflatten(3, (16, 4)).unflatten(2, (16, 4)).mean((3, 5))
    mean, directions = steps._codes(data, 5, "cpu")
    assert mean.shape == (3 * 16 * 16,) and torch.allclose(
        mean, small.flatten(1).mean(0), atol=1e-5
    )


@pytest.mark.parametrize("n", [2, 3])
def test_few_images_have_fewer_components(n):
    _, directions = steps._codes(pictures(n), 6, "cpu")
    assert (directions.norm(dim=0) > 0).tolist() == [True] * (n - 1) + [False] * (7 - n)


def test_images_all_alike_still_train():
    data = ganlib.Images(torch.full((10, 3, 8, 8), 200, dtype=torch.uint8), name="grey")
    gan = pair()
    assert all(value.isfinite() for row in play(gan, data) for value in row.values())
    assert (gan.sample(4) - (200 / 127.5 - 1)).abs().mean() < 1


def test_noise_turns_codes_and_leaves_the_length_of_noise():
    z = torch.randn(4000, 16, dtype=torch.float64)
    z = 4 * z / z.norm(dim=1, keepdim=True)
    turned = steps.disturbed(z, torch.Generator().manual_seed(0))
    again = torch.Generator().manual_seed(0)
    noise = torch.randn(z.shape, generator=again, dtype=z.dtype)
    share = torch.rand(4000, 1, generator=again, dtype=z.dtype) / 2**0.5
    assert torch.allclose(turned.norm(dim=1), noise.norm(dim=1))
    there = z + share * noise
    assert torch.allclose(turned, there * (noise.norm(dim=1) / there.norm(dim=1))[:, None])
    cosine = torch.cosine_similarity(z, turned)
    assert (
        cosine[share[:, 0] < 0.05].min() > 0.98 and 0.75 < cosine[share[:, 0] > 0.65].mean() < 0.9
    )


def test_a_step_is_five_moves_of_g_written_out():
    """In float64, against Adam written out on a loss written out; D and its moments stay."""
    data, gan = pictures(), pair(dtype=torch.float64)
    twin, D = copy.deepcopy(gan.G), copy.deepcopy(gan.D.state_dict())
    game = replace(GAME, warm=8)
    game.check(gan, data)
    batches = data.batches(gan.seed, 0, game.batches, 8, torch.float64)
    draws = [gan.draws(f"codes/{move}") for move in range(5)]
    figures = game.step(gan, batches)
    weights = list(twin.parameters())
    squares = [torch.zeros_like(weight) for weight in weights]
    for move in range(5):
        real = batches.images[move % 2]
        fake = twin(steps.disturbed(steps.codes(gan.codes, real), draws[move]))
        means = (fake - real).unflatten(3, (2, 4)).unflatten(2, (2, 4)).mean((3, 5))
        loss = (fake - real).abs().mean() + means.abs().mean()
        for weight, square, slope in zip(
            weights, squares, torch.autograd.grad(loss, weights), strict=True
        ):
            square.mul_(0.99).add_(slope**2, alpha=0.01)
            size = (square / (1 - 0.99 ** (move + 1))).sqrt() + 1e-8
            weight.data.sub_(2e-3 * slope / size)
    assert figures["g_loss"].item() == pytest.approx(loss.item(), abs=1e-10)
    for ours, theirs in zip(gan.G.parameters(), weights, strict=True):
        assert torch.allclose(ours, theirs, rtol=0, atol=1e-9)
    assert same(gan.D.state_dict(), D) and not gan.opt_D.state
    assert (gan.step, gan.images_seen) == (1, 8)


def test_then_it_is_the_game():
    """After `warm` images: the very step that `Game` plays."""
    data, gan, twin = pictures(), pair(), pair()
    figures = play(gan, data)
    assert ["d_loss" in row for row in figures] == [False] * 3 + [True] * 3
    assert figures[0]["g_loss"] > figures[2]["g_loss"]
    play(twin, data, until=3)
    usual = ganlib.Game(losses.relativistic, penalty=GAME.penalty)
    batches = data.batches(twin.seed, 3, 2, 8)
    theirs = usual.step(twin, batches)
    assert same(theirs, figures[3])
    assert len(ganlib.diagnose(gan.history).evidence) > 0


def test_rehearsing_is_a_move_alone_before_those_of_the_game():
    """The move written out, with torch's own Adam; then the very step that `Game` plays."""
    data, gan, twin = pictures(), pair(), pair()
    game = replace(GAME, warm=0, rehearse=2)
    for run in (gan, twin):
        game.check(run, data)
    batches = data.batches(gan.seed, 0, game.batches, 8)
    figures = game.step(gan, batches)
    for move in range(2):
        real, draws = batches.images[move % 2], twin.draws(f"codes/{move}")
        fake = twin.G(steps.disturbed(steps.codes(twin.codes, real), draws))
        means = (fake - real).unflatten(3, (2, 4)).unflatten(2, (2, 4)).mean((3, 5))
        twin.opt_G.zero_grad()
        ((fake - real).abs().mean() + means.abs().mean()).backward()
        twin.opt_G.step()
    theirs = ganlib.Game(losses.relativistic, penalty=GAME.penalty).step(twin, batches)
    assert figures.keys() == theirs.keys()
    assert all(figures[key].item() == pytest.approx(theirs[key].item(), abs=1e-5) for key in theirs)
    for ours, other in zip(gan.G.parameters(), twin.G.parameters(), strict=True):
        assert torch.allclose(ours, other, rtol=0, atol=1e-5)
    for ours, other in zip(gan.G_ema.parameters(), twin.G_ema.parameters(), strict=True):
        assert torch.allclose(ours, other, rtol=0, atol=1e-5)
    assert (gan.step, gan.images_seen) == (twin.step, twin.images_seen) == (1, 8)
    plain = pair()
    game.check(plain, data)
    replace(game, rehearse=0).step(plain, batches)
    apart = [
        (a - b).abs().max() for a, b in zip(gan.G.parameters(), plain.G.parameters(), strict=True)
    ]
    assert max(apart) > 1e-3


def test_what_is_rehearsed_is_kept():
    """G alone, then a D that knows nothing at a high rate: with rehearsals G still draws them."""
    errors = []
    for rehearse in (0, 1):
        data, gan = pictures(), pair(lr=(5e-3, 1e-12))
        play(gan, data, replace(GAME, warm=8 * 40, rehearse=rehearse), until=120)
        z = steps.codes(gan.codes, data.floats(slice(0, 40)))
        with torch.no_grad():
            errors.append((gan.G(z) - data.floats(slice(0, 40))).abs().mean().item())
    assert errors[1] < 0.5 * errors[0]


@pytest.mark.parametrize("rehearse", [0, 1])
@pytest.mark.parametrize("cut", [2, 3, 5])
def test_a_run_cut_anywhere_goes_on_bit_for_bit(cut, rehearse, tmp_path):
    data, game = pictures(), replace(GAME, rehearse=rehearse)
    whole, first, second = (pair(anchors=30) for _ in range(3))
    play(whole, data, game)
    play(first, data, game, until=cut, folder=tmp_path)
    assert ganlib.resume(tmp_path, second)
    play(second, data, game, folder=tmp_path)
    here, there = second.state_dict(), whole.state_dict()
    assert same({**here, "trained_on": 0, "history": 0}, {**there, "trained_on": 0, "history": 0})
    with pytest.raises(ValueError, match="warm = 24.*given.*warm = 16"):
        play(second, data, replace(game, warm=16), until=8)
    with pytest.raises(ValueError, match="rehearse"):
        play(second, data, replace(game, rehearse=2), until=8)


def test_labels_reach_g():
    data, gan = pictures(labels=torch.arange(40) % 4), pair(classes=4)
    before = gan.G.latent.embedding.weight.clone()
    play(gan, data, until=2)
    assert not torch.equal(gan.G.latent.embedding.weight, before)


@pytest.mark.parametrize("anchors", [30, 50])
@pytest.mark.parametrize("classes", [0, 4])
def test_noise_is_drawn_to_codes_of_training_images(classes, anchors):
    """G's anchors, and its average's, are codes of some of the images, each of its own label."""
    labels = torch.arange(40) % 4 if classes else None
    data, gan = pictures(labels=labels), pair(classes=classes, anchors=anchors)
    play(gan, data, until=2)
    known = steps.codes(gan.codes, data.floats(slice(0, 40)))
    for net in (gan.G, gan.players["G"].average):
        found = net.attraction.anchors[:-1]
        apart, nearest = torch.cdist(found[:40], known).min(1)
        assert apart.max() < 0.01 and len(set(nearest.tolist())) == min(anchors, 40)
        assert not found[40:].any()
        if classes:
            own = net.attraction.scores[:, : len(nearest)].eq(0)
            assert torch.equal(own.long().argmax(0), labels[nearest]) and (own.sum(0) == 1).all()
    before = gan.G.attraction.anchors.clone()
    other = ganlib.Images(data.images.flip(3), labels, data.classes, "mirrored")
    GAME.check(gan, other)  # a run that goes on keeps the anchors that G was trained on
    assert torch.equal(gan.G.attraction.anchors, before)
    plain = pair(classes=classes)
    assert plain.G.attraction is None and "anchors" not in "".join(plain.G.state_dict())


def test_without_train_there_are_no_codes():
    gan, data = pair(), pictures()
    with pytest.raises(ValueError, match="needs codes of the data.*warm=0"):
        GAME.step(gan, data.batches(0, 0, 2, 8))
    replace(GAME, warm=0).step(gan, data.batches(0, 0, 2, 8))
    with pytest.raises(ValueError, match="needs codes of the data.*rehearse=0"):
        replace(GAME, warm=0, rehearse=1).step(gan, data.batches(0, 0, 2, 8))


def test_a_g_that_is_fed_pictures_cannot_begin_with_codes():
    data, G = pictures(), nets.EnlargingGenerator((3, 8, 8), 2, 8, 1)
    gan = ganlib.GAN(G, nets.PictureDiscriminator((3, 8, 8), (8,)), source=data)
    with pytest.raises(ValueError, match="G is fed something else.*warm=0"):
        play(gan, data)


def test_a_speed_is_that_of_both_kinds_of_steps(monkeypatch):
    """By a clock of its own: a step without D takes 1 s, one with D 3 s, the first of each 60 s."""
    clock, played = [0.0], []

    def train(gan, data, game, **settings):
        for now in ganlib.train(gan, data, game, **settings | {"until": 6}):
            played.append("d_loss" in now.stats)
            clock[0] += 60 if now.step == 1 else 3 if played[-1] else 1
            yield now

    monkeypatch.setattr(speed, "train", train)
    monkeypatch.setattr(speed, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    data = pictures(40, 16)
    made = ganlib.recipe("pictures", data.shape, images=1000)
    assert made.warm == 700
    # 1,000 images are 250 steps of 4: 175 of 1 s, and 75 of 3 s
    assert speed.rate(made, data, 1.0, 4) == pytest.approx(1000 / (175 + 75 * 3))
    assert played == [True] * 6 + [False] * 6
    played.clear()
    assert speed.rate(replace(made, warm=0), data, 1.0, 4) == pytest.approx(4 / 3)
    assert played == [True] * 6


def test_a_batch_in_parts_is_the_same_step(monkeypatch):
    data, gan, twin = pictures(), pair(dtype=torch.float64), pair(dtype=torch.float64)
    twin.parts = 4
    for one in (gan, twin):
        play(one, data, until=3)
    for ours, theirs in zip(gan.G.parameters(), twin.G.parameters(), strict=True):
        assert torch.allclose(ours, theirs, rtol=0, atol=1e-10)


@pytest.mark.parametrize("rehearse", [0, 1])
def test_a_captured_step_is_captured_anew_when_d_enters(captured, rehearse):  # noqa: F811
    data, game = pictures(), replace(GAME, warm=8 * 12, rehearse=rehearse)
    eager, replayed = pair(dtype=torch.float64), pair(dtype=torch.float64)
    with_rows = partial(play, data=data, until=20, record_every=5)
    theirs = with_rows(eager, game=game)
    ours = with_rows(replayed, game=captured(game, replayed, data, 8))
    for a, b in zip(ours, theirs, strict=True):
        assert a.keys() == b.keys() and all(abs(a[key] - b[key]) < 1e-8 for key in a)
    for a, b in zip(eager.G.parameters(), replayed.G.parameters(), strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-8)


@pytest.mark.parametrize("before", [0, 1, 3, 5])
def test_a_step_captured_just_before_d_enters(captured, before, capsys):  # noqa: F811
    """The steps that a capture tries would be steps of both games: it waits. (D's optimizer had
    moments of no step then, and the run ended as not finite.)
    """
    data, game = pictures(), replace(GAME, warm=8 * 6)
    eager, replayed = pair(dtype=torch.float64), pair(dtype=torch.float64)
    for gan in (eager, replayed):
        play(gan, data=data, until=6 - before, game=game)
    made = captured(game, replayed, data, 8)
    assert ("as soon as the game has changed" in capsys.readouterr().out) == (0 < before < 5)
    rows = play(eager, data=data, until=20, game=game, record_every=1)
    ours = play(replayed, data=data, until=20, game=made, record_every=1)
    for a, b in zip(ours, rows, strict=True):
        assert a.keys() == b.keys() and all(abs(a[key] - b[key]) < 1e-8 for key in a)
    for a, b in zip(eager.G.parameters(), replayed.G.parameters(), strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-8)


def test_codes_stay_where_a_graph_reads_them():
    """`check` computes them anew, for new data too, in the memory of the first ones."""
    gan, one = pair(), pictures()
    GAME.check(gan, one)
    first, places = [x.clone() for x in gan.codes], [x.data_ptr() for x in gan.codes]
    GAME.check(gan, pictures(30))
    assert [x.data_ptr() for x in gan.codes] == places
    assert not torch.equal(gan.codes[0], first[0])
    GAME.check(gan, one)
    assert all(torch.equal(a, b) for a, b in zip(gan.codes, first, strict=True))


def test_a_late_capture_that_fails_goes_on_eagerly(captured, monkeypatch, capsys):  # noqa: F811
    """As one at the beginning does: one line says why, and the run is the eager one."""
    data, game = pictures(), replace(GAME, warm=8 * 6)
    eager, replayed = pair(dtype=torch.float64), pair(dtype=torch.float64)
    made = captured(game, replayed, data, 8)
    capsys.readouterr()

    def record(self, *args):
        raise RuntimeError("no more graphs\nof any kind")

    monkeypatch.setattr(test_compiled.Imitation, "record", record)
    play(replayed, data=data, until=12, game=made)
    said = capsys.readouterr().out
    assert said.count("step: eager from here on; it cannot be captured (RuntimeError: no more") == 1
    play(eager, data=data, until=12, game=game)
    for a, b in zip(eager.D.parameters(), replayed.D.parameters(), strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-8)
