"""The pair for pictures: against its docstrings written out, its settings, its page and its ONNX.

What it shares with the other convolutional pairs is in test_convolutions.py.
"""

import pytest
import torch
from player import drawn_by
from torch import nn
from torch.nn.functional import conv2d, embedding, linear, one_hot

from ganlib import nets
from ganlib.keep import onnx, page
from ganlib.nets import pictures, rebuild


def shaken(net, seed=0):
    """The net with noise on all weights: biases are no longer 0, nor the norms' scales 1."""
    noise = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in net.parameters():
            weight += 0.1 * torch.randn(weight.shape, generator=noise, dtype=weight.dtype)
    if getattr(net, "attraction", None) is not None:
        anchors, classes = net.attraction.anchors[:-1], net.classes
        codes = torch.randn(anchors.shape, generator=noise, dtype=anchors.dtype)
        codes *= anchors.shape[1] ** 0.5 / codes.norm(dim=1, keepdim=True)
        net.attraction.fill(codes, torch.arange(len(codes)) % classes if classes else None)
    return net.eval()


# The docstrings, written out


def leaky(x):
    return torch.where(x > 0, x, 0.2 * x)


def norm(x):
    """Divide the channels of each place by their root mean square, and apply LeakyReLU."""
    return leaky(x / ((x**2).mean(1, keepdim=True) + 1e-6).sqrt())


def nearest(x):
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


def bilinear(x):
    """Double: each pixel is 3/4 of the one that it lies in and 1/4 of the next one along an axis,
    which at the edge is the same one.
    """
    for axis in (2, 3):
        size = x.shape[axis]
        before = x.index_select(axis, torch.arange(-1, size - 1).clamp(min=0))
        after = x.index_select(axis, torch.arange(1, size + 1).clamp(max=size - 1))
        both = torch.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis + 1)
        x = both.flatten(axis, axis + 1)
    return x


def attracted(z, anchors, own=None, factors=None):
    """The mean of the anchors (of the label, `own`), by the densities of noise of variance 1 /
    `factors (N,)` around each; or, without, 0.4 of the mean by noise of variance 1, and 0.6 of the
    noise; all of length sqrt(d).
    """
    share = torch.tensor(0.4).item() if factors is None else 1  # as float32 has it

    def long(x):
        return x / ((x**2).mean(-1, keepdim=True) + 1e-6).sqrt()

    z, means = long(z), []
    for i, one in enumerate(z):
        some = anchors if own is None else anchors[own[i]]
        sharp = 1 if factors is None else factors[i]
        density = torch.exp(-0.5 * sharp * ((one - some) ** 2).sum(1))
        means.append((density[:, None] * some).sum(0) / density.sum())
    return long(share * long(torch.stack(means)) + (1 - share) * z)


def drawn(G, z, labels=None):
    """The images of a `PictureGenerator`, from its weights in the order of their use."""
    w, base = dict(G.named_parameters()), 7 if G.shape[1] % 7 == 0 else 4
    if G.settings.get("anchors"):
        anchors, own = G.attraction.anchors[:-1], None
        if G.classes:
            own = [torch.arange(len(anchors)) % G.classes == label for label in labels]
        factors = None
        if G.attraction.tempered:  # the one of 3/20, and what float32 makes of 0.15
            third, fourth = G.attraction.factors[:, 3], G.attraction.factors[:, 4]
            factors = third + (fourth - third) * (20 * torch.tensor(0.15).item() - 3)
            factors = factors[labels] if G.classes else factors.expand(len(z))
        z = attracted(z, anchors, own, factors)
    if k := G.settings["categorical"]:
        z = torch.cat([one_hot(z[:, :k].max(1).indices, k).to(z.dtype), z[:, k:]], 1)
    if G.classes:
        z = torch.cat([z, embedding(labels, w.pop("latent.embedding.weight"))], 1)
    x = linear(z, w.pop("first.0.weight")).view(len(z), base, base, -1).permute(0, 3, 1, 2)

    x = norm(x)
    x = norm(conv2d(x, w.pop("first.3.weight"), padding=1))
    picture = conv2d(x, w.pop("pictures.0.weight"), w.pop("pictures.0.bias"))
    for i in range(len(G.settings["widths"]) - 2):
        x = norm(conv2d(nearest(x), w.pop(f"stages.{i}.0.weight"), padding=1))
        x = norm(conv2d(x, w.pop(f"stages.{i}.2.weight"), padding=1))
        own = conv2d(x, w.pop(f"pictures.{i + 1}.weight"), w.pop(f"pictures.{i + 1}.bias"))
        picture = bilinear(picture) + own
    x = norm(conv2d(nearest(x), w.pop("last.0.weight"), padding=1))
    own = conv2d(x, w.pop("last.2.weight"), w.pop("last.2.bias"), padding=1)
    assert not w, f"the docstring leaves out {list(w)}"
    return bilinear(picture) + own


