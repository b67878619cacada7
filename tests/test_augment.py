import math

import pytest
import torch
from conftest import same
from torch.nn.functional import affine_grid, grid_sample

import ganlib
from ganlib import augment, losses, nets

ALL = [augment.shift, augment.colour_translation, augment.diff_augment, augment.ada]


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def x():
    return torch.rand(6, 3, 12, 12, dtype=torch.float64, generator=draws(9)) * 2 - 1


def test_colour_is_an_affine_change_per_image(x):
    """Around an image's mean: chroma times s * c, grey times c, then plus b; the paper's ranges."""
    many = x.repeat(500, 1, 1, 1)
    y = augment.colour(many, draws())
    shift = y.mean((1, 2, 3)) - many.mean((1, 2, 3))
    assert -0.5 <= shift.min() < -0.49 and 0.49 < shift.max() <= 0.5

    def parts(images):
        grey = images.mean(1, keepdim=True)
        return grey - grey.mean((2, 3), keepdim=True), images - grey

    (grey, chroma), (old_grey, old_chroma) = parts(y), parts(many)
    contrast = (grey / old_grey).flatten(1)
    chroma = (chroma / old_chroma).flatten(1)
    assert contrast.std(1).max() < 1e-6 and chroma.std(1).max() < 1e-6
    contrast, saturation = contrast[:, 0], chroma[:, 0] / contrast[:, 0]
    assert 0.5 <= contrast.min() < 0.51 and 1.49 < contrast.max() <= 1.5
    assert 0 <= saturation.min() < 0.02 and 1.98 < saturation.max() <= 2


def test_translation_shifts_and_fills_with_grey():
    x = torch.zeros(400, 1, 16, 16)
    x[:, :, 8, 5] = 1.0
    y = augment.translation(x, draws())
    assert torch.equal(y.sum((1, 2, 3)), torch.ones(400))
    rows, columns = y[:, 0].flatten(1).argmax(1) // 16 - 8, y[:, 0].flatten(1).argmax(1) % 16 - 5
    for shift in (rows, columns):
        assert sorted(set(shift.tolist())) == [-2, -1, 0, 1, 2]
    assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) == 25
    full = augment.translation(
        torch.ones(400, 1, 16, 16), draws()
    )  # the same draws: what came in is 0
    filled = (16 - rows.abs()) * (16 - columns.abs())
    assert torch.equal(full.sum((1, 2, 3)).long(), filled)


def test_shift_leaves_colours_and_moves_by_an_eighth(x):
    """Each image is a window of itself amid grey; `p` plays no part."""
    for p in (0.0, 1.0):
        y = augment.shift.transform(x, torch.tensor(p), draws(3))
        for before, after in zip(x, y, strict=True):
            amid = torch.nn.functional.pad(before, (2, 2, 2, 2))
            windows = [amid[:, i : i + 12, j : j + 12] for i in range(5) for j in range(5)]
            assert sum(torch.equal(after, window) for window in windows) == 1
    assert not torch.equal(y, x)


def test_cutout_is_one_square():
    y = augment.cutout(torch.ones(500, 2, 16, 16), draws())
    hole = y[:, 0] == 0
    assert torch.equal(hole, y[:, 1] == 0)
    for one in hole:
        places = one.nonzero()
        height, width = places.amax(0) - places.amin(0) + 1
        assert (
            len(places) == height * width and height <= 8 and width <= 8
        )  # a rectangle; cut by the edge, or not
    assert (hole.flatten(1).sum(1) == 64).double().mean() > 0.25


@pytest.mark.parametrize("h, w", [(10, 10), (8, 13)])
def test_warp_is_torchs_grid_sample(h, w):
    x = torch.randn(5, 2, h, w, dtype=torch.float64, generator=draws())
    matrix = torch.randn(5, 2, 3, dtype=torch.float64, generator=draws(1)) * 0.7
    grid = affine_grid(matrix, x.shape, align_corners=False)
    theirs = grid_sample(x, grid, padding_mode="reflection", align_corners=False)
    inside = (grid.abs().amax(-1) < 1 - 1 / min(h, w))[:, None].expand_as(x)
    ours = augment.warp(x, matrix)
    assert torch.allclose(ours[inside], theirs[inside], atol=1e-12) and inside.double().mean() > 0.2
    assert torch.allclose(ours, theirs, atol=1e-9)  # at the edges too


def test_the_hue_turns_around_grey():
    x = torch.rand(4, 3, 2, 2, dtype=torch.float64)
    third = torch.full((4,), 2 * math.pi / 3, dtype=torch.float64)
    turned = augment._hue(x, third)
    assert torch.allclose(turned, x.roll(1, 1)) or torch.allclose(
        turned, x.roll(-1, 1)
    )  # a permutation of colours
    assert torch.allclose(augment._hue(turned, 2 * third), x)


def test_ada_at_probability_0_changes_nothing_and_at_1_everything(x):
    assert torch.allclose(augment.ada.transform(x, torch.tensor(0.0), draws()), x, atol=1e-12)
    changed = augment.ada.transform(x, torch.tensor(1.0), draws())
    assert changed.shape == x.shape and (changed - x).abs().flatten(1).mean(1).min() > 0.05
    half = augment.ada.transform(x.repeat(200, 1, 1, 1), torch.tensor(0.02), draws())
    unchanged = (half - x.repeat(200, 1, 1, 1)).abs().flatten(1).amax(1) < 1e-9
    assert unchanged.double().mean() == pytest.approx(
        0.98**12, abs=0.05
    )  # twelve changes, some of them to the same


