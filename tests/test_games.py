"""Games other than one GAN on images from noise; loop, checkpoint, view and history know none."""

import importlib
import json
import os
import subprocess
import sys
import time

import pytest
import torch
from conftest import ROOT, same
from PIL import Image
from test_parallel import torchrun

import ganlib
from ganlib import losses, nets

NAMES = ("cycle", "images", "clips", "words", "enlarging")
GAMES = [importlib.import_module(f"games.{name}") for name in NAMES]
games = pytest.mark.parametrize("kind", GAMES, ids=NAMES)


def train(made, until, **settings):
    run, data, game = made
    for now in ganlib.train(
        run, data, game, until=until, batch_size=10, record_every=5, **settings
    ):
        last = now
    return run, last


def weights(run):
    return torch.cat(
        [
            weight.detach().double().flatten()
            for gan in run.gans.values()
            for net in (gan.G, gan.D)
            for weight in net.parameters()
        ]
    )


@games
def test_it_is_short_and_trains(kind):
    assert (
        len(
            (ROOT / "tests" / "games" / f"{kind.__name__.rpartition('.')[2]}.py")
            .read_text()
            .splitlines()
        )
        < 60
    )
    made = kind.make()
    before = weights(made[0])
    run, now = train(made, 20)
    assert (
        now.reason == "20 steps"
        and run.images_seen == 200
        and (weights(run) - before).norm() > 0.05
    )
    assert [row["step"] for row in run.history] == [1, 5, 10, 15, 20]
    names = {f"{name}.".lstrip(".") for name in run.gans}
    for figure in (
        "d_loss",
        "g_loss",
        "grad_norm_d",
        "grad_norm_g",
        "update_d",
        "update_g",
        "variety",
        "real_variety",
    ):
        assert all(f"{name}{figure}" in run.history[-1] for name in names), figure


@games
def test_it_is_killed_and_goes_on_bit_for_bit(kind, tmp_path):
    """SIGKILL at some moment of a process that saves after each step.

    What it left goes on, and equals a run uncut.
    """
    name = kind.__name__
    code = (
        f"import sys, torch, ganlib\nfrom {name} import make\ntorch.set_num_threads(1)\n"
        "run, data, game = make()\n"
        "for now in ganlib.train(run, data, game, until=10**6, batch_size=10, record_every=5):\n"
        "    ganlib.save(sys.argv[1], run)\n    print(run.step, flush=True)\n"
    )
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    command = [sys.executable, "-c", code, str(tmp_path)]
    process = subprocess.Popen(
        command, cwd=ROOT / "tests", text=True, stdout=subprocess.PIPE, env=environment
    )
    for line in process.stdout:
        if line.strip() == "7":
            break
    time.sleep(0.02)
    process.kill()
    process.communicate()
    made = kind.make()
    assert ganlib.resume(tmp_path, made[0]) and (reached := made[0].step) >= 7
    resumed, _ = train(made, reached + 6)
    whole, _ = train(kind.make(), reached + 6)
    assert same(resumed.state_dict(), whole.state_dict())


@games
def test_another_seed_is_refused_and_another_game_too(kind, tmp_path):
    run, _ = train(kind.make(), 3, folder=tmp_path)
    other = kind.make(seed=1)
    with pytest.raises(ValueError, match="seed = 0, this one .*seed = 1"):
        ganlib.resume(tmp_path, other[0])
    made = kind.make()
    ganlib.resume(tmp_path, made[0])
    first = next(iter(run.gans)) or "objective"
    game = ganlib.Game(losses.saturating)
    game = (
        ganlib.Games(**dict.fromkeys(run.gans, game)) if isinstance(run, ganlib.Several) else game
    )
    with pytest.raises(ValueError, match=rf"this run was trained with .*{first}|returned"):
        ganlib.train(*made[:2], game, until=5, batch_size=10)


@games
def test_it_draws_itself_in_the_live_view(kind, tmp_path):
    lines = []

    class Screen:
        def open(self):
            pass

        def draw(self, picture, status, progress, verdict):
            lines.append((picture, status))

        def close(self, reason):
            pass

    view = ganlib.LiveView(folder=tmp_path, every=0, picture_every=5)
    view.screen = Screen()
    run, _ = train(kind.make(), 10, view=view)
    picture, status = lines[-1]
    assert status.startswith("step 10") and "loss D" in status and "10 steps" in status
    assert all(f"{name}: " in status for name in run.gans if name)
    with Image.open(tmp_path / "latest.png") as shown:
        colours = shown.convert("L").getcolors(256)
        assert (
            min(shown.size) > 100
            and len(colours) > 2
            and shown.info["Comment"].startswith("generated")
        )
    history = json.loads((tmp_path / "history.json").read_text())
    assert history == run.history and ganlib.curves(history).data and str(ganlib.diagnose(history))
    kept = (tmp_path / "pictures").exists()
    assert kept == (kind.__name__ != "games.cycle")  # points leave no pictures behind
    if kept:
        assert ganlib.timeline(tmp_path).data


