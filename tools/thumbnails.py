"""Cut the pictures of README's table out of the notebooks' outputs: docs/NN.png, 240 x 120.

python tools/thumbnails.py

In each notebook one cell has the tag "thumbnail N x y w h": its N-th picture, 0 being the first, is
cut to w x h pixels at x, y.
"""

import base64
import io
import json
import re
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
SIZE = 240, 120
TAG = re.compile(r"thumbnail (\d+) (\d+) (\d+) (\d+) (\d+)")


def thumbnail(path):
    """Return the picture of a notebook, cut out of the output of the cell that is tagged for it."""
    cells = json.loads(path.read_text())["cells"]
    tagged = [
        (cell, match)
        for cell in cells
        for tag in cell["metadata"].get("tags", [])
        if (match := TAG.fullmatch(tag))
    ]
    ((cell, match),) = tagged
    pictures = [
        data
        for output in cell["outputs"]
        for kind, data in output.get("data", {}).items()
        if kind in ("image/png", "image/jpeg")
    ]
    which, x, y, width, height = map(int, match.groups())
    whole = Image.open(io.BytesIO(base64.b64decode("".join(pictures[which])))).convert("RGB")
    return whole.crop((x, y, x + width, y + height)).resize(SIZE, Image.Resampling.LANCZOS)


def main():
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        target = ROOT / "docs" / f"{path.name[:2]}.png"
        thumbnail(path).quantize(96).save(target, optimize=True)
        print(f"{target.relative_to(ROOT)}: {target.stat().st_size / 1000:.0f} KB")


if __name__ == "__main__":
    main()
