"""Fetch an exported generator from the Hugging Face Hub, by `huggingface_hub` where it is
installed; and send one there.
"""

import re
from pathlib import Path

from ...machine.folder import path_of
from ...machine.progress import readable, say

FILES = ("generator.safetensors", "config.json")  # all that is fetched: nothing that could run
NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
INSTALL = "pip install huggingface_hub"


def named(name):
    """Whether `given` is a text "user/name", and no path that exists."""
    return isinstance(name, str) and NAME.fullmatch(name) is not None and not path_of(name).exists()


def fetch(name, revision=None):
    """Return (the folder of the generator "user/name" in the Hub's cache, the commit that it is).

    Only generator.safetensors and config.json are fetched. `revision` is a commit or a tag. Without
    one the newest is taken, and a line says which commit that is, so that it can be given next
    time. Without a network what was fetched before is used. Raises ImportError without
    `huggingface_hub`, OSError where nothing can be fetched, and where it is no generator of ganlib.
    """
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise ImportError(
            f"there is no folder {name!r} here; if it is a name on the Hugging Face Hub, it needs "
            f"huggingface_hub: {INSTALL}"
        ) from None
    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=list(FILES)))
    except Exception as error:  # of any kind: the network's, the Hub's, or a wrong name
        raise OSError(_why(name, revision, error)) from error
    if lacking := [file for file in FILES if not (folder / file).is_file()]:
        raise OSError(
            f"{name} on the Hugging Face Hub holds no generator of ganlib: it has no "
            f"{' and no '.join(lacking)}; ganlib.export(run_folder, to, hub={name!r}) uploads one"
        )
    commit = folder.name  # the cache keeps each commit in a folder of its own, snapshots/COMMIT
    if revision is None:
        say(f'{name}: commit {commit}; revision="{commit}" takes the same next time')
    return folder, commit


def _why(name, revision, error):
    """Return a sentence on what `snapshot_download` raised, by its kind."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    here = f"there is no folder {name!r} here, and"
    if "RevisionNotFoundError" in kinds:
        return f"{name} on the Hugging Face Hub has no revision {revision!r}: give a commit or tag"
    if kinds & {"RepositoryNotFoundError", "HFValidationError"}:
        return (
            f"{here} no model of that name on the Hugging Face Hub, or it is private: look at the "
            "name, or log in (hf auth login)"
        )
    return (
        f"{here} {name} could not be fetched from the Hugging Face Hub "
        f"({type(error).__name__}: {readable(error)[:300]}); look at the network, or give the "
        "folder of an exported generator"
    )


def upload(folder, name, leave=()):
    """Upload a folder to the Hub as the model "user/name"; return its commit, None where the Hub
    does not say. `leave` are patterns of files that stay here. Raises ImportError without
    `huggingface_hub`.
    """
    try:
        from huggingface_hub import HfApi
    except ImportError:
        raise ImportError(
            f"hub={name!r} needs huggingface_hub: {INSTALL}, then log in; the files are in {folder}"
        ) from None
    api = HfApi()
    api.create_repo(name, exist_ok=True)
    sent = api.upload_folder(repo_id=name, folder_path=str(folder), ignore_patterns=list(leave))
    say(f"uploaded: {sent}")
    return getattr(sent, "oid", None)
