"""The latent space: directions of a linear G against its singular vectors.

Truncation is held against the normal law.
"""

import io
import math
import shutil
import subprocess

import numpy
import pytest
import torch
from PIL import Image

import ganlib
from ganlib import latent, nets
from ganlib.show import pictures


class Linear(torch.nn.Module):
    """G(z) = A z, as an image of one row: all there is to know of it has a closed form."""

    def __init__(self, A, classes=0):
        super().__init__()
        self.A, self.latent_dim, self.shape, self.classes = (
            torch.nn.Parameter(A),
            A.shape[1],
            (1, 1, len(A)),
            classes,
        )

    def forward(self, z, labels=None):
        shift = 0 if labels is None else labels[:, None].to(z)
        return (z @ self.A.T + shift).view(-1, *self.shape)


def rotated(values, seed=0, outputs=6):
    """A with these singular values, and its right singular vectors as rows."""
    draws = torch.Generator().manual_seed(seed)
    left, _ = torch.linalg.qr(torch.randn(outputs, outputs, generator=draws, dtype=torch.float64))
    right, _ = torch.linalg.qr(
        torch.randn(len(values), len(values), generator=draws, dtype=torch.float64)
    )
    return left[:, : len(values)] @ torch.tensor(
        values, dtype=torch.float64
    ).diag() @ right.T, right.T


def test_the_directions_of_a_linear_generator_are_its_singular_vectors():
    A, rows = rotated([3.0, 2.0, 0.5, 0.1])
    found = latent.directions(Linear(A), n=4)
    assert torch.allclose(
        found.change, torch.tensor([3.0, 2.0, 0.5, 0.1], dtype=torch.float64), rtol=1e-6
    )
    assert torch.allclose(
        (found.rows * rows).sum(1).abs(), torch.ones(4, dtype=torch.float64), atol=1e-6
    )
    assert (found.rows.gather(1, found.rows.abs().argmax(1, keepdim=True)) > 0).all()
    assert torch.equal(latent.directions(Linear(A), n=4).rows, found.rows)


def test_numbers_that_take_no_part_stay_out_of_the_directions():
    A, _ = rotated([3.0, 2.0, 0.5, 0.1])
    found = latent.directions(Linear(A), n=2, skip=2)
    assert (found.rows[:, :2] == 0).all()
    _, values, rows = torch.linalg.svd(A[:, 2:], full_matrices=False)
    assert torch.allclose(found.change, values) and torch.allclose(
        (found.rows[:, 2:] * rows).sum(1).abs(), torch.ones(2, dtype=torch.float64)
    )
    with pytest.raises(ValueError, match="n=3 directions were asked of 2 numbers of noise; 1 to 2"):
        latent.directions(Linear(A), n=3, skip=2)


def test_directions_of_a_bent_generator_are_those_of_its_mean_square_derivative():
    """Against autograd's Jacobian at the same points, in float64."""
    torch.manual_seed(0)
    G = nets.MLPGenerator(5, (1, 4, 4), (16,)).double()
    found = latent.directions(G, n=5, points=16, reach=1e-3)
    from ganlib.machine.randomness import generator

    places = torch.randn(16, 5, generator=generator("cpu", 0, 0, "directions")).double()
    J = [torch.autograd.functional.jacobian(lambda z: G(z[None]).flatten(), z) for z in places]
    values, vectors = torch.linalg.eigh(sum(j.T @ j for j in J) / 16)
    assert torch.allclose(found.change, values.flip(0).sqrt(), rtol=1e-3)
    assert torch.allclose(
        (found.rows * vectors.T.flip(0)).sum(1).abs(), torch.ones(5).double(), atol=1e-3
    )


