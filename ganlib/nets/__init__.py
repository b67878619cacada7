"""Nets. Any module will do that maps `z (N, latent_dim)` to images (G) or images to logits `(N,)` (D)."""

from .compact import CompactDiscriminator, CompactGenerator, ResizeConv2d
from .convolutions import (
    ConvDiscriminator,
    ConvGenerator,
    ResidualDiscriminator,
    ResidualGenerator,
    Verdict,
    scale,
)
from .mlp import Dropout, MLPDiscriminator, MLPGenerator

__all__ = [
    "CompactDiscriminator", "CompactGenerator", "ConvDiscriminator", "ConvGenerator", "Dropout", "MLPDiscriminator",
    "MLPGenerator", "ResidualDiscriminator", "ResidualGenerator", "ResizeConv2d", "Verdict", "scale",
]  # fmt: skip
