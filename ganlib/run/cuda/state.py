"""The state of a run as a CUDA graph needs it: read as one vector, put back in place."""

import torch

from ...nets.foreign import plain


def warming(game, images_seen):
    """Whether the game begins in another way, see `WarmStart`, and is still at it."""
    return hasattr(game, "warming") and game.warming(images_seen)


def settings(run):
    """Return what of the optimizers and nets is recorded as it is: whoever changes it between two
    steps gets a new graph.
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
    return [(x.shape, x.dtype) for x in batches.tensors()]


def players(run):
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
