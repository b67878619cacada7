"""How long the lab lets one wait: the plane's frame, the explorer's slider, the stepper's button.

    python -m benchmarks.lab [--repeats 30]

Milliseconds, median and the slowest of each, from the control's new value to the encoded picture;
what the browser adds is its own. The explorer moves the recipe `small`, with 10,000 training images
to compare with, the stepper the classic pair, the plane two nets of 64-64; none of them needs to be
trained for it.
"""

import argparse
import statistics
import time

import torch

import ganlib
from ganlib import lab, losses, nets, plane


def timed(name, act, repeats, aim=None):
    act(1)
    taken = []
    for i in range(2, repeats + 2):
        start = time.perf_counter()
        act(i)
        taken.append(1000 * (time.perf_counter() - start))
    aim = "" if aim is None else f" (aim {aim})"
    print(
        f"{name:42} {statistics.median(taken):7.0f} ms, at most {max(taken):5.0f}{aim}", flush=True
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=30)
    repeats = parser.parse_args().repeats
    ganlib.setup(seed=0)
    torch.manual_seed(0)
    digits = ganlib.load("digits")
    pair = nets.MLPGenerator(2, (2,), (64, 64)), nets.MLPDiscriminator((2,), (64, 64), dropout=0.0)
    points, toy = plane.Points(plane.ring()), ganlib.GAN(*pair, seed=0)
    timed("a frame of the plane", lambda i: plane.frame(toy, points), repeats, 50)
    timed(
        "the same, relativistic",
        lambda i: plane.frame(toy, points, losses.relativistic),
        repeats,
        50,
    )

    explorer = lab.Explorer(ganlib.recipe("small", classes=10).gan(0), digits)
    panel, grid = explorer.panel(), explorer.grid_panel()

    def moves(panel, name, values):
        def act(i):
            before = panel.picture.value
            panel.controls[name].value = values[i % len(values)]
            assert panel.picture.value != before and panel.line.value == "", panel.line.value

        return act

    timed("explorer: another noise", moves(panel, "sample", range(500)), repeats, 300)
    timed(
        "explorer: along a direction",
        moves(panel, "direction_1", [i / 10 for i in range(40)]),
        repeats,
        300,
    )
    timed("explorer: another class", moves(panel, "label", range(10)), repeats, 300)
    timed("explorer: the grid of 49", moves(grid, "x", [i / 10 for i in range(40)]), repeats, 300)

    board = lab.Stepper(ganlib.GAN(nets.MLPGenerator(), nets.MLPDiscriminator(), seed=0), digits)
    panel = board.panel()

    def press(label):
        panel.buttons[label].click()
        assert panel.line.value == "", panel.line.value

    for label in panel.buttons:
        timed(f"stepper: {label}", lambda i, label=label: press(label), max(3, repeats // 6))


if __name__ == "__main__":
    main()
