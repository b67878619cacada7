"""A data set as one uint8 tensor (`Images`), and the batches of each training step (`Batches`).

For `train` a data set is any object with `name`, `shape` (of one image), `labels` (or None),
`classes`, `len(data)`, `near(device)`, `batches(seed, step, k, size, dtype)` and
`floats(index, device)`: `Images`, `points.Points`, `together.Together`, or a custom one.
"""

from dataclasses import dataclass, field

import torch

from ..machine.randomness import generator

KINDS = {4: "(N, C, H, W)", 5: "(N, C, T, H, W)"}  # images; clips of T frames


class Batches:
    """A step's batches: `images` `(k, B, C, H, W)` in [-1, 1], `labels` `(k, B, ...)` or None.

    `others` are further fields for games that need them: tensors `(k, B, ...)`, or `Batches` again.
    """

    def __init__(self, images, labels=None, **others):
        self.fields = {"images": images, "labels": labels, **others}

    def __getattr__(self, name):
        try:
            return self.__dict__["fields"][name]
        except KeyError:
            raise AttributeError(f"these batches have no field {name!r}") from None

    def __iter__(self):
        return iter(self.fields.values())

    def tensors(self):
        """Yield every tensor, also those of nested `Batches`."""
        for value in self:
            if isinstance(value, Batches):
                yield from value.tensors()
            elif value is not None:
                yield value

    def map(self, function):
        """Return `Batches` with the same fields, each tensor replaced by `function(tensor)`."""

        def changed(value):
            if isinstance(value, Batches):
                return value.map(function)
            return None if value is None else function(value)

        return Batches(**{name: changed(value) for name, value in self.fields.items()})

    def to(self, device):
        """Return the batches on `device`."""
        return self.map(lambda x: x.to(device))

    def part(self, rank, world):
        """Return process `rank`'s share of `world`: B / world of each batch, rank 0 the first."""
        return self.map(lambda x: x.chunk(world, 1)[rank])


