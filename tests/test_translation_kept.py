"""Translations: their domains, what is kept, the command line, and the page that takes pictures."""

import re
from functools import partial
from types import SimpleNamespace

import numpy
import pytest
import torch
from conftest import same
from PIL import Image
from player import drawn_by

import ganlib
from ganlib import features, games, metrics, nets
from ganlib.__main__ import main
from ganlib.games import commands
from ganlib.games.kept import wilson
from ganlib.games.readers import both, shapes
from ganlib.keep import page

# domains


@pytest.mark.parametrize(
    "make, shape, classes",
    [
        (games.printed, (1, 28, 28), 10),
        (partial(games.scenes, "day"), (3, 32, 32), 8),
        (partial(games.scenes, "night"), (3, 32, 32), 8),
    ],
)
def test_domains_are_drawn_anew_by_their_seed(make, shape, classes):
    data, again, other = make(99, seed=1), make(99, seed=1), make(99, seed=2)
    assert data.shape == shape and data.images.dtype == torch.uint8 and len(data.classes) == classes
    assert torch.equal(data.images, again.images) and torch.equal(data.labels, again.labels)
    assert not torch.equal(data.images, other.images)
    assert (
        len(data.labels.unique()) == classes and data.images.flatten(1).unique(dim=0).shape[0] == 99
    )
    more = make(90, seed=1).images.float()
    assert more.std(0).mean() > 8  # they differ


def test_printed_digits_are_digits(digits):
    """The classifier of handwriting reads most of them; chance is 10 %."""
    data = games.printed(300, seed=0)
    read = features.digit_classifier()
    right = read.logits(read(data.floats(slice(None)))).argmax(1) == data.labels
    assert right.double().mean() > 0.55
    mass = data.images.float().mean() / digits.images.float().mean()
    assert 0.7 < mass < 1.5


def test_night_is_darker_than_day_and_light_is_in_the_windows():
    day, night = games.scenes("day", 400, 1), games.scenes("night", 400, 2)
    assert night.images.float().mean() < 0.4 * day.images.float().mean()
    for data in (day, night):  # the nearest mean picture tells what it shows; chance is 1 in 8
        x, y = data.images.float().flatten(1), data.labels
        means = torch.stack([x[:300][y[:300] == k].mean(0) for k in range(8)])
        assert (torch.cdist(x[300:], means).argmin(1) == y[300:]).double().mean() > 0.4
    with pytest.raises(ValueError, match='"day" or "night" is expected'):
        games.scenes("dawn")


# the reader of a tie


def test_other_tones_are_a_gain_and_a_mean_that_change_smoothly():
    """An image and its negative, of mean 0, with the same draws: half their difference is the gain
    times the image, half their sum the new mean.
    """
    x = 0.01 * (-1.0) ** torch.arange(16).view(1, 1, 1, 16).expand(400, 3, 16, 16)
    y, z = (shapes.retoned(i, torch.Generator().manual_seed(0)) for i in (x, -x))
    inner = (y.abs().maximum(z.abs()) < 1).flatten(1).all(1)
    gain, mean = ((y - z) / (2 * x))[inner], ((y + z) / 2)[inner]
    same = (gain - 1).abs().flatten(1).amax(1) < 1e-4
    assert 20 < same.sum() < 60 and len(gain) > 300  # 40 are expected, 6 is a standard deviation
    assert mean[same].abs().max() < 1e-6
    gain, mean = gain[~same], mean[~same]
    sign = gain[:, :1, :1, :1].sign()
    assert (gain.sign() == sign).all() and 0.35 < (sign < 0).double().mean() < 0.65
    assert gain.abs().min() > 0.07 and 1 < gain.abs().max() < 1.51
    for values in (gain, mean):
        assert values.diff(dim=3).abs().max() < 0.5 and values.flatten(2).std(2).min() > 0.005
    assert mean.min() < -0.8 and mean.max() > 0.8


