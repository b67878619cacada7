import copy

import pytest
import torch
from conftest import same

import ganlib
from ganlib import features, metrics, nets
from ganlib.data import as_float, as_uint8
from ganlib.judge.features import digit_classifier, extract
from ganlib.judge.figures import FIGURES, Figure
from ganlib.keep.card import card


def make(ema=None, **settings):
    torch.manual_seed(0)
    gan = ganlib.GAN(
        nets.ConvGenerator(8, widths=(8, 8), **settings), nets.MLPDiscriminator(), seed=3, ema=ema
    )
    with torch.no_grad():
        next(gan.G.parameters()).mul_(3)
    return gan


@pytest.fixture(scope="module")
def seen(digits):
    """The fakes of `make()` as the classifier sees them, and the digits."""
    gan, classifier = make(), digit_classifier()
    fakes = as_float(as_uint8(gan.sample(400, stream="evaluation/0")))
    return extract(classifier, fakes), extract(classifier, digits.floats(evaluation_order(digits)))


def evaluation_order(data):
    return torch.randperm(len(data), generator=torch.Generator().manual_seed(0))


def test_each_figure_is_that_of_the_metrics(digits, seen):
    """Against the metrics on features that are extracted here."""
    fake, train = seen
    real, others = (
        features.reference(digit_classifier().sha256)[split][:400] for split in ("test", "train")
    )
    found = ganlib.evaluate(make(), digits, n=400, quiet=True)
    for figures, x in ((found, fake), (found["floors"], others)):
        assert figures["frechet_distance"] == pytest.approx(
            metrics.frechet_distance(real, x), rel=1e-6
        )
        assert figures["kid"] == pytest.approx(metrics.kid(real, x, size=200).value, rel=1e-5)
        assert [figures[name] for name in ("precision", "recall")] == pytest.approx(
            metrics.precision_recall(real, x)
        )
        assert [figures[name] for name in ("density", "coverage")] == pytest.approx(
            metrics.density_coverage(real, x)
        )
        logits = digit_classifier().logits(x)
        assert figures["inception_score"] == pytest.approx(
            metrics.inception_score(logits), rel=1e-5
        )
    assert found["floor"] == found["floors"]["frechet_distance"] < found["frechet_distance"] / 100
    without = {"class_diversity", "sliced_wasserstein"}
    assert set(found["intervals"]) == set(found["floors"]) - without and found["missing"] == {}
    assert all(low <= found[name] <= high for name, (low, high) in found["intervals"].items())
    unseen = features.reference(digit_classifier().sha256)["test"]
    assert found["memorised"] == pytest.approx(metrics.memorisation(fake, train, unseen).share)
    shares = metrics.class_histogram(digit_classifier().logits(fake).argmax(1), 10).shares
    assert found["classes"] == pytest.approx(shares) and sum(found["classes"]) == pytest.approx(1)
    assert (found["n_real"], found["n_fake"], found["seed"], found["step"]) == (400, 400, 3, 0)
    assert (
        found["extractor"] == "digit-classifier.safetensors"
        and found["sha256"] == features.DIGITS[1]
    )


def test_random_generators_nets_and_modes_stay(digits):
    gan = make(ema=1000)
    gan.G.eval()
    gan.G.layers[3].train()
    modes = [module.training for module in gan.G.modules()]
    before, state = torch.get_rng_state(), copy.deepcopy(gan.state_dict())
    found = ganlib.evaluate(gan, digits, n=300, quiet=True)
    assert torch.equal(before, torch.get_rng_state()) and same(state, gan.state_dict())
    assert modes == [module.training for module in gan.G.modules()]
    assert found == ganlib.evaluate(gan, digits, n=300, quiet=True), (
        "the same again, with what is kept of the reals"
    )
    raw = ganlib.evaluate(gan, digits, n=300, ema=False, quiet=True)
    assert (found["weights"], raw["weights"]) == ("EMA", "raw")


def test_a_module_of_ones_own_is_run_in_evaluation_mode(digits):
    net = torch.nn.Sequential(
        torch.nn.AvgPool2d(7), torch.nn.Flatten(), torch.nn.BatchNorm1d(16), torch.nn.Dropout()
    )
    state = copy.deepcopy(net.state_dict())
    found = ganlib.evaluate(make(), digits, n=200, extractor=net, quiet=True)
    assert found["extractor"] == "Sequential" and found["sha256"] is None and "classes" not in found
    assert same(dict(state), dict(net.state_dict())) and net.training
    assert found["reference"] == "'digits'" and "memorised" not in found, (
        "a half of the data; nothing is held out"
    )


