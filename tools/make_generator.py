"""Train the generator of digits that ships with ganlib, and write it to ganlib/assets.

    python tools/make_generator.py [--images 400000]

The recipe `small`, conditional, with 16 numbers of noise, on the embedded digits. The first
notebook shows it where the machine is too slow to train one within half a minute.
"""

import argparse
import dataclasses
import shutil
import tempfile
from pathlib import Path

import torch

import ganlib
from ganlib.judge.features import digit_classifier

ROOT = Path(__file__).parents[1]
ASSET = ROOT / "ganlib" / "assets" / "digits-generator"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=400_000)
    options = parser.parse_args()
    device = ganlib.setup(seed=0, precision="fast")
    digits = ganlib.load("digits", device=device)
    made = ganlib.recipe("small", digits.shape, classes=10, images=options.images)
    made = dataclasses.replace(made, G=made.G.but(latent_dim=16))
    gan = made.gan(0)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        for now in ganlib.train(
            gan, digits, made, until=f"{options.images} images", folder=run, save_seconds=1e9
        ):
            if now.every(500):
                print(now.step, now.images, flush=True)
        asked = torch.arange(10, device=device).repeat(100)
        net = digit_classifier().to(device)
        with torch.no_grad():
            read = net.logits(net(gan.sample(1000, asked, stream="asked"))).argmax(1)
        right = (read == asked).float().mean().item()
        print(f"the classifier reads {right:.1%} of 1,000 fakes as the digit that was asked for")
        metrics = ganlib.evaluate(gan, digits)
        ganlib.export(run, Path(folder) / "out", name="digits", metrics=metrics, license="MIT")
        ASSET.mkdir(exist_ok=True)
        for name in ("config.json", "generator.safetensors"):
            shutil.copy(Path(folder) / "out" / name, ASSET / name)
    print(sum(file.stat().st_size for file in ASSET.iterdir()), "bytes")


if __name__ == "__main__":
    main()
