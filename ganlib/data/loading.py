"""Load a data set by its name, from a folder or an archive, or from another library's data set.

`load` is the public function. A new data set with a name is a new row of `LOADERS`.
"""

import gzip
import os
from pathlib import Path

from ..machine.assets import asset
from ..machine.choices import one_of
from ..machine.folder import path_of
from ..machine.progress import say
from .images import Images

# files of ganlib/assets and their SHA-256: made by tools/make_digits.py
IMAGES = "11a772a6dc925b05dd399880865d80fdc378f1482a27072a7fe2c10be2367eda"
LABELS = "4e8b4ac90e302aa725dd50c14268e8630d3941e30cf889ea15dfa1a6dedf8665"
DIGITS = {"digits-images-idx3-ubyte.gz": IMAGES, "digits-labels-idx1-ubyte.gz": LABELS}


def load(
    name,
    device=None,
    root="data",
    split="train",
    fallback=None,
    size=None,
    fit="crop",
    channels=None,
    background=None,
):
    """Load a data set by name, from a folder or archive of images, or from a data set object;
    return `Images` on `device`, or `Shards` of a folder that `convert` made.

    "digits" is 10,000 of MNIST's training digits, "smileys" 169 icons of 32 x 32 pixels in colour,
    without labels (Twemoji, CC BY 4.0), and "faces" 10,000 drawn faces of 16 x 16 in colour, whose
    labels are length and colour of hair (DiceBear's pixel-art, CC0; see `data.shipped.faces` for
    the other attributes); these ship with ganlib and need no network.
    "mnist", "fashion", "kmnist" and "cifar10" are downloaded by torchvision, with its mirrors and
    checksums, into the folder `root`; files already there are used, even if only the compressed
    ones are. `split` is "train" or "test". `fallback="digits"` prints a message and loads the
    digits where a download fails.

    The user's own images: `load("path/to/folder", size=64)`, a .zip or .tar, or a data set of
    torchvision or Hugging Face. Any mix of formats, pixel types and sizes becomes squares of `size`
    pixels: the middle is cut out (`fit="crop"`), or the whole put on a white square ("pad") or
    stretched to one ("stretch"). They are grey if all are, else in colour; `channels` (1 or 3)
    overrides this. Transparent pixels and padding become white, or what many pictures would not
    vanish on; `background` ("white", "black", "grey", "#ff8800", (255, 136, 0)) overrides this.
    One folder per class makes labels, or a dataset.json, metadata.csv or .jsonl beside the images.
    Of the folders train, test, ... that of `split` is read, or "all". What cannot be read is
    skipped; it and all that was decided are in the `report`, see `preflight`. The result is cached
    in `root`/prepared under a hash of the content, so that the next start is quick; a set above 512
    MB stays in its file, mapped into memory.

    Raises ValueError for an unknown name or a harmful archive, OSError where a download fails, a
    file is corrupt, or nothing can be read.
    """
    root = path_of(root)
    if isinstance(name, os.PathLike) or (isinstance(name, str) and name.startswith("~")):
        name = path_of(name)
    if is_own(name):
        if isinstance(name, (str, Path)) and (shards := _converted(name)):
            others = {"channels": channels, "background": background}
            others |= {"split": None if split == "train" else split}
            data = shards(Path(name), size, fit, **others)
            return data if device is None else data.near(device)
        from .prepared import prepare

        if size is None:
            raise ValueError(
                f"load({name!r}) reads images of your own; say how large they are to be, as size=64"
            )
        data = Images(*prepare(name, size, fit, channels, root, split, background))
        if isinstance(name, (str, Path)):
            place = str(Path(name).absolute())
            data.loaded = {"name": place, "size": size, "fit": fit, "channels": channels}
            others = {"split": (split, "train"), "background": (background, None)}
            data.loaded |= {key: value for key, (value, usual) in others.items() if value != usual}
        return data if device is None else data.near(device)
    known = ", or the path of a folder or archive, as './cats'; none of that name is here"
    one_of("data set", name, list(LOADERS), known)
    if size is not None:
        raise ValueError(
            f"size={size} was given for {name!r}, whose images have a size of their own; leave it "
            f"out, or give the path of a folder of your own images, as './{name}'"
        )
    one_of("split", split, ["train", "test"])
    one_of("fallback", fallback, [None, "digits"])
    data = LOADERS[name](name, root, split, fallback)
    data.known, data.loaded = data.name, {"name": data.name, "split": split}
    return data if device is None else data.to(device)


def is_own(name):
    """Whether `name` is a path (existing or not) or a data set object, and no known name."""
    if not isinstance(name, str):
        return name is not None
    from .sources import looks_like_path

    return name not in LOADERS and looks_like_path(name)


def _converted(name):
    """Return what opens a folder that `convert` made or began; None for another."""
    from .large.store import ABOUT, UNFINISHED, about_of

    if not any(about_of(Path(name), file) for file in (ABOUT, UNFINISHED)):
        return None
    from .large.shards import open_shards

    return open_shards


def _digits(name, root, split, fallback):
    """Return the digits that ship with ganlib; raise ValueError for test images, which do not."""
    from .downloads import idx

    _train(name, split, ', or load("mnist", split="test")')
    images, labels = (idx(gzip.decompress(asset(file, sha)), file) for file, sha in DIGITS.items())
    return Images(images.unsqueeze(1), labels.long(), tuple("0123456789"), "digits")


def _shipped(name, root, split, fallback):
    """Return the smileys or the faces that ship with ganlib."""
    from . import shipped

    _train(name, split)
    return shipped.faces.labelled() if name == "faces" else shipped.smileys.icons()


def _train(name, split, more=""):
    if split != "train":
        raise ValueError(f'"{name}" has no test images; use split="train"{more}')


def _torchvision(name, root, split, fallback):
    """Return a set downloaded by torchvision; where that fails, the digits or OSError."""
    from .downloads import fetch, servers

    try:
        return Images(*fetch(name, root, split == "train"), name)
    except Exception as error:  # a failed download: RuntimeError, URLError, ValueError, ...
        tried = (
            f"{name!r} could not be loaded into {str(root)!r}; tried {', '.join(servers(name))} "
            f"({type(error).__name__}: {error})"
        )
        if fallback is None:
            raise OSError(
                f'{tried}. To go on without a network: load("digits"), or fallback="digits"'
            ) from error
    say(f"{tried}.\nGoing on with the embedded 10,000 digits instead, as fallback='digits' asks.")
    return _digits("digits", root, "train", None)


LOADERS = {  # name: a function of (name, root, split, fallback) that returns `Images`
    "digits": _digits,
    "smileys": _shipped,
    "faces": _shipped,
    "mnist": _torchvision,
    "fashion": _torchvision,
    "kmnist": _torchvision,
    "cifar10": _torchvision,
}
