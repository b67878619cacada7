"""The timeline of a run: what G drew from the same noise at several steps.

It is made of the pictures that `LiveView(folder=...)` writes to the run's folder, by
`write_moment`.
"""

import math

import torch

from ..machine.folder import path_of
from .film import film
from .pictures import Picture, labelled, mosaic, pillow

WIDTH = 420  # least width of a film, in pixels


def timeline(folder, columns=10, rows=5, animated=False, scale=None):
    """Return what G drew from the same noise over the run in `folder`, as a `Picture`.

    Time runs from left to right over `columns` moments, more of them early, when more happens. Each
    row is one noise vector. `animated=True` returns a GIF of `columns` frames in eight shades
    instead; each frame is a grid of `rows` rows under its step. Each pixel is drawn `scale` times
    as wide and high; by default so that the steps can be read above a column (28 pixels, at least),
    and a film is at least 420 wide. Raises ValueError if the folder holds no pictures of a run.
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
    ran = f"at {len(steps)} steps from {steps[0]:,} to {steps[-1]:,}"
    if animated:
        scale = scale or math.ceil(WIDTH / (columns[0] * moments[0].shape[3]))
        frames = []
        for step, images, n in zip(steps, moments, columns, strict=True):
            grid = pillow(mosaic(images[: rows * n], n), scale)
            grid = grid.quantize(8).convert(grid.mode)  # before the text, which takes more
            frames.append(labelled(grid, (1, 1), title=f"step {step:,}").quantize(16))
        return film(frames, "<timeline>", 150, f"film of what G draws from the same noise {ran}")
    images = torch.stack([images[:rows] for images in moments], dim=1).flatten(0, 1)
    scale = scale or math.ceil(28 / images.shape[3])
    strip = pillow(mosaic(images, len(steps), gap=1), scale)
    cell = [scale * (size + 1) for size in images.shape[2:]]
    title = "what G draws from the same noise, at these steps"
    strip = labelled(strip, cell, heads=[_short(step) for step in steps], title=title)
    alt = f"what G draws {ran}, from left to right; each row is one noise vector"
    return Picture(strip, "<timeline>", generated=True, alt=alt)


def _short(step):
    """Return a step in at most four signs: 500, 2.1k, 12k."""
    if step < 1000:
        return str(step)
    return f"{step / 1000:.{1 if step < 9950 else 0}f}k".replace(".0k", "k")


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
