"""Domains that need no network: digits printed in matplotlib's own fonts, and scenes drawn by day
and by night. Labels say what each picture shows, so that a translation can be measured.
"""

from functools import cache
from pathlib import Path

import torch
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample

from ..data.images import Images, as_uint8
from ..machine.choices import whole

DEJAVU = "Sans", "SansMono"
DEJAVU = [f"DejaVu{n}{s}" for n in DEJAVU for s in ("", "-Bold", "-Oblique", "-BoldOblique")]
DEJAVU += [f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")]
STIX = [f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")]
FONTS = (*DEJAVU, *STIX, "cmr10", "cmb10", "cmss10", "cmtt10")  # in matplotlib's package
LARGE = 112  # pixels of a sheet: four to one of the picture


def printed(n=9_000, seed=1):
    """Return `n` printed digits, labelled `Images` of uint8 `(n, 1, 28, 28)`, white on black.

    Each is a random digit in one of the 20 typefaces that come with matplotlib, framed as MNIST's
    digits are, 20 pixels high; turned by up to 4.6 degrees, of 0.87 to 1.11 times the size, and
    shifted by up to half a pixel. The same `seed` draws the same pictures.
    """
    n, draws = whole("n", n), torch.Generator().manual_seed(seed)
    sheets = _sheets()
    which, digit = (torch.randint(k, (n,), generator=draws) for k in sheets.shape[:2])

    def between(low, high):
        return torch.rand(n, generator=draws) * (high - low) + low

    angle, size = between(-0.08, 0.08), between(0.9, 1.15)
    x, y = between(-1 / 28, 1 / 28), between(-1 / 28, 1 / 28)
    cos, sin = size * angle.cos(), size * angle.sin()
    theta = torch.stack([cos, -sin, x, sin, cos, y], 1).view(n, 2, 3)
    images = torch.empty(n, 1, 28, 28)
    for part in torch.arange(n).split(500):
        grid = affine_grid(theta[part], (len(part), 1, LARGE, LARGE), align_corners=False)
        sheet = grid_sample(sheets[which[part], digit[part]][:, None], grid, align_corners=False)
        images[part] = avg_pool2d(sheet, 4)
    return _named(images, digit, tuple("0123456789"), "printed", n, seed)


@cache
def _sheets():
    """Return each digit in each typeface, floats in 0 .. 1, (typefaces, 10, LARGE, LARGE)."""
    import matplotlib
    import numpy
    from PIL import Image, ImageDraw, ImageFont

    folder, sheets = Path(matplotlib.get_data_path()) / "fonts" / "ttf", []
    for name in FONTS:
        font = ImageFont.truetype(str(folder / f"{name}.ttf"), 96)
        for digit in "0123456789":
            left, top, right, bottom = ImageDraw.Draw(Image.new("L", (1, 1))).textbbox(
                (0, 0), digit, font
            )
            glyph = Image.new("L", (round(right - left) + 4, round(bottom - top) + 4))
            ImageDraw.Draw(glyph).text((2 - left, 2 - top), digit, 255, font)
            width = max(1, round(glyph.width * 80 / glyph.height))
            page = Image.new("L", (LARGE, LARGE))
            page.paste(glyph.resize((width, 80), Image.BICUBIC), ((LARGE - width) // 2, 16))
            sheets.append(numpy.asarray(page, numpy.float32) / 255)
    return torch.tensor(numpy.stack(sheets)).view(len(FONTS), 10, LARGE, LARGE)


OBJECTS, SIDES = ("house", "tree", "tower", "tent"), ("left", "right")
SCENES = tuple(f"{thing} {side}" for thing in OBJECTS for side in SIDES)
DAY = {"sky": (120, 180, 235), "low": (215, 230, 240), "ground": (95, 160, 70)}
NIGHT = {"sky": (8, 10, 40), "low": (35, 40, 85), "ground": (20, 35, 40)}
LIGHT = {"sun": (255, 235, 120), "moon": (235, 235, 220), "window": (255, 205, 90)}
ZOOM = 4  # drawn so many times larger, and then shrunk


def scenes(time, n=3_000, seed=1):
    """Return `n` drawn scenes, an `Images` of uint8 `(n, 3, 32, 32)`, by `time`, "day" or "night".

    Each shows a house, a tree, a tower or a tent on the left or the right of a hill; its label, one
    of the 8 in `classes`, says which and where. By day there are sun, clouds and colours; by night
    moon, stars, and light in the windows. Scenes of two seeds are no pairs. Raises ValueError for
    another time.
    """
    from PIL import Image

    if time not in ("day", "night"):
        raise ValueError(f'time={time!r} was given; "day" or "night" is expected')
    n, draws = whole("n", n), torch.Generator().manual_seed(seed)
    labels = torch.randint(len(SCENES), (n,), generator=draws)
    numbers = torch.rand(n, 40, generator=draws).tolist()
    import numpy

    drawn = [
        numpy.asarray(_scene(time, label, iter(r)).resize((32, 32), Image.BOX))
        for label, r in zip(labels.tolist(), numbers, strict=True)
    ]
    images = torch.tensor(numpy.stack(drawn)).permute(0, 3, 1, 2).contiguous()
    return _named(images, labels, SCENES, time, n, seed)


def _scene(time, label, r):
    """Return one scene as an image of PIL; `r` yields random numbers, 0 to 1."""
    from PIL import Image, ImageDraw

    day, thing, left = time == "day", OBJECTS[label // 2], label % 2 == 0
    colours, side = DAY if day else NIGHT, 32 * ZOOM
    image = Image.new("RGB", (side, side))
    draw = ImageDraw.Draw(image)
    for y in range(side):
        t = y / side
        draw.line((0, y, side, y), _mix(colours["sky"], colours["low"], t))
    if not day:
        for _ in range(6):
            x, y = next(r) * side, next(r) * side / 2
            draw.ellipse((x - 2, y - 2, x + 2, y + 2), (200, 200, 220))
    x, y, size = next(r) * side, (0.1 + 0.15 * next(r)) * side, (9 if day else 7) + 4 * next(r)
    draw.ellipse((x - size, y - size, x + size, y + size), LIGHT["sun" if day else "moon"])
    if day:
        for _ in range(2):
            x, y, w = next(r) * side, (0.1 + 0.25 * next(r)) * side, 10 + 10 * next(r)
            draw.ellipse((x - w, y - 4, x + w, y + 4), (250, 250, 250))
    floor = (0.68 + 0.1 * next(r)) * side
    bend = 20 * next(r)
    draw.ellipse((-side, floor - bend / 4, 2 * side, 3 * side), colours["ground"])
    x = ((0.27 if left else 0.73) + 0.12 * (next(r) - 0.5)) * side
    _thing(draw, thing, x, floor + 4, 0.85 + 0.35 * next(r), next(r), day)
    return image


def _thing(draw, thing, x, floor, k, hue, day):
    """Draw an object that stands on `floor` at `x`, `k` times its size."""

    def colour(a, b):
        tone = _mix(a, b, hue)
        return (
            tone
            if day
            else tuple(int(0.28 * v + add) for v, add in zip(tone, (0, 2, 14), strict=True))
        )

    def box(x0, y0, x1, y1, fill):
        draw.rectangle((x + k * x0, floor - k * y1, x + k * x1, floor - k * y0), fill)

    def cut(points, fill):
        draw.polygon([(x + k * a, floor - k * b) for a, b in points], fill)

    window = (110, 140, 170) if day else LIGHT["window"]
    if thing == "house":
        box(-22, 0, 22, 26, colour((225, 205, 170), (205, 120, 100)))
        cut([(-27, 26), (27, 26), (0, 46)], colour((150, 60, 50), (90, 70, 90)))
        for place in (-13, 5):
            box(place, 9, place + 8, 18, window)
    elif thing == "tree":
        box(-4, 0, 4, 22, colour((110, 75, 45), (90, 65, 50)))
        for a, b, size in ((0, 42, 15), (-9, 32, 13), (9, 32, 13)):
            place = x + k * a, floor - k * b
            draw.ellipse(
                (
                    place[0] - k * size,
                    place[1] - k * size,
                    place[0] + k * size,
                    place[1] + k * size,
                ),
                colour((40, 120, 45), (120, 140, 40)),
            )
    elif thing == "tower":
        box(-10, 0, 10, 54, colour((170, 170, 175), (190, 160, 140)))
        for place in (-11, -3, 5):
            box(place, 54, place + 6, 60, colour((150, 150, 155), (170, 140, 120)))
        for height in (18, 38):
            box(-3, height, 4, height + 9, window)
    else:
        cut([(-26, 0), (26, 0), (0, 34)], colour((230, 120, 60), (70, 110, 190)))
        cut([(-8, 0), (8, 0), (0, 20)], window if not day else (70, 60, 60))


def _mix(a, b, t):
    return tuple(round(x + t * (y - x)) for x, y in zip(a, b, strict=True))


def _named(images, labels, classes, name, n, seed):
    """Return the `Images`, with what `domain` needs to draw them again."""
    images = images if images.dtype == torch.uint8 else as_uint8(2 * images - 1)
    loaded = {"drawn": name, "n": n, "seed": seed}
    return Images(images, labels, classes, name, loaded=loaded)


DRAWN = {  # name: a function of (n, seed)
    "printed": printed,
    "day": lambda n=3_000, seed=1: scenes("day", n, seed),
    "night": lambda n=3_000, seed=2: scenes("night", n, seed),
}
