"""What one touches: each control changes the picture, each button what it says.

A static picture is there, too.
"""

import copy
import io
from functools import partial

import numpy
import pytest
import torch
from conftest import same
from PIL import Image

import ganlib
from ganlib import lab, latent, losses, metrics, nets, plane
from ganlib.show.pictures import Picture, show


def opened(picture):
    return Image.open(io.BytesIO(picture.data))


@pytest.fixture(scope="module")
def conditional():
    return ganlib.recipe("small", classes=10).gan(0)


# Panel and painter


def test_a_control_redraws_and_an_error_is_said_not_raised():
    def draw(number, share, kind, ticked):
        if number == 7:
            raise ValueError("7 <is> unlucky")
        return Picture(Image.new("L", (10 + number, 10), int(255 * share)), f"{kind} {ticked}")

    panel = lab.Panel(
        draw,
        {"stop": lambda: "stopped", "go": lambda: (draw(2, 0, "x", True), "gone")},
        number=(3, 0, 9),
        share=(0.5, 0.0, 1.0),
        kind=["red", "blue"],
        ticked=False,
    )
    assert panel.values == {"number": 3, "share": 0.5, "kind": "red", "ticked": False}
    assert panel.picture.value == panel.start.data and panel.picture.format == "png"
    for name, value, text in (
        ("number", 4, "red False"),
        ("share", 0.75, "red False"),
        ("kind", "blue", "blue False"),
        ("ticked", True, "blue True"),
    ):
        before = panel.picture.value, panel.shown.text
        panel.controls[name].value = value
        assert (panel.picture.value, panel.shown.text) != before and panel.shown.text == text
    assert opened(panel.shown).getpixel((0, 0)) == 191 and opened(panel.shown).width == 14
    panel.controls["number"].value = 7
    assert (
        panel.line.value == "ValueError: 7 &lt;is&gt; unlucky" and opened(panel.shown).width == 14
    )
    panel.controls["number"].value = 1
    assert panel.line.value == "" and opened(panel.shown).width == 11
    panel.buttons["stop"].click()
    assert panel.line.value == "stopped"
    panel.buttons["go"].click()
    assert panel.line.value == "gone" and opened(panel.shown).width == 12


def test_a_box_to_type_in_draws_at_each_letter():
    def draw(text):
        if not text.isalpha():
            raise ValueError(f"{text!r} is no word")
        return Picture(Image.new("L", (10 * len(text), 10)), text)

    panel = lab.Panel(draw, text="one")
    assert panel.values == {"text": "one"} and panel.shown.text == "one"
    panel.controls["text"].value = "four"
    assert panel.shown.text == "four" and opened(panel.shown).width == 40
    panel.controls["text"].value = "4"
    assert panel.line.value == "ValueError: &#x27;4&#x27; is no word"
    assert panel.shown.text == "four"


def displayed(value, monkeypatch):
    import IPython.display

    shown = []
    monkeypatch.setattr(IPython.display, "display", shown.append)
    value._ipython_display_()
    return shown


def test_a_static_picture_stands_before_the_controls(monkeypatch, small, digits, conditional):
    painter = lab.Painter(["#.", ".#"])
    for thing in (
        lab.Stepper(small(), digits, n=10),
        lab.Explorer(conditional, directions=1),
        painter,
    ):
        static, widget = displayed(thing, monkeypatch)
        assert isinstance(static, Picture) and hasattr(widget, "children")