@pytest.mark.parametrize("value", ALL, ids=lambda value: value.name)
@pytest.mark.parametrize("channels", [1, 3])
def test_twice_differentiable_and_a_function_of_its_draws(value, channels, x):
    x, p = x[:2, :channels, :6, :6].clone().requires_grad_(), torch.tensor(0.9, dtype=torch.float64)

    def change(x):
        return value.transform(x, p, draws(4)).pow(2)

    assert torch.autograd.gradcheck(change, x) and torch.autograd.gradgradcheck(change, x)
    assert torch.equal(change(x), change(x))
    assert not torch.equal(value.transform(x, p, draws(5)), value.transform(x, p, draws(4)))


def conv_gan(seed=0):
    torch.manual_seed(0)
    return ganlib.GAN(
        nets.ConvGenerator(8, widths=(8, 8)), nets.ConvDiscriminator(widths=(8, 8)), seed=seed
    )


def test_a_step_shows_d_changed_reals_and_fakes_in_both_moves(digits):
    seen = []

    def spy(x, p, draws):
        seen.append((x.shape[0], x.requires_grad, p.item()))
        return 0 * x

    value = augment.Augmentation("spy", spy)
    stats = ganlib.gan_step(
        conv_gan(), digits.batches(0, 0, 2, 10), losses.relativistic, augment=value
    )
    assert seen == [
        (20, False, 1.0),
        (10, True, 1.0),
        (10, False, 1.0),
    ]  # D: both; G: its fakes, and the reals
    assert stats["d_real"] == pytest.approx(stats["d_fake"].item(), abs=1e-6)


@pytest.mark.parametrize("value", ALL, ids=lambda value: value.name)
def test_reproducible_and_cut_anywhere(value, digits, tmp_path):
    from functools import partial

    step = partial(
        ganlib.gan_step,
        augment=augment.Augmentation(value.name, value.transform, value.target, ramp=200),
    )
    whole, again, cut, rest = (conv_gan() for _ in range(4))
    for gan, until in ((whole, 10), (again, 10), (cut, 5)):
        for _ in ganlib.train(gan, digits, step, until=until, batch_size=10):
            pass
    ganlib.save(tmp_path, cut)
    ganlib.resume(tmp_path, rest)
    for _ in ganlib.train(rest, digits, step, until=10, batch_size=10):
        pass
    assert same(whole.state_dict(), again.state_dict()) and same(
        whole.state_dict(), rest.state_dict()
    )
    assert (whole.adaptive[0] > 0).item() == (
        value.target is not None and whole.history[-1]["d_real"] != 0
    )


def test_the_finite_difference_shares_the_augmentation(digits):
    """Where D is flat its penalty is small, although the augmentation changes its logits a lot."""
    gan = conv_gan()
    real = digits.batches(0, 0, size=50).images[0]
    exact = ganlib.discriminator_step(
        conv_gan(), real, penalty=losses.r1_r2(1.0), augment=augment.diff_augment
    )
    approximate = ganlib.discriminator_step(
        gan, real, penalty=losses.approximate_r1_r2(1.0, 0.01), augment=augment.diff_augment
    )
    assert approximate["penalty"].item() == pytest.approx(exact["penalty"].item(), rel=0.4)


def test_the_penalty_is_that_of_the_unaugmented_image(digits):
    """A shift of contrast by 2 doubles the gradient at the image itself: R1 is 4 times as large."""
    real = digits.batches(0, 0, size=50).images[0]

    def penalty(factor):
        value = augment.Augmentation("contrast", lambda x, p, draws: factor * x)
        gan = conv_gan()
        for m in gan.D.modules():
            if isinstance(m, torch.nn.LeakyReLU):
                m.negative_slope = 1.0  # a linear D
        return ganlib.discriminator_step(gan, real, penalty=losses.r1(1.0), augment=value)[
            "penalty"
        ].item()

    assert penalty(2.0) == pytest.approx(4 * penalty(1.0), rel=1e-4)


def test_ada_raises_p_while_d_is_sure_of_the_reals():
    """Every 4 steps by (4 batches) / ramp, up to 1; down again when D doubts.

    The mean of the four signs decides.
    """
    gan, value = conv_gan(), augment.Augmentation("ada", None, target=0.6, ramp=1000)

    def play(signs):
        for sign in signs:
            value.adapt(gan, torch.tensor(sign), 50)
            gan.step += 1
        return gan.adaptive[0].item()

    assert play([1.0, 1.0, 1.0]) == 0
    assert play([1.0]) == pytest.approx(0.2)
    assert play([1.0, 1.0, 0.5, 0.5]) == pytest.approx(0.4)  # 0.75 > 0.6
    assert play([1.0, 1.0, 0.0, 0.3]) == pytest.approx(0.2)  # 0.575 < 0.6
    assert play([-1.0] * 12) == 0 and play([1.0] * 40) == pytest.approx(1.0)


def test_in_a_bf16_run_the_change_itself_is_computed_in_full(digits):
    seen = []
    value = augment.Augmentation("spy", lambda x, p, draws: seen.append(x.dtype) or x)
    torch.manual_seed(0)
    G, D = nets.ConvGenerator(8, widths=(8, 8)), nets.ConvDiscriminator(widths=(8, 8), norm="batch")
    gan = ganlib.GAN(G, D, seed=0, precision="bf16")
    ganlib.gan_step(gan, digits.batches(0, 0, 1, 10), augment=value)
    assert seen == [torch.float32] * 3


def test_an_augmentation_by_its_name():
    for value in ALL:
        assert augment.named(value.name) is value
    with pytest.raises(
        ValueError, match="unknown augmentation 'math'; 'shift', 'colour_translation', 'diff_augm"
    ):
        augment.named("math")  # which is something else in the module
