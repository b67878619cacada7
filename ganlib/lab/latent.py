"""Functions on the latent space of a trained generator: directions in it, ways through it, and the
noise from which it draws a given image.

`source` is a `GAN` (its average of G is used, if it has one) or a generator alone, as
`load_generator` returns it.
"""

import io
import math
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import torch

from ..game.contract import evaluating, fitting, frozen
from ..machine.files import replace
from ..machine.randomness import generator
from ..nets.known import ask

NONE = 4.0  # no truncation: all but one of 16,000 normal numbers lie within


def net_of(source):
    """Return the net that draws: for a GAN the net that its `sample` uses, else the generator
    itself. Raises ValueError for what is neither.
    """
    if isinstance(source, torch.nn.Module):
        return source
    if not hasattr(source, "net"):
        raise ValueError(f"{source!r} was given; a ganlib.GAN or a generator is expected")
    return source.net()


def width(source):
    """Return how many numbers of noise the generator takes."""
    return getattr(source, "latent_dim", None) or net_of(source).latent_dim


def draw(source, noise, labels=None):
    """Return the images `(N, C, H, W)` of `noise (N, latent_dim)`; by default a conditional G draws
    each class in turn.

    Gradients flow if they are switched on. Raises ValueError for labels that G does not know.
    """
    net = net_of(source)
    noise = noise.to(next(net.parameters()))
    with evaluating(net):
        examples = getattr(source, "examples", None)
        return ask(net, noise, fitting(labels, len(noise), net, noise.device, examples))


class Directions(NamedTuple):
    """What `directions` returns."""

    rows: torch.Tensor  # (n, latent_dim), of length 1 and at right angles to each other
    change: torch.Tensor  # (n,): how far an image moves per unit of noise


@torch.no_grad()
def directions(source, n=10, points=16, reach=0.1, skip=0, label=None):
    """Return the `n` directions of the noise along which images change most, the strongest first,
    as `Directions`.

    They are the eigenvectors of E[JᵀJ], where J is the derivative of all pixels with respect to the
    noise, by central differences of `reach`, and the mean is over `points` normal noise vectors
    (Wang & Ponce 2021, section 2: "The geometry of deep generative image models"). `change` is the
    square root of the eigenvalue: the Euclidean length by which an image in [-1, 1] moves per unit
    of noise, as a root mean square. The first `skip` numbers of the noise (InfoGAN's class code)
    take no part. `label` is the class that a conditional G draws, by default each in turn. The sign
    makes the largest entry of each row positive. Raises ValueError if fewer than `n` numbers of
    noise are left.
    """
    net = net_of(source)
    weight = next(net.parameters())
    dims = width(source)
    if not 1 <= n <= dims - skip:
        raise ValueError(
            f"n={n} directions were asked of {dims - skip} numbers of noise; 1 to {dims - skip} "
            "are expected"
        )
    draws = generator("cpu", 0, 0, "directions")
    places = torch.randn(points, dims, generator=draws).to(weight)
    steps = reach * torch.eye(dims, dtype=weight.dtype, device=weight.device)[skip:]
    total = torch.zeros(len(steps), len(steps), dtype=torch.float64, device="cpu")
    labels = fitting(label, points, net, weight.device)
    for i, place in enumerate(places):
        moved = torch.cat([place + steps, place - steps])
        repeated = None if labels is None else labels[i].expand(len(moved))
        ahead, behind = draw(net, moved, repeated).flatten(1).cpu().double().chunk(2)
        jacobian = (ahead - behind) / (2 * reach)
        total += jacobian @ jacobian.T / points
    values, vectors = torch.linalg.eigh(total)
    rows = torch.zeros(n, dims, dtype=torch.float64)
    rows[:, skip:] = vectors.T.flip(0)[:n]
    rows *= rows.gather(1, rows.abs().argmax(1, keepdim=True)).sign()
    return Directions(
        *(
            tensor.to(weight.dtype).to(weight.device)
            for tensor in (rows, values.flip(0)[:n].clamp_min(0).sqrt())
        )
    )


