"""A flow of many steps, the same net in one step, and GANs from scratch, side by side.

    python -m benchmarks.flows --images 100000 --seeds 0 1 2 --threads 1

Plays what notebook 10 plays, without its pictures: a teacher for so many images, a copy (15 %), a
student begun as the copy (50 %), the same net against D from scratch (50 %), `small` (150 %).
Columns: seconds of training, all stages that it took; passes of the net for an image; seconds for
1,000 images; Frechet distance in floors, precision and recall of 2,000 fakes against MNIST's test
digits in the features of the digit classifier; the share of fakes of the class that the teacher
draws from the same noise in 32 steps.
"""

import argparse
import time

import torch

import ganlib
from ganlib import features, games, metrics

N = 2000
WAYS = ((1, "euler"), (2, "euler"), (4, "euler"), (8, "euler"), (16, "euler"), (32, "euler"))


def train(recipe, images, seed, start=None):
    """Return a run of so many images, and its seconds."""
    torch.manual_seed(seed)
    gan = recipe.gan(seed, start=start) if start is not None else recipe.gan(seed)
    began, data = time.monotonic(), ganlib.load("digits")
    until = f"{images} images"
    for _ in ganlib.train(gan, data, recipe, until=until, batch_size=recipe.batch_size):
        pass
    return gan, time.monotonic() - began


def play(images, seed, reader, tell):
    """Train and judge all of them for one seed."""
    flows = games.flows
    plan = {"copy": images * 15 // 100, "student": images // 2, "small": images * 3 // 2}
    teacher, first = train(flows.recipe("teacher", images=images), images, seed)
    z = teacher.noise(N)
    ends = flows.drawn(teacher, z, 32)
    for steps, method in (*WAYS, (4, "heun"), (8, "heun")):
        passes = steps if method == "euler" else 2 * steps - 1
        draw = lambda k=steps, m=method: flows.drawn(teacher, z, k, m)  # noqa: E731
        tell(f"teacher, {steps} of {method}", first, passes, draw, ends)
    made = flows.recipe("copy", images=plan["copy"], teacher=teacher)
    copied, second = train(made, plan["copy"], seed, teacher)
    tell("copy", first + second, 1, lambda: copied.sample(noise=z), ends)
    made = flows.recipe("student", images=plan["student"])
    student, third = train(made, plan["student"], seed, copied)
    tell("student", first + second + third, 1, lambda: student.sample(noise=z), ends)
    scratch, seconds = train(made, plan["student"], seed)
    tell("the same from scratch", seconds, 1, lambda: scratch.sample(noise=z), ends)
    small, seconds = train(ganlib.recipe("small", images=plan["small"]), plan["small"], seed)
    tell("small", seconds, 1, lambda: small.sample(N), None)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    ganlib.setup(0, device="cpu", precision="fast", threads=options.threads)
    reader = features.digit_classifier()
    stored = features.reference(reader.sha256)
    real = stored["test"]
    floor = metrics.frechet_distance(real, stored["train"][:N])
    titles = "seed", "what", "s of training", "passes", "s for 1,000", "floors", "precision"
    titles += "recall", "class kept"
    print("| " + " | ".join(titles) + " |\n" + "|---" * len(titles) + "|", flush=True)
    for seed in options.seeds:

        def tell(name, seconds, passes, draw, ends, seed=seed):
            began = time.monotonic()
            fakes = draw()
            each = (time.monotonic() - began) * 1000 / N
            seen = features.read(reader, fakes.clamp(-1, 1))
            distance = metrics.frechet_distance(real, seen) / floor
            near, far = metrics.precision_recall(real[:N], seen)
            kept = "-" if ends is None else f"{games.flows.agreement(fakes, ends, reader):.1%}"
            row = [seed, name, f"{seconds:.0f}", passes, f"{each:.2f}", f"{distance:.1f}"]
            row += [f"{near:.3f}", f"{far:.3f}", kept]
            print("| " + " | ".join(map(str, row)) + " |", flush=True)

        play(options.images, seed, reader, tell)


if __name__ == "__main__":
    main()
