"""The plane: distributions with known moments, gradients against a closed form.

Coverage is held against counting.
"""

import io
import math
from functools import partial
from itertools import permutations

import pytest
import torch
from PIL import Image

import ganlib
from ganlib import losses, nets, plane
from ganlib.machine.randomness import generator

ALL = {
    "gaussian": plane.gaussian(),
    "ring": plane.ring(),
    "grid": plane.grid(),
    "moons": plane.moons(),
    "spiral": plane.spiral(),
    "painted": plane.painted([[0, 1], [1, 1]]),
}


def pair(widths=(16, 16), latent_dim=2, **settings):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        G = nets.MLPGenerator(latent_dim, (2,), widths)
        D = nets.MLPDiscriminator((2,), widths, dropout=0.0)
    return ganlib.GAN(G, D, seed=0, **({"lr": 1e-3, "betas": (0.5, 0.99)} | settings))


@pytest.mark.parametrize("name", ALL)
def test_points_are_a_function_of_the_draws_and_lie_in_the_square(name):
    one, two = (ALL[name].sample(5000, generator("cpu", 0, 7, "x")) for _ in range(2))
    other = ALL[name].sample(5000, generator("cpu", 0, 8, "x"))
    assert torch.equal(one, two) and not torch.equal(one, other)
    assert one.shape == (5000, 2) and one.dtype == torch.float32 and one.abs().max() <= 1


def test_mixtures_have_their_centres_and_their_spread():
    for name, modes in (("gaussian", 1), ("ring", 8), ("grid", 25)):
        mixture = ALL[name]
        points = mixture.sample(50_000, generator("cpu", 0, 0, "x"))
        away, which = torch.cdist(points, mixture.centres).min(1)
        shares = torch.bincount(which, minlength=modes) / 50_000
        assert len(mixture.centres) == modes and (shares - 1 / modes).abs().max() < 0.01
        assert away.square().mean().sqrt().item() == pytest.approx(
            mixture.std * math.sqrt(2), rel=0.02
        )
    assert plane.ring(4).centres[1].tolist() == pytest.approx([0, 0.75], abs=1e-6)


def test_curves_are_followed():
    arm = (plane.spiral(std=0.0).sample(2000, generator("cpu", 0, 0, "x")) / 0.85).T
    radius, angle = torch.hypot(*arm), torch.atan2(arm[1], arm[0])
    apart = (radius * 2 * math.pi * 1.75 - angle) / (2 * math.pi)
    assert (apart - apart.round()).abs().max() < 1e-3
    moons = plane.moons(std=0.0).sample(2000, generator("cpu", 0, 0, "x")) / 0.55
    upper = torch.hypot(moons[:, 0] + 0.5, moons[:, 1] + 0.25)
    lower = torch.hypot(moons[:, 0] - 0.5, moons[:, 1] - 0.25)
    assert ((upper - 1).abs() < 1e-3).logical_or((lower - 1).abs() < 1e-3).all()


def test_what_is_painted_is_where_it_was_painted():
    points = plane.painted([[0, 0, 1], [0, 0, 0], [1, 0, 0]]).sample(
        4000, generator("cpu", 0, 0, "x")
    )
    right_top = (points[:, 0] > 1 / 3) & (points[:, 1] > 1 / 3)
    left_bottom = (points[:, 0] < -1 / 3) & (points[:, 1] < -1 / 3)
    assert (right_top | left_bottom).all() and 0.45 < right_top.float().mean() < 0.55
    for wrong in ([[0, 0], [0, 0]], [0, 1], []):
        with pytest.raises(ValueError, match="paint something"):
            plane.painted(wrong)


