"""Is the doctor right? What `ganlib.diagnose` says of the labelled runs of doctor_runs.py.

    python -m benchmarks.doctor play [--only TEXT] [--pictures FOLDER]
    python -m benchmarks.doctor judge [--half a | b | c | colour-a | colour-b | colour-c]

The runs on colour sets are those of doctor_colour.py. `play` trains all runs and writes
doctor_histories.json.gz; `judge` prints the confusion matrix, with intervals.
"""

import argparse
import gzip
import json
import math
import multiprocessing
import time
from pathlib import Path

import torch

import ganlib
from benchmarks import doctor_colour, doctor_runs
from ganlib.data import as_float, as_uint8
from ganlib.judge.features import digit_classifier

HISTORIES = Path(__file__).with_name("doctor_histories.json.gz")
ILL = {
    "d_wins",
    "g_wins",
    "total_collapse",
    "partial_collapse",
    "oscillation",
    "vanishing_gradients",
    "lr_too_high",
    "not_finite",
    "memorising",
}


class Enlarged(torch.nn.Module):
    """The digit classifier's features of digits of 14x14 pixels, enlarged to 28x28."""

    def __init__(self):
        super().__init__()
        self.net, self.name = digit_classifier(), "digit classifier on enlarged digits"
        self.sha256 = self.net.sha256

    def forward(self, images):
        return self.net(
            torch.nn.functional.interpolate(images, size=28, mode="bilinear")
            if images.shape[-1] != 28
            else images
        )


def runs():
    """Return all labelled runs, on digits and on colour sets."""
    return [*doctor_runs.runs(), *doctor_colour.runs()]


def digits_for(gan, only):
    """Return (training images, held-out ones, the extractor) for a run on digits."""
    digits = ganlib.load("digits")
    if gan.sample(2).shape[-1] == 14:
        small = as_uint8(torch.nn.functional.avg_pool2d(as_float(digits.images), 2))
        digits = ganlib.Images(small, digits.labels, digits.classes, "digits14")
    # no one trains on the last 1,000: a judge of memorising needs images that G cannot have seen
    held_out, count = ganlib.Images(digits.images[9000:], name="held out"), only or 9000
    data = ganlib.Images(digits.images[:count], digits.labels[:count], digits.classes, digits.name)
    return data, held_out, Enlarged()


def pictures_for(name, only):
    """Return the same for colour pictures; a run on `only` so many holds out the others."""
    data = doctor_colour.data_of(name)
    if only is None:
        return data, None, None
    index = torch.arange(len(data))
    return data.subset(index[:only]), data.subset(index[only:]), None


def play(task):
    name, pictures = task
    run = next(run for run in runs() if run.name == name)
    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("medium")
    start = time.monotonic()
    gan, step, batch, only = run.make()
    of = pictures_for(run.data, only) if run.data else digits_for(gan, only)
    data, held_out, extractor = of
    if run.data and run.kind in ("done", "memorising"):  # judged often, or of few images
        extractor = "pixels"

    n = 500
    if run.data:  # EfficientNet-Lite0 takes its time; all of a small set
        n = None if held_out is None and len(data) < 256 else min(128, len(held_out or data))

    def evaluate(gan, _):
        return ganlib.evaluate(gan, data, n=n, extractor=extractor, held_out=held_out, quiet=True)

    every, seen = max(5, run.steps // 40), []
    for now in ganlib.train(
        gan,
        data,
        step,
        until=run.steps,
        batch_size=batch,
        record_every=every,
        evaluate_every=run.evaluate_every,
        evaluate=evaluate,
    ):
        if pictures and now.every(every):
            seen = [*seen[-14:], as_uint8(gan.sample(64))]
    if pictures:
        at = Path(pictures) / run.name.replace("/", "_")
        ganlib.show(gan.sample(64), 16).save(f"{at}.png")
        torch.save((seen, data.images[:2000]), f"{at}.pt")
    rounded = [
        {
            key: float(f"{value:.4g}") if isinstance(value, float) else value
            for key, value in row.items()
        }
        for row in gan.history
    ]
    print(f"{run.name}: {now.reason}, {time.monotonic() - start:.0f} s", flush=True)
    return run.name, rounded


def wilson(right, n):
    """95 % interval of a share: Wilson 1927."""
    if n == 0:
        return 0.0, 1.0
    p, z = right / n, 1.96
    centre, spread = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (centre - spread) / (1 + z * z / n), (centre + spread) / (1 + z * z / n)


def judge(half):
    histories = json.loads(gzip.decompress(HISTORIES.read_bytes()))
    chosen = [run for run in runs() if half in (None, run.half) and run.name in histories]
    said = {run.name: ganlib.diagnose(histories[run.name]) for run in chosen}
    answers = {run.name: doctor_runs.right(run, histories[run.name]) for run in chosen}
    for run in chosen:
        if said[run.name].name not in answers[run.name]:
            print(f"{run.name}: {said[run.name]}")
    kinds = list(dict.fromkeys(run.kind for run in chosen))
    names = sorted({diagnosis.name for diagnosis in said.values()})
    print("\n| what was done | runs | right | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 3) + "|")
    for kind in kinds:
        ours = [run for run in chosen if run.kind == kind]
        right = sum(said[run.name].name in answers[run.name] for run in ours)
        counts = [sum(said[run.name].name == name for run in ours) for name in names]
        print(
            f"| {kind} | {len(ours)} | {right} | "
            + " | ".join(str(count or "") for count in counts)
            + " |"
        )
    right = sum(said[run.name].name in answers[run.name] for run in chosen)
    healthy = [run for run in chosen if run.kind in ("healthy", "undertrained", "done")]
    ill = sum(said[run.name].name in ILL for run in healthy)
    for what, count, n in (
        ("right", right, len(chosen)),
        ("healthy runs called ill", ill, len(healthy)),
    ):
        low, high = wilson(count, n)
        print(
            f"\n{what}: {count} of {n}, {100 * count / n:.1f} % "
            f"(95 % interval {100 * low:.1f} to {100 * high:.1f})"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["play", "judge"])
    parser.add_argument("--half", choices=["a", "b", "c", "colour-a", "colour-b", "colour-c"])
    parser.add_argument("--only", default="", help="runs whose name holds this text")
    parser.add_argument("--pictures", help="a folder for the last picture of each run")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    if options.what == "judge":
        return judge(options.half)
    histories = json.loads(gzip.decompress(HISTORIES.read_bytes())) if HISTORIES.exists() else {}
    tasks = [
        (run.name, options.pictures)
        for run in runs()
        if options.only in run.name and run.name not in histories
    ]
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        for name, history in pool.imap_unordered(play, tasks):
            histories[name] = history
            HISTORIES.write_bytes(
                gzip.compress(json.dumps(histories, sort_keys=True).encode(), mtime=0)
            )


if __name__ == "__main__":
    main()
