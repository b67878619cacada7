"""What a run draws: what G is fed (noise, images of a data set, what a function returns), and all other chance.

Each draw is a function of (seed, step, stream): a run can be cut anywhere, and goes on as if it had not been.
"""

from contextlib import contextmanager

import torch

from ..machine import processes
from ..machine.randomness import generator


class Noise:
    """Normal noise `(n, latent_dim)`."""

    name = None

    def __init__(self, latent_dim):
        self.latent_dim = latent_dim

    def to(self, device):
        """Noise is drawn where it is needed."""

    def draw(self, n, draws, like):
        return torch.randn(n, self.latent_dim, generator=draws, device=like.device, dtype=like.dtype)


class Drawn:
    """Images of a data set, each as likely as another, with replacement: `(n, *data.shape)` in [-1, 1]."""

    latent_dim = None

    def __init__(self, data):
        self.data, self.name = data, f"{data.name}, {len(data)} of {data.shape}"

    def to(self, device):
        """Bring the images to `device`, where they fit."""
        self.data = self.data.near(device)

    def draw(self, n, draws, like):
        index = torch.randint(len(self.data), (n,), generator=draws, device=like.device)
        return self.data.floats(index.to(self.data.images.device), like.device).to(like.dtype)


class Function:
    """What `function(n, draws)` returns: a tensor whose first size is n, from the random numbers of `draws` alone."""

    latent_dim = None

    def __init__(self, function):
        self.function = function
        self.name = getattr(function, "__qualname__", type(function).__name__)

    def to(self, device):
        """A function draws where its generator is."""

    def draw(self, n, draws, like):
        drawn = self.function(n, draws)
        if not isinstance(drawn, torch.Tensor) or len(drawn) != n:
            shape = tuple(drawn.shape) if isinstance(drawn, torch.Tensor) else type(drawn).__name__
            raise ValueError(f"the source {self.name} returned {shape} for n={n}; a tensor ({n}, ...) is expected")
        drawn = drawn.to(like.device)
        return drawn.to(like.dtype) if drawn.is_floating_point() else drawn


def source_of(source, G, latent_dim):
    """Return what feeds G: noise of `latent_dim` numbers by default, a data set, or a function of (n, draws).

    Raises ValueError where the noise has no size, or a source and a size of noise are both given.
    """
    if source is not None:
        if latent_dim is not None:
            raise ValueError(f"latent_dim={latent_dim} and a source were given; a size belongs to noise alone")
        return source if hasattr(source, "draw") else Function(source) if callable(source) else Drawn(source)
    latent_dim = latent_dim or getattr(G, "latent_dim", None)
    if latent_dim is None:
        raise ValueError("G has no latent_dim; give G that attribute, or GAN(G, D, latent_dim=...); or say what G is "
                         "fed, source=...")  # fmt: skip
    return Noise(latent_dim)


class Seeded:
    """What a GAN draws. It has `source`, `seed`, `step`, `images_seen`, `precision`, `G`, `device` and `capture`.

    `prefix` stands before the name of each stream of random numbers, and tells GANs of one run apart.
    """

    prefix = ""

    def noise(self, n, stream="fixed", step=0, rank=0):
        """Return what G is fed for `n` images: noise `z (n, latent_dim)`, or what another source draws, `(n, ...)`.

        A function of (seed, step, stream, rank) alone.
        """
        draws = generator(self.device, self.seed, step, f"{self.prefix}noise/{stream}", rank)
        return self.source.draw(n, draws, next(self.G.parameters()))

    def noise_now(self, n, stream):
        """Return the same for the present step and `stream`, of this process."""
        return self.source.draw(n, self.draws(f"noise/{stream}"), next(self.G.parameters()))

    def draws(self, stream):
        """Return the generator of the present step and `stream`, of this process, from its start."""
        stream = self.prefix + stream
        if self.capture is not None:
            return self.capture.generator(stream)
        return generator(self.device, self.seed, self.step, stream, processes.place()[0])

    def at(self, value):
        """Return what a number or a schedule (a function of the images seen) is now."""
        return self.varying(lambda: value(self.images_seen)) if callable(value) else value

    def varying(self, function):
        """Return `function()`, a number that changes from step to step; in a captured step a tensor that holds it."""
        return function() if self.capture is None else self.capture.value(function)

    def autocast(self):
        """The context in which the nets are run while they train."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    @contextmanager
    def _drawing(self, net, stream):
        """Layers that draw (dropout) draw from the generator of this step and stream; under autocast in a bf16 run."""
        layers = [layer for layer in net.modules() if hasattr(layer, "generator")]
        draws = self.draws(f"layers/{stream}")
        for layer in layers:
            layer.generator = draws
        try:
            with self.autocast():
                yield
        finally:
            for layer in layers:
                layer.generator = None
