"""Several data sets, each with a name, for a run of several GANs that each learn one of them."""

from ..machine.randomness import seed_of
from .images import Batches


class Together:
    """Data sets by name: `Together(photos=a, paintings=b)`. Images at the same place are not pairs.

    `sets` holds them. It is as long as its shortest set, and shows its first set to code that
    expects a single one (`images`, `labels`, `shape`).
    """

    def __init__(self, **sets):
        if not sets:
            raise ValueError(
                "no data set was given; Together(first=..., second=...) takes one or more by name"
            )
        self.sets, self.first = sets, next(iter(sets.values()))
        self.name = " and ".join(f"{name}: {data.name}" for name, data in sets.items())
        self.images, self.labels, self.shape = (
            self.first.images,
            self.first.labels,
            self.first.shape,
        )
        self.classes, self.known, self.report, self.loaded = self.first.classes, None, {}, {}

    def __len__(self):
        return min(map(len, self.sets.values()))

    def near(self, device):
        """Return the sets on `device`, each where it fits there."""
        near = Together(**{name: data.near(device) for name, data in self.sets.items()})
        near.loaded = self.loaded
        return near

    def floats(self, index, device=None):
        """Return the images at `index` of the first set."""
        return self.first.floats(index, device)

    def batches(self, seed, step, k=1, size=100, dtype=None):
        """Return `Batches` with a field for each set: its `Batches`; `images` are the first set's.

        Each set has its own random order: the i-th of one never goes with the i-th of another.
        """
        settings = {} if dtype is None else {"dtype": dtype}
        batches = {
            name: data.batches(
                seed if data is self.first else seed_of(seed, 0, name), step, k, size, **settings
            )
            for name, data in self.sets.items()
        }
        return Batches(next(iter(batches.values())).images, None, **batches)
