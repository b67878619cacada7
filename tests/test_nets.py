import pytest
import torch
from torch import nn

from ganlib import nets


def kinds(net):
    return [
        (layer.in_features, layer.out_features)
        for layer in net.layers
        if isinstance(layer, nn.Linear)
    ]


def test_the_generator_is_the_classic_one():
    G = nets.MLPGenerator()
    assert kinds(G) == [(100, 128), (128, 256), (256, 512), (512, 1024), (1024, 784)]
    assert [type(layer) for layer in G.layers] == [nn.Linear, nn.LeakyReLU] * 4 + [
        nn.Linear,
        nn.Tanh,
    ]
    assert {layer.negative_slope for layer in G.layers if isinstance(layer, nn.LeakyReLU)} == {0.2}
    assert sum(p.numel() for p in G.parameters()) == 1_506_448
    assert G(torch.randn(3, 100)).shape == (3, 1, 28, 28)
    assert G(1e4 * torch.randn(3, 100)).abs().max() == 1


def test_the_discriminator_is_the_classic_one():
    D = nets.MLPDiscriminator()
    assert kinds(D) == [(784, 1024), (1024, 512), (512, 256), (256, 1)]
    assert [type(layer) for layer in D.layers] == [nn.Linear, nn.LeakyReLU, nets.Dropout] * 3 + [
        nn.Linear
    ]
    assert {layer.negative_slope for layer in D.layers if isinstance(layer, nn.LeakyReLU)} == {0.2}
    assert {layer.p for layer in D.layers if isinstance(layer, nets.Dropout)} == {0.3}
    assert sum(p.numel() for p in D.parameters()) == 1_460_225
    assert D(torch.randn(3, 1, 28, 28)).shape == (3,)


def test_the_nets_compute_what_their_layers_say():
    """An independent transcription of both forward passes."""
    G, D = nets.MLPGenerator().double(), nets.MLPDiscriminator().double().eval()
    x = z = torch.randn(5, 100, dtype=torch.float64)
    weights = list(G.parameters())
    for i in range(0, 10, 2):
        x = x @ weights[i].T + weights[i + 1]
        x = torch.tanh(x) if i == 8 else torch.where(x > 0, x, 0.2 * x)
    assert torch.allclose(G(z), x.view(5, 1, 28, 28), rtol=1e-12, atol=1e-14)
    weights = list(D.parameters())
    for i in range(0, 8, 2):
        x = x @ weights[i].T + weights[i + 1]
        x = x if i == 6 else torch.where(x > 0, x, 0.2 * x)
    assert torch.allclose(D(G(z)), x[:, 0], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 16, 16)])
def test_other_image_shapes(shape):
    G, D = nets.MLPGenerator(shape=shape), nets.MLPDiscriminator(shape=shape)
    assert D(G(torch.randn(2, 100))).shape == (2,)


def test_dropout_keeps_the_right_share_and_the_mean():
    layer = nets.Dropout(0.3)
    x = torch.ones(1000, 1000)
    y = layer(x)
    kept = y > 0
    assert abs(kept.double().mean() - 0.7) < 0.002  # 4 standard deviations
    assert torch.allclose(y[kept], torch.tensor(1 / 0.7), rtol=1e-5)
    # each of the four 16-bit parts of a draw: a sign bit that is always 0 would show here
    for lane in range(4):
        assert abs(kept.flatten()[lane::4].double().mean() - 0.7) < 0.004


@pytest.mark.parametrize("p", [0.5, 0.1, 0.9])
def test_dropout_at_other_probabilities(p):
    kept = nets.Dropout(p)(torch.ones(1_000_000)) > 0
    assert abs(kept.double().mean() - (1 - p)) < 0.003


def test_dropout_draws_from_its_generator_alone():
    layer, x = nets.Dropout(0.5), torch.randn(7, 9)
    before = torch.get_rng_state()
    results = []
    for _ in range(2):
        layer.generator = torch.Generator().manual_seed(3)
        results.append(layer(x))
    assert torch.equal(*results)
    assert torch.equal(before, torch.get_rng_state())
    assert not torch.equal(layer(x), results[0])  # the generator has gone on


def test_dropout_in_evaluation_is_the_identity():
    x = torch.randn(5, 5)
    assert nets.Dropout(0.5).eval()(x) is x


@pytest.mark.parametrize(
    "p, share", [(1e-6, 1), (5e-6, 1), (1 / 65536, 1), (65535 / 65536, 1 / 65536)]
)
def test_dropout_at_its_ends(p, share):
    kept = nets.Dropout(p)(torch.ones(1_000_000)) > 0
    assert abs(kept.double().mean() - share) < 1e-4


@pytest.mark.parametrize("p", [1, -0.1, 30, 0.999999])
def test_an_impossible_dropout_is_refused(p):
    with pytest.raises(ValueError, match=f"p={p}"):
        nets.Dropout(p)


def test_dropout_gradient():
    layer = nets.Dropout(0.3)
    x = torch.randn(50, 50, requires_grad=True)
    y = layer(x)
    y.sum().backward()
    assert torch.allclose(x.grad, (y / x).detach(), rtol=1e-5)
