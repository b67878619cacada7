"""Stopping: rules for `until` that look at how good the images are, or at the balance of the game."""

import torch

from ..game import losses


def below(name, value):
    """For `until`: ends a run once the figure `name` of its last evaluation is below `value`."""

    def rule(now):
        row = _evaluated(now.history, name)[-1:]
        if row and row[0][name] < value:
            return f"{name} {row[0][name]:.4g}, below {value:g}, at step {row[0]['step']:,}"
        return None

    rule.needs = name
    return rule


def plateau(name="frechet_distance", patience=5, improvement=0.05):
    """For `until`: ends a run once `patience` evaluations have not lowered the best `name` by the share `improvement`.

    For a figure that is better when it is higher, say how it is to be lowered: it is not for those.
    """
    if patience < 1 or not 0 <= improvement < 1:
        raise ValueError(f"patience={patience}, improvement={improvement} were given; at least 1 evaluation, and a "
                         "share from 0 to below 1 are expected")  # fmt: skip

    def rule(now):
        rows = _evaluated(now.history, name)
        before, after = rows[:-patience], rows[-patience:]
        if before:
            best = min(before, key=lambda row: row[name])
            if min(row[name] for row in after) > (1 - improvement) * best[name]:
                return (f"{name} has not fallen by {100 * improvement:g} % in {patience} evaluations: "
                        f"best {best[name]:.4g} at step {best['step']:,}, {after[-1][name]:.4g} now")  # fmt: skip
        return None

    rule.needs = name
    return rule


def equilibrium(tolerance=0.1, rows=20):
    """For `until`: ends a run whose D has not told reals from fakes over the last `rows` rows of the history.

    D's loss is then within `tolerance` (a share) of what it would be if all logits were alike: 2 ln 2 for binary
    cross-entropy, ln 2 for the relativistic loss, 2 for hinge, 1/2 for least squares. The fakes must be as various as
    half the real ones, for a G and a D that both do nothing are in balance too. Goodfellow et al. 2014, proposition 2.
    A Wasserstein critic has no such value (ValueError): use `plateau`.
    """

    def rule(now):
        last = [row for row in now.history if "d_loss" in row and "variety" in row][-rows:]
        if len(last) < rows:
            return None
        level = even(last[-1].get("objective"))
        near = all(abs(row["d_loss"] - level) <= tolerance * level for row in last)
        various = all(row["variety"] >= 0.5 * row["real_variety"] for row in last)
        held = near and various
        return f"equilibrium: D's loss near {level:.3f} for {rows} rows, at step {now.step:,}" if held else None

    rule.check = even
    return rule


def even(objective):
    """D's loss where it cannot tell reals from fakes, the least of d_loss(x, x); `objective` as named in a history."""
    value = getattr(losses, str(objective).removeprefix("losses."), None)
    if not isinstance(value, losses.Objective) or value is losses.wasserstein:
        raise ValueError(f"the objective {objective} has no known value of D's loss at which D cannot tell: a critic, "
                         'or an objective of your own, has its own scale. Use plateau("frechet_distance")')  # fmt: skip
    logits = torch.linspace(-2, 2, 401, dtype=torch.float64)
    return value.d_loss(logits, logits).min().item()


def _evaluated(history, name):
    rows = [row for row in history if name in row]
    judged = [row for row in history if "frechet_distance" in row]
    if judged and not rows:
        raise ValueError(
            f"{name!r} is not among the figures of this run's evaluations; there are {', '.join(judged[-1])}"
        )
    return rows
