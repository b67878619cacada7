"""Memory of a run: the first notebook's peak above torch's own, and any growth in 100,000 steps.

    python -m benchmarks.memory [--steps 3000] [--long 100000]

The first figure is the process's largest resident size less what it had once torch, torchvision and
matplotlib were loaded, in a run with live view, history, doctor and checkpoints. The second is a
run of tiny nets with batches of 4, whose resident size is printed at each tenth.
"""

import ctypes
import gc
import resource
import tempfile

import matplotlib.figure  # noqa: F401
import torch
import torchvision  # noqa: F401

from benchmarks.blocks import arguments


def resident():
    """MiB of this process now."""
    pages = int(open("/proc/self/statm").read().split()[1])  # noqa: SIM115
    return pages * resource.getpagesize() / 2**20


def main():
    options = arguments(
        __doc__,
        steps=(int, 3000, "of the classic run"),
        long=(int, 100_000, "steps of the tiny run"),
    )
    torch.ones(1000, 1000) @ torch.ones(1000, 1000)  # torch's own threads and buffers
    before = resident()
    import ganlib

    ganlib.setup(0, precision="fast")
    digits = ganlib.load("digits")
    print(f"data at rest: {digits.images.dtype}, {digits.images.numel() / 2**20:.1f} MiB")
    gan = ganlib.recipe("classic").gan(0)
    with tempfile.TemporaryDirectory() as folder:
        view = ganlib.LiveView(total=options.steps, folder=folder)
        for now in ganlib.train(gan, digits, until=options.steps, view=view):
            if now.every(500):
                ganlib.save(folder, gan)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(
        f"torch, torchvision and matplotlib: {before:,.0f} MiB; "
        f"peak of the run: {peak - before:,.0f} MiB more"
    )
    nets = ganlib.nets
    gan = ganlib.GAN(
        nets.MLPGenerator(8, widths=(16,)), nets.MLPDiscriminator(widths=(16,)), seed=0
    )
    for now in ganlib.train(gan, digits, until=options.long, batch_size=4):
        if now.every(max(1, options.long // 10)):
            gc.collect()
            ctypes.CDLL(None).malloc_trim(0)  # what is free but kept by the allocator is no growth
            print(
                f"step {now.step:7,}: {resident():,.0f} MiB, {len(now.history):,} rows of history",
                flush=True,
            )


if __name__ == "__main__":
    main()
