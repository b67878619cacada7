"""Sharing: what a run leaves for others. So far: its GAN, built again from the checkpoint alone."""

from . import nets
from .checkpoint import newest
from .gan import GAN


def rebuild(folder):
    """Return the GAN of the run in `folder` on the CPU, built anew: for nets of ganlib, which keep their settings."""
    content = newest(folder)
    built = []
    for name in ("G", "D"):
        settings = content["config"][name]
        if not isinstance(settings, dict):
            raise ValueError(
                f"{name} of the run in {folder} is your own net; build it, then resume(folder, gan) and gan.sample()"
            )
        built.append(getattr(nets, settings["net"])(**{key: settings[key] for key in settings if key != "net"}))
    gan = GAN(*built, ema=0.0 if "G_ema" in content["state"] else None)
    gan.load_state_dict(content["state"])
    return gan
