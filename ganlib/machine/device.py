"""Pick the fastest device, seed torch, and print in one line what to expect of a run."""

import os
import platform
from pathlib import Path

import torch

from .randomness import whole_seed
from .trials import medium_is_float32, step_seconds, threads_to_use

LOOP = 1.3  # a step of the loop against `step_seconds`: benchmarks/LOG.md, 2026-11-25
PRECISIONS = ("float32", "bf16")
COLAB = " This Colab runtime has no GPU: Runtime > Change runtime type > T4 GPU, then Run all."


class choice:
    """What `setup` chose for this process: the defaults of a `GAN`."""

    precision, device, threads = "float32", None, None  # threads: those given, or None
    usual = None, None  # threads of a quiet machine; threads that a trial then chose


def setup(seed=0, device=None, threads=None, precision="float32"):
    """Seed torch; return the device (CUDA, else Apple's MPS, else CPU) and print a line about it.

    precision: "float32"; "bf16" (training under autocast); or "fast": bf16 on a CPU or a GPU with
        units for it, where it was measured to be faster, else float32.
    threads: of the CPU. By default torch's number, or fewer where a trial shows that to be faster,
        on busy cores; `train` goes on trying, and a checkpoint keeps them.

    A CPU's matmul precision for float32 becomes "medium", often faster, if a trial shows float32's
    error; else "highest". Raises ValueError for a device or number that it cannot set.
    """
    torch.manual_seed(whole_seed(seed))  # by itself torch takes 1.5 for 1
    fastest = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        device = torch.device(fastest if device is None else device)
    except (RuntimeError, TypeError):
        raise ValueError(f"device={device!r} was given; cuda, mps or cpu is expected") from None
    if device.type not in ("cpu", fastest.type):
        raise ValueError(
            f"device={str(device)!r} was given, but this machine offers {fastest.type} only; leave "
            "it out"
        )
    if precision == "fast":
        precision = "bf16" if _has_bf16(device) else "float32"
    if precision not in PRECISIONS:
        raise ValueError(
            f'precision={precision!r} was given; "float32", "bf16" or "fast" is expected'
        )
    choice.precision, choice.device, choice.threads = precision, device, threads
    if threads is None and device.type == "cpu":
        if choice.usual[1] == torch.get_num_threads():  # fewer than usual, by an earlier trial
            torch.set_num_threads(choice.usual[0])
        usual, (threads, why) = torch.get_num_threads(), threads_to_use(precision)
        choice.usual = usual, threads
        if why:
            print(why, flush=True)
    if threads is not None:
        torch.set_num_threads(threads)
    medium = device.type == "cpu" and medium_is_float32()
    torch.set_float32_matmul_precision("medium" if medium else "highest")
    print(describe(device), flush=True)
    return device


def describe(device):
    """Return one line: the device, the precision, and how long a run takes."""
    untimed = f"{choice.precision}. Usually much faster than a CPU: docs/speed.md has times"
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        return f"GPU: {card.name}, {card.total_memory / 2**30:.0f} GiB, {untimed}."
    if device.type != "cpu":
        return f"GPU: {device.type}, {untimed}."
    minutes = 1e4 * LOOP * step_seconds(choice.precision) / 60  # 100 images a step
    line = (
        f"CPU: {processor()}, {torch.get_num_threads()} threads, {choice.precision}. A million "
        f"images of the classic recipe take about {minutes:.{0 if minutes >= 10 else 1}f} min."
    )
    return line + COLAB * ("COLAB_RELEASE_TAG" in os.environ)


def processor():
    """Return the name of the processor."""
    return _cpuinfo("model name") or platform.machine()


def _cpuinfo(field):
    """Return one field of Linux's /proc/cpuinfo, "" if there is none."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(field)), "")


def _has_bf16(device):
    """Whether the device multiplies bf16 natively; without that bf16 is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    units = "avx512_bf16", "amx_bf16"
    return device.type == "cpu" and any(unit in _cpuinfo("flags").split() for unit in units)
