"""Downloads: what torchvision fetches, and MNIST's file format."""

import gzip
import math
import socket
import time
import zlib

import torch

PAUSE, PATIENCE = 1.0, 30.0  # seconds: before the mirrors are asked again; until a silent server is given up
TORCHVISION = {"mnist": "MNIST", "fashion": "FashionMNIST", "kmnist": "KMNIST", "cifar10": "CIFAR10"}


def fetch(name, root, train):
    """Return (images, labels, classes) of a set that torchvision knows, from the folder `root` or from its servers."""
    from torchvision import datasets  # imported here: it costs more than the rest of ganlib together

    kind = getattr(datasets, TORCHVISION[name])
    if name == "cifar10":
        found = _download(kind, root, train)
        images = torch.from_numpy(found.data).permute(0, 3, 1, 2).contiguous()  # (N, 32, 32, 3) -> (N, 3, 32, 32)
        return images, torch.tensor(found.targets), tuple(found.classes)
    folder = root / kind.__name__ / "raw"
    wanted = [file for file, _ in kind.resources if file.startswith("train" if train else "t10k")]
    if None in [_read(folder / file) for file in wanted]:
        _download(kind, root, train)
    images, labels = (idx(_read(folder / file), folder / file) for file in wanted)
    return images.unsqueeze(1), labels.long(), tuple(kind.classes)


def _download(kind, root, train):
    """Let torchvision download a set: from each of its mirrors, and from each again, for a server that was busy.

    (By itself it gives up where a mirror breaks off, and does not ask the next one.)
    """
    errors = []
    for mirror in 2 * getattr(kind, "mirrors", [None]):
        if len(errors) == len(getattr(kind, "mirrors", [None])):
            time.sleep(PAUSE)
        one = kind if mirror is None else type(kind.__name__, (kind,), {"mirrors": [mirror]})
        try:
            with _impatient():
                return one(root, train=train, download=True)
        except Exception as error:  # URLError, RuntimeError (MD5), IncompleteRead, TimeoutError, ...
            errors.append(error)
    raise errors[-1]


def _read(packed):
    """The content of an IDX file, from itself or from the .gz (whose own checksum is tested); None if neither."""
    plain = packed.with_suffix("")
    if plain.exists():
        return plain.read_bytes()
    try:
        return gzip.decompress(packed.read_bytes()) if packed.exists() else None
    except (EOFError, gzip.BadGzipFile, zlib.error):  # cut short or damaged: torchvision fetches it anew
        return None


def idx(raw, name):
    """Parse MNIST's IDX format: two zero bytes, the type (8 is uint8), the number of axes, the sizes, the values."""
    sizes = [int.from_bytes(raw[4 + 4 * axis : 8 + 4 * axis], "big") for axis in range(raw[3] if len(raw) > 3 else 0)]
    values = raw[4 + 4 * len(sizes) :]
    if raw[:3] != b"\0\0\x08" or not values or len(values) != math.prod(sizes):
        raise OSError(f"{name} is corrupt: its {len(raw)} bytes are no IDX file; delete it and load again")
    return torch.frombuffer(bytearray(values), dtype=torch.uint8).view(sizes)


def servers(name):
    """The addresses that torchvision asks."""
    from torchvision import datasets

    kind = getattr(datasets, TORCHVISION[name])
    return getattr(kind, "mirrors", None) or [kind.url]


class _impatient:
    """A server that accepts a connection and never answers is given up after a while instead of never."""

    def __enter__(self):
        self.before = socket.getdefaulttimeout()
        socket.setdefaulttimeout(PATIENCE)

    def __exit__(self, *_):
        socket.setdefaulttimeout(self.before)
