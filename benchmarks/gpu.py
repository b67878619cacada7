"""On a GPU: images/s eager and captured, in bf16, TF32, without channels last; kernels of a step;
and 100 epochs of the classic recipe by the clock.

    python -m benchmarks.gpu [--blocks 3] [--seconds 1] [--epochs 100] [--out report.md]
                             [--games classic r3gan@64 ...]

A game is a recipe, `@` its pixels (28 are grey, more are colour). Its variants take turns in short
blocks; a ratio is the median of the ratios of neighbouring blocks. The data are noise, which
changes no rate. "plain loop" is that of benchmarks/classic_step.py with its batches copied to the
GPU one at a time; TF32 is that of matrix products ("high"), since convolutions of torch have it in
any case. Kernels and GPU time of an eager step are those that torch.profiler sees. At the end the
classic recipe is trained on the digits for so many epochs of 60,000 images as `train` does by
itself, with live view and history. --out writes all of it with card, driver and versions. Without a
GPU it says so and measures the CPU.
"""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

import ganlib
from benchmarks.blocks import compare
from benchmarks.classic_step import Plain
from ganlib.games.selftest.report import machine

GAMES = ("classic", "small", "r3gan@32", "r3gan@64", "pictures@64", "style@32", "style@64")
GAMES = (*GAMES, "style@256")
VARIANTS = {  # name: (captured, precision, matmul precision, channels last, cuDNN tries all)
    "eager": (False, "float32", "highest", True, False),
    "eager, bf16": (False, "bf16", "highest", True, False),
    "captured": (True, "float32", "highest", True, False),
    "captured, TF32": (True, "float32", "high", True, False),
    "captured, bf16": (True, "bf16", "highest", True, False),
    "captured, contiguous": (True, "float32", "highest", False, False),
    "captured, cuDNN tries all": (True, "float32", "highest", True, True),
}


class Tee:
    """Standard output that is kept, too."""

    def __init__(self):
        self.screen, self.kept = sys.stdout, []

    def write(self, text):
        self.kept.append(text)
        return self.screen.write(text)

    def flush(self):
        self.screen.flush()


def noise(shape, n=512):
    draws = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (n, *shape), dtype=torch.uint8, generator=draws)
    return ganlib.Images(pixels, name="noise")


def plain(data, device):
    """The tutorial loop: each step copies a batch from a host loader; two passes, default Adam."""
    game, batches = Plain(device), iter(())
    images = torch.utils.data.TensorDataset(data.floats(torch.arange(len(data))).flatten(1).cpu())
    loader = torch.utils.data.DataLoader(images, batch_size=100, shuffle=True, drop_last=True)

    def step():
        nonlocal batches
        real = next(batches, None)
        if real is None:
            batches = iter(loader)
            real = next(batches)
        game.move(real[0].to(device))

    return step


def ours(made, data, captured, precision, matmul, last, tries):
    """Return a function that plays one step, or None where it cannot be captured."""
    torch.set_float32_matmul_precision(matmul)
    torch.backends.cudnn.benchmark = tries
    gan = made.gan(0, precision=precision).to(data.images.device)
    if not last:
        for player in gan.players.values():
            for net in player.nets():
                net.to(memory_format=torch.contiguous_format)
    made.check(gan, data)
    game = ganlib.compile_step(made, gan, data, made.batch_size) if captured else made
    torch.backends.cudnn.benchmark = False
    if captured and game is made:
        return None
    return lambda: game.step(gan, data.batches(0, gan.step, made.batches, made.batch_size))


def kernels(step, device):
    """Print how many operations and kernels an eager step has, and the five dearest kernels."""
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (device.type == "cuda")
    for _ in range(3):
        step()
    with profile(activities=activities) as profiled:
        step()
        if device.type == "cuda":
            torch.cuda.synchronize()
    events = profiled.events()
    on_gpu = [e for e in events if e.device_type == torch.autograd.DeviceType.CUDA]
    calls = sum(e.name.startswith("aten::") for e in events)
    total = sum(e.device_time for e in on_gpu)
    counts = f"{calls:,} operations, {len(on_gpu):,} kernels, {total / 1e3:.2f} ms of GPU"
    print(f"\nan eager step: {counts}")
    times = {}
    for event in on_gpu:
        times[event.name] = times.get(event.name, 0) + event.device_time
    for name in sorted(times, key=times.get, reverse=True)[:5]:
        print(f"- {times[name] / total:.0%} {name[:110]}")


def play(name, options, device):
    recipe, _, side = name.partition("@")
    side = int(side or 28)
    shape = (1 if side == 28 else 3, side, side)
    data = noise(shape).to(device)
    made = replace(ganlib.recipe(recipe, shape), warm=0)  # the dearer part of one that starts alone
    print(f"\n## {recipe}, {side} x {side}, batch {made.batch_size}\n")
    steps = {key: ours(made, data, *variant) for key, variant in VARIANTS.items()}
    variants = {key: (step, VARIANTS[key][2]) for key, step in steps.items() if step}
    if recipe == "classic":
        variants["plain loop"] = plain(data, device), "highest"
    compare(variants, options, made.batch_size * made.n_critic)
    kernels(variants["eager"][0], device)


def by_the_clock(epochs, device):
    """Train the classic recipe on the digits, as `train` does by itself."""
    digits, classic, steps = ganlib.load("digits", device), ganlib.recipe("classic"), 600 * epochs
    gan, start = classic.gan(0).to(device), time.perf_counter()
    for _ in ganlib.train(gan, digits, classic, until=steps, view=ganlib.LiveView(total=steps)):
        pass
    seconds = time.perf_counter() - start
    print(f"\n{epochs} epochs of 60,000 images, view and history included: {seconds:.1f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a block")
    parser.add_argument("--epochs", type=int, default=100, help="by the clock; 0 for none")
    parser.add_argument("--games", nargs="*", default=GAMES)
    parser.add_argument("--out", help="a file for the report, in Markdown")
    options = parser.parse_args()
    device, sys.stdout = ganlib.setup(0), Tee()
    about = machine(device)
    try:
        print("# ganlib on this machine\n\n| machine | |\n|---|---|")
        for key, value in about.items():
            print(f"| {key} | {value} |")
        if device.type != "cuda":
            print("\nThere is no GPU here: these are a CPU's figures, and no step is captured.")
        for name in options.games:
            try:
                play(name, options, device)
            except torch.OutOfMemoryError as error:
                print(f"\nnot measured: {str(error).splitlines()[0]}")
            if device.type == "cuda":
                torch.cuda.empty_cache()
        torch.set_float32_matmul_precision("highest")
        if options.epochs:
            print("\n## By the clock\n")
            by_the_clock(options.epochs, device)
    finally:
        kept, sys.stdout = "".join(sys.stdout.kept), sys.stdout.screen
        if options.out:
            Path(options.out).write_text(kept)


if __name__ == "__main__":
    main()
