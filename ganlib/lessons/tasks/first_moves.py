"""The two moves of notebook 01, to be repaired: test cases, answers, and common mistakes."""

import torch
from torch import nn
from torch.nn.functional import softplus

from ..task import Task, normal, set_weights


def _moves():
    return [
        ("two moves with batches of four", (4, 1.0)),
        ("two moves with one image a batch and a D of large logits", (1, 40.0)),
    ]


def _game(scale):
    """Return G and D of one linear layer each, always with the same weights, and plain gradient
    descent for both. D's logits are `scale` times as large as usual.
    """
    G, D = nn.Linear(2, 3), nn.Sequential(nn.Linear(3, 1), nn.Flatten(0))
    set_weights(G, D)
    with torch.no_grad():
        D[0].weight.mul_(scale)
    return G, D, torch.optim.SGD(G.parameters(), lr=0.5), torch.optim.SGD(D.parameters(), lr=0.5)


def _watch_d(move, n, scale):
    """Return what two of D's moves did. D begins with gradients that a move of G left in it."""
    G, D, _, opt_D = _game(scale)
    before = D[0].weight.clone()
    D[0].weight.grad = torch.full_like(before, 0.25)
    for turn in range(2):
        move(G, D, opt_D, 1 + normal(n, 3, seed=turn), normal(n, 2, seed=9 + turn))
    left = 0.0 if G.weight.grad is None else G.weight.grad.abs().max().item()
    return {
        "largest gradient left in G": left,
        "D has moved (1: yes)": float(not torch.equal(before, D[0].weight)),
        "D's weights": D[0].weight.detach().flatten(),
    }


def _watch_g(move, n, scale):
    """Return what two of G's moves did."""
    G, D, opt_G, _ = _game(scale)
    before = [net.weight.detach().clone() for net in (G, D[0])]
    for turn in range(2):
        move(G, D, opt_G, normal(n, 2, seed=turn))
    # a move may clear the gradient at its end
    had = G.weight.grad is not None or not torch.equal(before[0], G.weight)
    return {
        "how far D moved": (D[0].weight - before[1]).abs().max().item(),
        "D can learn afterwards (1: yes)": float(D[0].weight.requires_grad),
        "G got a gradient (1: yes)": float(had),
        "G's weights": G.weight.detach().flatten(),
    }


def _d_move(G, D, opt_D, real, noise, detach=True, clear="before", sign=1, times=1, total=False):
    fake = G(noise).detach() if detach else G(noise)
    each = softplus(-sign * D(real)) + softplus(sign * D(fake))
    if clear == "before":
        opt_D.zero_grad()
    (times * (each.sum() if total else each.mean())).backward()
    if clear == "between":
        opt_D.zero_grad()
    opt_D.step()
    if clear == "after":
        opt_D.zero_grad()


def _g_move(G, D, opt_G, noise, each=None, thaw=True, freeze=True, cut=False, total=False, step=1):
    D.requires_grad_(not freeze)
    fake = G(noise).detach() if cut else G(noise)
    loss = (each or (lambda d: softplus(-d)))(D(fake))
    opt_G.zero_grad()
    (loss.sum() if total else loss.mean()).backward()
    if step:
        opt_G.step()
    if thaw:
        D.requires_grad_(True)


def _g_move_and_d(G, D, opt_G, noise):
    D.zero_grad()
    _g_move(G, D, opt_G, noise, freeze=False)
    torch.optim.SGD(D.parameters(), lr=0.5).step()


TOO_FAR = "That adds up the batch: the loss is the mean over the batch, so take mean(), not sum()."
TASKS = {
    "d_move": Task(
        _moves,
        _d_move,
        (
            (
                "G was left with a gradient: cut the fakes off from G with detach().",
                lambda G, D, opt_D, real, noise: _d_move(G, D, opt_D, real, noise, detach=False),
            ),
            (
                "Old gradients were added: opt_D.zero_grad() has to come before backward().",
                lambda *a: _d_move(*a, clear="never"),
            ),
            (
                "D began with gradients that G's move had left: clear them before backward(), not "
                "after the step.",
                lambda *a: _d_move(*a, clear="after"),
            ),
            (
                "D has not moved: what gradients does opt_D.step() see?",
                lambda *a: None,
            ),
            (
                "That is half a step: the two halves of the loss are added, not averaged.",
                lambda *a: _d_move(*a, times=0.5),
            ),
            (TOO_FAR, lambda *a: _d_move(*a, total=True)),
            (
                "D went the wrong way: reals are to get high logits, fakes low ones.",
                lambda *a: _d_move(*a, sign=-1),
            ),
        ),
        (
            "Read the lines in order and say at each what is in D's gradients.",
            "When opt_D.step() runs, the gradients have just been cleared.",
            "The order is: opt_D.zero_grad(), loss.backward(), opt_D.step().",
        ),
        faulty=lambda G, D, opt_D, real, noise: _d_move(G, D, opt_D, real, noise, clear="between"),
        observe=_watch_d,
    ),
    "g_move": Task(
        _moves,
        _g_move,
        (
            (
                "D's weights stay frozen: thaw them after the move, for D has to learn too.",
                lambda *a: _g_move(*a, thaw=False),
            ),
            (
                "That is the saturating loss: the right way, but hardly a step where D is sure.",
                lambda *a: _g_move(*a, each=lambda d: -softplus(d)),
            ),
            (
                "That is the saturating loss, and its logarithm of 0 has no slope where D is sure.",
                lambda *a: _g_move(*a, each=lambda d: (1 - d.sigmoid()).log()),
            ),
            (
                "G went the wrong way: it has to raise D's logit of its fakes.",
                lambda *a: _g_move(*a, each=softplus),
            ),
            ("D moved, too: in G's move D stands still.", _g_move_and_d),
            (
                "G got no gradient: is backward() there? It has to pass through the fakes, without "
                "detach().",
                lambda *a: _g_move(*a, freeze=False, cut=True),
            ),
            (
                "G had a gradient and has not moved: is opt_G.step() there?",
                lambda *a: _g_move(*a, step=0),
            ),
            (TOO_FAR, lambda *a: _g_move(*a, total=True)),
        ),
        (
            "G's step itself is right. What does the move leave behind for D's next move?",
            "requires_grad_(False) stays until somebody takes it back.",
            "Add D.requires_grad_(True) as the last line.",
        ),
        faulty=lambda G, D, opt_G, noise: _g_move(G, D, opt_G, noise, thaw=False),
        observe=_watch_g,
    ),
}
