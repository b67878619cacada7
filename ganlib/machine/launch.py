"""Joining the processes that torchrun launched, and leaving them."""

import os
import sys

import torch
from torch import distributed


def start(device=None):
    """Join the processes that torchrun launched, if it did; returns this one's device, or what was asked for.

    All but the first of them stop talking.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ or distributed.is_initialized():
        return device
    cuda = torch.cuda.is_available() if device is None else str(device).startswith("cuda")
    distributed.init_process_group("nccl" if cuda else "gloo")
    if distributed.get_rank():
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, for the rest of this process
    if not cuda:
        return device
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    torch.cuda.set_device(device)
    return device


def end(status=0):
    """Leave the other processes, if there are any, and end this one, its work done, with an exit status.

    Not by the interpreter's own way out: there gloo's threads aborted about one run in ten (torch 2.15).
    """
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
