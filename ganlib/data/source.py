"""`Source`, a set of named images that `prepared` decodes; and functions that read the names of
files and folders (splits, classes, hidden files), and say what a file is that is no image.
"""

import contextlib
import hashlib
import importlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

BYTES = 256 * 2**20  # most bytes of one file
HASHED = 2**27  # bytes; the mark of a larger set comes from names, sizes and times, not content
SYSTEM = {  # what operating systems and file servers put beside the user's files, in lower case
    *("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__pycache__"),
    *("$recycle.bin", "recycler", "system volume information", "lost+found"),
    *("@eadir", "@recycle", "#recycle", "#snapshot", "@tmp"),
}
TABLES = ("dataset.json", "metadata.jsonl", "metadata.csv", "metadata.tsv", "labels.csv")
OPENERS = {"pillow_heif": "register_heif_opener", "pillow_avif": None, "pillow_jxl": None}
SPLITS = {
    "train": "train|training",
    "val": "val|valid|validation|dev|development",
    "test": "test|testing|eval|evaluation",
    "extra": "extra",
    "unlabeled": "unlabell?ed",
}
SPLIT = re.compile(  # also trainA and trainB, of two domains, and train_2017
    f"(?:{'|'.join(f'(?P<{kind}>{words})' for kind, words in SPLITS.items())})"
    "(?:[ _-]?(?:set|data|images|[0-9]{4}))?(?:[ _-]?([AB]))?",
    re.IGNORECASE,
)
NO_IMAGES = re.compile(
    r"\.(txt|json|jsonl|csv|tsv|xml|ya?ml|md|html?|pdf|mat|py|ipynb|log|cls)$", re.IGNORECASE
)
PICTURES = ("image", "images", "img", "imgs", "jpegimages", "photos", "pictures")
BESIDE = re.compile(  # folders of what goes with images
    "masks?|annotations?|labels?|gt|ground[ _-]?truth|seg(mentations?)?(class|object)?|trimaps?|"
    "depths?|edges|landmarks|thumb(nail)?s?"
)
SEAL = b"\nganlib sha256 "  # near the end of a checkpoint
RUN = (  # what a run writes into its folder, beside the pictures in pictures/
    *("checkpoint.pt", "checkpoint.previous.pt", "history.json", "plan.json"),
    *("latest.png", "data.png"),
)
EXPORTED = (  # what `export` writes
    *("generator.safetensors", "generator.onnx", "config.json", "README.md", "index.html"),
    "samples.png",
)
PREPARED = ("about.json", "images.u8")
KINDS = {  # what a file that is no image is, and how it begins
    "a pointer of Git LFS; `git lfs pull` brings the file itself": rb"version https://git-lfs",
    "SVG, a drawing; convert it to PNG first, as cairosvg does (pip install cairosvg)": (
        rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*|<!doctype svg[^>]*>\s*)*<svg"
    ),
    "a web page, as a server sends in place of a file; download it again": (
        rb"\s*(<!doctype html|<html|<head|<\?xml)"
    ),
    "HEIC; pip install pillow-heif, and load again": (
        rb"....ftyp(heic|heix|hevc|hevx|heim|heis|mif1|msf1)"
    ),
    "AVIF; pip install -U pillow (11.3 or later), or pillow-avif-plugin, and load again": (
        rb"....ftypavi[fs]"
    ),
    "JPEG XL; pip install pillow-jxl-plugin, and load again": rb"\xff\x0a|\0\0\0\x0cJXL ",
    "a video; save its frames as images, as ffmpeg does": (
        rb"....(ftyp|moov|mdat|wide)|RIFF....AVI |\x1a\x45\xdf\xa3|\0\0\x01[\xb3\xba]|FLV\x01|OggS"
        rb"|\x30\x26\xb2\x75\x8e\x66\xcf\x11"
    ),
    "a PDF; save its pages as images": rb"%PDF",
    "an archive; give its own path, or unpack it": (
        rb"PK\x03\x04|\x1f\x8b|7z\xbc\xaf|Rar!|BZh|\xfd7zXZ|.{257}ustar"
    ),
    "a NumPy array; numpy.load it, and give `load` the array": rb"\x93NUMPY",
    "a table of Parquet or Arrow; read it by datasets.load_dataset": rb"PAR1|ARROW1",
    "DICOM; read its pixels by pydicom, and give `load` the arrays": rb".{128}DICM",
}


