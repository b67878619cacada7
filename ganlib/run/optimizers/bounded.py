"""Adam whose steps do not outgrow the usual ones."""

import torch


class BoundedAdam(torch.optim.Adam):
    """Adam (Kingma & Ba 2014), and no weight tensor takes a step longer than `bound` times a usual
    one.

    Adam divides a gradient by the root of its mean square so far. One that is suddenly far larger
    than those before it moves the weights by up to 1 / sqrt(1 - beta2) times the learning rate, ten
    times it for 0.99; in a D that stands at a guess, whose gradients are small, one such step makes
    the next gradient larger again, until D has exploded. So the step of each tensor is divided by
    the root mean square of g / sqrt(v), g the gradient and v Adam's second moment, g in it and
    unbiased, where that is above `bound`. This is update clipping, Shazeer & Stern 2018, section 6,
    in Adam as in Wortsman et al. 2023, section 3.3. The host reads nothing.

    weights, lr, betas, settings: as of `torch.optim.Adam`; fused, if nothing else is said.
    bound: above 0; 1 in the sources. Raises ValueError for others.
    """

    def __init__(self, weights, lr=1e-3, betas=(0.9, 0.999), bound=1.0, **settings):
        if not 0 < bound < torch.inf:
            raise ValueError(
                f"bound={bound!r} was given; a number above 0 is expected: 1, the usual length"
            )
        super().__init__(weights, lr=lr, betas=betas, **({"fused": True} | settings))
        for group in self.param_groups:  # saved with a run, as all settings of a group are
            group["bound"] = float(bound)

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        groups = [[x for x in group["params"] if x.grad is not None] for group in self.param_groups]
        before = [[x.clone() for x in moved] for moved in groups]
        super().step()
        for group, moved, old in zip(self.param_groups, groups, before, strict=True):
            if taken := list(shares(group, self.state).values()):
                changes = torch._foreach_sub(moved, old)
                torch._foreach_mul_(changes, taken)
                torch._foreach_copy_(moved, torch._foreach_add(old, changes))
        return loss


@torch.no_grad()
def shares(group, state):
    """Return {weight: the share of its last step that it takes, a 0-d tensor in 0 .. 1} of those of
    a group that were moved; `state` is Adam's, after that step.
    """
    moved = [x for x in group["params"] if x.grad is not None and state.get(x)]
    if not moved:
        return {}
    squared = torch._foreach_mul([x.grad for x in moved], [x.grad for x in moved])
    second = [state[x]["exp_avg_sq"] for x in moved]
    least = torch.finfo(second[0].dtype).tiny
    torch._foreach_div_(squared, torch._foreach_clamp_min(second, least))
    unbiased = 1 - group["betas"][1] ** state[moved[0]]["step"].to(second[0].dtype)
    lengths = torch.stack([x.mean() for x in squared]).mul(unbiased).sqrt()
    taken = group["bound"] / lengths.clamp(min=group["bound"])
    return dict(zip(moved, taken.unbind(), strict=True))
