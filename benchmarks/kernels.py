"""How many operations a training step has that compute or move numbers: on a GPU each is a kernel,
or more, and the time of a step of small nets is their number.

    python -m benchmarks.kernels [--recipes small r3gan style]

They are counted where torch hands them to a device, so that a CPU counts them too: views and empty
tensors are left out; a fused optimizer, a foreach call and a convolution are one each, on a GPU
some are more. Recipes at 28 x 28 grey (`small`), 32 x 32 grey (`r3gan`) and 32 x 32 in colour,
batch 8, in the part of a game against D.
"""

import argparse
from collections import Counter
from dataclasses import replace

from torch.utils._python_dispatch import TorchDispatchMode

import ganlib
from benchmarks.gpu import noise

VIEWS = {"view", "as_strided", "t", "transpose", "permute", "slice", "select", "unsqueeze"}
VIEWS |= {"squeeze", "expand", "detach", "alias", "_unsafe_view", "split", "unbind", "unfold"}
VIEWS |= {"_reshape_alias", "split_with_sizes", "diagonal", "is_same_size", "empty", "empty_like"}
VIEWS |= {"empty_strided", "new_empty", "new_empty_strided"}
VIEWS |= {"_record_function_enter_new", "_record_function_exit"}  # the profiler's own
SHAPES = {"small": (1, 28, 28), "classic": (1, 28, 28), "r3gan": (1, 32, 32)}


class Counted(TorchDispatchMode):
    """Counts the operations that are called while it is entered, by name."""

    def __init__(self):
        super().__init__()
        self.names = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if name not in VIEWS:
            self.names[name] += 1
        return func(*args, **(kwargs or {}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipes", nargs="*", default=["small", "r3gan", "style"])
    options = parser.parse_args()
    ganlib.setup(0, device="cpu", threads=1)
    print("| recipe | operations a step | most of them |\n|---|---|---|")
    for name in options.recipes:
        shape = SHAPES.get(name, (3, 32, 32))
        data = noise(shape, 64)
        made = replace(ganlib.recipe(name, shape), batch_size=8)
        made = replace(made, warm=0)
        gan = made.gan(0)
        made.check(gan, data)
        for step in range(3):  # the first two make moments and caches
            batches = data.batches(0, gan.step, made.batches, 8)
            with Counted() as counted:
                made.step(gan, batches)
        most = ", ".join(f"{count} {key}" for key, count in counted.names.most_common(6))
        print(f"| {name} | {counted.names.total():,} | {most} |")


if __name__ == "__main__":
    main()
