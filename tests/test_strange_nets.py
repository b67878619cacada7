"""Nets that others wrote, as they wrote them: they train unchanged, bit for bit, or a sentence says
what to do. The oracles are separate passes, other seeds, and torch's own functions."""

import copy
import random
from functools import partial

import numpy
import pytest
import torch
from conftest import same
from torch import nn
from torch.nn import functional as F

import ganlib
from ganlib import losses, nets
from ganlib.game.contract import evaluating
from ganlib.nets import foreign, trying

# nets after published descriptions


class TutorialG(nn.Sequential):
    """The generator of PyTorch's DCGAN tutorial: noise (N, nz, 1, 1) to images of 64 x 64."""

    def __init__(self, nz=100, ngf=8, nc=3):
        layers, inputs = [], nz
        for i, outputs in enumerate((8 * ngf, 4 * ngf, 2 * ngf, ngf)):
            stride, pad = (1, 0) if i == 0 else (2, 1)
            layers += [
                nn.ConvTranspose2d(inputs, outputs, 4, stride, pad, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(True),
            ]
            inputs = outputs
        super().__init__(*layers, nn.ConvTranspose2d(ngf, nc, 4, 2, 1, bias=False), nn.Tanh())


class TutorialD(nn.Module):
    """Its discriminator: a last convolution of 4 x 4 and a sigmoid, (N, 1, 1, 1)."""

    def __init__(self, nc=3, ndf=8):
        super().__init__()
        layers, inputs = [], nc
        for i, outputs in enumerate((ndf, 2 * ndf, 4 * ndf, 8 * ndf)):
            layers.append(nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False))
            layers += [nn.BatchNorm2d(outputs)] if i else []
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            inputs = outputs
        layers += [nn.Conv2d(inputs, 1, 4, 1, 0, bias=False), nn.Sigmoid()]
        self.main = nn.Sequential(*layers)

    def forward(self, input):
        return self.main(input)


