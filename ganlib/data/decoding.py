"""Decode image files of any usual format, or pictures in memory, to square uint8 pixels, with notes
of what was changed. `Values` decides what no picture tells by itself: the range of its values, and
the ground under its transparent pixels.
"""

import io
from collections import Counter
from typing import NamedTuple

from .source import Unreadable, is_grey, no_image
from .sources import picture

PIXELS = 80_000_000  # most pixels of one image: more is a mistake, or meant to fill the memory
MANY = "more than %.0f million pixels are not decoded"
LARGE, DENSE = 20_000_000, 200  # of more pixels than this a byte of the file holds at most so many
FITS = ("crop", "pad", "stretch")
WHITE = {"L": 255, "RGB": (255, 255, 255)}
GROUNDS = {"white": 255, "black": 0, "grey": 128}
FAINT = 16  # levels: what differs from its ground by less is not seen
TOPS = {1: "0 and 1", 255: "8", 1023: "10", 4095: "12", 16383: "14", 65535: "16"}


class Late(NamedTuple):
    """Pixels whose range or ground `Values` decides: `planes (C, size, size)`, times `cover`.

    `cover (size, size)`, uint8, is how opaque each pixel is, None for 255. `kind` is "bytes",
    "unsigned", "signed" or "floats"; `low`, `high` and `whole` (are all whole?) are of the original
    values; `clear` says whether the picture has transparent pixels.
    """

    planes: object
    cover: object
    kind: str
    low: float
    high: float
    whole: bool
    clear: bool


class Decoded(NamedTuple):
    """A decoded image: pixels (3, size, size) as a uint8 array, whether they are all grey, the
    original width and height, and what was changed. With `late`, pixels and grey are None. `frame`
    is the (left, top, width, height) of the image in a square that was padded with white.
    """

    pixels: object
    grey: bool | None
    width: int
    height: int
    notes: tuple
    late: Late | None = None
    frame: tuple | None = None


class Values:
    """Decides the range and background of all pictures of a set: `add` each `Late`, then `settle`.

    `background` is the grey level or colour of transparent pixels and of padding, None to choose.
    """

    def __init__(self, background=None):
        self.background, self.ranges, self.lost = background, {}, Counter()
        self.clear, self.odd, self.said = 0, [], []

    def add(self, late):
        low, high, whole = self.ranges.get(late.kind, (late.low, late.high, True))
        self.ranges[late.kind] = min(low, late.low), max(high, late.high), whole and late.whole
        if late.clear and late.kind == "bytes" and late.cover.any():
            self.clear += 1
            for name, ground in GROUNDS.items():  # how far it is from an empty ground
                away = abs(late.planes.astype(float) - late.cover / 255 * ground).max()
                self.lost[name] += bool(away < FAINT)

    def settle(self):
        """Decide, and return this object; `said` and `odd` are sentences on it, `odd` warnings."""
        self.scales = {kind: self._scale(kind, *seen) for kind, seen in self.ranges.items()}
        self.ground, white = self.background, self.lost["white"]
        if self.background is None:  # white as in a viewer, unless many could not be seen on it
            best = min(GROUNDS, key=lambda name: self.lost[name])
            self.ground = GROUNDS[best if white > 0.1 * self.clear else "white"]
            if self.ground != 255:
                self.odd.append(
                    f"{white:,} of {self.clear:,} transparent pictures are nearly white, and would "
                    f"not be seen on white: transparent pixels are {best}; "
                    'background="white", or another colour, overrides this'
                )
        if lost := self.lost[self.called()]:
            self.odd.append(
                f"{lost:,} of {self.clear:,} transparent pictures cannot be seen on "
                f"{self.called()}: background= takes another colour"
            )
        return self

    def called(self):
        """Return the name of the ground."""
        names = {level: name for name, level in GROUNDS.items()}
        return names.get(self.ground) or f"colour {self.ground}"

    def _scale(self, kind, low, high, whole):
        """Return the (lowest, highest) value of a kind's range, or why it is not known."""
        if kind == "bytes":
            return 0, 255
        if kind != "floats":
            if low < 0:
                return f"integers from {low:,} to {high:,}; 0 to 65,535 are expected"
            top, bits = next((top, bits) for top, bits in TOPS.items() if high <= top)
            text = f"values of {bits} bits, 0 to {top:,}" if top > 1 else "0 (black) and 1 (white)"
            self.said.append(f"integers from {low:,} to {high:,} were taken as {text}")
            if top not in (1, 255, 65535):
                self.odd.append(f"{self.said[-1]}, since none is larger")
            return 0, top
        eps, seen = 1e-3, f"{low:,.4g} to {high:,.4g}"  # eps: of a resize, or of half precision
        if low >= -eps and high <= 1 + eps:
            scale, text = (0, 1), "0 (black) to 1 (white)"
        elif -1 - eps <= low < -0.5 and high <= 1 + eps:
            scale, text = (-1, 1), "-1 (black) to 1 (white)"
        elif low >= 0 and (high > 127 or whole) and high <= 255:
            scale, text = (0, 255), "0 (black) to 255 (white)"
        else:
            return (
                f"floats from {seen} in the whole set; 0 to 1 are expected, or -1 to 1, or 0 to "
                "255: undo a normalisation by mean and deviation, and clamp what is beyond"
            )
        self.said.append(f"floats from {seen} were taken as {text}")
        return scale

    def notes(self, late):
        """Return what was changed in a picture, for `Decoded.notes`."""
        notes = [f"transparency put on {self.called()}"] if late.clear else []
        if late.kind in ("signed", "unsigned"):
            bits = TOPS[self.scales[late.kind][1]]
            notes.append(f"{bits} bits to 8" if bits.isdigit() else f"{bits} to black and white")
        return notes

    def pixels(self, late):
        """Return the pixels (3, size, size), uint8; raise `Unreadable` for an unknown range."""
        import numpy

        scale = self.scales[late.kind]
        if isinstance(scale, str):
            raise Unreadable(scale)
        low, high = scale
        cover = 1.0 if late.cover is None else late.cover / numpy.float32(255)
        values = (late.planes.astype(numpy.float32) - low * cover) * (255 / (high - low))
        values = values + (1 - cover) * numpy.reshape(self.ground, (-1, 1, 1))
        values = values.round().clip(0, 255).astype(numpy.uint8)
        return numpy.ascontiguousarray(numpy.broadcast_to(values, (3, *values.shape[1:])))

    def framed(self, pixels, frame):
        """Return pixels (3, size, size) with the ground around the image in its `frame`."""
        import numpy

        left, top, width, height = frame
        inside = numpy.zeros(pixels.shape[1:], bool)
        inside[top : top + height, left : left + width] = True
        ground = numpy.reshape(self.ground, (-1, 1, 1)).astype(numpy.uint8)
        return numpy.where(inside, pixels, ground)


