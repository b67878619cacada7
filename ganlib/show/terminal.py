"""Terminal: where the live view goes outside of a notebook."""


class Bar:
    """A progress bar in a terminal."""

    def open(self):
        from tqdm import tqdm

        self.bar = tqdm(total=1, bar_format="{percentage:3.0f}%|{bar:20}| {desc}")

    def draw(self, picture, status, progress, verdict):
        self.bar.n = min(1.0, progress)
        self.bar.set_description_str(status)

    def close(self, reason):
        self.bar.close()


class Lines:
    """A line at each tenth of the way, and why it ended."""

    def open(self):
        self.tenth = -1

    def draw(self, picture, status, progress, verdict):
        if int(10 * progress) > self.tenth:
            self.tenth = int(10 * progress)
            print(status, *[f"   {verdict}"] * bool(verdict), sep="\n", flush=True)

    def close(self, reason):
        print(f"ended: {reason}", flush=True)
