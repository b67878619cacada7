"""Quality by the clock: a recipe's Frechet distance, in units of the floor, after so many seconds.

    python -m benchmarks.clock --seconds 60 180 600 --seeds 3 --mnist data
                               [--data mnist] [--conditional]

Each budget is a run of its own. Its length in images is fixed before it starts, 95 % of what the
rate measured then (`planned_rate`, 10 s) would give, and the recipe's schedules are stretched to
it; the seconds that the run really took are printed. A conditional G is asked for each class as
often as the training images have it: equal shares of MNIST's digits are by themselves a floor away
from its test images, whose classes are not equally frequent. The distance is that of 10,000 fakes
against 10,000 images that nothing was trained on, the floor that of 10,000 random training images
against the same. --data mnist: MNIST's training set against its test set, by ganlib's digit
classifier; --tune: the first 50,000 against the last 10,000 training images, so that the test set
stays unseen. glyphs and shapes (benchmarks/drawn.py): 20,000 drawn images against 10,000 others, by
a classifier trained on their labels.
"""

import argparse
import json
import statistics
import time
from functools import partial
from pathlib import Path

import torch

import ganlib
from benchmarks import drawn
from ganlib import metrics
from ganlib.data import Images
from ganlib.game.contract import shared_out
from ganlib.judge.features import digit_classifier, extract, train_classifier
from ganlib.run.speed import planned_rate


def sets(name, mnist, tune):
    """(training images, those to judge by, extractor)."""
    if name != "mnist":
        draw = getattr(drawn, name)
        train, test = draw(20_000, seed=1), draw(10_000, seed=2)
        return train, test, train_classifier(train)
    train = ganlib.load("mnist", root=mnist)
    if tune:
        last = Images(
            train.images[50_000:], train.labels[50_000:], train.classes, "mnist, the last 10,000"
        )
        return (
            Images(train.images[:50_000], train.labels[:50_000], train.classes, "mnist"),
            last,
            digit_classifier(),
        )
    return train, ganlib.load("mnist", root=mnist, split="test"), digit_classifier()


def features(extractor, data, index):
    return torch.cat([extract(extractor, data.floats(part)) for part in index.split(1000)])


def draw(gan, i):
    """The i-th thousand of fakes."""
    labels = shared_out(gan.label_counts, 10_000, gan.device)
    return gan.sample(1000, None if labels is None else labels[i::10], stream=f"clock/{i}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", nargs="*", type=float, default=[60.0])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--mnist", default="data", help="torchvision's root folder of MNIST")
    parser.add_argument("--data", default="mnist", choices=["mnist", "glyphs", "shapes"])
    parser.add_argument("--recipe", default="small")
    parser.add_argument("--conditional", action="store_true", help="ask for images by class")
    parser.add_argument("--tune", action="store_true", help="judge by the last training images")
    parser.add_argument("--out", help="a folder for pictures")
    options = parser.parse_args()
    ganlib.setup(0, precision="fast", threads=torch.get_num_threads())
    train, test, extractor = sets(options.data, options.mnist, options.tune)
    reference = features(extractor, test, torch.arange(10_000))
    some = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))[:10_000]
    floor = metrics.frechet_distance(reference, features(extractor, train, some))
    print(f"{train.name}, {len(train):,} images of {train.shape}; floor {floor:.4f}", flush=True)
    rows = []
    for seconds in options.seconds:
        for seed in options.seeds:
            ganlib.setup(seed, precision="fast", threads=torch.get_num_threads())
            classes = len(train.classes) if options.conditional else 0
            make = partial(ganlib.recipe, options.recipe, train.shape, classes)
            found = planned_rate(make, train, seconds, seconds=10)
            made = make(round(0.95 * found * seconds))
            gan, start = made.gan(seed), time.monotonic()
            for _ in ganlib.train(
                gan, train, made.step, until=f"{made.images} images", batch_size=made.batch_size
            ):
                pass
            took = time.monotonic() - start
            fakes = torch.cat([extract(extractor, draw(gan, i)) for i in range(10)])
            quality = metrics.precision_recall(reference[:5000], fakes[:5000])
            row = {
                "data": train.name,
                "conditional": bool(classes),
                "seconds": seconds,
                "seed": seed,
                "took": round(took),
                "batch": made.batch_size,
                "images": gan.images_seen,
                "distance / floor": round(metrics.frechet_distance(reference, fakes) / floor, 2),
                "precision": round(quality.precision, 3),
                "recall": round(quality.recall, 3),
            }
            rows.append(row)
            print("RESULT", json.dumps(row), flush=True)
            if options.out:
                Path(options.out).mkdir(parents=True, exist_ok=True)
                ganlib.show(gan.sample(64)).save(
                    Path(options.out) / f"{options.data}-{seconds:g}s-{seed}.png"
                )
    print("\n| " + " | ".join(rows[0]) + " |\n" + "|---" * len(rows[0]) + "|")
    for row in rows:
        print("| " + " | ".join(str(value) for value in row.values()) + " |")
    for seconds in options.seconds:
        ratios = [row["distance / floor"] for row in rows if row["seconds"] == seconds]
        print(f"\n{seconds:g} s: median {statistics.median(ratios)} of {len(ratios)} seeds")


if __name__ == "__main__":
    main()
