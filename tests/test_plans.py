"""Schedules planned for a length: `recipe(until=...)`, and how a run keeps its plan."""

import json
from types import SimpleNamespace

import pytest
import torch
from conftest import same

import ganlib
from ganlib.run import plans, speed
from ganlib.run.until import alike, in_images


@pytest.fixture
def measured(monkeypatch):
    """Let each measurement say 100 images/s, at first; return what was asked, to be looked at."""
    asked = []

    def rate(made, data, seconds, batch_size=None):
        asked.append((made.images, made.batch_size, data.name, len(data)))
        return 100.0 if len(asked) == 1 else 7.0

    monkeypatch.setattr(speed, "rate", rate)
    return asked


def end_of(made):
    return made.lr.points[-1][0]


@pytest.mark.parametrize(
    "until, images, batch",
    [
        ("40k images", 40_000, 50),
        ("200k images", 200_000, 100),
        (3000, 150_000, 50),  # steps: of the recipe's own batch
        ("1_000 steps", 50_000, 50),
        ("2 epochs", 20_000, 50),
        ("1 step", 50, 50),
        ("1 image", 10, 50),  # the least that a plan has
    ],
)
def test_a_length_is_a_number_of_images(digits, until, images, batch, capsys):
    made = ganlib.recipe("small", digits.shape, until=until, data=digits)
    assert (made.images, end_of(made), made.batch_size) == (images, images, batch)
    assert made.until == str(until)
    assert capsys.readouterr().out == (
        f"small: {until}: its schedules are planned for {images:,} images\n"
    )
    assert f"until  {until}\n" in f"{made}\n"


def test_a_time_is_measured_on_noise_or_on_the_data(digits, measured, capsys):
    made = ganlib.recipe("small", (3, 8, 8), classes=4, until="5 min")
    assert (made.images, made.until) == (30_000, "5 min")
    assert measured == [(120_000, 50, "noise", 400)]
    assert "5 min at 100 images/s: its schedules are planned for 30,000" in capsys.readouterr().out
    measured.clear()
    assert ganlib.recipe("small", digits.shape, until="60s", data=digits).images == 6000
    assert measured == [(120_000, 50, digits.name, 10_000)]


def test_noise_is_what_the_nets_take():
    data = plans.noise((3, 16, 16), classes=3)
    assert (data.shape, data.classes, data.labels.bincount().tolist()) == (
        (3, 16, 16),
        ("0", "1", "2"),
        [134, 133, 133],
    )
    made = ganlib.recipe("small", (3, 16, 16), classes=3)
    assert speed.rate(made, data, seconds=0.01, batch_size=2) > 0
    assert plans.noise((1, 8, 8)).labels is None


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"until": "tomorrow"}, "until='tomorrow' was given; a length is expected that a plan"),
        ({"until": lambda now: True}, "a length is expected that a plan can have"),
        ({"until": -5}, "until=-5 was given"),
        ({"until": "3 epochs"}, "counts the images of a data set: give data="),
        ({"until": "60s", "images": 500}, "images=500 and until='60s' were given; give one"),
        ({"folder": "x"}, "belong to a plan: give until="),
        ({"images": 5}, "images=5 was given"),
        ({"until": "60s", "name": "smal"}, "did you mean 'small'"),
    ],
)
def test_what_is_no_plan(settings, message):
    with pytest.raises(ValueError, match=message):
        ganlib.recipe(**{"name": "small"} | settings)


def test_a_recipe_without_schedules_has_nothing_to_plan(capsys):
    assert str(ganlib.recipe("classic", until="60s")) == str(ganlib.recipe("classic"))
    assert capsys.readouterr().out == ""


def test_the_same_length_in_other_words():
    assert alike("60s", "1 min", 9) and alike("2 epochs", "18 images", 9) and alike(5, "5 steps", 9)
    assert not alike("60s", "60", 9) and not alike("soon", "later", 9)


