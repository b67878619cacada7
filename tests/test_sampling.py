"""Drawing as many images as one likes: each a function of (seed, i), in constant memory, into an
array, an archive or a folder, and on where it was cut off.
"""

import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
import time

import numpy
import pytest
import torch
from conftest import ROOT
from PIL import Image

import ganlib
from ganlib import nets
from ganlib.__main__ import main
from ganlib.keep import export
from ganlib.keep.sampling import drawing, writing
from ganlib.keep.sampling.drawing import CHUNK
from ganlib.keep.sampling.encoding import pngs
from ganlib.keep.sampling.places import place_of
from ganlib.machine.held import locks
from ganlib.machine.randomness import generator
from ganlib.nets.fed.clips import ClipDiscriminator, FramesGenerator


@pytest.fixture
def G():
    """A small conditional net, with weights that make images of many greys."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        net = nets.CompactGenerator(12, (1, 8, 8), widths=(8,), classes=3)
    with torch.no_grad():
        for _ in range(40):  # its layers' statistics settle
            net(torch.randn(64, 12), torch.arange(64) % 3)
        net.layers[-2].weight.mul_(20)
    return net.eval()


@pytest.fixture
def run(tmp_path, G, monkeypatch):
    """A run with that net, in a folder; no ONNX file and no timing, which take seconds."""
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    monkeypatch.setattr("ganlib.machine.device.step_seconds", lambda *_: 0.1)
    monkeypatch.setattr("ganlib.machine.device.threads_to_use", lambda *_: (1, ""))
    D = nets.CompactDiscriminator((1, 8, 8), widths=(8,), classes=3)
    gan = ganlib.GAN(G, D, seed=5)
    gan.step = 7
    ganlib.save(tmp_path / "run", gan)
    return tmp_path / "run"


def whole(*arguments, **given):
    pairs = list(ganlib.draw(*arguments, **given))
    labels = None if pairs[0][1] is None else torch.cat([labels for _, labels in pairs])
    return torch.cat([images for images, _ in pairs]), labels


def test_image_i_is_a_function_of_the_seed_and_i(G):
    """By hand, from the noise of its chunk; and the same for any n, and from any start."""
    images, labels = whole(G, CHUNK + 300, seed=5)
    assert images.shape == (CHUNK + 300, 1, 8, 8) and images.dtype == torch.uint8
    assert labels.tolist() == [i % 3 for i in range(CHUNK + 300)]
    noise = [
        torch.randn(CHUNK, 12, generator=generator("cpu", 5, k, "noise/fixed")) for k in range(2)
    ]
    by_hand = G(torch.cat(noise)[: CHUNK + 300], labels)
    assert (ganlib.data.as_uint8(by_hand).int() - images.int()).abs().max() <= 1
    assert images.float().std() > 20  # they are no blanks
    for n in (1, 130, CHUNK, CHUNK + 1):
        assert (whole(G, n, seed=5)[0] == images[:n]).all(), n
    assert (whole(G, CHUNK + 300, seed=5, start=512)[0] == images[512:]).all()
    assert (whole(G, 100, seed=6)[0] != images[:100]).any()
    assert whole(G, 5, labels=2)[1].tolist() == [2] * 5
    asked = torch.tensor([2, 0, 1, 1, 2])
    some, said = whole(G, 5, labels=asked, seed=5)
    assert said.equal(asked) and (some[4] == whole(G, 5, 2, seed=5)[0][4]).all()


def test_a_gan_draws_what_it_samples_and_is_left_as_it_was(small, monkeypatch):
    """The average's images from the noise of `sample`; modes and random numbers are not touched."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        G, D = nets.MLPGenerator(16, widths=(16,)), nets.MLPDiscriminator(widths=(16,))
    gan = ganlib.GAN(G, D, seed=2, ema=100.0)
    for weight in gan.G.parameters():
        weight.data.zero_()  # its average is not G
    before = torch.get_rng_state()
    images, labels = whole(gan, 200)
    assert torch.equal(before, torch.get_rng_state()) and gan.G.training and labels is None
    sampled = ganlib.data.as_uint8(gan.sample(200))
    assert (images.int() - sampled.int()).abs().max() <= 1 and images.float().std() > 1
    fed = ganlib.GAN(nets.MLPGenerator(8), D, seed=2, source=lambda n, draws: torch.ones(n, 8))
    assert (whole(fed, 2)[0][0] == whole(fed, 2)[0][1]).all()