def test_what_is_painted_is_the_mask():
    painter = lab.Painter(["..#", "#.."])
    assert painter.mask == [[0, 0, 1], [1, 0, 0]]
    painter.cells[1][1].value = True
    assert painter.mask == [[0, 0, 1], [1, 1, 0]] and painter.cells[1][1].button_style == "warning"
    assert (
        plane.painted(painter.mask).sample(100, torch.Generator().manual_seed(0)).abs().max() <= 1
    )
    picture = opened(painter.picture())
    assert picture.size == (30, 20) and picture.getpixel((15, 15)) == (
        224,
        122,
        32,
    ) != picture.getpixel((5, 5))
    painter.widget.children[1].click()
    assert not any(map(any, painter.mask)) and painter.cells[1][1].button_style == ""
    assert len(lab.Painter().cells) == len(lab.Painter().cells[0]) == 16
    assert lab.Painter([[0, 1], [1, 0]]).mask == [[0, 1], [1, 0]]
    assert (
        lab.Painter(torch.eye(2)).mask == lab.Painter(torch.eye(2).bool()).mask == [[1, 0], [0, 1]]
    )
    with pytest.raises(ValueError, match=r"rows of \[1, 2\] cells"):
        lab.Painter(["#", "##"])


# Explorer


def test_each_slider_of_the_explorer_changes_the_picture(conditional, digits):
    panel = lab.Explorer(conditional, digits, directions=3).panel()
    changes = {
        "sample": 5,
        "other": 7,
        "mix": 0.5,
        "spherical": False,
        "truncation": 0.4,
        "label": 8,
        "direction_1": 2.0,
        "direction_2": -2.0,
        "direction_3": 3.0,
    }
    assert set(panel.controls) == set(changes)
    for name, value in changes.items():
        before = panel.picture.value
        panel.controls[name].value = value
        assert panel.line.value == "" and (panel.picture.value != before) == (name != "other"), name


def test_the_explorer_draws_what_it_says(conditional, digits):
    explorer = lab.Explorer(conditional, digits, directions=2)
    z = explorer.noise(sample=3)
    assert torch.equal(z[0], explorer.samples[3]) and torch.equal(
        explorer.noise(3, 9, 1.0)[0], explorer.samples[9]
    )
    moved = explorer.noise(sample=3, direction_2=1.5)
    assert torch.allclose(moved - z, 1.5 * explorer.rows[1:2], atol=1e-6)
    assert torch.allclose(
        explorer.noise(3, truncation=0.5)[0], latent.truncated(explorer.samples[3], 0.5)
    )
    half = latent.interpolate(explorer.samples[3], explorer.samples[9], 3)[1]
    assert torch.allclose(explorer.noise(3, 9, 0.5)[0], half, atol=1e-5)
    with pytest.raises(
        ValueError, match="direction_3=1 was given; direction_1 to direction_2 are there"
    ):
        explorer.noise(direction_3=1)
    image = conditional.sample(labels=4, noise=explorer.noise(sample=3))
    place, away = explorer.nearest(image)
    found = metrics.nearest(image.flatten(1), digits.floats(torch.arange(10_000)).flatten(1))
    assert place == found.index.item() and away == pytest.approx(found.distance.item(), rel=1e-4)
    drawn = opened(explorer.draw(sample=3, label=4)).convert("L")
    mine = opened(show(image, scale=7))
    assert drawn.size == (399, 232)  # no wider than the two images, below two lines of text
    assert drawn.crop((0, 36, 196, 232)).tobytes() == mine.tobytes()
    real = Image.fromarray(digits.images[place, 0].numpy()).resize(
        (196, 196), Image.Resampling.NEAREST
    )
    assert drawn.crop((203, 36, 399, 232)).tobytes() == real.tobytes()


def test_sliders_start_where_they_are_told_to(conditional):
    explorer = lab.Explorer(conditional, directions=2)
    panel = explorer.panel(sample=5, label=8)
    assert panel.start.data == explorer.draw(sample=5, label=8).data
    grid = explorer.grid_panel(label=8, x=1.0)
    assert explorer.grid_panel(side=2).start.data == explorer.grid(side=2).data
    assert grid.start.data == explorer.grid(label=8, x=1.0).data != explorer.grid(label=8).data
    assert "columns: -1.0, -0.3, +0.3, +1.0" in explorer.grid(side=4, reach=1.0).alt
    assert "rows: -3.0, -1.0; columns: +0.0, +2.0" in explorer.grid(x=1, y=-2, side=2, reach=1).alt
    for wrong in (explorer.panel, explorer.grid_panel):
        with pytest.raises(ValueError, match="digit was given; the sliders are sample, "):
            wrong(digit=8)


