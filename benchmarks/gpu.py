"""On a GPU: the plain loop, ganlib's eager step and the captured one; and 100 epochs by the clock.

    python -m benchmarks.gpu [--blocks 5] [--seconds 3] [--epochs 100] [--mnist data]

Two games: the classic recipe, batch 100, on the full MNIST (or, without --mnist, on the embedded
digits); and R3GAN's, batch 64, at 32x32, eager against captured. The plain loop is that of
benchmarks/classic_step.py with its batches copied to the GPU, one at a time. At the end the classic
recipe is trained for so many epochs of 60,000 images, captured, with live view and history, and the
seconds are printed. Without a GPU it says so and measures the CPU.
"""

import time

import torch
from torch import nn

import ganlib
from benchmarks.blocks import arguments, compare
from benchmarks.classic_step import Plain


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


def ours(made, data, captured, precision="float32"):
    gan = made.gan(0, precision=precision).to(data.images.device)
    step = made.step
    if captured:
        step = ganlib.compile_step(step, gan, data, made.batch_size)
    return lambda: step(gan, data.batches(gan.seed, gan.step, made.batches, made.batch_size))


def main():
    options = arguments(
        __doc__,
        mnist=(str, None, "torchvision's root folder of MNIST"),
        epochs=(int, 100, "of 60,000 images, by the clock; 0 for none"),
    )
    device = ganlib.setup(0)
    if device.type != "cuda":
        print(
            "There is no GPU here: these are a CPU's figures, and a captured step is the eager one."
        )
    digits = ganlib.load("mnist", root=options.mnist) if options.mnist else ganlib.load("digits")
    padded = ganlib.Images(nn.functional.pad(digits.images, (2, 2, 2, 2)), name="digits, 32x32").to(
        device
    )
    here, classic, r3gan = (
        digits.to(device),
        ganlib.recipe("classic"),
        ganlib.recipe("r3gan", (1, 32, 32)),
    )
    precision = torch.get_float32_matmul_precision()
    games = (
        (
            classic,
            100,
            {
                "plain loop": plain(digits, device),
                "eager": ours(classic, here, False),
                "captured": ours(classic, here, True),
            },
        ),
        (
            r3gan,
            r3gan.batch_size,
            {
                "eager": ours(r3gan, padded, False),
                "captured": ours(r3gan, padded, True),
                "captured, bf16": ours(r3gan, padded, True, "bf16"),
            },
        ),
    )
    for made, images, variants in games:
        print(f"\n{made.name}")
        compare({name: (step, precision) for name, step in variants.items()}, options, images)
    if options.epochs:
        gan, steps = classic.gan(0).to(device), 600 * options.epochs
        step = ganlib.compile_step(classic.step, gan, here)
        start = time.perf_counter()
        for _ in ganlib.train(gan, here, step, until=steps, view=ganlib.LiveView(total=steps)):
            pass
        seconds = time.perf_counter() - start
        print(
            f"\n{options.epochs} epochs of 60,000 images, view and history included: "
            f"{seconds:.1f} s"
        )


if __name__ == "__main__":
    main()
