"""Nothing is lost: what is saved can be read, one folder has one run, a run knows its data, and a
loop that is left, in whatever way, has been saved.
"""

import collections
import copy
import dataclasses
import datetime
import decimal
import enum
import gc
import json
import os
import pathlib
import pickle
import signal
import subprocess
import sys
import threading
import time
import uuid
from functools import partial

import numpy as np
import pytest
import torch
from conftest import ROOT, same
from PIL import Image

import ganlib
from ganlib import nets
from ganlib.__main__ import main
from ganlib.data.points import Points, painted, ring
from ganlib.keep import checkpoint, claim
from ganlib.keep.autosave import Autosave
from ganlib.keep.plain import plain
from ganlib.machine import files
from ganlib.machine.held import locks
from ganlib.run.checks import fingerprint


def run(gan, digits, until, **settings):
    return ganlib.train(gan, digits, until=until, batch_size=10, record_every=5, **settings)


def trained(gan, digits, until, **settings):
    for _ in run(gan, digits, until, **settings):
        pass
    return gan


def kept_step(folder):
    return checkpoint.newest(folder)["state"]["step"]


def python(code, *arguments, **settings):
    """A process of its own, in which `gan()` makes the GAN of the fixture `small`."""
    head = (
        "import os, signal, sys, time\nfrom conftest import ganlib, nets, torch\n"
        "def gan(seed=0):\n    torch.manual_seed(1)\n"
        "    return ganlib.GAN(nets.MLPGenerator(8, widths=(16, 32)), "
        "nets.MLPDiscriminator(widths=(32, 16)), seed=seed)\n"
        "digits = ganlib.load('digits')\n"
        "def run(g, until, folder, **k): return ganlib.train(g, digits, until=until, "
        "batch_size=10, record_every=5, folder=folder, **k)\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", head + code, *map(str, arguments)],
        cwd=ROOT / "tests",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **settings,
    )


# what is saved can be read


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


