"""Finish a conversion: decide the pixels that depend on the whole set, write shards, labels and
report. `mend` makes shards again that are missing or cut.
"""

import hashlib
import io
import os
from collections import Counter
from types import SimpleNamespace

import torch

from ...machine.files import replace
from ...machine.progress import Progress, readable, say
from ..labels import none
from ..prepared import decoding
from ..raw.tables import plain_of
from ..source import Unreadable
from .late import of_planes, settled, unpacked
from .store import FORMAT, LABELS, digest, file_of
from .writing import CODES, USED


class Gone(Exception):
    """The source no longer gives the images of a shard that has to be made again."""


def settle(draft, reading, values):
    """Turn the files of a draft into final shards, one by one; an interrupted call goes on."""
    planes, progress = draft.planes(), Progress(patience=5.0)
    shards, firsts = draft.state["shards"], [0]
    for shard in shards:
        firsts.append(firsts[-1] + shard["count"])
    for k, shard in enumerate(shards):
        whole, part, late = (file_of(draft.folder, k, ending) for ending in ("u8", "part", "late"))
        if not shard["settled"]:
            again = k in draft.state["again"]
            decides = shard["waits"] or (shard["late"] and values.ground != 255)
            shard["kept"] = shard["count"]
            if again or decides or planes != shard["planes"]:
                images = (
                    _again(reading, shard, draft.settings)
                    if again
                    else _stored(part, late, shard, draft.settings["size"])
                )
                lost, notes = write(whole, images, values, planes)
                shard["kept"] -= len(lost)
                for place, name, why in lost:
                    draft.drop(firsts[k] + place, name, why)
                draft.note(() if shard["noted"] else notes)
                shard["noted"] = True
                shard["sha256"] = digest(whole)
            shard["settled"] = True
            draft.commit()
        if not whole.exists():
            os.replace(part, whole)
        part.unlink(missing_ok=True)
        late.unlink(missing_ok=True)
        progress.tell((k + 1) / len(shards), f"shard {k + 1:,} of {len(shards):,} is done")
    progress.close()


def write(path, images, values, planes):
    """Write a shard of what `images` yields, (name, pixels, `Late` or None, frame or None) each.

    Return ((place, name, why) of those that cannot be used, notes on what was changed).
    """
    lost, notes = [], []

    def content(file):
        for place, (name, pixels, late, frame) in enumerate(images):
            try:
                pixels = settled(values, pixels, late, frame)
            except Unreadable as error:
                lost.append((place, name, str(error)))
                continue
            if late is not None and (values.background is None or late.kind != "bytes"):
                notes.extend(values.notes(late))
            file.write(of_planes(pixels, planes).tobytes())

    replace(path, content)
    return lost, notes


def _stored(part, late, shard, size):
    """Yield the images of a shard that is not settled, from its two files."""
    import numpy

    with open(part, "rb") as file, open(late, "rb") if shard["late"] else _empty() as later:
        waiting = unpacked(later)
        following = next(waiting, None)
        for place in range(shard["count"]):
            pixels = numpy.frombuffer(file.read(shard["planes"] * size * size), numpy.uint8)
            name, decides, frame = None, None, None
            if following is not None and following[0] == place:
                _, name, decides, frame = following
                following = next(waiting, None)
            yield name, pixels.reshape(shard["planes"], size, size), decides, frame


def _empty():
    return open(os.devnull, "rb")  # noqa: SIM115


def _again(reading, shard, settings):
    """Yield the images of a shard, decoded anew from the source."""
    first, end = shard["first"], shard["end"]

    def items(wanted):
        try:
            yield from reading.items(first, end)
        except OSError as error:
            raise Gone(f"{error}. With it mended, the same command goes on") from error

    items = SimpleNamespace(count=end, items=items)
    decoded = decoding(items, settings["size"], settings["fit"], None, first)
    count = 0
    for (name, _), image in decoded:
        if not isinstance(image, Exception):
            count += 1
            yield name, image.pixels, image.late, image.frame
    if count != shard["count"]:
        raise Gone(
            f"items {first:,} to {end:,} of {reading.name} hold {count:,} images now, and held "
            f"{shard['count']:,}: a shard that is missing or cut cannot be made again from them"
        )


