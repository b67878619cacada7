"""Prepare the user's own images: read them, decode several at a time, and cache them as one uint8
file, so that the next start is quick. `loading.load` calls `prepare`.
"""

import contextlib
import hashlib
import json
import os
import pickle
import tempfile
import time
import warnings
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from ..machine.choices import as_whole
from ..machine.files import replace
from ..machine.progress import Progress, readable, say
from .archives import lasting
from .decoding import FITS, GROUNDS, Values, decode, is_grey
from .labels import labels_of
from .source import Unreadable, layout, luma, openers
from .sources import open_source

VERSION = 3  # of pixels and labels: after a change every set is decoded again
LARGEST = 8192  # pixels: of a side; an image of twice as many would take a gigabyte
IN_MEMORY = 2**29  # bytes; a larger set stays in its file, mapped into memory


def prepare(origin, size, fit, channels, root, split="train", background=None):
    """Return (images uint8 (N, C, size, size), labels or None, classes, name, report) of the path
    or data set `origin`.

    Raises ValueError for wrong options or a refused archive, OSError where nothing can be read.
    """
    size, ground, split = *checked(size, fit, channels, background), split or "train"
    facts, source = openers(), open_source(origin, split)
    key = _key(source.mark, size, fit, channels, split, ground, facts) if source.mark else None
    folder = Path(root) / "prepared" / (key or "")
    if key and (cached := _kept(folder)):
        name = readable(source.name)  # the folder may have another one now
        cached = *cached[:3], name, cached[4]
        used = cached[4]["used"]
        say(f"{name}: {used:,} images of {size} x {size}, prepared before (in {folder})")
    if not key:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        folder = Path(tempfile.mkdtemp(prefix="unnamed-", dir=folder))
    result = (key and cached) or _make(
        source, size, fit, channels, folder, bool(key), split, ground
    )
    for sentence in result[4]["odd"]:
        say(f"{readable(source.name)}: {sentence}")
    return result


def checked(size, fit, channels, background):
    """Return (size, ground) of the options of `load`; raise ValueError for wrong ones."""
    for what, value, known in (("fit", fit, FITS), ("channels", channels, (None, 1, 3))):
        if value not in known:
            raise ValueError(f"{what}={value!r} was given; {', '.join(map(repr, known))} are known")
    if not 1 <= (as_whole(size) or 0) <= LARGEST:
        raise ValueError(
            f"size={size!r} was given for images of your own; a number of pixels is expected, at "
            f"most {LARGEST:,}, as size=64"
        )
    return as_whole(size), _ground(background)


def _ground(background):
    """Return a background as a grey level 0 .. 255, (red, green, blue), or None to choose one."""
    from PIL import ImageColor

    known = (
        "'white', 'black', 'grey', a colour as '#ff8800' or (255, 136, 0), or None to choose one"
    )
    error = ValueError(f"background={background!r} was given; {known}, is expected")
    if background is None or (isinstance(background, str) and background in GROUNDS):
        return GROUNDS.get(background)
    try:
        levels = background
        if isinstance(background, str):
            levels = ImageColor.getrgb(background)
        levels = [levels] * 3 if isinstance(levels, int) else list(levels)
    except (ValueError, TypeError):
        raise error from None
    if len(levels) != 3 or not all(isinstance(v, int) and 0 <= v <= 255 for v in levels):
        raise error
    return levels[0] if len(set(levels)) == 1 else tuple(levels)


def _key(*facts):
    """Return the name of the cache folder of a set: a hash of the facts that decide its pixels."""
    return hashlib.sha256(repr((VERSION, *facts)).encode()).hexdigest()[:20]


