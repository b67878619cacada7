"""Find the labels of the user's images: in the names of folders, in tables beside the images, or in
the items of a data set; and decide whether they are classes. Each function also returns a sentence
on what it decided.
"""

import csv
import io
import json
import math
import operator
import os
import re
from collections import Counter, defaultdict
from typing import NamedTuple

from .source import NO_IMAGES, named, natural, parts

FILE = (
    *("file_name", "filename", "file", "path", "file_path", "filepath", "image_path"),
    *("image_name", "img_name", "name", "image", "img", "image_id", "id"),
)
LABEL = ("label", "labels", "class", "class_name", "category", "target", "y")


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
        labels, classes, found, odd, mixed = from_folders(names, [folders[name] for name in names])
        odd = [where, *odd] if where else odd
        read = {folders[name] for name in names}
        lost = [
            f[-1] for n, f in folders.items() if f and f not in read and not NO_IMAGES.search(n)
        ]
        if lost:
            odd.append(f"no image can be read of the folders {named(dict.fromkeys(lost))}")
        return labels, classes, found, odd, mixed
    labels, classes, found, odd = from_values(values)
    return labels, classes, found if labels is None else where, odd, False


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


def from_tables(texts, names):
    """Return ([a raw label for each of `names`], where from), of the tables beside the images:
    StyleGAN's dataset.json, Hugging Face's metadata.csv or .jsonl, webdataset's NAME.cls.

    Returns (None, a sentence or "") where there is no table with labels; ("null", a sentence) where
    one says that there are none. `texts` are their contents by name.
    """
    by_file, read, why = {}, [], ""
    for name, content in texts.items():
        last, folder = parts(name)[-1], parts(name)[:-1]
        try:
            text = content.decode("utf-8-sig")
            if last.lower().endswith(".cls"):
                rows = [(last.rpartition(".")[0], text.strip())]
            elif last.lower() == "dataset.json":
                about = json.loads(text)
                if not isinstance(about, dict) or "labels" not in about:
                    continue  # of another kind
                if about["labels"] is None:
                    return "null", f"none: {name} says that there are none"
                rows = list(dict(about["labels"]).items())
            else:
                rows = _rows(last.lower(), text)
        except (ValueError, TypeError, KeyError, RecursionError, csv.Error) as error:
            why = f"{name} cannot be used for labels ({str(error)[:100] or type(error).__name__})"
            continue
        by_file |= {"/".join((*folder, *parts(str(key)))): label for key, label in rows}
        read.append(last if not last.lower().endswith(".cls") else "the .cls files")
    if not read:
        return None, why
    labels, lasts = [], Counter(parts(name)[-1] for name in names)
    inside = {parts(key)[-1]: label for key, label in by_file.items()}
    for name in names:
        last = parts(name)[-1]
        whole = "/".join(parts(name))
        stem = whole[: len(whole) - len(last)] + last.split(".")[0]
        label = by_file[whole] if whole in by_file else by_file.get(stem)
        # a table may lie beside the folder of images, and name them without it
        alone = label is None and lasts[last] == 1 and len(inside) == len(by_file)
        labels.append(inside.get(last, inside.get(last.split(".")[0])) if alone else label)
    return labels, f"from {named(dict.fromkeys(read))}"


def _rows(last, text):
    """Return the pairs (file, label) of a table; raise ValueError where it has no such columns."""
    if last.endswith(".jsonl"):
        rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    else:
        head = text.partition("\n")[0]
        delimiter = max(",", "\t", ";", key=head.count)
        rows = list(csv.DictReader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True))
    rows = [{str(key).strip().lower(): value for key, value in row.items()} for row in rows]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    file = next((column for column in FILE if column in columns), None)
    label = next((column for column in LABEL if column in columns), None)
    if file is None or label is None:
        raise ValueError(f"it has the columns {named(columns)}; file_name and label are expected")
    return [(row[file], row.get(label)) for row in rows]


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


class Odd(NamedTuple):
    text: str  # why a label is no class


def plain_of(value):
    """Return a label as None, bool, int, float, str, a tuple of numbers, or `Odd`."""
    kind = type(value).__name__
    if hasattr(value, "tolist"):
        size = value.numel() if hasattr(value, "numel") else value.size
        if size > 10_000:
            return Odd(f"a {kind} of {tuple(value.shape)} is no class")
        value = value.tolist()
    while isinstance(value, (list, tuple)) and len(value) == 1:
        value = value[0]
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, float) and math.isnan(value):
        return None
    if value is None or isinstance(value, (bool, int, float, str)):
        return value.strip() if isinstance(value, str) else value
    if isinstance(value, (list, tuple)) and all(isinstance(v, (int, float)) for v in value):
        return tuple(value)
    try:
        return operator.index(value)
    except TypeError:
        return Odd(f"a {kind} is no class")


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