class Unreadable(Exception):
    """An image cannot be used; the message says why, and the cause is what raised it, if any."""


@dataclass
class Source:
    """Images to decode: `items(wanted)` yields pairs (name, what `decode` takes or an exception),
    of all images or of those whose name is in the set `wanted`; `count` is the number of all, None
    if it is not known.

    `mark` is a fingerprint that changes with the images, "" if there is none. A source of files has
    their `names`, and `texts`: the content of files that hold labels. Another has `labels`, of the
    items so far, and the names of the `classes`.
    """

    name: str
    mark: str
    items: Callable[..., Iterator]
    count: int | None
    skipped: list = field(default_factory=list)  # (name, why) of files that are left out
    labels: list | None = None
    classes: tuple = ()
    names: list | None = None
    texts: dict = field(default_factory=dict)
    odd: list = field(default_factory=list)  # warnings: sentences on what was decided


def mark(*facts):
    """Return the fingerprint of these facts, a SHA-256."""
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def parts(name):
    """Return the parts of a file's path; old zips and disks of Windows separate them by "\\"."""
    return PurePosixPath(name.replace("\\", "/")).parts


def hidden(name):
    """Whether a file is the system's, not the user's: .DS_Store, __MACOSX/..., Thumbs.db."""
    return any(part.startswith(".") or part.lower() in SYSTEM for part in parts(name))


def is_text(name):
    """Whether a file may hold labels: a table of a known name, or webdataset's NAME.cls."""
    last = "".join(parts(name)[-1:]).lower()
    return last in TABLES or last.endswith(".cls")


def of_ganlib(folder, names):
    """Return (what ganlib keeps in `folder`, the files that it wrote there), or None.

    It is told by the content of the files `names` in it: a sealed checkpoint, an exported
    generator, or a prepared set.
    """
    names = set(names)
    if any(SEAL in _end(folder / name) for name in RUN[:2] if name in names):
        return "a run", RUN
    if {"config.json", EXPORTED[0]} <= names and b'"library": "ganlib' in _end(
        folder / "config.json", 2**16
    ):
        return "an exported generator", EXPORTED
    return ("a prepared set", PREPARED) if {*PREPARED} <= names else None


def drawn(file):
    """Whether a picture says in its first bytes that ganlib drew it."""
    with open(file, "rb") as opened:
        return b"(ganlib)" in opened.read(4096)


def _end(file, size=200):
    """Return the last `size` bytes of a file, fewer if it is shorter or cannot be read."""
    try:
        with open(file, "rb") as opened:
            opened.seek(max(0, file.stat().st_size - size))
            return opened.read()
    except OSError:
        return b""


def no_image(content):
    """Return a sentence on the `content` of a file that Pillow cannot open: what it is."""
    if not content:
        return "no image: the file is empty"
    for what, start in KINDS.items():
        if re.match(start, content[:1024], re.DOTALL | re.IGNORECASE):
            return f"no image that Pillow knows: {what}"
    return "no image that Pillow knows"


def natural(text):
    """Return a key that sorts 2 before 10."""
    runs = re.split("([0-9]+)", text)
    return [int(run) if i % 2 else run for i, run in enumerate(runs)], text


def named(names, most=5):
    """Return names in one line, the first `most` of them."""
    names = list(map(str, names))
    left = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + left


def split_of(sets, split):
    """Return (the data set of `split` in a dict of data sets, a sentence). Raises ValueError."""
    kinds = {name: _split(str(name))[0] for name in sets}
    chosen = [name for name, kind in kinds.items() if split in (name, kind)]
    if not chosen:
        raise ValueError(
            f"a dict of {named(sets)} was given, and split={split!r}: a dict holds data sets by "
            "split; give arrays of images and labels as zip(images, labels)"
        )
    return sets[chosen[0]], f"{chosen[0]!r} of {named(sets)} is taken; split= takes another"


def _split(folder):
    """Return (the split that a folder is named after or None, "A" or "B" of trainA and trainB)."""
    match = SPLIT.fullmatch(folder)
    if not match:
        return None, None
    return next(kind for kind in SPLITS if match[kind]), match[match.re.groups]


