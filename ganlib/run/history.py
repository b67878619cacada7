"""The history of a run: a row of figures every `record_every` steps; and the search for the step
and layer at which a figure stopped being finite. Only here a run waits for the device, once per
row.
"""

import copy
import math
from functools import partial

import torch
from torch.nn.functional import adaptive_avg_pool2d, normalize

from ..machine import processes
from ..machine.randomness import some_of
from .optimizers.bounded import shares


def row(now, reals, reading, finite):
    """Return one row of the history.

    It holds the step's figures, the game's `reading`, and: `grad_norm_d`, `grad_norm_g`;
    `update_d`, `update_g`, the length of Adam's last update over that of the weights; for 64 fakes
    from fixed noise their `diversity` (standard deviation of a pixel over the fakes, mean over
    pixels), `variety` (mean distance of a fake to its nearest neighbour among them), `forms` (the
    same for what is drawn, in whatever colours, see `_forms`) and `between` (the share of values
    that are not at an end of the range); and `real_diversity`, `real_variety`, `real_forms`,
    `real_between`, the same for as many images of the data. With several GANs each name begins with
    the GAN's: "there.grad_norm_d".
    """
    figures = dict(now.stats)
    for name, gan in now.gan.gans.items():
        start = f"{name}." if name else ""
        for which, player in gan.players.items():
            which, weights = which.lower(), list(player.net.parameters())
            if gradients := [weight.grad for weight in weights if weight.grad is not None]:
                figures[f"{start}grad_norm_{which}"] = torch.nn.utils.get_total_norm(gradients)
        for which, player in gan.players.items():
            if (length := _update(player.optimizer)) is not None:
                figures[f"{start}update_{which.lower()}"] = length
        count, of_reals = reals[name]
        various = _various(gan.sample(64)[:count], "") | of_reals
        figures |= {start + key: value for key, value in various.items()}
    figures["finite"] = finite
    values = torch.stack(
        [torch.as_tensor(value, device=now.gan.device).float() for value in figures.values()]
    )
    processes.average([values])
    figures = dict(zip(figures, values.tolist(), strict=True))
    return {"step": now.step, "images": now.images} | reading | figures


def _various(images, prefix):
    """Return diversity, variety and, of images, forms and between, see `row`."""
    flat = images.flatten(1).float()
    apart = torch.cdist(flat, flat).fill_diagonal_(torch.inf).amin(1)
    figures = {f"{prefix}diversity": images.std(0).mean(), f"{prefix}variety": apart.mean()}
    if images.ndim != 4:
        return figures
    between = (images.abs() < 0.99).float().mean()
    return figures | {f"{prefix}forms": _forms(images), f"{prefix}between": between}


def _forms(images):
    """Return the mean distance of an image to its nearest neighbour, 0 to 1, by what they show:
    sqrt(1 - r^2) for the correlation r of grey thumbnails (of 16 x 16, or smaller images as they
    are). Colour, brightness and contrast, and light for dark, make no difference.
    """
    grey = images.float().mean(1, keepdim=True)
    flat = adaptive_avg_pool2d(grey, min(16, *grey.shape[2:])).flatten(1)
    flat = normalize(flat - flat.mean(1, keepdim=True), eps=1e-3)
    alike = (flat @ flat.T).fill_diagonal_(0).abs().amax(1)
    return (1 - alike.square()).clamp(min=0).sqrt().mean()


def _update(optimizer):
    """Return the length of Adam's last step (Kingma & Ba 2014, algorithm 1), bounded or not, over
    that of its weights, or None.
    """
    length, moved, weights = torch.nn.utils.get_total_norm, [], []
    for group in optimizer.param_groups:
        taken = shares(group, optimizer.state) if "bound" in group else {}
        for weight in group["params"]:
            state = optimizer.state.get(weight, {})
            if (
                "exp_avg_sq" in state and "betas" in group
            ):  # else frozen, or another optimizer than Adam
                first, second = (1 - beta ** state["step"] for beta in group["betas"])
                step = (state["exp_avg_sq"] / second).sqrt_().add_(group["eps"])
                torch.div(state["exp_avg"], step, out=step)
                moved.append(length([step]) * taken.get(weight, 1) * group["lr"] / first)
                weights.append(weight.detach())
    return length(moved) / length(weights) if moved else None


