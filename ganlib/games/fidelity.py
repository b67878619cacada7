"""How near enlarged pictures are to the true ones, and how real they look: PSNR and SSIM beside the
distance of distributions, so that the trade between the two is seen (Blau & Michaeli 2018, "The
perception-distortion tradeoff").
"""

import math

import torch
from torch.nn.functional import avg_pool2d, conv2d, interpolate, pad

from ..data.images import as_float, as_uint8
from ..judge import features
from ..judge.metrics import frechet_distance
from ..machine.randomness import some_of
from ..nets.fed.enlarging import divided
from .enlarging import net_of

WINDOW, SIGMA, K1, K2 = 11, 1.5, 0.01, 0.03  # of SSIM
MOST = 60  # dB of an image, in a mean
COLUMNS = {  # figure: its head in the table, and digits behind the point
    "psnr": ("PSNR, dB ↑", 2),
    "ssim": ("SSIM ↑", 3),
    "floors": ("distance, floors ↓", 1),
    "read": ("read right ↑", 3),
    "shrunk": ("shrunk again ↓", 4),
}


def psnr(images, true):
    """Return the peak signal-to-noise ratio of each image in dB, `(N,)`, float64: 10 log10(4 / mean
    squared error), for images `(N, C, H, W)` in [-1, 1], whose range is 2. Equal ones have inf.
    """
    _same_shape(images, true)
    error = (images.cpu().double() - true.cpu().double()).square().flatten(1).mean(1)
    return 10 * (4 / error).log10()


def ssim(images, true):
    """Return the structural similarity of each image, `(N,)`, float64, at most 1: Wang et al. 2004,
    equation 13, with its windows (11 x 11, Gaussian of 1.5 pixels) and K1 = 0.01, K2 = 0.03.

    images, true: `(N, C, H, W)` in [-1, 1], at least 11 x 11 pixels. The mean is over all windows
    that lie within the image, and over the channels. Raises ValueError for other shapes.
    """
    _same_shape(images, true)
    if min(images.shape[2:]) < WINDOW:
        raise ValueError(
            f"images of {tuple(images.shape)} were given; at least {WINDOW} x {WINDOW} pixels are "
            "expected, the window of SSIM"
        )
    places = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    line = torch.exp(-(places**2) / (2 * SIGMA**2))
    line = line / line.sum()
    return torch.cat(
        [_ssim(a, b, line) for a, b in zip(images.split(250), true.split(250), strict=True)]
    )


def _ssim(images, true, line):
    x, y = ((image.cpu().double() + 1) / 2 for image in (images, true))  # the range is 1

    def mean(image):  # in each window: along the columns, then along the rows
        image = image.flatten(0, 1)[:, None]
        image = conv2d(conv2d(image, line.view(1, 1, -1, 1)), line.view(1, 1, 1, -1))
        return image.unflatten(0, x.shape[:2])[:, :, 0]

    c1, c2 = K1**2, K2**2
    of_x, of_y = mean(x), mean(y)
    var_x, var_y = mean(x * x) - of_x**2, mean(y * y) - of_y**2
    both = mean(x * y) - of_x * of_y
    light = (2 * of_x * of_y + c1) / (of_x**2 + of_y**2 + c1)
    return (light * (2 * both + c2) / (var_x + var_y + c2)).flatten(1).mean(1)


class Fidelity(dict):
    """What `judge_enlarging` measured: `{row: {figure: value}}`. It prints as a table.

    Of a mean over images, "psnr" say, there is also "psnr error", 1.96 standard errors.
    """

    about = ""

    def __str__(self):
        """Return a table in Markdown, with values +- 1.96 standard errors."""
        names = [name for name in COLUMNS if any(name in row for row in self.values())]
        lines = [
            self.about,
            "",
            f"| | {' | '.join(COLUMNS[name][0] for name in names)} |",
            "|---" * (len(names) + 1) + "|",
        ]
        for title, row in self.items():
            cells = [_cell(row, name) for name in names]
            lines.append(f"| {title} | {' | '.join(cells)} |")
        return "\n".join(lines)


