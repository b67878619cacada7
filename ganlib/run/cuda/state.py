"""The state of a run as a CUDA graph needs it: read as one vector, and restored in place, since the
graph holds the addresses of its tensors.
"""

import torch

from ...nets.foreign import plain


def warming(game, images_seen):
    """Whether the game is still in a phase that it begins with, such as `WarmStart`'s."""
    return hasattr(game, "warming") and game.warming(images_seen)


def settings(run):
    """Return the settings of optimizers and nets that a graph records as constants. If they change
    between two steps, the step has to be captured anew.
    """
    return [
        (
            [x.requires_grad for x in player.net.parameters()],
            [
                {key: x for key, x in group.items() if key not in skipped}
                for group in player.optimizer.param_groups
            ],
        )
        for player in players(run)
        for skipped in [("params", *("lr", "betas")[: 2 * player.scheduled])]
    ]


def shapes(batches):
    """Return the shape of each tensor of `batches`."""
    return [(x.shape, x.dtype) for x in batches.tensors()]


def players(run):
    """Return the players of all GANs of a run."""
    return [player for gan in run.gans.values() for player in gan.players.values()]


def moving(run):
    """Return all that a step changes, except the optimizers' state, as one vector."""
    nets = [net for player in players(run) for net in player.nets()]
    tensors = [tensor for net in nets for tensor in net.state_dict().values()]
    return torch.cat(
        [x.double().flatten() for x in (*tensors, *(gan.adaptive for gan in run.gans.values()))]
    )


def put_back(run, state):
    """Like `load_state_dict`, but copy into the tensors that a graph uses; moments that `state`
    lacks become 0.
    """
    for gan, part in run.states(state):
        for name, here in gan._parts().items():
            if isinstance(here, torch.optim.Optimizer):
                kept = part[name]["state"]
                for i, moments in here.state_dict()["state"].items():
                    for key, moment in moments.items():
                        if isinstance(moment, torch.Tensor):
                            moment.copy_(kept.get(i, {}).get(key, torch.zeros_like(moment)))
            else:
                for key, value in plain(here).state_dict().items():
                    if value is not None:
                        value.copy_(part[name][key])
        gan.adaptive.copy_(part["adaptive"])
    run.step, run.images_seen = state["step"], state["images_seen"]
