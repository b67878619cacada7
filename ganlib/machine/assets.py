"""Read the files that ship with ganlib, each checked against its SHA-256."""

import hashlib
from importlib.resources import files

FOLDER = files(__package__.partition(".")[0]) / "assets"


def asset(name, sha256):
    """Return the bytes of the file `name`; raise OSError if their SHA-256 is not `sha256`."""
    content = (FOLDER / name).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise OSError(
            f"ganlib/assets/{name} is corrupt: its SHA-256 is {digest}, {sha256} is expected; "
            "install ganlib again"
        )
    return content
