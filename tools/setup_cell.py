# @title Set-up: finds ganlib. Nothing to edit.
import importlib.metadata
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote
from urllib.request import urlopen

REPOSITORY, RELEASE = "", "0.1.0"  # stamped by tools/stamp.py


def opened_from():
    """Return (repository, branch) on GitHub from which Colab opened this notebook, or None."""
    file = (
        r"fileId=(https://github\.com/[\w.-]+/[\w.-]+)/blob/([\w./-]+)/notebooks/(?:zh/)?\w+\.ipynb"
    )
    try:  # Colab's list of open notebooks; if it names several files, which is this one is unknown
        address = "http://{COLAB_JUPYTER_IP}:{KMP_TARGET_PORT}/api/sessions".format(**os.environ)
        with urlopen(address, timeout=3) as answer:
            paths = {unquote(session["path"]) for session in json.load(answer)}
        (found,) = {re.fullmatch(file, path).groups() for path in paths}
    except Exception:
        return None
    return found


def sources():
    """Yield what pip may install: a wheel beside the notebook; in Colab GitHub, then an upload."""
    wheels = sorted(Path().glob("ganlib-*.whl"), key=lambda file: f"-{RELEASE}-" not in file.name)
    yield from map(str, wheels[:1])
    if "google.colab" in sys.modules:
        for repository, branch in filter(None, (opened_from(), (REPOSITORY, f"v{RELEASE}"))):
            if repository:
                yield f"ganlib @ git+{repository}@{branch}"
        from google.colab import files

        print(f"Choose the file ganlib-{RELEASE}-py3-none-any.whl on your computer:")
        for name in files.upload():
            yield str(Path(name).rename(re.sub(r" ?\(\d+\)", "", name)))  # without " (1)"


torch_version = importlib.metadata.version("torch")
if tuple(map(int, re.findall(r"\d+", torch_version)[:2])) < (2, 10):
    raise ImportError(
        f"torch {torch_version} is installed, and ganlib needs 2.10 or newer. In Colab choose "
        "Runtime > Change runtime type > CPU or GPU (no TPU); elsewhere run "
        "python3 -m pip install --upgrade torch torchvision, and restart the kernel."
    )
here = Path.cwd()
around = (here, here.parent, here.parent.parent, here / "ganlib")
folders = [folder for folder in around if (folder / "ganlib/__init__.py").exists()]
known = importlib.util.find_spec("ganlib")
if folders:  # a checkout: this notebook lies in it, or it was cloned here
    sys.path.insert(0, str(folders[0]))
elif known is None or known.origin is None:  # origin None: only an empty folder of that name
    # --no-deps: what is installed (torch, ipywidgets, ...) stays as it is
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    environment = os.environ | {"GIT_TERMINAL_PROMPT": "0"}  # git asks for no password
    for source in sources():
        try:
            subprocess.run([*pip, source], check=True, env=environment)
            break
        except subprocess.CalledProcessError:
            print(f"pip could not install {source}")
    else:
        raise ModuleNotFoundError(
            f"ganlib is not here. Put its wheel, ganlib-{RELEASE}-py3-none-any.whl, next to this "
            "notebook (in Colab: the folder icon on the left, then drop the file) and run this "
            "cell again. In a checkout of ganlib this command builds the wheel: "
            "python3 -m pip wheel --no-deps ."
        )
    importlib.invalidate_caches()

import ganlib
