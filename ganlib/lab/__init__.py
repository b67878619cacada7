"""The lab: what one touches. `Explorer` and `Stepper`, the `Panel` they show, the `Painter`'s board."""

from .explorer import Explorer
from .panel import Painter, Panel
from .stepper import Stepper

__all__ = ["Explorer", "Painter", "Panel", "Stepper"]
