"""The plane: GANs on points in two dimensions, where all of the game can be seen, with the nets and steps of images.

A `Distribution` hands out points; `Points` makes it a data set for `train`; `frame` draws the game as it stands: D's
landscape, real and fake points, the way that D's gradient sends each fake, and how G bends the plane of its noise.
"""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from ..data.images import Batches
from ..game.contract import evaluating
from ..game.losses import ABSOLUTE, non_saturating
from ..machine.randomness import generator
from . import pictures

REAL, FAKE = (224, 122, 32), (44, 104, 190)  # orange, blue: of points and of D's landscape


@dataclass(frozen=True)
class Distribution:
    """`sample(n, draws)` returns points `(n, 2)` within [-1, 1]; `centres (m, 2)` and `std` where it is a mixture."""

    name: str
    sample: Callable
    centres: torch.Tensor | None = None
    std: float = 0.0


def _mixture(name, centres, std):
    centres = torch.as_tensor(centres, dtype=torch.float32)

    def sample(n, draws):
        which = torch.randint(len(centres), (n,), generator=draws, device=draws.device)
        spread = torch.randn(n, 2, generator=draws, device=draws.device)
        return centres.to(draws.device)[which] + std * spread.clamp(-4, 4)

    return Distribution(name, sample, centres, std)


def gaussian(std=0.2):
    """One round heap in the middle."""
    return _mixture("one Gaussian", [(0.0, 0.0)], std)


def ring(modes=8, radius=0.75, std=0.02):
    """`modes` small heaps on a circle: the test of Metz et al. 2017 for mode collapse."""
    angles = [2 * math.pi * i / modes for i in range(modes)]
    return _mixture(f"a ring of {modes}", [(radius * math.cos(a), radius * math.sin(a)) for a in angles], std)


def grid(side=5, reach=0.8, std=0.02):
    """`side` x `side` small heaps: the harder test (Dumoulin et al. 2017; 25 heaps in most papers)."""
    places = torch.linspace(-reach, reach, side).tolist()
    return _mixture(f"a grid of {side * side}", [(x, y) for y in places for x in places], std)


def moons(std=0.04):
    """Two half-moons, one in the bend of the other."""

    def sample(n, draws):
        angle = math.pi * torch.rand(n, generator=draws, device=draws.device)
        upper = torch.randint(2, (n,), generator=draws, device=draws.device).bool()
        x = torch.where(upper, angle.cos() - 0.5, 0.5 - angle.cos())
        y = torch.where(upper, angle.sin() - 0.25, 0.25 - angle.sin())
        noise = torch.randn(n, 2, generator=draws, device=draws.device).clamp(-4, 4)
        return 0.55 * torch.stack([x, y], 1) + std * noise

    return Distribution("two moons", sample)


def spiral(turns=1.75, std=0.02):
    """One arm that winds outwards."""

    def sample(n, draws):
        way = torch.rand(n, generator=draws, device=draws.device).sqrt()  # as dense outside as inside
        angle = 2 * math.pi * turns * way
        noise = torch.randn(n, 2, generator=draws, device=draws.device).clamp(-4, 4)
        return 0.85 * way[:, None] * torch.stack([angle.cos(), angle.sin()], 1) + std * noise

    return Distribution("a spiral", sample)


def painted(mask):
    """Points all over the cells that are on in `mask`: rows of 0 and 1 from top to bottom, or a square tensor.

    Raises ValueError where no cell is on.
    """
    mask = torch.as_tensor(mask)
    if mask.ndim != 2 or not mask.any():
        raise ValueError(f"a mask of {tuple(mask.shape)} with {int((mask != 0).sum())} cells on was given; rows of 0 "
                         "and 1 with at least one 1 are expected: paint something")  # fmt: skip
    cells, (rows, columns) = (mask != 0).nonzero().float(), mask.shape

    def sample(n, draws):
        which = torch.randint(len(cells), (n,), generator=draws, device=draws.device)
        place = cells.to(draws.device)[which] + torch.rand(n, 2, generator=draws, device=draws.device)
        return torch.stack([2 * place[:, 1] / columns - 1, 1 - 2 * place[:, 0] / rows], 1)

    return Distribution("painted", sample)


