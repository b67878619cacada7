"""Clips: pictures that move."""

from .drawing import at, film, recipe
from .judging import judge_clips
from .movies import movie
from .moving import gliding, pairs

__all__ = ["at", "film", "gliding", "judge_clips", "movie", "pairs", "recipe"]
