"""Try G and D before they train: whether they keep their contract, in which memory format they run,
and whether D judges each image by itself.

`G(z, labels=None)` maps what its source draws to images; `D(images, labels=None)` maps images to
one logit each, or to a logit for each place where the game allows it. Labels are any tensor whose
first size is the number of images; a net that takes none is called without.
"""

from contextlib import contextmanager, suppress
from functools import partial

import torch
from torch.nn.parameter import is_lazy

from .foreign import ask, global_draws, logits_of, plain, way_of
from .known import ours

HALF = (torch.float16, torch.bfloat16)


def wake(G, D, source):
    """Run nets with lazy layers once on two draws of `source`, so that these get their weights."""
    if not any(is_lazy(weight) for net in (G, D) for weight in net.parameters()):
        return
    like = next(G.parameters())
    x = source.draw(2, torch.Generator(like.device).manual_seed(0), like)
    classes = getattr(G, "classes", None)
    labels = torch.zeros(2, dtype=torch.int64, device=like.device) if classes else None
    modes = [(module, module.training) for net in (G, D) for module in net.modules()]
    try:
        with torch.no_grad():
            _answer("D", D.eval(), _answer("G", G.eval(), x, labels), labels)
    finally:
        for module, mode in modes:
            module.training = mode


@torch.no_grad()
def keeps_contract(G, D, data, source, labels, places, evaluating):
    """Raise ValueError where G or D does not keep its contract for the images of `data`.

    `source (2, ...)` is what G is fed, `labels (2, ...)` what both nets are given, or None.
    `places` allows D a logit for each place, `(2, ...)`; `evaluating` is a context that puts the
    nets into evaluation mode.
    """
    kinds = [
        {(weight.dtype, weight.device) for weight in net.parameters() if weight.requires_grad}
        for net in (G, D)
    ]
    for name, net, of_net in zip("GD", (G, D), kinds, strict=True):
        if not of_net:
            raise ValueError(f"no weight of {name} can learn: {_frozen(net)}")
        if half := [dtype for dtype, _ in of_net if dtype in HALF]:
            raise ValueError(
                f"{name} has weights of {half[0]}, too coarse for an optimizer's small steps; use "
                f'{name}.to(torch.float32), and GAN(..., precision="bf16") for speed'
            )
    if shared := {*map(id, G.parameters())} & {*map(id, D.parameters())}:
        raise ValueError(
            f"G and D share {len(shared)} weights, which both optimizers would move: copy them"
        )
    if len(kinds[0] | kinds[1]) > 1:
        said = (
            f"{name} of {' and '.join(sorted(f'{dtype} on {device}' for dtype, device in of_net))}"
            for name, of_net in zip("GD", kinds, strict=True)
        )
        raise ValueError(
            f"the weights are {', '.join(said)}; one type on one device is expected: "
            "gan.to(device, dtype) moves both nets"
        )
    for net in (G, D):  # seen anew in each run: it may begin to draw later
        way_of(net).draws = None
    with evaluating:
        _answers(G, D, data, source, labels, places)


