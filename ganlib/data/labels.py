"""Find the labels of the user's images: in the names of folders, in tables beside the images (read
by raw/tables.py), or in the items of a data set; and decide whether they are classes. Each
function also returns a sentence on what it decided.
"""

import os
import re
from collections import defaultdict

from .raw.kinds import Odd, alike, plain_of
from .raw.tables import from_tables
from .source import NO_IMAGES, named, natural, parts


def labels_of(rows, source, folders):
    """Return (labels or None, class names, where they come from or why there are none, a list of
    warnings, whether files lie both in folders and beside them). `rows` are the images in use,
    (name, ..., place in the source); `folders` maps names to folders that may be classes.
    """
    if source.names is None:
        if source.labels is None:
            return None, (), "none: the data set has none", [], False
        return *from_values([source.labels[row[-1]] for row in rows], source.classes), False
    names = [row[0] for row in rows]
    values, where = from_tables(source.texts, names)
    if values == "null":
        return None, (), where, [], False
    if values is None:
        labels, classes, said, odd, mixed = from_folders(names, [folders[name] for name in names])
        odd = [where, *odd] if where else odd
        read = {folders[name] for name in names}
        lost = [
            f[-1] for n, f in folders.items() if f and f not in read and not NO_IMAGES.search(n)
        ]
        if lost:
            odd.append(f"no image can be read of the folders {named(dict.fromkeys(lost))}")
        return labels, classes, said, odd, mixed
    labels, classes, said, odd = from_values(values)
    return labels, classes, said if labels is None else where, odd, False


def from_folders(names, folders):
    """Return what `labels_of` does, with a class for each of the first folders in which files
    differ: "cat" and "dog" of photos/cat/1.png and photos/dog/1.png.
    """
    common = len(os.path.commonprefix(folders))
    inner = [folder[common:] for folder in folders]
    firsts = {folder[0] for folder in inner if folder}
    numbers = all(re.fullmatch("-?[0-9]+", first) for first in firsts)
    firsts = sorted(firsts, key=(lambda first: (int(first), first)) if numbers else natural)
    if not all(inner):
        where = (
            f"all images lie in one folder, {folders[0][-1]}"
            if common
            else "the images lie in no folders"
        )
        where = "some images lie in folders and some beside them" if firsts else where
        return None, (), f"none: {where}", [], bool(firsts)
    if _shards(firsts, names, inner):
        said = (
            f"the folders {named(firsts)} are parts of one numbered set, no classes: no labels "
            "were made"
        )
        return None, (), f"none: {said}", [said], False
    odd = []
    if numbers and [*map(int, firsts)] != [*range(len(firsts))]:
        odd = [f"{_renumbered(firsts)}: the folders' names are not the numbers of the classes"]
    place = {first: i for i, first in enumerate(firsts)}
    odd += alike(firsts)
    return [place[folder[0]] for folder in inner], tuple(firsts), "from the folders", odd, False


def _renumbered(names):
    """Return an example of a class whose number differs from its name, a number too."""
    i = next(i for i, name in enumerate(names) if not name.isdecimal() or int(name) != i)
    return f"class {i} is {names[i]!r}"


def _shards(firsts, names, inner):
    """Whether folders are parts of a set: 00000, 00001, ... whose files are numbered on from one to
    the next, or by their last digits; or parts by the first digits of hashes.
    """
    stems = [parts(name)[-1].split(".")[0] for name in names]
    if len({len(first) for first in firsts}) > 1 or len(firsts) < 2:
        return False
    pairs = list(zip((folder[0] for folder in inner), stems, strict=True))
    if all(re.fullmatch("[0-9a-f]{1,4}", first, re.I) for first in firsts) and all(
        re.fullmatch("[0-9a-f]{16,}", stem, re.I) and stem.startswith(first)
        for first, stem in pairs
    ):
        return True
    if not all(re.fullmatch("[0-9]{4,}", first) for first in firsts) or min(firsts)[0] != "0":
        return False
    ranges = defaultdict(list)
    for first, stem in pairs:
        numbers = re.findall("[0-9]+", stem)
        if not numbers:
            return False
        ranges[first].append(int(numbers[-1]))
    modulo = 10 ** min(3, len(firsts[0]))
    if max(map(max, ranges.values())) >= modulo and all(
        number % modulo == int(first) for first in firsts for number in ranges[first]
    ):
        return True
    ordered = [(min(ranges[first]), max(ranges[first])) for first in firsts]
    return all(a[1] < b[0] for a, b in zip(ordered, ordered[1:], strict=False))


