import copy
import math
import os
import re
import signal
import threading
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import pytest
import torch
from conftest import same
from torch import nn
from torch.nn.functional import softplus

import ganlib
from ganlib import losses, nets
from ganlib.game.losses import Objective
from ganlib.machine.randomness import generator


def transcription(gan, digits, steps):
    """The classic recipe, plainly, from `gan`'s weights, in their type, with its noise and masks.

    BCELoss on a sigmoid, two backward passes for D, then a fresh batch of fakes for G; torch's
    default Adam. Nothing of ganlib is used but its random numbers: noise, dropout masks (drawn for
    reals and fakes together) and batches.
    """

    def mlp(net, last):
        linears = [layer for layer in net.layers if isinstance(layer, nn.Linear)]
        weights = [
            w.detach().clone().requires_grad_()
            for layer in linears
            for w in (layer.weight, layer.bias)
        ]
        return weights, last

    def run(net, x, masks=None):
        weights, last = net
        for i in range(0, len(weights) - 2, 2):
            x = nn.functional.leaky_relu(x @ weights[i].T + weights[i + 1], 0.2)
            x = x if masks is None else x * masks[i // 2]
        return last(x @ weights[-2].T + weights[-1])

    def masks(step, stream, n):
        draws = generator("cpu", gan.seed, step, f"layers/{stream}")
        layer = nets.Dropout(0.3)
        layer.generator = draws
        return [layer(torch.ones(n, width, dtype=gan.dtype)) for width in (1024, 512, 256)]

    def noise(step, stream):
        draws = generator("cpu", gan.seed, step, f"noise/{stream}")
        return torch.randn(100, 100, generator=draws, dtype=gan.dtype)

    G, D = mlp(gan.G, torch.tanh), mlp(gan.D, torch.sigmoid)
    opt_G, opt_D = (torch.optim.Adam(net[0], lr=gan.lr) for net in (G, D))
    bce, ones, zeros = (
        nn.BCELoss(),
        torch.ones(100, 1, dtype=gan.dtype),
        torch.zeros(100, 1, dtype=gan.dtype),
    )
    figures = []
    for step in range(steps):
        real = digits.batches(gan.seed, step, dtype=gan.dtype).images[0].flatten(1)
        both = masks(step, "D0", 200)
        opt_D.zero_grad()
        d_real = run(D, real, [m[:100] for m in both])
        loss_real = bce(d_real, ones)
        loss_real.backward()
        d_fake = run(D, run(G, noise(step, "D0")).detach(), [m[100:] for m in both])
        loss_fake = bce(d_fake, zeros)
        loss_fake.backward()
        of_D = [weight.grad.clone() for weight in D[0]]
        opt_D.step()
        opt_G.zero_grad()
        loss_G = bce(run(D, run(G, noise(step, "G")), masks(step, "G", 100)), ones)
        loss_G.backward()
        opt_G.step()
        figures.append(
            (
                loss_real.item() + loss_fake.item(),
                loss_G.item(),
                d_real.mean().item(),
                d_fake.mean().item(),
            )
        )
    return figures, G[0], D[0], [weight.grad for weight in G[0]], of_D


def test_twenty_steps_equal_the_plain_recipe(digits):
    torch.manual_seed(0)
    gan = ganlib.GAN(nets.MLPGenerator(), nets.MLPDiscriminator(), seed=5).to(dtype=torch.float64)
    figures, G, D, *_ = transcription(gan, digits, 20)
    start = [p.detach().clone() for p in gan.G.parameters()]
    for row in figures:
        stats = ganlib.gan_step(gan, digits.batches(gan.seed, gan.step, dtype=torch.float64))
        ours = tuple(stats[name].item() for name in ("d_loss", "g_loss", "p_real", "p_fake"))
        assert ours == pytest.approx(row, abs=1e-10)
    assert gan.step == 20 and gan.images_seen == 2000
    for net, plain in ((gan.G, G), (gan.D, D)):
        for ours, theirs in zip(net.parameters(), plain, strict=True):
            assert torch.allclose(ours, theirs, rtol=0, atol=1e-10)
    assert (
        max((a - b).abs().max() for a, b in zip(start, gan.G.parameters(), strict=True)) > 1e-3
    )  # they did move


def test_losses_and_gradients_equal_the_plain_recipe_in_float32(digits):
    """To 1e-5 of the largest entry, from the same weights, which a step of 1e-30 leaves alone."""
    torch.manual_seed(0)
    gan = ganlib.GAN(nets.MLPGenerator(), nets.MLPDiscriminator(), seed=5, lr=1e-30)
    [figures], _, _, of_G, of_D = transcription(gan, digits, 1)
    stats = ganlib.gan_step(gan, digits.batches(gan.seed, gan.step))
    assert [stats["d_loss"].item(), stats["g_loss"].item()] == pytest.approx(figures[:2], rel=1e-5)
    for net, plain in ((gan.G, of_G), (gan.D, of_D)):
        for weight, theirs in zip(net.parameters(), plain, strict=True):
            assert (weight.grad - theirs).abs().max() <= 1e-5 * theirs.abs().max()


def test_golden_values(small, digits):
    """One step from a known start; float32 low bits vary by machine, the fourth digit does not."""
    gan = small(seed=11)
    with torch.no_grad():
        for i, p in enumerate([*gan.G.parameters(), *gan.D.parameters()]):
            p.copy_(0.1 * torch.linspace(i, 50 + 3 * i, p.numel()).sin().view_as(p))
    stats = ganlib.gan_step(gan, digits.batches(gan.seed, gan.step))
    assert {name: value.item() for name, value in stats.items()} == pytest.approx(
        GOLDEN, rel=1e-4, abs=1e-6
    )


GOLDEN = {
    "d_loss": 1.4306413,
    "d_real": 0.7050743,
    "d_fake": -0.1175235,
    "p_real": 0.6012102,
    "p_fake": 0.4706541,
    "penalty": 0.0,
    "g_loss": 0.7549034,
}


def test_one_pass_for_reals_and_fakes_equals_two(small, digits):
    """With BatchNorm in D reals and fakes are judged apart; without, together.

    The same where dropout is off.
    """
    results = []
    for one_pass in (True, False):
        gan = small(dtype=torch.float64)
        gan.one_pass = one_pass
        gan.D.eval()
        stats = ganlib.gan_step(gan, digits.batches(0, 0, dtype=torch.float64))
        results.append([stats["d_loss"], *gan.D.parameters(), *gan.G.parameters()])
    assert all(torch.allclose(a, b, rtol=0, atol=1e-12) for a, b in zip(*results, strict=True))
    D = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 4), nn.BatchNorm1d(4), nn.Linear(4, 1), nn.Flatten(0)
    )
    assert (
        not ganlib.GAN(nets.MLPGenerator(), D).one_pass
        and ganlib.GAN(nets.MLPGenerator(), nets.MLPDiscriminator()).one_pass
    )


