"""`Compiled`, a game whose step is recorded as one CUDA graph and replayed.

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

from ...game.source import Function
from ...machine.progress import say
from ...machine.randomness import generator, seed_of
from ...machine.values import at
from ...nets.known import ours
from ..optimizers import recorded
from . import state

LIBRARY = __package__.split(".")[0]
CHECKED = 4  # steps played both captured and eager before a captured step is used


def automatic(game, gan):
    """Return the game as `train` plays it by default: captured on CUDA if nets, game and losses are
    ganlib's; else `game` itself, and a line says so, since Python may branch anew at each step.
    """
    if isinstance(game, Compiled) or gan.world > 1 or unfit(gan.device):
        return game
    sources = (one.source for one in gan.gans.values())
    ganlibs = known(game) and not any(isinstance(source, Function) for source in sources)
    if ganlibs and all(ours(player.net) and not player.builder for player in state.players(gan)):
        return Compiled(game)
    say(
        "step: eager, since nets or the game are your own; ganlib.compile_step(game, gan, data, "
        "batch_size) returns one that may be several times as fast here"
    )
    return game


def known(game):
    """Whether a game and all that it computes with (losses, penalties, ties, ...) are ganlib's, or
    torch's.
    """
    if _module(game) != LIBRARY or getattr(game, "opaque", False):
        return False
    parts = getattr(game, "games", {}).values()
    values = [value for value in vars(game).values() if _module(type(value)) == LIBRARY]
    functions = [
        getattr(function, "func", function)  # of a partial
        for value in values
        for name, function in getattr(value, "__dict__", {}).items()
        if callable(function) and name != "weight"  # a schedule, which is read anew
    ]
    return all(map(known, parts)) and {*map(_module, functions)} <= {LIBRARY, "torch"}


def _module(x):
    return (getattr(x, "__module__", None) or "").split(".")[0]


def why(error):
    """Return the kind and first line of an error, for a message."""
    return f"it cannot be captured ({type(error).__name__}: {str(error).splitlines()[0][:160]})"


def unfit(device):
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
        """Run the recorded kernels once more."""
        self.graph.replay()


class Compiled:
    """A game whose step is recorded once and replayed; all else is that of `eager`, the original
    game.
    """

    graph_type = Graph

    def __init__(self, eager):
        self.eager, self.gan, self.graph, self.failed = eager, None, None, False
        self.said = False
        self.batches, self.look = eager.batches, eager.look
        self.check, self.describe, self.reading = eager.check, eager.describe, eager.reading

    def step(self, gan, batches):
        """Play one step, as the original game does; return its figures. Capture it if needed."""
        if (
            self.gan is not gan
            or self.generation != gan.generation
            or self.shapes != state.shapes(batches)
            or self.warming != state.warming(self.eager, gan.images_seen)
            or self.settings != state.settings(gan)
        ):
            if self.failed or self.turning(gan, batches):
                return self.eager.step(gan, batches)
            try:
                self.capture(gan, batches)
            except Exception as error:  # of any kind, as in `compile_step`; the state is restored
                self.failed = True
                say(f"step: eager from here on; {why(error)}")
                return self.eager.step(gan, batches)
        return self._replay(batches)

    __call__ = step

    def turning(self, gan, batches):
        """Whether the game changes (see `state.warming`) within the steps that a capture plays.
        Then capturing waits, so that all of them are of one kind.
        """
        ahead = CHECKED * next(iter(batches.tensors())).shape[1] * gan.world
        now, then = (state.warming(self.eager, gan.images_seen + more) for more in (0, ahead))
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
        start, first = time.monotonic(), not self.said
        self.gan, self.graph, self.shapes, self.generators = gan, None, state.shapes(batches), {}
        self.settings = state.settings(gan)
        self.warming, self.numbers = state.warming(self.eager, gan.images_seen), []
        self.inputs = batches.map(torch.clone)
        saved = copy.deepcopy(gan.state_dict())
        try:
            graph = self.graph_type()
            for _ in range(3):  # the first one creates Adam's moments, generators and `numbers`
                self._seed()
                graph.warm_up(self._record)
            state.put_back(gan, saved)
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
        if first:
            self.said = True
            say(
                f"step: one CUDA graph, captured in {time.monotonic() - start:.1f} s; {CHECKED} "
                "steps agree with the eager step"
            )

    def _record(self):
        """Play the step as it is to be recorded: numbers that change are tensors, in the optimizers
        too. Returns (names, values) of its figures.
        """
        gan, players = self.gan, state.players(self.gan)
        groups = [group for player in players for group in player.optimizer.param_groups]
        before = [dict(group) for group in groups]
        gan.capture, self.asked, self.functions = self, [], []
        scheduled = [
            player.optimizer for player in players if any(map(callable, player.betas or ()))
        ]
        try:
            for group in groups:  # torch demands it of a step that is recorded
                group.update({"capturable": True} if "capturable" in group else {})
            for optimizer in scheduled:
                optimizer.step = partial(recorded.step, optimizer)
            stats = self.eager.step(gan, self.inputs)
            return list(stats), torch.stack([value.to(gan.dtype) for value in stats.values()])
        finally:
            gan.capture = None
            for group, was in zip(groups, before, strict=True):
                group.update(was)
            for optimizer in scheduled:
                vars(optimizer).pop("step", None)

    def _seed(self):
        for (stream, _), draws in self.generators.items():
            draws.manual_seed(seed_of(self.gan.seed, self.gan.step, stream))

    def _replay(self, batches):
        """Replay the graph on `batches`, as the present step of the run; return the figures."""
        gan = self.gan
        for mine, theirs in zip(self.inputs.tensors(), batches.tensors(), strict=True):
            mine.copy_(theirs)
        self._seed()
        if self.functions:
            now = torch.tensor([function() for function, _ in self.functions]).to(
                gan.device, non_blocking=True
            )
            torch._foreach_copy_([tensor for _, tensor in self.functions], list(now.unbind()))
        for player in state.players(gan):  # only to be read; the graph uses tensors
            if player.scheduled:
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
            state.put_back(gan, start)
            origin = state.moving(gan)
            figures.append(torch.stack([value.to(gan.dtype) for value in play(batches).values()]))
            for _ in range(CHECKED - 1):
                play(batches)
            states.append(state.moving(gan))
        state.put_back(gan, start)
        # right results drift apart too: Adam turns the sign of a gradient near 0 into a whole step
        (replayed, eager), path = states, torch.dist(states[1], origin)
        gap, loose = torch.dist(replayed, eager), 1.0
        if any(one.precision == "bf16" for one in gan.gans.values()):
            loose = 2.5  # of bf16's gradients more are near 0
        alike = torch.allclose(*figures, rtol=1e-2 * loose, atol=1e-3 * loose)
        if not alike or not gap <= 0.2 * loose * path:
            raise RuntimeError(
                f"replayed and eager steps disagree: {gap:.3g} apart after a way of {path:.3g}, "
                f"first figures {figures[0].tolist()} and {figures[1].tolist()}"
            )
