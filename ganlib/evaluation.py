"""Evaluation: how far G's images are from the real ones, with all that a reader needs to trust the figure."""

import torch

from . import metrics
from .features import digit_classifier, extract


@torch.no_grad()
def evaluate(gan, data, n=5_000, extractor=None, ema=True):
    """Return how far `n` images of G are from `n` of `data`: a dict with `frechet_distance` and its conditions.

    It holds `floor` (the distance of `n` other images of `data` from the same ones: what a perfect G would score, since
    the bias of few samples is the same), `n_real`, `n_fake`, `extractor`, `sha256`, `weights` ("EMA" or "raw"), `seed`,
    `step`, and `classes`, the share of each class among the fakes as the extractor's own head sees them, and of a
    conditional G `accuracy`, how often that is the class that was asked for. `extractor` maps images to features
    `(N, d)`; by default the digit classifier that ships with ganlib. A conditional G is asked for the labels of the
    real images. Leaves nets and random generators as they were. Raises ValueError for fewer than 128 images (64
    features need more for a covariance), for data of fewer than 2n, and for data without labels where G needs them.
    """
    if n < 128:
        raise ValueError(f"n={n} was given; at least 128 images are needed, 5,000 and more are usual")
    if len(data) < 2 * n:
        raise ValueError(f"n={n} was given, and {data.name!r} has {len(data)} images; twice n are needed, for the "
                         f"distance and for its floor: n={len(data) // 2} at most")  # fmt: skip
    if gan.classes and data.labels is None:
        raise ValueError(f"G is conditional on {gan.classes} classes, and {data.name!r} has no labels to ask it for")
    extractor = digit_classifier(gan.device) if extractor is None else extractor
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[: 2 * n].to(data.images.device)
    real = torch.cat([extract(extractor, data.floats(part, gan.device)) for part in order.split(1000)])
    labels = data.labels[order[:n]].to(gan.device) if gan.classes else None
    parts = range(0, n, 1000)
    fake = torch.cat([extract(extractor, gan.sample(min(1000, n - i), None if labels is None else
                      labels[i : i + 1000], stream=f"evaluation/{i}", ema=ema)) for i in parts])  # fmt: skip
    real, others = real.split(n)
    found = {
        "frechet_distance": metrics.frechet_distance(real, fake),
        "floor": metrics.frechet_distance(real, others),
        "n_real": len(real),
        "n_fake": len(fake),
        "extractor": getattr(extractor, "name", type(extractor).__name__),
        "sha256": getattr(extractor, "sha256", None),
        "weights": "EMA" if ema and gan.G_ema is not None else "raw",
        "seed": gan.seed,
        "step": gan.step,
    }
    if hasattr(extractor, "logits"):
        classes = extractor.logits(fake.to(gan.device)).argmax(1)
        if labels is not None:
            found["accuracy"] = (classes == labels.to(classes.device)).double().mean().item()
        found["classes"] = (classes.bincount(minlength=extractor.logits.out_features) / len(classes)).tolist()
    return found
