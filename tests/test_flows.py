"""Flows: the net and its sampler against closed forms, the three stages, and what a run keeps."""

import copy
import math
from functools import partial

import pytest
import torch
from conftest import same

import ganlib
from ganlib import nets
from ganlib.__main__ import main
from ganlib.games import flows
from ganlib.games.flows import commands
from ganlib.nets.rebuild import build, settings

random = torch.Generator().manual_seed
TINY = {"widths": (8, 8)}


@pytest.fixture(scope="module")
def digits():
    return ganlib.load("digits").subset(slice(0, 500))


def made(stage, teacher=None, images=400, start=None):
    torch.manual_seed(1)
    recipe = flows.recipe(stage, images=images, teacher=teacher, **TINY)
    return recipe.gan(0, start), recipe


def play(gan, data, recipe, until, **more):
    for _ in ganlib.train(gan, data, recipe, until=until, batch_size=8, record_every=5, **more):
        pass
    return gan


def stirred(net, seed=0):
    """Give every weight a value, so that no part of a net is silent."""
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(0.05 * torch.randn(weight.shape, generator=random(seed)))
    return net


# the net and its sampler


class Gaussian(nets.FlowGenerator):
    """The velocity of a normal image of this mean and spread, in closed form: the skip is exact."""

    middle = 0.3

    def velocity(self, x, t):
        t = torch.as_tensor(t, dtype=x.dtype)
        gain = t * self.spread**2 - (1 - t)
        variance = (1 - t) ** 2 + t**2 * self.spread**2
        return self.middle + gain / variance * (x - t * self.middle)


def far(steps, method):
    """How far the flow ends from the exact end, mean + spread z, at most."""
    flow = Gaussian((1, 4, 4), **TINY)
    z = torch.randn(200, 16, generator=random(0), dtype=torch.float64)
    ends = flow.flow(z, steps, method).flatten(1)
    return (ends - (flow.middle + flow.spread * z)).abs().max().item()


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("heun", 2)])
def test_half_the_step_gives_a_half_or_a_quarter_of_the_error(method, order):
    """Heun's last step is Euler's, of order 2 for that one step."""
    errors = [far(steps, method) for steps in (32, 64, 128)]
    for coarse, fine in zip(errors, errors[1:], strict=False):
        assert math.log2(coarse / fine) == pytest.approx(order, abs=0.15)


def test_the_skip_is_the_velocity_of_a_normal_image():
    flow, exact = nets.FlowGenerator((1, 4, 4), **TINY).double(), Gaussian((1, 4, 4), **TINY)
    exact.middle = 0.0
    torch.nn.init.zeros_(flow.last.weight)
    x = torch.randn(5, 1, 4, 4, generator=random(0), dtype=torch.float64)
    for t in (0.0, 0.3, 1.0):
        assert torch.allclose(flow.velocity(x, t), exact.velocity(x, t), rtol=0, atol=1e-12)
    assert torch.equal(flow.flow(x, 1), torch.zeros_like(x))  # no noise is left over


@pytest.mark.parametrize("t", [0.0, 0.2, 0.7, 1.0])
def test_the_loss_is_least_at_the_closed_form(t):
    """What a teacher learns, of images of independent normal pixels: the best line through places
    and velocities is that of the closed form.
    """
    exact = Gaussian((1, 4, 4), spread=0.5, **TINY)
    noise, image = torch.randn(2, 20_000, 1, 4, 4, generator=random(0), dtype=torch.float64)
    image = exact.middle + exact.spread * image
    place, wanted = flows.matching.between(noise, image, torch.full((20_000,), t).double())
    x = torch.stack([place.flatten(), torch.ones(place.numel()).double()], 1)
    slope, start = torch.linalg.lstsq(x, wanted.flatten()[:, None]).solution.flatten()
    for value in (-1.0, 0.0, 2.0):
        expected = exact.velocity(torch.tensor(value).double(), t)
        assert slope * value + start == pytest.approx(expected.item(), abs=0.01)


