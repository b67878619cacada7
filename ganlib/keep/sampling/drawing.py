"""`draw`: any number of images of a generator; image i is a function of (seed, i) alone."""

import hashlib
import math
from functools import partial

import torch

from ...data.images import as_uint8
from ...game.contract import evaluating, fitting
from ...game.gan import GAN
from ...machine.device import PRECISIONS
from ...machine.randomness import generator
from ...nets.known import ask, classes_of, drawing

CHUNK = 1024  # images whose noise is drawn together: image i has row i % CHUNK of chunk i // CHUNK
BATCH = {"cpu": 128}  # images in a pass of G, at most: benchmarks/LOG.md; CHUNK elsewhere
PIXELS = 2**19  # of all images of a pass together, at most: G's layers take a hundred times as much


def draw(G, n, labels=None, seed=None, start=0, precision="float32"):
    """Yield the images `start` to `n` - 1 that a generator draws, in batches: pairs (images uint8
    `(B, C, H, W)`, labels `(B,)` or None), both on the CPU. Memory does not grow with `n`.

        for images, labels in ganlib.draw(G, 100_000):
            ...

    G: what `load_generator` returns, a `GAN`, or any net with `latent_dim`. A GAN draws by its
        average where there is one, as `sample` does.
    labels: one int for all, or `n` of them; by default each class in turn.
    seed: decides the noise, with the place of the image alone: the first 1,000 of 100,000 images
        are the same as 1,000. By default that of the run in which G was trained; else 0.
    start: go on from here, where an earlier call ended: a multiple of the batch.
    precision: "float32", or "bf16", faster where there are units for it and a little different.

    Noise is drawn on the CPU and the size of a pass of G is fixed, so that the images are the same
    bit for bit on one machine with as many threads; on another device or number of threads low bits
    may differ. Raises ValueError for a G that is fed pictures without a GAN, for labels that G does
    not know, and for a number out of range.
    """
    return Drawing(G, n, labels, seed, precision).batches(start)


class Drawing:
    """A call of `draw`: `n` images of `shape` from `seed`, `batch` at a time; for its arguments
    see there.
    """

    def __init__(self, G, n, labels=None, seed=None, precision="float32"):
        self.gan = G if isinstance(G, GAN) else None
        self.net, self.n, self.precision = G.net() if self.gan else G, n, precision
        config = getattr(G, "config", None)
        trained = self.gan.seed if self.gan else isinstance(config, dict) and config.get("seed")
        self.seed = seed if seed is not None else trained or 0
        if type(n) is not int or n < 1 or type(self.seed) is not int:
            raise ValueError(
                f"n={n!r} and seed={self.seed!r} were given; 1 or more images, and an int as seed, "
                "are expected"
            )
        if precision not in PRECISIONS:
            raise ValueError(
                f"precision={precision!r} was given; {' or '.join(map(repr, PRECISIONS))} is "
                "expected"
            )
        if self.gan is None and getattr(self.net, "latent_dim", None) is None:
            raise ValueError(
                "this G is fed pictures, or has no latent_dim: call it by itself, or give the GAN, "
                "which knows what G is fed"
            )
        weight = next(self.net.parameters())
        self.device, self.dtype = weight.device, weight.dtype
        self.classes, self.asked = classes_of(self.net), labels
        if labels is not None and (rows := torch.as_tensor(labels)).ndim:
            if len(rows) != n:
                raise ValueError(f"{len(rows)} labels were given for {n} images; give as many")
            self.asked = rows
        self.labels(0, n if isinstance(self.asked, torch.Tensor) else 1)  # raises for wrong ones
        shape = getattr(self.net, "shape", None) or self._pass(0, 2).shape[1:]
        self.shape = tuple(shape)
        if len(self.shape) not in (3, 4):
            raise ValueError(f"G draws {self.shape}; images (C, H, W) or clips are expected")
        self.batch = self._batch()

    def _batch(self):
        """Return how many images are drawn in one pass of G: a power of two, 4 or more."""
        most = BATCH.get(self.device.type, CHUNK)
        fit = PIXELS // math.prod(self.shape[1:])
        return max(4, min(most, 2 ** max(0, fit.bit_length() - 1)))

    def labels(self, start, stop):
        """Return the labels of the images `start` to `stop` - 1, None where G takes none."""
        asked, places = self.asked, torch.arange(start, stop)
        examples = getattr(self.gan, "examples", None)
        if asked is None and self.classes:
            asked = places % self.classes
        elif asked is None and examples is not None:
            asked = examples[places % len(examples)]
        elif isinstance(asked, torch.Tensor):
            asked = asked[places.clamp(max=self.n - 1)]
        labels = fitting(asked, stop - start, self.net, self.device, examples)
        return None if labels is None else labels.cpu()

    def noise(self, chunk):
        """Return what G is fed for chunk number `chunk`; the first is the noise of `sample`."""
        if self.gan is None:
            draws = generator("cpu", self.seed, chunk, "noise/fixed")
            z = torch.randn(CHUNK, self.net.latent_dim, generator=draws, dtype=self.dtype)
            return z.to(self.device)
        where = "cpu" if self.gan.latent_dim is not None else self.device
        draws = generator(where, self.seed, chunk, f"{self.gan.prefix}noise/fixed")
        like = torch.empty(0, dtype=self.dtype, device=where)
        return self.gan.source.draw(CHUNK, draws, like).to(self.device)

    def batches(self, start=0):
        """Yield pairs (images, labels) from image `start` on, as `draw` does."""
        if not 0 <= start < self.n or start % self.batch:
            raise ValueError(
                f"start={start} was given; a multiple of {self.batch} below {self.n} is "
                "expected, since so many images are drawn at a time"
            )
        return self._batches(start)

    def _batches(self, start):
        drawn = None, None  # a chunk, and its noise
        for first in range(start, self.n, self.batch):
            chunk, row = divmod(first, CHUNK)
            if drawn[0] != chunk:
                drawn = chunk, self.noise(chunk)
            images = self._pass(first, self.batch, drawn[1][row : row + self.batch])
            count = min(self.batch, self.n - first)
            labels = self.labels(first, first + count)
            yield as_uint8(images[:count]).cpu(), labels

    @torch.no_grad()
    def _pass(self, first, count, z=None):
        """Return `count` images, from image `first` on, as G returns them."""
        z = self.noise(0)[:count] if z is None else z
        labels = self.labels(first, first + count)
        labels = None if labels is None else labels.to(self.device)
        draws = partial(generator, self.device, self.seed, first, "drawing")
        fast = torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")
        with evaluating(self.net), drawing(self.net, draws), fast:
            return ask(self.net, z, labels)

    def about(self):
        """Return a dict of plain values that decide the images (the weights as a SHA-256): two
        drawings with equal dicts draw the same.
        """
        weights = self.gan.G if self.gan else self.net
        if self.gan and self.gan.G_ema is not None:
            weights = self.gan.G_ema
        digest = hashlib.sha256()
        for name, value in sorted(weights.state_dict().items()):
            raw = value.detach().cpu().contiguous()
            digest.update(f"{name} {raw.dtype} {tuple(raw.shape)}".encode())
            digest.update(raw.flatten().view(torch.uint8).numpy())
        label = "each in turn" if self.asked is None and self.classes else self.asked
        if isinstance(label, torch.Tensor):
            label = hashlib.sha256(label.cpu().numpy().tobytes()).hexdigest()
        return {
            "n": self.n,
            "seed": self.seed,
            "label": label,
            "precision": self.precision,
            "shape": list(self.shape),
            "chunk": CHUNK,
            "weights": digest.hexdigest(),
        }
