"""`curves` draws the figures in the history of a run, over the steps, as one picture.

The metrics that it shows, and where, are given by the table in judge/figures.py.
"""

import io

from ..judge.figures import FIGURES, MAIN
from .pictures import Picture

# A panel: title, top of the y axis or None, and lines (key of the history, label, colour).
LOSSES = ("losses", None, (("d_loss", "D", "tab:blue"), ("g_loss", "G", "tab:orange")))
BELIEF = (
    "D's mean probability of 'real'",
    1,
    (("p_real", "reals", "tab:green"), ("p_fake", "fakes", "tab:red")),
)
LOGITS = (
    "D's mean logits: only their distance counts",
    None,
    (("d_real", "reals", "tab:green"), ("d_fake", "fakes", "tab:red")),
)
DIVERSITY = (
    "diversity of the fakes",
    None,
    (("diversity", "64 fakes", "tab:purple"), ("real_diversity", "reals", "tab:green")),
)


def curves(history):
    """Return the curves of a run (`gan.history`, or `history.json` read back) as a `Picture`.

    Left: both losses. Middle: D's mean probability of 'real' for reals and fakes, or its mean
    logits if the objective does not make a logit a probability. Right: the diversity of the fakes,
    which is the standard deviation of a pixel over 64 of them, mean over the pixels. If several
    GANs are trained in one run, each has a row of its own. If the run was evaluated, a last row
    shows metrics that have a panel in the table of figures (three panels at most), beside those of
    real images. Raises ValueError for an empty history.
    """
    if not history:
        raise ValueError("the history is empty; train first: it is recorded every 50 steps")
    from matplotlib.figure import Figure  # not pyplot, which would show the figure a second time

    panels = []
    names = [key.rpartition(".")[0] for key in history[-1] if key.endswith("d_loss")] or [""]
    for start in (f"{name}." if name else "" for name in names):
        belief = LOGITS if history[-1].get(f"{start}absolute") == 0 else BELIEF
        panels += [_named(panel, start) for panel in (LOSSES, belief, DIVERSITY)]
    if any(FIGURES.keys() & row.keys() for row in history):
        panels += _judged(history)
    rows = -(-len(panels) // 3)
    figure = Figure(figsize=(11, 3 * rows), layout="constrained")
    places = list(figure.subplots(rows, 3).flat)
    for axes in places[len(panels) :]:
        axes.set_axis_off()
    for axes, (title, top, lines) in zip(places, panels, strict=False):
        for name, label, colour in lines:
            points = [(row["step"], row[name]) for row in history if row.get(name) is not None]
            of_reals = name.rpartition(".")[2].startswith("real_") or name == "floor"
            if points:
                style = "--" if of_reals else "-"
                axes.plot(*zip(*points, strict=True), style, label=label, color=colour, linewidth=1)
        axes.set(
            title=title, xlabel="step", yscale="log" if title == FIGURES[MAIN].panel else "linear"
        )
        axes.set_ylim(top and 0, top)
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(frameon=False, fontsize=9)
    shown = "; ".join(title for title, _, _ in panels)
    alt = f"curves over the steps {history[0]['step']:,} to {history[-1]['step']:,}: {shown}"
    return of_figure(figure, 80, 256, "<curves>", alt)


def _named(panel, start):
    """Return the panel with the title and keys of the GAN whose keys begin with `start`."""
    title, top, lines = panel
    return (
        f"{start.replace('.', ': ')}{title}",
        top,
        [(start + name, label, colour) for name, label, colour in lines],
    )


def _judged(history):
    """Return the panels of the table of figures that the history has lines for, three at most.

    A metric with a `line` adds one of real images.
    """
    panels = {}
    for name, figure in FIGURES.items():
        if figure.panel and any(name in row for row in history):
            lines = panels.setdefault(figure.panel, [])
            lines.append((name, "G" if figure.line else name, figure.colour))
            if figure.line:
                lines.append((figure.line, "real images", "tab:green"))
    # a row has three places: where classes have a score, the distance of patches gives way to it
    shown = sorted(
        panels.items(), key=lambda panel: panel[0] == FIGURES["sliced_wasserstein"].panel
    )
    return [
        (title, None if any(label == "G" for _, label, _ in lines) else 1, lines)
        for title, lines in shown[:3]
    ]


def of_figure(figure, dpi, colours, text, alt=""):
    """Return a matplotlib figure as a `Picture` of at most `colours` colours.

    That is half as large as a file with all colours. `text` is what the picture prints as, `alt`
    says what it shows.
    """
    from PIL import Image

    file = io.BytesIO()
    figure.savefig(file, dpi=dpi)
    with Image.open(file) as picture:
        return Picture(picture.convert("RGB").quantize(colours), text, alt=alt)
