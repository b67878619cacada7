"""Read what the next steps need before they ask: a thread brings it into the system's page cache.

No image is held twice: a batch is copied from the page cache when it is due.
"""

import threading
from collections import deque

PIECE = 2**17  # bytes that are read at a time


class Ahead:
    """Reads parts of files ahead, in a thread that ends when there is nothing left to read.

    What it reads changes nothing but the time that the next reading takes.
    """

    def __init__(self):
        self.lock, self.thread, self.failed = threading.Lock(), None, False
        self.asked, self.waiting, self.over = deque(maxlen=4), deque(maxlen=2), False

    def ask(self, key, pieces):
        """Read what `pieces()` lists, (path, offset, length) each, unless `key` was just asked for.

        What went wrong in the thread since the last call is tried again, and otherwise left to the
        one who needs the images: by then it may be mended.
        """
        with self.lock:
            if self.failed:
                self.failed = False
                self.asked.clear()
            if key in self.asked or self.over:
                return
            self.asked.append(key)
            self.waiting.append(pieces)  # of more than two only the last two are still of use
            if self.thread is None:
                self.thread = threading.Thread(target=self._work, name="ganlib ahead", daemon=True)
                self.thread.start()

    def close(self):
        """Let the thread end after the piece at hand, and wait for it."""
        with self.lock:
            self.over, thread = True, self.thread
            self.waiting.clear()
        if thread is not None:
            thread.join()

    def _work(self):
        room = memoryview(bytearray(PIECE))
        while True:
            with self.lock:
                if not self.waiting:
                    self.thread = None
                    return
                pieces = self.waiting.popleft()
            try:
                for piece in pieces():
                    self._read(*piece, room)
            except Exception:  # of any kind, a shard that is gone
                with self.lock:
                    self.failed, self.thread = True, None
                    self.waiting.clear()
                return

    def _read(self, path, offset, length, room):
        try:
            with open(path, "rb", buffering=0) as file:
                file.seek(offset)
                while length > 0 and not self.over:
                    done = file.readinto(room[: min(length, PIECE)])
                    if not done:
                        raise OSError("it ends early")
                    length -= done
        except OSError as error:
            raise broken(path, error) from error


def broken(path, error):
    """Return an OSError that says what is wrong with a shard, and what helps."""
    why = error.strerror if getattr(error, "strerror", None) else error
    return OSError(
        f"the shard {path} cannot be read ({why}); if it is missing or cut, bring it back, or give "
        "the command that made it again (python -m ganlib convert ...), which makes it anew; then "
        "go on as before"
    )
