"""The labelled runs on which the doctor is judged: what was done to each, and its right answers.

The answers stand here before any rule of the doctor was written; `benchmarks/doctor.py` plays the
runs and judges. Half of the runs of each kind (`half` "a") may be looked at while rules are
written; the others ("b", and later "c") are judged once.
"""

from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import nn

import ganlib
from ganlib import losses, nets, schedules


@dataclass(frozen=True)
class Run:
    """One run: `kind` says what was done to it, `answers` names the diagnoses that are right."""

    name: str
    kind: str
    answers: tuple
    # () -> (gan, step, batch_size, images of the data or None for all)
    make: object = field(repr=False)
    steps: int
    evaluate_every: int | None = None
    half: str = "a"
    data: str = ""  # a set of doctor_colour.py; digits without one


# healthy games: what is known to learn on digits within a minute
class Noisy(nn.Module):
    """A D that sees the images through heavy noise of its own."""

    def __init__(self, net, sigma):
        super().__init__()
        self.net, self.sigma, self.generator = net, sigma, None

    def forward(self, images, labels=None):
        noise = torch.randn(images.shape, generator=self.generator)
        return self.net(images + self.sigma * noise)


class Linear(nn.Module):
    """A D that is one linear layer on the pixels."""

    def __init__(self, size):
        super().__init__()
        self.layer = nn.Linear(size**2, 1)

    def forward(self, images, labels=None):
        return self.layer(images.flatten(1)).flatten(0)


class Few(nn.Module):
    """A G that draws only `modes` different pictures: the noise picks one of as many prototypes."""

    def __init__(self, net, modes):
        super().__init__()
        self.net, self.latent_dim = net, net.latent_dim
        draws = torch.Generator().manual_seed(modes)
        self.register_buffer("prototypes", torch.randn(modes, net.latent_dim, generator=draws))

    def forward(self, z, labels=None):
        choice = (z[:, :1] * 7919).frac().abs().mul(len(self.prototypes)).long().flatten()
        return self.net(self.prototypes[choice] + 0.02 * z)


class Deaf(nn.Module):
    """A G that hardly hears its noise."""

    def __init__(self, net, share):
        super().__init__()
        self.net, self.latent_dim, self.share = net, net.latent_dim, share

    def forward(self, z, labels=None):
        return self.net(self.share * z)


class Failing(nn.Module):
    """A net with a layer that divides by a count: it is zero after `calls` calls in training."""

    def __init__(self, net, calls):
        super().__init__()
        self.net, self.latent_dim = net, getattr(net, "latent_dim", None)
        self.register_buffer("left", torch.tensor(float(calls)))

    def forward(self, x, labels=None):
        out = self.net(x)
        if self.training and torch.is_grad_enabled():
            self.left -= 1
        return out * (self.left / self.left)


def conv(
    seed,
    objective,
    penalty=None,
    norm=None,
    lr=1e-3,
    betas=(0.0, 0.99),
    D=None,
    latent=32,
    batch=50,
    **more,
):
    """A convolutional pair on digits of 14x14 pixels."""
    torch.manual_seed(seed)
    G = nets.ConvGenerator(latent, shape=(1, 14, 14), widths=(32,), extra=1)
    D = (
        nets.ConvDiscriminator(shape=(1, 14, 14), widths=(32,), norm=norm, extra=1)
        if D is None
        else D(14)
    )
    return _game(G, D, seed, lr, betas, batch, objective, penalty, **more)


def mlp(
    seed,
    objective,
    penalty=None,
    lr=2e-4,
    betas=(0.9, 0.999),
    D=None,
    latent=64,
    batch=100,
    dropout=0.3,
    **more,
):
    """The classic pair, narrower, on digits of 28x28 pixels."""
    torch.manual_seed(seed)
    G = nets.MLPGenerator(latent, widths=(128, 256, 512))
    D = nets.MLPDiscriminator(widths=(512, 256), dropout=dropout) if D is None else D(28)
    return _game(G, D, seed, lr, betas, batch, objective, penalty, **more)


