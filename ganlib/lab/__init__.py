"""Interactive tools: `Explorer`, `Stepper`, `BeD` and `Painter`; a `Panel` shows them."""

from .be_d import BeD
from .explorer import Explorer
from .panel import Painter, Panel
from .stepper import Stepper

__all__ = ["BeD", "Explorer", "Painter", "Panel", "Stepper"]
