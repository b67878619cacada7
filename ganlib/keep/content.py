"""The content of a checkpoint: the state of a run as tensors and plain values, and the settings
that a run which resumes it must share. Values that cannot be kept raise ValueError.
"""

import platform
import uuid
from importlib import import_module

import torch

from ..machine import processes
from ..machine.device import choice
from ..machine.values import text
from ..nets.rebuild import settings
from .plain import plain

FORMAT = 4
FIGURES = "seed", "history", "trained_on"  # here a 0-d tensor is stored as a number
SINCE = ("optimizers",)  # settings that older checkpoints do not have


def content_of(gan):
    """Return all that a checkpoint of the run `gan` holds, as tensors and plain values. Raises
    ValueError for a value that is neither, with its place and type, and for no run.
    """
    if not hasattr(gan, "gans"):
        raise ValueError(f"{gan!r:.200} was given as the run; a ganlib.GAN or a Run is expected")
    if not getattr(gan, "run_id", None):
        gan.run_id = uuid.uuid4().hex
    try:
        return {
            "format": FORMAT,
            "run": gan.run_id,
            "config": config_of(gan),
            "machine": machine_of(gan),
            "state": _plain_state(gan.state_dict(), "gan"),
        }
    except RecursionError:
        raise ValueError("a value of this run holds itself, which no file can") from None


def _plain_state(state, name):
    """Return a run's state with plain values only."""
    return {
        key: {of: _plain_state(x, f"{name}.{of}") for of, x in value.items()}
        if key == "gans"
        else plain(value, f"{name}.{key}", figures=key in FIGURES)
        for key, value in state.items()
    }


def not_finite(run):
    """Return the name of the first tensor not all finite, or None. Reads from the device once."""
    named = [
        (f"{name}.{part}.{key}".lstrip("."), x)
        for name, gan in run.gans.items()
        for part, net in (("G", gan.G), ("D", gan.D), ("G_ema", gan.G_ema))
        if net is not None
        for key, x in net.state_dict().items()
        if x.is_floating_point()
    ]
    finite = torch.stack([x.isfinite().all() for _, x in named]).tolist()
    return next((name for (name, _), good in zip(named, finite, strict=True) if not good), None)


def config_of(run):
    """Return the settings that a run and one that resumes it must share; nets of ganlib can be
    built again from them.
    """
    config = {}
    for name, gan in run.gans.items():
        config |= {f"{name}.{key}".lstrip("."): value for key, value in _of_one(gan).items()}
    return plain(config, "settings", figures=True)


def _of_one(gan):
    """Return the settings of one GAN of the run."""
    G, D = gan.players["G"], gan.players["D"]
    config = {"G": settings(G.net), "D": settings(D.net), "seed": gan.seed, "ema": text(G.ema)}
    lr, betas = ([_settings(player)[name] for player in (G, D)] for name in ("lr", "betas"))
    # one value if both players have the same
    config |= {
        "lr": lr[0] if lr[0] == lr[1] else lr,
        "betas": betas[0] if betas[0] == betas[1] else betas,
    }
    config |= {
        f"optimizer_{which}": text(player.builder)
        for which, player in (("G", G), ("D", D))
        if player.builder
    }
    config["optimizers"] = [type(player.optimizer).__name__ for player in (G, D)]
    return config | ({"source": gan.source.name} if gan.source.name else {})


def _settings(player):
    return {"lr": text(player.lr), "betas": player.betas and [text(beta) for beta in player.betas]}


def machine_of(gan):
    """Return what decides the low bits of a run's numbers, and the versions that wrote it.

    `usual`: the threads on a quiet machine, where there are fewer now; see machine/threads.py.
    """
    threads, (usual, left) = torch.get_num_threads(), choice.usual
    return {
        "ganlib": import_module("ganlib").__version__,
        "python": platform.python_version(),
        "torch": torch.__version__.split("+")[0],
        "device": gan.device.type,
        "processes": processes.place()[1],
        "threads": threads,
        "precision": torch.get_float32_matmul_precision(),
    } | ({"usual": usual} if left == threads != usual else {})


def same_optimizers(run, state, place):
    """Raise ValueError where an optimizer cannot take the state that was saved of another."""
    for (name, gan), (_, saved) in zip(run.gans.items(), run.states(state), strict=True):
        for which, player in gan.players.items():
            ours, theirs = player.optimizer.param_groups, saved[f"opt_{which}"]["param_groups"]
            sizes = [[len(group["params"]) for group in groups] for groups in (ours, theirs)]
            if "betas" in ours[0] and "betas" not in theirs[0]:
                what = "has other settings than the saved one, which has no betas as Adam has"
            elif sizes[0] != sizes[1]:
                what = f"has groups of {sizes[0]} weights, the saved one of {sizes[1]}"
            else:
                continue
            kind = type(player.optimizer).__name__
            raise ValueError(
                f"the optimizer of {f'{name}.{which}'.lstrip('.')}, {kind}, cannot go on from the "
                f"run in {place}: it {what}; build it as it was, or start anew with fresh=True "
                "(FRESH = True)"
            )
