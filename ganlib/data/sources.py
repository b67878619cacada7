"""Open the user's own images as a `Source`: a folder, an archive, or another library's data set."""

import hashlib
import operator
import os
import stat
from pathlib import Path

from . import source
from .archives import ARCHIVES, open_archive
from .source import Source, hidden, mark


def looks_like_path(text):
    """Whether a text is a path (existing or not) rather than a name."""
    return (
        any(slash in text for slash in "/\\")
        or text.lower().endswith(ARCHIVES)
        or os.path.isdir(text)
    )


def open_source(given):
    """Return the `Source` of a path, or of a data set like torchvision's or Hugging Face's.

    Raises OSError where nothing is there or it cannot be read, ValueError for a harmful archive.
    """
    if not isinstance(given, (str, Path)):
        return _dataset(given)
    path = Path(given)
    if path.is_dir():
        return _folder(path)
    if not path.exists():
        raise OSError(
            f"there is no folder and no archive {str(given)!r}; its full path is {path.absolute()}"
        )
    return open_archive(path)


def _folder(path):
    """Return the `Source` of a folder with its subfolders; links to folders are skipped."""
    files, skipped = [], []
    for place, folders, names in os.walk(path):
        for name in list(folders):
            if os.path.islink(os.path.join(place, name)):
                skipped.append((_inside(path, place, name), "a link to a folder"))
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and name != "__MACOSX"
        )
        files += [(_inside(path, place, name), os.path.join(place, name)) for name in names]
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

    def items():
        for name, file in readable:
            content = _bytes(file)
            yield name, content if content is not None else OSError(f"{file} cannot be read")

    if sum(size for _, size, _ in facts) <= source.HASHED:
        facts = [(name, hashlib.sha256(_bytes(file) or b"").hexdigest()) for name, file in readable]
    return Source(path.resolve().name, mark(facts), items, len(readable), skipped)


def _bytes(file):
    """Return the content of a file, None where it cannot be read."""
    try:
        return Path(file).read_bytes()
    except OSError:
        return None


def _inside(path, place, name):
    """Return the path of file `name` in the folder `place`, relative to `path`, with slashes."""
    return Path(os.path.relpath(os.path.join(place, name), path)).as_posix()


def _dataset(data):
    """Return the `Source` of a data set of dicts (Hugging Face), pairs (image, label)
    (torchvision), or images.
    """
    if not hasattr(data, "__len__") or not hasattr(data, "__getitem__"):
        raise ValueError(
            f"{type(data).__name__} was given; a name, a path, or a data set with a length is "
            "expected"
        )
    if len(data) == 0:
        raise ValueError(f"the data set {type(data).__name__} is empty")
    image, label, classes = _columns(data)
    labels = []

    def items():
        labels.clear()
        for i in range(len(data)):
            try:
                item = data[i]
            except Exception as error:  # a broken file: any decoder's error
                labels.append(None)
                yield str(i), error
                continue
            labels.append(None if label is None else int(item[label]))
            yield str(i), item if image is None else item[image]

    fingerprint = getattr(data, "_fingerprint", "")  # Hugging Face's; others are read at each start
    return Source(
        type(data).__name__,
        fingerprint and mark(fingerprint),
        items,
        len(data),
        [],
        labels,
        classes,
    )


def _columns(data):
    """Return (image key or None, label key or None, class names), from the first readable item."""
    features, item = getattr(data, "features", None), _first(data)
    if isinstance(item, dict):
        kinds = {name: type(kind).__name__ for name, kind in (features or {}).items()}
        images = [name for name, kind in kinds.items() if kind == "Image"]
        images += [name for name in ("image", "img") if name in item and name not in images]
        labels = [name for name, kind in kinds.items() if kind == "ClassLabel"]
        labels += [name for name in ("label", "labels") if name in item and name not in labels]
        if not images:
            raise ValueError(
                f"the data set has the columns {', '.join(item)}; one of images is expected"
            )
        label = labels[0] if labels and _whole(item[labels[0]]) else None
        return images[0], label, tuple(getattr((features or {}).get(label), "names", None) or ())
    if isinstance(item, (tuple, list)):
        label = 1 if len(item) > 1 and _whole(item[1]) else None
        return 0, label, tuple(map(str, getattr(data, "classes", None) or ()))
    return None, None, ()


def _first(data):
    """Return the first item that can be read; raise OSError where there is none."""
    for i in range(len(data)):
        try:
            return data[i]
        except Exception as error:  # broken: `items` reports it
            last = error
    raise OSError(f"none of the {len(data)} items of {type(data).__name__} can be read ({last})")


def _whole(label):
    """Whether a label is a whole number: an int, or an integer of numpy or torch."""
    try:
        return operator.index(label) is not None
    except TypeError:
        return False
