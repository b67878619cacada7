"""Data larger than memory: the order by blocks, what is read ahead, and what stays in memory."""

import json
import os
import subprocess
import sys
import threading
import time

import pytest
import torch
from conftest import ROOT, same

import ganlib
from ganlib.data.large import Shards, ahead, shards
from ganlib.data.large.order import Order
from ganlib.data.large.store import FORMAT, digest, file_of

LINUX = pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs Linux's /proc")


def stored(folder, images, per_shard, labels=None, classes=()):
    """Write uint8 images (N, C, H, W) as shards, by code of the test's own."""
    import numpy

    folder.mkdir(parents=True, exist_ok=True)
    listed = []
    for k, part in enumerate(images.split(per_shard)):
        file_of(folder, k).write_bytes(part.numpy().tobytes())
        sha256 = digest(file_of(folder, k))
        listed.append({"count": len(part), "bytes": part.numel(), "sha256": sha256})
    if labels is not None:
        numpy.save(folder / "labels.npy", labels.numpy())
    about = {
        "format": FORMAT,
        "name": "stored",
        "shape": list(images.shape[1:]),
        "count": len(images),
        "shards": listed,
        "labels": None if labels is None else digest(folder / "labels.npy"),
        "classes": list(classes),
        "report": {},
        "made": {"size": images.shape[2], "fit": "crop"},
    }
    (folder / "about.json").write_text(json.dumps(about))
    return folder


@pytest.fixture
def kept(tmp_path, digits):
    """200 digits in shards of 64 (blocks of 5 and windows of 20 images), and the same in memory."""
    few = digits.subset(slice(0, 200))
    folder = stored(tmp_path / "few", few.images, 64, few.labels, few.classes)
    return Shards(folder, block=5 * 784, window=20 * 784), few


@pytest.mark.parametrize("n, block, window", [(1003, 10, 8), (1000, 7, 5), (5, 9, 3), (77, 1, 10)])
def test_an_epoch_reads_each_image_once_however_it_is_cut(n, block, window):
    order = Order(n, block, window)
    both = order.places(3, 0, 2 * n)[0]
    for epoch in both.split(n):
        assert epoch.sort().values.tolist() == list(range(n))
    assert n < 10 or not torch.equal(*both.split(n))
    again = Order(n, block, window)
    cuts = [again.places(3, i, min(13, 2 * n - i))[0] for i in reversed(range(0, 2 * n, 13))]
    assert torch.equal(torch.cat(cuts[::-1]), both)
    assert n < 10 or not torch.equal(Order(n, block, window).places(4, 0, n)[0], both[:n])


def test_what_is_read_together_lies_in_few_blocks():
    """All images of a window are those of its blocks, which are runs on the disk."""
    order, seen = Order(1003, 10, 8), 0
    window = order.places(0, 0, 1)[1][0]
    while window[1] == 0:
        blocks = order.of_window(window)
        inside = {place for first, end in blocks for place in range(first, end)}
        places, _ = order.places(0, seen, len(inside))
        assert set(places.tolist()) == inside and len(blocks) <= 12
        assert all(end - first == 10 or end == 1003 for first, end in blocks)
        seen, window = seen + len(inside), order.after(window)
    assert seen == 1003 and window == (0, 1, 0)


def test_a_set_sorted_by_class_is_shuffled_as_well_as_by_a_full_shuffle():
    """Each class lies in one run: the share of a class in a batch varies as by chance."""
    n, classes, batch = 102_400, 100, 64
    labels = torch.arange(n) * classes // n

    def figures(places):
        seen = labels[places]
        near = (seen[:-1] == seen[1:]).double().mean().item()
        shares = torch.stack([part.bincount(minlength=classes) for part in seen.split(batch)])
        return near, shares.double().var(0).mean().item() / (batch * 0.01 * 0.99)

    near, spread = figures(Order(n, 20, 640).places(0, 0, n)[0])
    full = figures(torch.randperm(n, generator=torch.Generator().manual_seed(0)))
    assert abs(full[0] - 0.01) < 0.002 and abs(full[1] - 1) < 0.1  # the ruler itself
    assert abs(near - 0.01) < 0.002 and abs(spread - 1) < 0.1
    small = figures(Order(n, 20, 20).places(0, 0, n)[0])
    assert small[1] > 1.3, "a window of a batch's size is too small, and the ruler sees it"