def test_the_grid_is_steered_by_two_sliders(conditional):
    explorer = lab.Explorer(conditional, directions=3)
    grid = explorer.grid("direction 1", "direction 3", x=0.5, y=-1.0, reach=2.0, side=3, label=6)
    last = explorer.noise(direction_1=2.5, direction_3=1.0)
    whole = opened(grid)
    top = whole.height - 56
    below = numpy.asarray(whole.convert("L"))[top:]  # the title is wider than three columns
    left = int((below < 255).any(0).nonzero()[0][-1]) - 55
    assert top == 36 + 2 * 58 and "to the right: direction 1; downwards: direction 3" in grid.alt
    corner = whole.crop((left, top, left + 56, top + 56))
    alone = opened(show(latent.draw(conditional, last, 6).detach()))
    # drawn alone and among others: low bits differ, on some processors by a step of 256
    assert numpy.abs(numpy.asarray(corner, int) - numpy.asarray(alone, int)).max() <= 1
    panel = explorer.grid_panel()
    for name, value in (
        ("x", 1.0),
        ("y", -1.0),
        ("reach", 3.0),
        ("across", "direction 3"),
        ("down", "direction 1"),
        ("sample", 4),
        ("label", 2),
    ):
        before = panel.picture.value
        panel.controls[name].value = value
        assert panel.picture.value != before and panel.line.value == "", name


def test_infogans_codes_have_sliders_and_directions_leave_them_alone():
    gan = ganlib.recipe("infogan").gan(0)
    explorer = lab.Explorer(gan, directions=2)
    assert (explorer.categorical, explorer.codes) == (10, 2) and (explorer.rows[:, :12] == 0).all()
    z = explorer.noise(code=4, code_1=1.5, code_2=-0.5)[0]
    assert z[:10].tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0, 0] and z[10:12].tolist() == [1.5, -0.5]
    panel = explorer.panel()
    for name, value in (("code", 7), ("code_1", 1.0), ("code_2", -1.0)):
        before = panel.picture.value
        panel.controls[name].value = value
        assert panel.picture.value != before, name


def test_walks_are_written_by_the_buttons(conditional, tmp_path):
    explorer = lab.Explorer(conditional, directions=1)
    panel = explorer.panel(folder=tmp_path)
    panel.controls["label"].value = 3
    panel.buttons["walk as GIF"].click()
    assert panel.line.value == f"written: {tmp_path / 'walk.gif'}" and panel.picture.format == "gif"
    with Image.open(tmp_path / "walk.gif") as film:
        assert film.n_frames == 13 and "generated" in film.info["comment"].decode()
    panel.buttons["walk as MP4"].click()
    assert "walk.mp4" in panel.line.value or "ffmpeg is not installed" in panel.line.value


def test_a_shared_generator_and_one_without_classes_can_be_explored(small, tmp_path, digits):
    gan = small()
    explorer = lab.Explorer(gan, directions=2, extractor="digits", data=digits)
    picture = explorer.draw(sample=1)
    place, away = explorer.nearest(gan.sample(noise=explorer.samples[1:2]))
    assert 0 <= place < 10_000 and away > 0 and picture.generated
    G = nets.MLPGenerator(8, (3, 8, 8), (16,))
    assert opened(lab.Explorer(G, directions=2).draw(direction_1=1.0)).size[0] >= 168
    walk = lab.Explorer(G, directions=2).walk((0, 1), 3, scale=1, width=80)
    assert opened(walk).n_frames == 4 and opened(walk).width == 8 and walk.width == 80


