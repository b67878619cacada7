"""Conversion: the same images as `load`, and the same bytes however often it was cut short."""

import io
import os
import signal
import subprocess
import sys
import tarfile
import time
import warnings
import zipfile
from pathlib import Path

import images
import numpy
import pytest
import torch
from conftest import ROOT
from PIL import Image

import ganlib
from ganlib.__main__ import main
from ganlib.data.decoding import decode
from ganlib.data.large import converting, tars, writing
from ganlib.data.large.reading import Reading
from ganlib.data.large.store import UNFINISHED, about_of
from ganlib.games import photographs

CASES = list(images.cases())
POSIX = pytest.mark.skipif(os.name != "posix", reason="needs POSIX's signals and limits")


def picture(i, size=(20, 16)):
    """A picture of noise, in colour, another for each number."""
    noise = numpy.random.default_rng(i).integers(0, 256, (*size, 3), dtype=numpy.uint8)
    return Image.fromarray(noise)


def by_class(n=24):
    """{name: content of a file} of n pictures in three classes, and of two that cannot be read."""
    files = {f"{'abc'[i % 3]}/{i:03}.png": images.packed(picture(i), "PNG") for i in range(n)}
    return files | {"a/broken.png": files["a/000.png"][:60], "b/empty.png": b""}


def write(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def as_tar(path, files):
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def as_zip(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def content(folder):
    """All that a folder holds, but for the lock."""
    return {x.name: x.read_bytes() for x in folder.iterdir() if x.name != ".converting"}


@pytest.fixture
def small_shards(monkeypatch):
    """Shards of 7 images of 8 x 8 pixels in colour, and a commit after each image."""
    monkeypatch.setattr(writing, "SHARD", 7 * 3 * 64)
    monkeypatch.setattr(converting, "SECONDS", 0.0)


def equal(data, expected):
    """Whether a converted set is what `load` makes of the same source."""
    same = torch.equal(data.images[:], expected.images) and data.classes == expected.classes
    labels = data.labels, expected.labels
    alike = labels == (None, None) or torch.equal(*labels)
    keys = {*expected.report} - {"names", "skipped", "widths", "heights"}
    reports = [{key: x.report[key] for key in keys} for x in (data, expected)]
    skipped = [{tuple(pair) for pair in x.report["skipped"]} for x in (data, expected)]
    assert reports[0] == reports[1] and skipped[0] == skipped[1]
    return same and alike and data.name == expected.name


@pytest.mark.parametrize("way", ["folder", "zip", "tar"])
def test_files_become_what_load_makes_of_them(tmp_path, small_shards, way):
    make = {"folder": write, "zip": as_zip, "tar": as_tar}[way]
    source = make(tmp_path / f"set.{way}", by_class())
    data = ganlib.convert(source, tmp_path / "out", size=8)
    assert equal(data, ganlib.load(source, size=8, root=tmp_path)) and len(data.report["odd"]) == 0
    sizes = [(tmp_path / "out" / f"0000{k}.u8").stat().st_size for k in range(4)]
    assert sizes == [7 * 192, 7 * 192, 7 * 192, 3 * 192] and len(content(tmp_path / "out")) == 6
    data.verify()
    before = content(tmp_path / "out")
    assert ganlib.convert(source, tmp_path / "out", size=8).fingerprint == data.fingerprint
    assert content(tmp_path / "out") == before


@pytest.mark.parametrize("background", [None, "#102030", "grey"])
@pytest.mark.parametrize("fit", ["stretch", "pad"])
def test_every_kind_of_file_that_waits_for_the_whole_set(tmp_path, small_shards, fit, background):
    """Transparent, of 16 bits, padded: what the set decides in the end is what `load` decides."""
    source = write(tmp_path / "all", {case.name: case.content for case in CASES})
    options = {"size": 8, "fit": fit, "background": background}
    expected = ganlib.load(source, root=tmp_path, **options)
    assert equal(ganlib.convert(source, tmp_path / "out", **options), expected)


def test_white_icons_decide_the_ground_of_all_padding(tmp_path, small_shards):
    icon = Image.new("RGBA", (16, 16), (255, 255, 255, 0))
    icon.paste((255, 255, 255, 255), (4, 4, 12, 12))
    given = [picture(0, (16, 8)), *[icon] * 9, picture(1, (8, 16))]
    expected = ganlib.load(given, size=8, fit="pad", root=tmp_path)
    assert expected.report["background"] == "black"
    assert equal(ganlib.convert(given, tmp_path / "out", size=8, fit="pad"), expected)


@pytest.mark.parametrize("colours", [0, 1, 20])
def test_grey_until_the_first_image_in_colour(tmp_path, small_shards, colours):
    given = [picture(i).convert("L") for i in range(20)] + [picture(i) for i in range(colours)]
    expected = ganlib.load(given, size=8, root=tmp_path)
    data = ganlib.convert(given, tmp_path / "out", size=8)
    assert data.shape == (3 if colours else 1, 8, 8) and equal(data, expected)
    grey = ganlib.convert(given, tmp_path / "grey", size=8, channels=1)
    assert equal(grey, ganlib.load(given, size=8, channels=1, root=tmp_path))


def test_values_whose_range_is_not_known_are_left_out_with_their_labels(tmp_path, small_shards):
    draws = numpy.random.default_rng(0)
    floats = [draws.normal(0, 3, (8, 8, 3)).astype("float32") for _ in range(5)]
    given = [(picture(i), f"class {i % 2}") for i in range(20)]
    given[9:9] = [(x, "class 0") for x in floats]
    expected = ganlib.load(given, size=8, root=tmp_path)
    assert len(expected) == 20 and expected.labels is not None
    assert equal(ganlib.convert(given, tmp_path / "out", size=8), expected)


def samples(numbers, label=True):
    """The files of samples of WebDataset."""
    files = {}
    for i in numbers:
        files |= {f"{i:05}.cls": str(i % 3).encode()} if label else {}
        files |= {f"{i:05}.png": images.packed(picture(i), "PNG"), f"{i:05}.txt": b"a text"}
    return files


def four_tars(folder):
    folder.mkdir()
    for k in range(4):
        as_tar(folder / f"train-{k:04}.tar", samples(range(6 * k, 6 * k + 6)))
    return folder


def expected_of(numbers):
    pixels = [decode(images.packed(picture(i), "PNG"), 8).pixels for i in numbers]
    return torch.from_numpy(numpy.stack(pixels))


@pytest.mark.parametrize("how", ["train-{0000..0003}.tar", "train-*.tar", "train-000{0,1,2,3}.tar"])
def test_tars_in_a_row(tmp_path, small_shards, monkeypatch, how):
    monkeypatch.chdir(tmp_path)
    folder = four_tars(tmp_path / "tars")
    data = ganlib.convert(f"{folder}/{how}", "out", size=8)
    assert torch.equal(data.images[:], expected_of(range(24))) and data.name == "train"
    assert data.labels.tolist() == [i % 3 for i in range(24)] and data.classes == ("0", "1", "2")
    listed = ganlib.convert(sorted(folder.iterdir()), "listed", size=8)
    assert listed.fingerprint == data.fingerprint
    with pytest.raises(OSError, match="there is no tar 'nothing-"):
        ganlib.convert("nothing-*.tar", "none", size=8)
    with pytest.raises(ValueError, match="is an address; download the tars first"):
        ganlib.convert("https://example.org/a-{0..3}.tar", "none", size=8)


def test_a_sample_has_one_picture_and_a_label_in_a_json_too(tmp_path):
    png = images.packed(picture(0), "PNG")
    about = b'{"label": 7, "caption": "a cat"}'
    files = {"x/1.png": png, "x/1.json": about, "x/2.seg.txt": b"", "x/2.json": b"{"}
    files |= {"x/3.jpg": png, "x/3.json": b'{"cls": 1}', "y/3.mask.png": png, "y/3.big.jpeg": png}
    found = [*tars.samples(as_tar(tmp_path / "a.tar", files))]
    assert [(name, label) for name, _, label in found] == [
        ("x/1", 7),
        ("x/2", None),
        ("x/3", None),
        ("y/3", None),
    ]
    assert found[0][1] == found[2][1] == found[3][1] == png
    assert "it has no image, only seg.txt, json" in str(found[1][1])


@pytest.mark.parametrize("broken", ["cut", "missing", "damaged"])
def test_a_tar_that_is_broken_stops_it_and_mended_it_goes_on(
    tmp_path, small_shards, broken, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    folder, pattern = four_tars(tmp_path / "tars"), f"{tmp_path}/tars/train-{{0000..0003}}.tar"
    whole = ganlib.convert(pattern, "whole", size=8)
    bad = folder / "train-0002.tar"
    good = bad.read_bytes()
    if broken == "missing":
        bad.unlink()
    else:
        bad.write_bytes(good[:4000] if broken == "cut" else good[:2048] + b"x" * 2000 + good[4048:])
    for _ in range(2):  # it does not help to try again
        with pytest.raises(OSError, match=r"train-0002.tar .*; mend that, and the same command"):
            ganlib.convert(pattern, "out", size=8)
    with pytest.raises(ValueError, match="holds a conversion that is not done, 1[23] images so"):
        ganlib.load("out")
    bad.write_bytes(good)
    assert ganlib.convert(pattern, "out", size=8).fingerprint == whole.fingerprint
    assert content(tmp_path / "out") == content(tmp_path / "whole")


class Streamed:
    """As a streaming data set of Hugging Face: dicts without a length, read by a generator."""

    def __init__(self, n=24, breaks=None, features=None):
        self.n, self.breaks, self.begun = n, breaks, 0
        self.features = features or {}

    def __iter__(self):
        self.begun += 1
        for i in range(self.n):
            if i == self.breaks:
                raise ConnectionError("the server is gone")
            yield {"image": picture(i), "label": "abc"[i % 3]}


def test_a_stream_that_breaks_off_is_no_end(tmp_path, small_shards):
    whole = ganlib.convert(Streamed(), tmp_path / "whole", size=8)
    assert torch.equal(whole.images[:], expected_of(range(24))) and whole.classes == ("a", "b", "c")
    for breaks in (5, 5, 17):
        with pytest.raises(OSError, match=f"broke off after {breaks} items .*the server is gone"):
            ganlib.convert(Streamed(breaks=breaks), tmp_path / "out", size=8)
    with pytest.raises(OSError, match="Streamed broke off after 0 items"):
        ganlib.convert(Streamed(breaks=0), tmp_path / "other", size=8)
    ganlib.convert(Streamed(), tmp_path / "out", size=8)
    assert content(tmp_path / "out") == content(tmp_path / "whole")
    with pytest.raises(ValueError, match="size=8, and size=9 is given now; use the same, or"):
        ganlib.convert(Streamed(), tmp_path / "out", size=9)


def test_a_generator_gives_each_item_once_and_a_set_in_memory_at_any_place(tmp_path, small_shards):
    def given():
        return (item for item in Streamed(breaks=9))

    with pytest.raises(OSError, match="generator broke off after 9 items"):
        ganlib.convert(given(), tmp_path / "out", size=8)
    data = ganlib.convert((item for item in Streamed()), tmp_path / "out", size=8)
    listed = ganlib.convert(list(Streamed()), tmp_path / "list", size=8)
    assert data.fingerprint == listed.fingerprint
    reading = Reading(list(Streamed()), "train")
    names = [name for (name, label), _ in reading.items(5, 8)]
    assert names == ["5", "6", "7"] and [x[1] for x, _ in reading.items(22)] == ["b", "c"]


def test_one_item_that_raises_is_skipped_and_many_in_a_row_stop_it(tmp_path, small_shards):
    class Flaky(list):
        bad = ()

        def __getitem__(self, i):
            if i in self.bad:
                raise TimeoutError("too slow")
            return super().__getitem__(i)

    data = Flaky(Streamed(60))
    data.bad = (3, 7)
    made = ganlib.convert(data, tmp_path / "two", size=8)
    assert len(made) == 58 and made.report["skipped"] == [["3", "too slow"], ["7", "too slow"]]
    assert made.labels.tolist() == [i % 3 for i in range(60) if i not in data.bad]
    data.bad = range(30, 55)
    with pytest.raises(OSError, match="20 items one after the other cannot be read, the first of"):
        ganlib.convert(data, tmp_path / "out", size=8)
    data.bad = ()
    assert len(ganlib.convert(data, tmp_path / "out", size=8)) == 60


def test_shards_that_are_missing_or_cut_are_made_again(tmp_path, small_shards, capsys):
    source = write(tmp_path / "set", by_class() | {"c/16.png": CASES[0].content})
    options = {"size": 8, "fit": "pad"}
    ganlib.convert(source, tmp_path / "out", **options)
    before = content(tmp_path / "out")
    (tmp_path / "out/00001.u8").unlink()
    os.truncate(tmp_path / "out/00003.u8", 100)
    ganlib.convert(source, tmp_path / "out", **options)
    assert content(tmp_path / "out") == before
    said = capsys.readouterr().out
    assert "00001.u8 is missing: it is made again from set" in said
    assert "00003.u8 has 100 bytes; 768 are expected: it is made again" in said
    (tmp_path / "out/00002.u8").unlink()
    info = (source / "a/000.png").stat()
    (source / "a/000.png").write_bytes((source / "a/003.png").read_bytes())
    with pytest.raises(ValueError, match="set is not what .*out was begun with, or has changed"):
        ganlib.convert(source, tmp_path / "out", **options)
    assert info.st_size and not (tmp_path / "out/00002.u8").exists()


def test_another_source_in_place_of_a_stream_is_noticed_by_its_pixels(tmp_path, small_shards):
    ganlib.convert(Streamed(), tmp_path / "out", size=8)
    (tmp_path / "out/00001.u8").unlink()
    with pytest.raises(OSError, match="00001.u8 was made again from list, and is not what it was"):
        ganlib.convert([(picture(i + 1), "a") for i in range(24)], tmp_path / "out", size=8)
    ganlib.convert(Streamed(), tmp_path / "out", size=8).verify()


def test_a_part_that_was_lost_in_between_is_made_again(tmp_path, small_shards):
    ganlib.convert(Streamed(), tmp_path / "whole", size=8)
    with pytest.raises(OSError, match="broke off"):
        ganlib.convert(Streamed(breaks=16), tmp_path / "out", size=8)
    (tmp_path / "out/00000.part").unlink()
    os.truncate(tmp_path / "out/00002.part", 10)
    ganlib.convert(Streamed(), tmp_path / "out", size=8)
    assert content(tmp_path / "out") == content(tmp_path / "whole")


CONVERT = """
import sys, time, resource
sys.path[:0] = ["tests", "."]
import ganlib, test_convert
from ganlib.data.decoding import decode
from ganlib.data.large import converting, writing
writing.SHARD, converting.SECONDS = 7 * 3 * 64, 0.0
"""
SLOWLY = """
class Slow(test_convert.Mixed):
    def __iter__(self):
        for item in super().__iter__():
            time.sleep(0.03)
            yield item
Slow.__name__ = "Mixed"
ganlib.convert(Slow(), sys.argv[1], size=8, fit="pad")
"""
LIMITED = """
for limit in sys.argv[2:]:  # of what the system lets a file grow to
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
    try:
        ganlib.convert(test_convert.Mixed(), sys.argv[1], size=8, fit="pad")
    except OSError as error:
        print(error)
"""


class Mixed(Streamed):
    """A stream with some that cannot be read, grey ones first, and some that are decided late."""

    def __iter__(self):
        for i, item in enumerate(super().__iter__()):
            kind = picture(i).convert("L" if i < 8 else "RGBA" if i % 5 == 0 else "RGB")
            if kind.mode == "RGBA":
                kind.putalpha(100 + i)
            yield item | {"image": b"no image" if i == 11 else kind}


@POSIX
def test_a_killed_conversion_goes_on_and_ends_with_the_same_bytes(tmp_path, small_shards):
    whole = ganlib.convert(Mixed(), tmp_path / "whole", size=8, fit="pad")
    assert len(whole) == 23 and whole.shape[0] == 3
    assert torch.equal(
        whole.images[:], ganlib.load(Mixed(), size=8, fit="pad", root=tmp_path).images
    )
    command, seen = [sys.executable, "-c", CONVERT + SLOWLY, str(tmp_path / "out")], []
    for least in (3, 14):
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        while process.poll() is None:
            state = about_of(tmp_path / "out", UNFINISHED) or {"images": 0}
            if state["images"] >= least:
                process.send_signal(signal.SIGKILL)
            time.sleep(0.005)
        assert process.returncode == -signal.SIGKILL
        seen.append(state["images"])
    assert 3 <= seen[0] < seen[1] < 23
    ganlib.convert(Mixed(), tmp_path / "out", size=8, fit="pad")
    assert content(tmp_path / "out") == content(tmp_path / "whole")


class Cut(BaseException):
    """As if the process had been killed."""


def test_cut_before_any_move_it_ends_with_the_same_bytes(tmp_path, small_shards, monkeypatch):
    """Each file that counts is put in its place by os.replace: it ends there, in turn."""
    ganlib.convert(Mixed(), tmp_path / "whole", size=8, fit="pad")
    whole, move, left = content(tmp_path / "whole"), os.replace, 0

    def cutting(*paths):
        nonlocal left
        left -= 1
        if left == 0:
            raise Cut
        move(*paths)

    monkeypatch.setattr(os, "replace", cutting)
    monkeypatch.setattr(os, "fsync", lambda file: None)  # nobody pulls the plug
    for first in range(1, 100):
        out, left = tmp_path / f"out{first}", first
        try:
            ganlib.convert(Mixed(), out, size=8, fit="pad")
            break
        except Cut:
            ganlib.convert(Mixed(), out, size=8, fit="pad")
        assert content(out) == whole, first
    assert 30 < first < 60, "it was cut at each move"


@POSIX
def test_a_disk_that_is_full_is_a_sentence_and_the_same_command_goes_on(tmp_path, small_shards):
    """The system refuses to let files grow: at the first commit, in a shard, and at the end."""
    ganlib.convert(Mixed(), tmp_path / "whole", size=8, fit="pad")
    command = [sys.executable, "-B", "-c", CONVERT + LIMITED, str(tmp_path / "out")]
    done = subprocess.run(
        [*command, "300", "1330", "1950"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stdout.splitlines() if "cannot be written (" in line]
    assert len(said) == 3 and "the 0 images before are kept" in said[0]
    assert all(
        line.endswith("make room on the disk, and the same command goes on") for line in said
    )
    assert "the 23 images before are kept" in said[2] and "File too large" in said[1]
    ganlib.convert(Mixed(), tmp_path / "out", size=8, fit="pad")
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_mistakes_are_named(tmp_path, small_shards):
    write(tmp_path / "full", {"a.txt": b"mine"})
    for source, folder, options, error, message in (
        (Streamed(), "full", {"size": 8}, ValueError, "is not empty, and holds no conversion"),
        (Streamed(), "x", {"size": 0}, ValueError, "size=0 was given for images of your own"),
        (Streamed(), "x", {"size": 8, "fit": "fill"}, ValueError, "fit='fill' was given"),
        (Streamed(), "x", {"size": 8, "split": "test"}, ValueError, "which has no splits"),
        (tmp_path / "none", "x", {"size": 8}, OSError, "there is no folder and no archive"),
        (tmp_path / "full", "full/out", {"size": 8}, ValueError, "whose images are to be read"),
        (5, "x", {"size": 8}, ValueError, "int was given; a path, tars, or a data set or stream"),
        ([], "x", {"size": 8}, ValueError, "is empty"),
        (
            [b"no", b"image"],
            "x",
            {"size": 8},
            OSError,
            "list holds no image that can be read, of 2",
        ),
    ):
        with pytest.raises(error, match=message):
            ganlib.convert(source, tmp_path / folder, **options)
        assert not (tmp_path / "x").exists()  # what failed before its first image leaves nothing
    assert content(tmp_path / "full") == {"a.txt": b"mine"}
    with pytest.raises(OSError, match="a.txt/out cannot be written .*; give a folder that can be"):
        ganlib.convert(Streamed(), tmp_path / "full" / "a.txt" / "out", size=8)


def test_shards_are_no_pictures(tmp_path, small_shards):
    """Who gives them where pictures are needed is told so, and not that their files are broken."""
    ganlib.convert(write(tmp_path / "set", by_class()), tmp_path / "shards", size=8)
    before = content(tmp_path / "shards")
    for use in (
        lambda: ganlib.convert(tmp_path / "shards", tmp_path / "other", size=8),
        lambda: photographs.pictures(tmp_path / "shards"),
    ):
        with pytest.raises(ValueError, match="holds no pictures, but images that `convert` made"):
            use()
    assert content(tmp_path / "shards") == before and not (tmp_path / "other").exists()


def test_a_refused_second_conversion_takes_no_lock_away(tmp_path):
    with converting.alone(tmp_path / "out"):
        with (
            pytest.raises(BlockingIOError, match="another process converts"),
            converting.alone(tmp_path / "out"),
        ):
            pass
        assert [path.name for path in (tmp_path / "out").iterdir()] == [".converting"]
    assert not (tmp_path / "out").exists()


def test_two_at_a_time_are_refused(tmp_path):
    (tmp_path / "out").mkdir()
    with (
        converting.alone(tmp_path / "out"),
        pytest.raises(BlockingIOError, match="another process converts into"),
    ):
        ganlib.convert(Streamed(), tmp_path / "out", size=8)


def test_labels_of_all_kinds(tmp_path, small_shards):
    for labels in (
        [True, 1, 0] * 8,
        [[0, 1, 0], [1, 0, 0]] * 12,
        [None, 1, 2] * 8,
        [{"a": 1}] * 24,
        [1, "1", 2.0] * 8,
        [-1, 1] * 12,
        list(range(24)),
        [float("nan"), 1.0] * 12,
        [numpy.int64(3), torch.tensor(4)] * 12,
    ):
        given = [(picture(i), label) for i, label in enumerate(labels)]
        out = tmp_path / f"out{labels[:3]}"
        assert equal(
            ganlib.convert(given, out, size=8), ganlib.load(given, size=8, root=tmp_path)
        ), labels[:3]


def test_the_command_line_converts_trains_and_judges(tmp_path, small_shards, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source, out = write(tmp_path / "set", by_class()), tmp_path / "out"
        assert main(["convert", str(source), str(out), "--size", "8"]) == 0
        assert "24 images of 8 x 8, 2 items skipped" in capsys.readouterr().out
        train = ["train", "--data", str(out), "--recipe", "small", "--steps", "2", "--batch-size"]
        assert main([*train, "8", "--out", str(tmp_path / "run"), "--device", "cpu"]) == 0
        assert main(["evaluate", str(tmp_path / "run"), "--extractor", "pixels"]) == 0
        assert main([*train, "8", "--size", "16", "--out", str(tmp_path / "b")]) == 1
        assert "size=16 was given for" in capsys.readouterr().err
        assert main(["convert", str(source), str(tmp_path / "set"), "--size", "8"]) == 1
    four_tars(tmp_path / "tars")
    listed = sorted(map(str, Path(tmp_path / "tars").iterdir()))
    assert main(["convert", *listed, str(tmp_path / "tar_out"), "--size", "8"]) == 0
    assert len(ganlib.load(tmp_path / "tar_out")) == 24
