"""The plane: GANs on points in two dimensions, where the whole game can be seen.

Nets and steps are those of images. A `Distribution` draws points; `Points` makes it a data set for
`train`; `frame` draws the state of the game: D's landscape, real and fake points, where D's
gradient sends each fake, and how G bends the plane of its noise.
"""

import io
import math
from functools import partial

import torch

from ..data.points import Distribution, Points, gaussian, grid, moons, painted, ring, spiral
from ..game.contract import evaluating
from ..game.losses import non_saturating
from ..nets.known import ask, logits_of
from . import film as films
from . import pictures
from .coverage import Coverage, coverage

__all__ = [
    "Coverage",
    "Distribution",
    "Points",
    "cloud",
    "clouds",
    "coverage",
    "film",
    "frame",
    "gaussian",
    "grid",
    "landscape",
    "moons",
    "painted",
    "paths",
    "ring",
    "spiral",
    "strips",
    "transport_cost",
]
GAP, REACH = 8, 2.5  # pixels between two frames of a strip; how far noise is shown
REAL, FAKE = (224, 122, 32), (44, 104, 190)  # orange and blue, for points and D's landscape


def paths(gan, n=24, objective=None, fakes=None, real=None):
    """Return `n` fakes and, for each, minus the gradient of G's loss, the steepest way down.

    Both are `(n, 2)`. D does not change, as in G's move. `fakes` replaces those drawn. Paired
    objectives need `real (n, 2)`, and raise ValueError without.
    """
    objective = objective or non_saturating
    with evaluating(gan.G, gan.D):
        with torch.no_grad():
            fakes = ask(gan.G, gan.noise(n, "arrows")) if fakes is None else fakes
            if objective.paired and (real is None or len(real) != len(fakes)):
                raise ValueError(
                    f"{objective.name} compares each fake with a real point; give real "
                    f"({len(fakes)}, 2)"
                )
        moving = fakes.detach().clone().requires_grad_(True)
        with torch.enable_grad():
            d_real = logits_of(gan.D, real).detach() if objective.paired else None
            (gradient,) = torch.autograd.grad(
                objective.g_loss(d_real, logits_of(gan.D, moving)).sum(), moving
            )
    return fakes, -gradient


@torch.no_grad()
def landscape(gan, cells=48):
    """Return D's logits `(cells, cells)` over the square from -1 to 1, the top row first."""
    axis = (torch.arange(cells, device=gan.device, dtype=gan.dtype) + 0.5) * 2 / cells - 1
    places = torch.stack(torch.meshgrid(axis, -axis, indexing="xy"), -1).flatten(0, 1)
    with evaluating(gan.D):
        return logits_of(gan.D, places).float().view(cells, cells)


def frame(gan, data, objective=None, side=420, arrows=24, manifold=True, points=300, said=True):
    """Return the state of G (not its average) and D as a `Picture` of `side` pixels.

    `coverage` is written under it, unless `said` is False. Background: D's landscape, orange for
    real, blue for fake, white for unsure (if the `objective`'s logits have no meaning by
    themselves, that is half-way between the means of reals and fakes). Points: orange are real,
    blue are fake, `points` of each. Arrows: down the gradient that D gives to each of `arrows`
    fakes; the median one has a fixed length. Grey (`manifold`): a square grid of noise as G maps
    it, if the noise has two dimensions.
    """
    from PIL import Image, ImageDraw, ImageFont

    real, scale = data.images[:points].to(gan.device, gan.dtype), 2  # 2: for smooth edges
    with evaluating(gan.G, gan.D), torch.no_grad():
        fakes = gan.sample(points, ema=False)  # not its average: arrows and grid are of G
        logits = landscape(gan)
        if objective is not None and not objective.absolute:
            of_real, of_fake = (logits_of(gan.D, x).float().mean() for x in (real, fakes))
            apart = torch.maximum((of_real - of_fake).abs(), logits.std()).clamp_min(1e-6)
            logits = (logits - (of_real + of_fake) / 2) / apart * 4
    share = logits.sigmoid().cpu()
    white, real_colour, fake_colour = (
        torch.tensor(c, dtype=torch.float32) for c in ((250, 250, 250), REAL, FAKE)
    )
    strength = (2 * share - 1)[..., None]
    ground = torch.where(
        strength > 0,
        white + (real_colour - white) * 0.6 * strength,
        white + (fake_colour - white) * 0.6 * -strength,
    )
    size = side * scale
    picture = Image.fromarray(ground.round().byte().numpy()).resize(
        (size, size), Image.Resampling.BILINEAR
    )
    draw, place = ImageDraw.Draw(picture), partial(_places, size=size)
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
        # at most a quarter of the picture
        ways = ways / (ways.norm(dim=1, keepdim=True) / 0.5).clamp_min(1)
        for start, end in zip(place(starts), place(starts + ways), strict=True):
            _arrow(draw, start, end, scale)
    whole = Image.new("RGB", (side, side + (pictures.SIZE + 6) * said), "white")
    whole.paste(picture.resize((side, side), Image.Resampling.BOX))
    alt = f"D's landscape over the plane, {len(real)} real points in orange, {points} fakes in blue"
    if said:
        text = coverage(gan.sample(1000, ema=False), data.distribution)._say()
        font = ImageFont.load_default(pictures.SIZE)
        ImageDraw.Draw(whole).text((2, side + 2), text, "black", font)
        alt += f"; {text}"
    return pictures.Picture(whole, "<plane>", generated=True, alt=alt)


