"""Archives: the image files of a .zip or a .tar, read in place; and what an archive may hold."""

import hashlib
import lzma
import stat
import tarfile
import zipfile
import zlib
from pathlib import PurePosixPath

from . import source
from .source import Source, hidden, mark

DAMAGE = (zipfile.BadZipFile, tarfile.TarError, NotImplementedError, EOFError, OSError, lzma.LZMAError, zlib.error)
TOTAL = 256 * 2**30  # of all files of an archive
COUNT = 5_000_000  # files of an archive
RATIO = 200  # between a file's size and what it takes in the archive, from a megabyte on
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


def open_archive(path):
    """Return the `Source` of a .zip or a .tar.

    Raises OSError where it cannot be read, ValueError for an archive that nobody should open.
    """
    try:
        return _zip(path) if zipfile.is_zipfile(path) else _tar(path)
    except tuple(set(DAMAGE) - {OSError}):  # an OSError, no permission say, speaks for itself
        kinds = ", ".join(ARCHIVES)
        raise OSError(f"{path} is no folder and no archive that can be read; {kinds} are known") from None


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


def _mark_of(path):
    info = path.stat()
    if info.st_size <= source.HASHED:
        return mark(path.name, hashlib.sha256(path.read_bytes()).hexdigest())
    return mark(path.name, info.st_size, info.st_mtime_ns)


def _zip(path):
    with zipfile.ZipFile(path) as archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
    _allowed(path, ((info.filename, info.file_size, info.compress_size) for info in infos))
    skipped, found = [], []
    for info in sorted(infos, key=lambda info: info.filename):
        mode = info.external_attr >> 16
        if hidden(info.filename):
            continue
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            skipped.append((info.filename, "a link or a device"))
        elif info.flag_bits & 1:
            skipped.append((info.filename, "encrypted"))
        elif info.file_size > source.BYTES:
            skipped.append((info.filename, f"{info.file_size >> 20:,} MB; more than {source.BYTES >> 20} are not read"))
        else:
            found.append(info)

    def items():
        with zipfile.ZipFile(path) as archive:
            for info in found:
                try:
                    yield info.filename, archive.read(info)
                except DAMAGE as error:
                    yield info.filename, error

    return Source(path.stem, _mark_of(path), items, len(found), skipped)


def _tar(path):
    skipped, found, total, packed = [], 0, 0, path.stat().st_size
    with tarfile.open(path) as archive:
        for count, member in enumerate(_members(archive, path, skipped), 1):  # a bomb is refused before it is unpacked
            total += member.size if member.isfile() else 0
            _allowed(path, [(member.name or ".", total, packed)])
            if count > COUNT:
                raise ValueError(f"{path} is refused: it has more than {COUNT:,} files")
            if member.isdir() or hidden(member.name):
                continue
            if not member.isfile():
                skipped.append((member.name, "a link or a device"))
            elif member.size > source.BYTES:
                skipped.append((member.name, f"{member.size >> 20:,} MB; more than {source.BYTES >> 20} are not read"))
            else:
                found += 1

    def items():
        with tarfile.open(path) as archive:
            for member in _members(archive, path, []):
                if member.isfile() and member.size <= source.BYTES and not hidden(member.name):
                    try:
                        yield member.name, archive.extractfile(member).read()
                    except DAMAGE as error:
                        yield member.name, error

    name = path.name
    for ending in sorted(ARCHIVES, key=len, reverse=True):
        name = name.removesuffix(ending)
    return Source(name, _mark_of(path), items, found, skipped)


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
