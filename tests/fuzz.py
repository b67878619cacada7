"""Mutate the files that ganlib reads, and read them: `python fuzz.py FOLDER FIRST COUNT KIND...`.

Each mutation is a function of its number. A line of JSON tells for each kind how many gave a right
result, how many a documented error, what else happened, and the time and memory that they took.
"""

import contextlib
import hashlib
import io
import json
import os
import pickle
import random
import resource
import shutil
import struct
import sys
import tarfile
import time
import traceback
import warnings
import zipfile
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy
import torch
from PIL import Image
from safetensors.torch import load as safetensors

import ganlib
from ganlib import nets
from ganlib.data.decoding import FITS, Unreadable, decode
from ganlib.data.large import convert
from ganlib.games.words.vocabulary import encode
from ganlib.keep import checkpoint, export, page
from ganlib.keep.sampling import writing

SECONDS, MEMORY = 5.0, 2**30  # what one mutation may take, of time and of memory


class Trap:
    """Pickled, it is a call that writes a file: the sign that code of a file was run."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


def odd(r):
    """Return a value of a kind, or a size, that is expected nowhere."""
    return r.choice(
        [
            *(0, 1, -1, 2, 3, 7, 2**31, 2**63, -(2**63), 10**9, 10**6, 10**400, -(10**9), 65536),
            *(0.5, 1.5, 1e308, float("nan"), float("inf"), -float("inf"), 28.0, True, False, None),
            *("", "5", "true", "nan", "a\n---\nb", "</script><img>", "caf\udce9", "../../x", "\0"),
            *([], {}, [[]], [1, 28, 28], [10**9] * 3, nested(50), nested(2000), "x" * 10**5),
            *(
                {"net": "MLPGenerator"},
                ["a"] * 1000,
                {"": {}},
                [None],
                -28,
                [-1, -28, 28],
                10**5000,
            ),
        ]
    )


def places(tree, path=()):
    """Yield the path of each value in nested dicts and lists."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, (dict, list, tuple)) and len(path) < 20:
            yield from places(value, (*path, key))


def changed(tree, r, value=odd):
    """Return a copy of nested dicts and lists in which a value is replaced, removed or added."""
    *way, last = r.choice(list(places(tree)))
    inner = tree = list(tree) if isinstance(tree, (list, tuple)) else dict(tree)
    for key in way:  # what lies beside the way is shared with the original
        kind = dict if isinstance(inner[key], dict) else list
        inner[key] = kind(inner[key])
        inner = inner[key]
    what = r.random()
    if what < 0.65:
        inner[last] = value(r)
    elif what < 0.8:
        del inner[last]
    elif what < 0.9:
        inner[last] = [inner[last]]
    elif isinstance(inner, dict):
        inner[r.choice(["", "x", "net", "extra", "\udce9", 5, "shape"])] = value(r)
    else:
        inner.insert(0, value(r))
    return tree


def scrambled(raw, r, start=0, stop=None):
    """Return bytes of which some are flipped, replaced, removed, added, or cut off at the end."""
    raw, stop = bytearray(raw), stop or len(raw)
    for _ in range(r.choice([1, 1, 1, 2, 4, 20])):
        place, what = r.randrange(start, max(start + 1, min(stop, len(raw)))), r.random()
        if not raw or place >= len(raw):
            continue
        if what < 0.5:
            raw[place] ^= 1 << r.randrange(8)
        elif what < 0.65:
            raw[place : place + 4] = struct.pack(r.choice("<>") + "I", r.getrandbits(32))
        elif what < 0.75:
            del raw[place : place + r.choice([1, 4, 100])]
        elif what < 0.85:
            raw[place:place] = r.randbytes(r.choice([1, 4, 100]))
        elif what < 0.93:
            raw[place : place + 8] = r.choice([b"\0", b"\xff", b"\x7f", b"9"]) * 8
        else:
            del raw[place:]
    return bytes(raw)


