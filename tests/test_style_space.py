"""The space of styles, on a net whose answers are known: each layer draws one channel."""

import math

import pytest
import torch
from torch import nn

import ganlib
from ganlib import lab, latent, nets


class Channels(nn.Module):
    """styles: w = z A + c; of three layers, layer i paints channel i in the i-th number of w."""

    latent_dim, shape, classes, depth_of = 3, (3, 8, 8), 0, 3

    def __init__(self):
        super().__init__()
        self.A = nn.Parameter(torch.tensor([[1.0, 0.5, 0], [0, 2, 0.3], [0, 0, 0.2]]))
        self.c = nn.Parameter(torch.tensor([0.1, -0.2, 0.3]))

    def styles(self, z, labels=None):
        return z @ self.A + self.c

    def draw(self, ws):
        colours = torch.stack([w[:, i] for i, w in enumerate(ws)], 1)
        return colours[:, :, None, None].expand(-1, -1, 8, 8) / 10

    def forward(self, z, labels=None):
        return self.draw([self.styles(z)] * 3)


@pytest.fixture(scope="module")
def space():
    return lab.StyleSpace(Channels())


def signs(images):
    """Of each channel whether it is above its mean: int64 `(N, 3)`."""
    return (10 * images[:, :, 0, 0] > torch.tensor([0.1, -0.2, 0.3])).long()


@torch.no_grad()
def test_styles_in_normal_numbers(space):
    """Mean and covariance are W's, within what 4,096 samples can say; `sample` inverts `w`."""
    net, v = space.net, space.sample(3000)
    assert torch.allclose(space.center, net.c, atol=0.15)
    assert torch.allclose(space.root @ space.root, net.A.T @ net.A, atol=0.25)
    assert torch.allclose(v.mean(0), torch.zeros(3), atol=0.1)
    assert torch.allclose(v.T.cov(), torch.eye(3), atol=0.12)
    z = space.noise(3000)
    assert torch.allclose(space.w(v), net.styles(z), atol=1e-4)
    assert torch.allclose(space(v), net(z), atol=1e-4)
    assert torch.equal(space.sample(5), space.sample(5))
    assert not torch.equal(space.sample(5), space.sample(5, "others"))
    assert torch.allclose(space(torch.zeros(1, 3))[0, :, 0, 0], space.center / 10)


@torch.no_grad()
def test_mixing_takes_coarse_layers_from_the_left(space):
    rows, columns = space.sample(2, "rows"), space.sample(3, "columns")
    asked = []
    original, space.mixed = space.mixed, lambda layers: asked.append(layers) or original(layers)
    try:
        picture = space.mix(rows, columns, 1, scale=1)
    finally:
        del space.mixed
    assert picture.width > 4 * 8 and len(asked) == 3  # the grid, its left side and its top
    grid = original(asked[0]).unflatten(0, (2, 3))
    left, top = space(rows), space(columns)
    for r in range(2):
        for c in range(3):
            assert torch.allclose(grid[r, c, 0], left[r, 0])
            assert torch.allclose(grid[r, c, 1:], top[c, 1:])
    with pytest.raises(ValueError, match="coarse=4 was given; 0 to 3 layers"):
        space.mix(rows, columns, 4)


def test_which_layer_decides_what(space):
    assert torch.equal(space.moved_by_layer(signs), torch.eye(3, dtype=torch.float64))


def test_the_direction_of_a_half_space(space):
    """Of normal numbers the two means lie 2 sqrt(2 / pi) apart, across the border."""
    normal = torch.tensor([1.0, -2.0, 0.5])

    def has(images):
        v = (10 * images[:, :, 0, 0] - space.center) @ space.inverse
        return v @ normal > 0

    found = space.direction(has, n=20_000)
    expected = 2 * math.sqrt(2 / math.pi) * normal / normal.norm()
    assert torch.allclose(found, expected, atol=0.08)
    for wrong in (lambda x: signs(x)[:, 0], lambda x: signs(x).bool()):
        with pytest.raises(ValueError, match="bool \\(N,\\), whether each has it, is expected"):
            space.direction(wrong, n=50)
    with pytest.raises(ValueError, match="none of 2000 images have it"):
        space.direction(lambda images: torch.zeros(len(images), dtype=torch.bool))


def test_what_takes_a_generator_takes_the_space(space):
    """The nearest style to an image, the strongest directions, and the sliders."""
    target = space(torch.tensor([[0.5, -0.3, 0.8]])).detach()[0]
    found = latent.invert(space, target, prior=0, steps=300)
    assert found.error < 1e-3
    rows = latent.directions(space, 3).rows
    assert torch.allclose(rows @ rows.T, torch.eye(3), atol=1e-5)
    explorer = lab.Explorer(space, directions=2)
    assert explorer.draw(sample=3).width > 0 and explorer.grid(side=3).width > 0


@torch.no_grad()
def test_of_a_run_with_classes():
    torch.manual_seed(0)
    gan = ganlib.recipe("style", (3, 16, 16), classes=2).gan(0)
    space = lab.StyleSpace(gan, label=1)
    z = space.noise(4)
    expected = gan.net().eval()(z, torch.ones(4, dtype=torch.int64))
    assert torch.allclose(space.eval()(space.sample(4)), expected, atol=1e-3)
    assert space.net is gan.net() and space.shape == (3, 16, 16)
    v, training = space.sample(4), gan.G.train().training
    assert torch.equal(space.train()(v), space.eval()(v)) and training  # no new noise
    with pytest.raises(ValueError, match="CompactGenerator has no styles; a StyleGenerator"):
        lab.StyleSpace(nets.CompactGenerator())


@torch.no_grad()
def test_of_a_sentence():
    """v has the numbers of the noise and of the sentence; all are drawn from that one sentence."""
    torch.manual_seed(0)
    G = nets.WordsStyleGenerator(12, (3, 16, 16), words=9, length=3, said=5).eval()
    said = torch.tensor([3, 4, 0])
    space = lab.StyleSpace(G, label=said)
    v = space.sample(6)
    assert v.shape == (6, 17) and latent.directions(space, 2).rows.shape == (2, 17)
    assert torch.allclose(space(v), G(space.noise(6), said.expand(6, -1)), atol=1e-3)