def from_values(values, names=()):
    """Return (int labels or None, class names, a sentence, warnings) of raw labels, one per image:
    whole numbers in any form, texts, or vectors with a single 1. `names` are of classes.
    """
    plain = [plain_of(value) for value in values]
    missing = sum(value is None or value == "" for value in plain)
    if missing == len(plain):
        return none("every label is missing")
    if missing:
        return none(f"{missing:,} of {len(plain):,} images have none")
    if bad := next((value for value in plain if isinstance(value, Odd)), None):
        return none(bad.text)
    if any(isinstance(value, tuple) for value in plain):
        ones = len({isinstance(v, tuple) and len(v) for v in plain}) == 1 and all(
            len(v) > 1 and sorted(v)[-2:] == [0, 1] and sum(map(abs, v)) == 1 for v in plain
        )
        if not ones:
            return none(
                "they are vectors of several numbers (attributes, places, words), and no classes"
            )
        return _numbers([v.index(1) for v in plain], names or tuple(map(str, range(len(plain[0])))))
    texts = [value for value in plain if isinstance(value, str)]
    if len(texts) == len(plain):
        if set(texts) <= set(names):
            place = {name: i for i, name in enumerate(names)}
            return [place[text] for text in texts], tuple(names), "from the data set", []
        try:  # numbers, as a table writes them; "007" is a name
            plain = [float(text) if text != str(int(float(text))) else int(text) for text in texts]
        except (ValueError, OverflowError):
            return _texts(texts, names)
        if any(re.fullmatch("0[0-9]+", text) for text in texts):
            return _texts(texts, names)
    elif texts:
        return none(f"{len(texts):,} are texts ({texts[0]!r}) and the others numbers")
    if all(isinstance(value, bool) for value in plain) and not names:
        names = ("False", "True")
    if part := next((value for value in plain if value != value // 1), None):
        return none(f"{part:g} is no whole number, and so no class")
    return _numbers([int(value) for value in plain], names)


def none(why):
    """Return what `from_values` does, without labels: a sentence and a warning say why."""
    return (
        None,
        (),
        f"none: labels were not taken, since {why}",
        [f"labels were not taken, since {why}"],
    )


def _many(values):
    """Return why so many different labels are no classes, or None."""
    different = len(set(values))
    if different > 20 and different > len(values) / 2:
        return none(f"{different:,} of {len(values):,} are different: names or numbers of images")
    return None


def _texts(texts, beside):
    names = sorted(set(texts), key=natural)
    place = {name: i for i, name in enumerate(names)}
    odd = (
        [f"the labels, as {texts[0]!r}, are not the class names {named(beside)}"] if beside else []
    )
    odd += alike(names)
    return _many(texts) or ([place[text] for text in texts], tuple(names), "from texts", odd)


def _numbers(values, names):
    """Return what `from_values` does, of whole numbers."""
    low, high = min(values), max(values)
    if low < 0 and set(values) != {-1, 1}:
        what = "-1, which marks an image without a label" if low == -1 else "below 0"
        return none(f"{sum(value < 0 for value in values):,} of {len(values):,} are {what}")
    if names and 0 <= low <= high < len(names):
        return values, tuple(names), "from the data set", []
    if names and low == 1 and high == len(names):
        said = f"labels 1 to {high} go with {high} class names: 1 was taken as {names[0]!r}"
        return [value - 1 for value in values], tuple(names), "from the data set", [said]
    if many := _many(values):
        return many
    odd = []
    if names:
        odd = [
            f"labels from {low} to {high} do not go with {len(names)} class names "
            f"({named(names)}): classes are called by their numbers"
        ]
    different = sorted(set(values))
    if different != [*range(len(different))]:
        names = tuple(map(str, different))
        odd.append(
            f"labels from {low} to {high} became {len(different)} classes: {_renumbered(names)}"
        )
    place = {value: i for i, value in enumerate(different)}
    return [place[value] for value in values], tuple(map(str, different)), "from the data set", odd
