"""`compile_step`: record a whole training step as one CUDA graph, or return the step unchanged and
print why.

On a GPU a step of small nets is hundreds of kernels of a few microseconds each, and most time goes
into starting them one by one. A CUDA graph records them once and starts them all with one call.
Whatever Python computes anew at each step would be recorded as a constant. Therefore schedules are
read from tensors that are filled before each replay, each stream of random numbers has a generator
that is seeded before each replay, and the batch is copied to where the graph reads it.
"""

import copy
import time
from functools import partial

import torch

from ..game.steps import as_game
from ..machine.progress import say
from ..machine.randomness import generator, seed_of
from ..machine.values import at
from ..nets.foreign import plain

CHECKED = 4  # steps played both captured and eager before a captured step is used


def compile_step(step, gan, data, batch_size=100):
    """Return `step` as a game that plays each step as one CUDA graph, or `step` itself where that
    does not work; one printed line says which and why.

    It is made for a fixed `batch_size`; a batch of another shape, another GAN or a newly loaded
    state is captured anew. Before it is used, the captured step is compared with the eager one over
    4 steps from the present state, which is restored afterwards. `step` must depend only on its
    arguments and on (seed, step), as `gan_step` does: whatever else Python computes in it would
    stay as it was at the capture.

    On a CPU, on MPS and with several processes the step is returned unchanged. (torch.compile is
    not used: it was slower than eager for these nets and took 9 to 31 s to start, see
    benchmarks/LOG.md.)
    """
    reason = "several processes share the gradients" if gan.world > 1 else _unfit(gan.device)
    if reason is None:
        data, game = data.near(gan.device), as_game(step)
        compiled, start = Compiled(game), time.monotonic()
        try:
            game.check(gan, data)  # notes what the game needs of the data, as `train` does
            batches = data.batches(gan.seed, gan.step, game.batches, batch_size, gan.dtype)
            batches = batches.to(gan.device)
            if not (waits := compiled.turning(gan, batches)):
                compiled.capture(gan, batches)
        except Exception as error:  # of any kind, raised by the step; the state is restored
            reason = _why(error)
        else:
            say(
                "step: one CUDA graph, captured as soon as the game has changed"
                if waits
                else f"step: one CUDA graph, captured in {time.monotonic() - start:.1f} s; "
                f"{CHECKED} steps agree with the eager step",
            )
            return compiled
    say(f"step: eager, as it is; {reason}")
    return step


def _why(error):
    return f"it cannot be captured ({type(error).__name__}: {str(error).splitlines()[0][:160]})"


def _unfit(device):
    """Return why steps cannot be captured on `device`, or None."""
    if device.type == "cuda":
        return None
    return f"there are no CUDA graphs on {device.type}, and nothing else was measured to be faster"


class Graph:
    """A torch.cuda.CUDAGraph, reduced to the three methods that are needed. (A test puts an
    imitation in its place.)
    """

    def __init__(self):
        self.graph = torch.cuda.CUDAGraph()

    def record(self, play, generators):
        """Record the kernels that `play()` starts, and return what it returns; `generators` may be
        seeded between replays.
        """
        for draws in generators:
            self.graph.register_generator_state(draws)
        with torch.cuda.graph(self.graph):
            return play()

    def warm_up(self, play):
        """Call `play()` on a separate stream, as a capture needs: it starts CUDA's libraries."""
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            play()
        torch.cuda.current_stream().wait_stream(aside)

    def replay(self):
        self.graph.replay()


