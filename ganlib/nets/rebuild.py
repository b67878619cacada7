"""Turn a net of this folder into its settings, and build it again from them."""

from importlib import import_module

from . import NETS
from .foreign import plain


def settings(net):
    """Return {"net": its name, ...} for `build` to make the net again, or a custom net's text."""
    net = plain(net)
    name = type(net).__name__
    return {"net": name, **net.settings} if _known(name) is type(net) else str(net)


def build(settings, player=None):
    """Return the net of these settings, with fresh weights.

    `player`, "G" or "D", allows only that player's nets. Raises ValueError for an unknown net.
    """
    names = [
        name for name in NETS if player is None or getattr(_known(name), "player", None) == player
    ]
    name = settings.get("net") if isinstance(settings, dict) else None
    if name not in names:
        raise ValueError(f"it asks for the net {settings}; {', '.join(names)} are known")
    return _known(name)(**{key: value for key, value in settings.items() if key != "net"})


def _known(name):
    """Return the class of this name, or None."""
    return getattr(import_module(f".{NETS[name]}", __package__), name) if name in NETS else None
