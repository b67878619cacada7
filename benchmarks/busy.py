"""What is left of the classic recipe's images/s beside one busy core, by threads and by waiting.

    python -m benchmarks.busy [--blocks 3] [--seconds 4]

Another process keeps the core busy. Each measurement is a process of its own (how threads wait is
settled when torch is loaded). "spin" is how long a thread that waits for the others keeps its core
(GOMP_SPINCOUNT): torch's default, or 0 for giving it up at once.
"""

import os
import statistics
import subprocess
import sys
import time

from benchmarks.blocks import arguments

CHILD = """
import sys, time, torch, ganlib
threads, precision, seconds = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
torch.set_num_threads(threads)
torch.manual_seed(0)
data = ganlib.load("digits")
gan = ganlib.GAN(ganlib.nets.MLPGenerator(), ganlib.nets.MLPDiscriminator(), precision=precision)
for _ in range(5):
    ganlib.gan_step(gan, data.batches(gan.seed, gan.step))
start, steps = time.perf_counter(), 0
while time.perf_counter() - start < seconds:
    ganlib.gan_step(gan, data.batches(gan.seed, gan.step))
    steps += 1
print(100 * steps / (time.perf_counter() - start))
"""


def rate(threads, spin, precision, seconds):
    settings = dict(os.environ) | ({} if spin is None else {"GOMP_SPINCOUNT": str(spin)})
    command = [sys.executable, "-c", CHILD, str(threads), precision, str(seconds)]
    return float(
        subprocess.run(command, env=settings, capture_output=True, text=True, check=True).stdout
    )


def main():
    options = arguments(__doc__, precision=(str, "bf16", "float32 or bf16"))
    cores = len(os.sched_getaffinity(0))
    ways = [(threads, spin) for threads in range(cores, 0, -1) for spin in (None, 0)]
    found = {}
    for _ in range(options.blocks):
        for busy in (False, True):
            other = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if busy else None
            time.sleep(0.5)
            for way in ways:
                found.setdefault((way, busy), []).append(
                    rate(*way, options.precision, options.seconds)
                )
            if other:
                other.kill()
                other.wait()
    base = statistics.median(found[ways[0], False])
    print(
        f"{cores} cores, {options.precision}, medians of {options.blocks}; "
        f"shares of {base:,.0f} images/s\n"
    )
    print("| threads | spin | quiet | one core busy |\n|---|---|---|---|")
    for way in ways:
        quiet, busy = (statistics.median(found[way, busy]) / base for busy in (False, True))
        print(
            f"| {way[0]} | {'default' if way[1] is None else way[1]} | {quiet:.0%} | {busy:.0%} |"
        )


if __name__ == "__main__":
    main()
