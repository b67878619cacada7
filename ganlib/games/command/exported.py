"""What an exported generator draws, as its config.json says."""

import json

from ...machine.folder import path_of


def says(folder, *keys):
    """Return what stands under `keys`, one within the other, in the config.json of an exported
    generator; None where there is no such file or entry.
    """
    try:
        found = json.loads((path_of(folder) / "config.json").read_bytes())
        for key in keys:
            found = found[key]
        return found
    except (OSError, ValueError, LookupError, TypeError):
        return None