def test_truncated_noise_follows_the_truncated_normal_law():
    z = torch.randn(200_000, generator=torch.Generator().manual_seed(0))
    for threshold in (2.0, 1.0, 0.5):
        cut = latent.truncated(z, threshold)
        density = math.exp(-(threshold**2) / 2) / math.sqrt(2 * math.pi)
        variance = 1 - 2 * threshold * density / math.erf(threshold / math.sqrt(2))
        assert cut.abs().max() <= threshold and cut.var().item() == pytest.approx(
            variance, rel=0.02
        )
        assert (cut[z.argsort()].diff() >= 0).all() and cut.dtype == z.dtype
    assert torch.allclose(latent.truncated(z, 8.0), z, atol=1e-4)
    assert latent.truncated(torch.tensor([50.0, -50.0]), 1.0).tolist() == [1.0, -1.0]
    with pytest.raises(ValueError, match="threshold=0 was given; a number above 0"):
        latent.truncated(z, 0)


@pytest.mark.parametrize("classes", [0, 3])
def test_noise_that_is_drawn_to_codes_is_truncated_towards_them(classes):
    """1 - threshold / 4 of the way to the mean of the codes of its label, by their densities: so
    what G draws comes nearer to its pictures of the codes.
    """
    torch.manual_seed(0)
    G = nets.PictureGenerator(6, (3, 8, 8), (12, 8), anchors=30, classes=classes).double().eval()
    z, codes = (torch.randn(n, 6).double() for n in (400, 30))
    z, codes = (x * 6**0.5 / x.norm(dim=1, keepdim=True) for x in (z, codes))
    labels, own = (torch.arange(n) % 3 if classes else torch.zeros(n) for n in (400, 30))
    given = labels if classes else None
    cut = latent.truncated(2 * z, 1.0)
    assert torch.equal(latent.truncated(2 * z, 1.0, G, given), cut)  # no codes yet
    G.attraction.fill(codes, own if classes else None)
    shares = torch.exp(z @ codes.T) * (labels[:, None] == own)
    mean = shares @ codes / shares.sum(1, keepdim=True)
    mean = mean * 6**0.5 / mean.norm(dim=1, keepdim=True)
    pictures, away = latent.draw(G, codes, own if classes else None), []
    for threshold in (9.0, 4.0, 3.0, 1.0, 1e-9):
        near = latent.truncated(2 * z, threshold, G, given)
        way = z.lerp(mean, max(0.0, 1 - threshold / 4))
        assert torch.allclose(near, way * 6**0.5 / way.norm(dim=1, keepdim=True), atol=1e-5)
        away.append(torch.cdist(latent.draw(G, near, given).flatten(1), pictures.flatten(1)))
    away = [x.min(1).values.mean().item() for x in away]  # from the pictures of the codes
    assert away[0] == pytest.approx(away[1]) and sorted(away[1:])[::-1] == away[1:]
    assert away[-1] < 0.8 * away[0]
    plain = torch.cdist(latent.draw(G, cut, given).flatten(1), pictures.flatten(1))
    assert plain.min(1).values.mean() > 0.95 * away[0]  # numbers that are cut off change little


