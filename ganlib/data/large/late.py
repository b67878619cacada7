"""Pixels whose range or background depends on the whole set (see `decoding.Values`): write them to
a file beside the shard, read them back, and decide them at the end of a conversion.
"""

import json

from ..decoding import Late, Values
from ..source import luma


def packed(place, name, late, frame):
    """Return the bytes of image `place` of a shard: its `Late`, or None, and its frame, or None."""
    about = {"place": place, "name": str(name), "frame": frame, "late": None, "arrays": []}
    arrays = []
    if late is not None:
        about["late"] = [late.kind, late.low, late.high, late.whole, late.clear]
        arrays = [late.planes] if late.cover is None else [late.planes, late.cover]
        about["arrays"] = [[array.dtype.str, array.shape] for array in arrays]
    return json.dumps(about).encode() + b"\n" + b"".join(array.tobytes() for array in arrays)


def unpacked(file):
    """Yield (place, name, `Late` or None, frame or None) of each image in an open file."""
    import numpy

    while line := file.readline():
        about, arrays = json.loads(line), []
        for kind, shape in about["arrays"]:
            kind = numpy.dtype(kind)
            content = file.read(kind.itemsize * numpy.prod(shape, dtype=int))
            arrays.append(numpy.frombuffer(content, kind).reshape(shape))
        late = None
        if about["late"] is not None:
            late = Late(arrays[0], arrays[1] if len(arrays) > 1 else None, *about["late"])
        yield about["place"], about["name"], late, about["frame"]


def settled(values, pixels, late, frame):
    """Return pixels (3 or 1, size, size) as `values` decides them. Raises `Unreadable`."""
    if late is not None:
        return values.pixels(late)
    if frame is not None and values.ground != 255:  # padded with white until now
        return values.framed(pixels, frame)
    return pixels


def of_planes(pixels, planes):
    """Return pixels `(C, size, size)`, of which grey ones may have one plane or three, with so
    many planes.
    """
    if len(pixels) == planes:
        return pixels
    return luma(pixels[None])[0] if planes == 1 else pixels.repeat(planes, 0)


def restored(background, kept):
    """Return the `Values` that `as_plain` has kept."""
    values = Values(background)
    values.ranges = {kind: tuple(seen) for kind, seen in kept["ranges"].items()}
    values.lost.update(kept["lost"])
    values.clear = kept["clear"]
    return values


def as_plain(values):
    """Return what `Values` has seen, in plain values."""
    ranges = {kind: list(seen) for kind, seen in values.ranges.items()}
    return {"ranges": ranges, "lost": dict(values.lost), "clear": values.clear}
