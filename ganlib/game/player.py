"""Player: a net with its optimizer, its learning rate and its average; and how a player moves.

Out of memory, a move is played in parts of the batch: `play`.
"""

import copy

import torch
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrize import is_parametrized

from ..machine.values import at, extremes

STATISTICS = 500  # images from which an average takes its batch statistics


class Player:
    """A net with its optimizer, its learning rate and, where one is asked for, an average of its past weights.

    net: any module.
    lr, betas: Adam's (Kingma & Ba 2014), numbers or schedules of the images seen.
    optimizer: in Adam's place, a function from the net's parameters to an optimizer of torch's kind, as
        `partial(torch.optim.RMSprop, lr=5e-5)`. Its settings are its own, but for `lr`, where that is given here.
    ema: the half-life of `average` in images, a number or a schedule (0 copies the weights); None keeps no average.

    Raises ValueError for numbers that are out of range.
    """

    def __init__(self, net, lr=None, betas=None, optimizer=None, ema=None):
        lr = 2e-4 if lr is None and optimizer is None else lr
        betas = (0.9, 0.999) if betas is None and optimizer is None else betas
        if lr is not None and not all(value > 0 for value in extremes(lr)):
            raise ValueError(f"lr={lr} was given; a learning rate is above 0 (the classic recipe's is 2e-4)")
        if betas is not None and not all(0 <= value < 1 for beta in betas for value in extremes(beta)):
            raise ValueError(f"betas={betas} was given; two numbers from 0 to below 1, or schedules, are expected")
        if ema is not None and not all(value >= 0 for value in extremes(ema)):
            raise ValueError(f"ema={ema} was given; a half-life is 0 images or more (or None: no average of G)")
        # a float even where an int was given: the fused Adam of a GPU compares their types
        self.betas = betas and tuple(beta if callable(beta) else 1.0 * beta for beta in betas)
        # channels last is faster for convolutions of images, and changes nothing else
        self.net = net if any(x.ndim == 5 for x in net.parameters()) else net.to(memory_format=torch.channels_last)
        self.lr, self.ema, self.own = lr, ema, optimizer
        if optimizer is None:
            start = {"lr": at(lr, 0), "betas": tuple(at(beta, 0) for beta in self.betas)}
            self.optimizer = torch.optim.Adam(net.parameters(), fused=True, **start)
        else:
            self.optimizer = optimizer(net.parameters())
        self.average = None if ema is None else copy.deepcopy(net).requires_grad_(False)

    def nets(self):
        """The net, and its average where there is one."""
        return [net for net in (self.net, self.average) if net is not None]

    def to(self, device=None, dtype=None):
        """Move the nets and what the optimizer remembers to `device` and `dtype`."""
        for net in self.nets():
            net.to(device=device, dtype=dtype)
        self.optimizer.load_state_dict(self.optimizer.state_dict())  # moves it to where the weights are now

    @property
    def scheduled(self):
        """Whether learning rate or betas change with the images seen."""
        return any(map(callable, (self.lr, *(self.betas or ()))))

    def schedule(self, at):
        """Set learning rate and betas to what they are now; `at(value)` is what a number or schedule is now."""
        for group in self.optimizer.param_groups:
            if self.lr is not None:
                group["lr"] = at(self.lr)
            if self.betas is not None and "betas" in group:
                group["betas"] = tuple(map(at, self.betas))

    @torch.no_grad()
    def follow(self, share):
        """Move `average` by `share`, a float or a 0-d tensor, of the way to the net's weights; copy the buffers.

        Karras et al. 2018, section 4.
        """
        ours, theirs = list(self.average.parameters()), list(self.net.parameters())
        if isinstance(share, torch.Tensor):  # lerp would read it on the host
            apart = torch._foreach_sub(theirs, ours)
            torch._foreach_mul_(apart, share)
            torch._foreach_add_(ours, apart)
        else:
            torch._foreach_lerp_(ours, theirs, share)
        for here, there in zip(self.average.buffers(), self.net.buffers(), strict=True):
            here.copy_(there)


def has_batch_statistics(net):
    """Whether the net has batch normalisation: what it says of an image depends on the others then."""
    return any(isinstance(module, _BatchNorm) for module in net.modules())


@torch.no_grad()
def settled(average, z, labels):
    """Return `average` itself, or a copy of it that has batch statistics of its own, those of its images of `z`.

    The statistics that a net gathers while it trains belong to its own weights; averaged weights need others
    (Izmailov et al. 2018, section 3.2). In a conditional run of ours they made three times the distance.
    """
    if not any(isinstance(m, _BatchNorm) and m.track_running_stats for m in average.modules()):
        return average
    copied = copy.deepcopy(average).eval()
    for norm in copied.modules():
        if isinstance(norm, _BatchNorm) and norm.track_running_stats:
            norm.reset_running_stats()
            norm.momentum = None  # the plain mean over all that it sees
            norm.train()
    copied(z, labels)
    return copied.eval()


def play(gans, which, n, part, whole=None):
    """Take one optimizer step of the player `which`, "G" or "D", of each of `gans` for a batch of `n`.

    `part(rows, mark)` plays the slice `rows` of the batch: it returns the mean loss to go down, and figures that are
    means too; `mark` tells streams of random numbers apart. Out of memory, the batch is halved from now on (and halved
    again), gradients are added up before the optimizers move, and that is said: the same update, but for the masks of
    dropout, augmentations and directions of a finite difference, which are then others. Raises torch.OutOfMemoryError
    where that would be another update: with batch statistics, or for the reason `whole`. Returns the figures.
    """
    first = gans[0]
    while True:
        try:
            figures = _add_up(gans, which, n, part)
        except RuntimeError as error:  # torch.OutOfMemoryError is one
            if not (isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)):
                raise
            whole = whole or _why_whole(gans, n)
            if whole:
                raise torch.OutOfMemoryError(
                    f"out of memory at step {first.step + 1:,} with a batch of {n}, which cannot be split: {whole}. "
                    f"Use a smaller batch_size, or smaller nets. ({str(error).splitlines()[0][:160]})"
                ) from error
        else:
            for gan in gans:
                gan.move(which)
            return figures
        first.parts *= 2  # here, where the failed attempt's tensors are no longer held by the error
        if first.device.type == "cuda":
            torch.cuda.empty_cache()
        print(f"out of memory at step {first.step + 1:,}: each batch is played in {first.parts} parts from now on, "
              "and their gradients are added up: the updates stay what they were", flush=True)  # fmt: skip


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
    """Why this batch has to be played in one piece, or None."""
    for name, player in ((name, player) for gan in gans for name, player in gan.players.items()):
        if has_batch_statistics(player.net):
            return f"{name} has batch normalisation, whose statistics are those of a whole batch"
        if any(map(is_parametrized, player.net.modules())):
            return f"{name} has a parametrization (spectral norm), one and the same for a whole move"
    if gans[0].capture is not None:
        return "the step is being captured"
    return "there is less than one image a part" if 2 * gans[0].parts > n else None
