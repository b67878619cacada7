"""Several processes, one run: what torch.distributed is asked for. In a single process nothing happens here."""

import os
import sys

import torch
from torch import distributed


def start(device=None):
    """Join the processes that torchrun launched, if it did; returns this one's device, or what was asked for.

    All but the first of them stop talking.
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
    """Go on once all processes have come this far."""
    if _many():
        distributed.barrier()


def end(status=0):
    """Leave the other processes, if there are any, and end this one, its work done, with an exit status.

    Not by the interpreter's own way out: there gloo's threads aborted about one run in ten (torch 2.15).
    """
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def place():
    """(rank, number of processes)."""
    return (distributed.get_rank(), distributed.get_world_size()) if _many() else (0, 1)


@torch.no_grad()
def average(tensors):
    """Replace each tensor by its mean over the processes, in one message for all."""
    if not _many() or not tensors:
        return
    packed = torch.cat([tensor.flatten() for tensor in tensors])
    distributed.all_reduce(packed)
    packed /= distributed.get_world_size()
    for tensor, mean in zip(tensors, packed.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(mean.view_as(tensor))


@torch.no_grad()
def share(tensors):
    """Give each process the tensors of the first one."""
    if _many():
        for tensor in tensors:
            copy = tensor.contiguous()
            distributed.broadcast(copy, 0)
            tensor.copy_(copy)


def agree(reason):
    """The reason of the first process that has one: clocks and signals differ, and all have to stop at one step."""
    if not _many():
        return reason
    reasons = [None] * distributed.get_world_size()
    distributed.all_gather_object(reasons, reason)
    return next(filter(None, reasons), None)


def _many():
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