def test_a_net_that_draws_random_numbers_itself_is_repeated_batch_by_batch():
    class Noisy(torch.nn.Module):
        latent_dim = 4

        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(4, 16)

        def forward(self, z):
            return (self.layer(z) + torch.randn(len(z), 16)).view(-1, 1, 4, 4).tanh()

    net = Noisy()
    images, _ = whole(net, 300)
    assert (whole(net, 300)[0] == images).all() and (whole(net, 128)[0] == images[:128]).all()
    net.layer.weight.data.zero_()
    images, _ = whole(net, 256)
    assert (images[:128] != images[128:]).any()  # a second batch is not the first again


@pytest.mark.parametrize(
    "given, message",
    [
        ({"n": 0}, "n=0 and seed=0 were given; 1 or more"),
        ({"n": 3, "seed": 1.5}, "seed=1.5"),
        ({"n": 3, "precision": "half"}, "precision='half'"),
        ({"n": 3, "labels": 3}, "from 0 to 2 are expected"),
        ({"n": 2000, "labels": torch.arange(2000) // 600}, "from 0 to 3 were given"),
        ({"n": 3, "labels": torch.tensor([0, 1])}, "2 labels were given for 3 images"),
        ({"n": 300, "start": 5}, "a multiple of 128 below 300"),
    ],
)
def test_what_cannot_be_drawn_is_a_sentence_at_the_call(G, given, message):
    with pytest.raises(ValueError, match=message):
        ganlib.draw(G, **given)


def test_a_net_that_is_fed_pictures_or_draws_points_is_refused():
    with pytest.raises(ValueError, match="fed pictures, or has no latent_dim"):
        ganlib.draw(torch.nn.Linear(2, 2), 5)
    with pytest.raises(ValueError, match=r"draws \(2,\)"):
        ganlib.draw(nets.MLPGenerator(2, shape=(2,), widths=(4,)), 5)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 5, 7), (1, 1, 1), (3, 16, 16)])
def test_pillow_reads_our_png_files(shape):
    """All values, flat and steep; and the file says that it is generated."""
    pixels = torch.randint(0, 256, (20, *shape), generator=torch.Generator().manual_seed(0)).byte()
    pixels[0], pixels[1], pixels[2] = 0, 255, torch.arange(shape[2]) * 9 % 256
    for file, image in zip(pngs(pixels), pixels, strict=True):
        read = Image.open(io.BytesIO(file))
        read.load()
        assert read.mode == {1: "L", 3: "RGB"}[shape[0]]
        assert read.info["Comment"].startswith("generated: a synthetic image")
        found = torch.from_numpy(numpy.asarray(read).reshape(*shape[1:], shape[0]).copy())
        assert (found.permute(2, 0, 1) == image).all()


@pytest.mark.parametrize("label, names", [(None, ("0", "1", "2")), (1, ("1",))])
def test_load_reads_what_was_written_with_its_labels(G, tmp_path, monkeypatch, label, names):
    monkeypatch.chdir(tmp_path)
    images, labels = whole(G, 300, labels=label, seed=1)
    for out in ("some.npy", "some.tar", "some"):
        assert writing.write(out, G, 300, label, seed=1) == 300
    for out in ("./some.tar", "./some"):
        read = ganlib.load(out, size=8)
        assert (read.images == images).all() and read.classes == names
        assert read.labels.tolist() == (labels.tolist() if label is None else [0] * 300)
        assert not read.report["skipped"]
    assert (torch.from_numpy(numpy.load("some.npy")) == images).all()
    assert (torch.from_numpy(numpy.load("some.labels.npy")) == labels).all()
    about = json.loads((tmp_path / "some" / "dataset.json").read_text())
    assert about["labels"][299] == ["00000/img00000299.png", labels[299].item()]
    assert about["notice"].startswith("generated")


def test_without_labels_there_are_none(tmp_path, small):
    for out in ("a.npy", "a.tar", "a"):
        writing.write(tmp_path / out, small(), 200)
    assert not (tmp_path / "a.labels.npy").exists()
    assert json.loads((tmp_path / "a" / "dataset.json").read_text())["labels"] is None
    for out in ("a.tar", "a"):
        assert ganlib.load(tmp_path / out, size=28).labels is None