def test_it_holds_what_images_in_memory_hold(kept):
    data, few = kept
    assert len(data) == 200 and data.shape == few.shape and data.classes == few.classes
    assert torch.equal(data.labels, few.labels) and torch.equal(data.images[:], few.images)
    index = torch.tensor([199, 0, 64, 63, 65, 0, -1])
    assert torch.equal(data.images[index], few.images[index])
    assert torch.equal(data.images[7], few.images[7])
    assert torch.equal(data.images[data.labels == 3], few.images[few.labels == 3])
    assert torch.equal(data.images[10:150:7], few.images[10:150:7])
    assert torch.equal(torch.cat([*data.images.split(33)]), few.images)
    assert torch.equal(data.floats(index), few.floats(index))
    assert torch.equal(data.subset(index).images, few.subset(index).images)
    with pytest.raises(IndexError, match="places from 200 to 200 were given; 0 to 199 are there"):
        data.images[torch.tensor([200])]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_batch_is_the_floats_of_its_images(kept, dtype):
    data, few = kept
    for step in (0, 3, 8):
        batches = data.batches(1, step, 2, 17, dtype)
        index = data.order.places(1, step * 34, 34)[0]
        expected = ganlib.data.as_float(few.images[index], dtype).unflatten(0, (2, 17))
        assert torch.equal(batches.images, expected) and batches.images.dtype == dtype
        assert torch.equal(batches.labels, few.labels[index].unflatten(0, (2, 17)))
    with pytest.raises(ValueError, match="a batch of 201 was asked of 'stored', which holds 200"):
        data.batches(0, 0, 1, 201)


def test_a_run_goes_on_bit_for_bit_and_reading_ahead_changes_nothing(kept, small, tmp_path):
    data, _ = kept

    def trained(until, gan, data=data, folder=None):
        for _ in ganlib.train(gan, data, until=until, batch_size=16, folder=folder):
            pass
        return gan

    def weights(gan):
        return [gan.G.state_dict(), gan.D.state_dict()]

    whole = weights(trained(30, small()))
    first = trained(13, small(), folder=tmp_path / "run")
    assert first.step == 13
    again, third = small(), small()
    assert ganlib.resume(tmp_path / "run", again) and ganlib.resume(tmp_path / "run", third)
    assert same(weights(trained(30, again)), whole)
    quiet = Shards(data.folder, data.block, data.window)
    quiet._ahead.ask = lambda key, pieces: None
    assert same(weights(trained(30, small(), quiet)), whole)
    other = Shards(data.folder, data.block, 2 * data.window)
    assert other.fingerprint != data.fingerprint == quiet.fingerprint
    with pytest.raises(ValueError, match="this run was trained with pixels"):
        trained(40, third, other)


def test_a_shard_cut_in_a_run_costs_no_step(kept, small, tmp_path):
    """The run is saved at its last step, since the next one had not begun; mended, it goes on."""
    data, folder, gan, other = kept[0], tmp_path / "run", small(), small()
    path = file_of(data.folder, 0)
    content = path.read_bytes()
    with pytest.raises(OSError, match="cannot be read .*; then go on as before"):
        for now in ganlib.train(gan, data, until=12, batch_size=20, folder=folder):
            if now.step == 3:
                os.truncate(path, 100)
    assert 3 <= gan.step < 12
    ganlib.resume(folder, other)
    assert other.step == gan.step and same(other.state_dict(), gan.state_dict())
    path.write_bytes(content)
    for _ in ganlib.train(other, data, until=12, batch_size=20, folder=folder):
        pass
    assert other.step == 12