def layout(names, split, within=""):
    """Return ({name: the folders that may be classes} of the files to read, sentences).

    Folders of splits ("train", "test", ...) are no classes: the files of `split` are read, of all
    for "all". Nor are "images" and "masks", side by side: "images" is read. Raises ValueError for a
    `split` that is not there, unless the set's own name (`within`) says it.
    """
    folders = {name: parts(name)[:-1] for name in names}
    folders, said = _of_split(folders, split, within)
    at, firsts = _at(folders, 0)
    images = [first for first in firsts if re.sub(r"[\dx_-]+$", "", first.lower()) in PICTURES]
    others = [first for first in firsts if first not in images]
    if images and others and all(BESIDE.match(other.lower()) for other in others):
        said.append(f"of the folders {named(firsts)} only {named(images)} was read: no classes")
        common = len(os.path.commonprefix([folders[name] for name in at]))
        folders = {n: folders[n][common + 1 :] for n, first in at.items() if first in images}
    return folders, said


def _at(folders, depth):
    """Return ({name: folder} at a depth below the folders that all images share, their names)."""
    pictures = [name for name in folders if not NO_IMAGES.search(name)]
    depth += len(os.path.commonprefix([folders[name] for name in pictures]))
    at = {name: folder[depth] for name, folder in folders.items() if len(folder) > depth}
    return at, sorted({at[name] for name in pictures if name in at}, key=natural)


def _of_split(folders, split, within):
    """Return (the folders of the files of a split, sentences); all where no folder is a split."""
    for depth in (0, 1):
        at, firsts = _at(folders, depth)
        kinds = {first: _split(first)[0] for first in firsts}
        bare = {first: _split(re.sub("^[^ _-]+[ _-]", "", first))[0] for first in firsts}
        kinds = kinds if None in bare.values() else bare  # seg_train, seg_test
        there = set(kinds.values())
        if len(there - {None}) > 1 and (None not in there or (depth == 0 and "train" in there)):
            break
    else:
        shared = os.path.commonprefix([*folders.values()])
        known = {_split(part)[0] for part in (within, *shared)} - {None}
        if split not in ("train", "all") and _split(split)[0] not in known:
            raise ValueError(
                f"split={split!r} was given, and no folders are splits (train, test, ...); leave "
                "it out, or give the path of the folder to read"
            )
        return folders, []
    chosen = [split] if split in kinds else []
    chosen = chosen or [f for f, kind in kinds.items() if kind and split in ("all", kind)]
    chosen = chosen or [f for f, kind in kinds.items() if kind and kind == _split(split)[0]]
    if not chosen:
        raise ValueError(
            f"the folders {named(firsts)} are splits, and split={split!r} is none of them; give "
            f'split={firsts[0]!r}, or split="all", or the path of the folder to read'
        )
    pictures = [name for name in folders if not NO_IMAGES.search(name)]
    start = depth + len(os.path.commonprefix([folders[name] for name in pictures]))
    wanted = {}
    for name, folder in at.items():
        if folder in chosen:
            whole, domain = folders[name], _split(folder)[1]
            inner = (*whole[start - depth : start], *whole[start + 1 :])
            wanted[name] = (domain.upper(), *inner) if domain else inner
    others = [folder for folder in firsts if folder not in chosen]
    said = (
        f"the folders {named(firsts)} are splits, no classes: {named(chosen)} was read, "
        f"{len(wanted.keys() & {*pictures}):,} of {len(pictures):,} files"
    )
    return wanted, [said + (f"; split={others[0]!r} reads another" if others else "")]


def openers():
    """Register Pillow's plugins that are installed; return facts that decide what is decoded."""
    from PIL import GifImagePlugin, Image, ImageFile, __version__

    importlib.invalidate_caches()  # one may have been installed a moment ago
    plugins = []
    for name, register in OPENERS.items():
        with contextlib.suppress(ImportError):
            module = importlib.import_module(name)
            getattr(module, register)() if register else None
            plugins.append((name, getattr(module, "__version__", "")))
    Image.init()
    settings = ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS
    return __version__, plugins, sorted(Image.OPEN), settings, str(GifImagePlugin.LOADING_STRATEGY)


def is_grey(pixels):
    """Whether an image (3, H, W) has no colours."""
    return bool((pixels[:1] == pixels).all())


def luma(images):
    """Return the grey (N, 1, H, W) of images (N, 3, H, W), uint8: ITU-R 601's, as in Pillow."""
    r, g, b = (images[:, [i]].astype("uint32") for i in range(3))
    return (r * 19595 + g * 38470 + b * 7471 + 32768 >> 16).astype("uint8")
