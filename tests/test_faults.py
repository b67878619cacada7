"""What goes wrong with a run, done on purpose: a fault is injected, and nothing may be lost."""

import os
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import torch
from conftest import ROOT, same

import ganlib
from ganlib.__main__ import main
from ganlib.keep import checkpoint
from ganlib.keep.autosave import Autosave
from ganlib.machine import files
from ganlib.run.loop import Now


def train(gan, digits, until, **settings):
    now = None
    for now in ganlib.train(gan, digits, until=until, batch_size=10, record_every=5, **settings):
        pass
    return gan, now


@pytest.fixture
def two(small, digits, tmp_path):
    """A run that was saved at steps 3 and 6; and it at step 3, to compare."""
    gan, _ = train(small(), digits, 3)
    ganlib.save(tmp_path, gan)
    early = small()
    ganlib.resume(tmp_path, early)
    ganlib.save(tmp_path, train(gan, digits, 6)[0])
    return tmp_path, early


def test_the_two_newest_are_kept(two, small):
    folder, early = two
    assert sorted(p.name for p in folder.iterdir()) == [checkpoint.FORMER, checkpoint.FILE]
    (folder / checkpoint.FILE).unlink()  # killed between the two moves
    gan = small()
    assert ganlib.resume(folder, gan) and same(gan.state_dict(), early.state_dict())


def test_one_flipped_bit_anywhere_is_seen_and_the_file_before_is_taken(two, small, capsys):
    """At 50 offsets, over the whole file, the seal at its end included."""
    folder, early = two
    file, gan = folder / checkpoint.FILE, small()
    whole = file.read_bytes()
    places = [round(i * (len(whole) - 1) / 46) for i in range(47)] + [
        len(whole) - 64,
        len(whole) - 70,
        len(whole) - 79,
    ]
    for i, place in enumerate(places):
        broken = bytearray(whole)
        broken[place] ^= 1 << i % 8
        file.write_bytes(broken)
        assert ganlib.resume(folder, gan) and gan.step == 3
        said = capsys.readouterr().out
        assert (
            f"{file} cannot be read" in said
            and f"taking the one before, {checkpoint.FORMER}, of step 3" in said
        )
    assert len(places) == 50 and same(gan.state_dict(), early.state_dict())


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_truncated_file_is_named_and_the_file_before_is_taken(two, small, share, capsys):
    folder, early = two
    file, gan = folder / checkpoint.FILE, small()
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    assert ganlib.resume(folder, gan) and same(gan.state_dict(), early.state_dict())
    assert f"{file} cannot be read" in capsys.readouterr().out


def test_with_both_files_damaged_nothing_is_made_up(two, small):
    folder, _ = two
    for name in (checkpoint.FILE, checkpoint.FORMER):
        (folder / name).write_bytes(b"no checkpoint")
    gan = small()
    with pytest.raises(OSError, match=rf"{checkpoint.FILE} cannot be read.*start anew"):
        ganlib.resume(folder, gan)
    assert gan.step == 0


def test_what_a_killed_save_left_is_swept_away(two, small):
    folder, _ = two
    left = files.temporary(folder / checkpoint.FILE)
    left.write_bytes(b"half a file")
    assert ganlib.resume(folder, small()) and not left.exists()


