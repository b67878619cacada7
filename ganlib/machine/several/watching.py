"""Notice that another process of the run is lost: killed, frozen, or on a machine that has gone.

Where a connection breaks, torch raises an error in the others at once. Where it does not (a cable,
a frozen process), nothing would happen for half an hour. So each process gives a sign of life every
second, from a thread, in the store at which they met; one that is silent for 15 s is lost.
"""

import json
import os
import threading
import time
from contextlib import suppress

from torch import distributed

BEAT, SILENT = 1.0, 15.0  # seconds between two signs of life, and without one until one is lost
GRACE = 3.0  # seconds in which the main thread may notice it by itself
BROKEN = os.path.join("torch", "distributed", "")  # where errors come from that are not the step's


class Lost(ConnectionError):
    """Another process of the run has ended, or answers no more; the message says what was saved."""


class Pulse:
    """Gives signs of life of this process, and watches those of the others, in two threads.

    stuck: a function of (who is lost, a sentence). It is called in a thread if the main thread,
        while `busy` with a step, does not notice a loss within `GRACE` seconds.
    place: the `Place` where the processes met. None if something else than `launch.start` began
        them: then there are no signs of life, and only errors of torch show a loss.

    `missing` maps each lost process to the reason why it counts as lost.
    """

    count = 0  # runs of this process so far: names in the store begin with it

    def __init__(self, stuck, place):
        self.rank, self.world = distributed.get_rank(), distributed.get_world_size()
        self.stuck, self.busy, self.missing = stuck, False, {}
        self.ended, self.lock, self.handled = threading.Event(), threading.Lock(), False
        Pulse.count += 1
        self.prefix, self.store, self.refused = f"run/{Pulse.count}", None, 0
        self.others = [rank for rank in range(self.world) if rank != self.rank]
        self.place, self.signs = place, dict.fromkeys(self.others, (b"0", time.monotonic()))
        if place is not None:
            with suppress(ConnectionError, RuntimeError):
                self.store = place.store(3 * BEAT)
                self._sign("0")
                for work in (self._beat, self._judge):  # a store that is frozen never answers
                    threading.Thread(target=work, name="ganlib-pulse", daemon=True).start()

    def _sign(self, text):
        self.store.set(f"{self.prefix}/{self.rank}", text)

    def _beat(self):
        n = 0
        while not self.ended.wait(BEAT):
            n += 1
            self._look(n)

    def _judge(self):
        since, woke = None, time.monotonic()
        while not self.ended.wait(BEAT):
            now = time.monotonic()
            if now - woke > 5 * BEAT:  # this process was stopped (Ctrl-Z), and heard nobody
                self.signs = {rank: (sign, now) for rank, (sign, at) in self.signs.items()}
            woke = now
            silent = [rank for rank, (sign, at) in self.signs.items() if now - at > SILENT]
            if not self.missing:
                silent = [rank for rank in silent if self.signs[rank][0] != b"left"]
                self.missing = dict.fromkeys(silent, f"silent for {SILENT:.0f} s")
            if not self.missing or not self.busy:  # in the loop's body: it will notice afterwards
                since = None
                continue
            since = since or now
            if now - since >= GRACE and self.first_to_notice():
                self.stuck(self.who())
                return

    def _look(self, n):
        """Give sign number `n`, and read those of the others."""
        self.refused = 0 if self.place.answers() else self.refused + 1
        if self.refused > 1 and not self.missing:
            self.missing = {0: f"{self.place.host}:{self.place.port} has gone"}
        if self.refused:
            return
        now = time.monotonic()
        with suppress(RuntimeError):  # the store is gone, and with it whoever held it
            self._sign(str(n))
            keys = {rank: f"{self.prefix}/{rank}" for rank in self.others}
            if not self.store.check(list(keys.values())):
                keys = {rank: key for rank, key in keys.items() if self.store.check([key])}
            seen = self.store.multi_get(list(keys.values())) if keys else []
            for rank, sign in zip(keys, seen, strict=True):
                if sign != self.signs[rank][0]:
                    self.signs[rank] = sign, now
            if not self.missing and self.store.check([f"{self.prefix}/lost"]):
                said = json.loads(self.store.get(f"{self.prefix}/lost"))
                self.missing = {rank: why for rank, why in said if rank != self.rank}

    def first_to_notice(self):
        """Return True to the first caller only, a thread or the main one: it handles the loss."""
        with self.lock:
            first, self.handled = not self.handled, True
        return first

    def lost(self):
        """Return a sentence on who is lost; call it after a message has failed. It waits up to 3 s
        for the signs of life to show it.
        """
        before, end = dict(self.signs), time.monotonic() + 2.5 * BEAT
        while self.store is not None and not self.missing and time.monotonic() < end:
            time.sleep(BEAT / 10)
        if not self.missing and self.store is not None:
            gone = [rank for rank, sign in self.signs.items() if sign == before[rank]]
            self.missing = dict.fromkeys(gone or self.others, "its connection broke")
        with suppress(RuntimeError, AttributeError):
            if self.place.answers():
                self.store.set(f"{self.prefix}/lost", json.dumps(list(self.missing.items())))
        return self.who()

    def who(self):
        """Return who is lost and why: a sentence without a full stop."""
        said = [
            f"process {rank} of {self.world} is lost ({why})" for rank, why in self.missing.items()
        ]
        return " and ".join(said) or f"another of the {self.world} processes is lost"

    def close(self, done):
        """Stop both threads. `done`: the run has ended in all processes, so none is missed."""
        self.ended.set()
        if done and self.store is not None and self.place.answers():
            with suppress(RuntimeError):
                self._sign("left")


def broken(error):
    """Whether `error` was raised by a message between processes, and not by a step."""
    if isinstance(error, distributed.DistError):
        return True
    trace = error.__traceback__ if isinstance(error, RuntimeError) else None
    while trace is not None:
        if BROKEN in trace.tb_frame.f_code.co_filename:
            return True
        trace = trace.tb_next
    return False
