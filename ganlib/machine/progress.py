"""Text for the reader: lines that are printed wherever they can be, names made readable, and a
bar, or lines, that show how far a task is.
"""

import contextlib
import os
import sys
import time
import unicodedata

PLAIN = {"·": "-", "…": "...", "–": "-", "→": "->"}  # for a terminal that has not all characters
# what turns the direction of the text that follows it, and the ends of lines that are no controls
TURNS = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C, 0x2028, 0x2029}


class Tolerant:
    """A stream, such as stdout, that takes any text and never raises: a run does not end because a
    line cannot be printed.

    A character that `stream` cannot encode is replaced by a similar one, or written as its code.
    Nothing is written where there is no stream (None), it is closed, or nobody reads it any more.
    """

    def __init__(self, stream):
        self.stream = stream

    def __getattr__(self, name):
        return getattr(self.stream, name)

    def write(self, text):
        try:
            try:
                self.stream.write(text)
            except UnicodeEncodeError:
                for rich, plain in PLAIN.items():
                    text = text.replace(rich, plain)
                code = self.stream.encoding or "ascii"
                self.stream.write(text.encode(code, "backslashreplace").decode(code))
        except (AttributeError, OSError, ValueError) as error:
            self._gone(error)
        return len(text)

    def flush(self):
        try:
            self.stream.flush()
        except (AttributeError, OSError, ValueError) as error:
            self._gone(error)

    def _gone(self, error):
        """Redirect a broken pipe to nowhere; else Python fails at its exit to write the rest."""
        if isinstance(error, BrokenPipeError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            with contextlib.suppress(AttributeError, OSError, ValueError):
                os.dup2(nowhere, self.stream.fileno())
            os.close(nowhere)


def say(*lines):
    """Print `lines`, each a text or another object, to stdout at once, as `Tolerant` does."""
    stream = Tolerant(sys.stdout)
    stream.write("".join(f"{line}\n" for line in lines))
    stream.flush()


def readable(name):
    """Return a name as one line of characters that can be shown, encoded and read.

    Bytes that are no UTF-8 (Python's surrogates), control characters, ends of lines and characters
    that turn the direction of the text are written as their codes: "caf\\xe9".
    """
    return "".join(map(_shown, str(name)))


def _shown(character):
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8, as Python reads names of files
        return f"\\x{code - 0xDC00:02x}"
    odd = code in TURNS or unicodedata.category(character) in ("Cc", "Cs")
    return repr(character)[1:-1] if odd else character


def terminal():
    """Whether stderr is a terminal, where a bar can be drawn."""
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # there is none, or it is closed
        return False


class Progress:
    """Shows how far a task is. `bar`: whether to draw a bar, by default only in a terminal.

    patience: seconds before the first line; a task that ends sooner prints none.
    """

    def __init__(self, bar=None, patience=0.0):
        self.tenth, self.start, self.patience, self.bar = -1, time.monotonic(), patience, None
        if terminal() if bar is None else bar:
            from tqdm import tqdm

            form = "{percentage:3.0f}%|{bar:20}| {desc}"
            self.bar = tqdm(total=1, bar_format=form, file=Tolerant(sys.stderr))

    def tell(self, share, *lines):
        """Show that a `share`, 0 to 1, is done, with these lines; a bar shows the first of them."""
        if self.bar is not None:
            self.bar.n = min(1.0, share)
            self.bar.set_description_str(" ".join(str(lines[0]).split()))
        elif int(10 * share) > self.tenth and time.monotonic() - self.start >= self.patience:
            self.tenth = int(10 * share)
            say(*lines)

    def close(self):
        """End the bar; printed lines stay."""
        if self.bar is not None:
            self.bar.close()
