"""Checks that `train` makes when it is called: gradients are on; settings and data are those of the
run so far. `fingerprint` identifies a data set.
"""

import hashlib

import torch

from ..machine import processes
from ..machine.progress import say

READ = 2**23  # bytes of a set's pixels, and of its labels, that its fingerprint reads at most
# may differ: where the data are, what `alike` compares, and plans that schedules imply
AROUND = ("loaded", "brightness", "plan")
OWN = ("step", "images", "finite")  # figures of a row that no step returns
IDENTITY = ("pixels", "labels")  # which data they are; older checkpoints do not say it
AGAIN = (
    "use the same, or start anew in another folder or with fresh=True (in the notebooks: FRESH = "
    "True)"
)


def with_gradients(run=None):
    """Raise ValueError if gradients are off (`torch.no_grad`), or a net of `run` was built while
    they were, so that it can have none.
    """
    players = [
        player for gan in (run.gans if run else {}).values() for player in gan.players.items()
    ]
    for name, player in players:
        if any(weight.is_inference() for weight in player.net.parameters()):
            raise ValueError(
                f"{name} was built under torch.inference_mode, and its weights can have no "
                "gradients; build it outside of it"
            )
        for of, buffer in player.net.named_buffers():
            if any(n > 1 and by == 0 for n, by in zip(buffer.shape, _strides(buffer), strict=True)):
                raise ValueError(
                    f"the buffer {of} of {name} repeats its numbers, as `expand` does, and cannot "
                    "be saved and loaded so; register .expand(...).clone()"
                )
    if players and all(x.is_meta for _, player in players for x in player.net.parameters()):
        raise ValueError(
            "the nets are on the device meta, where weights have no numbers; build them elsewhere"
        )
    if not torch.is_grad_enabled():
        mode = "inference_mode" if torch.is_inference_mode_enabled() else "no_grad"
        raise ValueError(
            f"training needs gradients, and they are switched off (torch.{mode}, or "
            "torch.set_grad_enabled(False) in an earlier cell); train outside of it, or call "
            "torch.set_grad_enabled(True) before"
        )


def _strides(tensor):
    return tensor.stride() if tensor.layout == torch.strided else (1,) * tensor.ndim


def figures(stats):
    """Return the figures of a step. Raises ValueError unless they are a dict of single numbers."""
    if not isinstance(stats, dict):
        raise ValueError(
            f"the step returned {type(stats).__name__}; a dict of 0-d tensors is expected"
        )
    for name, value in stats.items():
        if name in OWN:
            raise ValueError(f"the step returned {name!r}, which ganlib counts itself; rename it")
        shape = tuple(getattr(value, "shape", ()))
        if shape or not hasattr(value, "__float__") or getattr(value, "is_complex", bool)():
            what = f"a tensor {shape}" if shape else f"a {type(value).__name__}"
            raise ValueError(
                f"the step returned {what} as {name!r}; a single number, a 0-d tensor, is expected"
            )
    return stats


def same(then, now):
    """Raise ValueError if settings or data `now` differ from those that a run began with, `then`.

    The place of the data may differ; so may the lowest bits of their pixels, as two releases of a
    decoder do: then a line is printed.
    """
    if changed := other(then, now):
        before, after = (
            ", ".join(f"{name} = {what.get(name)}" for name in changed) for what in (then, now)
        )
        content = (
            " (other images, in another order or fitted in another way, or other labels, under the "
            "same name)"
        ) * all(last(name) in IDENTITY for name in changed)
        size = _shared(then["batch_size"]) if {"batch_size"} <= then.keys() & {*changed} else ""
        raise ValueError(
            f"this run was trained with {before}, and is given {after} now{content}; {size}{AGAIN}"
        )


def _shared(size):
    """Return the beginning of a sentence: how many of `size` images each process takes."""
    world = processes.place()[1]
    if size % world == 0:
        each = f"give {size // world} to each (--batch-size {size // world}, or leave it out)"
    else:
        fits = ", ".join(str(n) for n in range(1, min(size, 64) + 1) if size % n == 0)
        each = f"{world} processes cannot share {size} images evenly: start one of {fits}"
    alone = "batch_size counts the images of all processes" if world == 1 else each
    return f"{alone}; " if world == 1 else f"batch_size counts those of all processes: {each}; "


