"""The sliced Wasserstein distance against NumPy, closed forms, and what it must see."""

import math

import numpy
import pytest
import torch

from ganlib.judge import sliced
from ganlib.judge.sliced import sliced_wasserstein


def noise(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).clamp(-3, 3) / 3


def numpy_pyramid(images, levels):
    """An independent way: separable convolution by shifted sums, in float64, mirrored borders."""
    weights = numpy.array([1, 4, 6, 4, 1]) / 16

    def blur(x):
        for axis in (-1, -2):
            widths = [(0, 0)] * x.ndim
            widths[axis] = (2, 2)
            wide, n = numpy.pad(x, widths, mode="reflect"), x.shape[axis]
            x = sum(
                w * numpy.take(wide, numpy.arange(i, i + n), axis) for i, w in enumerate(weights)
            )
        return x

    found, level = [], images.astype(float)
    for _ in range(levels - 1):
        smaller = blur(level)[..., ::2, ::2]
        wide = numpy.zeros_like(level)
        wide[..., ::2, ::2] = smaller
        found.append(level - 4 * blur(wide))
        level = smaller
    return [*found, level]


@pytest.mark.parametrize("shape", [(3, 1, 32, 32), (2, 3, 64, 64), (2, 3, 35, 50)])
def test_the_pyramid_agrees_with_numpy_and_adds_up(shape):
    images = noise(0, *shape)
    levels = list(sliced._pyramid(images, 16))
    others = numpy_pyramid(images.numpy(), len(levels))
    assert [min(level.shape[2:]) for level in levels] == sides(shape)
    for level, other in zip(levels, others, strict=True):
        numpy.testing.assert_allclose(level.numpy(), other, atol=1e-5)
    back = levels[-1]
    for level in levels[-2::-1]:
        back = level + sliced._enlarged(back, level.shape[2:])
    torch.testing.assert_close(back, images, atol=1e-5, rtol=0)


def sides(shape):
    side = min(shape[2:])
    found = [side]
    while found[-1] // 2 >= 16:
        found.append((found[-1] + 1) // 2)
    return found


def test_patches_are_places_of_the_image_and_normalised():
    """Without the normalisation, each patch is a 7 x 7 window of its own image."""
    image = torch.arange(2 * 2 * 9 * 11.0).view(2, 2, 9, 11)
    patches = sliced._patches(image, 5, torch.Generator().manual_seed(0)).view(10, 7, 7, 2)
    assert patches.mean((0, 1, 2)).abs().max() < 1e-5
    torch.testing.assert_close(patches.std((0, 1, 2), correction=0), torch.ones(2))
    for channel in range(2):  # steps to the right and down, in the channel's standard deviations
        one = patches[..., channel]
        right, down = one[:, :, 1:] - one[:, :, :-1], one[:, 1:] - one[:, :-1]
        torch.testing.assert_close(down, 11 * right[:, :1, :1].expand_as(down), rtol=1e-3, atol=0)


def test_shifted_points_have_a_closed_form():
    """Points moved by v: the mean over directions of |v.u| is |v| times E|u_1| on the sphere."""
    d = 5
    points, v = noise(1, 400, d), torch.tensor([0.5, -1.0, 0.0, 2.0, 0.25])
    sphere = math.gamma(d / 2) / (math.gamma((d + 1) / 2) * math.sqrt(math.pi))
    found = sliced._sliced(points, points + v, 20_000, torch.Generator().manual_seed(0))
    assert found == pytest.approx(v.norm().item() * sphere, rel=0.02)


def test_the_whole_agrees_with_a_transcription_in_numpy():
    """Same patches and directions, sorted by NumPy in float64."""
    real, fake = noise(2, 8, 3, 32, 32), noise(3, 8, 3, 32, 32) ** 3
    found = sliced_wasserstein(real, fake, patches=16, directions=100, seed=4)
    draws = torch.Generator().manual_seed(4)
    for a, b, (side, distance) in zip(
        sliced._pyramid(real, 16), sliced._pyramid(fake, 16), found.items(), strict=True
    ):
        one, other = (sliced._patches(x, 16, draws).double().numpy() for x in (a, b))
        each = []
        for n in (64, 36):
            axes = torch.randn(147, n, generator=draws).double().numpy()
            axes /= numpy.sqrt((axes**2).sum(0))
            each.append(numpy.abs(numpy.sort(one @ axes, 0) - numpy.sort(other @ axes, 0)).mean(0))
        assert distance == pytest.approx(numpy.concatenate(each).mean(), rel=1e-4)
        assert a.shape[-1] == side
    assert list(found) == [32, 16]


def test_it_sees_what_differs_at_its_own_scale():
    """A checkerboard of single pixels changes the finest level most; a blur does likewise."""
    g = torch.Generator().manual_seed(5)
    smooth = torch.nn.functional.interpolate(
        torch.randn(2, 200, 1, 8, 8, generator=g).flatten(0, 1), 64, mode="bicubic"
    )
    smooth = (smooth / 4).clamp(-1, 1)
    real, other = smooth[:200], smooth[200:]
    board = 0.2 * (1 - 2 * ((torch.arange(64)[:, None] + torch.arange(64)) % 2))
    floor, worse = (sliced_wasserstein(real, x) for x in (other, other + board))
    assert list(floor) == [64, 32, 16]
    assert worse[64] > 5 * floor[64] and worse[16] < 1.5 * floor[16]


def test_bytes_mean_the_same_as_floats_and_the_seed_decides():
    real = (noise(6, 20, 1, 28, 28) * 127 + 128).byte()
    fake = (noise(7, 20, 1, 28, 28) ** 3 * 127 + 128).byte()
    found = sliced_wasserstein(real, fake)
    floats = sliced_wasserstein(real / 127.5 - 1, fake / 127.5 - 1)
    assert found == pytest.approx(floats) and list(found) == [28]
    assert found == sliced_wasserstein(real, fake) != sliced_wasserstein(real, fake, seed=1)
    # two drawings of patches from the same images differ, but less than the sets do
    assert sliced_wasserstein(real, real)[28] < 0.6 * found[28]
    for colour, other in ((0.0, 0.0), (0.3, -0.7)):  # rounding is not taken for a texture
        flat = torch.full((4, 3, 32, 32), colour), torch.full((4, 3, 32, 32), other)
        assert sliced_wasserstein(*flat) == {32: 0.0, 16: 0.0}


@pytest.mark.parametrize(
    ("real", "fake", "says"),
    [
        (torch.zeros(4, 3, 16, 16), torch.zeros(5, 3, 16, 16), "as many"),
        (torch.zeros(4, 256), torch.zeros(4, 256), "(N, C, H, W)"),
        (torch.zeros(0, 1, 16, 16), torch.zeros(0, 1, 16, 16), "as many"),
        (torch.zeros(4, 1, 6, 16), torch.zeros(4, 1, 6, 16), "at least 7"),
        (torch.zeros(4, 1, 9, 9), torch.full((4, 1, 9, 9), math.nan), "not finite"),
    ],
)
def test_what_it_refuses(real, fake, says):
    with pytest.raises(ValueError) as error:
        sliced_wasserstein(real, fake)
    assert says in str(error.value)
