"""Image files of every kind that people have, drawn by code, and what D should see of each."""

import io
from dataclasses import dataclass

import numpy
from PIL import Image

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)


@dataclass
class Case:
    """A file's bytes; the colours left and right (each with a tolerance), or why it is not read."""

    name: str
    content: bytes
    left: tuple = RED
    right: tuple = BLUE
    tolerance: int = 2
    note: str = ""
    reason: str = ""


def halves(left=RED, right=BLUE, size=(64, 64), mode="RGB"):
    """A picture whose left half has one colour and whose right half another."""
    picture = Image.new(mode, size, left)
    picture.paste(right, (size[0] // 2, 0, *size))
    return picture


def packed(picture, kind, **settings):
    file = io.BytesIO()
    picture.save(file, kind, **settings)
    return file.getvalue()


def cases():
    rgb = halves()
    yield Case("rgb.png", packed(rgb, "PNG"))
    yield Case("rgb.jpg", packed(rgb, "JPEG", quality=95, subsampling=0), tolerance=6)
    yield Case(
        "progressive.jpeg",
        packed(rgb, "JPEG", quality=95, subsampling=0, progressive=True),
        tolerance=6,
    )
    yield Case(
        "large.jpg",
        packed(halves(size=(1600, 1200)), "JPEG", quality=95, subsampling=0),
        tolerance=8,
    )
    yield Case("lossless.webp", packed(rgb, "WEBP", lossless=True))
    yield Case("lossy.webp", packed(rgb, "WEBP", quality=95), tolerance=12)
    yield Case("rgb.bmp", packed(rgb, "BMP"))
    yield Case("rgb.tiff", packed(rgb, "TIFF"))
    yield Case("lzw.tif", packed(rgb, "TIFF", compression="tiff_lzw"))
    yield Case("rgb.ppm", packed(rgb, "PPM"))
    yield Case("still.gif", packed(rgb, "GIF"), note="palette to colours", tolerance=4)
    frames = [halves(GREEN, GREEN), halves(BLACK, BLACK)]
    yield Case(
        "moving.gif",
        packed(rgb, "GIF", save_all=True, append_images=frames),
        note="first frame",
        tolerance=4,
    )
    yield Case(
        "moving.webp",
        packed(rgb, "WEBP", save_all=True, append_images=frames, lossless=True),
        note="first frame",
    )
    yield Case(
        "pages.tif", packed(rgb, "TIFF", save_all=True, append_images=frames), note="first frame"
    )
    yield Case("palette.png", packed(rgb.quantize(8), "PNG"), note="palette to colours")
    grey = halves(60, 200, mode="L")
    yield Case("grey.png", packed(grey, "PNG"), (60,) * 3, (200,) * 3)
    yield Case("grey.jpg", packed(grey, "JPEG", quality=95), (60,) * 3, (200,) * 3, 4)
    yield Case("bits.png", packed(halves(0, 255, mode="L").convert("1"), "PNG"), BLACK, WHITE)
    deep = numpy.full((64, 64), 60 * 257, numpy.uint16)
    deep[:, 32:] = 200 * 257
    yield Case(
        "deep.png", packed(Image.fromarray(deep), "PNG"), (60,) * 3, (200,) * 3, 0, "16 bits to 8"
    )
    yield Case(
        "deep.tif", packed(Image.fromarray(deep), "TIFF"), (60,) * 3, (200,) * 3, 0, "16 bits to 8"
    )
    yield Case(
        "integers.tif",
        packed(Image.fromarray(deep.astype(numpy.int32)), "TIFF"),
        (60,) * 3,
        (200,) * 3,
        0,
        "16 bits",
    )
    clear = halves((*RED, 255), (*BLUE, 0), mode="RGBA")  # blue that nobody sees
    for name, kind in (("clear.png", "PNG"), ("clear.webp", "WEBP")):
        settings = {"lossless": True} if kind == "WEBP" else {}
        yield Case(
            name, packed(clear, kind, **settings), RED, WHITE, note="transparency put on white"
        )
    half = halves((*RED, 255), (0, 0, 0, 128), mode="RGBA")
    yield Case("half.png", packed(half, "PNG"), RED, (127,) * 3, note="transparency put on white")
    yield Case("opaque.png", packed(halves((*RED, 255), (*BLUE, 255), mode="RGBA"), "PNG"))
    yield Case(
        "grey_alpha.png",
        packed(halves((60, 255), (9, 0), mode="LA"), "PNG"),
        (60,) * 3,
        WHITE,
        note="transparency",
    )
    yield Case(
        "key.png",
        packed(rgb, "PNG", transparency=BLUE),
        RED,
        WHITE,
        note="transparency put on white",
    )
    marked = rgb.quantize(8)
    yield Case(
        "palette_key.png",
        packed(marked, "PNG", transparency=marked.getpixel((60, 5))),
        RED,
        WHITE,
        note="palette",
    )
    yield Case(
        "cmyk.jpg",
        packed(rgb.convert("CMYK"), "JPEG", quality=95, subsampling=0),
        tolerance=8,
        note="CMYK to RGB",
    )
    yield Case("cmyk.tif", packed(rgb.convert("CMYK"), "TIFF"), note="CMYK to RGB")
    yield Case(
        "lab.tif",
        packed(halves((128, 128, 128), (255, 128, 128), mode="LAB"), "TIFF"),
        (119,) * 3,
        WHITE,
        3,
        "LAB to RGB",
    )
    top = Image.new("RGB", (64, 64), RED)
    top.paste(
        BLUE, (0, 32, 64, 64)
    )  # lies on its side: blue is below, and orientation 8 or 6 turns it
    for turn, sides in ((8, (RED, BLUE)), (6, (BLUE, RED))):
        exif = Image.Exif()
        exif[0x0112] = turn
        yield Case(
            f"turned{turn}.jpg",
            packed(top, "JPEG", quality=95, subsampling=0, exif=exif),
            *sides,
            6,
            "turned as EXIF",
        )
    exif = Image.Exif()
    exif[0x0112] = 2
    yield Case("mirrored.png", packed(rgb, "PNG", exif=exif), BLUE, RED, note="turned as EXIF says")
    yield Case("tiny.png", packed(halves(size=(2, 2)), "PNG"), note="enlarged", tolerance=60)
    yield Case(
        "wide.png", packed(halves(size=(64, 8)), "PNG"), RED, BLUE, note="enlarged", tolerance=60
    )
    yield Case("picture_without_ending", packed(rgb, "PNG"))
    yield Case("jpeg_called.png", packed(rgb, "JPEG", quality=95, subsampling=0), tolerance=6)
    whole = packed(rgb, "JPEG", quality=95)
    yield Case("cut.jpg", whole[: len(whole) // 2], reason="broken")
    yield Case("cut.png", packed(rgb, "PNG")[:80], reason="broken")
    yield Case("empty.png", b"", reason="no image")
    yield Case("page.png", b"<html><body>403 Forbidden</body></html>", reason="no image")
    yield Case("notes.txt", b"these are my cats", reason="no image")
    floats = Image.fromarray(numpy.ones((8, 8), numpy.float32))
    yield Case("floats.tif", packed(floats, "TIFF"), reason="floating-point")
    beyond = Image.fromarray(numpy.full((8, 8), 70_000, numpy.int32))
    yield Case("beyond.tif", packed(beyond, "TIFF"), reason="32-bit values")
    yield Case("bomb.png", bomb(30_000), reason="more than 80 million")
    yield Case("bomb_of_9000.png", bomb(9_500), reason="more than 80 million")


def bomb(side):
    """A PNG of `side` x `side` pixels that takes a few kilobytes: only its head has to be right."""
    import struct
    import zlib

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )
