"""The exercises of notebook 06: test cases, answers, and common mistakes with remarks."""

import torch

from ..task import Experiment, Prediction, Task, Unfit, numbers, shape
from ..words import tell


def _bytes():
    return [
        ("bytes [0, 51, 128, 255]", (torch.tensor([0, 51, 128, 255], dtype=torch.uint8),)),
        ("one white pixel [[255]]", (torch.tensor([[255]], dtype=torch.uint8),)),
        ("no pixel at all", (torch.zeros(0, dtype=torch.uint8),)),
    ]


def _pairs():
    return [("seed 1 at step 2", (1, 2)), ("seed 0 at step 50,000", (0, 50_000))]


def _watch_noise(noise_at, a, b):
    """Return 1 or 0 for each thing that is asked of the noise of seed a at step b."""
    torch.manual_seed(0)
    first = noise_at(a, b)
    if not isinstance(first, torch.Tensor):
        return first
    if first.shape != (4,):
        raise Unfit(tell("it gives {yours}; a tensor of (4,) is expected", yours=shape(first)))
    torch.randn(7)
    same = torch.equal(first, noise_at(a, b))

    def differs(seed, step):
        return float(not torch.equal(first, noise_at(seed, step)))

    many = torch.cat([noise_at(seed, step).double() for seed in range(20) for step in range(20)])
    normal = abs(many.mean()) < 0.2 and 0.7 < many.var() < 1.3 and (many.abs() > 2).any()
    return {
        "the same when asked again (1: yes)": float(same),
        "another at the next step": differs(a, b + 1),
        "another for the next seed": differs(a + 1, b),
        "another for seed + 1, step - 1": differs(a + 1, b - 1),
        "another with seed and step exchanged": differs(b, a),
        "normally distributed": float(normal),
    }


def _keyed(seed, step, draw=torch.randn):
    return draw(4, generator=torch.Generator().manual_seed(1_000_003 * seed + step))


def _nearby():
    return [
        (
            "distances of five fakes to training images and to images kept back",
            (numbers(0.2, 0.5, 0.9, 0.1, 0.4), numbers(0.3, 0.4, 1.0, 0.6, 0.5)),
        ),
        ("one fake that is a training image", (numbers(0.0), numbers(40.0))),
    ]


def _groups():
    return [
        ("eight images in groups [0, 0, 0, 1, 1, 2, 3, 4]", (numbers(0, 0, 0, 1, 1, 2, 3, 4), 4)),
        ("groups out of order, [7, 3, 7, 9, 3, 5]", (numbers(7, 3, 7, 9, 3, 5), 2)),
        ("one group [2, 2, 2]", (numbers(2, 2, 2), 3)),
        ("no image", (torch.zeros(0, dtype=torch.int64), 3)),
    ]


def _watch_split(split, groups, every):
    """Return which images are kept back, as 1 and 0, and how many groups are on both sides."""
    back = split(groups, every)
    if not isinstance(back, torch.Tensor):
        return back
    if back.shape != groups.shape:
        raise Unfit(
            tell("it gives {yours}; one yes or no for each image is expected", yours=shape(back))
        )
    kept, rest = set(groups[back.bool()].tolist()), set(groups[~back.bool()].tolist())
    return {"groups on both sides": float(len(kept & rest)), "kept back (1: yes)": back.float()}


def _by_place(groups, every):
    return torch.arange(len(groups)) % every == every - 1


