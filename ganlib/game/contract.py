"""How nets are called: `G(z, labels=None)` maps what its source draws to images, `D(images,
labels=None)` images to logits; their mode, and the labels they get. `nets.trying` tests them.
"""

from contextlib import ExitStack, contextmanager
from functools import partial

import torch

from ..machine.randomness import generator, some_of
from ..nets.known import classes_of, drawing, foreign, length_of, ours


@contextmanager
def evaluating(*nets):
    """A context with the nets in evaluation mode; each module's own mode comes back after it.

    What they draw at random is the same each time.
    """
    modes = [(module, module.training) for net in nets for module in net.modules()]
    try:
        with ExitStack() as stack:
            for net in nets:
                device = next((weight.device for weight in net.parameters()), "cpu")
                draws = partial(generator, device, 0, 0, "evaluating")
                stack.enter_context(drawing(net.eval(), draws))
            yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def frozen(*nets):
    """A context without gradients for the nets' weights; weights frozen before stay frozen."""
    weights = [weight for net in nets for weight in net.parameters() if weight.requires_grad]
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)


def labels_of(data, G, D):
    """Return (the number of images of each class, 64 of the labels), each None where G cannot use
    it.

    The counts are for a G with `classes`, the labels for a G that takes others, words for example.
    Raises ValueError where a net is conditional on classes and the labels are missing or out of
    range.
    """
    labels = data.labels
    of_G, of_D = classes_of(G), classes_of(D)
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
    if not ours(G) and not foreign().way_of(G).labels:
        return None, None
    return None, labels[some_of(len(data), 64).to(labels.device)].cpu()


def fitting(labels, n, G, device, examples=None):
    """Return the labels for `n` images of G: `labels` if they fit, one label for all, or if None
    each class in turn, int64 `(n,)`, for a G with `classes`; else each of `examples` in turn; else
    None. Raises ValueError for labels that do not fit.
    """
    classes = classes_of(G)
    if labels is None:
        if classes:
            return torch.arange(n, device=device) % classes
        if examples is None and length_of(G):
            foreign("fed.words").sentences(None, G)
        return None if examples is None else examples[torch.arange(n) % len(examples)].to(device)
    takes = classes or length_of(G) or examples is not None
    if not takes and (ours(G) or not foreign().way_of(G).labels):
        raise ValueError("labels were given, and this G takes none; build it with classes=...")
    top = classes or 2**63 - 1
    expected = f"were given; int64 ({n},) from 0 to {top - 1} are expected"
    try:
        labels = torch.as_tensor(labels)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"labels={labels!r:.200} {expected}") from None
    if length_of(G):  # in words
        foreign("fed.words").sentences(labels, G)
    labels = (labels.expand(n) if labels.ndim == 0 else labels).to(device)
    if not classes and labels.ndim > 1:
        if len(labels) != n:
            raise ValueError(f"{len(labels)} labels were given for {n} images; give as many")
        return labels
    fits = labels.dtype == torch.int64 and labels.shape == (n,)
    if not fits or not 0 <= labels.min() <= labels.max() < top:
        given = f"{labels.dtype} {tuple(labels.shape)} from {labels.min()} to {labels.max()}"
        raise ValueError(f"labels of {given} {expected}")
    return labels


def shared_out(counts, n, device):
    """Return `n` labels, each class as often as its share of `counts`; None without counts."""
    if not counts:
        return None
    shares = torch.tensor(counts).double().cumsum(0)
    return torch.searchsorted(shares / shares[-1], (torch.arange(n).double() + 0.5) / n).to(device)
