"""Two processes by torchrun's rendezvous, over gloo, against one process with the double batch."""

import os
import subprocess
import sys

import pytest
import torch
from conftest import ROOT, same

WORKER = (
    """
import sys
from functools import partial
import torch
import ganlib
from ganlib import losses, nets, schedules
from ganlib.machine import launch, processes
from ganlib.game.gan import GAN

out, name = sys.argv[1:]
launch.start()
torch.set_num_threads(1)
rank, world = processes.place()
"""
    "torch.manual_seed(0 if rank == 0 else 99)"
    "  # other weights in the second process: the first one's are shared"
    """
spectral = "spectral" if name == "spectral" else None
D = nets.ConvDiscriminator(widths=(8, 8), norm=spectral).double()
lr = schedules.Linear(((0, 1e-3), (100, 1e-4)))
"""
    "gan = GAN(nets.ResidualGenerator(8, widths=(8, 8, 8)).double(), D, "
    "lr=lr, betas=(0.0, 0.9), seed=0, ema=50)"
    """
penalty = {"r1_r2": losses.r1_r2(1.0), "wgan-gp": losses.gradient_penalty(), "spectral": None,
           "approximate": losses.approximate_r1_r2(1.0)}[name]
objective = losses.wasserstein if name == "wgan-gp" else losses.relativistic
step = partial(ganlib.gan_step, objective=objective, penalty=penalty, n_critic=2)

if world == 1:  # one process, the double batch: the noise of both ranks, one after the other
    def noise_now(n, stream):
        return torch.cat([gan.noise(n // 2, stream, gan.step, rank) for rank in (0, 1)])
    class Both:  # random numbers for one pass over [reals of 0, reals of 1, fakes of 0, fakes of 1]
        pass
    gan.noise_now = noise_now

digits = ganlib.load("digits")
for now in ganlib.train(gan, digits, step, until=6, batch_size=10 if world == 2 else 20):
    pass
torch.save({"state": {k: v for k, v in gan.state_dict().items() if k in ("G", "D", "G_ema")},
            "images": gan.images_seen}, f"{out}/{name}-{world}-{rank}.pt")
launch.end()
"""
)


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


@pytest.mark.parametrize("name", ["r1_r2", "spectral"])
def test_two_processes_equal_one_with_the_double_batch(name, tmp_path):
    worker = tmp_path / "worker.py"
    worker.write_text(WORKER)
    for n in (2, 1):
        done = torchrun(n, worker, tmp_path, name, PYTHONPATH=str(ROOT))
        assert done.returncode == 0, done.stderr[-3000:]
    first, second, one = (torch.load(tmp_path / f"{name}-{w}.pt") for w in ("2-0", "2-1", "1-0"))
    assert same(first, second)  # bit for bit: the two never drift
    assert first["images"] == one["images"] == 6 * 2 * 20
    for net in ("G", "D", "G_ema"):
        for key, value in first["state"][net].items():
            assert torch.allclose(value, one["state"][net][key], rtol=0, atol=1e-10), (net, key)


def test_the_command_line_under_torchrun(tmp_path):
    """As it stands: one writer, one voice; the run goes on in one process with the double batch."""
    out = tmp_path / "run"
    options = ["--device", "cpu", "--recipe", "small", "--out", out]
    done = torchrun(2, "-m", "ganlib", "train", *options, "--batch-size", 8, "--steps", 6)
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
