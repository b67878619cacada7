"""Sources: the image files of a folder, a .zip or a .tar, or the items of a data set; what an archive may hold."""

import hashlib
import lzma
import operator
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

BYTES = 256 * 2**20  # of one file
DAMAGE = (zipfile.BadZipFile, tarfile.TarError, NotImplementedError, EOFError, OSError, lzma.LZMAError, zlib.error)
HASHED = 2**27  # bytes of files that are told from others by their content; larger ones by names, sizes and times
TOTAL = 256 * 2**30  # of all files of an archive
COUNT = 5_000_000  # files of an archive
RATIO = 200  # between a file's size and what it takes in the archive, from a megabyte on
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


@dataclass
class Source:
    """`items()` yields (name, what `decode` takes); `mark` tells it from others; `labels`, where it knows them."""

    name: str
    mark: str
    items: Callable[[], Iterator]
    count: int
    skipped: list = field(default_factory=list)  # (name, why)
    labels: list | None = None
    classes: tuple = ()


def looks_like_path(text):
    """Whether a text is a path, of something that is there or not, rather than a name."""
    return any(mark in text for mark in "/\\") or text.lower().endswith(ARCHIVES) or os.path.isdir(text)


def open_source(given):
    """Return the `Source` of a path, or of a data set of torchvision's or Hugging Face's kind.

    Raises OSError where there is nothing or it cannot be read, ValueError for an archive that nobody should open.
    """
    if not isinstance(given, (str, Path)):
        return _dataset(given)
    path = Path(given)
    if path.is_dir():
        return _folder(path)
    if not path.exists():
        raise OSError(f"there is no folder and no archive {str(given)!r}; its full path is {path.absolute()}")
    try:
        return _zip(path) if zipfile.is_zipfile(path) else _tar(path)
    except tuple(set(DAMAGE) - {OSError}):  # an OSError, no permission say, speaks for itself
        kinds = ", ".join(ARCHIVES)
        raise OSError(f"{path} is no folder and no archive that can be read; {kinds} are known") from None


def _mark(*facts):
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _hidden(name):
    """Whether a file is none of the user's: .DS_Store, __MACOSX/..., Thumbs.db."""
    parts = PurePosixPath(name).parts
    return any(part.startswith(".") or part == "__MACOSX" for part in parts) or parts[-1].lower() == "thumbs.db"


def _folder(path):
    files, skipped = [], []
    for place, folders, names in os.walk(path):
        for name in list(folders):
            if os.path.islink(os.path.join(place, name)):
                skipped.append((_inside(path, place, name), "a link to a folder"))
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
        files += [(_inside(path, place, name), os.path.join(place, name)) for name in names]
    files = sorted(file for file in files if not _hidden(file[0]))
    facts, found = [], []
    for name, file in files:
        try:
            info = os.stat(file)
        except OSError as error:
            skipped.append((name, error.strerror))
            continue
        if not stat.S_ISREG(info.st_mode):
            skipped.append((name, "no file"))
        elif info.st_size > BYTES:
            skipped.append((name, f"{info.st_size / 2**20:,.0f} MB; more than {BYTES >> 20} are not read"))
        else:
            facts.append((name, info.st_size, info.st_mtime_ns))
            found.append((name, file))

    def items():
        for name, file in found:
            content = _bytes(file)
            yield name, content if content is not None else OSError(f"{file} cannot be read")

    if sum(size for _, size, _ in facts) <= HASHED:
        facts = [(name, hashlib.sha256(_bytes(file) or b"").hexdigest()) for name, file in found]
    return Source(path.resolve().name, _mark(facts), items, len(found), skipped)


def _bytes(file):
    try:
        return Path(file).read_bytes()
    except OSError:
        return None


def _inside(path, place, name):
    return Path(os.path.relpath(os.path.join(place, name), path)).as_posix()


def _allowed(archive, members):
    """Raise ValueError where an archive is made to do harm; `members`: (name, size, packed size or None)."""
    total, why = 0, None
    for count, (name, size, packed) in enumerate(members, 1):
        total += size
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if not parts:  # the folder itself, as `tar -C photos .` has it
            continue
        if name.startswith(("/", "\\")) or parts[0][1:2] == ":" or ".." in parts:
            why = f"{name!r} points out of the archive"
        elif packed is not None and size > 2**20 and size > RATIO * max(1, packed):
            why = f"{name!r} has {size:,} bytes, packed into {packed:,}: more than {RATIO} to 1"
        elif total > TOTAL:
            why = f"it would unpack to more than {TOTAL >> 30} GB"
        elif count > COUNT:
            why = f"it has more than {COUNT:,} files"
        if why:
            raise ValueError(f"{archive} is refused: {why}. If you trust it, unpack it yourself and give the folder")


def _archive_mark(path):
    info = path.stat()
    if info.st_size <= HASHED:
        return _mark(path.name, hashlib.sha256(path.read_bytes()).hexdigest())
    return _mark(path.name, info.st_size, info.st_mtime_ns)


