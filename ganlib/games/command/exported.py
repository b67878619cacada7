"""`says` reads an entry of the config.json of an exported generator: what it draws, and how."""

import json

from ...machine.folder import path_of


def says(folder, *keys):
    """Return what stands under `keys`, one within the other, in the config.json of an exported
    generator; None where there is no such file or entry.
    """
    try:
        entry = json.loads((path_of(folder) / "config.json").read_bytes())
        for key in keys:
            entry = entry[key]
        return entry
    except (OSError, ValueError, LookupError, TypeError):
        return None