@games
def test_nets_that_do_not_fit_are_refused_with_a_sentence(kind):
    run, data, game = kind.misfit()
    with pytest.raises(
        ValueError, match=r"^(G|D) (returned|cannot be run on) \(2, .* (is|are) expected"
    ) as error:
        ganlib.train(run, data, game, until=1)
    assert len(str(error.value)) < 500 and run.step == 0


WORKER = (
    """
import importlib, sys
import torch, ganlib
from ganlib.machine import launch, processes

launch.start()
torch.set_num_threads(1)
rank, world = processes.place()
for name in sys.argv[2:]:
    run, data, game = importlib.import_module(f"games.{name}").make()
    run.to(dtype=torch.float64)
    if rank:
        with torch.no_grad():
"""
    "            [weight.add_(1) for gan in run.gans.values() for weight in gan.G.parameters()]"
    "  # the first one's are shared"
    """
    if world == 1:  # one process, the double batch: what both ranks draw, one after the other
        for gan in run.gans.values():
            gan.noise_now = lambda n, stream, gan=gan: torch.cat(
                [gan.noise(n // 2, stream, gan.step, rank) for rank in (0, 1)])
    for now in ganlib.train(run, data, game, until=4, batch_size=16 // world):
        pass
    weights = [w for gan in run.gans.values() for net in (gan.G, gan.D) for w in net.parameters()]
    torch.save((run.images_seen, weights), f"{sys.argv[1]}/{name}-{world}-{rank}.pt")
launch.end()
"""
)


def test_two_processes_give_the_same_as_one(tmp_path):
    """Each game, in one start of two processes and one of a single one: starts take the time."""
    (tmp_path / "worker.py").write_text(WORKER)
    names = (*NAMES, "alone")
    for n in (2, 1):
        done = torchrun(
            n, tmp_path / "worker.py", tmp_path, *names, PYTHONPATH=f"{ROOT}:{ROOT / 'tests'}"
        )
        assert done.returncode == 0, done.stderr[-3000:]
    for name in names:
        found = [torch.load(tmp_path / f"{name}-{which}.pt") for which in ("2-0", "2-1", "1-0")]
        (seen, first), (_, second), (alone, one) = found
        assert seen == alone == 4 * 16 and same(first, second), name
        assert all(
            torch.allclose(a, b, rtol=0, atol=1e-10) for a, b in zip(first, one, strict=True)
        ), name


def test_a_cycle_learns_the_way_there_and_back():
    """Most of the way from heap to ring; and back to each point's start, as a cycle asks for it."""
    run, data, game = GAMES[0].make()
    for _ in ganlib.train(run, data, game, until=800, batch_size=64):
        pass
    heap, ring = run.there.noise(500, "test"), data.sets["there"].images
    there = run.there.sample(noise=heap)
    away = [torch.cdist(points, ring).amin(1).mean().item() for points in (heap, there)]
    returned = (run.back.sample(noise=there) - heap).abs().mean().item()
    assert away[1] < 0.65 * away[0], away
    assert returned < 0.04 and (there - heap).abs().mean().item() > 0.15, (
        "it came back from a place that is elsewhere"
    )


# What Game, Player, source and tie say and refuse


def test_each_player_has_its_own_learning_rate(small, digits):
    """lr=(G's, D's): a step of each is as long as that of a GAN with this rate alone."""
    both, low, high = (small(lr=lr) for lr in ((1e-4, 4e-4), 1e-4, 4e-4))
    assert both.opt_G.param_groups[0]["lr"] == 1e-4 and both.opt_D.param_groups[0]["lr"] == 4e-4
    for gan in (both, low, high):
        ganlib.discriminator_step(gan, digits.batches(0, 0).images[0])
    assert same(both.D.state_dict(), high.D.state_dict()) and not same(
        both.D.state_dict(), low.D.state_dict()
    )
    assert both.lr == (1e-4, 4e-4) and low.lr == 1e-4
    with pytest.raises(ValueError, match="a pair of them for G and D"):
        small(lr=(1e-4, 2e-4, 3e-4))
    with pytest.raises(ValueError, match="lr=-1 was given"):
        small(lr=(1e-4, -1))


def test_a_schedule_for_one_player_leaves_the_other_alone(small, digits):
    gan = small(lr=(1e-3, ganlib.schedules.Linear(((0, 1e-3), (100, 1e-4)))))
    for _ in ganlib.train(gan, digits, until=10, batch_size=10):
        pass
    assert gan.opt_G.param_groups[0]["lr"] == 1e-3
    assert gan.opt_D.param_groups[0]["lr"] == pytest.approx(1e-3 - 9e-4 * 0.9)  # as of 90 images