class Kind:
    """A kind of file. `mutate(r)` writes one with the random numbers `r`, `read()` reads it and
    asserts that what it returns is right; `errors` are those that its readers document.
    """

    errors = (OSError, ValueError)

    def __init__(self, folder):
        self.folder = Path(folder) / type(self).__name__.lower()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.trap = self.folder / "code-was-run"
        self.prepare()


class Config(Kind):
    """config.json of an exported generator."""

    conditional = True

    def prepare(self):
        G = nets.CompactGenerator(8, widths=(8, 4), classes=3 * self.conditional)
        gan = ganlib.GAN(G, nets.CompactDiscriminator(widths=(4, 8), classes=3), seed=0)
        G = gan.G if self.conditional else nets.MLPGenerator(6, (1, 4, 4), (8,))
        raw, self.shape = export_bytes(G), G.shape
        config = export._config(gan, "a name", "mit") | {"generator": export.settings_of(G)}
        config["sha256"] = hashlib.sha256(raw).hexdigest()
        self.config, self.raw = config, raw
        self.weights = safetensors(raw)
        (self.folder / "generator.safetensors").write_bytes(raw)

    def mutate(self, r):
        tree = self.config
        for _ in range(r.choice([1, 1, 1, 2, 3])):
            if r.random() < 0.6:
                tree = tree | {"generator": changed({"g": tree["generator"]}, r).get("g")}
                if not isinstance(tree["generator"], dict):
                    break
            else:
                tree = changed(tree, r)
        try:
            text = json.dumps(tree).encode()
        except (ValueError, RecursionError):  # a number or nesting that json writes not
            text = json.dumps(self.config).replace("8", "8" * 6000, 1).encode()
        if r.random() < 0.15:
            text = scrambled(text, r)
        (self.folder / "config.json").write_bytes(text)

    def read(self):
        G = ganlib.load_generator(self.folder)
        assert G.state_dict().keys() == self.weights.keys()
        for name, value in G.state_dict().items():
            assert torch.equal(value, self.weights[name]), name
        self.draws(G)

    def draws(self, G):
        z = torch.zeros(2, G.latent_dim)
        images = G(z, torch.zeros(2, dtype=torch.int64) if getattr(G, "classes", 0) else None)
        assert images.shape == (2, *self.shape) == (2, *G.shape)


class Exported(Config):
    """config.json of the other generators: words, clips, flows, translation, super-resolution."""

    def prepare(self):
        shape = (1, 8, 8)
        made = [
            nets.WordsGenerator(4, shape, (8,), words=5, length=2, said=4),
            nets.WordsStyleGenerator(4, (3, 8, 8), (8, 4), words=5, length=2, said=4),
            nets.FramesGenerator(8, (1, 4, 8, 8), (8,)),
            nets.MovedGenerator(20, (1, 4, 8, 8), (8,)),
            nets.PathGenerator(20, (1, 4, 8, 8), (8,)),
            nets.FlowGenerator(shape=shape, widths=(8, 8), steps=2),
            nets.TranslationGenerator(shape, widths=(8, 8), blocks=1),
            nets.EnlargingGenerator(shape, 2, 8, 1),
        ]
        self.made = []
        for G in made:
            raw = export_bytes(G)
            config = export._config(
                SimpleNamespace(**OF_A_RUN, G=G, G_ema=None, classes=0), "a", "mit"
            )
            config |= {"sha256": hashlib.sha256(raw).hexdigest(), "class_names": list("abcd")}
            self.made.append((config, raw, safetensors(raw), G.shape))

    def mutate(self, r):
        self.config, self.raw, self.weights, self.shape = r.choice(self.made)
        (self.folder / "generator.safetensors").write_bytes(self.raw)
        super().mutate(r)

    def draws(self, G):
        G = G.alone() if hasattr(G, "alone") else G
        if fed := page.fed(G):
            given = (torch.zeros(2, *fed),)
        else:
            asked = torch.ones(2, G.length, dtype=torch.int64) if hasattr(G, "sentence") else None
            given = torch.zeros(2, G.latent_dim), asked
        images = G(*given)
        assert images.shape[1:] == tuple(G.shape)  # frames, and sizes to enlarge, are free
        names = getattr(G, "config", {}).get("class_names")
        if hasattr(G, "sentence") and isinstance(names, list):  # as `sample --say` asks
            encode(["a"], names, G.length)


