"""A pair that turns pictures into pictures: G changes its input, D judges patches.

As in compact.py all but G's last layer work at half the image's size or less, and channels lie last
in memory.
"""

from itertools import pairwise

import torch
from torch import nn
from torch.nn.functional import conv2d

from ..compact import Fold, Mean, ResizeConv2d, same_size
from ..layers import as_he
from ..pictures import PixelNorm

KEPT = 1.5  # tanh(1.5 x) is near x, and reaches 0.9 at 1


class TranslationGenerator(nn.Module):
    """The G of a translation, which maps images `(N, C, H, W)` in [-1, 1] to `(N, channels, H, W)`
    in [-1, 1].

    `shape` is the input's (C, H, W), H and W divisible by 4; `channels` are the output's, by
    default C. Each 2x2 square of pixels becomes channels, then come a 3x3 convolution at half the
    size, one at a quarter, `blocks` residual blocks, and the way back up, where the features of
    half the size are handed over (Ronneberger et al. 2015). `PixelNorm` follows each convolution,
    so that no image depends on the others of its batch. The last layer's output is added to KEPT
    times the input, or to its mean over the channels where the output has others, before tanh: G
    begins near the identity. `widths`: the channels at half and at a quarter of the size.
    """

    player, latent_dim, classes = "G", None, 0

    def __init__(self, shape=(1, 28, 28), channels=None, widths=(24, 48), blocks=1):
        super().__init__()
        inputs, channels = shape[0], shape[0] if channels is None else channels
        _fits(shape, 2)
        if len(widths) != 2:
            raise ValueError(
                f"widths={tuple(widths)} was given; two are expected, the channels at half and at "
                "a quarter of the size"
            )
        self.settings = {
            "shape": tuple(shape),
            "channels": channels,
            "widths": tuple(widths),
            "blocks": blocks,
        }
        self.fed, self.shape = tuple(shape), (channels, *shape[1:])
        half, quarter = widths

        def stage(conv, inputs, width):
            return nn.Sequential(conv(inputs, width, bias=False), PixelNorm())

        self.down = nn.Sequential(Fold(), *stage(same_size, 4 * inputs, half))
        self.deep = nn.Sequential(Mean(), *stage(same_size, half, quarter))
        self.body = nn.ModuleList(
            nn.Sequential(*stage(same_size, quarter, quarter), same_size(quarter, quarter))
            for _ in range(blocks)
        )
        self.norm = PixelNorm()
        self.up = stage(ResizeConv2d, quarter, half)
        self.mix = stage(same_size, 2 * half, half)
        self.last = ResizeConv2d(half, channels)
        self.apply(as_he)
        nn.init.normal_(self.last.weight, std=0.02)
        same = (
            torch.eye(inputs) if channels == inputs else torch.full((channels, inputs), 1 / inputs)
        )
        self.register_buffer("kept", KEPT * same[:, :, None, None], persistent=False)

    def encode(self, images):
        """Return the features at half and at a quarter of the size, `(N, w, H/2, W/2)` and `(N, w,
        H/4, W/4)`.
        """
        half = self.down(images)
        quarter = self.deep(half)
        for block in self.body:
            quarter = self.norm(quarter + block(quarter))
        return half, quarter

    def forward(self, images, labels=None):
        half, quarter = self.encode(images)
        changed = self.last(self.mix(torch.cat([self.up(quarter), half], 1)))
        return torch.tanh(changed + conv2d(images, self.kept))


class PatchDiscriminator(nn.Module):
    """The D of a translation, which maps images `(N, *shape)` to logits for places, `(N, h, w)`.

    Each logit judges a patch (PatchGAN, Isola et al. 2017, section 3.2.2), of 28 x 28 pixels with
    two `widths`: play it with `Game(places=True)`. Each 2x2 square of pixels becomes channels; then
    at each size two 3x3 convolutions with LeakyReLU 0.2, and between sizes the mean of each 2x2
    square. No normalisation. `widths`: the channels at each size, half the image's size first; h
    and w are those of the last size.
    """

    player, classes = "D", 0

    def __init__(self, shape=(1, 28, 28), widths=(32, 64)):
        super().__init__()
        _fits(shape, len(widths))
        self.settings = {"shape": tuple(shape), "widths": tuple(widths)}
        layers = [Fold()]
        for inputs, width in pairwise((4 * shape[0], *widths)):
            for channels in (inputs, width):
                layers += [same_size(channels, width), nn.LeakyReLU(0.2, inplace=True)]
            layers.append(Mean())
        self.layers, self.verdict = nn.Sequential(*layers[:-1]), nn.Linear(widths[-1], 1)
        self.apply(as_he)

    def forward(self, images, labels=None):
        places = self.layers(images).permute(0, 2, 3, 1)
        with torch.autocast(places.device.type, enabled=False):  # as `Verdict` does, for penalties
            places = places.to(self.verdict.weight.dtype)
            return places @ self.verdict.weight[0] + self.verdict.bias


def _fits(shape, halvings):
    """Raise ValueError unless `shape` is (C, H, W) with sizes that can be halved so often."""
    by = 2**halvings
    if len(shape) != 3 or shape[0] < 1 or any(size < by or size % by for size in shape[1:]):
        raise ValueError(
            f"shape={tuple(shape)} was given; (C, H, W) with height and width divisible by {by} is "
            f"expected: pad or resize the images"
        )
