"""What live view, history, doctor and checkpoints cost of a run's time; how long a start takes.

    python -m benchmarks.overhead [--recipe classic] [--steps 6000] [--starts 5] [--every 500]

The run is that of the first notebook: a live view with a folder, a row of history every 50 steps,
the doctor's verdict. It is saved by the clock, `train(folder=...)`; `--every 500`: every 500 steps,
by the loop's own `save`. Each part is timed where it is called, in the same run, so that a busy
machine slows the parts and the whole alike. A start is a process of its own: `import ganlib` after
torch and torchvision, and from there to the end of the first step.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial

import ganlib
from benchmarks.blocks import arguments
from ganlib.keep import autosave
from ganlib.run import history, training

START = """
import time
import torch, torchvision
start = time.perf_counter()
import ganlib
loaded = time.perf_counter()
from contextlib import redirect_stdout
import io
with redirect_stdout(io.StringIO()):
    ganlib.setup(0, precision="fast")
    digits = ganlib.load("digits")
    gan = ganlib.GAN(ganlib.nets.MLPGenerator(), ganlib.nets.MLPDiscriminator())
    for now in ganlib.train(gan, digits, until=1):
        break
print(loaded - start, time.perf_counter() - start)
"""


def timed(spent, name, function):
    def call(*given, **named):
        start = time.perf_counter()
        try:
            return function(*given, **named)
        finally:
            spent[name] = spent.get(name, 0.0) + time.perf_counter() - start

    return call


def main():
    options = arguments(
        __doc__,
        recipe=(str, "classic", "which"),
        steps=(int, 6000, "of the run"),
        starts=(int, 5, "how many starts"),
        every=(int, 0, "steps between two saves"),
    )
    ganlib.setup(0, precision="fast")
    digits, made = ganlib.load("digits"), ganlib.recipe(options.recipe)
    gan, spent = made.gan(0), {}
    history.Records.add = timed(spent, "rows of the history", history.Records.add)
    history.Records.saw = timed(
        spent, "watching for figures that are not finite", history.Records.saw
    )
    save = timed(spent, "checkpoints", ganlib.save)
    autosave.save = timed(spent, "checkpoints", autosave.save)
    with tempfile.TemporaryDirectory() as folder:
        view = ganlib.LiveView(total=options.steps, folder=folder)
        view.update = timed(spent, "live view, with the doctor", view.update)
        start = time.perf_counter()
        for now in training.train(
            gan,
            digits,
            made.step,
            until=options.steps,
            view=view,
            batch_size=made.batch_size,
            folder=None if options.every else folder,
        ):
            if options.every and now.every(options.every):
                save(folder, gan)
        whole = time.perf_counter() - start
    print(
        f"\n{made.name}, {options.steps:,} steps in {whole:.0f} s\n\n"
        "| part | seconds | share |\n|---|---|---|"
    )
    for name, seconds in spent.items():
        print(f"| {name} | {seconds:.2f} | {seconds / whole:.2%} |")
    print(f"| all of these | {sum(spent.values()):.2f} | {sum(spent.values()) / whole:.2%} |")
    run = partial(
        subprocess.run, [sys.executable, "-c", START], capture_output=True, text=True, check=True
    )
    times = [[float(x) for x in run().stdout.split()] for _ in range(options.starts)]
    loaded, first = (statistics.median(column) for column in zip(*times, strict=True))
    print(
        f"\nimport ganlib after torch and torchvision: {loaded:.2f} s; "
        f"to the end of the first step: {first:.2f} s (medians of {options.starts})"
    )


if __name__ == "__main__":
    main()
