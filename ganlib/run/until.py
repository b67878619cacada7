"""Until: when a run ends. Lengths that are read from a number or a text, and rules that look at the history."""

import re

from ..game.losses import guess_of

LENGTH = re.compile(r"(\d[\d_]*\.?\d*) *([kM]?) *(steps?|images?|epochs?|s|min|h)?")
EXPECTED = ('a number of steps (10_000), "1M images", "100 epochs", "60s", a callable of `now`, or a list of these '
            "is expected")  # fmt: skip
PER = {"s": 1, "min": 60, "h": 3600}  # seconds


def length(text, epoch, bare="step"):
    """Return (number, unit) of a length: unit "step", "image" or "second"; None where it is no length.

    `text` is a whole number, of `bare` units, or a text: "10_000", "40k images", "100 epochs" of `epoch` images each,
    "60s", "5 min", "1h". The command line and `train` read lengths here alone.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        return (text, bare) if text >= 0 else None
    match = LENGTH.fullmatch(text.replace(",", "").strip()) if isinstance(text, str) else None
    if match is None or (match[3] is None and "." in match[1]):
        return None
    number, unit = float(match[1].replace("_", "")) * {"": 1, "k": 1e3, "M": 1e6}[match[2]], match[3] or bare
    if unit in PER:
        return number * PER[unit], "second"
    if unit.startswith("epoch"):
        return number * epoch, "image"
    return number, unit.removesuffix("s")


class Rule:
    """One entry of `until`: called with `now` it says why the run ends, once it does, and None before.

    `rule` is a length, see `length`, or a callable of `now` that returns True or why the run ends. `goal` and `unit`
    are those of a length, None of a callable. Raises ValueError for anything else.
    """

    def __init__(self, rule, epoch):
        self.rule = rule
        self.goal, self.unit = length(rule, epoch) or (None, None)
        if self.goal is None and not callable(rule):
            raise ValueError(f"until={rule!r} was given; {EXPECTED}")

    @property
    def of_run(self):
        """Whether it counts from the run's beginning, so that a run can be finished before it starts."""
        return self.unit in ("step", "image") or hasattr(self.rule, "needs")

    def progress(self, now):
        """Return the share of the way that is done, 1.0 or more at the end; of a length only."""
        done = {"step": now.step, "second": now.seconds, "image": now.images}[self.unit]
        return done / self.goal if self.goal else 1.0

    def __call__(self, now):
        if self.goal is None:
            said = self.rule(now)
            name = getattr(self.rule, "__name__", type(self.rule).__name__)
            return said if isinstance(said, str) else f"{name} at step {now.step:,}" if said else None
        if self.progress(now) < 1:
            return None
        return f"{now.step:,} steps" if self.unit == "step" else f"{self.rule}, at step {now.step:,}"


def below(name, value):
    """Return a rule for `until`: the run ends once the figure `name` of its last evaluation is below `value`."""

    def rule(now):
        row = _evaluated(now.history, name)[-1:]
        if row and row[0][name] < value:
            return f"{name} {row[0][name]:.4g}, below {value:g}, at step {row[0]['step']:,}"
        return None

    rule.needs = name
    return rule


def plateau(name="frechet_distance", patience=5, improvement=0.05, better=None):
    """Return a rule for `until`: the run ends once `patience` evaluations have not bettered `name` by `improvement`.

    `improvement` is a share of the best value before. Which way is better the table of figures says
    (`judge.figures`): of a distance lower, of precision higher. For a figure of your own say it: `better` is "lower",
    "higher", or the number to which it is to come near. Raises ValueError for settings out of range, and for a figure
    that is not in the table without `better`.
    """
    from ..judge.figures import cost, direction

    if patience < 1 or not 0 <= improvement < 1:
        raise ValueError(f"patience={patience}, improvement={improvement} were given; at least 1 evaluation, and a "
                         "share from 0 to below 1 are expected")  # fmt: skip

    way = direction(name, better)

    def rule(now):
        rows = _evaluated(now.history, name)
        before, after = rows[:-patience], rows[-patience:]
        if not before:
            return None
        best = min(before, key=lambda row: cost(row[name], way))
        least, reached = cost(best[name], way), min(cost(row[name], way) for row in after)
        if least - reached >= improvement * abs(least):
            return None
        moved = {"lower": "fallen", "higher": "risen"}.get(way, f"come nearer to {way}")
        return (f"{name} has not {moved} by {100 * improvement:g} % in {patience} evaluations: "
                f"best {best[name]:.4g} at step {best['step']:,}, {after[-1][name]:.4g} now")  # fmt: skip

    rule.needs = name
    return rule


def equilibrium(tolerance=0.1, rows=20):
    """Return a rule for `until`: the run ends when D could not tell reals from fakes over the last `rows` rows.

    D's loss is then within `tolerance` (a share) of what a guess costs, if all logits were alike: 2 ln 2 for binary
    cross-entropy, ln 2 for the relativistic loss, 2 for hinge, 1/2 for least squares. The fakes must be as various as
    half the real ones, for a G and a D that both do nothing are in balance too. Goodfellow et al. 2014, proposition 2.
    A Wasserstein critic has no such value: `train` raises ValueError, use `plateau`.
    """

    def rule(now):
        last = [row for row in now.history if "d_loss" in row and "variety" in row][-rows:]
        if len(last) < rows:
            return None
        check(last[-1])
        level = guess_of(last[-1])
        near = all(abs(row["d_loss"] - level) <= tolerance * level for row in last)
        various = all(row["variety"] >= 0.5 * row["real_variety"] for row in last)
        held = near and various
        return f"equilibrium: D's loss near {level:.3f} for {rows} rows, at step {now.step:,}" if held else None

    def check(reading):
        if guess_of(reading) is None:
            raise ValueError(
                f"the objective {reading.get('objective', 'of several GANs')} has no known value of D's loss at which "
                'D cannot tell: a critic, or a step of your own, has its own scale. Use plateau("frechet_distance")'
            )

    rule.check = check
    return rule


def _evaluated(history, name):
    """The rows of a history that have the figure `name`; ValueError where evaluations have others only."""
    rows = [row for row in history if name in row]
    judged = [row for row in history if "frechet_distance" in row]
    if judged and not rows:
        raise ValueError(
            f"{name!r} is not among the figures of this run's evaluations; there are {', '.join(judged[-1])}"
        )
    return rows
