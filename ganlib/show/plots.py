"""Small plots: bars, such as shares of classes; named points; histograms of D's verdicts."""

import torch

from .curves import of_figure

WIDTH = 11  # inches at 80 dots each, at most


def bars(values, names=None, expected=None, title=None, label=None):
    """Return a bar for each of `values` as a `Picture`, with its value above it.

    `names` stand below the bars (by default 0, 1, ...). `expected` is drawn as a dashed line: one
    number for all bars, the fair share for example, or one for each. `title` stands above, `label`
    beside the vertical axis. Raises ValueError if the numbers of values, names and expected differ,
    for no values, and for values that are not finite.
    """
    from matplotlib.figure import Figure

    values = torch.as_tensor(values).double().flatten().tolist()
    names = [str(name) for name in (range(len(values)) if names is None else names)]
    lines = [] if expected is None else torch.as_tensor(expected).double().flatten().tolist()
    if not values or len(names) != len(values) or len(lines) not in (0, 1, len(values)):
        raise ValueError(
            f"{len(values)} values, {len(names)} names and {len(lines)} expected values were "
            "given; as many names as values are expected, and one expected value or as many"
        )
    if not torch.tensor(values).isfinite().all():
        raise ValueError(f"{values} were given; finite values are expected")
    long = max(map(len, names)) > 8
    figure = Figure(figsize=(min(WIDTH, max(4, 0.7 * len(values) + 1)), 3), layout="constrained")
    axes = figure.subplots()
    drawn = axes.bar(range(len(values)), values, color="tab:blue")
    axes.bar_label(drawn, [f"{value:.3g}" for value in values], fontsize=9)
    for i, line in enumerate(lines * len(values) if len(lines) == 1 else lines):
        said = "expected" if i == 0 else None
        axes.plot([i - 0.5, i + 0.5], [line, line], "--", color="tab:orange", label=said)
    axes.set(title=title, ylabel=label, xticks=range(len(values)), xlim=(-0.6, len(values) - 0.4))
    axes.set_xticklabels(names, rotation=30 * long, ha="right" if long else "center")
    axes.margins(y=0.3 if lines else 0.15)  # room for the legend
    if lines:
        axes.legend(frameon=False, fontsize=9)
    said = ", ".join(f"{name} {value:.3g}" for name, value in zip(names, values, strict=True))
    if lines:
        said += f"; expected: {', '.join(f'{line:.3g}' for line in lines)}"
    return of_figure(figure, 80, 64, "<bars>", f"bars: {title or 'values'}: {said}")


def scatter(points, title=None, x=None, y=None, best=None):
    """Return named points on two logarithmic axes as a `Picture`.

    `points` maps each name to its (x, y), both above 0; `title` stands above, `x` and `y` name the
    axes. `best`, a value of y, is drawn as a dashed line. Raises ValueError for no points, and for
    values that are not finite or not above 0.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator

    values = torch.tensor([tuple(point) for point in points.values()]).double().view(-1, 2)
    if not len(values) or not (values.isfinite() & (values > 0)).all():
        raise ValueError(
            f"{dict(points)} were given; points (x, y) that are finite and above 0 are expected, "
            "one at least: the axes are logarithmic"
        )
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.set(title=title, xlabel=x, ylabel=y, xscale="log", yscale="log")
    axes.scatter(*values.T.tolist(), s=60, c="tab:blue", zorder=3)
    for name, place in points.items():
        axes.annotate(name, place, (8, 5), textcoords="offset points", fontsize=10)
    axes.margins(x=0.5, y=0.15)  # room for the names
    if best is not None:
        axes.axhline(best, ls="--", color="tab:green")
    for axis in (axes.xaxis, axes.yaxis):
        low, high = axis.get_view_interval()
        some = (1, 2, 5) if high < 100 * low else (1,)
        some = (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9) if high < 8 * low else some
        axis.set_major_locator(LogLocator(subs=some, numticks=20))
        axis.set_major_formatter("{x:,.4g}")
        axis.set_minor_locator(NullLocator())
    axes.grid(alpha=0.3)
    said = ", ".join(f"{name} ({a:.3g}, {b:.3g})" for name, (a, b) in points.items())
    alt = f"{title or 'points'}: {y or 'y'} against {x or 'x'}, logarithmic: {said}"
    return of_figure(figure, 80, 64, "<points>", alt)


def verdicts(*panels, low=0.0, high=1.0, label="D's probability of 'real'"):
    """Return histograms of D's verdicts, reals in green and fakes in red, as a `Picture`.

    Each of `panels` is (title, verdicts of reals, verdicts of fakes): tensors of any shape, whose
    means stand in the legend. The axis runs from `low` to `high` and is named by `label`; what lies
    outside is counted in the outermost bars. Raises ValueError without a panel, and for one without
    verdicts.
    """
    from matplotlib.figure import Figure

    if not panels or not low < high:
        raise ValueError(
            f"{len(panels)} panels from {low} to {high} were given; at least one (title, reals, "
            "fakes), and a low below high, are expected"
        )
    width = min(WIDTH, 4.5 * len(panels))
    figure = Figure(figsize=(width, 2.8), layout="constrained")
    bins, told = torch.linspace(low, high, 51).numpy(), []
    for axes, (title, *both) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
    ):
        for name, colour, given in zip(
            ("reals", "fakes"), ("tab:green", "tab:red"), both, strict=True
        ):
            some = torch.as_tensor(given).detach().float().flatten().cpu()
            if len(some) == 0:
                raise ValueError(f"{title!r}: no verdicts of {name} were given")
            said = f"{name}: mean {some.mean():.3f}"
            axes.hist(some.clamp(low, high).numpy(), bins, color=colour, alpha=0.6, label=said)
            told.append(f"{title}: {said}")
        axes.set(title=title, xlabel=label, ylabel="pictures", xlim=(low, high))
        axes.legend(frameon=False, fontsize=9)
    return of_figure(figure, 80, 64, "<verdicts>", f"histograms of {label}; {'; '.join(told)}")
