"""The live view: one picture and one line of text, updated while a run goes on.

It works in a notebook, a terminal and a log. `train(view=LiveView(...))` calls its `update` at each
step, and its `close` at the end.
"""

import html
import json
import time
from collections import deque

from ..judge.doctor import diagnose
from ..judge.signs import ROWS
from ..machine.files import replace
from ..machine.folder import Folder, path_of
from ..machine.progress import Progress, readable, say, terminal
from .looks import compact, drawn
from .timeline import write_moment

UPDATES = 800  # most updates per cell: all are messages in the saved file (nbval fails past 2,000)
RECENT = 60.0  # seconds: speed and time left are those of the last minute
SHARE = 0.01  # largest share of the run's time that updates take, by default
STATUS = {
    "p_real": "D(real) {:.2f}",
    "p_fake": "D(fake) {:.2f}",
    "d_loss": "loss D {:.3f}",
    "g_loss": "loss G {:.3f}",
    "tie": "tie {:.4f}",
}


class LiveView:
    """A watcher that shows G's images of one fixed noise, and a line of text, while a run goes on.

    total: the number of steps, for the line, which also shows losses, speed and the time left, both
        by the last minute; the last line has the mean speed.
    folder: the run's folder. At each update `latest.png` and `history.json` are written there. If
        it disappears, the run goes on without these files.
    every: seconds between two updates, at least.
    picture_every: steps between two pictures that are written to `pictures/` in the folder, for
        `timeline`.
    draw: a function of the GAN that returns a `Picture` (`plane.frame`, for example), to be shown
        in place of G's images. Then no pictures are written for `timeline`, but all that were shown
        are in `frames`; and there is no verdict, since the doctor knows images only.
    stay: whether a later run is drawn in the place of the one before, so that several runs, one
        after the other, share one picture of a cell.
    share: the largest share of the run's time that updates may take, 0.01 by default: after one
        that took t seconds the next is due t / share seconds later, at the earliest. The pictures
        for `timeline` have the same limit, separately.

    The first and the last update are always drawn. There are at most 800 in a cell, spread over the
    run. For a conditional G each column of the picture is a class, and each row one noise. Once the
    history has more than 6 rows, the doctor's verdict (`diagnose`) stands under the line. In a
    notebook all is updated in place and stays in the saved file; a terminal gets a progress bar,
    which has no room for the verdict; elsewhere a line is printed at each tenth of the run.
    """

    def __init__(
        self,
        total=None,
        folder=None,
        every=1.0,
        picture_every=100,
        draw=None,
        share=None,
        stay=False,
    ):
        self.total, self.folder, self.every, self.picture_every = (
            total,
            folder and path_of(folder).absolute(),
            every,
            picture_every,
        )
        self.share = SHARE if share is None else share
        self.stay = stay
        self.screen, self._start, self.draw, self.frames = _screen(), None, draw, []
        self.place, self.wrote, self.away = self.folder and Folder(self.folder), False, False

    def update(self, now, force=False):
        """Draw if an update is due (the first one always is), or at once if `force`."""
        clock = time.monotonic()
        if self._start is None:
            self._start = clock, now.step, now.images, now.progress or 0.0
            self._recent = deque([self._start])
            self._updates, self._due, self._moment_due = 0, 0.0, 0.0
            if not (self.stay and getattr(self.screen, "handles", None)):  # those of a cell
                self.screen.open()
            force = True
        if (
            self.folder
            and not self.draw
            and now.every(self.picture_every)
            and (force or clock >= self._moment_due)
        ):
            self._keep(now)
            end = time.monotonic()
            self._moment_due = end + (end - clock) / self.share
        if not force and (clock < self._due or self._updates >= UPDATES):
            return
        self._updates += 1
        self._recent.append((clock, now.step, now.images, now.progress or 0.0))
        while len(self._recent) > 2 and self._recent[1][0] <= clock - RECENT:
            self._recent.popleft()
        picture = self.draw(now.gan) if self.draw else drawn(now.look())
        self.frames += [picture] if self.draw else []
        read = now.history and not {"axes", "unread"} & now.history[-1].keys()
        ask_doctor = not self.draw and len(now.history) > ROWS and read
        verdict = diagnose(now.history).line if ask_doctor else ""
        self.screen.draw(picture, self._status(now, clock), now.progress or 0.0, verdict)
        if self.folder:
            text = json.dumps(now.history, default=_plain).encode()
            self._write(lambda: picture.save(self.folder / "latest.png"))
            self._write(
                lambda: replace(
                    self.folder / "history.json", lambda file: file.write(text), durable=False
                )
            )
        end = time.monotonic()
        spacing = self._left(now, end) / max(1, UPDATES - self._updates)
        self._due = end + max(self.every, (end - clock) / self.share, spacing)

    def close(self, now):
        """Draw the end of the run if it ended with a whole step, and close the screen."""
        if now.reason and now.whole:
            self.update(now, force=True)
        self.screen.close(now.reason or "the loop was left")
        self._start = None

    def _keep(self, now):
        """Write a picture for `timeline`, if the run's data are images: points have none."""
        images, columns, *_ = now.look()
        if images.ndim == 4 and images.shape[1] in (1, 3):
            self._write(lambda: write_moment(self.folder, now.step, images, columns))

    def _write(self, write):
        """Call `write()`, which writes a file of the run's folder.

        Once a file was written, an OSError (the folder has gone, say) only prints a line, once.
        """
        try:
            self.place.check()
            write()
            self.wrote, self.away = True, False
        except OSError as error:
            if not self.wrote:
                raise
            if not self.away:
                say(f"{self.folder}: no pictures are kept until it can be written again ({error})")
            self.away = True

    def _left(self, now, clock):
        """Return the seconds that are left of the run at the speed of the last minute; 0 if that
        is unknown.
        """
        start, *_, before = self._recent[0]
        done = (now.progress or 0.0) - before
        return (clock - start) * max(0.0, 1 - now.progress) / done if done > 0 else 0.0

    def _status(self, now, clock):
        """Return the line of text: step, losses, images/s of the last minute, the time left; at
        the end images/s of the whole run, and the reason.
        """
        start, step, images, _ = self._start if now.reason else self._recent[0]
        last = now.history[-1] if now.history else {}
        if now.stats:  # only here the view waits for the device, once per update
            last = {
                name: float(x) for name, x in now.stats.items() if name.rpartition(".")[2] in STATUS
            }
        parts = [f"step {now.step:,}" + (f" / {self.total:,}" if self.total else "")]
        # several GANs have a part each
        for prefix in dict.fromkeys(name.rpartition(".")[0] for name in last):
            keys = {name: f"{prefix}.{name}".lstrip(".") for name in STATUS}
            shown = [
                text.format(last[keys[name]]) for name, text in STATUS.items() if keys[name] in last
            ]
            parts += [f"{prefix}: {', '.join(shown)}"] * bool(shown) if prefix else shown
        if now.step > step:
            parts.append(f"{(now.images - images) / max(1e-9, clock - start):,.0f} images/s")
        if now.reason:
            parts.append(readable(" ".join(now.reason.split())))
        elif left := round(self._left(now, clock)):
            parts.append(f"{left // 60}:{left % 60:02} left")
        return " · ".join(parts)


