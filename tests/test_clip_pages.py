"""The exported page that plays clips: its arithmetic by node, its controls in a real browser."""

from functools import partial

import pytest
import torch
from player import drawn_by
from torch import nn
from torch.nn.functional import affine_grid, grid_sample

import ganlib
from ganlib import nets
from ganlib.keep import page

PARTS = partial(nets.MovedGenerator, parts=2)
KINDS = (nets.FramesGenerator, nets.MovedGenerator, PARTS, nets.PathGenerator)


def made(kind, channels=1):
    """A G of which one sees something: pictures with contrast, and a path that moves."""
    torch.manual_seed(0)
    G = kind(20, (channels, 8, 28, 28), (6, 4))
    with torch.no_grad():
        for layer in G.layers:
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(layer.weight)
        if hasattr(G, "curve"):
            G.curve.layers[-1].weight.normal_(std=1.0 if kind is nets.PathGenerator else 0.1)
        for _ in range(30):
            G(torch.randn(50, 20))
    return G.eval()


@torch.no_grad()
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_the_page_draws_the_frames_of_g(kind, channels, tmp_path):
    """To 1/128 of the range; where G takes a time, between and beyond its own frames, too."""
    G, z = made(kind, channels), torch.randn(3, 20, generator=torch.Generator().manual_seed(1))
    (tmp_path / "page.html").write_text(page.page(G, "clips", "notice"))
    if hasattr(G, "times"):
        times = torch.tensor([0.0, 2.5, 7.0, 11.0])
        expected = G(z, times=times).transpose(1, 2)
        inputs = z.repeat_interleave(len(times), 0), times.repeat(len(z))
    else:
        expected, inputs = G(z).transpose(1, 2), (z,)
    found = drawn_by(tmp_path / "page.html", inputs).view_as(expected)
    assert (found - expected).abs().max() <= 2 / 128 and expected.std() > 0.1
    assert expected.diff(dim=1).abs().mean() > 0.01  # they move


class Drawer(nn.Module):
    """Noise (N, 3) to pictures: one picture, moved by `how`."""

    latent_dim, shape = 3, (1, 6, 6)

    def __init__(self, how):
        super().__init__()
        self.first, self.how = nn.Linear(3, 36), how

    def forward(self, z, labels=None):
        return self.how(self.first(z).view(-1, 1, 6, 6), z)


def turned(picture, z, corners=False, **how):
    theta = torch.cat([z, z * z], 1).view(-1, 2, 3)
    grid = affine_grid(theta, (len(picture), 1, 6, 8), align_corners=corners)
    return grid_sample(picture, grid, **({"align_corners": False} | how))


@torch.no_grad()
def test_a_picture_is_moved_to_another_size(tmp_path):
    G = Drawer(turned).half().float()  # as the page rounds its weights
    G.shape = (1, 6, 8)
    (tmp_path / "page.html").write_text(page.page(G, "one", "notice"))
    inputs = page.example(G, 5)
    expected = G(*inputs)
    assert torch.allclose(
        drawn_by(tmp_path / "page.html", inputs).view_as(expected), expected, atol=1e-5
    )


@pytest.mark.parametrize(
    "how, said",
    [
        (lambda x, z: turned(x, z, corners=True), "affine_grid_generator"),
        (lambda x, z: turned(x, z, align_corners=True), "align_corners=False"),
        (lambda x, z: turned(x, z, padding_mode="border"), "with zeros around them"),
        (lambda x, z: turned(x, z, mode="nearest"), "between pixels"),
        (lambda x, z: x.flip(3), "aten.flip.default is unknown"),
        (lambda x, z: x @ torch.ones(6, 6), "aten.matmul.default is unknown"),
        (lambda x, z: nn.functional.linear(x, torch.ones(6, 6)), "linear of several rows"),
        (lambda x, z: x[..., 2:], "slice.* is unknown"),
        (lambda x, z: torch.add(x, x, alpha=2), "add.* is unknown"),
    ],
)
def test_what_would_be_drawn_otherwise_gets_no_page(how, said):
    with pytest.raises(page.NoPage, match=said):
        page.page(Drawer(how), "one", "notice")
    with pytest.raises(page.NoPage, match="pictures .* and clips .* are drawn, and G draws \\(2,"):
        page.page(nets.MLPGenerator(4, (2,), (8,)), "points", "notice")


def test_a_page_of_pictures_holds_no_code_for_clips():
    text = page.page(nets.CompactGenerator(widths=(4, 4)), "pictures", "notice")
    assert "function roll()" not in text and "@@" not in text
    assert "function roll()" in page.page(made(KINDS[1]), "clips", "notice")


def opened(browser, tmp_path, G):
    (tmp_path / "page.html").write_text(page.page(G, "clips", "drawn by a GAN"))
    context = browser.new_context(offline=True)
    tab, wrong, asked = context.new_page(), [], []
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto((tmp_path / "page.html").as_uri())
    return tab, wrong, asked


