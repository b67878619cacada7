"""Clips: pictures that move."""

from .drawing import recipe
from .judging import judge_clips
from .moving import gliding, pairs

__all__ = ["gliding", "judge_clips", "pairs", "recipe"]