def test_the_arc_keeps_the_length_and_the_line_does_not():
    a, b = torch.randn(2, 64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    b = b * a.norm() / b.norm()
    arc, line = latent.interpolate(a, b, 11), latent.interpolate(a, b, 11, spherical=False)
    assert torch.allclose(arc.norm(dim=1), a.norm().expand(11)) and line[5].norm() < 0.8 * a.norm()
    angles = torch.nn.functional.cosine_similarity(arc[:-1], arc[1:]).arccos()
    assert torch.allclose(angles, angles[:1].expand(10), rtol=1e-6)  # even steps
    for way in (arc, line):
        assert torch.allclose(way[0], a) and torch.allclose(way[-1], b)
    assert torch.allclose(line[5], (a + b) / 2)
    assert torch.allclose(
        latent.interpolate(a, -a, 3)[1], torch.zeros(64).double()
    )  # no shortest circle: the line
    assert torch.allclose(latent.interpolate(a, a, 3), a.expand(3, -1))
    for wrong in ((a, b, 1), (a[None], b[None], 3)):
        with pytest.raises(ValueError, match=r"at least 2, between two vectors \(latent_dim,\)"):
            latent.interpolate(*wrong)


def test_an_image_is_inverted():
    """A linear G: against least squares with the same prior, and the label it was drawn with."""
    A, _ = rotated([3.0, 2.0, 1.5, 1.0])
    G, z = Linear(A), torch.tensor([[0.3, -1.0, 0.7, 0.2]], dtype=torch.float64)
    found = latent.invert(G, G(z)[0].detach(), steps=400)
    best = torch.linalg.solve(A.T @ A / 6 + 1e-3 * torch.eye(4).double() / 4, A.T @ (A @ z[0]) / 6)
    assert (
        torch.allclose(found.noise[0], best, atol=1e-3)
        and found.error < 1e-2
        and found.label is None
    )
    assert torch.allclose(found.image, latent.draw(G, found.noise)) and found.image.shape == (
        1,
        1,
        1,
        6,
    )
    named = Linear(A, classes=3)
    wanted = named(z, torch.tensor([2]))[0].detach()
    again = latent.invert(named, wanted, steps=300)
    assert again.label == 2 and again.error < 0.02
    assert latent.invert(named, wanted, label=0, steps=300).error > 0.1
    with pytest.raises(ValueError, match="from -1 to -1 were given"):
        latent.invert(named, wanted, label=-1)
    assert torch.equal(
        latent.invert(named, wanted, steps=5).noise, latent.invert(named, wanted, steps=5).noise
    )
    assert all(weight.requires_grad and weight.grad is None for weight in named.parameters())


def test_images_of_other_shapes_are_refused_and_bytes_are_taken(small):
    gan = small()
    with pytest.raises(ValueError, match=r"an image of \(1, 32, 32\) was given; \(1, 28, 28\)"):
        latent.invert(gan, torch.zeros(1, 32, 32))
    bytes_ = (gan.sample(1)[0] * 127.5 + 127.5).round().byte()
    assert latent.invert(gan, bytes_, steps=100).error < 0.02


def near(image, other):
    """Whether two images are alike: drawn alone and among others, low bits differ."""
    return numpy.abs(numpy.asarray(image, int) - numpy.asarray(other, int)).max() <= 1


def test_a_walk_goes_from_stop_to_stop_as_gif_and_video(tmp_path):
    gan = ganlib.recipe("small", classes=10).gan(0)
    explorer = ganlib.lab.Explorer(gan, directions=0)
    frames = explorer.frames((0, 1, 2), between=4, label=3, scale=2)
    assert len(frames) == 9 and frames[0].size == (56, 56)
    ends = [
        pictures.show(latent.draw(gan, z[None], torch.tensor(3)).detach(), scale=2)
        for z in explorer.samples[:3]
    ]
    for frame, end in zip(frames[::4], ends, strict=True):
        assert frame.tobytes() == Image.open(io.BytesIO(end.data)).tobytes()
    word = explorer.frames((0, 1, 2), between=4, label=[7, 3], scale=2)
    assert word[0].size == (112, 56)  # the same noise for both
    pairs = zip(word, frames, strict=True)
    assert all(near(whole.crop((56, 0, 112, 56)), frame) for whole, frame in pairs)
    with pytest.raises(ValueError, match="ends in .mp4"):
        latent.mp4(frames, tmp_path / "walk.avi")
    if shutil.which("ffmpeg") is None:
        with pytest.raises(RuntimeError, match="ffmpeg is not installed"):
            latent.mp4(frames, tmp_path / "walk.mp4")
        return
    path = latent.mp4(frames, tmp_path / "videos" / "walk.mp4")
    told = subprocess.run(
        ["ffprobe", "-count_frames", "-show_streams", "-show_format", path],
        capture_output=True,
        text=True,
    ).stdout
    assert (
        "nb_read_frames=9" in told and "width=56" in told and "generated: a synthetic image" in told
    )