def truncated(noise, threshold, source=None, labels=None):
    """Return normal `noise` as noise, of the same shape, of a normal distribution cut off at
    -`threshold` and `threshold`.

    This is the truncation trick: fewer failures, less variety (Brock et al. 2019, section 3.1, who
    redraw the numbers outside). Here each number keeps its quantile instead, so that it moves
    smoothly with the threshold, and the order of the numbers stays.

    source: the `GAN` or generator that is to draw. One of `pictures` draws noise to codes of
        training images, and the length of noise means nothing to it. There noise `(N, latent_dim)`
        is drawn to the codes near it by a strength of 1 - threshold / 4 instead: fewer blends of
        two pictures, and more copies.
    labels: those that it will draw, as `draw` takes them: a code has the label of its image.

    Raises ValueError for a threshold that is not above 0.
    """
    if not threshold > 0:
        raise ValueError(
            f"threshold={threshold} was given; a number above 0 is expected (2 is mild, 0.5 is "
            "strong)"
        )
    net = None if source is None else net_of(source)
    attraction = getattr(net, "attraction", None)
    if attraction is not None and attraction.filled:
        labels = fitting(labels, len(noise), net, noise.device)
        with torch.no_grad():
            return attraction(noise, labels, max(0.0, 1 - threshold / NONE))
    below = torch.special.ndtr(torch.tensor(-float(threshold), dtype=torch.float64))
    # on the CPU, since not every device has float64
    inside = torch.special.ndtr(noise.cpu().double()) * (1 - 2 * below) + below
    return torch.special.ndtri(inside).clamp(-threshold, threshold).to(noise.dtype).to(noise.device)


def interpolate(a, b, n=10, spherical=True):
    """Return `n` points of noise (2 or more), `(n, latent_dim)`, from `a` to `b`, both
    `(latent_dim,)`, ends included.

    A straight line between two normal vectors passes nearer to 0 than any noise that G was trained
    on; the great circle (`spherical`) keeps the length (White 2016, "Sampling generative networks",
    section 2). Opposite vectors have no shortest circle, and get the line. Raises ValueError for
    fewer points, or other shapes.
    """
    if n < 2 or a.ndim != 1 or a.shape != b.shape:
        raise ValueError(
            f"{n} points from {tuple(a.shape)} to {tuple(b.shape)} were asked for; at least 2, "
            "between two vectors (latent_dim,), are expected: noise[0] where there is a row of them"
        )
    share = torch.linspace(0, 1, n, dtype=a.dtype, device=a.device)[:, None]
    cosine = torch.dot(a, b) / (a.norm() * b.norm()).clamp_min(1e-12)
    angle = cosine.clamp(-1, 1).arccos()
    if not spherical or not 1e-3 < angle < math.pi - 1e-3:
        return (1 - share) * a + share * b
    points = (((1 - share) * angle).sin() * a + (share * angle).sin() * b) / angle.sin()
    points[0], points[-1] = a, b  # without rounding
    return points


