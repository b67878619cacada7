"""Open the user's own images as a `Source`: a folder, an archive, or another library's data set."""

import hashlib
import itertools
import os
import stat
from collections.abc import Mapping
from inspect import isgenerator
from pathlib import Path

from . import source
from .archives import ARCHIVES, open_archive
from .raw.items import columns
from .raw.kinds import refuse_arrays
from .source import Source, Unreadable, drawn, hidden, is_text, mark, named, of_ganlib, split_of


def looks_like_path(text):
    """Whether a text is a path (existing or not) rather than a name."""
    return (
        any(slash in text for slash in "/\\")
        or text.lower().endswith(ARCHIVES)
        or os.path.isdir(text)
    )


def open_source(origin, split="train"):
    """Return the `Source` of a path, or of a data set like torchvision's or Hugging Face's.

    `split` is used where `origin` is a dict of data sets. Raises OSError where nothing is there or
    it cannot be read, ValueError for a harmful archive.
    """
    if not isinstance(origin, (str, Path)):
        return _dataset(origin, split)
    path = Path(origin)
    if path.is_dir():
        return _folder(path)
    if not path.exists():
        raise OSError(
            f"there is no folder and no archive {str(origin)!r}; its full path is {path.absolute()}"
        )
    return open_archive(path)


def _folder(path):
    """Return the `Source` of a folder with its subfolders; links to folders are skipped, and what
    ganlib itself wrote.
    """
    files, skipped, runs, links = [], [], set(), []
    for place, folders, names in os.walk(path):
        for name in list(folders):
            if os.path.islink(os.path.join(place, name)):
                links.append(_inside(path, place, name))
        folders[:] = sorted(name for name in folders if not hidden(name))
        if ours := of_ganlib(Path(place), names):
            skipped.append((_inside(path, place, ""), f"{ours[0]} of ganlib, no data"))
            names = [name for name in names if name not in ours[1]]
            runs.add(place)
        if os.path.basename(place) == "pictures" and os.path.dirname(place) in runs:
            names = [name for name in names if not drawn(os.path.join(place, name))]
        files += [(_inside(path, place, name), os.path.join(place, name)) for name in names]
    skipped += [(link, "a link to a folder") for link in links]
    odd = [f"of links to folders nothing was read: {named(links)}; copy them"] if links else []
    files = sorted(file for file in files if not hidden(file[0]))
    facts, readable = [], []
    for name, file in files:
        try:
            info = os.stat(file)
        except OSError as error:
            skipped.append((name, error.strerror))
            continue
        if not stat.S_ISREG(info.st_mode):
            skipped.append((name, "no file"))
        elif info.st_size > source.BYTES:
            skipped.append(
                (
                    name,
                    f"{info.st_size / 2**20:,.0f} MB; more than {source.BYTES >> 20} are not read",
                )
            )
        else:
            facts.append((name, info.st_size, info.st_mtime_ns))
            readable.append((name, file))

    def items(wanted=None):
        for name, file in readable:
            if not is_text(name) and (wanted is None or name in wanted):
                yield name, _bytes(file)

    if sum(size for _, size, _ in facts) <= source.HASHED:
        facts = [(name, hashlib.sha256(_content(file)).hexdigest()) for name, file in readable]
    texts = {name: _content(file) for name, file in readable if is_text(name)}
    names = [name for name, _ in readable if name not in texts]
    called = path.resolve().name
    return Source(
        called, mark(facts), items, len(names), skipped, names=names, texts=texts, odd=odd
    )


def _bytes(file):
    """Return the content of a file, or the OSError where it cannot be read."""
    try:
        return Path(file).read_bytes()
    except OSError as error:
        unread = OSError(f"{file} cannot be read ({error.strerror})")
        unread.errno = error.errno
        return unread


def _content(file):
    """Return the content of a file, nothing where it cannot be read."""
    content = _bytes(file)
    return content if isinstance(content, bytes) else b""


def _inside(path, place, name):
    """Return the path of file `name` in the folder `place`, relative to `path`, with slashes."""
    return Path(os.path.relpath(os.path.join(place, name), path)).as_posix()


