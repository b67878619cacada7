"""Small plots: bars, histograms of D's verdicts, many metrics side by side, and trends."""

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
        for name, colour, values in zip(
            ("reals", "fakes"), ("tab:green", "tab:red"), both, strict=True
        ):
            some = torch.as_tensor(values).detach().float().flatten().cpu()
            if len(some) == 0:
                raise ValueError(f"{title!r}: no verdicts of {name} were given")
            said = f"{name}: mean {some.mean():.3f}"
            axes.hist(some.clamp(low, high).numpy(), bins, color=colour, alpha=0.6, label=said)
            told.append(f"{title}: {said}")
        axes.set(title=title, xlabel=label, ylabel="pictures", xlim=(low, high))
        axes.legend(frameon=False, fontsize=9)
    return of_figure(figure, 80, 64, "<verdicts>", f"histograms of {label}; {'; '.join(told)}")


def compare(rows, title=None, columns=3):
    """Return a small chart for each metric, with a bar for each row, as a `Picture`.

    `rows` maps names to dicts {metric: value}, all with the same metrics. The first row is drawn in
    green, and as a dashed line through the others; each bar has its value beside it. There are
    `columns` charts side by side. Raises ValueError for no rows, no metrics, metrics that differ
    between rows, and values that are not finite.
    """
    from matplotlib.figure import Figure

    names, (metrics, *others) = list(rows), [list(row) for row in rows.values()] or [[]]
    if not metrics or any(other != metrics for other in others):
        raise ValueError(f"rows {names} were given; at least one, each with the same metrics")
    for name, row in rows.items():
        if not torch.tensor(list(row.values()), dtype=torch.float64).isfinite().all():
            raise ValueError(f"{name!r} has the values {row}; finite ones are expected")
    deep = -(-len(metrics) // columns)
    height = deep * (0.7 + 0.24 * len(names)) + 0.4 * bool(title)
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    figure.suptitle(title, fontsize=12)
    places = figure.subplots(deep, columns, sharey=True, squeeze=False).flat
    colours = ["tab:green"] + ["tab:blue"] * len(others)
    for axes, metric in zip(places, metrics, strict=False):
        values = [row[metric] for row in rows.values()]
        drawn = axes.barh(range(len(names)), values, color=colours)
        labels = [f"{value:.3g}" for value in values]
        white = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        axes.bar_label(drawn, labels, fontsize=9, padding=3, bbox=white)
        axes.axvline(values[0], color="tab:green", linestyle="--", linewidth=1)
        axes.set_title(metric, fontsize=11)
        axes.set(yticks=range(len(names)), yticklabels=names, xticks=[])
        axes.margins(x=0.25)
    axes.invert_yaxis()  # they share it
    for axes in places:  # those that are left
        axes.set_axis_off()
    said = (
        f"{metric}: {', '.join(f'{name} {rows[name][metric]:.3g}' for name in names)}"
        for metric in metrics
    )
    return of_figure(figure, 80, 64, "<metrics>", f"{title or 'metrics'}: {'; '.join(said)}")


def trend(places, lines, title=None, across=None, label=None):
    """Return lines over `places`, on logarithmic axes, as a `Picture`.

    `lines` maps names to one list of values (all above 0) for each of `places`: the line joins
    their means, and a bar at each place reaches from the lowest to the highest. `title` stands
    above, `across` below and `label` beside the axes. Raises ValueError unless each line has as
    many lists as there are places, none of them empty.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes, told = figure.subplots(), []
    axes.set_prop_cycle(color=["tab:green", "tab:blue", "tab:orange", "tab:purple", "tab:red"])
    for name, values in lines.items():
        if len(values) != len(places) or not all(values) or min(map(min, values)) <= 0:
            raise ValueError(
                f"{name!r}: {len(values)} lists of values for {len(places)} places were given; one "
                "list for each place is expected, with values above 0"
            )
        means = [sum(some) / len(some) for some in values]
        reach = [
            [mean - min(some) for mean, some in zip(means, values, strict=True)],
            [max(some) - mean for mean, some in zip(means, values, strict=True)],
        ]
        axes.errorbar(places, means, reach, marker="o", capsize=4, label=name)
        told.append(f"{name}: {', '.join(f'{mean:.3g}' for mean in means)}")
    axes.set(xscale="log", yscale="log", title=title, xlabel=across, ylabel=label)
    axes.set_xticks(places, [f"{place:,}" for place in places], minor=False)
    axes.minorticks_off()
    axes.legend(frameon=False, fontsize=9)
    axes.grid(alpha=0.3)
    said = f"{title or 'trend'}, at {', '.join(map(str, places))}: {'; '.join(told)}"
    return of_figure(figure, 80, 64, "<trend>", said)
