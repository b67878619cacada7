"""What super-resolution is tried on beside digits: patches of photographs in their own resolution,
and digits of another origin, 8 x 8 pixels, whose large versions nobody kept.
"""

import math
from importlib import import_module
from pathlib import Path

import torch

from ..data.decoding import decode
from ..data.images import Images
from ..data.large.store import refuse_shards
from ..data.source import Unreadable, layout, named, openers
from ..data.sources import open_source
from ..machine.choices import one_of, whole
from ..machine.folder import path_of
from ..machine.progress import readable, say
from ..machine.randomness import generator, some_of

PACKAGES = {  # photographs that come with a package: where in it
    "grace_hopper": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
    "china": ("sklearn", "datasets/images/china.jpg"),
    "flower": ("sklearn", "datasets/images/flower.jpg"),
}


def split(data, held_out=0.2):
    """Return (the images to train on, a share `held_out` of them that is held out), two `Images` in
    a random order that is always the same.
    """
    if not 0 < held_out < 1:
        raise ValueError(f"held_out={held_out} was given; a share above 0 and below 1 is expected")
    order = some_of(len(data)).to(data.images.device)
    count = max(1, round(held_out * len(data)))
    return data.subset(order[count:]), data.subset(order[:count], f"{data.name}, held out")


def patches(photographs, size=64, n=4000, seed=0, held_out=0.25):
    """Cut squares out of photographs, at random places: return (those to train on, held-out ones).

    photographs: "grace_hopper" (comes with matplotlib), "china" or "flower" (with scikit-learn); or
        the path of a picture, a folder or an archive. They keep their resolution.
    size: pixels a side. n: patches to train on, as many from each photograph, half of them
        mirrored; `held_out` times as many are held out.
    held_out: the share of each photograph, at its right, from which the held-out patches come; no
        pixel is in both sets. A photograph that is too narrow for that is all trained on, one
        smaller than a patch is left out.

    The patches are grey if all photographs are. Raises OSError where nothing can be read,
    ImportError, with the pip command, where the package is missing, ValueError where no photograph
    is large enough.
    """
    size, n = whole("size", size), whole("n", n, 2)
    if not 0 < held_out < 1:
        raise ValueError(f"held_out={held_out} was given; a share above 0 and below 1 is expected")
    name, count, found = pictures(photographs, "train")
    wanted = n, max(1, round(held_out * n))
    cut, small = ([], []), []
    for title, picture in found:
        small += [title] * (min(picture.shape[1:]) < size)
        for i, part in enumerate(_parts(picture, size, held_out)):
            draws = generator("cpu", seed, 0, f"patches/{title}/{i}")
            cut[i].append(_patches(part, size, -(-wanted[i] // count), draws, mirrored=not i))
    if small:
        say(f"{name}: {named(map(readable, small))}: smaller than {size} x {size}, left out")
    if not all(cut):
        raise ValueError(
            f"{name}: no photograph is large enough for patches of {size} x {size} to be "
            f"{'held out' if cut[0] else 'trained on'}: it needs a height of {size} pixels, and a "
            f"width of {math.ceil(size / held_out)}; give a smaller size"
        )
    colours = max(len(patches[0]) for patches in cut[0] + cut[1])
    sets = []
    for what, each, most in zip(("", ", held out"), cut, wanted, strict=True):
        images = torch.cat([patches.expand(-1, colours, -1, -1) for patches in each])
        images = images[some_of(len(images), most)]
        sets.append(Images(images, name=f"{size} x {size} of {name}{what}"))
    return tuple(sets)


def _parts(picture, size, held_out):
    """Return the parts of a picture (C, H, W) to train on and to hold out; what is too small for
    both is all trained on, or not at all.
    """
    end = round(picture.shape[2] * (1 - held_out))
    parts = picture.split([end, picture.shape[2] - end], 2)
    if all(min(part.shape[1:]) >= size for part in parts):
        return parts
    return (picture,) * (min(picture.shape[1:]) >= size)


def _patches(part, size, count, draws, mirrored):
    """Return `count` patches, uint8 (count, C, size, size), at random places."""
    at = torch.rand(3, count, generator=draws, dtype=torch.float64)
    images = torch.empty(count, len(part), size, size, dtype=torch.uint8)
    for i, (y, x, side) in enumerate(at.T.tolist()):
        top, left = (
            int(u * (length - size + 1)) for u, length in zip((y, x), part.shape[1:], strict=True)
        )
        patch = part[:, top : top + size, left : left + size]
        images[i] = patch.flip(2) if mirrored and side < 0.5 else patch
    return images


def pictures(given, split=None, quiet=False):
    """Return (a name, a count, an iterator of (name, picture)) of a photograph that comes with a
    package, or the path of a picture, folder or archive; pictures are uint8 (1 or 3, H, W), in
    their own size. Of folders train, test, ... those of `split` are read, all by default. What
    cannot be read is named in a line at the end, unless `quiet`. Raises OSError if nothing can.
    """
    if isinstance(given, str) and given in PACKAGES:
        package, inside = PACKAGES[given]
        try:
            folder = Path(import_module(package).__file__).parent
        except ImportError:
            install = "scikit-learn" if package == "sklearn" else package
            raise ImportError(
                f"the photograph {given!r} comes with {install}: pip install {install}"
            ) from None
        return given, 1, _one(given, folder / inside)
    if isinstance(given, str) and not Path(given).expanduser().exists() and "/" not in given:
        one_of("photograph", given, list(PACKAGES), ", or the path of a picture or a folder")
    path = path_of(given)
    openers()  # Pillow's plugins
    if path.is_file() and path.suffix.lower() not in (".zip", ".tar", ".tgz", ".gz"):
        return path.stem, 1, _one(path.name, path)
    refuse_shards(path)
    source = open_source(path)
    names = source.names if split is None else layout(source.names, split, source.name)[0]
    return readable(source.name), max(1, len(names)), _readable(source, names, quiet)


def _one(name, path):
    """Return an iterator of (name, picture) of one file; OSError where it is no picture."""
    try:
        return iter([(name, of_file(path.read_bytes()))])
    except Unreadable as error:
        raise OSError(f"{path} cannot be read: {error}") from None


def _readable(source, names, quiet):
    """Yield (name, picture) of those files that can be read; OSError at the end if none can."""
    found, why = 0, dict(source.skipped)
    for name, content in source.items(set(names)):
        try:
            if isinstance(content, Exception):
                raise Unreadable(str(content))
            picture = of_file(content)
        except Unreadable as error:
            why[name] = str(error)
            continue
        found += 1
        yield name, picture
    lines = [f"{readable(name)}: {reason}" for name, reason in why.items()]
    if not found:
        raise OSError(f"{source.name} holds no picture that can be read ({named(lines) or 'none'})")
    if lines and not quiet:
        say(*(f"left out: {line}" for line in lines[:5]))
        say(*[f"left out: {len(lines) - 5:,} more"] * (len(lines) > 5))


def of_file(content):
    """Return the picture in the bytes of a file, uint8 (1 or 3, H, W): turned as EXIF says,
    transparent pixels put on a ground, 16 bits brought to 8, as `load` does. Raises `Unreadable`.
    """
    decoded = decode(content, None)
    pixels = torch.from_numpy(decoded.pixels)
    return pixels[:1].clone() if decoded.grey else pixels


def small_digits():
    """Return scikit-learn's 1,797 digits of 8 x 8 pixels (Alpaydin & Kaynak 1998), an `Images`:
    written, scanned and shrunk by others (bitmaps of 32 x 32, whose 4 x 4 squares were counted).
    Raises ImportError where scikit-learn is missing.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise ImportError(
            "the 8 x 8 digits come with scikit-learn: pip install scikit-learn"
        ) from None
    data = load_digits()
    images = torch.from_numpy(data.images * (255 / 16)).round().byte()[:, None]
    labels = torch.from_numpy(data.target).long()
    return Images(images, labels, tuple("0123456789"), "8 x 8 digits")