def test_a_player_may_bring_its_own_optimizer(digits, tmp_path):
    """RMSprop for D, against torch's own by hand; the run is saved, and goes on with it."""
    from functools import partial

    def make(lr=5e-4):
        torch.manual_seed(0)
        G, D = nets.MLPGenerator(8, widths=(16,)), nets.MLPDiscriminator(widths=(16,), dropout=0.0)
        return ganlib.GAN(
            G, ganlib.Player(D, optimizer=partial(torch.optim.RMSprop, lr=lr)), seed=0
        )

    gan, hand = make(), make()
    optimizer = torch.optim.RMSprop(hand.D.parameters(), lr=5e-4)
    for step in range(3):
        real = digits.batches(0, step, size=10).images[0]
        gan.step = hand.step = step
        ganlib.discriminator_step(gan, real)
        with torch.no_grad():
            fake = hand.fake(10, "D0")
        d_real, d_fake = hand.judge(torch.cat([real, fake]), "D0").chunk(2)
        optimizer.zero_grad()
        losses.non_saturating.d_loss(d_real, d_fake).mean().backward()
        optimizer.step()
    assert same(gan.D.state_dict(), hand.D.state_dict())
    cut, whole = make(), make()
    for until in (4, 8):
        for _ in ganlib.train(cut, digits, until=until, batch_size=10, folder=tmp_path):
            pass
        cut = make() if until == 4 else cut
        ganlib.resume(tmp_path, cut)
    for _ in ganlib.train(whole, digits, until=8, batch_size=10):
        pass
    assert same(cut.state_dict(), whole.state_dict()) and "update_d" not in cut.history[-1]


def test_a_game_is_a_value():
    game = ganlib.Game(losses.hinge, n_critic=3, penalty=losses.r1(1.0))
    assert game.batches == 3 and ganlib.Game(losses.relativistic, n_critic=2).batches == 3
    assert game.describe() == {
        "objective": "losses.hinge",
        "n_critic": 3,
        "penalty": "losses.r1(1.0)",
        "augment": None,
        "question": None,
        "shared_fakes": False,
    }
    assert game.reading() == {
        "objective": "losses.hinge",
        "absolute": 0.0,
        "guess": pytest.approx(2.0),
    }
    assert "guess" not in ganlib.Game(losses.wasserstein).reading()
    with pytest.raises(AttributeError, match="cannot assign"):
        game.n_critic = 1
    with pytest.raises(TypeError, match="n_critics"):
        ganlib.Game(n_critics=2)


def test_the_tie_joins_the_loss_of_g(small, digits):
    """By hand: the gradient of g_loss + 0.7 * mean |fake - source|^2.

    G is fed the points as they are.
    """
    data = ganlib.plane.Points(ganlib.plane.ring())
    torch.manual_seed(0)
    G, D = nets.MLPGenerator(2, (2,), (8,)), nets.MLPDiscriminator((2,), (8,), dropout=0.0)
    gan = ganlib.GAN(G, D, source=data, seed=0, lr=1e-30).to(dtype=torch.float64)
    stats = ganlib.generator_step(
        gan, torch.zeros(10, 2, dtype=torch.float64), tie=losses.near(0.7, 2)
    )
    ours = [weight.grad.clone() for weight in G.parameters()]
    source = gan.noise_now(10, "G")
    fake = G(source)
    tie = (fake - source).square().mean()
    loss = torch.nn.functional.softplus(-D(fake)).mean()
    expected = torch.autograd.grad(loss + 0.7 * tie, list(G.parameters()))
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(ours, expected, strict=True))
    assert stats["tie"].item() == pytest.approx(tie.item()) and stats[
        "g_loss"
    ].item() == pytest.approx(loss.item())


def test_a_source_is_a_function_of_seed_step_and_stream(digits):
    """A data set's images and a function's draws: the same at each call, others at another step."""
    few = digits.subset(slice(0, 50))
    for source in (few, lambda n, draws: torch.rand(n, 1, 28, 28, generator=draws)):
        G = nets.CompactDiscriminator()  # any net will do
        gan = ganlib.GAN(G, nets.CompactDiscriminator(), source=source, seed=3)
        first = gan.noise(4, "a", step=2)
        assert first.shape == (4, 1, 28, 28) and gan.latent_dim is None
        assert torch.equal(first, gan.noise(4, "a", step=2))
        for other in (
            gan.noise(4, "b", step=2),
            gan.noise(4, "a", step=3),
            gan.noise(4, "a", step=2, rank=1),
        ):
            assert not torch.equal(first, other)
    drawn = ganlib.GAN(G, G, source=few, seed=3).noise(2000, "all")
    counts = (
        torch.cdist(drawn.flatten(1), few.floats(slice(None)).flatten(1))
        .argmin(1)
        .bincount(minlength=50)
    )
    assert counts.min() > 15 and counts.max() < 75  # 40 each on average


