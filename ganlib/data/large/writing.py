"""`Draft`, an unfinished conversion on the disk. The file `unfinished.json` says how many bytes of
each other file are valid; the next call cuts off what lies beyond, and goes on there.
"""

import contextlib
import hashlib
import json
import os
import time
import zlib
from collections import Counter

from ...machine.files import replace
from ..raw.kinds import Odd, plain_of
from .late import of_planes, packed
from .store import FORMAT, SHARD, UNFINISHED, digest, file_of

SECONDS = 5.0  # between two commits: what a killed process loses at most
SAMPLED = 4096  # images whose sizes the report has, at even distances
LISTED = 1000  # skipped files that the report names
DIFFERENT = 100_000  # labels: more are no classes
CODES, USED = "labels.tmp", "used.tmp"  # int32 of each image; a byte of each item


class Draft:
    """An unfinished conversion in `folder`. `state`, a dict of plain values, is saved by `commit`.

    `add` appends images, which are lost by a crash until the next `commit`.
    """

    def __init__(self, folder, settings, state=None):
        self.folder, self.settings, self.files, self.codes = folder, settings, {}, {}
        self.crcs = {}  # of what was written into each file
        self.state = state or {
            "format": FORMAT,
            "settings": settings,
            "name": "",
            "mark": "",
            "odd": [],
            "items": 0,  # of the source that are done
            "images": 0,
            "ended": False,
            "shards": [],
            "again": [],  # shards that were found missing or cut
            "grey": 0,
            "skipped": 0,
            "listed": [],
            "dropped": [],  # images whose range is not known in the end
            "notes": {},
            "labels": [],  # the different ones: files hold their numbers
            "no_labels": "",
            "counts": {},
            "values": {"ranges": {}, "lost": {}, "clear": 0},
            "sizes": [1, []],  # of every so many-th image
        }
        for i, label in enumerate(self.state["labels"]):
            self.codes[_key(listed(label))] = i
        self.bytes, self.last, self.due = settings["size"] ** 2, time.monotonic(), False
        self._cut()

    def add(self, name, label, decoded):
        """Append the `Decoded` image `name`, and in another file what waits to be decided."""
        s, late = self.state, decoded.late
        s["grey"] += bool(decoded.grey)
        planes = self.settings["channels"] or (1 if s["grey"] == s["images"] + 1 else 3)
        shard = self._shard(planes)
        pixels = bytes(planes * self.bytes) if late else of_planes(decoded.pixels, planes).tobytes()
        self._write(shard["number"], pixels)
        if late or decoded.frame:
            content = packed(shard["count"], name, late, decoded.frame)
            self._write((shard["number"], "late"), content)
            shard["late"] += len(content)
            shard["waits"] += late is not None
        shard["count"] += 1
        self._write(CODES, self._code(label).to_bytes(4, "little"))
        step, sizes = s["sizes"]
        if s["images"] % step == 0:
            sizes.append([decoded.width, decoded.height])
            if len(sizes) >= SAMPLED:
                s["sizes"] = [2 * step, sizes[::2]]
        s["images"] += 1
        self._done(1)
        if shard["count"] == self.most():
            self._close(shard)

    def skip(self, name, why):
        """Count an item that cannot be read."""
        self.state["skipped"] += 1
        if len(self.state["listed"]) < LISTED:
            self.state["listed"].append([str(name), str(why)])
        self._done(0)

    def drop(self, image, name, why):
        """Leave out an image that was added, by its number."""
        if image in self.state["dropped"]:
            return
        self.state["dropped"].append(image)
        self.state["skipped"] += 1
        if len(self.state["listed"]) < LISTED:
            self.state["listed"].append([str(name), str(why)])

    def note(self, notes):
        if notes:
            self.state["notes"] = dict(Counter(self.state["notes"]) + Counter(notes))

    def commit(self, least=0.0):
        """Make all that was added count, if the last time is `least` seconds ago or a shard is
        full. Not within an item: what is half counted would be counted twice.
        """
        if not self.is_due(least):
            return
        for file in self.files.values():
            file.flush()
            os.fsync(file.fileno())
        for key, crc in self.crcs.items():
            self._crcs()[name_of(key)] = crc
        text = json.dumps(self.state | {"seal": sealed(self.state)}).encode()
        replace(self.folder / UNFINISHED, lambda file: file.write(text))
        self.last, self.due = time.monotonic(), False

    def is_due(self, least):
        """Whether `commit` has something to do."""
        return self.due or time.monotonic() - self.last >= least

    def most(self):
        """Return how many images a shard holds: a gigabyte, also where grey becomes colour."""
        return max(1, SHARD // ((self.settings["channels"] or 3) * self.bytes))

    def planes(self):
        """Return how many planes the images have, as far as is known."""
        return self.settings["channels"] or (1 if self.state["grey"] == self.state["images"] else 3)

    def close(self):
        """Close all files without writing: what was not committed does not count."""
        for file in self.files.values():
            with contextlib.suppress(OSError):
                file.close()
        self.files.clear()

    def end(self):
        """Close the last shard, and commit."""
        if self.state["shards"] and self.state["shards"][-1]["sha256"] is None:
            self._close(self.state["shards"][-1])
        self.state["ended"] = True
        self.commit()
        self.close()

    def _done(self, used):
        self.state["items"] += 1
        self._write(USED, bytes([used]))

    def _shard(self, planes):
        shards = self.state["shards"]
        if shards and shards[-1]["sha256"] is None and shards[-1]["planes"] != planes:
            self._close(shards[-1])  # the first image in colour
        if not shards or shards[-1]["sha256"] is not None:
            shards.append(
                {
                    "number": len(shards),
                    "count": 0,
                    "planes": planes,
                    "first": self.state["items"],
                    "end": None,
                    "late": 0,  # bytes
                    "waits": 0,  # images that are decided later
                    "kept": 0,
                    "sha256": None,
                    "settled": False,
                    "noted": False,
                }
            )
        return shards[-1]

    def _close(self, shard):
        """Note the digest of a shard that is full, while it is still in the page cache."""
        number = shard["number"]
        for ending in ("part", "late"):
            self.crcs.pop((number, ending), None)
            self._crcs().pop(name_of((number, ending)), None)
            file = self.files.pop((number, ending), None)
            if file is not None:
                file.flush()
                os.fsync(file.fileno())
                file.close()
        shard["end"] = self.state["items"]
        shard["sha256"] = digest(file_of(self.folder, number, "part"))
        self.due = True

    def _code(self, label):
        """Return the number of a label among those that were met; 0 where there can be none."""
        if self.state["no_labels"]:
            return 0
        plain = plain_of(label)
        if isinstance(plain, Odd):
            self.state["no_labels"] = plain.text
            return 0
        key = _key(plain)
        if key not in self.codes:
            if len(self.codes) >= DIFFERENT:
                self.state["no_labels"] = f"there are more than {DIFFERENT:,} different ones"
                return 0
            self.codes[key] = len(self.codes)
            self.state["labels"].append(plain)
        return self.codes[key]

    def _write(self, key, content):
        """Append to CODES, USED, a shard (its number) or what waits of it (number, "late")."""
        key = (key, "part") if isinstance(key, int) else key
        if key not in self.files:
            named = isinstance(key, str)
            path = self.folder / key if named else file_of(self.folder, *key)
            self.files[key] = open(path, "ab", buffering=2**20)  # noqa: SIM115
        self.files[key].write(content)
        self.crcs[key] = zlib.crc32(content, self.crcs.get(key, 0))

    def _crcs(self):
        return self.state.setdefault("crcs", {})

    def _is_whole(self, path, key, size):
        """Whether the first bytes of a file are those that were written; notes their CRC."""
        crc, known = 0, self._crcs().get(name_of(key))
        with open(path, "rb") as file:
            while size > 0 and (piece := file.read(min(size, 2**22))):
                crc, size = zlib.crc32(piece, crc), size - len(piece)
        self.crcs[key] = crc
        return known in (None, crc)  # None: empty, or of an earlier release

    def _cut(self):
        """Cut all files to what counts; note the shards that are shorter, to be made again."""
        s = self.state
        for name, size in ((CODES, 4 * s["images"]), (USED, s["items"])):
            path = self.folder / name
            path.touch()
            if path.stat().st_size < size or not self._is_whole(path, name, size):
                raise OSError(
                    f"{path} is cut or damaged, and the conversion in {self.folder} cannot go on; "
                    "remove the folder, and begin anew"
                )
            os.truncate(path, size)
        for shard in s["shards"]:
            k, whole = shard["number"], file_of(self.folder, shard["number"])
            pixels = shard["count"] * shard["planes"] * self.bytes
            if shard["settled"]:
                there = whole.stat().st_size if whole.exists() else 0
                if there == shard["kept"] * self.planes() * self.bytes:
                    continue
                whole.unlink(missing_ok=True)
                shard["settled"] = False
            for path, size in (
                (file_of(self.folder, k, "part"), pixels),
                (file_of(self.folder, k, "late"), shard["late"]),
            ):
                there = path.stat().st_size if path.exists() else 0
                key = k, path.suffix[1:]
                damaged = there < size or not (
                    there == 0 or shard["sha256"] or self._is_whole(path, key, size)
                )
                if damaged and k not in s["again"]:
                    s["again"].append(k)
                if there != size:
                    path.touch()
                    os.truncate(path, size)  # zeros, where it was shorter
        beyond = len(s["shards"])
        while (path := file_of(self.folder, beyond, "part")).exists():
            path.unlink()
            file_of(self.folder, beyond, "late").unlink(missing_ok=True)
            beyond += 1


def name_of(key):
    """Return the name of a file in the state: JSON has no pairs as keys."""
    return key if isinstance(key, str) else f"{key[0]}.{key[1]}"


def sealed(state):
    """Return the SHA-256 of a state without its seal."""
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()


def _key(plain):
    """Return a key of a label by which equal labels are known; 1 and True differ."""
    return type(plain).__name__, plain


def listed(label):
    """Return a label as it was before JSON made a list of a tuple."""
    return tuple(label) if isinstance(label, list) else label
