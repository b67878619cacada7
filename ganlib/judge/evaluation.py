"""Evaluation: how good G's images are, with all that a reader needs to trust the figures."""

import hashlib
import json
import struct
from importlib.resources import files

import torch

from ..data.images import as_float, as_uint8
from ..game.contract import evaluating
from . import features, metrics

REFERENCE = (
    "mnist-features.safetensors",
    "dbfb8900e4fbe61310d10a2a399a56990d77888294c6e3b6cc6a29a4feb1cba5",
)  # made by tools/make_reference.py
BETTER = {"frechet_distance": "lower", "kid": "lower", "precision": "higher", "recall": "higher", "density": "near 1",
          "coverage": "higher", "inception_score": "higher", "class_kl": "lower", "class_diversity": "near 1",
          "accuracy": "higher", "cross_entropy": "lower", "memorised": "near 0.5"}  # fmt: skip


class Evaluation(dict):
    """What `evaluate` found; prints as a table."""

    def __str__(self):
        weights = f"{self['weights']} weights, step {self['step']:,}, seed {self['seed']}"
        sha256 = f", SHA-256 {self['sha256'][:12]}" if self["sha256"] else ""
        lines = [f"{self['n_fake']:,} fakes ({weights}) and {self['n_real']:,} real images of {self['reference']}",
                 f"features: {self['extractor']}{sha256}", "",
                 f"{'':18}{'G':>9}  {'95 % interval':>18}{'real images':>13}  best"]  # fmt: skip
        for name in BETTER:
            if name in self:
                low, high = (
                    (f"{x:.4g}" for x in self["intervals"].get(name, ())) if name in self["intervals"] else ("", "")
                )
                between = f"{low} to {high}" if low else "-"
                floor = self["floors"].get(name)
                floor = "-" if floor is None else f"{floor:.4g}"
                lines.append(f"{name:18}{self[name]:>9.4g}  {between:>18}{floor:>13}  {BETTER[name]}")
        if "classes" in self:
            lines += [
                "",
                "share of each class among the fakes: " + " ".join(f"{share:.3f}" for share in self["classes"]),
            ]
        return "\n".join(lines)


