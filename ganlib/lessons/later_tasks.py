"""What the exercises of notebooks 03 to 06 ask for (see tasks.py)."""

import math

import torch
from torch.nn.functional import cross_entropy, one_hot, softplus

from .tasks import PER_PAIR, Task, Unfit, normal, numbers, shape

# notebook 03


def _pair():
    return [("real logits [2, -1, 0.5] and fake ones [-3, 1, 0]", (numbers(2.0, -1.0, 0.5), numbers(-3.0, 1.0, 0.0)))]


def _average():
    return [("an average [0, 1], weights [1, 3], 50 images and a half-life of 100",
             (numbers(0.0, 1.0), numbers(1.0, 3.0), 50, 100))]  # fmt: skip


def _ema(average, weights, n, half_life, keep=None):
    keep = 0.5 ** (n / half_life) if keep is None else keep
    return keep * average + (1 - keep) * weights


def _transposed():
    return [("7 pixels, kernel 4, stride 2, padding 1", (7, 4, 2, 1)), ("5, 5, 3 and 2", (5, 5, 3, 2))]


def _cosine():
    return [(f"a way from 2 to 0.5, at {at}", (2.0, 0.5, at)) for at in (0.25, 0.5, 1.0)]


THIRD = {
    "relativistic_g": Task(_pair, lambda real, fake: softplus(real - fake), (
        ("The sign is that of D's loss: G wants its fake above the real.", lambda real, fake: softplus(fake - real)),
        ("That is the non-saturating loss: the real one plays no part in it.", lambda real, fake: softplus(-fake)),
        ("That is the difference itself, without softplus: it has no end.", lambda real, fake: real - fake),
    ), shape=PER_PAIR),
    "ema": Task(_average, _ema, (
        ("The two shares are exchanged: most of the average stays.",
         lambda a, w, n, h: _ema(a, w, n, h, 1 - 0.5 ** (n / h))),
        ("That falls to 1/e after half_life images; it is to fall to 1/2.",
         lambda a, w, n, h: _ema(a, w, n, h, math.exp(-n / h))),
        ("A share of n / half_life is a straight line; after two half-lives a quarter is left, not nothing.",
         lambda a, w, n, h: _ema(a, w, n, h, 1 - n / h)),
    ), shape="of the weights' shape"),
    "upsampled": Task(_transposed, lambda size, kernel, stride, padding: (size - 1) * stride - 2 * padding + kernel, (
        ("That is an ordinary convolution, which makes images smaller; this one runs backwards.",
         lambda size, kernel, stride, padding: (size + 2 * padding - kernel) // stride + 1),
        ("Size times stride is right for some kernels only: count the places of the first and the last kernel.",
         lambda size, kernel, stride, padding: size * stride),
        ("The padding is missing, and here it cuts off: twice, at both ends.",
         lambda size, kernel, stride, padding: (size - 1) * stride + kernel),
    )),
    "cosine": Task(_cosine, lambda start, end, at: end + (start - end) * (1 + math.cos(math.pi * at)) / 2, (
        ("That is a straight line.", lambda start, end, at: start + (end - start) * at),
        ("That begins at the end's value: cos is 1 at the start.",
         lambda start, end, at: start + (end - start) * (1 + math.cos(math.pi * at)) / 2),
        ("That is a quarter of a wave: it arrives at full speed. Half a wave, cos from 0 to pi, is level at both ends.",
         lambda start, end, at: end + (start - end) * math.cos(math.pi / 2 * at)),
    )),
}  # fmt: skip

# notebook 04


def _projected():
    return [("three images of two features, and labels [0, 2, 1]",
             (normal(3, 2), normal(2, seed=1), normal(3, 2, seed=2), numbers(0, 2, 1)))]  # fmt: skip


def _noises():
    a, b = numbers(0.8, 0.0, 0.0), numbers(0.5, 0.5, 0.5)
    return [(f"a = [0.8, 0, 0], b = [0.5, 0.5, 0.5], t = {at}", (a, b, at)) for at in (0.25, 0.5)]


def _great(a, b, t, angle=None):
    angle = torch.dot(a, b).div(a.norm() * b.norm()).arccos() if angle is None else angle
    return (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / angle.sin()


def _read():
    codes = numbers(0, 2, 1, 0)
    return [("D's guess of four fakes and their codes of three", (2 * one_hot(codes, 3) + normal(4, 3), codes))]


FOURTH = {
    "projection": Task(_projected, lambda h, w, v, y: h @ w + (v[y] * h).sum(1), (
        ("The label plays no part: add the product of each image's features with its own class's row, v[y].",
         lambda h, w, v, y: h @ w),
        ("That is the label's term alone: whether it is a picture at all, h @ w, is missing.",
         lambda h, w, v, y: (v[y] * h).sum(1)),
        ("That has every class's row for every image: v[y] picks one.", lambda h, w, v, y: h @ w + (h @ v.T).sum(1)),
    ), shape=PER_PAIR),
    "slerp": Task(_noises, _great, (
        ("That is the straight line, which passes nearer to 0 than any noise.", lambda a, b, t: (1 - t) * a + t * b),
        ("The two ends are exchanged: t = 0 is a.", lambda a, b, t: _great(b, a, t)),
        ("The angle is wrong: divide the inner product by both lengths first.",
         lambda a, b, t: _great(a, b, t, torch.dot(a, b).arccos())),
        ("The line was stretched to a mean length: the right length, but not even steps of the angle.",
         lambda a, b, t: ((1 - t) * a + t * b) / ((1 - t) * a + t * b).norm() * ((1 - t) * a.norm() + t * b.norm())),
    ), shape="a vector like a and b"),
    "information": Task(_read, lambda logits, code: math.log(logits.shape[1]) - cross_entropy(logits, code), (
        ("That is the cross-entropy alone: it is subtracted from log K, what there was to know.",
         lambda logits, code: cross_entropy(logits, code)),
        ("That is in bits; natural logarithms are asked for.",
         lambda logits, code: (math.log(logits.shape[1]) - cross_entropy(logits, code)) / math.log(2)),
        ("The sign is wrong: the better the guess, the more information.",
         lambda logits, code: cross_entropy(logits, code) - math.log(logits.shape[1])),
    )),
}  # fmt: skip

# notebook 05


def _bells():
    return [("means 1 and 3, standard deviations 2 and 0.5", (1.0, 2.0, 3.0, 0.5))]


def _between():
    near = numbers([0.1, 0.9, 2.0, 0.3], [0.8, 0.7, 1.0, 0.2], [1.5, 0.4, 3.0, 0.9])
    return [("three reals, four fakes and the fakes' radii", (near, numbers(0.2, 0.5, 0.3, 0.1)))]


def _beliefs():
    return [("three images of two classes", (numbers([0.9, 0.1], [0.2, 0.8], [0.6, 0.4]),))]


def _entropy(p):
    return -(p * p.log()).sum(-1)


def _share():
    return [("a share of 0.9 of 400", (0.9, 400)), ("0.5 of 25", (0.5, 25))]


FIFTH = {
    "frechet_1d": Task(_bells, lambda m1, s1, m2, s2: (m1 - m2) ** 2 + (s1 - s2) ** 2, (
        ("The spread is missing: add the squared difference of the standard deviations.",
         lambda m1, s1, m2, s2: (m1 - m2) ** 2),
        ("Those are the variances' difference: it is the standard deviations'.",
         lambda m1, s1, m2, s2: (m1 - m2) ** 2 + (s1**2 - s2**2) ** 2),
        ("That is its square root: the Frechet distance as published stays squared.",
         lambda m1, s1, m2, s2: math.sqrt((m1 - m2) ** 2 + (s1 - s2) ** 2)),
    )),
    "recall": Task(_between, lambda near, radii: (near <= radii).any(1).float().mean(), (
        ("That is the share of fakes that lie near a real one: recall asks the reals.",
         lambda near, radii: (near <= radii).any(0).float().mean()),
        ("That is the share of pairs: one near fake is enough for a real image.",
         lambda near, radii: (near <= radii).float().mean()),
        ("That asks that all fakes be near: one is enough.", lambda near, radii: (near <= radii).all(1).float().mean()),
    )),
    "class_score": Task(_beliefs, lambda p: (_entropy(p.mean(0)) - _entropy(p).mean()).exp(), (
        ("The exponential is missing: this is the information in nats.",
         lambda p: _entropy(p.mean(0)) - _entropy(p).mean()),
        ("The two are exchanged: the mean image is to be undecided, each single one sure.",
         lambda p: (_entropy(p).mean() - _entropy(p.mean(0))).exp()),
        ("That looks at variety alone: a fake that is half a 3 and half a 5 would count as two.",
         lambda p: _entropy(p.mean(0)).exp()),
    )),
    "half_width": Task(_share, lambda share, n: 1.96 * math.sqrt(share * (1 - share) / n), (
        ("That is one standard error; 95 % take 1.96 of them.", lambda share, n: math.sqrt(share * (1 - share) / n)),
        ("The number of images is missing: this is the spread of single ones.",
         lambda share, n: 1.96 * math.sqrt(share * (1 - share))),
        ("The square root is missing: this is a variance.", lambda share, n: 1.96 * share * (1 - share) / n),
    )),
}  # fmt: skip

# notebook 06


def _bytes():
    return [("bytes [0, 51, 128, 255]", (torch.tensor([0, 51, 128, 255], dtype=torch.uint8),))]


def _watch_noise(noise_at):
    """Whether it is the same again; others for another step, another seed, two of one sum; normal numbers."""
    torch.manual_seed(0)
    first = noise_at(1, 2)
    if not isinstance(first, torch.Tensor):
        return first
    if first.shape != (4,):
        raise Unfit(f"it gives {shape(first)}; a tensor of (4,) is expected")
    torch.randn(7)
    same = torch.equal(first, noise_at(1, 2))
    others = [not torch.equal(first, noise_at(seed, step)) for seed, step in ((1, 3), (2, 2), (2, 1), (0, 3))]
    many = torch.cat([noise_at(seed, step).double() for seed in range(20) for step in range(20)])
    bell = abs(many.mean()) < 0.2 and 0.7 < many.var() < 1.3 and (many.abs() > 2).any()
    return numbers(float(same), *map(float, others), float(bell))


def _keyed(seed, step):
    return torch.randn(4, generator=torch.Generator().manual_seed(1_000_003 * seed + step))


def _nearby():
    return [("distances of five fakes to the nearest training image and the nearest one kept back",
             (numbers(0.2, 0.5, 0.9, 0.1, 0.4), numbers(0.3, 0.4, 1.0, 0.6, 0.5)))]  # fmt: skip


SIXTH = {
    "to_floats": Task(_bytes, lambda pixels: pixels.float() / 127.5 - 1, (
        ("That runs from 0 to 1; G's tanh answers from -1 to 1.", lambda pixels: pixels.float() / 255),
        ("White is to be exactly 1: 255 / 127.5 - 1.", lambda pixels: pixels.float() / 128 - 1),
        ("Bytes wrap around at 256: make floats of them before you reckon.",
         lambda pixels: (pixels * 2).float() / 255 - 1),
    ), shape="like the bytes"),
    "noise_at": Task(lambda: [("seeds and steps", ())], _keyed, (
        ("It depends on what was drawn before: a run that was cut off would go on with other noise. Give randn a "
         "generator of its own.", lambda seed, step: torch.randn(4)),
        ("Seed 1 at step 2 is seed 2 at step 1: a sum of the two mixes runs up.",
         lambda seed, step: torch.randn(4, generator=torch.Generator().manual_seed(seed + step))),
        ("Each step has the same noise: the step has to play a part.",
         lambda seed, step: torch.randn(4, generator=torch.Generator().manual_seed(seed))),
        ("Those are no normal numbers: randn, not rand.",
         lambda seed, step: torch.rand(4, generator=torch.Generator().manual_seed(1_000_003 * seed + step))),
    ), observe=_watch_noise, gives="the same again, others for another step, another seed and two pairs of "
                                   "the same sum, and normal:"),
    "copied": Task(_nearby, lambda train, kept: (train < kept).float().mean(), (
        ("That is the share nearer to images kept back.", lambda train, kept: (kept < train).float().mean()),
        ("That compares the means; the share of fakes is asked for.",
         lambda train, kept: (train.mean() < kept.mean()).float()),
        ("That is how much nearer; the share of fakes is asked for.", lambda train, kept: (kept - train).mean()),
    )),
}  # fmt: skip

TASKS = THIRD | FOURTH | FIFTH | SIXTH
