"""The exercises of notebook 03: test cases, answers, and common mistakes with hints."""

import math

from torch.nn.functional import softplus

from .task import PER_PAIR, Task, numbers


def _pair():
    return [
        (
            "real logits [2, -1, 0.5] and fake ones [-3, 1, 0]",
            (numbers(2.0, -1.0, 0.5), numbers(-3.0, 1.0, 0.0)),
        )
    ]


def _average():
    return [
        (
            "an average [0, 1], weights [1, 3], 50 images and a half-life of 100",
            (numbers(0.0, 1.0), numbers(1.0, 3.0), 50, 100),
        )
    ]


def _ema(average, weights, n, half_life, keep=None):
    keep = 0.5 ** (n / half_life) if keep is None else keep
    return keep * average + (1 - keep) * weights


def _transposed():
    return [
        ("7 pixels, kernel 4, stride 2, padding 1", (7, 4, 2, 1)),
        ("5, 5, 3 and 2", (5, 5, 3, 2)),
    ]


def _cosine():
    return [(f"a way from 2 to 0.5, at {at}", (2.0, 0.5, at)) for at in (0.25, 0.5, 1.0)]


TASKS = {
    "relativistic_g": Task(
        _pair,
        lambda real, fake: softplus(real - fake),
        (
            (
                "The sign is that of D's loss: G wants its fake above the real.",
                lambda real, fake: softplus(fake - real),
            ),
            (
                "That is the non-saturating loss: the real one plays no part in it.",
                lambda real, fake: softplus(-fake),
            ),
            (
                "That is the difference itself, without softplus: it has no end.",
                lambda real, fake: real - fake,
            ),
        ),
        shape=PER_PAIR,
    ),
    "ema": Task(
        _average,
        _ema,
        (
            (
                "The two shares are exchanged: most of the average stays.",
                lambda a, w, n, h: _ema(a, w, n, h, 1 - 0.5 ** (n / h)),
            ),
            (
                "That falls to 1/e after half_life images; it is to fall to 1/2.",
                lambda a, w, n, h: _ema(a, w, n, h, math.exp(-n / h)),
            ),
            (
                "A share of n / half_life is a straight line; after two half-lives a quarter is "
                "left, not nothing.",
                lambda a, w, n, h: _ema(a, w, n, h, 1 - n / h),
            ),
        ),
        shape="of the weights' shape",
    ),
    "upsampled": Task(
        _transposed,
        lambda size, kernel, stride, padding: (size - 1) * stride - 2 * padding + kernel,
        (
            (
                "That is an ordinary convolution, which makes images smaller; this one runs "
                "backwards.",
                lambda size, kernel, stride, padding: (size + 2 * padding - kernel) // stride + 1,
            ),
            (
                "Size times stride is right for some kernels only: count the places of the first "
                "and the last kernel.",
                lambda size, kernel, stride, padding: size * stride,
            ),
            (
                "The padding is missing, and here it cuts off: twice, at both ends.",
                lambda size, kernel, stride, padding: (size - 1) * stride + kernel,
            ),
        ),
    ),
    "cosine": Task(
        _cosine,
        lambda start, end, at: end + (start - end) * (1 + math.cos(math.pi * at)) / 2,
        (
            ("That is a straight line.", lambda start, end, at: start + (end - start) * at),
            (
                "That begins at the end's value: cos is 1 at the start.",
                lambda start, end, at: start + (end - start) * (1 + math.cos(math.pi * at)) / 2,
            ),
            (
                "That is a quarter of a wave: it arrives at full speed. Half a wave, cos from 0 "
                "to pi, is level at both ends.",
                lambda start, end, at: end + (start - end) * math.cos(math.pi / 2 * at),
            ),
        ),
    ),
}
