"""Parts of checks: small data, a short run whose state is checked, captured and eager steps."""

import io
from contextlib import redirect_stdout

import torch

from ...data.images import Images
from ...run.cuda.compiling import compile_step
from ...run.training import train

STEPS, SIZE = 4, 8  # of a run, and images of a batch
REPLAYED = 0.02  # how far captured steps may lead away, as a share of the way; other noise: 0.08


class Fault(Exception):
    """Raised by a check that has failed; the message says what is wrong."""


class NotTried(Exception):
    """Raised by a check that cannot be tried on this machine; the message says why."""


def expect(holds, wrong):
    """Raise `Fault(wrong)` unless `holds` is true."""
    if not holds:
        raise Fault(wrong)


def some_images(shape, n=64):
    """Return `n` images of noise in ten classes, as data for checks."""
    draws = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (n, *shape), dtype=torch.uint8, generator=draws)
    return Images(images, torch.arange(n) % 10, tuple(map(str, range(10))), "noise")


def players(run):
    """Return the players of a run by name: "G" and "D", or "there.G" and so on."""
    return {
        f"{name}.{which}".lstrip("."): player
        for name, gan in run.gans.items()
        for which, player in gan.players.items()
    }


def play(run, data, game, device, steps=STEPS, still=(), size=SIZE, capture=False, **settings):
    """Train a run on `device`, check its state (`look_over`), and return it. `still` names players
    that are expected not to move; further arguments are those of `train`. Raises `Fault`, or what a
    step raises.
    """
    run.to(device)
    start = {key: [x.clone() for x in one.net.parameters()] for key, one in players(run).items()}
    settings |= {"until": steps, "batch_size": size, "capture": capture}
    for now in train(run, data, game, **settings):  # noqa: B007
        pass
    if now.reason.startswith(("interrupted", "terminated")):  # no fault: whoever did it means all
        raise KeyboardInterrupt
    expect(now.step == steps, f"the run ended at step {now.step} of {steps}: {now.reason}")
    look_over(run, data, game, now.stats, device)
    for key, player in players(run).items():
        same = map(torch.equal, player.net.parameters(), start[key])
        expect(key in still or not all(same), f"no weight of {key} has changed")
    return run


def capturing(parts, device):
    """Check that captured steps lead to the state that eager ones do, in float64. `parts(steps)`
    returns (a run, its data, a game that is planned for so many steps).
    """
    if device.type != "cuda":
        raise NotTried("CUDA graphs need CUDA")
    return replayed(parts, device)


def replayed(parts, device, steps=8):
    """Play a game eagerly and captured from the same state, and compare. Rounding differs, and a
    game amplifies it: hence the tolerance. The plan is twice as long, since capturing looks ahead.
    """
    said, ends = io.StringIO(), []
    for capture in (False, True):
        run, data, game = parts(2 * steps)
        start = flat(run.to(device, torch.float64))
        if capture:
            with redirect_stdout(said):
                game = compile_step(game, run, data, SIZE)
            expect(hasattr(game, "eager"), said.getvalue().strip())
        ends.append(flat(play(run, data, game, device, steps=steps, still=("G", "D"))))
        expect(not getattr(game, "failed", False), "a later capture has failed")
    gap, way = torch.dist(*ends).item(), torch.dist(start, ends[0]).item()
    expect(gap <= REPLAYED * way, f"{gap:.2g} apart after a way of {way:.2g}")
    return f"{gap:.1g} apart after a way of {way:.2g}"


def look_over(run, data, game, figures, device):
    """Raise `Fault` unless all that belongs to a run is on `device`, and finite."""
    batches = data.near(run.device).batches(run.seed, 0, game.batches, 2)
    held = {f"batch {i}": x for i, x in enumerate(batches.tensors())}
    held |= {f"figure {name}": x for name, x in figures.items()}
    for name, gan in run.gans.items():
        held |= {f"noise {name}": gan.noise(2), f"image {name}": gan.sample(4)}
        held[f"p of augmentation {name}"] = gan.adaptive
        if hasattr(gan.source, "data"):
            held[f"source {name}"] = gan.source.data.images
    for name, player in players(run).items():
        for i, net in enumerate(player.nets()):
            start = f"{name}, averaged" if i else name
            held |= {f"{start}: {key}": x for key, x in net.state_dict().items()}
        for i, state in player.optimizer.state_dict()["state"].items():
            held |= {f"{name}: {key} {i}": x for key, x in state.items() if key != "step"}
    for name, x in held.items():
        expect(on(x, device), f"{name.strip()} is on {x.device}, not on {device}")
        expect(x.isfinite().all(), f"{name.strip()} is not finite")


def on(x, device):
    """Whether a tensor is on `device`; "cuda" is any GPU, "cuda:1" that one."""
    return x.device.type == device.type and device.index in (None, x.device.index)


def flat(run):
    """Return all weights and buffers of a run as one vector."""
    nets = [net for player in players(run).values() for net in player.nets()]
    return torch.cat([x.double().flatten() for net in nets for x in net.state_dict().values()])