class Compiled:
    """A game whose step is recorded once and replayed; all else is that of `eager`, the original
    game.
    """

    graph_type = Graph

    def __init__(self, eager):
        self.eager, self.gan, self.graph, self.failed = eager, None, None, False
        self.batches, self.look = eager.batches, eager.look
        self.check, self.describe, self.reading = eager.check, eager.describe, eager.reading

    def step(self, gan, batches):
        """Play one step, as the original game does; return its figures. Capture it if needed."""
        if (
            self.gan is not gan
            or self.generation != gan.generation
            or self.shapes != _shapes(batches)
            or self.warming != _warming(self.eager, gan.images_seen)
        ):
            if self.failed or self.turning(gan, batches):
                return self.eager.step(gan, batches)
            try:
                self.capture(gan, batches)
            except Exception as error:  # of any kind, as in `compile_step`; the state is restored
                self.failed = True
                say(f"step: eager from here on; {_why(error)}")
                return self.eager.step(gan, batches)
        return self._replay(batches)

    __call__ = step

    def turning(self, gan, batches):
        """Whether the game changes within the steps that a capture plays: then it is to wait, since
        they would be steps of both kinds.
        """
        ahead = CHECKED * next(iter(batches.tensors())).shape[1] * gan.world
        now, then = (_warming(self.eager, gan.images_seen + more) for more in (0, ahead))
        return now != then

    # `value` and `generator` are called by the recorded step, as methods of `gan.capture`

    def value(self, function):
        """Return a 0-d tensor that is set to `function()` before each replay."""
        place = len(self.functions)
        if place == len(self.numbers):  # not while it is recorded: each replay would zero it again
            self.numbers.append(torch.zeros((), device=self.gan.device))
        self.functions.append((function, self.numbers[place]))
        return self.numbers[place]

    def generator(self, stream):
        """Return a generator that is seeded for `stream` before each replay; another at each call
        in a step.
        """
        self.asked.append(stream)
        key = stream, self.asked.count(stream)
        if key not in self.generators:
            self.generators[key] = generator(self.gan.device, self.gan.seed, self.gan.step, stream)
        return self.generators[key]

    def capture(self, gan, batches):
        """Record the step for this GAN and batches of these shapes, and compare it with the eager
        step.

        Raises what the step raises, or RuntimeError if the two disagree; the state of `gan` is then
        restored.
        """
        self.gan, self.graph, self.shapes, self.generators = gan, None, _shapes(batches), {}
        self.warming, self.numbers = _warming(self.eager, gan.images_seen), []
        self.given = batches.map(torch.clone)
        saved = copy.deepcopy(gan.state_dict())
        try:
            graph = self.graph_type()
            for _ in range(3):  # the first one creates Adam's moments, generators and `numbers`
                self._seed()
                graph.warm_up(self._record)
            _put_back(gan, saved)
            before = gan.step, gan.images_seen
            self._seed()  # not while it is recorded: a seed cannot change then
            self.stats = graph.record(self._record, self.generators.values())
            self.images, gan.step, gan.images_seen = gan.images_seen - before[1], *before
            self.graph, self.generation = graph, gan.generation
            self._compare(batches)
        except Exception:
            self.gan = None
            gan.load_state_dict(saved)
            raise

    def _record(self):
        """Play the step as it is to be recorded: numbers that change are tensors, in the optimizers
        too. Returns (names, values) of its figures.
        """
        gan, players = self.gan, _players(self.gan)
        groups = [group for player in players for group in player.optimizer.param_groups]
        before = [dict(group) for group in groups]
        gan.capture, self.asked, self.functions = self, [], []
        try:
            for player in players:
                # the fused Adam takes a tensor for the learning rate, but not for the betas
                betas = any(map(callable, player.betas or ()))
                for group in player.optimizer.param_groups:
                    group.update({"capturable": True} if "capturable" in group else {})
                    group.update({"fused": False, "foreach": True} if betas else {})
            stats = self.eager.step(gan, self.given)
            return list(stats), torch.stack([value.to(gan.dtype) for value in stats.values()])
        finally:
            gan.capture = None
            for group, was in zip(groups, before, strict=True):
                group.update(was)

    def _seed(self):
        for (stream, _), draws in self.generators.items():
            draws.manual_seed(seed_of(self.gan.seed, self.gan.step, stream))

    def _replay(self, batches):
        """Replay the graph on `batches`, as the present step of the run; return the figures."""
        gan = self.gan
        for ours, theirs in zip(self.given.tensors(), batches.tensors(), strict=True):
            ours.copy_(theirs)
        self._seed()
        if self.functions:
            now = torch.tensor([function() for function, _ in self.functions]).to(
                gan.device, non_blocking=True
            )
            torch._foreach_copy_([tensor for _, tensor in self.functions], list(now.unbind()))
        for player in _players(gan):  # only to be read; the graph uses tensors
            player.schedule(lambda value: at(value, gan.images_seen))
        before = gan.step, gan.images_seen
        self.graph.replay()
        gan.step, gan.images_seen = before[0] + 1, before[1] + self.images
        names, values = self.stats
        return dict(zip(names, values.clone().unbind(), strict=True))

    def _compare(self, batches):
        """Raise RuntimeError unless a few replays change weights and figures as eager steps do."""
        gan, figures, states, start = self.gan, [], [], copy.deepcopy(self.gan.state_dict())
        for play in (self._replay, partial(self.eager.step, gan)):
            _put_back(gan, start)
            origin = _moving(gan)
            figures.append(torch.stack([value.to(gan.dtype) for value in play(batches).values()]))
            for _ in range(CHECKED - 1):
                play(batches)
            states.append(_moving(gan))
        _put_back(gan, start)
        # right results drift apart too: Adam turns the sign of a gradient near 0 into a whole step
        (replayed, eager), path = states, torch.dist(states[1], origin)
        gap = torch.dist(replayed, eager)
        if not torch.allclose(*figures, rtol=1e-2, atol=1e-3) or not gap <= 0.2 * path:
            raise RuntimeError(
                f"replayed and eager steps disagree: {gap:.3g} apart after a way of {path:.3g}, "
                f"first figures {figures[0].tolist()} and {figures[1].tolist()}"
            )


def _warming(game, images_seen):
    """Whether the game begins in another way, see `WarmStart`, and is still at it."""
    return hasattr(game, "warming") and game.warming(images_seen)


def _shapes(batches):
    return [(x.shape, x.dtype) for x in batches.tensors()]


def _players(run):
    return [player for gan in run.gans.values() for player in gan.players.values()]


def _moving(run):
    """Return all that a step changes, except the optimizers' state, as one vector."""
    nets = [net for player in _players(run) for net in player.nets()]
    tensors = [tensor for net in nets for tensor in net.state_dict().values()]
    return torch.cat(
        [x.double().flatten() for x in (*tensors, *(gan.adaptive for gan in run.gans.values()))]
    )


def _put_back(run, state):
    """Like `load_state_dict`, but copy into the tensors that a graph uses; moments that `state`
    lacks become 0.
    """
    for gan, part in run.states(state):
        for name in ("G", "D", "G_ema"):
            if name in part:
                for key, here in plain(getattr(gan, name)).state_dict().items():
                    here.copy_(part[name][key])
        for name in ("opt_G", "opt_D"):
            for i, moments in getattr(gan, name).state_dict()["state"].items():
                for key, here in moments.items():
                    if isinstance(here, torch.Tensor):
                        here.copy_(part[name]["state"].get(i, {}).get(key, torch.zeros_like(here)))
        gan.adaptive.copy_(part["adaptive"])
    run.step, run.images_seen = state["step"], state["images_seen"]
