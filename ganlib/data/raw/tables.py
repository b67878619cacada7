"""Labels from tables beside the images: StyleGAN's dataset.json, Hugging Face's metadata.csv or
.jsonl, webdataset's NAME.cls.
"""

import csv
import io
import json
from collections import Counter

from ...machine.progress import readable
from ..source import named, parts
from .kinds import plain_of

FILE = (
    *("file_name", "filename", "file", "path", "file_path", "filepath", "image_path"),
    *("image_name", "img_name", "name", "image", "img", "image_id", "id"),
)
LABEL = ("label", "labels", "class", "class_name", "category", "target", "y")


def from_tables(texts, names):
    """Return ([a raw label for each of `names`], where from), of the tables beside the images:
    StyleGAN's dataset.json, Hugging Face's metadata.csv or .jsonl, webdataset's NAME.cls.

    Returns (None, a sentence or "") where there is no table with labels; ("null", a sentence) where
    one says that there are none. `texts` are their contents by name.
    """
    by_file, read, why, twice = {}, [], "", []
    for name, content in texts.items():
        last, folder = parts(name)[-1], parts(name)[:-1]
        try:
            text = _text(content)
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
        for key, label in rows:
            place = "/".join((*folder, *parts(str(key))))
            if place in by_file and plain_of(by_file[place]) != plain_of(label):
                twice.append(readable(place))
            by_file[place] = label
        read.append(last if not last.lower().endswith(".cls") else "the .cls files")
    if twice:
        count = f"{len(twice):,} files" if len(twice) > 1 else "a file"
        return None, f"{named(read)} give {count} several labels ({named(twice)}): none was taken"
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


def _text(content):
    """Return the text of a table, as UTF-8, or as UTF-16 where it begins with its mark; raise
    ValueError for another encoding.
    """
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):  # what Excel calls Unicode text
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("it is no UTF-8; save it as UTF-8") from None


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