@pytest.mark.parametrize("classes", [0, 3])
def test_the_slider_of_truncation_moves_a_g_that_draws_noise_to_codes(classes):
    """Each label to the codes of its own images, in a picture, a grid and a walk of all labels."""
    torch.manual_seed(0)
    G = nets.PictureGenerator(6, (3, 8, 8), (12, 8), anchors=30, classes=classes)
    codes = torch.nn.functional.normalize(torch.randn(30, 6)) * 6**0.5
    G.attraction.fill(codes, torch.arange(30) % 3 if classes else None)
    explorer = lab.Explorer(G, directions=2)
    labels = [0, 1, 2] if classes else [None]
    for label in labels:
        z = latent.truncated(explorer.samples[:1], 0.5, G, label)
        assert torch.equal(explorer.noise(0, truncation=0.5, label=label), z)
        assert not torch.allclose(z, explorer.samples[:1], atol=0.1)
        with torch.no_grad():
            one = ganlib.show(latent.draw(G, z, label), ["G draws"], 24, generated=True)
        assert explorer.draw(label, truncation=0.5).data == one.data
        middle = explorer.grid(side=3, label=label, truncation=0.5)
        assert middle.data != explorer.grid(side=3, label=label).data
    walk = explorer.frames((0, 1), 1, labels if classes else None, scale=1, truncation=0.5)
    alone = [explorer.frames((0, 1), 1, x, scale=1, truncation=0.5)[0] for x in labels]
    beside = [walk[0].crop((8 * i, 0, 8 * i + 8, 8)) for i in range(len(labels))]
    assert [x.tobytes() for x in beside] == [x.tobytes() for x in alone]


def test_a_walk_keeps_to_the_sliders(tmp_path):
    gan = ganlib.recipe("infogan").gan(0)
    panel = lab.Explorer(gan, directions=1).panel(folder=tmp_path)
    films = set()
    for name, value in (
        ("sample", 3),
        ("code", 7),
        ("code_2", 2.0),
        ("truncation", 0.5),
        ("direction_1", 3.0),
    ):
        panel.controls[name].value = value
        panel.buttons["walk as GIF"].click()
        assert panel.line.value.startswith("written"), panel.line.value
        films.add((tmp_path / "walk.gif").read_bytes())
    assert len(films) == 5


def test_what_is_out_of_range_is_refused(conditional, digits):
    explorer = lab.Explorer(conditional, directions=2)
    for values in ({"mix": -0.1}, {"mix": 1.5}, {"sample": 1000}, {"other": -1}, {"code": 3}):
        with pytest.raises(ValueError, match="was given; 0 to .* is expected"):
            explorer.noise(**values)
    with pytest.raises(ValueError, match="two different directions"):
        explorer.grid("direction 1", "direction 1")
    with pytest.raises(ValueError, match=r"images of \(1, 28, 28\) were given; \(3, 8, 8\)"):
        lab.Explorer(nets.MLPGenerator(8, (3, 8, 8), (16,)), digits)
    none = lab.Explorer(conditional, directions=0)
    assert "direction_1" not in none.panel().controls
    with pytest.raises(ValueError, match="0 directions are there"):
        none.grid_panel()


class Own(torch.nn.Module):
    """A G as a learner writes it, its layers in `net`, and no word of sizes."""

    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(4, 64), torch.nn.Tanh())

    def forward(self, z, labels=None):
        return self.net(z).unflatten(1, (1, 8, 8))


def test_a_generator_of_ones_own_in_float64_can_be_explored():
    D = nets.MLPDiscriminator((1, 8, 8), (8,))
    gan = ganlib.GAN(Own(), D, latent_dim=4, seed=0, ema=100.0).to(dtype=torch.float64)
    data = ganlib.Images(torch.randint(0, 256, (20, 1, 8, 8), dtype=torch.uint8))
    explorer = lab.Explorer(gan, data, directions=2, extractor=lambda x: x.flatten(1)[:, :5])
    assert explorer.rows.shape == (2, 4) and opened(explorer.draw(direction_2=1.0)).size[0] > 300
    assert latent.invert(gan, gan.sample(1)[0], steps=60).error < 0.05
    with pytest.raises(ValueError, match=r"an image of \(1, 9, 9\) was given; \(1, 8, 8\)"):
        latent.invert(gan, torch.zeros(1, 9, 9))
    assert latent.directions(with_width(), n=1).rows.shape == (1, 4)


