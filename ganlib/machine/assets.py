"""Assets: the files that ship with ganlib, each compared with the SHA-256 that it must have."""

import hashlib
from importlib.resources import files

FOLDER = files(__package__.partition(".")[0]) / "assets"


def asset(name, sha256):
    """Return the bytes of the file `name`; raises OSError where they are not those of `sha256`."""
    content = (FOLDER / name).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise OSError(
            f"ganlib/assets/{name} is corrupt: its SHA-256 is {digest}, {sha256} is expected; install ganlib again"
        )
    return content
