"""Start and end a run of several processes, which torchrun or the user has launched: `start` joins
the others, `wait` waits for them, `end` leaves them. With a single process they do nothing.
"""

import os
import sys
from contextlib import suppress

import torch
from torch import distributed

from . import processes
from .processes import many
from .progress import Tolerant
from .several import joining, watching


def start(device=None, options=None, wait=joining.WAIT):
    """Join the other processes of the run, if the environment names any; return this one's GPU, or
    `device`. From then on only the first process prints.

    They are started by torchrun, accelerate's launcher or by hand, with RANK, WORLD_SIZE,
    MASTER_ADDR and MASTER_PORT set. `options` are those of a command, which must be the same in all
    of them, as ganlib's files and torch's version must. Raises ConnectionError where the others do
    not come within `wait` seconds or the port is in use, and ValueError where the environment is
    incomplete, there are fewer GPUs than processes, or code or options differ.
    """
    place = None if distributed.is_initialized() else joining.from_environment()
    if place is None:
        return device
    cuda = torch.cuda.is_available() if device is None else str(device).startswith("cuda")
    if cuda:
        cards = torch.cuda.device_count()
        local = int(os.environ.get("LOCAL_RANK", place.rank % max(1, cards)))
        if local >= cards:
            raise ValueError(
                f"process {place.rank} of {place.world} is number {local} on this machine, which "
                f"has {cards} GPUs: start one for each (torchrun --nproc-per-node={cards}), or "
                "give --device cpu"
            )
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    joining.join(place, cuda, wait)
    if place.rank:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, for the rest of this process
    if place.world > 1:
        joining.compare(joining.code() | (joining.chosen(options) if options else {}))
    return device


def alone(command):
    """Raise ValueError if this is one of several processes: `command` works in one only."""
    place = joining.from_environment()
    if place is not None and place.world > 1:
        raise ValueError(
            f"process {place.rank} of {place.world} was started for {command}, which works in one "
            "process: give the command without torchrun (or unset RANK and WORLD_SIZE); only train "
            "shares its work with others"
        )


def wait():
    """Wait until each process of the run has called this."""
    processes.agree(None)


@torch.no_grad()
def share(tensors):
    """Overwrite `tensors` in all processes by those of the first."""
    if many():
        for tensor in tensors:
            copy = tensor.contiguous()
            distributed.broadcast(copy, 0)
            tensor.copy_(copy)


def end(status=0):
    """Leave the other processes, if there are any, and end this one at once with an exit status.

    A normal exit is avoided because gloo's threads then aborted about one run in ten (torch 2.15).
    Without other processes nothing happens.
    """
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
        quit_at_once(status)


def failed(error):
    """Print the error that ends this process of several, and end it at once with exit status 1, so
    that the others notice. Without other processes nothing happens.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return
    said = error
    if watching.broken(error) and not isinstance(error, watching.Lost):
        said = (
            "another process of this run has ended, and says why in a line of its own; nothing "
            f"was trained since. ({str(error).splitlines()[0][:160]})"
        )
    rank, world = processes.place()
    stream = Tolerant(sys.stderr)
    stream.write(f"error: {said} [process {rank} of {world}]\n")
    stream.flush()
    quit_at_once(1)


def quit_at_once(status):
    """End this process with an exit status at once, without telling the others."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(status)