def with_width():
    G = Own()
    G.latent_dim = 4
    return G


# Stepper


def stepper(small, digits, **settings):
    with torch.random.fork_rng():
        return lab.Stepper(small(dtype=torch.float64, lr=1e-2), digits, n=20, **settings)


def test_each_piece_moves_what_it_says_and_nothing_else(small, digits):
    board = stepper(small, digits)
    state = copy.deepcopy([board.gan.G.state_dict(), board.gan.D.state_dict()])
    now = board._board
    for act, moved in (
        (board.noise, {"noise"}),
        (board.fake, {"fakes"}),
        (board.judge, {"reals", "d_fake"}),
        (board.losses, {"terms"}),
    ):
        before = now()
        assert isinstance(act(), Picture)
        assert {key for key in before if not same(before[key], now()[key])} == moved
    assert same(state, [board.gan.G.state_dict(), board.gan.D.state_dict()]) and board.gan.step == 0
    before = now()
    board.d_move()
    after = now()
    assert {key for key in before if not same(before[key], after[key])} == {
        "reals",
        "d_fake",
        "terms",
    }
    assert same(state[0], board.gan.G.state_dict()) and not same(state[1], board.gan.D.state_dict())
    assert after["terms"]["D's loss"] < before["terms"]["D's loss"] and "D's loss" in board.said
    middle = copy.deepcopy(board.gan.D.state_dict())
    board.g_move()
    assert same(middle, board.gan.D.state_dict()) and not same(state[0], board.gan.G.state_dict())
    assert now()["terms"]["G's loss"] < after["terms"]["G's loss"] and not same(
        after["fakes"], now()["fakes"]
    )
    board.both(3)
    assert board.gan.step == 4 and board.said.startswith("both x3; d_loss was")


def test_its_moves_are_the_librarys(small, digits):
    """D's move and G's on the same images as by hand: weights, gradients, changes.

    In float64, without dropout.
    """
    board = stepper(small, digits)
    board.gan.D.layers[2].p = board.gan.D.layers[5].p = 0.0
    for layer in board.gan.D.modules():
        if isinstance(layer, nets.Dropout):
            layer.kept = 65536
    hand = copy.deepcopy(board.gan)
    board.noise(), board.fake()
    real, z, old = board.real, board.z, [w.detach().clone() for w in hand.D.parameters()]
    loss = losses.non_saturating.d_loss(hand.D(real), hand.D(hand.G(z).detach())).mean()
    hand.D.zero_grad()
    loss.backward()
    hand.opt_D.step()
    board.d_move()
    for ours, theirs in zip(board.gan.D.parameters(), hand.D.parameters(), strict=True):
        assert torch.allclose(ours, theirs, rtol=0, atol=1e-12)
    norms, change = board.moved["D"]
    matrices = [(w, was) for w, was in zip(hand.D.parameters(), old, strict=True) if w.ndim > 1]
    for (w, was), norm, share in zip(matrices, norms, change, strict=True):
        assert norm == pytest.approx(w.grad.norm().item()) and share == pytest.approx(
            ((w - was).norm() / was.norm()).item()
        )
    hand.G.zero_grad()
    losses.non_saturating.g_loss(None, hand.D(hand.G(z))).mean().backward()
    hand.opt_G.step()
    board.g_move()
    for ours, theirs in zip(board.gan.G.parameters(), hand.G.parameters(), strict=True):
        assert torch.allclose(ours, theirs, rtol=0, atol=1e-12)
    assert board.terms["D's loss"] == pytest.approx(
        board.terms["  of reals"] + board.terms["  of fakes"]
    )