def test_stats_say_what_happened_before_the_step(small, digits):
    gan = small(dtype=torch.float64)
    gan.D.eval()
    real = digits.batches(0, 0, dtype=torch.float64).images[0]
    with torch.no_grad():
        d_real, d_fake = gan.D(real), gan.D(gan.fake(100, "D0"))
    stats = ganlib.discriminator_step(gan, real)
    expected = {
        "d_real": d_real.mean(),
        "d_fake": d_fake.mean(),
        "p_real": d_real.sigmoid().mean(),
        "p_fake": d_fake.sigmoid().mean(),
        "penalty": torch.tensor(0.0),
        "d_loss": losses.non_saturating.d_loss(d_real, d_fake).mean(),
    }
    assert stats.keys() == expected.keys()
    for name, value in stats.items():
        assert value.shape == () and not value.requires_grad
        assert value.item() == pytest.approx(expected[name].item(), abs=1e-12)


def test_each_move_changes_its_own_player_only(small, digits):
    gan = small()
    real = digits.batches(0, 0).images[0]
    states = [{n: p.clone() for n, p in net.state_dict().items()} for net in (gan.G, gan.D)]
    ganlib.discriminator_step(gan, real)
    assert same(gan.G.state_dict(), states[0]) and not same(gan.D.state_dict(), states[1])
    states[1] = {n: p.clone() for n, p in gan.D.state_dict().items()}
    d_grads = [p.grad.clone() for p in gan.D.parameters()]
    ganlib.generator_step(gan, real)
    assert not same(gan.G.state_dict(), states[0]) and same(gan.D.state_dict(), states[1])
    assert same(d_grads, [p.grad for p in gan.D.parameters()])  # nothing flowed into D