Pair = collections.namedtuple("Pair", "a b")
VALUES = {
    "float32": (np.float32(1.5), 1.5),
    "float64, a float by its class": (np.float64(1.5), 1.5),
    "long double": (np.longdouble(0.5), 0.5),
    "int64": (np.int64(7), 7),
    "uint8": (np.uint8(255), 255),
    "bool": (np.bool_(True), True),
    "text": (np.str_("a"), "a"),
    "array": (np.arange(4, dtype=np.float32).reshape(2, 2), [[0.0, 1.0], [2.0, 3.0]]),
    "array of texts": (np.array(["a", "bc"]), ["a", "bc"]),
    "masked array": (np.ma.array([1, 2]), [1, 2]),
    "day of numpy": (np.datetime64("2026-11-25"), "2026-11-25"),
    "time": (datetime.datetime(2026, 11, 25, 9, 30), "2026-11-25T09:30:00"),
    "day": (datetime.date(2026, 11, 25), "2026-11-25"),
    "length of time": (datetime.timedelta(minutes=1.5), 90.0),
    "path": (pathlib.PurePosixPath("a/b"), "a/b"),
    "enum": (Colour.RED, "red"),
    "enum of ints": (Level.HIGH, 3),
    "decimal": (decimal.Decimal("0.25"), 0.25),
    "uuid": (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    "type of torch": (torch.float32, "torch.float32"),
    "device": (torch.device("cpu"), "cpu"),
    "size": (torch.Size([2, 3]), (2, 3)),
    "tensor of one number": (torch.tensor(2.5, requires_grad=True), 2.5),
    "named tuple": (Pair(np.int8(1), "x"), (1, "x")),
    "deque": (collections.deque([1, 2]), [1, 2]),
    "range": (range(3), [0, 1, 2]),
    "counter": (collections.Counter("aab"), {"a": 2, "b": 1}),
    "nested": ({np.int64(3): [{"x": (np.float16(0.5),)}]}, {3: [{"x": (0.5,)}]}),
    "complex": (np.complex64(1 + 2j), 1 + 2j),
    "not a number": (np.float32("inf"), float("inf")),
}


def exactly(a, b):
    """Equal, and of the same types all the way down."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(map(type, a)) == list(map(type, b)) and all(
            x == y and exactly(a[x], b[y]) for x, y in zip(a, b, strict=True)
        )
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(exactly, a, b))
    return a == b


@pytest.mark.parametrize("name", VALUES)
def test_a_value_in_a_row_is_saved_as_a_plain_one(name, small, tmp_path):
    value, expected = VALUES[name]
    gan = small()
    gan.step, gan.history = 1, [{"step": 1, "mine": value}]
    gan.trained_on = {"data": "digits, 3 of (1, 28, 28)", "extra": value}
    assert ganlib.save(tmp_path, gan)
    state = checkpoint.newest(tmp_path)["state"]
    assert exactly(state["history"][0]["mine"], expected)
    assert exactly(state["trained_on"]["extra"], expected)
    again = small()
    assert ganlib.resume(tmp_path, again) and exactly(again.history[0]["mine"], expected)


@pytest.mark.parametrize("seed", [np.int64(2), np.uint32(2), torch.tensor(2), Level.HIGH])
def test_a_seed_of_another_kind_is_the_same_seed(small, digits, tmp_path, seed):
    trained(small(seed=seed), digits, 2, folder=tmp_path)
    assert type(checkpoint.newest(tmp_path)["state"]["seed"]) is int
    assert ganlib.resume(tmp_path, small(seed=int(seed)))
    with pytest.raises(ValueError, match="has seed = "):
        ganlib.resume(tmp_path, small(seed=9))


def test_settings_of_numpy_are_the_same_settings(digits, tmp_path):
    def gan(number, whole):
        G = nets.MLPGenerator(whole(8), widths=(whole(16),))
        D = nets.MLPDiscriminator(widths=(whole(16),))
        return ganlib.GAN(G, D, lr=number(0.25) / 1024, seed=0, ema=number(2.0))

    trained(gan(np.float64, np.int64), digits, 2, folder=tmp_path)
    again = gan(float, int)
    assert ganlib.resume(tmp_path, again) and again.step == 2
    trained(again, digits, 3, folder=tmp_path)


class Thing:
    pass


ODD = {
    "an object": (Thing(), "test_kept.Thing"),
    "a function": (len, "builtins.builtin_function_or_method"),
    "deep within": ({"a": [1, {"b": Thing()}]}, r"\['a'\]\[1\]\['b'\] is a test_kept.Thing"),
    "a key": ({Thing(): 1}, "is a test_kept.Thing"),
    "an array of objects": (np.array([Thing()]), r"\[0\] is a test_kept.Thing"),
}


@pytest.mark.parametrize("name", ODD)
def test_what_cannot_be_saved_is_named_and_the_file_before_stays(name, small, digits, tmp_path):
    value, message = ODD[name]
    gan = trained(small(), digits, 2, folder=tmp_path)
    before = (tmp_path / checkpoint.FILE).read_bytes()
    gan.history[-1]["mine"] = value
    with pytest.raises(ValueError, match=rf"gan.history\[0\]\['mine'\].*{message}.*are expected"):
        ganlib.save(tmp_path, gan)
    assert (tmp_path / checkpoint.FILE).read_bytes() == before
    with pytest.raises(ValueError, match="gan.history"):  # before anything is trained
        run(gan, digits, 9, folder=tmp_path)
    assert gan.step == 2 and os.listdir(tmp_path) == [checkpoint.FILE]
    del gan.history[-1]["mine"]
    assert ganlib.save(tmp_path, gan) and kept_step(tmp_path) == 2


def test_a_value_that_holds_itself_is_refused(small, tmp_path):
    gan = small()
    gan.history = [{"step": 1}]
    gan.history[0]["loop"] = gan.history
    with pytest.raises(ValueError, match="holds itself"):
        ganlib.save(tmp_path, gan)


def test_an_odd_value_in_mid_run_is_said_and_costs_neither_the_run_nor_what_was_saved(
    small, digits, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(Autosave, "due", lambda self: True)
    gan = small()
    for now in run(gan, digits, 12, folder=tmp_path):
        if now.step == 6:
            gan.history[-1]["mine"] = Thing()
    said = capsys.readouterr().out
    assert now.reason == "12 steps" and kept_step(tmp_path) == 6
    assert "is NOT SAVED: gan.history[1]['mine'] is a test_kept.Thing" in said
    del gan.history[1]["mine"]
    assert ganlib.save(tmp_path, gan) and kept_step(tmp_path) == 12


def test_numbers_of_numpy_in_a_row_disturb_no_view(small, digits, tmp_path):
    gan, view = small(), ganlib.LiveView(folder=tmp_path, every=0)
    for now in run(gan, digits, 6, folder=tmp_path, view=view):
        now.history[-1]["mine"] = np.float32(1.5)
    assert json.loads((tmp_path / "history.json").read_text())[0]["mine"] == 1.5


def test_what_is_plain_is_returned_as_it_is(small):
    state = small(ema=1.0).state_dict()
    assert plain(state, "gan") is state  # with the versions that nets note beside their tensors
    assert hasattr(plain(state, "gan")["G"], "_metadata")


def test_a_subclass_of_tensor_is_saved_as_a_tensor(small, tmp_path):
    from torchvision import tv_tensors

    gan = small()
    gan.examples = tv_tensors.Mask(torch.ones(3, 2))
    ganlib.save(tmp_path, gan)
    kept = checkpoint.newest(tmp_path)["state"]["examples"]
    assert type(kept) is torch.Tensor and torch.equal(kept, torch.ones(3, 2))


def test_a_disk_that_writes_something_else_is_noticed_before_the_file_is_replaced(
    small, digits, tmp_path, monkeypatch
):
    gan = trained(small(), digits, 2)
    ganlib.save(tmp_path, gan)
    before = (tmp_path / checkpoint.FILE).read_bytes()
    whole = files.open if hasattr(files, "open") else open

    def opened(path, mode):
        file = whole(path, mode)
        write = file.write
        wrap = type("File", (), {"__enter__": lambda s: s, "__exit__": lambda s, *_: file.close()})
        wrapped = wrap()
        wrapped.write = lambda x: write(bytes(x[:-9]) + b"ruined it")
        wrapped.flush, wrapped.fileno, wrapped.name = file.flush, file.fileno, file.name
        return wrapped

    monkeypatch.setattr(files, "open", opened, raising=False)
    with pytest.raises(OSError, match="reads back as something else.*as it was"):
        ganlib.save(tmp_path, gan)
    assert (tmp_path / checkpoint.FILE).read_bytes() == before
    assert os.listdir(tmp_path) == [checkpoint.FILE]


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_disk_that_fails_leaves_a_file_that_can_be_read(
    small, digits, tmp_path, monkeypatch, call
):
    gan = trained(small(), digits, 2)
    ganlib.save(tmp_path, gan)
    trained(gan, digits, 4)

    def fails(*_):
        raise OSError(28, "No space left on device")

    if call == "write":
        monkeypatch.setattr(checkpoint, "_holds", fails)
    else:
        monkeypatch.setattr(os, call, fails)
    with pytest.raises(OSError, match="No space left"):
        ganlib.save(tmp_path, gan)
    monkeypatch.undo()
    assert kept_step(tmp_path) == 2 and not list(tmp_path.glob(".*"))


def test_killed_in_the_middle_of_a_save(small, tmp_path):
    """SIGKILL, at four places within the second save."""
    places = ("write", "fsync", "first move", "second move")
    code = (
        f"from ganlib.keep import checkpoint\nfor where in {places}:\n"
        "    folder = os.path.join(sys.argv[1], where)\n"
        "    if child := os.fork():\n"
        "        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n        continue\n"
        "    g, kill = gan(), lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    for now in run(g, 4, folder):\n"
        "        if now.step == 2:\n            ganlib.save(folder, g)\n"
        "        if now.step == 3:\n"
        "            if where == 'write': checkpoint._holds = kill\n"
        "            if where == 'fsync': os.fsync = kill\n"
        "            move, moves = os.replace, []\n"
        "            def replace(a, b):\n"
        "                moves.append(b)\n"
        "                kill() if len(moves) == 1 + ('second' in where) else move(a, b)\n"
        "            if 'move' in where: os.replace = replace\n"
        "            ganlib.save(folder, g)\n"
    )
    said, _ = python(code, tmp_path).communicate(timeout=120)
    assert said.split("\n")[-5:] == ["-9"] * 4 + [""], said
    for where in places:
        gan = small()
        assert ganlib.resume(tmp_path / where, gan) and gan.step == 2, where
        names = {p.name for p in (tmp_path / where).iterdir()}
        assert names <= {checkpoint.FILE, checkpoint.FORMER, claim.LOCK}, "a draft is swept away"


# one folder has one run


def test_a_second_process_is_told_who_trains_in_the_folder(small, digits, tmp_path, capsys):
    first = python(
        "g = gan()\nfor now in run(g, 10**9, sys.argv[1]):\n"
        "    if now.step == 5: ganlib.save(sys.argv[1], g); print('goes', flush=True)\n",
        tmp_path / "run",
    )
    try:
        assert first.stdout.readline() == "goes\n"
        gan = small(seed=1)
        who = rf"in use by another run: process {first.pid} on .*, since 20\d\d-\d\d-\d\d \d\d:.*-c"
        with pytest.raises(OSError, match=who):
            run(gan, digits, 9, folder=tmp_path / "run")
        with pytest.raises(OSError, match=who):
            ganlib.save(tmp_path / "run", gan)
        with pytest.raises(OSError, match=who):
            ganlib.resume(tmp_path / "run", gan, fresh=True)
        out = str(tmp_path / "run")
        assert main(["train", "--steps", "3", "--batch-size", "10", "--out", out]) == 1
        said = capsys.readouterr().err
        assert gan.step == 0
        assert "error:" in said
        trained(gan, digits, 2, folder=tmp_path / "other")  # another folder is free
    finally:
        first.kill()
        first.communicate()
    again = small()  # the lock has gone with its process
    assert ganlib.resume(tmp_path / "run", again)
    trained(again, digits, again.step + 1, folder=tmp_path / "run")
    assert not (tmp_path / "run" / claim.LOCK).exists()


def test_a_killed_process_leaves_no_lock_behind_even_if_it_left_children(small, digits, tmp_path):
    """A forked child, such as a data loader's, does not keep the lock of its dead parent."""
    first = python(
        "steps = run(gan(), 10**9, sys.argv[1])\nnext(steps)\n"
        "if os.fork() == 0:\n    time.sleep(20)\n    os._exit(0)\n"
        "print('goes', flush=True)\ntime.sleep(60)\n",
        tmp_path,
        start_new_session=True,
    )
    assert first.stdout.readline() == "goes\n"
    try:
        with pytest.raises(BlockingIOError):
            run(small(), digits, 3, folder=tmp_path)
        first.kill()
        first.wait()
        trained(small(), digits, 3, folder=tmp_path)
    finally:
        os.killpg(first.pid, signal.SIGKILL)
    assert kept_step(tmp_path) == 3


def test_two_that_begin_at_once(tmp_path):
    """One trains, the other is refused, every time."""
    code = (
        "try:\n    steps = run(gan(), 5, sys.argv[1])\n    print('mine', flush=True)\n"
        "    time.sleep(1.5)\n    [0 for _ in steps]\n"
        "except OSError as error:\n    print('refused', error)\n"
    )
    both = [python(code, tmp_path) for _ in range(2)]
    said = [process.communicate(timeout=60)[0] for process in both]
    assert sorted(text.split()[0] for text in said) == ["mine", "refused"], said


def other_machine(folder, **more):
    """A lock file that another machine wrote."""
    about = {"process": 7, "host": "elsewhere", "machine": "x", "since": "2026-11-25 09:00:00"}
    about |= {"command": "the notebook mine.ipynb", "token": "other", "sign": time.time()} | more
    (folder / claim.LOCK).write_text(json.dumps(about))
    return about


def test_a_drive_without_locks_shows_signs_of_life(small, digits, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(claim, "WATCH", 1.5)
    about = other_machine(tmp_path)
    seen = threading.Timer(0.5, lambda: other_machine(tmp_path, sign=about["sign"] + 10))
    seen.start()
    with pytest.raises(BlockingIOError, match="process 7 on elsewhere, since 2026-11-25 09:00"):
        run(small(), digits, 3, folder=tmp_path)
    assert json.loads((tmp_path / claim.LOCK).read_text())["token"] == "other"
    trained(small(), digits, 3, folder=tmp_path)  # no more signs
    said = capsys.readouterr().out
    assert "waiting up to 2 s" in said and "has ended; this run takes the folder over" in said
    start = time.monotonic()
    other_machine(tmp_path, sign=time.time() - 3600)  # an old one is not waited for
    trained(small(), digits, 4, folder=tmp_path)
    assert time.monotonic() - start < 1.5 and not (tmp_path / claim.LOCK).exists()


def test_a_run_that_was_taken_over_from_another_machine_ends_and_saves_no_more(
    small, digits, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(Autosave, "due", lambda self: True)
    gan = small()
    for now in run(gan, digits, 100, folder=tmp_path):
        if now.step == 10:
            saved = kept_step(tmp_path)
            other_machine(tmp_path)
    assert "was taken over by process 7 on elsewhere" in now.reason and now.step < 20
    assert saved == kept_step(tmp_path) and "is saved there no more" in capsys.readouterr().out
    assert (tmp_path / claim.LOCK).exists(), "it is the other's"


def test_where_the_system_has_no_locks_the_process_is_asked_for(
    small, digits, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(locks, "_lock", lambda file: False)
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    about = locks.about() | {"process": sleeper.pid, "started": locks._started(sleeper.pid)}
    (tmp_path / claim.LOCK).write_text(json.dumps(about))
    with pytest.raises(BlockingIOError, match=f"process {sleeper.pid} on"):
        run(small(), digits, 3, folder=tmp_path)
    sleeper.kill()
    sleeper.wait()
    trained(small(), digits, 3, folder=tmp_path)
    assert kept_step(tmp_path) == 3 and not (tmp_path / claim.LOCK).exists()
    (tmp_path / claim.LOCK).write_text(json.dumps(locks.about() | {"process": 1, "started": "7"}))
    trained(small(), digits, 4, folder=tmp_path)  # its number belongs to another process now


def test_a_folder_that_nothing_was_saved_in_is_removed_again(small, digits, tmp_path):
    steps = run(small(), digits, 3, folder=tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b" / claim.LOCK).exists()
    del steps
    gc.collect()
    assert not (tmp_path / "a").exists()


def test_drafts_have_names_of_their_own(tmp_path):
    names, file = set(), tmp_path / "x"
    threads = [threading.Thread(target=lambda: names.add(files.temporary(file))) for _ in range(3)]
    barrier = [thread.start() for thread in threads] + [thread.join() for thread in threads]
    code = "import runpy, pathlib; f = runpy.run_path('ganlib/machine/files.py')['temporary']; "
    code += "print(f(pathlib.Path('x')))"
    two = {subprocess.check_output([sys.executable, "-c", code], cwd=ROOT) for _ in range(2)}
    assert barrier and len(two) == 2 and files.temporary(file) not in two


# the life of a loop


def test_a_loop_kept_in_a_name_is_gone_on_with(small, digits, tmp_path, capsys):
    names = {}

    def cell(stop):
        names["gan"] = small()
        found = ganlib.resume(tmp_path, names["gan"])
        names["run"] = run(names["gan"], digits, 1000, folder=tmp_path)
        for now in names["run"]:
            if now.step >= stop:
                break
        return found

    assert not cell(7)
    old = names["run"], names["gan"]
    assert cell(9) and kept_step(tmp_path) == 9
    assert next(old[0], None) is None and old[1].step == 7, "the older one ends"
    names.clear()
    del old
    gc.collect()
    whole = trained(small(), digits, 9)
    again = small()
    assert ganlib.resume(tmp_path, again) and same(again.G.state_dict(), whole.G.state_dict())


def test_the_newer_call_takes_the_folder_over_without_resume_too(small, digits, tmp_path, capsys):
    """The older run is not lost: its file is kept beside the newer one's."""
    first = run(small(), digits, 1000, folder=tmp_path)
    for now in first:
        if now.step == 7:
            break
    trained(small(seed=1), digits, 3, folder=tmp_path)
    assert "holds a run at step 7, from which this run does not go on" in capsys.readouterr().out
    assert kept_step(tmp_path) == 3 and next(first, None) is None
    assert checkpoint.read(tmp_path / "checkpoint.kept-1.pt")["state"]["step"] == 7
    trained(small(seed=2), digits, 2, folder=tmp_path)
    assert checkpoint.read(tmp_path / "checkpoint.kept-2.pt")["state"]["seed"] == 1


def test_a_gan_that_is_behind_its_file_does_not_replace_it(small, digits, tmp_path):
    gan = trained(small(), digits, 3, folder=tmp_path)
    further = small()
    ganlib.resume(tmp_path, further)
    trained(further, digits, 8, folder=tmp_path)
    trained(gan, digits, 4, folder=tmp_path)
    assert kept_step(tmp_path) == 4
    assert checkpoint.read(tmp_path / "checkpoint.kept-1.pt")["state"]["step"] == 8


def test_what_goes_on_replaces_its_own_file_only(small, digits, tmp_path):
    gan = trained(small(), digits, 2, folder=tmp_path)
    trained(gan, digits, 4, folder=tmp_path)
    again = small()
    ganlib.resume(tmp_path, again)
    trained(again, digits, 6, folder=tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [checkpoint.FORMER, checkpoint.FILE]


LEAVES = {  # each in names of its own that stay; g is a GAN, r its run
    "break": "for now in r:\n    if now.step == 4: break",
    "break without a name": "for now in take():\n    if now.step == 4: break",
    "exception": "for now in r:\n    if now.step == 4: 1 / 0",
    "interrupt": "for now in r:\n    if now.step == 4: raise KeyboardInterrupt",
    "islice": "for now in itertools.islice(take(), 4): pass",
    "islice kept": "i = itertools.islice(r, 4)\nfor now in i: pass",
    "zip": "for _, now in zip(range(4), r): pass",
    "next": "for _ in range(4): next(r)",
    "cycle": "l = [r, next(r)]; l.append(l)\nfor now in r:\n    if now.step == 4: break\ndel r, l",
    "generator": "def mine():\n    yield from take()\nm = mine()\nfor now in m:\n"
    "    if now.step == 4: break",
    "enumerate": "e = enumerate(r, 1)\nfor n, now in e:\n    if n == 4: break",
    "closed": "next(r), next(r), next(r), next(r)\nr.close()",
}
HARNESS = """
import itertools
left = []
for name, snippet in {LEAVES}.items():
    g = gan()
    names = {{"itertools": itertools, "r": run(g, 99, os.path.join(place, name))}}
    names["take"] = lambda: names.pop("r")
    left.append(names)
    try:
        exec(snippet, names)
    except (ZeroDivisionError, KeyboardInterrupt):
        pass
"""
ENDS = {  # of the process: the code, and its exit status
    "by itself": ("pass", 0),
    "an exception that nobody catches": ("1 / 0", 1),
    "sys.exit": ("sys.exit(3)", 3),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)", -signal.SIGTERM),
}


def test_however_a_loop_is_left_and_the_process_ends_it_is_saved(tmp_path):
    # as a function: its frame, which looped, has returned when the signal comes
    harness = HARNESS.format(LEAVES=LEAVES).replace("\n", "\n    ")
    code = f"left = []\ndef all(place):{harness}\nfor end, (code, _) in {ENDS}.items():\n"
    code += (
        "    if child := os.fork():\n"
        "        print('status', os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)\n"
        "    else:\n        all(os.path.join(sys.argv[1], end))\n        break\n"
        "else:\n    os._exit(0)\nexec(code)\n"
    )
    said, _ = python(code, tmp_path).communicate(timeout=180)
    statuses = [int(line.split()[1]) for line in said.splitlines() if line.startswith("status")]
    assert statuses == [status for _, status in ENDS.values()], said
    assert "Exception ignored" not in said
    for end in ENDS:
        assert sorted(p.name for p in (tmp_path / end).iterdir()) == sorted(LEAVES), said
        for name in LEAVES:
            folder = tmp_path / end / name
            assert kept_step(folder) == 4 and os.listdir(folder) == [checkpoint.FILE], (end, name)


def test_who_asks_for_a_run_that_waits_gets_its_present_state(small, digits, tmp_path):
    gan = small()
    steps = run(gan, digits, 99, folder=tmp_path)
    for _ in range(3):
        next(steps)
    assert kept_step(tmp_path) == 3
    next(steps)
    ganlib.export(tmp_path, tmp_path / "shared")
    assert json.loads((tmp_path / "shared" / "config.json").read_text())["steps"] == 4
    assert next(steps).step == 5, "it goes on all the same"


def test_a_notebook_saves_at_the_end_of_the_cell(small, digits, tmp_path, monkeypatch):
    from IPython.core.interactiveshell import InteractiveShell

    before = signal.getsignal(signal.SIGINT)
    shell = InteractiveShell()
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    shell.user_ns |= {"run": run, "gan": small(), "digits": digits, "folder": tmp_path}
    cell = "steps = run(gan, digits, 99, folder=folder)\nfor now in steps:\n"
    cell += "    if now.step == 4: break"
    assert shell.run_cell(cell).success
    raw = torch.load(tmp_path / checkpoint.FILE, weights_only=True)
    assert raw["state"]["step"] == 4 and signal.getsignal(signal.SIGINT) is before
    assert shell.run_cell("next(steps).step").result == 5, "it goes on"
    raw = torch.load(tmp_path / checkpoint.FILE, weights_only=True)
    assert raw["state"]["step"] == 5 and signal.getsignal(signal.SIGINT) is before
    shell.run_cell("del steps, now")


def test_signals_are_given_back_whatever_the_order(small, digits, tmp_path):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    a, b = (ganlib.train(small(), digits, until=99, batch_size=10) for _ in "ab")
    next(a), next(b), next(a)
    assert signal.getsignal(signal.SIGINT) is not before[0]
    a.close()
    now = next(b)
    os.kill(os.getpid(), signal.SIGINT)
    assert next(b, None) is None and "interrupted at step 2" in now.reason
    b.close()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_interleaved_loops_are_both_interrupted(small, digits):
    before = signal.getsignal(signal.SIGINT)
    a, b = (ganlib.train(small(), digits, until=99, batch_size=10) for _ in "ab")
    reasons = []
    for one, other in zip(a, b, strict=False):
        if one.step == 3:
            os.kill(os.getpid(), signal.SIGINT)
        reasons.append((one.reason, other.reason))
    assert len(reasons) <= 4 and signal.getsignal(signal.SIGINT) is not None
    a.close(), b.close()
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_after_a_loop_that_is_kept_is_not_swallowed(small, digits):
    kept = ganlib.train(small(), digits, until=99, batch_size=10)

    def body():
        for _ in kept:
            break

    before = signal.getsignal(signal.SIGINT)
    body()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)
    assert signal.getsignal(signal.SIGINT) is before
    assert next(kept).reason is None, "it can be gone on with"
    kept.close()


def test_a_loop_that_another_thread_closes_swallows_no_interrupt(small, digits):
    """As the garbage collector may do it; and a handler that somebody set meanwhile stays."""
    before = signal.getsignal(signal.SIGINT)
    kept = ganlib.train(small(), digits, until=99, batch_size=10)
    next(kept)
    thread = threading.Thread(target=kept.close)
    thread.start()
    thread.join(30)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)
    assert signal.getsignal(signal.SIGINT) is before
    kept, seen = ganlib.train(small(), digits, until=99, batch_size=10), []
    next(kept)
    signal.signal(signal.SIGINT, lambda *_: seen.append("mine"))
    try:
        for _ in ganlib.train(small(), digits, until=2, batch_size=10):
            pass
        kept.close()
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)
        assert seen == ["mine"]
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_run_in_a_thread_gives_its_folder_up(small, digits, tmp_path):
    """The newer call wins: the older loop, in another thread, ends after its step."""
    gan, seen = small(), []

    def loop():
        for now in run(gan, digits, 10**6, folder=tmp_path, save_seconds=1e-9):
            seen.append(now.step)

    thread = threading.Thread(target=loop)
    thread.start()
    while len(seen) < 5:
        time.sleep(0.01)
    newer = small(seed=1)
    trained(newer, digits, 3, folder=tmp_path)
    thread.join(30)
    assert not thread.is_alive() and checkpoint.newest(tmp_path)["state"]["seed"] == 1


# a run knows its data


def photographs(folder, count=12, seed=0):
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        pixels = np.random.default_rng([seed, i]).integers(0, 256, (24, 40, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:02}.png")
    return folder


def tiny(shape):
    torch.manual_seed(0)
    G, D = nets.MLPGenerator(4, shape, widths=(8,)), nets.MLPDiscriminator(shape, widths=(8,))
    return ganlib.GAN(G, D, seed=0)


PETS = torch.randint(0, 256, (60, 1, 8, 8), generator=torch.Generator().manual_seed(0)).byte()
KINDS = torch.arange(60) % 2


def pets(images=PETS, labels=KINDS, classes=("cat", "dog")):
    return ganlib.Images(images, labels, classes, "pets")


OTHER = {
    "labels swapped": (lambda: pets(labels=1 - KINDS), "labels = sha256"),
    "one label": (lambda: pets(labels=KINDS.index_fill(0, torch.tensor([7]), 0)), "labels = "),
    "names swapped": (lambda: pets(classes=("dog", "cat")), "classes = .*labels = "),
    "no labels": (lambda: pets(labels=None), "labels = "),
    "other images": (lambda: pets(255 - PETS), "pixels = sha256"),
    "another order": (lambda: pets(PETS.flip(0), KINDS.flip(0)), "pixels = "),
    "turned": (lambda: pets(PETS.flip(3)), "pixels = "),
}


@pytest.mark.parametrize("name", OTHER)
def test_other_data_of_the_same_name_and_size_are_refused(name, tmp_path):
    make, message = OTHER[name]
    trained(tiny((1, 8, 8)), pets(), 2, folder=tmp_path)
    gan = tiny((1, 8, 8))
    ganlib.resume(tmp_path, gan)
    with pytest.raises(ValueError, match=f"this run was trained with .*{message}.*FRESH = True"):
        run(gan, make(), 4)
    assert gan.step == 2
    trained(gan, pets(PETS.clone(), KINDS.clone()), 4, folder=tmp_path)


def test_another_fit_is_refused(tmp_path):
    photographs(tmp_path / "photos")

    def data(fit):
        return ganlib.load(tmp_path / "photos", size=8, fit=fit, root=tmp_path / fit)

    gan = trained(tiny((3, 8, 8)), data("crop"), 2, folder=tmp_path / "run")
    for fit in ("pad", "stretch"):
        with pytest.raises(ValueError, match="fitted in another way"):
            run(gan, data(fit), 4)
    trained(gan, data("crop"), 4)


def test_pixels_that_another_decoder_would_give_are_said_and_gone_on_with(capsys):
    gan = trained(tiny((1, 8, 8)), pets(), 2)
    nearly = PETS.clone()
    nearly[::3, :, 0, 0] ^= 1
    trained(gan, pets(nearly), 3)
    assert "not to the last bit those that this run began with" in capsys.readouterr().out


def test_the_fingerprint_is_the_same_wherever_the_data_are_and_is_bounded(digits):
    mark = fingerprint(digits)
    assert mark == fingerprint(ganlib.load("digits"))
    assert mark["pixels"] == fingerprint(ganlib.Images(digits.images.clone()))["pixels"]
    assert all(isinstance(value, str) for value in mark.values()) and json.dumps(mark)
    large = torch.zeros(60_000, 1, 28, 28, dtype=torch.uint8)
    other = large.clone()
    other[:] = torch.arange(60_000).remainder(251).byte().view(-1, 1, 1, 1)
    start = time.monotonic()
    assert fingerprint(ganlib.Images(large)) != fingerprint(ganlib.Images(other))
    assert time.monotonic() - start < 2  # 20 ms each on a quiet machine


def test_points_and_several_sets_have_one_too(digits):
    marks = [fingerprint(Points(d)) for d in (ring(), ring(7), ring(8, 0.5))]
    marks += [fingerprint(Points(painted(mask))) for mask in ([[1, 0], [0, 0]], [[0, 0], [0, 1]])]
    assert len({mark["pixels"] for mark in marks}) == 5
    assert marks[0] == fingerprint(Points(ring(), n=100))
    both = fingerprint(ganlib.Together(here=digits, there=pets()))
    assert both["here.pixels"] == fingerprint(digits)["pixels"] != both["there.pixels"]


def test_a_run_on_points_refuses_other_points(tmp_path):
    from ganlib.lessons.tasks import two_dimensions  # noqa: F401, the plane's nets are the user's own

    def gan():
        torch.manual_seed(0)
        G = torch.nn.Sequential(torch.nn.Linear(4, 2))
        D = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Flatten(0))
        G.forward, D.forward = partial(_first, G[0]), partial(_flat, D[0])
        return ganlib.GAN(G, D, seed=0, latent_dim=4)

    one = trained(gan(), Points(painted([[1, 0], [0, 0]])), 2)
    with pytest.raises(ValueError, match="trained with pixels = "):
        run(one, Points(painted([[0, 0], [0, 1]])), 4)


def _first(layer, z, labels=None):
    return layer(z)


def _flat(layer, x, labels=None):
    return layer(x).flatten()


def test_a_run_from_before_there_were_fingerprints_goes_on_and_has_one_then(tmp_path):
    gan = trained(tiny((1, 8, 8)), pets(), 2)
    for name in ("pixels", "labels", "brightness"):
        del gan.trained_on[name]
    trained(gan, pets(), 3)
    assert gan.trained_on["pixels"] == fingerprint(pets())["pixels"]


def test_evaluate_refuses_images_that_have_changed(tmp_path, capsys):
    photos, out = photographs(tmp_path / "photos", 40), str(tmp_path / "run")
    data = ganlib.load(photos, size=8, root=tmp_path / "data")
    trained(tiny((3, 8, 8)), data, 2, folder=out)
    photographs(tmp_path / "photos", 40, seed=1)
    assert main(["evaluate", out, "--n", "32"]) == 1
    assert "are not those that the run in" in capsys.readouterr().err


def test_evaluate_does_not_take_ones_own_digits_for_the_embedded_ones(tmp_path, capsys):
    mine = torch.randint(0, 256, (300, 1, 28, 28), dtype=torch.uint8)
    trained(tiny((1, 28, 28)), ganlib.Images(mine, name="digits"), 2, folder=tmp_path)
    assert main(["evaluate", str(tmp_path), "--n", "64"]) == 1
    assert "say where those are: --data FOLDER" in capsys.readouterr().err


# paths


@pytest.fixture
def home(tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


def test_a_tilde_is_the_home_folder_everywhere(small, digits, home, capsys):
    view = ganlib.LiveView(folder="~/r", every=0, picture_every=2)
    gan = trained(small(), digits, 4, folder="~/r", view=view)
    assert {"checkpoint.pt", "latest.png", "history.json"} <= set(os.listdir(home / "r"))
    assert ganlib.resume("~/r", small()) and ganlib.resume(home / "r", small())
    ganlib.timeline("~/r").save("~/line.png")
    ganlib.export("~/r", "~/shared")
    assert ganlib.load_generator("~/shared").config["name"] == "r"
    ganlib.save("~/best", gan)
    photographs(home / "photos")
    assert len(ganlib.load("~/photos", size=8, root="~/data")) == 12
    assert main(["sample", "~/r", "--n", "2", "--out", "~/two.npy"]) == 0
    assert main(["sample", "~/r", "--n", "2", "--out", "~/two.png"]) == 0
    assert main(["train", "--steps", "1", "--batch-size", "10", "--out", "~/c"]) == 0
    assert ganlib.resume("~/r", small(), fresh=True) is False and (home / "r.1").exists()
    assert {"line.png", "shared", "best", "data", "two.npy", "two.png", "c"} <= set(
        os.listdir(home)
    )
    assert not [p for p in pathlib.Path().rglob("*") if p.name.startswith("~")]
    assert os.listdir() in ([], ["runs"])


def test_a_later_chdir_moves_nothing(small, digits, home):
    """Folder and pictures stay where they were when they were given."""
    view = ganlib.LiveView(folder="r", every=0)
    for now in run(small(), digits, 12, folder="r", view=view, save_seconds=1e-9):
        if now.step == 3:
            (home / "x").mkdir()
            os.chdir(home / "x")
    assert os.listdir() == []
    there = home.parent / "work" / "r"
    assert kept_step(there) == 12 and (there / "latest.png").exists()


class Where:
    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        return str(self.path)


def test_any_path_will_do(small, digits, tmp_path):
    place = Where(tmp_path / "r")
    trained(small(), digits, 2, folder=place, view=ganlib.LiveView(folder=place))
    assert ganlib.resume(place, small()) and ganlib.export(place, Where(tmp_path / "e"))
    assert ganlib.load_generator(Where(tmp_path / "e")) and ganlib.save(place, small())
    photographs(tmp_path / "photos")
    assert len(ganlib.load(Where(tmp_path / "photos"), size=8, root=Where(tmp_path / "d"))) == 12
    for given in (7, ["r"], object()):
        with pytest.raises(ValueError, match="was given as a path; a text or a pathlib.Path"):
            run(small(), digits, 2, folder=given)


# what was a bare error


@pytest.mark.parametrize("size", [2.5, True, "100", 0, -3, None, torch.tensor(1.5), [10]])
def test_a_batch_size_that_is_no_number_of_images(small, digits, size):
    with pytest.raises(ValueError, match="batch_size=.* was given; a whole number of at least 1"):
        ganlib.train(small(), digits, until=2, batch_size=size)


@pytest.mark.parametrize("name", ["record_every", "evaluate_every"])
@pytest.mark.parametrize("value", [2.5, True, "5", 0])
def test_a_number_of_steps_that_is_none(small, digits, name, value):
    with pytest.raises(ValueError, match=f"{name}=.* was given"):
        ganlib.train(small(), digits, until=2, **{name: value})


@pytest.mark.parametrize("size", [np.int64(10), np.uint8(10), torch.tensor(10), 10])
def test_whole_numbers_of_all_kinds_are_numbers(small, digits, size, tmp_path):
    gan = small()
    for _ in ganlib.train(gan, digits, until=2, batch_size=size, folder=tmp_path):
        pass
    assert gan.images_seen == 20 and type(gan.trained_on["batch_size"]) is int
    assert ganlib.resume(tmp_path, gan) and trained(gan, digits, 3).step == 3


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_training_without_gradients_is_refused(small, digits, off):
    gan = small()
    with off(), pytest.raises(ValueError, match="needs gradients, and they are switched off"):
        ganlib.train(gan, digits, until=2)
    steps = ganlib.train(gan, digits, until=2, batch_size=10)
    with off(), pytest.raises(ValueError, match="needs gradients"):
        next(steps)
    assert gan.step == 0


def test_nets_built_in_inference_mode_are_refused(small, digits):
    with torch.inference_mode():
        gan = small()
    with pytest.raises(ValueError, match="was built under torch.inference_mode"):
        ganlib.train(gan, digits, until=2)


OPTIMIZERS = {
    "another class": (torch.optim.Adam, torch.optim.AdamW),
    "one without betas": (torch.optim.SGD, torch.optim.Adam),
    "one with": (torch.optim.Adam, partial(torch.optim.SGD, lr=1e-3)),
    "two without": (partial(torch.optim.RMSprop, lr=1e-3), torch.optim.SGD),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("by_hand", [True, False])
def test_another_optimizer_than_the_saved_one_is_refused(name, by_hand, small, digits, tmp_path):
    def gan(optimizer):
        made = small()
        if by_hand:
            made.opt_D = optimizer(made.D.parameters())
            return made
        return ganlib.GAN(made.G, ganlib.Player(made.D, optimizer=optimizer), seed=0)

    then, now = OPTIMIZERS[name]
    trained(gan(then), digits, 2, folder=tmp_path)
    other = gan(now)
    before = {key: value.clone() for key, value in other.G.state_dict().items()}
    with pytest.raises(ValueError, match="optimizer"):
        ganlib.resume(tmp_path, other)
    assert other.step == 0 and same(before, other.G.state_dict())
    again = gan(then)
    assert ganlib.resume(tmp_path, again)
    trained(again, digits, 4)


def test_an_optimizer_is_told_apart_in_a_file_that_does_not_name_it(small, digits, tmp_path):
    """As in files from before: the names of its settings are in the state."""
    trained(small(), digits, 2, folder=tmp_path)
    file = tmp_path / checkpoint.FILE
    content = checkpoint.read(file)
    del content["config"]["optimizers"]
    for group in content["state"]["opt_D"]["param_groups"]:
        del group["betas"]
    seal(file, content)
    with pytest.raises(ValueError, match="the optimizer of D, Adam, cannot go on.*no betas"):
        ganlib.resume(tmp_path, small())


def seal(file, content):
    import hashlib

    torch.save(content, file)
    raw = file.read_bytes()
    file.write_bytes(raw + checkpoint.SEAL + hashlib.sha256(raw).hexdigest().encode())


@pytest.mark.parametrize("name", ["classic", "r3gan", "small", "wgan-gp", "wgan", "infogan"])
def test_a_recipe_can_be_sent_to_another_process(name):
    made = dataclasses.replace(ganlib.recipe(name), augment=ganlib.augment.ada)
    again = pickle.loads(pickle.dumps(made))
    assert str(again) == str(made) and again.describe() == made.describe()
    assert again.objective is made.objective and again.reading() == made.reading()
    weights = [sum(w.sum() for w in r.G().parameters()).isfinite() for r in (made, again)]
    assert all(weights)


def loss(real, fake):
    return fake - real


def test_an_objective_of_ones_own_is_not_taken_for_ganlibs_of_its_name():
    mine = ganlib.Game(ganlib.losses.Objective("hinge", loss, loss))
    made = dataclasses.replace(ganlib.recipe("small"), objective=mine.objective)
    assert pickle.loads(pickle.dumps(made)).objective.d_loss is loss
    assert copy.deepcopy(made).objective.d_loss is loss
    weighed = ganlib.losses.mutual_information(continuous_weight=0.5)  # not in its text
    made = dataclasses.replace(made, question=weighed)
    with pytest.raises(Exception, match="pickle"):
        pickle.dumps(made)
    assert copy.deepcopy(made).question == weighed
