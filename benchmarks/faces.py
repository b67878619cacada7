"""Pixel faces: how good they are, in which shares, and whether they are as asked.

    python -m benchmarks.faces --games style classes words --images 150000 --seeds 0 1 2 --threads 1
                               --out FOLDER

`style` is the recipe of this name, `classes` the same asked for length and colour of hair, `words`
the game of sentences. Figures: seconds; Frechet distance, precision, recall and coverage in the
features of the face reader, of 1,000 fakes against 1,000 real faces (those of other real faces
first); the largest Kullback-Leibler divergence of an attribute's shares; the share read as asked:
of `classes` length and hair, of `words` all five attributes of sentences shown / never shown.
"""

import argparse
import time
from pathlib import Path

import torch

import ganlib
from ganlib import games

FIGURES = "frechet_distance", "precision", "recall", "coverage"


def play(game, images, seed, reader, out):
    """Train one run; return a row of the table."""
    data = ganlib.load("faces")
    real, others = data.subset(torch.arange(5000, 6000)), data.subset(torch.arange(6000, 7000))
    torch.manual_seed(seed)
    if game == "words":
        data, _ = games.faces.captions()
        made = games.words.recipe(data, images=images)
    else:
        classes = len(data.classes) if game == "classes" else 0
        made = ganlib.recipe("style", data.shape, classes, images)
        data = data if classes else ganlib.Images(data.images, name="faces")
    gan, start = made.gan(seed), time.monotonic()
    for _ in ganlib.train(
        gan, data, made, until=images // made.batch_size, batch_size=made.batch_size
    ):
        pass
    seconds = time.monotonic() - start
    labels = None
    if game != "style":
        labels = data.labels[torch.arange(1000) * (len(data) // 1000)]
    parts = [None] * 4 if labels is None else labels.split(250)
    fakes = torch.cat([gan.sample(250, part, stream=f"judge/{i}") for i, part in enumerate(parts)])
    features = [reader(x.clamp(-1, 1)) for x in (real.floats(slice(None)), fakes)]
    floor = reader(others.floats(slice(None)))
    figures = [ganlib.metrics.frechet_distance(*features)]
    figures += [*ganlib.metrics.precision_recall(*features)]
    figures += [ganlib.metrics.density_coverage(*features).coverage]
    first = ganlib.metrics.frechet_distance(features[0], floor)
    asked = None
    if game == "classes":
        asked = torch.full((1000, 6), -1)
        asked[:, 0], asked[:, 1] = labels // 5, labels % 5
    judged = games.faces.judge_attributes(fakes, asked, reader)
    said = "/".join(f"{row['asked']:.1%}" for row in judged.values() if "asked" in row)
    if game == "words":
        told = games.faces.judge_captions(gan, known=reader)
        said = "/".join(f"{row['all']:.1%}" for row in told.values())
    if out:
        ganlib.show(fakes[:96], 24, 4).save(Path(out) / f"faces-{game}-{seed}.png")
    row = [game, seed, f"{gan.images_seen:,}", f"{seconds:.0f}", f"{first:.2f}"]
    row += [f"{x:.3g}" for x in figures] + [f"{max(x['kl'] for x in judged.values()):.3f}", said]
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--games", nargs="*", default=["style"])
    parser.add_argument("--images", type=int, default=150_000)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", help="a folder for pictures")
    options = parser.parse_args()
    ganlib.setup(0, device="cpu", precision="fast", threads=options.threads)
    titles = ["game", "seed", "images", "seconds", "real", *FIGURES, "largest KL", "as asked"]
    print("| " + " | ".join(titles) + " |")
    print("|---" * len(titles) + "|", flush=True)
    reader = games.faces.reader()
    for game in options.games:
        for seed in options.seeds:
            row = play(game, options.images, seed, reader, options.out)
            print("| " + " | ".join(map(str, row)) + " |", flush=True)


if __name__ == "__main__":
    main()