def strips(rows, moments=(), title=None, width=960):
    """Return frames (`Picture`s of one size) in rows, as one `Picture` at most `width` pixels wide.

    `rows` is a dict from the name of each row to its frames, or a list of lists of frames.
    `moments` stands above the columns: numbers of steps, or texts. A row may have fewer frames than
    another. Raises ValueError if there are none, and for frames of several sizes.
    """
    from PIL import Image, ImageFont

    names = [str(name) for name in rows] if isinstance(rows, dict) else []
    lines = [
        [Image.open(io.BytesIO(frame.data)) for frame in line]
        for line in (rows.values() if names else rows)
    ]
    sizes = {frame.size for line in lines for frame in line}
    if len(sizes) != 1:
        raise ValueError(f"frames of the sizes {sorted(sizes)} were given; one size is expected")
    font = ImageFont.load_default(pictures.SIZE)
    left = max((round(font.getlength(name)) + 8 for name in names), default=0)
    count, ((wide, high),) = max(map(len, lines)), sizes
    side = min(wide, (width - left) // count - GAP)
    size = side, round(side * high / wide)
    step = size[0] + GAP, size[1] + GAP
    whole = Image.new("RGB", (count * step[0] - GAP, len(lines) * step[1] - GAP), "white")
    for i, line in enumerate(lines):
        for j, frame in enumerate(line):
            small = frame.convert("RGB").resize(size, Image.Resampling.LANCZOS)
            whole.paste(small, (j * step[0], i * step[1]))
    heads = [at if isinstance(at, str) else f"{at:,} steps" for at in moments]
    whole = pictures.labelled(whole, step[::-1], names, heads, title)
    alt = "; ".join(
        [title or "frames of the plane"]
        + [f"rows: {', '.join(names)}"] * bool(names)
        + [f"columns: {', '.join(heads)}"] * bool(heads)
    )
    return pictures.Picture(whole, "<strips>", generated=True, alt=alt)


def clouds(distributions, points=600, width=960):
    """Return real points of each `Distribution`, side by side under its name, as a `Picture`.

    There are `points` of each. The picture is at most `width` pixels wide.
    """
    parts = [Points(each, n=points).images for each in distributions]
    names = [each.name for each in distributions]
    side = min(240, (width + GAP) // len(parts) - GAP)
    alt = f"{points} real points of each: {', '.join(names)}"
    return pictures.Picture(_dots(parts, side, REAL, names), "<points>", alt=alt)


def cloud(points, side=360, rows=(), noise=None):
    """Return points `(N, 2)` in the square from -1 to 1 as a `Picture` of `side` pixels.

    Names in `rows` split the points into that many equal parts, which stand side by side under
    these names. With the `noise (N, 2)` that G made them from, a line leads from it to each point;
    the square then goes from -2.5 to 2.5.
    """
    parts = max(1, len(rows))
    starts = () if noise is None else noise.chunk(parts)
    whole = _dots(points.chunk(parts), side, FAKE, rows, starts)
    alt = f"{len(points)} points that G draws" + ", each with its way from the noise" * bool(starts)
    return pictures.Picture(whole, "<points>", generated=True, alt=alt)


@torch.no_grad()
def transport_cost(noise, points):
    """Return the least mean of |z - x|^2 if each z of `noise (N, 2)` gets an x of `points (N, 2)`.

    Each x is taken once. An auction (Bertsekas 1988) finds it, to 0.0001 or 1e-9 of the largest
    |z - x|^2, in seconds. Raises ValueError for other shapes, N below 2, and NaN.
    """
    noise, points = noise.cpu().double(), points.cpu().double()
    fits = noise.shape == points.shape == (len(noise), 2) and len(noise) > 1
    if not fits or not (noise + points).isfinite().all():
        raise ValueError(
            f"{tuple(noise.shape)}, {tuple(points.shape)}: two sets of one size, N above 1, are due"
        )
    cost = torch.cdist(noise, points).square()
    last = max(1e-4, 1e-9 * (top := cost.max().item()))  # by which a price rises at each bid
    price, every = cost.new_zeros(len(cost)), torch.arange(len(cost))
    for power in range(math.ceil(math.log(max(top / last, 1), 4)), -1, -1):
        owner = torch.full_like(every, -1)
        while len(free := every[~torch.isin(every, owner)]):
            (best, second), (wish, _) = (x.T for x in (-cost[free] - price).topk(2))
            bid = best - second + last * 4**power
            rise = torch.zeros_like(price).scatter_reduce(0, wish, bid, "amax")
            won = bid == rise[wish]
            owner[wish[won]], price = free[won], price + rise
    return cost[owner, every].mean().item()


def _dots(parts, side, colour, names, starts=()):
    """Return a Pillow image: each of `parts`, points `(N, 2)`, in a square under its name."""
    from PIL import Image, ImageDraw

    whole = Image.new("RGB", (len(parts) * (side + GAP) - GAP, side), "white")
    for i, part in enumerate(parts):
        picture = Image.new("RGB", (2 * side, 2 * side), (250, 250, 250))
        draw = ImageDraw.Draw(picture)
        places = _places(part / REACH if starts else part, 2 * side)
        ways = zip(_places(starts[i] / REACH, 2 * side), places, strict=True) if starts else ()
        for start, end in ways:
            draw.line((*start, *end), fill=(150, 150, 150), width=2)
        for x, y in places:
            draw.ellipse((x - 5, y - 5, x + 5, y + 5), fill=colour, outline=(255, 255, 255))
        whole.paste(picture.resize((side, side), Image.Resampling.BOX), (i * (side + GAP), 0))
    return pictures.labelled(whole, (side, side + GAP), heads=tuple(names))


def _places(points, size):
    """Return the (column, row) of points `(..., 2)` in a picture of `size` pixels, as lists."""
    points = points.detach().float().cpu().clamp(-1.2, 1.2)
    return torch.stack(
        [(points[..., 0] + 1) / 2 * size, (1 - points[..., 1]) / 2 * size], -1
    ).tolist()


@torch.no_grad()
def _bent(gan, lines=13, steps=40, reach=2.2):
    """Return the lines of a square grid in the noise, as G maps them: `(2 * lines, steps, 2)`."""
    across, along = torch.linspace(-reach, reach, lines), torch.linspace(-reach, reach, steps)
    grid_ = torch.stack(torch.meshgrid(across, along, indexing="ij"), -1)  # (lines, steps, 2)
    noise = torch.cat([grid_, grid_.flip(-1)]).to(gan.device, gan.dtype)
    with evaluating(gan.G):
        return ask(gan.G, noise.flatten(0, 1)).view(2 * lines, steps, 2)


def _arrow(draw, start, end, scale):
    (x, y), (u, v) = start, end
    angle = math.atan2(v - y, u - x)
    draw.line((x, y, u, v), fill=(20, 20, 20), width=scale)
    head = 4 * scale
    sides = [
        (u - head * math.cos(angle + turn), v - head * math.sin(angle + turn))
        for turn in (0.45, -0.45)
    ]
    draw.polygon([(u, v), *sides], fill=(20, 20, 20))


def film(frames, milliseconds=120):
    """Return `frames`, `Picture`s of one size, as an animated `Picture`.

    It is a GIF in the colours of `frame`, and shows its last frame for two seconds. Raises
    ValueError if there are none.
    """
    from PIL import Image

    if not frames:
        raise ValueError("no frames were given; a film has at least one")
    shades = [
        tuple(round(250 + (c - 250) * 0.06 * i) for c in colour)
        for colour in (REAL, FAKE)
        for i in range(11)
    ]
    palette = Image.new("P", (1, 1))
    palette.putpalette(
        sum((*shades, REAL, FAKE, *((grey,) * 3 for grey in (20, 70, 120, 185, 255))), ())
    )
    opened = (Image.open(io.BytesIO(picture.data)).convert("RGB") for picture in frames)
    shown = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in opened]
    alt = f"film of {len(frames)} frames; the last: {frames[-1].alt}"
    return films.film(shown, milliseconds=milliseconds, alt=alt)
