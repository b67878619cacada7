"""Tools for notebooks: `Explorer`, `Stepper`, `BeD`, `StyleSpace`, `Painter`, `Panel`; and the dial
`draw_to`, with the `trade` that it makes.
"""

from .attraction import draw_to, trade
from .be_d import BeD
from .explorer import Explorer
from .panel import Painter, Panel
from .stepper import Stepper
from .styles import StyleSpace

__all__ = ["BeD", "Explorer", "Painter", "Panel", "Stepper", "StyleSpace", "draw_to", "trade"]
