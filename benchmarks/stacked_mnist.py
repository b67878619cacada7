"""StackedMNIST: how many of 1,000 modes does a recipe find, and how evenly does it share them out?

    python -m benchmarks.stacked_mnist --recipe small [--game relativistic+r1+r2 ...] [--mnist data]
                                       [--images 200k | --seconds 120] [--seeds 1] [--out FOLDER]

An image is three random MNIST digits, one in each colour: 1,000 equally likely modes (Metz et al.
2017). 26,000 samples of G (its EMA, where the recipe has one) are read channel by channel by
ganlib's digit classifier. Printed beside each run: modes and KL of as many real images, and what an
ideal sampler would score on average, 999/2N. A `--game` puts another objective and exact penalty,
with the recipe's own gamma, on the recipe's nets and optimizers. Without `--mnist FOLDER`
(torchvision's layout) the 10,000 embedded digits are stacked.
"""

import argparse
import dataclasses
import json
import time
from pathlib import Path

import torch

import ganlib
from ganlib import losses, metrics
from ganlib.judge.features import digit_classifier
from ganlib.run.recipes import RECIPES

GAMES = {
    "non_saturating+r1+r2": (losses.non_saturating, losses.r1_r2),
    "non_saturating+r1": (losses.non_saturating, losses.r1),
    "relativistic+r1": (losses.relativistic, losses.r1),
    "relativistic+r1+r2": (losses.relativistic, losses.r1_r2),
}
PUBLISHED = """| published, at full scale | modes | KL |
|---|---|---|
| DCGAN | 99 | 3.40 |
| VEEGAN | 150 | 2.95 |
| WGAN-GP | 959 | 0.73 |
| PacGAN | 992 | 0.28 |
| StyleGAN2 | 940 | 0.42 |
| small norm-free ResNet, non-saturating + R1 + R2 | 693 | 0.927 |
| small norm-free ResNet, relativistic + R1 + R2 | 1000 | 0.0781 |
| either with R1 alone | diverges | |
| R3GAN | 1000 | 0.029 |"""


def stacked(digits, n=60_000, seed=0):
    """`Images` of `n` random triples of digits, (n, 3, 28, 28), labels 0 .. 999."""
    index = torch.randint(len(digits), (n, 3), generator=torch.Generator().manual_seed(seed))
    labels = (digits.labels[index] * torch.tensor([100, 10, 1])).sum(1)
    return ganlib.Images(digits.images[index].squeeze(2), labels, name=f"stacked {digits.name}")


@torch.no_grad()
def read(images, classifier):
    """The modes 0 .. 999 of colour images (N, 3, 28, 28) in [-1, 1]."""
    digit = classifier.logits(classifier(images.flatten(0, 1)[:, None])).argmax(1).view(-1, 3)
    return (digit * torch.tensor([100, 10, 1], device=digit.device)).sum(1)


def score(draw, n, classifier):
    """Modes and KL of `n` images that `draw(i, count)` hands out."""
    classes = [read(draw(i, min(1000, n - i)), classifier) for i in range(0, n, 1000)]
    return metrics.modes(torch.cat(classes), 1000)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="small", choices=RECIPES)
    parser.add_argument("--game", choices=GAMES, nargs="*", help="the recipe's own by default")
    parser.add_argument("--mnist", help="a folder with MNIST in torchvision's layout")
    parser.add_argument(
        "--images", default="200k", help="images that D sees, and what schedules are stretched to"
    )
    parser.add_argument(
        "--seconds", type=float, help="a limit beside --images, in seconds of training"
    )
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--samples", type=int, default=26_000)
    parser.add_argument("--precision", default="fast")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--out", help="a folder for pictures")
    options = parser.parse_args()
    digits = ganlib.load("mnist", root=options.mnist) if options.mnist else ganlib.load("digits")
    data, n, device = stacked(digits), options.samples, ganlib.setup(0, precision=options.precision)
    classifier = digit_classifier(device)
    real = score(lambda i, count: data.floats(torch.arange(i, i + count), device), n, classifier)
    print(
        f"{data.name}, {n:,} samples: real images {real.count} modes, KL {real.kl:.4f}; "
        f"an ideal sampler {999 / 2 / n:.4f} on average",
        flush=True,
    )
    rows = []
    planned = int(
        float(options.images.removesuffix("k").removesuffix("M"))
        * {"k": 1e3, "M": 1e6}.get(options.images[-1], 1)
    )
    for game in options.game or [None]:
        for seed in range(options.seeds):
            device = ganlib.setup(seed, precision=options.precision, threads=options.threads)
            made = ganlib.recipe(options.recipe, data.shape, images=planned)
            if game:
                objective, penalty = GAMES[game]
                gamma = made.penalty.weight if made.penalty is not None else 1.0
                made = dataclasses.replace(made, objective=objective, penalty=penalty(gamma))
            gan = made.gan(seed).to(device)
            until = [f"{planned} images", *([f"{options.seconds}s"] if options.seconds else [])]
            start = time.monotonic()
            for _ in ganlib.train(gan, data, made.step, until=until, batch_size=made.batch_size):
                pass
            seconds = time.monotonic() - start
            found = score(
                lambda i, count, gan=gan: gan.sample(count, stream=f"modes/{i}"), n, classifier
            )
            last = gan.history[-1]
            row = {
                "recipe": options.recipe,
                "game": game or f"{made.objective}, {made.penalty}",
                "seed": seed,
                "images": gan.images_seen,
                "seconds": round(seconds),
                "modes": found.count,
                "KL": round(found.kl, 4),
                "d_loss": round(last["d_loss"], 3),
                "diversity": round(last["diversity"], 3),
            }
            rows.append(row)
            print("RESULT", json.dumps(row), flush=True)
            if options.out:
                name = f"{options.recipe}-{game or 'own'}-{seed}.png"
                Path(options.out).mkdir(parents=True, exist_ok=True)
                ganlib.show(gan.sample(64)).save(Path(options.out) / name)
    print("\n| " + " | ".join(rows[0]) + " |\n" + "|---" * len(rows[0]) + "|")
    for row in rows:
        print("| " + " | ".join(map(str, row.values())) + " |")
    print("\n" + PUBLISHED)


if __name__ == "__main__":
    main()