def test_a_full_disk_is_refused_before_anything_is_written(two, small, digits, monkeypatch):
    folder, _ = two
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10_000))
    with pytest.raises(
        OSError, match=r"cannot write .*the disk is full: 0.0 MB free, \d.\d MB needed.*as it was"
    ):
        ganlib.save(folder, train(small(), digits, 2)[0])
    assert before == {p.name: p.read_bytes() for p in folder.iterdir()}


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system with room for two checkpoints of `small`, not for a third."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1600k", "tmpfs", place], capture_output=True
    ).returncode:
        pytest.skip("no file system may be mounted here")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_disk_that_is_really_full(tiny_disk, small, digits, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    gan, _ = train(small(), digits, 2, folder=tiny_disk / "run")
    assert ganlib.resume(tiny_disk / "run", small())
    (tiny_disk / "ballast").write_bytes(b"x" * (shutil.disk_usage(tiny_disk).free - 4096))
    gan, now = train(gan, digits, 4, folder=tiny_disk / "run")
    assert now.reason == "4 steps" and "the disk is full" in capsys.readouterr().out
    again = small()
    assert ganlib.resume(tiny_disk / "run", again) and same(again.state_dict(), gan.state_dict())
    with pytest.raises(OSError, match="as it was"):
        files.replace(
            tiny_disk / "file", lambda out: out.write(b"x" * 10**6)
        )  # no size was told: the write fails
    assert sorted(p.name for p in tiny_disk.iterdir()) == ["ballast", "run"]


def test_what_is_not_finite_is_not_saved(two, small, digits, capsys):
    folder, _ = two
    gan, _ = train(small(), digits, 8)
    with torch.no_grad():
        next(gan.G.parameters())[0, 0] = torch.nan
    ganlib.save(folder, gan)
    assert "step 8 is not saved, since G.layers.0.weight is not finite" in capsys.readouterr().out
    again = small()
    assert ganlib.resume(folder, again) and again.step == 6


def test_a_step_that_stops_being_finite_is_named_and_the_last_good_state_is_what_is_saved(
    small, digits, tmp_path
):
    """NaN at step 7, between the rows of steps 5 and 10, in D's second layer."""

    def step(gan, batches):
        stats = ganlib.gan_step(gan, batches)
        if gan.step == 7:
            with torch.no_grad():
                linears = [m for m in gan.D.modules() if isinstance(m, torch.nn.Linear)]
                linears[1].weight[0, 0] = torch.nan
        return stats

    step.batches = 1
    gan = small()
    for now in ganlib.train(
        gan, digits, step, until=20, batch_size=10, record_every=5, folder=tmp_path
    ):
        pass
    assert "not finite at step 7" in now.reason and "the weights D." in now.reason and gan.step == 5
    again, whole = small(), train(small(), digits, 5)[0]
    assert ganlib.resume(tmp_path, again) and same(again.G.state_dict(), whole.G.state_dict())


def test_saving_goes_by_the_clock(small, digits, tmp_path, monkeypatch):
    """Every `save_seconds`, between rows too, and at the end; slow saves are rarer: 1 % of time."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("ganlib.keep.autosave.time", SimpleNamespace(monotonic=lambda: clock.now))
    saved = []

    def save(folder, gan):
        saved.append((gan.step, clock.now))
        clock.now += cost
        return True

    monkeypatch.setattr("ganlib.keep.autosave.save", save)
    for cost, steps in ((0.1, [14, 27, 40, 50]), (0.5, [14, 50])):
        gan = small()
        saved.clear()
        for _ in ganlib.train(
            gan, digits, until=50, batch_size=10, record_every=5, folder=tmp_path, save_seconds=12.5
        ):
            clock.now += 1
        assert [step for step, _ in saved] == steps, saved


def test_a_loop_that_is_left_is_saved_and_one_that_fails_is_not(small, digits, tmp_path):
    for _ in ganlib.train(small(), digits, until=50, batch_size=10, folder=tmp_path / "left"):
        break
    gan = small()
    assert ganlib.resume(tmp_path / "left", gan) and gan.step == 1

    def step(gan, batches):
        ganlib.discriminator_step(gan, batches.images[0])
        raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        for _ in ganlib.train(
            small(), digits, step, until=50, batch_size=10, folder=tmp_path / "failed"
        ):
            pass
    assert not (tmp_path / "failed").exists()


def test_a_drive_that_disappears_stops_nothing(small, digits, tmp_path, monkeypatch, capsys):
    """Cut off at step 10 of 40, back at 25, and cut off again for the end.

    Each is said once, and nothing is lost.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Autosave, "due", lambda self: True)  # at each row
    drive, folder = tmp_path / "drive", tmp_path / "drive" / "run"
    drive.mkdir()
    view, gan = ganlib.LiveView(folder=folder, every=0, picture_every=5), small()
    for now in ganlib.train(
        gan, digits, until=40, batch_size=10, record_every=5, folder=folder, view=view
    ):
        if now.step in (10, 30):
            drive.rename(tmp_path / "away")
        if now.step == 25:
            (tmp_path / "away").rename(drive)
    said = capsys.readouterr().out
    elsewhere = checkpoint.stand_in(folder)
    assert now.reason == "40 steps" and not drive.exists(), (
        "nobody makes a folder in the place of the drive"
    )
    assert (
        said.count(f"saving goes on in {elsewhere}") == 2
        and said.count("can be written again; saved there") == 1
    )
    assert 1 <= said.count("no pictures are kept until it can be written again") <= 2
    (tmp_path / "away").rename(drive)
    again = small()
    assert ganlib.resume(folder, again) and same(again.state_dict(), gan.state_dict())
    assert f"going on from step 40 (400 images); saved in {elsewhere}" in capsys.readouterr().out
    train(again, digits, 45, folder=folder)
    assert not elsewhere.exists(), (
        "it is older now, and would come back where the folder is deleted"
    )
    assert ganlib.resume(folder, small()) and "going on from step 45" in capsys.readouterr().out


