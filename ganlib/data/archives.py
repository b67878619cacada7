"""Read the files of a .zip or .tar archive in place, and refuse archives that could do harm."""

import hashlib
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from pathlib import PurePosixPath

from . import source
from .raw.kinds import no_archive
from .source import Source, Unreadable, hidden, is_text, mark

# what a damaged archive raises when it is read
DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    NotImplementedError,
    EOFError,
    OSError,
    lzma.LZMAError,
    zlib.error,
)
# what says that an image itself is wrong, and will be at the next start; not a time-out, say
OF_CONTENT = (ValueError, SyntaxError, TypeError, struct.error, *(set(DAMAGE) - {OSError}))
TOTAL = 256 * 2**30  # most bytes, unpacked, of all files of an archive together
COUNT = 5_000_000  # most files of an archive
MANY, LEAST = 50_000, 32  # of more files than this each takes at least so many bytes, packed
EXTENDING = b"x", b"g", b"X", b"L", b"K"  # types of headers that extend the next one
NAMES = 2**20  # most bytes of a header that extends another: tarfile reads it at once
RATIO = 200  # greatest ratio of a file's size to its packed size, from a megabyte on
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


class Header(tarfile.TarInfo):
    """The header of a tar's member; a header of names (GNU's long names, PAX) may be no bomb."""

    @classmethod
    def frombuf(cls, buffer, encoding, errors):
        header = super().frombuf(buffer, encoding, errors)
        if header.type in EXTENDING and header.size > NAMES:
            raise tarfile.ReadError(f"a header claims {header.size:,} bytes")
        return header


def open_archive(path):
    """Return the `Source` of the .zip or .tar archive at `path`.

    Raises OSError where it cannot be read, ValueError where `_allowed` refuses it.
    """
    try:
        return _zip(path) if zipfile.is_zipfile(path) else _tar(path)
    except tuple(set(DAMAGE) - {OSError}):  # an OSError already says what is wrong
        kinds = ", ".join(ARCHIVES)
        raise OSError(
            f"{path} is no folder and no archive that can be read; {kinds} are known"
            f"{no_archive(path, source.KINDS)}"
        ) from None


def _allowed(archive, members):
    """Raise ValueError for an archive with a path that leads out of it, or with too much data.

    `members` yields (name, size, packed size or None) for each file.
    """
    total, why = 0, None
    for count, (name, size, packed) in enumerate(members, 1):
        total += size
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if not parts:  # the folder itself, an entry that `tar -C photos .` writes
            continue
        if name.startswith(("/", "\\")) or parts[0][1:2] == ":" or ".." in parts:
            why = f"{name[:200]!r} points out of the archive"
        elif packed is not None and size > 2**20 and size > RATIO * max(1, packed):
            why = (
                f"{name[:200]!r} has {size:,} bytes, packed into {packed:,}: more than {RATIO} to 1"
            )
        elif total > TOTAL:
            why = f"it would unpack to more than {TOTAL >> 30} GB"
        elif count > COUNT:
            why = f"it has more than {COUNT:,} files"
        if why:
            raise ValueError(
                f"{archive} is refused: {why}. If you trust it, unpack it yourself and give the "
                "folder"
            )


def _mark_of(path):
    """Return the archive's fingerprint: of its content, or if it is large of its size and time."""
    info = path.stat()
    if info.st_size <= source.HASHED:
        return mark(path.name, hashlib.sha256(path.read_bytes()).hexdigest())
    return mark(path.name, info.st_size, info.st_mtime_ns)


