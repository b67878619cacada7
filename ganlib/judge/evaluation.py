"""Evaluation: measures how good G's images are.

Users call `evaluate`; `train(evaluate_every=...)` uses `Judge`. Beside the metrics it reports what
a reader needs to trust them. A new metric is a row in figures.py, and needs no change here.
"""

import torch

from ..data.images import as_float, as_uint8
from ..game.contract import evaluating
from ..machine.choices import whole
from ..machine.progress import say
from ..machine.randomness import some_of
from . import features
from .figures import FIGURES, Seen, bootstrap

SAMPLES = 50  # bootstrap samples per interval


class Evaluation(dict):
    """What `evaluate` measured, as a dict; it prints as a table."""

    def __str__(self):
        weights = f"{self['weights']} weights, step {self['step']:,}, seed {self['seed']}"
        sha256 = f", SHA-256 {self['sha256'][:12]}" if self["sha256"] else ""
        lines = [
            f"{self['n_fake']:,} fakes ({weights}) and {self['n_real']:,} real images of "
            f"{self['reference']}",
            f"features: {self['extractor']}{sha256}",
            "",
            f"{'':18}{'G':>9}  {'95 % interval':>18}{'real images':>13}  best",
        ]
        for name, figure in FIGURES.items():
            if name in self:
                interval = self["intervals"].get(name)
                between = "-" if interval is None else " to ".join(f"{x:.4g}" for x in interval)
                floor = self["floors"].get(name)
                floor = "-" if floor is None else f"{floor:.4g}"
                best = figure.better
                best = best if isinstance(best, str) else f"near {best:g}"
                lines.append(f"{name:18}{self[name]:>9.4g}  {between:>18}{floor:>13}  {best}")
        if "classes" in self:
            shares = " ".join(f"{share:.3f}" for share in self["classes"])
            lines += ["", f"share of each class among the fakes: {shares}"]
        return "\n".join(lines)