def _zip(path):
    with zipfile.ZipFile(path) as archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
    _allowed(path, ((info.filename, info.file_size, info.compress_size) for info in infos))
    skipped, found = [], []
    for info in sorted(infos, key=lambda info: info.filename):
        mode = info.external_attr >> 16
        if _hidden(info.filename):
            continue
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            skipped.append((info.filename, "a link or a device"))
        elif info.flag_bits & 1:
            skipped.append((info.filename, "encrypted"))
        elif info.file_size > BYTES:
            skipped.append((info.filename, f"{info.file_size >> 20:,} MB; more than {BYTES >> 20} are not read"))
        else:
            found.append(info)

    def items():
        with zipfile.ZipFile(path) as archive:
            for info in found:
                try:
                    yield info.filename, archive.read(info)
                except DAMAGE as error:
                    yield info.filename, error

    return Source(path.stem, _archive_mark(path), items, len(found), skipped)


def _tar(path):
    skipped, found, total, packed = [], 0, 0, path.stat().st_size
    with tarfile.open(path) as archive:
        for count, member in enumerate(_members(archive, path, skipped), 1):  # a bomb is refused before it is unpacked
            total += member.size if member.isfile() else 0
            _allowed(path, [(member.name or ".", total, packed)])
            if count > COUNT:
                raise ValueError(f"{path} is refused: it has more than {COUNT:,} files")
            if member.isdir() or _hidden(member.name):
                continue
            if not member.isfile():
                skipped.append((member.name, "a link or a device"))
            elif member.size > BYTES:
                skipped.append((member.name, f"{member.size >> 20:,} MB; more than {BYTES >> 20} are not read"))
            else:
                found += 1

    def items():
        with tarfile.open(path) as archive:
            for member in _members(archive, path, []):
                if member.isfile() and member.size <= BYTES and not _hidden(member.name):
                    try:
                        yield member.name, archive.extractfile(member).read()
                    except DAMAGE as error:
                        yield member.name, error

    name = path.name
    for ending in sorted(ARCHIVES, key=len, reverse=True):
        name = name.removesuffix(ending)
    return Source(name, _archive_mark(path), items, found, skipped)


def _members(archive, path, skipped):
    """The members of a tar, as far as it goes: one that was cut short is no reason to lose what came before."""
    members, count = iter(archive), 0
    while True:
        try:
            member = next(members, None)
        except DAMAGE as error:
            if count == 0:
                raise tarfile.ReadError(str(error)) from None
            skipped.append((path.name, f"the archive is damaged after {count} members ({error})"))
            return
        if member is None:
            archive.fileobj.seek(archive.offset)
            if len(archive.fileobj.read(tarfile.BLOCKSIZE)) < tarfile.BLOCKSIZE:  # tarfile takes that for an end
                skipped.append((path.name, f"the archive is damaged: it breaks off after {count} members"))
            return
        count += 1
        yield member


def _dataset(data):
    """Items are dicts (Hugging Face), pairs (image, label) (torchvision), or images."""
    if not hasattr(data, "__len__") or not hasattr(data, "__getitem__"):
        raise ValueError(f"{type(data).__name__} was given; a name, a path, or a data set with a length is expected")
    if len(data) == 0:
        raise ValueError(f"the data set {type(data).__name__} is empty")
    image, label, classes = _columns(data)
    labels = []

    def items():
        labels.clear()
        for i in range(len(data)):
            try:
                item = data[i]
            except Exception as error:  # a file of its that is broken: any decoder's error
                labels.append(None)
                yield str(i), error
                continue
            labels.append(None if label is None else int(item[label]))
            yield str(i), item if image is None else item[image]

    mark = getattr(data, "_fingerprint", "")  # Hugging Face's own; others are read anew at each start
    return Source(type(data).__name__, mark and _mark(mark), items, len(data), [], labels, classes)


def _columns(data):
    """(key of the image or None, key of the label or None, class names), read off the first item that can be read."""
    features, item = getattr(data, "features", None), _first(data)
    if isinstance(item, dict):
        kinds = {name: type(kind).__name__ for name, kind in (features or {}).items()}
        images = [name for name, kind in kinds.items() if kind == "Image"]
        images += [name for name in ("image", "img") if name in item and name not in images]
        labels = [name for name, kind in kinds.items() if kind == "ClassLabel"]
        labels += [name for name in ("label", "labels") if name in item and name not in labels]
        if not images:
            raise ValueError(f"the data set has the columns {', '.join(item)}; one of images is expected")
        label = labels[0] if labels and _whole(item[labels[0]]) else None
        return images[0], label, tuple(getattr((features or {}).get(label), "names", None) or ())
    if isinstance(item, (tuple, list)):
        label = 1 if len(item) > 1 and _whole(item[1]) else None
        return 0, label, tuple(map(str, getattr(data, "classes", None) or ()))
    return None, None, ()


def _first(data):
    for i in range(len(data)):
        try:
            return data[i]
        except Exception as error:  # broken: `items` will report it
            last = error
    raise OSError(f"none of the {len(data)} items of {type(data).__name__} can be read ({last})")


def _whole(label):
    """Whether a label is a whole number: an int, or one of numpy or torch."""
    try:
        return operator.index(label) is not None
    except TypeError:
        return False