OF_A_RUN = {"trained_on": {}, "step": 1, "images_seen": 1, "seed": 0, "precision": "float32"}
OF_A_RUN |= {"latent_dim": 4}


class Converted(Kind):
    """What `convert` keeps: about.json, unfinished.json, shards and labels."""

    def prepare(self):
        draws = numpy.random.default_rng(0)
        self.items = [
            (Image.fromarray(draws.integers(0, 256, (8, 8, 3), numpy.uint8)), i % 2)
            for i in range(8)
        ]
        self.pixels = numpy.stack([numpy.asarray(image) for image, _ in self.items])
        self.kept = []
        for name, items in (("whole", self.items), ("begun", self.breaking())):
            folder = self.folder / name
            with contextlib.suppress(OSError):
                convert(items, folder, 8)
            self.kept.append({file.name: file.read_bytes() for file in folder.iterdir()})

    def breaking(self):
        yield from self.items[:5]
        raise RuntimeError("broken off")

    def mutate(self, r):
        self.now = self.folder / "now"
        shutil.rmtree(self.now, ignore_errors=True)
        self.now.mkdir()
        self.begun = r.random() < 0.5
        files = dict(self.kept[self.begun])
        name = "unfinished.json" if self.begun else "about.json"
        what = r.random()
        if what < 0.75:
            tree = json.loads(files[name])
            for _ in range(r.choice([1, 1, 2])):
                tree = changed(tree, r)
            with contextlib.suppress(ValueError, RecursionError):
                files[name] = json.dumps(tree).encode()
        else:
            name = r.choice([name, *(x for x in files if x not in ("about.json", ".converting"))])
            files[name] = b"" if what > 0.95 else scrambled(files[name], r)
        for name, content in files.items():
            (self.now / name).write_bytes(content)

    def read(self):
        data = convert(iter(self.items), self.now, 8) if self.begun else ganlib.load(self.now)
        data.verify()
        assert len(data) == 8 and data.shape == (3, 8, 8)
        pixels = data.images[torch.arange(8)].permute(0, 2, 3, 1).numpy()
        assert (pixels == self.pixels).all()
        assert data.labels is None or data.labels.tolist() == [0, 1] * 4
        assert data.batches(0, 0, 1, 4).images.shape == (1, 4, 3, 8, 8)


class Journal(Kind):
    """The journal of `sample`, beside a whole array, or one that was cut off, and its labels."""

    def prepare(self):
        torch.manual_seed(0)
        self.G = nets.CompactGenerator(8, (1, 8, 8), (8,), classes=3).eval()
        self.path = self.folder / "images.npy"
        writing.write(self.path, self.G, 6)
        self.kept = {file.name: file.read_bytes() for file in self.folder.iterdir()}
        self.right = numpy.load(self.path)

    def mutate(self, r):
        for file in self.folder.iterdir():
            file.unlink()
        files = dict(self.kept)
        tree = json.loads(files["images.npy.json"])
        if r.random() < 0.5:  # as if it had been cut off
            del tree["finished"], files["images.labels.npy"]
            files["images.npy.part"] = files.pop("images.npy")
            if r.random() < 0.5:
                tree |= {"done": 0, "bytes": 128}
        for _ in range(r.choice([0, 1, 1, 2])):
            tree = changed(tree, r)
        text = self.kept["images.npy.json"]
        with contextlib.suppress(ValueError, RecursionError):
            text = json.dumps(tree).encode()
        files["images.npy.json"] = scrambled(text, r) if r.random() < 0.15 else text
        if r.random() < 0.2:
            files.pop("images.labels.npy", None)
        for name, content in files.items():
            (self.folder / name).write_bytes(content)

    def read(self):
        writing.write(self.path, self.G, 6)
        assert (numpy.load(self.path) == self.right).all()
        labels = numpy.load(self.folder / "images.labels.npy")
        assert labels.tolist() == [0, 1, 2] * 2


