"""Troubles that people report of other libraries, tried here: kinds A to K of faults. Each has the
right value, or the sentence that says what to do, as its oracle.
"""

import enum
import hashlib
import io
import json
import os
import re
import subprocess
import sys
from functools import partial

import numpy
import pytest
import torch
from conftest import ROOT, same
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import ganlib
from ganlib import lab, losses, nets
from ganlib.data.large import convert
from ganlib.data.large.begun import LOCK, alone
from ganlib.keep import checkpoint
from ganlib.machine.held import locks


def train(gan, data, step=ganlib.gan_step, until=2, **settings):
    for _ in ganlib.train(gan, data, step, until=until, batch_size=4, record_every=1, **settings):
        pass
    return gan


def picture(seed=0, size=(8, 8)):
    draws = numpy.random.default_rng(seed)
    return Image.fromarray(draws.integers(0, 256, (size[1], size[0], 3), numpy.uint8))


def folder_of(place, *names):
    for i, name in enumerate(names):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        picture(i).save(place / name)
    return place


def load(place, given, **settings):
    return ganlib.load(given, **({"size": 8, "root": place / "data"} | settings))


# A: what is saved can be read


@pytest.mark.parametrize("seed", [1.0, 1.5, "3", True, float("nan"), 2**64, numpy.float32(2), [1]])
def test_a_seed_that_no_checkpoint_could_be_read_with_is_refused(seed, small):
    with pytest.raises(ValueError, match=r"seed=.* was given; a 64-bit integer is expected"):
        small(seed=seed)


@pytest.mark.parametrize("seed", [-1, 2**63, torch.tensor(3), numpy.int64(-5)])
def test_other_seeds_come_back(seed, small, digits, tmp_path):
    train(small(seed=seed), digits, folder=tmp_path)
    again = small(seed=int(seed))
    assert ganlib.resume(tmp_path, again) and again.seed == int(seed)


def test_nothing_is_saved_that_could_not_be_read(small, digits, tmp_path):
    gan = train(small(), digits, folder=tmp_path)
    before = (tmp_path / checkpoint.FILE).read_bytes()
    for wrong in (
        {"seed": "x"},
        {"step": 2.5},
        {"history": [{"step": 1.0}]},
        {"images_seen": None},
    ):
        was = {name: getattr(gan, name) for name in wrong}
        for name, value in wrong.items():
            setattr(gan, name, value)
        with pytest.raises(ValueError, match="could not be read back.*before is as it was"):
            ganlib.save(tmp_path, gan)
        assert (tmp_path / checkpoint.FILE).read_bytes() == before
        for name, value in was.items():
            setattr(gan, name, value)


