"""Train ganlib/assets/face-reader.safetensors, which reads the attributes of pixel faces.

    python tools/train_face_reader.py [--epochs 30]

It learns from the first 9,000 faces, half of them with noise (see `classifiers.speckled`), and is
measured on the other 1,000. Prints the SHA-256 for ganlib/games/faces/reading.py.
"""

import argparse
import hashlib
import sys
from pathlib import Path

import torch
from safetensors.torch import save
from torch.nn.functional import cross_entropy

sys.path.insert(0, str(Path(__file__).parents[1]))

from ganlib.data.images import Images
from ganlib.data.shipped.faces import ATTRIBUTES, faces
from ganlib.games.faces.reading import FaceReader
from ganlib.judge.classifiers import ready, speckled
from ganlib.machine.randomness import generator

FILE = Path(__file__).parents[1] / "ganlib" / "assets" / "face-reader.safetensors"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=30)
    epochs = parser.parse_args().epochs
    images, attributes = faces()
    torch.manual_seed(0)
    net, data = FaceReader(), Images(images[:9000], attributes[:9000], (), "faces")
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    steps = epochs * 9000 // 128
    plan = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=6e-3, total_steps=steps)
    for step in range(steps):
        x, told = (part[0] for part in data.batches(0, step, size=128))
        x = speckled(x, generator("cpu", 0, step, "speckle"))
        parts = net.answers(x)
        loss = sum(
            cross_entropy(part, told[:, i], label_smoothing=0.05) for i, part in enumerate(parts)
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        plan.step()
        if step % 200 == 0:
            print(step, f"{loss.item():.3f}", flush=True)
    content = save(
        {key: x.half() if x.is_floating_point() else x for key, x in net.net.state_dict().items()}
    )
    FILE.write_bytes(content)
    net = ready(net.half().float(), None)
    others, wanted = Images(images[9000:], name="others"), attributes[9000:]
    for noise in (0, 0.05, 0.1, 0.2):
        x = others.floats(slice(None))
        x = x + noise * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
        right = (net.read(x) == wanted).double().mean(0)
        print(noise, dict(zip(ATTRIBUTES, right.tolist(), strict=True)))
    print(f'"{hashlib.sha256(content).hexdigest()}"  # {len(content):,} bytes')


if __name__ == "__main__":
    main()