def judged(D, images, labels=None):
    """The logits of a `PictureDiscriminator`, and its answers or None."""
    weights = dict(D.named_parameters())
    names = [n for n in weights if n.startswith("layers.") and n.endswith(".weight")]
    convs = iter([name.removesuffix(".weight") for name in names])

    def conv(x):
        name = next(convs)
        return conv2d(x, weights.pop(f"{name}.weight"), weights.pop(f"{name}.bias"), padding=1)

    x = torch.cat([images[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)], 1)
    for i in range(len(D.settings["widths"])):
        if i:
            x = sum(x[:, :, a::2, b::2] for a in (0, 1) for b in (0, 1)) / 4
        x = conv(x)
        x = leaky(x + conv(leaky(conv(leaky(x)))))
    h = torch.stack([place for row in x.unbind(2) for place in row.unbind(2)], 1).flatten(1)
    logits = linear(h, weights.pop("verdict.linear.weight"), weights.pop("verdict.linear.bias"))[
        :, 0
    ]
    if D.settings["classes"]:
        logits = logits + (embedding(labels, weights.pop("verdict.embedding.weight")) * h).sum(1)
    answers = None
    if D.settings["answers"]:
        answers = linear(
            h, weights.pop("verdict.answers.weight"), weights.pop("verdict.answers.bias")
        )
    assert not weights, f"the docstring leaves out {list(weights)}"
    return logits, answers


GENERATORS = [
    {"shape": (3, 32, 32)},
    {"shape": (1, 28, 28), "widths": (12, 10, 6), "classes": 3},
    {"shape": (3, 64, 64), "widths": (12, 10, 8, 6, 4), "categorical": 4},
    {"shape": (2, 8, 8), "widths": (8, 6), "classes": 3, "categorical": 4},
    {"shape": (3, 8, 8), "widths": (8, 6), "anchors": 20},
    {"shape": (3, 8, 8), "widths": (8, 6), "anchors": 21, "classes": 3},
    {"shape": (3, 8, 8), "widths": (8, 6), "anchors": 20, "tempered": True},
    {"shape": (3, 8, 8), "widths": (8, 6), "anchors": 21, "classes": 3, "tempered": True},
]
DISCRIMINATORS = [
    {"shape": (3, 32, 32)},
    {"shape": (1, 28, 28), "widths": (10, 12), "classes": 3},
    {"shape": (3, 64, 64), "widths": (6, 8, 10, 12), "answers": 5},
    {"shape": (2, 8, 8), "widths": (8,), "classes": 3, "answers": 5},
]


@torch.no_grad()
@pytest.mark.parametrize("settings", GENERATORS, ids=str)
def test_G_is_what_its_docstring_says(settings):
    torch.manual_seed(0)
    G = shaken(nets.PictureGenerator(16, **settings).double())
    z, labels = torch.randn(3, 16, dtype=torch.float64), torch.tensor([0, 2, 1])
    images = G(z, labels) if G.classes else G(z)
    assert images.shape == (3, *settings["shape"]) and images.std() > 0.01
    assert torch.allclose(images, drawn(G, z, labels), rtol=0, atol=1e-10)


@torch.no_grad()
@pytest.mark.parametrize("settings", DISCRIMINATORS, ids=str)
def test_D_is_what_its_docstring_says(settings):
    torch.manual_seed(0)
    D = shaken(nets.PictureDiscriminator(**settings).double())
    images = torch.randn(3, *settings["shape"], dtype=torch.float64)
    labels = torch.tensor([0, 2, 1]) if D.settings["classes"] else None
    logits, answers = judged(D, images, labels)
    assert logits.std() > 0.01
    assert torch.allclose(D(images, labels), logits, rtol=0, atol=1e-10)
    if answers is not None:
        found = D(images, labels, read=True)
        assert torch.allclose(found[0], logits, rtol=0, atol=1e-10)
        assert torch.allclose(found[1], answers, rtol=0, atol=1e-10)


def test_weights_begin_where_the_trials_of_the_log_began():
    """D's convolutions keep the deviation of a LeakyReLU's outputs; a block begins near x. G's
    weights have a deviation of 0.02: its norms make their scale a matter of speed alone.
    """
    torch.manual_seed(0)
    G, D = nets.PictureGenerator(), nets.PictureDiscriminator()
    blocks = [m for m in D.modules() if isinstance(m, pictures.Residual)]
    small = {id(block.second) for block in blocks}
    assert len(blocks) == 3
    for net in (G, D):
        for m in net.modules():
            if isinstance(m, (nn.Conv2d, nn.Linear)) and m.weight.numel() > 600:
                he = (2 / 1.04 / m.weight[0].numel()) ** 0.5 * (0.1 if id(m) in small else 1)
                assert m.weight.std().item() == pytest.approx(he if net is D else 0.02, rel=0.1)
                assert m.bias is None or not m.bias.any()
    x = torch.randn(2, blocks[0].first.in_channels, 7, 7)
    assert (blocks[0](x) - x).std() < 0.2 * x.std()
    images = G(torch.randn(50, 64))
    assert 0.1 < images.std() < 0.5 and images.mean((0, 2, 3)).abs().max() < 0.5


