"""Variants side by side, in short blocks that alternate: a busy moment hits all of them alike."""

import argparse
import statistics
import time

import torch

from ganlib.machine.device import processor


def arguments(description, **more):
    """--blocks and --seconds, and what a benchmark adds: name = (type, default, help)."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a block")
    for name, (kind, default, text) in more.items():
        parser.add_argument(f"--{name}", type=kind, default=default, help=text)
    return parser.parse_args()


def compare(variants, options, images):
    """Print images/s of each variant and its ratio to the first one.

    variants: name -> (one step, the float32 matmul precision it runs under); each step takes
    `images` images. A ratio is the median of the ratios of neighbouring blocks. Returns
    name -> the ratio.
    """
    rates = {name: [] for name in variants}
    for block in range(options.blocks + 1):  # the first warms up
        for name, (step, precision) in variants.items():
            torch.set_float32_matmul_precision(precision)
            steps, start = 0, time.perf_counter()
            while time.perf_counter() - start < options.seconds:
                step()
                steps += 1
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if block:
                rates[name].append(images * steps / (time.perf_counter() - start))
    machine = torch.cuda.get_device_name() if torch.cuda.is_available() else processor()
    print(
        f"{machine}, {torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"medians of {options.blocks} blocks"
    )
    base, found = next(iter(rates)), {}
    print(f"\n| variant | images/s | of {base} |\n|---|---|---|")
    for name, rate in rates.items():
        found[name] = statistics.median(r / p for r, p in zip(rate, rates[base], strict=True))
        print(f"| {name} | {statistics.median(rate):,.0f} | {found[name]:.2f} |", flush=True)
    return found
