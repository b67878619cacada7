"""Measure how fast this machine trains: `bench` by batch size and image size, beside the rate of
its matrix products; `rate` and `planned_rate` one recipe, for plans in seconds.
"""

import time
from dataclasses import replace
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from ..data.images import Images
from ..machine import files, processes
from ..machine.device import choice
from ..machine.progress import say
from ..machine.trials import best_of
from .cuda.compiling import compile_step
from .recipes import recipe
from .training import train

BATCHES = (25, 50, 100, 200, 400)
SIZES = (14, 28, 32, 56, 64)


def bench(
    device, recipes=("classic", "small"), batches=BATCHES, sizes=SIZES, seconds=1.0, out=None
):
    """Train `recipes` on images of noise, print a table and return its rows; `out` is a file for a
    plot of them.

    Each recipe is measured at 28x28 with each of `batches`, and with a batch of 50 at each of
    `sizes`, for `seconds` each; only the steps are timed, without pictures or history. GFLOP/s
    counts the matrix products and convolutions of both moves, by torch's counter; `share` is that
    divided by `peak`, the rate of one large matrix product.
    """
    best = peak(device, choice.precision)
    say(f"one large product of matrices: {best / 1e9:,.0f} GFLOP/s\n")
    say(
        "| recipe | image | batch | images/s | MFLOP per image | GFLOP/s | share "
        "|\n|---|---|---|---|---|---|---|"
    )
    rows, draws = [], torch.Generator().manual_seed(0)
    for name in recipes:
        for size, batch in dict.fromkeys(
            [(28, batch) for batch in batches] + [(size, 50) for size in sizes]
        ):
            noise = torch.randint(0, 256, (400, 1, size, size), dtype=torch.uint8, generator=draws)
            chosen = recipe(name, (1, size, size))
            step, operations = _player(chosen, Images(noise), batch, device)
            step()
            times = _timed(step, device, seconds)
            speed = batch * chosen.n_critic * len(times) / sum(times)
            rows.append(
                {
                    "recipe": name,
                    "size": size,
                    "batch": batch,
                    "images/s": speed,
                    "flop": operations,
                }
            )
            say(
                f"| {name} | {size}x{size} | {batch} | {speed:,.0f} | {operations / 1e6:,.1f} | "
                f"{speed * operations / 1e9:,.0f} | {speed * operations / best:.0%} |",
            )
    if out is not None:
        _plot(rows, Path(out))
        say(f"\nplot: {out}")
    return rows


def rate(made, data, seconds=4.0, batch_size=None, device=None):
    """Return the images/s at which the recipe `made` trains on `data`, for plans in seconds.

    Fresh nets are trained for `seconds`, history included, and thrown away; on `device`, by default
    where the data are. The first three steps are not counted if there are more. Where G begins
    without D, steps with and without it are measured, so long each. With several processes all of
    them must call this.
    """
    alone = min(1.0, made.warm / made.images) if made.images else 0.0
    unplanned = replace(made, until=None, warm=0)  # a plan of as many seconds would end it
    kinds = (unplanned, 1 - alone), (replace(unplanned, warm=2**62), alone)
    return 1 / sum(
        share / _rate(one, data, seconds, batch_size or made.batch_size, device)
        for one, share in kinds
        if share
    )


def _rate(made, data, seconds, size, device):
    """Return the images/s of one kind of steps."""
    with torch.random.fork_rng(devices=[]):
        gan = made.gan(0).to(data.images.device if device is None else device)
    start = time.perf_counter(), 0
    for now in train(gan, data, made, until=f"{seconds}s", batch_size=size):
        if now.step == 3 or now.reason:
            _wait(gan.device)
            here = time.perf_counter(), now.images
            start = start if now.reason else here
    return (here[1] - start[1]) / (here[0] - start[0])


def planned_rate(make, data, goal, batch_size=None, seconds=4.0):
    """Return the images/s of the recipe that is planned for what it can do in `goal` seconds.

    `make(images)` returns the recipe planned for so many images (None: its default). A longer plan
    may have larger batches, which are faster; then the speed is measured again.
    """
    default = make(None)
    speed = processes.agree(rate(default, data, seconds, batch_size))
    planned = make(max(10, round(speed * goal)))
    if batch_size is None and planned.batch_size != default.batch_size:
        speed = processes.agree(rate(planned, data, seconds))
    return speed


def _player(made, data, batch, device):
    """Return (a function that plays one step of fresh nets, the operations of a step per image)."""
    with torch.random.fork_rng(devices=[]):
        data, gan = data.to(device), made.gan(0).to(device)

    def step():
        made.step(gan, data.batches(0, gan.step, made.batches, batch))

    with FlopCounterMode(display=False) as counter:
        step()
    if device.type == "cuda":  # as `train` plays it
        made = compile_step(made, gan, data, batch)
    return step, counter.get_total_flops() / batch


def _timed(step, device, seconds, apart=10):
    """Return a list of seconds per step. On a GPU each is a mean over `apart` steps, since the
    clock would otherwise see only the launches.
    """
    times, end = [], time.perf_counter() + seconds
    apart = 1 if device.type == "cpu" else apart
    _wait(device)
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(apart):
            step()
        _wait(device)
        times.append((time.perf_counter() - start) / apart)
    return times


def _wait(device):
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def _plot(rows, file):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    views = (
        ("batch", "size", 28, "batch size, at 28x28"),
        ("size", "batch", 50, "image size, at a batch of 50"),
    )
    for axes, (key, other, fixed, title) in zip(
        figure.subplots(1, 2, sharey=True), views, strict=True
    ):
        shown = [row for row in rows if row[other] == fixed]
        for name in dict.fromkeys(row["recipe"] for row in rows):
            points = sorted((row[key], row["images/s"]) for row in shown if row["recipe"] == name)
            axes.plot(*zip(*points, strict=True), marker="o", label=name)
        ticks = sorted({row[key] for row in shown})
        axes.set(xscale="log", yscale="log", xlabel=title)
        axes.set_xticks(ticks, labels=ticks)
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("images per second")
    figure.axes[0].legend(frameon=False)
    files.replace(
        file,
        lambda target: figure.savefig(
            target, dpi=120, format=file.suffix.removeprefix(".") or "png"
        ),
    )


def peak(device, precision, seconds=1.0):
    """Return the operations per second of one large product of square matrices on `device`."""
    n = 1024 if device.type == "cpu" else 8192
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = torch.randn(2, n, n, device=device, dtype=kind).unbind()

    def product():
        a @ b
        if device.type != "cpu":
            torch.accelerator.synchronize(device)

    return 2 * n**3 / best_of(product, seconds)