def export_bytes(G):
    from safetensors.torch import save

    return save({name: value.contiguous() for name, value in G.state_dict().items()})


class Safetensors(Config):
    """generator.safetensors, whose SHA-256 in config.json is mostly put right."""

    conditional = False

    def mutate(self, r):
        size = struct.unpack("<Q", self.raw[:8])[0]
        header, data = json.loads(self.raw[8 : 8 + size]), self.raw[8 + size :]
        what = r.random()
        if what < 0.6:
            for _ in range(r.choice([1, 1, 2])):
                header = changed(header, r, self.odd)
            try:
                text = json.dumps(header).encode()
            except (ValueError, RecursionError):
                text = b'{"a":' * 5000
            size = len(text) if r.random() < 0.9 else r.choice([0, 1, 2**63, 2**40, len(text) + 9])
            raw = struct.pack("<Q", size) + text + data
        else:
            raw = scrambled(self.raw, r, 0, 8 + size if what < 0.9 else None)
        config = self.config
        if r.random() < 0.9:
            config = config | {"sha256": hashlib.sha256(raw).hexdigest()}
        (self.folder / "generator.safetensors").write_bytes(raw)
        (self.folder / "config.json").write_text(json.dumps(config))
        self.now = raw

    @staticmethod
    def odd(r):
        dtypes = ["F64", "F16", "BF16", "I64", "BOOL", "F8_E4M3", "F4", "C64", "X"]
        offsets = [[0, 4], [4, 0], [0, 2**63], [-4, 4], [0, 10**9], [2**64 - 1, 0]]
        return r.choice([odd(r), r.choice(dtypes), r.choice(offsets), [r.getrandbits(31)]])

    def read(self):
        G = ganlib.load_generator(self.folder)
        stored = safetensors(self.now)
        for name, value in G.state_dict().items():
            assert torch.equal(value, stored[name].to(value.dtype)) and value.isfinite().all()
        self.draws(G)


