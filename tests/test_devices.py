"""A GPU without having one: tensors that only claim to be on "cuda" go through every recipe, game,
augmentation, the explorer and `evaluate`.

torch's fake tensors have a shape, a type and a device, and no numbers. An operation that mixes
devices raises; and so does one that reads a number on the host, which makes a GPU wait.
"""

import copy
import importlib
from contextlib import ExitStack, contextmanager
from unittest import mock

import pytest
import torch
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    FakeTensorMode,
    unset_fake_temporarily,
)
from torch.utils._python_dispatch import TorchDispatchMode

import ganlib
from ganlib import augment, losses, nets
from ganlib.game.player import Player
from ganlib.game.steps import _codes
from ganlib.games.selftest import games as selftest
from ganlib.judge import metrics
from ganlib.judge.figures import Seen
from ganlib.lab import latent
from ganlib.lab.explorer import Explorer
from ganlib.machine import randomness
from ganlib.nets import trying
from ganlib.nets.foreign import way_of
from ganlib.run.recipes import RECIPES

aten = torch.ops.aten


class Watch(TorchDispatchMode):
    """Sees what torch's fake tensors let pass; `reads` are allowed where a step is no longer."""

    def __init__(self, reads):
        super().__init__()
        self.reads, self.on_cuda, self.weights = reads, 0, []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is aten._local_scalar_dense.default and self.reads:
            # something for each kind: a count on the CPU is of what is wrong, on cuda of batches
            kind, on_cuda = args[0].dtype, args[0].device.type == "cuda"
            return 1.0 if kind.is_floating_point else kind == torch.bool or int(on_cuda)
        if function is aten.equal.default and self.reads:
            assert args[0].device == args[1].device
            return False
        if function is aten._thnn_fused_gru_cell.default:  # torch has no fake of it
            assert {x.device.type for x in args} == {"cuda"}
            return torch.empty_like(args[2]), torch.cat([args[2]] * 5, 1)
        if function is aten.index.Tensor and args[0].device.type == "cpu":
            places = {index.device.type for index in args[1] if index is not None}
            if places - {"cpu"}:
                raise RuntimeError("numbers of the CPU, chosen by an index on cuda: two devices")
        result = function(*args, **(kwargs or {}))
        self.on_cuda += isinstance(result, torch.Tensor) and result.device.type == "cuda"
        return result


def moved(net, *args, **settings):
    """What `Module.to` does: other tensors of the same shapes on the device, if one is given."""
    device = torch._C._nn._parse_to(*args, **settings)[0]
    for module in net.modules() if device is not None else ():
        for name, weight in module._parameters.items():
            if weight is not None:
                other = torch.empty_like(weight, device=device)
                module._parameters[name] = torch.nn.Parameter(other, weight.requires_grad)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = torch.empty_like(buffer, device=device)
    return net


def gradients(outputs, inputs, *_, **__):
    """What `torch.autograd.grad` returns, without a device that could compute it."""
    many = inputs if isinstance(inputs, (tuple, list)) else [inputs]
    total = sum(x.sum() for x in (outputs if isinstance(outputs, (tuple, list)) else [outputs]))
    return tuple(0 * x + total for x in many)


def deepcopied(value, memo=None, copied=copy.deepcopy):
    """What `copy.deepcopy` returns of a net with numbers, which a game holds beside the players."""
    with unset_fake_temporarily():
        return copied(value, memo)


class Torch:
    """torch, for ganlib's own random numbers, which on a GPU need one."""

    Generator = staticmethod(lambda device="cpu": torch.Generator())

    def __getattr__(self, name):
        return getattr(torch, name)


def seen(gan, *_):
    """What the first look at nets of others notes; it reads numbers, once, before the steps."""
    for player in gan.players.values():
        way = way_of(player.net)
        way.column, way.sigmoid, way.draws, way.together = False, False, set(), False


