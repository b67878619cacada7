import math

import numpy
import pytest
import torch
from conftest import same

import ganlib
from ganlib import nets
from ganlib.run import history


def run(gan, data, until, **settings):
    return list(ganlib.train(gan, data, until=until, batch_size=10, **settings))


def vector(net):
    return torch.cat([weight.detach().flatten() for weight in net.parameters()])


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.0, 0.9)])
def test_the_length_of_an_update(small, digits, betas):
    """Against the weights before and after the step."""
    gan = small(betas=betas)
    run(gan, digits, 4)
    before = {player: vector(getattr(gan, player)) for player in "GD"}
    run(gan, digits, 5, record_every=5)
    for player in "GD":
        after = vector(getattr(gan, player))
        expected = (after - before[player]).norm() / after.norm()
        assert gan.history[-1][f"update_{player.lower()}"] == pytest.approx(
            expected.item(), rel=1e-3
        )


def test_an_optimizer_of_ones_own_has_no_update_ratio(small, digits):
    gan = small()
    gan.opt_D = torch.optim.SGD(gan.D.parameters(), lr=1e-3)
    run(gan, digits, 1)
    assert "update_g" in gan.history[0] and "update_d" not in gan.history[0]


def test_variety_is_the_mean_distance_to_the_nearest_other(small, digits):
    gan = small()
    run(gan, digits, 5, record_every=5)
    row, some = (
        gan.history[-1],
        torch.randperm(len(digits), generator=torch.Generator().manual_seed(0))[:64],
    )
    for name, images in (("variety", gan.sample(64)), ("real_variety", digits.floats(some))):
        nearest = [
            min((a - b).norm().item() for j, b in enumerate(images) if j != i)
            for i, a in enumerate(images)
        ]
        assert row[name] == pytest.approx(sum(nearest) / 64, rel=1e-4)
    assert row["real_diversity"] == pytest.approx(digits.floats(some).std(0).mean().item())
    assert row["objective"] == "losses.non_saturating"


def test_forms_see_through_colours(small, digits):
    """The mean over images of the least sqrt(1 - r^2), by numpy's correlations of means of pixels;
    other colours, brightness and contrast, or a negative, change nothing.
    """
    draws = torch.Generator().manual_seed(0)
    images = torch.rand(12, 3, 32, 32, generator=draws)
    grey = images.mean(1).view(12, 16, 2, 16, 2).mean((2, 4)).flatten(1).numpy()
    r = abs(numpy.corrcoef(grey)) - numpy.eye(12)
    expected = ((1 - r.max(1) ** 2) ** 0.5).mean()
    found = history._various(images, "")["forms"].item()
    assert found == pytest.approx(expected, abs=1e-5) and found > 0.5
    tinted = images * torch.rand(12, 1, 1, 1, generator=draws) - torch.rand(12, 3, 1, 1) * 0.5
    assert history._various(-tinted, "")["forms"].item() == pytest.approx(expected, abs=1e-5)
    four = images[:4].repeat(3, 1, 1, 1) * torch.tensor([1.0, 0.4, -0.7]).repeat_interleave(4).view(
        12, 1, 1, 1
    ) + torch.rand(12, 3, 1, 1, generator=draws)
    assert history._various(four, "")["forms"] < 0.01
    assert history._various(four, "")["variety"] > 0.1 * history._various(images, "")["variety"]
    flat = torch.rand(12, 3, 1, 1, generator=draws).expand(-1, -1, 20, 20)
    assert history._various(flat, "")["forms"] == 1  # nothing is drawn: no two are alike
    assert "forms" not in history._various(torch.rand(12, 2), "")


class Breaks(torch.nn.Module):
    """A layer whose output, or its gradient, is not a number at its `at`-th call with a graph."""

    def __init__(self, at, gradient=False):
        super().__init__()
        self.at, self.gradient = at, gradient
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        if not (self.training and torch.is_grad_enabled()):
            return x
        self.calls += 1
        nothing = torch.where(self.calls == self.at, 0.0, 1.0)
        return (
            x * (x.square().sum() * 0 + nothing).sqrt() / nothing.sqrt()
            if not self.gradient
            else _Bad.apply(x, nothing)
        )


