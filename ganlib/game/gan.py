"""GAN: two players, what G is fed, and the counters that make a run a function of its seed."""

import copy

import torch

from ..machine import processes
from ..machine.device import PRECISIONS, choice
from ..machine.values import at
from .contract import evaluating, fitting, keeps_contract, labels_of, shared_out
from .look import look
from .player import STATISTICS, Player, has_batch_statistics, settled
from .source import Seeded, source_of

# the state beside players
PLAIN = ("seed", "step", "images_seen", "history", "trained_on", "precision", "label_counts", "examples")


def _of(player, attribute):
    """An attribute of a GAN that is one of its player's."""

    def write(gan, value):
        setattr(gan.players[player], attribute, value)

    return property(lambda gan: getattr(gan.players[player], attribute), write)


class GAN(Seeded):
    """Everything a run changes: the players `G` and `D`, `step`, `images_seen`, `history`.

    G maps what its source draws, by default noise `z (N, latent_dim)`, to images `(N, C, H, W)` in [-1, 1]; D maps
    images to logits `(N,)`. Both may be any module, or a `Player` that brings its own settings.

    lr, betas: Adam's, as numbers or as schedules of the images seen; `lr=(1e-4, 4e-4)` is G's and D's.
    ema: the half-life of `G_ema`, an average of G's past weights that `sample` draws from, in images that G drew in its
        own moves (0 copies the weights; None has no average).
    seed: decides all noise and the order of the data; by default the one given to `setup`.
    source: what G is fed: noise by default, of `latent_dim` numbers (read from G where that is not given); or a data
        set, whose images are drawn at random; or a function of (n, draws), `draws` being a `torch.Generator`.
    precision: "float32" or "bf16" (both nets under autocast while they train; weights, logits and losses stay in the
        nets' own type); by default what `setup` chose.

    Raises ValueError for settings that are out of range, and where the size of the noise is unknown.
    """

    def __init__(self, G, D, lr=2e-4, betas=(0.9, 0.999), seed=None, latent_dim=None, precision=None, ema=None,
                 source=None):  # fmt: skip
        rates = lr if isinstance(lr, (tuple, list)) else (lr, lr)
        if len(rates) != 2:
            raise ValueError(f"lr={lr} was given; one learning rate, or a pair of them for G and D, is expected")
        self.source = source_of(source, G.net if isinstance(G, Player) else G, latent_dim)
        self.players = {
            "D": D if isinstance(D, Player) else Player(D, rates[1], betas),
            "G": G if isinstance(G, Player) else Player(G, rates[0], betas, ema=ema),
        }
        self.seed = torch.initial_seed() if seed is None else seed
        self.precision = choice.precision if precision is None else precision
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision={precision!r} was given; {' or '.join(map(repr, PRECISIONS))} is expected")
        self.step, self.images_seen, self.history, self.trained_on = 0, 0, [], None
        # how many images of each class the data have; some labels of the data, where G has no classes
        self.label_counts = self.examples = None
        self.adaptive = torch.zeros(2, device=self.device)  # an augmentation's: see `Augmentation`
        self.capture, self.generation = None, 0  # cuda_graph.py: what records a step; how often tensors were replaced
        self.parts = 1  # player.py: into how many a batch is cut, for want of memory
        # batch statistics mix the images of one pass: with them, reals and fakes are judged apart
        self.one_pass = not has_batch_statistics(self.D)
        self._settled = None, None  # the state for which an average was settled, and the net

    # the two players, by their usual names
    G, opt_G, G_ema = _of("G", "net"), _of("G", "optimizer"), _of("G", "average")
    D, opt_D = _of("D", "net"), _of("D", "optimizer")

    @property
    def lr(self):
        """The learning rate of both players, or the pair of G's and D's where they differ."""
        G, D = (self.players[name].lr for name in "GD")
        return G if G == D else (G, D)

    @property
    def gans(self):
        """The GANs of this run by name: itself alone, without a name. (See `Several`.)"""
        return {"": self}

    @property
    def latent_dim(self):
        """How many numbers of noise G is fed; None where it is fed something else."""
        return self.source.latent_dim

    @property
    def classes(self):
        """How many classes G can be asked for; 0 where it takes no labels, or other ones than classes."""
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

    def to(self, device=None, dtype=None):
        """Move nets and optimizers to `device` and `dtype`; returns the GAN itself."""
        for player in self.players.values():
            player.to(device, dtype)
        if device is not None:
            self.source.to(device)
        self.adaptive = self.adaptive.to(device)
        self.generation += 1
        return self

    # what a move needs

    def fake(self, n, stream, labels=None, rows=slice(None), mark="", noise=None):
        """Return `n` fakes of the present step, `(n, C, H, W)`, with their graph where gradients are on.

        `rows`: only these of them (see `player.play`); `mark` tells the draws of G's layers apart from those of others;
        `noise (n, ...)` takes the place of what the source draws.
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

    def move(self, which):
        """Take one optimizer step of "G" or "D", down its gradients: their mean over processes."""
        player = self.players[which]
        if player.scheduled:
            player.schedule(self.at)
        processes.average([weight.grad for weight in player.net.parameters() if weight.grad is not None])
        player.optimizer.step()
        buffers = [*self.G.buffers(), *self.D.buffers()]  # running statistics: G's move passes through D as well
        processes.average([buffer for buffer in buffers if buffer.is_floating_point()])

    def average(self, n):
        """After a move of G on `n` images: G_ema keeps 0.5^(n / half-life) of its weights, and copies G's buffers."""
        player = self.players["G"]
        if player.average is None:
            return

        def share():
            half_life = at(player.ema, self.images_seen)
            return 1 - 0.5 ** (n / half_life) if half_life else 1.0

        player.follow(self.varying(share))
        self._settled = None, None

    # what is looked at

    def net(self, ema=True):
        """Return what `sample` draws from: G, or its average with batch statistics of its own."""
        if self.G_ema is None or not ema:
            return self.G
        now = self.step, self.generation
        if self._settled[0] != now:
            labels = shared_out(self.label_counts or [1] * self.classes, STATISTICS, self.device)
            labels = fitting(labels, STATISTICS, self.G, self.device, self.examples)
            with self.autocast():
                self._settled = now, settled(self.G_ema, self.noise(STATISTICS, "statistics"), labels)
        return self._settled[1]

    @torch.no_grad()
    def sample(self, n=64, labels=None, noise=None, stream="fixed", ema=True):
        """Return `n` images `(n, C, H, W)` in [-1, 1] as G draws them now, from the same noise at every call.

        `stream` names another noise ("more", "even more", ...); `noise (n, latent_dim)` gives it outright. `labels`
        int64 `(n,)`, or one int for all; by default a conditional G is asked for each class in turn, and one that takes
        other labels than classes for some of the data's. Draws from `G_ema` where there is one (with batch statistics
        of its own), with `ema=False` from G itself. Runs it in evaluation mode, leaves its mode and every random
        generator as they were. Raises ValueError for labels that G does not know.
        """
        noise = self.noise(n, stream) if noise is None else noise
        labels = fitting(labels, len(noise), self.G, self.device, self.examples)
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

    def look(self):
        """Return what a picture of this run shows, a `Look`.

        64 images; of up to 12 classes a column each; of a G that is fed images each of them above what G makes of it;
        of clips one in each row, frame by frame.
        """
        return look(self)

    # checks, and the state

    def check(self, data, places=False):
        """Raise ValueError where G or D does not keep its contract for the images of `data`."""
        self.label_counts, self.examples = labels_of(data, self.G, self.D)
        labels = None if data.labels is None else data.labels[:2].to(self.device)
        keeps_contract(self.G, self.D, data, self.noise(2), labels, places)

    def state_dict(self):
        """The whole state of the run, as tensors and plain values."""
        state = {name: part.state_dict() for name, part in self._parts().items()} | {"adaptive": self.adaptive}
        return state | {name: getattr(self, name) for name in PLAIN}

    def load_state_dict(self, state):
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.adaptive = state["adaptive"].to(self.device, copy=True)
        for name in PLAIN:
            setattr(self, name, copy.deepcopy(state.get(name)))
        self.generation += 1

    def _parts(self):
        parts = {"G": self.G, "D": self.D, "opt_G": self.opt_G, "opt_D": self.opt_D}
        return parts if self.G_ema is None else parts | {"G_ema": self.G_ema}

    def states(self, state):
        """Yield each GAN of the run with its part of the run's `state`: itself with all of it."""
        yield self, state