def test_a_frozen_part_of_d_stays_frozen(small, digits):
    gan = small()
    first = next(gan.D.parameters()).requires_grad_(False)
    ganlib.gan_step(gan, digits.batches(0, 0))
    assert [p.requires_grad for p in gan.D.parameters()] == [False] + [
        True
    ] * 5 and first.grad is None


def test_d_is_thawed_when_a_generator_step_fails(small, digits):
    gan = small()
    broken = Objective("broken", losses.non_saturating.d_loss, lambda real, fake: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        ganlib.generator_step(gan, digits.batches(0, 0).images[0], broken)
    assert all(p.requires_grad for p in gan.D.parameters())


def test_objectives_and_critics_decide_how_many_batches_a_step_is_given(small, digits):
    paired = Objective("paired", lambda r, f: f - r, lambda r, f: r - f, paired=True)
    seen = []

    class Spy(ganlib.Game):
        def step(self, gan, batches):
            seen.append(batches.images.shape[0])
            return super().step(gan, batches)

    for bound, k in (
        ({}, 1),
        ({"n_critic": 3}, 3),
        ({"objective": paired}, 2),
        ({"objective": paired, "n_critic": 5}, 6),
    ):
        gan = small()
        for _ in ganlib.train(gan, digits, Spy(**bound), until=2, batch_size=10):
            pass
        assert seen[-1] == k and gan.images_seen == 2 * 10 * bound.get("n_critic", 1)
    with pytest.raises(ValueError, match="name them"):
        next(ganlib.train(small(), digits, partial(partial(ganlib.gan_step), "x"), until=1))


def test_a_paired_objective_reads_a_fresh_batch_of_reals(small, digits):
    read = []
    objective = Objective(
        "spy", lambda r, f: f - r, lambda r, f: read.append(r) or (f - r), paired=True
    )
    gan = small()
    gan.D.eval()
    batches = digits.batches(0, 0, k=2, size=10)
    frozen = [p.clone() for p in gan.D.parameters()]
    gan.opt_D.param_groups[0]["lr"] = 0.0
    ganlib.gan_step(gan, batches, objective)
    assert same(frozen, list(gan.D.parameters()))
    assert torch.allclose(read[0], gan.D(batches.images[1]))


@pytest.mark.parametrize(
    "objective", [losses.non_saturating, losses.relativistic], ids=lambda o: o.name
)
def test_shared_fakes_play_the_tutorials_game(small, digits, objective):
    """D's move on the fakes, then G's on the same ones through the D that has moved.

    A paired G sees D's reals.
    """
    gan = small(dtype=torch.float64)
    gan.D.eval()  # no dropout
    G, D, drawn = copy.deepcopy(gan.G), copy.deepcopy(gan.D), []
    opt_G, opt_D = (torch.optim.Adam(net.parameters(), lr=2e-4) for net in (G, D))
    gan.G.register_forward_hook(lambda *_: drawn.append(1))
    for step in range(5):
        batches = digits.batches(gan.seed, step, dtype=torch.float64)
        stats = ganlib.gan_step(gan, batches, objective, shared_fakes=True)
        real, fake = batches.images[0], G(gan.noise(100, "G", step))
        opt_D.zero_grad()
        d_loss = objective.d_loss(D(real), D(fake.detach())).mean()
        d_loss.backward()
        opt_D.step()
        opt_G.zero_grad()
        g_loss = objective.g_loss(D(real).detach() if objective.paired else None, D(fake)).mean()
        g_loss.backward()
        opt_G.step()
        assert [stats["d_loss"].item(), stats["g_loss"].item()] == pytest.approx(
            [d_loss.item(), g_loss.item()], 1e-12
        )
    for ours, theirs in ((gan.G, G), (gan.D, D)):
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.allclose(a, b, rtol=0, atol=1e-12)
    assert len(drawn) == 5 and ganlib.Game(objective=objective, shared_fakes=True).batches == 1
    with pytest.raises(ValueError, match="shared_fakes=True and n_critic=2 were given"):
        ganlib.gan_step(gan, digits.batches(0, 0, k=2), n_critic=2, shared_fakes=True)


def test_shared_fakes_are_asked_for_the_codes_that_they_were_drawn_from(digits):
    """InfoGAN: D's and G's answers are compared with one and the same noise."""
    seen, made = [], ganlib.recipe("infogan")
    gan, loss = made.gan(0), made.question.loss
    spied = replace(
        made.question, loss=lambda answers, z, labels: seen.append(z) or loss(answers, z, labels)
    )
    ganlib.gan_step(
        gan, digits.batches(0, 0, 2, 20), made.objective, question=spied, shared_fakes=True
    )
    assert len(seen) == 2 and torch.equal(*seen) and torch.equal(seen[0], gan.noise(20, "G", 0))


def test_a_step_of_ones_own_is_counted(small, digits):
    gan = small()
    steps = [
        now.step
        for now in ganlib.train(gan, digits, lambda gan, batches: {"x": torch.zeros(())}, until=3)
    ]
    assert steps == [1, 2, 3] and gan.images_seen == 300


def weights(gan):
    return [p.detach().clone() for net in (gan.G, gan.D) for p in net.parameters()]


def run(gan, digits, until, **settings):
    return [now.step for now in ganlib.train(gan, digits, until=until, batch_size=10, **settings)]


def test_the_same_seed_gives_the_same_run_and_another_does_not(small, digits):
    results = []
    for seed in (0, 0, 1):
        gan = small(seed)
        torch.manual_seed(len(results))  # the global generator plays no part
        run(gan, digits, 20)
        results.append((weights(gan), gan.history))
    assert same(results[0], results[1]) and not same(results[0], results[2])


def test_looking_changes_nothing(small, digits, tmp_path):
    """A run with a view, samples and other random draws in its loop equals one without."""
    plain, watched = small(), small()
    run(plain, digits, 20)
    before = torch.get_rng_state()
    view = ganlib.LiveView(total=20, folder=tmp_path, every=0, picture_every=5)
    for _ in ganlib.train(watched, digits, until=20, batch_size=10, view=view):
        watched.sample(3, stream="more")
    assert torch.equal(before, torch.get_rng_state())
    assert same(weights(plain), weights(watched)) and same(plain.history, watched.history)


def test_cut_in_two_calls_equals_uncut(small, digits):
    whole, cut = small(), small()
    run(whole, digits, 23)
    assert run(cut, digits, 9) == list(range(1, 10)) and run(cut, digits, 23) == list(range(10, 24))
    assert same(whole.state_dict(), cut.state_dict())


@pytest.mark.parametrize(
    "until, step, reason",
    [
        (7, 7, "7 steps"),
        ("70 images", 7, "70 images, at step 7"),
        ("0.1k images", 10, "0.1k images, at step 10"),
        ("0.001 epochs", 1, "0.001 epochs, at step 1"),
        (lambda now: now.step == 4, 4, "<lambda> at step 4"),
        (lambda now: "I have seen enough" if now.images >= 50 else None, 5, "I have seen enough"),
        ([100, "70 images"], 7, "70 images, at step 7"),
        (["1h", 3, lambda now: False], 3, "3 steps"),
        ("0.0s", 1, "0.0s, at step 1"),
    ],
)
def test_until(small, digits, until, step, reason):
    *before, last = list(ganlib.train(small(), digits, until=until, batch_size=10))
    assert (last.step, last.reason) == (step, reason)


def test_until_seconds_counts_from_this_call(small, digits):
    gan = small()
    for _ in range(2):
        for now in ganlib.train(gan, digits, until="0.3s", batch_size=10):
            pass
        assert 0.3 <= now.seconds < 3 and "0.3s" in now.reason


def test_another_game_in_mid_run_is_refused(small, digits):
    gan = small()
    step = partial(ganlib.gan_step, objective=losses.hinge, penalty=losses.r1(1.0))
    for until, other in (
        (1, step),
        (2, partial(ganlib.gan_step, penalty=losses.r1(1), objective=losses.hinge)),
    ):
        with pytest.raises(ValueError, match=r"r1\(1\)") if until == 2 else nullcontext():
            assert len(list(ganlib.train(gan, digits, other, until=until, batch_size=10))) == 1
    message = (
        "trained with objective = losses.hinge, penalty = losses.r1.*"
        "given objective = losses.non_saturating"
    )
    with pytest.raises(ValueError, match=message):
        next(ganlib.train(gan, digits, until=3, batch_size=10))
    (last,) = ganlib.train(gan, digits, step, until=2, batch_size=10)
    assert last.step == 2


def test_another_set_or_batch_size_in_mid_run_is_refused(small, digits):
    gan = small()
    run(gan, digits, 3)
    with pytest.raises(
        ValueError, match=r"trained with .*batch_size = 10, .* batch_size = 20 now.* FRESH = True"
    ):
        next(ganlib.train(gan, digits, until=5, batch_size=20))
    other = ganlib.Images(digits.images[:500], name="other")
    with pytest.raises(
        ValueError, match=r"digits, 10000 of \(1, 28, 28\).*other, 500 of \(1, 28, 28\)"
    ):
        run(gan, other, 5)
    assert run(gan, digits, 5) == [4, 5]


@pytest.mark.parametrize("until", [[], -1, "10 parsecs", "", 2.5, None, True, [5, "x"], "-3s"])
def test_an_until_that_means_nothing(small, digits, until):
    wrong = re.escape(repr(until[1] if until and isinstance(until, list) else until))
    with pytest.raises(ValueError, match=f'until={wrong} was given.*10_000.*"1M images".*"60s"'):
        next(ganlib.train(small(), digits, until=until))


def test_a_finished_run_says_so_and_draws_its_last_picture(small, digits, capsys):
    gan, view = small(), View()
    run(gan, digits, 5)
    assert run(gan, digits, 5, view=view) == [] and view.calls == [
        ("close", "this run is finished: 5 steps")
    ]
    live = ganlib.LiveView(total=5)
    live.screen = screen = Screen()
    assert run(gan, digits, 5, view=live) == []
    assert len(screen.lines) == 1 and screen.lines[0].endswith(" · this run is finished: 5 steps")
    said = capsys.readouterr().out
    assert (
        "this run is finished: 5 steps. To go on, raise `until` above 5 (in the notebooks STEPS"
        in said
    )
    assert "FRESH = True" in said


def test_history_rows(small, digits):
    gan = small()
    run(gan, digits, 12, record_every=5)
    assert [row["step"] for row in gan.history] == [1, 5, 10] and gan.history[-1]["images"] == 100
    names = (
        "step images objective absolute guess d_loss d_real d_fake p_real p_fake penalty g_loss "
    )
    names += (
        "grad_norm_d grad_norm_g update_d update_g diversity variety forms between "
        "real_diversity real_variety real_forms real_between"
    )
    assert (
        list(gan.history[0]) == names.split()
        and gan.history[0].pop("objective") == "losses.non_saturating"
    )
    assert all(math.isfinite(value) for value in gan.history[0].values())
    run(gan, digits, 15, record_every=5)
    expected = gan.sample(64).std(0).mean().item()
    assert gan.history[-1]["diversity"] == pytest.approx(expected)
    norm = math.sqrt(sum(p.grad.double().square().sum().item() for p in gan.G.parameters()))
    assert gan.history[-1]["grad_norm_g"] == pytest.approx(norm, rel=1e-5)


def test_an_interrupt_lets_the_step_finish_and_the_next_call_goes_on(small, digits):
    whole, gan = small(), small()
    run(whole, digits, 12)
    before = signal.getsignal(signal.SIGINT)
    steps = []
    for now in ganlib.train(gan, digits, until=12, batch_size=10):
        steps.append(now.step)
        if now.step == 5:
            os.kill(os.getpid(), signal.SIGINT)
    assert steps == [1, 2, 3, 4, 5] and now.reason == "interrupted at step 5; run again to go on"
    assert signal.getsignal(signal.SIGINT) is before
    run(gan, digits, 12)
    assert same(whole.state_dict(), gan.state_dict())


def test_an_interrupt_within_a_step(small, digits):
    def step(gan, batches):
        if gan.step == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return ganlib.gan_step(gan, batches)

    nows = list(ganlib.train(small(), digits, step, until=12))
    assert nows[-1].step == 4 and "interrupted at step 4" in nows[-1].reason


def test_a_second_interrupt_is_immediate(small, digits):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        for last in ganlib.train(small(), digits, until=12):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before and last.step == 1


def test_an_error_in_the_loop_gives_the_interrupt_back(small, digits):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError):
        for _ in ganlib.train(small(), digits, until=12):
            1 / 0
    assert signal.getsignal(signal.SIGINT) is before


