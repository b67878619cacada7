"""Train the digit classifier that ships in ganlib/assets.

It learns from MNIST's 60,000 training digits, shifted, turned and scaled.

    python tools/train_classifier.py FOLDER_OF_torchvision [--epochs 8]

Prints the accuracy on the 10,000 test digits, which no choice was made on (the recipe was fixed
beforehand and the last epoch is kept), and the SHA-256 for ganlib/judge/features.py. About
ten minutes on two CPU cores.
"""

import argparse
import hashlib
import math
import sys
import time
from pathlib import Path

import torch
from torch.nn.functional import affine_grid, cross_entropy, grid_sample

sys.path.insert(0, str(Path(__file__).parents[1]))

import ganlib  # noqa: E402
from ganlib.data import as_float  # noqa: E402
from ganlib.judge.features import DIGITS, DigitClassifier, extract  # noqa: E402


def moved(images, draws):
    """Each image turned by up to 12 degrees, scaled by up to 10 % and shifted by up to 2 pixels."""
    n = len(images)
    angle, size, x, y = (torch.rand(4, n, generator=draws) * 2 - 1).unbind()
    angle, size, x, y = angle * math.radians(12), 1 + 0.1 * size, x * 2 / 14, y * 2 / 14
    cos, sin = angle.cos() * size, angle.sin() * size
    theta = torch.stack([torch.stack([cos, -sin, x], 1), torch.stack([sin, cos, y], 1)], 1)
    grid = affine_grid(theta, images.shape, align_corners=False)
    return grid_sample(images + 1, grid, align_corners=False) - 1  # zeros outside are black


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root")
    parser.add_argument("--epochs", type=int, default=8)
    options = parser.parse_args()
    from safetensors.torch import save

    ganlib.setup(seed=0)
    train, test = (
        ganlib.load("mnist", root=options.root, split=split) for split in ("train", "test")
    )
    net, size = DigitClassifier().to(memory_format=torch.channels_last), 128
    steps = options.epochs * (len(train) // size)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=6e-3, total_steps=steps)
    draws, start = torch.Generator().manual_seed(0), time.monotonic()
    for step in range(steps):
        batch = train.batches(seed=0, step=step, size=size)
        loss = cross_entropy(
            net.logits(net(moved(batch.images[0], draws))), batch.labels[0], label_smoothing=0.05
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 200 == 0:
            print(
                f"step {step} / {steps}: loss {loss.item():.3f}, {time.monotonic() - start:.0f} s",
                flush=True,
            )
    net.eval()
    state = {
        key: value.half() if value.is_floating_point() else value
        for key, value in net.state_dict().items()
    }
    net.load_state_dict(
        {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
    )
    right = net.logits(extract(net, as_float(test.images))).argmax(1) == test.labels
    packed = save({key: value.contiguous() for key, value in state.items()})
    (Path(__file__).parents[1] / "ganlib" / "assets" / DIGITS[0]).write_bytes(packed)
    print(
        f"{100 * right.double().mean():.2f} % of {len(right)} test digits right; "
        f"{len(packed):,} bytes"
    )
    print(f"SHA-256 {hashlib.sha256(packed).hexdigest()}")


if __name__ == "__main__":
    main()
