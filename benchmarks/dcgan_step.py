"""Images/s of a DCGAN of tutorial size (32x32, 64 to 128 channels): plain eager float32 and ganlib.

    python -m benchmarks.dcgan_step [--blocks 5] [--seconds 4]

The nets are those of PyTorch-GAN's dcgan.py (G: nearest-neighbour upsampling and 3x3 convolutions;
D: 3x3 convolutions of stride 2, batch normalisation), without its dropout; both sides play the same
nets and the same game, with one batch of fakes for both moves (the plain loop moves G first, ganlib
D). The plain side is the loop as written there: NCHW float32, two passes of D, D's weights not
frozen in G's move, default Adam, the images resident, so that no loader is compared. ganlib's side
has `nets.ResizeConv2d` in the place of an upsampling and the convolution after it: the same
function of the same weights, with 16 products in the place of 36 (before anything is timed, both
G's are compared, in float64, to 1e-12).
"""

import torch
from torch import nn
from torch.nn.functional import interpolate

import ganlib
from benchmarks.blocks import arguments, compare
from ganlib.machine.device import setup

BATCH = 64


class Upsampled(nn.Conv2d):
    """Upsampling and a 3x3 convolution, as written there."""

    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs, 3, 1, 1)

    def forward(self, x):
        return super().forward(interpolate(x, scale_factor=2))


class Generator(nn.Module):
    latent_dim = 100

    def __init__(self, doubling):
        super().__init__()
        self.first = nn.Linear(100, 128 * 8 * 8)
        self.layers = nn.Sequential(
            nn.BatchNorm2d(128),
            doubling(128, 128),
            nn.BatchNorm2d(128, 0.8),
            nn.LeakyReLU(0.2, inplace=True),
            doubling(128, 64),
            nn.BatchNorm2d(64, 0.8),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(64, 1, 3, 1, 1),
            nn.Tanh(),
        )

    def forward(self, z, labels=None):
        return self.layers(self.first(z).view(-1, 128, 8, 8))


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        layers, inputs = [], 1
        for width in (16, 32, 64, 128):
            layers += [nn.Conv2d(inputs, width, 3, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
            layers += [nn.BatchNorm2d(width, 0.8)] if inputs > 1 else []
            inputs = width
        self.layers, self.last = nn.Sequential(*layers), nn.Linear(128 * 2 * 2, 1)

    def forward(self, images, labels=None):
        return self.last(self.layers(images).flatten(1)).flatten(0)


def plain(images):
    G, D = Generator(Upsampled), Discriminator()
    opt_G, opt_D = (
        torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in (G, D)
    )
    bce, ones, zeros = nn.BCELoss(), torch.ones(BATCH), torch.zeros(BATCH)
    places = iter(range(10**9))

    def step():
        start = next(places) * BATCH % (len(images) - BATCH)
        real = images[start : start + BATCH]
        opt_G.zero_grad()
        fake = G(torch.randn(BATCH, 100))
        bce(D(fake).sigmoid(), ones).backward()
        opt_G.step()
        opt_D.zero_grad()
        loss = (bce(D(real).sigmoid(), ones) + bce(D(fake.detach()).sigmoid(), zeros)) / 2
        loss.backward()
        opt_D.step()

    return step


def lean(data, precision):
    G = Generator(ganlib.nets.ResizeConv2d)
    gan = ganlib.GAN(G, Discriminator(), lr=2e-4, betas=(0.5, 0.999), precision=precision)
    return lambda: ganlib.gan_step(
        gan, data.batches(gan.seed, gan.step, 1, BATCH), shared_fakes=True
    )


def same():
    """Both G's are one function of their weights."""
    ours, theirs = (
        Generator(doubling).double() for doubling in (ganlib.nets.ResizeConv2d, Upsampled)
    )
    theirs.load_state_dict(ours.state_dict())
    z = torch.randn(8, 100, dtype=torch.float64)
    assert torch.allclose(ours(z), theirs(z), rtol=0, atol=1e-12)


def main():
    options = arguments(__doc__)
    same()
    setup(0)
    fast = torch.get_float32_matmul_precision()
    digits = ganlib.load("digits")
    data = ganlib.Images(nn.functional.pad(digits.images, (2, 2, 2, 2)), name="digits, 32x32")
    variants = {
        "plain loop": (plain(data.floats(torch.arange(len(data)))), "highest"),
        "ganlib float32": (lean(data, "float32"), fast),
        "ganlib bf16": (lean(data, "bf16"), fast),
    }
    compare(variants, options, BATCH)


if __name__ == "__main__":
    main()