class View:
    """A watcher that notes what it is told."""

    def __init__(self):
        self.calls = []

    def update(self, now):
        self.calls.append((now.step, now.reason))

    def close(self, now):
        self.calls.append(("close", now.reason))


class Screen:
    """Where a live view draws: keeps the lines."""

    def __init__(self):
        self.lines = []

    def open(self):
        pass

    def draw(self, picture, status, progress, verdict):
        self.lines.append(status)

    def close(self, reason):
        pass


def test_the_last_picture_of_an_interrupted_run_is_drawn(small, digits):
    """Wherever the interrupt came: here while the loop's body ran."""
    view, live = View(), ganlib.LiveView()
    live.screen = screen = Screen()
    for now in ganlib.train(small(), digits, until=12, view=view):
        if now.step == 3:
            os.kill(os.getpid(), signal.SIGINT)
    reason = "interrupted at step 3; run again to go on"
    assert view.calls[-2:] == [(3, None), ("close", reason)]
    for now in ganlib.train(small(), digits, until=12, view=live):
        if now.step == 3:
            os.kill(os.getpid(), signal.SIGINT)
    assert screen.lines[-1].startswith("step 3 · D(real)") and screen.lines[-1].endswith(
        f" · {reason}"
    )


def test_leaving_the_loop_closes_the_view(small, digits):
    view = View()
    for now in ganlib.train(small(), digits, until=12, view=view):
        if now.step == 3:
            break
    assert view.calls == [(0, None), (1, None), (2, None), (3, None), ("close", None)]