def test_specks_are_discs_of_one_colour():
    x = torch.zeros(200, 3, 32, 32)
    y = shapes.specked(x, torch.Generator().manual_seed(0))
    changed = (y != 0).any(1)
    share = changed.flatten(1).double().mean(1)
    assert (share == 0).any() and 0.01 < share.mean() < 0.06 and share.max() < 0.15
    for image, where in zip(y, changed, strict=True):
        assert len(image[:, where].unique(dim=1).T) <= shapes.SPECKS
    wide = changed.any(1).nonzero()[:, 1]
    assert wide.min() <= 1 and wide.max() >= 30  # anywhere


def test_such_a_reader_reads_what_is_dark_or_negative(digits):
    """Digits in colours that it has never seen; a reader without it reads hardly any."""
    few = games.printed(1000, seed=4)
    usual = features.train_classifier(few, epochs=10)
    taught = features.train_classifier(few, epochs=10, vary=shapes.varied)
    x, labels = games.printed(300, seed=5).floats(slice(None)), games.printed(300, seed=5).labels

    def right(net, images):
        return (net.logits(net(images)).argmax(1) == labels).double().mean()

    assert right(usual, x) > 0.95 and right(taught, x) > 0.9
    for images in (-0.3 * x, 0.15 * x - 0.8):
        assert right(taught, images) > max(0.8, right(usual, images) + 0.2)


def test_a_reader_learns_another_look_without_its_labels():
    """Digits on grey, dark in their upper half, bright in the lower: a look without labels."""

    def halved(n, seed, labelled=True):
        data = games.printed(n, seed=seed)
        side = (torch.arange(28) >= 14).float()[:, None] * 2 - 1
        other = (128 + 100 * side * data.images.float() / 255).to(torch.uint8)
        return ganlib.Images(other, data.labels if labelled else None, name="halved")

    a, unseen, known = games.printed(1000, seed=4), halved(300, 5), games.printed(300, seed=5)
    reader = features.train_classifier(a, epochs=6, vary=shapes.varied)
    before = {name: x.clone() for name, x in reader.state_dict().items()}

    def right(net, data):
        return (net.logits(net(data.floats(slice(None)))).argmax(1) == data.labels).double().mean()

    taught = both.adapted(reader, a, halved(1000, 6, labelled=False), steps=60)
    assert right(taught, unseen) > max(0.88, right(reader, unseen) + 0.1)
    assert right(taught, known) > 0.9
    assert same(reader.state_dict(), before)  # it is a copy that learns
    assert not taught.training and not any(x.requires_grad for x in taught.parameters())
    few = [both.adapted(reader, a, halved(30, 6, labelled), steps=3) for labelled in (True, False)]
    assert same(few[0].state_dict(), few[1].state_dict())  # labels are not looked at
    without = a.subset(torch.arange(1000)[a.labels != 9])  # the reader has ten classes still
    nine = both.adapted(reader, without, halved(30, 6), steps=3)
    assert nine.logits(torch.zeros(1, 64)).shape == (1, 10)
    with pytest.raises(ValueError, match="'halved' has no labels"):
        both.adapted(reader, halved(30, 6, labelled=False), a, steps=3)


def test_domains_that_do_not_fit_are_refused_before_a_reader_is_trained(monkeypatch, tmp_path):
    def taught(a, epochs=None, b=None):
        raise AssertionError("a reader was trained for nothing")

    monkeypatch.setattr(commands, "source_classifier", taught)
    options = SimpleNamespace(game="semantic", out=tmp_path, objective=None, seed=0)
    with pytest.raises(ValueError, match="'day' has images of .*, and 'printed' of .*; both "):
        commands._maker(options, games.scenes("day", 40), games.printed(40))


# judging


class Bold(nets.TranslationGenerator):
    """Images to images of one pixel moved to the right, by no weight."""

    def forward(self, images, labels=None):
        return images.roll(1, 3)


@pytest.fixture(scope="module")
def reader():
    return features.train_classifier(games.printed(2000, seed=4), epochs=1)


