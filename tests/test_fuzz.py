"""Files of strangers, mutated: each gives a documented error or a right result, in bounded time and
memory, and no code of theirs is run. fuzz.py makes and reads them, in a process of its own.
"""

import gzip
import json
import os
import struct
import subprocess
import sys
import tarfile
import time
import zipfile
import zlib

import pytest
from conftest import ROOT

KINDS = ("config", "safetensors", "checkpoint", "archive", "picture")
KINDS += ("exported", "converted", "journal")
GROWTH = 1024  # MiB, most that all mutations of a kind may add to the memory of the process


def fuzzed(folder, first, count):
    """Return the reports of `count` mutations of each kind, by kind."""
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "fuzz.py", folder, str(first), str(count), *KINDS],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return {row["kind"]: row for row in map(json.loads, done.stdout.splitlines())}


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    return fuzzed(tmp_path_factory.mktemp("few"), 0, 40)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    return fuzzed(tmp_path_factory.mktemp("many"), 1000, 400)


def well(report, count):
    assert not report["wrong"], "\n".join(report["wrong"][:5])
    assert report["right"] + report["errors"] == count
    assert report["right"] > 0, "no mutation is harmless: the reader refuses what is right"
    assert report["errors"] > count / 4 and report["kinds"] > 3, "the mutations do no harm"
    assert report["slowest"] < 5 and report["mebibytes"] < GROWTH


@pytest.mark.parametrize("kind", KINDS)
def test_forty_mutations(few, kind):
    well(few[kind], 40)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_four_hundred_mutations(many, kind):
    print(many[kind])
    well(many[kind], 400)


def test_the_fuzzer_sees_code_that_is_run_and_memory_that_is_taken(tmp_path, monkeypatch):
    """A reader without care is caught: one that unpickles, and one that returns what is wrong."""
    import pickle

    import fuzz

    from ganlib.keep import checkpoint

    def careless(folder, device="cpu"):
        with zipfile.ZipFile(folder / checkpoint.FILE) as archive:
            return pickle.loads(archive.read(next(n for n in archive.namelist() if "pkl" in n)))

    monkeypatch.setattr(checkpoint, "newest", careless)
    report = fuzz.fuzz("checkpoint", tmp_path, 0, 40)
    assert any("code of the file was run" in line for line in report["wrong"])


# What the mutations seldom meet: sizes that a few bytes claim


@pytest.fixture
def shared(tmp_path, small):
    import ganlib

    ganlib.save(tmp_path / "run", small())
    ganlib.export(tmp_path / "run", tmp_path / "out")
    return tmp_path / "out"


CLAIMS = [
    ("MLPGenerator", {"latent_dim": 10**9}),
    ("MLPGenerator", {"widths": [10**9]}),
    ("MLPGenerator", {"shape": [3, 60_000, 60_000]}),
    ("ConvGenerator", {"extra": 10**6}),
    ("CompactGenerator", {"extra": 10**9}),
    ("CompactGenerator", {"classes": 10**9}),
    ("CompactGenerator", {"shape": [1, 10**400, 10**400]}),
    ("PictureGenerator", {"latent_dim": 10**9}),
    ("PictureGenerator", {"widths": [2**31] * 3}),
    ("PictureGenerator", {"shape": [1, 2**15, 2**15]}),
    ("ResidualGenerator", {"blocks": 10**7}),
    ("ResidualGenerator", {"shape": [1, 2**2000, 2**2000]}),
]


def test_claims_of_a_config_cost_nothing(shared, tmp_path):
    """In a process of its own: each is refused within 2 s, and with less than 100 MiB more."""
    config = json.loads((shared / "config.json").read_text())
    for i, (net, claim) in enumerate(CLAIMS):
        generator = {"net": net, "latent_dim": 8, "shape": [1, 28, 28]} | claim
        (shared / f"{i}.json").write_text(json.dumps(config | {"generator": generator}))
    code = (
        "import shutil, sys, time, resource, ganlib\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "ganlib.load_generator('.')\n"
        "for i in range(int(sys.argv[1])):\n"
        "    shutil.copy(f'{i}.json', 'config.json')\n"
        "    start, before = time.monotonic(), peak()\n"
        "    try: ganlib.load_generator('.'); said = 'read'\n"
        "    except ValueError as error: said = 'does not fit config.json' in str(error)\n"
        "    print(i, said, time.monotonic() - start < 2, peak() - before < 100 * 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(len(CLAIMS))],
        cwd=shared,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    expected = "".join(f"{i} True True True\n" for i in range(len(CLAIMS)))
    assert done.stdout == expected, done.stdout + done.stderr[-1000:]


def empty_png(width, height, depth, kind, channels):
    """The bytes of a PNG of zeros, made a row at a time."""
    packer = zlib.compressobj(9)
    row = bytes(1 + width * channels * depth // 8)
    content = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()

    def chunk(name, body):
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    parts = (b"IHDR", head), (b"IDAT", content), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def test_a_picture_of_nothing_takes_no_memory():
    """79 million pixels in 0.3 MB, and a tenth of a second; a drawing of 16 million is read."""
    from ganlib.data.decoding import Unreadable, decode

    bomb, start = empty_png(8900, 8900, 8, 6, 4), time.monotonic()
    with pytest.raises(Unreadable, match="8,900 x 8,900 pixels in so small a file; more than 62"):
        decode(bomb, 16)
    assert time.monotonic() - start < 1
    assert decode(empty_png(4000, 4000, 8, 0, 1), 16).pixels.max() == 0


def a_gz_of(header, content):
    return gzip.compress(
        struct.pack(">BBBB", 0, 0, 8, len(header))
        + struct.pack(f">{len(header)}I", *header)
        + content
    )


@pytest.mark.parametrize("size", [10, 2**28])
def test_an_idx_file_that_is_a_bomb_is_damaged(size, tmp_path):
    from ganlib.data import downloads

    file = tmp_path / "images.gz"
    file.write_bytes(a_gz_of([size], bytes(size)))
    start = time.monotonic()
    raw = downloads._read(file)
    assert time.monotonic() - start < 2
    assert raw is None if size > 10 else len(downloads.idx(raw, "images")) == 10


@pytest.mark.parametrize("kind", ["pax", "long name", "many", "zip"])
def test_an_archive_that_is_a_bomb_is_refused(kind, tmp_path):
    import ganlib

    path = tmp_path / ("set.zip" if kind == "zip" else "set.tar.gz")
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.png", bytes(2**24))
    else:
        header = tarfile.TarInfo("a.png")
        header.type = {"pax": tarfile.XHDTYPE, "long name": tarfile.GNUTYPE_LONGNAME}.get(
            kind, b"0"
        )
        header.size = 0 if kind == "many" else 2**33
        with gzip.open(path, "wb", 6) as file:
            for _ in range(60 if kind == "many" else 1):
                file.write(
                    header.tobuf() * (1000 if kind == "many" else 1)
                    + bytes(1024 * (kind != "many"))
                )
    start = time.monotonic()
    with pytest.raises((OSError, ValueError), match="is refused|no archive that can be read"):
        ganlib.load(path, size=8, root=tmp_path / "root")
    assert time.monotonic() - start < 5
