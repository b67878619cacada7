"""Signs: what the doctor reads off a history, in units of no objective, net or data; and the thresholds."""

import statistics

from ..game.losses import guess_of

# Set on half "a" of the labelled runs of benchmarks/doctor_runs.py.
ROWS = 6  # of a run's last third, at least, to say anything
STEPS = 50  # and as many steps: a game that has just begun is in balance because nobody has learned anything
JUMP = 0.4  # an update, as a share of the weights after it, that is no small step any more
MEMORY = 0.75  # share of fakes that are nearer to a training image than to a held-out one
LIKE = 0.2  # precision, the share of fakes that look like some real image, below which that means nothing
SURE = 0.12  # D's loss, in units of its loss where it cannot tell, below which D hardly errs
LOST = 0.98  # the same, above which D tells nothing
FAINT = 0.03  # the norm of G's gradient, below which D says little to G
SILENT = 1e-4  # the same, below which it says nothing
ONE = 0.05  # diversity of the fakes, in units of the reals', below which they show one picture
COPIES = 0.05  # distance from fake to nearest other fake, in units of the reals', below which they are copies
NEARLY = (0.15, 0.2)  # diversity and variety below which they are nearly one picture
ALIKE = 0.75  # the same, below which they are not yet as various as the reals
BEHIND = 0.8  # share of rows at which D rated the fakes higher
TURNS = 0.15  # share of rows at which D's lead changes sides
SWING = 0.15  # standard deviation of D's loss, in units of its loss where it cannot tell
RISING = 1.1  # growth of the variety over the last third that is learning
SOME = 0.02  # variety, in units of the reals', below which such growth means nothing
FLAT = 0.1  # spread of the last evaluations, as a share of their mean, that is none


class Signs:
    """The figures of a history that the rules read, in units that do not depend on objective, nets or data.

    `ease` is D's loss over its loss where it cannot tell reals from fakes (0: it never errs, 1: it cannot tell), None
    of a critic; `variety` and `diversity` are those of the fakes over those of the reals (see `records.row`): medians
    of the last third, as is `g_gradient`, and `..._now` of the last three rows, since G can collapse from one picture
    into the next. `behind`, `turns` and `swing` describe D's lead, d_real - d_fake, and its loss over the
    last two thirds; `jump` is the longest update of all.
    """

    def __init__(self, history):
        needed = {"d_loss", "d_real", "d_fake", "grad_norm_g", "real_variety"}  # a step of the user's own may lack some
        self.rows = rows = [row for row in history if needed <= row.keys()]
        self.late = late = rows[1:][-max(ROWS, len(rows) // 3) :]
        self.step = rows[-1]["step"] if rows else 0
        self.enough = len(late) >= ROWS and self.step >= STEPS
        self.judged = [row for row in rows if "frechet_distance" in row]
        self.level = guess_of(rows[-1]) if rows else None  # a critic has none
        self.jump = max((row.get(name, 0.0) for row in rows for name in ("update_d", "update_g")), default=0.0)
        if self.enough:
            self.variety, self.diversity, self.g_gradient = (
                statistics.median(values) for values in (self._various(late), self._ratio(late, "diversity"),
                                                         [row["grad_norm_g"] for row in late]))  # fmt: skip
            self.variety_now, self.diversity_now = (
                statistics.median(self._ratio(late[-3:], name)) for name in ("variety", "diversity"))  # fmt: skip
            half = len(late) // 2
            begin, end = (statistics.mean(self._various(part)) for part in (late[:half], late[half:]))
            self.rising = end > RISING * begin and self.variety > SOME
            self.ease = statistics.median(row["d_loss"] for row in late) / self.level if self.level else None
            most = rows[len(rows) // 3 :]
            gaps = [row["d_real"] - row["d_fake"] for row in most]
            self.turns = sum(a * b < 0 for a, b in zip(gaps, gaps[1:], strict=False)) / len(gaps)
            self.behind = sum(gap < 0 for gap in gaps) / len(gaps)
            losses = [row["d_loss"] for row in most]
            self.swing = statistics.stdev(losses) / self.level if self.level else 0.0

    def _ratio(self, rows, name):
        return [row[name] / max(row[f"real_{name}"], 1e-12) for row in rows]

    def _various(self, rows):
        return self._ratio(rows, "variety")