def test_beyond_the_range_a_twentieth_is_left():
    flow = nets.FlowGenerator((1, 4, 4), **TINY)
    flow.flow = lambda z, steps, method: z.view(-1, 1, 4, 4)
    z = torch.tensor([-3.0, -1.0, 0.25, 2.0]).repeat(4)[None].requires_grad_()
    image = flow.draw(z)
    expected = torch.tensor([-1.1, -1.0, 0.25, 1.05]).repeat(4)
    assert torch.allclose(image.flatten(), expected)
    (slope,) = torch.autograd.grad(image.sum(), z)
    assert torch.allclose(slope[0, [0, 2, 3]], torch.tensor([0.05, 1.0, 0.05]))


def test_it_is_built_again_with_its_steps():
    G = stirred(nets.FlowGenerator((3, 8, 12), (8, 16), blocks=2, steps=3))
    G.method = "heun"
    again = build(settings(G), "G", G.state_dict())
    again.load_state_dict(G.state_dict())
    z = torch.randn(2, G.latent_dim, generator=random(0))
    assert torch.equal(G(z), again(z)) and G(z).shape == (2, 3, 8, 12)
    assert torch.equal(G(z), G.draw(z.view(2, 3, 8, 12), 3, "heun"))
    assert not torch.allclose(G(z), G.draw(z, 3, "euler"))
    asked = []
    G.velocity = lambda x, t: asked.append(t) or x
    for method, calls in (("euler", 4), ("heun", 7)):
        G.draw(z, 4, method)
        assert len(asked) == calls
        asked.clear()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"shape": (1, 30, 28)}, "sizes that 4 divides"),
        ({"widths": (8,)}, "two widths"),
        ({"steps": 0}, "steps=0 .* from 1 to 1,000"),
        ({"steps": 10**9}, "from 1 to 1,000"),
        ({"method": "rk4"}, "method='rk4' .* 'euler', 'heun'"),
    ],
)
def test_settings_that_are_none(given, said):
    with pytest.raises(ValueError, match=said):
        nets.FlowGenerator(**given)


# the stages


@pytest.mark.parametrize("kind", flows.matching.TIMES)
def test_the_teachers_step_by_hand(kind, digits):
    """In float64, with plain gradient descent; D stays as it is."""
    torch.manual_seed(0)
    recipe = flows.recipe("teacher", times=kind, **TINY)
    G = ganlib.Player(recipe.G(), optimizer=lambda weights: torch.optim.SGD(weights, lr=0.1))
    gan = ganlib.GAN(G, recipe.D(), seed=0).to(dtype=torch.float64)
    stirred(gan.G)
    hand, D = copy.deepcopy(gan.G), copy.deepcopy(gan.D.state_dict())
    batches = digits.batches(0, 0, recipe.batches, 8, torch.float64)
    noise = gan.noise(8, "G", step=0).view(8, 1, 28, 28)
    draws = gan.draws("times")
    if kind == "uniform":
        t = torch.rand(8, generator=draws, dtype=torch.float64)
    else:
        t = 1 / (1 + (-torch.randn(8, generator=draws, dtype=torch.float64)).exp())
    real = batches.images[0]
    place = torch.stack([a * x + (1 - a) * z for a, x, z in zip(t, real, noise, strict=True)])
    loss = sum(((hand.velocity(place, t) - real + noise) ** 2).flatten(1).mean(1)) / 8
    gradients = torch.autograd.grad(loss, list(hand.parameters()))
    figures = recipe.step(gan, batches)
    assert recipe.batches == 1 and figures.keys() == {"g_loss"}
    assert torch.allclose(figures["g_loss"], loss.detach(), rtol=0, atol=1e-12)
    for weight, before, gradient in zip(
        gan.G.parameters(), hand.parameters(), gradients, strict=True
    ):
        assert torch.allclose(weight, before - 0.1 * gradient, rtol=0, atol=1e-12)
    assert same(gan.D.state_dict(), D) and (gan.step, gan.images_seen) == (1, 8)