class Checkpoint(Kind):
    """checkpoint.pt, whose seal is put right: values, pickles, and the zip that holds them."""

    def prepare(self):
        self.trained = self.make()
        images = torch.randint(0, 256, (20, 1, 4, 4), dtype=torch.uint8)
        for _ in ganlib.train(
            self.trained, ganlib.Images(images), until=3, batch_size=4, record_every=1
        ):
            pass
        ganlib.save(self.folder, self.trained)
        self.file = self.folder / checkpoint.FILE
        self.raw = self.file.read_bytes()[: -len(checkpoint.SEAL) - 64]
        self.content = checkpoint.read(self.file)

    @staticmethod
    def make():
        G, D = nets.MLPGenerator(6, (1, 4, 4), (8,)), nets.MLPDiscriminator((1, 4, 4), (8,))
        return ganlib.GAN(G, D, ema=100, seed=0)

    def mutate(self, r):
        what = r.random()
        if what < 0.55:
            raw = self.packed(r)
        elif what < 0.75:
            raw = self.pickled(r)
        else:
            raw = scrambled(self.raw, r, *((0, None) if what < 0.85 else (len(self.raw) - 3000,)))
        seal = checkpoint.SEAL + hashlib.sha256(raw).hexdigest().encode()
        self.file.write_bytes(raw + (seal if r.random() < 0.95 else b""))

    def packed(self, r):
        tree = self.content
        part = r.choice([None, "config", "state", "state", "machine"])
        for _ in range(r.choice([1, 1, 2])):
            if part is None:
                tree = changed(tree, r, self.odd)
            else:
                tree = tree | {part: changed({"x": tree[part]}, r, self.odd).get("x")}
                part = None
        try:
            file = io.BytesIO()
            torch.save(tree, file)
        except (RecursionError, UnicodeEncodeError, OverflowError):
            return self.raw[:100]
        return file.getvalue()

    @staticmethod
    def odd(r):
        again = [[]]
        for _ in range(40):
            again = [again, again]
        itself = []
        itself.append(itself)
        tensors = [
            torch.zeros(1).expand(10**10),
            torch.zeros(1).expand(10**5, 10**5),
            torch.zeros(3),
            torch.zeros(0),
            torch.full((8, 6), float("nan")),
            torch.zeros(8, 6, dtype=torch.int64),
            torch.zeros(8, 6, dtype=torch.complex64),
            torch.zeros(8, 6, device="meta"),
            torch.zeros(8, 6).to_sparse(),
        ]
        return r.choice([odd(r), r.choice(tensors), again, itself])

    def pickled(self, r):
        """A zip like that of torch.save, with another pickle, or with claims that are wrong."""
        calls = [
            pickle.dumps(Trap(self.trap), 2),
            pickle.dumps({"format": 4, "state": Trap(self.trap)}, 2),
            b"\x80\x02cos\nsystem\nX\x0b\0\0\0touch hackedq\x01\x85R.".replace(
                b"X\x0b\0\0\0touch hacked",
                b"X" + struct.pack("<I", len(f"touch {self.trap}")) + f"touch {self.trap}".encode(),
            ),
            b"\x80\x02c__builtin__\nbytearray\n\x8a\x05\0\0\0\0\x04\x85R.",  # 17 GB of zeros
            b"\x80\x02c__builtin__\neval\nX\x03\0\0\x001+1\x85R.",
            b"\x80\x02]" + b"]a" * 20000 + b".",
            b"\x80\x02}.",
        ]
        with zipfile.ZipFile(io.BytesIO(self.raw)) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        name = next(name for name in parts if name.endswith("data.pkl"))
        pack, what = zipfile.ZIP_STORED, r.random()
        if what < 0.5:
            parts[name] = r.choice(calls)
        elif what < 0.8:
            parts[name] = scrambled(parts[name], r)
        else:
            pack, parts["archive/data/0"] = zipfile.ZIP_DEFLATED, bytes(2**25)
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", pack, compresslevel=1) as archive:
            for part, content in parts.items():
                archive.writestr(part, content)
        return file.getvalue()

    def read(self):
        gan, done = self.make(), 0
        for reader in (
            lambda: checkpoint.newest(self.folder),
            lambda: ganlib.resume(self.folder, gan),
            lambda: self.right(export.rebuild(self.folder)),
        ):
            try:
                reader()
                done += 1
            except self.errors as error:
                last = error
        if done < 3:
            raise last
        self.right(gan)

    def right(self, gan):
        stored = checkpoint.newest(self.folder)["state"]
        for name, net in (("G", gan.G), ("D", gan.D), ("G_ema", gan.G_ema)):
            if net is not None:
                for key, value in net.state_dict().items():
                    stored_value = stored[name][key].to(value.dtype)
                    assert torch.equal(value, stored_value) or stored_value.isnan().any(), key
        assert gan.step == stored["step"] and gan.sample(2).shape == (2, *gan.G.shape)