def members(file):
    with tarfile.open(file) as tar:
        return [(m.name, m.size, m.mtime, m.mode, tar.extractfile(m).read()) for m in tar]


def test_a_tar_is_reproducible_and_webdataset_reads_it(G, tmp_path):
    for name in ("a", "b"):
        writing.write(tmp_path / f"{name}.tar", G, 130, seed=1)
        time.sleep(0.01)
    raw = (tmp_path / "a.tar").read_bytes()
    assert raw == (tmp_path / "b.tar").read_bytes() and len(raw) % 10_240 == 0
    found = members(tmp_path / "a.tar")
    assert [name for name, *_ in found[:3]] == ["000000.png", "000000.cls", "000001.png"]
    assert {(mtime, mode) for _, _, mtime, mode, _ in found} == {(0, 0o644)}
    images, labels = whole(G, 130, seed=1)
    assert [content for *_, content in found[1::2]] == [b"%d" % y for y in labels.tolist()]
    with tarfile.open(tmp_path / "c.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, size, _, mode, content in found:  # by tarfile itself: bit for bit the same
            info = tarfile.TarInfo(name)
            info.size, info.mode = size, mode
            tar.addfile(info, io.BytesIO(content))
    assert raw == (tmp_path / "c.tar").read_bytes()
    webdataset = pytest.importorskip("webdataset")
    pairs = webdataset.WebDataset(str(tmp_path / "a.tar"), shardshuffle=False).decode("l8")
    pairs = list(pairs.to_tuple("png", "cls"))
    assert [y for _, y in pairs] == labels.tolist()
    assert (numpy.stack([x for x, _ in pairs]) == images[:, 0].numpy()).all()


CHILD = """
import sys, torch, ganlib
from ganlib.keep.sampling import writing
writing.SAFE = 0.0
writing.write(sys.argv[2], ganlib.load_generator(sys.argv[1]), 200_000, seed=4)
"""


def test_what_was_killed_goes_on_and_is_the_same(G, run, tmp_path, monkeypatch):
    """Three processes, one for each kind of file, killed by SIGKILL; then a thousand images more
    than they had, to the end: as if they had never been killed.
    """
    ganlib.export(run, tmp_path / "shared")
    names, children = ("out.npy", "out.tar", "out"), {}
    for name in names:
        command = [sys.executable, "-c", CHILD, tmp_path / "shared", tmp_path / name]
        children[name] = subprocess.Popen(list(map(str, command)), cwd=ROOT)
    ends, shared = {}, ganlib.load_generator(tmp_path / "shared")
    for name, child in children.items():
        place = place_of(tmp_path / name)
        deadline = time.monotonic() + 120
        while not (place.journal.exists() and json.loads(place.journal.read_text())["done"] > 200):
            assert child.poll() is None and time.monotonic() < deadline, name
            time.sleep(0.02)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        journal = json.loads(place.journal.read_text())
        assert 200 < journal["done"] < 200_000 and "finished" not in journal
        # as if fewer had been asked for, so that the rest is a matter of seconds
        ends[name] = journal["done"] + 1000
        about = drawing.Drawing(shared, ends[name], seed=4).about()
        place.journal.write_text(json.dumps(journal | {"drawing": about}))
        if name == "out.npy":  # whose head says how many there are
            head = (tmp_path / "out.npy.part").open("r+b")
            other = f"({ends[name]}, 1, 8, 8), }}".encode()
            raw = head.read(128)
            raw = raw.replace(b"(200000, 1, 8, 8), }", other.ljust(20)[:20])
            head.seek(0)
            head.write(raw)
            head.close()
    for name in names:
        drawn = writing.write(tmp_path / name, shared, ends[name], seed=4)
        assert 1000 <= drawn < ends[name]
        again = tmp_path / "again" / name
        writing.write(again, shared, ends[name], seed=4)
        assert not (tmp_path / f"{name}.part").exists()
        files = [""] if (tmp_path / name).is_file() else ["dataset.json", "00001/img00001000.png"]
        for file in files:
            assert (tmp_path / name / file if file else tmp_path / name).read_bytes() == (
                again / file if file else again
            ).read_bytes(), (name, file)
    read = numpy.load(tmp_path / "out.npy")
    assert (read == whole(shared, ends["out.npy"], seed=4)[0].numpy()).all()


def test_an_end_that_was_cut_off_is_made_good(G, tmp_path, monkeypatch):
    """Killed after the last image, before the file has its name; or before dataset.json."""
    expected = {}
    for name in ("a.npy", "a.tar", "a"):
        writing.write(tmp_path / "x" / name, G, 300)
        with monkeypatch.context() as cut:
            kind = type(place_of(tmp_path / name))
            cut.setattr(kind, "finish", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                writing.write(tmp_path / name, G, 300)
        assert writing.write(tmp_path / name, G, 300) == 0
        assert writing.write(tmp_path / name, G, 300) == 0
    for name in ("a.npy", "a.labels.npy", "a.tar", "a/dataset.json"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "x" / name).read_bytes(), expected


def test_a_stop_in_the_middle_goes_on(G, tmp_path, monkeypatch):
    """Ctrl-C while the fourth batch is drawn, and an encoder that fails: nothing is lost."""
    monkeypatch.setattr(writing, "SAFE", 0.0)
    monkeypatch.setattr(writing, "AHEAD", 0)
    writing.write(tmp_path / "x.tar", G, 1000)
    for wrong in (KeyboardInterrupt, MemoryError):
        out, count = tmp_path / f"{wrong.__name__}.tar", iter(range(100))
        with monkeypatch.context() as cut:
            before = drawing.Drawing._pass

            def stopped(self, *given, before=before, count=count, wrong=wrong):
                if next(count) == 4:
                    raise wrong
                return before(self, *given)

            cut.setattr(drawing.Drawing, "_pass", stopped)
            with pytest.raises(wrong):
                writing.write(out, G, 1000)
        assert not out.exists() and 0 < writing.write(out, G, 1000) <= 1000 - 384
        assert out.read_bytes() == (tmp_path / "x.tar").read_bytes()


@pytest.mark.parametrize("name", ["a.npy", "a.tar"])
def test_a_disk_that_is_full_is_a_sentence_and_costs_nothing(G, tmp_path, name, monkeypatch):
    monkeypatch.setattr(writing, "SAFE", 0.0)
    writing.write(tmp_path / "x" / name, G, 5000)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        size = (tmp_path / "x" / name).stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, limits[1]))
        with pytest.raises(
            OSError, match=r"cannot write .*\.part.* [\d,]+ of 5,000 images are safe"
        ):
            writing.write(tmp_path / name, G, 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    done = json.loads((tmp_path / f"{name}.json").read_text())["done"]
    assert 1000 < done < 5000 and not (tmp_path / name).exists()
    assert writing.write(tmp_path / name, G, 5000) == 5000 - done
    assert (tmp_path / name).read_bytes() == (tmp_path / "x" / name).read_bytes()


def test_a_disk_without_room_for_the_first_byte_is_a_sentence(G, tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
        with pytest.raises(OSError, match=r"cannot write .*a\.tar \(.*choose another --out"):
            writing.write(tmp_path / "a.tar", G, 10)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())
    assert writing.write(tmp_path / "a.tar", G, 10) == 10


def test_a_folder_on_a_disk_that_is_really_full(G, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1600k", "tmpfs", disk]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system may be mounted here")
    try:
        with pytest.raises(OSError, match="images are safe there: make room"):
            writing.write(disk / "some", G, 1500)
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        writing.write(disk / "some", G, 1500)
        read = ganlib.load(disk / "some", size=8, root=tmp_path)
        assert (read.images == whole(G, 1500)[0]).all() and not read.report["skipped"]
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_picture_that_is_gone_is_drawn_again(G, tmp_path):
    writing.write(tmp_path / "some", G, 300)
    expected = {path: path.read_bytes() for path in (tmp_path / "some").rglob("*.png")}
    (tmp_path / "some/00000/img00000200.png").unlink()
    (tmp_path / "some/00000/img00000250.png").write_bytes(b"")  # a crash of the machine
    assert writing.write(tmp_path / "some", G, 300) == 300 - 128
    assert expected == {path: path.read_bytes() for path in (tmp_path / "some").rglob("*.png")}


def test_nothing_is_overwritten_and_nothing_drawn_twice(G, tmp_path, monkeypatch, capsys):
    for name in ("a.npy", "a.tar", "a"):
        out = tmp_path / name
        writing.write(out, G, 200, seed=1)
        place = place_of(out)
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        before = {path: path.read_bytes() for path in files}
        other = nets.CompactGenerator(12, (1, 8, 8), widths=(8,), classes=3)
        for given, message in (
            ((G, 200, None, 2), r"another drawing \(seed 1\)"),
            ((G, 200, 2, 1), r"another drawing \(--label each in turn\)"),
            ((G, 201, None, 1), r"another drawing \(--n 200\)"),
            ((other, 200, None, 1), r"another drawing \(other weights\)"),
        ):
            with pytest.raises(OSError, match=message):
                writing.write(out, *given)
        with monkeypatch.context() as never:
            never.setattr(drawing.Drawing, "_pass", None)
            assert writing.write(out, G, 200, seed=1) == 0
        assert "these 200 images are there" in capsys.readouterr().out
        assert before == {path: path.read_bytes() for path in before}
        journal = place.journal.read_bytes()
        far = journal.replace(b'"done": 200', b'"done": 201')
        for harm in (b"{", b"[]", far, journal.replace(b'"batch": 128', b'"batch": 0'), b"\xff"):
            place.journal.write_bytes(harm)
            with pytest.raises(OSError, match="cannot be read"):
                writing.write(out, G, 200, seed=1)
        place.journal.unlink()
        with pytest.raises(OSError, match="says what it is; give another --out"):
            writing.write(out, G, 200, seed=1)
        place.journal.write_bytes(journal)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "cat.jpg").write_bytes(b"a cat")
    with pytest.raises(OSError, match="cat.jpg is there"):
        writing.write(tmp_path / "mine", G, 200)
    assert os.listdir(tmp_path / "mine") == ["cat.jpg"]
    (tmp_path / "b.labels.npy").write_bytes(b"mine")
    with pytest.raises(OSError, match="b.labels.npy is there"):
        writing.write(tmp_path / "b.npy", G, 200)