def test_real_images_in_the_fakes_place_score_the_floor(digits):
    """A G that draws training digits: each figure near its floor, but all of it is memorised."""

    class Copies(torch.nn.Module):
        latent_dim = 2

        def __init__(self, pool):
            super().__init__()
            self.unused, self.pool = torch.nn.Parameter(torch.zeros(1)), pool

        def forward(self, z, labels=None):
            return as_float(self.pool[(z[:, 0] * 7919).frac().abs().mul(len(self.pool)).long()])

    gan = ganlib.GAN(
        Copies(digits.images[evaluation_order(digits)[:1000]]), nets.MLPDiscriminator(), seed=0
    )
    data = digits.subset(evaluation_order(digits)[:1000])
    found = ganlib.evaluate(gan, data, n=1000, quiet=True)
    assert (
        found["memorised"] > 0.99
        and found["precision"] > 0.75
        and found["inception_score"] > 9 * 0.75
    )
    assert found["frechet_distance"] < 5 * found["floor"]
    low, high = found["intervals"]["frechet_distance"]
    assert low < found["frechet_distance"] < high


def test_the_interval_of_the_distance_covers_fresh_samples(digits):
    """Its width against the spread over eight other noises, which is what it is to say.

    They agree within a factor of two.
    """
    gan, classifier = make(), digit_classifier()
    real = features.reference(classifier.sha256)["test"][:300]
    found = ganlib.evaluate(gan, digits, n=300, quiet=True)
    fresh = [
        metrics.frechet_distance(real, extract(classifier, gan.sample(300, stream=f"{i}")))
        for i in range(8)
    ]
    low, high = found["intervals"]["frechet_distance"]
    assert low < torch.tensor(fresh).mean() < high
    assert (
        torch.tensor(fresh).std() < (high - low) / 3.92 * 2
    )  # the bootstrap also draws the real images again


def test_a_conditional_g_is_asked_for_the_labels_of_the_data(digits):
    gan, asked = make(classes=10), []
    gan.G.register_forward_pre_hook(lambda net, inputs: asked.append(inputs[1]))
    found = ganlib.evaluate(gan, digits, n=300, quiet=True)
    labels = torch.cat(asked)
    assert torch.equal(labels, digits.labels[evaluation_order(digits)[:300]])
    classifier = digit_classifier()
    logits = classifier.logits(extract(classifier, gan.sample(300, labels, stream="evaluation/0")))
    assert found["accuracy"] == pytest.approx(
        (logits.argmax(1) == labels).double().mean().item(), abs=0.01
    )
    assert found["cross_entropy"] == pytest.approx(metrics.cross_entropy(logits, labels), rel=0.01)
    assert "accuracy" not in found["floors"]


def test_it_prints_one_table(digits, capsys):
    found = ganlib.evaluate(make(), digits, n=200)
    said = capsys.readouterr().out
    assert said == f"{found}\n" and len(said.splitlines()) == 19
    assert (
        "200 fakes (raw weights, step 0, seed 3) and 200 real images of MNIST's test digits" in said
    )
    assert "SHA-256 d797e4b3a9a1" in said and "95 % interval" in said
    row = next(line for line in said.splitlines() if line.startswith("frechet_distance"))
    low, high = found["intervals"]["frechet_distance"]
    assert row.split() == [
        "frechet_distance",
        f"{found['frechet_distance']:.4g}",
        f"{low:.4g}",
        "to",
        f"{high:.4g}",
        f"{found['floor']:.4g}",
        "lower",
    ]