def other(then, now):
    """Return the names of the settings that differ between `then` and `now`.

    The place of the data is left out, and so are the pixels if nothing else differs and they differ
    by no more than two releases of a decoder: then a line is printed.
    """
    changed = [
        name
        for name in dict.fromkeys([*now, *then])
        if last(name) not in AROUND
        and now.get(name) != then.get(name)
        and (last(name) not in IDENTITY or (name in now and name in then))
    ]
    return [] if changed and _decoded_anew(changed, then, now) else changed


def _decoded_anew(changed, then, now):
    """Whether pixels alone differ, by no more than decoders do; a line says so."""
    for name in changed:
        key = f"{name.removesuffix('pixels')}brightness"
        if last(name) != "pixels" or not (key in then and key in now):
            return False
        if not alike(then[key], now[key]):
            return False
    say(
        "the images are not to the last bit those that this run began with (read by another "
        "release of a decoder?), but look the same: it goes on"
    )
    return True


def last(name):
    """Return the last part of a setting's name: "loaded" of "there.loaded"."""
    return name.rpartition(".")[2]


def fingerprint(data):
    """Return a dict of texts that identify a data set.

    `pixels` is a SHA-256 of the shape, the type and the pixels; `labels` one of labels and class
    names; `brightness` the mean brightness, 0 to 255, of four parts of 16 images, as hexadecimal
    numbers. Of a large set 8 MB of rows are read, evenly spread. An attribute `fingerprint`
    of the data set, a text, is `pixels`; a set without it and without uint8 `images` has none.
    """
    if sets := getattr(data, "sets", None):
        each = {name: fingerprint(one) for name, one in sets.items()}
        return {f"{name}.{key}": value for name, one in each.items() for key, value in one.items()}
    if isinstance(mark := getattr(data, "fingerprint", None), str):
        return {"pixels": mark}
    images, labels = getattr(data, "images", None), getattr(data, "labels", None)
    if not isinstance(images, torch.Tensor) or images.dtype != torch.uint8:
        return {}
    few = (
        images[_spread(len(images), 16).to(images.device)].cpu().flatten(1, -3).double().mean(1)
    )  # without colours
    parts = torch.nn.functional.adaptive_avg_pool2d(few, 2).round().byte()
    names = repr((*map(str, data.classes),))
    return {
        "pixels": _digest(images),
        "labels": _digest(labels, names),
        "brightness": parts.numpy().tobytes().hex(),
    }


def alike(a, b):
    """Whether two texts `brightness` of `fingerprint` differ by 1 at most in each number, as the
    same files do that two releases of a decoder have read.
    """
    a, b = bytes.fromhex(a), bytes.fromhex(b)
    return len(a) == len(b) and all(abs(x - y) <= 1 for x, y in zip(a, b, strict=True))


def _digest(rows, about=""):
    """Return the SHA-256 of a tensor's shape and type, and of READ bytes of its rows, at most."""
    digest = hashlib.sha256(about.encode())
    if rows is not None:
        count = max(64, READ * len(rows) // max(1, rows.nbytes))
        digest.update(f"{tuple(rows.shape)} {rows.dtype}".encode())
        rows = rows if count >= len(rows) else rows[_spread(len(rows), count).to(rows.device)]
        digest.update(rows.cpu().contiguous().view(torch.uint8).numpy())
    return f"sha256:{digest.hexdigest()[:16]}"


def _spread(n, count):
    """Return `count` of the places 0 to n - 1, at even distances."""
    count = min(n, count)
    return torch.arange(count) * n // count


def read(run, data, k, size):
    """Return the batches of the run's next step. An error is marked `between_steps`: the run is
    whole, and can be saved.
    """
    try:
        return data.batches(run.seed, run.step, k, size, run.dtype).to(run.device)
    except Exception as error:
        error.between_steps = True
        raise
