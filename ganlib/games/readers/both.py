"""The reader of the semantic tie: of two domains, of which only one has labels."""

import copy

import torch
from torch.nn.functional import cross_entropy

from ...judge import features
from ...judge.classifiers import deterministic, ready, shifted
from ...machine.progress import say
from ...machine.randomness import generator
from .shapes import varied

SEEN = 35_000  # images that a reader is taught with, by default
STEPS, SIZE = 450, 48  # and images of each domain in a step
SURE = 0.8


def source_classifier(a, epochs=None, b=None):
    """Return a classifier of the domain `a`: the shipped one for MNIST's digits, else one that is
    trained on the labels of `a` now, in all tones (`retoned`) and through specks (`specked`), half
    a minute at 32 x 32 pixels. Given `b`, the target domain, it then learns to read that, too,
    without labels of it, for as long again (`adapted`). What is trained now is asked about fakes
    in other tones and through specks, too: its attribute `vary`. Raises ValueError where `a` has no
    labels.
    """
    if a.known in features.DigitClassifier.fits:
        return features.digit_classifier(a.images.device)
    if a.labels is None:
        raise ValueError(
            f"a semantic tie needs the labels of the source domain, and {a.name!r} has none: it is "
            'unpaired, not unsupervised; take "cycle" or "contrastive", or give classifier=...'
        )
    epochs = max(2, round(SEEN / len(a))) if epochs is None else epochs
    reader = features.train_classifier(a, epochs=epochs, device=a.images.device, vary=varied)
    reader.vary = varied
    return reader if b is None else adapted(reader, a, b)


def adapted(classifier, a, b, steps=STEPS, seed=0):
    """Return a copy of `classifier` that has learned to read images of the domain `b`, too, without
    any labels of it.

    In each of `steps` steps it reads SIZE images of `a` as their labels say, and as many of `b` as
    it reads them itself where it is sure (a probability of SURE or more), all of them changed
    (`varied`, and shifted) while it reads; what it believes is asked of the unchanged images
    (FixMatch, Sohn et al. 2020). Classes that it believes in too often count less (distribution
    alignment, Berthelot et al. 2020): they are expected in the shares that they have in `a`, as a
    translation expects them, too. The result depends on the arguments and the machine alone. Raises
    ValueError where `a` has no labels.
    """
    if a.labels is None:
        raise ValueError(f"{a.name!r} has no labels, and a reader of two domains learns from them")
    device, size = a.images.device, min(SIZE, len(a), len(b))
    net = copy.deepcopy(classifier).to(device).eval()
    classes = net.logits(net(a.floats(slice(0, 1), device))).shape[1]
    wanted = torch.bincount(a.labels.to(device), minlength=classes).float()
    wanted = wanted / wanted.sum()
    with deterministic():
        _learn(net.requires_grad_(True).train(), a, b, wanted, steps, seed, size, device)
    say(f"the reader of {a.name!r} has seen {b.name!r} too, without labels, for {steps} steps")
    return ready(net, device)


@torch.enable_grad()
def _learn(net, a, b, wanted, steps, seed, size, device):
    believed = wanted.clone()
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, steps)
    for step in range(steps):
        known, new = (data.batches(seed, step, 1, size) for data in (a, b))
        images, labels, others = (x[0].to(device) for x in (known.images, known.labels, new.images))
        with torch.no_grad():
            found = net.logits(net(others)).softmax(1)
            believed.mul_(0.95).add_(found.mean(0), alpha=0.05)
            found = found * (wanted / believed.clamp(min=1e-6))
            sure, said = (found / found.sum(1, keepdim=True)).max(1)
        parts = []
        for name, x, y in (("a", images, labels), ("b", others, said)):
            x = shifted(x, generator("cpu", seed, step, f"shift {name}"))
            x = varied(x, generator("cpu", seed, step, f"vary {name}"))
            parts.append(cross_entropy(net.logits(net(x)), y, reduction="none"))
        loss = parts[0].mean() + (parts[1] * (sure >= SURE)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