def test_a_copy_learns_where_the_flow_ends(digits):
    """The tie is 0 for the flow itself; a copy comes nearer to it, and D stands still."""
    teacher = stirred(nets.FlowGenerator(**TINY))
    z = torch.randn(6, 784, generator=random(0))
    tie = flows.after(teacher, 3, "euler")
    ends = flows.drawn(teacher, z, 3)
    assert torch.equal(tie.loss(ends, z), torch.zeros(6)) and ends.generated
    assert torch.allclose(tie.loss(ends + 0.5, z), torch.full((6,), 0.25))
    assert tie.name != flows.after(stirred(copy.deepcopy(teacher)), 3, "euler").name
    gan, recipe = made("copy", teacher, images=240, start=teacher)
    D = copy.deepcopy(gan.D.state_dict())
    before = recipe.tie.loss(gan.sample(noise=z), z).mean()
    play(gan, digits, recipe, until="240 images")
    assert recipe.tie.loss(gan.sample(noise=z), z).mean() < 0.7 * before
    assert same(gan.D.state_dict(), D) and gan.images_seen == 240


def test_a_student_begins_with_the_average_and_plays_the_usual_game(digits):
    gan, recipe = made("teacher")
    play(gan, digits, recipe, until=10)
    student, game = made("student", start=gan)
    for net in student.players["G"].nets():
        assert same(dict(net.state_dict()), dict(gan.G_ema.state_dict()))
    assert student.G.steps == 1 and gan.G.steps == 4 and game.batches == 2
    z = gan.noise(4)
    expected = z.view(-1, 1, 28, 28) + gan.G_ema.velocity(z.view(-1, 1, 28, 28), 0.0)
    inside = expected.abs() < 1
    assert torch.allclose(student.sample(noise=z)[inside], expected[inside], atol=1e-6)
    plain = ganlib.Game(game.objective, penalty=game.penalty)
    twin, _ = made("student", start=gan)
    batches = digits.batches(0, 0, 2, 8)
    assert same(game.step(student, batches), plain.step(twin, batches))


@pytest.mark.parametrize("stage", flows.STAGES)
def test_it_resumes_bit_for_bit(stage, digits, tmp_path):
    teacher = stirred(nets.FlowGenerator(**TINY)) if stage == "copy" else None
    whole, recipe = made(stage, teacher)
    play(whole, digits, recipe, until=12)
    cut, recipe = made(stage, teacher)
    play(cut, digits, recipe, until=7, folder=tmp_path)
    again, recipe = made(stage, teacher)
    assert ganlib.resume(tmp_path, again)
    play(again, digits, recipe, until=12, folder=tmp_path)
    states = [{**gan.state_dict(), "history": 0, "trained_on": 0} for gan in (whole, again)]
    assert same(*states)


def test_what_a_run_says_and_shows(digits):
    gan, recipe = made("teacher")
    look = recipe.look(gan)
    assert look.images.shape == (48, 1, 28, 28) and len(look.rows) == 4
    assert torch.equal(look.images[12:24], flows.drawn(gan, gan.noise(12), 2))
    assert "penalty" not in str(recipe) and "penalty" in str(made("student")[1])
    play(gan, digits, recipe, until=5)
    assert gan.history[-1]["objective"] == "flow matching"
    assert ganlib.diagnose(gan.history).name == "unread"


