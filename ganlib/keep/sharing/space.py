"""Write an app (Gradio) for a Space of the Hugging Face Hub into the folder of an exported
generator.
"""

import importlib.metadata
import shutil
from pathlib import Path

from ...machine.files import replace
from ..card import plain, yaml
from .hub import FILES
from .interface import RULES

PACKAGE = Path(__file__).parents[2]
NEEDED = ("torch>=2.10", "safetensors", "numpy", "pillow")  # of what runs in the app
WORDS = """
from ganlib.games import words


def encode(text):
    return words.encode(text, G.config["class_names"], G.length)

"""
APP = '''"""Draws images with a generator: in a Space, or at home with Gradio, python app.py."""

from pathlib import Path

import ganlib
from ganlib.keep.sharing.interface import interface
{words}
HUB, REVISION = {hub!r}, {revision!r}  # where the generator is, if it is not in a folder here
HERE = Path(__file__).resolve().parent
beside = [at for at in (HERE, HERE.parent) if (at / "generator.safetensors").exists()]
if beside:
    G = ganlib.load_generator(beside[0])
else:
    G = ganlib.load_generator(HUB, revision=REVISION)
app = interface(G{encode})

if __name__ == "__main__":
    app.launch()
'''
README = """---
title: {title}
sdk: gradio
{version}app_file: app.py
license: {license}
tags: [gan, image-generation, synthetic-images]
{models}---

# {name}

**{notice}** {rules}

`app.py` draws with the generator {where}. This folder is all that a Space needs, a copy of ganlib
included: `hf upload USER/NAME . --repo-type space`. At home: `pip install gradio`, then
`python app.py`.
"""


def check(config):
    """Raise ValueError for a generator that no app can ask, by the content of its config.json."""
    shape = config["output"]["images"]
    if "pictures" in config["input"] or len(shape) != 3 or shape[0] not in (1, 3):
        raise ValueError(
            f"{config['name']}: an app is for a generator that draws pictures from noise; leave "
            "app= (--app) out, index.html plays this one where it can"
        )


def write(folder, config, hub=None, revision=None):
    """Write app.py, requirements.txt, README.md with a Space's front matter, and a copy of ganlib
    to `folder`/space; return the files that were written there, but for ganlib's own.

    hub, revision: the name and commit of the model on the Hub, which the app fetches; without, the
        generator is copied beside the app. What else is in the folder stays.
    """
    space = folder / "space"
    needed = (*NEEDED, "huggingface_hub") if hub else NEEDED
    asked = bool(config["input"].get("words"))
    files = {
        "app.py": APP.format(
            words=WORDS if asked else "",
            encode=", encode" if asked else "",
            hub=hub,
            revision=revision,
        ),
        "requirements.txt": "".join(f"{name}\n" for name in needed),
        "README.md": README.format(
            title=yaml(config["name"]),
            version=_version(),
            license=yaml(config["license"]),
            models=f"models: [{yaml(hub)}]\n" if hub else "",
            name=plain(config["name"]),
            notice=config["notice"],
            rules=RULES,
            where="in this folder" if hub is None else f"{plain(hub)} on the Hub",
        ),
    }
    for name, text in files.items():
        replace(space / name, lambda out, text=text: out.write(text.encode()))
    copied = FILES if hub is None else ()
    for name in copied:
        content = (folder / name).read_bytes()
        replace(space / name, lambda out, content=content: out.write(content), size=len(content))
    for name in set(FILES) - {*copied}:  # of an earlier export
        (space / name).unlink(missing_ok=True)
    left = shutil.ignore_patterns("__pycache__", "assets")
    shutil.copytree(PACKAGE, space / "ganlib", ignore=left, dirs_exist_ok=True)
    for licence in (PACKAGE.parent / "LICENSE", *_licences()):
        if licence.exists():
            shutil.copy(licence, space / "ganlib" / "LICENSE")
            break
    return [space / name for name in (*files, *copied)]


def _version():
    """Return the line of the front matter with Gradio's version; "" if it is not installed here."""
    try:
        return f"sdk_version: {importlib.metadata.version('gradio')}\n"
    except importlib.metadata.PackageNotFoundError:
        return ""


def _licences():
    """Return the paths of ganlib's licence files, wherever pip has installed them."""
    try:
        files = importlib.metadata.files("ganlib") or []
    except importlib.metadata.PackageNotFoundError:
        return []
    return [Path(file.locate()) for file in files if file.name == "LICENSE"]