def test_what_is_wrong_is_said_at_the_call(small, digits):
    """Without a `for`: the loop has not begun, and the run is as it was."""
    gan = small()
    for settings, message in (
        ({"until": "nonsense"}, "until='nonsense' was given"),
        ({"until": 1, "record_every": 0}, "record_every=0"),
        ({"until": 1, "evaluate_every": 0}, "evaluate_every=0"),
        ({"until": 1, "batch_size": 10**6}, "batch of 1000000"),
        ({"until": 1, "folder": "x", "save_seconds": 0}, "save_seconds=0"),
        ({"until": ganlib.below("kid", 1)}, "nothing evaluates"),
        ({"until": 1, "step": partial(ganlib.gan_step, 3)}, "name them"),
        ({"until": 1, "view": False}, "view=False was given; a watcher"),
        ({"until": 1, "view": ganlib.LiveView}, "LiveView'> was given; a watcher"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            ganlib.train(gan, digits, **settings)
    with pytest.raises(ValueError, match="G returned"):
        ganlib.train(ganlib.GAN(nets.MLPGenerator(8, (1, 8, 8)), gan.D), digits, until=1)
    steps = ganlib.train(gan, digits, until=2, batch_size=10)
    assert (
        gan.step == 0
        and "nothing is trained until you loop over it" in repr(steps)
        and iter(steps) is steps
    )
    assert [now.step for now in steps] == [1, 2]


def test_closing_the_steps_is_leaving_the_loop(small, digits, tmp_path):
    view, gan = View(), small()
    steps = ganlib.train(gan, digits, until=12, batch_size=10, view=view, folder=tmp_path)
    next(steps)
    steps.close()
    assert view.calls[-1] == ("close", None) and ganlib.resume(tmp_path, small())
    with pytest.raises(StopIteration):
        next(steps)


def test_each_watcher_is_told_of_the_end_also_where_another_raises(small, digits, tmp_path):
    class Breaks(View):
        def close(self, now):
            raise RuntimeError("a broken view")

    gan, view = small(), Breaks()
    with pytest.raises(RuntimeError, match="a broken view"):
        run(gan, digits, 3, view=view, folder=tmp_path)
    again = small()
    assert ganlib.resume(tmp_path, again) and again.step == 3


def test_no_critic_is_no_game(small, digits):
    with pytest.raises(ValueError, match="n_critic=0"):
        ganlib.gan_step(small(), digits.batches(0, 0), n_critic=0)


def test_training_in_a_thread_works(small, digits):
    found = []
    thread = threading.Thread(target=lambda: found.extend(run(small(), digits, 3)))
    thread.start()
    thread.join()
    assert found == [1, 2, 3]


class Wrong(nn.Module):
    """A net that answers with the given shape."""

    latent_dim = 8

    def __init__(self, *shape):
        super().__init__()
        self.shape, self.weight = shape, nn.Parameter(torch.zeros(1))

    def forward(self, x, labels=None):
        return self.weight.expand(len(x), *self.shape)


@pytest.mark.parametrize(
    "G, D, message",
    [
        (
            Wrong(784),
            nets.MLPDiscriminator(),
            r"G returned \(2, 784\).*\(2, 1, 28, 28\).*unflatten\(1, \(1, 28, 28\)\)",
        ),
        (
            nets.MLPGenerator(shape=(3, 32, 32)),
            nets.MLPDiscriminator(),
            r"G returned \(2, 3, 32, 32\)",
        ),
        (
            nets.MLPGenerator(),
            Wrong(3),
            r"D returned \(2, 3\).*one logit per image, \(2,\).*flatten\(0\)",
        ),
        (
            nets.MLPGenerator(),
            nets.MLPDiscriminator((3, 8, 8)),
            r"D cannot be run on \(2, 1, 28, 28\).*mat1",
        ),
        (
            nn.Sequential(nn.Linear(9, 784), nn.Unflatten(1, (1, 28, 28))),
            Wrong(),
            r"G cannot be run on \(2, 8\).*mat1.*or G\(x\) if forward takes no more",
        ),
    ],
)
def test_a_net_that_breaks_the_contract(digits, G, D, message):
    with pytest.raises(ValueError, match=message):
        next(
            ganlib.train(ganlib.GAN(G, D, latent_dim=getattr(G, "latent_dim", 8)), digits, until=1)
        )


def test_a_batch_larger_than_the_data(small, digits):
    few = ganlib.Images(digits.images[:50], digits.labels[:50])
    with pytest.raises(ValueError, match="batch of 100 .* 50 images"):
        next(ganlib.train(small(), few, until=1))


def test_a_gan_that_cannot_be():
    with pytest.raises(ValueError, match="latent_dim"):
        ganlib.GAN(nn.Linear(3, 3), nets.MLPDiscriminator())
    with pytest.raises(ValueError, match="lr=-1"):
        ganlib.GAN(nets.MLPGenerator(), nets.MLPDiscriminator(), lr=-1)
    with pytest.raises(ValueError, match="precision='fp8'.*'float32' or 'bf16'"):
        ganlib.GAN(nets.MLPGenerator(), nets.MLPDiscriminator(), precision="fp8")


def test_sampling_is_pure_and_repeatable(small):
    gan = small()
    gan.D.train()
    before = torch.get_rng_state()
    a, b, c = gan.sample(5), gan.sample(5), gan.sample(5, stream="other")
    assert (
        torch.equal(a, b)
        and not torch.equal(a, c)
        and a.shape == (5, 1, 28, 28)
        and not a.requires_grad
    )
    assert torch.equal(gan.sample(1), gan.sample(1)) and gan.sample(2500).shape[0] == 2500
    assert torch.equal(before, torch.get_rng_state()) and gan.G.training
    z = gan.noise(4, "mine")
    assert torch.equal(gan.sample(noise=z), gan.G(z))


def test_bf16_trains_with_weights_and_logits_in_float32(small, digits):
    gan = small(precision="bf16")
    exact = small()
    a, b = (ganlib.gan_step(g, digits.batches(0, 0)) for g in (gan, exact))
    assert all(v.dtype == torch.float32 for v in a.values()) and all(
        p.dtype == torch.float32 for p in gan.G.parameters()
    )
    assert a["d_loss"] != b["d_loss"]  # it really rounds,
    assert a["d_loss"].item() == pytest.approx(b["d_loss"].item(), rel=0.02)  # and a little only


def test_it_learns_a_toy_in_seconds():
    """Images of two pixels, normal around (190, 90).

    G, which starts near (127, 127), finds place and spread.
    """
    torch.manual_seed(0)
    points = (torch.randn(2000, 2) * 15 + torch.tensor([190.0, 90.0])).round().byte()
    data = ganlib.Images(points.view(-1, 1, 1, 2), name="cloud")
    G, D = (
        nets.MLPGenerator(8, (1, 1, 2), (64, 64)),
        nets.MLPDiscriminator((1, 1, 2), (64, 64), 0.0),
    )
    gan = ganlib.GAN(G, D, lr=3e-4, betas=(0.0, 0.9))
    for _ in ganlib.train(gan, data, until=1500, batch_size=64):
        pass
    fakes = ganlib.data.as_uint8(gan.sample(1000)).view(-1, 2).float()
    assert fakes.mean(0).tolist() == pytest.approx([190, 90], abs=12)
    assert fakes.std(0).tolist() == pytest.approx([15, 15], abs=6)


def test_the_average_is_drawn_with_batch_statistics_of_its_own(digits):
    """Those of its own images, by hand; G_ema and the run itself stay as they are."""
    torch.manual_seed(0)
    G, D = (
        nets.CompactGenerator(8, widths=(8, 4), classes=10),
        nets.CompactDiscriminator(widths=(4, 8), classes=10),
    )
    gan = ganlib.GAN(G, D, lr=1e-2, seed=0, ema=500)
    for _ in ganlib.train(gan, digits, until=6, batch_size=20):
        pass
    before = {name: value.clone() for name, value in gan.G_ema.state_dict().items()}
    assert gan.label_counts == torch.bincount(digits.labels).tolist()
    labels = torch.cat([torch.full((n,), i) for i, n in enumerate(shares(gan.label_counts, 500))])
    with torch.no_grad():
        by_hand = gan.G_ema(
            gan.noise(500, "statistics"), labels
        )  # in training mode: normalised by its own statistics
    gan.G_ema.load_state_dict(before)
    assert torch.allclose(gan.sample(500, labels, stream="statistics"), by_hand, atol=2e-3)
    assert (gan.sample(500, labels, stream="statistics", ema=False) - by_hand).abs().max() > 0.1
    assert all(torch.equal(value, before[name]) for name, value in gan.G_ema.state_dict().items())
    first = gan.sample(4)
    ganlib.generator_step(gan, digits.batches(0, 9, size=20).images[0], labels=digits.labels[:20])
    assert (
        gan.sample(4) - first
    ).abs().max() > 1e-3  # another state has other statistics, at the same step too


def shares(counts, n):
    """How many of n places belong to each class: the quantiles (i + 1/2) / n of their shares."""
    edges = [round(n * sum(counts[:i]) / sum(counts)) for i in range(len(counts) + 1)]
    return [b - a for a, b in zip(edges, edges[1:], strict=False)]


def test_an_average_without_batch_norm_is_drawn_as_it_is(small):
    gan = small(ema=100)
    assert gan.net() is gan.G_ema and gan.net(ema=False) is gan.G


def by_hand(gan, batches):
    """A step as a learner writes it, on nets with dropout, with noise of this step."""
    real = batches.images[0]
    noise = gan.noise_now(len(real), "D")
    real_logits, fake_logits = gan.D(real), gan.D(gan.G(noise).detach())
    d_loss = softplus(-real_logits).mean() + softplus(fake_logits).mean()
    gan.opt_D.zero_grad()
    d_loss.backward()
    gan.opt_D.step()
    gan.D.requires_grad_(False)
    g_loss = softplus(-gan.D(gan.G(gan.noise_now(len(real), "G")))).mean()
    gan.opt_G.zero_grad()
    g_loss.backward()
    gan.opt_G.step()
    gan.D.requires_grad_(True)
    means = {"d_real": real_logits.mean(), "d_fake": fake_logits.mean()}
    return {"d_loss": d_loss, "g_loss": g_loss} | {k: v.detach() for k, v in means.items()}


def test_a_step_by_hand_is_a_function_of_seed_and_step(digits, tmp_path):
    """Dropout too: cut and resumed it is the same bit for bit, whatever was drawn in between."""

    def start():
        torch.manual_seed(0)
        return ganlib.GAN(nets.MLPGenerator(8), nets.MLPDiscriminator(), seed=3)

    whole, cut = start(), start()
    for _ in ganlib.train(whole, digits, by_hand, until=6, batch_size=10):
        pass
    for _ in ganlib.train(cut, digits, by_hand, until=3, batch_size=10, folder=tmp_path):
        pass
    torch.manual_seed(1)  # another process
    again = ganlib.GAN(nets.MLPGenerator(8), nets.MLPDiscriminator(), seed=3)
    ganlib.resume(tmp_path, again)
    for _ in ganlib.train(again, digits, by_hand, until=6, batch_size=10):
        torch.rand(5)
    for one, other in zip(whole.D.parameters(), again.D.parameters(), strict=True):
        assert torch.equal(one, other)
    assert not {"p_real", "guess"} & whole.history[-1].keys()  # nobody said how to read it


def test_a_step_by_hand_may_name_its_objective(digits):
    def step(gan, batches):
        assert torch.is_autocast_enabled("cpu") and gan.D.layers
        return by_hand(gan, batches)

    step.objective = losses.non_saturating
    gan = ganlib.GAN(nets.MLPGenerator(8), nets.MLPDiscriminator(), seed=3, precision="bf16")
    for _ in ganlib.train(gan, digits, step, until=1, batch_size=10):
        pass
    row = gan.history[-1]
    assert row["guess"] == pytest.approx(2 * math.log(2)) and row["absolute"] == 1.0
