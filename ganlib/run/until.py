"""When a run ends: lengths read from a number or a text, and rules that read the history."""

import re

from ..game.terms import guess_of
from ..machine.choices import as_whole

# a comma or an underscore parts thousands: "1,5k" is no number here, lest it be read as 15k
NUMBER = r"[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?|\d+(?:_\d+)*(?:\.\d*)?"
LENGTH = re.compile(rf"({NUMBER})\s*([kM]?)\s*(steps?|images?|epochs?|s|min|h)?")
EXPECTED = (
    'a number of steps (10_000), "1M images", "1.5k images" (with a point), "100 epochs", "60s", '
    "a callable of `now`, or a list of these is expected"
)
PER = {"s": 1, "min": 60, "h": 3600}  # seconds


def length(text, epoch, bare="step"):
    """Return (number, unit) of a length, with unit "step", "image" or "second"; None if it is no
    length.

    `text` is a whole number, counted in `bare` units, or a text: "10_000", "40k images", "100
    epochs" of `epoch` images each, "60s", "5 min", "1h". Thousands may be parted, "10,000"; the
    decimal sign is a point, and steps and images are whole. `train` and the command line read all
    lengths here.
    """
    if not isinstance(text, str):
        number = as_whole(text)
        return None if number is None or number < 0 else (number, bare)
    match = LENGTH.fullmatch(text.strip())
    if match is None or (match[3] is None and match[2] == "" and "." in match[1]):
        return None
    if match[2] and "," in match[1]:  # "1,500k": some mean 1,500 by it, some 1,500,000
        return None
    number, unit = (
        float(re.sub("[,_]", "", match[1])) * {"": 1, "k": 1e3, "M": 1e6}[match[2]],
        match[3] or bare,
    )
    if unit in PER:
        return number * PER[unit], "second"
    if unit.startswith("epoch"):
        return number * epoch, "image"
    whole = round(number, 3).is_integer()  # 1.001k are 1000.9999999999999
    return (round(number), unit.removesuffix("s")) if whole else None


def alike(a, b, epoch):
    """Whether two lengths are the same: "60s" and "1 min"."""
    lengths = length(a, epoch), length(b, epoch)
    return str(a) == str(b) or (lengths[0] == lengths[1] and lengths[0] is not None)


def in_images(rule, game, epoch):
    """Return `rule`; or, if it is the time that the recipe `game` was planned for, the number of
    images which that was measured to be: there its schedules end.
    """
    game = getattr(game, "eager", game)  # that of a compiled step
    plan, (_, unit) = getattr(game, "until", None), length(rule, epoch) or (None, None)
    meant = unit == "second" and isinstance(plan, str) and alike(rule, plan, epoch)
    return f"{game.images} images" if meant else rule


class Rule:
    """One entry of `until`. Called with `now`, it returns why the run ends, or None.

    The entry is a length, see `length`, or a function of `now` that returns True or why the run
    ends. A length has a `goal` and a `unit`, which are None for a function. Raises ValueError for
    anything else.
    """

    def __init__(self, rule, epoch):
        self.rule = rule
        self.goal, self.unit = length(rule, epoch) or (None, None)
        if self.goal is None and not callable(rule):
            raise ValueError(f"until={rule!r} was given; {EXPECTED}")

    @property
    def of_run(self):
        """Whether it counts from the run's start: a run can be finished before it begins."""
        return self.unit in ("step", "image") or hasattr(self.rule, "needs")

    def progress(self, now):
        """Return the share of a length that is done, 1.0 or more at its end."""
        done = {"step": now.step, "second": now.seconds, "image": now.images}[self.unit]
        return done / self.goal if self.goal else 1.0

    def __call__(self, now):
        if self.goal is None:
            answer = self.rule(now)
            name = getattr(self.rule, "__name__", type(self.rule).__name__)
            return (
                answer
                if isinstance(answer, str)
                else f"{name} at step {now.step:,}"
                if answer
                else None
            )
        if self.progress(now) < 1:
            return None
        return (
            f"{now.step:,} steps" if self.unit == "step" else f"{self.rule}, at step {now.step:,}"
        )


def below(name, value):
    """Return a rule for `until`: end when the last evaluation's `name` is below `value`."""

    def rule(now):
        row = _evaluated(now.history, name)[-1:]
        if row and row[0][name] < value:
            return f"{name} {row[0][name]:.4g}, below {value:g}, at step {row[0]['step']:,}"
        return None

    rule.needs = name
    return rule


def plateau(name="frechet_distance", patience=5, improvement=0.05, better=None):
    """Return a rule for `until`: the run ends when `patience` evaluations have not improved `name`.

    They must improve on the best earlier value by the share `improvement`. The table of figures
    (`judge.figures`) knows which way is better: a distance falls, precision rises. For a figure of
    the user's own, `better` says it: "lower", "higher", or the best value. Raises ValueError for
    settings out of range, and for an unknown figure without `better`.
    """
    from ..judge.figures import cost, direction

    if patience < 1 or not 0 <= improvement < 1:
        raise ValueError(
            f"patience={patience}, improvement={improvement} were given; at least 1 evaluation, "
            "and a share from 0 to below 1 are expected"
        )

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
        return (
            f"{name} has not {moved} by {100 * improvement:g} % in {patience} evaluations: "
            f"best {best[name]:.4g} at step {best['step']:,}, {after[-1][name]:.4g} now"
        )

    rule.needs = name
    return rule


def equilibrium(tolerance=0.1, rows=20):
    """Return a rule for `until`: the run ends when D has not told reals from fakes for `rows` rows.

    D's loss must stay within `tolerance` (a share) of what a guess costs, where all logits are
    alike: 2 ln 2 for binary cross-entropy, ln 2 for the relativistic loss, 2 for hinge, 1/2 for
    least squares. The fakes must have half the variety of the reals, since a G and a D that do
    nothing are in balance too. Goodfellow et al. 2014, proposition 2. A Wasserstein critic has no
    such value: `train` raises ValueError; use `plateau`.
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
        return (
            f"equilibrium: D's loss near {level:.3f} for {rows} rows, at step {now.step:,}"
            if held
            else None
        )

    def check(reading):
        if guess_of(reading) is None:
            objective = reading.get("objective", "of several GANs")
            raise ValueError(
                f"the objective {objective} has no known value of D's loss at which D cannot tell: "
                "a critic, or a step of your own, has its own scale. Use "
                'plateau("frechet_distance")'
            )

    rule.check = check
    return rule


def best(history, name, better=None):
    """Return whether the last row has the best figure `name` of all rows; False if it has none.

    Raises ValueError if nothing says which way is better, and if evaluations have only others.
    """
    from ..judge.figures import cost, direction

    values = [row[name] for row in _evaluated(history, name)]
    if not values or name not in history[-1]:
        return False
    way = direction(name, better)
    return cost(values[-1], way) == min(cost(value, way) for value in values)


def _evaluated(history, name):
    """Return the rows that have the figure `name`; ValueError if evaluations have only others."""
    from ..judge.figures import FIGURES

    rows = [row for row in history if name in row]
    judged = [row for row in history if FIGURES.keys() & row.keys()]
    if judged and not rows:
        there = [figure for figure in FIGURES if figure in judged[-1]]
        raise ValueError(
            f"{name!r} is not among the figures of this run's evaluations; there are "
            f"{', '.join(there)}: name one of these. evaluate(...)['missing'] says why others are "
            "left out"
        )
    return rows
