"""Pictures of sentences: words for G and D, and D is also shown real pictures under wrong words."""

from .drawing import Worded, recipe
from .handwriting import HIDDEN, NUMBERS, numbers, read, spelled
from .judging import judge_words
from .vocabulary import encode, said, vocabulary

__all__ = [
    "HIDDEN",
    "NUMBERS",
    "Worded",
    "encode",
    "judge_words",
    "numbers",
    "read",
    "recipe",
    "said",
    "spelled",
    "vocabulary",
]
