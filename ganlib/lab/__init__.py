"""Tools: `Explorer`, `Stepper`, `BeD`, `StyleSpace` and `Painter`; a `Panel` shows them."""

from .be_d import BeD
from .explorer import Explorer
from .panel import Painter, Panel
from .stepper import Stepper
from .styles import StyleSpace

__all__ = ["BeD", "Explorer", "Painter", "Panel", "Stepper", "StyleSpace"]