@pytest.mark.parametrize("places", [torch.channels_last, torch.contiguous_format])
def test_channels_lie_last_in_memory(places):
    """In all convolutions, whatever the images' layout."""
    G, D = nets.PictureGenerator(), nets.PictureDiscriminator()
    seen = []

    def look(module, inputs, output):
        seen.append(output.is_contiguous(memory_format=torch.channels_last))

    for net in (G, D):
        for m in net.modules():
            if isinstance(m, nn.Conv2d):
                m.register_forward_hook(look)
    D(G(torch.randn(2, 64)).contiguous(memory_format=places))
    assert len(seen) == 10 + 9 and all(seen)


# Settings


@pytest.mark.parametrize("size", [28, 32, 64])
@pytest.mark.parametrize("own", [{}, {"classes": 5}, {"categorical": 4}, {"anchors": 9}])
def test_the_settings_build_the_same_net(size, own):
    shape = (3, size, size)
    G = nets.PictureGenerator(12, shape, **own)
    answers = {"answers": 4} if "categorical" in own else {} if "anchors" in own else own
    for net, player in ((G, "G"), (nets.PictureDiscriminator(shape, **answers), "D")):
        weights, settings = net.state_dict(), rebuild.settings(net)
        assert settings["net"] == type(net).__name__
        again = rebuild.build(settings, player, weights)
        assert type(again) is type(net) and rebuild.settings(again) == settings
        again.load_state_dict(weights)
        with pytest.raises(ValueError, match=f"it asks for the net .*{settings['net']}"):
            rebuild.build(settings, "D" if player == "G" else "G")
    again = rebuild.build(rebuild.settings(G), "G")
    again.load_state_dict(G.state_dict())
    inputs = page.example(G, 3)
    assert torch.equal(again(*inputs), G(*inputs))


@pytest.mark.parametrize("net", ["PictureGenerator", "PictureDiscriminator"])
@pytest.mark.parametrize("shape, count", [((1, 28, 28), 2), ((3, 32, 32), 3), ((3, 64, 64), 4)])
def test_wrong_settings_say_what_is_expected(net, shape, count):
    count += net == "PictureGenerator"
    for widths in ([8] * (count - 1), [8] * (count + 1), []):
        said = rf"{net} with .*: widths=.* was given; {count} widths, one for each size, are exp"
        with pytest.raises(ValueError, match=said):
            rebuild.build({"net": net, "shape": shape, "widths": widths})
    with pytest.raises(ValueError, match=rf"{net} with .*: .*4 or 7 times a power of two"):
        rebuild.build({"net": net, "shape": (3, 30, 30)})
    if net == "PictureGenerator":
        with pytest.raises(ValueError, match="categorical=9 was given; 0 to 8"):
            rebuild.build({"net": net, "shape": shape, "latent_dim": 8, "categorical": 9})


@pytest.mark.parametrize("tempered", [True, False])
@pytest.mark.parametrize("classes", [0, 3])
def test_anchors_that_are_not_there_draw_nothing(classes, tempered):
    """Before `fill`, with fewer codes than anchors, and for a label that has none; and noise of any
    length is drawn alike.
    """
    torch.manual_seed(0)
    z = torch.randn(500, 8, dtype=torch.float64)
    plain = z * 8**0.5 / z.norm(dim=1, keepdim=True)
    labels = torch.arange(500) % 2 if classes else None
    layer = pictures.Attraction(8, 12, classes, tempered).double()
    assert not layer.filled and torch.allclose(layer(z, labels), plain, atol=1e-6)
    codes, own = plain[:2], torch.tensor([0, 1]) if classes else None
    layer.fill(codes, own)
    short = pictures.Attraction(8, 2, classes, tempered).double()
    short.fill(torch.cat([codes, plain]), None if own is None else torch.arange(502) % 2)
    assert layer.filled and torch.allclose(layer(z, labels), short(3 * z, labels), atol=1e-5)
    assert torch.allclose(layer(codes, own, 1.0), codes, atol=0.02)  # an anchor hardly moves
    assert (layer(z, labels) - plain).abs().mean() > 0.1
    if classes:
        third = torch.full((500,), 2)
        for strength in (None, 0.1, 1.0):
            assert torch.allclose(layer(z, third, strength), plain, atol=1e-5)
    layer.fill(codes[:1], own[:1] if classes else None)  # anew
    assert not layer.anchors[1:].any()


