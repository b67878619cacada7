"""A player: a net with its optimizer and its average; and `play`, one step of it, in parts of the
batch where memory is too small for all of it.
"""

import torch
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrize import is_parametrized

from ..machine.values import at, extremes
from ..nets.known import ask, foreign, ours

STATISTICS = 500  # images from which an average takes its batch statistics


class Player:
    """A net with its optimizer, its learning rate and, if asked for, an average of its past
    weights.

    lr, betas: Adam's settings (Kingma & Ba 2014), numbers or schedules of the images seen.
    optimizer: replaces Adam: a function from the net's parameters to an optimizer of torch's kind,
        such as `partial(torch.optim.RMSprop, lr=5e-5)`. It keeps its own settings; `lr`, if given,
        overrides.
    ema: half-life of `average` in images, a number or a schedule; 0 copies the weights, None keeps
        none.

    Raises ValueError for numbers out of range.
    """

    def __init__(self, net, lr=None, betas=None, optimizer=None, ema=None):
        lr = 2e-4 if lr is None and optimizer is None else lr
        betas = (0.9, 0.999) if betas is None and optimizer is None else betas
        if lr is not None and not all(0 < value < torch.inf for value in extremes(lr)):
            raise ValueError(
                f"lr={lr!r} was given; a learning rate is above 0 (the classic recipe's is 2e-4)"
            )
        pair = betas if isinstance(betas, (tuple, list)) and len(betas) == 2 else (None,)
        if betas is not None and not all(0 <= x < 1 for beta in pair for x in extremes(beta)):
            raise ValueError(
                f"betas={betas!r} was given; two from 0 to below 1, or schedules, are expected"
            )
        if ema is not None and not all(value >= 0 for value in extremes(ema)):
            raise ValueError(
                f"ema={ema!r} was given; a half-life is 0 images or more (or None: no average of G)"
            )
        # floats, even for ints: the fused Adam of a GPU compares their types
        self.betas = betas and tuple(x if callable(x) else extremes(x)[0] for x in betas)
        if ours(net):  # faster for convolutions of images, and changes no result; others are tried
            net.to(memory_format=torch.channels_last)
        if not any(weight.requires_grad for weight in net.parameters()):
            foreign("trying").thaw(net)
        self.net, self.lr, self.ema, self.builder = net, lr, ema, optimizer
        if optimizer is None:
            start = {"lr": at(lr, 0), "betas": tuple(at(beta, 0) for beta in self.betas)}
            self.optimizer = torch.optim.Adam(net.parameters(), fused=True, **start)
        else:
            self.optimizer = optimizer(net.parameters())
        self.average = None if ema is None else foreign().copied(net).requires_grad_(False)

    def nets(self):
        """Return the net, and its average if there is one."""
        return [net for net in (self.net, self.average) if net is not None]

    def to(self, device=None, dtype=None):
        """Move the nets and the optimizer's state to `device` and `dtype`."""
        for net in self.nets():
            net.to(device=device, dtype=dtype)
        self.optimizer.load_state_dict(self.optimizer.state_dict())  # goes to the weights' device

    @property
    def scheduled(self):
        """Whether the learning rate or the betas change with the images seen."""
        return any(map(callable, (self.lr, *(self.betas or ()))))

    def schedule(self, at):
        """Set learning rate and betas to their present values: `at(value)` evaluates a schedule."""
        for group in self.optimizer.param_groups:
            if self.lr is not None:
                group["lr"] = at(self.lr)
            if self.betas is not None and "betas" in group:
                group["betas"] = tuple(map(at, self.betas))

    @torch.no_grad()
    def follow(self, share):
        """Move `average` by `share` (a float or 0-d tensor) of the way to the net's weights, and
        copy the buffers. Karras et al. 2018, section 4.
        """
        ours, theirs = list(self.average.parameters()), list(self.net.parameters())
        if isinstance(share, torch.Tensor):  # lerp would read it on the host
            apart = torch._foreach_sub(theirs, ours)
            torch._foreach_mul_(apart, share)
            torch._foreach_add_(ours, apart)
        else:
            torch._foreach_lerp_(ours, theirs, share)
        if here := list(self.average.buffers()):
            torch._foreach_copy_(here, list(self.net.buffers()))


