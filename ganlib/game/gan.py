"""The state of a run with one G and one D: its players, what G is fed, and the counters."""

import copy
from functools import partial

import torch

from ..machine import processes
from ..machine.device import PRECISIONS, choice
from ..machine.randomness import generator, whole_seed
from ..machine.values import at
from ..nets.known import ask, classes_of, drawing, foreign, logits_of, ours
from .contract import evaluating, fitting, labels_of, shared_out
from .look import look
from .player import STATISTICS, Player, has_batch_statistics, settled
from .source import Seeded, source_of

# attributes that are saved beside nets and optimizers
PLAIN = "seed", "step", "images_seen", "history", "trained_on", "precision"
PLAIN += "label_counts", "examples"


def _of(player, attribute):
    """Return a property of `GAN` that reads and writes an attribute of one of its players."""

    def write(gan, value):
        setattr(gan.players[player], attribute, value)

    return property(lambda gan: getattr(gan.players[player], attribute), write)


class GAN(Seeded):
    """The state of a run: the players `G` and `D`, and `step`, `images_seen` and `history`.

    G maps noise `z (N, latent_dim)`, or what another source draws, to images `(N, C, H, W)` in [-1,
    1]. D maps images to logits `(N,)`. Each is any module, or a `Player` with settings of its own;
    nets of your own are taken as they are, see docs/games.md.

    lr, betas: Adam's settings, numbers or schedules of the images seen. `lr=(1e-4, 4e-4)` gives G
        and D different rates.
    ema: half-life, in images, of `G_ema`, an average of G's past weights from which `sample` draws.
        0 copies the weights, None keeps no average.
    seed: decides all noise and the order of the data; by default the seed given to `setup`.
    source: what G is fed: by default noise of `latent_dim` numbers (read from G where it is not
        given); a data set, whose images are drawn at random; or a function of (n,
        `torch.Generator`).
    precision: "float32", or "bf16": both nets train under autocast, while weights, logits and
        losses keep their type. By default what `setup` chose.

    Raises ValueError for a setting out of range, and where the size of the noise is unknown.
    """

    def __init__(
        self,
        G,
        D,
        lr=2e-4,
        betas=(0.9, 0.999),
        seed=None,
        latent_dim=None,
        precision=None,
        ema=None,
        source=None,
    ):
        rates = lr if isinstance(lr, (tuple, list)) else (lr, lr)
        if len(rates) != 2:
            raise ValueError(f"lr={lr} was given; one, or a pair of them for G and D, is due")
        nets = [net.net if isinstance(net, Player) else net for net in (G, D)]
        if wrong := [net for net in nets if not isinstance(net, torch.nn.Module)]:
            raise ValueError(f"{wrong[0]!r} was given as a net; a torch.nn.Module is expected")
        self.source = source_of(source, nets[0], latent_dim)
        if not all(map(ours, nets)):
            foreign("trying").wake(*nets, self.source)
        self.players = {
            "D": D if isinstance(D, Player) else Player(D, rates[1], betas),
            "G": G if isinstance(G, Player) else Player(G, rates[0], betas, ema=ema),
        }
        self.seed = torch.initial_seed() if seed is None else whole_seed(seed)
        self.precision = choice.precision if precision is None else precision
        if self.precision not in PRECISIONS:
            names = " or ".join(map(repr, PRECISIONS))
            raise ValueError(f"precision={precision!r} was given; {names} is expected")
        self.step, self.images_seen, self.history, self.trained_on = 0, 0, [], None
        self.label_counts = self.examples = None  # see labels_of
        self.adaptive = torch.zeros(2, device=self.device)  # the state of an `Augmentation`
        # for run/cuda: what records a step, and how often tensors were replaced by others
        self.capture, self.generation = None, 0
        self.parts = 1  # into how many parts a batch is cut where memory is short, see player.play
        # batch statistics mix the images of a pass: with them, reals and fakes are judged apart
        self.one_pass = not has_batch_statistics(self.D)
        self._settled = None, None  # a state of the run, and the net that `sample` uses for it

    # the two players, by their usual names
    G, opt_G, G_ema = _of("G", "net"), _of("G", "optimizer"), _of("G", "average")
    D, opt_D = _of("D", "net"), _of("D", "optimizer")
    betas, ema = _of("G", "betas"), _of("G", "ema")
    device = property(lambda self: next(self.G.parameters()).device)
    dtype = property(lambda self: next(self.G.parameters()).dtype)
    world = property(lambda self: processes.place()[1])  # how many processes share this run

    @property
    def lr(self):
        """The learning rate of both players, or the pair (G's, D's) where they differ."""
        G, D = (self.players[name].lr for name in "GD")
        return G if G == D else (G, D)

    @property
    def gans(self):
        """The GANs of this run by name. A `GAN` is the only one, without a name; see `Several`."""
        return {"": self}

    @property
    def latent_dim(self):
        """How many numbers of noise G takes; None where its source is not noise."""
        return self.source.latent_dim

    @property
    def classes(self):
        """The number of classes that G can draw; 0 for a G without labels, or with other labels."""
        return classes_of(self.G)

    def to(self, device=None, dtype=None):
        """Move the nets and optimizers to `device` and `dtype`, and return the GAN."""
        for player in self.players.values():
            player.to(device, dtype)
        if device is not None and hasattr(self.source, "to"):
            self.source.to(device)
        self.adaptive = self.adaptive.to(device)
        self.generation += 1
        return self

    # what a move needs

    def fake(self, n, stream, labels=None, rows=slice(None), mark="", noise=None):
        """Return `n` fakes of the present step, `(n, C, H, W)`, with a graph where gradients are
        on.

        `stream` names the random numbers, so that two moves of one step never share them. `noise
        (n, ...)` replaces what the source draws. Where memory is short a move is played in parts of
        its batch: `rows` is the slice to draw, and `mark` keeps the random numbers of G's layers
        apart from other parts'.
        """
        with self._drawing(self.G, stream + mark):
            noise = self.noise_now(n, stream) if noise is None else noise
            return ask(self.G, noise[rows], None if labels is None else labels[rows])

    def judge(self, images, stream, labels=None, augment=None, read=False, exact=False):
        """Return D's logits `(N,)` for `images`, with the dropout masks and augmentation of this
        step and `stream`.

        `read=True` returns (logits, answers) of a D with a second head. `exact=True` refuses logits
        of less than full precision, since the difference of two of them would be rounded away.
        """
        if augment is not None:
            always = augment.target is None
            p = torch.ones_like(self.adaptive[0]) if always else self.adaptive[0]
            images = augment.transform(images.to(self.dtype), p, self.draws(f"augment/{stream}"))
        with self._drawing(self.D, stream):
            judged = logits_of(self.D, images, labels, **({"read": True} if read else {}))
        logits, answers = judged if read else (judged, None)
        if exact and logits.dtype != self.dtype:
            raise ValueError(
                f"D returned {logits.dtype} logits, whose finite difference rounds to 0; compute "
                "D's last layer in float32 (with torch.autocast(..., enabled=False), as "
                "nets.Verdict does), or use precision='float32'"
            )
        return (logits.to(self.dtype), answers) if read else logits.to(self.dtype)

    def move(self, which):
        """Take one optimizer step of "G" or "D" down its gradients, averaged over the processes."""
        player = self.players[which]
        if player.scheduled:
            player.schedule(self.at)
        processes.average([x.grad for x in player.net.parameters() if x.grad is not None])
        player.optimizer.step()
        # both moves change statistics of both nets, but shared fakes' graph needs G's until its own
        nets = (self.D,) if which == "D" else (self.G, self.D)
        processes.average([x for net in nets for x in net.buffers() if x.is_floating_point()])

    def average(self, n):
        """Let `G_ema` follow after a move of G on `n` images: it keeps 0.5^(n / half-life) of its
        weights, and copies G's buffers.
        """
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
        """Return the net that `sample` uses: G, or its average with batch statistics of its own."""
        if self.G_ema is None or not ema:
            return self.G
        now = self.step, self.generation
        if self._settled[0] != now:
            labels = shared_out(self.label_counts or [1] * self.classes, STATISTICS, self.device)
            labels = fitting(labels, STATISTICS, self.G, self.device, self.examples)
            draws = partial(generator, self.device, self.seed, 0, "statistics")
            with self.autocast(), drawing(self.G_ema, draws):
                net = settled(self.G_ema, self.noise(STATISTICS, "statistics"), labels)
            self._settled = now, net
        return self._settled[1]

    @torch.no_grad()
    def sample(self, n=64, labels=None, noise=None, stream="fixed", ema=True):
        """Return `n` images `(n, C, H, W)` in [-1, 1] that G draws, from the same noise at every
        call.

        `stream` names other noise ("more", ...); `noise (n, latent_dim)` replaces it. `labels` are
        int64 `(n,)`, or one int for all. By default each class is drawn in turn; a G that takes
        other labels than classes gets some of the data's. The images come from `G_ema` where there
        is one, with `ema=False` from G itself. G runs in evaluation mode; its mode and all random
        generators are left as they were. Raises ValueError for labels that G does not know.
        """
        noise = self.noise(n, stream) if noise is None else noise
        labels = fitting(labels, len(noise), self.G, self.device, self.examples)
        net = self.net(ema)
        with evaluating(net):
            parts = noise.split(1000)
            asked = [None] * len(parts) if labels is None else labels.split(1000)
            images = torch.cat([ask(net, z, y) for z, y in zip(parts, asked, strict=True)])
        images.generated = True  # `show` writes it into the file
        return images

    def class_grid(self, rows=8, stream="fixed"):
        """Return `rows * classes` images, one noise per row and one class per column, for
        `show(..., columns=classes)`. Raises ValueError where G is not conditional.
        """
        if not self.classes:
            raise ValueError("G takes no labels: no grid of classes; build it with classes=...")
        return self.sample(noise=self.noise(rows, stream).repeat_interleave(self.classes, 0))

    def look(self):
        """Return what a picture of this run shows: a `Look`, see there."""
        return look(self)

    # checks, and the state

    def check(self, data, places=False):
        """Raise ValueError where G or D does not fit the images of `data`; `places` allows D a
        logit for each place. Notes which labels the data have, so that `sample` can use them.
        """
        self.label_counts, self.examples = labels_of(data, self.G, self.D)
        labels = None if data.labels is None else data.labels[:2].to(self.device)
        given, mode = (data, self.noise(2), labels, places), evaluating(self.G, self.D)
        foreign("trying").keeps_contract(self.G, self.D, *given, mode)
        self.ready(data.shape, labels)

    def ready(self, shape, labels=None):
        """Try nets that are not ganlib's on images of `shape`, at the first call."""
        if not (ours(self.G) and ours(self.D)):
            draws = partial(generator, self.device, 0, 0, "trying")
            foreign("trying").look_over(self, shape, labels, draws)

    def state_dict(self):
        """Return the whole state of the run as tensors and plain values."""
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        plain = {name: getattr(self, name) for name in PLAIN}
        return parts | {"adaptive": self.adaptive} | plain

    def load_state_dict(self, state):
        """Replace the state of the run by `state`, as `state_dict` returned it."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.adaptive = state["adaptive"].to(self.device, copy=True)
        for name in PLAIN:
            setattr(self, name, copy.deepcopy(state.get(name)))
        self.generation += 1

    def _parts(self):
        G, D = (getattr(net, "_orig_mod", net) for net in (self.G, self.D))  # of torch.compile
        parts = {"G": G, "D": D, "opt_G": self.opt_G, "opt_D": self.opt_D}
        return parts if self.G_ema is None else parts | {"G_ema": self.G_ema}

    def states(self, state):
        """Yield each GAN of the run with its part of the run's `state`: this one, all of it."""
        yield self, state
