"""ganlib: learn, train and judge generative adversarial networks in a notebook."""

from . import lab, nets
from .data.images import Images, load
from .game import augment, losses, schedules
from .game.gan import GAN
from .game.moves import discriminator_step, gan_step, generator_step
from .judge import features, metrics
from .judge.doctor import diagnose
from .judge.evaluation import evaluate
from .keep.checkpoint import resume, save
from .keep.export import export, load_generator
from .lab import latent
from .lessons import check as exercises
from .machine.device import setup
from .run.cuda_graph import compile_step
from .run.preflight import preflight
from .run.recipes import recipe
from .run.stopping import below, equilibrium, plateau
from .run.training import train
from .show import plane
from .show.live import LiveView
from .show.pictures import curves, show, timeline

__version__ = "0.1.0"
__all__ = [
    "GAN", "Images", "LiveView", "augment", "below", "compile_step", "curves", "diagnose", "discriminator_step",
    "equilibrium", "evaluate", "exercises", "export", "features", "gan_step", "generator_step", "lab", "latent",
    "load", "load_generator", "losses", "metrics", "nets", "plane", "plateau", "preflight", "recipe", "resume", "save",
    "schedules", "setup", "show", "timeline", "train",
]  # fmt: skip
