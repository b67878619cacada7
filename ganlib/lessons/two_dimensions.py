"""The exercises of notebook 02: test cases, answers, and common mistakes with hints."""

import torch
from torch import nn
from torch.nn.functional import softplus

from .task import PER_PAIR, Task, Unfit, normal, numbers, set_weights, shape


def _places():
    centres = numbers([0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0])
    fakes = numbers(
        [0.01, 0.0],
        [0.0, 0.02],
        [-0.03, 0.01],
        [0.02, -0.03],
        [0.0, 0.93],
        [0.7, 0.3],
        [1.08, 1.07],
    )
    return [("seven fakes, four centres and a reach of 0.1", (fakes, centres, 0.1))]


def _densities():
    p, q = numbers(0.5, 0.1, 0.3), numbers(0.1, 0.5, 0.3)
    return [("real densities [0.5, 0.1, 0.3] and fake ones [0.1, 0.5, 0.3]", (p, q))]


def _judge():
    """Return a test case: a D of the plane with curved level lines, and four points."""
    D = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1), nn.Flatten(0))
    set_weights(D, seed=1)
    return [("four points", (D, normal(4, 2, seed=3)))]


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
        raise Unfit(f"it gives {shape(values)}; a tensor of ({len(x)},) is expected: {PER_PAIR}")
    D.zero_grad()
    if values.requires_grad:
        values.sum().backward()
    gradient = D[0].weight.grad
    return torch.cat(
        [values.detach().flatten(), torch.zeros(1) if gradient is None else gradient.norm()[None]]
    )


def _norms(D, x, graph=True):
    x = x.clone().requires_grad_(True)
    return _gradient(D(x), x, graph).norm(dim=1)


def _pull(D, fakes, of=lambda d: softplus(-d).sum(), sign=-1):
    fakes = fakes.clone().requires_grad_(True)
    return sign * torch.autograd.grad(of(D(fakes)), fakes)[0]


PENALTY = (
    "the penalty of each point, and last the gradient that D's first layer gets from them, are"
)
TASKS = {
    "modes_found": Task(
        _places,
        lambda fakes, centres, reach: int((torch.cdist(fakes, centres).amin(0) <= reach).sum()),
        (
            (
                "That asks which centre is nearest, however far: a fake between the heaps belongs "
                "to none.",
                lambda fakes, centres, reach: len(torch.cdist(fakes, centres).argmin(1).unique()),
            ),
            (
                "That is the number of good fakes: some of them share a mode.",
                lambda fakes, centres, reach: int(
                    (torch.cdist(fakes, centres).amin(1) <= reach).sum()
                ),
            ),
            (
                "That is a square around each centre; the reach is a distance.",
                lambda fakes, centres, reach: int(
                    ((fakes[:, None] - centres).abs().amax(2) <= reach).any(0).sum()
                ),
            ),
        ),
    ),
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
        shape=PER_PAIR,
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
                "That is a quarter of it: with a mean over four fakes each one's pull shrinks; "
                "take the sum.",
                lambda D, x: _pull(D, x, lambda d: softplus(-d).mean()),
            ),
            (
                "That is the slope of D's logit; the loss is softplus(-logit).",
                lambda D, x: _pull(D, x, lambda d: -d.sum()),
            ),
        ),
        shape="one arrow for each fake",
    ),
    "wgan_gp": Task(
        _judge,
        lambda D, x: (_norms(D, x) - 1) ** 2,
        (
            (
                "The last number is 0: without create_graph=True the penalty cannot teach D.",
                lambda D, x: (_norms(D, x, False) - 1) ** 2,
            ),
            (
                "That is the square of the norm less 1; it is the norm less 1, squared.",
                lambda D, x: _norms(D, x) ** 2 - 1,
            ),
            ("The 1 is missing: the norm is to be 1, not 0.", lambda D, x: _norms(D, x) ** 2),
        ),
        observe=_watch_penalty,
        gives=PENALTY,
        shape=PER_PAIR,
    ),
    "r1": Task(
        lambda: [(f"{text}, gamma 0.5", (*arguments, 0.5)) for text, arguments in _judge()],
        lambda D, x, gamma: gamma / 2 * _norms(D, x) ** 2,
        (
            ("The half is missing: gamma / 2.", lambda D, x, gamma: gamma * _norms(D, x) ** 2),
            (
                "That is the norm; it is to be squared.",
                lambda D, x, gamma: gamma / 2 * _norms(D, x),
            ),
            (
                "The last number is 0: without create_graph=True the penalty cannot teach D.",
                lambda D, x, gamma: gamma / 2 * _norms(D, x, False) ** 2,
            ),
        ),
        observe=_watch_penalty,
        gives=PENALTY,
        shape=PER_PAIR,
    ),
}
