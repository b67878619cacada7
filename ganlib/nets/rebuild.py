"""Rebuild: from a net of this folder to its settings, and back."""

from importlib import import_module

from . import NETS


def settings(net):
    """Return {"net": its name, ...}, from which `build` makes the same net; of a net of the user's own its text."""
    name = type(net).__name__
    return {"net": name, **net.settings} if _known(name) is type(net) else str(net)


def build(settings, player=None):
    """Return the net of these settings, with fresh weights.

    `player`, "G" or "D", refuses the other's. Raises ValueError for settings of no net that is known.
    """
    names = [name for name in NETS if player is None or getattr(_known(name), "player", None) == player]
    name = settings.get("net") if isinstance(settings, dict) else None
    if name not in names:
        raise ValueError(f"it asks for the net {settings}; {', '.join(names)} are known")
    return _known(name)(**{key: value for key, value in settings.items() if key != "net"})


def _known(name):
    """The class of this name, or None."""
    return getattr(import_module(f".{NETS[name]}", __package__), name) if name in NETS else None