@contextmanager
def no_gpu(reads=False):
    """A context in which "cuda" is a device, and gradients are zeros; `watch.weights` get them."""

    def backward(loss, *_, **__):
        assert loss.device.type == "cuda" and loss.ndim == 0
        for weight in watch.weights:
            weight.grad = torch.zeros_like(weight) if weight.requires_grad else None

    with ExitStack() as stack:
        for what, name, other in (
            (randomness, "torch", Torch()),
            (torch.nn.Module, "to", moved),
            (copy, "deepcopy", deepcopied),
            (trying, "look_over", seen),
            (torch.Tensor, "backward", backward),
            (torch.autograd, "grad", gradients),
            (torch.cuda, "mem_get_info", lambda device=None: (2**34, 2**34)),
        ):
            stack.enter_context(mock.patch.object(what, name, other))
        stack.enter_context(torch.backends.cudnn.flags(enabled=False))  # it would look for a GPU
        stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        watch = stack.enter_context(Watch(reads))
        yield watch


def on_cuda(run, watch):
    """Return the run with its nets, new optimizers and all else on cuda, as `GAN.to` does it."""
    reads, watch.reads = watch.reads, True
    for gan in run.gans.values():
        for which, player in gan.players.items():
            net = moved(player.net, "cuda")
            gan.players[which] = Player(net, player.lr, player.betas, player.builder, player.ema)
            watch.weights += net.parameters()
        gan.adaptive = gan.adaptive.to("cuda")
        if hasattr(gan.source, "to"):
            gan.source.to("cuda")
    watch.reads = reads
    assert run.device.type == "cuda"
    return run


def playing(run, data, game, size=4):
    """Play two steps, and return the run."""
    warm = getattr(game, "warm", 0)
    codes = _codes(data, run.latent_dim, "cpu") if warm else ()  # as `train` computes them, once
    with no_gpu() as watch:
        on_cuda(run, watch)
        run.codes = tuple(x.to(run.device) for x in codes)
        for step in range(2):
            run.images_seen = max(run.images_seen, warm * step)  # D is there in the second
            batches = data.batches(0, step, game.batches, size).to(run.device)
            figures = game.step(run, batches)
            assert run.step == step + 1
        assert figures and all(x.device.type == "cuda" and x.ndim == 0 for x in figures.values())
        assert watch.on_cuda > 50
    return run


def conditional(name):
    return 10 if name not in ("classic", "infogan") else 0


@pytest.fixture(scope="module")
def some(digits):
    return digits.subset(slice(0, 300))


@pytest.mark.parametrize("name", RECIPES)
def test_each_recipe(name, some):
    for classes in {conditional(name), 10 if name == "acgan" else 0}:
        made = ganlib.recipe(name, classes=classes)
        playing(made.gan(0), some, made)
        if name == "small":
            playing(made.gan(0, precision="bf16"), some, made)


@pytest.mark.parametrize("name", ["shift", "colour_translation", "diff_augment", "ada"])
def test_each_augmentation(name, some):
    colour = ganlib.Images(some.images.expand(-1, 3, -1, -1).contiguous(), some.labels)
    for data in (some, colour):
        game = ganlib.Game(augment=getattr(augment, name), penalty=losses.r1(1.0))
        G, D = nets.CompactGenerator(8, data.shape), nets.CompactDiscriminator(data.shape)
        playing(ganlib.GAN(G, D), data, game)