def _game(
    G,
    D,
    seed,
    lr,
    betas,
    batch,
    objective,
    penalty,
    n_critic=1,
    ema=None,
    wrap_G=None,
    wrap_D=None,
    lr_G=None,
    lr_D=None,
    only=None,
):
    G, D = (wrap_G(G) if wrap_G else G), (wrap_D(D) if wrap_D else D)
    gan = ganlib.GAN(G, D, lr=lr, betas=betas, seed=seed, ema=ema)
    for optimizer, own in ((gan.opt_G, lr_G), (gan.opt_D, lr_D)):
        if own is not None:
            optimizer.param_groups[0]["lr"] = own
    step = partial(ganlib.gan_step, objective=objective, penalty=penalty, n_critic=n_critic)
    return gan, step, batch, only


# games that are known to learn: all below is one of them, or one with something done to it
GAMES = {
    "relativistic": partial(
        conv, objective=losses.relativistic, penalty=losses.approximate_r1_r2(1.0, 0.05), lr=2e-3
    ),
    "r1": partial(conv, objective=losses.non_saturating, penalty=losses.r1(1.0), lr=2e-3),
    "dcgan": partial(
        conv, objective=losses.non_saturating, norm="batch", lr=5e-4, betas=(0.5, 0.999)
    ),
    "lsgan": partial(
        conv, objective=losses.least_squares, norm="batch", lr=5e-4, betas=(0.5, 0.999)
    ),
    "spectral": partial(conv, objective=losses.hinge, norm="spectral", lr=1e-3, betas=(0.0, 0.9)),
    "wgan-gp": partial(
        conv,
        objective=losses.wasserstein,
        penalty=losses.gradient_penalty(10.0),
        lr=1e-3,
        betas=(0.0, 0.9),
        n_critic=3,
    ),
    "mlp-r1": partial(
        mlp,
        objective=losses.non_saturating,
        penalty=losses.r1(1.0),
        lr=1e-3,
        betas=(0.0, 0.99),
        dropout=0.0,
    ),
    "mlp-relativistic": partial(
        mlp,
        objective=losses.relativistic,
        penalty=losses.r1_r2(1.0),
        lr=1e-3,
        betas=(0.0, 0.99),
        dropout=0.0,
    ),
}

CONV = ("relativistic", "r1", "dcgan", "lsgan", "spectral", "wgan-gp")
MLP = ("mlp-r1", "mlp-relativistic")
FINE = (
    "healthy",
    "undertrained",
)  # a healthy run of these lengths is nearly always still getting better: both are right


def right(run, history):
    """Return the right answers of a run, by its last evaluation, if any.

    A run in which no real image has its like among the fakes (recall below 0.01) is neither healthy
    nor done, whatever was done to it. Where few have one (coverage below 0.05) it may be called so,
    or not.
    """
    last = next((row for row in reversed(history) if "recall" in row or "coverage" in row), {})
    fine = set(run.answers) & {*FINE, "done"}
    if not fine or (last.get("recall", 1) >= 0.01 and last.get("coverage", 1) >= 0.05):
        return run.answers
    kept = [name for name in run.answers if last.get("recall", 1) >= 0.01 or name not in fine]
    return (*kept, "unlike")


