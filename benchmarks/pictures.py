"""Colour pictures by the clock: what a recipe draws of each set after so many seconds.

    python -m benchmarks.pictures --sets flags-32 smileys-32 planets-32 shapes --seconds 300
                                  --recipes small pictures --seeds 0 1 2 --out FOLDER

The sets are those of doctor_colour.py (TWEMOJI=its zip for the icons), `shapes` with 20,000 images
and their labels; "flags-64" are the flags at 64 pixels. Small sets are played with
`shift`, or what --augment says, shapes without. Each run is planned for 95 % of its
time at the rate measured then. The figures are those of `evaluate` by EfficientNet-Lite0, of as
many fakes as there are images (1,000 of shapes), against the set itself; `read` is the share of
fakes that a classifier, trained on the labels, reads as asked; `copied` compares with 1,000 images
at most. --images plans so many instead. --strengths judges each run at several, see `lab.trade`.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import torch

import ganlib
from benchmarks import doctor_colour, drawn
from ganlib import lab
from ganlib.data import augment
from ganlib.judge.classifiers import train_classifier
from ganlib.judge.features import logits_of, read
from ganlib.run.speed import planned_rate

FIGURES = "frechet_distance", "sliced_wasserstein", "precision", "recall", "coverage", "copied"


def as_asked(gan, data, classifier):
    """Return the share of 1,200 fakes that the classifier reads as asked, or None."""
    if classifier is None:
        return None
    right = 0
    for part in range(6):
        labels = torch.arange(200) % len(data.classes)
        fakes = gan.sample(200, labels, stream=f"read/{part}").clamp(-1, 1)
        right += (logits_of(classifier, read(classifier, fakes)).argmax(1) == labels).sum().item()
    return right / 1200


def play(name, data, recipe, seed, options, classifier):
    """Train one run; return its rows of the table, one for each strength."""
    classes = 0 if classifier is None else len(data.classes)
    changes = None if classes or options.augment == "none" else getattr(augment, options.augment)

    def make(length):
        return replace(ganlib.recipe(recipe, data.shape, classes, length), augment=changes)

    torch.manual_seed(seed)
    images = options.images
    if images is None:
        images = int(0.95 * options.seconds * planned_rate(make, data, options.seconds))
    made = make(images)
    gan, start = made.gan(seed), time.monotonic()
    steps = images // made.batch_size
    for _ in ganlib.train(gan, data, made, until=steps, batch_size=made.batch_size):
        pass
    seconds = time.monotonic() - start
    count = min(len(data), 1000)
    part = data.subset(torch.arange(count))  # of 20,000 shapes half would be read for nothing
    settings = {"n": count, "extractor": "efficientnet-lite0", "held_out": part}
    if options.strengths:
        found = lab.trade(gan, part, options.strengths, **settings)
    else:
        found = {"": ganlib.evaluate(gan, part, quiet=True, **settings)}
    if options.out:
        labels = torch.arange(96) % classes if classes else None
        picture = ganlib.show(gan.sample(96, labels), columns=12, scale=64 // data.shape[-1])
        picture.save(Path(options.out) / f"{name}-{recipe}-{seed}.png")
    asked = as_asked(gan, data, classifier)
    row = [name, recipe, seed, f"{gan.images_seen:,}", f"{seconds:.0f}"]
    row.append(f"{gan.images_seen / seconds:.0f}")
    asked = "" if asked is None else f"{asked:.1%}"
    return [
        [*row, strength, *(f"{judged[key]:.3g}" for key in FIGURES), asked]
        for strength, judged in found.items()
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="*", default=["flags-32"])
    parser.add_argument("--recipes", nargs="*", default=["pictures"])
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--images", type=int)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--augment", default="shift")
    parser.add_argument(
        "--strengths", nargs="*", type=float, help="how far noise is drawn to the images"
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", help="a folder for pictures")
    options = parser.parse_args()
    ganlib.setup(0, device="cpu", precision="fast", threads=options.threads)
    titles = ["set", "recipe", "seed", "images", "seconds", "images/s", "strength", *FIGURES]
    titles.append("read")
    print("| " + " | ".join(titles) + " |")
    print("|---" * len(titles) + "|", flush=True)
    for name in options.sets:
        shapes = name == "shapes"
        data = drawn.shapes(20_000, 0) if shapes else doctor_colour.data_of(name)
        classifier = train_classifier(data, epochs=4) if shapes else None
        for recipe in options.recipes:
            for seed in options.seeds:
                for row in play(name, data, recipe, seed, options, classifier):
                    print("| " + " | ".join(map(str, row)) + " |", flush=True)


if __name__ == "__main__":
    main()
