"""Adam with a bound on each step: against the formula, captured, resumed, and in recipes."""

from dataclasses import replace

import pytest
import torch
from conftest import same
from test_compiled import captured, play  # noqa: F401 (an imitation of a CUDA graph)

import ganlib
from ganlib import nets
from ganlib.game.schedules import Linear
from ganlib.run import history
from ganlib.run.cuda import state
from ganlib.run.optimizers.bounded import BoundedAdam


def by_hand(weight, gradients, lr, first, second, bound):
    """Adam with update clipping, as written in the papers, step by step in float64."""
    mean = square = torch.zeros_like(weight)
    for t, gradient in enumerate(gradients, 1):
        mean = first * mean + (1 - first) * gradient
        square = second * square + (1 - second) * gradient**2
        unbiased = square / (1 - second**t)
        rms = (gradient**2 / unbiased).mean().sqrt().item()
        step = mean / (1 - first**t) / (unbiased.sqrt() + 1e-8)
        weight = weight - lr / max(1, rms / bound) * step
    return weight


@pytest.mark.parametrize("first, bound", [(0.0, 1.0), (0.9, 1.0), (0.0, 0.5), (0.5, 3.0)])
def test_a_bounded_step_is_that_of_the_formula(first, bound):
    draws = torch.Generator().manual_seed(0)
    shapes, sizes = [(5, 4), (7,)], [1, 1, 100, 1, 0.01, 1e6, 1, 1]
    starts = [torch.randn(shape, generator=draws, dtype=torch.float64) for shape in shapes]
    gradients = [
        [size * torch.randn(shape, generator=draws, dtype=torch.float64) for size in sizes]
        for shape in shapes
    ]
    for fused in (True, False):
        weights = [torch.nn.Parameter(start.clone()) for start in starts]
        settings = {"lr": 0.01, "betas": (first, 0.99), "bound": bound, "fused": fused}
        optimizer = BoundedAdam(weights, **settings)
        for now in zip(*gradients, strict=True):
            for weight, gradient in zip(weights, now, strict=True):
                weight.grad = gradient.clone()
            optimizer.step()
        for weight, start, each in zip(weights, starts, gradients, strict=True):
            due = by_hand(start, each, 0.01, first, 0.99, bound)
            assert torch.allclose(weight, due, rtol=0, atol=1e-10)


def test_a_gradient_that_is_suddenly_large_moves_no_further_than_usual():
    """Without momentum plain Adam takes a step ten times as long, and the bounded one does not."""
    lengths = {}
    for kind in (torch.optim.Adam, BoundedAdam):
        weight = torch.nn.Parameter(torch.zeros(1000))
        optimizer = kind([weight], lr=1e-3, betas=(0.0, 0.99))
        draws = torch.Generator().manual_seed(0)
        for size in [1.0] * 500 + [1e5]:
            weight.grad = size * torch.randn(1000, generator=draws)
            before = weight.detach().clone()
            optimizer.step()
        lengths[kind] = (weight - before).square().mean().sqrt().item() / 1e-3
    assert lengths[torch.optim.Adam] == pytest.approx(10, rel=0.01)
    assert lengths[BoundedAdam] == pytest.approx(1, rel=0.01)


def test_weights_without_gradients_stay_and_a_closure_is_asked():
    moved, still = (torch.nn.Parameter(torch.ones(3)) for _ in range(2))
    optimizer = BoundedAdam([{"params": [still]}, {"params": [moved, still.detach()]}], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = moved.square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure) == 3
    assert same(still.detach(), torch.ones(3)) and torch.allclose(moved, torch.full((3,), 0.9))


@pytest.mark.parametrize("bound", [0, -1.0, float("inf"), float("nan")])
def test_an_impossible_bound(bound):
    with pytest.raises(ValueError, match="bound=.* was given; a number above 0 is expected"):
        BoundedAdam([torch.nn.Parameter(torch.ones(3))], bound=bound)


