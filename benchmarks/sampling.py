"""How fast images are drawn and written: what a pass of G takes, what PNG files take, and the whole
of `ganlib.draw` and of the files that `python -m ganlib sample` writes.

    python -m benchmarks.sampling --seconds 2

The generator of digits that ships with ganlib, and a style-based one of 32 x 32 in colour after a
few steps. Rates are images/s, the median of `--blocks` alternating turns.
"""

import argparse
import io
import itertools
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

import ganlib
from ganlib.keep.sampling import drawing, encoding, writing
from ganlib.show.pictures import GENERATED


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--blocks", type=int, default=3)
    parser.add_argument("--steps", type=int, default=40, help="of the style-based G, on smileys")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--n", type=int, default=20_000, help="images of each file")
    parser.add_argument("--parts", nargs="*", default=["passes", "png", "files"])
    options = parser.parse_args()
    device = ganlib.setup(0, threads=options.threads)
    styled = ganlib.recipe("style", (3, 32, 32))
    gan = styled.gan(seed=0).to(device)
    for _ in ganlib.train(
        gan, ganlib.load("smileys"), styled, until=options.steps, batch_size=styled.batch_size
    ):
        pass
    generators = {"digits": ganlib.load_generator("digits").to(device), "style 32 px": gan.net()}
    for name, G in generators.items():
        for part in options.parts:
            print(f"\n{name}, {part}: images/s", flush=True)
            for what, rate in measured(PARTS[part](G, options.n), options).items():
                print(f"| {what} | {rate:,.0f} |", flush=True)


def measured(tries, options):
    """Return the median rates of functions that return how many images they made, by name."""
    rates = {name: [] for name in tries}
    for play in tries.values():
        play()
    for _ in range(options.blocks):
        for name, play in tries.items():
            start, count = time.perf_counter(), 0
            while (spent := time.perf_counter() - start) < options.seconds:
                count += play()
            rates[name].append(count / spent)
    return {name: statistics.median(found) for name, found in rates.items()}


def passes(G, n):
    """Return passes of G by their number of images, in the memory order of torch or channels last,
    in float32 or bf16.
    """
    device, tries = next(G.parameters()).device, {}

    def one(batch, last=False, fast=False):
        z = torch.randn(batch, G.latent_dim, device=device)
        labels = torch.arange(batch, device=device) % G.classes if G.classes else None

        def play():
            order = torch.channels_last if last else torch.contiguous_format
            G.to(memory_format=order)
            autocast = torch.autocast(device.type, torch.bfloat16, enabled=fast)
            with torch.no_grad(), autocast:
                for _ in range(10):
                    G.eval()(z, labels).cpu()
            return 10 * batch

        return play

    for batch in (32, 64, 128, 256, 512, 1024):
        tries[f"float32, {batch} at a time"] = one(batch)
    for batch in (64, 128, 256):
        tries[f"float32, {batch}, channels last"] = one(batch, last=True)
        tries[f"bf16, {batch}"] = one(batch, fast=True)
    return tries


def png(G, n):
    """Return ways to make PNG files of a thousand images."""
    images = torch.cat([x for x, _ in ganlib.draw(G, 1024)])
    parts = images.split(128)
    sizes = [sum(map(len, way(images))) / len(images) for way in (by_pillow, encoding.pngs)]
    print(f"bytes of an image: by Pillow {sizes[0]:,.0f}, by pngs {sizes[1]:,.0f}")

    def threads(way, workers):
        def play():
            with ThreadPoolExecutor(workers) as pool:
                return sum(map(len, pool.map(way, parts)))

        return play

    ways = {"Pillow": by_pillow, "pngs": encoding.pngs}
    return {f"{name}, {k} threads": threads(way, k) for name, way in ways.items() for k in (1, 2)}


def by_pillow(images):
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    files = []
    for image in images:
        note, file = PngInfo(), io.BytesIO()
        note.add_text("Comment", GENERATED)
        pixels = image[0] if len(image) == 1 else image.permute(1, 2, 0)
        Image.fromarray(pixels.contiguous().numpy()).save(file, "png", pnginfo=note)
        files.append(file.getvalue())
    return files


def files(G, n):
    """Return ways to draw: into nothing, and into each kind of file."""
    tries, count = {}, itertools.count()
    scratch = tempfile.TemporaryDirectory()  # removed at the end, not while the clock runs

    def nothing(precision="float32"):
        return lambda: sum(len(x) for x, _ in ganlib.draw(G, n, precision=precision))

    def into(name, workers=writing.WORKERS, precision="float32"):
        def play():
            before, writing.WORKERS = writing.WORKERS, workers
            say, writing.say = writing.say, lambda *_: None
            drawn = writing.write(
                Path(scratch.name) / f"{next(count)}" / name, G, n, precision=precision
            )
            writing.WORKERS, writing.say = before, say
            return drawn

        return play

    tries["draw"], tries["draw, bf16"] = nothing(), nothing("bf16")
    for name in ("images.npy", "images.tar", "folder"):
        tries[name] = into(name)
    tries["images.tar, 2 threads encode"] = into("images.tar", 2)
    tries["folder, 2 threads encode"] = into("folder", 2)
    tries["images.tar, bf16"] = into("images.tar", precision="bf16")
    print(f"{n:,} images at a time, {drawing.CHUNK} to a chunk of noise")
    return tries


PARTS = {"passes": passes, "png": png, "files": files}

if __name__ == "__main__":
    main()