def test_it_is_data_for_train_and_a_cut_run_goes_on(tmp_path):
    data = plane.Points(plane.ring())
    batches = data.batches(0, 5, 2, 30)
    assert batches.images.shape == (2, 30, 2) and batches.labels is None
    assert torch.equal(batches.images, data.batches(0, 5, 2, 30).images)
    assert not torch.equal(batches.images, data.batches(0, 6, 2, 30).images)

    def train(gan, until):
        step = partial(ganlib.gan_step, objective=losses.relativistic, penalty=losses.r1_r2(0.1))
        for _ in ganlib.train(
            gan, data, step, until=until, batch_size=20, record_every=5, folder=tmp_path
        ):
            pass
        return gan

    whole = train(pair(), 12)
    (tmp_path / "checkpoint.pt").unlink()
    train(pair(), 7)
    cut = pair()
    assert ganlib.resume(tmp_path, cut) and torch.equal(train(cut, 12).sample(9), whole.sample(9))


def test_every_objective_plays_on_it():
    data = plane.Points(plane.moons())
    for objective in (
        losses.saturating,
        losses.non_saturating,
        losses.least_squares,
        losses.hinge,
        losses.wasserstein,
        losses.relativistic,
    ):
        gan = pair()
        for _ in ganlib.train(
            gan, data, partial(ganlib.gan_step, objective=objective), until=2, batch_size=10
        ):
            pass
        picture = plane.frame(gan, data, objective, side=120)
        assert Image.open(io.BytesIO(picture.data)).size == (120, 138)


class Bowl(torch.nn.Module):
    """A D whose logit is -|x - (0.5, 0)|^2: its gradient points to (0.5, 0)."""

    def forward(self, x, labels=None):
        return -((x - x.new_tensor([0.5, 0.0])) ** 2).sum(1)


def test_arrows_are_minus_the_gradient_of_Gs_loss():
    gan = pair()
    gan.D = Bowl()
    fakes, ways = plane.paths(gan, 10, losses.wasserstein)
    assert torch.allclose(ways, 2 * (torch.tensor([0.5, 0.0]) - fakes), atol=1e-6)
    fakes, ways = plane.paths(gan, 10, losses.non_saturating)
    weight = torch.sigmoid(-Bowl()(fakes))[:, None]  # of -log sigmoid(x)
    assert torch.allclose(ways, weight * 2 * (torch.tensor([0.5, 0.0]) - fakes), atol=1e-6)
    real = torch.zeros(10, 2)
    _, ways = plane.paths(gan, 10, losses.relativistic, real=real)
    weight = torch.sigmoid(Bowl()(real) - Bowl()(fakes))[:, None]
    assert torch.allclose(ways, weight * 2 * (torch.tensor([0.5, 0.0]) - fakes), atol=1e-6)


def test_the_landscape_is_Ds_logit_at_each_place():
    gan = pair()
    gan.D = Bowl()
    logits = plane.landscape(gan, 20)
    for row, column in ((0, 0), (3, 17), (19, 4)):
        x, y = (column + 0.5) / 10 - 1, 1 - (row + 0.5) / 10
        assert logits[row, column].item() == pytest.approx(-((x - 0.5) ** 2) - y**2, abs=1e-6)


def test_the_frame_shows_what_is_where():
    """Orange where D says real, blue where fake; a real point's colour at its place.

    Looking changes nothing.
    """
    gan, data = pair(), plane.Points(plane.gaussian())

    class Right(torch.nn.Module):
        def forward(self, x, labels=None):
            return 50 * x[:, 0]

    gan.D = Right()
    before, state = torch.get_rng_state(), [w.clone() for w in gan.G.parameters()]
    picture = plane.frame(
        gan, data, losses.non_saturating, side=200, arrows=0, manifold=False, points=1
    )
    pixels = Image.open(io.BytesIO(picture.data)).convert("RGB")
    left, right = pixels.getpixel((5, 100)), pixels.getpixel((195, 100))
    assert left[2] > left[0] + 50 and right[0] > right[2] + 50
    x, y = ((data.images[0] * torch.tensor([1, -1]) + 1) / 2 * 200).int().tolist()
    assert max(abs(a - b) for a, b in zip(pixels.getpixel((x, y)), plane.REAL, strict=True)) < 40
    assert torch.equal(before, torch.get_rng_state()) and all(
        map(torch.equal, state, gan.G.parameters())
    )
    assert all(w.grad is None for w in gan.G.parameters())


