"""A step with R1 + R2: the convolutions of nets/conv.py in D against torch's own.

    python -m benchmarks.penalties [--blocks 5] [--seconds 3] [--precision float32]

`r3gan` at 32 x 32 in grey and at 64 x 64 in colour, batch 32, on noise; and the operations of a
step, by torch.profiler.
"""

from dataclasses import replace
from unittest import mock

import torch
from torch import nn
from torch.nn.functional import conv2d
from torch.profiler import ProfilerActivity, profile

import ganlib
from benchmarks.blocks import arguments, compare
from benchmarks.gpu import noise
from ganlib.nets import conv, r3gan

BATCH = 32


def plain(x, weight, bias=None, stride=1, padding=0, groups=1):
    return conv2d(x, weight, bias, stride, padding, 1, groups)


def player(made, data, device, own):
    """Return a function that plays one step."""
    gan = made.gan(0).to(device)

    def step():
        with (
            mock.patch.object(r3gan, "convolve", conv.convolve if own else plain),
            mock.patch.object(
                conv.Conv2d,
                "_conv_forward",
                conv.Conv2d._conv_forward if own else nn.Conv2d._conv_forward,
            ),
        ):
            made.step(gan, data.batches(0, gan.step, made.batches, BATCH))

    return step


def main():
    options = arguments(__doc__, precision=(str, "float32", "float32 or bf16"))
    device = ganlib.setup(0, precision=options.precision)
    matmul = torch.get_float32_matmul_precision()
    for shape in ((1, 32, 32), (3, 64, 64)):
        data = noise(shape, 128).to(device)
        made = replace(ganlib.recipe("r3gan", shape), batch_size=BATCH)
        steps = {
            name: player(made, data, device, name != "torch's")
            for name in ("torch's", "nets/conv.py")
        }
        print(f"\n{shape}")
        compare({name: (step, matmul) for name, step in steps.items()}, options, BATCH)
        for name, step in steps.items():
            with profile(activities=[ProfilerActivity.CPU]) as profiled:
                step()
            count = sum(event.name.startswith("aten::") for event in profiled.events())
            print(f"{name}: {count:,} operations")


if __name__ == "__main__":
    main()
