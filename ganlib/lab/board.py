"""Draw the board of a `Stepper`: noise, fakes, D's verdicts, losses, and how far each layer moved.
`Stepper.picture` calls `board_of`.
"""

import torch

from ..data.images import as_uint8
from ..show.curves import of_figure
from ..show.pictures import mosaic

# colours: grey for the board before the last action, one for each kind of thing on it now
BEFORE, NOW = (
    "0.7",
    {
        "noise": "tab:grey",
        "reals": "tab:green",
        "fakes": "tab:red",
        "D": "tab:blue",
        "G": "tab:orange",
    },
)


def board_of(stepper, now):
    """Return the board of a `Stepper` as a `Picture`.

    `now` holds what is on the board, `stepper.before` what was on it before the last action; both
    come from `Stepper._board`.
    """
    from matplotlib.figure import Figure

    then = stepper.before
    figure = Figure(figsize=(11, 5.2), layout="constrained")
    figure.suptitle(stepper.said, fontsize=11)
    (noise, images, verdicts), (terms, norms, changes) = figure.subplots(2, 3)
    for board, colour in ((then, BEFORE), (now, NOW["noise"])):
        noise.plot(board["noise"][0].float().cpu(), ".", color=colour, markersize=4)
    noise.set(title="noise: the numbers of the first vector", xlabel="place in the vector")
    _images(stepper, images, then, now)
    _verdicts(stepper, verdicts, then, now)
    names = list(now["terms"])
    for shift, board, colours in (
        (0.2, then, [BEFORE] * len(names)),
        (-0.2, now, [NOW[name.strip()[0]] if name[0] != " " else "tab:cyan" for name in names]),
    ):
        values = [board["terms"][name] for name in names]
        places = [-i + shift for i in range(len(names))]
        for bar, value in zip(terms.barh(places, values, 0.38, color=colours), values, strict=True):
            terms.text(
                max(0.0, value), bar.get_y() + 0.19, f" {value:.3f}", va="center", fontsize=9
            )
    terms.set(title="losses", yticks=[-i for i in range(len(names))], yticklabels=names)
    terms.margins(x=0.2)
    _bars(stepper, norms, 0, "gradient norm of each layer (log)")
    _bars(stepper, changes, 1, "weights of each layer moved by, in %")
    losses = ", ".join(f"{name.strip()} {value:.3f}" for name, value in now["terms"].items())
    alt = (
        f"board of a training step, as it was in grey, as it is in colour: {stepper.said}; {losses}"
    )
    return of_figure(figure, 80, 256, "<board>", alt)


def _images(stepper, axes, then, now):
    if stepper.fakes.ndim != 4:  # points in the plane
        for points, colour in (
            (stepper.real, NOW["reals"]),
            (then["fakes"], BEFORE),
            (now["fakes"], NOW["fakes"]),
        ):
            axes.scatter(*points.float().cpu().T, s=6, color=colour)
        title = "fakes, and reals in green"
    else:
        low, high = _shades(torch.cat([board["fakes"][:12] for board in (then, now)]))
        halves = [mosaic(board["fakes"][:12], 6, gap=1) for board in (then, now)]
        gap = halves[0].new_full((len(halves[0]), 8, halves[0].shape[2]), 255)
        image = torch.cat([halves[0], gap, halves[1]], 1).permute(1, 2, 0).squeeze(-1)
        image = ((image.float() - low) / (high - low)).clamp(0, 1)
        axes.imshow(image.numpy(), cmap="gray", vmin=0, vmax=1)
        axes.set(xticks=[], yticks=[])
        stretched = f", contrast x {255 / (high - low):.0f}" if high - low < 255 else ""
        title = f"fakes: before (top), now{stretched}"
    axes.set_title(title, fontsize=11)


def _shades(images):
    """Return the levels (0 to 255) that are drawn black and white: greys are stretched."""
    levels = as_uint8(images).flatten().sort().values
    low, high = (int(levels[round(share * (len(levels) - 1))]) for share in (0.005, 0.995))
    return (low, max(high, low + 1)) if high - low < 100 else (0, 255)


def _verdicts(stepper, axes, then, now):
    absolute = stepper.objective.absolute
    scale = torch.sigmoid if absolute else (lambda x: x)
    lists = [scale(board[key]).numpy() for board in (then, now) for key in ("reals", "d_fake")]
    low, high = min(x.min() for x in lists), max(x.max() for x in lists)
    room = max(0.02, 0.05 * (high - low))
    bins = torch.linspace(low - room, high + room, 41).numpy()
    for values, name, label in zip(lists[:2], ("reals", "fakes"), ("before", None), strict=True):
        axes.hist(values, bins, histtype="step", color=NOW[name], linestyle=":", label=label)
    for values, name in zip(lists[2:], ("reals", "fakes"), strict=True):
        axes.hist(values, bins, color=NOW[name], alpha=0.6, label=name)
    axes.set(title="D's " + ("probability of 'real'" if absolute else "logits"))
    axes.legend(frameon=False, fontsize=9)


def _bars(stepper, axes, which, title):
    """Draw a bar for each layer of G and D: gradient norms (`which` 0) or weight changes (1)."""
    labels, place = [], 0
    for player in "GD":
        names = [name for name, _ in layers_of(getattr(stepper.gan, player))]
        for state, shift in ((stepper.earlier, -0.2), (stepper.moved, 0.2)):
            values = state[player][which]
            if values is not None:
                heights = [100 * value for value in values] if which else values
                colour = BEFORE if state is stepper.earlier else NOW[player]
                axes.bar(
                    [place + i + shift for i in range(len(names))], heights, 0.38, color=colour
                )
        labels += [f"{player}{i + 1}" for i in range(len(names))]
        place += len(names)
    axes.set(title=title, xticks=range(place), xlim=(-0.7, place - 0.3))
    if not which and any(bar.get_height() > 0 for bar in axes.patches):
        axes.set_yscale("log")
    axes.set_xticklabels(labels, fontsize=9)


def layers_of(net):
    """Return (name, weight) of each weight of a net that is a matrix or a kernel."""
    return [(name, weight) for name, weight in net.named_parameters() if weight.ndim > 1]
