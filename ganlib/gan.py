"""GAN: two nets and two optimizers, with the noise and the counters that make a run a function of its seed."""

from contextlib import contextmanager

import torch
from torch import nn

from .device import PRECISIONS, choice
from .randomness import generator

PLAIN = ("seed", "step", "images_seen", "history", "trained_on", "precision")  # the state beside nets and optimizers


class GAN:
    """Everything a run changes: nets `G` and `D`, optimizers `opt_G` and `opt_D`, `step`, `images_seen`, `history`.

    G maps `z (N, latent_dim)` to images `(N, C, H, W)` in [-1, 1], D maps images to logits `(N,)`; both may be any
    module. `lr` and `betas` are Adam's, for each player. `seed` (by default the one given to `setup`) decides
    all noise and the order of the data. `latent_dim` is read from G where it is not given. `precision` is "float32"
    or "bf16" (both nets under autocast while they train; weights, logits and losses stay in the nets' own type), by
    default what `setup` chose.
    """

    def __init__(self, G, D, lr=2e-4, betas=(0.9, 0.999), seed=None, latent_dim=None, precision=None):
        self.G, self.D = G, D
        self.latent_dim = latent_dim or getattr(G, "latent_dim", None)
        if self.latent_dim is None:
            raise ValueError("G has no latent_dim; give G that attribute, or GAN(G, D, latent_dim=...)")
        if not lr > 0:
            raise ValueError(f"lr={lr} was given; a learning rate is above 0 (the classic recipe's is 2e-4)")
        self.seed = torch.initial_seed() if seed is None else seed
        self.precision = choice.precision if precision is None else precision
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision={precision!r} was given; {' or '.join(map(repr, PRECISIONS))} is expected")
        self.step, self.images_seen, self.history, self.trained_on = 0, 0, [], None
        self.opt_G, self.opt_D = (_adam(net, lr, betas) for net in (G, D))
        # batch statistics mix the images of one pass: with them, reals and fakes are judged apart
        self.one_pass = not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in D.modules())

    def to(self, device=None, dtype=None):
        """Move nets and optimizers to `device` and `dtype`; returns the GAN itself."""
        for net, optimizer in ((self.G, self.opt_G), (self.D, self.opt_D)):
            net.to(device=device, dtype=dtype)
            optimizer.load_state_dict(optimizer.state_dict())  # moves Adam's moments to where the weights are now
        return self

    @property
    def device(self):
        return next(self.G.parameters()).device

    @property
    def dtype(self):
        return next(self.G.parameters()).dtype

    def noise(self, n, stream="fixed", step=0):
        """Return noise `z (n, latent_dim)`, normal, a function of (seed, step, stream) alone."""
        draws = generator(self.device, self.seed, step, f"noise/{stream}")
        return torch.randn(n, self.latent_dim, generator=draws, device=self.device, dtype=self.dtype)

    def draws(self, stream):
        """Return the generator of the present step and `stream`, from its start."""
        return generator(self.device, self.seed, self.step, stream)

    def fake(self, n, stream, labels=None):
        """Return `n` fakes of the present step, `(n, C, H, W)`, with their graph where gradients are on."""
        with self._drawing(self.G, stream):
            return self.G(self.noise(n, stream, self.step), labels)

    def judge(self, images, stream, labels=None):
        """Return D's logits `(N,)` for `images`, with the dropout masks of the present step and `stream`."""
        with self._drawing(self.D, stream):
            return self.D(images, labels).to(self.dtype)

    @contextmanager
    def _drawing(self, net, stream):
        """Let the net's random layers (those with a `generator`) draw as (seed, step, stream) says."""
        layers = [layer for layer in net.modules() if hasattr(layer, "generator")]
        draws = self.draws(f"layers/{stream}")
        for layer in layers:
            layer.generator = draws
        try:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
                yield
        finally:
            for layer in layers:
                layer.generator = None

    @torch.no_grad()
    def sample(self, n=64, labels=None, noise=None, stream="fixed"):
        """Return `n` images `(n, C, H, W)` in [-1, 1] from G as it is, from the same noise at every call.

        `stream` names another noise ("more", "even more", ...); `noise (n, latent_dim)` gives it outright. Runs G in
        evaluation mode, leaves its mode and every random generator as they were.
        """
        noise = self.noise(n, stream) if noise is None else noise
        with evaluating(self.G):
            parts = zip(noise.split(1000), [None] * n if labels is None else labels.split(1000), strict=False)
            return torch.cat([self.G(z, y) for z, y in parts])

    @torch.no_grad()
    def check(self, data):
        """Raise ValueError where G or D does not keep its contract for the images of `data`."""
        with evaluating(self.G, self.D):
            for layer in (*self.G.modules(), *self.D.modules()):
                if isinstance(layer, nn.modules.dropout._DropoutNd):
                    raise ValueError(f"a net holds nn.{layer}, whose masks no seed of the run decides; "
                                     f"use ganlib.nets.Dropout(p={layer.p})")  # fmt: skip
            labels = None if data.labels is None else data.labels[:2]
            fakes, expected = _answer("G", self.G, self.noise(2), labels), (2, *data.shape)
            if tuple(fakes.shape) != expected:
                raise ValueError(f"G returned {tuple(fakes.shape)} for 2 noise vectors; {expected}, the shape of "
                                 f"2 images of {data.name!r}, is expected: end with unflatten(1, {data.shape}), "
                                 "or build G for that size")  # fmt: skip
            logits = _answer("D", self.D, fakes, labels)
            if tuple(logits.shape) != (2,):
                raise ValueError(f"D returned {tuple(logits.shape)} for 2 images; one logit per image, (2,), is "
                                 "expected: end with flatten(0)")  # fmt: skip

    def state_dict(self):
        """The whole state of the run, as tensors and plain values."""
        nets = {name: getattr(self, name).state_dict() for name in ("G", "D", "opt_G", "opt_D")}
        return nets | {name: getattr(self, name) for name in PLAIN}

    def load_state_dict(self, state):
        for name in ("G", "D", "opt_G", "opt_D"):
            getattr(self, name).load_state_dict(state[name])
        for name in PLAIN:
            setattr(self, name, state[name])


def _answer(name, net, x, labels):
    try:
        return net(x, labels)
    except (TypeError, RuntimeError) as error:
        raise ValueError(f"{name} cannot be run on {tuple(x.shape)} ({error}); it is called as {name}(x, labels), so "
                         "forward(self, x, labels=None) that takes this shape is expected") from error  # fmt: skip


@contextmanager
def evaluating(*nets):
    """Evaluation mode for a while; each module's own mode comes back afterwards."""
    modes = [(module, module.training) for net in nets for module in net.modules()]
    try:
        for net in nets:
            net.eval()
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _adam(net, lr, betas):
    """Adam (Kingma & Ba 2014) in one fused pass over the weights, where the device has it (MPS has too)."""
    return torch.optim.Adam(net.parameters(), lr=lr, betas=betas, fused=True)
