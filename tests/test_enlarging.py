"""Super-resolution: the net, its two games, network interpolation, fidelity against look."""

import math

import numpy
import pytest
import torch
from conftest import same
from torch.nn.functional import avg_pool2d, interpolate

import ganlib
from ganlib import losses, nets
from ganlib.games import enlarging, fidelity, photographs, upscaling
from ganlib.nets.rebuild import build, settings

random = torch.Generator().manual_seed


@pytest.fixture(scope="module")
def parts():
    train, held_out = photographs.split(ganlib.load("digits"))
    return train.subset(slice(0, 500)), held_out.subset(slice(0, 400))


def made(stage, data, seed=0, start=None, images=400, **changes):
    torch.manual_seed(1)
    recipe = enlarging.recipe(stage, data, images=images, width=8, blocks=1, **changes)
    return recipe.gan(seed, start), recipe


def play(gan, data, recipe, until, **more):
    for _ in ganlib.train(gan, data, recipe, until=until, batch_size=8, record_every=5, **more):
        pass
    return gan


# the net


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("plain", ["bilinear", "bicubic"])
def test_it_begins_as_the_plain_enlargement(scale, plain):
    """Without the last layer it is that; and what the last layer adds at first is small."""
    torch.manual_seed(0)
    G = nets.EnlargingGenerator((3, 32, 32), scale, width=16, blocks=2, plain=plain)
    large = torch.rand(4, 3, 32, 32, generator=random(0)) * 2 - 1
    small = avg_pool2d(large, scale)
    expected = interpolate(small, scale_factor=scale, mode=plain, align_corners=False)
    drawn = G(large)
    assert drawn.shape == large.shape and torch.equal(drawn, G.enlarge(small))
    assert 0 < (drawn - expected).square().mean().sqrt() < 0.15
    torch.nn.init.zeros_(G.last.weight)
    assert torch.equal(G(large), expected)


def test_it_enlarges_any_size_and_is_built_again_from_its_settings():
    torch.manual_seed(0)
    G = nets.EnlargingGenerator((1, 28, 28), 2, width=8, blocks=1)
    again = build(settings(G), "G", G.state_dict())
    again.load_state_dict(G.state_dict())
    small = torch.rand(2, 1, 5, 9, generator=random(0))
    assert G.enlarge(small).shape == (2, 1, 10, 18)
    assert torch.equal(G.enlarge(small), again.enlarge(small)) and again.scale == 2


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_tiles_give_what_the_whole_gives(scale):
    """Pixels of the large picture depend on no more small ones than `margin` says."""
    torch.manual_seed(0)
    G = nets.EnlargingGenerator((1, 32, 32), scale, width=8, blocks=2).double()
    picture = torch.randint(0, 256, (1, 37, 23), generator=random(0), dtype=torch.uint8)
    small = picture.double().div(127.5).sub(1)[None].requires_grad_()
    middle = G.enlarge(small)[0, 0, 18 * scale : 19 * scale, 11 * scale : 12 * scale].sum()
    (reach,) = torch.autograd.grad(middle, small)
    rows, columns = (reach[0, 0].abs().sum(axis).nonzero() for axis in (1, 0))
    assert max(abs(rows - 18).max(), abs(columns - 11).max()) <= G.margin
    whole, tiles = (upscaling.enlarged(G.float(), picture, tile) for tile in (99, 7))
    assert whole.shape == (1, 37 * scale, 23 * scale)
    assert (whole.int() - tiles.int()).abs().max() <= 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"scale": 3}, "scale=3 .* 2, 4, 8"),
        ({"plain": "lanczos"}, "'bilinear', 'bicubic'"),
        ({"width": 6}, "a multiple of the scale, 4"),
        ({"shape": (1, 30, 28)}, "pictures of 28 x 30 were given, and a scale of 4"),
    ],
)
def test_settings_that_are_none(given, said):
    with pytest.raises(ValueError, match=said):
        nets.EnlargingGenerator(**given)


def test_other_pictures_are_refused():
    G = nets.EnlargingGenerator(width=8, blocks=1)
    with pytest.raises(ValueError, match="scale of 4, which does not divide"):
        G(torch.zeros(1, 1, 27, 28))
    with pytest.raises(ValueError, match=r"\(N, 1, h, w\) is expected"):
        G.enlarge(torch.zeros(1, 3, 7, 7))


# the games


