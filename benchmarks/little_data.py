"""Augmentation on little data: a run with it, one without, several seeds and numbers of faces.

    python -m benchmarks.little_data --each 100 30 --seeds 0 1 2 3 --images 50000 --out FOLDER

The faces are those that notebook 06 draws (its cells are read), `--each` of each of five moods,
without its accidents; every tenth is kept back. A run is played as there: `--recipe`, with a
noise of 16 numbers, by mood. `r_v` is about the pictures kept back; `r_v, new` asks D
about 1,000 faces drawn anew. The other figures are of 1,000 fakes against 1,000 more of those, in
pixels at half the size, as there: precision and recall (k = 3), the median distance to the nearest
training face, and the share of pairs in which a fake is nearer to one than a new face is.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from torch.nn.functional import avg_pool2d
from torchvision.transforms.functional import pil_to_tensor

import ganlib
from ganlib import augment, metrics

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "06_your_images.ipynb"
TITLES = "each", "augment", "seed", "images", "s", "r_v", "r_v, new", "precision", "recall"
TITLES += "nearest", "share"


def drawing():
    """Return what the notebook's two cells define: MOODS, face, ..."""
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    code = {cell["id"]: "".join(cell["source"]) for cell in cells}
    names = {}
    exec("import random\nfrom PIL import Image, ImageDraw", names)
    for cell in ("own-face", "own-parts"):
        exec(code[cell], names)
    return names


def faces(names, numbers, size=28):
    """Return `Images` of each mood's faces with these numbers, of size x size."""
    moods, images, labels = names["MOODS"], [], []
    for label, mood in enumerate(moods):
        for number in numbers:
            picture = names["face"](mood, number).resize((size, size), Image.Resampling.LANCZOS)
            images.append(pil_to_tensor(picture))
            labels.append(label)
    return ganlib.Images(torch.stack(images), torch.tensor(labels), moods, name="drawn faces")


def half(images):
    """Return images at half their size, as vectors."""
    return avg_pool2d(images.float(), 2).flatten(1)


def all_of(data):
    return data.floats(slice(None))


@torch.no_grad()
def overfit(gan, train, new, fakes, asked):
    """Return r_v of D (Karras et al. 2020)."""
    gan.D.eval()
    pairs = (all_of(train), train.labels), (all_of(new), new.labels), (fakes, asked)
    known, other, fake = (gan.D(images, labels).mean().item() for images, labels in pairs)
    gan.D.train()
    return (known - other) / (known - fake)


def play(recipe, train, back, anew, others, changes, seed, images, out):
    """Train one run; return its figures as text."""
    made = ganlib.recipe(recipe, train.shape, len(train.classes), images)
    game = replace(made, augment=changes, G=made.G.but(latent_dim=16))
    gan, start = game.gan(seed), time.monotonic()
    for _ in ganlib.train(gan, train, game, batch_size=made.batch_size, until=f"{images} images"):
        pass
    seconds = time.monotonic() - start
    asked = torch.arange(1000) % len(train.classes)
    fakes = gan.sample(1000, asked, stream="to compare").float()
    if out:
        ganlib.show(fakes[:40], columns=10, scale=2).save(out)
    known, drawn, real = half(all_of(train)), half(fakes), half(all_of(anew))
    found = metrics.precision_recall(real, drawn, 3)
    away, honest = (metrics.nearest(x, known).distance for x in (drawn, real))
    share = (away[:, None] < honest).float().mean()
    r_v = [overfit(gan, train, new, fakes, asked) for new in (back, others)]
    figures = *r_v, found.precision, found.recall, away.median(), share
    return [f"{seconds:.0f}", *(f"{figure:.2f}" for figure in figures)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--each", nargs="*", type=int, default=[100])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--recipe", default="small")
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--augment", nargs="*", default=["none", "colour_translation"])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, help="a folder for pictures")
    options = parser.parse_args()
    ganlib.setup(0, device="cpu", precision="fast", threads=options.threads)
    names = drawing()
    anew, others = faces(names, range(1000, 1200)), faces(names, range(2000, 2200))
    best = metrics.precision_recall(half(all_of(anew)), half(all_of(others)), 3)
    print(f"new faces for fakes: precision {best.precision:.2f}, recall {best.recall:.2f}")
    print("| " + " | ".join(TITLES) + " |")
    print("|---" * len(TITLES) + "|", flush=True)
    for each in options.each:
        train = faces(names, [i for i in range(each) if i % 10 != 9])
        back = faces(names, [i for i in range(each) if i % 10 == 9])
        for seed in options.seeds:
            for kind in options.augment:
                changes = None if kind == "none" else getattr(augment, kind)
                out = options.out and options.out / f"faces-{each}-{kind}-{seed}.png"
                row = play(
                    options.recipe, train, back, anew, others, changes, seed, options.images, out
                )
                row = [each, kind, seed, f"{options.images:,}", *row]
                print("| " + " | ".join(map(str, row)) + " |", flush=True)


if __name__ == "__main__":
    main()