def _dataset(data, split):
    """Return the `Source` of a data set of dicts (Hugging Face), pairs (image, label)
    (torchvision), or images; of a list or generator of them; or of a dict of data sets by split.
    """
    kind, odd = type(data).__name__, []
    if isinstance(data, Mapping):
        data, sentence = split_of(data, split)
        odd.append(sentence)
        kind = type(data).__name__
    elif split != "train":
        raise ValueError(f"split={split!r} was given with a {kind}, which has no splits")
    count = len(data) if hasattr(data, "__len__") else None
    if hasattr(data, "dataset") and hasattr(data, "batch_size"):
        raise ValueError(f"a {kind} was given, which gives batches; give loader.dataset")
    if getattr(data, "ndim", 0) == 3 and len(data) in (1, 3, 4):
        odd.append(f"an array of {tuple(data.shape)} was taken as {count} grey images")
    refuse_arrays(data)
    if isinstance(data, bytes) or not (hasattr(data, "__getitem__") or hasattr(data, "__iter__")):
        raise ValueError(
            f"{kind} was given; a name, a path, or a data set with a length is expected"
        )
    placed = count is not None and hasattr(data, "__getitem__")
    first, tries = _first(_tries(data, count if placed else None, odd), kind)
    image, label, classes = columns(data, first, odd)
    labels = []

    def items(wanted=None):
        for i, item in enumerate(tries):
            failed = isinstance(item, Exception)
            labels.append(None if failed or label is None else _part(item, label))
            content = item if failed or image is None else _part(item, image)
            if content is None:
                content = Unreadable(f"it has no image ({image!r})")
            yield _called(i, content), _content_of(content)

    fingerprint = getattr(data, "_fingerprint", "")  # Hugging Face's; others are read at each start
    taken = labels if label is not None else None
    marked = fingerprint and mark(fingerprint)
    return Source(kind, marked, items, count, [], taken, classes, odd=odd)


def _tries(data, count, odd):
    """Yield the items of a data set, of a stream where `count` is None, or the exceptions that they
    raise (any decoder's errors), until a hundred follow each other in a stream. A generator that
    raised is at its end: `odd` gets a sentence.
    """
    items = iter(data) if count is None else map(data.__getitem__, range(count))
    failed = 0
    while count is not None or failed < 100:
        try:
            item = next(items)
            failed = 0
        except StopIteration:
            return
        except Exception as error:
            item = error
            failed += 1
            if isgenerator(items):
                odd.append(f"it broke off ({error}): what would have come after is missing")
        yield item


def _part(item, key):
    """Return the image or the label of an item, None where it has none."""
    try:
        return item[key]
    except (KeyError, IndexError, TypeError):
        return None


def _called(i, content):
    """Return the name of item `i` in the report: its path if it is one, else its number."""
    if isinstance(content, dict):
        content = content.get("path")
    return str(content) if isinstance(content, (str, Path)) and content else str(i)


def _content_of(value):
    """Return what `decode` takes of an item: a path and a dict of bytes and path become bytes."""
    if isinstance(value, dict) and {"bytes", "path"} & set(value):  # Hugging Face, decode=False
        content = value.get("bytes")
        return bytes(content) if content is not None else _content_of(value.get("path"))
    if isinstance(value, (str, Path)):
        if "://" in str(value):
            return Unreadable("an address; download it first, and give the file's path")
        return _bytes(Path(value).expanduser())
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if hasattr(value, "read") and hasattr(value, "seek"):
        return value.read()
    return value


def _first(tries, kind):
    """Return (the first item that can be read, an iterator over all); raise OSError where there is
    none, ValueError for an empty set.
    """
    head = []
    for item in tries:
        head.append(item)
        if not isinstance(item, Exception):
            return item, itertools.chain(head, tries)
    if not head:
        raise ValueError(f"the data set {kind} is empty")
    raise OSError(f"none of the {len(head)} items of {kind} can be read ({head[-1]})")


def picture(source):
    """Return a data set's item as a Pillow image, or (values (H, W, C), None, kind): a Pillow
    image, an array (H, W) or (H, W, C), or a tensor (H, W) or (C, H, W), of bools, integers or
    floats. Raises `Unreadable`.
    """
    import numpy
    from PIL import Image

    if isinstance(source, Image.Image):
        return source.copy()
    if tensor := hasattr(source, "permute"):  # float() since NumPy has no bfloat16
        source = source.detach().cpu()
        source = (source.float() if source.is_floating_point() else source).numpy()
    values = numpy.asarray(source)
    if values.ndim == 2:
        values = values[..., None]
    first = values.ndim == 3 and values.shape[0] in (1, 2, 3, 4)
    last = values.ndim == 3 and values.shape[2] in (1, 2, 3, 4)
    if values.dtype.kind not in "buif" or not (first or last) or not values.size:
        raise Unreadable(f"{values.dtype} of shape {values.shape}; uint8 (H, W, C) is expected")
    if first and (tensor or not last) and numpy.ndim(source) == 3:
        values = numpy.moveaxis(values, 0, 2)
    if values.dtype.kind == "b":
        values = values.astype(numpy.uint8) * 255
    if values.dtype != numpy.uint8 and values.shape[2] in (2, 4):
        if values.dtype.kind != "f" or not 0 <= values.min() <= values.max() <= 1:
            raise Unreadable(
                f"{values.dtype} of shape {values.shape}, with transparency; uint8 is expected, or "
                "floats from 0 to 1"
            )
        values = (values * 255).round().astype(numpy.uint8)
    if values.dtype == numpy.uint8:
        values = values[..., 0] if values.shape[2] == 1 else numpy.ascontiguousarray(values)
        return Image.fromarray(values)
    kinds = {"u": "unsigned", "i": "signed", "f": "floats"}
    return values, None, kinds[values.dtype.kind]