class Records:
    """Adds rows to the history, and ends a run whose figures stop being finite, at a finite state.

    `play(eager)` plays one step of `game` and returns its figures. Rows are due at the first step
    and at multiples of `every` and `evaluate_every`. The figures of each step are watched without
    waiting for the device. A run is a function of its state; so the steps since the last finite row
    can be repeated, from a copy in memory, to find the step and the layer. Raises ValueError for
    fewer than 2 images.
    """

    def __init__(self, run, data, game, play, every=50, evaluate_every=None):
        self.run, self.reading, self.play = run, game.reading(), play
        if (axes := len(data.shape)) != 3:
            self.reading["axes"] = (
                axes  # of one of them: the doctor's thresholds are for images, which have three
            )
        self.every = every, evaluate_every or every
        sets = getattr(data, "sets", {"": data})
        self.reals = {name: _reals(sets[name], run.device) for name in run.gans}
        self.state, self.replaying = None, False
        self.keep()

    @torch.no_grad()
    def saw(self, stats):
        """Add the figures of a step to a sum on the device, which is finite only if all figures
        since the last row are.
        """
        for figure in stats.values():
            self.watched += figure

    def due(self, now):
        """Return whether a row is due at this step."""
        return now.step == 1 or any(map(now.every, self.every))

    def add(self, now):
        """Add a row. Return None, or why the run ends; it is back at its last finite row then."""
        figures = row(now, self.reals, self.reading, self.watched.isfinite())
        if figures.pop("finite") == 1 and all(
            math.isfinite(x) for x in figures.values() if not isinstance(x, str)
        ):
            self.keep()
            self.run.history.append(figures)
            return None
        return self._end(figures)

    def finite(self):
        """Return whether all figures since the last row are finite, in every process."""
        finite = self.watched.isfinite().float()
        processes.average([finite])
        return finite.item() == 1

    def lost(self):
        """Return the reason if figures since the last row are not finite, or None: for a run that
        ends between two rows. The run is then back at its last finite row.
        """
        return (
            None
            if self.finite()
            else self._end({"step": self.run.step, "images": self.run.images_seen})
        )

    def _end(self, figures):
        where, history = self._find(), self.run.history
        self.watched.zero_()  # finite, as the state is again
        history[-1:] = [(history or [figures])[-1] | {"not_finite": where}]
        return f"not finite {where}; the run is back at step {self.run.step:,}"

    def keep(self):
        """Copy the run's state, for `back`."""
        state = self.run.state_dict()
        del state["history"]
        self.state = _copied(state, self.state)
        self.watched = torch.zeros((), device=self.run.device)

    def back(self):
        """Restore the state that `keep` copied: that of the last finite row, or of the start."""
        self.run.load_state_dict(copy.deepcopy(self.state) | {"history": self.run.history})

    def _find(self):
        """Return the step and layer at which figures stopped being finite; the run is restored to
        its last finite row.
        """
        run, first, last = self.run, self.state["step"] + 1, self.run.step
        where, self.replaying = f"between steps {first:,} and {last:,}", True
        self.back()
        nets = _nets(run)
        while processes.place()[1] == 1 and run.step < last:
            seen = []
            hooks = [
                module.register_forward_hook(partial(_look, seen, f"{player}.{name}".rstrip(".")))
                for player, net in nets.items()
                for name, module in net.named_modules()
            ]
            stats = self.play(eager=True)  # a captured step calls no hooks
            for hook in hooks:
                hook.remove()
            if seen or (
                seen := [name for name, x in stats.items() if not math.isfinite(x)] + _bad(nets)
            ):
                where = f"at step {run.step:,}, in {seen[0]}"
                break
        self.back()
        self.replaying = False
        return where


def _reals(data, device):
    """Return how many reals (64 at most) are compared with fakes, and the figures of these."""
    if len(data) < 2:
        raise ValueError(
            f"{data.name!r} has {len(data)} image; at least 2 are needed for fakes to differ as "
            "reals do"
        )
    reals = data.floats(some_of(len(data), 64).to(data.images.device), device)
    return len(reals), _various(reals, "real_")


def _nets(run):
    """Return the nets of all players by name: "D" and "G", or "there.D" and so on."""
    return {
        f"{name}.{which}".lstrip("."): player.net
        for name, gan in run.gans.items()
        for which, player in gan.players.items()
    }


def _copied(state, into):
    """Return a deep copy of a state, into the tensors of an earlier copy, since new memory costs
    time.
    """
    if isinstance(state, torch.Tensor):
        fits = isinstance(into, torch.Tensor) and into.shape == state.shape
        return into.copy_(state) if fits else state.clone()
    if isinstance(state, dict):
        return {
            key: _copied(x, into.get(key) if isinstance(into, dict) else None)
            for key, x in state.items()
        }
    return copy.deepcopy(state)


def _look(seen, name, module, inputs, output):
    """A forward hook that records in `seen` the first layer whose output is not finite, and whether
    its weights were.
    """
    if seen or not isinstance(output, torch.Tensor) or output.isfinite().all():
        return
    weights = list(module.parameters(recurse=False))
    if any(weight.grad is not None and not weight.grad.isfinite().all() for weight in weights):
        what = "the gradient of the weights of"
    else:
        what = (
            "the output of"
            if all(weight.isfinite().all() for weight in weights)
            else "the weights of"
        )
    seen.append(f"{what} {name} ({type(module).__name__})")


def _bad(nets):
    """Return the names of all weights that are not finite, or whose gradient is not."""
    return [
        f"the weights {player}.{name}"
        for player, net in nets.items()
        for name, weight in net.named_parameters()
        if not (weight if weight.grad is None else weight + weight.grad).isfinite().all()
    ]
