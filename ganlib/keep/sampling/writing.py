"""`write`: draw images into an array, an archive or a folder; an interrupted call goes on.

A journal beside the images, or in the folder, says what is being drawn and how much of it is safe
on the disk.
"""

import contextlib
import json
import os
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor

from ...machine.files import replace
from ...machine.held import locks
from ...machine.progress import Progress, readable, say
from ...show.pictures import GENERATED
from .drawing import Drawing
from .places import place_of

WORKERS = max(1, min(8, (os.cpu_count() or 2) // 2))  # threads that encode: G keeps the others busy
SAFE = 1.0  # seconds between two entries of the journal: what a killed process has to draw again
AHEAD = 4  # batches for each thread that encodes them: what is drawn, and not yet written
NAMES = {"n": "--n", "label": "--label", "weights": "weights"}  # as messages name them


def write(out, G, n, labels=None, seed=None, precision="float32", of=None):
    """Draw `n` images as `draw` does into `out`, and return how many were drawn now.

    out: NAME.npy (uint8 `(n, C, H, W)`, labels in NAME.labels.npy), NAME.tar (as WebDataset), or a
        folder (as StyleGAN's tools); `ganlib.load` reads the latter two with their labels.
    of: a dict of names and values that say what draws, for the reader of the journal.

    A call that was cut off, even by SIGKILL or a full disk, goes on at its last whole batch that is
    safe, when it is made again; one that ended draws nothing. Memory does not grow with `n`.
    Raises ValueError for images that cannot be written so, and OSError for an `out` that holds
    something else, or another drawing, and where it cannot be written.
    """
    place, drawing = place_of(out), Drawing(G, n, labels, seed, precision)
    if place.pictures and (len(drawing.shape) != 3 or drawing.shape[0] not in (1, 3)):
        raise ValueError(
            f"G draws {drawing.shape}, which is no picture in grey or colour; --out NAME.npy keeps "
            "it as an array"
        )
    with _held(place):
        return _write(place, drawing, of or {})


@contextlib.contextmanager
def _held(place):
    """A context that locks a place. Raises BlockingIOError, which names the holder."""
    folder = place.lock.parent
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file, _ = locks.locked(place.lock)
    except BlockingIOError:
        raise
    except OSError as error:
        raise OSError(f"cannot write {place.path} ({error}); choose another --out") from error
    try:
        try:
            locks.write(file, locks.about())
        except OSError as error:  # the disk is full already
            raise OSError(f"cannot write {place.path} ({error}); choose another --out") from error
        yield
    finally:
        if os.name == "nt":  # which removes no file that is open
            os.close(file)
        with contextlib.suppress(OSError):
            place.lock.unlink()
        if os.name != "nt":
            os.close(file)
        if made:
            with contextlib.suppress(OSError):  # removed if it is empty
                folder.rmdir()


def _write(place, drawing, of):
    journal = _begun(place, drawing, of)
    done = place.has(journal["done"], journal["bytes"])
    if journal["done"] and done == drawing.n and journal.get("finished"):
        place.drawing = drawing
        if place.mend():
            say(
                f"{place.path}: the labels of these {drawing.n:,} images were missing, and are back"
            )
        else:
            say(f"{place.path}: these {drawing.n:,} images are there; nothing is left to draw")
        return 0
    drawing.batch = journal["batch"]
    done -= done % drawing.batch if done < drawing.n else 0
    if done:
        say(f"{place.path}: going on behind {done:,} of {drawing.n:,} images")
    journal["done"] = done
    begun = done

    def note(**more):
        journal.update(more)
        text = json.dumps(journal, indent=1).encode()
        replace(place.journal, lambda file: file.write(text), durable=False)

    note()
    try:
        if done < drawing.n or not place.whole():
            place.open(drawing, done, journal["bytes"])
            if done < drawing.n:
                _pour(place, drawing, done, note)
            place.finish()
    except BaseException as error:
        with contextlib.suppress(OSError):
            place.cut(journal["bytes"])
            note()
        if isinstance(error, OSError):
            raise OSError(
                f"cannot write {place.part} ({error}); {journal['done']:,} of {drawing.n:,} images "
                "are safe there: make room, or see to it that it can be written, and the same "
                "command goes on"
            ) from error
        raise
    finally:
        place.close()
    note(finished=True, done=drawing.n)
    return drawing.n - begun


def _begun(place, drawing, of):
    """Return the journal of a place, a new one if nothing is there. Raises OSError for a place that
    holds something else than the beginning, or the whole, of this drawing.
    """
    about = drawing.about()
    if not place.journal.exists():
        if there := place.others():
            raise OSError(
                f"{there} is there, and no {place.journal.name} beside it says what it is; give "
                "another --out, or move it away"
            )
        new = {"notice": GENERATED, "of": of, "drawing": about, "batch": drawing.batch}
        return new | {"done": 0, "bytes": 0}
    try:
        journal = json.loads(place.journal.read_bytes())
        then, batch = dict(journal["drawing"]), int(journal["batch"])
        journal["of"] = dict(journal["of"])
        if not 1 <= batch <= about["chunk"] or about["chunk"] % batch:
            raise ValueError(f"batch {batch}")
        if not (0 <= int(journal["done"]) <= then["n"] and int(journal["bytes"]) >= 0):
            raise ValueError(f"{journal['done']} images in {journal['bytes']} bytes")
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise OSError(
            f"{place.journal} cannot be read ({type(error).__name__}: {str(error)[:200]}); give "
            "another --out, or move it and the images away"
        ) from error
    if changed := [name for name in about if then.get(name) != about[name]]:
        said = [f"{NAMES.get(name, name)} {_short(then.get(name))}" for name in changed]
        if "weights" in changed:
            at = [f"step {_short(x['step'])}" if "step" in x else "" for x in (journal["of"], of)]
            said = [x for x in said if not x.startswith("weights")] + [
                f"other weights ({at[0]}, now {at[1]})" if all(at) else "other weights"
            ]
        raise OSError(
            f"{place.path} holds another drawing ({', '.join(said)}), and nothing is overwritten; "
            "give another --out, or move it away with its journal"
        )
    return journal


def _pour(place, drawing, start, note):
    """Draw, encode in threads, and write in order, from image `start` on."""
    done, began = start, time.monotonic()
    progress, noted, told, waiting = Progress(patience=10.0), began, began, deque()

    def written():
        nonlocal done, noted, told
        count, encoded = waiting.popleft()
        place.write(encoded.result())
        done, now = done + count, time.monotonic()
        if now - noted > SAFE or done == drawing.n:
            note(bytes=place.safe(), done=done)
            noted = now
        if now - told > 0.1 or done == drawing.n:
            rate, told = (done - start) / (now - began), now
            progress.tell(
                done / drawing.n,
                f"{done:,} of {drawing.n:,} images, {rate:,.0f} images/s, "
                f"{(drawing.n - done) / rate:,.0f} s left",
            )

    with ThreadPoolExecutor(WORKERS) as pool:
        try:
            first = start
            for images, labels in drawing.batches(start):
                waiting.append((len(images), pool.submit(place.encode, first, images, labels)))
                first += len(images)
                if len(waiting) > AHEAD * WORKERS:
                    written()
            while waiting:
                written()
        finally:
            for _, encoded in waiting:
                encoded.cancel()
            progress.close()


def _short(value):
    """Return the text of a value of a journal, which may be a stranger's, in one short line."""
    return readable(str(value)[:60])
