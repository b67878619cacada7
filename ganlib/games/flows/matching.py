"""A flow as a game, in three stages: a teacher learns velocities, with no D (Lipman et al. 2023;
Liu et al. 2023); the same net copies in one step where the teacher's flow ends; and goes on against
a D, as in adversarial post-training (Lin et al. 2025, APT).
"""

import copy
import hashlib
from dataclasses import dataclass

import torch

from ... import nets
from ...game import losses
from ...game.contract import evaluating
from ...game.look import Look, generated
from ...game.player import play
from ...game.schedules import Linear
from ...game.terms import Tie
from ...machine.choices import one_of
from ...nets.fed.flow import METHODS  # noqa: F401
from ...run.recipes import Net, Recipe

STAGES = {"teacher": 150_000, "copy": 20_000, "student": 60_000}  # and their images, by default
TIMES = ("uniform", "middle")
SHOWN = 1, 2, 4, 16  # steps of a teacher's look
COLUMNS, PART = 12, 250  # of a look; images drawn at once
UNREAD = "G learns without D; the doctor's thresholds were set on games"


@dataclass(frozen=True, kw_only=True)
class Flow(Recipe):
    """A `Recipe` whose G is a flow; `recipe` makes one.

    stage: "teacher": G learns the velocity, D stands still. "copy": G minimises the tie alone, D
        stands still. "student": the game with D.
    times: how the teacher's times are drawn: "uniform", or "middle", more of them about 0.5: the
        sigmoid of a normal number (Esser et al. 2024, section 3.1).
    """

    stage: str = "teacher"
    times: str = "uniform"

    @property
    def adversary(self):
        """Whether D plays."""
        return self.stage == "student"

    @property
    def batches(self):
        """How many batches a step takes: those of `Game`, or one where D does not play."""
        return super().batches if self.adversary else 1

    def gan(self, seed=None, start=None, **settings):
        """Return a `GAN` with fresh nets. With `start`, a GAN or a net of the same sizes, G and its
        average begin with its weights: those of the average, where it has one.
        """
        gan = super().gan(seed, **settings)
        if start is not None:
            net = net_of(start)
            if net.made != gan.G.made:
                raise ValueError(
                    f"a net of other sizes was given, {net.made}; {gan.G.made} is expected"
                )
            for one in gan.players["G"].nets():
                one.load_state_dict(net.state_dict())
        return gan

    def check(self, gan, data):
        """Raise ValueError where G is no flow, and what `Game.check` raises."""
        net_of(gan.G)
        super().check(gan, data)

    def step(self, gan, batches):
        """Play one step, and return its figures, 0-d tensors: those of `Game`; or G's `g_loss`, of
        a teacher the mean squared error of the velocity; or its `tie`.
        """
        if self.adversary:
            return super().step(gan, batches)
        real = batches.images[0]
        n = len(real)
        gan.ready(real.shape[1:])
        loss_of = self._matched if self.stage == "teacher" else self._tied
        figures = play([gan], "G", n, lambda rows, mark: loss_of(gan, real, rows, mark))
        gan.average(n * gan.world)
        gan.step += 1
        gan.images_seen += n * gan.world
        return figures

    __call__ = step

    def _matched(self, gan, real, rows, mark):
        noise = gan.noise_now(len(real), "G").view_as(real)[rows]
        t = times(len(real), gan.draws("times"), real, self.times)[rows]
        x, wanted = between(noise, real[rows], t)
        with gan.autocast():
            v = gan.G.velocity(x, t)
        loss = (v.to(gan.dtype) - wanted).square().mean()
        return loss, {"g_loss": loss.detach()}

    def _tied(self, gan, real, rows, mark):
        fakes = gan.fake(len(real), "G", None, rows, mark).to(gan.dtype)
        values = self.tie.loss(fakes, gan.noise_now(len(real), "G")[rows])
        return gan.at(self.tie.weight) * values.mean(), {"tie": values.detach().mean()}

    def __str__(self):
        """Return the lines of `Recipe`; without D none of those that concern it."""
        hidden = () if self.adversary else ("D", "objective", "n_critic", "penalty")
        hidden += () if self.stage == "teacher" else ("times",)
        lines = super().__str__().splitlines()
        return "\n".join(line for line in lines if line.split()[0] not in hidden)

    def look(self, gan):
        """Return what a picture of the run shows: of a teacher rows of the same noise, drawn in 1,
        2, 4 and 16 steps.
        """
        if self.stage != "teacher":
            return gan.look()
        z = gan.noise(COLUMNS)
        rows = torch.cat([drawn(gan, z, steps) for steps in SHOWN])
        names = ("1 step", *(f"{steps} steps" for steps in SHOWN[1:]))
        return Look(generated(rows), COLUMNS, rows=names)

    def describe(self):
        """Return the settings that a run stores; without D none of those that concern it."""
        settings = super().describe()
        if self.stage == "teacher":
            return {"objective": "flow matching", "times": self.times}
        return (
            settings if self.stage == "student" else {"objective": "copy", "tie": settings["tie"]}
        )

    def reading(self):
        """Return what each row says of this game: also why the doctor has nothing to say."""
        if self.adversary:
            return super().reading()
        return {"objective": self.describe()["objective"], "unread": UNREAD}


