"""Tools for notebooks: `Explorer`, `Stepper`, `BeD`, `StyleSpace`, `Painter`; and `Panel`."""

from .be_d import BeD
from .explorer import Explorer
from .panel import Painter, Panel
from .stepper import Stepper
from .styles import StyleSpace

__all__ = ["BeD", "Explorer", "Painter", "Panel", "Stepper", "StyleSpace"]
