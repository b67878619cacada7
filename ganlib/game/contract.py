"""The contract of G and D: how they are called and what they return, tried on two images before a
run.

`G(z, labels=None)` maps what its source draws to images; `D(images, labels=None)` maps images to
one logit each, or to a logit for each place where the game allows it. Labels are any tensor whose
first size is the number of images.
"""

from contextlib import contextmanager

import torch
from torch import nn

from ..machine.randomness import some_of


@contextmanager
def evaluating(*nets):
    """Put the nets into evaluation mode for a while; each module's own mode comes back after it."""
    modes = [(module, module.training) for net in nets for module in net.modules()]
    try:
        for net in nets:
            net.eval()
        yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def frozen(*nets):
    """Switch off the gradients of the nets' weights for a while; frozen weights stay frozen."""
    weights = [weight for net in nets for weight in net.parameters() if weight.requires_grad]
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)


@torch.no_grad()
def keeps_contract(G, D, data, source, labels, places=False):
    """Raise ValueError where G or D does not keep its contract for the images of `data`.

    `source (2, ...)` is what G is fed, `labels (2, ...)` what both nets are given, or None.
    `places` allows D a logit for each place, `(2, ...)`.
    """
    with evaluating(G, D):
        for layer in (*G.modules(), *D.modules()):
            if isinstance(layer, nn.modules.dropout._DropoutNd):
                raise ValueError(
                    f"a net holds nn.{layer}, whose masks no seed of the run decides; "
                    f"use ganlib.nets.Dropout(p={layer.p})"
                )
        fakes, expected = _answer("G", G, source, labels), (2, *data.shape)
        if tuple(fakes.shape) != expected:
            what = "noise vectors" if source.ndim == 2 else f"inputs of {tuple(source.shape[1:])}"
            raise ValueError(
                f"G returned {tuple(fakes.shape)} for 2 {what}; {expected}, the shape of "
                f"2 images of {data.name!r}, is expected: end with unflatten(1, {data.shape}), "
                "or build G for that size"
            )
        logits = _answer("D", D, fakes, labels)
        if places and logits.ndim > 1 and len(logits) == 2:
            return
        if tuple(logits.shape) != (2,):
            hint = "" if places else " (a D that judges places is for a game with places=True)"
            raise ValueError(
                f"D returned {tuple(logits.shape)} for 2 images; one logit per image, (2,), is "
                f"expected: end with flatten(0){hint * (logits.ndim > 2)}"
            )


def _answer(name, net, x, labels):
    try:
        return net(x, labels)
    except (TypeError, RuntimeError, IndexError) as error:
        with_labels = "" if labels is None else f" and labels {tuple(labels.shape)}"
        raise ValueError(
            f"{name} cannot be run on {tuple(x.shape)}{with_labels} ({error}); it is called as "
            f"{name}(x, labels), so forward(self, x, labels=None) that takes this shape is expected"
        ) from error


def labels_of(data, G, D):
    """Return (the number of images of each class, 64 of the labels), each None where G cannot use
    it.

    The counts are for a G with `classes`, the labels for a G that takes others, words for example.
    Raises ValueError where a net is conditional on classes and the labels are missing or out of
    range.
    """
    labels = data.labels
    of_G, of_D = getattr(G, "classes", 0), getattr(D, "settings", {}).get("classes", 0)
    if labels is None:
        has, most = "none", 0
    elif labels.ndim > 1:
        has, most = f"{tuple(labels.shape)}", 0
    else:
        has, most = f"{labels.min()} to {labels.max()}", 0 if labels.min() < 0 else labels.max() + 1
    for player, classes in (("G", of_G), ("D", of_D)):
        if classes and not 0 < most <= classes:
            raise ValueError(
                f"{player} is conditional on {classes} classes, labels from 0 to {classes - 1} are "
                f"expected, and {data.name!r} has {has}"
            )
    if classes := of_G:
        return torch.bincount(labels.cpu(), minlength=classes).tolist(), None
    if labels is None or (labels.ndim == 1 and hasattr(G, "classes")):
        return None, None
    return None, labels[some_of(len(data), 64).to(labels.device)].cpu()


def fitting(labels, n, G, device, examples=None):
    """Return the labels for `n` images of G: `labels` if they fit, one label for all, or a default.

    The default is each class in turn, int64 `(n,)`, for a G with `classes`; else each of `examples`
    in turn; else None. Raises ValueError for labels that do not fit.
    """
    classes = getattr(G, "classes", 0)
    if labels is None:
        if classes:
            return torch.arange(n, device=device) % classes
        return None if examples is None else examples[torch.arange(n) % len(examples)].to(device)
    if not classes and examples is None and hasattr(G, "settings"):
        raise ValueError("labels were given, and this G takes none; build it with classes=...")
    labels, top = torch.as_tensor(labels, device=device), classes or 2**63
    labels = labels.expand(n) if labels.ndim == 0 else labels
    if not classes and labels.ndim > 1 and len(labels) == n:
        return labels
    fits = labels.dtype == torch.int64 and labels.shape == (n,)
    if not fits or not 0 <= labels.min() <= labels.max() < top:
        raise ValueError(
            f"labels of {labels.dtype} {tuple(labels.shape)} from {labels.min()} to {labels.max()} "
            f"were given; int64 ({n},) from 0 to {top - 1} are expected"
        )
    return labels


def shared_out(counts, n, device):
    """Return `n` labels, each class as often as its share of `counts`; None without counts."""
    if not counts:
        return None
    shares = torch.tensor(counts).double().cumsum(0)
    return torch.searchsorted(shares / shares[-1], (torch.arange(n).double() + 0.5) / n).to(device)