def recipe(stage, shape=(1, 28, 28), images=None, teacher=None, widths=(32, 64), times="uniform"):
    """Return the `Flow` recipe of a stage: "teacher", "student" or "copy".

    shape: that of the images. images: the length that the schedules are planned for; 150,000,
        60,000 and 20,000 by default.
    teacher: for "copy", a GAN or a net: G learns where its flow ends, in 4 steps of Heun's.
    widths: of `FlowGenerator`. times: see `Flow`.

    A copy begins with the teacher's weights, and a student with the copy's, by `gan(seed,
    start=...)`; without `start` it learns from scratch. Raises ValueError for an unknown stage or
    `times`, a plan of fewer than 30 images, and a copy without a teacher.
    """
    one_of("stage", stage, list(STAGES))
    one_of("times", times, TIMES)
    nets.scale(shape, at_least=1)  # D's sizes
    images = STAGES[stage] if images is None else images
    if images < 30:
        raise ValueError(f"images={images} was given; a plan of 30 images or more is expected")
    if (teacher is None) == (stage == "copy"):
        raise ValueError(
            f"teacher={'None' if teacher is None else 'a teacher'} was given for the stage "
            f"{stage!r}; a copy, and nothing else, is told whose flow to follow (a student begins "
            "with a teacher's weights: recipe.gan(start=...))"
        )
    half = images // 2
    common = {"shape": tuple(shape), "widths": tuple(widths)}
    settings = {
        "source": "Lipman et al. 2023; Liu et al. 2023, on a small U",
        "G": Net(nets.FlowGenerator, **common, steps=SHOWN[2]),
        "batch_size": 32,
        "lr": Linear(((0, 3e-5), (images // 30, 3e-3), (half, 3e-3), (images, 6e-5))),
        "betas": (0.9, 0.99),
        "ema": Linear(((0, 0), (images, images // 30))),
        "times": times,
    }
    one_step = {"G": Net(nets.FlowGenerator, **common)}
    if stage == "student":  # D learns first: what G can do already must not be lost meanwhile
        first = (0, 1e-6), (images // 20, 1e-6), (images // 13, 3e-4)
        settings |= one_step | {
            "source": "Lin et al. 2025 (APT), with the game of `small`",
            "batch_size": 50,
            "lr": (
                Linear((*first, (half, 3e-4), (images, 6e-6))),
                Linear(((0, 1e-4), (images // 20, 1e-3), (half, 1e-3), (images, 2e-5))),
            ),
            "betas": (0.0, 0.99),
            "ema": Linear(((0, 0), (150_000, 15_000))),
        }
    elif stage == "copy":
        settings |= one_step | {
            "source": "regression on the ends of a flow",
            "lr": Linear(((0, 1e-5), (images // 30, 1e-3), (half, 1e-3), (images, 2e-5))),
            "tie": after(teacher),
        }
    return Flow(
        name=f"flow-{stage}",
        D=Net(nets.CompactDiscriminator, shape=tuple(shape)),
        objective=losses.relativistic,
        penalty=losses.approximate_r1_r2(0.3, 0.05),
        images=images,
        stage=stage,
        **settings,
    )


def between(noise, images, t):
    """Return x and its velocity, both `(N, C, H, W)`, on the straight ways from `noise` to `images`
    at the times `t (N,)`.
    """
    t = t.view(-1, 1, 1, 1)
    return (1 - t) * noise + t * images, images - noise


def times(n, draws, like, kind="uniform"):
    """Return `n` times from 0 to 1, "uniform", or "middle": the sigmoid of normal numbers."""
    make = torch.rand if kind == "uniform" else torch.randn
    t = make(n, generator=draws, device=like.device, dtype=like.dtype)
    return t if kind == "uniform" else t.sigmoid()


def net_of(flow):
    """Return the net of a GAN (its average, if it has one), or the net itself, where it is a
    `FlowGenerator`; else raise ValueError.
    """
    net = flow.net() if hasattr(flow, "players") else flow
    net = getattr(net, "_orig_mod", net)  # of torch.compile
    if not isinstance(net, nets.FlowGenerator):
        raise ValueError(
            f"{type(net).__name__} is no flow; a GAN whose G is a FlowGenerator, or one, is "
            'expected (games.flows.recipe("teacher") makes one)'
        )
    return net


@torch.no_grad()
def drawn(flow, z, steps, method="euler"):
    """Return the images `(N, C, H, W)` that a GAN's average, or a net, draws from noise `z (N,
    latent_dim)` in so many steps. Marked as generated, as those of `GAN.sample` are.
    """
    net = net_of(flow)
    with evaluating(net):
        return generated(torch.cat([net.draw(part, steps, method) for part in z.split(PART)]))


def after(teacher, steps=4, method="heun", weight=1.0):
    """Return a tie: the mean squared distance of a fake from where the flow of `teacher`, a GAN or
    a net, leads the same noise in so many steps.
    """
    net = net_of(teacher)
    held = b"".join(x.detach().cpu().float().numpy().tobytes() for x in net.state_dict().values())
    name = hashlib.sha256(held).hexdigest()[:12]

    copies = {}  # by the device and type of the noise

    def loss(fakes, sources):
        place = sources.device, sources.dtype
        if place not in copies:
            copies[place] = copy.deepcopy(net).to(*place)
        ends = drawn(copies[place], sources, steps, method).to(fakes.dtype)
        return (fakes - ends).square().flatten(1).mean(1)

    return Tie(f"after(a teacher {name}, {steps}, {method}, {weight})", loss, weight)


def agreement(images, others, classifier):
    """Return the share of pairs of images that a classifier takes for the same class, 0 to 1."""
    seen = [classifier.logits(classifier(x.clamp(-1, 1))).argmax(1) for x in (images, others)]
    return (seen[0] == seen[1]).double().mean().item()
