import copy
import inspect
import math
import re

import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate

import ganlib
from ganlib import losses, nets
from ganlib.nets import compact, layers, r3gan

PAIRS = [
    (nets.ConvGenerator, nets.ConvDiscriminator),
    (nets.ResidualGenerator, nets.ResidualDiscriminator),
    (nets.CompactGenerator, nets.CompactDiscriminator),
    (nets.PictureGenerator, nets.PictureDiscriminator),
]
kinds = pytest.mark.parametrize("Gen, Dis", PAIRS, ids=["conv", "residual", "compact", "picture"])


@kinds
@pytest.mark.parametrize("size", [8, 14, 16, 28, 32, 56, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_size_and_both_channel_counts(Gen, Dis, size, channels):
    shape = (channels, size, size)
    doublings = round(math.log2(size / (7 if size % 7 == 0 else 4)))
    widths = (8,) * (doublings + (Gen is nets.ResidualGenerator))
    of_G = widths + (8,) * (Gen is nets.PictureGenerator)
    G, D = Gen(shape=shape, widths=of_G), Dis(shape=shape, widths=widths)
    images = G(torch.randn(2, G.latent_dim))
    assert images.shape == (2, *shape) and D(images).shape == (2,)
    assert Gen(**G.settings).settings == G.settings and Dis(**D.settings).settings == D.settings
    default = Gen(shape=shape).settings["widths"]
    assert len(default) == len(of_G) and default == tuple(sorted(default, reverse=True))


@kinds
@pytest.mark.parametrize(
    "shape", [(1, 30, 30), (0, 28, 28), (1, 28, 32), (3, 12, 12), (1, 3, 3), (1, 0, 0)]
)
def test_sizes_that_no_net_supports(Gen, Dis, shape):
    for net in (Gen, Dis):
        with pytest.raises(ValueError, match=r"4 or 7 times a power of two.*28, 32.*pad or resize"):
            net(shape=shape)


@kinds
def test_widths_of_another_number(Gen, Dis):
    for net in (Gen, Dis):
        with pytest.raises(
            ValueError, match=r"widths=\(8, 8, 8, 8\) was given; . widths, one for each size"
        ):
            net(shape=(1, 28, 28), widths=(8, 8, 8, 8))


def test_the_dcgan_pair_is_that_of_the_paper():
    """64x64 colour: 4x4 places, then 4x4 transposed convolutions of stride 2.

    All weights are of deviation 0.02.
    """
    G = nets.ConvGenerator(shape=(3, 64, 64), widths=(1024, 512, 256, 128))
    layers = [m for m in G.layers if isinstance(m, nn.ConvTranspose2d)]
    assert [(m.in_channels, m.out_channels) for m in layers] == [
        (1024, 512),
        (512, 256),
        (256, 128),
        (128, 3),
    ]
    assert all((m.kernel_size, m.stride) == ((4, 4), (2, 2)) for m in layers) and isinstance(
        G.layers[-1], nn.Tanh
    )
    assert (
        sum(p.numel() for p in G.parameters()) == 12_658_435
    )  # by hand: 100*16384 + 16*sum(in*out) + norms + 3
    D = nets.ConvDiscriminator(shape=(3, 64, 64), widths=(128, 256, 512, 1024), norm="batch")
    assert [type(m).__name__ for m in D.layers[:5]] == [
        "Conv2d",
        "LeakyReLU",
        "Conv2d",
        "BatchNorm2d",
        "LeakyReLU",
    ]
    for net in (G, D):
        for m in net.modules():
            if isinstance(m, (nn.ConvTranspose2d, nn.Conv2d)):
                assert m.weight.std().item() == pytest.approx(0.02, rel=0.05)


def test_folding_is_torchs_own():
    x = torch.randn(2, 3, 8, 6)
    squares = x.unfold(2, 2, 2).unfold(3, 2, 2)  # (N, C, H, W, 2, 2)
    folded = compact.Fold()(x)
    assert torch.equal(folded, squares.permute(0, 4, 5, 1, 2, 3).reshape(2, 12, 4, 3))
    last = x.to(memory_format=torch.channels_last)
    for layer in (compact.Fold(), compact.Mean()):
        out = layer(last)
        assert out.is_contiguous(memory_format=torch.channels_last) and torch.equal(out, layer(x))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("size", [(5, 4), (1, 1), (7, 7)])
def test_a_resize_convolution_is_doubling_and_then_a_convolution(bias, size):
    """Values, and gradients of the image, the weights and the bias, against torch's two layers."""
    ours = nets.ResizeConv2d(3, 6, bias).double()
    theirs = nn.Sequential(
        nn.Upsample(scale_factor=2), nn.Conv2d(3, 6, 3, 1, 1, bias=bias)
    ).double()
    theirs[1].load_state_dict(ours.state_dict())
    outcomes = []
    for net, layout in (
        (ours, torch.channels_last),
        (ours, torch.contiguous_format),
        (theirs, torch.contiguous_format),
    ):
        x = torch.randn(
            2, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
        )
        x = x.to(memory_format=layout).requires_grad_()
        out = net(x)
        out.mul(
            torch.linspace(-1, 1, out.numel(), dtype=torch.float64).view(out.shape)
        ).sum().backward()
        outcomes.append([out, x.grad, *[weight.grad.clone() for weight in net.parameters()]])
        net.zero_grad()
    for other in outcomes[1:]:
        assert all(
            torch.allclose(a, b, rtol=0, atol=1e-12)
            for a, b in zip(outcomes[0], other, strict=True)
        )


@pytest.mark.parametrize("extra", [0, 1, 2])
def test_the_compact_generator_doubles_before_the_first_convolution_of_a_size(extra):
    """The same G with torch's own doubling draws the same images."""
    G = nets.CompactGenerator(8, (3, 32, 32), (16, 12, 8), extra).double()
    plain = nn.Sequential(
        *(
            nn.Sequential(
                nn.Upsample(scale_factor=2),
                nn.Conv2d(m.in_channels, m.out_channels, 3, 1, 1, bias=m.bias is not None),
            )
            if isinstance(m, nets.ResizeConv2d)
            else copy.deepcopy(m)
            for m in G.layers
        )
    ).double()
    doubled = [i for i, m in enumerate(G.layers) if isinstance(m, nets.ResizeConv2d)]
    assert len(doubled) == 3 and doubled[-1] == len(G.layers) - 2
    for i in doubled:
        plain[i][1].load_state_dict(G.layers[i].state_dict())
    z = torch.randn(4, 8, dtype=torch.float64)
    assert torch.allclose(G(z), plain(z), rtol=0, atol=1e-12)


def test_the_compact_generator_treats_neighbouring_pixels_alike():
    """The same at all places gives the same pixel everywhere within: no pattern of doublings."""
    G = nets.CompactGenerator(shape=(3, 32, 32))
    inner = G.layers[-2](torch.randn(1, 32, 1, 1).expand(1, 32, 16, 16))[:, :, 2:-2, 2:-2]
    assert (
        torch.allclose(inner, inner[:, :, :1, :1].expand_as(inner), atol=1e-6)
        and inner.abs().max() > 1e-3
    )


def test_the_compact_pair_counted_by_hand():
    """28x28, widths 64 at 7x7 and 32 at 14x14, every convolution 3x3.

    D's image is folded into four channels.
    """
    G, D = nets.CompactGenerator(), nets.CompactDiscriminator()
    weights = [
        64 * 64 * 49,
        64,
        64,
        *(9 * a * b + 2 * b for a, b in ((64, 64), (64, 32), (32, 32))),
        9 * 32 + 1,
    ]
    assert sum(p.numel() for p in G.parameters()) == sum(weights)
    weights = [9 * a * b + b for a, b in ((4, 32), (32, 32), (32, 64), (64, 64))] + [64 * 49 + 1]
    assert sum(p.numel() for p in D.parameters()) == sum(weights)
    assert not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in D.modules())


def test_the_residual_pair_has_no_norm_and_begins_as_the_identity():
    G, D = nets.ResidualGenerator(), nets.ResidualDiscriminator()
    names = {type(m).__name__ for net in (G, D) for m in net.modules()}
    assert not {"BatchNorm2d", "Tanh", "GroupNorm", "LayerNorm"} & names
    blocks = [m for net in (G, D) for m in net.modules() if isinstance(m, r3gan.Block)]
    assert len(blocks) == 12
    for block in blocks:
        x = torch.randn(2, block.narrow.out_channels, 7, 7)
        assert torch.equal(block(x), x)
        assert block.mix.in_channels // block.mix.groups == 16
    gain = math.sqrt(2 / 1.04) * 6**-0.25  # six blocks in each net
    wide = G.layers[0].widen.weight
    assert wide.std().item() == pytest.approx(gain / wide[0].numel() ** 0.5, rel=0.05)


def test_resampling_is_bilinear():
    """Up: old pixels stay, new ones are neighbours' means. Down: [1, 2, 1] x [1, 2, 1] / 16."""
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    up, down = (r3gan.Resample(3, 3, up).double() for up in (True, False))
    y = up(x)
    assert y.shape == (2, 3, 12, 12)
    assert torch.allclose(y[:, :, ::2, ::2], x)
    assert torch.allclose(y[:, :, 1:-1:2, ::2], (x[:, :, 1:] + x[:, :, :-1]) / 2)
    assert torch.allclose(
        y[:, :, :-1, :-1], interpolate(x, (11, 11), mode="bilinear", align_corners=True)
    )
    z = down(x)
    window = x[:, :, 1:4, 1:4] * torch.tensor([1.0, 2, 1]).outer(torch.tensor([1.0, 2, 1])) / 16
    assert z.shape == (2, 3, 3, 3) and torch.allclose(z[:, :, 1, 1], window.sum((2, 3)))


# Classes


@kinds
def test_the_class_changes_the_image_and_the_verdict(Gen, Dis):
    torch.manual_seed(0)
    G, D = Gen(classes=10).eval(), Dis(classes=10).eval()
    z, y = torch.randn(1, G.latent_dim).expand(10, -1), torch.arange(10)
    images = G(z, y)
    assert len(torch.unique(images.flatten(1), dim=0)) == 10
    same = images[:1].expand(10, -1, -1, -1)
    assert len(D(same, y).unique()) == 10


@kinds
def test_the_noise_is_louder_than_the_class(Gen, Dis):
    """With both alike a G of ours drew one image for each class (DECISIONS.md, 28)."""
    torch.manual_seed(0)
    rows = Gen(latent_dim=200, classes=50).latent.embedding.weight
    assert rows.std().item() == pytest.approx(0.25, rel=0.05)


def test_the_projection_is_that_of_the_paper():
    """logit = psi(h) + <V_y, h>: Miyato & Koyama 2018, equation 3."""
    verdict = layers.Verdict(6, classes=4).double()
    h, y = torch.randn(5, 6, dtype=torch.float64), torch.tensor([0, 3, 1, 1, 2])
    psi = h @ verdict.linear.weight[0] + verdict.linear.bias
    assert torch.allclose(
        verdict(h, y), psi + torch.stack([h[i] @ verdict.embedding.weight[y[i]] for i in range(5)])
    )


@kinds
def test_missing_and_impossible_labels(Gen, Dis, digits):
    G, D = (net(shape=(1, 28, 28), classes=5) for net in (Gen, Dis))
    images = torch.zeros(2, 1, 28, 28)
    for labels, message in (
        (None, "no labels were given"),
        (torch.tensor([0, 5]), "labels from 0 to 5 were given"),
    ):
        with pytest.raises(
            ValueError, match=message + r".*G is conditional on 5 classes.*from 0 to 4"
        ):
            G(torch.randn(2, G.latent_dim), labels)
        with pytest.raises(ValueError, match=message + ".*D is conditional on 5 classes"):
            D(images, labels)
    gan = ganlib.GAN(G, nets.MLPDiscriminator())
    with pytest.raises(ValueError, match=r"G is conditional on 5 classes.*'digits' has 0 to 9"):
        next(ganlib.train(gan, digits, until=1))
    with pytest.raises(ValueError, match=r"'plain' has none"):
        next(ganlib.train(gan, ganlib.Images(digits.images, name="plain"), until=1))
    for labels in (torch.tensor([0, 7]), torch.tensor([0.0, 1.0]), torch.tensor([0]), -1):
        with pytest.raises(ValueError, match=re.escape("int64 (2,) from 0 to 4 are expected")):
            gan.sample(2, labels)


def test_samples_by_class():
    torch.manual_seed(0)
    gan = ganlib.GAN(
        nets.ConvGenerator(8, widths=(8, 8), classes=3),
        nets.ConvDiscriminator(widths=(8, 8), classes=3),
    )
    grid = gan.class_grid(rows=4)
    assert grid.shape == (12, 1, 28, 28)
    for row in range(4):
        z = gan.noise(4)[row : row + 1]
        for c in range(3):
            assert torch.allclose(grid[3 * row + c], gan.sample(labels=c, noise=z)[0], atol=1e-5)
    assert torch.equal(gan.sample(6), gan.sample(6, torch.tensor([0, 1, 2, 0, 1, 2])))
    assert len(gan.sample(noise=gan.noise(2500))) == 2500 == len(gan.sample(2500))
    plain = ganlib.GAN(nets.MLPGenerator(), nets.MLPDiscriminator())
    assert len(plain.sample(1, noise=plain.noise(2500))) == 2500
    with pytest.raises(ValueError, match="this G takes none"):
        plain.sample(8, labels=3)
    with pytest.raises(ValueError, match="G takes no labels"):
        ganlib.GAN(nets.MLPGenerator(), nets.MLPDiscriminator()).class_grid()


# Codes and questions


def test_the_codes_are_the_first_numbers_of_the_noise():
    latent = layers.Latent(20, categorical=10)
    z = torch.randn(1000, 20)
    out = latent(z)
    assert torch.equal(out[:, 10:], z[:, 10:]) and torch.equal(out[:, :10].sum(1), torch.ones(1000))
    assert torch.equal(out[:, :10].argmax(1), z[:, :10].argmax(1))
    counts = out[:, :10].sum(0)
    assert (counts - 100).abs().max() < 4 * 90**0.5  # each as likely as another


def test_mutual_information_is_the_closed_form():
    question = losses.mutual_information(3, 2, continuous_weight=0.3)
    answers, z = torch.randn(7, 5, dtype=torch.float64), torch.randn(7, 9, dtype=torch.float64)
    p = answers[:, :3].exp() / answers[:, :3].exp().sum(1, keepdim=True)
    code = z[:, :3].max(1).indices
    normal = torch.distributions.Normal(answers[:, 3:], 1.0).log_prob(z[:, 3:5]).sum(1) + math.log(
        2 * math.pi
    )
    expected = -torch.stack([p[i, code[i]].log() for i in range(7)]) - 0.3 * normal
    assert torch.allclose(question.loss(answers, z, None), expected)


def test_a_question_joins_both_losses_and_trains_its_head(digits):
    """Ten steps: the answers get better; without the question the head stays as it was."""
    torch.manual_seed(0)
    results = {}
    for question in (losses.mutual_information(4, 1), None):
        torch.manual_seed(0)
        G, D = (
            nets.ConvGenerator(12, widths=(8, 8), categorical=4),
            nets.ConvDiscriminator(widths=(8, 8), answers=5),
        )
        gan = ganlib.GAN(G, D, lr=2e-3, betas=(0.5, 0.99), seed=0)
        head = D.verdict.answers.weight.clone()
        rows = []
        for _ in range(40):
            stats = ganlib.gan_step(gan, digits.batches(0, gan.step, size=40), question=question)
            rows.append(stats.get("question"))
        results[question is None] = rows
        assert torch.equal(head, D.verdict.answers.weight) == (question is None)
    assert results[False][0] == pytest.approx(math.log(4) + 0.05, abs=0.4)
    assert results[False][-1] < 0.6 * results[False][0] and results[True] == [None] * 40


def test_the_question_is_in_both_gradients(digits):
    """Both moves by hand, in float64."""
    question = losses.mutual_information(4, 1, weight=0.7)
    gans = []
    for _ in range(2):
        torch.manual_seed(0)
        G, D = (
            nets.ConvGenerator(12, widths=(8, 8), categorical=4),
            nets.ConvDiscriminator(widths=(8, 8), answers=5),
        )
        gans.append(ganlib.GAN(G, D, seed=0).to(dtype=torch.float64))
    ours, hand = gans
    real = digits.batches(0, 0, size=10, dtype=torch.float64).images[0]
    ganlib.discriminator_step(ours, real, question=question)
    z = hand.noise(10, "D0")
    logits, answers = hand.D(torch.cat([real, hand.G(z).detach()]), read=True)
    bce = losses.non_saturating.d_loss(*logits.chunk(2)).mean()
    hand.opt_D.zero_grad()
    (bce + 0.7 * question.loss(answers[10:], z, None).mean()).backward()
    hand.opt_D.step()
    ganlib.generator_step(ours, real, question=question)
    z = hand.noise(10, "G")
    logits, answers = hand.D(hand.G(z), read=True)
    hand.opt_G.zero_grad()
    (
        losses.non_saturating.g_loss(None, logits).mean()
        + 0.7 * question.loss(answers, z, None).mean()
    ).backward()
    hand.opt_G.step()
    for net in ("D", "G"):
        for a, b in zip(
            getattr(ours, net).parameters(), getattr(hand, net).parameters(), strict=True
        ):
            assert torch.allclose(a, b, rtol=0, atol=1e-11)


def test_the_auxiliary_classifier_reads_reals_and_fakes(digits):
    torch.manual_seed(0)
    G, D = (
        nets.ConvGenerator(12, widths=(8, 8), classes=10),
        nets.ConvDiscriminator(widths=(16, 16), answers=10),
    )
    gan = ganlib.GAN(G, D, lr=2e-3, betas=(0.5, 0.99), seed=0)
    question = losses.auxiliary_classifier()
    for _ in range(60):
        ganlib.gan_step(gan, digits.batches(0, gan.step, size=50), question=question)
    test = digits.batches(1, 0, size=500)
    read = D(test.images[0], read=True)[1].argmax(1)
    assert (read == test.labels[0]).double().mean() > 0.6  # chance: 0.1


def test_a_question_about_labels_that_are_not_there(digits):
    gan = ganlib.GAN(
        nets.ConvGenerator(12, widths=(8, 8)), nets.ConvDiscriminator(widths=(8, 8), answers=10)
    )
    with pytest.raises(ValueError, match="images without labels; give data that has labels"):
        ganlib.discriminator_step(
            gan, digits.batches(0, 0).images[0], question=losses.auxiliary_classifier()
        )


@pytest.mark.parametrize(
    "G, D, question, message",
    [
        (
            {},
            {},
            losses.mutual_information(),
            "asks for 10 classes of codes, and G has 0; build it with categorical=10",
        ),
        (
            {"categorical": 10},
            {},
            losses.mutual_information(),
            "has no head for it; build it with answers=q",
        ),
        (
            {"categorical": 10},
            {"answers": 11},
            losses.mutual_information(),
            r"D gives 11 answers; 10 \+ 2",
        ),
        (
            {},
            {"answers": 9},
            losses.auxiliary_classifier(),
            "D gives 9 answers, and labels go up to 9",
        ),
        ({}, None, losses.auxiliary_classifier(), "takes no read=True.*CompactDiscriminator$"),
    ],
)
def test_a_question_that_the_nets_cannot_answer(G, D, question, message, digits):
    D = nets.MLPDiscriminator() if D is None else nets.ConvDiscriminator(widths=(8, 8), **D)
    gan = ganlib.GAN(nets.ConvGenerator(12, widths=(8, 8), **G), D)
    batch = digits.batches(0, 0)
    with pytest.raises(ValueError, match=message):
        ganlib.discriminator_step(gan, batch.images[0], labels=batch.labels[0], question=question)


def test_each_net_that_can_be_built_with_answers_gives_them():
    """So that the sentence above is true of all of them: `answers=` and `read=True` go together."""
    takes = {
        name: [
            argument in inspect.signature(function).parameters
            for function, argument in ((kind.__init__, "answers"), (kind.forward, "read"))
        ]
        for name, kind in ((name, getattr(nets, name)) for name in nets.NETS)
    }
    assert takes["CompactDiscriminator"] == [True, True]
    assert all(answers == read for answers, read in takes.values()), takes


# Norms and precision


def test_spectral_norm_by_name(digits):
    torch.manual_seed(0)
    D = nets.ConvDiscriminator(widths=(8, 16), norm="spectral", classes=10)
    gan = ganlib.GAN(nets.ConvGenerator(8, widths=(8, 8), classes=10), D, lr=1e-3, seed=0)
    for _ in ganlib.train(gan, digits, until=60, batch_size=20):
        pass
    D.eval()
    for layer in [D.layers[0], D.layers[2], D.verdict.linear, D.verdict.embedding]:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(
            1.0, abs=0.15
        )
    with pytest.raises(ValueError, match="norm='group'"):
        nets.ConvDiscriminator(norm="group")


def test_the_finite_difference_shares_spectral_norms_weights(digits):
    """Power iteration moves the weights at each use.

    Were they not shared in the move, a flat D would be penalised.
    """
    torch.manual_seed(0)
    D = nets.ConvDiscriminator(widths=(8, 8), norm="spectral")
    gan = ganlib.GAN(nets.ConvGenerator(8, widths=(8, 8)), D, seed=0)
    real = digits.batches(0, 0).images[0]
    exact = losses.r1_r2(1.0)
    twin = ganlib.GAN(gan.G, D, seed=0)
    state = {name: value.clone() for name, value in D.state_dict().items()}
    twin.opt_D.param_groups[0]["lr"] = gan.opt_D.param_groups[0]["lr"] = 0.0
    values = []
    for penalty in (exact, losses.approximate_r1_r2(1.0, 1e-3)):
        D.load_state_dict(state)
        values.append(ganlib.discriminator_step(gan, real, penalty=penalty)["penalty"].item())
    assert values[1] == pytest.approx(values[0], rel=0.5)


@kinds
def test_the_finite_difference_survives_bf16(Gen, Dis, digits):
    """With bf16 logits it would round to 0 or to steps of 1/256.

    With the last layer in float32 it is about right.
    """
    torch.manual_seed(0)
    values = []
    for precision in ("float32", "bf16"):
        torch.manual_seed(0)
        G, D = (net(shape=(1, 28, 28)) for net in (Gen, Dis))
        gan = ganlib.GAN(G, D, seed=0, precision=precision)
        assert gan.judge(torch.zeros(2, 1, 28, 28), "x", exact=True).dtype == torch.float32
        real = digits.batches(0, 0, size=32).images[0]
        values.append(
            ganlib.discriminator_step(gan, real, penalty=losses.approximate_r1_r2(1.0))[
                "penalty"
            ].item()
        )
    assert values[1] == pytest.approx(values[0], rel=0.2) and values[0] > 0


def test_a_d_with_bf16_logits_is_refused_with_the_reason(digits):
    class Coarse(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Flatten(), nn.Linear(784, 1), nn.Flatten(0))

        def forward(self, x, labels=None):
            return self.net(x)

    gan = ganlib.GAN(nets.MLPGenerator(), Coarse(), precision="bf16")
    real = digits.batches(0, 0).images[0]
    ganlib.discriminator_step(gan, real, penalty=losses.r1(1.0))
    with pytest.raises(ValueError, match="rounds to 0; compute D's last layer in float32"):
        ganlib.discriminator_step(gan, real, penalty=losses.approximate_r1_r2(1.0))


def test_an_objective_of_the_wrong_shape(digits, small):
    real = digits.batches(0, 0, size=10).images[0]
    mean = losses.Objective("mean", lambda r, f: (f - r).mean(), lambda r, f: -f.mean())
    with pytest.raises(
        ValueError, match=r"mean.d_loss returned \(\) for 10 images; one loss per image, \(10,\)"
    ):
        ganlib.discriminator_step(small(), real, mean)
    with pytest.raises(ValueError, match=r"mean.g_loss returned \(\) for 10 images"):
        ganlib.generator_step(small(), real, mean)