def _plain(value):
    """Return a value that the user put into a row in a form that JSON can hold: number or text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _screen():
    """Return what shows pictures and lines: a notebook's cell, a terminal's bar, or plain lines."""
    try:
        from IPython import get_ipython
    except ImportError:
        return Bar() if terminal() else Lines()
    if getattr(get_ipython(), "kernel", None) is not None:
        return _Cell()
    return Bar() if terminal() else Lines()


class _Cell:
    """Picture and text in a notebook: each is displayed once, then updated in place."""

    def open(self):
        self.handles = None

    def draw(self, picture, status, progress, verdict):
        from IPython.display import display

        status += f"\n{verdict}" if verdict else ""
        bundle, metadata = compact(picture)._repr_mimebundle_()
        shown = (
            (bundle | {"text/plain": "<live samples>"}, metadata),
            ({"text/html": f"<pre>{html.escape(status)}</pre>", "text/plain": status}, {}),
        )
        if self.handles is None:
            self.handles = [
                display(bundle, metadata=metadata, raw=True, display_id=True)
                for bundle, metadata in shown
            ]
            return
        for handle, (bundle, metadata) in zip(self.handles, shown, strict=True):
            handle.update(bundle, metadata=metadata, raw=True)

    def close(self, reason):
        """Do nothing: the last line says why the run ended."""


class Bar:
    """A progress bar in a terminal, with the line of text but no picture."""

    def open(self):
        self.progress = Progress(bar=True)

    def draw(self, picture, status, progress, verdict):
        self.progress.tell(progress, status)

    def close(self, reason):
        self.progress.close()


class Lines:
    """A printed line at each tenth of the run, and one that says why it ended."""

    def open(self):
        self.progress = Progress(bar=False)

    def draw(self, picture, status, progress, verdict):
        self.progress.tell(progress, status, *[f"   {verdict}"] * bool(verdict))

    def close(self, reason):
        say(f"ended: {readable(reason)}")
