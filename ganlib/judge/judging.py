"""Judging: a watcher that evaluates a run every so many steps, and adds the figures to the run's history."""

from .evaluation import quick


class Judge:
    """Adds the figures of `evaluate(gan, data)`, a dict, to the history's row of every `every`-th step.

    By default `evaluation.quick` judges, 2,000 fakes at most. Raises ValueError at once where that cannot work.
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
