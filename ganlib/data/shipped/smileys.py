"""169 smileys of 32 x 32 pixels in colour, on white: a part of Twemoji.

Twemoji: Copyright Twitter, Inc. and other contributors, CC BY 4.0; cut by tools/make_smileys.py.
"""

import io

import torch

from ...machine.assets import asset
from ..images import Images

SMILEYS = "faf58dc2e9e513eaec39b7d5f01319326045b38c9e046a42d3e3abeb39b4e6a4"  # make_smileys.py


def icons():
    """Return the smileys as `Images` without labels: one sheet of 13 x 13 icons."""
    import numpy
    from PIL import Image

    sheet = numpy.array(Image.open(io.BytesIO(asset("smileys.png", SMILEYS))).convert("RGB"))
    icons = torch.from_numpy(sheet).unflatten(0, (-1, 32)).unflatten(2, (-1, 32))
    return Images(icons.permute(0, 2, 4, 1, 3).flatten(0, 1).contiguous(), name="smileys")