@pytest.mark.slow
def test_an_exported_flow_draws_what_the_run_draws(digits, tmp_path):
    gan, recipe = made("teacher")
    play(gan, digits, recipe, until=5, folder=tmp_path / "run")
    ganlib.export(tmp_path / "run", tmp_path / "out")
    G = ganlib.load_generator(tmp_path / "out")
    z = gan.noise(3)
    with torch.no_grad():
        assert torch.allclose(G(z), gan.sample(noise=z), atol=1e-5)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"stage": "tutor"}, "'tutor'"),
        ({"stage": "teacher", "times": "late"}, "'late'"),
        ({"stage": "copy"}, "teacher=None was given for the stage 'copy'"),
        ({"stage": "student", "teacher": object()}, "gan\\(start="),
        ({"stage": "copy", "teacher": nets.MLPGenerator()}, "MLPGenerator is no flow"),
        ({"stage": "teacher", "shape": (1, 30, 30)}, "4 or 7 times"),
    ],
)
def test_recipes_that_are_none(given, said):
    with pytest.raises(ValueError, match=said):
        flows.recipe(**given)


def test_nets_that_do_not_fit_are_refused(digits):
    _, recipe = made("teacher")
    with pytest.raises(ValueError, match="is no flow"):
        play(ganlib.recipe("small").gan(0), digits, recipe, until=1)
    with pytest.raises(ValueError, match="a net of other sizes was given"):
        recipe.gan(0, start=nets.FlowGenerator(widths=(8, 12)))


# The command line


@pytest.fixture
def short(monkeypatch, tmp_path, digits):
    """The command with small nets, on few digits; the present folder is a scratch one."""
    monkeypatch.chdir(tmp_path)
    few = digits.subset(slice(0, 300))
    few.loaded = {"name": "digits"}
    monkeypatch.setattr(commands, "load", lambda name: few)
    monkeypatch.setattr(commands, "recipe", partial(flows.recipe, widths=TINY["widths"]))
    return ["train", "--game", "flows", "--out", "run", "--batch-size", "8", "--device", "cpu"]


def test_one_command_trains_teacher_copy_and_student(short, capsys):
    assert main([*short, "--steps", "5"]) == 0
    said = capsys.readouterr().out
    for stage in (
        "teacher, to 5: G alone",
        "copy, to 5: G alone",
        "student, to 5: the game with D",
    ):
        assert stage in said
    ran = {place: ganlib.keep.export.rebuild(place) for place in ("run/teacher", "run/copy", "run")}
    assert all(gan.step == 5 for gan in ran.values())
    assert [gan.G.steps for gan in ran.values()] == [4, 1, 1]
    # each began where the one before had ended: by hand, the same to the last bit
    gan, few = None, commands.load("digits")
    for stage, place in (("teacher", "run/teacher"), ("copy", "run/copy"), ("student", "run")):
        torch.manual_seed(0)
        teacher = gan if stage == "copy" else None
        made = flows.recipe(stage, images=40, teacher=teacher, widths=TINY["widths"])
        gan = made.gan(0, gan)
        for _ in ganlib.train(gan, few, made, until=5, batch_size=8):
            pass
        here, there = gan.G.state_dict(), ran[place].G.state_dict()
        assert same(here, there), stage
    # again: nothing is left to do; further: the student goes on, with the others as they are
    assert main([*short, "--steps", "5"]) == 0 and main([*short, "--steps", "6"]) == 0
    assert "run/copy stays as it is, since the run in run began" in capsys.readouterr().out
    ends = [ganlib.keep.export.rebuild(place).step for place in ran]
    assert ends == [5, 5, 6]
    assert main(["sample", "run", "--n", "6", "--out", "six.png"]) == 0
    judge = ["evaluate", "run", "--data", "digits", "--n", "150", "--extractor", "pixels"]
    assert main(judge) == 0
    assert main(["export", "run", "--to", "shared"]) == 0
    capsys.readouterr()
    assert main([*short, "--recipe", "small"]) == 1
    assert "--recipe was given with --game flows" in capsys.readouterr().err
    assert main([*short, "--data", "folder"]) == 1
    assert "set of images (--data)" in capsys.readouterr().err
