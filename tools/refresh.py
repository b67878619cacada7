"""Run notebooks from the start, as papermill does in CI, and commit-ready.

    python tools/refresh.py notebooks/01_first_gan.ipynb [...]

Outputs are in place, with nothing of this machine; plots are given a palette, to be smaller. Each
notebook runs in a fresh temporary folder, so that no earlier run is gone on with, on the ganlib of
this checkout. Takes as long as the notebooks do. Translated notebooks are not run: afterwards
`python tools/translate.py --update` copies the outputs to them.
"""

import base64
import io
import json
import os
import sys
import tempfile
from pathlib import Path

import papermill
from PIL import Image, ImageChops, ImageStat
from PIL.PngImagePlugin import PngInfo

ROOT = Path(__file__).parents[1]


def clean(notebook):
    """Drop what papermill and the kernel add: times, paths and versions of this machine."""
    for key in ("papermill", "widgets"):
        notebook["metadata"].pop(key, None)
    notebook["metadata"]["kernelspec"] = {"display_name": "Python 3", "name": "python3"}
    notebook["metadata"]["language_info"] = {"name": "python"}
    notebook["cells"] = [
        cell for cell in notebook["cells"] if "injected-parameters" not in tags(cell)
    ]
    for cell in notebook["cells"]:
        kept = {key: cell["metadata"][key] for key in FOLDED if key in cell["metadata"]}
        cell["metadata"] = kept | ({"tags": tags(cell)} if tags(cell) else {})
        for output in cell.get("outputs", []):
            shrink(output)
        name_controls(cell.get("outputs", []))
    return notebook


FOLDED = ("cellView", "jupyter")  # what stamp.py writes into the set-up cell
GREYS, COLOURS, FEW = 16, 48, 1000  # levels, colours of a palette, and how many a plot has at most
MANY, APART = 128, 8  # colours of a palette for images, and how far they may move in the mean


def shrink(output):
    """Give grey pictures 16 levels, and plots, which have few colours, a palette of 48 or 96.

    This halves the size of a notebook. Pictures of more colours are given a palette of 128 if that
    changes no channel by more than 8 of 255, in the mean; else they stay as they are.
    """
    picture = output.get("data", {}).get("image/png")
    if picture is None:
        return
    with Image.open(io.BytesIO(base64.b64decode(picture))) as opened:
        if opened.mode == "L":
            small = opened.quantize(GREYS, dither=Image.Dither.NONE)
        else:
            colours = opened.convert("RGB")
            plot = colours.getcolors(FEW) is not None or opened.mode == "RGBA"
            if plot:
                # thin lines keep their colours: each is few pixels, which a median cut merges
                most = Image.Quantize.MAXCOVERAGE
                small = colours.quantize(COLOURS, most, dither=Image.Dither.NONE)
                if max(moved(small, colours)) > 1:  # soft areas, which would show as bands
                    small = colours.quantize(2 * COLOURS, most, dither=Image.Dither.NONE)
            else:  # an octree leaves larger even areas
                small = colours.quantize(MANY, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
            if not plot and max(moved(small, colours)) > APART:
                return
        file = io.BytesIO()
        small.save(file, "png", optimize=True, pnginfo=note(opened))
    data = base64.b64encode(file.getvalue()).decode()
    if len(data) < len(picture):
        output["data"]["image/png"] = data


def moved(small, colours):
    """Return by how much each channel was changed, of 255, in the mean over the pixels."""
    return ImageStat.Stat(ImageChops.difference(small.convert("RGB"), colours)).mean


def note(picture):
    """Return the texts of a PNG file, such as that its images are generated."""
    kept = PngInfo()
    for name, text in getattr(picture, "text", {}).items():
        kept.add_text(name, text)
    return kept


def name_controls(outputs):
    """Let live controls print as `<controls>` where a static picture stands beside them.

    Else a page without a kernel shows their source, "VBox(children=(HBox(...", below the picture.
    """
    bundles = [output.get("data", {}) for output in outputs]
    if any(kind.startswith("image/") for data in bundles for kind in data):
        for data in bundles:
            if "application/vnd.jupyter.widget-view+json" in data:
                data["text/plain"] = ["<controls>"]


def tags(cell):
    return [tag for tag in cell["metadata"].get("tags", []) if not tag.startswith("papermill")]


def main():
    os.environ["PYTHONPATH"] = str(ROOT)
    for path in map(Path, sys.argv[1:]):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / path.name
            papermill.execute_notebook(path, out, cwd=folder, kernel_name="python3")
            notebook = clean(json.loads(out.read_text()))
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
        print(f"{path}: {path.stat().st_size / 1000:.0f} KB")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main()
