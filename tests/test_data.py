import gzip
import hashlib
import pickle
import tarfile
import urllib.error

import numpy
import pytest
import torch

import ganlib
from ganlib.data import as_float, as_uint8, loading
from ganlib.judge.evaluation import settle
from ganlib.machine import assets


def test_digits_are_the_first_ten_thousand_of_mnist(digits):
    assert (digits.images.shape, digits.images.dtype) == ((10_000, 1, 28, 28), torch.uint8)
    assert (digits.labels.shape, digits.labels.dtype) == ((10_000,), torch.int64)
    assert digits.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert digits.labels.bincount().tolist() == [
        1001,
        1127,
        991,
        1032,
        980,
        863,
        1014,
        1070,
        944,
        978,
    ]
    assert (
        digits.name == "digits" and digits.classes == tuple("0123456789") and len(digits) == 10_000
    )
    found = hashlib.sha256(
        digits.images.numpy().tobytes() + digits.labels.numpy().tobytes()
    ).hexdigest()
    assert found == "64b98585cca66a5e31b1d8309fbbb1c25c05962303535a6a3e57e787f5818d8f"


def test_a_corrupt_asset_is_named(tmp_path, monkeypatch):
    for name in loading.DIGITS:
        content = bytearray((assets.FOLDER / name).read_bytes())
        content[len(content) // 2] ^= 1
        (tmp_path / name).write_bytes(content)
    monkeypatch.setattr(assets, "FOLDER", tmp_path)
    with pytest.raises(
        OSError,
        match=r"digits-images-idx3-ubyte.gz is corrupt: its SHA-256 is .* install ganlib again",
    ):
        ganlib.load("digits")


def test_floats_and_bytes_round_trip():
    values = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    x = as_float(values)
    assert (x.min(), x.max(), x.dtype) == (-1, 1, torch.float32)
    assert torch.equal(as_uint8(x), values) and torch.equal(
        as_uint8(as_float(values, torch.float64)), values
    )
    assert as_uint8(torch.tensor([-7.0, 7.0])).tolist() == [0, 255]
    expected = (values.double() / 255 - 0.5) / 0.5  # ToTensor and Normalize(0.5, 0.5)
    assert torch.allclose(as_float(values, torch.float64), expected, rtol=0, atol=1e-15)


def test_batches_are_a_function_of_seed_and_step(digits):
    a = digits.batches(seed=3, step=7, k=2, size=5)
    ganlib.load("digits").batches(seed=4, step=9)
    b = ganlib.load("digits").batches(seed=3, step=7, k=2, size=5)
    assert a.images.shape == (2, 5, 1, 28, 28) and a.labels.shape == (2, 5)
    assert torch.equal(a.images, b.images) and torch.equal(a.labels, b.labels)
    assert not torch.equal(a.images, digits.batches(seed=4, step=7, k=2, size=5).images)
    assert not torch.equal(a.images, digits.batches(seed=3, step=8, k=2, size=5).images)


def test_an_epoch_shows_each_image_once_and_the_next_in_another_order():
    images = ganlib.Images(torch.arange(10, dtype=torch.uint8).view(10, 1, 1, 1), torch.arange(10))
    seen = [
        images.batches(seed=0, step=step, k=2, size=2).labels.flatten().tolist()
        for step in range(10)
    ]
    walk = sum(seen, [])  # 40 places: 4 epochs, the third and eighth step across a border
    epochs = [walk[i : i + 10] for i in range(0, 40, 10)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len(set(map(tuple, epochs))) == 4


def test_images_and_labels_stay_together(digits):
    batch = digits.batches(seed=1, step=123, size=50)
    for image, label in zip(as_uint8(batch.images[0]), batch.labels[0], strict=True):
        places = (digits.images == image).flatten(1).all(1).nonzero().flatten()
        assert label in digits.labels[places]


def test_more_images_in_a_step_than_there_are():
    images = ganlib.Images(torch.arange(3, dtype=torch.uint8).view(3, 1, 1, 1), torch.arange(3))
    labels = images.batches(seed=0, step=5, k=4, size=3).labels
    assert sorted(labels.flatten().tolist()) == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]


@pytest.mark.parametrize("size", [0, -1, 10_001])
def test_an_impossible_batch_is_refused(digits, size):
    with pytest.raises(
        ValueError, match=f"batch of {size} .*'digits', which holds 10000 images.* from 1 to 10000"
    ):
        digits.batches(0, 0, size=size)


@pytest.mark.parametrize(
    "images, labels, message",
    [
        (torch.zeros(4, 1, 2, 2), None, r"torch.float32 \(4, 1, 2, 2\).*torch.uint8"),
        (torch.zeros(4, 2, 2, dtype=torch.uint8), None, r"\(4, 2, 2\).*\(N, C, H, W\)"),
        (
            torch.zeros(4, 1, 2, 2, dtype=torch.uint8),
            torch.zeros(3, dtype=torch.int64),
            r"\(3,\).*\(4,\)",
        ),
        (torch.zeros(4, 1, 2, 2, dtype=torch.uint8), torch.zeros(4), r"float32.*int64"),
    ],
)
def test_images_that_are_none(images, labels, message):
    with pytest.raises(ValueError, match=message):
        ganlib.Images(images, labels)


@pytest.mark.parametrize("name", ["mnits", "", None, "Digits"])
def test_an_unknown_name(name):
    with pytest.raises(
        ValueError,
        match="'digits', 'smileys', 'faces', 'mnist', 'fashion', 'kmnist', 'cifar10' are known",
    ):
        ganlib.load(name)


def test_a_name_nearly_right():
    with pytest.raises(ValueError, match="did you mean 'mnist'"):
        ganlib.load("mnits")


def test_other_wrong_words():
    with pytest.raises(ValueError, match="unknown split 'val'"):
        ganlib.load("mnist", split="val")
    with pytest.raises(ValueError, match="unknown fallback 'cifar10'"):
        ganlib.load("mnist", fallback="cifar10")
    with pytest.raises(ValueError, match="has no test images"):
        ganlib.load("digits", split="test")


def idx(array):
    return (
        b"\0\0\x08"
        + bytes([array.ndim])
        + b"".join(n.to_bytes(4, "big") for n in array.shape)
        + array.tobytes()
    )


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(
    "name, folder", [("mnist", "MNIST"), ("fashion", "FashionMNIST"), ("kmnist", "KMNIST")]
)
def test_files_that_are_there_are_found(tmp_path, name, folder, packed):
    """MNIST's format, plain or as .gz alone, for both splits: no network is asked."""
    raw = tmp_path / folder / "raw"
    raw.mkdir(parents=True)
    for split, prefix, n in (("train", "train", 6), ("test", "t10k", 4)):
        images = numpy.random.default_rng(n).integers(0, 256, (n, 28, 28), dtype=numpy.uint8)
        labels = numpy.arange(n, dtype=numpy.uint8)
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            file = raw / f"{prefix}-{kind}-ubyte"
            if packed:
                file.with_suffix(".gz").write_bytes(gzip.compress(idx(array)))
            else:
                file.write_bytes(idx(array))
        found = ganlib.load(name, root=tmp_path, split=split)
        assert torch.equal(found.images, torch.from_numpy(images).unsqueeze(1))
        assert (
            found.labels.tolist() == list(range(n))
            and len(found.classes) == 10
            and found.name == name
        )


def test_a_file_that_is_no_idx_file(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "train-images-idx3-ubyte").write_bytes(b"<html>403 Forbidden</html>")
    (raw / "train-labels-idx1-ubyte").write_bytes(idx(numpy.zeros(4, numpy.uint8)))
    with pytest.raises(OSError, match="train-images-idx3-ubyte.* is corrupt"):
        ganlib.load("mnist", root=tmp_path)


@pytest.fixture
def small_cifar(tmp_path, monkeypatch):
    """A file in CIFAR-10's format with 5 x 2 training and 2 test images.

    torchvision is told its checksums.
    """
    from torchvision.datasets import CIFAR10

    folder = tmp_path / "make" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    pixels = numpy.random.default_rng(0).integers(0, 256, (12, 3072), dtype=numpy.uint8)
    sums = {}
    for i, name in enumerate([f"data_batch_{n}" for n in range(1, 6)] + ["test_batch"]):
        part = {"data": pixels[2 * i : 2 * i + 2], "labels": [i, 9 - i]}
        (folder / name).write_bytes(pickle.dumps(part))
        sums[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()
    meta = {
        "label_names": [
            "airplane",
            "automobile",
            "bird",
            "cat",
            "deer",
            "dog",
            "frog",
            "horse",
            "ship",
            "truck",
        ]
    }
    (folder / "batches.meta").write_bytes(pickle.dumps(meta))
    sums["batches.meta"] = hashlib.md5((folder / "batches.meta").read_bytes()).hexdigest()
    root = tmp_path / "root"
    root.mkdir()
    with tarfile.open(root / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.add(folder, "cifar-10-batches-py")
    monkeypatch.setattr(
        CIFAR10, "train_list", [[f"data_batch_{n}", sums[f"data_batch_{n}"]] for n in range(1, 6)]
    )
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": sums["batches.meta"]})
    monkeypatch.setattr(
        CIFAR10, "tgz_md5", hashlib.md5((root / "cifar-10-python.tar.gz").read_bytes()).hexdigest()
    )
    return root, torch.from_numpy(pixels).view(12, 3, 32, 32)


def test_cifar_from_its_archive_alone(small_cifar):
    root, pixels = small_cifar
    found = ganlib.load("cifar10", root=root)
    assert torch.equal(found.images, pixels[:10])
    assert (
        found.labels.tolist() == [0, 9, 1, 8, 2, 7, 3, 6, 4, 5] and found.classes[0] == "airplane"
    )
    assert torch.equal(ganlib.load("cifar10", root=root, split="test").images, pixels[10:])


@pytest.fixture
def no_network(monkeypatch):
    def fail(*_, **__):
        raise urllib.error.URLError("the network is down")

    monkeypatch.setattr("urllib.request.urlopen", fail)


@pytest.mark.parametrize("name", ["mnist", "fashion", "kmnist", "cifar10"])
def test_a_failed_download_says_what_was_tried_and_how_to_go_on(tmp_path, no_network, name):
    with pytest.raises(
        OSError, match=rf"(?s)'{name}' could not be loaded.*tried http.*load\(\"digits\"\)"
    ):
        ganlib.load(name, root=tmp_path)


def test_the_fallback_is_said_aloud(tmp_path, no_network, capsys):
    assert ganlib.load("mnist", root=tmp_path, fallback="digits").name == "digits"
    said = capsys.readouterr().out
    assert (
        "'mnist' could not be loaded" in said
        and "Going on with the embedded 10,000 digits instead" in said
    )


def test_to_keeps_everything(digits):
    moved = digits.to("cpu")
    assert (
        moved.name == "digits"
        and moved.classes == digits.classes
        and torch.equal(moved.labels, digits.labels)
    )


def test_what_a_set_is_decides_load_and_no_name(digits, tmp_path):
    """A set of one's own that is called "digits" is not MNIST.

    A subset of the digits, or a copy elsewhere, is.
    """
    assert (
        digits.known == "digits"
        and digits.subset(slice(0, 10)).known == "digits" == digits.to("cpu").known
    )
    mine = ganlib.Images(digits.images[:300], name="digits")
    assert mine.known is None
    gan = ganlib.GAN(ganlib.nets.MLPGenerator(), ganlib.nets.MLPDiscriminator())
    for data, classifier in ((mine, False), (digits, True)):
        extractor = settle(gan, data, 128).extractor
        assert isinstance(extractor, ganlib.features.DigitClassifier) == classifier
    folder = tmp_path / "digits"
    folder.mkdir()
    for i in range(3):
        ganlib.show(digits.images[i : i + 1], scale=1).save(folder / f"{i}.png")
    own = ganlib.load(folder, size=28, root=tmp_path)
    assert (own.name, own.known, len(own)) == ("digits", None, 3)


@pytest.mark.parametrize(
    "labels, message",
    [
        (torch.arange(40) % 10, "'mine' has labels from 0 to 9, and 5 classes; 0 to 4"),
        (torch.where(torch.arange(40) == 3, -1, 1), "labels from -1 to 1, and 5 classes"),
        (
            torch.zeros(40),
            r"labels of torch.float32 \(40,\) were given; torch.int64 \(40,\), one per image",
        ),
        (torch.zeros(39, dtype=torch.int64), r"labels of torch.int64 \(39,\)"),
    ],
)
def test_labels_that_do_not_go_with_the_set(labels, message):
    with pytest.raises(ValueError, match=message):
        ganlib.Images(torch.zeros(40, 1, 8, 8, dtype=torch.uint8), labels, tuple("abcde"), "mine")


def test_sets_can_be_compared_and_printed(digits):
    other = digits.subset(slice(None))
    assert (
        digits == digits and digits != other and len({digits, other}) == 2
    )  # a set is itself alone
    assert repr(digits) == "<'digits': 10,000 images of (1, 28, 28), 10 classes, on cpu>"


def test_labels_may_be_more_than_a_number_each():
    words = torch.randint(0, 9, (40, 3))
    data = ganlib.Images(torch.zeros(40, 1, 8, 8, dtype=torch.uint8), words, name="words")
    batches = data.batches(0, 0, k=2, size=5)
    assert batches.labels.shape == (2, 5, 3) and torch.equal(
        data.subset(slice(3, 5)).labels, words[3:5]
    )
    with pytest.raises(ValueError, match="preflight counts classes"):
        ganlib.preflight(data, seconds=0)
    with pytest.raises(ValueError, match=r"holds \(1, 4, 8, 8\) each; preflight looks at images"):
        ganlib.preflight(ganlib.Images(torch.zeros(40, 1, 4, 8, 8, dtype=torch.uint8)), seconds=0)


def test_batches_have_named_fields(digits):
    """Moved, shared out and walked over, those of several sets too."""
    both = ganlib.Together(a=digits, b=digits.subset(slice(0, 100)))
    batches = both.batches(0, 3, k=2, size=6)
    assert (
        torch.equal(batches.images, batches.a.images)
        and batches.labels is None
        and len(both) == 100
    )
    assert batches.a.labels.shape == (2, 6) and not torch.equal(batches.a.images, batches.b.images)
    part = batches.part(1, 2)
    assert torch.equal(part.b.images, batches.b.images[:, 3:]) and part.to(
        "cpu"
    ).a.images.shape == (2, 3, 1, 28, 28)
    assert len(list(batches.tensors())) == 5
    with pytest.raises(AttributeError, match="no field 'c'"):
        batches.c  # noqa: B018
    first, again = (both.batches(seed, 0, size=6).b.images for seed in (0, 0))
    assert torch.equal(first, again) and not torch.equal(first, both.batches(1, 0, size=6).b.images)


def test_smileys_ship_and_are_yellow_faces_on_white():
    data = ganlib.load("smileys")
    assert len(data) == 169 and data.shape == (3, 32, 32) and data.labels is None
    assert len(data.images.flatten(1).unique(dim=0)) == 169
    corners = data.images[:, :, ::31, ::31].flatten(1).float()
    assert (corners.mean(1) > 240).float().mean() > 0.9
    red, green, blue = data.images[:, :, 12:20, 12:20].float().mean((2, 3)).T
    assert ((red > 180) & (green > 120) & (blue < 130)).float().mean() > 0.5  # the faces
    with pytest.raises(ValueError, match='"smileys" has no test images; use split="train"'):
        ganlib.load("smileys", split="test")