def bounded(betas=(0.0, 0.99), bound=0.5):
    """A small GAN whose D has bounded steps; at 0.5 nearly each step is shortened."""
    torch.manual_seed(0)
    G, D = nets.MLPGenerator(8, widths=(16,)), nets.MLPDiscriminator(widths=(16,))
    D = ganlib.Player(D, 1e-3, betas, lambda weights: BoundedAdam(weights, bound=bound))
    return ganlib.GAN(G, D, lr=1e-3, betas=betas, seed=0)


def test_a_captured_step_is_bounded_too(digits, captured):  # noqa: F811
    betas = (Linear(((0, 0.5), (300, 0.0))), 0.99)
    eager, replayed, other = bounded(betas), bounded(betas), bounded(betas, bound=1e9)
    for gan in (eager, replayed, other):
        gan.to(dtype=torch.float64)
    play(eager, digits, ganlib.gan_step)
    play(other, digits, ganlib.gan_step)
    play(replayed, digits, captured(ganlib.gan_step, replayed, digits))
    assert torch.allclose(state.moving(replayed), state.moving(eager), rtol=0, atol=1e-6)
    assert not torch.allclose(state.moving(other), state.moving(eager), rtol=0, atol=1e-4)


def test_the_history_tells_the_step_that_was_taken(digits):
    gan, kept = bounded(), []
    for _ in ganlib.train(gan, digits, until=5, batch_size=10, record_every=1):
        kept.append([x.detach().clone() for x in gan.D.parameters()])
    apart = [new - old for new, old in zip(kept[4], kept[3], strict=True)]
    due = torch.nn.utils.get_total_norm(apart) / torch.nn.utils.get_total_norm(kept[4])
    assert gan.history[-1]["update_d"] == pytest.approx(due.item(), rel=1e-4)
    assert history._update(BoundedAdam([torch.nn.Parameter(torch.ones(3))])) is None


def test_style_is_bounded_where_it_was_not_measured_without():
    for size, due in ((16, None), (32, None), (64, BoundedAdam)):
        assert ganlib.recipe("style", (3, size, size), images=1000).opt_D is due
        assert ganlib.recipe("pictures", (3, size, size), images=1000).opt_D is BoundedAdam


@pytest.mark.parametrize("shape", [(3,), (3, 64), (), (3, 0, 64)])
def test_style_refuses_an_impossible_shape_with_a_sentence(shape):
    with pytest.raises(ValueError, match="expected|shape|sizes"):
        ganlib.recipe("style", shape, images=1000)


def test_the_rates_of_a_recipe_are_those_of_its_players():
    """One for both, or a pair, in a tuple or a list."""
    made = replace(ganlib.recipe("pictures", (3, 8, 8), images=400), lr=1e-3)
    for lr, due in ((1e-3, 1e-3), ((1e-3, 2e-3), (1e-3, 2e-3)), ([1e-3, 2e-3], (1e-3, 2e-3))):
        assert replace(made, lr=lr).gan(0).lr == due


def test_a_run_of_pictures_goes_on_with_its_bound(tmp_path):
    """The recipe says so, a file without it is told apart, and a cut run ends as one piece does."""
    data = ganlib.Images(torch.randint(0, 256, (40, 3, 8, 8), dtype=torch.uint8), name="noise")
    made = ganlib.recipe("pictures", data.shape, images=400)
    assert "opt_D  BoundedAdam" in str(made)

    def go(gan, until, **settings):
        for _ in ganlib.train(gan, data, made, until=until, batch_size=20, **settings):
            pass
        return gan

    def fresh():
        torch.manual_seed(0)
        return made.gan(0)

    whole = go(fresh(), 20)
    go(fresh(), 15, folder=tmp_path)
    again = fresh()
    ganlib.resume(tmp_path, again)
    assert again.opt_D.param_groups[0]["bound"] == 1.0
    assert same(go(again, 20).state_dict(), whole.state_dict())
    other = ganlib.GAN(made.G(), made.D(), lr=made.lr, betas=made.betas, ema=made.ema, seed=0)
    with pytest.raises(ValueError, match="optimizer_D|optimizers"):
        ganlib.resume(tmp_path, other)
