"""The exercises of notebook 01: test cases, answers, and common mistakes with remarks."""

from torch.nn.functional import softplus

from ..task import PER_PAIR, Experiment, Prediction, Task, numbers


def _logits():
    return [
        (
            "real logits [2, -1, 0.5] and fake logits [-3, 1, 0]",
            (numbers(2.0, -1.0, 0.5), numbers(-3.0, 1.0, 0.0)),
        ),
        (
            "real logits [40, -40] and fake logits [-40, 40]",
            (numbers(40.0, -40.0), numbers(-40.0, 40.0)),
        ),
        ("real logits [-200] and fake logits [200]", (numbers(-200.0), numbers(200.0))),
    ]


def _fake_logits():
    return [
        ("fake logits [-3, 0, 2]", (numbers(-3.0, 0.0, 2.0),)),
        ("fake logits [-40, 40]", (numbers(-40.0, 40.0),)),
    ]


def _paper(real, fake, least=0.0):
    return -(real.sigmoid() + least).log() - (1 - fake.sigmoid() + least).log()


def _sizes():
    return [
        ("layers of 100, 128 and 784 values", ([100, 128, 784],)),
        ("layers of 2 and 3 values", ([2, 3],)),
        ("an input of 7 values and no layer", ([7],)),
    ]


def _pairs(sizes):
    return list(zip(sizes, sizes[1:], strict=False))


