"""Export a generator for others, as files that cannot run code on their machine, and as a web page
that draws by itself; and read exported and saved generators back.
"""

import copy
import hashlib
import json
from importlib import import_module

import torch

from ..data.large.store import refuse_folder
from ..game.gan import GAN
from ..machine.assets import FOLDER
from ..machine.files import replace
from ..machine.folder import path_of
from ..machine.progress import readable, say
from ..nets.known import length_of
from ..nets.pictures import draw_to
from ..nets.rebuild import build
from ..nets.rebuild import settings as settings_of
from ..show.looks import drawn
from .card import card
from .checkpoint import newest
from .onnx import onnx_file
from .page import NoPage, fed, page
from .sharing import hub as sharing
from .sharing import space

FORMAT = 1
CONFIG = 2**22  # most bytes of config.json
NOTICE = (
    "Synthetic images: drawn by a generative adversarial network, not photographed, drawn or "
    "written by anybody."
)


def rebuild(folder, source=None):
    """Return the GAN of the run in `folder`, on the CPU, its nets built from the settings in the
    checkpoint. `source` is what G is fed, where that is not noise: a checkpoint does not hold it.

    Only nets of ganlib store their settings. No code in the file is run, and no more memory is
    taken than a few times its size. Raises OSError if there is no run or it cannot be read,
    ValueError for the user's own nets or source, several GANs, or a state that does not fit its
    settings.
    """
    content = newest(folder)
    config, how = content["config"], "build it, then resume(folder, gan) and gan.sample()"
    if "G" not in config:
        raise ValueError(
            f"the run in {folder} has several GANs; build them, then resume(folder, Several(...))"
        )
    if "source" in config and source is None:
        raise ValueError(
            f"G of the run in {folder} is fed {config['source']}, which a checkpoint does not "
            f"hold; {how}"
        )
    for name in ("G", "D"):
        if not isinstance(config[name], dict):
            raise ValueError(f"{name} of the run in {folder} is your own net; {how}")
    state = content["state"]
    try:
        built = [build(config[name], name, state[name]) for name in ("G", "D")]
        gan = GAN(*built, ema=0.0 if "G_ema" in state else None, source=source)
        gan.load_state_dict(state)
    except Exception as error:  # of any kind: the file may be a stranger's
        raise ValueError(
            f"the state of the run in {folder} does not fit its settings ({str(error)[:300]})"
        ) from error
    gan.run_id = content.get("run")
    return gan


def export(
    run_folder,
    to,
    name=None,
    metrics=None,
    license="unknown",
    hub=None,
    source=None,
    look=None,
    app=False,
    strength=None,
):
    """Write the generator of the run in `run_folder` to the folder `to`, for others; return the
    list of its files.

    generator.safetensors and config.json hold G (its average, if the run has one) and all that
    `load_generator` needs. README.md is a model card with recipe, data, metrics and their
    conditions, seed and licence. samples.png shows 64 images. index.html is a page that draws new
    ones in any browser, without a server. generator.onnx is written if `onnx` and `onnxscript` are
    installed, and compared with G (by onnxruntime, or onnx's reference evaluator).

    name: the generator's name; by default that of the run's folder.
    metrics: what `evaluate` returned; by default the last evaluation in the run's history, unless
        there is a `strength`.
    license: the licence under which you share it; think of the images that it was trained on.
    hub: "user/name" also uploads the folder to the Hugging Face Hub, if `huggingface_hub` is
        installed and logged in.
    source, look: for a G that is fed pictures: such pictures, and a function of the GAN that
        returns the `Look` of samples.png.
    app: also writes space/: an app.py (Gradio) with all that a Space of the Hub needs. It draws
        with the generator in its folder, or with `hub` there is one.
    strength: of a G of recipe("pictures"), how far it draws noise to its training images, see
        `lab.draw_to`; as in the run by default.

    Raises OSError if there is no run or `to` cannot be written, ValueError for the user's own nets,
    a strength that G does not take, and for an app of a G that is fed pictures,
    RuntimeError if the ONNX file draws other images than G.
    """
    name, gan = name or path_of(run_folder).resolve().name, rebuild(run_folder, source)
    if strength is not None:
        draw_to(gan, strength)
        metrics = metrics or {}  # those in the history are of another strength
    return write(gan, to, name, metrics, license, hub, look, app)


def write(gan, to, name, metrics=None, license="unknown", hub=None, look=None, app=False):
    """Write the generator of a `GAN`, whose nets are of ganlib, as `export` does; return the list
    of files.
    """
    to, G = path_of(to), copy.deepcopy(gan.net()).eval()
    refuse_folder(to, "an export")
    _refuse_others(to)
    alone = G.alone() if hasattr(G, "alone") else G
    config = _config(gan, readable(name), license)
    if app:
        space.check(config)
    from safetensors.torch import save as packed

    tensors = {key: value.contiguous() for key, value in G.state_dict().items()}
    files = {
        "generator.safetensors": packed(tensors, metadata={"format": "pt", "ganlib": "generator"})
    }
    onnx, message = onnx_file(alone)
    if onnx is not None:
        files["generator.onnx"] = onnx
    config["onnx"] = message
    config["sha256"] = hashlib.sha256(files["generator.safetensors"]).hexdigest()
    classes = config["class_names"] or list(range(gan.classes))
    try:
        files["index.html"] = page(alone, config["name"], config["notice"], classes).encode()
        config["page"] = "index.html"
    except NoPage as error:
        config["page"] = f"none: {error}"
    files["samples.png"] = drawn((look or type(gan).look)(gan)).data
    files["config.json"] = json.dumps(config, indent=2).encode()
    files["README.md"] = card(config, metrics, gan.history, sorted([*files, "README.md"])).encode()
    for file in {"generator.onnx", "index.html"} - set(files):  # of an earlier export
        (to / file).unlink(missing_ok=True)
    for file, content in files.items():
        replace(to / file, lambda out, content=content: out.write(content), size=len(content))
    for what in ("onnx", "page"):
        say(f"{what}: {config[what]}")
    say(f"{to}: {', '.join(sorted(files))}, {sum(map(len, files.values())) / 1e6:.1f} MB")
    commit = None if hub is None else sharing.upload(to, hub, ("space/*",))
    apps = space.write(to, config, hub, commit) if app else []
    if app:
        say(f"{to / 'space'}: an app for a Space, or python {to / 'space' / 'app.py'}")
    elif (to / "space" / "app.py").exists():
        say(f"{to / 'space'}: of an earlier export; app=True (--app) writes it anew")
    return sorted([*(to / file for file in files), *apps])


