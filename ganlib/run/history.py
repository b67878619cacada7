"""Records: the figures of a step that join a run's history, and the place where they stopped being numbers."""

import copy
import math
from functools import partial

import torch

from ..machine import processes


def row(now, reals, objective, finite):
    """Return one row of the history. The only place where a run waits for the device, once in `record_every` steps.

    Beside the step's own figures: the norms of both gradients; `update_d` and `update_g`, the length of the last
    update as a share of the weights'; of 64 fakes from one fixed noise their `diversity` (the standard deviation of a
    pixel over them, mean over the pixels) and `variety` (the mean distance of each to its nearest neighbour among
    them); `real_diversity` and `real_variety` are the same of as many images of the data; the `objective`'s name.
    """
    gan, found = now.gan, dict(now.stats)
    for player, net in (("d", gan.D), ("g", gan.G)):
        if gradients := [weight.grad for weight in net.parameters() if weight.grad is not None]:
            found[f"grad_norm_{player}"] = torch.nn.utils.get_total_norm(gradients)
    found |= _update(gan.opt_D, "d") | _update(gan.opt_G, "g")
    found |= _various(gan.sample(64)[: reals["images"]], "") | reals["figures"]
    found["finite"] = finite
    values = torch.stack([torch.as_tensor(value, device=gan.device).float() for value in found.values()])
    processes.average([values])
    found = dict(zip(found, values.tolist(), strict=True))
    return {"step": now.step, "images": now.images, "objective": objective} | found


def _various(images, prefix):
    flat = images.flatten(1).float()
    apart = torch.cdist(flat, flat).fill_diagonal_(torch.inf).amin(1)
    return {f"{prefix}diversity": images.std(0).mean(), f"{prefix}variety": apart.mean()}


def _update(optimizer, player):
    """The length of Adam's last step (Kingma & Ba 2014, algorithm 1) as a share of that of all its weights."""
    length, moved, weights = torch.nn.utils.get_total_norm, [], []
    for group in optimizer.param_groups:
        for weight in group["params"]:
            state = optimizer.state.get(weight, {})
            if "exp_avg_sq" in state:  # else frozen, or an optimizer of the user's own
                first, second = (1 - beta ** state["step"] for beta in group["betas"])
                step = (state["exp_avg_sq"] / second).sqrt_().add_(group["eps"])
                torch.div(state["exp_avg"], step, out=step)
                moved.append(length([step]) * group["lr"] / first)
                weights.append(weight.detach())
    return {f"update_{player}": length(moved) / length(weights)} if moved else {}


class Records:
    """Adds rows to a run's history, and ends the run where a figure stops being finite, at a state that still is.

    `play(eager)` plays one step and returns its figures; `objective` is its name. A row is due at the first step and at
    the multiples of `every` and `evaluate_every`. Each step's figures are watched
    without a host read. A run is a function of its state, so the steps since the last finite row can be played again,
    from a copy in memory, to name the step and the layer.
    """

    def __init__(self, gan, data, objective, play, every=50, evaluate_every=None):
        self.gan, self.objective, self.play, self.every = gan, objective, play, (every, evaluate_every or every)
        if len(data) < 2:
            raise ValueError(
                f"{data.name!r} has {len(data)} image; at least 2 are needed for fakes to differ as reals do"
            )
        some = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[
            :64
        ]  # a set may be sorted by class
        reals = data.floats(some.to(data.images.device), gan.device)
        self.reals = {"images": len(reals), "figures": _various(reals, "real_")}
        self.state, self.replaying = None, False
        self._keep()

    @torch.no_grad()
    def saw(self, stats):
        """Watch the figures of one step: a sum, of all since the last row, is finite only if all of its terms are."""
        for figure in stats.values():
            self.watched += figure

    def due(self, now):
        return now.step == 1 or any(map(now.every, self.every))

    def add(self, now):
        """Add a row. Returns None, or the reason to end: the run is back at its last finite row then."""
        found = row(now, self.reals, self.objective, self.watched.isfinite())
        if found.pop("finite") == 1 and all(math.isfinite(x) for x in found.values() if not isinstance(x, str)):
            self._keep()
            self.gan.history.append(found)
            return None
        return self._end(found)

    def finite(self):
        """Whether all figures since the last row are finite, in every process: waits for the device, and for those."""
        finite = self.watched.isfinite().float()
        processes.average([finite])
        return finite.item() == 1

    def lost(self):
        """The reason to end where a step since the last row was not finite: for a run that ends between two rows."""
        return None if self.finite() else self._end({"step": self.gan.step, "images": self.gan.images_seen})

    def _end(self, found):
        where = self._find()
        self.watched.zero_()  # finite, as the state is again
        self.gan.history[-1:] = [(self.gan.history or [found])[-1] | {"not_finite": where}]
        return f"not finite {where}; the run is back at step {self.gan.step:,}"

    def _keep(self):
        state = self.gan.state_dict()
        del state["history"]
        self.state = _copied(state, self.state)
        self.watched = torch.zeros((), device=self.gan.device)

    def _back(self):
        self.gan.load_state_dict(copy.deepcopy(self.state) | {"history": self.gan.history})

    def _find(self):
        """Say at which step and in what the figures stopped being finite; the run is then back at the kept state."""
        gan, first, last = self.gan, self.state["step"] + 1, self.gan.step
        where, self.replaying = f"between steps {first:,} and {last:,}", True
        self._back()
        while gan.world == 1 and gan.step < last:
            seen = []
            hooks = [module.register_forward_hook(partial(_look, seen, f"{player}.{name}".rstrip(".")))
                     for player in "GD" for name, module in getattr(gan, player).named_modules()]  # fmt: skip
            stats = self.play(eager=True)  # a captured step calls no hooks
            for hook in hooks:
                hook.remove()
            if seen or (seen := [name for name, x in stats.items() if not math.isfinite(x)] + _bad(gan)):
                where = f"at step {gan.step:,}, in {seen[0]}"
                break
        self._back()
        self.replaying = False
        return where


def _copied(state, into):
    """A deep copy of a state; into the tensors of an earlier copy where there are such: new memory costs time."""
    if isinstance(state, torch.Tensor):
        fits = isinstance(into, torch.Tensor) and into.shape == state.shape
        return into.copy_(state) if fits else state.clone()
    if isinstance(state, dict):
        return {key: _copied(x, into.get(key) if isinstance(into, dict) else None) for key, x in state.items()}
    return copy.deepcopy(state)


def _look(seen, name, module, inputs, output):
    """A forward hook: notes the first layer whose output is not finite, and whether its weights are to blame."""
    if seen or not isinstance(output, torch.Tensor) or output.isfinite().all():
        return
    weights = list(module.parameters(recurse=False))
    if any(weight.grad is not None and not weight.grad.isfinite().all() for weight in weights):
        what = "the gradient of the weights of"
    else:
        what = "the output of" if all(weight.isfinite().all() for weight in weights) else "the weights of"
    seen.append(f"{what} {name} ({type(module).__name__})")


def _bad(gan):
    """The names of all weights that are not finite or whose gradient is not."""
    return [f"the weights {player}.{name}"
            for player in "DG" for name, weight in getattr(gan, player).named_parameters()
            if not (weight if weight.grad is None else weight + weight.grad).isfinite().all()]  # fmt: skip
