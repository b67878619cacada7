"""Join the processes that torchrun launched, and leave them at the end of a run."""

import os
import sys

import torch
from torch import distributed

from .processes import many


def start(device=None):
    """Join the processes that torchrun launched, if any; return this one's GPU, or `device`.

    From then on only the first process prints.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ or distributed.is_initialized():
        return device
    cuda = torch.cuda.is_available() if device is None else str(device).startswith("cuda")
    distributed.init_process_group("nccl" if cuda else "gloo")
    if distributed.get_rank():
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, for the rest of this process
    if not cuda:
        return device
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    torch.cuda.set_device(device)
    return device


def wait():
    """Wait until all processes have come this far."""
    if many():
        distributed.barrier()


@torch.no_grad()
def share(tensors):
    """Copy the tensors of the first process to the others."""
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
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
