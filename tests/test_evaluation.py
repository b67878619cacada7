import pytest
import torch
from conftest import same

import ganlib
from ganlib import metrics, nets
from ganlib.features import digit_classifier, extract


def make(ema=None, **settings):
    torch.manual_seed(0)
    return ganlib.GAN(nets.ConvGenerator(8, widths=(8, 8), **settings), nets.MLPDiscriminator(), seed=3, ema=ema)


def test_the_figure_and_its_conditions(digits):
    gan = make(ema=1000)
    with torch.no_grad():
        next(gan.G.parameters()).mul_(3)
    before, state = torch.get_rng_state(), {n: v.clone() for n, v in gan.G.state_dict().items()}
    found = ganlib.evaluate(gan, digits, n=400)
    raw = ganlib.evaluate(gan, digits, n=400, ema=False)
    assert torch.equal(before, torch.get_rng_state()) and same(state, dict(gan.G.state_dict())) and gan.G.training
    assert found == ganlib.evaluate(gan, digits, n=400)
    assert (found["n_real"], found["n_fake"], found["weights"], raw["weights"]) == (400, 400, "EMA", "raw")
    assert (found["seed"], found["step"]) == (3, 0) and found["extractor"] == "digit-classifier.safetensors"
    assert found["frechet_distance"] != raw["frechet_distance"]
    assert sum(found["classes"]) == pytest.approx(1, abs=1e-5) and len(found["classes"]) == 10
    classifier = digit_classifier()
    fake = extract(classifier, gan.sample(400, stream="evaluation/0"))
    order = torch.randperm(len(digits), generator=torch.Generator().manual_seed(0))[:800]
    real, others = extract(classifier, digits.floats(order)).split(400)
    assert found["frechet_distance"] == pytest.approx(metrics.frechet_distance(real, fake), rel=1e-9)
    assert found["floor"] == pytest.approx(metrics.frechet_distance(real, others), rel=1e-9)
    assert found["floor"] < found["frechet_distance"] / 100


def test_a_conditional_g_is_asked_for_the_labels_of_the_reals(digits):
    gan = make(classes=10)
    asked = []
    gan.G.register_forward_pre_hook(lambda net, inputs: asked.append(inputs[1]))
    ganlib.evaluate(gan, digits, n=300)
    order = torch.randperm(len(digits), generator=torch.Generator().manual_seed(0))[:300]
    assert torch.equal(torch.cat(asked), digits.labels[order])


def test_any_module_extracts(digits):
    found = ganlib.evaluate(
        make(), digits, n=200, extractor=torch.nn.Sequential(torch.nn.AvgPool2d(7), torch.nn.Flatten())
    )
    assert found["extractor"] == "Sequential" and found["sha256"] is None and "classes" not in found


def test_a_conditional_g_needs_labels(digits):
    with pytest.raises(ValueError, match="'images' has no labels to ask it for"):
        ganlib.evaluate(make(classes=10), ganlib.Images(digits.images), n=200)


def test_too_few_images(digits):
    with pytest.raises(ValueError, match="n=64 was given; at least 128"):
        ganlib.evaluate(make(), digits, n=64)
    with pytest.raises(ValueError, match="'digits' has 10000 images; twice n are needed.*n=5000 at most"):
        ganlib.evaluate(make(), digits, n=6000)