def mend(folder, about, reading, values, bad):
    """Make the shards `bad` of a whole conversion again, (number, why) each. Raises OSError where
    the source gives other images than it did.
    """
    for k, why in bad:
        shard, path = about["shards"][k], file_of(folder, k)
        say(f"{why}: it is made again from {readable(reading.name)}")
        draft = file_of(folder, k, "again")
        images = _again(reading, shard | {"count": shard["seen"]}, about["made"])
        write(draft, images, values, about["shape"][0])
        if digest(draft) != shard["sha256"]:
            draft.unlink()
            raise Gone(
                f"{path} was made again from {readable(reading.name)}, and is not what it was: "
                "other images, or another release of a decoder; bring the file back, or convert "
                "into another folder"
            )
        os.replace(draft, path)


def relabel(folder, about, reading, values):
    """Write the labels of a whole conversion again: all images are decoded once more, since only
    those that can be read have one. Raises OSError where the source gives other labels.
    """
    import numpy

    made, raw, used = about["made"], [], []
    say(f"{folder / LABELS} is missing or damaged: it is made again from {readable(reading.name)}")
    items = SimpleNamespace(count=reading.count, items=lambda wanted: reading.items(0))
    for place, ((_, label), image) in enumerate(decoding(items, made["size"], made["fit"], None)):
        if isinstance(image, Exception):
            continue
        try:
            settled(values, image.pixels, image.late, image.frame)
        except Unreadable:
            continue
        raw.append(plain_of(label))
        used.append(place)
    labels = reading.labels(raw, used)[0] if len(raw) == about["count"] else None
    file = io.BytesIO()
    if labels is not None:
        numpy.save(file, torch.tensor(labels).numpy())
    if hashlib.sha256(file.getvalue()).hexdigest() != about["labels"]:
        raise Gone(
            f"{readable(reading.name)} gives other labels than it did; bring {folder / LABELS} "
            "back, or convert into another folder"
        )
    replace(folder / LABELS, lambda out: out.write(file.getvalue()))


def finished(draft, reading, values):
    """Write the labels; return what about.json says of a whole conversion."""
    s, settings = draft.state, draft.settings
    labels, classes, where, said, mixed = _labels(draft, reading)
    if labels is not None:
        import numpy

        labels = torch.tensor(labels).numpy()
        replace(draft.folder / LABELS, lambda file: numpy.save(file, labels))
    used, sizes = s["images"] - len(s["dropped"]), s["sizes"][1]
    report = {
        "found": s["items"] + len(reading.skipped),
        "used": used,
        "grey": s["grey"],
        "skipped": [*map(list, reading.skipped), *s["listed"]],
        "converted": dict(Counter(s["notes"]).most_common()),
        "widths": [w for w, _ in sizes],
        "heights": [h for _, h in sizes],
        "fit": settings["fit"],
        "mixed": mixed,
        "labels": where,
        "values": values.said,
        "background": values.called(),
        "odd": [*reading.odd, *said, *values.odd],
    }
    size, planes = settings["size"], draft.planes()
    shards = [
        {
            "count": shard["kept"],
            "bytes": shard["kept"] * planes * size * size,
            "sha256": shard["sha256"],
            "seen": shard["count"],
            "first": shard["first"],
            "end": shard["end"],
        }
        for shard in s["shards"]
    ]
    return {
        "format": FORMAT,
        "name": readable(reading.name),
        "shape": [planes, size, size],
        "count": used,
        "shards": shards,
        "labels": None if labels is None else digest(draft.folder / LABELS),
        "classes": list(map(readable, classes)),
        "report": report,
        "made": settings | {"mark": s["mark"], "values": s["values"]},
    }


def _labels(draft, reading):
    """Return what `labels_of` does, of the images that are kept."""
    import numpy

    s, dropped = draft.state, draft.state["dropped"]
    used = numpy.fromfile(draft.folder / USED, numpy.uint8).nonzero()[0]
    codes = numpy.fromfile(draft.folder / CODES, "<i4")
    used, codes = numpy.delete(used, dropped), numpy.delete(codes, dropped)
    if not s["no_labels"] and codes.size and not 0 <= codes.min() <= codes.max() < len(s["labels"]):
        raise OSError(f"{draft.folder / CODES} is damaged; remove the folder, and begin anew")
    if s["no_labels"]:
        return *none(s["no_labels"]), False
    return reading.labels(list(map(s["labels"].__getitem__, codes)), used)