class Expanded(nn.Module):
    """A D with a buffer that repeats one number, as `expand` makes it."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(784, 1)
        self.register_buffer("ones", torch.ones(1).expand(784))

    def forward(self, images):
        return self.layer(images.flatten(1) * self.ones)


def test_a_buffer_that_was_expanded_is_refused_before_it_is_trained(digits):
    """torch itself cannot load it again."""
    gan = ganlib.GAN(mlp(), Expanded(), seed=0)
    with pytest.raises(ValueError, match=r"the buffer ones of D repeats its numbers.*clone\(\)"):
        ganlib.train(gan, digits, until=1)
    gan.D.ones = gan.D.ones.clone()
    assert train(gan, digits).step == 2


FIGURES = [
    (lambda: {"step": torch.tensor(5.0)}, "returned 'step', which ganlib counts itself"),
    (lambda: {"finite": torch.tensor(0.0)}, "returned 'finite', which"),
    (lambda: {"x": torch.zeros(3)}, r"a tensor \(3,\) as 'x'; a single number, a 0-d tensor"),
    (lambda: {"x": None}, "a NoneType as 'x'"),
    (lambda: {"x": "0.5"}, "a str as 'x'"),
    (lambda: {"x": torch.zeros((), dtype=torch.complex64)}, "a Tensor as 'x'"),
    (lambda: [1.0], "returned list; a dict"),
]


@pytest.mark.parametrize("figures, message", FIGURES)
def test_figures_of_a_step_of_ones_own(figures, message, small, digits):
    def step(gan, batches):
        ganlib.gan_step(gan, batches)
        return figures()

    with pytest.raises(ValueError, match=message):
        train(small(), digits, step)


def test_figures_of_an_evaluation_of_ones_own(small, digits, tmp_path):
    for found, message in (
        (None, "evaluate returned None; a dict of figures"),
        (0.5, "evaluate returned 0.5"),
        ({"step": 1.5}, "evaluate returned 'step' = 1.5, which a row has already"),
    ):
        with pytest.raises(ValueError, match=message):
            train(small(), digits, evaluate_every=1, evaluate=lambda gan, data, x=found: x)
    gan = small()
    train(gan, digits, evaluate_every=1, evaluate=lambda *_: {"mine": numpy.float32(0.5)})
    assert gan.history[-1]["mine"] == 0.5


# C: labels


TABLES = {
    "utf-16": ("file_name\tlabel\na.png\tcat\nb.png\tdog\n".encode("utf-16"), ("cat", "dog")),
    "mark": (b"\xef\xbb\xbffile_name,label\na.png,cat\nb.png,dog\n", ("cat", "dog")),
    "semicolons": (b"File_Name; Label\na.png; cat\nb.png; dog\n", ("cat", "dog")),
    "floats": (b"file_name,label\na.png,0.0\nb.png,1.0\n", ("0", "1")),
    "twice the same": (b"file_name,label\na.png,cat\na.png,cat\nb.png,dog\n", ("cat", "dog")),
    "latin-1": (b"file_name,label\na.png,caf\xe9\nb.png,x\n", "save it as UTF-8"),
    "two labels": (
        b"file_name,label\na.png,cat\na.png,dog\nb.png,dog\n",
        r"several labels \(a.png",
    ),
    "no header": (b"a.png,cat\nb.png,dog\n", "file_name and label are expected"),
    "columns of ones": (b"file_name,cat,dog\na.png,1,0\nb.png,0,1\n", "label are expected"),
    "a cell is empty": (b"file_name,label\na.png,\nb.png,dog\n", "1 of 2 images have none"),
}


@pytest.mark.parametrize("case", TABLES)
def test_tables_of_every_kind(case, tmp_path):
    content, expected = TABLES[case]
    place = folder_of(tmp_path / "x", "a.png", "b.png")
    (place / "metadata.csv").write_bytes(content)
    data = load(tmp_path, place)
    if isinstance(expected, tuple):
        assert data.classes == expected and data.labels.tolist() == [0, 1]
    else:
        assert data.labels is None
        assert any(re.search(expected, text) for text in data.report["odd"]), data.report["odd"]


@pytest.mark.parametrize(
    "names",
    [("Cat", "cat"), ("caf\xe9", "cafe\u0301"), ("black_cat", "black cat"), ("cat", "cat ")],
)
def test_classes_that_look_alike_are_said(names, tmp_path):
    place = folder_of(tmp_path / "x", *(f"{name}/{i}.png" for i, name in enumerate(names)))
    folder_of(place, "dog/9.png")
    data = load(tmp_path, place)
    assert len(data.classes) == 3 and sorted(data.labels.tolist()) == [0, 1, 2]
    assert any("are spelled nearly alike" in text for text in data.report["odd"])
    other = load(tmp_path, folder_of(tmp_path / "y", "cat/1.png", "cats/2.png"))
    assert other.report["odd"] == []


class Kind(enum.IntEnum):
    CAT = 1
    DOG = 2


@pytest.mark.parametrize(
    "labels, classes",
    [
        ([Kind.CAT, Kind.DOG], ("1", "2")),
        ([torch.tensor(0), numpy.int64(1)], ("0", "1")),
        ([True, False], ("False", "True")),
        (["dog", "cat"], ("cat", "dog")),
        ([10**30, 1], ("1", "1" + 30 * "0")),
        ([[0, 1], [1, 0]], ("0", "1")),
        ([float("inf"), 1.0], None),
        ([1j, 0j], None),
        ([0.5, 1.0], None),
    ],
)
def test_labels_of_items(labels, classes, tmp_path):
    data = load(tmp_path, [(picture(i), labels[i % 2]) for i in range(6)])
    assert data.classes == (classes or ())
    if classes is None:
        assert any("labels were not taken, since" in text for text in data.report["odd"])
    else:
        assert set(data.labels.tolist()) == {0, 1} and len(set(data.labels[::2].tolist())) == 1


def test_a_link_to_a_folder_is_said_and_a_loop_ends(tmp_path):
    place = folder_of(tmp_path / "x", "cat/a.png", "dog/b.png")
    folder_of(tmp_path / "real", "c.png")
    os.symlink(tmp_path / "real", place / "bird")
    os.symlink(place, place / "cat" / "again")
    data = load(tmp_path, place)
    assert data.classes == ("cat", "dog") and len(data) == 2
    said = "of links to folders nothing was read: bird, cat/again; copy them"
    assert said in data.report["odd"]


def test_a_generator_that_breaks_off_is_said(tmp_path):
    def items():
        yield picture(0), 0
        yield picture(1), 1
        raise RuntimeError("the network is down")

    data = load(tmp_path, items())
    assert len(data) == 2 and data.labels.tolist() == [0, 1]
    assert "it broke off (the network is down): what would have come after" in data.report["odd"][0]


# what is no data set


GIVEN = {
    "one picture": (lambda: numpy.zeros((64, 64, 3), numpy.uint8), "which is one picture; a set"),
    "a pair": (
        lambda: (numpy.zeros((9, 8, 8, 3), numpy.uint8), numpy.zeros(9)),
        r"array of \(9, 8, 8, 3\); give images with their labels as zip\(images, labels\)",
    ),
    "batches": (lambda: DataLoader(TensorDataset(torch.rand(4, 3, 8, 8))), "give loader.dataset"),
    "nothing": (lambda: None, "unknown data set None"),
}


@pytest.mark.parametrize("case", GIVEN)
def test_what_load_cannot_take(case, tmp_path):
    make, message = GIVEN[case]
    with pytest.raises(ValueError, match=message):
        load(tmp_path, make())


def test_pairs_by_zip(tmp_path):
    images = numpy.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), numpy.uint8)
    data = load(tmp_path, zip(images, [0, 1] * 3, strict=True))
    assert (data.images.permute(0, 2, 3, 1).numpy() == images).all()
    assert data.labels.tolist() == [0, 1] * 3


FILES = {
    "x.npy": (b"\x93NUMPY\x01\0", "a NumPy array; numpy.load it"),
    "x.png": (b"\x89PNG\r\n\x1a\n", "one picture; give the folder"),
    "x.zip": (b"<!DOCTYPE html><title>Quota exceeded</title>", "a web page"),
    "x.tar": (b"%PDF-1.4", "a PDF"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_archive_says_what_it_is(name, tmp_path):
    content, message = FILES[name]
    (tmp_path / name).write_bytes(content + bytes(600))
    with pytest.raises(OSError, match=f"no archive that can be read.*: it is {message}"):
        load(tmp_path, tmp_path / name)


@pytest.mark.parametrize("size", [0, -1, 8193, 10**7, 10**30, "64", True, (8, 8), None])
def test_a_size_that_is_none_takes_no_memory(size, tmp_path):
    with pytest.raises(ValueError, match="at most 8,192|say how large they are"):
        load(tmp_path, [picture()], size=size)


DATA = {
    "a name": (lambda: "digits", r"a str was given as the data.*ganlib.load\('digits'\) loads one"),
    "batches": (
        lambda: DataLoader(TensorDataset(torch.rand(8, 1, 28, 28)), 4),
        r"a DataLoader was given.*ganlib.load\(loader.dataset, size=64\)",
    ),
    "a tensor": (lambda: torch.rand(8, 1, 28, 28), r"a Tensor was given.*ganlib.Images\(tensor\)"),
    "another": (
        lambda: TensorDataset(torch.rand(8, 1, 28, 28)),
        r"ganlib.load\(dataset, size",
    ),
    "a class": (lambda: ganlib.Images, "a type was given as the data"),
}


@pytest.mark.parametrize("case", DATA)
def test_what_train_cannot_read(case, small):
    make, message = DATA[case]
    with pytest.raises(ValueError, match=message):
        ganlib.train(small(), make(), until=1)
    for look in (partial(ganlib.evaluate, small()), ganlib.preflight):
        with pytest.raises(ValueError, match=message):
            look(make())


def test_images_in_the_order_of_numpy_are_refused():
    for shape in ((6, 28, 28, 3), (6, 32, 32, 1)):
        with pytest.raises(ValueError, match=r"torch.uint8 \(N, C, H, W\) or"):
            ganlib.Images(torch.zeros(shape, dtype=torch.uint8))
    assert ganlib.Images(
        torch.zeros(6, 3, 5, 3, dtype=torch.uint8), [0, 1] * 3
    ).labels.tolist() == ([0, 1] * 3)


# E: nets and settings


class Wrapped(nn.Module):
    def __init__(self, net, wrap):
        super().__init__()
        self.net, self.wrap = net, wrap

    def forward(self, x):
        return self.wrap(self.net(x))


class Detaching(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(784, 1)

    def forward(self, images):
        return self.layer(images.detach().flatten(1))


def mlp():
    return nets.MLPGenerator(8, widths=(8,))


def judge():
    return nets.MLPDiscriminator(widths=(8,))


def tied():
    G = nn.Sequential(nn.Linear(8, 784), nn.Tanh(), nn.Unflatten(1, (1, 28, 28)))

    class D(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.last = G[0].weight, nn.Linear(8, 1)

        def forward(self, images):
            return self.last(images.flatten(1) @ self.weight)

    return G, D()


def one_net():
    net = mlp()
    return net, net


def both(wrap_G=None, wrap_D=None):
    G = mlp() if wrap_G is None else Wrapped(mlp(), wrap_G)
    return G, judge() if wrap_D is None else Wrapped(judge(), wrap_D)


PAIRS = {
    "G detached": (partial(both, lambda x: x.detach()), "gradient passes from what G returned"),
    "G by numpy": (
        partial(both, lambda x: torch.tensor(x.detach().numpy())),
        "gradient passes from what G returned",
    ),
    "D detached": (partial(both, None, lambda x: x.detach()), "from what D returned"),
    "D compares": (partial(both, None, lambda x: (x > 0).float()), "from what D returned"),
    "D's images": (lambda: (mlp(), Detaching()), "no gradient passes through D to its images"),
    "doubles": (
        partial(both, lambda x: x.double()),
        r"G returned torch.float64.*\.to\(torch.float32",
    ),
    "integers": (partial(both, lambda x: x.long()), "G returned torch.int64, and its weights"),
    "tied": (tied, "G and D share 1 weights, which both optimizers would move"),
    "one net": (one_net, "G and D share 4 weights"),
    "meta": (lambda: (mlp().to("meta"), judge().to("meta")), "the nets are on the device meta"),
    "a class": (lambda: (nets.MLPGenerator, judge()), "was given as a net; a torch.nn.Module"),
    "a function": (lambda: (mlp(), lambda x: x), "was given as a net; a torch.nn.Module"),
}


@pytest.mark.parametrize("case", PAIRS)
def test_nets_that_could_learn_nothing(case, digits):
    make, message = PAIRS[case]
    with pytest.raises(ValueError, match=message):
        train(ganlib.GAN(*make(), latent_dim=8, seed=0), digits)


def test_weights_that_are_tied_within_a_net_stay_tied(digits, tmp_path):
    def make():
        torch.manual_seed(0)
        a, b = nn.Linear(16, 16), nn.Linear(16, 16)
        b.weight = a.weight
        D = nn.Sequential(nn.Flatten(), nn.Linear(784, 16), a, nn.ReLU(), b, nn.Linear(16, 1))
        return ganlib.GAN(mlp(), D, seed=0)

    gan, again = train(make(), digits, folder=tmp_path), make()
    assert ganlib.resume(tmp_path, again) and again.D[2].weight is again.D[4].weight
    assert same(gan.state_dict()["D"], again.state_dict()["D"])


def test_a_first_layer_that_changes_the_images_in_place(digits):
    def D(inplace):
        first = nn.LeakyReLU(0.2, inplace=inplace)
        return nn.Sequential(first, nn.Flatten(), nn.Linear(784, 1))

    with pytest.raises(ValueError, match="D changes its images in place.*inplace=False"):
        train(ganlib.GAN(mlp(), D(True), seed=0), digits)
    assert train(ganlib.GAN(mlp(), D(False), seed=0), digits).step == 2


SETTINGS = {
    "lr": ([float("inf"), 0, -1, float("nan"), "1e-3", {"G": 1}], "a learning rate is above 0"),
    "betas": ([(0.5,), 0.5, "ab", (0.5, 1.0), (0.1, 0.2, 0.3)], "two from 0 to below 1"),
    "latent_dim": ([8.0, "8", (8,), -1, True], "no whole size"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_out_of_range(name):
    values, message = SETTINGS[name]
    for value in values:
        with pytest.raises(ValueError, match=message):
            ganlib.GAN(mlp(), judge(), **{name: value})
    assert ganlib.GAN(mlp(), judge(), betas=(numpy.float32(0.5), 0.9)).betas == (0.5, 0.9)


@pytest.mark.parametrize(
    "settings, message",
    [
        (
            {"objective": "hinge"},
            "objective='hinge' was given; a value is expected, such as",
        ),
        ({"objective": nn.BCEWithLogitsLoss()}, "objective=BCEWithLogitsLoss"),
        ({"objective": None}, "objective=None"),
        ({"penalty": losses.r1}, "penalty=<function r1"),
        ({"penalty": "r1"}, "penalty='r1'"),
        ({"augment": "ada"}, r"augment='ada' was given.*augment.ada"),
        ({"tie": 3}, "tie=3"),
        ({"n_critic": 1.5}, "n_critic=1.5 was given; at least 1"),
        ({"n_critic": "2"}, "n_critic='2'"),
        ({"n_critic": None}, "n_critic=None"),
    ],
)
def test_parts_of_a_game_that_are_none(settings, message):
    with pytest.raises(ValueError, match=message):
        ganlib.Game(**settings)


@pytest.mark.parametrize(
    "settings",
    [{"shape": 28}, {"shape": "x"}, {"shape": (1, "28", 28)}]
    + [{"classes": value} for value in (-1, 1.5, "10", True)],
)
def test_shapes_and_classes_of_a_recipe_that_are_none(settings):
    with pytest.raises(ValueError, match=r"were given; \(C, H, W\) of the images, as \(1, 28, 28"):
        ganlib.recipe("small", **settings)
    assert ganlib.recipe("small", [1, 28, 28], numpy.int64(3)).G().classes == 3


@pytest.mark.parametrize("step", ["small", None, 5, ganlib.Game])
def test_a_step_that_is_none(step, small, digits):
    with pytest.raises(ValueError, match=r"was given as the step; a Game\(...\), a recipe or a"):
        ganlib.train(small(), digits, step, until=1)


@pytest.mark.parametrize("n", [-1, 1.5, "5", None, True])
def test_a_number_of_images_that_is_none(n, small):
    with pytest.raises(ValueError, match=rf"n={n!r} was given; a whole number of images"):
        small().sample(n)
    assert len(small().sample(numpy.int64(3))) == 3 and len(small().sample(0)) == 0


@pytest.mark.parametrize("labels", ["cat", ["a", "b"], {"a": 1}, object()])
def test_labels_to_draw_that_are_none(labels):
    G = nets.CompactGenerator(8, (1, 8, 8), classes=3)
    gan = ganlib.GAN(G, nets.CompactDiscriminator((1, 8, 8), classes=3), seed=0)
    with pytest.raises(ValueError, match=r"labels=.* were given; int64 \(2,\) from 0 to 2 are"):
        gan.sample(2, labels=labels)


def test_what_explorer_and_save_cannot_take(small, digits, tmp_path):
    with pytest.raises(ValueError, match=r"ganlib.load\('digits'\) loads one"):
        lab.Explorer(small(), "digits")
    with pytest.raises(ValueError, match="'digits' was given; a ganlib.GAN or a generator"):
        lab.Explorer("digits")
    for run in (None, "run", small().G):
        with pytest.raises(ValueError, match="was given as the run; a ganlib.GAN or a Run is"):
            ganlib.save(tmp_path / "run", run)
    assert not (tmp_path / "run").exists()


def test_show_takes_a_list_and_says_what_it_cannot_draw(small, digits):
    draws = torch.rand(3, 3, 8, 8) * 2 - 1
    assert ganlib.show(list(draws)).data == ganlib.show(draws).data
    for given in (picture(), "x", None, digits, [picture()]):
        with pytest.raises(ValueError, match=r"was given; a tensor \(N, C, H, W\) is expected"):
            ganlib.show(given)


# F and G: places


def test_a_file_in_place_of_a_folder_is_no_fresh_start(small, digits, tmp_path):
    train(small(), digits, folder=tmp_path / "run")
    with pytest.raises(ValueError, match="is a file; give the run's folder, .*run perhaps"):
        ganlib.resume(tmp_path / "run" / "checkpoint.pt", small())
    (tmp_path / "other").mkdir()
    torch.save({"model": {}}, tmp_path / "other" / "checkpoint.pt")
    with pytest.raises(ValueError, match="was not written by ganlib"):
        ganlib.resume(tmp_path / "other", small())


@pytest.mark.parametrize(
    "path, message",
    [("a\0b", "a text or a pathlib.Path"), ("~nobody-here/x", "home folder of nobody here")],
)
def test_paths_that_are_none(path, message, small, digits):
    for call in (partial(ganlib.resume, path, small()), partial(ganlib.save, path, small())):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(ValueError, match=message):
        train(small(), digits, folder=path)


@pytest.mark.parametrize("seconds", [None, 0, -1, "60", True, float("nan")])
def test_seconds_between_saves_that_are_none(seconds, small, digits, tmp_path):
    with pytest.raises(ValueError, match="more than 0 seconds between two saves"):
        train(small(), digits, folder=tmp_path, save_seconds=seconds)


def shards(place):
    source = folder_of(place / "x", *(f"{'ab'[i % 2]}/{i}.png" for i in range(6)))
    convert(source, place / "shards", 8)
    return source, place / "shards"


def test_runs_and_exports_stay_out_of_folders_of_shards(small, digits, tmp_path):
    source, place = shards(tmp_path)
    before = sorted(place.iterdir())
    with pytest.raises(ValueError, match="`convert` made; give another folder for a run"):
        ganlib.train(small(), digits, until=1, folder=place)
    train(small(), digits, folder=tmp_path / "run")
    with pytest.raises(ValueError, match="`convert` made; give another folder for an export"):
        ganlib.export(tmp_path / "run", place)
    assert sorted(place.iterdir()) == before
    with pytest.raises(ValueError, match="is not empty, and holds no conversion"):
        convert(source, tmp_path / "run", 8)


@pytest.mark.parametrize("name", ["README.md", "index.html"])
def test_an_export_replaces_no_file_of_others(name, small, tmp_path):
    ganlib.save(tmp_path / "run", small())
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / name).write_text("{}")
    with pytest.raises(ValueError, match=f"{name} was not written by ganlib, and an export would"):
        ganlib.export(tmp_path / "run", tmp_path / "site")
    assert [file.name for file in (tmp_path / "site").iterdir()] == [name]
    if name == "index.html":
        (tmp_path / "site" / name).unlink()
        for _ in range(2):  # its own it does replace
            ganlib.export(tmp_path / "run", tmp_path / "site")


def test_a_conversion_names_who_holds_its_folder(tmp_path):
    """And leaves no lock behind, whether the holder ended or was killed."""
    source = folder_of(tmp_path / "x", "a.png", "b.png")
    code = (
        "import sys, time; from pathlib import Path; from ganlib.data.large.begun import alone\n"
        "with alone(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "out"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BlockingIOError) as refused:
            convert(source, tmp_path / "out", 8)
    finally:
        holder.kill()
        holder.wait()
    said = str(refused.value)
    assert f"another process converts into {tmp_path / 'out'}: process {holder.pid}" in said
    assert "\n" not in said
    assert len(convert(source, tmp_path / "out", 8)) == 2
    assert not (tmp_path / "out" / LOCK).exists()


def test_where_a_drive_has_no_locks_a_conversion_asks_for_the_process(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "_lock", lambda file: False)
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        about = locks.about() | {"process": sleeper.pid, "started": locks._started(sleeper.pid)}
        (tmp_path / LOCK).write_text(json.dumps(about))
        with (
            pytest.raises(BlockingIOError, match=f"process {sleeper.pid}"),
            alone(tmp_path),
        ):
            raise AssertionError("two at a time")
        assert (tmp_path / LOCK).exists()
    finally:
        sleeper.kill()
        sleeper.wait()
    with alone(tmp_path):
        assert locks.read(tmp_path / LOCK)["process"] == os.getpid()
    assert not (tmp_path / LOCK).exists()


# files that were lost, or that strangers wrote


@pytest.mark.parametrize("what", ["lost", "other labels", "cut"])
def test_the_labels_of_a_conversion_are_made_again(what, tmp_path):
    source, place = shards(tmp_path)
    file = place / "labels.npy"
    right = file.read_bytes()
    if what == "lost":
        file.unlink()
    elif what == "cut":
        file.write_bytes(right[:-9])
    else:
        numpy.save(file, numpy.zeros(6, numpy.int64))
        with pytest.raises(OSError, match="the labels .* are damaged; bring the file back"):
            ganlib.load(place).verify()
    if what != "other labels":
        with pytest.raises(OSError, match="the labels .* cannot be read"):
            ganlib.load(place)
    assert convert(source, place, 8).labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert file.read_bytes() == right
    file.unlink()
    (source / "a").rename(source / "c")
    with pytest.raises(ValueError, match="is not what .* was begun with"):
        convert(source, place, 8)


def test_labels_of_items_that_cannot_be_read_stay_out_when_they_are_made_again(tmp_path):
    items = [(picture(i), i % 3) for i in range(7)]
    items[2] = (b"no picture", 1)
    right = convert(items, tmp_path / "s", 8).labels.tolist()
    (tmp_path / "s" / "labels.npy").unlink()
    assert right == [0, 1, 0, 1, 2, 0] == convert(items, tmp_path / "s", 8).labels.tolist()


@pytest.mark.parametrize("out", ["images.npy", "folder/"])
def test_the_labels_of_a_sample_are_made_again(out, tmp_path):
    from ganlib.keep.sampling.writing import write

    torch.manual_seed(0)
    G = nets.CompactGenerator(8, (1, 8, 8), (8,), classes=3).eval()
    place = f"{tmp_path}/{out}"
    write(place, G, 7)
    labels = tmp_path / ("images.labels.npy" if out.endswith("npy") else "folder/dataset.json")
    right = labels.read_bytes()
    labels.unlink()
    assert write(place, G, 7) == 0 and labels.read_bytes() == right


def test_a_state_without_its_keys_is_a_sentence(tmp_path):
    source = folder_of(tmp_path / "x", "a.png")
    for name, message in (
        ("unfinished.json", "unfinished.json cannot be read .*remove the folder, and begin anew"),
        ("about.json", "about.json is damaged"),
    ):
        place = tmp_path / name.removesuffix(".json")
        place.mkdir()
        (place / name).write_text('{"format": "ganlib shards 1"}')
        with pytest.raises(OSError, match=message):
            convert(source, place, 8)
        with pytest.raises((OSError, ValueError), match="is damaged|some images so far"):
            ganlib.load(place)
    with pytest.raises(OSError, match="about.json is damaged"):
        convert(tmp_path / "about", tmp_path / "to", 8)


class Broken(list):
    """A data set of pairs that breaks off at its sixth item until it is mended."""

    mended = False

    def __getitem__(self, i):
        if i > 4 and not self.mended:
            raise TimeoutError("gone")
        return super().__getitem__(i)


@pytest.mark.parametrize(
    "name, message",
    [
        ("labels.tmp", "is cut or damaged, and the conversion .* cannot go on"),
        ("used.tmp", "is cut or damaged, and the conversion .* cannot go on"),
        ("unfinished.json", "another SHA-256 than it should have"),
        ("00000.part", None),  # whose images are made again
        (None, None),
    ],
)
def test_a_bit_that_flips_between_two_sessions_is_noticed(name, message, tmp_path):
    items = Broken((picture(i), i % 2) for i in range(30))
    with pytest.raises(OSError, match="gone"):
        convert(items, tmp_path / "out", 8)
    items.mended = True
    files = {file.name: file for file in (tmp_path / "out").iterdir()}
    if name is not None:
        content = bytearray(files[name].read_bytes())
        place = content.index(b'"items": 5') + 9 if name.endswith("json") else 1
        content[place] ^= 1
        files[name].write_bytes(content)
    if message is not None:
        with pytest.raises(OSError, match=message):
            convert(items, tmp_path / "out", 8)
        return
    data = convert(items, tmp_path / "out", 8)
    right = numpy.stack([numpy.asarray(image) for image, _ in items])
    assert (data.images[torch.arange(30)].permute(0, 2, 3, 1).numpy() == right).all()
    assert data.labels.tolist() == [0, 1] * 15


STATES = {
    "an optimizer without groups": ({"opt_G": {"state": {}, "param_groups": 5}}, "no groups"),
    "no weights": ({"opt_D": {"state": {}, "param_groups": [{"params": 3}]}}, "params = 3"),
    "examples": ({"examples": torch.tensor(3)}, "examples are no labels"),
    "counts": ({"label_counts": [1, -1]}, "label_counts = "),
}


@pytest.mark.parametrize("case", STATES)
def test_a_state_of_a_stranger_is_a_sentence(case, small, tmp_path):
    wrong, message = STATES[case]
    ganlib.save(tmp_path, small())
    content = checkpoint.read(tmp_path / checkpoint.FILE)
    content["state"] |= wrong
    packed = io.BytesIO()
    torch.save(content, packed)
    raw = packed.getvalue()
    seal = checkpoint.SEAL + hashlib.sha256(raw).hexdigest().encode()
    (tmp_path / checkpoint.FILE).write_bytes(raw + seal)
    for call in (lambda: ganlib.resume(tmp_path, small()), lambda: checkpoint.newest(tmp_path)):
        with pytest.raises(OSError, match=f"cannot be read .*{message}"):
            call()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"bytes": float("inf")}, "cannot be read .OverflowError"),
        ({"of": 5}, "cannot be read .TypeError"),
        ({"drawing": []}, "cannot be read"),
        ({"batch": 0}, "cannot be read .ValueError: batch 0"),
    ],
)
def test_a_journal_of_a_stranger_is_a_short_sentence(change, message, tmp_path):
    from ganlib.keep.sampling.writing import write

    torch.manual_seed(0)
    G, out = mlp().eval(), tmp_path / "images.npy"
    write(out, G, 3)
    journal = json.loads((tmp_path / "images.npy.json").read_text())
    (tmp_path / "images.npy.json").write_text(json.dumps(journal | change))
    with pytest.raises(OSError, match=message):
        write(out, G, 3)
    other = journal["drawing"] | {"seed": "a\n---\n" + 10**5 * "x"}
    (tmp_path / "images.npy.json").write_text(json.dumps(journal | {"drawing": other}))
    with pytest.raises(OSError, match="holds another drawing") as refused:
        write(out, G, 3)
    assert len(str(refused.value)) < 500 and "\n" not in str(refused.value)


def test_a_vocabulary_of_a_stranger_is_a_sentence():
    from ganlib.games.words.vocabulary import encode

    for words in (["", 0.5, "a"], ["", ["b"]], [None]):
        with pytest.raises(ValueError, match="are no texts; a list of words is expected"):
            encode(["c"], words, 2)
