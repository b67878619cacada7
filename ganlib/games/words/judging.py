"""`judge_words` measures whether G draws the number that the words say, also for numbers hidden in
training, and how much its pictures of one number differ.
"""

import torch

from ...data.images import as_float
from ...judge.metrics import class_diversity, frechet_distance
from ..kept import wilson
from .handwriting import HIDDEN, NUMBERS, ROWS, read, written


class Said(dict):
    """What `judge_words` measured, `{"shown": {...}, "hidden": {...}}`; it prints as a table."""

    def __str__(self):
        lines = [f"{'':14}{'read right':>11}  {'95 % interval':>16}{'diversity':>11}{'floors':>8}"]
        for name, row in self.items():
            for who, of in (("", row), ("real ", row["real"])):
                low, high = of["interval"]
                lines.append(
                    f"{who + name:14}{of['right']:>11.1%}  {f'{low:.1%} to {high:.1%}':>16}"
                    f"{of['diversity']:>11.2f}{of['floors']:>8.1f}"
                )
        return "\n".join(lines)


@torch.no_grad()
def judge_words(gan, hidden=None, n=1000, seed=1):
    """Judge a G of `numbers`: return a `Said`, a dict with "shown" and, where numbers are hidden,
    "hidden".

    hidden: the numbers that G was never shown, by default those of its run.

    For each of the two there are: `right`, the share of `n` pictures that the digit classifier
    reads as the number asked for, and its Wilson 95 % `interval`; `diversity`, the mean distance
    between two pictures of a number over that of real ones, averaged over the numbers (1: as
    diverse; 0: one picture for each, which `right` alone would not show); `floors`, the Frechet
    distance to real pictures over that between two sets of real pictures, by the features of single
    digits; and `real`, the same figures for real pictures. Features are those of the digit
    classifier, 64 numbers for each half of a picture.
    """
    if hidden is None:
        loaded = (getattr(gan, "trained_on", None) or {}).get("loaded") or {}
        hidden = loaded.get("hidden", HIDDEN)
    groups = {"shown": [x for x in NUMBERS if x not in hidden], "hidden": list(hidden)}
    judged = Said()
    for name, group in groups.items():
        if not group:
            continue
        if n < 2 * len(group):
            raise ValueError(
                f"n={n} was given, and {len(group)} numbers are {name}: {2 * len(group)} pictures, "
                "two of each, are expected at least"
            )
        wanted = torch.tensor(group).repeat(-(-n // len(group)))[:n]
        draws = torch.Generator().manual_seed(seed)
        asked = ROWS[wanted - 10].to(gan.device)
        fakes = gan.sample(labels=asked, n=n, stream=f"words/{name}")
        reals, (other, other_seen) = (read(as_float(written(wanted, draws))) for _ in range(2))
        floor = frechet_distance(reals[1].flatten(0, 1), other_seen.flatten(0, 1))

        def figures(numbers_read, seen, wanted=wanted, reals=reals, floor=floor):
            right = numbers_read == wanted
            each = class_diversity(seen.flatten(1), wanted, reals[1].flatten(1), wanted)
            each = [x for x in each if x is not None]
            return {
                "right": right.double().mean().item(),
                "interval": wilson(int(right.sum()), len(right)),
                "diversity": sum(each) / len(each),
                "floors": frechet_distance(reals[1].flatten(0, 1), seen.flatten(0, 1)) / floor,
            }

        judged[name] = figures(*read(fakes)) | {"real": figures(other, other_seen)}
    return judged
