"""Check before the first step that all processes of a run train the same."""

from ...keep.content import config_of
from ...machine.several import joining
from ...machine.values import text
from ..checks import AROUND, last


def alike(run, settings, **others):
    """Raise ValueError, in all processes, where they have other code, data, settings or seeds, or
    are not at the same step; the sentence names what differs. All must call this.

    settings: what the run remembers of data and game. others: further values that must agree.
    """
    mine = joining.code() | config_of(run) | settings
    mine |= {"step": run.step, "images seen": run.images_seen, "device": run.device.type}
    mine |= {"precision": run.precision, "numbers": run.dtype} | others
    around = [name for name in mine if last(name) in AROUND]  # paths, and what follows from pixels
    joining.compare({name: text(value) for name, value in mine.items() if name not in around})
