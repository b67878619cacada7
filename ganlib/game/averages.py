"""An average of a net's past weights: how it follows the net, and the batch statistics that it has to have."""

import copy

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from .labels import shared_out


@torch.no_grad()
def follow(average, net, share):
    """Move the weights of `average` by `share` (a float, or a 0-d tensor) of the way to those of `net`; copy buffers.

    Karras et al. 2018, section 4.
    """
    ours, theirs = list(average.parameters()), list(net.parameters())
    if isinstance(share, torch.Tensor):  # lerp would read it on the host
        apart = torch._foreach_sub(theirs, ours)
        torch._foreach_mul_(apart, share)
        torch._foreach_add_(ours, apart)
    else:
        torch._foreach_lerp_(ours, theirs, share)
    for here, there in zip(average.buffers(), net.buffers(), strict=True):
        here.copy_(there)


IMAGES = 500  # that an average's batch statistics are taken from


class Settled:
    """G's average as images are drawn from it, made once for each state of the run."""

    def __init__(self):
        self.state, self.net = None, None

    def __call__(self, gan):
        now = gan.step, gan.generation
        if self.state != now:
            labels = shared_out(gan.label_counts or [1] * gan.classes, IMAGES, gan.device)
            with gan.autocast():
                self.state, self.net = now, settled(gan.G_ema, gan.noise(IMAGES, "statistics"), labels)
        return self.net


@torch.no_grad()
def settled(average, z, labels):
    """Return `average` itself, or a copy of it that has batch statistics of its own, those of its images of `z`.

    The statistics that a net gathers while it trains belong to its own weights; averaged weights need others
    (Izmailov et al. 2018, section 3.2). In a conditional run of ours they made three times the distance.
    """
    if not any(isinstance(m, _BatchNorm) and m.track_running_stats for m in average.modules()):
        return average
    copied = copy.deepcopy(average).eval()
    for norm in copied.modules():
        if isinstance(norm, _BatchNorm) and norm.track_running_stats:
            norm.reset_running_stats()
            norm.momentum = None  # the plain mean over all that it sees
            norm.train()
    copied(z, labels)
    return copied.eval()
