"""A run beside processes that come and go: images/s before, during and after, with the watcher of
threads (machine/threads.py) and without.

    python -m benchmarks.busy_turns [--processes 4] [--seconds 18] [--patience 0]

One run in one process: quiet; busy, the watcher looking away; quiet; busy, watched; quiet, until it
goes back, and some seconds more. `idle` is the share of the cores that nobody used in the second
before a phase began: below 90 % a "quiet" phase was none. --patience: minutes to wait for 90 %.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

import ganlib
from benchmarks.blocks import arguments
from ganlib.machine.device import choice, processor
from ganlib.run import training


def idle(seconds=1.0):
    """The share of all cores' time that was idle in the next `seconds`."""

    def read():
        times = list(map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:9]))
        return times[3] + times[4], sum(times)

    before = read()
    time.sleep(seconds)
    after = read()
    return (after[0] - before[0]) / max(1, after[1] - before[1])


def main():
    options = arguments(
        __doc__,
        processes=(int, 4, "that keep cores busy"),
        recipe=(str, "small", "which"),
        threads=(int, 2, "on the quiet machine"),
        patience=(float, 0, "minutes to wait for a quiet machine"),
    )
    end = time.monotonic() + 60 * options.patience
    while idle(3.0) < 0.9 and time.monotonic() < end:
        time.sleep(2)
    torch.set_num_threads(options.threads)
    watchers, real = [], training.watch
    training.watch = lambda *given: watchers.append(real(*given)) or watchers[0]
    digits, made = ganlib.load("digits"), ganlib.recipe(options.recipe)
    gan = made.gan(0)
    run = ganlib.train(gan, digits, made, until=10**9, batch_size=made.batch_size)
    (watcher,) = watchers
    print(
        f"{processor()}, {options.threads} threads, torch {torch.__version__}, {made.name}, "
        f"{options.processes} processes\n\n| phase | idle before | seconds | threads | images/s "
        "| median step, ms |\n|---|---|---|---|---|---|"
    )
    next(run)

    def phase(name, seconds, busy=0, watched=True, until=lambda: False):
        free = idle()
        others = [subprocess.Popen([sys.executable, "-c", "while 1: 0"]) for _ in range(busy)]
        watcher.due = 0.0 if watched else float("inf")
        parts, start = [], time.monotonic()  # (threads, seconds) of each step
        try:
            while time.monotonic() - start < seconds and not until():
                threads, begin = torch.get_num_threads(), time.perf_counter()
                next(run)
                parts.append((threads, time.perf_counter() - begin))
        finally:
            for other in others:
                other.kill()
                other.wait()
        for threads in dict.fromkeys(threads for threads, _ in parts):
            times = [took for n, took in parts if n == threads]
            print(
                f"| {name} | {free:.0%} | {sum(times):.1f} | {threads} | "
                f"{made.batch_size * len(times) / sum(times):,.0f} | "
                f"{1000 * statistics.median(times):,.0f} |",
                flush=True,
            )

    seconds, busy = options.seconds, options.processes
    phase("quiet", 10, watched=False)
    phase("busy, not watched", seconds, busy, watched=False)
    phase("quiet", 5, watched=False)
    phase("busy, watched", seconds, busy)
    watcher.due = 0.0
    phase("quiet, until it goes back", 60, until=lambda: torch.get_num_threads() == options.threads)
    phase("quiet", 10)
    print(f"\n{choice.usual} threads: usual, and left")
    run.close()


if __name__ == "__main__":
    main()
