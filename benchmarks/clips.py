"""Clips: frames, motion and sameness of each G, beside real clips.

    python -m benchmarks.clips --seeds 0 1 2 --threads 1 --out FOLDER
    python -m benchmarks.clips --data pairs --kinds moved parts path --images 40000 --threads 1

Figures are those of `judge_clips` of 1,500 clips: frames and motion in floors, speed and bend in
pixels, the share of frames that are the digit of their clip, of pairs the correlation of the steps.
Seconds are those of training.
"""

import argparse
import time
from pathlib import Path

import torch

import ganlib
from ganlib.games import clips

DATA = {"digits": clips.gliding, "pairs": clips.pairs}


def written(judged):
    return [clips.judging.FIGURES[name].format(judged[name]) for name in judged if name != "real"]


def play(kind, data, images, seed, gamma, out):
    """Train one run; return (the cells of its row, what was judged)."""
    torch.manual_seed(seed)
    made = clips.recipe(data, kind, images=images, gamma=gamma)
    gan, start = made.gan(seed), time.monotonic()
    steps = images // made.batch_size
    for _ in ganlib.train(gan, data, made, until=steps, batch_size=made.batch_size):
        pass
    seconds = time.monotonic() - start
    judged = clips.judge_clips(gan)
    if out:
        name = Path(out) / f"{data.name.replace(' ', '-')}-{kind}-{images}-{seed}"
        fakes = gan.sample(16, stream="film")
        clips.film(fakes, scale=3).save(f"{name}.gif")
        frames = fakes.transpose(1, 2).flatten(0, 1)
        ganlib.show(frames, fakes.shape[2], 2, generated=True).save(f"{name}.png")
    return [f"{gan.images_seen:,}", f"{seconds:.0f}", *written(judged)], judged["real"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=list(DATA), default="digits")
    parser.add_argument("--kinds", nargs="*", choices=list(clips.drawing.KINDS), default=["moved"])
    parser.add_argument("--images", type=int, default=80_000)
    parser.add_argument("--gamma", type=float, default=2.0)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--precision", choices=["fast", "float32"], default="fast")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", help="a folder for films and their frames")
    options = parser.parse_args()
    if options.out:
        Path(options.out).mkdir(parents=True, exist_ok=True)
    ganlib.setup(0, device="cpu", precision=options.precision, threads=options.threads)
    data, real = DATA[options.data](), None
    names = [*clips.judging.FIGURES][: 5 + (options.data == "pairs")]
    print(f"| G | seed | clips | s | {' | '.join(names)} |")
    print("|---" * (4 + len(names)) + "|", flush=True)
    for kind in options.kinds:
        for seed in options.seeds:
            of = options.images, seed, options.gamma, options.out
            cells, real = play(kind, data, *of)
            print(f"| {kind} | {seed} | {' | '.join(cells)} |", flush=True)
    print(f"| real | | | | {' | '.join(written(real))} |")


if __name__ == "__main__":
    main()
