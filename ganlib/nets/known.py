"""Call nets: those of this folder directly, those of others through `foreign.py`."""

import re
from contextlib import nullcontext
from functools import partial
from importlib import import_module
from weakref import WeakKeyDictionary

OURS = re.compile(
    rf"{__package__}\.|torch\.nn\.utils\.param|torch\.nn\.modules\."
    r"(batchnorm|container|conv|flatten|linear|sparse|activation\.(ReLU|LeakyReLU|Tanh))\b"
)
_ours = WeakKeyDictionary()


def ours(net):
    """Whether a net is one of `nets`, made of their layers; others are tried before a run."""
    if net not in _ours:
        names = [f"{type(x).__module__}.{type(x).__qualname__}" for x in net.modules()]
        _ours[net] = names[0].startswith(__package__) and all(map(OURS.match, names))
    return _ours[net]


def foreign(file="foreign"):
    """Return the module `nets.foreign` or `nets.trying`, loaded only for nets of others."""
    return import_module(f".{file}", __package__)


def ask(net, x, labels=None):
    """Return `net(x, labels)`; other nets are called in their own way."""
    return net(x, labels) if ours(net) else foreign().ask(net, x, labels)


def logits_of(net, images, labels=None, **read):
    """Return D's logits `(N,)`; with `read=True` also the answers of its second head."""
    return (net if ours(net) else partial(foreign().logits_of, net))(images, labels, **read)


def drawing(net, draws):
    """Return a context in which `draws()`, a Generator, decides what other nets draw at random."""
    return nullcontext() if ours(net) else foreign().drawing(net, draws())


def classes_of(net, named="classes"):
    """Return a net's number of classes; 0 without, or where that attribute is something else."""
    settings = getattr(net, "settings", None)
    classes = getattr(net, named, settings.get(named) if isinstance(settings, dict) else 0)
    return classes if type(classes) is int else 0


def length_of(net):
    """Return the most words of a sentence that a net takes as a label; 0 for other nets."""
    return net.length if ours(net) and hasattr(net, "sentence") else 0
