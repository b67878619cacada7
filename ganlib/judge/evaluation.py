"""Evaluation: measures how good G's images are.

Users call `evaluate`; `train(evaluate_every=...)` uses `Judge`. Beside the metrics it reports what
a reader needs to trust them. A new metric is a row in figures.py, and needs no change here.
"""

import torch

from ..data.images import as_float, as_uint8
from ..data.raw.kinds import data_set
from ..machine.progress import say
from ..machine.randomness import some_of
from . import features
from .extractors import Pixels
from .features import as_bytes, cached, logits_of, of_set, read
from .figures import FIGURES, Seen, bootstrap
from .plan import HALVED, TRAIN, check, plan

SAMPLES = 50  # bootstrap samples per interval


class Evaluation(dict):
    """What `evaluate` measured, as a dict; it prints as a table."""

    def __str__(self):
        weights = f"{self['weights']} weights, step {self['step']:,}, seed {self['seed']}"
        sha256 = f", SHA-256 {self['sha256'][:12]}" if self["sha256"] else ""
        if "strength" in self:
            weights += f", noise drawn to training images by {self['strength']:g}"
        lines = [
            f"{self['n_fake']:,} fakes ({weights}) and {self['n_real']:,} real images of "
            f"{self['reference']}",
            f"features: {self['extractor']}{sha256}",
            *_choices(self["missing"], self["chosen"]),
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

    data: the images that G was trained on, an `Images`, of any size, number and kind.
    n: by default 10,000, or as many as there are real images to compare with.
    extractor: a module that maps images to features `(N, d)`, or the name of one in `features`. By
        default it is chosen: the digit classifier for "digits" and "mnist", as `load` returns them;
        for other images of 1 or 3 channels and at least 16 pixels a side "efficientnet-lite0" (20
        to 100 images a second on a core), if its packages are installed; else "pixels".
    ema: whether the fakes come from the average of G's weights, if there is one.
    held_out: real images to compare with that G was not trained on, an `Images`. Without them,
        digits, read by the digit classifier, are compared with MNIST's 10,000 test digits, whose
        features ship with ganlib. Other `data` are halved: one half is compared with the fakes, one
        gives the floors. Fewer than 256 are compared as a whole, without floors.
    quiet: True prints nothing.

    Metrics, defined in `metrics` with their papers: `frechet_distance`, `sliced_wasserstein` (of
    1,000 images at most, fewer above 128 pixels; times 1,000, the mean over its levels; without
    `held_out`, digits too are compared with a half of the data), `kid`, `precision`, `recall`,
    `density`, `coverage`, and `copied`: the share of fakes that lie less than half as far from a
    training image (the first `n_train` of a random order, 10,000 at most) as that one's nearest
    neighbour does. It is measured in the colours of "pixels", whatever the extractor: for a net, a
    little noise can make a copy another image. If the extractor is a classifier (it has `logits`):
    `inception_score` (for digits, the 'MNIST score'), `class_kl` (KL divergence of the fakes'
    classes from the real ones', in nats), `class_diversity` (diversity of the fakes of a class over
    that of its real images, mean over the classes), `classes` (the share of each class among the
    fakes); for a conditional G also `accuracy` and `cross_entropy` of the classifier for the labels
    that G was given. If there are held-out images or test digits: `memorised`, the share of fakes
    that are nearer to one of the training images (10,000 at most) than to one of as many held-out
    ones.

    `missing` says why a metric has no value: `{name: reason}`. Distances between distributions need
    128 images a side, KID and `memorised` 20, those that ask for neighbours 12, all others 2.
    `floors` has the same metrics for other real images in place of the fakes: what a perfect G
    would get; `floor` is that of the Frechet distance. `intervals` are value +- 1.96 standard
    errors: over 50 bootstrap samples (for features of at most 256 values), over KID's subsets, or
    of a mean over n; `class_diversity` and `sliced_wasserstein` have none. Other keys: `n_real`,
    `n_fake`, `n_train`, `reference` (the real images), `extractor`, `chosen` (why that one),
    `sha256` (of its weights), `weights` ("EMA" or "raw"), `seed`, `step`; `strength`, if G draws
    its noise to training images, see `lab.draw_to`. Fakes are rounded to 8 bits, as in an image
    file. Nets and random generators are left as they were.

    Raises ValueError for n above the number of real images, for a conditional G and data without
    labels, for a run of several GANs, and for data that are neither images nor clips; and what
    `features.extractor` raises, where EfficientNet-Lite0 is installed and broken, too.
    """
    data_set(data)
    settled = settle(gan, data, n, extractor, held_out)
    extractor, n, m = settled.extractor, settled.n, settled.pictures
    order = some_of(len(data)).to(data.images.device)
    most = 2 * n if held_out is None and not settled.shipped else 10_000
    train = of_set(extractor, data, order[:most], gan.device)
    colours = of_set(Pixels(), data, order[:TRAIN], gan.device)
    pictures, other_pictures = as_bytes(data, order[:m]), as_bytes(data, order[m : 2 * m])
    unseen = None
    if settled.shipped:
        stored = features.reference(extractor.sha256)
        real, others, reference = stored["test"][:n], stored["train"][:n], "MNIST's test digits"
        unseen = stored["test"]
    elif held_out is not None:
        first = torch.arange(min(10_000, len(held_out)), device=held_out.images.device)
        unseen = of_set(extractor, held_out, first, gan.device)
        real, others = unseen[:n], train[:n] if len(train) >= n else None
        reference = f"{held_out.name!r}, held out"
        pictures, other_pictures = as_bytes(held_out, first[:m]), pictures
    else:
        real, reference = train[:n], repr(data.name)
        others = train[n : 2 * n] if settled.halved else None
        if not settled.halved:
            reference += f", all of it (below {HALVED} images no half is left for floors)"
    places = order.repeat(-(-n // len(data)))[:n]
    labels = data.labels[places].to(gan.device) if gan.classes else None
    shown, painted = [], []

    def fakes(start):
        size = min(1000, n - start)
        classes = None if labels is None else labels[start : start + size]
        images = as_uint8(gan.sample(size, classes, stream=f"evaluation/{start}", ema=ema))
        shown.append(images[: max(0, m - start)].cpu())
        painted.append(read(Pixels(), as_float(images)))
        return read(extractor, as_float(images))

    logits = (lambda x: logits_of(extractor, x)) if hasattr(extractor, "logits") else None
    features_of_fakes = torch.cat([fakes(start) for start in range(0, n, 1000)])
    labels = None if labels is None else labels.cpu()
    images, both = (pictures, torch.cat(shown)), (torch.cat(painted), colours)
    seen = Seen(real, features_of_fakes, logits, labels, train, unseen, images, both)
    figures, missing = _figures(seen)
    evaluation = Evaluation(figures)
    if seen.logits is not None:
        evaluation["classes"] = seen.classes[0].shares
    evaluation["intervals"] = _intervals(seen, evaluation)

    def floors():
        """Measure other real images in place of the fakes; `copied` between two halves."""
        images = (pictures, other_pictures) if len(other_pictures) == m else None
        half = len(colours) // 2
        both = (colours[half:], colours[:half]) if len(data) >= HALVED else None
        return _figures(Seen(real, others, logits, images=images, colours=both))[0]

    evaluation["floors"] = {}
    if others is not None:
        sha256 = getattr(extractor, "sha256", None)
        key = (sha256, n, reference) if sha256 and held_out is None else None
        evaluation["floors"] = dict(cached(data, key, floors))
    for name, figure in FIGURES.items():
        if figure.floor is not None and name in evaluation:
            evaluation["floors"][name] = figure.floor
        # `curves` draws these lines of real images
        if figure.line and (figure.line == "floor" or name in evaluation["floors"]):
            evaluation[figure.line] = evaluation["floors"].get(name)
    evaluation |= {
        "missing": missing,
        "n_real": n,
        "n_fake": n,
        "n_train": len(colours),
        "reference": reference,
        "extractor": getattr(extractor, "name", type(extractor).__name__),
        "chosen": settled.chosen,
        "sha256": getattr(extractor, "sha256", None),
        "weights": "EMA" if ema and gan.G_ema is not None else "raw",
        "seed": gan.seed,
        "step": gan.step,
    }
    attraction = getattr(gan.G, "attraction", None)
    if attraction is not None and attraction.filled:
        evaluation["strength"] = round(attraction.strength.item(), 6)
    if not quiet:
        say(evaluation)
    return evaluation


def settle(gan, data, n=None, extractor=None, held_out=None):
    """Return the `Plan` of an evaluation with these arguments; it raises what `evaluate` raises."""
    check(gan, data)
    return plan(data, n, held_out, *features.choose(data, extractor, gan.device))


def quick(gan, data):
    """Call `evaluate` as `train` does by default: without a table, and with at most 2,000 fakes, or
    500 where EfficientNet-Lite0 reads them, which takes 5 to 25 seconds on a core; the real
    images, twice as many, are read at the first call only.
    """
    settled = settle(gan, data)
    n = min(500 if getattr(settled.extractor, "slow", False) else 2000, settled.n)
    result = evaluate(gan, data, n, settled.extractor, quiet=True)
    result["chosen"] = settled.chosen
    return result


class Judge:
    """A watcher that adds `evaluate(gan, data)`, a dict, to the history at every `every`-th step.

    Its float values are added to the row of that step. `evaluate` is `quick` by default; then a
    line says what it chose for data other than digits, and which figures are missing. Raises
    ValueError at once if that cannot work with these nets and data, or if a figure that the run
    `needs` is among the missing ones.
    """

    def __init__(self, gan, data, every, evaluate=None, needs=()):
        self.gan, self.data, self.every, self.evaluate = gan, data, every, evaluate or quick
        if evaluate is not None:
            return
        settled = settle(gan, data)
        for name in needs:
            if name in settled.missing:
                raise ValueError(
                    f"until waits for {name!r}, and evaluations of {data.name!r} leave it out: "
                    f"{settled.missing[name]}; there are "
                    f"{', '.join(name for name in FIGURES if name not in settled.missing)}"
                )
        if not settled.shipped:
            say(f"evaluations read {data.name!r} with {settled.extractor.name}")
            say("\n".join(_choices(settled.missing, settled.chosen)))

    def update(self, now):
        """Evaluate if that is due and the history has a row for this step: then all is finite."""
        if now.reason is None and now.stats and now.every(self.every) and now.recorded:
            found = self.evaluate(self.gan, self.data)
            if not isinstance(found, dict):
                raise ValueError(f"evaluate returned {found!r}; a dict of figures is expected")
            for name, value in found.items():
                value = value.item() if hasattr(value, "item") else value
                if isinstance(value, float) and name in ("step", "images"):
                    raise ValueError(
                        f"evaluate returned {name!r} = {value}, which a row has already; rename it"
                    )
                if isinstance(value, float):
                    now.history[-1][name] = value

    def close(self, now):
        """Do nothing: the results are already in the history."""


def _choices(missing, chosen):
    """Return the lines that say why the extractor was chosen, and what is left out."""
    lines, reasons = [f"chosen: {chosen}"], {}
    for name, reason in missing.items():
        reasons.setdefault(reason, []).append(name)
    return lines + [f"left out: {', '.join(names)} ({reason})" for reason, names in reasons.items()]


def _figures(seen, *names):
    """Return the value of each metric (of `names`, if given) that can be measured on `seen`, and
    why others cannot.
    """
    values = {name: FIGURES[name].value(seen) for name in names or FIGURES}
    known = {name: value for name, value in values.items() if value is not None}
    missing = {name: why for name, why in known.items() if isinstance(why, str)}
    return {name: value for name, value in known.items() if name not in missing}, missing


def _intervals(seen, metrics):
    """Return `{name: (low, high)}`, value +- 1.96 standard errors, for metrics that have an error.

    The samples of a bootstrap hold copies, which shift their mean: only their spread is used.
    """
    errors, n, draws = {}, len(seen.fake), torch.Generator().manual_seed(0)
    names = [name for name in FIGURES if FIGURES[name].error is bootstrap and name in metrics]
    values = []
    # wider features would take minutes
    for _ in range(SAMPLES if names and seen.real.shape[1] <= 256 else 0):
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
