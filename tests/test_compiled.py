"""compile_step; without a GPU, an imitation of a CUDA graph plays what was recorded anew."""

import copy
from dataclasses import replace
from functools import partial

import pytest
import torch
from conftest import same
from torch import nn

import ganlib
from ganlib import augment, losses
from ganlib.game.schedules import Cosine, Linear
from ganlib.game.steps import as_game
from ganlib.games.selftest.games import PARTS
from ganlib.run.cuda import graph as cuda_graph
from ganlib.run.cuda import state
from ganlib.run.recipes import RECIPES

cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


class Imitation:
    """Records by calling; each replay overwrites what the step returned, as in a graph's memory.

    A replay fills in nothing that Python would compute anew: counters go back, and the numbers that
    a step is given as Python floats stay those of the recording.
    """

    def record(self, play, generators):
        self.play, self.generators = play, list(generators)
        kept = copy.deepcopy(self.owner.gan.state_dict())
        seeds = [draws.initial_seed() for draws in self.generators]
        numbers = len(self.owner.numbers)
        self.names, self.figures = play()
        # CUDA refuses a new seed then, and a tensor made then is filled again by each replay
        assert [draws.initial_seed() for draws in self.generators] == seeds
        assert len(self.owner.numbers) == numbers
        step = self.owner.gan.step, self.owner.gan.images_seen
        state.put_back(self.owner.gan, kept)  # recording computes nothing, only Python runs
        self.owner.gan.step, self.owner.gan.images_seen = step
        return self.names, self.figures

    def warm_up(self, play):
        play()

    def replay(self):
        gan, functions = self.owner.gan, self.owner.functions
        gan.step, gan.images_seen, kept = *self.frozen, (gan.step, gan.images_seen)
        seeds = [draws.initial_seed() for draws in self.generators]
        tensors = iter([tensor for _, tensor in functions])
        self.owner.value, value = lambda function: next(tensors), self.owner.value
        _, figures = self.play()
        self.owner.value, self.owner.functions = value, functions
        gan.step, gan.images_seen = kept
        assert [draws.initial_seed() for draws in self.generators] == seeds
        self.figures.copy_(figures)


@pytest.fixture
def captured(monkeypatch):
    """Make a captured step on the CPU; it fails a test that falls back to the eager one."""

    class Compiled(cuda_graph.Compiled):
        def graph_type(self):
            graph = Imitation()
            graph.owner, graph.frozen = self, (self.gan.step, self.gan.images_seen)
            return graph

    monkeypatch.setattr(cuda_graph, "unfit", lambda device: None)
    monkeypatch.setattr(cuda_graph, "Compiled", Compiled)

    def make(step, gan, data, batch_size=20):
        made = ganlib.compile_step(step, gan, data, batch_size)
        assert isinstance(made, Compiled)
        return made

    return make


def play(gan, data, step, steps=20):
    for now in ganlib.train(gan, data, step, until=steps, batch_size=20, record_every=5):
        last = {name: value.clone() for name, value in now.stats.items()}
    return last


GAMES = {
    "classic": {},
    "schedules": {"lr": Linear(((0, 1e-3), (400, 1e-4))), "ema": Linear(((0, 0), (300, 200)))},
    "penalty": {
        "penalty": losses.r1_r2(Cosine(2.0, 0.1, 300)),
        "objective": losses.relativistic,
        "ema": 100.0,
    },
    "finite difference": {"penalty": losses.approximate_r1_r2(1.0), "n_critic": 2},
    "shared fakes": {"shared_fakes": True, "objective": losses.relativistic},
    "ada": {"augment": replace(augment.ada, ramp=300), "lr": 1e-3},
}


