"""GAN: two nets and two optimizers, with the noise and the counters that make a run a function of its seed."""

import copy
from contextlib import contextmanager

import torch
from torch import nn

from ..machine import processes
from ..machine.device import PRECISIONS, choice
from ..machine.randomness import generator
from .averages import Settled, follow
from .contract import evaluating, keeps_contract
from .labels import counts, fitting, require
from .schedules import at, extremes

# the state beside nets and optimizers
PLAIN = ("seed", "step", "images_seen", "history", "trained_on", "precision", "label_counts")


class GAN:
    """Everything a run changes: nets `G` and `D`, optimizers `opt_G` and `opt_D`, `step`, `images_seen`, `history`.

    G maps `z (N, latent_dim)` to images `(N, C, H, W)` in [-1, 1], D maps images to logits `(N,)`; both may be any
    module. `lr` and `betas` are Adam's, for each player, as numbers or as schedules of the images seen. `ema` is the
    half-life of `G_ema`, an average of G's past weights that `sample` draws from, in images that G drew in its own
    moves (0 copies the weights; None has no average). `seed` (by default the one given to `setup`) decides all noise
    and the order of the data. `latent_dim` is read from G where it is not given. `precision` is "float32" or "bf16"
    (both nets under autocast while they train; weights, logits and losses stay in the nets' own type), by default what
    `setup` chose.
    """

    def __init__(self, G, D, lr=2e-4, betas=(0.9, 0.999), seed=None, latent_dim=None, precision=None, ema=None):
        self.G, self.D, self.lr, self.ema = G, D, lr, ema
        self.betas = betas = tuple(beta if callable(beta) else 1.0 * beta for beta in betas)
        self.latent_dim = latent_dim or getattr(G, "latent_dim", None)
        if self.latent_dim is None:
            raise ValueError("G has no latent_dim; give G that attribute, or GAN(G, D, latent_dim=...)")
        if not all(value > 0 for value in extremes(lr)):
            raise ValueError(f"lr={lr} was given; a learning rate is above 0 (the classic recipe's is 2e-4)")
        if not all(0 <= value < 1 for beta in betas for value in extremes(beta)):
            raise ValueError(f"betas={betas} was given; two numbers from 0 to below 1, or schedules, are expected")
        if ema is not None and not all(value >= 0 for value in extremes(ema)):
            raise ValueError(f"ema={ema} was given; a half-life is 0 images or more (or None: no average of G)")
        self.seed = torch.initial_seed() if seed is None else seed
        self.precision = choice.precision if precision is None else precision
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision={precision!r} was given; {' or '.join(map(repr, PRECISIONS))} is expected")
        self.step, self.images_seen, self.history, self.trained_on = 0, 0, [], None
        self.label_counts, self.settled = None, Settled()  # how many images of each class the data have
        nets = (net.to(memory_format=torch.channels_last) for net in (G, D))  # faster for convolutions, no change else
        self.opt_G, self.opt_D = (_adam(net, at(lr, 0), tuple(at(beta, 0) for beta in betas)) for net in nets)
        self.G_ema = None if ema is None else copy.deepcopy(G).requires_grad_(False)
        self.adaptive = torch.zeros(2, device=self.device)  # an augmentation's: see `Augmentation`
        self.capture, self.generation = None, 0  # cuda_graph.py: what records a step; how often tensors were replaced
        self.parts = 1  # splitting.py: into how many a batch is cut, for want of memory
        # batch statistics mix the images of one pass: with them, reals and fakes are judged apart
        self.one_pass = not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in D.modules())

    def to(self, device=None, dtype=None):
        """Move nets and optimizers to `device` and `dtype`; returns the GAN itself."""
        for net, optimizer in ((self.G, self.opt_G), (self.D, self.opt_D)):
            net.to(device=device, dtype=dtype)
            optimizer.load_state_dict(optimizer.state_dict())  # moves Adam's moments to where the weights are now
        if self.G_ema is not None:
            self.G_ema.to(device=device, dtype=dtype)
        self.adaptive = self.adaptive.to(device)
        self.generation += 1
        return self

    @property
    def classes(self):
        """How many classes G can be asked for; 0 where it takes no labels."""
        return getattr(self.G, "classes", 0)

    @property
    def world(self):
        """In how many processes this run goes on."""
        return processes.place()[1]

    @property
    def device(self):
        return next(self.G.parameters()).device

    @property
    def dtype(self):
        return next(self.G.parameters()).dtype

    def noise(self, n, stream="fixed", step=0, rank=0):
        """Return noise `z (n, latent_dim)`, normal, a function of (seed, step, stream, rank) alone."""
        draws = generator(self.device, self.seed, step, f"noise/{stream}", rank)
        return torch.randn(n, self.latent_dim, generator=draws, device=self.device, dtype=self.dtype)

    def noise_now(self, n, stream):
        """Return the noise of the present step and `stream`, of this process."""
        draws = self.draws(f"noise/{stream}")
        return torch.randn(n, self.latent_dim, generator=draws, device=self.device, dtype=self.dtype)

    def draws(self, stream):
        """Return the generator of the present step and `stream`, of this process, from its start."""
        if self.capture is not None:
            return self.capture.generator(stream)
        return generator(self.device, self.seed, self.step, stream, processes.place()[0])

    def at(self, value):
        """Return what a number or a schedule (a function of the images seen) is now."""
        return self.varying(lambda: value(self.images_seen)) if callable(value) else value

    def varying(self, function):
        """Return `function()`, a number that changes from step to step; in a captured step a tensor that holds it."""
        return function() if self.capture is None else self.capture.value(function)

    def fake(self, n, stream, labels=None, rows=slice(None), mark="", noise=None):
        """Return `n` fakes of the present step, `(n, C, H, W)`, with their graph where gradients are on.

        `rows`: only these of them (see `parts`); `mark` tells the draws of G's layers apart from those of others;
        `noise (n, latent_dim)` takes the place of the step's own.
        """
        with self._drawing(self.G, stream + mark):
            noise = self.noise_now(n, stream) if noise is None else noise
            return self.G(noise[rows], None if labels is None else labels[rows])

    def judge(self, images, stream, labels=None, augment=None, read=False, exact=False):
        """Return D's logits `(N,)` for `images`, with the dropout masks and augmentation of this step and `stream`.

        With `read` it returns (logits, answers): of a D that has a second head. With `exact` logits of less than full
        precision are refused: the difference of two of them would be rounded away.
        """
        if augment is not None:
            p = self.adaptive[0] if augment.target is not None else torch.ones_like(self.adaptive[0])
            images = augment.transform(images.to(self.dtype), p, self.draws(f"augment/{stream}"))
        with self._drawing(self.D, stream):
            logits, answers = self.D(images, labels, read=True) if read else (self.D(images, labels), None)
        if exact and logits.dtype != self.dtype:
            raise ValueError(f"D returned {logits.dtype} logits, whose finite difference rounds to 0; compute D's last "
                             "layer in float32 (with torch.autocast(..., enabled=False), as nets.Verdict does), or "
                             'use precision="float32"')  # fmt: skip
        return (logits.to(self.dtype), answers) if read else logits.to(self.dtype)

    def move(self, player):
        """Take one optimizer step of `player`, "G" or "D", down its gradients: their mean over processes."""
        net, optimizer = getattr(self, player), getattr(self, f"opt_{player}")
        if any(map(callable, (self.lr, *self.betas))):
            for group in optimizer.param_groups:
                group["lr"] = self.at(self.lr)
                group["betas"] = tuple(map(self.at, self.betas))
        processes.average([weight.grad for weight in net.parameters() if weight.grad is not None])
        optimizer.step()
        buffers = [*self.G.buffers(), *self.D.buffers()]  # running statistics: G's move passes through D as well
        processes.average([buffer for buffer in buffers if buffer.is_floating_point()])

    @torch.no_grad()
    def average(self, n):
        """After a move of G on `n` images: G_ema keeps 0.5^(n / half-life) of its weights, and copies G's buffers.

        Karras et al. 2018, section 4.
        """
        if self.G_ema is None:
            return

        def share():
            half_life = at(self.ema, self.images_seen)
            return 1 - 0.5 ** (n / half_life) if half_life else 1.0

        follow(self.G_ema, self.G, self.varying(share))
        self.settled.state = None

    def autocast(self):
        """The precision in which the nets train."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    @contextmanager
    def _drawing(self, net, stream):
        """Let the net's random layers (those with a `generator`) draw as (seed, step, stream) says."""
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

    def net(self, ema=True):
        """Return what `sample` draws from: G, or its average with batch statistics of its own."""
        return self.G if self.G_ema is None or not ema else self.settled(self)

    @torch.no_grad()
    def sample(self, n=64, labels=None, noise=None, stream="fixed", ema=True):
        """Return `n` images `(n, C, H, W)` in [-1, 1] as G draws them now, from the same noise at every call.

        `stream` names another noise ("more", "even more", ...); `noise (n, latent_dim)` gives it outright. `labels`
        int64 `(n,)`, or one int for all; by default a conditional G is asked for each class in turn. Draws from
        `G_ema` where there is one (with batch statistics of its own), with `ema=False` from G itself. Runs it in
        evaluation mode, leaves its mode and every random generator as they were. Raises ValueError for labels that G
        does not know.
        """
        noise = self.noise(n, stream) if noise is None else noise
        labels = fitting(labels, len(noise), self.G, self.device)
        net = self.net(ema)
        with evaluating(net):
            parts = noise.split(1000)
            asked = [None] * len(parts) if labels is None else labels.split(1000)
            images = torch.cat([net(z, y) for z, y in zip(parts, asked, strict=True)])
        images.generated = True  # `show` writes it into the file
        return images

    def class_grid(self, rows=8, stream="fixed"):
        """Return `rows * classes` images, one noise per row and one class per column: for `show(..., columns=classes)`.

        Raises ValueError where G is not conditional.
        """
        if not self.classes:
            raise ValueError("G takes no labels: there is no grid of classes; build it with classes=...")
        return self.sample(noise=self.noise(rows, stream).repeat_interleave(self.classes, 0))

    def check(self, data):
        """Raise ValueError where G or D does not keep its contract for the images of `data`."""
        require(data, self.G, self.D)
        self.label_counts = counts(data, self.G)
        keeps_contract(self.G, self.D, data, self.noise(2))

    def state_dict(self):
        """The whole state of the run, as tensors and plain values."""
        nets = {name: getattr(self, name).state_dict() for name in self._parts()} | {"adaptive": self.adaptive}
        return nets | {name: getattr(self, name) for name in PLAIN}

    def load_state_dict(self, state):
        for name in self._parts():
            getattr(self, name).load_state_dict(state[name])
        self.adaptive = state["adaptive"].to(self.device, copy=True)
        for name in PLAIN:
            setattr(self, name, copy.deepcopy(state.get(name)))
        self.generation += 1

    def _parts(self):
        return ("G", "D", "opt_G", "opt_D") if self.G_ema is None else ("G", "D", "opt_G", "opt_D", "G_ema")


def _adam(net, lr, betas):
    """Adam (Kingma & Ba 2014) in one fused pass over the weights, where the device has it (MPS has too)."""
    return torch.optim.Adam(net.parameters(), lr=lr, betas=betas, fused=True)
