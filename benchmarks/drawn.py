"""Two data sets drawn by code, so that a recipe can be tried on more than digits without a network.

`glyphs`: A to Z, 28x28 grey, in 12 typefaces, turned, slanted, scaled and shifted at random.
`shapes`: six shapes in random colours on a gradient of two others, 32x32 in colour, smooth-edged.
"""

from pathlib import Path

import torch

import ganlib

FONTS = [
    f"DejaVu{name}.ttf"
    for name in (
        "Sans",
        "Sans-Bold",
        "Sans-Oblique",
        "Sans-BoldOblique",
        "SansMono",
        "SansMono-Bold",
        "SansMono-Oblique",
        "SansMono-BoldOblique",
        "Serif",
        "Serif-Bold",
        "Serif-Italic",
        "Serif-BoldItalic",
    )
]


def glyphs(n, seed):
    import matplotlib
    import numpy
    from PIL import Image, ImageDraw, ImageFont

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    fonts = [ImageFont.truetype(str(folder / name), 40) for name in FONTS]
    draws, letters = numpy.random.default_rng(seed), "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    labels, images = draws.integers(26, size=n), numpy.empty((n, 1, 28, 28), numpy.uint8)
    for i, label in enumerate(labels):
        page = Image.new("L", (56, 56))
        font, place = fonts[draws.integers(len(fonts))], tuple(28 + draws.uniform(-3, 3, 2))
        ImageDraw.Draw(page).text(place, letters[label], 255, font, anchor="mm")
        turn, slant, size = (
            draws.uniform(-0.2, 0.2),
            draws.uniform(-0.2, 0.2),
            draws.uniform(0.85, 1.15),
        )
        turned = numpy.array(
            [[numpy.cos(turn), -numpy.sin(turn)], [numpy.sin(turn), numpy.cos(turn)]]
        )
        warp = turned @ numpy.array([[1, slant], [0, 1]]) / size
        x, y = numpy.array([28, 28]) - warp @ numpy.array([28, 28])
        page = page.transform((56, 56), Image.AFFINE, (*warp[0], x, *warp[1], y), Image.BILINEAR)
        images[i, 0] = numpy.asarray(page.resize((28, 28), Image.BOX))
    return _set(images, labels, letters, "glyphs")


def shapes(n, seed):
    import numpy

    names = ("disc", "ring", "square", "cross", "triangle", "star")
    draws = numpy.random.default_rng(seed)
    labels, images = draws.integers(6, size=n), numpy.empty((n, 3, 32, 32), numpy.uint8)
    grid = (numpy.mgrid[:96, :96] - 47.5) / 48  # three by three points for each pixel
    for i, label in enumerate(labels):
        turn, size = draws.uniform(0, 2 * numpy.pi), draws.uniform(0.45, 0.8)
        y, x = (grid - draws.uniform(-0.2, 0.2, (2, 1, 1))) / size
        x, y = numpy.cos(turn) * x - numpy.sin(turn) * y, numpy.sin(turn) * x + numpy.cos(turn) * y
        r, angle = numpy.hypot(x, y), numpy.arctan2(y, x)
        inside = (
            r < 0.9,
            (r < 1) & (r > 0.6),
            numpy.maximum(abs(x), abs(y)) < 0.75,
            (numpy.minimum(abs(x), abs(y)) < 0.25) & (numpy.maximum(abs(x), abs(y)) < 0.95),
            numpy.max([r * numpy.cos(angle - k * 2 * numpy.pi / 3) for k in range(3)], 0) < 0.5,
            r < 0.6 + 0.35 * numpy.cos(5 * angle),
        )[label]
        one, two, ink = draws.uniform(0, 255, (3, 3, 1, 1))
        share = 0.5 + (grid[0] * numpy.sin(turn * 3) + grid[1] * numpy.cos(turn * 3)) / 2.9
        picture = numpy.where(inside, ink, one * share + two * (1 - share))
        images[i] = picture.reshape(3, 32, 3, 32, 3).mean((2, 4)).round()
    return _set(images, labels, names, "shapes")


def _set(images, labels, classes, name):
    return ganlib.Images(torch.from_numpy(images), torch.from_numpy(labels), tuple(classes), name)
