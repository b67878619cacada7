"""One run in several processes, through torch.distributed; a single process is unaffected."""

import torch
from torch import distributed


def place():
    """Return (rank of this process, number of processes); (0, 1) for a single one."""
    return (distributed.get_rank(), distributed.get_world_size()) if many() else (0, 1)


@torch.no_grad()
def average(tensors):
    """Replace each tensor by its mean over the processes, with one message for all tensors."""
    if not many() or not tensors:
        return
    packed = torch.cat([tensor.flatten() for tensor in tensors])
    distributed.all_reduce(packed)
    packed /= distributed.get_world_size()
    for tensor, mean in zip(
        tensors, packed.split([tensor.numel() for tensor in tensors]), strict=True
    ):
        tensor.copy_(mean.view_as(tensor))


def agree(reason):
    """Return the `reason` of the first process that has one, so that all stop at the same step."""
    if not many():
        return reason
    reasons = [None] * distributed.get_world_size()  # clocks and signals differ between processes
    distributed.all_gather_object(reasons, reason)
    return next(filter(None, reasons), None)


def many():
    """Whether this run has several processes."""
    return (
        distributed.is_available()
        and distributed.is_initialized()
        and distributed.get_world_size() > 1
    )
