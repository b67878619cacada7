"""A folder that may go while it is in use."""


class Folder:
    """A folder that may go while it is in use (a drive that is cut off), and is not made anew then.

    A new one is made where the folder above it is; if that goes, nobody would look at what stands in its place.
    """

    def __init__(self, path):
        self.path = path.absolute()
        self.held = next(place for place in (self.path, *self.path.parents) if place.exists())

    def check(self):
        """Raise OSError where it was there and has gone, or where that has gone in which it was to be made."""
        if not self.held.exists():
            raise OSError(f"{self.held} has gone")
        if self.path.exists():
            self.held = self.path
