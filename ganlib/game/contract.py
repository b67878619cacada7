"""What G and D have to do, tried on two images before a run begins; and evaluation mode for a while."""

from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def evaluating(*nets):
    """Evaluation mode for a while; each module's own mode comes back afterwards."""
    modes = [(module, module.training) for net in nets for module in net.modules()]
    try:
        for net in nets:
            net.eval()
        yield
    finally:
        for module, mode in modes:
            module.training = mode


@torch.no_grad()
def keeps_contract(G, D, data, noise):
    """Raise ValueError where G or D does not keep its contract for `noise (2, latent_dim)` and the images of `data`."""
    with evaluating(G, D):
        for layer in (*G.modules(), *D.modules()):
            if isinstance(layer, nn.modules.dropout._DropoutNd):
                raise ValueError(f"a net holds nn.{layer}, whose masks no seed of the run decides; "
                                 f"use ganlib.nets.Dropout(p={layer.p})")  # fmt: skip
        labels = None if data.labels is None else data.labels[:2]
        fakes, expected = _answer("G", G, noise, labels), (2, *data.shape)
        if tuple(fakes.shape) != expected:
            raise ValueError(f"G returned {tuple(fakes.shape)} for 2 noise vectors; {expected}, the shape of "
                             f"2 images of {data.name!r}, is expected: end with unflatten(1, {data.shape}), "
                             "or build G for that size")  # fmt: skip
        logits = _answer("D", D, fakes, labels)
        if tuple(logits.shape) != (2,):
            raise ValueError(f"D returned {tuple(logits.shape)} for 2 images; one logit per image, (2,), is "
                             "expected: end with flatten(0)")  # fmt: skip


def _answer(name, net, x, labels):
    try:
        return net(x, labels)
    except (TypeError, RuntimeError) as error:
        raise ValueError(f"{name} cannot be run on {tuple(x.shape)} ({error}); it is called as {name}(x, labels), so "
                         "forward(self, x, labels=None) that takes this shape is expected") from error  # fmt: skip
