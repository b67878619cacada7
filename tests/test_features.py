import shutil

import pytest
import torch

import ganlib
from ganlib import features, metrics
from ganlib.data import as_float


@pytest.fixture(scope="module")
def classifier():
    return features.digit_classifier()


def test_the_classifier_reads_digits(classifier, digits):
    """On digits it was trained on; the figure for the 10,000 test digits is in benchmarks/LOG.md."""
    x = features.extract(classifier, as_float(digits.images[:2000]))
    assert x.shape == (2000, 64) and x.dtype == torch.float32
    right = classifier.logits(x).argmax(1) == digits.labels[:2000]
    assert right.double().mean() > 0.99
    assert not classifier.training and not any(p.requires_grad for p in classifier.parameters())
    assert classifier.name == "digit-classifier.safetensors" and classifier.sha256 == features.DIGITS[1]


def test_the_parts_of_a_batch_do_not_matter(classifier, digits):
    images = as_float(digits.images[:70])
    assert torch.allclose(features.extract(classifier, images, 7), features.extract(classifier, images), atol=1e-5)


def test_the_distance_orders_what_the_eye_orders(classifier, digits):
    """Half of the digits against the other half, then blurred, then one digit missing, then static."""
    images = as_float(digits.images)
    one, other = (features.extract(classifier, part) for part in images.split(5000))
    blurred = torch.nn.functional.avg_pool2d(images[5000:], 3, 1, 1)
    missing = other[digits.labels[5000:] != 4]
    static = torch.rand(2000, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1
    floor = metrics.frechet_distance(one, other)
    distances = [metrics.frechet_distance(one, x) for x in (missing, features.extract(classifier, blurred),
                                                            features.extract(classifier, static))]  # fmt: skip
    assert all(distance > 2 * floor for distance in distances) and distances[2] > 20 * floor


def test_looking_draws_no_random_numbers(classifier, digits):
    before = torch.get_rng_state()
    features.extract(classifier, as_float(digits.images[:10]))
    features.digit_classifier()
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("images", [torch.zeros(2, 3, 32, 32), torch.zeros(2, 1, 28, 28, dtype=torch.uint8)])
def test_other_images_are_refused(classifier, images):
    with pytest.raises(ValueError, match=r"float \(N, 1, 28, 28\) in \[-1, 1\], and digits only"):
        classifier(images)


def test_corrupt_weights_are_named(tmp_path, monkeypatch):
    shutil.copytree(features.files("ganlib") / "assets", tmp_path / "assets")
    file = tmp_path / "assets" / features.DIGITS[0]
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    monkeypatch.setattr(features, "files", lambda package: tmp_path)
    with pytest.raises(OSError, match=r"digit-classifier.safetensors is corrupt.*install ganlib again"):
        features.digit_classifier()


def test_the_front_door_opens_to_metrics():
    assert ganlib.metrics is metrics
