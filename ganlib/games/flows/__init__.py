"""A flow of many steps, and the same net made to draw in one: see matching.py."""

from .matching import METHODS, STAGES, Flow, after, agreement, drawn, recipe

__all__ = ["METHODS", "STAGES", "Flow", "after", "agreement", "drawn", "recipe"]
