"""Parts: one move of a player on a whole batch, or, where the memory is too small for that, on parts of it."""

import torch
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrize import is_parametrized


def play(gan, player, n, part, whole=None):
    """Take one optimizer step of `player`, "G" or "D", for a batch of `n`; returns the figures of `part`.

    `part(rows, mark)` plays the slice `rows` of the batch: it returns the mean loss to go down, and figures that are
    means too; `mark` tells streams of random numbers apart. Out of memory, the batch is halved from now on (and halved
    again), gradients are added up before the optimizer moves, and that is said: the same update, but for the masks of
    dropout, augmentations and directions of a finite difference, which are then others. Raises torch.OutOfMemoryError
    where that would be another update: with batch statistics, or for the reason `whole`.
    """
    while True:
        try:
            figures = _add_up(gan, player, n, part)
        except RuntimeError as error:  # torch.OutOfMemoryError is one
            if not _of_memory(error):
                raise
            whole = whole or _why_whole(gan, n)
            if whole:
                raise torch.OutOfMemoryError(
                    f"out of memory at step {gan.step + 1:,} with a batch of {n}, which cannot be split: {whole}. "
                    f"Use a smaller batch_size, or smaller nets. ({str(error).splitlines()[0][:160]})"
                ) from error
        else:
            gan.move(player)
            return figures
        gan.parts *= 2  # here, where the failed attempt's tensors are no longer held by the error
        if gan.device.type == "cuda":
            torch.cuda.empty_cache()
        print(f"out of memory at step {gan.step + 1:,}: each batch is played in {gan.parts} parts from now on, and "
              "their gradients are added up: the updates stay what they were", flush=True)  # fmt: skip


def _add_up(gan, player, n, part):
    """Fill the gradients of `player`, and return the figures."""
    getattr(gan, f"opt_{player}").zero_grad()
    cuts = [round(n * i / gan.parts) for i in range(gan.parts + 1)]
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


def _of_memory(error):
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def _why_whole(gan, n):
    """Why this batch has to be played in one piece, or None."""
    for name, net in (("G", gan.G), ("D", gan.D)):
        if any(isinstance(module, _BatchNorm) for module in net.modules()):
            return f"{name} has batch normalisation, whose statistics are those of a whole batch"
        if any(map(is_parametrized, net.modules())):
            return f"{name} has a parametrization (spectral norm), one and the same for a whole move"
    if gan.capture is not None:
        return "the step is being captured"
    return "there is less than one image a part" if 2 * gan.parts > n else None
