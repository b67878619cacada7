"""Pictures of sentences: G draws what the words say, and D judges whether picture and words fit;
its fakes include real pictures with the words of others.
"""

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
