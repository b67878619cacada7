"""The stop button, Ctrl-C and SIGTERM: a loop finishes its step, and ends."""

import os
import signal
import threading
from types import FrameType

WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
ENDS = {"interrupted": 130, "terminated": 143, "not finite": 1}  # see `status_of`


def status_of(reason):
    """Return the exit status of a command whose run ended for this `reason`, or None: 0 unless it
    was stopped or is not finite.
    """
    return next((status for word, status in ENDS.items() if word in (reason or "")), 0)


class Interrupts:
    """Notes the first SIGINT or SIGTERM while a loop runs, and returns it as a reason when called;
    a second SIGINT raises KeyboardInterrupt. Works in the main thread only.

    The handlers are shared by all loops of the process, and those from before come back when the
    last loop has ended or rests. A signal that comes while no loop runs, since one was left but
    kept in a name, goes to the handler from before.
    """

    active, before = [], {}

    def __init__(self):
        self.seen, self.place = None, None

    def __enter__(self):
        self.seen = None
        self._begin()
        return self

    def __exit__(self, *_):
        self.rest()

    def __call__(self, now):
        self._begin()
        return self.seen and f"{self.seen} at step {now.step:,}; run again to go on"

    def stands_in(self, frame: FrameType):
        """Note the frame that loops: a signal that comes outside of it is not for this loop."""
        self.place = id(frame), frame.f_code

    def _begin(self):
        if self not in self.active and _in_main_thread():
            for which in WORDS:
                if signal.getsignal(which) is not _note:
                    self.before[which] = signal.signal(which, _note)
            self.active.append(self)

    def rest(self):
        """Give the signals back until the loop goes on; in another thread at the next signal."""
        if self in self.active:
            self.active.remove(self)
            if not self.active and _in_main_thread():
                _give_back()

    def loops(self, frame):
        """Whether the code at `frame` runs in the loop: in a step, or in the loop's body."""
        while frame is not None:
            if self.place is None or self.place == (id(frame), frame.f_code):
                return True
            frame = frame.f_back
        return False


def _in_main_thread():
    return threading.current_thread() is threading.main_thread()


def _give_back():
    for which, handler in Interrupts.before.items():
        if handler is not None and signal.getsignal(which) is _note:  # None: not Python's own
            signal.signal(which, handler)


def _note(which, frame):
    """Note a signal for the loops that run; without one, do what was done before there were any."""
    running = [one for one in Interrupts.active if one.loops(frame)]
    if not running:
        _pass_on(which, frame)
        return
    if which == signal.SIGINT and any(one.seen for one in running):
        raise KeyboardInterrupt
    for one in running:
        one.seen = one.seen or WORDS[which]


def _pass_on(which, frame):
    handler = Interrupts.before.get(which)
    Interrupts.active.clear()
    _give_back()
    if callable(handler):
        handler(which, frame)
    elif handler == signal.SIG_DFL:
        from ..keep import claim

        claim.leave()  # what waits in a loop is saved before the process ends
        os.kill(os.getpid(), which)