def test_a_step_that_raised_is_still_not_saved(kept, small, tmp_path):
    game = ganlib.Game()

    def step(gan, batches):
        if gan.step == 3:
            raise OSError("in the middle")
        return game.step(gan, batches)

    with pytest.raises(OSError, match="in the middle"):
        for _ in ganlib.train(
            small(), kept[0], step, until=9, batch_size=20, folder=tmp_path / "run"
        ):
            pass
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


def test_it_is_judged_looked_at_and_shown(kept, small, capsys):
    data, few = kept
    gan = small()
    a, b = (ganlib.evaluate(gan, x, n=100, extractor="pixels") for x in (data, few))
    assert a["coverage"] == b["coverage"] and a["kid"] == b["kid"]
    report = ganlib.preflight(data, seconds=0)
    assert report.facts["classes"] == few.labels.bincount().tolist()
    assert report.facts == ganlib.preflight(few, seconds=0).facts
    ganlib.show(data.images[:4])
    view = ganlib.LiveView(total=2)
    for _ in ganlib.train(gan, data, until=2, batch_size=10, view=view):
        pass
    together = ganlib.Together(a=data, b=few)
    assert together.batches(0, 0, 1, 4).a.images.shape == (1, 4, 1, 28, 28)


def test_what_would_not_fit_into_memory_is_a_sentence(kept, monkeypatch):
    data, _ = kept
    monkeypatch.setattr(shards, "MOST", 100 * 784)
    for ask in (
        lambda: data.images[:],
        lambda: data.subset(slice(0, 101)),
        lambda: data.images.split(10),
        lambda: data.floats(torch.arange(150)),
    ):
        with pytest.raises(ValueError, match="copied into memory: take a part of the set, as data"):
            ask()
    assert len(data.subset(slice(0, 100))) == 100
    with pytest.raises(AttributeError, match="have no 'flatten', as a tensor has: take a part of"):
        data.images.flatten(1)


def ended():
    """Wait until no thread reads ahead; return whether that came about."""
    for _ in range(200):
        if not any(thread.name == "ganlib ahead" for thread in threading.enumerate()):
            return True
        time.sleep(0.05)
    return False


def test_the_windows_of_the_next_steps_are_read_ahead_once(kept, monkeypatch):
    data, _ = kept
    read = []
    monkeypatch.setattr(ahead.Ahead, "_read", lambda self, *piece: read.append(piece[:3]))
    data.batches(0, 0, 1, 10)
    assert ended()
    window = data.order.places(0, 0, 10)[1][-1]
    expected = [*data._pieces((0, 0, 0)), *data._pieces(data.order.after(window))]
    assert read == expected and len(read) < 16
    data.batches(0, 0, 1, 10)
    assert ended() and read == expected, "asked for a second time, nothing is read"


def test_what_the_thread_cannot_read_is_said_by_who_needs_it(kept):
    """A shard that was away while it was read ahead, and is back, is no error."""
    data, _ = kept
    data.batches(0, 0, 1, 4)
    assert ended()
    for k in range(4):  # open files would still be read
        file_of(data.folder, k).rename(data.folder / f"{k}.away")
    data.batches(0, 5, 1, 4)
    assert ended() and data._ahead.failed
    data.close()  # and with it the open files
    data._ahead = ahead.Ahead()
    with pytest.raises(OSError, match=r"the shard .*u8 cannot be read \(No such file or directory"):
        data.batches(0, 5, 1, 4)
    assert ended()
    for k in range(4):
        (data.folder / f"{k}.away").rename(file_of(data.folder, k))
    assert data.batches(0, 5, 1, 4).images.shape == (1, 4, 1, 28, 28)
    data.close()
    assert ended() and data.batches(0, 6, 1, 4).images.shape[1] == 4


