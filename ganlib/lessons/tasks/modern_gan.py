"""The exercises of notebook 03: test cases, answers, and common mistakes with remarks."""

import math

from ..task import Experiment, Prediction, Task, numbers


def _average():
    return [
        (
            "an average [0, 1], weights [1, 3], 50 images and a half-life of 100",
            (numbers(0.0, 1.0), numbers(1.0, 3.0), 50, 100),
        ),
        (
            "an average [5], weights [-5], 64 images and a half-life of 16",
            (numbers(5.0), numbers(-5.0), 64, 16),
        ),
        (
            "an average [5], weights [-5], 64 images and a half-life of 0.01",
            (numbers(5.0), numbers(-5.0), 64, 0.01),
        ),
    ]


def _ema(average, weights, n, half_life, keep=None):
    keep = 0.5 ** (n / half_life) if keep is None else keep
    return keep * average + (1 - keep) * weights


def _layers():
    return [
        ("7 pixels and two layers of kernel 4, stride 2, padding 1", (7, [(4, 2, 1)] * 2)),
        ("5 pixels and layers (5, 3, 2) and (3, 1, 1)", (5, [(5, 3, 2), (3, 1, 1)])),
        ("one pixel and a layer (4, 1, 0)", (1, [(4, 1, 0)])),
        ("6 pixels and no layer", (6, [])),
    ]


def _through(one):
    """Return a function that applies `one(size, kernel, stride, padding)` for each layer."""

    def upsampled(size, layers):
        for layer in layers:
            size = one(size, *layer)
        return size

    return upsampled


def _cosine():
    return [
        ("a run of 1,000 images from 2 to 0.5, after 250", (2.0, 0.5, 250, 1000)),
        ("a run of 1,000 images from 2 to 0.5, at its start", (2.0, 0.5, 0, 1000)),
        ("a run of 1,000 images from 2 to 0.5, at its end", (2.0, 0.5, 1000, 1000)),
        ("a run of 1,000 images from 2 to 0.5, 250 images after its end", (2.0, 0.5, 1250, 1000)),
    ]


def _wave(start, end, at):
    return end + (start - end) * (1 + math.cos(math.pi * at)) / 2


TASKS = {
    "shifted_logits": Prediction(
        "stays the same",
        "softplus(real - fake) sees the difference alone, and a number added to both drops out. "
        "So the level of a relativistic D's logits means nothing: do not read its sigmoid as a "
        "probability. Only the gap between real and fake counts.",
        (
            ("That is what the non-saturating loss softplus(-fake) does.", "falls"),
            ("Fakes look more real now, and so do the reals beside them.", "rises"),
        ),
        (
            "Write the loss for one pair, before and after. What has changed?",
            "The relativistic loss of G is softplus(real - fake).",
            "(real + 5) - (fake + 5) is real - fake.",
        ),
        choices=("falls", "stays the same", "rises"),
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
            (
                "0.999 is fixed for each step; the share that stays depends on n and half_life.",
                lambda a, w, n, h: _ema(a, w, n, h, 0.999),
            ),
        ),
        (
            "After one half-life 1/2 of the average is left, after two 1/4. And after n images?",
            "How many half-lives are n images? The share that stays is 1/2 to that power.",
            "keep = 0.5 ** (n / half_life); mix keep * average + (1 - keep) * weights.",
        ),
        shape="of the weights' shape",
    ),
    "wobble": Experiment(
        (0.16, 0.22),
        "each step keeps k = 0.5 ** (1/10) = 0.933 of the average, and the average of noise of "
        "size 1 has the size sqrt((1 - k) / (1 + k)) = 0.186. The average of G's weights is a "
        "cleaner G for this reason: what only wobbles cancels out.",
        (
            ("That is the wobble of the weights themselves.", (0.9, 1.1)),
            ("That is for a half-life of 100 steps.", (0.04, 0.08)),
            ("That is for a half-life of 1 step.", (0.5, 0.65)),
        ),
        (
            "Call the function with half_life=10 and read the spread of the average.",
            "Should an average of noise wobble more than the noise, or less?",
            "Round wobble(10) to two decimals.",
        ),
    ),
    "upsampled": Task(
        _layers,
        _through(lambda size, kernel, stride, padding: (size - 1) * stride - 2 * padding + kernel),
        (
            (
                "That is an ordinary convolution, which makes images smaller; this one runs "
                "backwards.",
                _through(lambda n, kernel, stride, pad: (n + 2 * pad - kernel) // stride + 1),
            ),
            (
                "Size times stride is right for some kernels only: count the places of the first "
                "and the last kernel.",
                _through(lambda n, kernel, stride, pad: n * stride),
            ),
            (
                "The padding is missing, and here it cuts off: twice, at both ends.",
                _through(lambda n, kernel, stride, pad: (n - 1) * stride + kernel),
            ),
            (
                "The padding is cut off once; there are two ends.",
                _through(lambda n, kernel, stride, pad: (n - 1) * stride - pad + kernel),
            ),
        ),
        (
            "Set kernels of 4 pixels down at places 0, 2, 4 ... How far does the last one reach?",
            "The last kernel begins at (size - 1) * stride and has `kernel` pixels.",
            "For each layer: size = (size - 1) * stride + kernel - 2 * padding.",
        ),
    ),
    "cosine": Task(
        _cosine,
        lambda start, end, seen, total: _wave(start, end, min(seen / total, 1)),
        (
            (
                "After the end of the run it rises again: cos comes back. Where should it stay?",
                lambda start, end, seen, total: _wave(start, end, seen / total),
            ),
            (
                "At the end it jumps back to the start: % makes a saw of it.",
                lambda start, end, seen, total: _wave(start, end, seen % total / total),
            ),
            (
                "max() keeps what lies past the end; which of the two is to be taken?",
                lambda start, end, seen, total: _wave(start, end, max(seen / total, 1)),
            ),
            (
                "That is a straight line.",
                lambda start, end, seen, total: start + (end - start) * min(seen / total, 1),
            ),
            (
                "That begins at the end's value: cos is 1 at the start.",
                lambda start, end, seen, total: _wave(end, start, min(seen / total, 1)),
            ),
            (
                "That is a quarter of a wave: it arrives at full speed. Half a wave, cos from 0 "
                "to pi, is level at both ends.",
                lambda start, end, seen, total: (
                    end + (start - end) * math.cos(math.pi / 2 * min(seen / total, 1))
                ),
            ),
        ),
        (
            "Follow the schedule past the end of the run, as `ganlib.resume` may do.",
            "After the end, seen / total is above 1, and the cosine rises again.",
            "Cut the way off: at = min(seen / total, 1).",
        ),
        faulty=lambda start, end, seen, total: _wave(start, end, seen / total),
    ),
}