def test_other_games_points_and_labels_can_be_stepped(digits):
    torch.manual_seed(0)
    pair = nets.MLPGenerator(2, (2,), (8,)), nets.MLPDiscriminator((2,), (8,), dropout=0.0)
    points = plane.Points(plane.ring())
    board = lab.Stepper(
        ganlib.GAN(*pair, seed=0), points, losses.relativistic, losses.r1_r2(0.1), n=16
    )
    for act in (
        board.noise,
        board.fake,
        board.judge,
        board.losses,
        board.d_move,
        board.g_move,
        partial(board.both, 2),
    ):
        assert opened(act()).size[0] > 700
    assert (
        set(board.terms) == {"D's loss", "D's penalty", "G's loss"}
        and board.terms["D's penalty"] > 0
    )
    made = ganlib.recipe("small", classes=10)
    board = lab.Stepper(made.gan(0), digits, made.objective, made.penalty, n=10)
    assert torch.equal(board.labels, digits.batches(0, 0, size=10).labels[0])
    board.d_move(), board.g_move()
    assert board.gan.step == 1


def test_every_button_of_the_stepper_answers(small, digits):
    board = stepper(small, digits)
    panel, moves = board.panel(), 0
    assert list(panel.buttons) == [
        "noise",
        "fake",
        "judge",
        "losses",
        "D move",
        "G move",
        "both x10",
    ]
    for label, button in panel.buttons.items():
        before, shown = board._board(), panel.picture.value
        button.click()
        assert panel.line.value == "" and panel.picture.value != shown
        assert not same(before, board._board()), label  # not only its title
        moves += label in ("G move", "both x10")
    assert board.gan.step == 11 and moves == 2


def test_both_plays_in_the_games_own_type_and_refuses_what_does_not_fit(small, digits):
    board = stepper(small, digits, objective=losses.relativistic)
    board.both(2)
    assert board.gan.step == 2 and board.real.dtype == torch.float64
    with pytest.raises(ValueError, match="n=0 was given"):
        board.both(0)
    unlabelled = ganlib.Images(digits.images[:50])
    with pytest.raises(ValueError, match="conditional on 10 classes"):
        lab.Stepper(ganlib.recipe("small", classes=10).gan(0), unlabelled, n=10)


def test_each_move_of_the_stepper_has_masks_of_its_own(digits):
    """Two D moves in a row drop other units; a whole step begins anew."""
    torch.manual_seed(0)
    gan = ganlib.GAN(
        nets.MLPGenerator(8, widths=(16,)), nets.MLPDiscriminator(widths=(64,), dropout=0.5), seed=0
    )
    masks, stepper = [], lab.Stepper(gan, digits, n=4)
    dropout = next(module for module in gan.D.modules() if isinstance(module, nets.Dropout))

    def note(module, inputs, output):
        if module.training:
            masks.append((output != 0).flatten().tolist())

    dropout.register_forward_hook(note)
    for _ in range(3):
        stepper.d_move()
    assert len(masks) == 3 and masks[0] != masks[1] != masks[2] != masks[0]
    stepper.g_move()
    masks.clear()
    stepper.d_move()
    assert stepper.d_moves == 1 and stepper.gan.step == 1


def test_the_terms_of_the_board_are_those_of_the_objective(digits):
    """Halves of D's loss for each objective that has them, and none else."""
    for objective in (
        losses.non_saturating,
        losses.hinge,
        losses.least_squares,
        losses.relativistic,
    ):
        torch.manual_seed(0)
        gan = ganlib.GAN(
            nets.MLPGenerator(8, widths=(16,)), nets.MLPDiscriminator(widths=(16,)), seed=0
        )
        terms = lab.Stepper(gan, digits, objective, n=4).terms
        halves = [terms.get(name) for name in ("  of reals", "  of fakes")]
        assert (None in halves) == (objective is losses.relativistic)
        if None not in halves:
            assert sum(halves) == pytest.approx(terms["D's loss"], abs=1e-6)
