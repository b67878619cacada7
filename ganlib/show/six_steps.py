"""The six steps of a GAN as a drawing: who hands what to whom, and which step does it."""

import io

from .pictures import Picture

BLUE, ORANGE, GREEN, RED, INK = "#1f77b4", "#e8820c", "#2a9d3a", "#d62728", "#333333"
STEPS = (
    "initialise G and D",
    "fakes from noise",
    "D judges real and fake",
    "both losses",
    "one move each",
    "repeat",
)
# a box: text, x and y of its middle, width, height, colour
BOXES = (
    ("noise", 0.75, 2.1, 1.0, 0.7, INK),
    ("G\ngenerator", 2.55, 2.1, 1.4, 1.0, ORANGE),
    ("fakes", 4.3, 2.1, 1.0, 0.7, RED),
    ("reals", 4.3, 0.8, 1.0, 0.7, GREEN),
    ("D\ndiscriminator", 6.2, 1.45, 1.6, 1.0, BLUE),
    ("loss of D", 8.35, 1.9, 1.3, 0.6, BLUE),
    ("loss of G", 8.35, 1.0, 1.3, 0.6, ORANGE),
)
# an arrow: from x, y, to x, y, colour
ARROWS = (
    (1.25, 2.1, 1.83, 2.1, INK),
    (3.25, 2.1, 3.78, 2.1, INK),
    (4.8, 2.1, 5.38, 1.75, RED),
    (4.8, 0.8, 5.38, 1.15, GREEN),
    (7.0, 1.6, 7.68, 1.9, INK),
    (7.0, 1.3, 7.68, 1.0, INK),
)
# what a loss teaches: corners from the loss to the player that moves; to G it goes through D
LEARNING = (
    (((8.35, 2.2), (8.35, 2.85), (6.2, 2.85), (6.2, 1.97)), BLUE),
    (((8.35, 0.7), (8.35, 0.4), (6.6, 0.4), (6.6, 0.93)), ORANGE),
    (((5.8, 0.93), (5.8, 0.1), (2.55, 0.1), (2.55, 1.58)), ORANGE),
)
# the number of a step: x, y
PLACES = {
    1: ((1.85, 2.6), (5.4, 1.95)),
    2: ((3.52, 2.42),),
    3: ((5.05, 1.43),),
    4: ((7.45, 1.45),),
    5: ((7.3, 2.85), (7.5, 0.4), (4.2, 0.1)),
    6: ((0.6, 0.25),),
}


def six_steps(step=None):
    """Return the map of the six steps as a `Picture`, on a background of its own.

    `step`, 1 to 6, is drawn as the one where the reader is; None is the map as a whole. Raises
    ValueError for another step.
    """
    if step not in (None, *PLACES):
        raise ValueError(f"step={step!r} was given; 1 to {len(STEPS)}, or None, is expected")
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch
    from PIL import Image

    figure = Figure(figsize=(9.2, 3.9), facecolor="#fbfaf7")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 9.2), ylim=(-0.7, 3.2))
    axes.set_axis_off()
    for text, x, y, wide, high, colour in BOXES:
        place = (x - wide / 2, y - high / 2)
        style = {"boxstyle": "round,pad=0,rounding_size=0.12", "lw": 1.8}
        axes.add_patch(FancyBboxPatch(place, wide, high, fc="white", ec=colour, **style))
        axes.text(x, y, text, ha="center", va="center", color=INK, size=12)
    for x, y, to_x, to_y, colour in ARROWS:
        arrow = {"arrowstyle": "-|>", "color": colour, "lw": 1.6}
        axes.annotate("", (to_x, to_y), (x, y), arrowprops=arrow)
    for path, colour in LEARNING:  # a line with corners, and the arrow's head at its end
        axes.plot(*zip(*path[:-1], strict=True), "--", color=colour, lw=1.6)
        arrow = {"arrowstyle": "-|>", "color": colour, "lw": 1.6, "ls": "--"}
        axes.annotate("", path[-1], path[-2], arrowprops=arrow)
    for number, places in PLACES.items():
        here = step == number
        face = INK if here or step is None else "#c9c6bf"
        for x, y in places:
            axes.text(
                x,
                y,
                str(number),
                ha="center",
                va="center",
                color="white",
                size=12 if here or step is None else 10,
                weight="bold",
                bbox={"boxstyle": "circle,pad=0.28", "fc": RED if here else face, "ec": "none"},
            )
    again = {"arrowstyle": "-|>", "color": INK, "lw": 1.6, "connectionstyle": "arc3,rad=-0.9"}
    axes.annotate("", (0.95, 0.25), (0.25, 0.25), arrowprops=again)
    axes.text(1.05, 0.25, "repeat 2 to 5", va="center", color=INK, size=10)
    words = "     ".join(f"{i} {text}" for i, text in enumerate(STEPS, 1))
    axes.text(4.6, -0.45, words, ha="center", va="center", color=INK, size=9.5)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=96, facecolor=figure.get_facecolor())
    said = "map of the six steps" if step is None else f"map: step {step}, {STEPS[step - 1]}"
    words = ", ".join(f"{i} {text}" for i, text in enumerate(STEPS, 1))
    alt = "map of the six steps of a GAN: noise goes through G and becomes fakes; fakes and reals "
    alt += "go to D; its verdicts make both losses; D moves by its loss, G by its own, through D. "
    alt += f"Steps: {words}"
    alt += "" if step is None else f"; you are at step {step}"
    with Image.open(file) as opened:
        return Picture(opened.convert("RGB").quantize(32), f"<{said}>", alt=alt, optimize=True)