def test_what_is_kept_is_what_a_plain_count_says(digits, reader):
    run, _, _ = games.translation("none", digits, games.printed(500), 1000, seed=0, ema=None)
    held, targets = digits.subset(slice(9000, None)), games.printed(400, seed=3)
    with torch.no_grad():  # G as it begins: near the identity
        found = games.judge_translation(run, held, targets, reader)
    n = found["n"]
    assert n == 200 and found["confusion"].sum() == n
    x = held.floats(slice(0, n))
    fakes = ganlib.data.images.as_float(ganlib.data.images.as_uint8(run.sample(noise=x)))
    read = features.logits_of(reader, features.read(reader, fakes)).argmax(1)
    right = sum(a == b for a, b in zip(read.tolist(), held.labels[:n].tolist(), strict=True))
    assert found["kept"] == right / n and found["confusion"].diagonal().sum() == right
    assert found["confusion"].sum(1).tolist() == held.labels[:n].bincount(minlength=10).tolist()
    one, two = (features.read(reader, targets.floats(s)) for s in (slice(0, n), slice(n, 2 * n)))
    floor = metrics.frechet_distance(one, two)
    distance = metrics.frechet_distance(one, features.read(reader, fakes))
    assert found["floors"] == pytest.approx(distance / floor)
    near = found["nearest"]
    pick = [
        min(range(n), key=lambda j: (targets.floats(slice(j, j + 1)) - x[i]).square().sum().item())
        for i in range(5)
    ]
    nearest = torch.cdist(x[:5].flatten(1), targets.floats(slice(0, n)).flatten(1)).argmin(1)
    assert nearest.tolist() == pick
    assert near["floors"] < found["identity"]["floors"] and found["real"]["kept"] > 0.9
    assert found["cycle_error"] is None and "kept" in str(found) and "nearest" in str(found)
    low, high = found["kept_interval"]
    assert low < found["kept"] < high


def test_wilsons_interval():
    """The ends are the shares at which the observed one is 1.96 standard errors away."""
    low, high = wilson(45, 50)
    for p in (low, high):
        assert abs(0.9 - p) == pytest.approx(1.96 * (p * (1 - p) / 50) ** 0.5)
    assert wilson(50, 50)[1] == pytest.approx(1.0)


def test_the_way_back_and_what_it_hides(digits, reader):
    """There each picture is moved by a pixel, and back again: all comes back, whatever is read."""
    a, b = digits.subset(slice(0, 1000)), games.printed(1000)
    run, _, _ = games.translation("cycle", a, b, 1000, seed=0, ema=None)
    run.there.players["G"].net.__class__ = Bold
    run.back.players["G"].net.forward = lambda images, labels=None: images.roll(-1, 3)
    held, targets = digits.subset(slice(9000, None)), games.printed(400, seed=3)
    found = games.judge_translation(run.there, held, targets, reader, features.digit_classifier())
    assert found["cycle_error"] < 0.005
    x = held.floats(slice(0, 200))
    wrong = features.logits_of(reader, features.read(reader, x.roll(1, 3))).argmax(1)
    wrong = wrong != held.labels[:200]
    own = features.digit_classifier()
    right = features.logits_of(own, features.read(own, x)).argmax(1) == held.labels[:200]
    assert found["back_kept"] == right.double().mean()
    assert found["hidden"] == (wrong & right).double().mean()
    assert "read wrong, but right when it is back" in str(found)


def test_swapped_classes_are_found():
    there = torch.tensor([[8, 2, 0], [0, 10, 0], [0, 5, 5]])
    back = torch.tensor([[10, 0, 0], [1, 3, 6], [0, 0, 10]])
    assert games.swaps(there, back) == [(2, 1, 0.5, 0.6), (0, 1, 0.2, 0.1)]


def test_what_cannot_be_judged_is_said(digits):
    run, _, _ = games.translation("none", digits, games.printed(300), 1000)
    with pytest.raises(ValueError, match="128 sources and 256 targets, or more"):
        games.judge_translation(run, digits, games.printed(100))
    with pytest.raises(ValueError, match="of one shape are expected"):
        games.judge_translation(run, digits, games.scenes("day", 300))


# bad input


