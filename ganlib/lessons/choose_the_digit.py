"""The exercises of notebook 04: test cases, answers, and common mistakes with hints."""

import math

import torch
from torch.nn.functional import cross_entropy, one_hot

from .task import PER_PAIR, Task, normal, numbers


def _projected():
    return [
        (
            "three images of two features, and labels [0, 2, 1]",
            (normal(3, 2), normal(2, seed=1), normal(3, 2, seed=2), numbers(0, 2, 1)),
        )
    ]


def _noises():
    a, b = numbers(0.8, 0.0, 0.0), numbers(0.5, 0.5, 0.5)
    return [(f"a = [0.8, 0, 0], b = [0.5, 0.5, 0.5], t = {at}", (a, b, at)) for at in (0.25, 0.5)]


def _great(a, b, t, angle=None):
    angle = torch.dot(a, b).div(a.norm() * b.norm()).arccos() if angle is None else angle
    return (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / angle.sin()


def _read():
    codes = numbers(0, 2, 1, 0)
    return [
        (
            "D's guess of four fakes and their codes of three",
            (2 * one_hot(codes, 3) + normal(4, 3), codes),
        )
    ]


TASKS = {
    "projection": Task(
        _projected,
        lambda h, w, v, y: h @ w + (v[y] * h).sum(1),
        (
            (
                "The label plays no part: add the product of each image's features with its own "
                "class's row, v[y].",
                lambda h, w, v, y: h @ w,
            ),
            (
                "That is the label's term alone: whether it is a picture at all, h @ w, is "
                "missing.",
                lambda h, w, v, y: (v[y] * h).sum(1),
            ),
            (
                "That has every class's row for every image: v[y] picks one.",
                lambda h, w, v, y: h @ w + (h @ v.T).sum(1),
            ),
        ),
        shape=PER_PAIR,
    ),
    "slerp": Task(
        _noises,
        _great,
        (
            (
                "That is the straight line, which passes nearer to 0 than any noise.",
                lambda a, b, t: (1 - t) * a + t * b,
            ),
            ("The two ends are exchanged: t = 0 is a.", lambda a, b, t: _great(b, a, t)),
            (
                "The angle is wrong: divide the inner product by both lengths first.",
                lambda a, b, t: _great(a, b, t, torch.dot(a, b).arccos()),
            ),
            (
                "The line was stretched to a mean length: the right length, but not even steps of "
                "the angle.",
                lambda a, b, t: (
                    ((1 - t) * a + t * b)
                    / ((1 - t) * a + t * b).norm()
                    * ((1 - t) * a.norm() + t * b.norm())
                ),
            ),
        ),
        shape="a vector like a and b",
    ),
    "information": Task(
        _read,
        lambda logits, code: math.log(logits.shape[1]) - cross_entropy(logits, code),
        (
            (
                "That is the cross-entropy alone: it is subtracted from log K, what there was to "
                "know.",
                lambda logits, code: cross_entropy(logits, code),
            ),
            (
                "That is in bits; natural logarithms are asked for.",
                lambda logits, code: (
                    (math.log(logits.shape[1]) - cross_entropy(logits, code)) / math.log(2)
                ),
            ),
            (
                "The sign is wrong: the better the guess, the more information.",
                lambda logits, code: cross_entropy(logits, code) - math.log(logits.shape[1]),
            ),
        ),
    ),
}
