"""The exercises of notebook 06: test cases, answers, and common mistakes with hints."""

import torch

from .task import Task, Unfit, numbers, shape


def _bytes():
    return [("bytes [0, 51, 128, 255]", (torch.tensor([0, 51, 128, 255], dtype=torch.uint8),))]


def _watch_noise(noise_at):
    """Return 1 or 0 for each: a second call gives the same noise; another step, another seed and
    two pairs of the same sum give other noise; the numbers are normal.
    """
    torch.manual_seed(0)
    first = noise_at(1, 2)
    if not isinstance(first, torch.Tensor):
        return first
    if first.shape != (4,):
        raise Unfit(f"it gives {shape(first)}; a tensor of (4,) is expected")
    torch.randn(7)
    same = torch.equal(first, noise_at(1, 2))
    others = [
        not torch.equal(first, noise_at(seed, step))
        for seed, step in ((1, 3), (2, 2), (2, 1), (0, 3))
    ]
    many = torch.cat([noise_at(seed, step).double() for seed in range(20) for step in range(20)])
    normal = abs(many.mean()) < 0.2 and 0.7 < many.var() < 1.3 and (many.abs() > 2).any()
    return numbers(float(same), *map(float, others), float(normal))


def _keyed(seed, step):
    return torch.randn(4, generator=torch.Generator().manual_seed(1_000_003 * seed + step))


def _nearby():
    return [
        (
            "distances of five fakes to the nearest training image and the nearest one kept back",
            (numbers(0.2, 0.5, 0.9, 0.1, 0.4), numbers(0.3, 0.4, 1.0, 0.6, 0.5)),
        )
    ]


TASKS = {
    "to_floats": Task(
        _bytes,
        lambda pixels: pixels.float() / 127.5 - 1,
        (
            (
                "That runs from 0 to 1; G's tanh answers from -1 to 1.",
                lambda pixels: pixels.float() / 255,
            ),
            ("White is to be exactly 1: 255 / 127.5 - 1.", lambda pixels: pixels.float() / 128 - 1),
            (
                "Bytes wrap around at 256: make floats of them before you reckon.",
                lambda pixels: (pixels * 2).float() / 255 - 1,
            ),
        ),
        shape="like the bytes",
    ),
    "noise_at": Task(
        lambda: [("seeds and steps", ())],
        _keyed,
        (
            (
                "It depends on what was drawn before: a run that was cut off would go on with "
                "other noise. Give randn a generator of its own.",
                lambda seed, step: torch.randn(4),
            ),
            (
                "Seed 1 at step 2 is seed 2 at step 1: a sum of the two mixes runs up.",
                lambda seed, step: torch.randn(
                    4, generator=torch.Generator().manual_seed(seed + step)
                ),
            ),
            (
                "Each step has the same noise: the step has to play a part.",
                lambda seed, step: torch.randn(4, generator=torch.Generator().manual_seed(seed)),
            ),
            (
                "Those are no normal numbers: randn, not rand.",
                lambda seed, step: torch.rand(
                    4, generator=torch.Generator().manual_seed(1_000_003 * seed + step)
                ),
            ),
        ),
        observe=_watch_noise,
        gives="the same again, others for another step, another seed and two pairs of "
        "the same sum, and normal:",
    ),
    "copied": Task(
        _nearby,
        lambda train, kept: (train < kept).float().mean(),
        (
            (
                "That is the share nearer to images kept back.",
                lambda train, kept: (kept < train).float().mean(),
            ),
            (
                "That compares the means; the share of fakes is asked for.",
                lambda train, kept: (train.mean() < kept.mean()).float(),
            ),
            (
                "That is how much nearer; the share of fakes is asked for.",
                lambda train, kept: (kept - train).mean(),
            ),
        ),
    ),
}