def decode(source, size, fit="crop", alone=True, background=None):
    """Return the `Decoded` of an image: bytes of a file, a Pillow image, an array or a tensor.

    EXIF's rotation is applied; palettes and other colour spaces become RGB; of an animation the
    first frame is used. Integers of more than 8 bits and floats are scaled to 8 bits; transparent
    pixels are put on `background`, by default white: `Values` says how. Where `alone` is false this
    is left to the caller, who has the whole set, and `late` holds what it needs. The image becomes
    a square of `size` pixels: its middle is cut out (`fit="crop"`), or the whole is put on a square
    of the background ("pad") or stretched to one ("stretch"); with None it keeps its size. Raises
    `Unreadable`.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    notes = []
    try:
        image = Image.open(io.BytesIO(source)) if isinstance(source, bytes) else picture(source)
        width, height = image.size if isinstance(image, Image.Image) else image[0].shape[1::-1]
        most = PIXELS
        if isinstance(source, bytes) and image.mode != "1":
            most = min(PIXELS, max(LARGE, DENSE * len(source)))
        if width * height > most:
            small = " in so small a file" * (most < PIXELS)
            raise Unreadable(f"{width:,} x {height:,} pixels{small}; {MANY % (most / 1e6)}")
        if isinstance(image, Image.Image):
            said = [str(image.info.get(key)) for key in ("Comment", "comment", "Software")]
            if any(text.rstrip("'").endswith("(ganlib)") for text in said):  # of bytes too
                raise Unreadable("ganlib drew it; saved anew without its comment, it is read")
            if image.format not in (None, "MPO", "JPEG") and getattr(image, "n_frames", 1) > 1:
                notes.append("first frame of an animation or of several pages")
            if size:
                image.draft(None, (2 * size, 2 * size))  # a JPEG is read faster at a half, ...
            turned = ImageOps.exif_transpose(image)
            if image.getexif().get(0x0112, 1) != 1:
                notes.append("turned as EXIF says")
            image = _flat(turned, notes)
        pixels, late, frame = _squares(image, size, fit)
    except UnidentifiedImageError as error:
        raise Unreadable(no_image(source)) from error
    except Image.DecompressionBombError:
        raise Unreadable(MANY % (PIXELS / 1e6)) from None
    except Unreadable:
        raise
    except Exception as error:  # a broken file may raise OSError, SyntaxError, struct.error, ...
        known = no_image(source) if isinstance(source, bytes) else ""
        text = f"broken: {str(error)[:100] or type(error).__name__}"
        raise Unreadable(known if ":" in known else text) from error
    if (max if fit == "pad" else min)(width, height) < (size or 0):
        notes.append("enlarged")
    if alone:
        values = Values(background)
        if late:
            values.add(late)
            pixels = values.settle().pixels(late)
            notes += values.notes(late)
        elif frame:
            pixels = values.settle().framed(pixels, frame)
        late = frame = None
    grey = None if late else is_grey(pixels)
    return Decoded(pixels, grey, width, height, tuple(notes), late, frame)


def _flat(image, notes):
    """Return an image of mode L or RGB (8 bits, no palette), of RGBa where pixels are transparent,
    or (values (H, W, 1), cover or None, kind) of one with more bits; note what changed.
    """
    import numpy

    if image.mode.startswith("I"):  # I;16 in any byte order; some readers use I for 16 bits
        values = numpy.asarray(image).astype(numpy.int64)[..., None]
        key = image.info.get("transparency")
        cover = values[..., 0] != key if isinstance(key, int) else None
        return values, cover, "signed" if image.mode == "I" else "unsigned"
    if image.mode == "F":
        raise Unreadable(
            "floating-point values, whose range is not known; save them with 8 or 16 bits"
        )
    if image.mode in ("P", "PA"):
        notes.append("palette to colours")
    if image.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        return image.convert("RGBa" if image.getextrema()[3][0] < 255 else "RGB")
    if image.mode in ("1", "L"):
        return image.convert("L")
    if image.mode not in ("RGB", "P"):
        notes.append(f"{image.mode} to RGB")
    return image.convert("RGB")


def _squares(image, size, fit):
    """Return (pixels (3, size, size), None, frame), or (None, `Late`, None) if a set decides."""
    import numpy
    from PIL import Image

    if not isinstance(image, tuple):
        clear, frame = image.mode == "RGBa", _frame(image.size, size) if fit == "pad" else None
        square = _square(image, size, fit, frame, 0 if clear else WHITE[image.mode])
        planes = numpy.moveaxis(numpy.atleast_3d(numpy.asarray(square)), 2, 0)
        if clear:
            return None, Late(planes[:3], planes[3], "bytes", 0, 255, True, True), None
        whole = numpy.broadcast_to(planes, (3, *planes.shape[1:]))
        return numpy.ascontiguousarray(whole), None, frame
    values, cover, kind = image
    low, high = values.min().item(), values.max().item()
    if not -1e30 < low <= high < 1e30:
        raise Unreadable("values that are not finite")
    if kind != "floats" and high > 65535:
        raise Unreadable(f"32-bit values from {low:,} to {high:,}; 0 to 65,535 are expected")
    whole, clear = bool((values % 1 == 0).all()), cover is not None and not cover.all()
    seen = values.astype(numpy.float32) * (1 if cover is None else cover[..., None])
    planes = [Image.fromarray(plane) for plane in numpy.moveaxis(seen, 2, 0).copy()]
    frame = _frame(planes[0].size, size) if fit == "pad" else None
    planes = numpy.stack([numpy.asarray(_square(plane, size, fit, frame)) for plane in planes])
    if clear or frame:
        shade = cover.astype(numpy.uint8) * 255 if clear else numpy.full(seen.shape[:2], 255, "B")
        cover = numpy.asarray(_square(Image.fromarray(shade), size, fit, frame))
    else:
        cover = None
    planes = planes.astype(numpy.float16) if kind == "floats" else planes
    return None, Late(planes, cover, kind, low, high, whole, clear), None


def _frame(shape, size):
    """Return where a picture lies in a square that it is padded to: (left, top, width, height)."""
    # the shorter side of a thin picture is one pixel at least
    inner = [max(1, round(size * side / max(shape))) for side in shape]
    return *(round((size - side) / 2) for side in inner), *inner


def _square(image, size, fit, frame, ground=0):
    """Return one plane as a square of `size` pixels, with `ground` around its `frame`."""
    from PIL import Image, ImageOps

    if size is None:
        return image
    if fit == "crop":
        return ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)
    if fit == "stretch":
        return image.resize((size, size), Image.Resampling.LANCZOS)
    square = Image.new(image.mode, (size, size), ground)
    square.paste(image.resize(frame[2:], Image.Resampling.LANCZOS), frame[:2])
    return square
