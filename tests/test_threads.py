"""Fewer threads while the machine is busy: in a machine of play, whose seconds are known."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

import ganlib
from ganlib.keep.checkpoint import newest
from ganlib.machine import threads
from ganlib.machine.device import choice
from ganlib.machine.threads import Threads, watch

QUIET, BUSY = {2: 0.1, 1: 0.16}, {2: 6.0, 1: 0.3}  # seconds of a step, by threads


class Machine:
    """A clock that only steps move on; steps have the seconds of `load`."""

    def __init__(self, usual=2):
        self.clock, self.load, self.reading = 0.0, QUIET, {"objective": "hinge"}
        torch.set_num_threads(usual)
        self.watcher = Threads(self.reading, 2, lambda: self.clock)
        self.play, self.step = self.watcher.timed(self.one), 0

    def one(self):
        self.clock += self.load[torch.get_num_threads()]
        return {}

    def go(self, seconds, recorded=False):
        """Play for so long; return the threads of the steps."""
        end, used = self.clock + seconds, []
        while self.clock < end:
            self.step += 1
            used.append(torch.get_num_threads())
            self.play()
            self.watcher.update(SimpleNamespace(step=self.step, recorded=recorded))
        return used


def test_a_quiet_machine_is_left_alone():
    machine = Machine()
    assert set(machine.go(600)) == {2} and machine.reading == {"objective": "hinge"}


def test_it_takes_fewer_threads_and_goes_back(capsys):
    machine = Machine()
    machine.go(60)
    machine.load = BUSY
    slow = machine.go(300)
    # three steps, and the last window of before in part, show it; no trial of all within 5 minutes
    assert slow.count(2) <= 12 and slow[-1] == 1
    assert machine.reading["threads"] == 1 and choice.usual == (2, 1)
    said = capsys.readouterr().out
    assert "busy (a step by threads: 2: 6,000 ms, 1: 300 ms), so threads=1" in said
    machine.load = QUIET
    back = machine.go(120)
    assert back.count(1) * QUIET[1] < 4 and back[-1] == 2, "faster by itself: all are tried at once"
    assert "the cores are free again: 2 threads" in capsys.readouterr().out
    assert machine.reading["threads"] == 2  # the next row says so, and no row after it
    machine.go(0.1, recorded=True)
    assert "threads" not in machine.reading


def test_all_threads_are_tried_now_and_then():
    """Calm that shows in no step of one thread is found too, and trials in vain cost little."""
    machine = Machine()
    machine.go(60)
    machine.load = {2: 6.0, 1: 0.16}
    used = machine.go(7200)
    assert 6.0 * used.count(2) < 0.01 * 7200 + 3 * 12
    machine.load = QUIET
    assert machine.go(4000)[-1] == 2


def test_a_machine_that_is_busy_in_turns_costs_little():
    """Five minutes busy, five quiet, five times: at 6 seconds a step there is nothing to lose."""
    machine = Machine()
    for load in [QUIET, BUSY] * 5:
        machine.load = load
        machine.go(300)
    steps = 5 * 300 * (1 / QUIET[2] + 1 / BUSY[1])  # always with the better number of threads
    assert machine.step > 0.85 * steps


def test_steps_that_are_slow_by_themselves_are_tried_less_and_less():
    machine = Machine()
    machine.go(30)
    machine.load = {2: 1.0, 1: 1.6}  # another game, or a slower clock
    used = machine.go(6 * 3600)
    trials = [i for i in range(1, len(used)) if used[i] == 1 != used[i - 1]]
    gaps = [b - a for a, b in zip(trials, trials[1:], strict=False)]
    assert used[-1] == 2 and used.count(1) * 1.6 < 0.01 * 6 * 3600
    assert len(trials) <= 7 and gaps[-1] > 3 * gaps[0]


def test_of_many_threads_the_fastest_is_taken():
    machine = Machine()
    machine.watcher.usual = 8
    torch.set_num_threads(8)
    machine.load = dict.fromkeys((1, 4, 7, 8), 0.1)
    machine.go(30)
    machine.load = {8: 2.0, 7: 0.9, 4: 0.3, 1: 0.5}
    assert machine.go(60)[-1] == 4


def test_a_few_slow_steps_are_no_busy_machine():
    machine = Machine()
    for i in range(300):
        machine.load = BUSY if i % 5 == 4 else QUIET
        machine.play()
        machine.watcher.update(SimpleNamespace(step=i, recorded=False))
        assert torch.get_num_threads() == 2


def test_a_run_that_begins_with_fewer_goes_up_after_a_while():
    machine = Machine(usual=1)
    assert machine.reading["threads"] == 1
    used = machine.go(60)
    assert used.count(1) * QUIET[1] == pytest.approx(threads.QUIET, abs=2) and used[-1] == 2


@pytest.mark.parametrize(
    "there, given, usual, expected",
    [
        (2, None, (None, None), 2),
        (1, None, (None, None), None),
        (1, None, (2, 1), 2),  # a trial has left one
        (1, None, (2, 2), None),  # somebody has taken one since
        (2, 2, (None, None), None),
    ],
)
def test_who_is_watched(there, given, usual, expected):
    torch.set_num_threads(there)
    choice.threads, choice.usual = given, usual
    watcher = watch({})
    assert (watcher and watcher.usual) == expected


def test_setup_says_whose_the_threads_are_and_forgets_no_usual_number(monkeypatch):
    monkeypatch.setattr("ganlib.machine.device.threads_to_use", lambda precision: (1, ""))
    torch.set_num_threads(2)
    for _ in range(2):  # a notebook's first cell, run again
        ganlib.setup(device="cpu")
        assert (choice.threads, choice.usual) == (None, (2, 1)) and torch.get_num_threads() == 1
    ganlib.setup(device="cpu", threads=2)
    assert choice.threads == 2


SETTINGS = {"batch_size": 10, "record_every": 1}


def test_a_run_and_its_checkpoint_say_it(small, digits, tmp_path, monkeypatch):
    """Each step looks like a window that is slow with two threads, and fast with one."""

    def windows(self):
        self.times = [9.0 if torch.get_num_threads() == 2 else 2.0] * 3
        self.spent, self.best, self.due = sum(self.times), min(self.best, 1.0), 0.0

    real = Threads.update
    monkeypatch.setattr(Threads, "update", lambda self, now: (windows(self), real(self, now)))
    torch.set_num_threads(2)
    gan = small()
    for now in ganlib.train(gan, digits, until=10, folder=tmp_path, **SETTINGS):
        if now.step == 2:
            break
    assert [row.get("threads") for row in gan.history] == [None, 1]
    machine = newest(tmp_path)["machine"]
    assert (machine["threads"], machine["usual"]) == (1, 2)
    torch.set_num_threads(2)
    again, choice.usual = small(), (None, None)
    assert ganlib.resume(tmp_path, again)
    assert torch.get_num_threads() == 1 and choice.usual == (2, 1)
    monkeypatch.setattr(Threads, "update", real)
    for now in ganlib.train(again, digits, until=3, folder=tmp_path, **SETTINGS):
        pass
    assert again.history[-1]["threads"] == 1
    choice.threads = 2  # given by the user: nothing would go back to them
    assert ganlib.resume(tmp_path, small()) and torch.get_num_threads() == 2


def test_nothing_changes_a_run_that_nobody_disturbs(small, digits):
    """With the watcher and without, bit for bit."""
    runs = []
    for given in (None, 2):
        torch.set_num_threads(2)
        choice.threads, choice.usual, gan = given, (None, None), small()
        for _ in ganlib.train(gan, digits, until=20, **SETTINGS):
            pass
        runs.append(gan)
    assert runs[0].history == runs[1].history
    assert all(
        torch.equal(a, b) for a, b in zip(*(gan.G.parameters() for gan in runs), strict=True)
    )


@pytest.mark.slow
def test_beside_real_processes(digits, capsys):
    """Four of them keep two cores busy, and then none: fewer threads, and all again."""
    ganlib.setup(0, device="cpu")
    if torch.get_num_threads() < 2:
        pytest.skip("one thread is all that there is, or that is free now")
    made = ganlib.recipe("classic")
    gan, busy = made.gan(0), []
    run = ganlib.train(gan, digits, made, until="180s")
    try:
        for now in run:
            if now.seconds > 8 and not busy:
                busy = [subprocess.Popen([sys.executable, "-c", "while 1: 0"]) for _ in range(4)]
            if torch.get_num_threads() < choice.usual[0]:
                break
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert now.reason is None and "busy" in capsys.readouterr().out
    for now in run:
        if torch.get_num_threads() == choice.usual[0]:
            break
    assert now.reason is None and "free again" in capsys.readouterr().out
