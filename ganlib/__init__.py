"""ganlib: learn, train and judge generative adversarial networks in a notebook.

The core of a GAN is loaded at once; all else (judge, keep, lab, lessons, recipes, ...) when it is
first used.
"""

from importlib import import_module

from . import data, nets
from .data.images import Images
from .game import losses
from .game.game import Game
from .game.gan import GAN
from .game.player import Player
from .machine.device import setup
from .show.pictures import show

__version__ = "0.1.0"

LATER = {  # public name: module:attribute, or the module that it is
    "Games": "game.several:Games",
    "LiveView": "show.live:LiveView",
    "Several": "game.several:Several",
    "Together": "data.together:Together",
    "augment": "data.augment",
    "bars": "show.plots:bars",
    "below": "run.until:below",
    "compare": "show.plots:compare",
    "compile_step": "run.cuda.compiling:compile_step",
    "convert": "data.large.converting:convert",
    "curves": "show.curves:curves",
    "discriminator_step": "game.steps:discriminator_step",
    "gan_step": "game.steps:gan_step",
    "generator_step": "game.steps:generator_step",
    "diagnose": "judge.doctor:diagnose",
    "draw": "keep.sampling.drawing:draw",
    "embed": "keep.embed:embed",
    "equilibrium": "run.until:equilibrium",
    "evaluate": "judge.evaluation:evaluate",
    "exercises": "lessons.check",
    "export": "keep.export:export",
    "features": "judge.features",
    "games": "games",
    "lab": "lab",
    "latent": "lab.latent",
    "load": "data.loading:load",
    "load_generator": "keep.export:load_generator",
    "metrics": "judge.metrics",
    "plane": "show.plane",
    "plateau": "run.until:plateau",
    "preflight": "run.preflight:preflight",
    "recipe": "run.plans:recipe",
    "resume": "keep.checkpoint:resume",
    "schedules": "game.schedules",
    "scatter": "show.plots:scatter",
    "shapes": "show.shapes:shapes",
    "six_steps": "show.six_steps:six_steps",
    "save": "keep.checkpoint:save",
    "timeline": "show.timeline:timeline",
    "train": "run.training:train",
    "trend": "show.plots:trend",
    "verdicts": "show.plots:verdicts",
}
__all__ = [
    "GAN",
    "Game",
    "Games",
    "Images",
    "LiveView",
    "Player",
    "Several",
    "Together",
    "augment",
    "bars",
    "below",
    "compare",
    "compile_step",
    "convert",
    "curves",
    "data",
    "diagnose",
    "discriminator_step",
    "draw",
    "embed",
    "equilibrium",
    "evaluate",
    "exercises",
    "export",
    "features",
    "games",
    "gan_step",
    "generator_step",
    "lab",
    "latent",
    "load",
    "load_generator",
    "losses",
    "metrics",
    "nets",
    "plane",
    "plateau",
    "preflight",
    "recipe",
    "resume",
    "save",
    "schedules",
    "scatter",
    "setup",
    "shapes",
    "show",
    "six_steps",
    "timeline",
    "train",
    "trend",
    "verdicts",
]


def __getattr__(name):
    if name not in LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = LATER[name].partition(":")
    value = import_module(f".{module}", __name__)
    value = getattr(value, attribute) if attribute else value
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