@torch.no_grad()
def evaluate(gan, data, n=None, extractor=None, ema=True, held_out=None, quiet=False):
    """Judge `n` fakes of G against `n` real images; returns an `Evaluation`, a dict, and prints it as one table.

    The real images are those of `held_out`, an `Images` that G was not trained on; for data named "digits" and "mnist"
    MNIST's 10,000 test digits, whose features ship with ganlib; else a half of `data`. `n` is 10,000 by default, or as
    many as there are. `extractor` maps images to features `(N, d)`: a module of yours, or the name of one in
    `features`; by default the digit classifier, which is refused for other data than digits.

    Figures, with paper and definition in `metrics`: `frechet_distance`, `kid`, `precision`, `recall`, `density`,
    `coverage`; with an extractor that has `logits`, a classifier, `inception_score` (of digits the 'MNIST score'),
    `class_kl` (of the fakes' classes from the real ones', nats), `class_diversity` (within a class, in units of the
    real one, mean over the classes), `classes` (their shares), and of a conditional G `accuracy` and `cross_entropy` of
    the classes that it was asked for; where there are held-out images `memorised`, the share of fakes that are nearer
    to the training images (10,000 of them at most) than to as many held-out ones.
    `floors` are the same figures of other real images in the fakes' place: what a perfect G would have; `floor` is that
    of the distance. `intervals` are value +- 1.96 standard errors: of 50 bootstrap samples, of KID's subsets, or of a
    mean over n; `class_diversity` has none. Beside them `n_real`, `n_fake`, `reference`, `extractor`, `sha256`,
    `weights` ("EMA" or "raw"), `seed`, `step`. Fakes are rounded to 8 bits, as a file would hold them. Nets and random
    generators stay as they were.

    Raises ValueError for fewer than 128 images, more than there are, a conditional G and data without labels, and
    an extractor that is not fit for the data.
    """
    extractor, shipped, n = _plan(gan, data, n, extractor, held_out)
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0)).to(data.images.device)
    train = _seen(extractor, data, order[: 10_000 if shipped or held_out is not None else 2 * n], gan.device)
    if shipped:
        stored = reference(extractor.sha256)
        real, others, of = stored["test"][:n], stored["train"][:n], "MNIST's test digits"
        unseen = stored["test"]
    elif held_out is not None:
        first = torch.arange(min(10_000, len(held_out)), device=held_out.images.device)
        unseen = _seen(extractor, held_out, first, gan.device)
        real, others = unseen[:n], train[:n] if len(train) >= n else None
        of = f"{held_out.name!r}, held out"
    else:
        real, others, of, unseen = train[:n], train[n : 2 * n], repr(data.name), None
    labels = data.labels[order.repeat(-(-n // len(data)))[:n]].to(gan.device) if gan.classes else None

    def fakes(part):
        asked = None if labels is None else labels[part]
        return as_float(as_uint8(gan.sample(len(part), asked, stream=f"evaluation/{part[0]}", ema=ema)))

    fake = torch.cat([_read(extractor, fakes(part)) for part in torch.arange(n).split(1000)])
    found, intervals = _figures(extractor, real, fake, labels)
    found = Evaluation(found, floors={}, intervals=intervals | _intervals(extractor, real, fake, found))
    if others is not None:
        sha256 = getattr(extractor, "sha256", None)
        key = (sha256, n, of) if sha256 and held_out is None else object()  # else never known again
        floors = _known(data, key, lambda: _figures(extractor, real, others, None)[0])
        found["floors"] = {name: value for name, value in floors.items() if name != "classes"}
    if unseen is not None:
        size = min(len(train), len(unseen))
        found["memorised"] = share = metrics.memorisation(fake, train[:size], unseen[:size]).share
        found["floors"]["memorised"] = 0.5
        found["intervals"]["memorised"] = _around(share, (share * (1 - share) / n) ** 0.5)
    found["floor"] = found["floors"].get("frechet_distance")
    if "inception_score" in found["floors"]:
        found["real_inception_score"] = found["floors"]["inception_score"]  # the real images' line in `curves`
    found |= {
        "n_real": n,
        "n_fake": n,
        "reference": of,
        "extractor": getattr(extractor, "name", type(extractor).__name__),
        "sha256": getattr(extractor, "sha256", None),
        "weights": "EMA" if ema and gan.G_ema is not None else "raw",
        "seed": gan.seed,
        "step": gan.step,
    }
    if not quiet:
        print(found)
    return found


def quick(gan, data):
    """`evaluate` as `train` does it: at most 2,000 fakes, and nothing is printed."""
    return evaluate(gan, data, min(2000, _plan(gan, data, None, None, None)[2]), quiet=True)


quick.check = lambda gan, data: _plan(gan, data, None, None, None)  # what is wrong is said before a run begins


def _plan(gan, data, n, extractor, held_out):
    """The extractor, whether MNIST's shipped features are the reals, and n; ValueError where these do not fit."""
    if gan.classes and data.labels is None:
        raise ValueError(f"G is conditional on {gan.classes} classes, and {data.name!r} has no labels to ask it for")
    extractor, shipped = _reader(extractor, data, gan.device)
    shipped = shipped and held_out is None
    there = 10_000 if shipped else len(data) // 2 if held_out is None else len(held_out)
    half = ", and one half of them is for the floor" if held_out is None and not shipped else ""
    if n is not None and n > there:
        raise ValueError(f"n={n} was given, and there are {there} real images to compare with: {data.name!r} has "
                         f"{len(data)}{half}")  # fmt: skip
    n = min(10_000, there) if n is None else n
    if n < 128:
        raise ValueError(f"n={n}: at least 128 images are needed on each side, 10,000 are usual{half}")
    return extractor, shipped, n


def reference(extractor):
    """Return the shipped features of MNIST, "train" and "test" `(10_000, 64)`, for the classifier of this SHA-256.

    Raises ValueError for another classifier than the one that made them, OSError where the file is corrupt.
    """
    from safetensors.torch import load

    name, expected = REFERENCE
    packed = (files("ganlib") / "assets" / name).read_bytes()
    if (found := hashlib.sha256(packed).hexdigest()) != expected:
        raise OSError(f"ganlib/assets/{name} is corrupt: its SHA-256 is {found}, {expected} is expected; "
                      "install ganlib again")  # fmt: skip
    header = json.loads(packed[8 : 8 + struct.unpack("<Q", packed[:8])[0]])
    if (maker := header["__metadata__"]["extractor"]) != extractor:
        raise ValueError(f"the stored features of MNIST were made by the extractor {maker[:12]}, the fakes are read by "
                         f"{extractor[:12]}: their features cannot be compared; use the shipped digit classifier, or "
                         "give held_out=")  # fmt: skip
    return {split: values.float() for split, values in load(packed).items()}


def _reader(extractor, data, device):
    """The extractor, and whether MNIST's shipped features go with it and with the data."""
    fits = data.name in features.DigitClassifier.fits
    if extractor is None and not fits:
        raise ValueError(
            f"{data.name!r} is neither of {' and '.join(map(repr, features.DigitClassifier.fits))}, and the digit "
            'classifier says nothing about other images. Give extractor="efficientnet-lite0" for colour photographs, '
            'features.train_classifier(data) for data with labels, a module of your own, or "digits" if they are digits'
        )
    if extractor is None or isinstance(extractor, str):
        extractor = features.extractor(extractor or "digits", device)
    return extractor, fits and isinstance(extractor, features.DigitClassifier)


def _known(data, key, make):
    """What `make()` returned for these data and this key the first time: real images do not change."""
    if key not in data._features:
        if len(data._features) > 8:
            data._features.clear()
        data._features[key] = make()
    return data._features[key]


def _seen(extractor, data, index, device):
    """The features of the real images at `index`, kept with the data where the extractor has a hash to know it by."""

    def make():
        return torch.cat([_read(extractor, data.floats(part, device)) for part in index.split(1000)])

    sha256 = getattr(extractor, "sha256", None)
    return make() if sha256 is None else _known(data, (sha256, len(index), *index[:4].tolist()), make)


def _read(extractor, images):
    modules = [extractor] if isinstance(extractor, torch.nn.Module) else []
    with evaluating(*modules):
        return features.extract(extractor, images.to(_place(extractor, images.device)))


def _logits(extractor, x):
    modules = [extractor] if isinstance(extractor, torch.nn.Module) else []
    with evaluating(*modules):
        return extractor.logits(x.to(_place(extractor, x.device))).cpu()


def _place(extractor, otherwise):
    """The device of an extractor's weights, where it has some."""
    weights = extractor.parameters() if isinstance(extractor, torch.nn.Module) else iter(())
    return next((weight.device for weight in weights), otherwise)


def _figures(extractor, real, fake, labels):
    kid = metrics.kid(real, fake, size=min(1000, len(real) // 2))
    found = {"frechet_distance": metrics.frechet_distance(real, fake), "kid": kid.value}
    found |= metrics.manifold(real, fake)._asdict()
    intervals = {"kid": _around(kid.value, kid.error), "density": _around(found["density"], found.pop("density_error"))}
    if hasattr(extractor, "logits"):
        ours, theirs = _logits(extractor, fake), _logits(extractor, real)
        classes, expected = ours.argmax(1), theirs.argmax(1)
        share = metrics.class_histogram(expected, theirs.shape[1]).shares
        found["inception_score"] = metrics.inception_score(ours)
        found["classes"] = metrics.class_histogram(classes, ours.shape[1]).shares
        if all(share[c] for c in classes.unique()):
            found["class_kl"] = metrics.class_histogram(classes, ours.shape[1], share).kl
            enough = expected.bincount(minlength=theirs.shape[1])[classes] > 1
            apart = metrics.class_diversity(fake[enough], classes[enough], real, expected) if enough.any() else []
            if apart := [x for x in apart if x is not None]:
                found["class_diversity"] = sum(apart) / len(apart)
        if labels is not None:
            found["accuracy"] = (classes == labels.cpu()).double().mean().item()
            found["cross_entropy"] = metrics.cross_entropy(ours, labels.cpu())
            spread = torch.nn.functional.cross_entropy(ours.double(), labels.cpu(), reduction="none").std().item()
            intervals["cross_entropy"] = _around(found["cross_entropy"], spread / len(fake) ** 0.5)
    return found, intervals


def _around(value, error):
    return value - 1.96 * error, value + 1.96 * error


def _intervals(extractor, real, fake, found):
    """Value +- 1.96 standard errors. A bootstrap's own mean is shifted by its copies: only its spread is used."""
    n, intervals = len(fake), {}
    for name in ("precision", "recall", "coverage", "accuracy"):
        if name in found:
            intervals[name] = _around(found[name], (found[name] * (1 - found[name]) / n) ** 0.5)
    again, draws = [], torch.Generator().manual_seed(0)
    logits = _logits(extractor, fake) if hasattr(extractor, "logits") else None
    if "class_kl" in found:
        theirs = _logits(extractor, real)
        shares = metrics.class_histogram(theirs.argmax(1), theirs.shape[1]).shares
    for _ in range(50 if real.shape[1] <= 256 else 0):  # wider ones take minutes
        a, b = (torch.randint(n, (n,), generator=draws) for _ in range(2))
        again.append([metrics.frechet_distance(real[a], fake[b])])
        if logits is not None:
            again[-1].append(metrics.inception_score(logits[b]))
            if "class_kl" in found:
                again[-1].append(metrics.class_histogram(logits[b].argmax(1), logits.shape[1], shares).kl)
    for i, name in enumerate(("frechet_distance", "inception_score", "class_kl")):
        if again and name in found:
            intervals[name] = _around(found[name], torch.tensor([row[i] for row in again]).std().item())
    return intervals