TASKS = {
    "to_floats": Task(
        _bytes,
        lambda pixels: pixels.float() / 127.5 - 1,
        (
            (
                "Bytes wrap around at 256: make floats of them before you compute.",
                lambda pixels: (pixels * 2).float() / 255 - 1,
            ),
            (
                "That runs from 0 to 1; G's tanh answers from -1 to 1.",
                lambda pixels: pixels.float() / 255,
            ),
            ("White is to be exactly 1: 255 / 127.5 - 1.", lambda pixels: pixels.float() / 128 - 1),
            (
                "Bytes are whole numbers: floats have to come before the division is rounded.",
                lambda pixels: (2 * (pixels // 255)).float() - 1,
            ),
        ),
        (
            "Print pixels * 2 for a white pixel. Is it 510?",
            "A byte holds 0 to 255: 510 becomes 254. When do the bytes become floats?",
            "Call pixels.float() first, and compute with the result.",
        ),
        faulty=lambda pixels: (pixels * 2).float() / 255 - 1,
        shape="like the bytes",
    ),
    "noise_at": Task(
        _pairs,
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
                "A product of the two mixes runs up, and is 0 for seed 0 at each step.",
                lambda seed, step: torch.randn(
                    4, generator=torch.Generator().manual_seed(seed * step)
                ),
            ),
            (
                "Each step has the same noise: the step has to play a part.",
                lambda seed, step: torch.randn(4, generator=torch.Generator().manual_seed(seed)),
            ),
            (
                "Those are no normal numbers: randn, not rand.",
                lambda seed, step: _keyed(seed, step, torch.rand),
            ),
        ),
        (
            "What else is drawn between two steps must play no part: use a torch.Generator.",
            "Make one number of seed and step, so that no two pairs have the same.",
            "1_000_003 * seed + step will do, for runs of up to a million steps.",
        ),
        observe=_watch_noise,
    ),
    "by_heart": Experiment(
        (0.0, 0.2),
        "the fakes are perfect here, so an honest D would say 0.5 of everything. With 50 images D "
        "learns them by heart: it says *real* of those (about 0.98) and *fake* of all others, real "
        "ones as well. What it then teaches G is to copy. With 5,000 images both numbers are near "
        "0.5. Augmentation makes few images many.",
        (
            ("That is D's belief of the images that it was trained on.", (0.8, 1.0)),
            ("That is for many images; use by_heart(50).", (0.4, 0.6)),
            ("A belief lies between 0 and 1.", (1.01, 100.0)),
        ),
        (
            "The function returns two beliefs: of the training images, and of those kept back.",
            "Both kinds of images are equally real. Does D say so?",
            "Read the second number of by_heart(50).",
        ),
    ),
    "twins": Prediction(
        (0.85, 0.95),
        "a picture is kept back alone nine times of ten: its twin stays behind to be trained on "
        "with probability 0.9. A test with such pictures says that G copies, or that it does not, "
        "and means nothing. Near duplicates have to stay on one side.",
        (
            ("That is the share that is kept back.", 0.1),
            ("A share lies between 0 and 1: write 50 % as 0.5.", (1.5, 100.0)),
            ("Each picture has a twin, but sometimes both are kept back.", 1.0),
            ("The other half is not a matter of a coin: nine of ten pictures are trained on.", 0.5),
        ),
        (
            "Take one picture that is kept back. Where is its twin?",
            "The twin is drawn like any other picture: one of ten is kept back.",
            "So it is trained on with probability 9/10.",
        ),
        within=0.06,
    ),
    "kept_apart": Task(
        _groups,
        lambda groups, every: (
            torch.unique(groups, return_inverse=True)[1] % every == every - 1
            if len(groups)
            else torch.zeros(0, dtype=torch.bool)
        ),
        (
            ("Images were counted, not groups: near duplicates stand on both sides.", _by_place),
            (
                "The groups' names were used as if they ran 0, 1, 2 ...; they need not.",
                lambda groups, every: groups % every == every - 1,
            ),
            (
                "That is shuffled, and a group still falls apart.",
                lambda groups, every: _by_place(groups, every)[
                    torch.randperm(len(groups), generator=torch.Generator().manual_seed(0))
                ],
            ),
            (
                "Nothing is kept back: then no copy can be found out.",
                lambda groups, every: torch.zeros(len(groups), dtype=torch.bool),
            ),
        ),
        (
            "What is counted here: pictures, or groups of pictures?",
            "Number the groups 0, 1, 2 ... in their order: torch.unique can.",
            "place = torch.unique(groups, return_inverse=True)[1], then the rule for `place`.",
        ),
        faulty=_by_place,
        observe=_watch_split,
        shape="one yes or no for each image",
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
        (
            "Ask of each fake which of its two distances is smaller.",
            "A comparison of two tensors gives yes and no; a share is a mean of 1 and 0.",
            "(to_training < to_kept_back).float().mean()",
        ),
    ),
}