def runs():
    """Return all runs, in a fixed order: the two halves take turns within each kind."""
    made = []

    def add(kind, answers, name, make, steps=500, evaluate_every=None):
        count = sum(run.kind == kind for run in made)
        half = "ab"[(count + count // 8) % 2]  # there are eight games: each is in both halves
        made.append(Run(f"{kind}/{name}", kind, tuple(answers), make, steps, evaluate_every, half))

    # healthy: 48, half of them with evaluations
    for seed in range(6):
        for name in CONV:
            every = seed % 3 == 0
            add(
                "healthy",
                FINE,
                f"{name}-{seed}",
                partial(GAMES[name], seed=seed),
                500,
                125 if every else None,
            )
        for name in MLP:
            add(
                "healthy",
                FINE,
                f"{name}-{seed}",
                partial(GAMES[name], seed=seed),
                1000,
                250 if seed % 2 else None,
            )
    # undertrained: a healthy game that has hardly begun
    for seed, name in enumerate((*CONV, *MLP)):
        steps = 60 if name in CONV else 150
        add(
            "undertrained",
            FINE,
            name,
            partial(GAMES[name], seed=10 + seed),
            steps,
            steps // 3 if seed % 2 else None,
        )
    # done: the learning rate has gone to nothing, nothing more will come
    for seed, name in enumerate(
        ("relativistic", "r1", "dcgan", "spectral", "relativistic", "r1", "wgan-gp", "lsgan")
    ):
        lr = schedules.Linear(((0, 1e-3), (30_000, 1e-3), (40_000, 1e-6)))
        steps = 1500 // (3 if name == "wgan-gp" else 1)
        add(
            "done",
            ("done",),
            f"{name}-{seed}",
            partial(GAMES[name], seed=20 + seed, lr=lr),
            steps,
            steps // 12,
        )
    # D wins: G's learning rate is a hundredth, or D moves eight times for each move of G and
    # at 300 times its rate
    for seed, name in enumerate(
        ("r1", "dcgan", "lsgan", "mlp-relativistic", "relativistic", "mlp-r1")
    ):
        # a penalty is what keeps D from winning
        weak = {} if name in ("dcgan", "lsgan") else {"penalty": None}
        add(
            "d_wins",
            ("d_wins",),
            f"slow-G-{name}",
            partial(GAMES[name], seed=30 + seed, lr_G=2e-6, **weak),
            400,
        )
    for seed, name in enumerate(("r1", "mlp-relativistic", "mlp-r1", "relativistic")):
        weak = {"penalty": None, "n_critic": 8, "lr_G": 1e-5, "lr_D": 3e-3}
        add(
            "d_wins",
            ("d_wins",),
            f"fast-D-{name}",
            partial(GAMES[name], seed=40 + seed, **weak),
            300,
        )
    # G wins, or D cannot learn: D's rate is next to nothing, D is one linear layer, D sees
    # hardly anything
    for seed, name in enumerate(("r1", "dcgan", "relativistic", "mlp-r1", "lsgan", "spectral")):
        add(
            "g_wins",
            ("g_wins",),
            f"slow-D-{name}",
            partial(GAMES[name], seed=50 + seed, lr_D=1e-7),
            400,
        )
    for seed, name in enumerate(("r1", "mlp-r1", "relativistic", "mlp-relativistic")):
        blind = {"wrap_D": partial(Noisy, sigma=20.0), "penalty": None}
        add(
            "g_wins",
            ("g_wins",),
            f"blind-D-{name}",
            partial(GAMES[name], seed=60 + seed, **blind),
            400,
        )
    # total mode collapse: G cannot hear its noise; or has long been stuck with one shape
    for seed, name in enumerate((*CONV, "mlp-r1", "mlp-relativistic")):
        answers = ("total_collapse",)
        deaf = {"wrap_G": partial(Deaf, share=0.002 if name in MLP else 0.0)}
        add(
            "total_collapse",
            answers,
            f"deaf-G-{name}",
            partial(GAMES[name], seed=70 + seed, **deaf),
            400,
        )
    # the classic recipe at five times its rate: D wins, G has one shape; both are right
    for seed in range(4):
        stuck = partial(mlp, seed=80 + seed, objective=losses.non_saturating, lr=1e-3)
        add(
            "total_collapse",
            ("total_collapse", "d_wins", "lr_too_high"),
            f"stuck-{seed}",
            stuck,
            800,
        )
    # partial mode collapse: G can draw only so many pictures
    for seed, name in enumerate((*CONV, *CONV)):
        modes = (3, 4, 6, 8, 10, 12, 4, 6, 8, 3, 5, 10)[seed]
        few = {"wrap_G": partial(Few, modes=modes)}
        add(
            "partial_collapse",
            ("partial_collapse",),
            f"{modes}-modes-{name}-{seed}",
            partial(GAMES[name], seed=90 + seed, **few),
            500,
        )
    # oscillation: an undamped game, after the Dirac GAN of Mescheder et al. 2018: D is linear, no
    # penalty, momentum. (A linear D is also too weak to learn. With an MLP for G such games mostly
    # got stuck instead: G has batch norm.)
    games = (losses.non_saturating, losses.hinge, losses.relativistic, losses.least_squares) * 2
    for seed, objective in enumerate(games):
        betas, lr = ((0.9, 0.99), 1e-3) if seed < 4 else ((0.8, 0.99), 2e-3)
        make = partial(conv, seed=110 + seed, objective=objective, D=Linear, betas=betas, lr=lr)
        add(
            "oscillation",
            ("oscillation", "g_wins"),
            f"linear-D-{objective.name}-{seed}",
            make,
            1000,
        )
    # vanishing gradients: the minimax loss under a sure D; or G's tanh saturated from the start
    for seed, (lr_D, n_critic) in enumerate(((2e-3, 5), (1e-3, 5), (2e-3, 8), (1e-3, 3))):
        sure = {
            "lr_G": 1e-4,
            "lr_D": lr_D,
            "n_critic": n_critic,
            "penalty": None,
            "objective": losses.saturating,
        }
        name = ("r1", "mlp-r1")[seed % 2]
        add(
            "vanishing_gradients",
            ("vanishing_gradients", "d_wins"),
            f"minimax-{name}-{seed}",
            partial(GAMES[name], seed=120 + seed, **sure),
            400,
        )
    for seed, name in enumerate(("r1", "mlp-r1", "relativistic", "dcgan")):
        loud = {"wrap_G": loud_G, "lr_G": 1e-4}
        add(
            "vanishing_gradients",
            ("vanishing_gradients", "d_wins"),
            f"saturated-{name}-{seed}",
            partial(GAMES[name], seed=130 + seed, **loud),
            400,
        )
    # learning rate too high
    high = (
        ("r1", 0.1),
        ("dcgan", 0.3),
        ("relativistic", 0.1),
        ("mlp-r1", 0.1),
        ("lsgan", 0.3),
        ("spectral", 0.5),
        ("mlp-relativistic", 0.1),
        ("wgan-gp", 0.1),
    )
    for seed, (name, lr) in enumerate(high):
        add(
            "lr_too_high",
            ("lr_too_high",),
            f"{name}-{lr}",
            partial(GAMES[name], seed=140 + seed, lr=lr),
            400,
        )
    # not finite: a layer that divides 0 by 0 after so many calls, weights that overflow,
    # a penalty that overflows
    for seed, (name, player) in enumerate(
        (("r1", "G"), ("dcgan", "D"), ("mlp-relativistic", "D"), ("spectral", "G"))
    ):
        failing = {f"wrap_{player}": partial(Failing, calls=250 + 20 * seed)}
        add(
            "not_finite",
            ("not_finite",),
            f"zero-by-zero-{name}",
            partial(GAMES[name], seed=150 + seed, **failing),
            400,
        )
    for seed, name in enumerate(("mlp-r1", "r1", "mlp-relativistic", "lsgan")):
        add(
            "not_finite",
            ("not_finite",),
            f"overflow-{name}",
            partial(GAMES[name], seed=160 + seed, lr=1e18),
            200,
        )
    # memorising: a few images, again and again
    few = (
        ("mlp-r1", 8),
        ("mlp-relativistic", 8),
        ("mlp-r1", 16),
        ("mlp-relativistic", 16),
        ("r1", 5),
        ("dcgan", 5),
        ("relativistic", 5),
        ("spectral", 5),
    )
    for seed, (name, only) in enumerate(few):
        make = partial(GAMES[name], seed=170 + seed, only=only, batch=only)
        add("memorising", ("memorising",), f"{only}-images-{name}-{seed}", make, 3000, 1000)
    # half "c": one rule was changed after half b had been judged (memorising needs
    # fakes that look like something)
    for seed, name in enumerate((*CONV, *MLP)):
        steps, hardly = (500, 60) if name in CONV else (1000, 150)
        for kind, length in (("healthy", steps), ("undertrained", hardly)):
            add(
                kind,
                FINE,
                f"again-{name}",
                partial(GAMES[name], seed=300 + seed),
                length,
                length // 3,
            )
            made[-1] = replace(made[-1], half="c")
    return made


def loud_G(G):
    """G with its last layer so loud that tanh is flat."""
    weighted = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
    last = [layer for layer in G.modules() if isinstance(layer, weighted)][-1]
    with torch.no_grad():
        last.weight.mul_(3000)
        last.bias.add_(
            50 * torch.randn(last.bias.shape, generator=torch.Generator().manual_seed(0))
        )
    return G