MARKS = {"README.md": b"ganlib", "config.json": b"ganlib", "index.html": b"computed in this page"}


def _refuse_others(to):
    """Raise ValueError where a file that is no export's would be overwritten."""
    for name, ours in MARKS.items():
        file = to / name
        if file.is_file() and ours not in file.read_bytes():
            raise ValueError(
                f"{file} was not written by ganlib, and an export would replace it; give another "
                "folder, or move it away"
            )


def load_generator(folder, revision=None):
    """Return the generator that `export` wrote to `folder`, in evaluation mode, on the CPU.

    "digits" is one that ships with ganlib (made by tools/make_generator.py), which draws the digit
    that it is asked for, unless there is a folder of that name.

    Call it as `G(z)` or `G(z, labels)`; `G.latent_dim`, `G.shape` and `G.config` (a dict: name,
    classes, training) say with what; one that translates images takes them, `G(images)`, of the
    shape `G.fed`. Only safetensors and JSON are read, so nothing in the folder can run code; and
    the net is built only if it has just the weights that are stored, so that it takes no more
    memory than a few times their size.

    "user/name", where there is no such folder, is fetched from the Hugging Face Hub, if
    `huggingface_hub` is installed: these two files alone. `revision` is its commit, or a tag;
    without one a line says which commit was the newest, and `G.revision` is it.

    Raises OSError if files are missing, damaged or cannot be fetched, ValueError if they have
    another format or do not fit each other, and ImportError without `huggingface_hub`.
    """
    from safetensors.torch import load

    commit = None
    if sharing.named(folder):
        folder, commit = sharing.fetch(folder, revision)
    elif revision is not None:
        raise ValueError(
            f"revision={revision!r} was given with {str(folder)!r}, a folder; it belongs to a name "
            "on the Hugging Face Hub, user/name"
        )
    shipped = folder == "digits" and not path_of(folder).exists()
    folder = path_of(str(FOLDER / "digits-generator") if shipped else folder)
    try:
        if (size := (folder / "config.json").stat().st_size) > CONFIG:
            raise ValueError(f"config.json has {size:,} bytes, at most {CONFIG:,} are read")
        config = json.loads((folder / "config.json").read_text("utf-8"))
        raw = (folder / "generator.safetensors").read_bytes()
        tensors = load(raw)
    except Exception as error:  # of any kind: the files may be anything
        raise OSError(
            f"{folder} holds no generator that can be read ({type(error).__name__}: "
            f"{str(error)[:300]}); ganlib.export(run_folder, to) writes one"
        ) from error
    stored = config.get("format") if isinstance(config, dict) else None
    if stored != FORMAT or isinstance(stored, bool):
        raise ValueError(
            f"{folder}/config.json has format {str(stored)[:100]}; this ganlib reads format "
            f"{FORMAT}"
        )
    if (digest := hashlib.sha256(raw).hexdigest()) != config.get("sha256"):
        raise OSError(
            f"{folder}/generator.safetensors is damaged: its SHA-256 is {digest}, "
            f"{str(config.get('sha256'))[:100]} is expected; export or download it again"
        )
    del raw
    try:
        G = build(config.get("generator"), "G", tensors)
    except ValueError as error:
        raise ValueError(
            f"{folder}: generator.safetensors does not fit config.json ({error})"
        ) from error
    G.load_state_dict(tensors)
    if bad := [
        key
        for key, value in tensors.items()
        if value.is_floating_point() and not value.isfinite().all()
    ]:
        raise ValueError(
            f"{folder}: generator.safetensors holds numbers that are not finite, in {bad[0]}"
        )
    G.config, G.revision = config, commit
    return G.eval().requires_grad_(False)


def _config(gan, name, license):
    """Return the content of config.json, but for what `export` adds."""
    version = import_module("ganlib").__version__
    trained = {
        key: x
        for key, x in (gan.trained_on or {}).items()
        if key not in ("loaded", "plan") and not key.endswith("brightness")  # where is private
    }
    names = trained.pop("classes", None) or []
    return {
        "format": FORMAT,
        "library": f"ganlib {version}, torch {torch.__version__.split('+')[0]}",
        "name": name,
        "license": license,
        "notice": getattr(gan.G, "notice", NOTICE),
        "generator": settings_of(gan.G),
        "class_names": names if gan.classes or length_of(gan.G) else [],
        "trained_on": trained,
        "steps": gan.step,
        "images_seen": gan.images_seen,
        "seed": gan.seed,
        "precision": gan.precision,
        "weights": "average of G (EMA)" if gan.G_ema is not None else "G",
        "input": _input(gan),
        "output": {"images": list(gan.G.shape), "range": [-1, 1]},
    }


def _input(gan):
    if pictures := fed(gan.G):
        return {"pictures": list(pictures), "labels": None}
    said = {"words": length_of(gan.G)} if length_of(gan.G) else {}
    return {"z": [gan.latent_dim], "labels": gan.classes or None} | said
