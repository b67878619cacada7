"""Read the samples of WebDataset: tars in a row, whose files belong together by their names."""

import glob
import json
import os
import re
import tarfile
from pathlib import Path

from ...machine.progress import readable
from .. import source
from ..archives import ARCHIVES, DAMAGE, Header, content_of, members
from ..raw.tables import LABEL
from ..source import Source, Unreadable, hidden, mark, natural, parts

TARS = ARCHIVES[1:]
PICTURES = (
    *("jpg", "jpeg", "png", "webp", "ppm", "pgm", "pnm", "bmp", "gif", "tif", "tiff", "jp2"),
    *("jxl", "avif", "heic", "img", "image"),
)
TEXT = 2**20  # most bytes of a sample's label


def tars_of(origin):
    """Return the paths of tars that are meant together, or None: a list of two or more, a pattern
    such as "train-*.tar", or "train-{0000..0146}.tar". Raises OSError where none is there.
    """
    several = isinstance(origin, (list, tuple))
    texts = [os.fspath(x) for x in origin if isinstance(x, (str, Path))] if several else []
    if several and (not texts or len(texts) != len(origin)):
        return None
    texts = texts if several else [os.fspath(origin)] if isinstance(origin, (str, Path)) else []
    if not texts or not all(text.lower().endswith(TARS) for text in texts):
        return None
    if bad := next((text for text in texts if "://" in text or text.startswith("pipe:")), None):
        raise ValueError(f"{bad} is an address; download the tars first, and give their paths")
    if not several and Path(texts[0]).exists():
        return None  # a single archive
    paths = []
    for text in texts:
        for one in _braces(os.path.expanduser(text)):
            there = sorted(glob.glob(one), key=natural) if re.search(r"[*?\[]", one) else [one]
            paths += there
    if not several and paths == texts:
        return None  # a single archive that is not there, as `open_archive` says
    if not paths:
        raise OSError(f"there is no tar {origin!r}; its full path is {Path(texts[0]).absolute()}")
    return [Path(one) for one in paths]


def _braces(text):
    """Return the texts that {a,b} or {000..146} in a text stands for."""
    match = re.search(r"\{([^{}]*)\}", text)
    if not match:
        return [text]
    if numbers := re.fullmatch(r"(\d+)\.\.(\d+)", match[1]):
        wide = len(numbers[1])
        inner = [f"{i:0{wide}}" for i in range(int(numbers[1]), int(numbers[2]) + 1)]
    else:
        inner = match[1].split(",")
    rest = _braces(text[match.end() :])
    return [text[: match.start()] + one + end for one in inner for end in rest]


class Tars:
    """The samples of tars in a row. `source` is their `Source`, whose items begin after `start`
    samples; `counts` are those of each tar that was read to its end, by its number.
    """

    def __init__(self, paths, start=0, counts=None):
        self.paths, self.start, self.counts = paths, start, dict(counts or {})
        name = re.sub(r"[-_.]*(\{.*|\d*)$", "", paths[0].name.partition(".")[0]) or "tars"
        marked = mark([path.name for path in paths])
        self.source = Source(name, marked, self._items, None, labels=[])

    def _items(self, wanted=None):
        """Yield (tar/name, content) of each sample. Raises OSError for a tar that is missing, cut
        or damaged, after the samples before.
        """
        left = self.start
        for number, path in enumerate(self.paths):
            known = self.counts.get(str(number))
            if known is not None and known <= left:
                left -= known
                continue
            count = 0
            for name, content, label in samples(path):
                count += 1
                if left:
                    left -= 1
                    continue
                self.source.labels.append(label)
                yield f"{path.name}/{name}", content
            self.counts[str(number)] = count


def samples(path):
    """Yield (name, content, label or None) of each sample of a tar: files of one name up to its
    first dot. The last one of a cut tar is left out. Raises OSError where it is missing, cut or
    damaged.
    """
    damage, key, sample = [], None, {}
    try:
        with tarfile.open(path, tarinfo=Header) as archive:
            for member in members(archive, path, damage):
                if not member.isfile() or hidden(member.name):
                    continue
                folder, last = parts(member.name)[:-1], parts(member.name)[-1]
                stem, _, ending = last.partition(".")
                this = "/".join((*folder, stem))
                if sample and this != key:
                    yield _sample(key, sample)
                    sample = {}
                key = this
                _add(sample, archive, member, ending.lower())
    except tuple(DAMAGE) as error:
        why = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error})"
        raise OSError(f"the tar {path} {why}") from None
    if damage:
        raise OSError(f"the tar {path} is cut or damaged ({damage[0][1]})")
    if sample:
        yield _sample(key, sample)


def _add(sample, archive, member, ending):
    """Add a member of a tar to its `sample` by its ending, if it is a picture or a label."""
    last = ending.rpartition(".")[2]
    picture = last in PICTURES and not any(name.endswith(PICTURES) for name in sample)
    if member.size > (source.BYTES if picture else TEXT):
        why = f"{member.size >> 20:,} MB; more than {source.BYTES >> 20} are not read"
        sample[ending] = Unreadable(why) if picture else b""
    elif picture or ending in ("cls", "json"):
        sample[ending] = content_of(archive, member)
    else:
        sample[ending] = b""


def _sample(key, sample):
    image = next((name for name in sample if name.rpartition(".")[2] in PICTURES), None)
    missing = Unreadable(f"it has no image, only {', '.join(sample)}")
    return readable(key), missing if image is None else sample[image], _label(sample)


def _label(sample):
    """Return the label of a sample, from its .cls or its .json; None where it has none."""
    try:
        if isinstance(text := sample.get("cls"), bytes):
            return text.decode("utf-8-sig").strip()
        about = json.loads(sample.get("json") or b"null")
    except (ValueError, TypeError, RecursionError):
        return None
    about = about if isinstance(about, dict) else {}
    return next((about[name] for name in LABEL if name in about), None)