class UpsampleG(nn.Module):
    """PyTorch-GAN's dcgan: a linear layer, then Upsample and convolutions; eps of 0.8 in places."""

    def __init__(self, latent_dim=20, img_size=32, channels=1, width=16):
        super().__init__()
        self.init_size = img_size // 4
        self.l1 = nn.Sequential(nn.Linear(latent_dim, width * self.init_size**2))
        self.width = width
        self.conv_blocks = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(width, width, 3, stride=1, padding=1),
            nn.BatchNorm2d(width, 0.8),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(width, width // 2, 3, stride=1, padding=1),
            nn.BatchNorm2d(width // 2, 0.8),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(width // 2, channels, 3, stride=1, padding=1),
            nn.Tanh(),
        )

    def forward(self, z):
        out = self.l1(z)
        return self.conv_blocks(out.view(out.shape[0], self.width, self.init_size, self.init_size))


class Dropout2dD(nn.Module):
    """PyTorch-GAN's dcgan: Dropout2d in each block, `view` after the convolutions, a sigmoid."""

    def __init__(self, img_size=32, channels=1, width=4, sigmoid=True):
        super().__init__()
        blocks, inputs = [], channels
        for i in range(4):
            outputs = width * 2**i
            blocks += [nn.Conv2d(inputs, outputs, 3, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
            blocks += [nn.Dropout2d(0.25)] + ([nn.BatchNorm2d(outputs, 0.8)] if i else [])
            inputs = outputs
        self.model = nn.Sequential(*blocks)
        last = [nn.Linear(inputs * (img_size // 16) ** 2, 1)] + ([nn.Sigmoid()] if sigmoid else [])
        self.adv_layer = nn.Sequential(*last)

    def forward(self, img):
        out = self.model(img)
        out = out.view(out.shape[0], -1)
        return self.adv_layer(out)


class WganG(nn.Module):
    """PyTorch-GAN's wgan_gp: linear layers with BatchNorm1d, the images by `view`."""

    def __init__(self, latent_dim=20, img_shape=(1, 28, 28)):
        super().__init__()
        self.img_shape, layers, inputs = img_shape, [], latent_dim
        for outputs in (16, 32, 64):
            layers.append(nn.Linear(inputs, outputs))
            layers += [nn.BatchNorm1d(outputs, 0.8)] if inputs != latent_dim else []
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            inputs = outputs
        pixels = img_shape[0] * img_shape[1] * img_shape[2]
        self.model = nn.Sequential(*layers, nn.Linear(inputs, pixels), nn.Tanh())

    def forward(self, z):
        img = self.model(z)
        return img.view(img.shape[0], *self.img_shape)


class WganD(nn.Module):
    """PyTorch-GAN's wgan_gp: a critic of linear layers, (N, 1)."""

    def __init__(self, pixels=784):
        super().__init__()
        self.model = nn.Sequential(
            nn.Linear(pixels, 32),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(32, 16),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(16, 1),
        )

    def forward(self, img):
        return self.model(img.view(img.shape[0], -1))


class Noisy(nn.Module):
    """StyleGAN's noise injection: one map of noise, a weight per channel that begins at 0."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x):
        return x + self.weight * torch.randn(
            len(x), 1, *x.shape[2:], device=x.device, dtype=x.dtype
        )


class StyleG(nn.Module):
    """A learned constant, styled by a mapping network, with noise injection."""

    def __init__(self, latent_dim=20, channels=8, noise=True):
        super().__init__()
        self.mapping = nn.Sequential(nn.Linear(latent_dim, 16), nn.LeakyReLU(0.2))
        self.constant = nn.Parameter(torch.randn(1, channels, 7, 7))
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, 3, 1, 1) for _ in range(2))
        self.styles = nn.ModuleList(nn.Linear(16, channels) for _ in range(2))
        self.noises = nn.ModuleList(Noisy(channels) if noise else nn.Identity() for _ in range(2))
        self.rgb = nn.Conv2d(channels, 1, 1)

    def forward(self, z, labels=None, truncation=1.0):
        w = self.mapping(z) * truncation
        x = self.constant.repeat(len(z), 1, 1, 1)
        for conv, style, noise in zip(self.convs, self.styles, self.noises, strict=True):
            x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = F.leaky_relu(noise(conv(x * (1 + style(w)[:, :, None, None]))), 0.2)
        return torch.tanh(self.rgb(x))


class StyleD(nn.Module):
    """Ends as StyleGAN's D does: the standard deviation of groups of images as one more channel."""

    def __init__(self, channels=8, group=4, dropout=0.0):
        super().__init__()
        self.group, self.dropout = group, dropout
        self.a = nn.Conv2d(1, channels, 3, 2, 1)
        self.b = nn.Conv2d(channels, channels, 3, 2, 1)
        self.c = nn.Conv2d(channels + 1, channels, 3, 1, 1)
        self.last = nn.Linear(channels * 49, 1)

    def forward(self, x, labels=None):
        x = F.leaky_relu(self.b(F.leaky_relu(self.a(x), 0.2)), 0.2)
        x = F.dropout(x, self.dropout, self.training)
        n, c, h, w = x.shape
        groups = x.reshape(min(self.group, n), -1, c, h, w)
        std = (groups.var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))
        std = std.repeat(min(self.group, n)).view(n, 1, 1, 1).expand(n, 1, h, w)
        x = F.leaky_relu(self.c(torch.cat([x, std], 1)), 0.2)
        return self.last(x.flatten(1)).squeeze(1)


def pictures(size, channels, n=64):
    draws = torch.Generator().manual_seed(size)
    tensor = torch.randint(0, 256, (n, channels, size, size), generator=draws, dtype=torch.uint8)
    return ganlib.Images(tensor, name=f"pictures {size}")


PAIRS = {  # G, D, the images that they are made for, the size of the noise, the game
    "tutorial": (TutorialG, TutorialD, (64, 3), 100, {}),
    "dcgan": (UpsampleG, Dropout2dD, (32, 1), 20, {}),
    "wgan_gp": (
        WganG,
        WganD,
        (28, 1),
        20,
        {"objective": losses.wasserstein, "penalty": losses.gradient_penalty(), "n_critic": 2},
    ),
    "stylegan": (StyleG, partial(StyleD, dropout=0.2), (28, 1), 20, {}),
}


def made(name, seed=0, build=0, **settings):
    torch.manual_seed(build)
    G, D, (size, channels), latent_dim, game = PAIRS[name]
    gan = ganlib.GAN(G(), D(), seed=seed, latent_dim=latent_dim, **settings)
    return gan, pictures(size, channels), ganlib.Game(**game)


def play(gan, data, game, until, **settings):
    for now in ganlib.train(gan, data, game, until=until, batch_size=8, **settings):
        assert all(value.isfinite() for value in now.stats.values())
    return gan


@pytest.mark.parametrize("pair", PAIRS)
def test_published_nets_train_unchanged_and_go_on_bit_for_bit(pair, tmp_path):
    gan, data, game = made(pair, ema=50.0)
    names = [list(gan.G.state_dict()), list(gan.D.state_dict())]
    before = copy.deepcopy(gan.state_dict())
    play(gan, data, game, 6)
    after = gan.state_dict()
    for net in ("G", "D"):
        changed = [key for key, x in before[net].items() if not torch.equal(x, after[net][key])]
        assert len(changed) > len(before[net]) / 2, "it learns"
    assert names == [list(gan.G.state_dict()), list(gan.D.state_dict())]
    cut, data, game = made(pair, ema=50.0)
    play(cut, data, game, 3, folder=tmp_path)
    torch.rand(7), random.random(), numpy.random.rand()
    again, data, game = made(pair, ema=50.0, build=9)
    assert ganlib.resume(tmp_path, again)
    play(again, data, game, 6)
    assert same(again.state_dict()["G"], after["G"]) and same(again.state_dict()["D"], after["D"])
    assert torch.equal(again.sample(3), gan.sample(3)) and torch.equal(gan.sample(3), gan.sample(3))


def test_ends_in_a_sigmoid_trains_as_the_same_net_without(capsys):
    """Bit for bit, although its D gives probabilities to whoever calls it."""
    results = []
    for sigmoid in (True, False):
        torch.manual_seed(3)
        D = Dropout2dD(sigmoid=sigmoid)
        gan = ganlib.GAN(UpsampleG(), D, seed=0, latent_dim=20)
        play(gan, pictures(32, 1), ganlib.Game(), 3)
        results.append(list(D.parameters()))
        assert ("D ends in a sigmoid" in capsys.readouterr().out) is sigmoid
    assert same(*results)
    x = torch.rand(4, 1, 32, 32)
    with evaluating(D):
        assert torch.equal(gan.judge(x, "a"), D(x).flatten())


class Linear(nn.Module):
    """A D of one layer, whose end is a function of (linear layer's result (N, 1), self)."""

    def __init__(self, end):
        super().__init__()
        self.end, self.layer = end, nn.Linear(784, 1)

    def forward(self, x):
        return self.end(self.layer(x.flatten(1)), self)


ENDS = {
    "(N, 1)": (lambda x, net: x, 1.0),
    "(N, 1, 1, 1)": (lambda x, net: x[..., None, None], 1.0),
    "()": (lambda x, net: x.squeeze(), 1.0),
    "torch.sigmoid": (lambda x, net: torch.sigmoid(x), 1.0),
    "the method, then a view": (lambda x, net: x.sigmoid().view(-1, 1).squeeze(1), 1.0),
    "F.sigmoid": (lambda x, net: F.sigmoid(x).squeeze(), 1.0),
    "a gate, not the end": (lambda x, net: 2 * x * torch.sigmoid(100 + 0 * x), 2.0),
    "another sigmoid beside": (lambda x, net: (torch.sigmoid(x), torch.tanh(0 * x) + x)[1], 1.0),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("n", [1, 5])
def test_logits_are_one_number_per_image_from_before_a_last_sigmoid(end, n):
    D = Linear(ENDS[end][0])
    gan = ganlib.GAN(nets.MLPGenerator(8, widths=(16,)), D, seed=0)
    x = torch.randn(n, 1, 28, 28)
    for _ in range(2):  # the first call finds out, the second knows
        logits = gan.judge(x, "a")
        assert logits.shape == (n,)
        assert torch.allclose(logits, ENDS[end][1] * D.layer(x.flatten(1)).flatten())
    big = 1e4 * x  # where a probability is rounded to 0 or 1
    assert gan.judge(big, "a").abs().min() > 20 and gan.judge(big, "a").grad_fn is not None


@pytest.mark.parametrize("compiled", [False, True])
def test_a_second_head_beside_a_sigmoid(compiled, digits):
    class Answers(nn.Module):
        def __init__(self):
            super().__init__()
            self.logit, self.answers = nn.Linear(784, 1), nn.Linear(784, 12)

        def forward(self, x, labels=None, read=False):
            x = x.flatten(1)
            real = torch.sigmoid(self.logit(x))
            return (real, self.answers(x)) if read else real

    torch.manual_seed(0)
    G = nets.CompactGenerator(16, widths=(8, 8), categorical=10)
    D = torch.compile(Answers(), backend="eager") if compiled else Answers()
    gan = ganlib.GAN(G, D, seed=0)
    play(gan, digits, ganlib.Game(question=losses.mutual_information(10, 2)), 2)
    x = torch.rand(3, 1, 28, 28)
    logits, answers = gan.judge(x, "a", read=True)
    assert torch.allclose(logits, D.logit(x.flatten(1)).flatten()) and answers.shape == (3, 12)


# (a) randomness of the net's own


class Module(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x, self)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.MultiheadAttention(8, 2, dropout=0.3, batch_first=True)

    def forward(self, x):
        x = x.view(len(x), 4, 8)
        return self.layer(x, x, x)[0].flatten(1)


def thirty_two(G):
    return torch.tanh(G(torch.zeros(2, 8)))


RANDOM = {
    "randn_like": lambda: Module(lambda x, net: x + 0.1 * torch.randn_like(x)),
    "F.dropout": lambda: Module(lambda x, net: F.dropout(x, 0.3, net.training)),
    "nn.Dropout": lambda: nn.Dropout(0.4),
    "nn.AlphaDropout": lambda: nn.AlphaDropout(0.4),
    "nn.RReLU": lambda: nn.RReLU(),
    "attention": Attention,
    "gumbel_softmax": lambda: Module(lambda x, net: x * F.gumbel_softmax(x, hard=True)),
    "bernoulli_": lambda: Module(lambda x, net: x * torch.empty_like(x).bernoulli_(0.5)),
    "stochastic depth by Python": lambda: Module(
        lambda x, net: x if net.training and random.random() < 0.5 else 2 * x
    ),
    "NumPy": lambda: Module(lambda x, net: x * float(numpy.random.rand())),
    "a weight of 0": lambda: Noisy(32),
}


class OwnG(nn.Module):
    latent_dim = 8

    def __init__(self, layer):
        super().__init__()
        self.first, self.layer, self.last = nn.Linear(8, 32), layer, nn.Linear(32, 784)

    def forward(self, z, labels=None):
        x = self.first(z)
        x = (
            self.layer(x[..., None, None]).flatten(1)
            if isinstance(self.layer, Noisy)
            else (self.layer(x))
        )
        return torch.tanh(self.last(x)).view(-1, 1, 28, 28)


class OwnD(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.first, self.layer, self.last = nn.Linear(784, 32), layer, nn.Linear(32, 1)

    def forward(self, x, labels=None):
        x = self.first(x.flatten(1))
        x = (
            self.layer(x[..., None, None]).flatten(1)
            if isinstance(self.layer, Noisy)
            else (self.layer(x))
        )
        return self.last(x)


def globals_now():
    return torch.get_rng_state().tolist(), random.getstate(), str(numpy.random.get_state())


@pytest.mark.parametrize("kind", RANDOM)
def test_what_a_net_draws_is_a_function_of_seed_and_step(kind, digits, tmp_path):
    def build(seed=0):
        torch.manual_seed(1)
        gan = ganlib.GAN(OwnG(RANDOM[kind]()), OwnD(RANDOM[kind]()), seed=seed)
        torch.seed(), random.seed(), numpy.random.seed()  # other global seeds for each run
        return gan

    whole = build()
    before = globals_now()
    play(whole, digits, ganlib.Game(), 6)
    a, b = whole.sample(3), whole.sample(3)
    assert globals_now() == before, "the user's generators are left alone"
    assert torch.equal(a, b)
    play(build(), digits, ganlib.Game(), 3, folder=tmp_path)
    again = build()
    ganlib.resume(tmp_path, again)
    play(again, digits, ganlib.Game(), 6)
    assert same(again.state_dict()["G"], whole.state_dict()["G"])
    assert same(again.state_dict()["D"], whole.state_dict()["D"])
    used = {"NumPy": {"numpy"}, "stochastic depth by Python": {"python"}}.get(kind, {"torch"})
    assert foreign.way_of(whole.G).draws == used == foreign.way_of(whole.D).draws
    if kind != "a weight of 0":
        gan = build()
        gan.fake(4, "a")
        assert not torch.equal(
            gan.fake(4, "a", noise=torch.ones(4, 8)), gan.fake(4, "b", noise=torch.ones(4, 8))
        )


def test_a_net_without_randomness_is_found_to_have_none(digits):
    gan = ganlib.GAN(OwnG(nn.Identity()), OwnD(nn.ReLU()), seed=0)
    play(gan, digits, ganlib.Game(), 1)
    assert foreign.way_of(gan.G).draws == set() == foreign.way_of(gan.D).draws


def test_dropout_that_is_off_at_first_is_found_when_it_is_on(digits):
    """A look in evaluation mode does not count as having seen what the net draws in training."""
    gan = ganlib.GAN(OwnG(nn.Dropout(0.5)), OwnD(nn.ReLU()), seed=0)
    with evaluating(gan.G):
        gan.fake(2, "look")
    assert foreign.way_of(gan.G).draws is None
    assert not torch.equal(gan.fake(4, "a"), gan.fake(4, "b"))
    assert torch.equal(gan.fake(4, "a"), gan.fake(4, "a")) and foreign.way_of(gan.G).draws


def test_a_penalty_by_differences_shares_the_masks_of_a_nets_own_dropout(digits):
    """Otherwise it would measure the dropout: with the masks shared it is that of a smooth D."""
    gan = ganlib.GAN(OwnG(nn.ReLU()), OwnD(nn.Dropout(0.5)), seed=0)
    batches = digits.batches(0, 0, 1, 16)
    step = ganlib.Game(penalty=losses.approximate_r1_r2(1.0)).step(gan, batches)
    exact = ganlib.GAN(OwnG(nn.ReLU()), OwnD(nn.Identity()), seed=0)
    exact.D.load_state_dict(gan.D.state_dict())
    penalty = ganlib.Game(penalty=losses.approximate_r1_r2(1.0)).step(exact, batches)["penalty"]
    assert 0.3 * penalty < step["penalty"] < 4 * penalty


def test_randomness_that_begins_later_is_found_in_the_next_run(digits):
    def layer(x, net):
        return F.dropout(x, net.p, net.training) if net.p else x

    gan = ganlib.GAN(OwnG(nn.ReLU()), OwnD(Module(layer)), seed=0)
    gan.D.layer.p = 0.0
    play(gan, digits, ganlib.Game(), 1)
    assert foreign.way_of(gan.D).draws == set()
    gan.D.layer.p = 0.5
    play(gan, digits, ganlib.Game(), 2)
    assert foreign.way_of(gan.D).draws == {"torch"}


def test_an_own_net_with_a_layer_of_torchs_dropout_is_tried(digits):
    D = nets.MLPDiscriminator(widths=(16,))
    D.layers.insert(1, nn.Dropout(0.5))
    gan = ganlib.GAN(nets.MLPGenerator(8, widths=(16,)), D, seed=0)
    play(gan, digits, ganlib.Game(), 1)
    assert foreign.way_of(D).draws == {"torch"}


# (b) images judged together


def gradient_of_two_passes(D, gan, real):
    net = copy.deepcopy(D)
    fake = gan.fake(len(real), "D0").detach()
    F.softplus(-net(real).flatten()).mean().backward()
    F.softplus(net(fake).flatten()).mean().backward()
    return [weight.grad for weight in net.parameters()]


class Discrimination(nn.Module):
    """Salimans et al. 2016: how near the others of the batch are, as further features."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(784, 16), nn.Linear(32, 1)

    def forward(self, x):
        x = self.first(x.flatten(1))
        near = torch.exp(-(x[:, None] - x[None]).abs()).sum(1)
        return self.last(torch.cat([x, near], 1))


TOGETHER = {
    "groups of four": StyleD,
    "detached": lambda: OwnD(Module(lambda x, net: x / x.detach().std(0).mean().add(1e-3))),
    "weighed by 0 at first": lambda: OwnD(Zero()),
    "minibatch discrimination": Discrimination,
    "only in training": lambda: OwnD(
        Module(lambda x, net: F.batch_norm(x, None, None, training=True) if net.training else x)
    ),
    "attention over the batch": lambda: OwnD(
        Module(lambda x, net: x + torch.softmax(x @ x.T, 1) @ x)
    ),
}


class Zero(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return x + self.weight * x.std(0, unbiased=False).mean()


@pytest.mark.parametrize("kind", TOGETHER)
def test_images_judged_together_are_judged_reals_and_fakes_apart(kind, digits):
    torch.manual_seed(0)
    gan = ganlib.GAN(nets.MLPGenerator(8, widths=(16,)), TOGETHER[kind](), seed=0)
    gan.to(dtype=torch.float64)
    real = digits.batches(0, 0, 1, 16, torch.float64).images[0]
    expected = gradient_of_two_passes(gan.D, gan, real)
    gan.opt_D.step = lambda *a, **k: None
    ganlib.discriminator_step(gan, real)
    for weight, gradient in zip(gan.D.parameters(), expected, strict=True):
        assert torch.allclose(weight.grad, gradient, rtol=0, atol=1e-12)
    assert not gan.one_pass
    for penalty in (losses.r1(1.0), losses.gradient_penalty(), losses.approximate_r1_r2(1.0)):
        with pytest.raises(ValueError, match="depends on the others: there is no gradient of one"):
            ganlib.discriminator_step(gan, real, penalty=penalty)


@pytest.mark.parametrize(
    "layer",
    [nn.LayerNorm(32), nn.Dropout(0.5), nn.Softmax(1), nn.GroupNorm(4, 32), nn.RReLU()],
    ids=lambda layer: type(layer).__name__,
)
def test_images_judged_one_by_one_stay_in_one_pass(layer, digits):
    gan = ganlib.GAN(nets.MLPGenerator(8, widths=(16,)), OwnD(layer), seed=0)
    play(gan, digits, ganlib.Game(penalty=losses.r1(1.0)), 1)
    assert gan.one_pass


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("norm", [nn.utils.spectral_norm, nn.utils.parametrizations.spectral_norm])
def test_spectral_norm_changes_with_each_use_and_judges_one_by_one(norm, digits):
    D = WganD()
    norm(D.model[0]), norm(D.model[2])
    gan = ganlib.GAN(WganG(), D, latent_dim=20, seed=0)
    before = copy.deepcopy(D.state_dict())
    gan.check(digits)
    assert same(D.state_dict(), before) and gan.one_pass
    play(gan, digits, ganlib.Game(penalty=losses.r1(1.0)), 2)


DOUBTS = {
    "D ends in a sigmoid: the losses take its logits": lambda: (
        WganG(),
        Linear(ENDS["F.sigmoid"][0]),
    ),
    "G drew no value below 0": lambda: (Returns(torch.sigmoid, WganG()), WganD()),
    "D returned numbers from 0 to 1": lambda: (WganG(), Returns(F.hardsigmoid, WganD())),
    "": lambda: (WganG(), WganD()),
}


@pytest.mark.parametrize("text", DOUBTS)
def test_what_is_worth_knowing_is_said_once(text, digits, capsys):
    gan = ganlib.GAN(*DOUBTS[text](), latent_dim=20, seed=0)
    play(gan, digits, ganlib.Game(), 1)
    assert capsys.readouterr().out.startswith(text)
    play(gan, digits, ganlib.Game(), 2)
    assert not capsys.readouterr().out.startswith(text or "D ")


def test_trying_leaves_no_trace(digits):
    """Buffers, modes, gradients, the weights and their gradient flags are as they were."""
    D = Dropout2dD()
    D.model[0].weight.requires_grad_(False)
    D.model[3].eval()
    gan = ganlib.GAN(UpsampleG(), D, seed=0, latent_dim=20)
    states = [copy.deepcopy(net.state_dict()) for net in (gan.G, gan.D)]
    modes = [module.training for module in D.modules()]
    before = globals_now()
    gan.check(pictures(32, 1))
    assert globals_now() == before and modes == [module.training for module in D.modules()]
    assert all(same(net.state_dict(), was) for net, was in zip((gan.G, D), states, strict=True))
    assert all(weight.grad is None for weight in (*D.parameters(), *gan.G.parameters()))
    assert [weight.requires_grad for weight in D.parameters()].count(False) == 1


# (c) the memory format


def last(net):
    return [
        w.is_contiguous(memory_format=torch.channels_last) for w in net.parameters() if w.ndim == 4
    ]


def test_channels_last_only_where_the_net_can():
    gan, data, game = made("dcgan", ema=10.0)
    strides = [weight.stride() for weight in gan.D.parameters()]
    assert strides == [weight.stride() for weight in Dropout2dD().parameters()]
    play(gan, data, game, 2)
    assert all(last(gan.G)) and all(last(gan.G_ema)), "it gives the same, and is faster"
    viewed = [w.stride() for w in gan.D.parameters()]
    assert viewed == strides, "`view` after a convolution: it stays as it was"


def test_a_net_whose_gradient_fails_in_the_other_format_stays_as_it_was():
    class Viewed(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            if not gradient.is_contiguous():
                raise RuntimeError("view size is not compatible")
            return gradient

    class D(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(1, 4, 3, 2, 1), nn.Conv2d(4, 1, 14)

        def forward(self, x):
            return self.b(Viewed.apply(self.a(x)))

    gan = ganlib.GAN(nets.MLPGenerator(8, widths=(16,)), D(), seed=0)
    play(gan, pictures(28, 1), ganlib.Game(), 1)
    assert gan.D.a.weight.is_contiguous() and not any(last(gan.D)[:0])


# (d) modes and frozen weights


def test_training_mode_is_set_and_said(digits, capsys):
    G = WganG()
    gan = ganlib.GAN(G, WganD(), seed=0, latent_dim=20)
    G.eval()
    steps = ganlib.train(gan, digits, until=4, batch_size=8)
    assert "G was in evaluation mode; it trains in training mode" in capsys.readouterr().out
    norm = next(module for module in G.modules() if isinstance(module, nn.BatchNorm1d))
    seen = []
    for _ in steps:
        seen.append(norm.num_batches_tracked.item())
        gan.G.eval()  # a look, and the way back is forgotten
    assert seen == [2, 4, 6, 8]


def test_a_net_that_refuses_training_mode_is_left_in_peace(digits, capsys):
    class Still(WganD):
        def train(self, mode=True):
            return super().train(False)

    play(ganlib.GAN(WganG(), Still().eval(), seed=0, latent_dim=20), digits, ganlib.Game(), 2)
    assert "evaluation mode" not in capsys.readouterr().out


def test_a_layer_in_evaluation_mode_on_purpose_stays_so(digits):
    G = WganG()
    norm = next(module for module in G.modules() if isinstance(module, nn.BatchNorm1d)).eval()
    play(ganlib.GAN(G, WganD(), seed=0, latent_dim=20), digits, ganlib.Game(), 2)
    assert norm.num_batches_tracked == 0 and not norm.training and G.training


def test_frozen_nets(digits, small, tmp_path, capsys):
    play(small(), digits, ganlib.Game(), 1, folder=tmp_path / "run")
    ganlib.export(tmp_path / "run", tmp_path / "shared")
    G = ganlib.load_generator(tmp_path / "shared")
    before = copy.deepcopy(G.state_dict())
    gan = play(ganlib.GAN(G, nets.MLPDiscriminator(widths=(16,)), seed=0), digits, ganlib.Game(), 2)
    assert "loaded with frozen weights; they learn from here on" in capsys.readouterr().out
    assert not same(gan.G.state_dict(), before)
    with pytest.raises(ValueError, match=r"no weight of WganG can learn: all 12 are frozen; requ"):
        ganlib.GAN(WganG().requires_grad_(False), WganD(), latent_dim=20)
    gan = ganlib.GAN(WganG(), WganD(), latent_dim=20, seed=0)
    gan.D.requires_grad_(False)
    with pytest.raises(ValueError, match=r"no weight of D can learn: all 6 are frozen"):
        ganlib.train(gan, digits, until=1)
    gan.D.model[4].requires_grad_(True)  # the last layer alone: transfer learning
    first = gan.D.model[0].weight.clone()
    play(gan, digits, ganlib.Game(), 2)
    assert torch.equal(first, gan.D.model[0].weight)
    assert not gan.D.model[0].weight.requires_grad and gan.D.model[4].weight.requires_grad


def test_one_generator_in_two_gans(digits):
    """The second run starts from what the first has learned; the first goes on with it too."""
    G = WganG()
    first, second = (ganlib.GAN(G, WganD(), seed=s, latent_dim=20) for s in (0, 1))
    play(first, digits, ganlib.Game(), 2)
    learned = copy.deepcopy(G.state_dict())
    assert first.G is second.G and torch.equal(
        first.sample(2), second.sample(2, noise=first.noise(2))
    )
    play(second, digits, ganlib.Game(), 2)
    assert not same(G.state_dict(), learned)
    play(first, digits, ganlib.Game(), 4)


# what GAN() changes, and copies


def test_gan_changes_nothing_about_the_nets():
    G, D = UpsampleG(), Dropout2dD().eval()
    G.conv_blocks[2].weight.requires_grad_(False)
    D.to(memory_format=torch.channels_last)

    def facts():
        return [
            (name, weight.requires_grad, weight.stride(), weight.data_ptr())
            for net in (G, D)
            for name, weight in net.state_dict(keep_vars=True).items()
        ] + [(module.training, sorted(vars(module))) for net in (G, D) for module in net.modules()]

    before = facts(), globals_now()
    gan = ganlib.GAN(G, D, latent_dim=20, seed=0, ema=10.0)
    assert (facts(), globals_now()) == before and gan.G is G and gan.D is D


class Empty(nn.Module):
    """A module whose length is 0, and whose attributes have names that ganlib's nets use too."""

    latent_dim, player = 8, "me"

    def __init__(self):
        super().__init__()
        self.classes, self.settings = ["cat", "dog"], object()
        self.generator = nn.Linear(8, 784)

    def __len__(self):
        return 0

    def forward(self, z):
        return torch.tanh(self.generator(z)).view(-1, 1, 28, 28)


class EmptyD(Empty):
    def __init__(self):
        super().__init__()
        self.generator = nn.Linear(784, 1)

    def forward(self, x):
        return self.generator(x.flatten(1))


def test_lengths_and_attributes_of_any_name(digits, tmp_path):
    gan = ganlib.GAN(Empty(), EmptyD(), seed=0, ema=20.0)
    play(gan, digits, ganlib.Game(), 2, folder=tmp_path)
    assert gan.classes == 0 and gan.sample(2).shape == (2, 1, 28, 28)
    assert isinstance(gan.G.generator, nn.Linear) and gan.look().images.shape[0] == 64
    again = ganlib.GAN(Empty(), EmptyD(), seed=0, ema=20.0)
    assert ganlib.resume(tmp_path, again) and same(again.state_dict()["G"], gan.state_dict()["G"])


def with_norm(norm):
    def build():
        G = WganG()
        norm(G.model[0])
        norm(G.model[-2])
        return G

    return build


COPIED = {
    "weight_norm": with_norm(torch.nn.utils.weight_norm),
    "its parametrization": with_norm(torch.nn.utils.parametrizations.weight_norm),
    "spectral_norm": with_norm(torch.nn.utils.spectral_norm),
    "orthogonal": with_norm(torch.nn.utils.parametrizations.orthogonal),
}


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("kind", COPIED)
def test_an_average_of_reparametrized_weights(kind, digits):
    """With a half-life of 0 the average is a copy: it draws the same images as G."""
    G = COPIED[kind]()
    G(torch.randn(4, 20)).sum().backward()  # what a hook computed has a graph then
    gan = ganlib.GAN(G, WganD(), seed=0, ema=0, latent_dim=20)
    assert gan.G_ema is not G
    play(gan, digits, ganlib.Game(), 3)
    z = gan.noise(4)
    with torch.no_grad(), evaluating(gan.G, gan.G_ema):
        assert torch.allclose(gan.G(z), gan.G_ema(z), atol=1e-6)
    assert gan.sample(2).isfinite().all()


def test_a_net_that_keeps_its_last_activations_can_be_copied(digits):
    class Keeps(WganG):
        def forward(self, z):
            self.last = self.model[0](z)
            return super().forward(z)

    gan = ganlib.GAN(Keeps(), WganD(), seed=0, ema=10.0, latent_dim=20)
    play(gan, digits, ganlib.Game(), 2)
    assert gan.sample(2).shape == (2, 1, 28, 28)

    class Open(WganG):
        def __deepcopy__(self, memo):
            raise TypeError("cannot pickle '_io.TextIOWrapper' object")

    with pytest.raises(ValueError, match=r"Open cannot be copied \(cannot pickle.*use ema=None"):
        ganlib.GAN(Open(), WganD(), ema=10.0, latent_dim=20)


@pytest.mark.parametrize("way", ["wrapped", "in place"])
def test_compiled_nets(way, digits, tmp_path):
    """The state is that of the net within: a run goes on with or without the compiler."""

    def build(compiled):
        torch.manual_seed(0)
        G, D = nets.MLPGenerator(8, widths=(16,)), Linear(lambda x, net: torch.sigmoid(x))
        if compiled and way == "wrapped":
            G, D = (torch.compile(net, backend="eager") for net in (G, D))
        elif compiled:
            G.compile(backend="eager"), D.compile(backend="eager")
        return ganlib.GAN(G, D, seed=0, ema=10.0)

    whole = play(build(False), digits, ganlib.Game(), 4)
    play(build(True), digits, ganlib.Game(), 2, folder=tmp_path)
    again = build(False)
    assert ganlib.resume(tmp_path, again)
    play(again, digits, ganlib.Game(), 4)
    assert same(again.state_dict()["D"], whole.state_dict()["D"])
    assert list(build(True).state_dict()["G"]) == list(whole.state_dict()["G"])


# how nets are called


def test_sequential_nets_with_a_latent_size(digits):
    G = nn.Sequential(nn.Linear(12, 784), nn.Tanh(), nn.Unflatten(1, (1, 28, 28)))
    D = nn.Sequential(nn.Flatten(), nn.Linear(784, 1))
    gan = ganlib.GAN(G, D, latent_dim=12, seed=0)
    assert torch.equal(gan.sample(3), G(gan.noise(3)))
    play(gan, digits, ganlib.Game(), 2)
    assert gan.sample(3).shape == (3, 1, 28, 28)
    with pytest.raises(ValueError, match="labels were given, and this G takes none"):
        gan.sample(3, labels=1)
    column = ganlib.GAN(TutorialG(nz=12), TutorialD(), latent_dim=12, seed=0)
    fakes = column.fake(3, "a")
    column.G.eval()
    assert torch.equal(column.sample(3), column.G(column.noise(3)[:, :, None, None]))
    assert fakes.shape == (3, 3, 64, 64)


class ConditionalG(nn.Module):
    """As in PyTorch-GAN's cgan: labels are required, and nothing says how many there are."""

    latent_dim = 8

    def __init__(self, classes=10):
        super().__init__()
        self.embedding, self.layer = nn.Embedding(classes, 4), nn.Linear(12, 784)

    def forward(self, noise, labels):
        x = torch.cat([self.embedding(labels), noise], -1)
        return torch.tanh(self.layer(x)).view(-1, 1, 28, 28)


class ConditionalD(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.embedding, self.layer = nn.Embedding(classes, 4), nn.Linear(788, 1)

    def forward(self, img, labels):
        return self.layer(torch.cat([img.view(len(img), -1), self.embedding(labels)], -1))


def test_conditional_nets_without_classes(digits):
    gan = ganlib.GAN(ConditionalG(), ConditionalD(), seed=0)
    with pytest.raises(ValueError, match=r"ConditionalG was called without labels.*`classes`"):
        gan.sample(2)
    play(gan, digits, ganlib.Game(), 2)
    some = gan.sample(4, labels=3)
    assert torch.equal(some, gan.G(gan.noise(4), torch.full((4,), 3)))
    assert gan.sample(2).shape == (2, 1, 28, 28)
    bare = ganlib.Images(digits.images[:100])
    with pytest.raises(
        ValueError, match=r"G cannot be run on \(2, 8\) \(.*without labels.*`classes`"
    ):
        ganlib.train(ganlib.GAN(ConditionalG(), ConditionalD()), bare, until=1)
    with pytest.raises(ValueError, match=r"G cannot be run on \(2, 8\) and labels \(2,\).*range"):
        ganlib.train(ganlib.GAN(ConditionalG(1), ConditionalD(1)), digits, until=1)


def test_a_second_argument_that_is_no_label_keeps_its_default(digits):
    class G(WganG):
        def forward(self, z, alpha=1.0):
            return alpha * super().forward(z)

    class D(WganD):
        def forward(self, img, *, labels=None, features=False):
            return super().forward(img)

    play(ganlib.GAN(G(), D(), latent_dim=20, seed=0), digits, ganlib.Game(), 1)


# sentences


class Returns(nn.Module):
    def __init__(self, wrap, net):
        super().__init__()
        self.wrap, self.net = wrap, net

    def forward(self, x, labels=None):
        return self.wrap(self.net(x))


SENTENCES = {
    "G a tuple": (
        lambda: (Returns(lambda x: (x, 1), nets.MLPGenerator(8)), WganD()),
        r"G returned a tuple of 2; a tensor of images alone is expected",
    ),
    "G a dict": (
        lambda: (Returns(lambda x: {"image": x, "w": 0}, nets.MLPGenerator(8)), WganD()),
        r"G returned a dict of image, w; a tensor of images alone is expected",
    ),
    "D a tuple": (
        lambda: (nets.MLPGenerator(8), Returns(lambda x: (x, x), WganD())),
        r"D returned a tuple of 2; a tensor of logits alone is expected",
    ),
    "D a mean": (
        lambda: (nets.MLPGenerator(8), Returns(lambda x: x.mean(), WganD())),
        r"D returned \(\) for 2 images; one logit per image, \(2,\)",
    ),
    "D features": (
        lambda: (nets.MLPGenerator(8), Returns(lambda x: x.repeat(1, 3), WganD())),
        r"D returned \(2, 3\) for 2 images; one logit per image",
    ),
    "G half": (
        lambda: (nets.MLPGenerator(8).half(), nets.MLPDiscriminator()),
        r"G has weights of torch.float16, too coarse.*bf16",
    ),
    "D bfloat16": (
        lambda: (nets.MLPGenerator(8), WganD().to(torch.bfloat16)),
        r"D has weights of torch.bfloat16, too coarse",
    ),
    "D double": (
        lambda: (nets.MLPGenerator(8), WganD().double()),
        r"G of torch.float32 on cpu, D of torch.float64 on cpu; one type on one device.*gan.to",
    ),
    "elsewhere": (
        lambda: (nets.MLPGenerator(8), WganD().to("meta")),
        r"G of torch.float32 on cpu, D of torch.float32 on meta; one type on one device",
    ),
    "no weights": (
        lambda: (nets.MLPGenerator(8), nn.Flatten(0)),
        r"no weight of Flatten can learn: it has none",
    ),
}


@pytest.mark.parametrize("case", SENTENCES)
def test_what_is_said(case, digits):
    build, message = SENTENCES[case]
    with pytest.raises(ValueError, match=message):
        G, D = build()
        size = getattr(G, "latent_dim", 8)
        ganlib.train(ganlib.GAN(G, D, latent_dim=size, seed=0), digits, until=1)


def test_both_nets_in_double(digits):
    gan = ganlib.GAN(WganG().double(), WganD().double(), latent_dim=20, seed=0)
    play(gan, digits, ganlib.Game(), 2)
    assert gan.sample(2).dtype == torch.float64


def test_batch_norm_and_one_image(digits):
    gan = ganlib.GAN(WganG(), WganD(), latent_dim=20, seed=0)
    with pytest.raises(ValueError, match=r"WganG has batch normalisation.*given 1: use a larger b"):
        for _ in ganlib.train(gan, digits, until=1, batch_size=1):
            pass
    assert gan.step == 0 and gan.sample(1).shape == (1, 1, 28, 28)
    odd = ganlib.Images(digits.images[:9])  # 9 = 4 + 4 + 1: all batches have 4 images
    for now in ganlib.train(
        ganlib.GAN(WganG(), WganD(), latent_dim=20), odd, until=6, batch_size=4
    ):
        assert now.images == 4 * now.step


class LazyD(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.LazyConv2d(4, 3, 2, 1), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(1)
        )


def test_lazy_layers_get_their_weights_before_they_are_counted(digits, tmp_path):
    def build():
        torch.manual_seed(0)
        G = nn.Sequential(nn.LazyLinear(784), nn.Tanh(), nn.Unflatten(1, (1, 28, 28)))
        return ganlib.GAN(G, LazyD(), latent_dim=8, seed=0, ema=10.0)

    gan = build()
    assert gan.G[0].weight.shape == (784, 8) and gan.D[3].weight.shape == (1, 4 * 14 * 14)
    assert same(list(gan.G.parameters()), list(gan.G_ema.parameters()))
    assert gan.D[1].num_batches_tracked == 0 and gan.D.training
    play(gan, digits, ganlib.Game(), 4)
    play(build(), digits, ganlib.Game(), 2, folder=tmp_path)
    again = build()
    ganlib.resume(tmp_path, again)
    assert same(play(again, digits, ganlib.Game(), 4).state_dict()["D"], gan.state_dict()["D"])
    with pytest.raises(ValueError, match="Sequential has lazy layers: run it once"):
        ganlib.Player(nn.Sequential(nn.LazyLinear(784)), ema=10.0)


def test_trying_happens_once(digits, monkeypatch):
    calls = []
    inner = trying._untouched
    monkeypatch.setattr(trying, "_untouched", lambda net: calls.append(net) or inner(net))
    gan = ganlib.GAN(WganG(), WganD(), latent_dim=20, seed=0)
    play(gan, digits, ganlib.Game(), 3)
    play(gan, digits, ganlib.Game(), 6)
    assert calls == [gan.D, gan.G]
    monkeypatch.setattr(trying, "look_over", None)  # ganlib's own need none of it
    own = ganlib.GAN(nets.MLPGenerator(8, widths=(16,)), nets.MLPDiscriminator(widths=(16,)))
    play(own, digits, ganlib.Game(), 1)
