"""Until: what `until` says, read, measured and named."""

import re

UNTIL = re.compile(r"(\d+\.?\d*) *([kM]?) *(images?|epochs?|s|min|h)")


class Rule:
    """One entry of `until`: says why the run ends once it holds, None before. `goal` is None for a callable."""

    def __init__(self, rule, epoch):
        self.rule, self.goal, self.unit = rule, None, None
        if isinstance(rule, int) and not isinstance(rule, bool) and rule >= 0:
            self.goal, self.unit = rule, "step"
        elif isinstance(rule, str) and (match := UNTIL.fullmatch(rule.replace(",", "").strip())):
            number, thousands, unit = match.groups()
            sizes = {"s": 1, "min": 60, "h": 3600, "epoch": epoch, "epochs": epoch}
            self.goal = float(number) * {"": 1, "k": 1e3, "M": 1e6}[thousands] * sizes.get(unit, 1)
            self.unit = "second" if unit in ("s", "min", "h") else "image"
        elif not callable(rule):
            raise ValueError(f'until={rule!r} was given; a number of steps (10_000), "1M images", "100 epochs", '
                             '"60s", a callable of `now`, or a list of these is expected')  # fmt: skip

    @property
    def of_run(self):
        """Whether it counts from the run's beginning, so that a run can be finished before it starts."""
        return self.unit in ("step", "image") or hasattr(self.rule, "needs")

    def progress(self, now):
        done = {"step": now.step, "second": now.seconds, "image": now.images}[self.unit]
        return done / self.goal if self.goal else 1.0

    def __call__(self, now):
        if self.goal is None:
            held = self.rule(now)
            name = getattr(self.rule, "__name__", type(self.rule).__name__)
            return held if isinstance(held, str) else f"{name} at step {now.step:,}" if held else None
        if self.progress(now) < 1:
            return None
        return f"{now.step:,} steps" if self.unit == "step" else f"{self.rule}, at step {now.step:,}"
