"""Prepare the user's own images: read them, decode several at a time, and cache them as one uint8
file, so that the next start is quick. `loading.load` calls `prepare`.
"""

import hashlib
import json
import os
import time
import warnings
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import torch

from ..machine.files import replace
from ..machine.progress import Progress
from .decoding import FITS, Unreadable, decode
from .sources import open_source

VERSION = 1  # of the decoded pixels: after a change every set is decoded again
IN_MEMORY = 2**29  # bytes; a larger set stays in its file, mapped into memory


def prepare(given, size, fit, channels, root):
    """Return (images uint8 (N, C, size, size), labels or None, classes, name, report) of the path
    or data set `given`.

    Raises ValueError for wrong options or a refused archive, OSError where nothing can be read.
    """
    for what, value, known in (("fit", fit, FITS), ("channels", channels, (None, 1, 3))):
        if value not in known:
            raise ValueError(f"{what}={value!r} was given; {', '.join(map(repr, known))} are known")
    if not isinstance(size, int) or size < 1:
        raise ValueError(
            f"size={size!r} was given for images of your own; a number of pixels is expected, as "
            "size=64"
        )
    source = open_source(given)
    key = _key(source.mark, size, fit, channels) if source.mark else None
    folder = Path(root) / "prepared" / (key or f"unnamed-{os.getpid()}")
    if key and (cached := _kept(folder)):
        print(
            f"{source.name}: {cached[4]['used']:,} images of {size} x {size}, prepared before (in "
            f"{folder})"
        )
        return cached
    return _make(source, size, fit, channels, folder, bool(key))


def _key(*facts):
    """Return the name of the cache folder of a set: a hash of the facts that decide its pixels."""
    return hashlib.sha256(repr((VERSION, *facts)).encode()).hexdigest()[:20]


def _make(source, size, fit, channels, folder, keep):
    """Decode `source` into files in `folder`, return the set, and `keep` or delete the files."""
    folder.mkdir(parents=True, exist_ok=True)
    raw, rows, skipped, notes = (
        folder / f".decoding-{os.getpid()}.tmp",
        [],
        list(source.skipped),
        Counter(),
    )
    for leftover in folder.glob(".decoding-*.tmp"):  # older than an hour: its process was killed
        if time.time() - leftover.stat().st_mtime > 3600:
            leftover.unlink(missing_ok=True)
    try:
        with open(raw, "wb") as file:
            for i, (name, decoded) in enumerate(_decoded(source, size, fit)):
                if isinstance(decoded, Exception):
                    skipped.append((name, str(decoded)))
                    continue
                file.write(decoded.pixels.tobytes())
                label = source.labels[i] if source.labels else None
                rows.append((name, decoded.grey, decoded.width, decoded.height, label))
                notes.update(decoded.notes)
        if not rows:
            why = "; ".join(f"{name}: {why}" for name, why in skipped[:3])
            raise OSError(
                f"{source.name} holds no image that can be read, of {len(skipped)} files "
                f"({why or 'none'})"
            )
        grey = sum(row[1] for row in rows)
        planes = channels or (1 if grey == len(rows) else 3)
        labels, classes, mixed = _labels(rows, source)
        report = {
            "found": source.count + len(source.skipped),
            "used": len(rows),
            "grey": grey,
            "skipped": skipped,
            "converted": dict(notes.most_common()),
            "widths": [row[2] for row in rows],
            "heights": [row[3] for row in rows],
            "names": [row[0] for row in rows],
            "fit": fit,
            "mixed": mixed,
        }
        about = {
            "shape": [len(rows), planes, size, size],
            "labels": labels,
            "classes": classes,
            "name": source.name,
            "report": report,
        }
        _planes(raw, folder / "images.u8", about["shape"])
    finally:
        raw.unlink(missing_ok=True)
    text = json.dumps(about).encode()
    replace(folder / "about.json", lambda file: file.write(text))  # last: it says the set is whole
    prepared = _kept(folder)
    if not keep:  # without a fingerprint the next start cannot find it again
        for name in ("about.json", "images.u8"):
            (folder / name).unlink()
        folder.rmdir()
    return prepared


def _decoded(source, size, fit):
    """Yield (name, `Decoded` or exception) of each item in order; threads decode a few ahead."""

    def work(content):
        try:
            return content if isinstance(content, Exception) else decode(content, size, fit)
        except Unreadable as error:
            return error

    workers = os.cpu_count() or 1
    with warnings.catch_warnings(), ThreadPoolExecutor(workers) as pool:
        # Pillow warns of large images and odd EXIF; the report says what matters
        warnings.simplefilter("ignore")
        ahead, done, progress = deque(), 0, Progress(patience=5.0)

        def counted(result):
            nonlocal done
            done += 1
            progress.tell(done / source.count, f"decoding: {done:,} of {source.count:,} images")
            return result

        for name, content in source.items():
            ahead.append((name, pool.submit(work, content)))
            if len(ahead) >= 4 * workers:
                first, job = ahead.popleft()
                yield first, counted(job.result())
        while ahead:
            first, job = ahead.popleft()
            yield first, counted(job.result())
        progress.close()


def _labels(rows, source):
    """Return (labels or None, classes, whether files lie both in folders and beside them).

    Where the source has no labels, each folder is a class.
    """
    if source.labels:
        labels = [row[4] for row in rows]
        if None in labels or min(labels) < 0:
            return None, (), False
        return labels, source.classes or tuple(map(str, range(max(labels) + 1))), False
    folders = [PurePosixPath(row[0]).parts[:-1] for row in rows]
    common = os.path.commonprefix(folders)  # works on tuples too: the folders that all files share
    inner = [parts[len(common) :] for parts in folders]
    firsts = {parts[0] for parts in inner if parts}
    if not all(inner):
        return None, (), bool(firsts)
    classes = tuple(sorted(firsts))
    return [classes.index(parts[0]) for parts in inner], classes, False


def _planes(raw, path, shape):
    """Write the images in `raw`, with three planes each, to `path`: all planes, or their grey."""
    import numpy

    n, planes, h, w = shape
    decoded = numpy.memmap(raw, numpy.uint8, "r", shape=(n, 3, h, w))

    def write(file):
        for start in range(0, n, 1000):
            chunk = decoded[start : start + 1000]
            if planes == 1:  # ITU-R 601's luma, as in Pillow
                weights = numpy.array([19595, 38470, 7471], numpy.uint32)[:, None, None]
                chunk = (
                    (chunk * weights).sum(1, keepdims=True, dtype=numpy.uint32) + 32768 >> 16
                ).astype(numpy.uint8)
            file.write(chunk.tobytes())

    replace(path, write, size=n * planes * h * w)


def _kept(folder):
    """Return the set that was prepared in `folder`, or None where it is missing or not whole."""
    try:
        about = json.loads((folder / "about.json").read_bytes())
        n, c, h, w = shape = about["shape"]
        file = folder / "images.u8"
        if file.stat().st_size != n * c * h * w:
            return None
        images = torch.from_file(
            str(file), shared=False, size=n * c * h * w, dtype=torch.uint8
        ).view(shape)
    except (OSError, ValueError, KeyError):
        return None
    images = images.clone() if images.numel() <= IN_MEMORY else images
    labels = None if about["labels"] is None else torch.tensor(about["labels"])
    return images, labels, tuple(about["classes"]), about["name"], about["report"]
