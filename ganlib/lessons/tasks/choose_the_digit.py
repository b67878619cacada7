"""The exercises of notebook 04: test cases, answers, and common mistakes with remarks."""

import math

import torch

from ..task import PER_PAIR, Experiment, Prediction, Task, normal, numbers


def _projected():
    return [
        (
            "three images of two features, and labels [0, 2, 1]",
            (normal(3, 2), normal(2, seed=1), normal(3, 2, seed=2), numbers(0, 2, 1)),
        ),
        (
            "one image of three features, and label [1] of two",
            (normal(1, 3), normal(3, seed=1), 40 * normal(2, 3, seed=2), numbers(1)),
        ),
    ]


def _noises():
    a, b = numbers(0.8, 0.0, 0.0), numbers(0.5, 0.5, 0.5)
    return [
        *((f"a = [0.8, 0, 0], b = [0.5, 0.5, 0.5], t = {at}", (a, b, at)) for at in (0.25, 0.5)),
        ("a = [30, 0], b = [30, 40], t = 1", (numbers(30.0, 0.0), numbers(30.0, 40.0), 1.0)),
        ("a = [30, 0], b = [30, 40], t = 0.5", (numbers(30.0, 0.0), numbers(30.0, 40.0), 0.5)),
    ]


def _great(a, b, t, angle=None):
    angle = torch.dot(a, b).div(a.norm() * b.norm()).arccos() if angle is None else angle
    return (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / angle.sin()


def _raw(a, b, t):
    return _great(a, b, t, torch.dot(a, b).arccos())


def _agreed():
    return [
        (
            "codes [0, 0, 0, 0, 1, 1], read as digits [7, 7, 7, 1, 4, 9]",
            (numbers(0, 0, 0, 0, 1, 1), numbers(7, 7, 7, 1, 4, 9)),
        ),
        ("codes [3, 3] of ten, both read as 2", (numbers(3, 3), numbers(2, 2))),
        ("codes [0, 1, 2], all read as 1", (numbers(0, 1, 2), numbers(1, 1, 1))),
        ("one image of code 9, read as 0", (numbers(9), numbers(0))),
    ]


def _table(codes, digits):
    return torch.zeros(10, 10).index_put((codes, digits), torch.tensor(1.0), accumulate=True)


TASKS = {
    "projection": Task(
        _projected,
        lambda h, w, v, y: h @ w + (v[y] * h).sum(1),
        (
            (
                "That has every class's row for every image: v[y] picks one.",
                lambda h, w, v, y: h @ w + (h @ v.T).sum(1),
            ),
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
        ),
        (
            "Does the logit of an image change if you change its label? Should it?",
            "(h @ v.T) has one column for each class. Which of them belongs to an image?",
            "Replace the last term by (h * v[y]).sum(1).",
        ),
        faulty=lambda h, w, v, y: h @ w + (h @ v.T).sum(1),
        shape=PER_PAIR,
    ),
    "label_gradient": Prediction(
        "row 3",
        "the logit holds v[y] alone, so its gradient with respect to v is h in row y and 0 in the "
        "other rows. A class that never occurs in a batch learns nothing from it.",
        (
            ("Only one row of v is used in this logit.", "all rows"),
            ("The gradient is 0 where a weight plays no part. Row 3 plays one.", "all but row 3"),
            ("v is multiplied with h in the logit, so it does get a gradient.", "none"),
        ),
        (
            "Which numbers of v does the logit of this one image depend on?",
            "The logit is w . h + v[y] . h, with y = 3.",
            "d logit / d v[k] is h for k = y, and 0 for all others.",
        ),
        choices=("none", "row 3", "all rows", "all but row 3"),
    ),
    "truncated_spread": Prediction(
        (0.52, 0.56),
        "the noise that is left lies between -1 and 1 and is denser in the middle. If it were even "
        "the spread would be 1 / sqrt(3) = 0.577; it is 0.540. G's noise spreads half as far, "
        "and that is why its pictures vary less.",
        (
            ("That is the spread without truncation.", 1.0),
            ("That is the spread of even (uniform) numbers from -1 to 1: close.", (0.57, 0.585)),
            ("That is the share of the numbers that are kept at once.", (0.67, 0.69)),
        ),
        (
            "All numbers now lie between -1 and 1. Can their standard deviation still be 1?",
            "Even numbers from -1 to 1 have 0.577. Normal ones are denser in the middle.",
            "It is a little more than a half.",
        ),
        within=0.025,
    ),
    "slerp": Task(
        _noises,
        _great,
        (
            (
                "The angle is wrong: an inner product is the cosine only for vectors of length 1, "
                "so divide it by both lengths.",
                _raw,
            ),
            (
                "That is half a repair: there are two lengths to divide by.",
                lambda a, b, t: _great(a, b, t, (torch.dot(a, b) / a.norm()).arccos()),
            ),
            (
                "Clamping hides the nan and keeps the wrong angle.",
                lambda a, b, t: _great(a, b, t, torch.dot(a, b).clamp(-0.999, 0.999).arccos()),
            ),
            (
                "The ends were brought to length 1: the arc has to arrive at a and b themselves.",
                lambda a, b, t: _great(a / a.norm(), b / b.norm(), t),
            ),
            (
                "That is the straight line, which passes nearer to 0 than any noise.",
                lambda a, b, t: (1 - t) * a + t * b,
            ),
            ("The two ends are exchanged: t = 0 is a.", lambda a, b, t: _great(b, a, t)),
        ),
        (
            "Which of the lines is right only for vectors of length 1?",
            "The cosine of the angle is a . b / (|a| |b|).",
            "angle = (torch.dot(a, b) / (a.norm() * b.norm())).arccos()",
        ),
        faulty=_raw,
        shape="a vector like a and b",
    ),
    "middle": Experiment(
        (5.4, 5.85),
        "noises of 64 numbers are about sqrt(64) = 8 long, nearly at right angles to each other. "
        "So the middle of the straight line is 8 / sqrt(2) = 5.66 long: shorter than nearly any "
        "noise that G was trained on. The arc keeps the length.",
        (
            ("That is the length of the ends, or of the middle of the arc.", (7.7, 8.3)),
            ("That would be so if both ends pointed the same way, at half the length.", (3.8, 4.2)),
            ("The ends would cancel only if they pointed in opposite directions.", (0.0, 0.5)),
        ),
        (
            "The function returns two lengths: of the ends, and of the middle.",
            "Draw two arrows of length 8 at a right angle. Where is the middle of their tips?",
            "Read the second number of middle().",
        ),
    ),
    "purity": Task(
        _agreed,
        lambda codes, digits: _table(codes, digits).amax(1).sum() / len(codes),
        (
            (
                "That asks for each digit which code is most frequent: it is the other way round.",
                lambda codes, digits: _table(codes, digits).amax(0).sum() / len(codes),
            ),
            (
                "The mean over codes gives a rare code as much weight as a frequent one; count "
                "images.",
                lambda codes, digits: torch.stack(
                    [
                        (digits[codes == code] == digits[codes == code].mode().values)
                        .float()
                        .mean()
                        for code in codes.unique()
                    ]
                ).mean(),
            ),
            (
                "A code need not have its own number: code 0 may well mean 7.",
                lambda codes, digits: (codes == digits).float().mean(),
            ),
            (
                "That is how many codes are used, not how pure they are.",
                lambda codes, digits: len(codes.unique()),
            ),
        ),
        (
            "For one code: which digit is it read as most often, and how many images are that?",
            "Add these numbers up over the codes, and divide by the number of images.",
            "For each code: torch.bincount(digits[codes == code]).max().",
        ),
    ),
    "most_information": Prediction(
        (2.30, 2.31),
        "before the guess a code of ten equal values holds log 10 = 2.303 nats, and D's best guess "
        "leaves nothing open: cross-entropy 0. A D that knows nothing has a cross-entropy of "
        "log 10, and the bound is 0.",
        (
            ("That is in bits; natural logarithms give nats.", (3.3, 3.35)),
            ("That is the bound for a D that knows nothing.", 0),
            ("That is the number of values; what is its logarithm?", 10),
            ("That is log10; natural logarithms give nats.", 1),
        ),
        (
            "How much is there to know about a code of ten equally frequent values?",
            "The bound is log K less the cross-entropy. What is the cross-entropy at best?",
            f"log 10 - 0; e is 2.718 and e squared {math.e**2:.2f}, so it is more than 2.",
        ),
        within=0.05,
    ),
}
