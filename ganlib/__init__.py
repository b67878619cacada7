"""ganlib: learn, train and judge generative adversarial networks in a notebook."""

from . import augment, exercises, features, lab, latent, losses, metrics, nets, plane, schedules
from .checkpoint import resume, save
from .compiled import compile_step
from .data import Images, load
from .device import setup
from .doctor import diagnose
from .evaluation import evaluate
from .gan import GAN
from .pictures import curves, show, timeline
from .preflight import preflight
from .recipes import recipe
from .sharing import export, load_generator
from .steps import discriminator_step, gan_step, generator_step
from .stopping import below, equilibrium, plateau
from .training import train
from .view import LiveView

__version__ = "0.1.0"
__all__ = [
    "GAN", "Images", "LiveView", "augment", "below", "compile_step", "curves", "diagnose", "discriminator_step",
    "equilibrium", "evaluate", "exercises", "export", "features", "gan_step", "generator_step", "lab", "latent",
    "load", "load_generator", "losses", "metrics", "nets", "plane", "plateau", "preflight", "recipe", "resume", "save",
    "schedules", "setup", "show", "timeline", "train",
]  # fmt: skip
