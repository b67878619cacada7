"""Super-resolution: fidelity against look, of L1 alone, of content without D, and of the game.

    python -m benchmarks.enlarging [--data digits | grace_hopper | PATH] [--scale 4] [--seeds 1]
                                   [--l1 60000] [--more 30000] [--adversarial 0.1] [--threads 1]
                                   [--objectives relativistic relativistic_average ...]
                                   [--alphas 0.2 0.4 0.6 0.8] [--out FOLDER]

With --out the runs are saved there, and the same command goes on where it was cut off.
For each seed L1 alone is trained for `--l1` images (its PSNR at each quarter says whether it is at
its plateau), then, each from there and for `--more` images: L1 further, content without D, and the
game, with each of the objectives. A table for each seed, with network interpolation between L1 and
the first game, and one of medians.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch

import ganlib
from ganlib import features, losses
from ganlib.games import enlarging, photographs
from ganlib.games.fidelity import COLUMNS, Fidelity, judge_enlarging, psnr, shrunk

FEATURES = "features.safetensors"


def played(made, data, seed, start=None, marks=(), judged=None, folder=None):
    """Train a recipe to its planned length, or go on with it in a folder; return the GAN, and a
    line on how it went.
    """
    torch.manual_seed(seed)
    gan, said, clock, spent = made.gan(seed, start=start), [], time.monotonic(), 0.0
    settings = {"until": f"{made.images} images", "batch_size": 32, "folder": folder}
    if folder is not None:
        ganlib.resume(folder, gan)
    for now in ganlib.train(gan, data, made, **settings):
        if marks and now.images >= marks[0]:
            paused = time.monotonic()
            said.append(f"{judged(gan):.2f} dB at {now.images:,}")
            marks = marks[1:]
            spent += time.monotonic() - paused
    seconds = time.monotonic() - clock - spent
    line = f"{made.name}: {gan.images_seen:,} images in {seconds:.0f} s"
    return gan, ", ".join([line, *said])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="digits")
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--l1", type=int, default=60_000)
    parser.add_argument("--more", type=int, default=30_000)
    parser.add_argument("--adversarial", type=float, default=0.1)
    parser.add_argument("--objectives", nargs="+", default=["relativistic"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--alphas", type=float, nargs="*", default=[0.2, 0.4, 0.6, 0.8])
    parser.add_argument("--out", help="a folder for runs and pictures")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.data == "digits":
        train, held_out = photographs.split(ganlib.load("digits"))
        others = train
    else:
        (train, held_out), others = photographs.patches(options.data), None
    out = options.out and Path(options.out) / options.data.replace("/", "_")
    net = kept_net(train, out)
    tables = []
    for seed in range(options.first_seed, options.first_seed + options.seeds):

        def make(stage, images, objective="relativistic"):
            return enlarging.recipe(
                stage,
                train,
                options.scale,
                images,
                net,
                adversarial=options.adversarial,
                objective=getattr(losses, objective),
            )

        def decibels(gan):
            true = held_out.floats(slice(0, 500))
            with torch.no_grad():
                return psnr(gan.net().enlarge(shrunk(true, options.scale)), true).mean().item()

        def folder(title, seed=seed):
            return out and out / f"{title}, seed {seed}"

        marks = [options.l1 * i // 4 for i in (1, 2, 3, 4)]
        first, line = played(
            make("l1", options.l1), train, seed, None, marks, decibels, folder("L1")
        )
        print(line, flush=True)
        rows = {"L1": first}
        later = {"L1, longer": "l1", "content, no D": "content"}
        for title, stage in later.items():
            made = make(stage, options.more)
            rows[title], line = played(made, train, seed, first, folder=folder(title))
            print(line, flush=True)
        games = {}
        for objective in options.objectives:
            made, title = make("gan", options.more, objective), f"game, {objective}"
            games[title], line = played(made, train, seed, first, folder=folder(title))
            print(line, flush=True)
        game = next(iter(games.values()))
        for alpha in options.alphas:
            rows[f"alpha {alpha}"] = enlarging.between(first, game, alpha)
        table = judge_enlarging(rows | games, held_out, others)
        print(f"\nseed {seed}: {table}\n", flush=True)
        tables.append(table)
        if options.out:
            true = held_out.floats(slice(0, 10))
            small = first.G.shrink(true)
            nets = [
                enlarging.net_of(rows["L1"]),
                enlarging.net_of(rows["content, no D"]),
                *(one.net() for one in games.values()),
            ]
            with torch.no_grad():
                seen = [first.G.plainly(small), *(one.enlarge(small) for one in nets), true]
            names = ("bilinear", "L1", "content, no D", *games, "true")
            picture = ganlib.show(torch.cat(seen).clamp(-1, 1), 10, 3, True, names)
            picture.save(out / f"seed-{seed}.png")
    medians = Fidelity()
    for title, row in tables[0].items():
        medians[title] = {
            name: statistics.median(table[title][name] for table in tables)
            for name in COLUMNS
            if name in row
        }
    medians.about = f"Medians of {len(tables)} seeds; {tables[0].about}"
    print(medians)


def kept_net(data, folder):
    """Return the net whose features are compared; it is kept in the folder, if there is one."""
    if folder is None or data.known in features.DigitClassifier.fits:
        return enlarging.feature_net(data)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / FEATURES).exists():
        features.save_classifier(enlarging.feature_net(data), folder / FEATURES)
    return features.load_classifier(folder / FEATURES)


if __name__ == "__main__":
    main()