SETTINGS = [
    *({"penalty": getattr(losses, name)(0.1)} for name in ("r1", "r1_r2", "gradient_penalty")),
    {"penalty": losses.approximate_r1_r2(0.1, 0.05)},
    {"penalty": losses.clip_weights(0.01)},
    *({"objective": getattr(losses, name)} for name in ("hinge", "least_squares", "relativistic")),
    {"n_critic": 2},
    {"shared_fakes": True},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_each_setting_of_a_game(settings, some):
    falling = ganlib.schedules.Linear(((0, 1e-3), (100, 1e-4)))
    gan = ganlib.GAN(nets.MLPGenerator(8), nets.MLPDiscriminator(), ema=100, lr=falling)
    playing(gan, some, ganlib.Game(**settings))


@pytest.mark.parametrize("name", ["cycle", "images", "clips", "words"])
def test_each_game_of_the_tests(name):
    playing(*importlib.import_module(f"games.{name}").make())


@pytest.mark.parametrize("name", selftest.PARTS)
def test_each_game_that_ships(name):
    """Words, faces, clips, super-resolution, flows, translations, as the self-test makes them."""
    playing(*selftest.PARTS[name](2))


def shares(seen):
    """What a histogram of numbers that are not there would be; the logits are read for it."""
    assert seen.real_logits.shape == seen.fake_logits.shape == (128, 10)
    return metrics.Histogram([0.1] * 10, 0.0), False


@pytest.mark.parametrize(
    "name, near", [("classic", True), ("small", False), ("acgan", True), ("style", True)]
)
def test_evaluate(name, near, some):
    """With the data on the GPU, and on the CPU."""
    made = ganlib.recipe(name, classes=10 if name == "acgan" else 0)
    gan = made.gan(0)
    with no_gpu(reads=True) as watch:
        gan = on_cuda(gan, watch)
        data = ganlib.Images(some.images, some.labels, some.classes, "digits", known="digits")
        data = data.near("cuda") if near else data
        with (
            mock.patch.object(Seen, "classes", property(shares)),
            mock.patch.object(metrics, "_check_classes", lambda *_: None),  # looks at numbers
        ):
            found = ganlib.evaluate(gan, data, 128, quiet=True)
        assert watch.on_cuda > 50 and found["n_fake"] == 128


@pytest.mark.parametrize("name", ["classic", "small", "infogan", "acgan", "style"])
def test_the_explorer(name, some):
    made = ganlib.recipe(name, classes=10 if name == "acgan" else 0)
    gan = made.gan(0)
    with no_gpu(reads=True) as watch:
        gan = on_cuda(gan, watch)
        explorer = Explorer(gan, some, directions=2)
        codes = {"code": 3, "code_1": 0.5} if name == "infogan" else {}
        z = explorer.noise(3, 4, 0.5, direction_1=1.0, truncation=1.0, **codes)
        image = latent.draw(gan, z, 3 if gan.classes else None)
        assert z.device.type == image.device.type == "cuda"
        assert explorer.nearest(image)[0] == 1  # a number that `Watch` made up
        found = latent.invert(gan, some.floats(slice(0, 1))[0], steps=2, starts=2)
        assert found.noise.device.type == found.image.device.type == "cuda"
        assert watch.on_cuda > 20


def test_it_can_fail(some):
    """A game that mixes devices is caught, and one that reads a number on the host."""

    def make():
        return ganlib.GAN(nets.MLPGenerator(8), nets.MLPDiscriminator())

    class Wrong(ganlib.Game):
        def step(self, gan, batches):
            self.slip(gan, batches)
            return super().step(gan, batches)

    class Mixes(Wrong):
        def slip(self, gan, batches):
            return gan.judge(batches.images[0] + torch.zeros(1, 28, 28), "D0")

    class Reads(Wrong):
        def slip(self, gan, batches):
            return gan.judge(batches.images[0], "D0").mean().item()

    class Branches(Wrong):
        def slip(self, gan, batches):
            return 1 if batches.images.mean() > 0 else 2

    class Draws(Wrong):
        def slip(self, gan, batches):
            return gan.G(torch.randn(4, 8))

    class Chooses(Wrong):
        def slip(self, gan, batches):
            return some.images[torch.zeros(4, dtype=torch.int64, device="cuda")]

    for wrong, error in (
        (Mixes(), RuntimeError),
        (Reads(), DataDependentOutputException),
        (Branches(), DataDependentOutputException),
        (Draws(), RuntimeError),
        (Chooses(), RuntimeError),
    ):
        with pytest.raises(error):
            playing(make(), some, wrong)
    playing(make(), some, ganlib.Game())