@torch.no_grad()
def evaluate(gan, data, n=None, extractor=None, ema=True, held_out=None, quiet=False):
    """Compare `n` fakes of G with `n` real images; print and return an `Evaluation`, a dict.

    data: the images that G was trained on, an `Images`.
    n: by default 10,000, or as many as there are real images to compare with; at least 128.
    extractor: a module that maps images to features `(N, d)`, or the name of one in `features`. The
        default is the digit classifier; data other than digits need another one.
    ema: whether the fakes come from the average of G's weights, if there is one.
    held_out: real images to compare with that G was not trained on, an `Images`. Without them,
        "digits" and "mnist", as `load` returns them and read by the digit classifier, are compared
        with MNIST's 10,000 test digits, whose features ship with ganlib. Other `data` are halved:
        one half is compared with the fakes, one gives the floors.
    quiet: True prints nothing.

    Metrics, defined in `metrics` with their papers: `frechet_distance`, `kid`, `precision`,
    `recall`, `density`, `coverage`. If the extractor is a classifier (it has `logits`):
    `inception_score` (for digits, the 'MNIST score'), `class_kl` (KL divergence of the fakes'
    classes from the real ones', in nats), `class_diversity` (diversity of the fakes of a class over
    that of its real images, mean over the classes), `classes` (the share of each class among the
    fakes); for a conditional G also `accuracy` and `cross_entropy` of the classifier for the labels
    that G was given. If there are held-out images or test digits: `memorised`, the share of fakes
    that are nearer to one of the training images (10,000 at most) than to one of as many held-out
    ones.

    `floors` has the same metrics for other real images in place of the fakes: what a perfect G
    would get; `floor` is that of the Frechet distance. `intervals` are value +- 1.96 standard
    errors: over 50 bootstrap samples (for features of at most 256 values), over KID's subsets, or
    of a mean over n; `class_diversity` has none. Other keys: `n_real`, `n_fake`, `reference` (the
    real images), `extractor`, `sha256` (of its weights), `weights` ("EMA" or "raw"), `seed`,
    `step`. Fakes are rounded to 8 bits, as in an image file. Nets and random generators are left as
    they were.

    Raises ValueError for n below 128 or above the number of real images, for a conditional G and
    data without labels, for a run of several GANs, for data that are not images, and for data that
    the default extractor is not fit for.
    """
    extractor, shipped, n = _plan(gan, data, n, extractor, held_out)
    order = some_of(len(data)).to(data.images.device)
    most = 10_000 if shipped or held_out is not None else 2 * n
    train = _seen(extractor, data, order[:most], gan.device)
    if shipped:
        stored = features.reference(extractor.sha256)
        real, others, reference = stored["test"][:n], stored["train"][:n], "MNIST's test digits"
        unseen = stored["test"]
    elif held_out is not None:
        first = torch.arange(min(10_000, len(held_out)), device=held_out.images.device)
        unseen = _seen(extractor, held_out, first, gan.device)
        real, others = unseen[:n], train[:n] if len(train) >= n else None
        reference = f"{held_out.name!r}, held out"
    else:
        real, others, reference, unseen = train[:n], train[n : 2 * n], repr(data.name), None
    places = order.repeat(-(-n // len(data)))[:n]
    labels = data.labels[places].to(gan.device) if gan.classes else None

    def fakes(part):
        classes = None if labels is None else labels[part]
        images = gan.sample(len(part), classes, stream=f"evaluation/{part[0]}", ema=ema)
        return _read(extractor, as_float(as_uint8(images)))

    logits = (lambda x: _logits(extractor, x)) if hasattr(extractor, "logits") else None
    features_of_fakes = torch.cat([fakes(part) for part in torch.arange(n).split(1000)])
    seen = Seen(real, features_of_fakes, logits, None if labels is None else labels.cpu())
    if unseen is not None:
        size = min(len(train), len(unseen))
        seen.train, seen.unseen = train[:size], unseen[:size]
    evaluation = Evaluation(_figures(seen))
    if seen.classes:
        evaluation["classes"] = seen.classes[0].shares
    evaluation["intervals"] = _intervals(seen, evaluation)
    evaluation["floors"] = {}
    if others is not None:
        sha256 = getattr(extractor, "sha256", None)
        key = (sha256, n, reference) if sha256 and held_out is None else None
        evaluation["floors"] = dict(_known(data, key, lambda: _figures(Seen(real, others, logits))))
    for name, figure in FIGURES.items():
        if figure.floor is not None and name in evaluation:
            evaluation["floors"][name] = figure.floor
        # `curves` draws these lines of real images
        if figure.line and (figure.line == "floor" or name in evaluation["floors"]):
            evaluation[figure.line] = evaluation["floors"].get(name)
    evaluation |= {
        "n_real": n,
        "n_fake": n,
        "reference": reference,
        "extractor": getattr(extractor, "name", type(extractor).__name__),
        "sha256": getattr(extractor, "sha256", None),
        "weights": "EMA" if ema and gan.G_ema is not None else "raw",
        "seed": gan.seed,
        "step": gan.step,
    }
    if not quiet:
        say(evaluation)
    return evaluation


def quick(gan, data):
    """Call `evaluate` as `train` does by default: with at most 2,000 fakes, and without a table."""
    return evaluate(gan, data, min(2000, _plan(gan, data, None, None, None)[2]), quiet=True)


quick.check = lambda gan, data: _plan(gan, data, None, None, None)  # raises before a run begins


class Judge:
    """A watcher that adds `evaluate(gan, data)`, a dict, to the history at every `every`-th step.

    Its float values are added to the row of that step. `evaluate` is `quick` by default, with at
    most 2,000 fakes. Raises ValueError at once if that cannot work with these nets and data.
    """

    def __init__(self, gan, data, every, evaluate=None):
        if evaluate is None:
            quick.check(gan, data)
        self.gan, self.data, self.every, self.evaluate = gan, data, every, evaluate or quick

    def update(self, now):
        """Evaluate if that is due and the history has a row for this step: then all is finite."""
        if now.reason is None and now.stats and now.every(self.every) and now.recorded:
            for name, value in self.evaluate(self.gan, self.data).items():
                value = value.item() if hasattr(value, "item") else value
                if isinstance(value, float):
                    now.history[-1][name] = value

    def close(self, now):
        """Do nothing: the results are already in the history."""


def _plan(gan, data, n, extractor, held_out):
    """Return the extractor, whether the real images are MNIST's shipped features, and n.

    Raises ValueError if these do not fit the run and the data.
    """
    if list(gan.gans) != [""]:
        raise ValueError(
            f"this run has several GANs ({', '.join(gan.gans)}); judge each on its own data: "
            "evaluate(run.gans[...], data.sets[...])"
        )
    if len(data.shape) != 3:
        raise ValueError(
            f"{data.name!r} holds {data.shape} each; images (C, H, W) are what an extractor reads: "
            "give train an evaluate of your own for others"
        )
    if gan.classes and data.labels is None:
        raise ValueError(
            f"G is conditional on {gan.classes} classes, and {data.name!r} has no labels for it"
        )
    extractor, shipped = _reader(extractor, data, gan.device)
    shipped = shipped and held_out is None
    available = 10_000 if shipped else len(data) // 2 if held_out is None else len(held_out)
    half = ", and one half of them is for the floor" if held_out is None and not shipped else ""
    n = None if n is None else whole("n", n)
    if n is not None and n > available:
        raise ValueError(
            f"n={n} was given, and there are {available} real images to compare with: "
            f"{data.name!r} has {len(data)}{half}"
        )
    n = min(10_000, available) if n is None else n
    if n < 128:
        raise ValueError(f"n={n}: at least 128 images a side are needed, 10,000 are usual{half}")
    return extractor, shipped, n


def _reader(extractor, data, device):
    """Return the extractor, and whether MNIST's shipped features fit both it and the data."""
    fits = data.known in features.DigitClassifier.fits
    if extractor is None and not fits:
        known = " and ".join(map(repr, features.DigitClassifier.fits))
        raise ValueError(
            f"{data.name!r} is neither of {known} as `load` brings them, and the digit classifier "
            'says nothing about other images. Give extractor="efficientnet-lite0" for colour '
            "photographs, features.train_classifier(data) for data with labels, a module of your "
            'own, or "digits" if they are digits'
        )
    if extractor is None or isinstance(extractor, str):
        extractor = features.extractor(extractor or "digits", device)
    return extractor, fits and isinstance(extractor, features.DigitClassifier)


def _known(data, key, make):
    """Return `make()`, cached with `data` under `key` (unless it is None): reals never change."""
    if key is None:
        return make()
    if key not in data._features:
        if len(data._features) > 8:
            data._features.clear()
        data._features[key] = make()
    return data._features[key]


def _seen(extractor, data, index, device):
    """Return the features of the real images at `index`, cached if the extractor has a hash."""

    def make():
        images = (data.floats(part, device) for part in index.split(1000))
        return torch.cat([_read(extractor, part) for part in images])

    sha256 = getattr(extractor, "sha256", None)
    return _known(data, sha256 and (sha256, len(index), *index[:4].tolist()), make)


def _read(extractor, images):
    """Return the features of images on any device, with the extractor in evaluation mode."""
    modules = [extractor] if isinstance(extractor, torch.nn.Module) else []
    with evaluating(*modules):
        return features.extract(extractor, images.to(_place(extractor, images.device)))


def _logits(extractor, x):
    """Return the logits, on the CPU, of features `x`, with the extractor in evaluation mode."""
    modules = [extractor] if isinstance(extractor, torch.nn.Module) else []
    with evaluating(*modules):
        return extractor.logits(x.to(_place(extractor, x.device))).cpu()


def _place(extractor, otherwise):
    """Return the device of the extractor's weights, or `otherwise` if it has none."""
    weights = extractor.parameters() if isinstance(extractor, torch.nn.Module) else iter(())
    return next((weight.device for weight in weights), otherwise)


def _figures(seen):
    """Return the value of each metric that can be measured on `seen`."""
    values = {name: figure.measure(seen) for name, figure in FIGURES.items()}
    return {name: value for name, value in values.items() if value is not None}


def _intervals(seen, metrics):
    """Return `{name: (low, high)}`, value +- 1.96 standard errors, for metrics that have an error.

    The samples of a bootstrap hold copies, which shift their mean: only their spread is used.
    """
    errors, n, draws = {}, len(seen.fake), torch.Generator().manual_seed(0)
    names = [name for name in FIGURES if FIGURES[name].error is bootstrap and name in metrics]
    values = []
    # wider features would take minutes
    for _ in range(SAMPLES if seen.real.shape[1] <= 256 else 0):
        sample = seen.resampled(*(torch.randint(n, (n,), generator=draws) for _ in range(2)))
        values.append([FIGURES[name].measure(sample) for name in names])
    if values:
        errors = dict(zip(names, torch.tensor(values).std(0).tolist(), strict=True))
    for name, figure in FIGURES.items():
        if name in metrics and figure.error not in (None, bootstrap):
            errors[name] = figure.error(seen, metrics[name])
    return {
        name: (metrics[name] - 1.96 * error, metrics[name] + 1.96 * error)
        for name, error in errors.items()
        if error is not None
    }
