"""The live view: one picture and one line, renewed while a run goes on, in a notebook, a terminal or a log."""

import html
import json
import sys
import time
from pathlib import Path

from ..judge.doctor import diagnose
from ..judge.signs import ROWS
from ..machine.files import replace
from ..machine.folder import Folder
from ..machine.progress import Progress
from .looks import drawn
from .timeline import write_moment

UPDATES = 800  # at most, per cell: the saved file's messages have their limits (nbval gives up past 2,000)
SHARE = 0.01  # of the run's time, at most, goes into the live picture, unless asked otherwise
STATUS = {"p_real": "D(real) {:.2f}", "p_fake": "D(fake) {:.2f}", "d_loss": "loss D {:.3f}", "g_loss": "loss G {:.3f}"}


class LiveView:
    """One picture of what G draws from one fixed noise, and one line of figures, renewed while a run goes on.

    Of a conditional G each column is a class and each row one noise.

    total: the number of steps, said in the line.
    folder: the run's folder; `latest.png` and `history.json` are kept there at each update, and every
        `picture_every` steps a picture for `timeline` in `pictures/`. Where it goes, the run goes on without them.
    draw: what to show in the place of G's images, a function of the GAN that returns a `Picture` (`plane.frame`, say);
        no pictures are kept for `timeline` then, but all that was shown is in `frames`, and the doctor, who knows
        images alone, is not asked.
    every: seconds between two updates, at least; they are also held to `share` of the run's time and 800 a cell, and so
        are the pictures that are kept, but for the first and the last.

    Under the line stands the doctor's verdict (`diagnose`), once there are rows enough in the history; a terminal's bar
    has no room for it.
    In a notebook picture and lines are updated in place and stay in the saved file; in a terminal there is a progress
    bar; elsewhere a line is printed at each tenth of the way.
    """

    def __init__(self, total=None, folder=None, every=1.0, picture_every=100, draw=None, share=None):
        self.total, self.folder, self.every, self.picture_every = total, folder and Path(folder), every, picture_every
        self.share = SHARE if share is None else share
        self.screen, self._start, self.draw, self.frames = _screen(), None, draw, []
        self.place, self.wrote, self.away = self.folder and Folder(self.folder), False, False

    def update(self, now, force=False):
        """Called with each `Now` of the run; draws when an update is due (the first is), or at once with `force`."""
        clock = time.monotonic()
        if self._start is None:
            self._start, self._first = (clock, now.step, now.images), now.progress or 0.0
            self._updates, self._due, self._moment_due = 0, 0.0, 0.0
            self.screen.open()
            force = True
        if self.folder and not self.draw and now.every(self.picture_every) and (force or clock >= self._moment_due):
            self._keep(now)
            end = time.monotonic()
            self._moment_due = end + (end - clock) / self.share
        if not force and (clock < self._due or self._updates >= UPDATES):
            return
        self._updates += 1
        picture = self.draw(now.gan) if self.draw else drawn(now.look())
        self.frames += [picture] if self.draw else []
        known = not self.draw and len(now.history) > ROWS and "axes" not in now.history[-1]
        verdict = diagnose(now.history).line if known else ""
        self.screen.draw(picture, self._status(now, clock), now.progress or 0.0, verdict)
        if self.folder:
            text = json.dumps(now.history).encode()
            self._write(lambda: picture.save(self.folder / "latest.png"))
            self._write(lambda: replace(self.folder / "history.json", lambda file: file.write(text), durable=False))
        end = time.monotonic()
        spacing = self._left(now, end) / max(1, UPDATES - self._updates)
        self._due = end + max(self.every, (end - clock) / self.share, spacing)

    def close(self, now):
        """Called once at the end of the run; draws that, where the run came to one."""
        if now.reason and now.whole:
            self.update(now, force=True)
        self.screen.close(now.reason or "the loop was left")
        self._start = None

    def _keep(self, now):
        """Write a picture for `timeline`: of images, since points have none."""
        images, columns, *_ = now.look()
        if images.ndim == 4 and images.shape[1] in (1, 3):
            self._write(lambda: write_moment(self.folder, now.step, images, columns))

    def _write(self, write):
        """Write a file of the run's folder. One that has gone since the first stops nothing; that is said once."""
        try:
            self.place.check()
            write()
            self.wrote, self.away = True, False
        except OSError as error:
            if not self.wrote:
                raise
            if not self.away:
                print(f"{self.folder}: no pictures are kept until it can be written again ({error})")
            self.away = True

    def _left(self, now, clock):
        """Seconds left, 0 where that is unknown."""
        done = (now.progress or 0.0) - self._first  # in this call
        return (clock - self._start[0]) * max(0.0, 1 - now.progress) / done if done > 0 else 0.0

    def _status(self, now, clock):
        start, step, images = self._start
        last = now.history[-1] if now.history else {}
        if now.stats:  # the only place where the view waits for the device, once an update
            last = {name: float(x) for name, x in now.stats.items() if name.rpartition(".")[2] in STATUS}
        parts = [f"step {now.step:,}" + (f" / {self.total:,}" if self.total else "")]
        for of in dict.fromkeys(name.rpartition(".")[0] for name in last):  # several GANs have a part each
            named = {name: f"{of}.{name}".lstrip(".") for name in STATUS}
            shown = [text.format(last[named[name]]) for name, text in STATUS.items() if named[name] in last]
            parts += [f"{of}: {', '.join(shown)}"] * bool(shown) if of else shown
        if now.step > step:
            parts.append(f"{(now.images - images) / max(1e-9, clock - start):,.0f} images/s")
        if now.reason:
            parts.append(now.reason)
        elif left := round(self._left(now, clock)):
            parts.append(f"{left // 60}:{left % 60:02} left")
        return " · ".join(parts)


def _screen():
    """Where pictures and lines go: a notebook's cell, a terminal's bar, or plain lines."""
    try:
        from IPython import get_ipython
    except ImportError:
        return Bar() if sys.stderr.isatty() else Lines()
    if getattr(get_ipython(), "kernel", None) is not None:
        return _Cell()
    return Bar() if sys.stderr.isatty() else Lines()


class _Cell:
    """Picture and line in a notebook: each displayed once, then updated in place."""

    def open(self):
        self.handles = None

    def draw(self, picture, status, progress, verdict):
        from IPython.display import display

        status += f"\n{verdict}" if verdict else ""
        bundles = (
            picture.lossy()._repr_mimebundle_()[0] | {"text/plain": "<live samples>"},
            {"text/html": f"<pre>{html.escape(status)}</pre>", "text/plain": status},
        )
        if self.handles is None:
            self.handles = [display(bundle, raw=True, display_id=True) for bundle in bundles]
            return
        for handle, bundle in zip(self.handles, bundles, strict=True):
            handle.update(bundle, raw=True)

    def close(self, reason):
        """The last line says it."""


class Bar:
    """A progress bar in a terminal."""

    def open(self):
        self.progress = Progress(bar=True)

    def draw(self, picture, status, progress, verdict):
        self.progress.tell(progress, status)

    def close(self, reason):
        self.progress.close()


class Lines:
    """A line at each tenth of the way, and why it ended."""

    def open(self):
        self.progress = Progress(bar=False)

    def draw(self, picture, status, progress, verdict):
        self.progress.tell(progress, status, *[f"   {verdict}"] * bool(verdict))

    def close(self, reason):
        print(f"ended: {reason}", flush=True)