def _make(source, size, fit, channels, folder, keep, split, ground):
    """Decode `source` into files in `folder`, return the set, and `keep` or delete the files."""
    folders, odd = None, []
    if source.names is not None:
        folders, odd = layout(source.names, split, source.name)
    folder.mkdir(parents=True, exist_ok=True)
    raw, rows = folder / f".decoding-{os.getpid()}.tmp", []
    late = raw.with_name(f".decoding-{os.getpid()}-late.tmp")
    skipped, notes, values, seen = list(source.skipped), Counter(), Values(ground), 0
    for leftover in folder.glob(".decoding-*.tmp"):  # older than an hour: its process was killed
        if time.time() - leftover.stat().st_mtime > 3600:
            leftover.unlink(missing_ok=True)
    try:
        with open(raw, "wb") as file, open(late, "wb") as later:
            for i, (name, decoded) in enumerate(decoding(source, size, fit, folders)):
                seen += 1
                if isinstance(decoded, Exception):
                    skipped.append((name, str(decoded)))
                    keep = keep and lasting(decoded)
                    continue
                if decoded.late is not None:
                    values.add(decoded.late)
                    pickle.dump(decoded.late, later)
                    decoded = decoded._replace(late=True)
                    file.write(bytes(3 * size * size))
                else:
                    file.write(decoded.pixels.tobytes())
                rows.append((name, decoded._replace(pixels=len(rows)), i))
        rows = _settled(rows, raw, late, size, values.settle(), skipped)
        if not rows:
            reasons = {why: name for name, why in reversed(skipped)}  # each with its first file
            why = "; ".join(f"{name}: {why}" for why, name in list(reasons.items())[:-4:-1])
            raise OSError(
                f"{source.name} holds no image that can be read, of {len(skipped)} files "
                f"({why or 'none'})"
            )
        for _, decoded, _ in rows:
            notes.update(decoded.notes)
        grey = sum(decoded.grey for _, decoded, _ in rows)
        planes = channels or (1 if grey == len(rows) else 3)
        labels, classes, where, said, mixed = labels_of(rows, source, folders)
        names = [name for name, _, _ in rows]
        report = {
            "found": seen + len(source.skipped),
            "used": len(rows),
            "grey": grey,
            "skipped": skipped,
            "converted": dict(notes.most_common()),
            "widths": [decoded.width for _, decoded, _ in rows],
            "heights": [decoded.height for _, decoded, _ in rows],
            "names": names,
            "fit": fit,
            "mixed": mixed,
            "labels": where,
            "values": values.said,
            "background": values.called(),
            "odd": [*source.odd, *odd, *said, *values.odd],
        }
        about = {
            "shape": [len(rows), planes, size, size],
            "labels": labels,
            "classes": list(map(readable, classes)),
            "name": readable(source.name),
            "report": report,
        }
        places = [decoded.pixels for _, decoded, _ in rows]
        _planes(raw, folder / "images.u8", about["shape"], places)
    finally:
        raw.unlink(missing_ok=True)
        late.unlink(missing_ok=True)
        if not keep and not (folder / "images.u8").exists():
            _remove(folder)
    text = json.dumps(about).encode()
    replace(folder / "about.json", lambda file: file.write(text))  # last: it says the set is whole
    prepared = _kept(folder)
    if not keep:  # without a fingerprint the next start cannot find it again
        _remove(folder)
    return prepared


def _remove(folder):
    """Delete a prepared set. Windows deletes no file that is mapped: `_sweep` does, later."""
    with contextlib.suppress(OSError):
        for file in sorted(folder.iterdir()):  # about.json first: it says that the set is whole
            file.unlink()
        folder.rmdir()


def _sweep(folder):
    """Delete what sets that are not kept have left in `folder` more than a day ago."""
    for old in folder.glob("unnamed-*"):
        with contextlib.suppress(OSError):
            if time.time() - old.stat().st_mtime > 86_400:
                _remove(old)


def _settled(rows, raw, late, size, values, skipped):
    """Write into `raw` the pixels that `values` decides; return the rows of images that it takes,
    and append the others to `skipped`.
    """
    import numpy

    kept = []
    with open(raw, "r+b") as file, open(late, "rb") as later:
        for name, decoded, i in rows:
            place = decoded.pixels * 3 * size * size
            if decoded.late:
                waited = pickle.load(later)
                try:
                    pixels = values.pixels(waited)
                except Unreadable as error:
                    skipped.append((name, str(error)))
                    continue
                decoded = decoded._replace(notes=(*decoded.notes, *values.notes(waited)))
            elif decoded.frame and values.ground != 255:  # padded with white until now
                file.seek(place)
                white = numpy.frombuffer(file.read(3 * size * size), numpy.uint8)
                pixels = values.framed(white.reshape(3, size, size), decoded.frame)
            else:
                kept.append((name, decoded, i))
                continue
            file.seek(place)
            file.write(pixels.tobytes())
            kept.append((name, decoded._replace(grey=is_grey(pixels)), i))
    return kept


def decoding(source, size, fit, wanted, done=0):
    """Yield (name, `Decoded` or exception) of each item in order; threads decode a few ahead, and a
    bar shows how many are done, `done` of them before.
    """

    def work(content):
        try:
            return content if isinstance(content, Exception) else decode(content, size, fit, False)
        except Unreadable as error:
            return error

    total = source.count if wanted is None else len(wanted)
    workers = os.cpu_count() or 1
    with warnings.catch_warnings(), ThreadPoolExecutor(workers) as pool:
        # Pillow warns of large images and odd EXIF; the report says what matters
        warnings.simplefilter("ignore")
        ahead, progress = deque(), Progress(patience=5.0)

        def counted(result):
            nonlocal done
            done += 1
            share = 0.0 if total is None else done / total
            of = "" if total is None else f" of {total:,}"
            progress.tell(share, f"decoding: {done:,}{of} images")
            return result

        for name, content in source.items(None if wanted is None else {*wanted}):
            ahead.append((name, pool.submit(work, content)))
            if len(ahead) >= 4 * workers:
                first, job = ahead.popleft()
                yield first, counted(job.result())
        while ahead:
            first, job = ahead.popleft()
            yield first, counted(job.result())
        progress.close()


def _planes(raw, path, shape, places):
    """Write the images in `raw`, with three planes each, to `path`, those at
    `places`: all planes, or their grey.
    """
    import numpy

    n, planes, h, w = shape
    decoded = numpy.memmap(raw, numpy.uint8, "r", shape=(places[-1] + 1, 3, h, w))

    def write(file):
        for start in range(0, n, 1000):
            chunk = decoded[places[start : start + 1000]]
            file.write((luma(chunk) if planes == 1 else chunk).tobytes())

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
    # readable here too: what an earlier version prepared may hold names that are no UTF-8
    classes, name = tuple(map(readable, about["classes"])), readable(about["name"])
    return images, labels, classes, name, about["report"]
