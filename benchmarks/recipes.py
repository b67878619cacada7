"""What each recipe reaches in the same time: parameters, images/s, the distance after 30 and 60 s.

    python -m benchmarks.recipes [--recipes classic dcgan ...] [--mnist data]
                                 [--marks 30 60] [--seeds 1] [--out FOLDER]

Each trains on this machine, on the embedded digits (or on MNIST's training set, with --data mnist)
with `setup(seed, precision="fast")`. The clock counts training only. The distance is the Frechet
distance on ganlib's digit features of 10,000 fakes (of the EMA, where the recipe has one) from
MNIST's 10,000 test digits, or, without --mnist, from the embedded digits themselves; beside it the
distance of 10,000 training digits from the same: the floor.
"""

import argparse
import json
import time
from pathlib import Path

import torch

import ganlib
from ganlib import metrics
from ganlib.judge.features import digit_classifier, extract
from ganlib.run.recipes import RECIPES


def features(data, classifier):
    device = classifier.logits.weight.device
    return torch.cat(
        [
            extract(classifier, data.floats(part, device))
            for part in torch.arange(10_000).split(1000)
        ]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--recipes",
        nargs="*",
        default=[name for name in RECIPES if name != "acgan"],
        choices=RECIPES,
    )
    parser.add_argument("--mnist", help="a folder with MNIST in torchvision's layout")
    parser.add_argument("--data", default="digits", choices=["digits", "mnist"])
    parser.add_argument("--marks", nargs="*", type=float, default=[30.0, 60.0], metavar="SECONDS")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--precision", default="fast")
    parser.add_argument("--out", help="a folder for pictures")
    options = parser.parse_args()
    classifier = digit_classifier(ganlib.setup(0, precision=options.precision))
    test = (
        ganlib.load("mnist", root=options.mnist, split="test")
        if options.mnist
        else ganlib.load("digits")
    )
    data = ganlib.load(options.data, root=options.mnist or "data")
    reference = features(test, classifier)
    floor = (
        metrics.frechet_distance(reference, features(data, classifier))
        if options.mnist
        else float("nan")
    )
    print(f"floor: 10,000 of {data.name} against {test.name}: {floor:.4f}", flush=True)
    rows = []
    for name in options.recipes:
        for seed in range(options.seeds):
            device = ganlib.setup(seed, precision=options.precision)
            made = ganlib.recipe(name, data.shape)
            gan = made.gan(seed).to(device)
            sizes = [sum(w.numel() for w in net.parameters()) for net in (gan.G, gan.D)]
            row = {"recipe": name, "seed": seed, "G": sizes[0], "D": sizes[1]}
            trained, marks, start = 0.0, list(options.marks), time.monotonic()
            for _ in ganlib.train(gan, data, made.step, until="10h", batch_size=made.batch_size):
                clock = trained + time.monotonic() - start
                if clock < marks[0]:
                    continue
                trained, mark = clock, marks.pop(0)
                fakes = [
                    extract(classifier, gan.sample(1000, stream=f"distance/{i}")) for i in range(10)
                ]
                row[f"{mark:g} s"] = round(metrics.frechet_distance(reference, torch.cat(fakes)), 3)
                if options.out:
                    Path(options.out).mkdir(parents=True, exist_ok=True)
                    ganlib.show(gan.sample(64)).save(
                        Path(options.out) / f"{name}-{seed}-{mark:g}s.png"
                    )
                if not marks:
                    break
                start = time.monotonic()
            row |= {"images": gan.images_seen, "images/s": round(gan.images_seen / trained)}
            rows.append(row)
            print("RESULT", json.dumps(row), flush=True)
    print("\n| " + " | ".join(rows[0]) + " |\n" + "|---" * len(rows[0]) + "|")
    for row in rows:
        print(
            "| "
            + " | ".join(
                f"{value:,}" if isinstance(value, int) else str(value) for value in row.values()
            )
            + " |"
        )


if __name__ == "__main__":
    main()