@pytest.mark.parametrize("game", GAMES)
def test_twenty_captured_steps_equal_the_eager_ones(game, small, digits, captured):
    """In float64 to 1e-10, although seeds and ADA's probability change from step to step.

    Where schedules are read from tensors, which are float32 as the fused Adam wants them, to 1e-6.
    """
    close = partial(
        torch.allclose, rtol=0, atol=1e-6 if game in ("schedules", "penalty") else 1e-10
    )
    settings = {name: GAMES[game][name] for name in ("lr", "ema") if name in GAMES[game]}
    step = partial(
        ganlib.gan_step, **{name: x for name, x in GAMES[game].items() if name not in settings}
    )
    eager, replayed = (small(dtype=torch.float64, **settings) for _ in range(2))
    theirs = play(eager, digits, step)
    ours = play(replayed, digits, captured(step, replayed, digits))
    assert (replayed.step, replayed.images_seen) == (eager.step, eager.images_seen)
    for name, value in theirs.items():
        assert close(ours[name], value), name
    assert close(state.moving(replayed), state.moving(eager))
    assert [row.keys() for row in replayed.history] == [row.keys() for row in eager.history]
    for ours, theirs in zip(replayed.history, eager.history, strict=True):
        assert ours.pop("objective") == theirs.pop("objective")
        assert ours == pytest.approx(theirs, rel=1e-3, abs=1e-6)
    if game == "ada":
        assert eager.adaptive[0] > 0


def test_capturing_changes_nothing(small, digits, captured):
    gan = small(ema=100.0)
    play(gan, digits, ganlib.gan_step, 3)
    before = copy.deepcopy(gan.state_dict())
    captured(ganlib.gan_step, gan, digits)
    after = gan.state_dict()
    assert same(
        {k: v for k, v in after.items() if "opt" not in k},
        {k: v for k, v in before.items() if "opt" not in k},
    )
    assert same(after["opt_G"]["state"], before["opt_G"]["state"]) and gan.capture is None


def test_a_state_that_was_loaded_is_captured_anew(small, digits, captured, tmp_path):
    gan = small(dtype=torch.float64)
    step = captured(ganlib.gan_step, gan, digits)
    play(gan, digits, step, 4)
    ganlib.save(tmp_path, gan)
    play(gan, digits, step, 8)
    again = small(dtype=torch.float64)
    step = captured(ganlib.gan_step, again, digits)
    ganlib.resume(tmp_path, again)  # after the capture: its tensors are no longer those of the run
    play(again, digits, step, 8)
    assert torch.allclose(state.moving(again), state.moving(gan), rtol=0, atol=1e-10)


def test_the_figures_of_a_step_stay(small, digits, captured):
    gan = small()
    step = captured(ganlib.gan_step, gan, digits)
    first = step(gan, digits.batches(0, 0, 1, 20))
    kept = {name: value.clone() for name, value in first.items()}
    step(gan, digits.batches(0, 1, 1, 20))
    assert same(first, kept)


def test_a_graph_that_plays_something_else_is_found_out(
    small, digits, captured, monkeypatch, capsys
):
    gan = small()
    before = copy.deepcopy(gan.state_dict())
    monkeypatch.setattr(Imitation, "replay", lambda self: None)
    assert ganlib.compile_step(ganlib.gan_step, gan, digits, 20) is ganlib.gan_step
    out = capsys.readouterr().out
    assert "eager" in out and "disagree" in out and len(out.splitlines()) == 1
    assert same(gan.state_dict(), before)


def test_a_step_that_cannot_be_captured_is_returned(small, digits, captured, monkeypatch, capsys):
    def fails(self, play, generators):
        raise RuntimeError("operation not permitted when stream is capturing\nand more")

    monkeypatch.setattr(Imitation, "record", fails)
    gan = small()
    play(gan, digits, ganlib.gan_step, 2)
    before = copy.deepcopy(gan.state_dict())
    assert ganlib.compile_step(ganlib.gan_step, gan, digits, 20) is ganlib.gan_step
    out = capsys.readouterr().out
    assert (
        "cannot be captured (RuntimeError: operation not permitted" in out
        and len(out.splitlines()) == 1
    )
    assert same(gan.state_dict(), before) and gan.capture is None


