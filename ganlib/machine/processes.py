"""Several processes, one run: what torch.distributed is asked for. In a single process nothing happens here."""

import torch
from torch import distributed


def wait():
    """Go on once all processes have come this far."""
    if _many():
        distributed.barrier()


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
