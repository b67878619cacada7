"""Images on a disk: a folder with shards of uint8 pixels, their labels, and `about.json`.

00000.u8, 00001.u8, ... hold images `(count, C, H, W)` one after the other, at most a gigabyte each;
labels.npy, if there is one, class numbers, int64. about.json comes last: it says that all is whole.
"""

import hashlib
import json
import threading
from bisect import bisect_right
from collections import OrderedDict
from itertools import accumulate

import torch

from ...machine.folder import path_of
from .ahead import broken

FORMAT = "ganlib shards 1"
ABOUT, UNFINISHED, LABELS = "about.json", "unfinished.json", "labels.npy"
SHARD = 2**30  # most bytes of a shard
AGAIN = (
    "bring the file back, or give the command that made it again (python -m ganlib convert ...), "
    "which makes it anew"
)
OPEN = 64  # most files that are open at a time


def about_of(folder, name=ABOUT):
    """Return what `name` in a folder of shards says, None if it is not one. Raises OSError."""
    try:
        about = json.loads((folder / name).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return about if isinstance(about, dict) and about.get("format") == FORMAT else None


def refuse_shards(path):
    """Raise ValueError where `path`, which is to hold pictures, is a folder of shards."""
    if (about := about_of(path_of(path))) is not None:
        sound(about, path_of(path))
        raise ValueError(
            f"{path} holds no pictures, but images that `convert` made of them, of size "
            f"{about['made']['size']}; give what it was given"
        )


def sound(about, folder):
    """Raise OSError for an about.json that no conversion has written."""
    try:
        shape, count, shards = about["shape"], about["count"], about["shards"]
        whole = [*shape, count, *(shard[name] for shard in shards for name in ("count", "bytes"))]
        if not all(type(x) is int and 0 <= x < 2**53 for x in whole):
            raise ValueError("a number that is no size")
        if len(shape) != 3 or shape[0] not in (1, 3) or not shape[1] == shape[2] > 0:
            raise ValueError(f"shape = {str(shape)[:100]}")
        size = shape[0] * shape[1] * shape[2]
        if any(shard["bytes"] != shard["count"] * size for shard in shards):
            raise ValueError("shards of another size than their images have")
        if sum(shard["count"] for shard in shards) != count or count < 1:
            raise ValueError(f"{count} images, and other numbers in the shards")
        texts = [about["name"], *about["classes"], *(shard["sha256"] for shard in shards)]
        texts += [about["made"]["fit"], about["labels"] or ""]
        if not all(type(x) is str for x in texts) or type(about["report"]) is not dict:
            raise ValueError("a name that is no text, or no report")
        if about["made"]["size"] != shape[1]:
            raise ValueError(f"images of size {shape[1]}, and another size as it was made")
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise OSError(
            f"{folder / ABOUT} is damaged ({str(error)[:200] or type(error).__name__}); bring it "
            "back, or convert the images anew, into another folder"
        ) from error


def refuse_folder(path, what):
    """Raise ValueError where `path`, to which something else is to be written, holds shards."""
    folder = path_of(path)
    if any(about_of(folder, name) is not None for name in (ABOUT, UNFINISHED)):
        raise ValueError(
            f"{path} holds images that `convert` made; give another folder for {what}: their files "
            "would be mixed"
        )


def file_of(folder, k, ending="u8"):
    """Return the path of shard `k`."""
    return folder / f"{k:05}.{ending}"


def digest(path):
    """Return the SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def wrong(folder, about):
    """Yield (number, why) of each shard that is missing or of another size than it should have."""
    for k, shard in enumerate(about["shards"]):
        path = file_of(folder, k)
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            yield k, f"{path} is missing"
            continue
        if size != shard["bytes"]:
            yield k, f"{path} has {size:,} bytes; {shard['bytes']:,} are expected"


def labels_are_whole(folder, about):
    """Whether the file of labels, if there are some, is that which was written."""
    if about["labels"] is None:
        return True
    try:
        return digest(folder / LABELS) == about["labels"]
    except OSError:
        return False


class Store:
    """The pixels in a `folder` of shards: `read` copies images from there.

    Raises ValueError where the folder holds no shards, or not yet; OSError, which names it, where a
    shard is missing or cut.
    """

    def __init__(self, folder):
        self.lock, self.files = threading.Lock(), OrderedDict()
        self.folder, self.about = folder, about_of(folder)
        if self.about is None:
            if (begun := about_of(folder, UNFINISHED)) is not None:
                done = begun.get("images")
                far = f"{done:,} images" if isinstance(done, int) else "some images"
                raise ValueError(
                    f"{folder} holds a conversion that is not done, {far} so far; give the command "
                    "that began it again, and it goes on"
                )
            raise ValueError(f"{folder} holds no images that `convert` made: it has no {ABOUT}")
        sound(self.about, folder)
        if bad := list(wrong(folder, self.about)):
            raise OSError(
                f"{len(bad)} of {len(self.about['shards'])} shards cannot be read: {bad[0][1]}. "
                "Bring it back, or give the command that made it again (python -m ganlib convert "
                "...), which makes it anew"
            )
        self.shape = tuple(self.about["shape"])
        self.size = self.shape[0] * self.shape[1] * self.shape[2]  # bytes of an image
        self.firsts = [0, *accumulate(shard["count"] for shard in self.about["shards"])]

    def __len__(self):
        return self.firsts[-1]

    def pieces(self, first, end):
        """Yield the parts of files (path, offset, length) that hold the images `first` to `end`."""
        while first < end:
            k = bisect_right(self.firsts, first) - 1
            stop, start = min(end, self.firsts[k + 1]), self.firsts[k]
            yield (
                file_of(self.folder, k),
                (first - start) * self.size,
                (stop - first) * self.size,
            )
            first = stop

    def read(self, places, out):
        """Copy the images at `places`, a list, to `out`, uint8 (len(places), C, H, W) on the CPU.

        Raises OSError, which names it, for a shard that cannot be read.
        """
        room, i = memoryview(out.view(len(places), self.size).numpy()).cast("B"), 0
        while i < len(places):
            j = i + 1
            while j < len(places) and places[j] == places[j - 1] + 1:  # neighbours at once
                j += 1
            at = i * self.size
            for path, offset, length in self.pieces(places[i], places[j - 1] + 1):
                self._copy(path, offset, room[at : at + length])
                at += length
            i = j

    def _copy(self, path, offset, room):
        with self.lock:
            try:
                file = self.files.pop(path, None) or open(path, "rb", buffering=0)  # noqa: SIM115
                self.files[path] = file
                if len(self.files) > OPEN:
                    self.files.popitem(last=False)[1].close()
                file.seek(offset)
                while len(room):
                    if not (done := file.readinto(room)):
                        raise OSError("it ends early")
                    room = room[done:]
            except OSError as error:
                raise broken(path, error) from error

    def labels(self):
        """Return the labels, int64 (N,), mapped from their file, or None."""
        if self.about["labels"] is None:
            return None
        import numpy

        path = self.folder / LABELS
        try:
            labels = numpy.load(path, mmap_mode="c")
        except Exception as error:  # of any kind: numpy reads its header as Python
            raise OSError(f"the labels {path} cannot be read ({error}); {AGAIN}") from error
        top = len(self.about["classes"]) or 2**63
        fits = labels.dtype == numpy.int64 and labels.shape == (len(self),)
        if not fits or not 0 <= labels.min() <= labels.max() < top:
            raise OSError(
                f"the labels {path} are not those of these images: {labels.dtype} {labels.shape}; "
                + AGAIN
            )
        return torch.from_numpy(labels)

    def verify(self):
        """Read all shards and the labels; raise OSError, which names it, for one whose SHA-256 is
        another.
        """
        if not labels_are_whole(self.folder, self.about):
            raise OSError(f"the labels {self.folder / LABELS} are damaged; {AGAIN}")
        for k, shard in enumerate(self.about["shards"]):
            path = file_of(self.folder, k)
            if digest(path) != shard["sha256"]:
                raise OSError(
                    f"{path} is damaged: its SHA-256 is not that of when it was written. Remove "
                    "it, and give the command that made it again (python -m ganlib convert ...)"
                )

    def close(self):
        with self.lock:
            while self.files:
                self.files.popitem()[1].close()

    __del__ = close
