"""Images/s of the classic recipe on this machine, batch 100: the plain loop beside ganlib's.

    python -m benchmarks.classic_step [--mnist FOLDER] [--blocks 5] [--seconds 4]

Blocks of the variants alternate; the medians over the blocks and their ratios to the plain loop are
printed. The plain loop is the recipe as its tutorials write it: torchvision's MNIST with ToTensor
and Normalize, a DataLoader, BCELoss on a sigmoid, nn.Dropout, two backward passes for D, default
Adam, nothing frozen.
"""

from functools import partial

import torch
from torch import nn
from torchvision import datasets, transforms

import ganlib
from benchmarks.blocks import arguments, compare
from ganlib.machine.device import setup


class Plain:
    """The tutorials' recipe: `G`, `D`, and `move(real)`, one move of each for `real (100, 784)`."""

    def __init__(self, device="cpu"):
        def mlp(sizes, between, last):
            layers = []
            for inputs, outputs in zip(sizes[:-2], sizes[1:-1], strict=True):
                layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(0.2), *between()]
            return nn.Sequential(*layers, nn.Linear(*sizes[-2:]), last).to(device)

        self.G = mlp((100, 128, 256, 512, 1024, 784), list, nn.Tanh())
        self.D = mlp((784, 1024, 512, 256, 1), lambda: [nn.Dropout(0.3)], nn.Sigmoid())
        self.opt_G, self.opt_D = (
            torch.optim.Adam(net.parameters(), lr=2e-4) for net in (self.G, self.D)
        )
        self.bce, self.noise = nn.BCELoss(), partial(torch.randn, 100, 100, device=device)
        self.ones, self.zeros = (
            torch.ones(100, 1, device=device),
            torch.zeros(100, 1, device=device),
        )

    def move(self, real):
        self.opt_D.zero_grad()
        of_real = self.bce(self.D(real), self.ones)
        of_real.backward()
        of_fake = self.bce(self.D(self.G(self.noise()).detach()), self.zeros)
        of_fake.backward()
        self.opt_D.step()
        self.opt_G.zero_grad()
        self.bce(self.D(self.G(self.noise())), self.ones).backward()
        self.opt_G.step()
        return of_real.detach() + of_fake.detach()


def plain(mnist):
    """One call, one step of the plain loop."""
    game, batches = Plain(), iter(())
    normalize = transforms.Compose([transforms.ToTensor(), transforms.Normalize(0.5, 0.5)])
    data = datasets.MNIST(mnist, transform=normalize)
    loader = torch.utils.data.DataLoader(data, batch_size=100, shuffle=True, drop_last=True)

    def step():
        nonlocal batches
        real = next(batches, None)
        if real is None:
            batches = iter(loader)
            real = next(batches)
        game.move(real[0].flatten(1))

    return step


def lean(data, precision):
    """One call, one `gan_step` with its batches."""
    gan = ganlib.GAN(
        ganlib.nets.MLPGenerator(), ganlib.nets.MLPDiscriminator(), precision=precision
    )
    return lambda: ganlib.gan_step(gan, data.batches(gan.seed, gan.step))


def main():
    options = arguments(__doc__, mnist=(str, "data", "torchvision's root folder of MNIST"))
    setup(0)
    fast = torch.get_float32_matmul_precision()
    data = ganlib.load("mnist", root=options.mnist)
    variants = {
        "plain loop": (plain(options.mnist), "highest"),
        f"plain loop, matmul {fast!r}": (plain(options.mnist), fast),
        "ganlib float32": (lean(data, "float32"), fast),
        "ganlib bf16": (lean(data, "bf16"), fast),
    }
    compare(variants, options, images=100)


if __name__ == "__main__":
    main()