def has_batch_statistics(net):
    """Whether the net has batch normalisation: its output for one image depends on the others."""
    return any(isinstance(module, _BatchNorm) for module in net.modules())


@torch.no_grad()
def settled(average, z, labels):
    """Return the net to sample from: `average`, or a copy with new batch statistics, from images of
    `z`.

    The statistics that a net gathers in training belong to its own weights; averaged weights need
    others (Izmailov et al. 2018, section 3.2). In a conditional run the wrong ones tripled the
    distance.
    """
    if not any(isinstance(m, _BatchNorm) and m.track_running_stats for m in average.modules()):
        return average
    net = foreign().copied(average).eval()
    for norm in net.modules():
        if isinstance(norm, _BatchNorm) and norm.track_running_stats:
            norm.reset_running_stats()
            norm.momentum = None  # the plain mean over all that it sees
            norm.train()
    ask(net, z, labels)
    return net.eval()


def play(gans, which, n, part, whole=None):
    """Take one optimizer step of the player `which`, "G" or "D", of each of `gans`; return the
    figures.

    `part(rows, mark)` computes the slice `rows` of the batch of `n` images: it returns the mean
    loss, and figures that are means too; `mark` keeps its random numbers apart from other parts'.
    Out of memory, the batch is halved from then on (and halved again), gradients are summed before
    the optimizers step, and a line says so. The update stays the same but for the random numbers of
    dropout, augmentation and finite differences. Where it would not (batch statistics, or the
    reason `whole`), torch.OutOfMemoryError is raised.
    """
    first = gans[0]
    while True:
        try:
            figures = _add_up(gans, which, n, part)
        except RuntimeError as error:  # torch.OutOfMemoryError is one
            memory = isinstance(error, torch.OutOfMemoryError), "DefaultCPUAllocator" in str(error)
            if not any(memory):
                raise
            whole = whole or _why_whole(gans, n)
            if whole:
                raise torch.OutOfMemoryError(
                    f"out of memory at step {first.step + 1:,} with a batch of {n}, which cannot "
                    f"be split: {whole}. Use a smaller batch_size, or smaller nets. "
                    f"({str(error).splitlines()[0][:160]})"
                ) from error
        else:
            for gan in gans:
                gan.move(which)
            return figures
        first.parts *= 2  # here, where the failed attempt's tensors are no longer held by the error
        if first.device.type == "cuda":
            torch.cuda.empty_cache()
        print(
            f"out of memory at step {first.step + 1:,}: each batch is played in {first.parts} "
            "parts from now on, and their gradients are added up: the updates stay what they were",
            flush=True,
        )


def _add_up(gans, which, n, part):
    """Fill the gradients of the players, and return the figures."""
    for gan in gans:
        gan.players[which].optimizer.zero_grad()
    parts = gans[0].parts
    cuts = [round(n * i / parts) for i in range(parts + 1)]
    total = {}
    for start, stop in zip(cuts, cuts[1:], strict=False):
        loss, figures = part(slice(start, stop), f"+{start}" if start else "")
        share = (stop - start) / n
        if share == 1:
            loss.backward()
            return figures
        (share * loss).backward()
        total = {name: total.get(name, 0) + share * value for name, value in figures.items()}
    return total


def _why_whole(gans, n):
    """Return why a batch of `n` cannot be split, or None."""
    for gan in gans:
        for name, player in gan.players.items():
            if has_batch_statistics(player.net) or (name == "D" and not gan.one_pass):
                return f"{name} has batch normalisation or the like, statistics of a whole batch"
            if any(map(is_parametrized, player.net.modules())):
                return f"{name} has a parametrization (spectral norm), one for a whole move"
    if gans[0].capture is not None:
        return "the step is being captured"
    return "there is less than one image a part" if 2 * gans[0].parts > n else None