class Archive(Kind):
    """A .zip or .tar of images: headers, names, sizes, links; read by `load`."""

    def prepare(self):
        draws = numpy.random.default_rng(0)
        self.images = {}
        for i in range(6):
            pixels = draws.integers(0, 256, (8, 8, 3), numpy.uint8)
            self.images[f"{'ab'[i % 2]}/{i}.png"] = encoded(Image.fromarray(pixels), "PNG"), pixels

    def mutate(self, r):
        files = {name: content for name, (content, _) in self.images.items()}
        for _ in range(r.choice([0, 1, 1, 2])):
            name, what = r.choice(list(files)), r.random()
            content = files.pop(name)
            if what < 0.6:
                names = ["../x.png", "/x.png", "C:\\x.png", "a\\b.png", "caf\udce9.png", "\n.png"]
                names += ["", ".", "a//b.png", "x" * 5000, "CON.png", "\u202egnp.exe", "a/./b.png"]
                name = r.choice(names)
            elif what < 0.8:
                content = scrambled(content, r)
            else:
                content = bytes(2 ** r.choice([10, 20, 24]))
            files[name] = content
        kind = r.choice(["zip", "zip", "tar", "tar.gz", "tar.xz", "tar.bz2"])
        raw = zipped(files, r) if kind == "zip" else tarred(files, kind, r)
        if r.random() < 0.6:
            raw = scrambled(raw, r, *((0, None) if r.random() < 0.5 else (len(raw) - 600,)))
        self.path = self.folder / f"set.{kind}"
        self.path.write_bytes(raw)

    def read(self):
        data = ganlib.load(self.path, size=8, root=self.folder / "root")
        assert data.images.shape[1:] in ((3, 8, 8), (1, 8, 8)) and len(data) == data.report["used"]
        assert data.labels is None or len(data.labels) == len(data)
        assert all("\n" not in name and name.isprintable() for name in data.classes)
        known = [pixels.transpose(2, 0, 1) for _, pixels in self.images.values()]
        for image, name in zip(data.images.numpy(), data.report["names"], strict=True):
            if name in self.images:  # its CRC was right, or it has none
                right = self.images[name][1].transpose(2, 0, 1)
                whole = any((image == pixels).all() for pixels in known)
                assert (image == right).all() or not whole or "." in name


def encoded(image, kind, **settings):
    file = io.BytesIO()
    image.save(file, kind, **settings)
    return file.getvalue()


def zipped(files, r):
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", r.choice([0, 8, 12, 14])) as archive:
        warnings.simplefilter("ignore")
        for name, content in files.items():
            info = zipfile.ZipInfo(name.encode("utf-8", "replace").decode() or "x")
            info.compress_type = archive.compression
            if r.random() < 0.1:
                info.external_attr = 0o120777 << 16  # a link
            archive.writestr(info, content)
    raw = bytearray(file.getvalue())
    if r.random() < 0.3:  # the sizes that the directory at the end claims
        place = raw.find(b"PK\1\2")
        if place >= 0:
            raw[place + 20 : place + 28] = struct.pack(
                "<II", *r.sample([0, 9, 2**31, 2**32 - 1], 2)
            )
    return bytes(raw)


