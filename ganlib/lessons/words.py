"""`tell` says the sentences of the exercises in English, or in the language of a catalogue.

A catalogue, such as zh.json, is a dict from each English sentence to the other language's. Names in
braces stand for what is filled in. A sentence that it lacks stays English.
"""

import json
from pathlib import Path
from unicodedata import east_asian_width

_catalogue = {}


def language(code):
    """Choose the language of the exercises: "en", or that of a catalogue: Chinese, "zh".

    Raises ValueError for a language that there is not.
    """
    files = {file.stem: file for file in Path(__file__).parent.glob("*.json")}
    if code != "en" and code not in files:
        raise ValueError(f"there is no language {code!r}; choose one of {['en', *sorted(files)]}")
    _catalogue.clear()
    if code != "en":
        _catalogue.update(json.loads(files[code].read_text(encoding="utf-8")))


def tell(sentence, **values):
    """Return a sentence in the language that was chosen, with the values in the place of names."""
    sentence = _catalogue.get(sentence, sentence)
    return sentence.format(**values) if values else sentence


def aligned(rows):
    """Return a table of texts as lines, in columns that begin at the same place in each row."""
    widths = [max(map(columns, column)) for column in zip(*rows, strict=True)]
    padded = (
        [text + " " * (width - columns(text)) for text, width in zip(row, widths, strict=True)]
        for row in rows
    )
    return "\n".join("  " + "  ".join(row).rstrip() for row in padded)


def columns(text):
    """Return how many columns a text takes in a font of fixed width; a Chinese sign takes two."""
    return sum(2 if east_asian_width(sign) in "WF" else 1 for sign in text)