def test_without_d_g_takes_a_step_on_the_tie_alone(parts):
    """By hand, in float64, with plain gradient descent; D stays as it is."""
    torch.manual_seed(0)
    recipe = enlarging.recipe("l1", parts[0], width=8, blocks=1)
    G = ganlib.Player(recipe.G(), optimizer=lambda weights: torch.optim.SGD(weights, lr=0.1))
    gan = ganlib.GAN(G, recipe.D(), source=parts[0], seed=0).to(dtype=torch.float64)
    hand = nets.EnlargingGenerator(width=8, blocks=1).double()
    hand.load_state_dict(gan.G.state_dict())
    D = {name: x.clone() for name, x in gan.D.state_dict().items()}
    true = gan.noise(8, "G", step=0)
    loss = (hand(true) - true).abs().mean()
    gradients = torch.autograd.grad(loss, list(hand.parameters()))
    figures = recipe.step(gan, parts[0].batches(0, 0, recipe.batches, 8, torch.float64))
    assert recipe.batches == 1 and figures.keys() == {"tie"}
    assert torch.allclose(figures["tie"], loss.detach(), rtol=0, atol=1e-12)
    for weight, before, gradient in zip(
        gan.G.parameters(), hand.parameters(), gradients, strict=True
    ):
        assert torch.allclose(weight, before - 0.1 * gradient, rtol=0, atol=1e-12)
    assert same(gan.D.state_dict(), D) and (gan.step, gan.images_seen) == (1, 8)


def test_the_second_stage_goes_on_gently(parts):
    """Its rate rises to a fifth of L1's: a photograph lost 3 dB to the same one (DECISIONS 100)."""
    rates = {}
    for stage in ("l1", "content", "gan"):
        recipe = enlarging.recipe(stage, parts[0], images=1000)
        rates[stage] = torch.tensor([recipe.lr(images) for images in range(1001)])
    assert rates["l1"].max() == torch.tensor(1e-3) and rates["l1"].argmax() == 100
    assert torch.equal(rates["content"], rates["gan"])
    assert torch.allclose(rates["gan"], rates["l1"] / 5, rtol=1e-6, atol=0)


def test_the_content_is_that_of_pixels_and_of_features(parts):
    net = ganlib.features.extractor("digits")
    a, b = parts[0].floats(slice(0, 6)), parts[0].floats(slice(6, 12))
    tie = enlarging.content(net, weight=3.0, of_features=0.5)
    maps = [net.layers(x).flatten(1) for x in (a, b)]
    by_hand = (a - b).abs().flatten(1).mean(1) + 0.5 * (maps[0] - maps[1]).abs().mean(1)
    assert torch.allclose(tie.loss(a, b), by_hand) and tie.weight == 3.0
    assert torch.equal(tie.loss(a, a), torch.zeros(6)) and net.sha256[:12] in tie.name
    assert enlarging.recipe("gan", parts[0], adversarial=0.2).tie.weight == 5.0


def test_feature_net_of_other_images_learns_how_they_are_turned(capsys):
    """Half of each picture is dark: its side says by how many quarters it was turned."""
    images = torch.randint(150, 256, (60, 1, 16, 16), generator=random(0), dtype=torch.uint8)
    images[:, :, :8] = 0
    net = enlarging.feature_net(ganlib.Images(images, name="halves"), epochs=3)
    assert net.accuracy > 0.9 and len(net.classes) == 4
    assert not any(weight.requires_grad for weight in net.parameters())


@pytest.mark.parametrize("stage", ["l1", "content", "gan"])
def test_it_resumes_bit_for_bit(stage, parts, tmp_path):
    start = made("l1", parts[0])[0]
    whole = play(*_with(parts[0], *made(stage, parts[0], start=start)), 9)
    cut = made(stage, parts[0], start=start)
    play(*_with(parts[0], *cut), 4, folder=tmp_path)
    other = made(stage, parts[0])
    assert ganlib.resume(tmp_path, other[0])
    play(*_with(parts[0], *other), 9)
    assert same(other[0].state_dict(), whole.state_dict())
    assert not same(whole.G.state_dict(), start.G.state_dict())
    assert ("d_loss" in whole.history[-1]) == (stage == "gan") and "tie" in whole.history[-1]


def _with(data, gan, recipe):
    return gan, data, recipe


