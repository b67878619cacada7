"""Run checks, each even if another has failed, and write their results and this machine into a
report.
"""

import os
import platform
import subprocess
import time
import warnings
from contextlib import redirect_stdout
from importlib import import_module
from io import StringIO
from typing import NamedTuple

import torch

from ...machine.device import choice, describe, processor
from .playing import Fault, NotTried, expect

KINDS = "passed", "FAILED", "not tried"


class Result(NamedTuple):
    """What became of a check: one of `KINDS`, its seconds, and a reason or remark."""

    name: str
    kind: str
    seconds: float = 0.0
    remark: str = ""

    def __str__(self):
        told = f": {self.remark}" if self.remark else ""
        return f"{self.name:30}{self.seconds:7.1f} s  {self.kind}{told}"


def tried(name, check, device):
    """Return the `Result` of a check. What it prints is left out."""
    start, kind = time.monotonic(), "FAILED"
    try:
        with redirect_stdout(StringIO()), warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            remark = check(device) or ""
        away = [str(each.message) for each in seen if "fall back to run on the CPU" in str(each)]
        expect(not away, away and away[0])
        kind = "passed"
    except NotTried as error:
        kind, remark = "not tried", str(error)
    except Exception as error:  # of any kind: the other checks still run
        first = next(iter(str(error).splitlines()), "")
        remark = first if isinstance(error, Fault) else f"{type(error).__name__}: {first}"
    return Result(name, kind, time.monotonic() - start, remark)


def counted(results):
    """Return "N passed, N failed, N not tried"."""
    kinds = [result.kind for result in results]
    return ", ".join(f"{kinds.count(kind)} {kind.lower()}" for kind in KINDS)


def machine(device):
    """Return a dict of texts that describe the machine: device, driver, versions, precision."""
    cuda = device.type == "cuda"
    card = torch.cuda.get_device_properties(device) if cuda else None
    about = {
        "ganlib": import_module("ganlib").__version__,
        "device": f"{device}: {card.name}, {card.total_memory / 2**30:.0f} GiB, compute capability "
        f"{card.major}.{card.minor}"
        if cuda
        else f"{device}: {processor()}, {torch.get_num_threads()} threads",
        "driver": _driver() if cuda else "none: this is no CUDA device",
        "CUDA": f"{torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}" * cuda
        or f"not used (torch is built for {torch.version.cuda or 'none'})",
        "torch": torch.__version__,
        "Python": platform.python_version(),
        "system": platform.platform(),
        "precision": f"{choice.precision}, products of matrices "
        f'"{torch.get_float32_matmul_precision()}"'
        + f", convolutions {'TF32' if torch.backends.cudnn.allow_tf32 else 'float32'}"
        * cuda,
        "setup says": describe(device),
    }
    if device.type == "mps":
        away = os.environ.get("PYTORCH_ENABLE_MPS_FALLBACK", "unset")
        about["PYTORCH_ENABLE_MPS_FALLBACK"] = f"{away}; a step that falls back has failed"
    return about


def _driver():
    """Return the version of NVIDIA's driver."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
        return said.stdout.split()[0]
    except (OSError, subprocess.SubprocessError, IndexError) as error:
        return f"unknown ({type(error).__name__} of nvidia-smi)"


def markdown(about, results, count):
    """Return the report in Markdown; `count` is the number of all checks, also of those to come."""
    left = count - len(results)
    lines = [
        "# Self-test of ganlib",
        "",
        f"**{counted(results)}**" + f"; {left} still to come, or cut off" * bool(left),
        "",
        f"python -m ganlib selftest, {time.strftime('%Y-%m-%d %H:%M')}, "
        f"{sum(result.seconds for result in results):.0f} s",
        "",
        *_table(("machine", ""), about.items()),
        "",
        *_table(
            ("check", "seconds", "result", "remark"),
            ((name, f"{seconds:.1f}", kind, told) for name, kind, seconds, told in results),
        ),
    ]
    return "\n".join(lines) + "\n"


def _table(heads, rows):
    for row in (heads, ["---"] * len(heads), *rows):
        yield "| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |"
