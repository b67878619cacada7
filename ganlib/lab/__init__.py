"""Interactive tools: `Explorer` and `Stepper`, the `Panel` that shows them, and `Painter`."""

from .explorer import Explorer
from .panel import Painter, Panel
from .stepper import Stepper

__all__ = ["Explorer", "Painter", "Panel", "Stepper"]