def test_two_processes_cannot_write_the_same(G, tmp_path):
    for name in ("a.tar", "a"):
        place = place_of(tmp_path / name)
        place.lock.parent.mkdir(exist_ok=True)
        file, held = locks.locked(place.lock)
        if not held:
            pytest.skip("this file system has no locks")
        with pytest.raises(BlockingIOError, match="is in use by another"):
            writing.write(tmp_path / name, G, 10)
        os.close(file)
        assert writing.write(tmp_path / name, G, 10) == 10 and not place.lock.exists()


MEMORY = """
import sys, torch, ganlib
from ganlib.keep.sampling import writing
torch.set_num_threads(1)
G = ganlib.load_generator(sys.argv[1])
peaks = []
for n in (2_000, 20_000):
    for name in ("x.npy", "x.tar"):
        writing.write(f"{sys.argv[2]}/{n}/{name}", G, n)
    # not ru_maxrss, which begins with the peak of the process that started this one
    lines = open("/proc/self/status").read().splitlines()
    peaks.append(next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM")))
print(*peaks)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux says it in /proc")
def test_memory_does_not_grow_with_the_number_of_images(tmp_path, small, monkeypatch):
    """In a process of its own; 18,000 images more take 14 MB, of which nothing is kept."""
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    ganlib.save(tmp_path / "run", small())
    ganlib.export(tmp_path / "run", tmp_path / "shared")
    command = [sys.executable, "-c", MEMORY, tmp_path / "shared", tmp_path]
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    few, many = map(int, done.stdout.split()[-2:])
    assert many - few <= 4, (few, many)


def test_the_command_line(G, run, tmp_path, monkeypatch, capsys):
    """A run and its export draw the same; the same command again draws nothing."""
    monkeypatch.chdir(tmp_path)
    ganlib.export(run, "shared")
    for source, out in (("run", "a.npy"), ("shared", "b.npy")):
        assert main(["sample", source, "--n", "1500", "--out", out, "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    of = json.loads((tmp_path / "a.npy.json").read_text())["of"]
    assert of == {"run": "run", "step": 7}
    assert "a.npy: 1,500 images drawn by the run in run at step 7, " in said
    assert "b.npy: 1,500 images drawn by the generator in shared, " in said
    a, b = numpy.load("a.npy"), numpy.load("b.npy")
    assert a.shape == (1500, 1, 8, 8) and (a == b).all()
    assert (a == whole(export.rebuild(run), 1500)[0].numpy()).all()
    assert main(["sample", "run", "--n", "1500", "--out", "a.npy"]) == 0
    said = capsys.readouterr().out
    assert said.endswith("a.npy: these 1,500 images are there; nothing is left to draw\n")
    for arguments, message in (
        (["run", "--n", "1500", "--out", "a.npy", "--seed", "1"], "another drawing (seed 5)"),
        (["run", "--out", "a.zip"], ".npy (a grid, an array) or .tar is expected, or a folder's"),
        (["run", "--out", "c.tar", "--label", "3"], "run has 3 classes: 0 to 2"),
        (["run", "--out", "c.png", "--label", "-1"], "--label -1 was given; the run in run has"),
        (["shared", "--say", "ten"], "the generator in shared knows no words"),
        (["run", "--out", "c.tar", "--revision", "v1"], "--revision v1 was given"),
        (["nothing", "--out", "c.tar"], "nothing holds no run"),
    ):
        assert main(["sample", *arguments]) == 1
        assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("c.tar*")) and not list(tmp_path.glob(".*"))
    gan = export.rebuild(run)
    gan.step += 1
    ganlib.save(run, gan)
    for weight in gan.G.parameters():
        weight.data.add_(0.1)
    gan.step += 1
    ganlib.save(run, gan)
    assert main(["sample", "run", "--n", "1500", "--out", "a.npy"]) == 1
    assert "another drawing (other weights (step 7, now step 9))" in capsys.readouterr().err
    assert main(["sample", "shared", "--n", "9", "--out", "grid.png"]) == 0
    assert main(["sample", "run", "--n", "9", "--seed", "1", "--out", "other.png"]) == 0
    fast = ["--precision", "bf16", "--device", "cpu"]
    assert main(["sample", "shared", "--n", "9", *fast, "--out", "fast.png"]) == 0
    assert main(["sample", "run", "--device", "gpu", "--out", "none.png"]) == 1
    assert "device='gpu' was given" in capsys.readouterr().err
    for name in ("grid.png", "other.png", "fast.png"):
        assert Image.open(name).info["Comment"].startswith("generated")
    assert main(["sample", "digits", "--n", "20", "--out", "folder", "--label", "4"]) == 0
    assert shutil.rmtree("folder") is None


def test_other_games_say_what_they_draw(tmp_path, monkeypatch, capsys):
    """Words have pictures and --say; clips are arrays; enlarging draws nothing."""
    monkeypatch.chdir(tmp_path)
    plans = {"words": "words", "enlarge": "enlarge-l1"}
    for name, recipe in plans.items():
        gan = ganlib.GAN(nets.MLPGenerator(8), nets.MLPDiscriminator(), seed=0)
        gan.trained_on = {"plan": {"recipe": recipe, "images": 100, "until": None}}
        ganlib.save(tmp_path / name, gan)
    for arguments, message in (
        (["words", "--n", "100000", "--out", "x.npy"], "a name that ends in .png is expected"),
        (["words", "--n", "9", "--out", "x.png", "--seed", "1"], "--seed was given"),
        (["words", "--n", "9", "--out", "x.png", "--precision", "bf16"], "--precision was given"),
        (["enlarge", "--n", "9", "--out", "x.tar"], "draws none from noise"),
    ):
        assert main(["sample", *arguments]) == 1
        assert message in capsys.readouterr().err
    moving = FramesGenerator(8, (1, 2, 8, 8), widths=(8,))
    ganlib.save("clips", ganlib.GAN(moving, ClipDiscriminator((1, 2, 8, 8), widths=(8,)), seed=0))
    assert main(["sample", "clips", "--n", "3", "--out", "clips.npy", "--device", "cpu"]) == 0
    assert numpy.load("clips.npy").ndim == 5
    assert main(["sample", "clips", "--n", "3", "--out", "clips.tar", "--device", "cpu"]) == 1
    assert "is no picture in grey or colour; --out NAME.npy" in capsys.readouterr().err