def test_a_drive_that_goes_right_after_the_first_save_is_not_made_anew(
    small, digits, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    drive = tmp_path / "drive"
    drive.mkdir()
    keeper, best = (Autosave(small(), drive / "new" / name) for name in ("run", "run/best"))
    keeper.save()
    drive.rename(tmp_path / "away")
    keeper.gan.step = best.gan.step = 7
    keeper.save()
    best.save()
    assert not drive.exists() and capsys.readouterr().out.count("has gone); saving goes on in") == 2
    (tmp_path / "away").rename(drive)
    gan = small()
    assert ganlib.resume(drive / "new" / "run", gan) and gan.step == 7


def test_a_save_that_is_refused_leaves_the_stand_in_where_it_is(
    small, digits, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "run"
    ganlib.save(checkpoint.stand_in(folder), train(small(), digits, 9)[0])
    broken = small()
    with torch.no_grad():
        next(broken.G.parameters())[0, 0] = torch.nan
    Autosave(broken, folder).save()
    assert (
        not folder.exists() and checkpoint.newest(checkpoint.stand_in(folder))["state"]["step"] == 9
    )


def test_a_damaged_folder_hides_no_stand_in_that_is_whole(
    two, small, digits, tmp_path, monkeypatch, capsys
):
    folder, _ = two
    monkeypatch.chdir(tmp_path)
    ganlib.save(checkpoint.stand_in(folder), train(small(), digits, 9)[0])
    for name in (checkpoint.FILE, checkpoint.FORMER):
        (folder / name).write_bytes(b"cut off")
    gan = small()
    assert ganlib.resume(folder, gan) and gan.step == 9
    assert f"{checkpoint.FILE} cannot be read" in capsys.readouterr().out


def test_looking_at_a_run_that_is_being_saved_does_not_disturb_it(two):
    folder, _ = two
    half = files.temporary(folder / checkpoint.FILE)
    half.write_bytes(b"half a file, by the process that trains")
    assert checkpoint.newest(folder)["state"]["step"] == 6 and half.exists()


def test_a_save_that_is_impossible_everywhere_is_said_and_the_run_goes_on(
    small, digits, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").write_text("a file where a folder should be")
    _, now = train(small(), digits, 10, folder="runs/first")
    assert now.reason == "10 steps" and "goes on UNSAVED" in capsys.readouterr().out


@pytest.mark.parametrize(
    "which, status, word",
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_a_signal_ends_a_run_cleanly_and_the_same_command_goes_on(tmp_path, which, status, word):
    """Saved by the clock only every hour: what is there was saved because of the signal."""
    out = tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "ganlib",
        "train",
        "--steps",
        "150",
        "--batch-size",
        "10",
        "--save-seconds",
        "3600",
    ]
    process = subprocess.Popen(
        [*command, "--out", out],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (out / "latest.png").exists():
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(which)
    said, wrong = process.communicate(timeout=60)
    assert process.returncode == status, said + wrong
    assert f"ended: {word} at step" in said and "saved at step" in said and "Traceback" not in wrong
    done = subprocess.run([*command, "--out", out], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert main([*command[3:], "--out", str(tmp_path / "whole")]) == 0  # uncut, in this process
    cut, whole = (checkpoint.newest(folder)["state"] for folder in (out, tmp_path / "whole"))
    assert cut["step"] == 150 and same({**cut, "history": 0}, {**whole, "history": 0})


def test_looking_changes_nothing(small, digits):
    """Evaluations, pictures and the live view have their own generators and leave torch's alone."""
    gan, _ = train(small(ema=10.0), digits, 3)
    before, state = torch.get_rng_state(), gan.state_dict()
    kept = {name: {k: v.clone() for k, v in state[name].items()} for name in ("G", "D", "G_ema")}
    ganlib.judge.evaluation.quick(gan, digits)
    gan.sample(5, ema=False)
    ganlib.LiveView().update(Now(gan), force=True)
    assert torch.equal(before, torch.get_rng_state()) and all(
        same(kept[name], gan.state_dict()[name]) for name in kept
    )


def test_a_folder_may_be_a_relative_name_or_a_path(small, digits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(small(), digits, 5, folder="runs/a")
    assert ganlib.resume("runs/a", small()) and os.listdir("runs") == ["a"]
