"""Evaluation: how good G's images are, with all that a reader needs to trust the figures."""

import torch

from ..data.images import as_float, as_uint8
from ..game.contract import evaluating
from ..machine.randomness import some_of
from . import features
from .figures import FIGURES, Seen, bootstrap

SAMPLES = 50  # of a bootstrap


class Evaluation(dict):
    """What `evaluate` measured; prints as a table."""

    def __str__(self):
        weights = f"{self['weights']} weights, step {self['step']:,}, seed {self['seed']}"
        sha256 = f", SHA-256 {self['sha256'][:12]}" if self["sha256"] else ""
        lines = [f"{self['n_fake']:,} fakes ({weights}) and {self['n_real']:,} real images of {self['reference']}",
                 f"features: {self['extractor']}{sha256}", "",
                 f"{'':18}{'G':>9}  {'95 % interval':>18}{'real images':>13}  best"]  # fmt: skip
        for name, figure in FIGURES.items():
            if name in self:
                interval = self["intervals"].get(name)
                between = "-" if interval is None else " to ".join(f"{x:.4g}" for x in interval)
                floor = self["floors"].get(name)
                floor = "-" if floor is None else f"{floor:.4g}"
                best = figure.better if isinstance(figure.better, str) else f"near {figure.better:g}"
                lines.append(f"{name:18}{self[name]:>9.4g}  {between:>18}{floor:>13}  {best}")
        if "classes" in self:
            shares = " ".join(f"{share:.3f}" for share in self["classes"])
            lines += ["", f"share of each class among the fakes: {shares}"]
        return "\n".join(lines)


@torch.no_grad()
def evaluate(gan, data, n=None, extractor=None, ema=True, held_out=None, quiet=False):
    """Judge `n` fakes of G against `n` real images; returns an `Evaluation`, a dict, and prints it as one table.

    The real images are those of `held_out`, an `Images` that G was not trained on; for the sets that `load` knows as
    "digits" and "mnist" MNIST's 10,000 test digits, whose features ship with ganlib; else a half of `data`. `n` is
    10,000 by default, or as many as there are. `extractor` maps images to features `(N, d)`: a module of yours, or the
    name of one in `features`; by default the digit classifier, which is refused for other data than digits.

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

    Raises ValueError for fewer than 128 images, more than there are, a conditional G and data without labels, a run of
    several GANs, and an extractor that is not fit for the data.
    """
    extractor, shipped, n = _plan(gan, data, n, extractor, held_out)
    order = some_of(len(data)).to(data.images.device)
    train = _seen(extractor, data, order[: 10_000 if shipped or held_out is not None else 2 * n], gan.device)
    if shipped:
        stored = features.reference(extractor.sha256)
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

    logits = (lambda x: _logits(extractor, x)) if hasattr(extractor, "logits") else None
    seen = Seen(real, torch.cat([_read(extractor, fakes(part)) for part in torch.arange(n).split(1000)]), logits,
                None if labels is None else labels.cpu())  # fmt: skip
    if unseen is not None:
        size = min(len(train), len(unseen))
        seen.train, seen.unseen = train[:size], unseen[:size]
    found = Evaluation(_figures(seen))
    if seen.classes:
        found["classes"] = seen.classes[0].shares
    found["intervals"] = _intervals(seen, found)
    found["floors"] = {}
    if others is not None:
        sha256 = getattr(extractor, "sha256", None)
        key = (sha256, n, of) if sha256 and held_out is None else None
        found["floors"] = dict(_known(data, key, lambda: _figures(Seen(real, others, logits))))
    for name, figure in FIGURES.items():
        if figure.floor is not None and name in found:
            found["floors"][name] = figure.floor
        if figure.line and (figure.line == "floor" or name in found["floors"]):  # the real images' line in `curves`
            found[figure.line] = found["floors"].get(name)
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


class Judge:
    """Adds the figures of `evaluate(gan, data)`, a dict, to the history's row of every `every`-th step.

    By default `quick` judges, 2,000 fakes at most. Raises ValueError at once where that cannot work.
    """

    def __init__(self, gan, data, every, evaluate=None):
        if evaluate is None:
            quick.check(gan, data)
        self.gan, self.data, self.every, self.evaluate = gan, data, every, evaluate or quick

    def update(self, now):
        """Evaluate, at the steps that are due and whose figures are finite."""
        if now.reason is None and now.stats and now.every(self.every) and now.recorded:
            figures = self.evaluate(self.gan, self.data).items()
            figures = {name: value.item() if hasattr(value, "item") else value for name, value in figures}
            now.history[-1] |= {name: value for name, value in figures.items() if isinstance(value, float)}

    def close(self, now):
        """Nothing is left to do: each row has its figures."""


def _plan(gan, data, n, extractor, held_out):
    """The extractor, whether MNIST's shipped features are the reals, and n; ValueError where these do not fit."""
    if list(gan.gans) != [""]:
        raise ValueError(f"this run has several GANs ({', '.join(gan.gans)}); judge each on its own data: "
                         "evaluate(run.gans[...], data.sets[...])")  # fmt: skip
    if len(data.shape) != 3:
        raise ValueError(f"{data.name!r} holds {data.shape} each; images (C, H, W) are what an extractor reads: give "
                         "train an evaluate of your own for others")  # fmt: skip
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


def _reader(extractor, data, device):
    """The extractor, and whether MNIST's shipped features go with it and with the data."""
    fits = data.known in features.DigitClassifier.fits
    if extractor is None and not fits:
        raise ValueError(
            f"{data.name!r} is neither of {' and '.join(map(repr, features.DigitClassifier.fits))} as `load` brings "
            'them, and the digit classifier says nothing about other images. Give extractor="efficientnet-lite0" for '
            "colour photographs, features.train_classifier(data) for data with labels, a module of your own, or "
            '"digits" if they are digits'
        )
    if extractor is None or isinstance(extractor, str):
        extractor = features.extractor(extractor or "digits", device)
    return extractor, fits and isinstance(extractor, features.DigitClassifier)


def _known(data, key, make):
    """What `make()` returned for these data and this key the first time: real images do not change. None: no key."""
    if key is None:
        return make()
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
    return _known(data, sha256 and (sha256, len(index), *index[:4].tolist()), make)


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


def _figures(seen):
    """The value of each figure that can be measured."""
    values = {name: figure.measure(seen) for name, figure in FIGURES.items()}
    return {name: value for name, value in values.items() if value is not None}


def _intervals(seen, found):
    """Value +- 1.96 standard errors. A bootstrap's own mean is shifted by its copies: only its spread is used."""
    errors, n, draws = {}, len(seen.fake), torch.Generator().manual_seed(0)
    again = [name for name, figure in FIGURES.items() if figure.error is bootstrap and name in found]
    values = []
    for _ in range(SAMPLES if seen.real.shape[1] <= 256 else 0):  # wider ones take minutes
        sample = seen.resampled(*(torch.randint(n, (n,), generator=draws) for _ in range(2)))
        values.append([FIGURES[name].measure(sample) for name in again])
    if values:
        errors = dict(zip(again, torch.tensor(values).std(0).tolist(), strict=True))
    for name, figure in FIGURES.items():
        if name in found and figure.error not in (None, bootstrap):
            errors[name] = figure.error(seen, found[name])
    return {name: (found[name] - 1.96 * error, found[name] + 1.96 * error)
            for name, error in errors.items() if error is not None}  # fmt: skip
