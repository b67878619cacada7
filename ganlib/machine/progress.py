"""Show progress: a bar in a terminal, elsewhere a line at each tenth of the way."""

import sys
import time


class Progress:
    """Shows how far a task is. `bar`: whether to draw a bar, by default only in a terminal.

    patience: seconds before the first line; a task that ends sooner prints none.
    """

    def __init__(self, bar=None, patience=0.0):
        self.tenth, self.start, self.patience, self.bar = -1, time.monotonic(), patience, None
        if sys.stderr.isatty() if bar is None else bar:
            from tqdm import tqdm

            self.bar = tqdm(total=1, bar_format="{percentage:3.0f}%|{bar:20}| {desc}")

    def tell(self, share, *lines):
        """Show that a `share`, 0 to 1, is done, with these lines; a bar shows the first of them."""
        if self.bar is not None:
            self.bar.n = min(1.0, share)
            self.bar.set_description_str(lines[0])
        elif int(10 * share) > self.tenth and time.monotonic() - self.start >= self.patience:
            self.tenth = int(10 * share)
            print(*lines, sep="\n", flush=True)

    def close(self):
        if self.bar is not None:
            self.bar.close()
