"""The random order in which an epoch reads images from a disk: blocks of neighbours in random
order, and, within a window of blocks, one image of each block in turn.
"""

from bisect import bisect_right

import torch

from ...machine.randomness import generator


class Order:
    """The random order of `n` images, a function of (seed, epoch): each image once in an epoch.

    The images are cut into blocks of `block` neighbours, and the blocks come in random order.
    About `window` of them at a time, a window, are read together: in each round every block gives
    one of its images, chosen at random, and blocks take turns at random. So neighbours on the disk
    are no more often in a batch together than others. A set of one window is shuffled as a whole.
    What is held is one number a block, and one an image of two windows.
    """

    def __init__(self, n, block, window):
        self.n, self.block = n, max(1, min(block, n))
        self.blocks = -(-n // self.block)
        self.windows = max(1, round(self.blocks / max(1, window)))
        self._epochs, self._orders = {}, {}

    def places(self, seed, start, count):
        """Return (the places `(count,)`, int64, of images `start` to `start + count` of the endless
        sequence of epochs; the windows (seed, epoch, number) that they lie in).
        """
        epoch, at = divmod(start, self.n)
        parts, windows = [], []
        while count:
            starts = self._epoch(seed, epoch)[1]
            w = bisect_right(starts, at) - 1
            parts.append(self._window(seed, epoch, w)[at - starts[w] :][:count])
            windows.append((seed, epoch, w))
            count, at = count - len(parts[-1]), at + len(parts[-1])
            if at == self.n:
                epoch, at = epoch + 1, 0
        return torch.cat(parts), windows

    def after(self, window):
        """Return the window that follows a `window`."""
        seed, epoch, w = window
        return (seed, epoch, w + 1) if w + 1 < self.windows else (seed, epoch + 1, 0)

    def of_window(self, window):
        """Return the places (first, end) of each block of a window, in the order of the disk."""
        seed, epoch, w = window
        blocks = self._blocks(self._epoch(seed, epoch)[0], w).sort().values.tolist()
        return [(b * self.block, min(self.n, (b + 1) * self.block)) for b in blocks]

    def _blocks(self, order, w):
        return order[w * self.blocks // self.windows : (w + 1) * self.blocks // self.windows]

    def _epoch(self, seed, epoch):
        """Return (the order of the blocks, where each window begins in the epoch)."""

        def make():
            order = torch.randperm(self.blocks, generator=generator("cpu", seed, epoch, "blocks"))
            short = self.blocks * self.block - self.n  # what the last block lacks
            last, starts = int((order == self.blocks - 1).nonzero()), []
            for w in range(self.windows):
                first = w * self.blocks // self.windows
                starts.append(first * self.block - short * (last < first))
            return order, starts

        return _kept(self._epochs, (seed, epoch), make)

    def _window(self, seed, epoch, w):
        """Return the places of the images of a window, in the order in which they are read."""

        def make():
            draws = generator("cpu", seed, epoch, f"window {w}")
            if self.windows == 1:
                return torch.randperm(self.n, generator=draws)
            blocks = self._blocks(self._epoch(seed, epoch)[0], w)
            shape = len(blocks), self.block
            inside = torch.rand(shape, generator=draws).argsort(dim=1, stable=True)
            turns = torch.rand(shape[::-1], generator=draws).argsort(dim=1, stable=True)
            places = (blocks * self.block + inside.T).gather(1, turns).flatten()
            return places[places < self.n]

        return _kept(self._orders, (seed, epoch, w), make)


def _kept(kept, key, make):
    """Return `make()`, kept under `key` with the one before."""
    if key not in kept:
        while len(kept) > 1:
            del kept[next(iter(kept))]
        kept[key] = make()
    return kept[key]