def _cell(row, name):
    if name not in row:
        return "-"
    digits, error = COLUMNS[name][1], row.get(f"{name} error")
    return f"{row[name]:.{digits}f}" + (f" ±{error:.{digits}f}" if error is not None else "")


@torch.no_grad()
def judge_enlarging(enlargers, held_out, others=None, scale=None, n=2000, extractor=None):
    """Shrink true pictures, enlarge them in several ways, and compare: return a `Fidelity`.

    enlargers: `{title: what enlarges}`: a GAN, a net, a run's folder, or a function from small
        pictures to large ones. Rows of nearest neighbours and of bicubic interpolation, and of the
        true pictures themselves, are added.
    held_out: the true pictures, an `Images` that no enlarger was trained on; the first `n` of a
        random order are used.
    others: other real pictures of the same kind, such as the training data: what the distribution
        of the results is compared with. By default the held-out ones are halved for it.
    scale: by default that of the first enlarger that is a net.
    extractor: as for `evaluate`; by default chosen for the images.

    All results are rounded to 8 bits, which also clamps them. Figures: means over the images, with
    1.96 standard errors, of `psnr` in dB (of an image 60 at most: of a flat one it can be
    infinite), of `ssim`, of `read` (whether the classifier reads the right class, where the
    extractor is one and there are labels), and of `shrunk` (the mean absolute difference of the
    result, shrunk again, from the small picture, in a range of 0 to 1); and `floors`: the Frechet
    distance to the others, over that of the true pictures to them. Raises ValueError where the
    scale is unknown or does not divide the pictures, and for sets of different shapes.
    """
    order = some_of(len(held_out))
    if others is None:
        half = len(held_out) // 2
        order, rest = order[:half], order[half:].to(held_out.images.device)
        others = held_out.subset(rest, f"{held_out.name}, the other half")
    if held_out.shape != others.shape:
        raise ValueError(
            f"pictures of {held_out.shape} and others of {others.shape} were given; sets of one "
            "shape are expected"
        )
    ways, scale = _ways(enlargers, scale)
    divided(held_out.shape, scale)
    extractor, why, _ = features.choose(held_out, extractor)
    order, other = order[:n], some_of(len(others), n).to(others.images.device)
    true = held_out.floats(order.to(held_out.images.device)).cpu()
    small = shrunk(true, scale)
    seen_true = features.read(extractor, true)
    seen_others = features.of_set(extractor, others, other, others.images.device)
    floor = frechet_distance(seen_others, seen_true)
    labels = held_out.labels if hasattr(extractor, "logits") else None
    labels = None if labels is None or labels.ndim > 1 else labels[order.to(labels.device)].cpu()
    table = Fidelity()
    for title, way in (ways | {"true": None}).items():
        large = true if way is None else _enlarged(way, small, true.shape)
        row = {} if way is None else means(psnr=psnr(large, true).clamp(max=MOST))
        row |= means(ssim=ssim(large, true), shrunk=_far(shrunk(large, scale), small))
        seen = features.read(extractor, large)
        row["floors"] = frechet_distance(seen_others, seen) / floor
        if labels is not None:
            right = features.logits_of(extractor, seen).argmax(1) == labels
            row |= means(read=right.double())
        table[title] = row
    table.about = (
        f"{len(true):,} pictures of {held_out.name!r}, {true.shape[3]} x {true.shape[2]}, shrunk "
        f"{scale} times; read by {getattr(extractor, 'name', 'an extractor')} ({why}); a floor is "
        f"{floor:.4g}, to {len(other):,} of {others.name!r}"
    )
    return table


@torch.no_grad()
def read_small(enlargers, digits, scale=None):
    """Enlarge digits of which no large version exists, and let the digit classifier read them:
    return a `Fidelity` of `read` alone, since nobody knows the large ones.

    digits: `Images` (N, 1, h, w) with labels, that fill their frame, as `small_digits` does. The
    classifier knows MNIST's frame: each result is brought to 20 x 20 pixels, with 4 black ones on
    each side.
    """
    ways, scale = _ways(enlargers, scale)
    small, net = digits.floats(slice(None)).cpu(), features.digit_classifier()
    shape = (len(small), 1, scale * digits.shape[1], scale * digits.shape[2])
    table = Fidelity()
    for title, way in ways.items():
        large = _enlarged(way, small, shape)
        seen = pad(interpolate(large, (20, 20), mode="bilinear", antialias=True), [4] * 4, value=-1)
        right = features.logits_of(net, features.read(net, seen)).argmax(1) == digits.labels.cpu()
        table[title] = means(read=right.double())
    table.about = f"{len(small):,} pictures of {digits.name!r}, enlarged {scale} times"
    return table


