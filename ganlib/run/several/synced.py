"""Synchronised batch normalisation: during a step, statistics are those of the images of all
processes of a run.
"""

from contextlib import contextmanager

import torch
from torch import distributed
from torch.nn.modules.batchnorm import _BatchNorm


class Mean(torch.autograd.Function):
    """The mean of a tensor over the processes; backwards, the mean of its gradients."""

    @staticmethod
    def forward(ctx, x):
        mean = x.detach().clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(mean)
        return mean / distributed.get_world_size()

    @staticmethod
    def backward(ctx, gradient):
        return Mean.apply(gradient)


@contextmanager
def synced(run):
    """A context in which each batch normalisation of the run's nets, in training mode, takes its
    statistics over the images of all processes. These must have equally many images, and enter it
    together. It costs two messages a layer and pass, and two more backwards.

    Mean and variance have gradients, of any order, through all processes: after gradients are
    averaged, they are those of one process with the whole batch (Ioffe & Szegedy 2015).
    """
    norms = {
        module: None
        for gan in run.gans.values()
        for player in gan.players.values()
        for module in player.net.modules()
        if isinstance(module, _BatchNorm)
    }
    try:
        for norm in norms:
            norm.forward = lambda x, norm=norm: normalised(norm, x)
        yield
    finally:
        for norm in norms:
            norm.__dict__.pop("forward", None)


def normalised(norm, x):
    """Return images, or features, `x (N, C, ...)` normalised as `norm` says."""
    if not norm.training:
        return type(norm).forward(norm, x)
    dims = [dim for dim in range(x.ndim) if dim != 1]
    shape = [1, -1] + [1] * (x.ndim - 2)
    wide = x.to(torch.float32) if x.dtype in (torch.float16, torch.bfloat16) else x
    mean = Mean.apply(wide.mean(dims))
    apart = wide - mean.view(shape)
    variance = Mean.apply(apart.square().mean(dims))
    if norm.track_running_stats:
        n = x.numel() // x.shape[1] * distributed.get_world_size()
        follow(norm, mean.detach(), variance.detach() * (n / max(1, n - 1)))
    apart = apart * torch.rsqrt(variance + norm.eps).view(shape)
    if norm.affine:
        apart = apart * norm.weight.view(shape) + norm.bias.view(shape)
    return apart.to(x.dtype)


@torch.no_grad()
def follow(norm, mean, variance):
    """Update the running statistics of `norm` by those of a batch, as torch does."""
    norm.num_batches_tracked += 1
    share = norm.momentum
    if share is None:  # the plain mean over all batches
        share = 1 / norm.num_batches_tracked.to(mean.dtype)
    for running, now in ((norm.running_mean, mean), (norm.running_var, variance)):
        running += share * (now - running)
