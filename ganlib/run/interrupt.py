"""Handle the stop button, Ctrl-C and SIGTERM: the loop finishes its step, and ends."""

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
    """Records the first SIGINT or SIGTERM while a loop runs; a call returns it as the reason to
    end. A second SIGINT raises KeyboardInterrupt. Works in the main thread only.

    All loops of the process share the handlers. The earlier handlers are restored when the last
    loop has ended or is suspended (left by `break`, with its iterator kept); a signal that arrives
    meanwhile goes to them.
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
        """Store the frame whose `for` runs this loop; signals outside of it are for others."""
        self.place = id(frame), frame.f_code

    def _begin(self):
        if self not in self.active and _in_main_thread():
            for which in WORDS:
                if signal.getsignal(which) is not _note:
                    self.before[which] = signal.signal(which, _note)
            self.active.append(self)

    def rest(self):
        """Restore the earlier handlers until the loop goes on (another thread cannot: then at the
        next signal).
        """
        if self in self.active:
            self.active.remove(self)
            if not self.active and _in_main_thread():
                _give_back()

    def loops(self, frame):
        """Whether `frame` is executed within the loop: in a step, or in its body."""
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
    """Handler: record a signal for the loops that run; without one, call the earlier handler."""
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