TASKS = {
    "parameters": Task(
        _sizes,
        lambda sizes: sum(a * b + b for a, b in _pairs(sizes)),
        (
            (
                "That leaves out the biases: each layer has one for each of its outputs.",
                lambda sizes: sum(a * b for a, b in _pairs(sizes)),
            ),
            (
                "That has a bias for each input; it is one for each output.",
                lambda sizes: sum(a * b + a for a, b in _pairs(sizes)),
            ),
            (
                "The inputs have no bias of their own.",
                lambda sizes: sum(a * b for a, b in _pairs(sizes)) + sum(sizes),
            ),
        ),
        (
            "How many weights lead from 2 values to 3? Draw the arrows and count them.",
            "A layer from a to b values has a * b weights, and a bias for each of its b outputs.",
            "Add a * b + b over the pairs of neighbours: `for a, b in zip(sizes, sizes[1:])`.",
        ),
    ),
    "saturating_slope": Prediction(
        (-0.0068, -0.0066),
        "the slope of log(1 - sigmoid(t)) is -sigmoid(t), which is -0.0067 at t = -5. D is sure, "
        "so G learns almost nothing, just when it is worst. The slope of -log(sigmoid(t)) is "
        "-0.9933 there: 150 times as steep.",
        (
            ("That is the slope of the loss that does not saturate, -log D.", (-1.05, -0.9)),
            ("That is log(1 - D) itself or D's belief; its slope is negative.", (0.006, 0.0075)),
            ("That is the logit. How much does the *loss* change with it?", -5),
            ("That is the slope where D is undecided, at logit 0.", -0.5),
        ),
        (
            "What is D's belief, sigmoid(-5)? Then what is log(1 - D) about?",
            "log(1 - D) is almost log(1) = 0 there. Is its curve steep or flat?",
            "The slope of log(1 - sigmoid(t)) is -sigmoid(t).",
        ),
        within=0.003,
    ),
    "g_slope": Task(
        _fake_logits,
        lambda fake: -(-fake).sigmoid(),
        (
            (
                "The sign is missing: G's loss falls as the logit rises.",
                lambda fake: (-fake).sigmoid(),
            ),
            (
                "That is the slope of the saturating loss: nearly 0 where D is sure of a fake.",
                lambda fake: -fake.sigmoid(),
            ),
            ("That is the slope of D's loss for a fake.", lambda fake: fake.sigmoid()),
            ("That is the loss itself, not its slope.", lambda fake: softplus(-fake)),
        ),
        (
            "Write the loss as log(1 + exp(-t)) and use the chain rule.",
            "The derivative is -exp(-t) / (1 + exp(-t)). It can be written with one sigmoid.",
            "exp(-t) / (1 + exp(-t)) is sigmoid(-t). Keep the minus in front.",
        ),
        shape=PER_PAIR,
    ),
    "d_loss": Task(
        _logits,
        lambda real, fake: softplus(-real) + softplus(fake),
        (
            (
                "The logarithm of 0: the sigmoid of a large logit is rounded to exactly 0 or 1. "
                "Stay with logits.",
                _paper,
            ),
            (
                "A small number inside the logarithm hides the infinity, and makes the loss flat: "
                "a D that is very wrong would stop learning. Stay with logits.",
                lambda real, fake: _paper(real, fake, 1e-8),
            ),
            (
                "Cutting the logits off hides the infinity, and makes the loss flat beyond: there "
                "D stops learning.",
                lambda real, fake: _paper(real.clamp(-10, 10), fake.clamp(-10, 10)),
            ),
            (
                "That is the fakes' half alone: D is also to give reals a high logit.",
                lambda real, fake: softplus(fake),
            ),
            (
                "That is the reals' half alone: D is also to give fakes a low logit.",
                lambda real, fake: softplus(-real),
            ),
            (
                "The signs are exchanged: this D would like fakes that look real.",
                lambda real, fake: softplus(real) + softplus(-fake),
            ),
            (
                "That is half of it: the two terms are added.",
                lambda real, fake: (softplus(-real) + softplus(fake)) / 2,
            ),
        ),
        (
            "Try the function with logits of 40. What is torch.sigmoid(torch.tensor(40.))?",
            "-log(sigmoid(t)) is log(1 + exp(-t)). PyTorch has a function for log(1 + exp(x)).",
            "softplus(x) is log(1 + exp(x)): one softplus of -real_logits, one of fake_logits.",
        ),
        faulty=_paper,
        shape=PER_PAIR,
    ),
    "swapped_labels": Prediction(
        (4.2, 4.3),
        "with the labels swapped each logit has the wrong sign: 2 * softplus(2) = 4.25, against "
        "2 * softplus(-2) = 0.25 before. Being sure and wrong costs about as much as the logit is "
        "large; a guessing D would pay 1.39.",
        (
            ("That is the loss with the right labels.", (0.2, 0.3)),
            ("That is the loss of one half; D's loss has two.", (2.0, 2.2)),
            ("That is what guessing costs; this D is sure.", (1.3, 1.45)),
            ("The loss is never below 0, whatever the labels.", (-100.0, -0.001)),
        ),
        (
            "Is a D that is sure and wrong better or worse off than one that guesses (1.39)?",
            "For a swapped pair the loss is softplus(2) + softplus(2).",
            "softplus(2) = log(1 + exp(2)) is a little more than 2.",
        ),
        within=0.3,
    ),
    "forgot_detach": Prediction(
        "C",
        "detach() returns a new tensor and leaves the old one as it is. C throws the new one away, "
        "so D's loss still leads back into G. A cuts the fakes off where D sees them, B makes them "
        "without a graph from the start.",
        (
            ("A detaches in the call of D, and what D sees is cut off.", "A"),
            ("B has no detach(), but under no_grad() there is nothing to detach.", "B"),
        ),
        (
            "Ask of each: when backward() goes from D's loss to the fakes, can it go on into G?",
            "Two of them are safe. Under torch.no_grad() no graph is made.",
            "detach() does not change a tensor in place. Which move does not use what it returns?",
        ),
        choices=("A", "B", "C"),
    ),
    "perfect_g": Experiment(
        (1.34, 1.40),
        "reals and fakes come from the same distribution, so no D can tell them apart. The best it "
        "can do is to say 1/2 everywhere, and that costs 2 log 2 = 1.386. (A little less is noise "
        "of the batch that was seen last.) This is the equilibrium of the game.",
        (
            ("That is one half of the loss; D pays for reals and for fakes.", (0.66, 0.72)),
            (
                "That is what D's loss tends to against a *bad* G. Did you set perfect=True?",
                (0, 0.6),
            ),
        ),
        (
            "Run the function with perfect=True, and read its last line.",
            "Which logit would you give to a point that is real or fake with equal chance?",
            "Compare what you get with 2 log 2.",
        ),
    ),
}
