"""Device: pick the fastest one there is, seed everything, and say in one line what to expect."""

import os
import platform
import time
from pathlib import Path

import torch
from torch.nn.functional import linear

OPERATIONS = 32.1e6  # per image of the classic recipe
# the part of the measured rate that the classic loop reached in quiet minutes: benchmarks/LOG.md, 2026-11-23
REACHED = {"float32": 0.55, "bf16": 0.4}

PRECISIONS = ("float32", "bf16")


class choice:
    """What `setup` chose for this process; a `GAN` takes it unless it is told otherwise."""

    precision = "float32"


def setup(seed=0, device=None, threads=None, precision="float32"):
    """Seed torch, pick the device (CUDA, else Apple's MPS, else the CPU), print one line about it and return it.

    precision: "float32"; "bf16" (training under autocast); or "fast": bf16 on a CPU that has units for it, where it
        was measured to pay, else float32.
    threads: of the CPU; torch's own choice by default. Both decide the low bits of a run.

    For float32 on a CPU torch's matmul precision "medium" is set, on many machines the faster way to the same
    products, where a trial shows that its error is that of float32; else "highest".
    """
    torch.manual_seed(seed)
    found = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        device = torch.device(found if device is None else device)
    except RuntimeError:
        raise ValueError(f"device={device!r} was given; cuda, mps or cpu is expected") from None
    if device.type not in ("cpu", found.type):
        raise ValueError(f"device={str(device)!r} was given, but this machine offers {found.type} only; leave it out")
    if threads is not None:
        torch.set_num_threads(threads)
    if precision == "fast":
        precision = "bf16" if device.type == "cpu" and _has_bf16() else "float32"
    if precision not in PRECISIONS:
        raise ValueError(f'precision={precision!r} was given; "float32", "bf16" or "fast" is expected')
    choice.precision = precision
    medium = device.type == "cpu" and _medium_is_float32()
    torch.set_float32_matmul_precision("medium" if medium else "highest")
    print(describe(device), flush=True)
    return device


def describe(device):
    """One line: name, memory, precision, and what it means for the run's time."""
    untimed = f"{choice.precision}. Usually many times faster than a CPU; ganlib has not been timed on it"
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        return f"GPU: {card.name}, {card.total_memory / 2**30:.0f} GiB, {untimed}."
    if device.type != "cpu":
        return f"GPU: {device.type}, {untimed}."
    rate = _rate()
    minutes = OPERATIONS * 1e6 / (REACHED[choice.precision] * rate) / 60
    line = (
        f"CPU: {_cpuinfo('model name') or platform.machine()}, "
        f"{torch.get_num_threads()} threads, {_memory():.0f} GiB, "
        f"{choice.precision} at {rate / 1e9:,.0f} GFLOP/s. A million images of the classic recipe take about "
        f"{max(1, round(minutes))} min."
    )
    if "COLAB_RELEASE_TAG" in os.environ:
        line += " This Colab runtime has no GPU: Runtime > Change runtime type > T4 GPU, then Run all."
    return line


def _trial():
    """The classic D's first layer on one batch of reals and fakes, from numbers of its own."""
    draws = torch.Generator().manual_seed(0)
    return torch.randn(200, 784, generator=draws), torch.randn(1024, 784, generator=draws)


def _medium_is_float32():
    """Whether "medium" keeps float32's accuracy here; processors with bf16 matrix units may round to bf16 instead."""
    x, weight = _trial()
    exact, errors = linear(x.double(), weight.double()), {}
    before = torch.get_float32_matmul_precision()
    for precision in ("highest", "medium"):
        torch.set_float32_matmul_precision(precision)
        errors[precision] = (linear(x, weight) - exact).abs().max().item()
    torch.set_float32_matmul_precision(before)
    return errors["medium"] <= 5 * errors["highest"]


def _rate(seconds=0.2):
    """Operations per second of that layer in the chosen precision: the best of several, since machines are shared."""
    dtype = torch.bfloat16 if choice.precision == "bf16" else torch.float32
    x, weight = (tensor.to(dtype) for tensor in _trial())
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        linear(x, weight)
        best = min(best, time.perf_counter() - start)
    return 2 * x.numel() * len(weight) / best


def _cpuinfo(field):
    """One field of Linux's /proc/cpuinfo, "" where there is none."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(field)), "")


def _has_bf16():
    """Whether the processor multiplies bf16 natively; without that, bf16 on a CPU is slower than float32."""
    return any(unit in _cpuinfo("flags").split() for unit in ("avx512_bf16", "amx_bf16"))


def _memory():
    """GiB of memory of the machine."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, ValueError):  # Windows has no sysconf
        return float("nan")
