"""Everything random in a run: what G is fed (noise, images, a function's result), and the other
random numbers of a step. Each draw is a function of (seed, step, stream), so that a run that was
cut goes on as if it had not been. A new kind of source is one class here.
"""

from contextlib import contextmanager

import torch

from ..machine import processes
from ..machine.randomness import generator
from ..nets.known import drawing


class Noise:
    """Normal noise `(n, latent_dim)`, the usual source."""

    name = None

    def __init__(self, latent_dim):
        self.latent_dim = latent_dim

    def draw(self, n, draws, like):
        """Return noise for `n` images from the generator `draws`, on the device and of the type of
        `like`.
        """
        return torch.randn(
            n, self.latent_dim, generator=draws, device=like.device, dtype=like.dtype
        )


class Drawn:
    """Images of a data set, drawn at random with replacement: `(n, *data.shape)` in [-1, 1]."""

    latent_dim = None

    def __init__(self, data):
        self.data, self.name = data, f"{data.name}, {len(data)} of {data.shape}"

    def to(self, device):
        """Bring the images to `device`, where they fit."""
        self.data = self.data.near(device)

    def draw(self, n, draws, like):
        """Return `n` images, chosen by the generator `draws`, of the device and type of `like`."""
        index = torch.randint(len(self.data), (n,), generator=draws, device=like.device)
        return self.data.floats(index.to(self.data.images.device), like.device).to(like.dtype)


class Function:
    """What `function(n, draws)` returns: a tensor with first size n, random by `draws` alone."""

    latent_dim = None

    def __init__(self, function):
        self.function = function
        self.name = getattr(function, "__qualname__", type(function).__name__)

    def draw(self, n, draws, like):
        """Return what the function draws for `n` images; ValueError unless its first size is n."""
        drawn = self.function(n, draws)
        shape = tuple(drawn.shape) if isinstance(drawn, torch.Tensor) else type(drawn).__name__
        if shape[:1] != (n,):
            raise ValueError(
                f"the source {self.name} returned {shape} for n={n}; a tensor ({n}, ...) is "
                "expected"
            )
        drawn = drawn.to(like.device)
        return drawn.to(like.dtype) if drawn.is_floating_point() else drawn


def source_of(source, G, latent_dim):
    """Return the source of G: noise of `latent_dim` numbers by default, a data set, or a function.

    Raises ValueError where the size of the noise is unknown, or `latent_dim` comes with another
    source.
    """
    if source is not None:
        if latent_dim is not None:
            raise ValueError(
                f"latent_dim={latent_dim} and a source were given; a size belongs to noise alone"
            )
        if hasattr(source, "draw"):
            return source
        return Function(source) if callable(source) else Drawn(source)
    latent_dim = latent_dim or getattr(G, "latent_dim", None)
    if not hasattr(latent_dim, "__index__") or isinstance(latent_dim, bool) or latent_dim < 1:
        has = "no latent_dim" if latent_dim is None else f"latent_dim={latent_dim!r}, no whole size"
        raise ValueError(
            f"G has {has}; give G that attribute, or GAN(G, D, latent_dim=...); or say what G is "
            "fed, source=..."
        )
    return Noise(int(latent_dim))


class Seeded:
    """The random numbers of a GAN. `GAN` inherits it, and provides `source`, `seed`, `step`,
    `images_seen`, `precision`, `G`, `device` and `capture`.

    `prefix` is put before the name of each stream, and so tells apart several GANs of one run.
    """

    prefix = ""

    def noise(self, n, stream="fixed", step=0, rank=0):
        """Return what G is fed for `n` images: noise `z (n, latent_dim)`, or what another source
        draws.

        It depends on (seed, step, stream, rank) alone. Raises ValueError for an `n` below 0.
        """
        if not hasattr(n, "__index__") or isinstance(n, bool) or n < 0:
            raise ValueError(f"n={n!r} was given; a whole number of images is expected")
        draws = generator(self.device, self.seed, step, f"{self.prefix}noise/{stream}", rank)
        return self.source.draw(n, draws, next(self.G.parameters()))

    def noise_now(self, n, stream):
        """Return the same for the present step and the rank of this process."""
        return self.source.draw(n, self.draws(f"noise/{stream}"), next(self.G.parameters()))

    def draws(self, stream):
        """Return a `torch.Generator` for `stream` at the present step, in its first state."""
        stream = self.prefix + stream
        if self.capture is not None:
            return self.capture.generator(stream)
        return generator(self.device, self.seed, self.step, stream, processes.place()[0])

    def at(self, value):
        """Return the present value of a number or of a schedule (a function of the images seen)."""
        return self.varying(lambda: value(self.images_seen)) if callable(value) else value

    def varying(self, function):
        """Return `function()`, a number that changes from step to step. While a step is recorded as
        a CUDA graph, return a tensor that will hold it at each replay.
        """
        return function() if self.capture is None else self.capture.value(function)

    def autocast(self):
        """Return the context in which the nets run while they train."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    @contextmanager
    def _drawing(self, net, stream):
        """Let what `net` draws (dropout, noise) depend on this step and `stream` alone; under
        autocast in a bf16 run.
        """
        kinds = type(None), torch.Generator
        layers = [x for x in net.modules() if isinstance(vars(x).get("generator", 0), kinds)]
        before, draws = [layer.generator for layer in layers], self.draws(f"layers/{stream}")
        for layer in layers:
            layer.generator = draws
        try:
            with drawing(net, lambda: self.draws(f"globals/{stream}")), self.autocast():
                yield
        finally:
            for layer, was in zip(layers, before, strict=True):
                layer.generator = was
