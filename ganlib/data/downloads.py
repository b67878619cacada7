"""Download public data sets through torchvision, and read IDX, MNIST's file format. `loading.load`
calls `fetch`.
"""

import gzip
import math
import socket
import time
import zlib

import torch

PAUSE, PATIENCE = 1.0, 30.0  # seconds: before the second round of mirrors; to wait for a server
RATIO = 20  # greatest ratio of an IDX file's size to its packed size; MNIST's is 5
TORCHVISION = {
    "mnist": "MNIST",
    "fashion": "FashionMNIST",
    "kmnist": "KMNIST",
    "cifar10": "CIFAR10",
}


def fetch(name, root, train):
    """Return (images, labels, classes) of a public set, from folder `root` or downloaded there."""
    from torchvision import datasets  # imported late: it takes longer than all of ganlib

    kind = getattr(datasets, TORCHVISION[name])
    if name == "cifar10":
        dataset = _download(kind, root, train)
        images = torch.from_numpy(dataset.data).permute(0, 3, 1, 2).contiguous()  # to (N, C, H, W)
        return images, torch.tensor(dataset.targets), tuple(dataset.classes)
    folder = root / kind.__name__ / "raw"
    wanted = [file for file, _ in kind.resources if file.startswith("train" if train else "t10k")]
    if None in [_read(folder / file) for file in wanted]:
        _download(kind, root, train)
    images, labels = (idx(_read(folder / file), folder / file) for file in wanted)
    return images.unsqueeze(1), labels.long(), tuple(kind.classes)


def _download(kind, root, train):
    """Return a set that torchvision downloads; each mirror is tried twice, as a server may be busy.

    (By itself it gives up where a mirror breaks off, and tries no other.) Raises the last error.
    """
    errors = []
    for mirror in 2 * getattr(kind, "mirrors", [None]):
        if len(errors) == len(getattr(kind, "mirrors", [None])):
            time.sleep(PAUSE)
        dataset_class = (
            kind if mirror is None else type(kind.__name__, (kind,), {"mirrors": [mirror]})
        )
        try:
            with _impatient():
                return dataset_class(root, train=train, download=True)
        except Exception as error:  # URLError, RuntimeError (MD5), IncompleteRead, ...
            errors.append(error)
    raise errors[-1]


def _read(packed):
    """Return the content of an IDX file, plain or from the .gz (whose checksum is tested); None if
    neither can be read.
    """
    plain = packed.with_suffix("")
    if plain.exists():
        return plain.read_bytes()
    if not packed.exists():
        return None
    most = 2**20 + RATIO * packed.stat().st_size
    try:
        with gzip.open(packed) as file:
            content = file.read(most + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error):  # damaged: to be downloaded again
        return None
    return content if len(content) <= most else None


def idx(raw, name):
    """Return the tensor in `raw`, the bytes of the IDX file `name`; raise OSError for other bytes.

    The format: two zero bytes, the type (8 is uint8), the number of axes, the sizes, the values.
    """
    sizes = [
        int.from_bytes(raw[4 + 4 * axis : 8 + 4 * axis], "big")
        for axis in range(raw[3] if len(raw) > 3 else 0)
    ]
    values = raw[4 + 4 * len(sizes) :]
    if raw[:3] != b"\0\0\x08" or not values or len(values) != math.prod(sizes):
        raise OSError(
            f"{name} is corrupt: its {len(raw)} bytes are no IDX file; delete it and load again"
        )
    return torch.frombuffer(bytearray(values), dtype=torch.uint8).view(sizes)


def servers(name):
    """Return the addresses from which torchvision downloads the set `name`."""
    from torchvision import datasets

    kind = getattr(datasets, TORCHVISION[name])
    return getattr(kind, "mirrors", None) or [kind.url]


class _impatient:
    """A context that gives up a server which accepts a connection and then stays silent."""

    def __enter__(self):
        self.before = socket.getdefaulttimeout()
        socket.setdefaulttimeout(PATIENCE)

    def __exit__(self, *_):
        socket.setdefaulttimeout(self.before)
