"""`judge_translation` measures a translation: is the content kept, does it look real, does the way
back lead to the source?
"""

import math

import torch

from ..data.images import as_float, as_uint8
from ..judge import features
from ..judge.metrics import frechet_distance

MOST = 1000  # images a side that are compared, at most


class Judged(dict):
    """What `judge_translation` measured, as a dict; it prints as a table."""

    def __str__(self):
        lines = [
            f"{self['n']:,} held-out images of {self['source']!r}, translated to "
            f"{self['target']!r}; read by {self['extractor']}",
            f"{'':18}{'kept':>7}  {'95 % interval':>16}{'floors':>9}",
        ]
        rows = {"translation": self, "identity": self["identity"], "nearest": self["nearest"]}
        for name, row in (rows | {"real images": self["real"]}).items():
            share, between = "-", "-"
            if row["kept"] is not None:
                low, high = row["kept_interval"]
                share, between = f"{row['kept']:.1%}", f"{low:.1%} to {high:.1%}"
            lines.append(f"{name:18}{share:>7}  {between:>16}{row['floors']:>9.1f}")
        if self["cycle_error"] is not None:
            back = f"cycle error {self['cycle_error']:.3f}"
            if self["hidden"] is not None:
                back += f"; read wrong, but right when it is back: {self['hidden']:.1%}"
            lines.append(back)
        return "\n".join(lines)


@torch.no_grad()
def judge_translation(gan, sources, targets, classifier=None, source_classifier=None):
    """Measure what a `Translator` makes of held-out images; return a `Judged`, a dict.

    gan: the translator, such as `run.there`; with a partner the way back is measured, too.
    sources: images of the source domain on which it was not trained, with labels if `kept` is to be
        measured. targets: at least twice as many of the target domain; the classes are the same.
    classifier: of the target domain, trained on its labels (`features.train_classifier`). Without
        it the features are those that `evaluate` chooses, and nothing is said of the content.
    source_classifier: of the source domain, to read what has come back.

    At most 1,000 images are judged, rounded to 8 bits. Keys: `kept`, the share of translations that
    the classifier reads as the label of their source, and `kept_interval`, its Wilson 95 %
    interval; `confusion`, int64 (classes, classes), label of the source by what was read;
    `distance`, the Frechet distance of features to as many target images, `floor`, that of as many
    other target images, and `floors`, the one over the other; `cycle_error`, the mean |back(fake) -
    source| in pixels of -1 to 1; `back_kept`, the share that is read rightly when it is back;
    `hidden`, the share that is read wrongly as a translation, and rightly when it is back: cycle
    consistency does not ask for meaning. `identity` and `nearest` hold the same figures for the
    sources themselves, and for each one's nearest target image by pixels; `real` for target images.
    `n`, `source`, `target` and `extractor` say what was compared. What is unknown is None. Raises
    ValueError for fewer than 128 images a side, and for shapes that differ.
    """
    n = min(len(sources), len(targets) // 2, MOST)
    if n < 128 or tuple(sources.shape) != tuple(targets.shape):
        raise ValueError(
            f"{len(sources)} sources of {tuple(sources.shape)} and {len(targets)} targets of "
            f"{tuple(targets.shape)} were given; 128 sources and 256 targets, or more, of one "
            "shape are expected"
        )
    reader = features.choose(targets)[0] if classifier is None else classifier
    x, real = sources.floats(slice(0, n), gan.device), targets.floats(slice(0, n), gan.device)
    labels = None if sources.labels is None or classifier is None else sources.labels[:n].cpu()
    seen = features.read(reader, real)
    others = targets.floats(slice(n, 2 * n), gan.device)
    floor = frechet_distance(seen, features.read(reader, others))

    def figures(images, labels):
        found = features.read(reader, images)
        distance = frechet_distance(seen, found)
        row = {"kept": None, "kept_interval": None, "confusion": None}
        if labels is not None:
            read = features.logits_of(reader, found).argmax(1)
            row = _shares(read, labels, len(reader.classes))
        return row | {"distance": distance, "floors": distance / floor}

    fakes = _as_file(gan.sample(noise=x))
    judged = Judged(figures(fakes, labels))
    real_labels = None if targets.labels is None else targets.labels[n : 2 * n].cpu()
    judged["identity"] = figures(x, labels)
    judged["nearest"] = figures(_nearest(x, real), labels)
    judged["real"] = figures(others, None if classifier is None else real_labels)
    judged |= {"cycle_error": None, "back_kept": None, "hidden": None, "floor": floor, "n": n}
    if gan.partner is not None:
        again = _as_file(gan.partner.sample(noise=fakes))
        judged["cycle_error"] = (again - x).abs().mean().item()
        if source_classifier is not None and labels is not None:
            found = features.read(source_classifier, again)
            right = features.logits_of(source_classifier, found).argmax(1) == labels
            wrong = features.logits_of(reader, features.read(reader, fakes)).argmax(1) != labels
            judged["back_kept"] = right.double().mean().item()
            judged["hidden"] = (wrong & right).double().mean().item()
    judged |= {"source": sources.name, "target": targets.name}
    judged["extractor"] = getattr(reader, "name", type(reader).__name__)
    return judged


def swaps(there, back):
    """Return pairs of classes that a cycle exchanges, the most frequent first: a list of (a, b,
    share of a that is read as b there, share of b that is read as a on the way back).

    `there` and `back` are the `confusion` of either direction, (classes, classes), int64. A pair is
    listed where both shares are above 0; its rank is the smaller one.
    """
    shares = [x.double() / x.sum(1, keepdim=True).clamp(min=1) for x in (there, back)]
    k = len(there)
    pairs = [
        (a, b, shares[0][a, b].item(), shares[1][b, a].item())
        for a in range(k)
        for b in range(k)
        if a != b
    ]
    return sorted((p for p in pairs if min(p[2:]) > 0), key=lambda p: -min(p[2:]))


def wilson(right, n):
    """Return the 95 % interval of a share of `right` in `n`: Wilson 1927."""
    p, z = right / n, 1.96
    centre, spread = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (centre - spread) / (1 + z * z / n), (centre + spread) / (1 + z * z / n)


def _shares(read, labels, classes):
    """Return `kept`, its interval and the confusion of what was read."""
    confusion = torch.bincount(labels * classes + read, minlength=classes**2)
    right = (read == labels).sum().item()
    return {
        "kept": right / len(labels),
        "kept_interval": wilson(right, len(labels)),
        "confusion": confusion.view(classes, classes),
    }


def _as_file(images):
    """Return images as they are read from a file of 8 bits."""
    return as_float(as_uint8(images))


def _nearest(x, targets):
    """Return for each image its nearest target image, by the distance of all pixels."""
    return targets[torch.cdist(x.flatten(1), targets.flatten(1)).argmin(1)]