def mp4(frames, path, rate=12):
    """Write Pillow images of one size as a video to `path` (.mp4, H.264), `rate` frames a second;
    return the path.

    The file's metadata say that it is generated. Raises ValueError for another ending, RuntimeError
    if ffmpeg fails or is missing (Colab has it).
    """
    from ..show.pictures import GENERATED

    if Path(path).suffix != ".mp4":
        raise ValueError(
            f"{str(path)!r} was given for a video; a name that ends in .mp4 is expected"
        )
    if shutil.which("ffmpeg") is None:
        raise RuntimeError(
            "ffmpeg is not installed, which writes the video (Debian: apt-get install ffmpeg); "
            "a GIF needs nothing: explorer.walk().save('walk.gif')"
        )
    width, height = (size // 2 * 2 for size in frames[0].size)  # H.264 takes even sizes
    raw = io.BytesIO()
    for frame in frames:
        raw.write(frame.convert("RGB").crop((0, 0, width, height)).tobytes())
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    command = [
        "ffmpeg",
        "-y",
        "-loglevel",
        "error",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-s",
        f"{width}x{height}",
        "-r",
        str(rate),
        "-i",
        "-",
        "-c:v",
        "libx264",
        "-pix_fmt",
        "yuv420p",
        "-metadata",
        f"comment={GENERATED}",
        "-movflags",
        "frag_keyframe+empty_moov",
        "-f",
        "mp4",
        "-",
    ]
    done = subprocess.run(command, input=raw.getvalue(), capture_output=True)
    if done.returncode:
        raise RuntimeError(f"ffmpeg failed: {done.stderr.decode(errors='replace')[-300:]}")
    replace(path, lambda file: file.write(done.stdout), durable=False)
    return path


class Inversion(NamedTuple):
    """What `invert` returns."""

    noise: torch.Tensor  # (1, latent_dim)
    label: int | None
    image: torch.Tensor  # (1, C, H, W), what G draws from `noise`
    error: float  # root mean square over the pixels, which run from -1 to 1


def invert(source, image, label=None, steps=200, starts=8, lr=0.1, prior=1e-3):
    """Return the noise from which G draws `image (C, H, W)`, in [-1, 1] or uint8, as closely as it
    can: an `Inversion`.

    The search begins at the `starts` nearest of 500 random images (of 500 of each class, for a
    conditional G without `label`). From each, Adam takes `steps` steps down the mean squared
    difference of the pixels, plus `prior` times the mean square of the noise, which keeps the noise
    where G was trained (Zhu et al. 2016, section 4.1; Lipton & Tripathi 2017). The best is
    returned; `error` shows what G cannot draw. Random numbers are the same at each call. Raises
    ValueError for an image of another shape.
    """
    net = net_of(source)
    weight = next(net.parameters())
    image = (image.float() / 127.5 - 1 if image.dtype == torch.uint8 else image).detach().to(weight)
    image = image[0] if image.ndim == 4 and len(image) == 1 else image
    classes = range(getattr(net, "classes", 0)) if label is None else [label]
    labels = (
        fitting(
            torch.tensor(classes).repeat_interleave(500), 500 * len(classes), net, weight.device
        )
        if classes
        else None
    )
    noise = torch.randn(
        500 * max(1, len(classes)), width(source), generator=generator("cpu", 0, 0, "invert")
    ).to(weight)
    with torch.no_grad():
        parts = noise.split(500)
        images = torch.cat(
            [
                draw(net, z, y)
                for z, y in zip(parts, [None] if labels is None else labels.split(500), strict=True)
            ]
        )
        if image.shape != (shape := images.shape[1:]):
            raise ValueError(
                f"an image of {tuple(image.shape)} was given; {tuple(shape)}, what G draws, is "
                f"expected: ganlib.load(folder, size={shape[-1]}) brings files to that size"
            )
        errors = (images - image).square().flatten(1).mean(1).view(-1, 500)
        offsets = 500 * torch.arange(len(errors), device=weight.device)[:, None]
        nearest = (errors.topk(min(starts, 500), largest=False).indices + offsets).flatten()
    z = noise[nearest].clone().requires_grad_(True)
    labels = None if labels is None else labels[nearest]
    optimizer = torch.optim.Adam([z], lr=lr)
    with frozen(net), torch.enable_grad():
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = lr * 0.5 * (1 + math.cos(math.pi * step / steps))
            loss = (draw(net, z, labels) - image).square().flatten(1).mean(
                1
            ) + prior * z.square().mean(1)
            optimizer.zero_grad()
            loss.sum().backward()
            optimizer.step()
    with torch.no_grad():
        drawn = draw(net, z, labels)
        error = (drawn - image).square().flatten(1).mean(1).sqrt()
        best = (error.square() + prior * z.square().mean(1)).argmin()
    return Inversion(
        z.detach()[best : best + 1],
        None if labels is None else int(labels[best]),
        drawn[best : best + 1],
        error[best].item(),
    )
