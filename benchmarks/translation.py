"""Translation without pairs, kind by kind: what is kept, what it looks like, whether it comes back.

python benchmarks/translation.py [--images 16000 | --until 300s] [--seeds 0 1 2] [--kinds ...]
    [--domains digits printed]

Prints a Markdown table, a row for each kind and seed, with the baselines at its end, and then for
each run the classes that are read as others most often, and for cycles those that they exchange.
With --until each kind gets so much time; its schedules are planned by a measured speed.
"""

import argparse
import time
from pathlib import Path

import torch

import ganlib
from ganlib import features, games
from ganlib.games.commands import domain
from ganlib.machine.randomness import some_of
from ganlib.show.looks import drawn


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=16_000)
    parser.add_argument("--until", help="equal time instead, as 300s")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--kinds", nargs="+", default=list(games.KINDS), choices=games.KINDS)
    parser.add_argument("--domains", nargs=2, default=["digits", "printed"])
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    parts = []
    for name in options.domains:
        data = domain(name)
        order, count = some_of(len(data)), min(2000, len(data) // 5)
        parts.append((data.subset(order[count:]), data.subset(order[:count])))
    (a, a_held), (b, b_held) = parts
    readers = [games.source_classifier(a, b=b), reader(b)]
    print("| kind | seed | images | s | kept | 95 % | floors | cycle error | hidden |")
    print("|---|---|---|---|---|---|---|---|---|")
    said = []
    for kind in options.kinds:
        for seed in options.seeds:
            judged = play(kind, seed, options, (a, b), (a_held, b_held), readers, said)
    for name in ("identity", "nearest", "real"):
        print(row(name, "", "", "", judged[name]))
    for line in said:
        print(line)


def reader(data):
    """The classifier of a domain that reads its images, and those that are translated to it."""
    known = data.known in features.DigitClassifier.fits
    return features.digit_classifier() if known else features.train_classifier(data, epochs=3)


def play(kind, seed, options, domains, held, readers, said):
    torch.manual_seed(seed)
    images, until = options.images, f"{options.images} images"
    settings = {"seed": seed, "classifier": readers[0]}
    if options.until:
        seconds, until = float(options.until.rstrip("s")), options.until
        images = round(games.rate(*games.translation(kind, *domains, **settings)) * seconds)
    run, data, game = games.translation(kind, *domains, images, **settings)
    start = time.monotonic()
    for _ in ganlib.train(run, data, game, until=until, batch_size=game.batch_size):
        pass
    seconds = time.monotonic() - start
    there = run.gans.get("there", run)
    judged = games.judge_translation(there, *held, readers[1], readers[0])
    print(row(kind, seed, f"{run.images_seen:,}", f"{seconds:.0f}", judged), flush=True)
    said.append(f"\n{kind}, seed {seed}, misread: {misread(judged['confusion'], held[0].classes)}")
    if "back" in run.gans:
        back = games.judge_translation(run.back, *held[::-1], readers[0], readers[1])
        pairs = games.swaps(judged["confusion"], back["confusion"])[:3]
        lines = (f"{x} as {y} {p:.0%}, {y} as {x} back {q:.0%}" for x, y, p, q in pairs)
        said.append(f"back kept {back['kept']:.1%}: {'; '.join(lines)}")
    file = Path("runs") / f"translation-{'-'.join(options.domains)}-{kind}-{seed}.png"
    file.parent.mkdir(exist_ok=True)
    drawn(there.shown(held[0].floats(slice(0, 32)))).save(str(file))
    return judged


def misread(confusion, classes, most=8):
    """Say which classes are read as others: how many of how many, the most first."""
    wrong = confusion - confusion.diag().diag()
    places = wrong.flatten().argsort(descending=True)[:most].tolist()
    pairs = [divmod(place, len(wrong)) for place in places]
    return "; ".join(
        f"{classes[x]} as {classes[y]} {wrong[x, y]} of {confusion[x].sum()}"
        for x, y in pairs
        if wrong[x, y]
    )


def row(name, seed, images, seconds, judged):
    low, high = judged["kept_interval"]
    back = judged.get("cycle_error"), judged.get("hidden")
    back = (
        "-" if x is None else f(x)
        for x, f in zip(back, ("{:.3f}".format, "{:.1%}".format), strict=True)
    )
    return (
        f"| {name} | {seed} | {images} | {seconds} | {judged['kept']:.1%} "
        f"| {low:.1%} to {high:.1%} "
        f"| {judged['floors']:.1f} | {' | '.join(back)} |"
    )


if __name__ == "__main__":
    main()
