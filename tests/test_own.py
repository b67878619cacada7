"""Images of one's own: every kind of file, archives made to harm, data sets of other libraries."""

import io
import json
import os
import shutil
import stat
import tarfile
import warnings
import zipfile
from pathlib import Path

import images
import numpy
import pytest
import torch
from PIL import Image

import ganlib
from ganlib.data import archives, decoding, prepared, source
from ganlib.data.decoding import Unreadable, decode

CASES = list(images.cases())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_kind_of_file_gives_the_pixels_that_one_sees(case):
    if case.reason:
        with pytest.raises(Unreadable, match=case.reason):
            decode(case.content, 16, "stretch")
        return
    found = decode(case.content, 16, "stretch")
    assert found.pixels.shape == (3, 16, 16) and found.pixels.dtype == numpy.uint8
    for column, colour in ((2, case.left), (13, case.right)):
        away = numpy.abs(
            found.pixels[:, :, column].astype(int) - numpy.array(colour)[:, None]
        ).max()
        assert away <= case.tolerance, (case.name, column, found.pixels[:, 8, column], colour)
    assert case.note in "; ".join(found.notes) and bool(case.note) == bool(found.notes)
    assert case.name == "lab.tif" or found.grey == (
        len(set(case.left)) == len(set(case.right)) == 1
    )


def test_crop_pad_and_stretch():
    """A picture twice as wide as high: red, then green in its middle half, then blue."""
    wide = Image.new("RGB", (80, 40), images.GREEN)
    wide.paste(images.RED, (0, 0, 20, 40))
    wide.paste(images.BLUE, (60, 0, 80, 40))
    crop, pad, stretch = (
        decode(images.packed(wide, "PNG"), 40, fit).pixels for fit in ("crop", "pad", "stretch")
    )
    assert (crop == numpy.array(images.GREEN)[:, None, None]).all()
    assert (
        (pad[:, :9] == 255).all()
        and (pad[:, 31:] == 255).all()
        and tuple(pad[:, 20, 3]) == images.RED
    )
    assert tuple(stretch[:, 2, 3]) == images.RED and tuple(stretch[:, 37, 36]) == images.BLUE


