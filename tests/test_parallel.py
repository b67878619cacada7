"""The command line in two processes, started by torchrun; see test_equal.py, test_several.py."""

import os
import subprocess
import sys

from conftest import ROOT


def torchrun(n, *command, **environment):
    bare = {k: v for k, v in os.environ.items() if not k.startswith("TORCHELASTIC")} | environment
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        f"--nproc-per-node={n}",
    ]
    return subprocess.run(
        [*launch, *map(str, command)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        env=bare,
    )


def test_the_command_line_under_torchrun(tmp_path):
    """As it stands: one writer, one voice; the run goes on in one process with the double batch."""
    out = tmp_path / "run"
    options = ["--device", "cpu", "--recipe", "small", "--out", out]
    synced = "--sync-batch-norm"
    done = torchrun(2, "-m", "ganlib", "train", *options, synced, "--batch-size", 8, "--steps", 6)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("saved at step 6") == 1 and done.stdout.count("a fresh start") == 1
    assert {p.name for p in out.iterdir()} == {
        "checkpoint.pt",
        "history.json",
        "latest.png",
        "pictures",
    }
    command = [
        sys.executable,
        "-m",
        "ganlib",
        "train",
        *map(str, options),
        "--batch-size",
        "16",
        "--steps",
        "8",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "going on from step 6 (96 images)" in done.stdout, done.stderr


def test_clocks_agree(tmp_path):
    """Ended by clocks that differ: both end at the same step, and neither waits for ever."""
    out = tmp_path / "run"
    done = torchrun(
        2,
        "-m",
        "ganlib",
        "train",
        "--device",
        "cpu",
        "--until",
        "2s",
        "--batch-size",
        10,
        "--out",
        out,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("saved at step") == 1
