"""Turn a net of `NETS` into its settings, and build it again from them, for checkpoints and
exports.
"""

from importlib import import_module

import torch
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.overrides import TorchFunctionMode

from . import NETS
from .foreign import plain

LARGEST = 2**16  # of the sizes of an image
MOST = 256  # words of a sentence, and frames of a clip: no weight bounds them


class Net:
    """A net that is not built yet: its class `func` and settings `keywords`. A call builds it with
    fresh weights.
    """

    def __init__(self, func, **keywords):
        self.func, self.keywords = func, keywords

    def __call__(self):
        return self.func(**self.keywords)

    def but(self, **changes):
        """Return a `Net` with some settings changed."""
        return Net(self.func, **self.keywords | changes)

    def __repr__(self):
        settings = ", ".join(f"{name}={value!r}" for name, value in self.keywords.items())
        return f"nets.{self.func.__name__}({settings})"


def settings(net):
    """Return {"net": its name, ...} for `build` to make the net again, or a custom net's text."""
    net = plain(net)
    name = type(net).__name__
    return {"net": name, **net.settings} if _known(name) is type(net) else str(net)


def build(settings, player=None, weights=None):
    """Return the net of these settings, with fresh weights.

    `player`, "G" or "D", allows only that player's nets. `weights`, tensors by name, are those that
    the net is to hold: settings that ask for others are refused before any memory is spent on them,
    so that settings of a stranger can cost no more than the weights. Raises ValueError for an
    unknown net, for settings that build none, and for other weights.
    """
    names = [
        name for name in NETS if player is None or getattr(_known(name), "player", None) == player
    ]
    name = settings.get("net") if isinstance(settings, dict) else None
    if name not in names:
        raise ValueError(f"it asks for the net {_short(settings)}; {', '.join(names)} are known")
    keywords = {key: value for key, value in settings.items() if key != "net"}
    try:
        if weights is not None:
            _check(keywords, len(weights))
            with torch.device("meta"), _Blank(), _most(3 * len(weights)):
                _same(_known(name)(**keywords).state_dict(), weights)
        return _known(name)(**keywords)
    except Exception as error:  # of any kind, where a number is a text, or a list is nested
        raise ValueError(f"{name} with {_short(keywords)}: {_short(error)}") from error


def _check(keywords, count):
    """Raise ValueError for numbers that no net with `count` weights can have: before it is built,
    since lists grow with some of them.
    """
    shape = keywords.get("shape", (1, 28, 28))
    if not all(type(size) is int and 1 <= size <= LARGEST for size in shape):
        raise ValueError(f"whole numbers from 1 to {LARGEST:,} are expected in shape")
    if any(type(size) is int and size > MOST for size in (keywords.get("length", 0), *shape[1:-2])):
        raise ValueError(f"at most {MOST} words, and as many frames, are expected")
    wholes = "extra", "blocks", "width", "classes", "answers", "categorical", "latent_dim"
    for name in (*wholes, "channels", "anchors", "words", "length", "said"):
        value, most = keywords.get(name, 0), count if name in ("extra", "blocks") else 2**31
        if type(value) is not int or not 0 <= value <= most:
            raise ValueError(f"a whole number from 0 to {most:,} is expected as {name}")
    for width in keywords.get("widths", None) or ():
        if type(width) is not int or not 1 <= width <= 2**31:
            raise ValueError(f"whole numbers from 1 to {2**31:,} are expected in widths")


class _Blank(TorchFunctionMode):
    """A context in which no weight gets its first values: on the meta device there are none, and
    torch would load its compiler, for seconds, to draw them.
    """

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if getattr(function, "__name__", "") in ("normal_", "uniform_", "fill_", "zero_"):
            return args[0] if args else kwargs["tensor"]
        function = torch.empty if function is torch.randn else function
        return function(*args, **(kwargs or {}))


class _most:
    """A context in which no more than `most` weights can be made."""

    def __init__(self, most):
        self.most, self.made = most, 0

    def __enter__(self):
        self.hook = register_module_parameter_registration_hook(self._count)

    def __exit__(self, *_):
        self.hook.remove()

    def _count(self, module, name, weight):
        self.made += 1
        if self.made > self.most:
            raise ValueError(f"it has more than the {self.most // 3} weights that are there")


def _same(expected, weights):
    """Raise ValueError unless two dicts of tensors have the same names, shapes and kinds."""
    if odd := sorted(map(str, expected.keys() ^ weights.keys())):
        raise ValueError(f"its weights have other names: {odd[0]}, ...")
    for name, value in expected.items():
        stored = weights[name]
        if not isinstance(stored, torch.Tensor) or stored.shape != value.shape:
            shape = tuple(getattr(stored, "shape", ())) or type(stored).__name__
            raise ValueError(f"{name} of {tuple(value.shape)} is expected, {shape} is there")
        if stored.dtype not in KINDS[value.is_floating_point()]:
            raise ValueError(f"{name} of {value.dtype} is expected, {stored.dtype} is there")


KINDS = {  # the types of stored weights, by whether they are floats
    True: (torch.float32, torch.float64, torch.float16, torch.bfloat16),
    False: (torch.int64,),
}


def _short(value):
    """Return the text of a value, cut where it is long: it may be a stranger's."""
    text = str(value)
    return text if len(text) <= 300 else f"{text[:300]}..."


def _known(name):
    """Return the class of this name, or None."""
    if not isinstance(name, str) or name not in NETS:
        return None
    return getattr(import_module(f".{NETS[name]}", __package__), name)
