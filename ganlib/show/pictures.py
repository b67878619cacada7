"""Pictures: grids of images with named rows and columns, which Jupyter shows and `save` writes."""

import base64
import io
from html import escape
from pathlib import Path

import torch

from ..data.images import as_uint8
from ..machine.files import replace

GENERATED = "generated: a synthetic image, drawn by a GAN (ganlib)"
SIZE = 12  # height of the text in a picture, in pixels
SEPARATOR, BLOCK = 176, 5  # grey between two images; white pixels between two blocks of them


class Picture:
    """An encoded picture: Jupyter shows it as the value of a cell, `save(path)` writes it."""

    def __init__(
        self, picture, text="<picture>", kind="png", width=None, generated=False, alt="", **settings
    ):
        """Encode a Pillow image as PNG or GIF (`kind`), to be shown `width` pixels wide.

        `text` is what it prints as, `alt` a sentence for readers who cannot see it (by default
        `text`). `generated=True` writes into the file's metadata that a GAN made the image.
        `settings` are for Pillow's `save`.
        """
        file = io.BytesIO()
        if generated and kind != "png":
            settings["comment"] = GENERATED
        elif generated:
            from PIL.PngImagePlugin import PngInfo

            settings["pnginfo"] = note = settings.get("pnginfo") or PngInfo()
            note.add_text("Comment", GENERATED)
        picture.save(file, kind, **settings)
        self.data, self.mime, self.text = file.getvalue(), f"image/{kind}", text
        self.width, self._drawn, self.generated = width or picture.width, picture.width, generated
        self.alt = alt or text.strip("<>")

    def _repr_mimebundle_(self, include=None, exclude=None):
        encoded = base64.b64encode(self.data).decode()
        if self.mime in ("image/png", "image/jpeg"):
            shown = {"width": self.width, "alt": self.alt}
            return {self.mime: encoded, "text/plain": self.text}, {self.mime: shown}
        # as HTML, since nbconvert shows no image/gif
        size = f'width="{self.width}" alt="{escape(self.alt)}"'
        size += ' style="image-rendering: pixelated"' * (self.width > self._drawn)
        html = f'<img src="data:{self.mime};base64,{encoded}" {size}>'
        return {"text/html": html, "text/plain": self.text}, {}

    def __repr__(self):
        return self.text

    def lossy(self, quality=88):
        """Return the picture as a JPEG, a third as large, if it has colours; else itself."""
        from PIL import Image

        with Image.open(io.BytesIO(self.data)) as picture:
            if picture.mode != "RGB":
                return self
            settings = self.width, self.generated, self.alt
            return Picture(picture, self.text, "jpeg", *settings, quality=quality)

    def save(self, path):
        """Write the picture to `path`, atomically; its name must end in .png, a film's in .gif."""
        kind = self.mime.removeprefix("image/")
        if Path(path).suffix != f".{kind}":
            raise ValueError(
                f"{str(path)!r} was given for a {kind.upper()}; a name that ends in .{kind} is "
                "expected"
            )
        replace(Path(path).expanduser(), lambda file: file.write(self.data), durable=False)


