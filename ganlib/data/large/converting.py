"""`convert`: write images of any kind and number as shards on the disk, which `Shards` reads."""

import contextlib
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

from ...machine.files import replace
from ...machine.folder import path_of
from ...machine.progress import readable, say
from ..archives import lasting
from ..decoding import Values
from ..prepared import checked, decoding
from ..source import is_grey, openers
from .begun import alone, begun_of, refuse
from .late import as_plain, restored
from .reading import Reading
from .settling import Gone, finished, mend, relabel, settle
from .shards import Shards
from .store import (
    ABOUT,
    UNFINISHED,
    about_of,
    labels_are_whole,
    refuse_shards,
    sound,
    wrong,
)
from .writing import CODES, SECONDS, USED, Draft

IN_A_ROW = 20  # items that cannot be reached, before their source counts as gone
END = object()  # names what is no item: why the source broke off


def convert(source, folder, size, fit="crop", channels=None, background=None, split="train"):
    """Convert the images of `source` into shards in `folder`, and return them as `Shards`, for
    `train` and all else that takes a data set. `ganlib.load(folder)` returns them later.

    source: what `load` reads (a folder, a .zip or .tar, a data set); tars of WebDataset, as a list,
        "train-*.tar" or "train-{0000..0146}.tar", whose labels are in NAME.cls or under "label" in
        NAME.json; or any iterable without a length, such as a data set of Hugging Face that is
        loaded with streaming=True (not shuffled: it is read in the same order again).
    size, fit, channels, background, split: as in `load`, and with the same result.

    A folder holds as many images as its disk: size * size * 3 bytes each. In memory are the images
    that are decoded at the time; of a folder or an archive the names of its files; a set's labels
    at the end. Files that cannot be read are skipped and counted, in the `report`. Pictures whose
    range or ground the whole set decides, such as transparent ones without `background`, need
    their room on the disk twice until the end.

    However it is ended, killed too, the same call goes on where it was, at most some seconds
    earlier, and ends with the same bytes. That holds for a disk that is full, a stream that broke
    off and a tar that is missing or cut (OSError), once that is mended; and shards that are missing
    or cut later are made again. Raises ValueError for wrong options, for other options or another
    source than the conversion was begun with, and for a folder that holds something else;
    BlockingIOError while another process converts into it.
    """
    size, ground = checked(size, fit, channels, background)
    openers()
    folder = path_of(folder)
    if isinstance(source, (str, Path)) and path_of(source).resolve() in folder.resolve().parents:
        raise ValueError(f"{folder} lies in {source}, whose images are to be read; give another")
    if isinstance(source, (str, Path)):
        refuse_shards(source)
    ground = list(ground) if isinstance(ground, tuple) else ground
    settings = {"size": size, "fit": fit, "channels": channels, "background": ground}
    settings["split"] = split or "train"
    with alone(folder):
        about = about_of(folder)
        try:
            if about is not None:
                _whole(folder, about, source, settings)
            else:
                _made(folder, source, settings)
        except Gone as error:
            raise OSError(str(error)) from error
        for name in (UNFINISHED, CODES, USED):
            (folder / name).unlink(missing_ok=True)
    return Shards(folder)


def _ground(settings):
    """Return the grey level or colour of the background, None if it is to be chosen."""
    ground = settings["background"]
    return tuple(ground) if isinstance(ground, list) else ground


def _whole(folder, about, source, settings):
    """Check a finished conversion; make shards and labels again that are missing or cut."""
    sound(about, folder)
    refuse(folder, about["made"], settings)
    bad, made = list(wrong(folder, about)), "converted before"
    if bad:
        mend(folder, about, *_read(folder, about, source, settings, bad[0][0]), bad)
        made = f"{len(bad)} shards were made again"
    if not labels_are_whole(folder, about):
        relabel(folder, about, *_read(folder, about, source, settings))
        made = "the labels were made again"
    say(f"{folder}: {about['count']:,} images, {made}")


def _read(folder, about, source, settings, k=0):
    """Return the source of a whole conversion from shard `k` on, and the values of its set."""
    reading = Reading(source, settings["split"], about["shards"][k]["first"] if k else 0)
    _same(folder, about["made"]["mark"], reading)
    return reading, restored(_ground(settings), about["made"]["values"]).settle()


def _same(folder, mark, reading):
    if mark != reading.mark:
        raise ValueError(
            f"{readable(reading.name)} is not what {folder} was begun with, or has changed since: "
            "other files, or of another size or time; give what it was, or another folder"
        )


