"""Decode image files of any usual format, or pictures in memory, to square uint8 pixels, with notes
of what was changed.
"""

import io
from typing import NamedTuple

PIXELS = 80_000_000  # most pixels of one image: more is a mistake, or meant to fill the memory
FITS = ("crop", "pad", "stretch")
WHITE = 255  # the background of transparent pixels, and the border of a padded image


class Unreadable(Exception):
    """An image cannot be used; the message says why."""


class Decoded(NamedTuple):
    """A decoded image: pixels (3, size, size) as a uint8 array, whether they are all grey, the
    original width and height, and what was changed.
    """

    pixels: object
    grey: bool
    width: int
    height: int
    notes: tuple


def decode(source, size, fit="crop"):
    """Return the `Decoded` of an image: bytes of a file, a Pillow image, an array or a tensor.

    EXIF's rotation is applied; 16-bit values are scaled to 8 bits; transparent pixels are put on
    white; palettes and other colour spaces become RGB; of an animation the first frame is used.
    Then the image becomes a square of `size` pixels: its middle is cut out (`fit="crop"`), or the
    whole is put on a white square ("pad") or stretched to one ("stretch"). Raises `Unreadable`.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    notes = []
    try:
        image = Image.open(io.BytesIO(source)) if isinstance(source, bytes) else _picture(source)
        width, height = image.size
        if width * height > PIXELS:
            raise Unreadable(
                f"{width:,} x {height:,} pixels; more than {PIXELS / 1e6:.0f} million are not "
                "decoded"
            )
        if image.format not in (None, "MPO", "JPEG") and getattr(image, "n_frames", 1) > 1:
            notes.append("first frame of an animation or of several pages")
        image.draft(None, (2 * size, 2 * size))  # a JPEG is read faster at 1/2 to 1/8 of its size
        turned = ImageOps.exif_transpose(image)
        if image.getexif().get(0x0112, 1) != 1:
            notes.append("turned as EXIF says")
        flat = _flat(turned, notes)
        if fit == "crop":
            flat = ImageOps.fit(flat, (size, size), Image.Resampling.LANCZOS)
        elif fit == "pad":
            white = WHITE if flat.mode == "L" else (WHITE,) * 3
            flat = ImageOps.pad(flat, (size, size), Image.Resampling.LANCZOS, color=white)
        else:
            flat = flat.resize((size, size), Image.Resampling.LANCZOS)
    except UnidentifiedImageError:
        raise Unreadable("no image that Pillow knows") from None
    except Image.DecompressionBombError:
        raise Unreadable(f"more than {PIXELS / 1e6:.0f} million pixels are not decoded") from None
    except Unreadable:
        raise
    except Exception as error:  # a broken file may raise OSError, SyntaxError, struct.error, ...
        raise Unreadable(f"broken: {str(error)[:100] or type(error).__name__}") from None
    if min(width, height) < size:
        notes.append("enlarged")
    return Decoded(*_pixels(flat), width, height, tuple(notes))


def _flat(image, notes):
    """Return an image of mode L or RGB (8 bits, no transparency, no palette); note what changed."""
    import numpy
    from PIL import Image

    if image.mode.startswith("I"):  # I;16 in any byte order; some readers use I for 16 bits
        values = numpy.asarray(image).astype(numpy.int64)
        if values.min() < 0 or values.max() > 65535:
            raise Unreadable(
                f"32-bit values from {values.min():,} to {values.max():,}; 0 to 65,535 are expected"
            )
        notes.append("16 bits to 8")
        return Image.fromarray(((values + 128) // 257).astype(numpy.uint8))
    if image.mode == "F":
        raise Unreadable(
            "floating-point values, whose range is not known; save them with 8 or 16 bits"
        )
    if image.mode in ("P", "PA"):
        notes.append("palette to colours")
    if image.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        if image.getextrema()[3][0] < 255:
            notes.append("transparency put on white")
        background = Image.new("RGBA", image.size, (WHITE,) * 3 + (255,))
        return Image.alpha_composite(background, image).convert("RGB")
    if image.mode in ("1", "L"):
        return image.convert("L")
    if image.mode not in ("RGB", "P"):
        notes.append(f"{image.mode} to RGB")
    return image.convert("RGB")


def _pixels(image):
    """Return (pixels (3, H, W), whether they are all grey)."""
    import numpy

    values = numpy.asarray(image)
    if values.ndim == 2:
        return numpy.broadcast_to(values, (3, *values.shape)), True
    grey = bool((values[..., :1] == values).all())
    return numpy.ascontiguousarray(values.transpose(2, 0, 1)), grey


def _picture(source):
    """Return a Pillow image of a data set's item: a Pillow image, an array (H, W) or (H, W, C), or
    a tensor (H, W) or (C, H, W), of uint8, uint16 or floats from 0 to 1. Raises `Unreadable`.
    """
    import numpy
    from PIL import Image

    if isinstance(source, Image.Image):
        return source.copy()
    if hasattr(source, "permute"):
        source = (source.permute(1, 2, 0) if source.ndim == 3 else source).cpu().numpy()
    values = numpy.asarray(source)
    if values.dtype.kind == "f":
        if not (values.min() >= 0 and values.max() <= 1):
            raise Unreadable(
                f"floats from {values.min():.3g} to {values.max():.3g}; 0 to 1 are expected"
            )
        values = (values * 255).round().astype(numpy.uint8)
    if values.dtype not in (numpy.uint8, numpy.uint16) or values.ndim not in (2, 3):
        raise Unreadable(f"{values.dtype} of shape {values.shape}; uint8 (H, W, C) is expected")
    return Image.fromarray(values[..., 0] if values.ndim == 3 and values.shape[2] == 1 else values)
