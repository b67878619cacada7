"""The exercises of notebook 02: test cases, answers, and common mistakes with remarks."""

import torch
from torch import nn
from torch.nn.functional import softplus

from ..task import (
    PER_PAIR,
    Experiment,
    Prediction,
    Task,
    Unfit,
    normal,
    numbers,
    set_weights,
    shape,
)
from ..words import tell


def _places():
    centres = numbers([0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0])
    cluster = 0.02 * normal(21, 2)
    rest = numbers(
        *[[0.0, 0.95]] * 2, *[[0.7, 0.3]] * 6, [1.08, 1.07], [1.0, 0.01], *[[1.03, 1.0]] * 9
    )
    return [
        (
            "forty fakes, four centres and a reach of 0.1",
            (torch.cat([cluster, rest]), centres, 0.1),
        ),
        ("two fakes far from every centre", (numbers([0.5, 0.4], [3.0, 3.0]), centres, 0.1)),
        ("one fake at the third of four centres", (numbers([0.0, 1.0]), centres, 0.1)),
        ("eight fakes, two at each centre", (centres.repeat(2, 1), centres, 0.1)),
    ]


def _modes(fakes, centres, reach, share=0.2):
    near = torch.cdist(fakes, centres) <= reach
    return int((near.sum(0) >= share * len(fakes) / len(centres)).sum())


def _densities():
    p, q = numbers(0.5, 0.1, 0.3), numbers(0.1, 0.5, 0.3)
    return [
        ("real densities [0.5, 0.1, 0.3] and fake ones [0.1, 0.5, 0.3]", (p, q)),
        ("densities [1e-6] and [0.9]", (numbers(1e-6), numbers(0.9))),
    ]


def _judge():
    """Return test cases: a D of the plane with curved level lines, and points."""
    D = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1), nn.Flatten(0))
    set_weights(D, seed=1)
    steep = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1), nn.Flatten(0))
    set_weights(steep, seed=2)
    with torch.no_grad():
        steep[2].weight.mul_(40)
    return [
        ("four points", (D, normal(4, 2, seed=3))),
        ("one point and a steep D", (steep, normal(1, 2, seed=4))),
    ]


def _gradient(values, x, graph=False):
    return torch.autograd.grad(values.sum(), x, create_graph=graph)[0]


def _watch_penalty(function, D, x, *more):
    """Return the penalties, and the gradient that D's first layer gets from them; raise Unfit if
    there is not one penalty for each point.
    """
    values = function(D, x, *more)
    if not isinstance(values, torch.Tensor):
        return values
    if values.shape != (len(x),):
        raise Unfit(
            tell(
                "it gives {yours}; a tensor of ({n},) is expected: {words}",
                yours=shape(values),
                n=len(x),
                words=tell(PER_PAIR),
            )
        )
    D.zero_grad()
    if values.requires_grad:
        values.sum().backward()
    gradient = D[0].weight.grad
    return {
        "penalty of each point": values,
        "gradient in D's first layer": 0.0 if gradient is None else gradient.norm(),
    }


def _norms(D, x, graph=True):
    x = x.clone().requires_grad_(True)
    return _gradient(D(x), x, graph).norm(dim=1)


def _mean_first(D, x):
    x = x.clone().requires_grad_(True)
    return (torch.autograd.grad(D(x).mean(), x, create_graph=True)[0].norm(dim=1) - 1) ** 2


def _pull(D, fakes, of=lambda d: softplus(-d).sum(), sign=-1):
    fakes = fakes.clone().requires_grad_(True)
    return sign * torch.autograd.grad(of(D(fakes)), fakes)[0]