@pytest.mark.parametrize(
    "settings, message",
    [
        (
            {"source": lambda n, draws: torch.zeros(3, 2)},
            r"returned \(3, 2\) for n=2; a tensor \(2, ...\)",
        ),
        ({"source": lambda n, draws: None}, "returned NoneType for n=2"),
        (
            {"source": lambda n, draws: torch.zeros(n, 8), "latent_dim": 8},
            "latent_dim=8 and a source were given",
        ),
    ],
)
def test_sources_that_do_not_fit(settings, message, digits):
    with pytest.raises(ValueError, match=message):
        gan = ganlib.GAN(nets.MLPGenerator(8), nets.MLPDiscriminator(), **settings)
        ganlib.train(gan, digits, until=1)


def test_what_does_not_go_together_is_said(small, digits):
    run, data, game = GAMES[0].make()
    with pytest.raises(ValueError, match="several GANs.*one game; give Games"):
        ganlib.train(run, data, ganlib.Game(), until=1)
    with pytest.raises(ValueError, match=r"Together\(there=..., back=...\) is expected"):
        ganlib.train(run, data.sets["there"], game, until=1)
    with pytest.raises(ValueError, match="games of there were given, and the GANs are there, back"):
        ganlib.train(run, data, ganlib.Games(there=ganlib.Game()), until=1)
    with pytest.raises(ValueError, match="has several GANs.*judge each on its own data"):
        ganlib.evaluate(run, data)
    with pytest.raises(
        ValueError, match=r"near compares fakes \(2, 1, 28, 28\) with their sources \(2, 8\)"
    ):
        ganlib.train(small(), digits, ganlib.Game(tie=losses.near()), until=1)
    with pytest.raises(
        ValueError, match=r"half returned \(2, 1, 28, 28\) for 2 fakes; one loss per image"
    ):
        ganlib.train(
            small(),
            digits,
            ganlib.Game(tie=losses.Tie("half", lambda fakes, sources: fakes)),
            until=1,
        )
    with pytest.raises(ValueError, match="this game takes 2 batches a step, and was given 1"):
        ganlib.gan_step(small(), digits.batches(0, 0), losses.relativistic)
    with pytest.raises(ValueError, match="a list was given as the run; it has no seed"):
        ganlib.train([small()], digits, until=1)
    with pytest.raises(ValueError, match="the board shows noise"):
        ganlib.lab.Stepper(*GAMES[1].make()[:2])


def test_a_game_of_ones_own_is_a_class_with_a_step(small, digits):
    """Two moves of G after D's: what `Game` has is inherited; the run remembers the settings."""

    class Twice(ganlib.Game):
        def step(self, gan, batches):
            figures = super().step(gan, batches)
            return figures | {
                "again": ganlib.generator_step(gan, batches.images[0], self.objective)["g_loss"]
            }

    gan = small()
    for _ in ganlib.train(gan, digits, Twice(losses.hinge), until=3, batch_size=10, record_every=1):
        pass
    assert (
        gan.step == 3
        and "again" in gan.history[-1]
        and gan.trained_on["objective"] == "losses.hinge"
    )


def test_a_d_that_judges_places_plays_where_the_game_says_so(digits):
    """Refused else; D's loss is the mean over places and images, computed here from its logits."""
    torch.manual_seed(0)
    D = nets.PatchDiscriminator((1, 28, 28), widths=(8, 8))
    gan = ganlib.GAN(nets.MLPGenerator(8, widths=(16,)), D, seed=0)
    with pytest.raises(ValueError, match=r"D returned \(2, 7, 7\).*\(2,\).*expected"):
        ganlib.train(gan, digits, ganlib.Game(), until=1)
    game = ganlib.Game(losses.hinge, places=True)
    gan.check(digits, places=True)
    batch = digits.batches(0, 0, size=10)
    with torch.no_grad():
        fake, real = gan.fake(10, "D0"), batch.images[0]
        d_real, d_fake = D(torch.cat([real, fake])).chunk(2)
        expected = losses.hinge.d_loss(d_real, d_fake).mean()
    assert d_real.shape == (10, 7, 7)
    assert game.step(gan, batch)["d_loss"].item() == pytest.approx(expected.item(), rel=1e-5)
    for now in ganlib.train(gan, digits, game, until=3, batch_size=10):
        pass
    assert now.reason == "3 steps"
