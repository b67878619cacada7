"""Clips: pictures that move."""

from .drawing import film, recipe
from .judging import judge_clips
from .moving import gliding, pairs

__all__ = ["film", "gliding", "judge_clips", "pairs", "recipe"]
