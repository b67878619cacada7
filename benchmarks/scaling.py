"""How a run scales over processes: measured here over gloo, and predicted for larger machines.

    python -m benchmarks.scaling [--seconds 6] [--processes 1 2 4]
    python -m benchmarks.scaling --predict --step-seconds small=0.004 r3gan=0.05 style=0.2

Measured: what a step sends (messages and bytes, counted); the time of an all_reduce by its size,
fitted as a + b * bytes; that of `agree`, the two small messages after each step; steps of 1, 2, ...
processes of one thread each, with the same batch in each (weak scaling), against the same processes
without messages; and whether buckets pay that are sent while the backward pass goes on.

Predicted, for n processes that each take `step` seconds by themselves and send messages of s_i
bytes, in a ring (Patarasuk & Yuan 2009): each message takes

    t_i = 2 (n - 1) / n * s_i / bandwidth + 2 (n - 1) * latency

`agree` two gathers, 2 (n - 1) * (its latency), and the efficiency is

    step / (step + sum of t_i + agree)

Without --step-seconds the table says how long a step must take for an efficiency of 90 %. A step's
seconds are of the machine that it is predicted for, and must be measured there. Bandwidths are
those of datasheets, one direction of one GPU's link, and latencies are assumed: leads, no figures.
NCCL uses trees where many machines have short messages, whose latency grows with log n: there the
ring is too pessimistic.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import distributed

import ganlib
from ganlib.data.images import Images
from ganlib.machine import launch, processes
from ganlib.run.recipes import recipe

ROOT = Path(__file__).parents[1]
KINDS = {"small": (1, 28, 28), "r3gan": (3, 64, 64), "style": (3, 256, 256)}  # of the predictions
PLAYED = {"small": 25, "r3gan": 4}  # images of each process, where steps are measured
SIZES = [2**i for i in range(10, 25, 2)]  # bytes of a message
LINKS = {  # name: (GPUs, bytes/s in one direction, assumed seconds of a hop)
    "8, NVLink of an H100 (450 GB/s)": (8, 450e9, 5e-6),
    "8, PCIe 4.0 x16 (32 GB/s)": (8, 32e9, 10e-6),
    "2, PCIe 3.0 x16, as T4s (16 GB/s)": (2, 16e9, 10e-6),
    "64, InfiniBand NDR (50 GB/s)": (64, 50e9, 10e-6),
    "64, 100 Gb Ethernet (12.5 GB/s)": (64, 12.5e9, 30e-6),
    "64, 10 Gb Ethernet (1.25 GB/s)": (64, 1.25e9, 30e-6),
}
HOST = 30e-6  # assumed seconds of a hop of `agree`, over TCP between CPUs
BUCKET = 2**18  # bytes of gradients that are sent together, where they are sent early


def made(name, shape=None):
    """Return (a run, data, game) of a recipe; `style` as it is once D plays."""
    shape = shape or KINDS[name]
    torch.manual_seed(0)
    game = recipe(name, shape)
    game = replace(game, warm=0) if name == "style" else game
    draws = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (128, *shape), dtype=torch.uint8, generator=draws)
    gan, data = game.gan(0), Images(images, name="noise")
    game.check(gan, data)  # it finds the codes with which G of `style` rehearses
    return gan, data, game


def sent(name):
    """Return the sizes in bytes of the messages of one step, counted in a step that is played."""
    gan, data, game = made(name)
    sizes, many = [], processes.many

    def note(packed):
        sizes.append(packed.numel() * packed.element_size())
        packed *= 2  # as if another process had the same; `average` halves it

    reduce, world = distributed.all_reduce, distributed.get_world_size
    rank = distributed.get_rank
    try:
        distributed.all_reduce, distributed.get_world_size = note, lambda: 2
        distributed.get_rank, processes.many = lambda: 0, lambda: True
        game.step(gan, data.batches(0, 0, game.batches, 2))
    finally:
        distributed.all_reduce, distributed.get_world_size = reduce, world
        distributed.get_rank, processes.many = rank, many
    return [size for size in sizes if size]


def predicted(sizes, n, bandwidth, latency):
    """Return the seconds that the messages of a step, and `agree`, take."""
    messages = sum(2 * (n - 1) / n * s / bandwidth + 2 * (n - 1) * latency for s in sizes)
    return messages + 2 * (n - 1) * HOST


def predict(steps):
    print(
        "\n| run | messages and MB a step | GPUs and link | messages and agree, ms | efficiency |"
    )
    print("|---|---|---|---|---|")
    for name, shape in KINDS.items():
        sizes = sent(name)
        about = f"{name}, {shape[1]} px | {len(sizes)}, {sum(sizes) / 1e6:.2f}"
        for link, (n, bandwidth, latency) in LINKS.items():
            t = predicted(sizes, n, bandwidth, latency)
            if name in steps:
                said = (
                    f"{steps[name] / (steps[name] + t):.0%} at {1e3 * steps[name]:,.1f} ms a step"
                )
            else:
                said = f"90 % from {9e3 * t:,.1f} ms a step on"
            print(f"| {about} | {link} | {1e3 * t:.2f} | {said} |")


# measured, in the processes that torchrun starts


def timed(function, least=5, seconds=0.5):
    """Return the median seconds of a call; all processes make the same number of calls."""
    times = []
    while True:
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
        if len(times) % least == 0:
            over = "enough" if sum(times) > seconds else None
            if processes.agree(over):
                return statistics.median(times)


def stepping(name, seconds, pairs=8):
    """Return (seconds of a step as `train` plays it, seconds without any message, their ratio), in
    blocks that alternate: so a crowded machine slows both alike, and the ratio is what messages,
    and waiting for the slowest, cost.
    """
    gan, data, game = made(name)
    run = ganlib.train(gan, data, game, until=10**6, batch_size=PLAYED[name], record_every=10**5)
    for _ in range(2):
        next(run)
    start, many, found = time.perf_counter(), processes.many, ([], [])
    next(run)
    took = [None] * processes.place()[1]
    mine = time.perf_counter() - start
    if many():
        distributed.all_gather_object(took, mine)
    count = max(2, round(seconds / (2 * pairs) / (took[0] or mine)))  # of steps in a block
    for block in range(2 * pairs):
        processes.many = many if block % 2 else lambda: False
        start = time.perf_counter()
        for _ in range(count):
            next(run)
        found[block % 2].append((time.perf_counter() - start) / count)
    processes.many = many
    ratio = statistics.median(alone / sent for alone, sent in zip(*found, strict=True))
    return statistics.median(found[1]), statistics.median(found[0]), ratio


@contextmanager
def early(gan):
    """Send gradients in buckets while the backward pass goes on, not in one message after it."""
    waiting, handles, late = {}, [], processes.average

    def bucket_of(net):
        full, size = [], 0
        for weight in reversed(list(net.parameters())):
            full.append(weight)
            size += weight.numel() * weight.element_size()
            if size >= BUCKET:
                yield full
                full, size = [], 0
        if full:
            yield full

    def hook(weight, bucket, left):
        left.discard(id(weight))
        if not left:
            packed = torch.cat([x.grad.flatten() for x in bucket])
            waiting[id(bucket)] = bucket, packed, distributed.all_reduce(packed, async_op=True)
            left.update(id(x) for x in bucket)

    def average(tensors):
        if not waiting:
            late(tensors)
            return
        for bucket, packed, work in waiting.values():
            work.wait()
            packed /= distributed.get_world_size()
            parts = packed.split([x.numel() for x in bucket])
            for weight, mean in zip(bucket, parts, strict=True):
                weight.grad.copy_(mean.view_as(weight))
        waiting.clear()

    for player in gan.players.values():
        for bucket in bucket_of(player.net):
            left = {id(x) for x in bucket}
            for weight in bucket:
                handles.append(
                    weight.register_post_accumulate_grad_hook(
                        lambda w, bucket=bucket, left=left: hook(w, bucket, left)
                    )
                )
    processes.average = average
    try:
        yield
    finally:
        processes.average = late
        for handle in handles:
            handle.remove()


def overlapping(name, seconds, pairs=10):
    """Return (seconds of a step with one message, with early buckets, the median ratio)."""
    (gan, data, game), found = made(name), ([], [])
    batches = data.batches(0, 0, game.batches, PLAYED[name])

    def step():
        game.step(gan, batches)

    step()
    for _ in range(pairs):
        found[0].append(timed(step, seconds=seconds / pairs / 2))
        with early(gan):
            found[1].append(timed(step, seconds=seconds / pairs / 2))
    ratio = statistics.median(soon / late for late, soon in zip(*found, strict=True))
    return [*map(statistics.median, found), ratio]


def worker(seconds):
    launch.start("cpu")
    torch.set_num_threads(1)
    rank, world = processes.place()
    found = {"steps": {name: stepping(name, seconds) for name in PLAYED}}
    if world > 1:
        messages = {size: torch.zeros(size // 4) for size in SIZES}
        found["messages"] = {
            size: timed(lambda x=x: distributed.all_reduce(x)) for size, x in messages.items()
        }
        found["agree"] = timed(lambda: processes.agree(None))
        found["early"] = {name: overlapping(name, seconds) for name in PLAYED}
    if rank == 0:
        print(json.dumps(found), flush=True)
    launch.end()


def fitted(messages):
    """Return (a, b) of a + b * bytes, by least squares of relative errors."""
    sizes = torch.tensor(list(messages), dtype=torch.float64)
    times = torch.tensor(list(messages.values()), dtype=torch.float64)
    rows = torch.stack([1 / times, sizes / times], 1)
    return torch.linalg.lstsq(rows, torch.ones(len(times), 1, dtype=torch.float64)).solution[:, 0]


def measure(counts, seconds):
    cores, results = len(os.sched_getaffinity(0)), {}
    for n in counts:
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command += [f"--nproc-per-node={n}", "-m", "benchmarks.scaling"]
        command += ["--worker", "--seconds", str(seconds)]
        set_ = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=set_)
        if done.returncode:
            raise SystemExit(done.stderr[-3000:])
        results[n] = json.loads(done.stdout.strip().splitlines()[-1])
    print(f"torch {torch.__version__}, gloo, one thread a process, {cores} cores")
    print("\n| recipe | processes | ms a step | images/s | ms without messages | efficiency |")
    print("|---|---|---|---|---|---|")
    for name, size in PLAYED.items():
        for n, found in results.items():
            t, alone, ratio = found["steps"][name]
            crowded = f" ({n} on {cores} cores)" if n > cores else ""
            print(
                f"| {name}, {KINDS[name][1]} px, {size} images each | {n}{crowded} | "
                f"{1e3 * t:.1f} | {n * size / t:.1f} | {1e3 * alone:.1f} | {ratio:.0%} |"
            )
    for n, found in results.items():
        if "messages" not in found:
            continue
        a, b = fitted({int(size): t for size, t in found["messages"].items()})
        print(
            f"\n{n} processes: all_reduce "
            + ", ".join(
                f"{int(size) / 1024:,.0f} KB {1e3 * t:.2f} ms"
                for size, t in found["messages"].items()
            )
        )
        print(
            f"fit: {1e3 * a:.2f} ms + bytes / {1e-6 / b:,.0f} MB/s; "
            f"agree {1e3 * found['agree']:.2f} ms"
        )
        for name, (late, soon, ratio) in found["early"].items():
            print(
                f"{name}: {1e3 * late:.1f} ms a step with one message, {1e3 * soon:.1f} ms with "
                f"buckets of {BUCKET // 1024} KB sent early: {ratio - 1:+.1%}"
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=6.0, help="of each measurement")
    parser.add_argument("--processes", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--predict", action="store_true", help="the table of predictions alone")
    parser.add_argument("--step-seconds", nargs="*", default=[], metavar="NAME=SECONDS")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options.seconds)
        return
    steps = {name: float(value) for name, value in (x.split("=") for x in options.step_seconds)}
    if unknown := set(steps) - set(KINDS):
        raise SystemExit(f"{', '.join(unknown)}: seconds of {', '.join(KINDS)} are expected")
    if not options.predict:
        measure(options.processes, options.seconds)
    predict(steps)


if __name__ == "__main__":
    main()