def test_images_of_ones_own_are_judged_against_a_half_or_what_was_held_out(digits):
    own = ganlib.Images(digits.images[:700], name="mine")
    found = ganlib.evaluate(make(), own, extractor="digits", quiet=True)
    assert found["n_real"] == 350 and found["reference"] == "'mine'" and found["floor"] > 0
    rest = ganlib.Images(digits.images[700:1500], name="rest")
    found = ganlib.evaluate(make(), own, extractor="digits", held_out=rest, quiet=True)
    assert (
        found["n_real"] == 800 and found["reference"] == "'rest', held out" and "memorised" in found
    )
    other = ganlib.evaluate(
        make(), own, 128, "digits", held_out=ganlib.Images(digits.images[:400] // 2), quiet=True
    )
    again = ganlib.evaluate(
        make(), own, 128, "digits", held_out=ganlib.Images(digits.images[700:1500]), quiet=True
    )
    assert other["floor"] > 5 * again["floor"], "two sets of one name are two sets"
    assert found["floor"] is None, "700 images cannot stand in the place of 800 fakes"


@pytest.mark.parametrize(
    "what, settings, message",
    [
        ("digits", {"n": 0}, "n=0 was given; a whole number of at least 1"),
        ("digits", {"n": 20_000}, "n=20000 was given, and there are 10000 real images"),
        (
            "mine",
            {"extractor": "digits", "n": 6000},
            "5000 real images.*one half of them is for the floor",
        ),
        ("mine", {"extractor": "digit"}, "unknown extractor 'digit'; .*did you mean 'digits'"),
        (
            "digits",
            {"extractor": lambda x: x},
            "the extractor function returned torch.float32 .*a row per",
        ),
        ("digits", {"extractor": lambda x: x.flatten(1) / 0}, "not finite"),
    ],
)
def test_bad_input(digits, what, settings, message):
    with pytest.raises(ValueError, match=message):
        ganlib.evaluate(make(), ganlib.Images(digits.images, name=what, known=what), **settings)


def test_a_conditional_g_needs_labels(digits):
    with pytest.raises(ValueError, match="'digits' has no labels for it"):
        ganlib.evaluate(
            make(classes=10), ganlib.Images(digits.images, name="digits", known="digits"), n=200
        )


def test_the_reference_is_of_one_extractor_and_whole(monkeypatch):
    with pytest.raises(
        ValueError, match="made by the extractor d797e4b3a9a1, the fakes are read by 0123"
    ):
        features.reference("0123")
    stored = features.reference(features.DIGITS[1])
    assert {split: tuple(x.shape) for split, x in stored.items()} == {
        "train": (10_000, 64),
        "test": (10_000, 64),
    }
    monkeypatch.setattr(features, "REFERENCE", (features.REFERENCE[0], "0" * 64))
    with pytest.raises(OSError, match="corrupt"):
        features.reference(features.DIGITS[1])


def test_held_out_images_leave_nothing_behind(digits):
    """What nobody can ask for again is not kept: two evaluations keep as much as one."""
    own, rest = digits.subset(slice(0, 300)), ganlib.Images(digits.images[300:600], name="rest")
    own.known = None
    kept = []
    for _ in range(2):
        ganlib.evaluate(make(), own, 128, "digits", held_out=rest, quiet=True)
        kept.append((len(own._features), len(rest._features)))
    assert kept == [(2, 1), (2, 1)], "features and colours of `own`, features of `rest`"


def test_the_table_of_figures_is_what_is_measured(digits):
    """A figure that joins the table is measured, and is in the table of `evaluate` and the card."""
    new = Figure("spread", lambda seen: seen.fake.std().item(), "higher", lambda seen, value: 0.5)
    before = ganlib.evaluate(make(), digits, 128, quiet=True)
    assert set(FIGURES) >= set(before["intervals"]) and "spread" not in before
    FIGURES["spread"] = new
    try:
        found = ganlib.evaluate(make(), digits.subset(slice(None)), 128, quiet=True)
        assert found["spread"] > 0 and found["intervals"]["spread"] == (
            found["spread"] - 0.98,
            found["spread"] + 0.98,
        )
        assert (
            "spread" in found["floors"]
            and "higher" in str(found).partition("spread")[2].splitlines()[0]
        )
        assert "| spread |" in card(
            {
                "license": "x",
                "name": "x",
                "notice": "x",
                "onnx": "x",
                "class_names": [],
                "trained_on": {},
                "generator": {"net": "G"},
                "weights": "G",
                "steps": 1,
                "images_seen": 1,
                "seed": 1,
                "precision": "float32",
                "library": "x",
                "input": {"labels": None},
            },
            found,
            [],
            [],
        )
    finally:
        del FIGURES["spread"]
