import pytest
import torch
from torch.nn.functional import binary_cross_entropy

from ganlib import losses

LOGITS = torch.linspace(-8, 8, 33, dtype=torch.float64)


def closed_forms():
    """name: (d_loss(real, fake), g_loss(real, fake)), written with probabilities, as in the papers."""

    def bce(logits, label):
        return binary_cross_entropy(logits.sigmoid(), torch.full_like(logits, label), reduction="none")

    return {"non_saturating": (lambda r, f: bce(r, 1) + bce(f, 0), lambda r, f: bce(f, 1))}


@pytest.mark.parametrize("name", closed_forms())
def test_values_and_gradients_are_those_of_the_closed_form(name):
    objective, (d_form, g_form) = getattr(losses, name), closed_forms()[name]
    assert objective.name == name
    for ours, form in ((objective.d_loss, d_form), (objective.g_loss, g_form)):
        results = []
        for loss in (ours, form):
            real, fake = LOGITS.clone().requires_grad_(), LOGITS.flip(0).clone().requires_grad_()
            values = loss(real, fake)
            values.sum().backward()
            results += [(values.detach(), real.grad, fake.grad)]
        for a, b in zip(*results, strict=True):
            assert (a is None and b is None) or torch.allclose(a, b, rtol=1e-9, atol=1e-12)
            assert a is None or a.shape == LOGITS.shape


def test_known_values():
    one = torch.ones(1, dtype=torch.float64)
    assert losses.non_saturating.g_loss(None, one).item() == pytest.approx(0.31326168751822286, rel=1e-12)
    assert losses.non_saturating.d_loss(0 * one, 0 * one).item() == pytest.approx(1.3862943611198906, rel=1e-12)


@pytest.mark.parametrize("logit", [-50.0, 50.0])
def test_the_gradient_is_right_where_a_written_out_sigmoid_loses_it(logit):
    fake = torch.tensor([logit], requires_grad=True)
    losses.non_saturating.g_loss(None, fake).sum().backward()
    assert fake.grad.item() == pytest.approx(-torch.sigmoid(torch.tensor(-logit)).item(), rel=1e-6)