def test_anchors_and_codes_of_infogan_do_not_go_together():
    with pytest.raises(ValueError, match="no room for codes"):
        nets.PictureGenerator(anchors=4, categorical=4)
    assert "anchors" not in nets.PictureGenerator().settings  # as in runs before there were any


# Page and ONNX

drawings = pytest.mark.parametrize(
    "shape, own",
    [((c, size, size), own) for c in (1, 3) for size in (28, 32) for own in ({}, {"classes": 3})]
    + [((3, 32, 32), {"categorical": 4}), ((3, 32, 32), {"anchors": 30})]
    + [((3, 28, 28), {"anchors": 30, "classes": 3, "strength": 0.8})]
    + [((3, 28, 28), {"anchors": 30, "classes": 3, "strength": 0.1, "tempered": True})]
    + [((3, 32, 32), {"anchors": 30, "tempered": True})],
    ids=str,
)


@torch.no_grad()
@drawings
def test_the_page_draws_what_G_draws(shape, own, tmp_path):
    torch.manual_seed(0)
    G = shaken(nets.PictureGenerator(12, shape, **own))
    inputs = page.example(G, 3)
    (tmp_path / "page.html").write_text(page.page(G, "pictures", "notice"))
    expected = G(*inputs)
    found = drawn_by(tmp_path / "page.html", inputs).view_as(expected)
    scale = expected.abs().max()
    assert expected.std() > 0.1 * scale
    assert (found - expected).abs().max() < 2e-3 * scale  # the rounding of weights to float16


@torch.no_grad()
@drawings
def test_onnx_draws_what_G_draws(shape, own):
    runtime = pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    G = shaken(nets.PictureGenerator(12, shape, **own))
    content, said = onnx.onnx_file(G)
    assert content is not None, said
    session = runtime.InferenceSession(content)
    for n in (1, 7):
        inputs = page.example(G, n)
        feeds = dict(zip(("z", "labels"), (x.numpy() for x in inputs), strict=False))
        (found,) = session.run(["images"], feeds)
        assert torch.allclose(torch.from_numpy(found), G(*inputs), rtol=1e-5, atol=1e-5)


class Drawer(nn.Module):
    """A G of one layer of places after a linear layer, for the page."""

    latent_dim, shape, classes = 4, (3, 8, 8), 0

    def __init__(self, layer):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 3 * 4 * 4), nn.Unflatten(1, (3, 4, 4)), layer)

    def forward(self, z, labels=None):
        return self.layers(z)


def bilinear_to(**how):
    return nn.Upsample(mode="bilinear", **how)


@pytest.mark.parametrize(
    "layer, message",
    [
        (bilinear_to(scale_factor=2, align_corners=True), "upsample_bilinear2d other than by a wh"),
        (bilinear_to(scale_factor=(2, 1)), "upsample_bilinear2d other than by a whole"),
        (bilinear_to(scale_factor=2.1), "upsample_bilinear2d other than by a whole"),  # 4 to 8 too
        (bilinear_to(size=(7, 7)), "upsample_bilinear2d other than by a whole"),
        (nn.Upsample(scale_factor=2, mode="bicubic"), "upsample_bicubic2d.* is unknown"),
        (nn.RMSNorm((4, 4), elementwise_affine=False), "rms_norm over more than the last axis"),
        (nn.RMSNorm(4), "rms_norm over more than the last axis, or with weights"),
    ],
    ids=str,
)
def test_the_page_says_what_it_does_not_know(layer, message):
    with pytest.raises(page.NoPage, match=message):
        drawer = Drawer(layer)
        page.program(drawer, page.example(drawer))


@torch.no_grad()
@pytest.mark.parametrize(
    "layer",
    [
        nn.RMSNorm(4, eps=1e-6, elementwise_affine=False),
        nn.RMSNorm(4, eps=0.5, elementwise_affine=False),
        bilinear_to(scale_factor=2),
        bilinear_to(scale_factor=3),
        bilinear_to(scale_factor=4),
        bilinear_to(size=(8, 8)),
        bilinear_to(scale_factor=2, recompute_scale_factor=True),
    ],
    ids=str,
)
def test_the_page_knows_both_operations_outside_of_G(layer, tmp_path):
    torch.manual_seed(0)
    G = shaken(Drawer(layer)).half().float()  # as the page rounds its weights
    inputs = page.example(G, 3)
    (tmp_path / "page.html").write_text(page.page(G, "one", "notice"))
    expected = G(*inputs)
    found = drawn_by(tmp_path / "page.html", inputs).view_as(expected)
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()
