"""Places that drawn images are written to: one array (.npy), an archive (.tar) or a folder of PNG
files.

A place is written in order: `encode` turns a batch into bytes, in any thread; `write` appends them;
`safe` returns how many bytes are safe on the disk; after an interruption `open` goes on there. A
new kind of place is a class with these methods, and a case in `place_of`.
"""

import contextlib
import io
import json
import os
import tarfile

import numpy

from ...machine.files import replace
from ...machine.folder import path_of
from ...show.pictures import GENERATED
from .drawing import CHUNK
from .encoding import pngs

BLOCK = tarfile.RECORDSIZE  # a tar's size is a multiple of this


def place_of(out):
    """Return the place of a path by its ending. Raises ValueError for an ending that none has.

    A folder is what exists as one, what ends in / or what has no ending.
    """
    path = path_of(out)
    for kind in (Array, Archive):
        if path.suffix == kind.ending and not path.is_dir():
            return kind(path)
    if path.is_dir() or os.fsdecode(out).endswith(("/", os.sep)) or not path.suffix:
        return Folder(path)
    why = "; the table of a .zip is written last, and so none can be gone on with"
    raise ValueError(
        f"--out {path} was given; a name that ends in .png or .npy (a grid, an array) or .tar is "
        "expected, or a folder's, which has no ending or ends in /" + why * (path.suffix == ".zip")
    )


class _File:
    """A place that is one file, `path`; until it is complete its name is `part`."""

    def __init__(self, path):
        self.path, self.file = path, None
        self.part = path.with_name(f"{path.name}.part")
        self.journal = path.with_name(f"{path.name}.json")
        self.lock = path.with_name(f".{path.name}.lock")

    def others(self):
        """Return the path of what already lies where a new drawing is to go, or None."""
        return next((str(path) for path in (self.path, self.part) if path.exists()), None)

    def has(self, done, size):
        """Return how many of the `done` images, in `size` bytes, are really there."""
        there = self.part.exists() and self.part.stat().st_size >= size
        return done if there or self.path.exists() else 0

    def open(self, drawing, done, size):
        """Begin, or go on behind the `done` images of a drawing, in `size` bytes."""
        self.drawing, self.digits = drawing, max(6, len(str(drawing.n - 1)))
        self.part.parent.mkdir(parents=True, exist_ok=True)
        mode = "r+b" if done else "wb"
        self.file = open(self.part, mode, buffering=2**20)  # noqa: SIM115 (`close` closes it)
        self.file.truncate(size if done else 0)
        self.file.seek(0, os.SEEK_END)
        if not done:
            self.file.write(self.head())

    def write(self, encoded):
        self.file.write(encoded)

    def safe(self):
        """Wait until what was written is safe on the disk; return its number of bytes."""
        self.file.flush()
        os.fsync(self.file.fileno())
        return self.file.tell()

    def cut(self, size):
        """Cut the file to `size` bytes, which also makes room on a full disk."""
        with contextlib.suppress(OSError):  # what is still in the buffer may have no room
            self.close()
        os.truncate(self.part, size)

    def whole(self):
        """Whether the file is complete: it has its final name."""
        return self.path.exists()

    def finish(self):
        """End the file, and give it its name."""
        self.file.write(self.tail())
        self.safe()
        self.close()
        self.beside()
        os.replace(self.part, self.path)

    def close(self):
        file, self.file = self.file, None
        if file is not None:
            file.close()

    def head(self):
        return b""

    tail = head

    def beside(self):
        """Write what belongs beside the complete file, such as labels."""

    def mend(self):
        """Write what belongs to the whole file and is missing; return whether that was so."""
        return False


class Array(_File):
    """An array uint8 `(N, C, H, W)` for numpy.load, with the labels, int64 `(N,)`, beside it in
    NAME.labels.npy.
    """

    ending, pictures = ".npy", False

    def head(self):
        return _header((self.drawing.n, *self.drawing.shape), "|u1")

    def encode(self, start, images, labels):
        return images.numpy().tobytes()

    def others(self):
        labels = self._labels()
        return super().others() or (str(labels) if labels.exists() else None)

    def mend(self):
        labels, first = self._labels(), self.drawing.labels(0, 1)
        size = 0 if first is None else self.drawing.n * first[0].numel() * 8
        if first is None or (labels.exists() and labels.stat().st_size > size):
            return False
        self.beside()
        return True

    def _labels(self):
        return self.path.with_name(f"{self.path.name.removesuffix('.npy')}.labels.npy")

    def beside(self):
        first, n = self.drawing.labels(0, 1), self.drawing.n
        if first is None:
            return

        def write(file):
            file.write(_header((n, *first.shape[1:]), "<i8"))
            for start in range(0, n, CHUNK):
                file.write(self.drawing.labels(start, min(n, start + CHUNK)).numpy().tobytes())

        replace(self._labels(), write)