def test_coverage_counts_modes_and_good_points():
    ring = plane.ring()
    perfect = plane.coverage(ring.sample(2000, generator("cpu", 1, 0, "x")), ring)
    assert (perfect.modes, perfect.of) == (8, 8) and perfect.share > 0.99 and perfect.covered > 0.97
    three = plane.coverage(ring.centres[:3].repeat(100, 1), ring)
    assert three.modes == 3 and three.share == 1 and three.covered < 0.4
    chance = torch.cat([ring.centres[:1].repeat(999, 1), ring.centres[1:2]])
    assert plane.coverage(chance, ring).modes == 1, "one point of a thousand is no mode"
    far = plane.coverage(torch.full((50, 2), 0.01), ring)
    assert (far.modes, far.share, far.covered) == (0, 0, 0)
    moons = plane.moons()
    assert plane.coverage(moons.sample(2000, generator("cpu", 1, 0, "x")), moons).of is None
    assert str(perfect).startswith("8 of 8 modes, ")


def test_a_live_view_of_the_plane_keeps_its_frames_for_a_film(tmp_path):
    gan, data = pair(), plane.Points(plane.ring())
    view = ganlib.LiveView(
        every=0, draw=lambda gan: plane.frame(gan, data, side=80), folder=tmp_path
    )
    for _ in ganlib.train(gan, data, until=6, batch_size=10, view=view):
        pass
    film = plane.film(view.frames)
    with Image.open(io.BytesIO(film.data)) as shown:
        assert shown.n_frames >= 2 and shown.size == (80, 98)
    assert (
        film.mime == "image/gif"
        and (tmp_path / "latest.png").exists()
        and not (tmp_path / "pictures").exists()
    )
    with pytest.raises(ValueError, match="no frames"):
        plane.film([])


def test_a_small_GAN_finds_the_ring():
    """The oracle of the whole: in seconds most of the eight modes, with the game of R3GAN."""
    gan, data = pair((64, 64), lr=2e-3, betas=(0, 0.99)), plane.Points(plane.ring(std=0.05))
    step = partial(ganlib.gan_step, objective=losses.relativistic, penalty=losses.r1_r2(0.05))
    for _ in ganlib.train(gan, data, step, until=1500, batch_size=100):
        pass
    found = plane.coverage(gan.sample(1000), data.distribution)
    assert found.modes >= 6 and found.share > 0.4, found


def test_a_frame_is_of_g_itself_and_paired_objectives_get_their_reals():
    gan, points = pair(ema=0.0), plane.Points(plane.ring())
    plain = plane.frame(gan, points).data
    for weight in gan.G_ema.parameters():
        weight.data.zero_()
    assert plane.frame(gan, points).data == plain
    assert plane.frame(gan, points, losses.relativistic, points=10).data
    with pytest.raises(ValueError, match="relativistic compares each fake with a real point"):
        plane.paths(gan, 4, losses.relativistic)


def test_the_gradient_penalty_takes_points():
    """On a linear D, whose gradient is the same everywhere: (|w| - 1)^2 for each."""
    D = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Flatten(0))
    D[0].weight.data = torch.tensor([[3.0, 4.0]])
    both = torch.randn(10, 2)
    values = losses.gradient_penalty(1.0).term(D, both, D(both), generator("cpu", 0, 0, "x"))
    assert values.shape == (5,) and torch.allclose(values, torch.full((5,), 16.0))


def test_clouds_stand_side_by_side_under_their_names():
    picture = plane.clouds([plane.ring(), plane.moons()], points=50)
    assert picture.alt == "50 real points of each: a ring of 8, two moons"
    assert not picture.generated
    pixels = Image.open(io.BytesIO(picture.data)).convert("RGB")
    assert pixels.size == (2 * 240 + 8, 240 + 18)
    ring = pixels.crop((0, 18, 240, 258))
    inside = [ring.getpixel((x, y)) for x in range(80, 160) for y in range(80, 160)]
    assert set(inside) == {(250, 250, 250)}, "the middle of the ring is empty"
    assert len(ring.getcolors(10_000)) > 5
    wide = plane.clouds([plane.ring()] * 5, points=9)
    assert Image.open(io.BytesIO(wide.data)).width <= 960