def test_domains_that_do_not_fit_are_refused_before_anything_is_trained(digits):
    with pytest.raises(
        ValueError, match=r"\(1, 28, 28\), and 'day' of \(3, 32, 32\); both domains"
    ):
        games.translation("cycle", digits, games.scenes("day", 30))
    empty = games.printed(5)
    empty.images = empty.images[:0]
    with pytest.raises(ValueError, match="'printed' has no images; both domains need some"):
        games.translation("cycle", digits, empty)
    with pytest.raises(ValueError, match="unknown kind 'cicle'.*did you mean 'cycle'"):
        games.translation("cicle", digits, games.printed(5))
    bare = ganlib.Images(digits.images[:50], name="bare")
    with pytest.raises(ValueError, match="'bare' has none: it is unpaired, not unsupervised"):
        games.translation("semantic", bare, games.printed(50))
    for settings, said in (
        ({"images": 3}, "images=3 was given; a whole number of at least 10"),
        ({"pool": -1}, "pool=-1 was given"),
        ({"pool": 1.5}, "pool=1.5 was given"),
        ({"objective": "hinge"}, "objective='hinge' was given; an Objective, losses.hinge"),
        ({"kind": 3}, "unknown kind 3; .* or a Kind with weights of its own"),
        ({"kind": games.Kind("", cycle=-1.0)}, "weight=-1.0 was given"),
    ):
        with pytest.raises(ValueError, match=said):
            games.translation(**{"kind": "none", "a": digits, "b": games.printed(50)} | settings)
    odd = ganlib.Images(torch.zeros(50, 1, 30, 30, dtype=torch.uint8), name="odd")
    with pytest.raises(ValueError, match="height and width divisible by 4"):
        games.translation("none", odd, odd)


# the command line


def test_train_go_on_sample_evaluate_and_export(tmp_path, capsys, monkeypatch):
    """Colour scenes, both ways; resumed, it is the run that was never cut."""
    for name, n, usual in (("day", 400, 1), ("night", 700, 2)):
        drawn = partial(games.scenes, name)
        monkeypatch.setitem(
            commands.DRAWN, name, lambda n=n, seed=usual, drawn=drawn: drawn(n, seed)
        )
    quick = partial(features.train_classifier, epochs=1)
    monkeypatch.setattr(features, "train_classifier", quick)
    train = ["train", "--game", "cycle", "--data", "night", "--to", "day", "--batch-size", "4"]
    train += ["--device", "cpu", "--out"]
    out, whole = tmp_path / "run", tmp_path / "whole"
    assert main([*train, str(out), "--until", "20 images"]) == 0
    assert main([*train, str(out), "--until", "40 images"]) == 0
    assert "going on from step 5" in capsys.readouterr().out
    plan = {"images": 20, "until": None, "batch_size": 4}
    with monkeypatch.context() as patch:  # the same run, uncut, planned for the same length
        patch.setattr(commands, "kept", lambda folder: plan)
        assert main([*train, str(whole), "--until", "40 images"]) == 0
    states = [ganlib.keep.checkpoint.newest(folder)["state"] for folder in (out, whole)]
    assert same(*(state["gans"] for state in states)) and states[0]["step"] == 10
    assert (out / "latest.png").exists()
    torch.manual_seed(123)  # as another process would have it
    assert main(["sample", str(out), "--n", "20", "--out", str(tmp_path / "a.npy")]) == 0
    images = numpy.load(tmp_path / "a.npy")
    assert images.shape == (20, 3, 32, 32) and images.dtype == numpy.uint8
    assert main(["sample", str(out), "--n", "16", "--out", str(tmp_path / "a.png")]) == 0
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.info["Comment"].startswith("generated")
    assert main(["evaluate", str(out)]) == 1  # 80 of 400 held out are too few
    assert "128 sources and 256 targets" in capsys.readouterr().err
    to = tmp_path / "exported"
    assert main(["export", str(out), "--to", str(to), "--name", "night to day"]) == 0
    for folder in (to, to / "back"):
        G = ganlib.load_generator(folder)
        assert (
            G.fed == (3, 32, 32)
            and "photos = torch.rand(64, *(3, 32, 32))" in (folder / "README.md").read_text()
        )
        assert G.config["page"] == "index.html" and G.config["input"]["pictures"] == [3, 32, 32]
    inputs = page.example(ganlib.load_generator(to), 2)
    found = drawn_by(to / "index.html", (inputs[0].flatten(1),)).view(2, 3, 32, 32)
    expected = ganlib.load_generator(to)(*inputs)
    assert (found - expected).abs().max() < 2 / 256