def test_history_doctor_and_look(parts, tmp_path):
    gan, recipe = made("l1", parts[0])
    view = ganlib.LiveView(folder=tmp_path, every=0, picture_every=20)
    true = parts[1].floats(slice(None))
    before = recipe.tie.loss(gan.sample(noise=true), true).mean()
    play(gan, parts[0], recipe, 60, view=view)
    assert recipe.tie.loss(gan.sample(noise=true), true).mean() < 0.95 * before
    row = gan.history[-1]
    assert row["objective"] == "G alone" and {"tie", "variety", "real_variety"} <= row.keys()
    assert not {"d_loss", "grad_norm_d"} & row.keys() and row["grad_norm_g"] > 0
    verdict = ganlib.diagnose(gan.history)
    assert verdict.name == "unread" and "tie" in verdict.evidence
    assert ganlib.curves(gan.history).data and ganlib.timeline(tmp_path).data
    look = recipe.look(gan)
    small, drawn, true = look.images.unflatten(0, (-1, 3, 8)).transpose(0, 1).flatten(1, 2)
    assert look.rows[:3] == ("small", "enlarged", "true")
    assert torch.equal(true, gan.noise(24)) and look.images.generated
    assert torch.allclose(avg_pool2d(true, 4), small[..., ::4, ::4], atol=1e-6)
    assert torch.equal(drawn, gan.sample(noise=true))
    assert "penalty" not in str(recipe) and "penalty" in str(made("gan", parts[0])[1])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"stage": "l2"}, "unknown stage 'l2'.*'l1'"),
        ({"scale": 8}, "28 x 28 were given, and a scale of 8"),
        ({"scale": 0}, "scale=0 was given; one of 2, 4, 8"),
        ({"scale": "4"}, "scale='4' was given; one of 2, 4, 8"),
        ({"images": 0}, "images=0 was given; a whole number of at least 10"),
        ({"adversarial": 0}, "a weight above 0"),
        ({"stage": "gan", "objective": "hinge"}, "objective='hinge' was given; an Objective"),
    ],
)
def test_recipes_that_are_none(given, said, parts):
    with pytest.raises(ValueError, match=said):
        enlarging.recipe(**{"stage": "l1", "data": parts[0]} | given)


def test_no_pictures_are_refused(parts):
    none = parts[0].subset(slice(0, 3))
    none.images = none.images[:0]
    with pytest.raises(ValueError, match="has no images; some are expected"):
        enlarging.recipe("gan", none)


def test_pictures_of_other_channels_are_refused_at_the_call(parts):
    gan, recipe = made("l1", parts[0])
    colours = ganlib.Images(parts[0].images.expand(-1, 3, -1, -1), name="colours")
    with pytest.raises(ValueError, match=r"\(2, 3, 28, 28\), the shape of"):
        ganlib.train(gan, colours, recipe, until=1)
    assert gan.step == 0


# network interpolation


def test_between_two_nets(parts):
    first = made("l1", parts[0])[0]
    second, recipe = made("gan", parts[0], start=first)
    assert same(second.G.state_dict(), first.G.state_dict())
    assert same(second.G_ema.state_dict(), first.G.state_dict())
    play(second, parts[0], recipe, 5)
    true = parts[1].floats(slice(0, 5))
    ends = [enlarging.between(first, second, alpha) for alpha in (0, 1)]
    for net, gan in zip(ends, (first, second), strict=True):
        assert same(net.state_dict(), gan.net().state_dict())
        assert torch.equal(net(true), gan.sample(noise=true))
    half = enlarging.between(ends[0], ends[1], 0.5)
    for a, b, c in zip(*(net.parameters() for net in (*ends, half)), strict=True):
        assert torch.allclose((a + b) / 2, c, atol=1e-7)
    with pytest.raises(ValueError, match="alpha=1.5"):
        enlarging.between(first, second, 1.5)
    with pytest.raises(ValueError, match="nets of other settings"):
        enlarging.between(first, nets.EnlargingGenerator(width=16, blocks=1), 0.5)
    with pytest.raises(ValueError, match="does not enlarge: its G is a MLPGenerator"):
        enlarging.between(first, nets.MLPGenerator(), 0.5)


# fidelity


def test_psnr_in_closed_form():
    true = torch.rand(3, 1, 12, 12, generator=random(0)) - 0.5
    shift = torch.tensor([0.02, 0.2, 0.0]).view(3, 1, 1, 1)
    expected = [20 * math.log10(2 / 0.02), 20.0, math.inf]
    assert fidelity.psnr(true + shift, true).tolist() == pytest.approx(expected, abs=1e-4)
    with pytest.raises(ValueError, match="of one shape"):
        fidelity.psnr(true, true[:2])