class Archive(_File):
    """A tar of 000000.png, 000000.cls (the label), 000001.png and so on, as WebDataset reads them;
    the same images make the same bytes at any time.
    """

    ending, pictures = ".tar", True

    def encode(self, start, images, labels):
        parts = []
        for i, png in enumerate(pngs(images)):
            name = f"{start + i:0{self.digits}d}"
            parts += _member(f"{name}.png", png)
            if labels is not None:
                parts += _member(f"{name}.cls", str(labels[i].tolist()).encode())
        return b"".join(parts)

    def tail(self):
        """Return the bytes that end a tar."""
        size = self.file.tell() + 2 * tarfile.BLOCKSIZE
        return bytes(2 * tarfile.BLOCKSIZE + -size % BLOCK)


class Folder:
    """A folder of PNG files, 00000/img00000000.png and so on, with their labels in dataset.json, as
    StyleGAN's tools write and read them.
    """

    pictures = True

    def __init__(self, path):
        self.path = self.part = path
        self.journal, self.lock = path / ".ganlib.json", path / ".ganlib.lock"

    def others(self):
        if self.path.exists() and not self.path.is_dir():
            return str(self.path)
        names = sorted(os.listdir(self.path)) if self.path.exists() else []
        return next((str(self.path / name) for name in names if name != self.lock.name), None)

    def has(self, done, size):
        """Return how many of `done` images are there before the first one that is not."""
        for i in range(done):
            try:
                if self._file(i).stat().st_size:
                    continue
            except OSError:
                pass
            return i
        return done

    def _file(self, i):
        return self.path / f"{i // 1000:05d}" / f"img{i:08d}.png"

    def open(self, drawing, done, size):
        self.drawing, self.size = drawing, size
        self.path.mkdir(parents=True, exist_ok=True)

    def encode(self, start, images, labels):
        """Write the files themselves, so that threads share this work, too; return their size."""
        encoded = pngs(images)
        for i in {(start + i) // 1000 * 1000 for i in range(len(encoded))}:
            self._file(i).parent.mkdir(exist_ok=True)
        for i, png in enumerate(encoded):
            self._file(start + i).write_bytes(png)
        return sum(map(len, encoded))

    def write(self, encoded):
        self.size += encoded

    def safe(self):
        """Return the number of bytes. What a crash of the machine makes of the last files is seen
        by `has`; to wait for each of them would take longer than to draw it.
        """
        return self.size

    def cut(self, size):
        """Do nothing: each file is complete, or drawn again."""

    def whole(self):
        return False  # dataset.json may lack

    def mend(self):
        if (self.path / "dataset.json").exists():
            return False
        self.finish()
        return True

    def finish(self):
        n, unlabelled = self.drawing.n, self.drawing.labels(0, 1) is None

        def write(file):
            file.write(f'{{"notice": {json.dumps(GENERATED)},\n"labels": '.encode())
            for start in range(0, 0 if unlabelled else n, CHUNK):
                labels = self.drawing.labels(start, min(n, start + CHUNK)).tolist()
                names = (f"{i // 1000:05d}/img{i:08d}.png" for i in range(start, n))
                rows = (json.dumps(row) for row in zip(names, labels, strict=False))
                file.write((",\n" if start else "[\n").encode() + ",\n".join(rows).encode())
            file.write(b"null}\n" if unlabelled else b"\n]}\n")

        replace(self.path / "dataset.json", write)

    def close(self):
        pass


def _header(shape, kind):
    """Return the first bytes of a .npy file."""
    file = io.BytesIO()
    about = {"descr": kind, "fortran_order": False, "shape": tuple(shape)}
    numpy.lib.format.write_array_header_1_0(file, about)
    return file.getvalue()


def _member(name, content):
    """Return a tar's member as bytes, without time and owner, so that equal images make equal
    bytes.

    What tarfile makes of a header, in a third of its time.
    """
    head = bytearray(HEADER)
    head[: len(name)] = name.encode("ascii")
    head[124:135] = b"%011o" % len(content)
    head[148:156] = b"%06o\0 " % (sum(head) + 8 * ord(" "))
    return head, content, bytes(-len(content) % tarfile.BLOCKSIZE)


def _empty():
    """Return the header of a file without a name, a size and a checksum."""
    info = tarfile.TarInfo()
    info.mode = 0o644
    head = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    head[148:156] = bytes(8)
    return bytes(head)


HEADER = _empty()