class Points:
    """A distribution as data for `train`: each step's points are fresh, a function of (seed, step)."""

    labels, classes, shape, report = None, (), (2,), {}

    def __init__(self, distribution, device="cpu", n=2_000):
        self.distribution, self.name, self.device = distribution, distribution.name, torch.device(device)
        self.images = distribution.sample(n, generator(self.device, 0, 0, "points"))  # a fixed part, to look at

    def __len__(self):
        return len(self.images)

    def near(self, device):
        return self if torch.device(device) == self.device else Points(self.distribution, device, len(self))

    to = near

    def floats(self, index, device=None):
        """Return the points at `index` of the fixed part, `(n, 2)`."""
        return self.images[index].to(device or self.device)

    def batches(self, seed, step, k=1, size=100, dtype=torch.float32):
        """Return the `k` batches of `size` points of a training step: `Batches` of `(k, size, 2)`."""
        points = self.distribution.sample(k * size, generator(self.device, seed, step, "points"))
        return Batches(points.to(dtype).view(k, size, 2), None)


@dataclass(frozen=True)
class Coverage:
    """`modes` found of `of` (None: no mixture); the `share` of good fakes; the share of real points `covered`."""

    modes: int | None
    of: int | None
    share: float
    covered: float

    def __str__(self):
        return self._say(" of the fakes", " of the real points")

    def _say(self, of_fakes="", of_reals=""):
        modes = "" if self.of is None else f"{self.modes} of {self.of} modes, "
        return f"{modes}{self.share:.0%}{of_fakes} good, {self.covered:.0%}{of_reals} covered"


@torch.no_grad()
def coverage(fakes, distribution, n=2_000):
    """Judge fakes `(n, 2)`: a `Coverage`.

    Of a mixture a fake is good within 4 standard deviations of a centre, and a mode is found where at least a fifth of
    its fair share of fakes is. Of others a fake is good where a real point is as near as to 99 % of real points.
    `covered` is this the other way round.
    """
    draws = generator("cpu", 0, 0, "coverage")
    fakes, real, others = fakes.float().cpu(), distribution.sample(n, draws), distribution.sample(n, draws)
    near = torch.cdist(others, real).amin(1).quantile(0.99)
    apart = torch.cdist(fakes, real)
    share, covered = ((apart.amin(axis) <= near).float().mean() for axis in (1, 0))
    modes = of = None
    if distribution.centres is not None:
        away, which = torch.cdist(fakes, distribution.centres).min(1)
        good, of = away <= 4 * distribution.std, len(distribution.centres)
        share = good.float().mean()
        found = torch.bincount(which[good], minlength=of)
        modes = int((found >= max(1, 0.2 * len(fakes) / of)).sum())
    return Coverage(modes, of, share.item(), covered.item())


def paths(gan, n=24, objective=None, fakes=None, real=None):
    """Return `n` fakes `(n, 2)` and the steepest way down for each, minus the gradient of G's loss for it, `(n, 2)`.

    D stands still, as in G's move; paired objectives read `real (n, 2)`, and raise ValueError without.
    """
    objective = objective or non_saturating
    with evaluating(gan.G, gan.D):
        with torch.no_grad():
            fakes = gan.G(gan.noise(n, "arrows")) if fakes is None else fakes
            if objective.paired and (real is None or len(real) != len(fakes)):
                raise ValueError(f"{objective.name} compares each fake with a real point; give real ({len(fakes)}, 2)")
        moving = fakes.detach().clone().requires_grad_(True)
        with torch.enable_grad():
            d_real = gan.D(real).detach() if objective.paired else None
            (gradient,) = torch.autograd.grad(objective.g_loss(d_real, gan.D(moving)).sum(), moving)
    return fakes, -gradient


@torch.no_grad()
def landscape(gan, cells=48):
    """Return D's logits `(cells, cells)` over the square from -1 to 1, the top row first."""
    axis = (torch.arange(cells, device=gan.device, dtype=gan.dtype) + 0.5) * 2 / cells - 1
    places = torch.stack(torch.meshgrid(axis, -axis, indexing="xy"), -1).flatten(0, 1)
    with evaluating(gan.D):
        return gan.D(places).float().view(cells, cells)


