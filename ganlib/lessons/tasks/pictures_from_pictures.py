"""The exercises of notebook 07: test cases, answers, and common mistakes with remarks."""

import torch

from ..task import Experiment, Prediction, Task, Unfit, normal, numbers
from ..words import tell


def _dimmer(pictures):
    return 0.5 * pictures


def _squarer(pictures):
    return pictures.square()


def _trips():
    return [
        ("there halves each pixel, back squares it", (_dimmer, _squarer, normal(2, 1, 3, 3))),
        ("there squares each pixel, back halves it", (_squarer, _dimmer, normal(2, 1, 3, 3))),
        ("back undoes what there did", (_dimmer, lambda x: 2 * x, normal(1, 1, 2, 2))),
    ]


def _pictures():
    return [
        ("four pixels that are 0.5 off", (numbers(0.5, 0.0, -0.5, 1.0), numbers(0.0, 0.5, 0, 0.5))),
        ("black in place of white", (numbers(-1.0, -1.0), numbers(1.0, 1.0))),
        ("errors of 0.1 and 0.3", (numbers(0.1, 0.3), numbers(0.0, 0.0))),
    ]


def _decibels(image, true, peak=2.0):
    return 10 * torch.log10(peak**2 / (image - true).square().mean())


def _weights():
    first = {"conv": numbers(1.0, -2.0, 4.0), "bias": numbers(0.5)}
    second = {"conv": numbers(3.0, 2.0, 0.0), "bias": numbers(-0.5)}
    return [(f"alpha = {alpha}", (first, second, alpha)) for alpha in (0.25, 0.0, 1.0)]


def _mix(first, second, alpha):
    return {name: (1 - alpha) * first[name] + alpha * second[name] for name in first}


def _watch_mix(mixed, first, second, alpha):
    """Return the weights by their names, and whether the two nets stayed as they were."""
    before = first, second
    first, second = ({name: value.clone() for name, value in x.items()} for x in before)
    found = mixed(first, second, alpha)
    if found is None or found is ...:
        return found
    if not isinstance(found, dict) or found.keys() != first.keys():
        raise Unfit(tell("it gives no dict; one with the names of the weights is expected"))
    pairs = zip((first, second), before, strict=True)
    untouched = all(torch.equal(x[name], was[name]) for x, was in pairs for name in was)
    return {**found, "both nets are untouched (1: yes)": float(untouched)}


def _into_the_first(first, second, alpha):
    for name in first:
        first[name].mul_(1 - alpha).add_(second[name], alpha=alpha)
    return first


TASKS = {
    "cycle_error": Task(
        _trips,
        lambda there, back, pictures: (back(there(pictures)) - pictures).abs().mean(),
        (
            (
                "The order is wrong: first there, then back.",
                lambda there, back, pictures: (there(back(pictures)) - pictures).abs().mean(),
            ),
            (
                "That is how far *there* moves the pictures; nothing comes back.",
                lambda there, back, pictures: (there(pictures) - pictures).abs().mean(),
            ),
            (
                "That is the squared difference; the absolute one is asked for.",
                lambda there, back, pictures: (back(there(pictures)) - pictures).square().mean(),
            ),
            (
                "Without abs() errors of both signs cancel.",
                lambda there, back, pictures: (back(there(pictures)) - pictures).mean(),
            ),
        ),
        (
            "Apply one function to the pictures, and the other one to the result.",
            "What has come back is back(there(pictures)). What is it compared with?",
            "(back(there(pictures)) - pictures), then .abs(), then .mean()",
        ),
        shape="one number",
    ),
    "exchanged": Prediction(
        (-0.01, 0.01),
        "a 4 becomes a 9, and that 9 comes back as a 4: two exchanges undo each other, and every "
        "picture arrives as it left. A cycle sees only what comes back. It does not ask what a "
        "picture meant in between.",
        (
            ("That is the share that is printed wrong. What has come back of those?", 0.5),
            ("No picture comes back as another digit. Follow one 4.", 1.0),
        ),
        (
            "Follow one 4 on its way there. What is it then?",
            "It is a 9 now. What does the way back make of a 9?",
            "A 4 again. How many digits of the batch come back as another one?",
        ),
        within=0.01,
    ),
    "decibels": Task(
        _pictures,
        _decibels,
        (
            (
                "The peak is 2, from -1 to 1, and it counts squared.",
                lambda image, true: _decibels(image, true, 2**0.5),
            ),
            (
                "That is for pixels of 0 to 1: between -1 and 1 lies 2.",
                lambda image, true: _decibels(image, true, 1.0),
            ),
            (
                "The peak is 255 for bytes; our pictures run from -1 to 1.",
                lambda image, true: _decibels(image, true, 255.0),
            ),
            (
                "The logarithm of base 10 is asked for: torch.log10.",
                lambda image, true: 10 * torch.log(4 / (image - true).square().mean()),
            ),
        ),
        (
            "What is the largest difference between two pixels, for pictures of 0 to 1? And ours?",
            "Between white and black lies 1 - (-1). The peak counts squared.",
            "10 * torch.log10(4 / error)",
        ),
        faulty=lambda image, true: _decibels(image, true, 1.0),
        shape="one number",
    ),
    "between_two": Prediction(
        (0.38, 0.42),
        "the least squared error is that of the mean, 0.7 * 1 + 0.3 * (-1) = 0.4: a grey that no "
        "true picture has. So such a net blurs where it cannot know. The least *absolute* error is "
        "that of the median, here 1: L1 blurs less, but it never draws the three.",
        (
            ("That is the least absolute error, the median: what L1 would draw.", 1.0),
            ("That is the share of white; pixels run from -1 to 1.", 0.7),
            ("That is for as many white as black ones.", 0.0),
        ),
        (
            "The net draws one value for all ten. Which one is nearest to them, in the mean?",
            "The mean squared error is smallest at the mean of the true values.",
            "Seven times 1 and three times -1, over ten.",
        ),
        within=0.02,
    ),
    "patch": Experiment(
        (27.5, 28.5),
        "28 columns: two convolutions see two pixels farther on each side, and after each halving "
        "such a step is twice as wide. In a photograph that is a patch; in our pictures of 28 x 28 "
        "the middle logit sees everything. What D cannot see is the source.",
        (
            ("That is the whole picture; one logit is asked for.", (63.0, 65.0)),
            ("That is the number of logits along a side.", (15.5, 16.5)),
            ("Those are pixels; count the columns.", (700.0, 800.0)),
        ),
        (
            "Run patch() in the cell, and print what it returns.",
            "exercises.answer takes the number: write it in place of the dots.",
            'exercises.answer("patch", patch())',
        ),
    ),
    "mixed": Task(
        _weights,
        _mix,
        (
            (
                "The shares are exchanged: at alpha = 0 the first net's weights are expected.",
                lambda first, second, alpha: _mix(second, first, alpha),
            ),
            (
                "The first net's own weights were changed in place: make new tensors.",
                _into_the_first,
            ),
            (
                "The shares have to add up to 1.",
                lambda first, second, alpha: {
                    name: first[name] + alpha * second[name] for name in first
                },
            ),
        ),
        (
            "Write it for one tensor first. What share has the first net at alpha = 0?",
            "(1 - alpha) of the first and alpha of the second.",
            "A dict comprehension over the names in first does it for all.",
        ),
        observe=_watch_mix,
        shape="a dict with the names of the weights",
    ),
}
