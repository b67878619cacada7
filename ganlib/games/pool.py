"""A pool of past fakes for D to judge beside new ones: Zhu et al. 2017 (CycleGAN), section 4."""

import torch
from torch import distributed

from ..machine import processes


class Pool:
    """Past fakes of one GAN, `images (n, ...)`; None before the first.

    All processes of a run hold the same pool, so that any of them can save it.
    """

    def __init__(self):
        self.images = None

    @torch.no_grad()
    def swap(self, fakes, size, draws):
        """Return what D is shown in place of `fakes (B, ...)`, as many, and keep some of these.

        While the pool holds fewer than `size` fakes, it keeps the first ones of the batch, and D is
        shown the batch as it is. Later each fake is assigned a place of the pool, no two the same;
        with probability 1/2 it is kept there, and D is shown what was there before. Of a batch
        larger than the pool those beyond `size` are shown as they are. `draws` is a
        `torch.Generator`, the same in all processes, which share their fakes here.
        """
        rank, world = processes.place()
        fakes = _of_all(fakes) if world > 1 else fakes
        past = fakes[:0] if self.images is None else self.images
        if (free := size - len(past)) > 0:
            self.images, shown = torch.cat([past, fakes[:free]]), fakes
        else:
            n = min(len(fakes), size)
            place = torch.randperm(size, generator=draws, device=fakes.device)[:n]
            kept = torch.rand(n, generator=draws, device=fakes.device) < 0.5
            kept = kept.view(n, *[1] * (fakes.ndim - 1))
            old, new = past[place], fakes[:n]
            past.index_copy_(0, place, torch.where(kept, new, old))  # in place: a graph reads it
            shown = torch.cat([torch.where(kept, old, new), fakes[n:]])
        return shown.chunk(world)[rank]

    def to(self, device=None, dtype=None):
        """Move the pool to `device` and `dtype`."""
        if self.images is not None:
            self.images = self.images.to(device=device, dtype=dtype)

    def state_dict(self):
        return {"images": self.images}

    def load_state_dict(self, state):
        images = state["images"]
        self.images = None if images is None else images.clone()


def _of_all(fakes):
    """Return the fakes of all processes, those of the first one first."""
    parts = [torch.empty_like(fakes) for _ in range(processes.place()[1])]
    distributed.all_gather(parts, fakes.contiguous())
    return torch.cat(parts)
