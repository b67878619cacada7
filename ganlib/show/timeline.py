"""The timeline of a run: what G drew from the same noise at several steps.

It is made of the pictures that `LiveView(folder=...)` writes to the run's folder, by
`write_moment`.
"""

import torch

from ..machine.folder import path_of
from .film import film
from .pictures import Picture, mosaic, pillow


def timeline(folder, columns=10, rows=5, animated=False, scale=1):
    """Return what G drew from the same noise over the run in `folder`, as a `Picture`.

    Time runs from left to right over `columns` moments, more of them early, when more happens. Each
    row is one noise vector; each pixel is shown `scale` times as large. `animated=True` returns a
    GIF of `columns` frames in eight shades instead; each frame is a grid of `rows` rows. Raises
    ValueError if the folder holds no pictures of a run.
    """
    files = {int(path.stem): path for path in (path_of(folder) / "pictures").glob("*.png")}
    if not files:
        raise ValueError(
            f"{folder} holds no pictures of a run; train with view=LiveView(folder={str(folder)!r})"
        )
    steps = sorted(files)
    if len(steps) > columns:
        wanted = [steps[-1] * (i / max(1, columns - 1)) ** 1.5 for i in range(columns)]
        steps = sorted({min(files, key=lambda step, at=at: abs(step - at)) for at in wanted})
    moments, columns = zip(*(read_moment(files[step]) for step in steps), strict=True)
    if animated:
        frames = [
            pillow(mosaic(images[: rows * n], n)).quantize(8)
            for images, n in zip(moments, columns, strict=True)
        ]
        return film(frames, "<timeline>", 150, scale)
    from PIL import Image, ImageDraw

    images = torch.stack([images[:rows] for images in moments], dim=1).flatten(0, 1)
    strip = pillow(mosaic(images, len(steps), gap=1), scale)
    picture = Image.new(strip.mode, (strip.width, strip.height + 14), "white")
    picture.paste(strip, (0, 14))
    for column, step in enumerate(steps):
        text = f"{step / 1000:g}k" if step >= 1000 else str(step)
        place = (column + 0.5) * strip.width / len(steps), 7
        ImageDraw.Draw(picture).text(place, text, fill="black", anchor="mm")
    return Picture(picture, "<timeline>", generated=True)


def write_moment(folder, step, images, columns=8):
    """Write images `(N, C, H, W)` of one step for `timeline`, as a PNG that notes their size."""
    from PIL.PngImagePlugin import PngInfo

    note = PngInfo()
    note.add_text("cell", "x".join(map(str, images.shape[2:])))
    Picture(pillow(mosaic(images, columns)), pnginfo=note, generated=True).save(
        path_of(folder) / "pictures" / f"{step:07}.png"
    )


def read_moment(path):
    """Return the images `(N, C, H, W)` that `write_moment` wrote, and the number of columns."""
    from PIL import Image
    from torchvision.transforms.functional import pil_to_tensor

    with Image.open(path) as picture:
        height, width = map(int, picture.text["cell"].split("x"))
        grid = pil_to_tensor(picture)  # (C, rows * H, columns * W)
    cells = grid.unfold(1, height, height).unfold(2, width, width)  # (C, rows, columns, H, W)
    return cells.permute(1, 2, 0, 3, 4).flatten(0, 1), cells.shape[2]