def test_evaluate_says_what_is_kept(tmp_path, capsys, monkeypatch):
    quick = partial(features.train_classifier, epochs=1)
    monkeypatch.setattr(features, "train_classifier", quick)
    few = partial(games.printed, 1500, 1)
    monkeypatch.setitem(commands.DRAWN, "printed", lambda n=1500, seed=1: few())
    out = str(tmp_path / "run")
    arguments = ["--data", "digits", "--to", "printed", "--batch-size", "4", "--out", out]
    assert (
        main(["train", "--game", "semantic", *arguments, "--steps", "60", "--device", "cpu"]) == 0
    )
    assert main(["evaluate", out]) == 0
    said = capsys.readouterr().out
    assert re.search(r"translation +\d+\.\d%  +\d+\.\d% to \d+\.\d%", said), said
    assert "held-out images of 'digits', translated to 'printed'" in said and "Next:" in said


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--game", "cycle", "--data", "digits"], "--to is missing"),
        (["--to", "printed"], "--to printed was given without --game"),
        (
            ["--game", "none", "--to", "printed", "--recipe", "small"],
            "--recipe was given with --game",
        ),
        (["--game", "none", "--data", "day", "--to", "printed"], "both domains need the same"),
        (["--game", "none", "--data", "printed", "--to", "no-such"], "unknown data set 'no-such'"),
        (
            ["--game", "none", "--to", "printed", "--until", "nonsense"],
            "--until nonsense was given",
        ),
        (["--objective", "hinge"], "--objective was given without --game"),
        (["--game", "words", "--objective", "hinge"], "--objective was given with --game words"),
        (["--game", "clips", "--objective", "hinge"], "--objective was given with --game clips"),
    ],
)
def test_the_command_line_refuses_with_a_sentence(arguments, message, tmp_path, capsys):
    assert main(["train", *arguments, "--device", "cpu", "--out", str(tmp_path / "run")]) == 1
    assert message in capsys.readouterr().err and not (tmp_path / "run").exists()


# the page


def test_one_draws_and_drops_pictures_in_a_real_browser(browser, tmp_path, digits):
    """A stroke, a dropped file, and clearing: on the right is G's answer to the left."""
    run, data, game = games.translation("none", digits, games.printed(500), 1000, seed=0)
    run.trained_on = {}
    ganlib.keep.export.write(run, tmp_path / "out", "to print")
    context = browser.new_context(offline=True)
    tab, wrong, asked = context.new_page(), [], []
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto((tmp_path / "out" / "index.html").as_uri())
    tab.locator("#said", has_text="ms").wait_for(timeout=60_000)

    def pixels():
        return tab.evaluate("document.getElementById('grid').toDataURL()")

    empty = pixels()
    x, y, w, h = (tab.locator("#pad").bounding_box()[key] for key in ("x", "y", "width", "height"))
    tab.mouse.move(x + w / 2, y + h / 4)
    tab.mouse.down()
    tab.mouse.move(x + w / 2, y + 3 * h / 4, steps=5)
    tab.mouse.up()
    drawn = pixels()
    assert drawn != empty
    tab.click("#clear")
    assert pixels() == empty
    digit = digits.images[0, 0].numpy()
    Image.fromarray(digit).save(tmp_path / "digit.png")
    tab.set_input_files("#file", tmp_path / "digit.png")
    tab.wait_for_timeout(500)
    assert pixels() not in (empty, drawn)
    shown = tab.evaluate(
        "Array.from(document.getElementById('grid').getContext('2d')"
        ".getImageData(0, 0, 28, 28).data).filter((_, i) => i % 4 === 0)"
    )
    expected = ganlib.data.images.as_uint8(run.sample(noise=digits.floats(slice(0, 1))))
    far = (torch.tensor(shown).view(28, 28) - expected[0, 0].float()).abs().mean()
    assert far < 12, far  # enlarged and shrunk again, it is a little smoother
    assert wrong == [] and len(asked) <= 2, (wrong, asked)
    assert not tab.locator("#seed").is_visible() and tab.locator("#pad").is_visible()
    context.close()
