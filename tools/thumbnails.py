"""Cut the pictures of README's table out of the notebooks' outputs: docs/NN.png, 240 x 120.

python tools/thumbnails.py
"""

import base64
import io
import json
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
SIZE = 240, 120
CUT = {  # notebook: (how its cell begins, which of that cell's pictures, its upper left corner, what is cut out)
    "01_first_gan": ("Image(filename", 0, (0, 0), (460, 230)),
    "02_two_dimensions": ("def play(data, game", 0, (366, 385), (234, 117)),
    "03_modern_gan": ("steps = [name for", 0, (0, 0), (460, 230)),
    "04_choose_the_digit": ("found = ganlib.evaluate(gan", 0, (0, 0), (460, 230)),
    "05_judge": ("classifier = features.extractor", 0, (0, 0), (460, 230)),
    "06_your_images": ("made, gan = begin()", 0, (0, 0), (526, 263)),
}


def picture(notebook, start, which):
    """The picture of a cell's output, as Pillow opens it."""
    cells = json.loads((ROOT / "notebooks" / f"{notebook}.ipynb").read_text())["cells"]
    (cell,) = [cell for cell in cells if "".join(cell["source"]).startswith(start)]
    found = [data for output in cell["outputs"] for kind, data in output.get("data", {}).items()
             if kind in ("image/png", "image/jpeg")]  # fmt: skip
    return Image.open(io.BytesIO(base64.b64decode("".join(found[which])))).convert("RGB")


def main():
    for notebook, (start, which, corner, size) in CUT.items():
        whole = picture(notebook, start, which)
        (x, y), (width, height) = corner, size
        cut = whole.crop((x, y, x + width, y + height)).resize(SIZE, Image.Resampling.LANCZOS)
        target = ROOT / "docs" / f"{notebook[:2]}.png"
        cut.quantize(96).save(target, optimize=True)
        print(f"{target.relative_to(ROOT)}: {target.stat().st_size / 1000:.0f} KB")


if __name__ == "__main__":
    main()