def test_a_time_means_the_images_of_its_plan_and_no_others(digits, measured):
    made = ganlib.recipe("small", digits.shape, until="5 min")
    assert in_images("5 min", made, 9) == in_images("300s", made, 9) == "30000 images"
    assert in_images("5 min", SimpleNamespace(eager=made), 9) == "30000 images"  # compiled
    for other in ("4 min", 300, "300 images", made.source, print):
        assert in_images(other, made, 9) is other
    assert in_images("5 min", ganlib.recipe("small"), 9) == "5 min"
    assert in_images("5 min", print, 9) == "5 min"


def play(made, digits, folder=None, until="4s", stop=None):
    torch.manual_seed(0)  # of the first weights
    gan = made.gan(0)
    if folder:
        ganlib.resume(folder, gan)
    run = ganlib.train(
        gan, digits, made.step, until=until, batch_size=made.batch_size, folder=folder
    )
    for now in run:
        if now.step == stop:
            break
    return gan, now


def test_a_run_ends_where_its_schedules_end(digits, measured):
    made = ganlib.recipe("small", digits.shape, until="4s")
    gan, now = play(made, digits, until=["4s", 1000])
    assert gan.images_seen == 400 == end_of(made) and now.reason == "400 images, at step 8"


def test_a_notebook_that_is_cut_off_goes_on_with_its_plan(digits, measured, tmp_path, capsys):
    """On a machine fourteen times as slow, bit for bit; and with another length it says so."""
    folder = tmp_path / "run"
    settings = {"until": "4s", "data": digits, "folder": folder}
    made = ganlib.recipe("small", digits.shape, **settings)
    whole, _ = play(made, digits)
    play(made, digits, folder, stop=3)
    again = ganlib.recipe("small", digits.shape, **settings)
    assert str(again) == str(made) and len(measured) == 1
    capsys.readouterr()
    gan, now = play(again, digits, folder)
    assert "going on from step 3" in capsys.readouterr().out and gan.images_seen == 400
    assert all(
        same(getattr(gan, name).state_dict(), getattr(whole, name).state_dict()) for name in "GD"
    )
    longer = ganlib.recipe("small", digits.shape, until="9s", folder=folder)
    assert str(longer) == str(made) and len(measured) == 1
    assert (
        f"{folder}: keeps the plan with which it began, 4s, 400 images; 9s is only where it ends"
        in capsys.readouterr().out
    )
    gan, now = play(longer, digits, folder, until="450 images")
    assert now.reason == "450 images, at step 9" and gan.trained_on["plan"]["until"] == "4s"
    assert ganlib.recipe("small", digits.shape, until="9s").images == 63  # elsewhere: a new plan


PLAN = {"until": "4s", "images": 400, "batch_size": 50, "recipe": "small", "augment": None}


def play_as_before(monkeypatch, *arguments):
    """Play as releases did that kept no plan of a recipe without `until`."""
    with monkeypatch.context() as then:
        then.setattr("ganlib.run.training._plan_of", lambda *_: None)
        return play(*arguments)


def test_a_plan_given_in_images_is_kept_too(digits, measured, tmp_path, capsys):
    play(ganlib.recipe("small", digits.shape, images=400), digits, tmp_path, "2 steps")
    assert plans.kept(tmp_path) == PLAN | {"until": None}
    made = ganlib.recipe("small", digits.shape, until="4s", folder=tmp_path)
    assert (made.images, made.until, made.batch_size) == (400, None, 50) and not measured
    assert "keeps the plan with which it began, the recipe's own, 400" in capsys.readouterr().out


def test_the_plan_goes_where_the_checkpoint_goes(digits, measured, tmp_path):
    """Also where a run is resumed by a recipe that was given its images; `export` leaves it out."""
    made = ganlib.recipe("small", digits.shape, until="4s")
    play(made, digits, tmp_path / "a", stop=2)
    (tmp_path / "a").rename(tmp_path / "b")
    play(ganlib.recipe("small", digits.shape, images=400), digits, tmp_path / "b", stop=3)
    assert plans.kept(tmp_path / "b") == PLAN
    ganlib.export(tmp_path / "b", tmp_path / "c")
    assert "plan" not in json.loads((tmp_path / "c" / "config.json").read_text())["trained_on"]


