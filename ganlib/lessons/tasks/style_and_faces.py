"""The exercises of notebook 09: test cases, answers, and common mistakes with remarks."""

import torch

from ..task import Experiment, Prediction, Task, normal, numbers


def _layers():
    return [
        ("two inputs, one output", (numbers(3.0, 4.0).view(1, 2), numbers(1.0, 1.0).view(1, 2))),
        ("ten inputs, six outputs, four faces", (normal(6, 10), 1 + 0.5 * normal(4, 10))),
        ("a channel that is switched off", (normal(3, 2), numbers(0.0, 2.0, 1.0, 0.0).view(2, 2))),
    ]


def _pairs():
    a, b = numbers(1.0, 2.0, 3.0), numbers(-1.0, -2.0, -3.0)
    return [
        ("two of five layers", (a, b, 2, 5)),
        ("none of four layers", (a, b, 0, 4)),
        ("all of three layers", (a, b, 3, 3)),
    ]


def _styles():
    center = numbers(1.0, -1.0, 0.5)
    return [
        ("four styles, psi 0.5", (center + normal(4, 3), center, 0.5)),
        ("psi 0: one style", (center + normal(2, 3), center, 0.0)),
        ("psi 1: as they were", (center + normal(2, 3), center, 1.0)),
    ]


def _shares():
    even = numbers(0.25, 0.25, 0.25, 0.25)
    return [
        ("even shares from even shares", (even, even)),
        ("three values", (numbers(0.5, 0.3, 0.2), numbers(0.2, 0.2, 0.6))),
        ("a value that never occurs", (numbers(0.0, 0.5, 0.5, 0.0), even)),
    ]


TASKS = {
    "loudness": Task(
        _layers,
        lambda weights, styles: (styles.square() @ weights.square().mT).sqrt(),
        (
            (
                "The root is missing: that is the mean square.",
                lambda weights, styles: styles.square() @ weights.square().mT,
            ),
            (
                "Weights of two signs cancel here; independent inputs do not: square first.",
                lambda weights, styles: (styles @ weights.mT).abs(),
            ),
            (
                "The styles are squared as well: an input twice as loud has four times the power.",
                lambda weights, styles: (styles.abs() @ weights.square().mT).sqrt(),
            ),
            (
                "The styles are left out: that is the size for a style of 1.",
                lambda weights, styles: weights.norm(dim=1).expand(len(styles), -1),
            ),
        ),
        (
            "Variances of independent things add up: which are they here?",
            "Input i contributes (s_i w_ji) squared. The sum over i is a matrix product.",
            "(styles.square() @ weights.square().T).sqrt()",
        ),
        shape="a number for each face and output, (N, O)",
    ),
    "by_layer": Task(
        _pairs,
        lambda a, b, coarse, layers: torch.stack([a if i < coarse else b for i in range(layers)]),
        (
            (
                "The two are exchanged: the coarse layers come first.",
                lambda a, b, coarse, layers: torch.stack(
                    [a if i >= coarse else b for i in range(layers)]
                ),
            ),
            (
                "One layer too many has the style a: the first is number 0.",
                lambda a, b, coarse, layers: torch.stack(
                    [a if i <= coarse else b for i in range(layers)]
                ),
            ),
            (
                "One layer too few has the style a: i < coarse holds for exactly `coarse` of them.",
                lambda a, b, coarse, layers: torch.stack(
                    [a if i < coarse - 1 else b for i in range(layers)]
                ),
            ),
        ),
        (
            "With coarse = 0 no layer has the style a. What does the function give?",
            "range counts from 0: the first two layers are numbers 0 and 1.",
            "a if i < coarse else b",
        ),
        faulty=lambda a, b, coarse, layers: torch.stack(
            [a if i > coarse else b for i in range(layers)]
        ),
        shape="one style for each layer, (layers, d)",
    ),
    "towards": Task(
        _styles,
        lambda w, center, psi: center + psi * (w - center),
        (
            ("That draws styles towards 0; the mean is elsewhere.", lambda w, center, psi: psi * w),
            (
                "psi is the wrong way round: at 1 nothing may change.",
                lambda w, center, psi: center + (1 - psi) * (w - center),
            ),
            (
                "The mean of these few was taken; the mean of all styles is given.",
                lambda w, center, psi: w.mean(0) + psi * (w - w.mean(0)),
            ),
        ),
        (
            "What is a style's way from the mean? Keep the share psi of it.",
            "w - center is the way; begin at the center.",
            "center + psi * (w - center)",
        ),
        shape="like the styles",
    ),
    "divergence": Task(
        _shares,
        lambda p, q: torch.special.xlogy(p, p / q).sum(),
        (
            (
                "log 0 times 0 is NaN; xlogy(p, x) is p log x, and 0 there.",
                lambda p, q: (p * (p / q).log()).sum(),
            ),
            (
                "That is the divergence of q from p: the other way round.",
                lambda p, q: torch.special.xlogy(q, q / p.clamp(min=1e-12)).sum(),
            ),
            (
                "That is in bits; nats are asked for, the natural logarithm.",
                lambda p, q: torch.special.xlogy(p, p / q).sum() / torch.tensor(2.0).log(),
            ),
            (
                "The mean over the values was taken; the sum is asked for.",
                lambda p, q: torch.special.xlogy(p, p / q).mean(),
            ),
        ),
        (
            "Where a share of G's is 0, the term is 0, but log 0 is minus infinity.",
            "torch.special.xlogy(p, x) is p log x, and 0 where p is 0.",
            "torch.special.xlogy(p, p / q).sum()",
        ),
        shape="one number",
    ),
    "half_way": Prediction(
        (0.24, 0.26),
        "the distance itself is halved, and its square is a quarter. So half the way costs three "
        "quarters of the variance of the styles: truncation is a strong medicine.",
        (
            ("That is the distance; its square was asked for.", 0.5),
            ("That is what is lost; what is left was asked for.", 0.75),
            ("Both ends move, each half of its own way: nothing is counted twice.", 0.0625),
            ("Something is lost.", 1.0),
        ),
        (
            "Both styles go half the way to the same point. How far are they apart then?",
            "Half as far. And squared?",
            "0.5 squared is a quarter.",
        ),
        within=0.01,
    ),
    "hidden_share": Experiment(
        (0.181, 0.184),
        "hats and glasses are rare, so most of the 160 sentences are: a sentence without either "
        "stands over many more faces than one with both. Which share is hidden depends on which "
        "sentences the lot has drawn. It is always sensible to count.",
        (
            ("That is a number of faces; the share is asked for.", (1000.0, 3000.0)),
            ("That is the share of faces that are shown.", (0.7, 0.9)),
            ("0.2 is the share of the sentences; run the function.", (0.1999, 0.2001)),
        ),
        (
            "Run hidden_share() in the cell.",
            "exercises.answer takes the number: write it in place of the dots.",
            'exercises.answer("hidden_share", hidden_share())',
        ),
    ),
}