@dataclass(eq=False, repr=False)
class Images:
    """A data set: `images` uint8 `(N, C, H, W)`, or clips `(N, C, T, H, W)`.

    `labels` are class numbers, int64 `(N,)`, indices of `classes`; or any tensor of N rows, such as
    a sentence of L words per image, int64 `(N, L)`; or None. `known` is the name of the public set
    that these are ("mnist"), set by `load`, else None: a `name` proves nothing. Raises ValueError
    for another type or shape, or labels outside `classes`.
    """

    images: torch.Tensor
    labels: torch.Tensor | None = None
    classes: tuple = ()
    name: str = "images"
    report: dict = field(default_factory=dict)  # what `load` did to the user's own images
    known: str | None = None
    loaded: dict = field(default_factory=dict)  # arguments for `load` to load this set again
    _orders: dict = field(default_factory=dict)
    _features: dict = field(default_factory=dict)  # features of these images, by extractor

    def __post_init__(self):
        images, labels = self.images, self.labels
        last = images.ndim == 4 and images.shape[3] in (1, 3) and images.shape[1] > 4  # NHWC
        if images.dtype != torch.uint8 or images.ndim not in KINDS or 0 in images.shape or last:
            expected = " or ".join(KINDS.values())
            raise ValueError(
                f"images of {images.dtype} {tuple(images.shape)} were given; torch.uint8 "
                f"{expected}, no size of them 0, is expected"
            )
        if labels is None:
            return
        self.labels = labels = torch.as_tensor(labels)
        if len(labels) != len(self) or (labels.ndim == 1 and labels.dtype != torch.int64):
            raise ValueError(
                f"labels of {labels.dtype} {tuple(labels.shape)} were given; torch.int64 "
                f"({len(self)},), one per image, is expected, or a tensor ({len(self)}, ...) of "
                "what each image goes with"
            )
        count = len(self.classes)
        if labels.ndim == 1 and count and not 0 <= labels.min() <= labels.max() < count:
            raise ValueError(
                f"{self.name!r} has labels from {labels.min()} to {labels.max()}, and {count} "
                f"classes; 0 to {count - 1}, one number for each name in `classes`, are expected"
            )

    def __len__(self):
        return len(self.images)

    def __repr__(self):
        kinds = f", {len(self.classes)} classes" if self.labels is not None and self.classes else ""
        where = self.images.device
        return f"<{self.name!r}: {len(self):,} images of {self.shape}{kinds}, on {where}>"

    @property
    def shape(self):
        """(C, H, W) of one image, or (C, T, H, W) of one clip."""
        return tuple(self.images.shape[1:])

    def to(self, device):
        """Return the set on `device`."""
        labels = None if self.labels is None else self.labels.to(device)
        about = self.classes, self.name, self.report, self.known, self.loaded
        return Images(self.images.to(device), labels, *about)

    def subset(self, index, name=None):
        """Return the images at `index`, a slice or tensor of places, with labels and `known`."""
        labels = None if self.labels is None else self.labels[index]
        return Images(self.images[index], labels, self.classes, name or self.name, known=self.known)

    def near(self, device):
        """Return the set on `device` if it fits in half of its free memory, else unchanged."""
        device = torch.device(device)
        size = self.images.nbytes
        if device.type == "cuda" and size > torch.cuda.mem_get_info(device)[0] / 2:
            print(f"{self.name}: {size / 1e9:.1f} GB stay where they are, too many for {device}")
            return self
        return self if self.images.device == device else self.to(device)

    def floats(self, index, device=None):
        """Return the images at `index` as floats in [-1, 1] on `device`."""
        return as_float(self.images[index].to(device))

    def batches(self, seed, step, k=1, size=100, dtype=torch.float32):
        """Return `Batches`: `k` batches of `size` images for training step `step` (0, 1, ...).

        The set is read in a new random order each epoch, without end: step s takes places s*k*size
        to (s+1)*k*size - 1 of that sequence, so that the batches depend on the arguments alone.
        Raises ValueError where a batch is larger than the set.
        """
        if not 1 <= size <= len(self):
            raise ValueError(
                f"a batch of {size} was asked of {self.name!r}, which holds {len(self)} images; "
                f"give a batch size from 1 to {len(self)}"
            )
        epoch, place = divmod(step * k * size, len(self))
        parts, missing = [], k * size
        while missing:
            parts.append(self._order(seed, epoch)[place : place + missing])
            missing, epoch, place = missing - len(parts[-1]), epoch + 1, 0
        index = torch.cat(parts)
        images = as_float(self.images[index], dtype).unflatten(0, (k, size))
        labels = None if self.labels is None else self.labels[index].unflatten(0, (k, size))
        return Batches(images, labels)

    def _order(self, seed, epoch):
        """Return the random order of an epoch; drawn on the CPU to be the same on every device."""
        if (seed, epoch) not in self._orders:
            while len(self._orders) > 1:
                del self._orders[next(iter(self._orders))]
            order = torch.randperm(len(self), generator=generator("cpu", seed, epoch, "data"))
            self._orders[seed, epoch] = order.to(self.images.device)
        return self._orders[seed, epoch]


def as_float(images, dtype=torch.float32):
    """Return uint8 0..255 as floats in [-1, 1], both ends exact."""
    return images.to(dtype).div_(127.5).sub_(1)


def as_uint8(images):
    """Return floats in [-1, 1] (others are clamped), bools or integers 0..255 as uint8 0..255."""
    if images.dtype == torch.uint8:
        return images
    if not images.is_floating_point():
        images = images.long() * (255 if images.dtype == torch.bool else 1)
        if images.min() < 0 or images.max() > 255:
            raise ValueError(f"integers from {images.min()} to {images.max()} are not in 0..255")
        return images.byte()
    return images.float().add(1).mul_(127.5).round_().clamp_(0, 255).byte()
