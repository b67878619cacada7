"""The exercises' words: English, or the language of a catalogue.

A catalogue, such as zh.json, is a dict from each English sentence to the other language's. Names in
braces stand for what is filled in. A sentence that it lacks stays English.
"""

import json
from pathlib import Path
from unicodedata import east_asian_width

_catalogue = {}


def language(code):
    """Let the exercises speak English ("en") or the language of a catalogue: Chinese ("zh").

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


def padded(text, width):
    """Return a text filled up with spaces to `width` columns; a Chinese sign takes two."""
    return text + " " * (width - columns(text))


def columns(text):
    """Return how many columns a text takes in a font of fixed width."""
    return sum(2 if east_asian_width(sign) in "WF" else 1 for sign in text)
