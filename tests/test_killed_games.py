"""Runs of words and of clips, killed by SIGKILL at any moment, go on bit for bit."""

import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
from conftest import ROOT, same

import ganlib
from ganlib.games import clips, words
from ganlib.keep.checkpoint import newest

KINDS = "words", "frames", "moved", "path", "pairs"
CHILD = """
import sys
sys.path[:0] = sys.argv[1:3]
import ganlib
import test_killed_games as test

runs = {f"{sys.argv[3]}/{name}": test.steps(name, 10_000) for name in test.KINDS}
while True:  # a step of each in turn
    for folder, (gan, run) in runs.items():
        next(run)
        ganlib.save(folder, gan)
"""


def steps(name, until, folder=None):
    """A fresh GAN of small nets, and the run that trains it."""
    torch.manual_seed(0)
    if name == "words":
        data = words.numbers(60, seed=3)
        made = words.recipe(data, images=40_000, latent_dim=8)
    else:
        data = (clips.pairs if name == "pairs" else clips.gliding)(60, seed=3)
        kind = "path" if name == "pairs" else name
        made = clips.recipe(data, kind, images=40_000, latent_dim=20)
    made = replace(made, G=made.G.but(widths=(6, 4)), D=made.D.but(widths=(4, 6)))
    gan = made.gan(seed=5)
    if folder is not None:
        ganlib.resume(folder, gan)
    return gan, ganlib.train(gan, data, made, until=until, batch_size=6)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The folder of runs whose process was killed between two steps, or within a save."""
    folder = tmp_path_factory.mktemp("killed")
    command = [sys.executable, "-c", CHILD, ROOT, ROOT / "tests", folder]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    end = time.monotonic() + 120
    while time.monotonic() < end and child.poll() is None:
        try:
            if min(newest(folder / name)["state"]["step"] for name in KINDS) >= 3:
                break
        except OSError:
            time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL, child.stderr.read()[-2000:]
    return folder


@pytest.mark.parametrize("name", KINDS)
def test_a_killed_run_goes_on_bit_for_bit(name, killed):
    at = newest(killed / name)["state"]["step"]
    assert at >= 3
    again, rest = steps(name, at + 3, folder=killed / name)
    assert again.step == at
    for _ in rest:
        pass
    whole, run = steps(name, at + 3)
    for _ in run:
        pass
    here, there = again.state_dict(), whole.state_dict()
    apart = {"trained_on": None, "history": None}
    assert here["step"] == at + 3 and same({**here, **apart}, {**there, **apart})