def ssim_by_definition(x, y):
    """Wang et al. 2004, equations 13 to 16, window by window, of two grey images in 0 .. 1."""
    at = numpy.arange(11) - 5
    weights = numpy.exp(-(at[:, None] ** 2 + at[None] ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    found = []
    for i in range(x.shape[0] - 10):
        for j in range(x.shape[1] - 10):
            a, b = (z[i : i + 11, j : j + 11] for z in (x, y))
            ma, mb = (weights * a).sum(), (weights * b).sum()
            va, vb = (weights * (a - ma) ** 2).sum(), (weights * (b - mb) ** 2).sum()
            both = (weights * (a - ma) * (b - mb)).sum()
            light = (2 * ma * mb + 0.01**2) / (ma**2 + mb**2 + 0.01**2)
            found.append(light * (2 * both + 0.03**2) / (va + vb + 0.03**2))
    return numpy.mean(found)


def test_ssim_by_its_definition(parts):
    draws = random(0)
    pictures = torch.cat([parts[1].floats(slice(0, 3)), torch.rand(2, 1, 28, 28, generator=draws)])
    others = pictures + 0.3 * torch.randn(pictures.shape, generator=draws)
    found = fidelity.ssim(pictures, others)
    for one, a, b in zip(found, pictures.double(), others.double(), strict=True):
        expected = ssim_by_definition((a[0].numpy() + 1) / 2, (b[0].numpy() + 1) / 2)
        assert abs(one.item() - expected) < 1e-9
    assert torch.allclose(fidelity.ssim(pictures, pictures), torch.ones(5, dtype=torch.float64))
    colours = torch.cat([pictures, pictures.flip(3), pictures], 1), torch.cat([others] * 3, 1)
    each = [fidelity.ssim(colours[0][:, [c]], colours[1][:, [c]]) for c in range(3)]
    assert torch.allclose(fidelity.ssim(*colours), torch.stack(each).mean(0))
    with pytest.raises(ValueError, match="at least 11 x 11"):
        fidelity.ssim(torch.zeros(1, 1, 10, 28), torch.zeros(1, 1, 10, 28))


def test_ssim_against_scikit_image(parts):
    measure = pytest.importorskip("skimage.metrics")
    a, b = parts[1].floats(slice(0, 1)), parts[1].floats(slice(1, 2))
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    x, y = (image[0, 0].double().numpy() for image in (a, b))
    expected = measure.structural_similarity(x, y, data_range=2, **settings)
    assert abs(fidelity.ssim(a, b).item() - expected) < 1e-9


def test_the_table_of_fidelity(parts):
    """Of nets and functions; nearest neighbours keep what is shrunk, the truth is one floor."""
    gan, recipe = made("l1", parts[0])
    play(gan, parts[0], recipe, 20)
    rows = {"G": gan, "blank": lambda small: torch.zeros(len(small), 1, 28, 28)}
    table = fidelity.judge_enlarging(rows, parts[1], parts[0], n=300)
    assert list(table) == ["nearest", "bicubic", "G", "blank", "true"]
    true = parts[1].floats(torch.randperm(400, generator=random(0))[:300])
    drawn = interpolate(avg_pool2d(true, 4), scale_factor=4)
    drawn = ganlib.data.as_float(ganlib.data.as_uint8(drawn))
    values = fidelity.psnr(drawn, true)
    assert table["nearest"]["psnr"] == pytest.approx(values.mean().item())
    error = 1.96 * values.std().item() / 300**0.5
    assert table["nearest"]["psnr error"] == pytest.approx(error)
    assert table["nearest"]["shrunk"] < 1 / 255
    assert table["true"]["floors"] == pytest.approx(1) and table["true"]["ssim"] == 1
    assert table["true"]["read"] > 0.98 > table["G"]["read"] and table["G"]["psnr"] > 13
    assert table["blank"]["floors"] > table["G"]["floors"] > 1 and "psnr" not in table["true"]
    text = str(table)
    assert "300 pictures" in text and f"| G | {table['G']['psnr']:.2f} ±" in text
    halves = fidelity.judge_enlarging({"G": gan}, parts[1])
    assert "the other half" in halves.about and "200 pictures" in halves.about
    row = fidelity.judging(*parts[::-1], n=100)(gan, parts[0])
    assert {"psnr", "ssim", "floors", "read", "shrunk"} <= row.keys()
    with pytest.raises(ValueError, match="give scale"):
        fidelity.judge_enlarging({}, *parts[::-1])
    with pytest.raises(ValueError, match="made for another scale"):
        fidelity.judge_enlarging({"G": gan}, *parts[::-1], scale=2)


def test_small_digits_are_read_in_the_frame_of_mnist():
    """MNIST's own, cut to 20 x 20 and shrunk to 5 x 5, as digits that somebody else made small."""
    digits = ganlib.load("digits").subset(slice(0, 300))
    small = avg_pool2d(digits.images[:, :, 4:24, 4:24].float(), 4).round().byte()
    small = ganlib.Images(small, digits.labels, name="small")

    def truth(x):  # in the parts in which it is asked
        at = next(i for i in range(0, 300, 100) if torch.equal(x, small.floats(slice(i, i + 100))))
        return digits.floats(slice(at, at + 100))[:, :, 4:24, 4:24]

    table = fidelity.read_small({"true": truth}, small, scale=4)
    assert table["true"]["read"] > 0.98 and table["nearest"]["read"] < 0.6
    assert "read right" in str(table) and "PSNR" not in str(table)


def test_digits_that_are_read_as_others(parts):
    gan, _ = made("l1", parts[0])
    places, read = fidelity.misread(gan, parts[1])
    assert 0 < len(places) < 400 and (parts[1].labels[places] != read).all()


def test_the_tie_of_l1_is_near(parts):
    assert made("l1", parts[0])[1].tie.name == losses.near().name
