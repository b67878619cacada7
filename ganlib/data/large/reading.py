"""Read what is to be converted, beginning at any item: files, tars of WebDataset, or a data set or
stream of another library.
"""

import itertools
from collections.abc import Mapping
from pathlib import Path
from types import GeneratorType

from ...machine.folder import path_of
from ..labels import labels_of
from ..source import Source, layout, split_of
from ..sources import open_source
from .tars import Tars, tars_of

GIVEN_UP = 100  # items of a stream that fail one after the other


class Reading:
    """The images of what `load` or `convert` were given, in an order that is the same each time.

    `name`, `count` (None if it is not known), `mark` (a fingerprint, "" if there is none) and `odd`
    (sentences) are those of its `Source`; `names` those of its files in order, or None. Raises what
    `open_source` and `tars_of` do.
    """

    def __init__(self, origin, split, start=0, counts=None):
        self.tars, self.stream, self.folders = tars_of(origin), None, None
        self.counts = counts or {}  # of the samples of each tar that was read to its end
        if self.tars is not None:
            self.source = Tars(self.tars).source
        elif isinstance(origin, (str, Path)):
            self.source = open_source(path_of(origin), split)
        else:
            odd = []
            if isinstance(origin, Mapping):
                origin, said = split_of(origin, split)
                odd = [said]
            elif split != "train":
                kind = type(origin).__name__
                raise ValueError(f"split={split!r} was given with a {kind}, which has no splits")
            self.stream, self.name = Stream(origin), type(origin).__name__
            self.source = self._opened(start if self.stream.once else 0)
            self.source.odd[:0] = odd
        self.name, self.mark, self.odd = self.source.name, self.source.mark, [*self.source.odd]
        self.count, self.names = self.source.count, None
        self.skipped = list(self.source.skipped)
        if self.source.names is not None:
            self.folders, said = layout(self.source.names, split, self.source.name)
            self.odd += said
            self.names = [name for name in self.source.names if name in self.folders]
            self.count = len(self.names)
        elif self.tars is not None and split != "train":
            raise ValueError(f"split={split!r} was given with tars; give the tars of that split")

    def items(self, start=0, stop=None):
        """Yield ((name, raw label or None), content) of the items `start` to `stop`. Raises OSError
        where the source breaks off.
        """
        source, labelled = self.source, self.folders is None
        if self.tars is not None:
            tars = Tars(self.tars, start, self.counts)
            source, self.counts = tars.source, tars.counts
            items = source.items()
        elif self.stream is not None:
            source = self.source if self._fresh == start else self._opened(start)
            self._fresh = None
            items = self._numbered(source.items(), start)
        elif len(set(self.names)) == len(self.names):  # no file that is not wanted is read
            items = source.items({*self.names[start:stop]})
        else:
            items = itertools.islice(source.items({*self.names}), start, None)
        count = None if stop is None else stop - start
        for name, content in itertools.islice(items, count):
            yield (name, source.labels.pop() if labelled and source.labels else None), content
        if self.stream is not None and self.stream.broken is not None:
            raise self._broken() from self.stream.broken

    def labels(self, labels, used):
        """Return what `labels_of` does, of the raw labels of all images and the places in `names`
        of those that are used.
        """
        if self.names is None:
            self.source.labels = labels if self.source.labels is not None else None
            return labels_of(((None, i) for i in range(len(labels))), self.source, None)
        return labels_of(((self.names[i], i) for i in used), self.source, self.folders)

    def _opened(self, start):
        self.stream.go_to(start)
        try:
            source = open_source(self.stream, "train")
        except ValueError:
            if self.stream.broken is None and self.stream.at == start > 0:
                return Source(self.stream.name, "", lambda: iter(()), start, labels=[])
            if self.stream.broken is None:
                raise
            raise self._broken() from self.stream.broken
        source.name, source.count, self._fresh = self.stream.name, self.stream.count, start
        return source

    def _broken(self):
        error = self.stream.broken
        why = f"{type(error).__name__}: {error}"
        return OSError(f"{self.name} broke off after {self.stream.at:,} items ({why})")

    def _numbered(self, items, start):
        for i, (name, content) in enumerate(items):
            yield (str(start + i) if name == str(i) else name), content


class Stream:
    """A data set that is read from any place on, and says when it has broken off (`broken`).

    What is read again after a failure must be the same: a stream that shuffles is not.
    """

    def __init__(self, data):
        self.data, self.at, self.broken, self.tries = data, 0, None, 0
        self.name = type(data).__name__
        self.count = len(data) if hasattr(data, "__len__") else None
        self.placed = self.count is not None and hasattr(data, "__getitem__")
        if isinstance(data, (str, bytes)) or not (
            hasattr(data, "__getitem__") or hasattr(data, "__iter__")
        ):
            raise ValueError(
                f"{self.name} was given; a path, tars, or a data set or stream is expected"
            )
        self.once = not self.placed and iter(data) is data
        self.items = None

    def __getattr__(self, name):
        if name.startswith("__") or name in ("data", "ndim"):
            raise AttributeError(name)
        return getattr(self.data, name)  # features, classes, ...

    def go_to(self, start):
        """Let the next item be number `start`."""
        self.tries = 0
        if self.placed:
            self.at = start
            return
        if self.once and start < self.at and self.items is not None:
            raise OSError(
                f"{self.name} gives each item once, and is to be read from item {start:,} on: give "
                "it anew"
            )
        if not self.once or self.items is None:
            skip = getattr(self.data, "skip", None)  # Hugging Face's streams skip by themselves
            skips = callable(skip) and start > 0 and not self.once
            self.items, self.at = iter(skip(start) if skips else self.data), start * skips
        self.broken, left = None, start - self.at
        while left > 0 and self.broken is None:
            left -= 1
            try:
                next(self)
            except StopIteration:
                return
            except Exception:  # an item that was skipped before, too
                continue

    def __iter__(self):
        return self

    def __next__(self):
        if self.placed:
            if self.at >= self.count:
                raise StopIteration
            self.at += 1
            return self.data[self.at - 1]
        if self.broken is not None:
            raise StopIteration
        try:
            item = next(self.items)
        except StopIteration:
            raise
        except Exception as error:
            self.tries += 1
            if isinstance(self.items, GeneratorType) or self.tries == GIVEN_UP:
                self.broken = error  # a generator that has raised is at its end
                raise StopIteration from None
            self.at += 1
            raise
        self.tries = 0
        self.at += 1
        return item
