"""Adam's step with numbers that are tensors, so that a CUDA graph can read them anew."""

import torch

from .bounded import BoundedAdam, shares


@torch.no_grad()
def step(optimizer):
    """Take one step of a `torch.optim.Adam` (Kingma & Ba 2014, algorithm 1), without weight decay
    and other extras, or of a `BoundedAdam`; `lr` and the betas may be 0-d tensors on the device.

    torch's own reads betas on the host. All weights of a group that have gradients must have been
    moved equally often. Raises ValueError for another optimizer.
    """
    for group in optimizer.param_groups:
        extras = [name for name in ("weight_decay", "amsgrad", "maximize") if group.get(name)]
        if type(optimizer) not in (torch.optim.Adam, BoundedAdam) or extras:
            raise ValueError(
                f"a schedule of betas was given to {type(optimizer).__name__} "
                f"{extras or ''}: only Adam without extras can be captured with it"
            )
        moved = [weight for weight in group["params"] if weight.grad is not None]
        if not moved:
            continue
        for weight in moved:
            if not optimizer.state[weight]:
                optimizer.state[weight].update(
                    step=torch.zeros((), device=weight.device),
                    exp_avg=torch.zeros_like(weight),
                    exp_avg_sq=torch.zeros_like(weight),
                )
        states = [optimizer.state[weight] for weight in moved]
        steps, means, squares = (
            [state[name] for state in states] for name in ("step", "exp_avg", "exp_avg_sq")
        )
        gradients, (first, second) = [weight.grad for weight in moved], group["betas"]
        torch._foreach_add_(steps, 1)
        torch._foreach_mul_(means, first)
        torch._foreach_add_(means, torch._foreach_mul(gradients, 1 - first))
        torch._foreach_mul_(squares, second)
        squared = torch._foreach_mul(gradients, gradients)
        torch._foreach_mul_(squared, 1 - second)
        torch._foreach_add_(squares, squared)
        roots = torch._foreach_div(squares, 1 - second ** steps[0])
        torch._foreach_sqrt_(roots)
        torch._foreach_add_(roots, group["eps"])
        changes = torch._foreach_div(means, roots)
        torch._foreach_mul_(changes, -group["lr"] / (1 - first ** steps[0]))
        if "bound" in group:
            taken = shares(group, optimizer.state)
            torch._foreach_mul_(changes, list(taken.values()))
        torch._foreach_add_(moved, changes)