CLIPS = """() => {
  const canvas = document.getElementById('clips'), context = canvas.getContext('2d');
  const at = (i) => [i % 4 * 29, Math.floor(i / 4) * 29];
  return Array.from({length: 8}, (_, i) => Array.from(context.getImageData(...at(i), 28, 28).data)
    .filter((_, i) => i % 4 == 0));
}"""  # the eight clips' pixels


def at(tab, time):
    """The eight clips at a time, set by the slider: uint8 (8, 28 * 28)."""
    set_to = "const s = document.getElementById('time'); s.value = time; s.oninput();"
    drawn = "for (let i = 0; i < 3; i++) await new Promise(requestAnimationFrame);"
    tab.evaluate(f"async time => {{ {set_to} {drawn} }}", time)
    shown = f"{time + 1:.1f}" if tab.locator("#timed").is_visible() else f"{time + 1:.0f}"
    assert tab.inner_text("#said").startswith(f"frame {shown} of 8")
    return torch.tensor(tab.evaluate(CLIPS))


@pytest.mark.parametrize("kind", KINDS[1::2])
def test_content_path_and_time_are_chosen_in_a_real_browser(kind, browser, tmp_path):
    tab, wrong, asked = opened(browser, tmp_path, made(kind))
    tab.wait_for_selector("#clips")
    before = tab.evaluate(CLIPS)  # it plays by itself
    tab.wait_for_function(f"before => JSON.stringify(({CLIPS})()) != before", arg=str(before))
    first, between, last = (at(tab, time) for time in (0, 0.5, 7))
    assert tab.inner_text("#playing") == "Play"  # the slider stops it
    assert (first != between).any(1).all() and (first != last).any(1).all()
    assert len(first.unique(dim=0)) == 8 and torch.equal(at(tab, 0), first)
    # eight paths of one thing, eight things on one path, and eight times the same
    tab.check("#one")
    content = at(tab, 3)
    tab.check("#way")
    assert len(at(tab, 3).unique(dim=0)) == 1
    tab.uncheck("#one")
    path = at(tab, 3)
    assert len(content.unique(dim=0)) == 8 == len(path.unique(dim=0))
    tab.uncheck("#way")
    tab.click("#paths")
    other = at(tab, 0)
    assert not torch.equal(other, first) and tab.input_value("#how") == "1"
    tab.fill("#how", "0")
    tab.press("#how", "Enter")
    assert torch.equal(at(tab, 0), first)
    tab.click("#others")
    assert not torch.equal(at(tab, 0), first) and tab.input_value("#what") == "1"
    # beyond the last frame
    assert tab.get_attribute("#time", "max") == "7"
    tab.check("#on")
    assert not torch.equal(at(tab, 11), at(tab, 7))
    tab.uncheck("#on")
    tab.click("#playing")
    assert tab.inner_text("#playing") == "Pause"
    tab.evaluate("speed.value = 0.1")
    assert "drawn by a GAN" in tab.inner_text(".notice")
    assert wrong == [] and len(asked) == 1, (wrong, asked)


def test_a_g_without_times_plays_its_frames_in_a_real_browser(browser, tmp_path):
    G = made(nets.FramesGenerator)
    tab, wrong, asked = opened(browser, tmp_path, G)
    tab.wait_for_selector("#clips")
    frames = [at(tab, time) for time in range(8)]
    assert all((a != b).any() for a, b in zip(frames, frames[1:], strict=False))
    for hidden in ("#paths", "#one", "#way", "#speed", "#on"):
        assert not tab.locator(hidden).is_visible()
    z = [0.1 * i - 1 for i in range(20)]
    found = tab.evaluate("z => Array.from(generate(Float32Array.from(z), 0))", z)
    with torch.no_grad():
        expected = G(torch.tensor([z])).transpose(1, 2)
    assert (torch.tensor(found).view_as(expected) - expected).abs().max() <= 2 / 128
    assert wrong == [] and len(asked) == 1


def test_an_export_and_a_cell_play_clips(tmp_path):
    data = ganlib.games.clips.gliding(60)
    recipe = ganlib.games.clips.recipe(data, images=100, latent_dim=20)
    torch.manual_seed(0)
    gan = recipe.gan(0)
    ganlib.save(tmp_path / "run", gan)
    ganlib.export(tmp_path / "run", tmp_path / "out")
    text = (tmp_path / "out" / "index.html").read_text()
    assert "function roll()" in text and '"frames": 8, "timed": true, "content": 4' in text
    again = ganlib.load_generator(tmp_path / "out")
    z = torch.randn(2, 20)
    found = drawn_by(tmp_path / "out" / "index.html", (z, torch.tensor([1.5, 4.0])))
    with torch.no_grad():
        for i, time in enumerate((1.5, 4.0)):
            expected = again(z[i : i + 1], times=torch.tensor([time])).flatten()
            assert (found[i] - expected).abs().max() <= 2 / 128
    assert "function roll()" in ganlib.embed(again, bits=4).text
