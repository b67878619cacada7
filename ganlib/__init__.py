"""ganlib: learn, train and judge generative adversarial networks in a notebook."""

from . import losses, metrics, nets
from .checkpoint import resume, save
from .data import Images, load
from .device import setup
from .gan import GAN
from .pictures import curves, show, timeline
from .training import discriminator_step, gan_step, generator_step, train
from .view import LiveView

__version__ = "0.1.0"
__all__ = [
    "GAN", "Images", "LiveView", "curves", "discriminator_step", "gan_step", "generator_step", "load", "losses",
    "metrics", "nets", "resume", "save", "setup", "show", "timeline", "train",
]  # fmt: skip
