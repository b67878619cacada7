"""Data larger than memory: how well an order by blocks shuffles, and how fast it is read.

    python -m benchmarks.large [--folder /big/disk] [--gb 6] [--seconds 3]

Shuffling is measured on labels alone, of a set that is sorted by class (the worst there is): how
much more often than by chance two images lie in the same class, 1, 10 and 1,000 places apart; and
the variance of a class's share of a batch of 100, over that of a full shuffle. Reading is measured
on shards of noise, cold (dropped from the page cache before each measurement) and resident, in
batches of 100 images of 64 x 64 x 3; and the time that a step of 50 ms waits for its batch.
"""

import hashlib
import io
import json
import os
import tempfile
import time
from pathlib import Path

import torch
from PIL import Image

from benchmarks.blocks import arguments
from ganlib.data.images import Images
from ganlib.data.large.converting import convert
from ganlib.data.large.order import Order
from ganlib.data.large.shards import Shards
from ganlib.data.large.store import ABOUT, FORMAT, file_of

SIDE, BATCH = 64, 100
SIZE = 3 * SIDE * SIDE
MB = 2**20


def quality(block, window, mixed=False, n=1_000_000, classes=1000):
    """Return ((excess agreement by distance), variance ratio) of an order of blocks, bytes each;
    `mixed`: windows are shuffled without blocks that take turns.
    """
    labels = torch.arange(n) * classes // n
    if block is None:
        order = torch.randperm(n, generator=torch.Generator().manual_seed(1))
    else:
        count = max(1, block // SIZE)
        order = Order(n, count, window // (count * SIZE)).places(0, 0, n)[0]
    if mixed:
        draws = torch.Generator().manual_seed(2)
        parts = order.split(window // SIZE)
        order = torch.cat([part[torch.randperm(len(part), generator=draws)] for part in parts])
    seen = labels[order]
    chance = 1 / classes
    agreement = [
        ((seen[:-away] == seen[away:]).double().mean().item() - chance) / (1 - chance)
        for away in (1, 10, 1000)
    ]
    batches = seen.view(-1, BATCH)
    share = torch.stack([row.bincount(minlength=classes) for row in batches]).double()
    expected = BATCH * chance * (1 - chance)
    return agreement, share.var(0, correction=0).mean().item() / expected


def made(folder, gb):
    """Write shards of noise into `folder`, as `convert` would."""
    count, shards = 2**30 // SIZE, []
    for k in range(gb):
        noise = torch.randint(0, 256, (count * SIZE,), dtype=torch.uint8)
        file_of(folder, k).write_bytes(noise.numpy().tobytes())
        sha256 = hashlib.sha256(str(k).encode()).hexdigest()
        shards.append({"count": count, "bytes": count * SIZE, "sha256": sha256})
    about = {
        "format": FORMAT,
        "name": "noise",
        "shape": [3, SIDE, SIDE],
        "count": gb * count,
        "shards": shards,
        "labels": None,
        "classes": [],
        "report": {},
        "made": {"size": SIDE, "fit": "crop"},
    }
    (folder / ABOUT).write_text(json.dumps(about))


def dropped(folder):
    """Drop the shards from the page cache."""
    for path in folder.glob("*.u8"):
        file = os.open(path, os.O_RDONLY)
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


class Scattered:
    """A full random order, one image after the other."""

    windows = 1

    def __init__(self, n):
        self.order = torch.randperm(n, generator=torch.Generator().manual_seed(0))

    def places(self, seed, start, count):
        return self.order[start : start + count], [(seed, 0, 0)]

    def after(self, window):
        return window


def data_of(folder, block, window, ahead=True):
    data = Shards(folder, block or 2**18, window or 2**28)
    if block is None:
        data.order = Scattered(len(data))
    if not ahead or block is None:
        data._ahead.ask = lambda key, pieces: None
    return data


def speed(data, seconds, pause=0.0):
    """Return (images/s, the median and the longest time that a batch took, in ms)."""
    times, step, start = [], 0, time.perf_counter()
    while time.perf_counter() - start < seconds and (step + 1) * BATCH <= len(data):
        before = time.perf_counter()
        data.batches(0, step, 1, BATCH)
        times.append(time.perf_counter() - before)
        step += 1
        time.sleep(pause)
    rate = step * BATCH / (time.perf_counter() - start)
    times = sorted(times)
    return rate, 1000 * times[len(times) // 2], 1000 * times[-1]


def anonymous(what="RssAnon:"):
    """MiB of this process that are no files', or another line of its status."""
    text = Path("/proc/self/status").read_text()
    return int(text.split(what)[1].split()[0]) / 1024


def converted(folder, n=30_000):
    """Print the images/s and the peak of memory of conversions of `n` JPEGs of 96 x 96 pixels."""
    made = []
    for i in range(200):
        file = io.BytesIO()
        noise = torch.randint(0, 256, (12, 12, 3), generator=torch.Generator().manual_seed(i))
        Image.fromarray(noise.byte().numpy()).resize((96, 96)).save(file, "JPEG")
        made.append(file.getvalue())
    source = folder / "source"
    for i in range(n):
        file = source / f"class {i % 100}" / f"{i}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(made[i % 200])

    def stream():
        for i in range(n):
            yield {"image": made[i % 200], "label": i % 100}

    convert(list(stream())[:100], folder / "first", size=SIDE)  # loads Pillow
    for name, given in (("a stream", stream()), ("a folder", source)):
        Path("/proc/self/clear_refs").write_text("5")
        before, start = anonymous(), time.perf_counter()
        convert(given, folder / name, size=SIDE)
        rate = n / (time.perf_counter() - start)
        peak = anonymous("VmHWM:") - anonymous("RssFile:")
        print(f"converted from {name}: {rate:,.0f} images/s, {peak - before:.0f} MiB more memory")


def main():
    options = arguments(
        __doc__,
        folder=(str, tempfile.gettempdir(), "on the disk to measure; it needs room for --gb"),
        gb=(int, 6, "gigabytes of noise"),
    )
    torch.set_num_threads(1)
    print("| block | window | agreement at 1 | at 10 | at 1,000 | variance in a batch |")
    print("|---|---|---|---|---|---|")
    rows = [(MB * b // 4, MB * w) for b in (1, 4) for w in (16, 64, 256, 1024)]
    for block, window, *mixed in [*rows, (MB // 4, 256 * MB, True), (None, None)]:
        (a, b, c), ratio = quality(block, window, *mixed)
        name = "full shuffle |" if block is None else f"{block / MB:g} MB | {window // MB} MB"
        name += ", without turns" * bool(mixed)
        print(f"| {name} | {a:.5f} | {b:.5f} | {c:.5f} | {ratio:.2f} |", flush=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        converted(Path(folder))
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        folder = Path(folder)
        made(folder, options.gb)
        print("\n| order | images/s cold | resident | a step waits, cold: median, longest |")
        print("|---|---|---|---|")
        cases = [(MB // 4, 256 * MB, True), (MB, 256 * MB, True), (MB // 4, 64 * MB, True)]
        cases += [(MB // 4, 256 * MB, False), (None, None, False)]
        for block, window, ahead in cases:
            dropped(folder)
            data = data_of(folder, block, window, ahead)
            cold = speed(data, options.seconds)[0]
            data.close()
            dropped(folder)
            data = data_of(folder, block, window, ahead)
            _, median, most = speed(data, options.seconds, 0.05)
            data.close()
            data = data_of(folder, block, window, ahead)
            for path in sorted(folder.glob("*.u8"))[:4]:
                path.read_bytes()
            speed(data, options.seconds)
            warm = speed(data, options.seconds)[0]
            data.close()
            name = f"blocks of {(block or 0) / MB:g} MB, windows of {(window or 0) // MB} MB"
            name = "full random order" if block is None else name
            name += "" if ahead or block is None else ", nothing ahead"
            print(
                f"| {name} | {cold:,.0f} | {warm:,.0f} | {median:.1f} ms, {most:.1f} ms |",
                flush=True,
            )
        before = anonymous()
        data = Shards(folder)
        for step in range(50):
            data.batches(0, step, 1, BATCH)
        print(
            f"\nanonymous memory: {anonymous() - before:+.1f} MiB after 50 batches of "
            f"{4 * BATCH * SIZE / MB:.1f} MiB"
        )
        data.close()
    noise = Images(torch.randint(0, 256, (20_000, 3, SIDE, SIDE), dtype=torch.uint8))
    print(f"in memory, `Images`: {speed(noise, options.seconds)[0]:,.0f} images/s")


if __name__ == "__main__":
    main()
