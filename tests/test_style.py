"""The style-based G: its equations against grouped convolutions, mixing, noise, page and ONNX."""

import pytest
import torch
from conftest import same
from player import drawn_by
from test_picture_nets import shaken
from torch.nn.functional import conv2d, embedding, interpolate, leaky_relu, linear

import ganlib
from ganlib import nets
from ganlib.keep import onnx, page
from ganlib.nets import rebuild

SHAPES = [(3, 16, 16), (1, 28, 28), (3, 32, 32)]


def modulated(x, w, weight, style, demodulate):
    """Karras et al. 2020, equations 1 to 3: each image has weights of its own, in groups."""
    n, inputs, *size = x.shape
    scales = linear(w, style["weight"], style["bias"])
    own = weight[None] * scales[:, None, :, None, None]
    if demodulate:
        own = own / (own.square().sum((2, 3, 4), keepdim=True) + 2e-8).sqrt()
    x = x.reshape(1, n * inputs, *size)
    made = conv2d(x, own.flatten(0, 1), padding=weight.shape[-1] // 2, groups=n)
    return made.view(n, -1, *size)


def drawn(G, z, labels=None, noises=None, ws=None):
    """The images of a `StyleGenerator`, from its weights."""
    state = G.state_dict()

    def part(name):
        return {key[len(name) + 1 :]: x for key, x in state.items() if key.startswith(f"{name}.")}

    def layer(i, x, w, double):
        own = part(f"layers.{i}")
        if G.settings.get("level"):
            x = x / (x.square().mean((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if double:
            x = interpolate(x, scale_factor=2)
        style = {"weight": own["style.weight"], "bias": own["style.bias"]}
        x = modulated(x, w, own["conv.weight"], style, True) * 2**0.5
        noise = own["grain"] if noises is None else noises[i]
        return leaky_relu(x + own["loudness"] * noise + own["bias"], 0.2)

    def coloured(i, x, w):
        own = part(f"pictures.{i}")
        style = {"weight": own["style.weight"], "bias": own["style.bias"]}
        return modulated(x, w, own["conv.weight"], style, False) + own["conv.bias"][:, None, None]

    if ws is None:
        if labels is not None:
            z = torch.cat([z, embedding(labels, state["latent.embedding.weight"])], 1)
        w = z / (z.square().mean(1, keepdim=True) + 1e-6).sqrt()
        for i in range(G.settings["mapped"]):
            own = part(f"mapping.{2 * i}")
            w = leaky_relu(linear(w, own["weight"], own["bias"]), 0.2)
        ws = [w] * G.depth_of
    x = layer(0, state["constant"].expand(len(ws[0]), -1, -1, -1), ws[0], False)
    picture = coloured(0, x, ws[0])
    for i in range(1, len(G.settings["widths"])):
        x = layer(2 * i - 1, x, ws[2 * i - 1], True)
        x = layer(2 * i, x, ws[2 * i], False)
        picture = interpolate(picture, scale_factor=2, mode="bilinear", align_corners=False)
        picture = picture + coloured(i, x, ws[2 * i])
    return picture


@torch.no_grad()
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("level", [False, True])
def test_it_draws_what_the_paper_says(shape, classes, level):
    torch.manual_seed(0)
    G = shaken(nets.StyleGenerator(12, shape, classes=classes, level=level).double())
    z, labels = torch.randn(5, 12).double(), torch.arange(5) % 3 if classes else None
    expected = drawn(G, z, labels)
    assert expected.std() > 0.1 and torch.allclose(G(z, labels), expected, atol=1e-6)
    ws = [torch.randn(5, 12).double() for _ in range(G.depth_of)]
    assert torch.allclose(G.draw(ws), drawn(G, z, ws=ws), atol=1e-6)


@torch.no_grad()
def test_at_the_start_numbers_keep_their_size():
    """Each layer's mean square is about 1, whatever the style."""
    torch.manual_seed(0)
    G, seen = nets.StyleGenerator(64, (3, 64, 64)).eval(), []
    for layer in G.layers:
        layer.register_forward_hook(
            lambda layer, args, out: seen.append(out.square().mean().item())
        )
    images = G(torch.randn(64, 64))
    assert images.shape == (64, 3, 64, 64) and len(seen) == G.depth_of == 9
    assert all(0.5 < size < 2 for size in seen), seen
    assert G.styles(torch.randn(999, 64)).square().mean() == pytest.approx(1, abs=0.4)


@torch.no_grad()
def test_level_layers_do_not_get_louder_from_one_to_the_next():
    """Where all channels do the same, each layer multiplies the size, unless its input is level."""
    sizes = {}
    for level in (False, True):
        G = nets.StyleGenerator(8, (3, 64, 64), level=level).eval()
        for layer in G.layers:
            layer.conv.weight.abs_()
            layer.bias.fill_(1.0)
        G.layers[-1].register_forward_hook(
            lambda layer, args, out, level=level: sizes.update({level: out.abs().max().item()})
        )
        G(torch.randn(8, 8))
    inputs = G.layers[-1].conv.weight.shape[1]
    assert sizes[True] < 2**0.5 * (9 * inputs) ** 0.5 * 9 and sizes[False] > 1e6


def test_a_file_without_the_setting_draws_as_before():
    torch.manual_seed(0)
    G = nets.StyleGenerator(8, (1, 16, 16))
    assert "level" not in rebuild.settings(G) and not any(layer.level for layer in G.layers)
    again = rebuild.build(rebuild.settings(nets.StyleGenerator(8, (1, 16, 16), level=True)))
    assert all(layer.level for layer in again.layers)


@torch.no_grad()
def test_mixing_takes_another_w_from_a_layer_on():
    torch.manual_seed(0)
    G, seen = nets.StyleGenerator(8, (1, 16, 16), (8, 8, 8), mixing=0.7), []
    G.draw = lambda ws: seen.append(torch.stack(ws)) or torch.zeros(len(ws[0]), 1, 16, 16)
    z = torch.randn(4000, 8)
    G.generator = torch.Generator().manual_seed(1)
    G(z)
    (ws,) = seen  # (layers, images, 8)
    draws = torch.Generator().manual_seed(1)
    other = torch.randn(4000, 8, generator=draws)
    own = (ws == G.styles(z)).all(-1)
    others = (ws == G.styles(other)).all(-1)
    assert own[0].all() and (own ^ others).all()
    assert not (others[:-1] & own[1:]).any()  # once another's, always another's
    assert others[-1].double().mean() == pytest.approx(0.7, abs=0.03)
    first = others.int().argmax(0)[others.any(0)].bincount(minlength=5) / 4000
    assert torch.allclose(first[1:], torch.full((4,), 0.7 / 4), atol=0.03)
    G.generator = torch.Generator().manual_seed(1)
    G(z)
    assert torch.equal(seen[0], seen[1])  # the same draws, the same mixing
    G.eval()(z)
    assert (seen[2] == G.styles(z)).all()


@torch.no_grad()
def test_mixing_keeps_the_label():
    """Other noise under the image's own label: D is never shown a face under two labels."""
    torch.manual_seed(0)
    G, seen = nets.StyleGenerator(8, (1, 16, 16), (8, 8, 8), mixing=1, classes=2), []
    G.draw = lambda ws: seen.append(torch.stack(ws)) or torch.zeros(len(ws[0]), 1, 16, 16)
    z, labels = torch.randn(50, 8), torch.arange(50) % 2
    G.generator = torch.Generator().manual_seed(1)
    G(z, labels)
    draws = torch.Generator().manual_seed(1)
    other = torch.randn(50, 8, generator=draws)
    assert torch.equal(seen[0][0], G.styles(z, labels))
    assert torch.equal(seen[0][-1], G.styles(other, labels))


@torch.no_grad()
def test_noise_is_drawn_in_training_and_stays_in_evaluation():
    torch.manual_seed(0)
    G = shaken(nets.StyleGenerator(8, (3, 16, 16), mixing=0)).train()
    z = torch.randn(2, 8).expand(2, 8)
    draws, noises = torch.Generator().manual_seed(5), []
    for layer in G.layers:
        layer.generator = draws
    once = G(z)
    draws.manual_seed(5)
    for layer in G.layers:
        noises.append(torch.randn(2, *layer.grain.shape[1:], generator=draws))
    assert torch.allclose(once, drawn(G, z, noises=noises), atol=1e-5)
    draws.manual_seed(6)
    assert not torch.allclose(once, G(z), atol=1e-2)
    G.eval()
    assert torch.equal(G(z), G(z)) and "layers.0.grain" in G.state_dict()


def test_a_run_is_the_same_when_it_is_cut(tmp_path):
    """Mixing and noise depend on seed and step alone; G's average has the noise that stays."""
    data = ganlib.Images(torch.randint(0, 256, (60, 3, 16, 16), dtype=torch.uint8), name="some")
    made = ganlib.recipe("style", data.shape, images=400)

    def fresh():
        torch.manual_seed(2)
        return made.gan(4)

    def play(gan, until, **settings):
        for _ in ganlib.train(gan, data, made, until=until, batch_size=8, **settings):
            pass
        return gan

    whole = play(fresh(), 6)
    play(fresh(), 3, folder=tmp_path)
    again = made.gan(4)
    assert ganlib.resume(tmp_path, again)
    play(again, 6, folder=tmp_path)
    assert again.step == 6 and same(whole.G.state_dict(), again.G.state_dict())
    assert same(whole.net().state_dict(), again.net().state_dict())
    assert torch.equal(whole.net().layers[0].grain, whole.G.layers[0].grain)


def test_while_g_is_alone_no_style_is_mixed_in(monkeypatch):
    """An image of one code has one style in all layers; in the game half have two."""
    data = ganlib.Images(torch.randint(0, 256, (60, 3, 16, 16), dtype=torch.uint8), name="some")
    gan, seen, draw = made_of(data).gan(4), [], nets.StyleGenerator.draw

    def look(net, ws):
        seen.append((net.training, all(w is ws[0] for w in ws)))
        return draw(net, ws)

    monkeypatch.setattr(nets.StyleGenerator, "draw", look)
    made = made_of(data)
    for until in (8, 20):
        for _ in ganlib.train(gan, data, made, until=until, batch_size=8):
            pass
        same = {one for training, one in seen if training}
        assert same == {until == 8} and gan.G.mixing == 0.5
        seen.clear()


def made_of(data):
    return ganlib.recipe("style", data.shape, images=213)  # G is alone for 64


@pytest.mark.parametrize("own", [{}, {"classes": 5}, {"mixing": 0.0, "mapped": 1}], ids=str)
def test_the_settings_build_the_same_net(own):
    G = nets.StyleGenerator(12, (3, 16, 16), **own)
    settings = rebuild.settings(G)
    again = rebuild.build(settings, "G", G.state_dict())
    again.load_state_dict(G.state_dict())
    inputs = page.example(G, 3)
    assert rebuild.settings(again) == settings
    assert torch.equal(again.eval()(*inputs), G.eval()(*inputs))
    with pytest.raises(ValueError, match="it asks for the net .*StyleGenerator"):
        rebuild.build(settings, "D")


def test_wrong_settings_say_what_is_expected():
    with pytest.raises(ValueError, match="mixing=2 was given; a probability from 0 to 1"):
        nets.StyleGenerator(mixing=2)
    for mapped, classes in ((-1, 0), (65, 0), (0, 3), (2.0, 0)):
        with pytest.raises(
            ValueError, match=f"mapped={mapped} was given; {int(classes > 0)} to 64"
        ):
            nets.StyleGenerator(mapped=mapped, classes=classes)
    assert nets.StyleGenerator(8, (3, 16, 16), mapped=0)(torch.randn(2, 8)).shape == (2, 3, 16, 16)
    with pytest.raises(ValueError, match="4 or 7 times a power of two"):
        nets.StyleGenerator(shape=(3, 30, 30))
    with pytest.raises(ValueError, match="4 widths, one for each size"):
        nets.StyleGenerator(shape=(3, 32, 32), widths=(8, 8))


drawings = pytest.mark.parametrize(
    "shape, own",
    [(SHAPES[0], {}), (SHAPES[1], {"classes": 3, "level": True}), (SHAPES[2], {"level": True})],
    ids=str,
)


@torch.no_grad()
@drawings
def test_the_page_draws_what_G_draws(shape, own, tmp_path):
    torch.manual_seed(0)
    G = shaken(nets.StyleGenerator(12, shape, **own))
    inputs = page.example(G, 3)
    (tmp_path / "page.html").write_text(page.page(G, "style", "notice"))
    expected = G(*inputs)
    found = drawn_by(tmp_path / "page.html", inputs).view_as(expected)
    scale = expected.abs().max()
    assert expected.std() > 0.1 * scale and (found - expected).abs().max() < 4e-3 * scale


@torch.no_grad()
@drawings
def test_onnx_draws_what_G_draws(shape, own):
    runtime = pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    G = shaken(nets.StyleGenerator(12, shape, **own))
    content, said = onnx.onnx_file(G)
    assert content is not None, said
    session = runtime.InferenceSession(content)
    for n in (1, 7):
        inputs = page.example(G, n)
        feeds = dict(zip(("z", "labels"), (x.numpy() for x in inputs), strict=False))
        (found,) = session.run(["images"], feeds)
        assert torch.allclose(torch.from_numpy(found), G(*inputs), rtol=1e-4, atol=1e-4)