def test_on_a_cpu_the_step_is_returned_with_the_reason(small, digits, capsys):
    assert ganlib.compile_step(ganlib.gan_step, small(), digits) is ganlib.gan_step
    assert capsys.readouterr().out.startswith(
        "step: eager, as it is; there are no CUDA graphs on cpu"
    )


def test_a_broken_step_is_named_by_playing_eagerly(small, digits, captured):
    gan = small()
    step = captured(ganlib.gan_step, gan, digits)
    for now in ganlib.train(gan, digits, step, until=20, batch_size=20, record_every=5):
        if now.step == 7:
            with torch.no_grad():
                gan.G.layers[2].weight[0, 0] = torch.nan
    assert "not finite" in now.reason and gan.step == 5


@cuda
@pytest.mark.parametrize("game", GAMES)
def test_on_a_gpu_captured_steps_equal_the_eager_ones(game, small, digits):
    settings = {name: GAMES[game][name] for name in ("lr", "ema") if name in GAMES[game]}
    step = partial(
        ganlib.gan_step, **{name: x for name, x in GAMES[game].items() if name not in settings}
    )
    eager, replayed = (small(dtype=torch.float64, **settings).to("cuda") for _ in range(2))
    play(eager, digits, step)
    made = ganlib.compile_step(step, replayed, digits, 20)
    assert made is not step
    play(replayed, digits, made)
    assert torch.allclose(state.moving(replayed), state.moving(eager), rtol=0, atol=1e-8)


def test_a_cycle_of_two_gans_is_captured_as_one_step(captured):
    """Two players more, ties through the other GAN, batches in batches: as the eager steps."""
    from games import cycle

    results = []
    for how in (lambda game, *_: game, lambda game, run, data: captured(game, run, data)):
        run, data, game = cycle.make()
        run.to(dtype=torch.float64)
        play(run, data, how(game, run, data), 12)
        results.append((state.moving(run), run.step, run.images_seen, run.history[-1]))
    (eager, *counts, row), (ours, *others, other) = results
    assert torch.allclose(ours, eager, rtol=0, atol=1e-10) and counts == others == [12, 240]
    assert other.pop("there.objective") == row.pop("there.objective")
    assert {k: v for k, v in other.items() if not isinstance(v, str)} == pytest.approx(
        {k: v for k, v in row.items() if not isinstance(v, str)}, rel=1e-3, abs=1e-6
    )


class Drawing(torch.nn.Module):
    """A D that draws masks of its own, and ends in a sigmoid."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = torch.nn.Linear(784, 16), torch.nn.Linear(16, 1)

    def forward(self, x):
        x = torch.nn.functional.dropout(self.first(x.flatten(1)), 0.5, self.training)
        return self.last(x + 0.1 * torch.randn_like(x)).sigmoid()


def test_a_net_that_draws_for_itself_is_captured(digits, captured):
    def gan():
        torch.manual_seed(1)
        G = torch.nn.Sequential(
            torch.nn.Linear(8, 784), torch.nn.Dropout(0.3), torch.nn.Unflatten(1, (1, 28, 28))
        )
        return ganlib.GAN(G, Drawing(), latent_dim=8, seed=0).to(dtype=torch.float64)

    eager, replayed = gan(), gan()
    play(eager, digits, ganlib.gan_step)
    play(replayed, digits, captured(ganlib.gan_step, replayed, digits))
    ours, theirs = state.moving(replayed), state.moving(eager)
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-10)
    assert not torch.allclose(ours, state.moving(gan()), rtol=0, atol=1e-3)


def test_a_schedule_of_betas_is_captured(small, digits, captured):
    """torch's own Adam reads betas on the host; ours moves as it does, in float64 to 1e-6."""
    settings = {"betas": (Linear(((0, 0.5), (300, 0.0))), Cosine(0.9, 0.99, 300)), "lr": 1e-3}
    eager, replayed = (small(dtype=torch.float64, **settings) for _ in range(2))
    play(eager, digits, ganlib.gan_step)
    play(replayed, digits, captured(ganlib.gan_step, replayed, digits))
    assert torch.allclose(state.moving(replayed), state.moving(eager), rtol=0, atol=1e-6)
    assert "step" not in vars(replayed.opt_G)
    for ours, theirs in zip(replayed.opt_G.state.values(), eager.opt_G.state.values(), strict=True):
        assert torch.allclose(ours["exp_avg_sq"], theirs["exp_avg_sq"], rtol=1e-5, atol=0)


