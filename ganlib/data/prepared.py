"""Images of one's own: read, decoded side by side, and kept as one file of uint8, so that the next start is quick."""

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

VERSION = 1  # of what decoding makes of a file: another one makes all sets anew
IN_MEMORY = 2**29  # bytes; larger sets stay a file that is mapped into memory


def prepare(given, size, fit, channels, root):
    """Return (images uint8 (N, C, size, size), labels or None, classes, name, report) of a path or a data set.

    Raises ValueError for options or archives that make no sense, OSError where nothing can be read.
    """
    for what, value, known in (("fit", fit, FITS), ("channels", channels, (None, 1, 3))):
        if value not in known:
            raise ValueError(f"{what}={value!r} was given; {', '.join(map(repr, known))} are known")
    if not isinstance(size, int) or size < 1:
        raise ValueError(f"size={size!r} was given for images of your own; a number of pixels is expected, as size=64")
    source = open_source(given)
    key = _key(source.mark, size, fit, channels) if source.mark else None
    folder = Path(root) / "prepared" / (key or f"unnamed-{os.getpid()}")
    if key and (kept := _kept(folder)):
        print(f"{source.name}: {kept[4]['used']:,} images of {size} x {size}, prepared before (in {folder})")
        return kept
    return _make(source, size, fit, channels, folder, bool(key))


def _key(*facts):
    return hashlib.sha256(repr((VERSION, *facts)).encode()).hexdigest()[:20]


def _make(source, size, fit, channels, folder, keep):
    folder.mkdir(parents=True, exist_ok=True)
    raw, rows, skipped, notes = folder / f".decoding-{os.getpid()}.tmp", [], list(source.skipped), Counter()
    for left in folder.glob(".decoding-*.tmp"):  # by a process that was killed, unless it is at work
        if time.time() - left.stat().st_mtime > 3600:
            left.unlink(missing_ok=True)
    try:
        with open(raw, "wb") as file:
            for i, (name, found) in enumerate(_decoded(source, size, fit)):
                if isinstance(found, Exception):
                    skipped.append((name, str(found)))
                    continue
                file.write(found.pixels.tobytes())
                label = source.labels[i] if source.labels else None
                rows.append((name, found.grey, found.width, found.height, label))
                notes.update(found.notes)
        if not rows:
            why = "; ".join(f"{name}: {why}" for name, why in skipped[:3])
            raise OSError(f"{source.name} holds no image that can be read, of {len(skipped)} files ({why or 'none'})")
        grey = sum(row[1] for row in rows)
        planes = channels or (1 if grey == len(rows) else 3)
        labels, classes, mixed = _labels(rows, source)
        report = {
            "found": source.count + len(source.skipped), "used": len(rows), "grey": grey, "skipped": skipped,
            "converted": dict(notes.most_common()), "widths": [row[2] for row in rows],
            "heights": [row[3] for row in rows], "names": [row[0] for row in rows], "fit": fit, "mixed": mixed,
        }  # fmt: skip
        about = {"shape": [len(rows), planes, size, size], "labels": labels, "classes": classes, "name": source.name,
                 "report": report}  # fmt: skip
        _planes(raw, folder / "images.u8", about["shape"])
    finally:
        raw.unlink(missing_ok=True)
    text = json.dumps(about).encode()
    replace(folder / "about.json", lambda file: file.write(text))  # last: without it the rest is not taken
    made = _kept(folder)
    if not keep:  # a data set that cannot be told from others: not kept for the next start
        for name in ("about.json", "images.u8"):
            (folder / name).unlink()
        folder.rmdir()
    return made


def _decoded(source, size, fit):
    """(name, Decoded or an exception) of each item, in order; decoded side by side, a few ahead of what is taken."""

    def work(found):
        try:
            return found if isinstance(found, Exception) else decode(found, size, fit)
        except Unreadable as error:
            return error

    workers = os.cpu_count() or 1
    with warnings.catch_warnings(), ThreadPoolExecutor(workers) as pool:
        warnings.simplefilter("ignore")  # Pillow's about large images and odd EXIF: what matters is in the report
        ahead, done, progress = deque(), 0, Progress(patience=5.0)

        def told(found):
            nonlocal done
            done += 1
            progress.tell(done / source.count, f"decoding: {done:,} of {source.count:,} images")
            return found

        for name, found in source.items():
            ahead.append((name, pool.submit(work, found)))
            if len(ahead) >= 4 * workers:
                first, job = ahead.popleft()
                yield first, told(job.result())
        while ahead:
            first, job = ahead.popleft()
            yield first, told(job.result())
        progress.close()


def _labels(rows, source):
    """(labels or None, classes, whether files lie both in folders and beside them): one folder per class."""
    if source.labels:
        labels = [row[4] for row in rows]
        if None in labels or min(labels) < 0:
            return None, (), False
        return labels, source.classes or tuple(map(str, range(max(labels) + 1))), False
    folders = [PurePosixPath(row[0]).parts[:-1] for row in rows]
    common = os.path.commonprefix(folders)  # of tuples: the folders that all files share
    inner = [parts[len(common) :] for parts in folders]
    firsts = {parts[0] for parts in inner if parts}
    if not all(inner):
        return None, (), bool(firsts)
    classes = tuple(sorted(firsts))
    return [classes.index(parts[0]) for parts in inner], classes, False


def _planes(raw, path, shape):
    """Write the file of images from the decoded one, which has three planes an image: all of them, or their grey."""
    import numpy

    n, planes, h, w = shape
    decoded = numpy.memmap(raw, numpy.uint8, "r", shape=(n, 3, h, w))

    def write(file):
        for part in range(0, n, 1000):
            some = decoded[part : part + 1000]
            if planes == 1:  # ITU-R 601, as Pillow does
                weights = numpy.array([19595, 38470, 7471], numpy.uint32)[:, None, None]
                some = ((some * weights).sum(1, keepdims=True, dtype=numpy.uint32) + 32768 >> 16).astype(numpy.uint8)
            file.write(some.tobytes())

    replace(path, write, size=n * planes * h * w)


def _kept(folder):
    """What was prepared in `folder`, or None where it is not whole."""
    try:
        about = json.loads((folder / "about.json").read_bytes())
        n, c, h, w = shape = about["shape"]
        file = folder / "images.u8"
        if file.stat().st_size != n * c * h * w:
            return None
        images = torch.from_file(str(file), shared=False, size=n * c * h * w, dtype=torch.uint8).view(shape)
    except (OSError, ValueError, KeyError):
        return None
    images = images.clone() if images.numel() <= IN_MEMORY else images
    labels = None if about["labels"] is None else torch.tensor(about["labels"])
    return images, labels, tuple(about["classes"]), about["name"], about["report"]