@torch.no_grad()
def misread(enlarger, held_out, extractor=None):
    """Return (places in `held_out`, what is read there), int64 each: the pictures whose class the
    classifier reads right, and takes for another once they were shrunk and enlarged.
    """
    net, (extractor, *_) = net_of(enlarger), features.choose(held_out, extractor)
    true = held_out.floats(slice(None)).cpu()
    large = _enlarged(net, shrunk(true, net.scale), true.shape)
    before, after = (
        features.logits_of(extractor, features.read(extractor, x)).argmax(1) for x in (true, large)
    )
    labels = held_out.labels.cpu()
    places = ((before == labels) & (after != labels)).nonzero().flatten()
    return places, after[places]


def shrunk(large, scale):
    """Return pictures `(N, C, H, W)` 1 / `scale` as large: the mean of each square."""
    return avg_pool2d(large, scale)


def means(**figures):
    """Return the mean of each figure `(N,)`, and 1.96 standard errors of it as "name error"."""
    found = {}
    for name, values in figures.items():
        spread = values.std().item() if len(values) > 1 else 0.0
        found |= {name: values.mean().item(), f"{name} error": 1.96 * spread / len(values) ** 0.5}
    return found


def judging(held_out, others, n=500, extractor=None):
    """Return a function for `train(evaluate=...)`: of (gan, data), it adds `psnr`, `ssim`, `floors`
    and so on of the held-out pictures to the history.
    """

    def evaluate(gan, data):
        row = judge_enlarging({"G": gan}, held_out, others, n=n, extractor=extractor)["G"]
        return {name: value for name, value in row.items() if math.isfinite(value)}

    return evaluate


def _ways(enlargers, scale=None):
    """Return ({title: net or function} with the plain ways first, the scale)."""

    def way(x):
        function = callable(x) and not isinstance(x, torch.nn.Module) and not hasattr(x, "players")
        return x if function else net_of(x)

    ways = {title: way(x) for title, x in enlargers.items()}
    found = {net.scale for net in ways.values() if hasattr(net, "scale")}
    if scale is None and len(found) != 1:
        raise ValueError(f"scales {sorted(found)} were found; give scale=..., one for all rows")
    scale = found.pop() if scale is None else scale
    return {name: _plainly(name, scale) for name in ("nearest", "bicubic")} | ways, scale


def _plainly(name, scale):
    """Return a function that enlarges by a plain interpolation."""
    corners = {} if name == "nearest" else {"align_corners": False}
    return lambda small: interpolate(small, scale_factor=scale, mode=name, **corners)


def _enlarged(way, small, shape):
    """Return the small pictures as `way` enlarges them, rounded to 8 bits."""
    if isinstance(way, torch.nn.Module):
        device = next(way.parameters()).device
        parts = [way.enlarge(x.to(device)).cpu() for x in small.split(100)]
    else:
        parts = [way(x) for x in small.split(100)]
    large = torch.cat(parts)
    if large.shape != shape:
        raise ValueError(
            f"an enlarger returned {tuple(large.shape)} for {tuple(small.shape)}; {tuple(shape)} "
            "is expected: is it made for another scale?"
        )
    return as_float(as_uint8(large))


def _far(a, b):
    """Return the mean absolute difference of each pair of images, 0 to 1, `(N,)`."""
    return (a.double() - b.double()).abs().flatten(1).mean(1) / 2


def _same_shape(images, true):
    if images.shape != true.shape or images.ndim != 4:
        raise ValueError(
            f"images of {tuple(images.shape)} and true ones of {tuple(true.shape)} were given; two "
            "(N, C, H, W) of one shape are expected"
        )
