"""How right an estimate of a run's speed is: `rate`, as `preflight` and a planned time use it,
against the run itself.

    python -m benchmarks.estimates [--blocks 10] [--seconds 6] [--trial 3] [--threads 1]

Each run is that of the command line: live view with a folder, history, checkpoints. It is played
in blocks of --seconds, and after each block `rate` measures fresh nets for --trial seconds, so that
a busy machine slows both alike. The run's speed is all its images over all its time, warm-up and
watchers included. Beside the wall clock everything is counted by the process's CPU time, which
other processes disturb less; with more than one thread that is no measure of speed.
"""

import statistics
import tempfile
import time
from types import SimpleNamespace

import torch

import ganlib
from benchmarks.blocks import arguments
from ganlib.machine.device import processor
from ganlib.run import plans, speed
from ganlib.run.recipes import recipe

CASES = [(name, shape) for shape in ((1, 28, 28), (3, 32, 32)) for name in ("classic", "small")]


def estimate(made, data, seconds, clock):
    """`rate` by another clock."""
    before, speed.time = speed.time, SimpleNamespace(perf_counter=clock)
    try:
        return speed.rate(made, data, seconds)
    finally:
        speed.time = before


def played(run, seconds):
    """Play on for `seconds`; return (images, seconds of the wall, seconds of the CPU)."""
    images, wall, cpu = run.gan.images_seen, time.perf_counter(), time.process_time()
    for _ in run:
        if time.perf_counter() - wall >= seconds:
            break
    return run.gan.images_seen - images, time.perf_counter() - wall, time.process_time() - cpu


def main():
    options = arguments(
        __doc__,
        trial=(float, 3.0, "seconds of an estimate"),
        threads=(int, 1, "threads"),
        precision=(str, "float32", "float32, bf16 or fast"),
    )
    ganlib.setup(0, precision=options.precision, threads=options.threads)
    print(f"{processor()}, {options.threads} threads, torch {torch.__version__}")
    print(
        "\n| recipe | images | run, images/s | estimate | ratio | ratio by CPU time | "
        "blocks of the run, first to last, by CPU time |\n|---|---|---|---|---|---|---|"
    )
    for name, shape in CASES:
        made, data = recipe(name, shape), plans.noise(shape)
        with tempfile.TemporaryDirectory() as folder:
            view, gan = ganlib.LiveView(total=10**6, folder=folder), made.gan(0)
            view.screen = SimpleNamespace(open=int, draw=lambda *_: None, close=lambda *_: None)
            run = ganlib.train(
                gan,
                data,
                made,
                until=10**6,
                view=view,
                folder=folder,
                batch_size=made.batch_size,
            )
            blocks, by_wall, by_cpu = [], [], []
            for block in range(options.blocks):
                blocks.append(played(run, options.seconds))
                clock, found = ((time.perf_counter, by_wall), (time.process_time, by_cpu))[
                    block % 2
                ]
                found.append(estimate(made, data, options.trial, clock))
            run.close()
        images, wall, cpu = map(sum, zip(*blocks, strict=True))
        wall, cpu = images / wall, images / cpu
        parts = " ".join(f"{images / cpu:,.0f}" for images, _, cpu in blocks)
        print(
            f"| {name} | {shape[2]} px, {shape[0]} channels | {wall:,.0f} | "
            f"{statistics.median(by_wall):,.0f} | {statistics.median(by_wall) / wall:.2f} | "
            f"{statistics.median(by_cpu) / cpu:.2f} | {parts} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
