"""10,000 pixel faces of 16 x 16 in colour, each with six attributes: drawings, of nobody.

DiceBear's pixel-art (design CC0 1.0, code MIT), drawn by tools/make_faces.py.
"""

import io
import lzma

import torch

from ...machine.assets import asset
from ..images import Images

FACES = "92d8c7d8fdb4db39b5d07697cb85bc0aafdf467ad0fcf81535823c441c74b259"  # make_faces.py
ATTRIBUTES = {  # in the file's order; the names of each one's values
    "length": ("short", "long"),
    "hair": ("black", "brown", "blond", "red", "blue"),
    "skin": ("light", "fair", "tan", "dark"),
    "glasses": ("without glasses", "with glasses"),
    "hat": ("without a hat", "with a hat"),
    "paper": ("blue", "violet", "pink", "cream"),
}


def faces():
    """Return (images uint8 `(10,000, 3, 16, 16)`, attributes int64 `(10,000, 6)`), the latter in
    the order of `ATTRIBUTES`.
    """
    import numpy

    with numpy.load(io.BytesIO(lzma.decompress(asset("faces.npz.xz", FACES)))) as file:
        pixels, attributes = file["colours"][file["pixels"]], file["attributes"]
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    return images, torch.from_numpy(attributes).long()


def labelled():
    """Return the faces as `Images` with ten classes, length and colour of hair."""
    images, attributes = faces()
    length, hair = ATTRIBUTES["length"], ATTRIBUTES["hair"]
    classes = tuple(f"{long} {colour} hair" for long in length for colour in hair)
    return Images(images, attributes[:, 0] * len(hair) + attributes[:, 1], classes, "faces")