def tarred(files, kind, r):
    file = io.BytesIO()
    mode = {"tar": "w", "tar.gz": "w:gz", "tar.xz": "w:xz", "tar.bz2": "w:bz2"}[kind]
    form = r.choice([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
    with tarfile.open(fileobj=file, mode=mode, format=form) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, what = len(content), r.random()
            if what < 0.05:
                info.type, info.linkname, info.size = tarfile.SYMTYPE, "/etc/passwd", 0
            elif what < 0.08:
                info.type, info.linkname, info.size = tarfile.LNKTYPE, "nothing", 0
            elif what < 0.1:
                info.type, info.size = tarfile.FIFOTYPE, 0
            elif what < 0.15:
                info.type = r.choice([tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, b"S", b"Q"])
            if 0.2 < what < 0.25:  # claims more than is there
                info.size = r.choice([10**9, 2**33, 10**6])
                archive.fileobj.write(info.tobuf(form, "utf-8", "surrogateescape") + content)
            else:
                archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


class Picture(Kind):
    """The bytes of an image: of many formats, with sizes in the header that are not there."""

    errors = (Unreadable,)

    def prepare(self):
        draws = numpy.random.default_rng(0)
        colour = Image.fromarray(draws.integers(0, 256, (20, 24, 3), numpy.uint8))
        grey16 = Image.fromarray(draws.integers(0, 65536, (20, 24), numpy.uint16))
        clear = Image.fromarray(draws.integers(0, 256, (20, 24, 4), numpy.uint8))
        kinds = [(colour, "PNG"), (colour, "JPEG"), (colour, "BMP"), (colour, "TIFF")]
        kinds += [(colour, "WEBP"), (colour.quantize(16), "GIF"), (grey16, "PNG"), (grey16, "TIFF")]
        kinds += [(clear, "PNG"), (colour.convert("L"), "PPM"), (clear, "TGA"), (clear, "ICO")]
        kinds += [(colour.convert("CMYK"), "JPEG"), (colour.convert("1"), "PNG"), (clear, "DDS")]
        self.raws = [encoded(image, kind) for image, kind in kinds]
        films = [colour.quantize(8), colour.rotate(90).quantize(8)] * 5
        self.raws.append(encoded(films[0], "GIF", save_all=True, append_images=films[1:]))

    def mutate(self, r):
        raw = r.choice(self.raws)
        what = r.random()
        if raw.startswith(b"\x89PNG") and what < 0.4:  # other sizes and kinds, with the right CRC
            sizes = [0, 1, 24, 8000, 2**16, 10**5, 2**31 - 1, 10**7]
            depth, kind = r.choice([1, 8, 16]), r.choice([0, 2, 3, 4, 6])
            head = struct.pack(">IIBB", r.choice(sizes), r.choice(sizes), depth, kind) + raw[26:29]
            crc = struct.pack(">I", zlib.crc32(b"IHDR" + head))
            raw = raw[:16] + head + crc + raw[33:]
        elif what < 0.75:
            raw = scrambled(raw, r, 0, 64)
        else:
            raw = scrambled(raw, r)
        self.now, self.fit = raw, r.choice(FITS)

    def read(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            decoded = decode(self.now, 16, self.fit)
        assert decoded.pixels.shape == (3, 16, 16) and decoded.pixels.dtype == numpy.uint8
        assert decoded.width > 0 and decoded.height > 0 and isinstance(decoded.grey, bool)


KINDS = {
    kind.__name__.lower(): kind
    for kind in (
        *(Config, Safetensors, Checkpoint, Archive, Picture),
        *(Exported, Converted, Journal),
    )
}


def memory():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def fuzz(kind, folder, first, count):
    """Return the report of `count` mutations of a kind, the first of them number `first`."""
    made, said = KINDS[kind](folder), []
    report = {"kind": kind, "right": 0, "errors": 0, "wrong": [], "slowest": 0.0}
    sys.stdout, out = io.StringIO(), sys.stdout
    made.mutate(random.Random(f"{kind} warm"))
    with contextlib.suppress(Exception):
        made.read()
    before = memory()
    for number in range(first, first + count):
        made.mutate(random.Random(f"{kind} {number}"))
        start, wrong = time.monotonic(), None
        try:
            made.read()
            report["right"] += 1
        except made.errors as error:
            report["errors"] += 1
            if not 10 <= len(str(error)) <= 1500:
                wrong = f"a message of {len(str(error))} characters: {str(error)[:200]}"
            said.append(str(error).removeprefix(str(made.folder))[-60:])
        except BaseException:
            wrong = traceback.format_exc()[-1500:]
        seconds = time.monotonic() - start
        report["slowest"] = max(report["slowest"], seconds)
        if seconds > SECONDS:
            wrong = f"{seconds:.1f} s"
        if made.trap.exists():
            wrong = "code of the file was run"
            made.trap.unlink()
        if memory() - before > MEMORY and "memory" not in str(report["wrong"]):
            wrong = f"memory grew by {(memory() - before) >> 20} MiB; {wrong}"
        if wrong:
            report["wrong"].append(f"{kind} {number}: {wrong}")
    sys.stdout = out
    return report | {"mebibytes": (memory() - before) >> 20, "kinds": len(set(said))}


if __name__ == "__main__":
    folder, first, count, *kinds = sys.argv[1:]
    torch.set_num_threads(1)
    os.chdir(folder)
    for kind in kinds:
        with contextlib.redirect_stdout(sys.stderr):  # what ganlib says on the way
            report = fuzz(kind, folder, int(first), int(count))
        print(json.dumps(report), flush=True)
