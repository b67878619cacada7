"""The exercises of notebook 01: test cases, answers, and common mistakes with hints."""

import torch
from torch import nn
from torch.nn.functional import softplus

from .task import PER_PAIR, Task, normal, numbers, set_weights


def _logits():
    return [
        (
            "real logits [2, -1, 0.5] and fake logits [-3, 1, 0]",
            (numbers(2.0, -1.0, 0.5), numbers(-3.0, 1.0, 0.0)),
        )
    ]


def _fake_logits():
    return [("fake logits [-3, 0, 2]", (numbers(-3.0, 0.0, 2.0),))]


def _game():
    """Return G and D of one linear layer each, always with the same weights, and plain gradient
    descent for both.
    """
    G, D = nn.Linear(2, 3), nn.Sequential(nn.Linear(3, 1), nn.Flatten(0))
    set_weights(G, D)
    return G, D, torch.optim.SGD(G.parameters(), lr=0.5), torch.optim.SGD(D.parameters(), lr=0.5)


def _watch_d(move):
    """Return the largest gradient left in G, whether D moved, and D's weights after two moves."""
    G, D, _, opt_D = _game()
    before = D[0].weight.clone()
    for turn in range(2):
        move(G, D, opt_D, 1 + normal(4, 3, seed=turn), normal(4, 2, seed=9 + turn))
    left = 0.0 if G.weight.grad is None else G.weight.grad.abs().max().item()
    moved = not torch.equal(before, D[0].weight)
    return torch.cat([numbers(left, float(moved)), D[0].weight.detach().flatten()])


def _watch_g(move):
    """Return how far D moved, whether it can still learn, whether G had a gradient, and G's weights
    after two moves.
    """
    G, D, opt_G, _ = _game()
    before = [net.weight.detach().clone() for net in (G, D[0])]
    for turn in range(2):
        move(G, D, opt_G, normal(4, 2, seed=turn))
    moved = (D[0].weight - before[1]).abs().max().item()
    # a move may clear the gradient at its end
    had = G.weight.grad is not None or not torch.equal(before[0], G.weight)
    return torch.cat(
        [numbers(moved, float(D[0].weight.requires_grad), float(had)), G.weight.detach().flatten()]
    )


def _d_move(G, D, opt_D, real, noise, detach=True, clear=True, sign=1, times=1):
    fake = G(noise).detach() if detach else G(noise)
    loss = times * (softplus(-sign * D(real)).mean() + softplus(sign * D(fake)).mean())
    if clear:
        opt_D.zero_grad()
    loss.backward()
    opt_D.step()


def _g_move(G, D, opt_G, noise, sign=-1, freeze=True, thaw=True, detach=False, times=1, step=True):
    D.requires_grad_(not freeze)
    fake = G(noise).detach() if detach else G(noise)
    loss = times * softplus(sign * D(fake)).mean()
    opt_G.zero_grad()
    loss.backward()
    if step:
        opt_G.step()
    D.requires_grad_(thaw)


def _g_move_and_d(G, D, opt_G, noise):
    D.zero_grad()
    _g_move(G, D, opt_G, noise, freeze=False)
    torch.optim.SGD(D.parameters(), lr=0.5).step()


def _sizes():
    return [
        ("layers of 100, 128 and 784 values", ([100, 128, 784],)),
        ("layers of 2 and 3 values", ([2, 3],)),
    ]


def _pairs(sizes):
    return list(zip(sizes, sizes[1:], strict=False))


TASKS = {
    "d_loss": Task(
        _logits,
        lambda real, fake: softplus(-real) + softplus(fake),
        (
            (
                "That is the fakes' half alone: D is also to give reals a high logit.",
                lambda real, fake: softplus(fake),
            ),
            (
                "That is the reals' half alone: D is also to give fakes a low logit.",
                lambda real, fake: softplus(-real),
            ),
            (
                "The signs are exchanged: this D would be glad of fakes that look real.",
                lambda real, fake: softplus(real) + softplus(-fake),
            ),
            (
                "That is half of it: the two terms are added.",
                lambda real, fake: (softplus(-real) + softplus(fake)) / 2,
            ),
        ),
        shape=PER_PAIR,
    ),
    "g_loss": Task(
        _fake_logits,
        lambda fake: softplus(-fake),
        (
            (
                "That is the saturating loss, log(1 - D): flat where D is sure, when G has most "
                "to learn.",
                lambda fake: -softplus(fake),
            ),
            (
                "That is what D wants of fakes: G would learn to be found out.",
                lambda fake: softplus(fake),
            ),
            (
                "That is a critic's loss (Wasserstein): here the logit goes through a sigmoid and "
                "a logarithm.",
                lambda fake: -fake,
            ),
        ),
        shape=PER_PAIR,
    ),
    "g_slope": Task(
        _fake_logits,
        lambda fake: -torch.sigmoid(-fake),
        (
            (
                "The sign is missing: G's loss falls as the logit rises.",
                lambda fake: torch.sigmoid(-fake),
            ),
            (
                "That is the slope of the saturating loss: nearly 0 where D is sure that it is a "
                "fake.",
                lambda fake: -torch.sigmoid(fake),
            ),
            ("That is the slope of D's loss for a fake.", lambda fake: torch.sigmoid(fake)),
            ("That is the loss itself, not its slope.", lambda fake: softplus(-fake)),
        ),
        shape=PER_PAIR,
    ),
    "d_move": Task(
        lambda: [("two moves of a small D", ())],
        _d_move,
        (
            (
                "The first number is the gradient that G was left with: cut the fakes off from G "
                "with detach().",
                lambda *a: _d_move(*a, detach=False),
            ),
            (
                "The second move also took the first one's gradient: opt_D.zero_grad() before "
                "backward().",
                lambda *a: _d_move(*a, clear=False),
            ),
            (
                "D has not moved (the second number): are backward() and opt_D.step() there?",
                lambda *a: None,
            ),
            (
                "That is half a step: the two halves of the loss are added, not averaged.",
                lambda *a: _d_move(*a, times=0.5),
            ),
            (
                "That is four times too far, for a batch of four: the loss is the mean over the "
                "batch, not the sum.",
                lambda *a: _d_move(*a, times=4),
            ),
            (
                "D went the wrong way: reals are to get high logits, fakes low ones.",
                lambda *a: _d_move(*a, sign=-1),
            ),
        ),
        observe=_watch_d,
        gives="G's left-over gradient, whether D moved (1), and D's weights are",
    ),
    "g_move": Task(
        lambda: [("two moves of a small G", ())],
        _g_move,
        (
            (
                "G went the wrong way: it has to raise D's logit of its fakes.",
                lambda *a: _g_move(*a, sign=1),
            ),
            (
                "The second number says that D's weights stayed frozen: thaw them after the move, "
                "D has to learn too.",
                lambda *a: _g_move(*a, thaw=False),
            ),
            ("The first number is how far D moved: in G's move D stands still.", _g_move_and_d),
            (
                "G got no gradient (the third number): is backward() there? Here it passes "
                "through the fakes, without detach().",
                lambda *a: _g_move(*a, freeze=False, detach=True),
            ),
            (
                "G had a gradient and has not moved: is opt_G.step() there?",
                lambda *a: _g_move(*a, step=False),
            ),
            (
                "That is four times too far, for a batch of four: the loss is the mean over the "
                "batch, not the sum.",
                lambda *a: _g_move(*a, times=4),
            ),
        ),
        observe=_watch_g,
        gives="how far D moved, if D can learn (1), if G had a gradient (1), and G's weights are",
    ),
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
    ),
}
