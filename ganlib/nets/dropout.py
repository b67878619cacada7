"""Dropout with masks that can be drawn again."""

import torch
from torch import nn


class Dropout(nn.Module):
    """Dropout (Srivastava et al. 2014) from `self.generator`, so that a step can repeat its masks.

    torch's `nn.Dropout` always draws from the global generator, which a GAN has to seed at each
    move. This one does so too while `generator` is None. One 64-bit draw serves four entries,
    which is several times faster on a CPU; the probability is therefore `p` rounded to a multiple
    of 1/65536. (Apple's MPS draws no 64-bit numbers: there torch's `bernoulli_` is used.)
    """

    def __init__(self, p=0.5):
        super().__init__()
        self.p, self.kept, self.generator = p, round((1 - p) * 65536), None  # kept: out of 65,536
        if p < 0 or self.kept < 1:
            raise ValueError(
                f"p={p} was given; dropout needs a probability of at least 0 and below 1"
            )

    def mask(self, x):
        """Return a new mask of `x`'s shape and type: 0 where dropped, 1 / (1 - p) where kept."""
        if x.device.type == "mps":
            return (
                torch.empty_like(x)
                .bernoulli_(self.kept / 65536, generator=self.generator)
                .mul_(65536 / self.kept)
            )
        bits = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device)
        bits.random_(-(2**63), None, generator=self.generator)  # all 64 bits, the sign bit included
        keep = bits.view(torch.int16)[: x.numel()].view(x.shape) < self.kept - 32768
        return keep.to(x.dtype).mul_(65536 / self.kept)

    def forward(self, x):
        return x * self.mask(x) if self.training and self.kept < 65536 else x

    def extra_repr(self):
        return f"p={self.p}"