def write(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def pictures(n, start=0, mode="RGB"):
    """`n` files; the i-th has the colour 10 * i everywhere."""
    colours = [10 * (start + i) for i in range(n)]
    return [
        images.packed(Image.new(mode, (20, 20), c if mode == "L" else (c, 0, c)), "PNG")
        for c in colours
    ]


@pytest.fixture
def by_class():
    a, b, c = pictures(3)
    return {
        "dogs/1.png": a,
        "cats/2.png": b,
        "cats/1.png": c,
        "cats/notes.txt": b"no",
        ".DS_Store": b"x",
        "__MACOSX/cats/._1.png": b"x",
        "dogs/Thumbs.db": b"x",
    }


def as_zip(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def as_tar(path, files, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


WAYS = {
    "folder": lambda where, files: write(where / "set", files),
    "zip": lambda where, files: as_zip(where / "set.zip", files),
    "tar": lambda where, files: as_tar(where / "set.tar", files),
    "tar.gz": lambda where, files: as_tar(where / "set.tar.gz", files, "w:gz"),
    "tgz": lambda where, files: as_tar(where / "set.tgz", dict(sorted(files.items())), "w:gz"),
    "tar.xz": lambda where, files: as_tar(where / "set.tar.xz", files, "w:xz"),
}


@pytest.mark.parametrize("within", ["", "photos/2024/"])
@pytest.mark.parametrize("way", WAYS)
def test_one_folder_per_class_makes_labels(tmp_path, by_class, way, within):
    path = WAYS[way](tmp_path, {within + name: content for name, content in by_class.items()})
    data = ganlib.load(path, size=8, root=tmp_path / "data")
    assert data.classes == ("cats", "dogs") and data.name == "set" and data.shape == (3, 8, 8)
    names = [name.removeprefix(within) for name in data.report["names"]]
    colours = dict(zip(names, data.images[:, 0, 4, 4].tolist(), strict=True))
    assert colours == {"cats/1.png": 20, "cats/2.png": 10, "dogs/1.png": 0}
    assert [data.classes[i] for i in data.labels] == [name.split("/")[0] for name in names]
    if "tar" not in way:
        assert names == sorted(names)
    assert [(name.removeprefix(within), why) for name, why in data.report["skipped"]] == [
        ("cats/notes.txt", "no image that Pillow knows")
    ]


def test_a_flat_folder_has_no_labels_and_grey_images_one_channel(tmp_path):
    write(tmp_path / "flat", dict(zip("cab", pictures(3, mode="L"), strict=True)))
    data = ganlib.load(str(tmp_path / "flat"), size=4, root=tmp_path)
    assert data.labels is None and data.classes == () and data.shape == (1, 4, 4)
    assert data.images[:, 0, 0, 0].tolist() == [10, 20, 0], "in the order of their names"
    assert ganlib.load(tmp_path / "flat", size=4, channels=3, root=tmp_path).shape == (3, 4, 4)
    write(tmp_path / "flat", {"d.png": pictures(1, 9)[0], "sub/e.png": pictures(1, 8)[0]})
    mixed = ganlib.load(tmp_path / "flat", size=4, root=tmp_path)
    assert mixed.shape == (3, 4, 4) and mixed.labels is None and mixed.report["mixed"]
    assert ganlib.load(tmp_path / "flat", size=4, channels=1, root=tmp_path).images[
        3, 0, 0, 0
    ] == round(90 * (0.299 + 0.114))


def test_everything_together_is_decoded_and_the_rest_reported(tmp_path):
    write(tmp_path / "all", {case.name: case.content for case in CASES})
    data = ganlib.load(tmp_path / "all", size=16, fit="stretch", root=tmp_path)
    good = sorted(case.name for case in CASES if not case.reason)
    bad = {case.name: case.reason for case in CASES if case.reason}
    assert data.report["names"] == good and data.report["used"] == len(good) == len(data)
    assert {name for name, _ in data.report["skipped"]} == set(bad)
    assert all(bad[name] in why for name, why in data.report["skipped"])
    for name, pixels in zip(good, data.images, strict=True):
        alone = decode((tmp_path / "all" / name).read_bytes(), 16, "stretch").pixels
        assert numpy.array_equal(pixels.numpy(), alone), name


def test_the_second_start_decodes_nothing(tmp_path, by_class, monkeypatch, capsys):
    path = write(tmp_path / "set", by_class)
    first = ganlib.load(path, size=8, root=tmp_path / "data")
    assert not list((tmp_path / "data").rglob("*.tmp"))
    monkeypatch.setattr(prepared, "decode", None)
    again = ganlib.load(path, size=8, root=tmp_path / "data")
    assert torch.equal(first.images, again.images) and torch.equal(first.labels, again.labels)
    assert first.report == again.report and "prepared before" in capsys.readouterr().out
    shutil.copytree(
        path, tmp_path / "elsewhere" / "set"
    )  # keyed by content: a copy is the same set
    for file in (tmp_path / "elsewhere").rglob("*.png"):
        os.utime(file, (1, 1))
    assert torch.equal(
        ganlib.load(tmp_path / "elsewhere" / "set", size=8, root=tmp_path / "data").images,
        first.images,
    )


def test_another_content_another_size_and_a_damaged_file_are_made_anew(tmp_path, by_class):
    path = write(tmp_path / "set", by_class)
    first = ganlib.load(path, size=8, root=tmp_path / "data")
    assert ganlib.load(path, size=4, root=tmp_path / "data").shape == (3, 4, 4)
    info = (path / "dogs" / "1.png").stat()
    changed = Image.new("RGB", (20, 20), (0, 99, 0))
    (path / "dogs" / "1.png").write_bytes(images.packed(changed, "PNG"))
    os.utime(
        path / "dogs" / "1.png", ns=(info.st_atime_ns, info.st_mtime_ns)
    )  # the same time: still another content
    second = ganlib.load(path, size=8, root=tmp_path / "data")
    assert second.images[2, 1, 0, 0] == 99 and first.images[2, 1, 0, 0] == 0
    for file in (tmp_path / "data").rglob("images.u8"):
        file.write_bytes(file.read_bytes()[:-1])
    assert torch.equal(ganlib.load(path, size=8, root=tmp_path / "data").images, second.images)


def test_a_set_larger_than_memory_is_a_mapped_file_with_the_same_batches(
    tmp_path, by_class, monkeypatch
):
    path = write(tmp_path / "set", by_class)
    inside = ganlib.load(path, size=8, root=tmp_path / "data")
    monkeypatch.setattr(prepared, "IN_MEMORY", 0)
    mapped = ganlib.load(path, size=8, root=tmp_path / "data")
    assert "images.u8" in Path("/proc/self/maps").read_text()
    for step in range(3):
        ours, theirs = (data.batches(0, step, 1, 2) for data in (mapped, inside))
        assert torch.equal(ours.images, theirs.images) and torch.equal(ours.labels, theirs.labels)
    file = next((tmp_path / "data").rglob("images.u8"))
    before = file.read_bytes()
    mapped.images[0] = 77  # a mistake of the user's does not reach the file
    assert file.read_bytes() == before


def test_a_tar_of_a_folder_from_within_is_an_ordinary_one(tmp_path, by_class):
    """`tar czf set.tar.gz -C set .`: its first member is the folder itself."""
    write(tmp_path / "set", by_class)
    with tarfile.open(tmp_path / "set.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "set", ".")
    data = ganlib.load(tmp_path / "set.tar.gz", size=8, root=tmp_path / "data")
    assert len(data) == 3 and data.classes == ("cats", "dogs")


ESCAPES = [
    "../evil.png",
    "a/../../evil.png",
    "/etc/evil.png",
    "..\\evil.png",
    "C:/evil.png",
    "\\\\server\\evil.png",
]


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
@pytest.mark.parametrize("name", ESCAPES)
def test_paths_that_lead_out_of_an_archive_are_refused(tmp_path, name, kind):
    good = pictures(1)[0]
    path = WAYS[kind](tmp_path, {"good.png": good, name: good})
    before = sorted(p for p in tmp_path.rglob("*"))
    with pytest.raises(
        ValueError, match=r"set.* is refused: .*evil.png' points out of the archive"
    ):
        ganlib.load(path, size=8, root=tmp_path / "data")
    assert sorted(p for p in tmp_path.rglob("*")) == before, "nothing was written anywhere"


def test_links_and_devices_in_archives_are_not_followed(tmp_path):
    (tmp_path / "secret.png").write_bytes(pictures(1, 5)[0])
    with tarfile.open(tmp_path / "links.tar", "w") as archive:
        for name, kind in (
            ("link.png", tarfile.SYMTYPE),
            ("hard.png", tarfile.LNKTYPE),
            ("pipe.png", tarfile.FIFOTYPE),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, str(tmp_path / "secret.png")
            archive.addfile(member)
        member = tarfile.TarInfo("good.png")
        member.size = len(pictures(1)[0])
        archive.addfile(member, io.BytesIO(pictures(1)[0]))
    with zipfile.ZipFile(tmp_path / "links.zip", "w") as archive:
        info = zipfile.ZipInfo("link.png")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, str(tmp_path / "secret.png"))
        archive.writestr("good.png", pictures(1)[0])
    for kind, links in (("tar", 3), ("zip", 1)):
        data = ganlib.load(tmp_path / f"links.{kind}", size=8, root=tmp_path / "data")
        assert data.report["names"] == ["good.png"]
        assert [why for _, why in data.report["skipped"]] == ["a link or a device"] * links


def test_bombs_are_refused_before_they_go_off(tmp_path, monkeypatch):
    """10 MB of zeros in 10 KB, 1000 to 1; and limits on bytes and on files."""
    bomb = {"good.png": pictures(1)[0], "zeros.bmp": bytes(10_000_000)}
    for kind in ("zip", "tar.gz", "tar.xz"):
        path = WAYS[kind](tmp_path, bomb)
        assert path.stat().st_size < 20_000
        with pytest.raises(
            ValueError, match=r"is refused: .*more than 200 to 1.*unpack it yourself"
        ):
            ganlib.load(path, size=8, root=tmp_path / "data")
    for kind in ("zip", "tar"):
        path = WAYS[kind](tmp_path, dict(zip("abcd", pictures(4), strict=True)))
        for limit, value, why in (
            ("COUNT", 3, "more than 3 files"),
            ("TOTAL", 200, "would unpack to more than"),
        ):
            with monkeypatch.context() as change:
                change.setattr(archives, limit, value)
                with pytest.raises(ValueError, match=f"is refused: .*{why}"):
                    ganlib.load(path, size=8, root=tmp_path / "data")
        with monkeypatch.context() as change:
            change.setattr(source, "BYTES", 10)
            with pytest.raises(
                OSError, match="no image that can be read.*more than 0 are not read"
            ):
                ganlib.load(path, size=8, root=tmp_path / "data")


def test_a_damaged_archive_gives_what_is_whole_and_reports_the_rest(tmp_path):
    files = {f"{i}.png": content for i, content in enumerate(pictures(6))}
    path = as_zip(tmp_path / "bad.zip", files)
    raw = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        place = archive.getinfo("2.png").header_offset + 60
    raw[place] ^= 0xFF
    path.write_bytes(raw)
    data = ganlib.load(path, size=8, root=tmp_path)
    assert len(data) == 5 and [name for name, _ in data.report["skipped"]] == ["2.png"]
    tar = as_tar(tmp_path / "cut.tar", files)
    whole = tar.read_bytes()
    for cut in (
        1024 * 3 + 200,
        1024 * 3 + 512 + 20,
    ):  # in the head of the fourth file, and in its content
        tar.write_bytes(whole[:cut])
        data = ganlib.load(tar, size=8, root=tmp_path)
        assert len(data) == 3 and all(
            "damaged" in why or "unexpected" in why for _, why in data.report["skipped"]
        )
        assert data.report["skipped"]
    packed = as_tar(
        tmp_path / "broken.tar.xz",
        dict(zip(map(str, range(99)), 99 * pictures(1), strict=True)),
        "w:xz",
    )
    raw = bytearray(packed.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    packed.write_bytes(raw)
    data = ganlib.load(packed, size=8, root=tmp_path)
    assert len(data) < 99 and any("damaged" in why for _, why in data.report["skipped"])
    for kind, content in (
        ("zip", b"PK\x03\x04nonsense"),
        ("tar", b"nonsense"),
        ("tar.gz", b"\x1f\x8bnonsense"),
    ):
        (tmp_path / f"x.{kind}").write_bytes(content)
        with pytest.raises(OSError, match=f"x.{kind} is no folder and no archive"):
            ganlib.load(tmp_path / f"x.{kind}", size=8, root=tmp_path)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (
            {"name": "./nowhere", "size": 8},
            OSError,
            "there is no folder and no archive './nowhere'",
        ),
        ({"name": "cats.zip", "size": 8}, OSError, "there is no folder and no archive 'cats.zip'"),
        (
            {"name": "minst"},
            ValueError,
            "unknown data set 'minst'.*did you mean 'mnist'.*path of a folder",
        ),
        (
            {"name": "empty", "size": 8},
            OSError,
            "empty holds no image that can be read, of 0 files",
        ),
        ({"name": "empty"}, ValueError, "say how large they are to be, as size=64"),
        ({"name": "digits", "size": 64}, ValueError, "whose images have a size of their own"),
        ({"name": "empty", "size": 0}, ValueError, "size=0 was given"),
        (
            {"name": "empty", "size": 8, "fit": "zoom"},
            ValueError,
            "fit='zoom' was given; 'crop', 'pad', 'stretch'",
        ),
        ({"name": "empty", "size": 8, "channels": 4}, ValueError, "channels=4 was given"),
        ({"name": 5, "size": 8}, ValueError, "int was given; a name, a path, or a data set"),
        ({"name": [], "size": 8}, ValueError, "is empty"),
    ],
)
def test_mistakes_are_named(tmp_path, monkeypatch, call, error, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(error, match=message):
        ganlib.load(**call)


class Pairs:
    """A data set of torchvision's kind."""

    classes = ("low", "high")

    def __init__(self, kind):
        self.kind = kind

    def __len__(self):
        return 4

    def __getitem__(self, i):
        pixels = numpy.full((10, 12, 3), 60 * i, numpy.uint8)
        kinds = {
            "pillow": lambda: Image.fromarray(pixels),
            "array": lambda: pixels,
            "tensor": lambda: torch.from_numpy(pixels).permute(2, 0, 1),
            "floats": lambda: torch.from_numpy(pixels).permute(2, 0, 1) / 255,
            "planes": lambda: torch.from_numpy(pixels[..., 0]),
        }
        return kinds[self.kind](), i // 2


@pytest.mark.parametrize("kind", ["pillow", "array", "tensor", "floats", "planes"])
def test_a_data_set_of_torchvisions_kind_is_taken_as_it_is(tmp_path, kind):
    data = ganlib.load(Pairs(kind), size=8, root=tmp_path)
    assert data.images[:, 0, 3, 3].tolist() == [0, 60, 120, 180] and data.labels.tolist() == [
        0,
        0,
        1,
        1,
    ]
    assert data.classes == ("low", "high") and data.shape == (1, 8, 8) and data.name == "Pairs"
    assert not list((tmp_path / "prepared").iterdir()), (
        "it cannot be told from another one: not kept"
    )


def test_torchvisions_own(tmp_path):
    from torchvision.datasets import FakeData, ImageFolder

    data = ganlib.load(FakeData(5, (3, 20, 20), 3), size=16, root=tmp_path)
    assert data.shape == (3, 16, 16) and len(data) == 5 and data.labels is not None
    a, b = pictures(2)
    write(tmp_path / "set", {"a/1.png": a, "b/1.png": b})
    folder = ganlib.load(ImageFolder(tmp_path / "set"), size=8, root=tmp_path)
    assert folder.classes == ("a", "b") and folder.labels.tolist() == [0, 1]


class ClassLabel:
    names = ["no", "yes"]


class HuggingFace(Pairs):
    """What `datasets.Dataset` looks like from outside."""

    features = {"photo": type("Image", (), {})(), "answer": ClassLabel()}
    _fingerprint = "abc"

    def __getitem__(self, i):
        picture, label = super().__getitem__(i)
        return {"photo": picture, "answer": label}


def test_a_data_set_of_hugging_face_is_taken_as_it_is_and_kept(tmp_path, monkeypatch):
    data = ganlib.load(HuggingFace("pillow"), size=8, root=tmp_path)
    assert data.classes == ("no", "yes") and data.labels.tolist() == [0, 0, 1, 1] and len(data) == 4
    monkeypatch.setattr(prepared, "decode", None)
    assert torch.equal(
        ganlib.load(HuggingFace("pillow"), size=8, root=tmp_path).images, data.images
    )


def test_a_broken_item_is_skipped_and_the_labels_stay_with_their_images(tmp_path, monkeypatch):
    real = decoding.decode

    def decode(found, *rest):
        if numpy.asarray(found).max() == 60:
            raise Unreadable("as asked")
        return real(found, *rest)

    monkeypatch.setattr(prepared, "decode", decode)
    data = ganlib.load(Pairs("array"), size=8, root=tmp_path)
    assert data.images[:, 0, 3, 3].tolist() == [0, 120, 180] and data.labels.tolist() == [0, 1, 1]
    assert data.report["skipped"] == [("1", "as asked")] or data.report["skipped"] == [
        ["1", "as asked"]
    ]


def test_an_item_that_raises_costs_no_more_than_itself(tmp_path):
    class Broken(Pairs):
        def __getitem__(self, i):
            if i == 1:
                raise OSError("image file is truncated")
            return super().__getitem__(i)

    data = ganlib.load(Broken("pillow"), size=8, root=tmp_path)
    assert data.labels.tolist() == [0, 1, 1] and list(data.report["skipped"][0]) == [
        "1",
        "image file is truncated",
    ]


def test_the_first_item_may_be_the_broken_one_and_labels_may_be_numpys(tmp_path):
    class Odd(Pairs):
        def __getitem__(self, i):
            if i == 0:
                raise OSError("truncated")
            picture, label = super().__getitem__(i)
            return picture, numpy.int64(label) if i % 2 else torch.tensor(label)

    data = ganlib.load(Odd("pillow"), size=8, root=tmp_path)
    assert data.labels.tolist() == [0, 1, 1] and data.classes == ("low", "high")

    class Hopeless(Pairs):
        def __getitem__(self, i):
            raise OSError("truncated")

    with pytest.raises(OSError, match=r"none of the 4 items of Hopeless can be read \(truncated\)"):
        ganlib.load(Hopeless("pillow"), size=8, root=tmp_path)


def test_warnings_are_as_they_were(tmp_path):
    write(tmp_path / "set", {f"{i}.png": content for i, content in enumerate(pictures(25))})
    before = list(warnings.filters)
    ganlib.load(tmp_path / "set", size=8, root=tmp_path)
    assert warnings.filters == before


def test_a_killed_preparation_is_never_taken_for_a_whole_one(tmp_path, by_class, monkeypatch):
    path = write(tmp_path / "set", by_class)

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as change:
        change.setattr(prepared, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            ganlib.load(path, size=8, root=tmp_path / "data")
    assert len(ganlib.load(path, size=8, root=tmp_path / "data")) == 3


def test_decoding_says_how_far_it_is(tmp_path, monkeypatch, capsys):
    clock = iter(range(0, 10**6, 3))
    monkeypatch.setattr("ganlib.machine.progress.time.monotonic", lambda: next(clock))
    write(tmp_path / "set", {f"{i:02}.png": content for i, content in enumerate(pictures(20))})
    ganlib.load(tmp_path / "set", size=8, root=tmp_path)
    said = capsys.readouterr().out.splitlines()
    assert (
        said[0] == "decoding: 2 of 20 images"
        and said[-1] == "decoding: 20 of 20 images"
        and 8 <= len(said) <= 10
    )


def test_it_trains(tmp_path, by_class):
    """From a folder to a checkpoint and back, by the command line's own way of naming data."""
    path = write(tmp_path / "set", by_class)
    data = ganlib.load(path, size=8, root=tmp_path)
    made = ganlib.recipe("small", data.shape, classes=2, images=100)
    gan = made.gan(0)
    for now in ganlib.train(gan, data, made.step, until=3, batch_size=2, folder=tmp_path / "run"):
        pass
    assert (
        now.reason == "3 steps"
        and json.dumps(gan.trained_on)
        and "set, 3 of (3, 8, 8)" in gan.trained_on["data"]
    )
