"""Is the fast loop the same recipe? Ten seeds each: the plain loop, ganlib in float32, in bf16.

    python -m benchmarks.classic_same [--seeds 10] [--steps 2000] [--workers 2]

That one step is the same is proven by tests/test_training.py: to 1e-10 over 20 steps in float64,
and in float32 losses and gradients to 1e-5 of the largest entry. Here the noise differs, and what
is compared is how runs end: how many got stuck (over the last 500 steps D's loss below 0.05 and the
fakes alike), and the Frechet distance of 10,000 fakes from MNIST's test digits in units of the
floor. Fisher's exact test says how surprising the counts would be if the recipes were one; ten
seeds cannot prove that they are. All train on the embedded digits, one thread each.
"""

import argparse
import json
import statistics
from concurrent.futures import ProcessPoolExecutor
from math import comb
from multiprocessing import get_context

import torch

import ganlib
from benchmarks.classic_step import Plain
from ganlib import metrics
from ganlib.judge.features import digit_classifier, extract, reference
from ganlib.machine.randomness import generator

WAYS = ("plain", "float32", "bf16")


def play(way, seed, steps):
    torch.set_num_threads(1)
    digits, classifier = ganlib.load("digits"), digit_classifier()
    torch.manual_seed(seed)
    if way == "plain":
        game = Plain()

        def step(i):
            return game.move(digits.batches(seed, i).images[0].flatten(1))

        def sample(n, stream):
            noise = torch.randn(n, 100, generator=generator("cpu", seed, steps, stream))
            with torch.no_grad():
                return game.G(noise).view(n, 1, 28, 28)
    else:
        gan = ganlib.GAN(
            ganlib.nets.MLPGenerator(), ganlib.nets.MLPDiscriminator(), seed=seed, precision=way
        )
        sample = gan.sample

        def step(i):
            return ganlib.gan_step(gan, digits.batches(seed, i))["d_loss"]

    losses = [step(i) for i in range(steps)]
    loss, diversity = (
        torch.stack(losses[-500:]).max().item(),
        sample(64, stream="look").std(0).mean().item(),
    )
    fakes = torch.cat([extract(classifier, sample(1000, stream=f"same/{i}")) for i in range(10)])
    known = reference(classifier.sha256)
    floor = metrics.frechet_distance(known["test"], known["train"])
    distance = metrics.frechet_distance(known["test"], fakes) / floor
    return {
        "way": way,
        "seed": seed,
        "d_loss": round(loss, 4),
        "diversity": round(diversity, 4),
        "stuck": loss < 0.05 and diversity < 0.1,
        "distance": round(distance),
    }


def fisher(a, n, b, m):
    """The two-sided p of `a` of n against `b` of m: tables with its margins, at most as likely."""

    def chance(x):
        return comb(n, x) * comb(m, a + b - x) / comb(n + m, a + b)

    tables = range(max(0, a + b - m), min(n, a + b) + 1)
    return sum(chance(x) for x in tables if chance(x) <= chance(a) * (1 + 1e-9))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    rows = []
    with ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as pool:
        jobs = [
            pool.submit(play, way, seed, options.steps)
            for seed in range(options.seeds)
            for way in WAYS
        ]
        for job in jobs:
            rows.append(job.result())
            print("RESULT", json.dumps(rows[-1]), flush=True)
    print("\ndistance: in units of the floor, of those that learned: median (least to most)\n")
    print("| way | stuck | p against plain | distance |\n|---|---|---|---|")
    stuck = {way: sum(row["stuck"] for row in rows if row["way"] == way) for way in WAYS}
    for way in WAYS:
        found = sorted(row["distance"] for row in rows if row["way"] == way and not row["stuck"])
        p = (
            ""
            if way == "plain"
            else f"{fisher(stuck['plain'], options.seeds, stuck[way], options.seeds):.2f}"
        )
        spread = (
            f"{statistics.median(found):,.0f} ({found[0]:,} to {found[-1]:,})" if found else "none"
        )
        print(f"| {way} | {stuck[way]} of {options.seeds} | {p} | {spread} |")


if __name__ == "__main__":
    main()
