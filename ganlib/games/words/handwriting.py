"""Numbers in words, and pictures of them in handwriting: two embedded digits, side by side."""

import torch
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from ...data.images import Images, as_float, as_uint8
from ...data.loading import load
from ...judge import features
from ...machine.choices import whole
from ...machine.randomness import some_of
from .vocabulary import encode, vocabulary

UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
UNITS = f"{UNITS} fifteen sixteen seventeen eighteen nineteen".split()
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
NUMBERS = range(10, 100)
HIDDEN = tuple(sorted((20 + some_of(80, 18)).tolist()))  # never shown, by default
LENGTH = 2  # words


def spelled(number):
    """Return a number of 10 to 99 in words: "forty two" for 42. Raises ValueError for others."""
    if number not in NUMBERS:
        raise ValueError(f"{number!r} was given; a whole number from 10 to 99 is expected")
    if number < 20:
        return UNITS[number]
    return " ".join([TENS[number // 10 - 2]] + [UNITS[number % 10]] * (number % 10 > 0))


WORDS = vocabulary(map(spelled, NUMBERS))
ROWS = encode(map(spelled, NUMBERS), WORDS, LENGTH)  # the sentence of each number


def numbers(n=20_000, seed=0, hidden=HIDDEN, only=None, digits=None):
    """Return `n` pictures of numbers in handwriting, an `Images` `(n, 1, 28, 28)` of uint8, whose
    labels are their words, int64 `(n, 2)`; `classes` are the words, see `vocabulary`.

    Each is two digits, each squeezed to half its width, that one person need not have written. The
    numbers are 10 to 99, equally often; those in `hidden` never stand in the set: 18 by default,
    whose tens and units all occur in others. only: numbers to take instead. digits: labelled images
    to cut them from, by default the 10,000 that ship with ganlib. The same `seed` makes the same
    pictures. Raises ValueError where no number is left.
    """
    n = whole("n", n)
    wanted = [x for x in (NUMBERS if only is None else only) if x not in set(hidden)]
    for x in wanted:
        spelled(x)  # raises for a number that has no words here
    kept = torch.tensor(wanted)
    if len(kept) == 0:
        raise ValueError("all numbers are hidden; leave some out of hidden=...")
    draws = torch.Generator().manual_seed(seed)
    which = kept[torch.randint(len(kept), (n,), generator=draws)]
    loaded = {"drawn": "numbers", "n": n, "seed": seed, "hidden": sorted(hidden)}
    return Images(written(which, draws, digits), ROWS[which - 10], WORDS, "numbers", loaded=loaded)


def written(which, draws, digits=None):
    """Return pictures of numbers, int64 `(N,)` to uint8 `(N, 1, 28, 28)`; see `numbers`."""
    digits = load("digits") if digits is None else digits
    narrow = adaptive_avg_pool2d(digits.images.cpu().float(), (28, 14))
    places = [(digits.labels.cpu() == digit).nonzero().flatten() for digit in range(10)]
    halves = []
    for digit in (which // 10, which % 10):
        share, chosen = torch.rand(len(which), generator=draws), torch.zeros_like(which)
        for d, found in enumerate(places):
            here = digit == d
            chosen[here] = found[(share[here] * len(found)).long()]
        halves.append(narrow[chosen])
    return torch.cat(halves, 3).round().to(torch.uint8)


def number_of(rows):
    """Return the numbers of encoded sentences, int64 `(N, 2)` to `(N,)`; -1 for no number."""
    same = (rows.cpu()[:, None] == ROWS).all(2)
    return torch.where(same.any(1), same.long().argmax(1) + 10, -1)


@torch.no_grad()
def read(images):
    """Return (the numbers that the digit classifier reads in pictures `(N, 1, 28, 28)`, int64
    `(N,)`; its features of their two halves, `(N, 2, 64)`). Pictures are rounded to 8 bits first.
    """
    net, x = features.digit_classifier(), as_float(as_uint8(images.cpu()))
    seen = [
        features.read(net, interpolate(half, (28, 28), mode="bilinear")) for half in x.split(14, 3)
    ]
    tens, units = (features.logits_of(net, part).argmax(1) for part in seen)
    return 10 * tens + units, torch.stack(seen, 1)
