"""A drawing of the shapes that a tensor takes on its way through a net."""

import re

import torch

from ..game.contract import evaluating
from .curves import of_figure

GREY, COLOURS = "#333333", ("#e8820c", "#1f77b4")


@torch.no_grad()
def shapes(nets, inputs):
    """Return a row for each net: the shapes of `inputs` on the way through it, as a `Picture`.

    `nets` and `inputs` map the same names to a module and to the batch that it is fed. Drawn is
    what each layer returns where its shape differs from the one before: maps `(C, H, W)` as a
    block, numbers `(C,)` as a line; an arrow is named after the layers between the two. Raises
    ValueError without a net.
    """
    rows = {name: _way(net, inputs[name]) for name, net in nets.items()}
    if not rows:
        raise ValueError("no nets were given; {name: net} is expected")
    from matplotlib.figure import Figure

    columns = max(len(way) for way in rows.values())
    figure = Figure(figsize=(11, 1.9 * len(rows)), facecolor="#fbfaf7")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-0.75, columns - 0.4), ylim=(0.45 - len(rows), 0.45))
    square = 1.9 * (columns + 0.35) / 11  # columns that are as wide as one row is high
    axes.set_axis_off()
    said = []
    for row, (name, way) in enumerate(rows.items()):
        colour, y = COLOURS[row % 2], -row
        axes.text(-0.7, y + 0.33, name, color=colour, size=13, weight="bold", va="center")
        largest = max((max(shape[1:]) for _, shape in way if len(shape) > 1), default=1)
        for i, (layers, shape) in enumerate(way):
            words = _block(axes, i, y, shape, largest, square, colour)
            if i:
                arrow = {"arrowstyle": "-|>", "color": GREY, "lw": 1.2}
                axes.annotate("", (i - 0.37, y), (i - 0.63, y), arrowprops=arrow)
                axes.text(
                    i - 0.5,
                    y - 0.05,
                    "\n".join(map(_short, layers)),
                    ha="center",
                    va="top",
                    size=8.5,
                )
            axes.text(i, y - 0.4, words, ha="center", va="center", color=GREY, size=10)
        said.append(f"{name}: {', '.join('x'.join(map(str, shape)) for _, shape in way)}")
    return of_figure(figure, 80, 32, "<shapes>", f"shapes on the way through {'; '.join(said)}")


def _short(name):
    """Return the name of a layer in two lines if it is long."""
    return re.sub("(?<=[a-z])(?=[A-Z])", "-\n", name) if len(name) > 12 else name


def _block(axes, x, y, shape, largest, square, colour):
    """Draw one shape around (x, y); return how it is written."""
    from matplotlib.patches import Polygon, Rectangle

    style = {"ec": colour, "lw": 1.4}
    if len(shape) == 1:
        high = 0.06 if shape[0] == 1 else 0.3 + 0.2 * (shape[0] > 500)
        axes.add_patch(Rectangle((x - 0.03, y - high / 2), 0.06, high, fc=colour, **style))
        return f"{shape[0]:,}"
    high, deep = 0.38 * shape[1] / largest, 0.013 * shape[0] ** 0.5
    wide, up = square * high * shape[-1] / shape[1], deep / square
    left, low = x - (wide + deep) / 2, y - high / 2
    right, top = left + wide, low + high
    back = [(left, top), (left + deep, top + up), (right + deep, top + up)]
    back += [(right + deep, low + up), (right, low), (right, top)]
    axes.add_patch(Polygon(back, fc=colour, alpha=0.35, **style))
    axes.add_patch(Rectangle((left, low), wide, high, fc="white", **style))
    return " x ".join(map(str, shape))


def _way(net, batch):
    """Return [(names of the layers before it, shape without the batch), ...], the input first."""
    way, names, hooks = [([], tuple(batch.shape[1:]))], [], []

    def saw(layer, _, result):
        if not isinstance(result, torch.Tensor):
            return
        name = type(layer).__name__
        changed = tuple(result.shape[1:]) != way[-1][1]
        if changed or any(weight.ndim > 1 for weight in layer.parameters()):
            names.append(name)
        if changed:
            way.append((list(dict.fromkeys(names)), tuple(result.shape[1:])))
            names.clear()

    try:
        for layer in net.modules():
            if not any(True for _ in layer.children()):
                hooks.append(layer.register_forward_hook(saw))
        with evaluating(net):
            result = net(batch)
    finally:
        for hook in hooks:
            hook.remove()
    if tuple(result.shape[1:]) != way[-1][1] and result.ndim > 1:
        way.append((names, tuple(result.shape[1:])))
    return way