def test_adam_with_extras_is_not_captured_with_a_schedule_of_betas(small, digits, captured, capsys):
    gan = small(betas=(0.0, Cosine(0.9, 0.99, 300)))
    gan.opt_D.param_groups[0]["weight_decay"] = 0.1
    assert ganlib.compile_step(ganlib.gan_step, gan, digits, 20) is ganlib.gan_step
    assert "a schedule of betas was given to Adam ['weight_decay']" in capsys.readouterr().out


def test_what_is_changed_between_steps_is_captured_anew(small, digits, captured):
    """The learning rate, and which weights learn: both are constants in a graph."""
    results = []
    for compiled in (False, True):
        gan = small(dtype=torch.float64)
        step = captured(ganlib.gan_step, gan, digits) if compiled else ganlib.gan_step
        play(gan, digits, step, 4)
        gan.opt_G.param_groups[0]["lr"] = 1e-2
        play(gan, digits, step, 8)
        next(gan.D.parameters()).requires_grad_(False)
        play(gan, digits, step, 12)
        results.append(state.moving(gan))
    assert torch.allclose(*results, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", ["none", "cycle", "contrastive"])
def test_a_translation_is_captured_when_its_pool_is_full(kind, captured):
    """Pool and heads are put back and go on as in eager steps."""
    from ganlib.games.selftest.games import translated

    results = []
    for compiled in (False, True):
        run, data, game = translated(kind)
        run.to(dtype=torch.float64)
        step = captured(game, run, data, 8) if compiled else game
        for _ in ganlib.train(run, data, step, until=8, batch_size=8):
            pass
        pools = [gan.pool.images.flatten() for gan in run.gans.values()]
        results.append(torch.cat([state.moving(run), *pools]))
        assert not compiled or step.graph is not None
    assert torch.dist(*results) < 1e-6 * results[0].norm(), torch.dist(*results)


def test_train_captures_what_is_ganlibs_own(small, digits, captured, monkeypatch, capsys):
    def how(gan, game):
        """Play with nets that say that they are on a GPU; return the game that was played."""
        played = cuda_graph.automatic(as_game(game), gan)
        return played, capsys.readouterr().out

    played, said = how(small(), ganlib.gan_step)
    assert isinstance(played, cuda_graph.Compiled) and not said
    assert how(small(), played)[0] is played
    for name in RECIPES:
        made = ganlib.recipe(name, (3, 16, 16), 10 * (name == "acgan"))
        assert cuda_graph.known(replace(made, augment=augment.ada)), name
    for name, parts in PARTS.items():
        assert cuda_graph.known(parts(4)[2]), name
    for gan, game in (
        (small(), lambda gan, batches: {}),
        (small(), replace(ganlib.Game(), objective=replace(losses.hinge, g_loss=lambda r, f: -f))),
        (small(), replace(ganlib.Game(), tie=ganlib.losses.Tie("mine", lambda x, z: x[:, 0]))),
        (ganlib.GAN(nn.Sequential(nn.Linear(8, 784)), Drawing(), latent_dim=8), ganlib.gan_step),
        (small(source=lambda n, draws: torch.zeros(n, 8)), ganlib.gan_step),
    ):
        played, said = how(gan, game)
        assert not isinstance(played, cuda_graph.Compiled) and "compile_step" in said
    monkeypatch.undo()
    played, said = how(small(), ganlib.gan_step)
    assert not isinstance(played, cuda_graph.Compiled) and not said
