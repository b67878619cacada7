"""Call nets that others wrote, unchanged: `ask` and `logits_of` call a net as it expects, `drawing`
seeds what it draws at random, `copied` copies it. What the first calls show is kept in a `Way`.
"""

import copy
import inspect
import random
import sys
from contextlib import contextmanager, nullcontext
from weakref import WeakKeyDictionary

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

SIGMOIDS = {torch.sigmoid, torch.Tensor.sigmoid, torch.special.expit}
_ways = WeakKeyDictionary()  # not attributes of the nets: those belong to who wrote them


class Way:
    """How a net has to be called, and how it behaves. None: not known yet."""

    def __init__(self, net):
        self.labels = _takes_labels(plain(net))
        self.column = None  # whether noise goes in as (N, latent_dim, 1, 1)
        self.sigmoid = None  # whether its last operation is a sigmoid
        self.draws = None  # the global generators that it draws from as it trains
        self.together = None  # whether its verdict on an image depends on the others


def way_of(net):
    """Return the `Way` of a net, the same at each call."""
    if net not in _ways:
        _ways[net] = Way(net)
    return _ways[net]


def plain(net):
    """Return the net within the wrapper of `torch.compile`."""
    return getattr(net, "_orig_mod", net)


def ask(net, x, labels=None, **more):
    """Return `net(x, labels)`, or `net(x)` where `forward` takes no labels. Noise `(N, latent_dim)`
    goes in as `(N, latent_dim, 1, 1)` where the net takes only that.
    """
    way = way_of(net)
    if x.ndim == 2 and way.column is None:
        try:
            out, way.column = _call(net, way, x, labels, more), False
        except Exception as error:
            try:
                out, way.column = _call(net, way, x[..., None, None], labels, more), True
            except Exception:
                raise error from None
        return out
    return _call(net, way, x[..., None, None] if way.column and x.ndim == 2 else x, labels, more)


def logits_of(net, images, labels=None, **more):
    """Return D's logits: `(N,)` where it gives one number for each image, in whatever shape.

    Where its last operation is a sigmoid, the logits are what went into that.
    """
    way = way_of(net)
    if way.sigmoid is False:
        out = ask(net, images, labels, **more)
    else:
        with _Sigmoids() as last:
            out = ask(plain(net), images, labels, **more)
    logits, others = (out[0], out[1:]) if more and isinstance(out, tuple) else (out, ())
    if not isinstance(logits, torch.Tensor):
        return out
    if way.sigmoid is not False:
        way.sigmoid = last.output is not None and last.output is _base(logits)
        logits = last.input.reshape(logits.shape) if way.sigmoid else logits
    if logits.ndim != 1 and logits.numel() == len(images):
        logits = logits.reshape(len(images))
    return (logits, *others) if others else logits


class _Sigmoids(TorchFunctionMode):
    """Notes what went into the last sigmoid, and what came out."""

    input = output = None

    def __torch_function__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        if function in SIGMOIDS:
            self.input, self.output = args[0] if args else kwargs["input"], _base(out)
        return out


def _base(tensor):
    return tensor if tensor._base is None else tensor._base


def _takes_labels(net):
    """Whether the second argument of `forward` is for labels: it has no default, or None."""
    while isinstance(net, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        net = net.module
    if schema := getattr(net.forward, "schema", None):  # of TorchScript: self, x, labels
        return len(schema.arguments) > 2
    names = [x for x in inspect.signature(net.forward).parameters.values() if x.kind < 3]
    second = (names if names and names[0].kind == 2 else names[1:])[:1]  # 2: *args
    return any(x.kind == 2 or x.default in (x.empty, None) for x in second)


def _call(net, way, x, labels, more):
    try:
        return net(x, *((labels,) if way.labels else ()), **more)
    except TypeError as error:
        if labels is not None or not way.labels:
            raise
        raise ValueError(
            f"{type(plain(net)).__name__} was called without labels ({error}); if it needs them, "
            "give it an attribute `classes`, their number, and data that have labels"
        ) from error
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise ValueError(
            f"{type(plain(net)).__name__} has batch normalisation, which takes 2 images or more, "
            f"and was given {len(x)}: use a larger batch_size"
        ) from error


def drawing(net, draws):
    """Return a context in which the seed of `draws`, a `torch.Generator`, decides what the net
    draws from global generators; a context without effect if it is known to draw nothing.
    """
    way = way_of(net)
    if not net.training:
        return global_draws(draws)
    return nullcontext() if way.draws == set() else _drawing(way, draws)


@contextmanager
def _drawing(way, draws):
    with global_draws(draws, way.draws) as drawn:
        yield
        if way.draws is None:
            way.draws = drawn()


@contextmanager
def global_draws(draws, which=None):
    """A context in which the global generators (torch's on the CPU and on the device of `draws`,
    Python's and NumPy's) have the seed of `draws`; their states are restored afterwards. Yields a
    function that returns which were used: a set of "torch", "python", "numpy".

    `which`, such a set, leaves the other two of Python and NumPy alone, which saves 0.2 ms.
    """
    numpy, device = sys.modules.get("numpy"), draws.device
    recorded = device.type == "cuda" and torch.cuda.is_current_stream_capturing()
    seed = 0 if recorded else draws.initial_seed()  # which a CUDA graph sets at each replay
    ours = [(torch.get_rng_state, torch.default_generator.manual_seed, torch.set_rng_state)]
    if which is None or "python" in which:
        ours.append((random.getstate, random.seed, random.setstate))
    if numpy and (which is None or "numpy" in which):
        start = lambda seed: numpy.random.seed(seed % 2**32)  # noqa: E731
        ours.append((numpy.random.get_state, start, numpy.random.set_state))
    if device.type == "cuda":  # its seed cannot change while a graph is captured, its state can
        card = torch.cuda.default_generators[device.index or 0]
        swap = card.graphsafe_set_state
        ours.append((card.graphsafe_get_state, lambda seed: swap(draws), swap))
    elif device.type != "cpu":
        module = torch.get_device_module(device)
        ours.append((module.get_rng_state, module.manual_seed, module.set_rng_state))

    def drawn():
        used = {"python"} if random.Random(seed).random() != random.random() else set()
        if numpy and numpy.random.RandomState(seed % 2**32).rand() != numpy.random.rand():
            used.add("numpy")
        for place in {torch.device("cpu"), device}:
            draws = torch.Generator(place).manual_seed(seed)
            first, next_ = (torch.rand(1, generator=x, device=place) for x in (draws, None))
            if not torch.equal(first, next_):
                used.add("torch")
        return used

    kept = [read() for read, _, _ in ours]
    try:
        for _, start, _ in ours:
            start(seed)
        yield drawn
    finally:
        for (_, _, write), state in zip(ours, kept, strict=True):
            write(state)


def copied(net):
    """Return a deep copy of a net; what its hooks and calls keep in attributes has no graph there.

    (torch copies no tensor with a graph, such as the weight that `weight_norm` computes.)
    """
    net = plain(net)
    if any(map(is_lazy, net.parameters())):
        raise ValueError(
            f"{type(net).__name__} has lazy layers: run it once before, or give it to GAN itself"
        )
    kept = (x for module in net.modules() for x in vars(module).values())
    memo = {
        id(x): x.detach().clone()
        for x in kept
        if isinstance(x, torch.Tensor) and x.grad_fn is not None
    }
    try:
        return copy.deepcopy(net, memo)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"{type(net).__name__} cannot be copied ({error}), and an average of its weights is a "
            "copy: use ema=None, or keep nothing in its attributes that cannot be copied"
        ) from error
