"""`Shards`: a data set that stays on the disk, for `train` and all else that takes `Images`."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import torch

from ..images import Batches, Images, as_float
from .ahead import Ahead
from .order import Order
from .store import Store

BLOCK, WINDOW = 2**18, 2**28  # bytes, see `Order`: benchmarks/large.py measures them
MOST = 2**32  # bytes of pixels that are copied into memory at once, at most
PARTS = 16  # in which a batch is read, so that its bytes and its floats are not there together


class Pixels:
    """The pixels of a set on a disk, in place of a tensor: uint8 `(N, C, H, W)`.

    An index (a slice, a number, places or a mask) returns a tensor on `device`. Raises ValueError
    for more than 4 GB at once.
    """

    dtype, ndim = torch.uint8, 4

    def __init__(self, store, device):
        self.store, self.device = store, device
        self.shape = torch.Size((len(store), *store.shape))

    def __len__(self):
        return len(self.store)

    def __getattr__(self, name):
        raise AttributeError(
            f"the pixels of a set that lies on the disk have no {name!r}, as a tensor has: take a "
            "part of them, images[:1000], or of the set, data.subset(slice(0, 1000))"
        )

    @property
    def nbytes(self):
        return self.shape.numel()

    def numel(self):
        return self.shape.numel()

    def __getitem__(self, index):
        if isinstance(index, int):
            return self[torch.tensor([index])][0]
        return self.read(self.places(index)).to(self.device)

    def places(self, index):
        """Return an index as places, a list; raise ValueError where there are too many."""
        if not isinstance(index, slice):
            index = torch.as_tensor(index).cpu()
            index = index.nonzero().flatten() if index.dtype == torch.bool else index.long()
            count = len(index)
        else:
            index = range(*index.indices(len(self)))
            count = len(index)
        if count * self.store.size > MOST:
            raise ValueError(
                f"{count:,} images of a set that lies on the disk were asked for at once, "
                f"{count * self.store.size / 1e9:.1f} GB; at most {MOST / 1e9:.1f} GB are copied "
                "into memory: take a part of the set, as data.subset(slice(0, 10_000))"
            )
        if not isinstance(index, torch.Tensor):
            return index
        if count and not -len(self) <= int(index.min()) <= int(index.max()) < len(self):
            raise IndexError(
                f"places from {int(index.min())} to {int(index.max())} were given; 0 to "
                f"{len(self) - 1} are there"
            )
        return index.remainder(len(self)).tolist()

    def read(self, places, pinned=False):
        """Return the images at `places`, a list, as uint8 on the CPU."""
        out = torch.empty(len(places), *self.store.shape, dtype=torch.uint8, pin_memory=pinned)
        self.store.read(places, out)
        return out

    def split(self, size):
        """Return all images in parts of `size`, each read when it is due."""
        self.places(slice(None))
        return (self[i : i + size] for i in range(0, len(self), size))


@dataclass(eq=False, repr=False)
class Shards:
    """A data set that stays on the disk, in a `folder` that `ganlib.convert` made.

    It is used as `Images` is: `train`, `evaluate`, `preflight`, `resume` and `show` take it.
    `images` stands for the tensor of its pixels, and reads those that are asked for; labels are
    mapped from their file. A batch is all that is in memory, beside the system's page cache, into
    which a thread reads the images of the next steps.

    block, window: bytes of neighbours on the disk that are read in one go, and of blocks that are
        shuffled together, see `Order`. They decide the order of the images: a run goes on only with
        those that it began with. Two windows should fit into the free memory.

    Raises what `Store` does.
    """

    folder: Path
    block: int = BLOCK
    window: int = WINDOW
    device: torch.device = torch.device("cpu")
    known = None
    _features: dict = field(default_factory=dict)  # features of these images, by extractor

    def __post_init__(self):
        self.folder = Path(self.folder).absolute()
        self._open(Store(self.folder))
        self._ahead = Ahead()
        count = max(1, self.block // self._store.size)
        self.order = Order(len(self), count, self.window // (count * self._store.size))
        about, self.labels = self._store.about, self._store.labels()
        self.classes, self.name = tuple(about["classes"]), about["name"]
        self.report, made = about["report"], about["made"]
        self.loaded = {"name": str(self.folder), "size": made["size"], "fit": made["fit"]}
        facts = [shard["sha256"] for shard in about["shards"]]
        facts += [about["shape"], about["labels"], about["classes"], self.block, self.window]
        self.fingerprint = f"sha256:{hashlib.sha256(repr(facts).encode()).hexdigest()[:16]}"

    def _open(self, store):
        self._store, self.images = store, Pixels(store, self.device)

    def __len__(self):
        return len(self._store)

    def __repr__(self):
        kinds = f", {len(self.classes)} classes" if self.labels is not None and self.classes else ""
        return f"<{self.name!r}: {len(self):,} images of {self.shape}{kinds}, in {self.folder}>"

    @property
    def shape(self):
        """(C, H, W) of one image."""
        return self._store.shape

    def near(self, device):
        """Return the set for `device`: pixels stay on the disk, and what is read goes there."""
        device = torch.device(device)
        if device == self.device:
            return self
        other = Shards(self.folder, self.block, self.window, device)
        other.labels = None if other.labels is None else other.labels.to(device)
        return other

    to = near

    def subset(self, index, name=None):
        """Return the images at `index`, a slice or tensor of places, as `Images` in memory."""
        labels = None if self.labels is None else self.labels[index]
        return Images(self.images[index], labels, self.classes, name or self.name)

    def floats(self, index, device=None):
        """Return the images at `index` as floats in [-1, 1] on `device`."""
        return self._floats(self.images.places(index), torch.float32, device or self.device)

    def batches(self, seed, step, k=1, size=100, dtype=torch.float32):
        """Return `Batches`: `k` batches of `size` images for training step `step` (0, 1, ...).

        As `Images.batches`, in the order of `Order`. What the next steps read is read ahead. Raises
        ValueError where a batch is larger than the set; OSError for a shard that cannot be read.
        """
        if not 1 <= size <= len(self):
            raise ValueError(
                f"a batch of {size} was asked of {self.name!r}, which holds {len(self)} images; "
                f"give a batch size from 1 to {len(self)}"
            )
        index, windows = self.order.places(seed, step * k * size, k * size)
        for window in (*windows, self.order.after(windows[-1])):
            key = window if self.order.windows > 1 else None  # one window is the whole set
            self._ahead.ask(key, lambda window=window: self._pieces(window))
        images = self._floats(index.tolist(), dtype, self.device).unflatten(0, (k, size))
        labels = None if self.labels is None else self.labels[index.to(self.labels.device)]
        return Batches(images, None if labels is None else labels.unflatten(0, (k, size)))

    def verify(self):
        """Read all shards; raise OSError, which names it, for one whose SHA-256 is another."""
        self._store.verify()

    def close(self):
        """End the reading ahead, and close the files; they are opened again when they are used."""
        self._ahead.close()
        self._store.close()

    def _pieces(self, window):
        for first, end in self.order.of_window(window):
            yield from self._store.pieces(first, end)

    def _floats(self, places, dtype, device):
        device = torch.device(device)
        if device.type != "cpu":  # as bytes, a quarter of the way there
            pinned = device.type == "cuda"
            there = self.images.read(places, pinned).to(device, non_blocking=pinned)
            return as_float(there, dtype)
        out = torch.empty(len(places), *self.shape, dtype=dtype)
        part = max(1, -(-len(places) // PARTS))
        for i in range(0, len(places), part):
            out[i : i + part] = self.images.read(places[i : i + part])
        return out.div_(127.5).sub_(1)


def open_shards(path, size=None, fit="crop", **decided):
    """Return the `Shards` in the folder `path`. Raises ValueError where `size`, `fit` or another
    option is not as they were made.
    """
    data = Shards(path)
    wrong = {name: value for name, value in decided.items() if value is not None}
    wrong |= {"size": size} if size not in (None, data.loaded["size"]) else {}
    wrong |= {"fit": fit} if fit not in ("crop", data.loaded["fit"]) else {}
    if wrong:
        changed = ", ".join(f"{name}={value!r}" for name, value in wrong.items())
        raise ValueError(
            f"{changed} was given for {path}, whose images `convert` has made, of size "
            f"{data.loaded['size']} and fit {data.loaded['fit']!r}; leave it out, or convert the "
            "source anew into another folder"
        )
    return data