def _made(folder, source, settings):
    before = begun_of(folder, settings)
    start, counts = (before["items"], before["counts"]) if before else (0, {})
    reading = Reading(source, settings["split"], start, counts)
    if begun := start > 0:
        _same(folder, before["mark"], reading)
        say(f"{folder}: going on after {start:,} items, {before['images']:,} images")
    draft = Draft(folder, settings, before)
    s = draft.state
    try:
        s["mark"] = reading.mark
        need = (reading.count or 0) * (settings["channels"] or 3) * settings["size"] ** 2
        if not begun and need > (free := shutil.disk_usage(folder).free):
            say(
                f"{folder}: {need / 1e9:,.1f} GB may be needed, and {free / 1e9:,.1f} GB are free: "
                "if the disk fills up, make room, and the same command goes on"
            )
        values = restored(_ground(settings), s["values"])
        with _writing(draft):
            draft.commit()
            broken = None if s["ended"] else _fill(draft, reading, values)
            if broken is None:
                draft.end()
        if broken is not None:
            raise OSError(
                f"{str(broken).rstrip('.')}. The {s['images']:,} images before are kept in "
                f"{folder}; mend that, and the same command goes on"
            ) from broken
        values.settle()
        if s["images"] == 0:  # so that the folder is free for another source
            draft.close()
            for name in (UNFINISHED, CODES, USED):
                (folder / name).unlink(missing_ok=True)
            _nothing(reading, s)
        with _writing(draft):
            settle(draft, reading, values)
            if s["images"] == len(s["dropped"]):
                _nothing(reading, s)
            about = finished(draft, reading, values)
            text = json.dumps(about).encode()
            replace(folder / ABOUT, lambda file: file.write(text))
    finally:
        draft.close()
    for sentence in about["report"]["odd"]:
        say(f"{about['name']}: {sentence}")
    skipped = f", {s['skipped']:,} items skipped" * bool(s["skipped"])
    say(f"{folder}: {about['count']:,} images of {settings['size']} x {settings['size']}{skipped}")


@contextlib.contextmanager
def _writing(draft):
    """A context that turns errors of writing, such as a full disk, into a sentence."""
    try:
        yield
    except OSError as error:
        draft.close()
        kept = (about_of(draft.folder, UNFINISHED) or {"images": 0})["images"]
        raise OSError(
            f"{draft.folder} cannot be written ({error.strerror or error}); the {kept:,} images "
            "before are kept: make room on the disk, and the same command goes on"
        ) from error


def _nothing(reading, state):
    why = "; ".join(f"{name}: {why}" for name, why in [*reading.skipped, *state["listed"]][:3])
    raise OSError(
        f"{readable(reading.name)} holds no image that can be read, of "
        f"{state['items'] + len(reading.skipped):,} ({why or 'none'})"
    )


def _fill(draft, reading, values):
    """Add all images that are left; return why the source broke off, or None."""
    settings, s, gone = draft.settings, draft.state, []
    shards = max(1, len(s["shards"]))
    if reading.count is not None and s["items"] >= reading.count:
        return None

    def items(wanted=None):
        try:
            yield from reading.items(s["items"])
        except Exception as error:
            yield (END, None), error

    def commit(least=0.0):
        if draft.is_due(least):
            s["values"], s["counts"] = as_plain(values), reading.counts
            draft.commit()

    def skip():
        for name, error in gone:
            draft.skip(name, error)
        gone.clear()

    source, broken = SimpleNamespace(count=reading.count, items=items), None
    images = decoding(source, settings["size"], settings["fit"], None, s["items"])
    with contextlib.closing(images):
        for (name, label), decoded in images:
            if name is END:
                broken = decoded
                break
            if isinstance(decoded, Exception):
                if lasting(decoded):
                    skip()
                    draft.skip(name, decoded)
                else:  # it may be there again
                    gone.append((name, decoded))
                if len(gone) == IN_A_ROW:
                    first = gone[0]
                    broken = OSError(
                        f"{IN_A_ROW} items one after the other cannot be read, the first of them "
                        f"{first[0]} ({first[1]})"
                    )
                    break
            else:
                skip()
                draft.note(decoded.notes)
                draft.add(name, label, _early(decoded, values, _ground(settings), draft))
                if reading.count is None and len(s["shards"]) > shards:  # no bar can tell
                    shards = len(s["shards"])
                    say(f"{draft.folder}: {s['images']:,} images, shard {shards:,} begins")
            commit(SECONDS)
    if broken is None:
        skip()
    commit()
    return broken


def _early(decoded, values, ground, draft):
    """Return a `Decoded` image with its pixels decided, if they do not depend on the whole set;
    else with `late`, and with `grey` as far as it is known.
    """
    late = decoded.late
    if late is None:
        if decoded.frame is None or ground is None:
            return decoded
        pixels = Values(ground).settle().framed(decoded.pixels, decoded.frame)
        return decoded._replace(pixels=pixels, grey=is_grey(pixels), frame=None)
    values.add(late)
    if ground is not None and late.kind == "bytes":
        alone = Values(ground)
        alone.add(late)
        pixels = alone.settle().pixels(late)
        draft.note(alone.notes(late))
        return decoded._replace(pixels=pixels, grey=is_grey(pixels), late=None)
    shows = isinstance(ground, tuple) and late.cover is not None and late.cover.min() < 255
    grey = not shows and bool((late.planes[:1] == late.planes).all())
    return decoded._replace(grey=grey)