def test_older_runs_keep_theirs(digits, measured, tmp_path, capsys, monkeypatch):
    """In plan.json, as the command line wrote it; or none, which is the recipe's own."""
    made = ganlib.recipe("small", digits.shape, images=400)
    play_as_before(monkeypatch, made, digits, tmp_path, "2 steps")
    assert plans.kept(tmp_path) == dict.fromkeys(PLAN)
    capsys.readouterr()
    own = ganlib.recipe("small", digits.shape, until="4s", folder=tmp_path)
    assert own.images == 120_000 and own.until is None
    assert (
        "keeps the plan with which it began, the recipe's own, 120,000" in capsys.readouterr().out
    )
    old = {"plan": "4s", "images": 400, "images_per_second": 100.0}
    (tmp_path / "plan.json").write_text(json.dumps(old))
    made = ganlib.recipe("small", digits.shape, until="4 s", folder=tmp_path)
    assert (made.images, made.until, capsys.readouterr().out) == (400, "4s", "")
    gan, now = play(made, digits, tmp_path)
    assert gan.images_seen == 400 and now.reason == "400 images, at step 8" and not measured
    (tmp_path / "plan.json").unlink()  # it is in the checkpoint now
    again = ganlib.recipe("small", digits.shape, until="4s", folder=tmp_path)
    assert str(again) == str(made)


@pytest.mark.parametrize("text", ["", "[1]", '{"plan": "4s"}', '{"plan": 4, "images": 400}'])
def test_a_damaged_plan_is_named(digits, tmp_path, text, monkeypatch):
    made = ganlib.recipe("small", digits.shape, images=400)
    play_as_before(monkeypatch, made, digits, tmp_path, "1 step")
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(ValueError, match="plan"):
        ganlib.recipe("small", digits.shape, until="4s", folder=tmp_path)


@pytest.mark.parametrize(
    "plan",
    [{"images": "many"}, {"images": 0}, {"images": 2.5}, {"batch_size": -1}, {"until": 7}, 9]
    + [{"recipe": 1}, {"augment": ["ada"]}],
)
def test_a_strangers_plan_is_checked(digits, tmp_path, plan):
    gan, _ = play(ganlib.recipe("small", digits.shape, images=400), digits, None, "1 step")
    gan.trained_on["plan"] = plan
    ganlib.save(tmp_path, gan)
    with pytest.raises(ValueError, match="start anew in another folder"):
        plans.kept(tmp_path)


def test_a_folder_without_a_run_has_no_plan(tmp_path):
    assert plans.kept(tmp_path) is None
    (tmp_path / "plan.json").write_text("{}")  # of a run that never was saved
    (tmp_path / "checkpoint.pt").write_bytes(b"damaged")
    assert plans.kept(tmp_path) is None


def test_a_loop_that_waits_is_a_run_too(digits, measured, tmp_path):
    """Kept in a name and left: `kept` asks for its folder, and so it is saved."""
    made = ganlib.recipe("small", digits.shape, until="4s")
    run = ganlib.train(
        made.gan(0), digits, made, until="4s", batch_size=made.batch_size, folder=tmp_path / "run"
    )
    for _ in run:
        break
    assert plans.kept(tmp_path / "run") == PLAN
    assert torch.load(tmp_path / "run" / "checkpoint.pt")["state"]["step"] == 1
    run.close()


def test_the_recipe_that_is_usual_for_some_data(tmp_path):
    """For colour pictures, and for one's own; style where they are many; few are
    augmented; a run that is there goes on with its own.
    """

    def images(n, channels, loaded=None):
        pixels = torch.zeros(n, channels, 16, 16, dtype=torch.uint8)
        return ganlib.Images(pixels, torch.zeros(n, dtype=torch.int64), ("one",), loaded=loaded)

    few, many, grey = images(20, 3), images(5000, 3), images(5000, 1)
    changed = "shift"
    for data, expected in (
        (few, ("pictures", changed)),
        (images(4999, 3), ("pictures", changed)),
        (many, ("style", None)),
        (grey, ("classic", None)),
        (images(5000, 1, {"fit": "crop"}), ("style", None)),
    ):
        assert plans.chosen(data, tmp_path / "none") == expected
    assert plans.chosen(many, tmp_path / "none", "small", "ada") == ("small", "ada")
    assert plans.chosen(few, tmp_path / "none", None, "none") == ("pictures", None)
