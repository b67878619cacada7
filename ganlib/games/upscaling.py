"""Enlarge one's own pictures, of any size, with a trained net: in tiles, so that memory is bounded;
each file is marked as generated.
"""

from pathlib import PurePosixPath

import torch

from ..data.decoding import PIXELS
from ..data.images import as_float, as_uint8
from ..data.source import named
from ..machine.folder import path_of
from ..machine.progress import Progress, readable, say
from ..nets.fed.enlarging import INVENTED
from ..show.pictures import Picture, pillow
from .enlarging import between, net_of
from .photographs import pictures

TILE = 96  # small pixels a side


@torch.no_grad()
def enlarged(net, picture, tile=TILE):
    """Return a picture, uint8 `(C, h, w)` of any size, enlarged: uint8 `(C, scale h, scale w)`.

    It is done in tiles of `tile` small pixels, each with as many beside it as decide about its
    pixels: the same, but for rounding, as in one piece. Raises ValueError for other channels.
    """
    device, scale, margin = next(net.parameters()).device, net.scale, net.margin
    channels, height, width = picture.shape
    large = torch.empty(channels, scale * height, scale * width, dtype=torch.uint8)
    for top in range(0, height, tile):
        rows = max(0, top - margin), min(height, top + tile + margin)
        for left in range(0, width, tile):
            columns = max(0, left - margin), min(width, left + tile + margin)
            part = as_float(picture[:, slice(*rows), slice(*columns)][None].to(device))
            part = as_uint8(net.enlarge(part))[0].cpu()
            y, x = scale * (top - rows[0]), scale * (left - columns[0])
            place = large[:, scale * top :, scale * left :][:, : scale * tile, : scale * tile]
            place.copy_(part[:, y : y + place.shape[1], x : x + place.shape[2]])
    return large


def upscale(given, run, to=None, interpolate=None):
    """Enlarge all pictures of a folder, an archive or a file, and write them as PNG to the folder
    `to`; return the list of files.

    given: the pictures, of any size and format. They are turned as EXIF says; transparent pixels
        are put on a ground; grey ones stay grey. What cannot be read, or would have more than 80
        million pixels, is left out, and a line says so.
    run: the folder of a run of `python -m ganlib train --game enlarge`, a GAN, or a net, such as
        `load_generator` returns.
    to: by default the name of `given` with "-x4" (the scale) behind it.
    interpolate: 0 (the weights that L1 alone found, in the folder l1 of the run) to 1 (those of the
        game): network interpolation, see `between`. By default 1.

    Raises ValueError where the run does not enlarge, or pictures in colour were given to a net that
    was trained on grey ones, OSError where nothing can be read: before anything is written.
    """
    if interpolate is None:
        net = net_of(run)
    else:
        first = path_of(run) / "l1"
        if not first.is_dir():
            raise ValueError(
                f"interpolate={interpolate} was given, and {run} has no folder l1, in which "
                "python -m ganlib train --game enlarge keeps the net of L1 alone; leave it out"
            )
        net = between(first, run, interpolate)
    path = path_of(given).resolve()
    to = path.with_name(f"{path.stem}-x{net.scale}") if to is None else path_of(to)
    if path.is_dir() and to.resolve() == path:
        raise ValueError(f"{to} holds the small pictures; give another folder for the large ones")
    colours, large, count = [], [], 0
    for name, picture in pictures(given)[2]:  # a first pass: nothing is written for nothing
        colours += [name] * (len(picture) > net.shape[0])
        large += [name] * (picture[0].numel() * net.scale**2 > PIXELS)
        count += 1
    if colours:
        raise ValueError(
            f"{run} was trained on grey pictures, and these are in colour: "
            f"{named(map(readable, colours))}; convert them to grey, or train on pictures in colour"
        )
    if large:
        much = f"more than {PIXELS // 10**6} million pixels would come of each"
        if len(large) == count:
            raise ValueError(f"{given}: {much}; give smaller pictures")
        say(f"left out: {named(map(readable, large))}: {much}")
    say(f"{INVENTED}.")
    progress, files = Progress(patience=5.0), {}
    for i, (name, picture) in enumerate(pictures(given, quiet=True)[2]):
        if name in large:
            continue
        grey = len(picture) < net.shape[0]
        result = enlarged(net, picture.expand(net.shape[0], -1, -1))
        result = result.float().mean(0, keepdim=True).round().byte() if grey else result
        file = PurePosixPath(name.replace("\\", "/"))
        target = file.with_suffix(".png")
        target = file.with_name(f"{file.name}.png") if target in files else target
        Picture(pillow(result), generated=True).save(to / target)
        files[target] = to / target
        progress.tell((i + 1) / count, f"enlarging: {i + 1:,} of {count:,} pictures")
    progress.close()
    say(f"{to}: {len(files):,} pictures, {net.scale} times as large")
    return list(files.values())