def _zip(path):
    with zipfile.ZipFile(path) as archive:
        infos = [info for info in archive.infolist() if not info.filename.endswith(("/", "\\"))]
    _allowed(path, ((info.filename, info.file_size, info.compress_size) for info in infos))
    skipped, readable = [], []
    for info in sorted(infos, key=lambda info: info.filename):
        mode = info.external_attr >> 16
        if hidden(info.filename):
            continue
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            skipped.append((info.filename, "a link or a device"))
        elif info.flag_bits & 1:
            skipped.append((info.filename, "encrypted"))
        elif info.file_size > source.BYTES:
            skipped.append(
                (
                    info.filename,
                    f"{info.file_size >> 20:,} MB; more than {source.BYTES >> 20} are not read",
                )
            )
        else:
            readable.append(info)

    def read(infos):
        with zipfile.ZipFile(path) as archive:
            for info in infos:
                try:
                    yield info.filename, archive.read(info)
                except DAMAGE as error:
                    yield info.filename, error

    def items(wanted=None):
        return read(info for info in images if wanted is None or info.filename in wanted)

    images = [info for info in readable if not is_text(info.filename)]
    names, texts = [info.filename for info in images], {}
    for name, content in read(info for info in readable if is_text(info.filename)):
        texts[name] = b"" if isinstance(content, Exception) else content
    return Source(path.stem, _mark_of(path), items, len(names), skipped, names=names, texts=texts)


def _tar(path):
    skipped, names, texts, total, packed = [], [], {}, 0, path.stat().st_size
    with tarfile.open(path, tarinfo=Header) as archive:
        for count, member in enumerate(members(archive, path, skipped), 1):  # refuse a bomb early
            total += member.size if member.isfile() else 0
            _allowed(path, [(member.name or ".", total, packed)])
            if count > COUNT or (count > MANY and count * LEAST > packed):
                raise ValueError(
                    f"{path} is refused: its {packed:,} bytes have more than {count - 1:,} files"
                )
            if member.isdir() or hidden(member.name):
                continue
            if not member.isfile():
                skipped.append((member.name, "a link or a device"))
            elif member.size > source.BYTES:
                skipped.append(
                    (
                        member.name,
                        f"{member.size >> 20:,} MB; more than {source.BYTES >> 20} are not read",
                    )
                )
            elif is_text(member.name):
                content = content_of(archive, member)
                texts[member.name] = b"" if isinstance(content, Exception) else content
            else:
                names.append(member.name)

    def items(wanted=None):
        known = set(names) if wanted is None else set(names) & wanted
        with tarfile.open(path, tarinfo=Header) as archive:
            for member in members(archive, path, []):
                if member.name in known and member.isfile() and member.size <= source.BYTES:
                    yield member.name, content_of(archive, member)

    name = path.name
    for ending in sorted(ARCHIVES, key=len, reverse=True):
        name = name.removesuffix(ending)
    return Source(name, _mark_of(path), items, len(names), skipped, names=names, texts=texts)


def content_of(archive, member):
    """Return the content of a tar's member, or the exception where it is damaged."""
    try:
        return archive.extractfile(member).read()
    except DAMAGE as error:
        return error


def members(archive, path, skipped):
    """Yield the members of a tar up to its end, or to where it is damaged (noted in `skipped`).

    Raises tarfile.ReadError where even the first member cannot be read.
    """
    left, count = iter(archive), 0
    while True:
        try:
            member = next(left, None)
        except DAMAGE as error:
            if count == 0:
                raise tarfile.ReadError(str(error)) from None
            skipped.append((path.name, f"the archive is damaged after {count} members ({error})"))
            return
        if member is None:
            archive.fileobj.seek(archive.offset)
            # to tarfile a file that breaks off here, or has no header here, is at its end
            block = archive.fileobj.read(tarfile.BLOCKSIZE)
            if len(block) < tarfile.BLOCKSIZE or any(block):
                why = "holds no header" if any(block) else "breaks off"
                skipped.append(
                    (path.name, f"the archive is damaged: it {why} after {count} members")
                )
            return
        count += 1
        archive.members.clear()  # tarfile keeps all of them, some kilobytes each
        yield member


def lasting(error):
    """Whether an error is a fault of the image itself, which remains; a time-out, say, passes."""
    while isinstance(error, Unreadable) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, (Unreadable, *OF_CONTENT)):
        cause = error.__cause__ or error.__context__
        return cause is None or lasting(cause)
    from PIL import UnidentifiedImageError

    # Pillow says by a plain OSError, with no number, that a file is broken
    return type(error) in (OSError, UnidentifiedImageError) and error.errno is None