def frame(gan, data, objective=None, side=360, arrows=24, manifold=True, points=300, said=True):
    """Return the game of G (not its average) and D as a `Picture` of `side` pixels, `coverage` under it (`said`).

    In the background D's landscape: orange is real, blue fake, white unsure (half-way between the means of reals and
    fakes where logits mean nothing by themselves). Orange points are real, blue ones fake; arrows point down the
    gradient that D hands to fakes, the median one of a fixed length; grey: a square grid of noise as G maps it.
    """
    from PIL import Image, ImageDraw

    real, scale = data.images[:points].to(gan.device, gan.dtype), 2  # drawn twice as large: smooth edges
    with evaluating(gan.G, gan.D), torch.no_grad():
        fakes = gan.sample(points, ema=False)  # as it plays: arrows and grid are of the same G
        logits = landscape(gan)
        if objective is not None and objective.name not in ABSOLUTE:
            of_real, of_fake = gan.D(real).float().mean(), gan.D(fakes).float().mean()
            apart = torch.maximum((of_real - of_fake).abs(), logits.std()).clamp_min(1e-6)
            logits = (logits - (of_real + of_fake) / 2) / apart * 4
    share = logits.sigmoid().cpu()
    white, real_colour, fake_colour = (torch.tensor(c, dtype=torch.float32) for c in ((250, 250, 250), REAL, FAKE))
    strength = (2 * share - 1)[..., None]
    ground = torch.where(strength > 0, white + (real_colour - white) * 0.6 * strength,
                         white + (fake_colour - white) * 0.6 * -strength)  # fmt: skip
    size = side * scale
    picture = Image.fromarray(ground.round().byte().numpy()).resize((size, size), Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(picture)

    def place(xy):
        xy = xy.detach().float().cpu().clamp(-1.2, 1.2)
        return torch.stack([(xy[..., 0] + 1) / 2 * size, (1 - xy[..., 1]) / 2 * size], -1).tolist()

    if manifold and gan.latent_dim == 2:
        for line in place(_bent(gan)):
            draw.line([tuple(p) for p in line], fill=(120, 120, 120), width=scale)
    for xy, colour in ((real, REAL), (fakes, FAKE)):
        for x, y in place(xy):
            draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=colour, outline=(255, 255, 255))
    if arrows:
        starts, ways = paths(gan, min(arrows, points), objective, real=real[:arrows])
        length = ways.norm(dim=1, keepdim=True)
        ways = ways / length.median().clamp_min(1e-12) * 0.12
        ways = ways / (ways.norm(dim=1, keepdim=True) / 0.5).clamp_min(1)  # at most a quarter of the picture
        for start, end in zip(place(starts), place(starts + ways), strict=True):
            _arrow(draw, start, end, scale)
    whole = Image.new("RGB", (side, side + 14 * said), "white")
    whole.paste(picture.resize((side, side), Image.Resampling.BOX))
    found = coverage(gan.sample(1000, ema=False), data.distribution, 500)._say() if said else ""
    ImageDraw.Draw(whole).text((2, side + 1), found, fill="black")
    return pictures.Picture(whole, "<plane>", generated=True)


@torch.no_grad()
def _bent(gan, lines=13, steps=40, reach=2.2):
    """(2 * lines, steps, 2): the lines of a square grid in the noise, as G maps them."""
    across, along = torch.linspace(-reach, reach, lines), torch.linspace(-reach, reach, steps)
    grid_ = torch.stack(torch.meshgrid(across, along, indexing="ij"), -1)  # (lines, steps, 2)
    noise = torch.cat([grid_, grid_.flip(-1)]).to(gan.device, gan.dtype)
    with evaluating(gan.G):
        return gan.G(noise.flatten(0, 1)).view(2 * lines, steps, 2)


def _arrow(draw, start, end, scale):
    (x, y), (u, v) = start, end
    angle = math.atan2(v - y, u - x)
    draw.line((x, y, u, v), fill=(20, 20, 20), width=scale)
    head = 4 * scale
    sides = [(u - head * math.cos(angle + turn), v - head * math.sin(angle + turn)) for turn in (0.45, -0.45)]
    draw.polygon([(u, v), *sides], fill=(20, 20, 20))


def film(frames, milliseconds=120):
    """Return frames (`Picture`s of one size) as one animated `Picture`, a GIF in their colours that holds its end."""
    from PIL import Image

    if not frames:
        raise ValueError("no frames were given; a film has at least one")
    shades = [tuple(round(250 + (c - 250) * 0.06 * i) for c in colour) for colour in (REAL, FAKE) for i in range(11)]
    palette = Image.new("P", (1, 1))
    palette.putpalette(sum((*shades, REAL, FAKE, *((grey,) * 3 for grey in (20, 70, 120, 185, 255))), ()))
    opened = (Image.open(io.BytesIO(one.data)).convert("RGB") for one in frames)
    shown = [one.quantize(palette=palette, dither=Image.Dither.NONE) for one in opened]
    return pictures.film(shown, milliseconds=milliseconds)
