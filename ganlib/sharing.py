"""Sharing: what a run leaves for others. So far: its GAN, built again from the checkpoint alone."""

from . import nets
from .checkpoint import read
from .gan import GAN


def rebuild(file):
    """Return the GAN of a checkpoint on the CPU, its nets built anew: for nets of ganlib, which keep their settings."""
    content = read(file)
    built = []
    for name in ("G", "D"):
        settings = content["config"][name]
        if not isinstance(settings, dict):
            raise ValueError(
                f"{name} of {file} is a net of your own; build it, then resume(folder, gan) and gan.sample()"
            )
        built.append(getattr(nets, settings["net"])(**{key: settings[key] for key in settings if key != "net"}))
    gan = GAN(*built, ema=0.0 if "G_ema" in content["state"] else None)
    gan.load_state_dict(content["state"])
    return gan
