"""A run and an exported generator from before the module had rooms: they load, the run goes on."""

import json
import shutil
from functools import partial

import pytest
import torch
from conftest import ROOT

import ganlib
from ganlib import augment, losses, nets, schedules

MADE = ROOT / "tests" / "made_before"  # in float64, so that other machines' low bits do not matter
EXPECTED = json.loads((MADE / "expected.json").read_text())


def test_a_run_made_before_goes_on_as_it_would_have_then(digits, tmp_path):
    """20 steps from its step 40: the weights, and what is drawn, as the module then left them."""
    shutil.copytree(MADE / "run", tmp_path / "run")
    torch.manual_seed(0)
    G = nets.CompactGenerator(12, widths=(8, 4), classes=10)
    D = nets.CompactDiscriminator(widths=(4, 8), classes=10)
    lr, ema = (
        schedules.Linear(((0, 1e-4), (300, 2e-3), (2000, 1e-3))),
        schedules.Linear(((0, 0), (1000, 300))),
    )
    gan = ganlib.GAN(G, D, lr=lr, betas=(0.0, 0.99), seed=7, ema=ema, precision="float32").to(
        dtype=torch.float64
    )
    assert ganlib.resume(tmp_path / "run", gan) and gan.step == 40 and len(gan.history) == 5
    game = {
        "objective": losses.relativistic,
        "penalty": losses.approximate_r1_r2(0.3, 0.05),
        "augment": augment.ada,
    }
    for _ in ganlib.train(
        gan, digits, partial(ganlib.gan_step, **game), until=60, batch_size=10, record_every=10
    ):
        pass
    for name, (total, norm) in EXPECTED["weights at step 60: sum, norm"].items():
        net, _, key = name.partition(".")
        weight = getattr(gan, net).state_dict()[key].double()
        assert [weight.sum().item(), weight.norm().item()] == pytest.approx(
            [total, norm], abs=1e-7, rel=1e-7
        ), name
    means = gan.sample(10).mean((1, 2, 3)).tolist()
    assert means == pytest.approx(EXPECTED["sample at step 60: mean of each image"], abs=1e-7)


def test_a_generator_exported_before_draws_the_same():
    G = ganlib.load_generator(MADE / "exported")
    z = torch.randn(10, 12, generator=torch.Generator().manual_seed(0)).to(
        next(G.parameters()).dtype
    )
    means = G(z, torch.arange(10)).double().mean((1, 2, 3)).tolist()
    assert means == pytest.approx(
        EXPECTED["drawn by the exported generator: mean of each image"], abs=1e-4
    )
    assert G.config["steps"] == 40 and G.config["class_names"] == list("0123456789")