def show(images, columns=8, scale=2, generated=None, rows=(), title=None, blocks=0):
    """Return a grid of `images` as a `Picture`.

    They are integers in 0..255 or floats in [-1, 1], `(N, C, H, W)` with 1 or 3 channels. `columns`
    is the number of columns, or a list of their names; `rows` names the rows, from the top; `title`
    stands above all. Each pixel is drawn `scale` times as wide and high. After every `blocks`
    columns there is a wider gap (0: nowhere). `generated`: whether the file says that a GAN made
    the images; by default it does for what `gan.sample` returned. Raises ValueError for images of
    another shape, and for floats in 0..255.
    """
    if isinstance(images, (list, tuple)) and all(map(torch.is_tensor, images)) and images:
        images = torch.stack([*images])
    elif not hasattr(images, "ndim") or str(getattr(images, "dtype", "O"))[0] in "OU":
        raise ValueError(f"a {type(images).__name__} was given; a tensor (N, C, H, W) is expected")
    images = torch.as_tensor(images)
    generated = getattr(images, "generated", False) if generated is None else generated
    if images.ndim != 4 or images.shape[1] not in (1, 3) or len(images) == 0:
        raise ValueError(
            f"images of shape {tuple(images.shape)} were given; (N, 1, H, W) or (N, 3, H, W) is "
            "expected"
        )
    if images.is_floating_point() and not generated and 0 <= images.min() < images.max():
        seen = f"floats from {images.min():g} to {images.max():g}"
        if images.max() > 2:
            raise ValueError(f"{seen} were given; -1 to 1 is expected: give 0 to 255 as .byte()")
        print(f"{seen} are drawn with -1 as black; where 0 is black, give 2 * images - 1")
    heads = () if isinstance(columns, int) else tuple(map(str, columns))
    grid, rows = mosaic(images, len(heads) or columns, gap=1), tuple(map(str, rows))
    if blocks:
        parts = grid.split(blocks * (images.shape[3] + 1), 2)
        white = grid.new_full((*grid.shape[:2], BLOCK), 255)
        grid = torch.cat([piece for part in parts for piece in (white, part)][1:], 2)
    cell = [scale * (size + 1) for size in images.shape[2:]]
    grid = labelled(pillow(grid, scale), cell, rows, heads, title, (blocks, scale * BLOCK))
    alt = [f"{title or 'grid'}: {len(images)} images"]
    alt += [f"rows: {', '.join(rows)}"] * bool(rows)
    alt += [f"columns: {', '.join(dict.fromkeys(heads))}"] * bool(heads)
    return Picture(grid, "<images>", generated=generated, alt="; ".join(alt))


def labelled(picture, cell, rows=(), heads=(), title=None, apart=(0, 0)):
    """Return a Pillow image of a grid with names beside its rows and above its columns (`heads`).

    `cell` is the (height, width) of a cell; `title` stands above all. `apart`: after how many
    columns there is a gap, and its width.
    """
    if not (rows or heads or title):
        return picture
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(SIZE)
    left = max((round(font.getlength(row)) + 8 for row in rows), default=0)
    line, above = SIZE + 6, bool(title)
    top = line * (above + bool(heads))
    width = max(left + picture.width, round(font.getlength(title)) + 8 if title else 0)
    mode = "RGB" if picture.mode == "RGB" else "L"
    whole = Image.new(mode, (width, top + picture.height), "white")
    whole.paste(picture, (left, top))
    draw = ImageDraw.Draw(whole)
    if title:
        draw.text((4, line / 2), title, "black", font, anchor="lm")
    for i, head in enumerate(heads):
        while len(head) > 1 and font.getlength(head) > cell[1]:
            head = head[:-2] + "…" if len(head) > 2 else head[:1]
        gaps = i // apart[0] * apart[1] if apart[0] else 0
        middle = left + (i + 0.5) * cell[1] + gaps, line * above + line / 2
        draw.text(middle, head, "black", font, anchor="mm")
    for i, row in enumerate(rows[: -(-picture.height // cell[0])]):
        draw.text((left - 5, top + (i + 0.5) * cell[0]), row, "black", font, anchor="rm")
    return whole


def mosaic(images, columns, gap=0):
    """Lay images `(N, C, H, W)` out in a grid: uint8 `(C, rows * (H + gap) - gap, ...)`.

    There are `gap` grey pixels between two of them; where the last row lacks images it is white.
    """
    images = as_uint8(images.detach()).cpu()
    n, c, h, w = images.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    grid = images.new_full((rows * columns, c, h + gap, w + gap), 255)
    grid[:n] = SEPARATOR
    grid[:n, :, :h, :w] = images
    # (C, rows, H + gap, columns, W + gap)
    grid = grid.unflatten(0, (rows, columns)).permute(2, 0, 3, 1, 4)
    return grid.flatten(3).flatten(1, 2)[:, : rows * (h + gap) - gap, : columns * (w + gap) - gap]


def pillow(grid, scale=1):
    """Return a uint8 image `(C, H, W)` as a Pillow image, `scale` times as large."""
    from PIL import Image

    pixels = grid[0] if len(grid) == 1 else grid.permute(1, 2, 0)
    picture = Image.fromarray(pixels.contiguous().numpy())
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)
