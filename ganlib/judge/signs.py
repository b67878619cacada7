"""Signs: what the doctor measures on the history of a run, and its thresholds.

All but the norm of G's gradient are in units that do not depend on objective, nets or data.
"""

import statistics

from ..game.terms import guess_of
from .figures import FIGURES

# Set on half "a" of the labelled runs of benchmarks/doctor_runs.py.
# A comment first names what is compared: an attribute of `Signs`, or a metric in the history.
ROWS = 6  # late: the fewest rows that allow a diagnosis
STEPS = 50  # step: the fewest; at the start D and G are in balance because neither has learned yet
JUMP = 0.4  # jump: above it the learning rate is too high
FAR = 50  # frechet_distance: above so many floors the fakes are no images of the kind
MEMORY = 0.75  # memorised: above it the fakes are too near to training images
COPIED = 0.2  # copied: above it, and above the share of real images; by reason, on no labelled run
LIKE = 0.2  # precision: below it too few fakes look like real images for these to mean anything
SURE = 0.12  # ease: below it D hardly errs
LOST = 0.98  # ease: above it D cannot tell reals from fakes
FAINT = 0.03  # g_gradient: below it G learns little from D
SILENT = 1e-4  # g_gradient: below it G learns nothing from D
ONE = 0.05  # diversity_now: below it the fakes show one picture
COPIES = 0.05  # variety_now: below it the fakes are copies of each other
FORMS = 0.3  # forms_now: below it they are, in other colours
NONE, HARDLY = 0.01, 0.02  # recall, coverage: below one the fakes are not like the real images
FLAT_OUT = 0.1  # between_now: below it the fakes lie at the ends of the range as no image does
NEARLY = (0.15, 0.2)  # diversity_now, variety_now: below both the fakes are nearly one picture
ALIKE = 0.75  # variety: below it the fakes are less various than the reals
BEHIND = 0.75  # behind: above it D cannot learn, since it rates fakes higher than reals
TURNS = 0.15  # turns: above it, and SWING, the game oscillates
SWING = 0.15  # swing: see TURNS
ASTRAY = 0.45  # behind: below it the lead changes sides by the noise of small batches alone
RISING = 1.1  # rising: the least growth of `variety` from the first half of `late` to the second
SOME = 0.02  # variety: below it, such growth means nothing
FLAT = 0.1  # frechet_distance: spread of the last ones over their mean; below it, no change


class Signs:
    """What the doctor's rules read: measurements on one GAN's history.

    `history.row` defines the rows, and `variety` and `diversity` in them.

    rows: the rows that hold all that is needed; `late` is the last third of them, at least `ROWS`,
        the first row left out.
    step: the last step.
    enough: whether there are enough rows and steps; if not, only `rows` to `far` are set.
    judged: the rows that hold an evaluation; `distances` are their Frechet distances, if any.
    level: D's loss where it cannot tell reals from fakes; None for a critic.
    jump: the longest update of D or G in any row, over that of the net's weights after it.
    nearer, copied: the shares of fakes, at the last evaluation, that are nearer to training images
        than to held-out ones, and that are copies of them; 0 where that is no more than chance.
    far: whether the last evaluation, if any, puts the fakes more than `FAR` floors away.
    failed: the figures of the last evaluation, if any, by which hardly a real image has a similar
        fake, as text; else "".
    variety, diversity: those of the fakes over those of the reals, medians over `late`;
        `variety_now` and `diversity_now` are medians over the last three rows, since G can collapse
        from one picture into the next; so is `forms_now`, of what is drawn in whatever colours
        (1.0 where the history does not say it), and `between_now`, of values that are not at an end
        of the range.
    g_gradient: the norm of G's gradient, median over `late`.
    rising: whether `variety` grows over `late`: then G still learns.
    ease: D's loss over `level`, median over `late`: at 0 it never errs, at 1 it cannot tell; None
        for a critic.
    turns, behind: for D's lead, d_real - d_fake, over the last two thirds of the rows: the share of
        rows at which it changes sign, and at which it is negative.
    swing: the standard deviation of D's loss over `level`, in the same rows; 0 for a critic.
    """

    def __init__(self, history):
        # a step function of the user's own may not return all of these
        needed = {"d_loss", "d_real", "d_fake", "grad_norm_g", "real_variety"}
        self.rows = rows = [row for row in history if needed <= row.keys()]
        self.late = late = rows[1:][-max(ROWS, len(rows) // 3) :]
        self.step = rows[-1]["step"] if rows else 0
        self.enough = len(late) >= ROWS and self.step >= STEPS
        self.judged = [row for row in rows if FIGURES.keys() & row.keys()]
        name = "frechet_distance"  # a small set has none
        self.distances = [row[name] for row in self.judged if name in row]
        self.level = guess_of(rows[-1]) if rows else None
        self.jump = max(
            (row.get(name, 0.0) for row in rows for name in ("update_d", "update_g")), default=0.0
        )
        last = self.judged[-1] if self.judged else {}
        self.far = last.get("frechet_distance", 0.0) > FAR * last.get("floor", float("inf"))
        self.failed = _failure(last)
        share, copied = last.get("memorised", 0.5), last.get("copied", 0.0)
        alike = last.get("precision", 1.0) > LIKE  # noise too has a nearest image
        self.nearer = share if alike and share > MEMORY else 0.0
        self.copied = copied if alike and copied > COPIED + last.get("real_copied", 0.0) else 0.0
        self.strength = last.get("strength", 0.0)  # how far noise is drawn to training images
        if self.enough:
            self.variety, self.diversity, self.g_gradient = (
                statistics.median(values)
                for values in (
                    self._various(late),
                    self._ratio(late, "diversity"),
                    [row["grad_norm_g"] for row in late],
                )
            )
            self.variety_now, self.diversity_now = (
                statistics.median(self._ratio(late[-3:], name)) for name in ("variety", "diversity")
            )
            self.forms_now, self.between_now = (
                statistics.median(self._ratio(shown, name)) if shown else 1.0
                for name in ("forms", "between")
                for shown in [[row for row in late[-3:] if row.get(f"real_{name}")]]
            )
            half = len(late) // 2
            begin, end = (
                statistics.mean(self._various(part)) for part in (late[:half], late[half:])
            )
            self.rising = end > RISING * begin and self.variety > SOME
            self.ease = (
                statistics.median(row["d_loss"] for row in late) / self.level
                if self.level
                else None
            )
            recent = rows[len(rows) // 3 :]
            gaps = [row["d_real"] - row["d_fake"] for row in recent]
            self.turns = sum(a * b < 0 for a, b in zip(gaps, gaps[1:], strict=False)) / len(gaps)
            self.behind = sum(gap < 0 for gap in gaps) / len(gaps)
            losses = [row["d_loss"] for row in recent]
            self.swing = statistics.stdev(losses) / self.level if self.level else 0.0

    def _ratio(self, rows, name):
        """Return `name` of the fakes over that of the reals, for each row."""
        return [row[name] / max(row[f"real_{name}"], 1e-12) for row in rows]

    def _various(self, rows):
        return self._ratio(rows, "variety")


def _failure(last):
    """Return the figures of an evaluation that show hardly any similarity, as text, or ""."""
    least = {"recall": NONE, "coverage": HARDLY}
    known = [name for name in least if name in last]
    if known or not {"frechet_distance", "floor"} <= last.keys():
        return " and ".join(
            f"{name} {last[name]:.2g}" for name in known if last[name] < least[name]
        )
    floors = last["frechet_distance"] / last["floor"]
    return f"a distance of {floors:.3g} floors" if floors > FAR else ""
