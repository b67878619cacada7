"""Pictures that ship with ganlib beside the digits: smileys, and pixel faces with attributes."""

from . import faces, smileys

__all__ = ["faces", "smileys"]