def _answers(G, D, data, source, labels, places):
    """Raise ValueError unless G returns images of the data's shape, and D their logits."""
    fakes, expected = _answer("G", G, source, labels), (2, *data.shape)
    if tuple(fakes.shape) != expected:
        what = "noise vectors" if source.ndim == 2 else f"inputs of {tuple(source.shape[1:])}"
        raise ValueError(
            f"G returned {tuple(fakes.shape)} for 2 {what}; {expected}, the shape of "
            f"2 images of {data.name!r}, is expected: end with unflatten(1, {data.shape}), "
            "or build G for that size"
        )
    own = next(G.parameters()).dtype
    if not fakes.is_floating_point() or fakes.dtype.itemsize > own.itemsize:
        raise ValueError(
            f"G returned {fakes.dtype}, and its weights are {own}; images of the weights' type are "
            f"expected: end with .to({own})"
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


def _frozen(net):
    """Return the end of a sentence: what to do about a net without weights that learn."""
    if count := len(list(net.parameters())):
        return f"all {count} are frozen; requires_grad_(True) lets them"
    return "it has none"


def _answer(name, net, x, labels):
    what = "images" if name == "G" else "logits"
    try:
        out = (ask if name == "G" else logits_of)(net, x, labels)
    except (TypeError, RuntimeError, IndexError, ValueError) as error:
        asked = labels is not None and way_of(net).labels
        with_labels = f" and labels {tuple(labels.shape)}" if asked else ""
        raise ValueError(
            f"{name} cannot be run on {tuple(x.shape)}{with_labels} ({error}); it is called as "
            f"{name}(x, labels), or {name}(x) if forward takes no more: a net that takes this "
            "shape is expected"
        ) from error
    if isinstance(out, torch.Tensor):
        return out
    of = f" of {', '.join(map(str, out))}" if isinstance(out, dict) else ""
    of = f" of {len(out)}" if isinstance(out, (tuple, list)) else of
    raise ValueError(
        f"{name} returned a {type(out).__name__}{of}; a tensor of {what} alone is expected: let "
        f"forward return the {what}, or wrap the net in one whose forward does"
    )


def look_over(gan, shape, labels, draws):
    """Try each net of `gan` once on two inputs, D on images of `shape`, and leave it as it was, but
    for its memory format.

    Convolutions of images are faster with channels last in memory: it is used where the net gives
    the same then. `draws()` is a `torch.Generator` in its first state. Where D judges images
    together, the GAN judges reals and fakes apart from then on.
    """
    for name, player in gan.players.items():
        net, way = player.net, way_of(player.net)
        if way.together is not None:
            continue
        if name == "D":
            x = torch.rand(2, *shape, generator=draws(), device=gan.device).to(gan.dtype) * 2 - 1
        else:
            x = gan.noise(2)
        pair = None if labels is None else labels[[0, 0]]

        with _untouched(net) as begin:

            def run(x, name=name, net=net, pair=pair, begin=begin):
                begin()
                with global_draws(draws()):
                    return _answer(name, plain(net), x, pair)

            first = run(x)
            _learns(name, run, x)
            kernels = {weight.ndim for weight in net.parameters() if weight.ndim > 3}
            last = kernels == {4} and _same(first, _channels_last(net, partial(run, x)), 1e-2)
            way.together = False
            if name == "D":
                with _no_zeros(net):
                    way.together = not _same(run(x)[:1], run(x[[0, 0]])[:1], 1e-4)
            for text in _doubts(name, way, run, x, first):
                _tell(text)
        for each in player.nets() if last else ():
            each.to(memory_format=torch.channels_last)
    gan.one_pass = gan.one_pass and not way_of(gan.D).together


@torch.no_grad()
def _doubts(name, way, run, x, first):
    """Yield remarks on a net that can train, but perhaps not as it is meant."""
    low, high = first.min(), first.max()
    if name == "G" and first.ndim > 2 and low >= 0:
        yield (
            "G drew no value below 0, and images lie in [-1, 1]: if it ends in a sigmoid, it can "
            "draw nothing dark; end it with tanh"
        )
    if name == "D" and way.sigmoid:
        yield (
            "D ends in a sigmoid: the losses take its logits, from before the sigmoid, which is "
            "stable; D itself stays as it is"
        )
    elif name == "D" and low >= 0 and high <= 1:
        far = run(100 * x)
        if far.min() >= 0 and far.max() <= 1:
            yield (
                "D returned numbers from 0 to 1 whatever it saw: if these are probabilities, let "
                "it return the logits from before, which the losses take"
            )


def training_mode(gan):
    """Put both nets into training mode; a line says which one was not."""
    for name, player in gan.players.items():
        if not player.net.training and player.net.train().training:  # a net may refuse
            _tell(f"{name} was in evaluation mode; it trains in training mode")


def thaw(net):
    """Let the weights of what `load_generator` returned learn; raise ValueError for other nets."""
    if not (ours(net) and hasattr(net, "config")):
        raise ValueError(f"no weight of {type(net).__name__} can learn: {_frozen(net)}")
    net.requires_grad_(True)
    _tell("the generator was loaded with frozen weights; they learn from here on")


def _tell(line):
    """Print a line of ASCII, if anybody reads it: a run does not end because nobody does."""
    with suppress(AttributeError, OSError, ValueError):
        print(line, flush=True)


def _channels_last(net, run):
    """Return `run()` with the weights in this memory format, None if it, or its gradient, fails;
    the weights have their own format again then.
    """
    weights = [(weight, weight.data) for weight in (*net.parameters(), *net.buffers())]
    learn = [weight for weight, _ in weights if weight.requires_grad]
    try:
        net.to(memory_format=torch.channels_last)
        with torch.enable_grad():
            out = run()
            torch.autograd.grad(out.sum(), learn, allow_unused=True)
        return out.detach()
    except (RuntimeError, ValueError):  # a view of what lies otherwise in memory
        return None
    finally:
        for weight, data in weights:
            weight.data = data


def _learns(name, run, x):
    """Raise ValueError where no gradient reaches the weights of a net, or D's images."""
    inside = "detach(), no_grad, .data, numpy and comparisons cut it off; compute without them"
    run(given := x.clone())
    if name == "D" and not torch.equal(given, x):
        raise ValueError("D changes its images in place: let its first layer have inplace=False")
    with torch.enable_grad():
        leaf = x.clone().requires_grad_(x.is_floating_point())
        out = run(leaf * 1)
        reached = out.requires_grad
        if reached and name == "D":
            try:
                reached = torch.autograd.grad(out.sum(), leaf, allow_unused=True)[0] is not None
            except RuntimeError:  # of a layer's own: the first step says it
                return
            if not reached:
                raise ValueError(f"no gradient passes through D to its images: {inside}")
    if not reached:
        raise ValueError(f"no gradient passes from what {name} returned to its weights: {inside}")


def _same(a, b, share):
    """Whether two results differ by no more than rounding, a `share` of the largest value."""
    if b is None or a.shape != b.shape:
        return False
    return torch.allclose(a, b, rtol=0, atol=share * a.abs().max() + 1e-12, equal_nan=True)


@contextmanager
def _no_zeros(net):
    """A context in which weights that are all zero, which hide their inputs, have other values."""
    zeros = [weight for weight in net.parameters() if not weight.any()]
    for weight in zeros:
        inputs = weight[0].numel() if weight.ndim > 1 else 100
        weight.data = torch.full_like(weight, inputs**-0.5)
    try:
        yield
    finally:
        for weight in zeros:
            weight.data = torch.zeros_like(weight)


@contextmanager
def _untouched(net):
    """A context with the net in training mode; its modes and buffers are restored afterwards.
    Yields a function that restores the buffers at once: spectral norm, for one, changes them in
    each run.
    """
    modes = [(module, module.training) for module in net.modules()]
    buffers = [(buffer, buffer.clone()) for buffer in net.buffers()]

    def begin():
        for buffer, was in buffers:
            buffer.copy_(was)

    if not net.training:
        net.train()
    try:
        with torch.no_grad():
            yield begin
    finally:
        with torch.no_grad():
            begin()
        for module, mode in modes:
            module.training = mode