def test_a_shard_that_is_missing_cut_or_damaged_is_named(kept):
    data, few = kept
    path = file_of(data.folder, 1)
    content = path.read_bytes()
    data.verify()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(OSError, match=r"00001.u8 is damaged: its SHA-256"):
        data.verify()
    path.write_bytes(content[:1000])
    named = r"1 of 4 shards .*00001.u8 has 1,000 bytes; 50,176 are expected. Bring it back, or give"
    with pytest.raises(OSError, match=named):
        ganlib.load(data.folder)
    with pytest.raises(OSError, match=r"00001.u8 cannot be read \(it ends early\)"):
        data.images[64:128]  # cut while it is in use
    path.unlink()
    with pytest.raises(OSError, match="00001.u8 is missing"):
        ganlib.load(data.folder)
    path.write_bytes(content)
    assert torch.equal(ganlib.load(str(data.folder)).images[:], few.images)
    (data.folder / "labels.npy").write_bytes(b"x")
    with pytest.raises(OSError, match=r"the labels .*labels.npy cannot be read"):
        ganlib.load(data.folder)


def test_options_that_were_decided_before_are_refused(kept, tmp_path):
    folder = kept[0].folder
    assert ganlib.load(folder, size=28, device="cpu").loaded["name"] == str(folder)
    for options in ({"size": 32}, {"channels": 3}, {"fit": "pad"}, {"split": "test"}):
        with pytest.raises(ValueError, match="whose images `convert` has made, of size 28"):
            ganlib.load(folder, **options)
    with pytest.raises(ValueError, match="holds no images that `convert` made"):
        Shards(tmp_path)


SPARSE = """
import json, os, resource, sys, threading
resource.setrlimit(resource.RLIMIT_DATA, (2 << 30, 2 << 30))
import torch, ganlib
from pathlib import Path
from ganlib.data.large.store import FORMAT, file_of
torch.set_num_threads(1)
folder, count = Path(sys.argv[1]), 2**30 // 12288
for k in range(9):
    file_of(folder, k).touch()
    os.truncate(file_of(folder, k), count * 12288)
each = {"count": count, "bytes": count * 12288, "sha256": "none"}
about = {"format": FORMAT, "name": "sparse", "shape": [3, 64, 64], "count": 9 * count,
         "shards": [each] * 9, "labels": None, "classes": [], "report": {},
         "made": {"size": 64, "fit": "crop"}}
(folder / "about.json").write_text(json.dumps(about))
data = ganlib.load(folder)
assert data.images.nbytes > 8 << 30
def memory(what):
    return 1024 * int(Path("/proc/self/status").read_text().split(what)[1].split()[0])
"""
TRAINS = """
G = ganlib.nets.MLPGenerator(8, widths=(16,), shape=data.shape)
gan = ganlib.GAN(G, ganlib.nets.MLPDiscriminator(widths=(16,), shape=data.shape), seed=0)
for now in ganlib.train(gan, data, until=6, batch_size=64):
    pass
data._ahead.close()
print(now.step, memory("VmHWM:"), data.images[-1].sum().item())
"""
ONE_BATCH = """
data.batches(0, 0, 1, 8)
data._ahead.close()
torch.zeros(10)
Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
before = memory("RssAnon:") + memory("RssFile:")
batch = data.batches(0, 3, 2, 2000).images
print(batch.nbytes, memory("VmHWM:") - before)
"""


def run(code, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].split()


@LINUX
def test_nine_gigabytes_train_in_a_process_that_may_have_two(tmp_path):
    """A sparse file takes no room on the disk; what is read of it is zeros."""
    steps, peak, darkness = map(int, run(SPARSE + TRAINS, tmp_path))
    assert steps == 6 and darkness == 0 and peak < 2 << 30, f"{peak / 2**20:,.0f} MB"


@LINUX
def test_a_batch_is_all_that_is_in_memory(tmp_path):
    """Beside the page cache: the peak of making one is at most 1.2 times its bytes."""
    size, peak = map(int, run(SPARSE + ONE_BATCH, tmp_path))
    assert size == 2 * 2000 * 12288 * 4 and size <= peak + 2**20 and peak <= 1.2 * size, peak / size
