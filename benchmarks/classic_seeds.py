"""How many of N seeds learn with the classic recipe on this machine, and how many get stuck.

    python -m benchmarks.classic_seeds --out FOLDER [--seeds 10] [--steps 10000]
                                       [--precision float32]

Each seed trains on the embedded digits from the notebook's own starting point (`setup(seed)`, then
G, then D) and leaves its history, pictures and `latest.png` in FOLDER/seed-N. A line is printed for
each: the step it reached, why it ended, D's loss and the fakes' diversity over the last 10 rows of
the history, and images/s. A run that is stuck by the first notebook's rule (for 1,000 steps D's
loss below 0.05 and the fakes alike) ends there.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import ganlib


def stuck(now):
    """The rule of notebooks/01_first_gan.ipynb."""
    rows = now.history[-20:]
    return (
        now.every(50)
        and now.step >= 2000
        and all(row["d_loss"] < 0.05 and row["diversity"] < 0.1 for row in rows)
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", required=True)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--precision", default="float32")
    options = parser.parse_args()
    for seed in range(options.first, options.first + options.seeds):
        folder = Path(options.out) / f"seed-{seed}"
        device = ganlib.setup(seed, precision=options.precision)
        digits = ganlib.load("digits", device)
        gan = ganlib.GAN(ganlib.nets.MLPGenerator(), ganlib.nets.MLPDiscriminator()).to(device)
        view = ganlib.LiveView(total=options.steps, folder=folder, every=20)
        start = time.monotonic()
        for now in ganlib.train(gan, digits, until=[options.steps, stuck], view=view):
            pass
        seconds = time.monotonic() - start
        last = {
            key: statistics.mean(row[key] for row in gan.history[-10:])
            for key in ("d_loss", "diversity", "p_fake")
        }
        row = {
            "seed": seed,
            "step": gan.step,
            "end": now.reason,
            "images/s": round(gan.images_seen / seconds),
        } | last
        print("RESULT", json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