NO_GRAPH = "D gets no gradient: without create_graph=True the penalty cannot teach D."
TASKS = {
    "best_logit": Task(
        _densities,
        lambda p, q: (p / q).log(),
        (
            (
                "That is D's probability, p / (p + q); its logit is asked for.",
                lambda p, q: p / (p + q),
            ),
            (
                "The sign is wrong: where reals are more likely the logit is above 0.",
                lambda p, q: (q / p).log(),
            ),
            ("That is the ratio itself: the logit is its logarithm.", lambda p, q: p / q),
        ),
        (
            "At a place with p = q the best belief is 1/2. What is its logit?",
            "The logit of a probability b is log(b / (1 - b)). Put b = p / (p + q).",
            "b / (1 - b) is p / q: take its logarithm.",
        ),
        shape=PER_PAIR,
    ),
    "arrows": Prediction(
        "towards A",
        "G's loss falls where D's logit rises, so each arrow points up D's slope, wherever the "
        "data are. This D is higher at A (its logit there is 2, at B 0), though the only real "
        "points are at B. G can learn only what D has learned.",
        (
            ("G never sees the data: it only feels D's slope.", "towards B"),
            ("D is not flat here, so there is a pull.", "nowhere"),
        ),
        (
            "What does G's loss depend on: the data, or D?",
            "The arrow is minus the gradient of softplus(-D). Does it go up or down D?",
            "It goes where D's logit grows: compare D at A and at B.",
        ),
        choices=("towards A", "towards B", "nowhere"),
    ),
    "pull": Task(
        _judge,
        _pull,
        (
            (
                "The sign is wrong: fakes move down their loss, against the gradient.",
                lambda D, x: _pull(D, x, sign=1),
            ),
            (
                "Each arrow is too short: with a mean over the fakes each one's pull shrinks with "
                "their number; take the sum.",
                lambda D, x: _pull(D, x, lambda d: softplus(-d).mean()),
            ),
            (
                "That is the slope of D's logit; the loss is softplus(-logit).",
                lambda D, x: _pull(D, x, lambda d: -d.sum()),
            ),
        ),
        (
            "Which tensor is the gradient taken of, and does it ask for one?",
            "Make `x = fakes.clone().requires_grad_(True)`, then sum softplus(-D(x)).",
            "Return -torch.autograd.grad(loss, x)[0].",
        ),
        shape="one arrow for each fake",
    ),
    "modes_found": Task(
        _places,
        _modes,
        (
            (
                "One fake is not enough: each mode needs a fifth of its fair share.",
                lambda fakes, centres, reach: int(
                    (torch.cdist(fakes, centres) <= reach).any(0).sum()
                ),
            ),
            (
                "That asks which centre is nearest, however far: a fake between the clusters "
                "belongs to none.",
                lambda fakes, centres, reach: len(torch.cdist(fakes, centres).argmin(1).unique()),
            ),
            (
                "That is the number of good fakes: some of them share a mode.",
                lambda fakes, centres, reach: int(
                    (torch.cdist(fakes, centres).amin(1) <= reach).sum()
                ),
            ),
            (
                "That asks for a whole fair share: random chance alone would fail some modes.",
                lambda fakes, centres, reach: _modes(fakes, centres, reach, 1.0),
            ),
            (
                "That is a fifth of all fakes; a fair share is their number over the number of "
                "modes.",
                lambda fakes, centres, reach: int(
                    ((torch.cdist(fakes, centres) <= reach).sum(0) >= 0.2 * len(fakes)).sum()
                ),
            ),
        ),
        (
            "Count, for each centre, the fakes within its reach. What is a fair share of all?",
            "near = torch.cdist(fakes, centres) <= reach is a table; sum(0) counts per centre.",
            "Compare near.sum(0) with 0.2 * len(fakes) / len(centres), and count.",
        ),
    ),
    "r1": Task(
        lambda: [(f"{text}, gamma 0.5", (*arguments, 0.5)) for text, arguments in _judge()],
        lambda D, x, gamma: gamma / 2 * _norms(D, x) ** 2,
        (
            (NO_GRAPH, lambda D, x, gamma: gamma / 2 * _norms(D, x, False) ** 2),
            ("The half is missing: gamma / 2.", lambda D, x, gamma: gamma * _norms(D, x) ** 2),
            (
                "That is the norm; it is to be squared.",
                lambda D, x, gamma: gamma / 2 * _norms(D, x),
            ),
        ),
        (
            "The penalties are right. What are they for, and what does D learn from them?",
            "The gradient is to be differentiated again, so it needs a graph of its own.",
            "Give torch.autograd.grad the argument create_graph=True.",
        ),
        faulty=lambda D, x, gamma: gamma / 2 * _norms(D, x, False) ** 2,
        observe=_watch_penalty,
        shape=PER_PAIR,
    ),
    "wgan_gp": Task(
        _judge,
        lambda D, x: (_norms(D, x) - 1) ** 2,
        (
            (
                "The gradient is that of the batch's mean: each point's is divided by the number "
                "of points.",
                _mean_first,
            ),
            (
                "The mean over the batch was taken before the square: slopes of 0 and 2 would pass "
                "as 1.",
                lambda D, x: ((_norms(D, x).mean() - 1) ** 2).expand(len(x)),
            ),
            (NO_GRAPH, lambda D, x: (_norms(D, x, False) - 1) ** 2),
            (
                "That is the square of the norm less 1; it is the norm less 1, squared.",
                lambda D, x: _norms(D, x) ** 2 - 1,
            ),
            ("The 1 is missing: the norm is to be 1, not 0.", lambda D, x: _norms(D, x) ** 2),
        ),
        (
            "With one point it is right, with four it is not. What depends on the batch's size?",
            "D(x).mean() divides by the batch's size, and so does its gradient.",
            "Take the gradient of D(x).sum(): no point's logit depends on another point.",
        ),
        faulty=_mean_first,
        observe=_watch_penalty,
        shape=PER_PAIR,
    ),
    "spiral": Experiment(
        (11.5, 12.6),
        "in each step the two move at right angles to the way to the middle, so the distance grows "
        "by the factor sqrt(1 + lr * lr): 1.01 ** 250 = 12.03 after 500 steps. The game has an "
        "equilibrium at 0, and two players who both step at once never get there. Turns (each "
        "answers the other's last step) keep the distance near 1.",
        (
            ("That is what taking turns gives: set turns=False.", (0.8, 1.2)),
            ("That is the distance after 1,000 steps.", (130, 160)),
        ),
        (
            "Call the function with turns=False and steps=500.",
            "Draw one step as an arrow from the point (1, 0). Does it lead inwards?",
            "Round what the function returns to one decimal.",
        ),
    ),
}
