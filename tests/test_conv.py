"""The convolution with a cheap second derivative, against torch's own and finite differences."""

import pytest
import torch
from torch import nn

from ganlib import losses, nets
from ganlib.nets.conv import Conv2d, Convolution

KINDS = {  # (inputs, outputs, kernel, stride, padding, groups)
    "plain": (4, 6, 3, 1, 1, 1),
    "strided, in groups": (4, 8, 3, 2, 1, 2),
    "each channel by itself": (4, 4, 4, 1, 0, 4),
    "1 x 1": (3, 5, 1, 1, 0, 1),
    "a size that leaves a rest": (4, 6, 4, 3, 1, 2),
}


@pytest.fixture(params=KINDS)
def layer(request):
    torch.manual_seed(0)
    inputs, outputs, kernel, stride, padding, groups = KINDS[request.param]
    return Conv2d(inputs, outputs, kernel, stride, padding, groups=groups).double()


@pytest.mark.parametrize("last", [False, True])
def test_gradients_up_to_the_third_are_those_of_torch(layer, last):
    settings = {name: getattr(layer, name) for name in ("stride", "padding", "groups")}
    inputs, outputs, kernel = layer.in_channels, layer.out_channels, layer.kernel_size
    own = nn.Conv2d(inputs, outputs, kernel, **settings).double()
    own.load_state_dict(layer.state_dict())
    x = torch.randn(2, inputs, 9, 9, dtype=torch.double)
    if last:
        x = x.to(memory_format=torch.channels_last)
    x.requires_grad_()
    found = []
    for net in (layer, own):
        y = net(x).tanh()
        (first,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        wanted = x, *net.parameters()
        second = torch.autograd.grad(first.square().sum() + y.sum(), wanted, create_graph=True)
        third = torch.autograd.grad(sum(z.square().sum() for z in second), (x, net.weight))
        found.append((y, first, *second, *third))
    for mine, theirs in zip(*found, strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-10, atol=1e-10)


def test_both_derivatives_are_finite_differences(layer):
    x = torch.randn(2, layer.in_channels, 6, 6, dtype=torch.double, requires_grad=True)
    weight, bias = (y.detach().clone().requires_grad_() for y in layer.parameters())
    how = layer.stride, layer.padding, layer.groups

    def convolved(x, weight, bias):
        return Convolution.apply(x, weight, bias, how)

    assert torch.autograd.gradcheck(convolved, (x, weight, bias))
    assert torch.autograd.gradgradcheck(convolved, (x, weight, bias))


def test_r3gans_penalty_is_that_of_plain_convolutions(monkeypatch):
    """R1 + R2 in float64 and its gradients, and in bf16 under autocast, near to those."""
    torch.manual_seed(0)
    D = nets.ResidualDiscriminator((1, 16, 16), (8, 16, 32))
    for weight in D.parameters():  # the last of each block begins at 0
        weight.data += 0.05 * torch.randn_like(weight)
    images = torch.randn(6, 1, 16, 16)
    penalty = losses.r1_r2(1.0)

    def gradients(D, images, kind=None):
        images = images.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=kind is not None):
            logits = D(images)
        term = penalty.term(D, images, logits, None).mean()
        D.zero_grad()
        term.backward()
        return torch.cat(
            [weight.grad.flatten() for weight in D.parameters() if weight.grad is not None]
        )

    rounded = gradients(D, images, torch.bfloat16)
    mine = gradients(D.double(), images.double())
    monkeypatch.setattr(Conv2d, "_conv_forward", nn.Conv2d._conv_forward)
    theirs = gradients(D, images.double())
    assert mine.norm() > 0.01 and torch.allclose(mine, theirs, rtol=1e-9, atol=1e-10)
    assert torch.nn.functional.cosine_similarity(rounded.double(), mine, 0) > 0.99
