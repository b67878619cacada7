"""The doctor: says in plain words what a run's history shows, with evidence and advice.

A new diagnosis is a title in `TITLES` and a rule in `RULES`: a function of (signs, history) that
returns a `Diagnosis` or None. The thresholds are in signs.py.
"""

import statistics
from dataclasses import dataclass, replace

from . import signs as at
from .signs import Signs

TITLES = {
    "healthy": "healthy",
    "undertrained": "healthy, not done yet",
    "unlike": "not like the real images yet",
    "done": "done",
    "d_wins": "D wins",
    "g_wins": "D cannot learn, G wins",
    "total_collapse": "total mode collapse",
    "partial_collapse": "partial mode collapse",
    "oscillation": "oscillation",
    "vanishing_gradients": "vanishing gradients",
    "lr_too_high": "learning rate too high",
    "not_finite": "a value is not finite",
    "memorising": "memorising",
    "unread": "no diagnosis",
}


@dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` returns: a `name` (a key of `TITLES`), `evidence` in numbers, `advice`."""

    name: str
    evidence: str
    advice: str

    @property
    def line(self):
        """The verdict and its evidence in one line."""
        return f"{TITLES[self.name]}: {self.evidence}"

    def __str__(self):
        return f"{self.line}.\nNext: {self.advice}."


def diagnose(history, evaluation=None):
    """Return the `Diagnosis` of a run, for printing, from the run or its history (`gan.history`),
    and from what `evaluate` returned for it as it is now, if that is given.

    It is the first of these that holds: a value that is not finite, data that are not images, too
    few rows, a learning rate that is too high, memorising, a D that cannot learn, oscillation,
    vanishing gradients, total mode collapse, partial mode collapse, D wins, hardly more than one
    picture, done, not done yet, healthy. D's loss is measured in units of what a guess costs: its
    loss where it cannot tell reals from fakes, which differs between objectives. A Wasserstein
    critic has no such loss, and is judged by its lead (d_real - d_fake) and the fakes alone.
    Memorising and done can be found only if the run was evaluated
    (`train(..., evaluate_every=...)`). Where the last evaluation finds hardly a fake like the real
    images, a run is neither healthy nor done. If several GANs are trained in one run, each is
    examined, and the earliest diagnosis in this list is returned, with the GAN's name. Raises
    ValueError for an empty history. How often it is right on labelled runs: benchmarks/LOG.md.
    """
    history = getattr(history, "history", history)
    if not history:
        raise ValueError("the history is empty; train first: it is recorded every 50 steps")
    if evaluation is not None:
        numbers = {key: value for key, value in evaluation.items() if isinstance(value, float)}
        history = [*history[:-1], history[-1] | numbers]
    of = [key.rpartition(".")[0] for key in history[-1] if key.endswith("d_loss")]
    names = dict.fromkeys(of or [""])
    first, diagnosis = len(RULES), None
    for name in names:
        rows = [_of(row, name) for row in history]
        signs = Signs(rows)
        place, verdict = next(
            (i, verdict) for i, rule in enumerate(RULES) if (verdict := rule(signs, rows))
        )
        if signs.failed and verdict.name in FINE:
            verdict = _unlike(signs, verdict)
        if place < first:
            evidence = f"{name}: {verdict.evidence}" if name else verdict.evidence
            first, diagnosis = place, replace(verdict, evidence=evidence)
    return diagnosis


def _of(row, name):
    """Return one GAN's part of a row: keys that begin with its name, and keys without a name."""
    start = f"{name}."
    return {
        key.removeprefix(start): value
        for key, value in row.items()
        if key.startswith(start) or "." not in key
    }


def _not_finite(signs, history):
    if "not_finite" in history[-1]:
        return Diagnosis(
            "not_finite",
            history[-1]["not_finite"],
            "a lower learning rate, or float32 in place of bf16; in losses and layers of your own "
            "look for a log, a root or a division that can meet 0 (losses on logits, by softplus, "
            "do not)",
        )


def _unread(signs, history):
    axes, why = history[-1].get("axes"), history[-1].get("unread")
    if axes:
        why = f"these are no images, but have {axes} axes each; its thresholds are for images alone"
    if why:
        return Diagnosis("unread", why, "look at the pictures and the curves")


def _too_early(signs, history):
    if not signs.enough:
        rows = f"{len(signs.rows)} row{'s' * (len(signs.rows) != 1)}"
        evidence = f"only {rows} with all figures, up to step {signs.step:,}"
        return Diagnosis("undertrained", evidence, "go on, and ask again")


def _lr_too_high(signs, history):
    unharmed = signs.variety > at.ALIKE and 0.75 < signs.diversity < 1.33 and not signs.far
    if signs.jump > at.JUMP and not unharmed:
        return Diagnosis(
            "lr_too_high",
            f"one update was {_percent(signs.jump)} as long as all of a net's weights",
            "a tenth of the learning rate, and a new start: weights that were thrown so far "
            "rarely come back",
        )


def _memorising(signs, history):
    if signs.nearer or signs.copied:
        near = f"{_percent(signs.nearer)} of the fakes are nearer to a training image than to a "
        copies = f"{_percent(signs.copied)} of the fakes are copies of training images"
        half = f"{signs.strength / 2:.2g}"
        less = f"lab.draw_to(gan, {half}), or --strength {half} of the commands; "
        return Diagnosis(
            "memorising",
            f"{near}held-out one" if signs.nearer else copies,
            less * (signs.strength > 0) + "more images; augmentation (augment.diff_augment, "
            "augment.ada); a stronger penalty; an earlier stop",
        )


def _g_wins(signs, history):
    evidence = None
    if signs.behind > at.BEHIND and signs.variety < at.ALIKE:
        evidence = f"D rated the fakes above the reals in {_percent(signs.behind)} of the rows"
    elif signs.ease is not None and signs.ease > at.LOST and signs.g_gradient < at.FAINT:
        evidence = (
            f"D's loss is {_percent(signs.ease)} of what a guess costs, and G's gradient only "
            f"{signs.g_gradient:.2g}"
        )
    if evidence:
        return Diagnosis(
            "g_wins",
            evidence,
            "a higher learning rate for D, or n_critic=2; a larger D; less dropout, noise or "
            "penalty on it; look whether D is given the right images",
        )


def _oscillation(signs, history):
    if signs.turns > at.TURNS and signs.swing > at.SWING and signs.behind > at.ASTRAY:
        return Diagnosis(
            "oscillation",
            f"D's lead changed sides at {_percent(signs.turns)} of the rows, and its loss swings "
            f"by {_percent(signs.swing)} of what a guess costs",
            "a gradient penalty (losses.r1 or approximate_r1_r2); betas=(0.0, 0.99); a lower "
            "learning rate; a D that can do more. An average of G (ema) hides what is left",
        )


def _vanishing_gradients(signs, history):
    flat = signs.between_now < at.FLAT_OUT and signs.variety_now > at.COPIES
    if (signs.g_gradient < at.SILENT or flat) and not signs.rising:
        norm = f"the norm of G's gradient is {signs.g_gradient:.1g}"
        ends = "nearly all values of the fakes lie at the ends of the range, where G is flat"
        won = f", and D's loss {_percent(signs.ease or 0)} of what a guess costs"
        sure = signs.ease is not None and signs.ease < at.SURE
        return Diagnosis(
            "vanishing_gradients",
            (ends if flat else norm) + won * sure,
            "losses.non_saturating or relativistic in place of saturating; a gradient penalty; "
            "fewer moves of D; look whether G's last layer is saturated",
        )


def _total_collapse(signs, history, diversity=at.ONE, variety=at.COPIES):
    if signs.diversity_now < diversity and signs.variety_now < variety and not signs.rising:
        return Diagnosis(
            "total_collapse",
            f"the fakes are {_percent(signs.diversity_now)} as diverse as real images",
            "look whether G uses its noise; if it does, start anew: another seed, a lower rate, or "
            'the relativistic objective with a gradient penalty, as in recipe("small")',
        )


def _partial_collapse(signs, history):
    alike = signs.variety_now < at.COPIES  # else perhaps but for their colours
    near, least = (signs.variety_now, at.COPIES) if alike else (signs.forms_now, at.FORMS)
    if near < least and not signs.rising:
        what = "has a near copy" if alike else "is nearly another in other colours"
        return Diagnosis(
            "partial_collapse",
            f"the fakes are {_percent(signs.diversity_now)} as diverse as real images, but each "
            f"{what}, at {_percent(near)} of the distance between real ones",
            "look whether G uses all of its noise; the relativistic objective with a gradient "
            "penalty; a larger batch",
        )


def _d_wins(signs, history):
    if signs.ease is not None and signs.ease < at.SURE and not signs.rising:
        return Diagnosis(
            "d_wins",
            f"D hardly errs, its loss is {_percent(signs.ease)} of what a guess costs, and the "
            "fakes do not get more various",
            "a gradient penalty (losses.r1 or approximate_r1_r2) before anything else; the same "
            "learning rate for both; n_critic=1; a larger G; another seed",
        )


def _near_collapse(signs, history):  # after `_d_wins`: that would be the cause
    return _total_collapse(signs, history, *at.NEARLY)


def _done(signs, history):
    last = signs.distances[-4:]
    if len(signs.distances) >= 6 and max(last) - min(last) < at.FLAT * statistics.mean(last):
        floor = signs.judged[-1].get("floor")
        detail = f"; real images have {floor:.3g}" if floor else ""
        return Diagnosis(
            "done",
            f"the distance stayed between {min(last):.3g} and {max(last):.3g} for four "
            f"evaluations{detail}",
            "stop here, or change something: a larger net, a longer plan for the learning rate, "
            "more images",
        )


def _undertrained(signs, history):
    last = signs.distances[-2:]
    if len(last) == 2 and last[1] < (1 - at.FLAT) * last[0]:
        fell = f"the distance fell from {last[0]:.3g} to {last[1]:.3g} at the last evaluation"
        return Diagnosis("undertrained", fell, "go on")
    if signs.rising or signs.variety < at.ALIKE:
        various = f"the fakes are {_percent(signs.variety)} as various as real images so far"
        return Diagnosis("undertrained", various, "go on")


def _healthy(signs, history):
    scale = f", D's loss is {_percent(signs.ease or 0)} of what a guess costs"
    return Diagnosis(
        "healthy",
        f"the fakes are {_percent(signs.variety)} as various as real images"
        + scale * (signs.ease is not None),
        "go on, and look at the pictures; evaluate_every=... tells when to stop",
    )


FINE = "undertrained", "healthy", "done"


def _unlike(signs, verdict):
    """Return the diagnosis of a run whose history looks well, but whose last evaluation failed."""
    return Diagnosis(
        "unlike",
        f"{signs.failed} at the last evaluation: hardly any real image has its like among the fakes"
        + "; it is getting nearer" * (verdict.name == "undertrained"),
        "look at the pictures; go on, or plan a longer run (until=...); for colour "
        'recipe("pictures"), for few images augmentation, at first a smaller size',
    )


RULES = (
    _not_finite,
    _unread,
    _too_early,
    _lr_too_high,
    _memorising,
    _g_wins,
    _oscillation,
    _vanishing_gradients,
    _total_collapse,
    _partial_collapse,
    _d_wins,
    _near_collapse,
    _done,
    _undertrained,
    _healthy,
)


def _percent(share):
    return f"{100 * share:.3g} %"