def test_the_transport_cost_is_the_least_of_all_pairings():
    """All 720 pairings of six points; a shift, of which one knows the answer; clusters."""
    for seed in range(8):
        noise, points = torch.randn(2, 6, 2, generator=generator("cpu", seed, 0, "x"))
        least = min(
            (noise - points[list(order)]).square().sum(1).mean().item()
            for order in permutations(range(6))
        )
        assert least - 1e-6 <= plane.transport_cost(noise, points) <= least + 1.01e-4
    noise, draws = torch.randn(300, 2, generator=generator("cpu", 0, 0, "x")), torch.randperm(300)
    for shift in (torch.tensor([0.3, -0.4]), torch.zeros(2)):  # a shift is the shortest way
        found = plane.transport_cost(noise, (noise + shift)[draws])
        assert found == pytest.approx(shift.square().sum().item(), abs=1.01e-4)
    same_place = plane.transport_cost(noise, torch.zeros(300, 2))
    assert same_place == pytest.approx(noise.square().sum(1).mean().item(), abs=1e-5)
    far = plane.transport_cost(1e3 * noise, 1e3 * (noise + 1)[draws])
    assert far == pytest.approx(2e6, rel=1e-4)  # of points far apart, in a second as well
    for wrong in (noise[:9], noise * math.nan, noise[:, 0], noise[:, :, None]):
        with pytest.raises(ValueError, match="two sets of one size"):
            plane.transport_cost(noise, wrong)
    with pytest.raises(ValueError, match="N above 1"):
        plane.transport_cost(noise[:1], noise[:1])


def test_a_cloud_shows_the_ways_from_the_noise():
    """A line from (2, 2) to (0, 0) in the right of two squares, and none in the left."""
    noise, points = torch.tensor([[0.0, 0.0], [2.0, 2.0]]), torch.zeros(2, 2)
    picture = plane.cloud(points, side=100, rows=("stays", "moves"), noise=noise)
    assert picture.alt == "2 points that G draws, each with its way from the noise"
    pixels = Image.open(io.BytesIO(picture.data)).convert("RGB")
    left, right = (pixels.crop((x, 18, x + 100, 118)) for x in (0, 108))

    def dark(square, z):  # at the place of the noise z: 2.5 is the edge
        x, y = round(50 + z[0] * 20), round(50 - z[1] * 20)
        return min(sum(square.getpixel((x + i, y + j))) for i in (-1, 0, 1) for j in (-1, 0, 1))

    assert dark(right, (1, 1)) < 600 < dark(left, (1, 1))
    assert dark(right, (2.3, 2.3)) > 600 and dark(right, (-1, -1)) > 600
    plain = plane.cloud(points, side=100, rows=("stays", "moves"))
    assert "way" not in plain.alt
    with pytest.raises(ValueError):
        plane.cloud(points, noise=noise[:1])


def test_a_tie_makes_g_take_the_shortest_way():
    """On the ring: no pairing with its own fakes is much shorter, nor one with the data.

    Lin et al. 2025, arXiv 2511.22475. Without the tie G's cost is 2.3 here, as of pairs by lot.
    """
    data, images = plane.Points(plane.ring()), 70_000
    fall = ganlib.schedules.Linear(((0, 0.6), (0.7 * images, 0.015)))
    tied = ganlib.Game(
        losses.relativistic, penalty=losses.r1_r2(0.05), tie=losses.near(fall, power=2)
    )
    gan = pair((64, 64), lr=ganlib.schedules.Cosine(2e-3, 1e-4, images), betas=(0, 0.99))
    for _ in ganlib.train(gan, data, tied, until=images // 100, batch_size=100):
        pass
    noise = gan.noise(500, "judge")
    fakes = gan.sample(noise=noise)
    cost, shortest = (fakes - noise).square().sum(1).mean(), plane.transport_cost(noise, fakes)
    assert shortest - 1e-4 <= cost < 1.1 * shortest
    assert cost.item() == pytest.approx(plane.transport_cost(noise, data.images[:500]), rel=0.1)
