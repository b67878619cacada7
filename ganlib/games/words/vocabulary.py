"""Encode sentences as numbers: the places of their words in a list of words."""

import torch

from ...machine.choices import did_you_mean


def vocabulary(sentences):
    """Return the list of words of some sentences, in alphabetical order after "", which is no word.

    A sentence is words with spaces between them; capitals do not count. Raises ValueError where
    there is no word.
    """
    sentences = [sentences] if isinstance(sentences, str) else sentences
    words = sorted({word for sentence in sentences for word in _split(sentence)})
    if not words:
        raise ValueError("sentences without a word were given; one word at least is expected")
    return ("", *words)


def encode(sentences, words, length):
    """Return sentences, one text or several, as int64 `(N, length)`: the place of each word in
    `words`, then 0.

    Raises ValueError for a word that is not in the list, for more than `length` words, and for a
    sentence without a word, with the sentence.
    """
    sentences = [sentences] if isinstance(sentences, str) else list(sentences)
    if not all(isinstance(word, str) for word in words):
        raise ValueError(f"the words {str(words)[:100]} are no texts; a list of words is expected")
    places = {word: i for i, word in enumerate(words) if word}
    rows = torch.zeros(len(sentences), length, dtype=torch.int64)
    for row, sentence in zip(rows, sentences, strict=True):
        parts = _split(sentence)
        if not 0 < len(parts) <= length:
            raise ValueError(
                f"{sentence!r} has {len(parts)} words; 1 to {length} of these are expected: "
                f"{', '.join(places)}"
            )
        for i, word in enumerate(parts):
            if word not in places:
                hint = did_you_mean(word, places) or f": {', '.join(places)} are"
                raise ValueError(f"the word {word!r} of {sentence!r} is not known{hint}")
            row[i] = places[word]
    return rows


def said(rows, words):
    """Return the texts of encoded sentences `rows`, int64 `(N, L)`: a list of `N`."""
    return [" ".join(words[i] for i in row if i) for row in rows.tolist()]


def _split(sentence):
    """Return the words of a sentence; a hyphen separates two, as in "forty-two"."""
    return sentence.lower().replace("-", " ").split()