class _Bad(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, nothing):
        ctx.save_for_backward(nothing)
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient / ctx.saved_tensors[0], None


def broken(where, at, gradient=False, **settings):
    torch.manual_seed(0)
    G, D = nets.MLPGenerator(8, widths=(16,)), nets.MLPDiscriminator(widths=(16,))
    net = {"G": G, "D": D}[where]
    net.layers.insert(2, Breaks(at, gradient))
    return ganlib.GAN(G, D, seed=1, **settings)


@pytest.mark.parametrize(
    "where, at, gradient, step, what",
    [
        ("G", 7, False, 7, "the output of G.layers.2 (Breaks)"),
        (
            "D",
            9,
            False,
            5,
            "the output of D.layers.2 (Breaks)",
        ),  # two calls a step: D's move and G's
        ("D", 9, True, 5, "the gradient of the weights of D.layers.0 (Linear)"),
        ("G", 1, False, 1, "the output of G.layers.2 (Breaks)"),
    ],
)
def test_a_figure_that_is_not_finite_ends_the_run_and_is_traced(
    digits, where, at, gradient, step, what
):
    gan, whole = broken(where, at, gradient), broken(where, at=10**9)
    nows = run(gan, digits, 20, record_every=4)
    back = 4 if step > 4 else 0
    expected = f"at step {step}, in {what}"
    assert nows[-1].reason == f"not finite {expected}; the run is back at step {back}"
    assert gan.step == back and gan.history[-1]["not_finite"] == expected
    assert all(weight.isfinite().all() for net in (gan.G, gan.D) for weight in net.parameters())
    if back:
        run(whole, digits, back, record_every=4)
        assert same(
            dict(whole.G.state_dict()),
            {k: v for k, v in gan.G.state_dict().items() if "calls" not in k}
            | {k: v for k, v in whole.G.state_dict().items() if "calls" in k},
        )
        assert all(
            math.isfinite(v) for row in gan.history for v in row.values() if isinstance(v, float)
        )


def test_what_the_loop_itself_breaks_is_not_blamed_on_a_step(small, digits):
    gan = small()
    for now in ganlib.train(gan, digits, until=20, batch_size=10, record_every=5):
        if now.step == 7:
            with torch.no_grad():
                next(gan.D.parameters()).fill_(math.nan)
    assert now.reason == "not finite between steps 6 and 10; the run is back at step 5"


def test_a_run_that_is_broken_can_be_saved_and_goes_on(digits, tmp_path):
    gan = broken("D", 9)
    run(gan, digits, 20, record_every=4)
    ganlib.save(tmp_path, gan)
    again = broken("D", 9)
    assert ganlib.resume(tmp_path, again) and again.history == gan.history
    assert "not finite at step 5" in run(again, digits, 20, record_every=4)[-1].reason


def test_a_run_that_ends_between_two_rows_is_looked_at(digits):
    """The step that broke is after the last row: the end itself asks."""
    gan = broken("D", 9)
    assert run(gan, digits, 6, record_every=50)[-1].reason.startswith(
        "not finite at step 5, in the output of D.layers.2"
    )
    assert gan.step == 1 and all(weight.isfinite().all() for weight in gan.D.parameters())


def test_a_step_that_returns_nothing_and_a_set_of_one_image(small, digits):
    with pytest.raises(ValueError, match="the step returned NoneType; a dict of 0-d tensors"):
        list(ganlib.train(small(), digits, lambda gan, batches: None, until=2, batch_size=10))
    with pytest.raises(ValueError, match="'one' has 1 image; at least 2"):
        list(
            ganlib.train(
                small(), ganlib.Images(digits.images[:1], name="one"), until=2, batch_size=1
            )
        )


def test_a_step_of_ones_own_with_few_figures_is_watched_too(small, digits, capsys):
    def step(gan, batches):
        stats = ganlib.gan_step(gan, batches)
        return {"d_loss": stats["d_loss"], "g_loss": stats["g_loss"]}

    gan = small()
    for _ in ganlib.train(
        gan, digits, step, until=40, batch_size=10, record_every=2, view=ganlib.LiveView(every=0)
    ):
        pass
    assert (
        "only 0 rows with all figures" in str(ganlib.diagnose(gan.history))
        and ganlib.curves(gan.history).data
    )
