"""Sharing: a run for others, as files that cannot run code on their machine, and a page that draws by itself."""

import copy
import hashlib
import json
from importlib import import_module
from pathlib import Path

import torch

from .. import nets
from ..game.gan import GAN
from ..machine.files import replace
from ..show.pictures import show
from .checkpoint import newest
from .page import NoPage, example, page

FORMAT = 1
NOTICE = "Synthetic images: drawn by a generative adversarial network, not photographed, drawn or written by anybody."
PARITY = 1e-4  # how far ONNX may be from torch, of a range of -1 to 1


def rebuild(folder):
    """Return the GAN of the run in `folder` on the CPU, built anew: for nets of ganlib, which keep their settings."""
    content = newest(folder)
    built = []
    for name in ("G", "D"):
        settings = content["config"][name]
        if not isinstance(settings, dict):
            raise ValueError(
                f"{name} of the run in {folder} is your own net; build it, then resume(folder, gan) and gan.sample()"
            )
        built.append(_net(settings))
    gan = GAN(*built, ema=0.0 if "G_ema" in content["state"] else None)
    gan.load_state_dict(content["state"])
    return gan


def _net(settings):
    return getattr(nets, settings["net"])(**{key: settings[key] for key in settings if key != "net"})


def export(run_folder, to, name=None, metrics=None, license="unknown", hub=None):
    """Write the generator of the run in `run_folder` to the folder `to`, for others; returns a list of its files.

    generator.safetensors and config.json: G (its average, where the run has one) and all that `load_generator` needs.
    README.md: a model card with recipe, data, figures and their conditions, seed and licence. samples.png: 64 images.
    index.html: a page that draws new ones in any browser, with no server. generator.onnx, where `onnx` and `onnxscript`
    are installed, compared with G (by onnxruntime, or onnx's own reference).

    metrics: what `evaluate` returned; by default the last figures of the run's history. license: under which you share
    it: think of the images that it learned from. hub: "user/name" uploads the folder to the Hugging Face Hub, where
    `huggingface_hub` is installed and logged in. Raises OSError where there is no run or `to` cannot be written,
    ValueError for nets of your own, RuntimeError where the ONNX file draws something else.
    """
    gan, to = rebuild(run_folder), Path(to)
    G = copy.deepcopy(gan.net()).eval()
    config = _config(gan, name or Path(run_folder).resolve().name, license)
    from safetensors.torch import save as packed

    tensors = {key: value.contiguous() for key, value in G.state_dict().items()}
    files = {"generator.safetensors": packed(tensors, metadata={"format": "pt", "ganlib": "generator"})}
    onnx, said = _onnx(G)
    if onnx is not None:
        files["generator.onnx"] = onnx
    config["onnx"] = said
    config["sha256"] = hashlib.sha256(files["generator.safetensors"]).hexdigest()
    classes = config["class_names"] or list(range(gan.classes))
    try:
        files["index.html"] = page(G, config["name"], NOTICE, classes).encode()
        config["page"] = "index.html"
    except NoPage as error:
        config["page"] = f"none: {error}"
    images = gan.class_grid() if 0 < gan.classes <= 12 else gan.sample(64)
    grid = show(images, gan.classes if 0 < gan.classes <= 12 else 8, generated=True)
    files["samples.png"] = grid.data
    files["config.json"] = json.dumps(config, indent=2).encode()
    files["README.md"] = _card(config, metrics, gan.history, sorted([*files, "README.md"])).encode()
    for file in {"generator.onnx", "index.html"} - set(files):  # of an earlier export: of other weights
        (to / file).unlink(missing_ok=True)
    for file, content in files.items():
        replace(to / file, lambda out, content=content: out.write(content), size=len(content))
    for what in ("onnx", "page"):
        print(f"{what}: {config[what]}")
    print(f"{to}: {', '.join(sorted(files))}, {sum(map(len, files.values())) / 1e6:.1f} MB")
    if hub is not None:
        _upload(to, hub)
    return sorted(to / file for file in files)


def load_generator(folder):
    """Return the generator that `export` wrote to `folder`: `G(z)` or `G(z, labels)`, in evaluation mode, on the CPU.

    `G.latent_dim`, `G.shape` and `G.config` (a dict: name, classes, training) say how to ask it. Only safetensors and
    JSON are read: nothing in the folder can run code. Raises OSError where files are missing or damaged, ValueError
    where they are of another format or do not fit each other.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    folder = Path(folder)
    try:
        config = json.loads((folder / "config.json").read_text())
        raw = (folder / "generator.safetensors").read_bytes()
        tensors = load(raw)
    except (OSError, SafetensorError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise OSError(f"{folder} holds no generator that can be read ({error}); "
                      "ganlib.export(run_folder, to) writes one") from error  # fmt: skip
    found = config.get("format") if isinstance(config, dict) else None
    if found != FORMAT:
        raise ValueError(f"{folder}/config.json has format {found}; this ganlib reads format {FORMAT}")
    if (digest := hashlib.sha256(raw).hexdigest()) != config.get("sha256"):
        raise OSError(f"{folder}/generator.safetensors is damaged: its SHA-256 is {digest}, {config.get('sha256')} is "
                      "expected; export or download it again")  # fmt: skip
    settings = config.get("generator")
    known = [name for name in dir(nets) if name.endswith("Generator")]
    if not isinstance(settings, dict) or settings.get("net") not in known:
        raise ValueError(f"{folder}/config.json asks for the net {settings}; {', '.join(known)} are known")
    try:
        G = _net(settings)
        G.load_state_dict(tensors)
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:
        raise ValueError(f"{folder}: generator.safetensors does not fit config.json ({error})") from error
    if bad := [key for key, value in tensors.items() if value.is_floating_point() and not value.isfinite().all()]:
        raise ValueError(f"{folder}: generator.safetensors holds numbers that are not finite, in {bad[0]}")
    G.config = config
    return G.eval().requires_grad_(False)


def _config(gan, name, license):
    version = import_module("ganlib").__version__
    trained = dict(gan.trained_on or {})
    names = trained.pop("classes", None) or []
    return {
        "format": FORMAT, "library": f"ganlib {version}, torch {torch.__version__.split('+')[0]}", "name": name,
        "license": license, "notice": NOTICE, "generator": {"net": type(gan.G).__name__, **gan.G.settings},
        "class_names": names if gan.classes else [], "trained_on": trained, "steps": gan.step,
        "images_seen": gan.images_seen, "seed": gan.seed, "precision": gan.precision,
        "weights": "average of G (EMA)" if gan.G_ema is not None else "G",
        "input": {"z": [gan.latent_dim], "labels": gan.classes or None}, "output": {"images": list(gan.G.shape),
                                                                                    "range": [-1, 1]},
    }  # fmt: skip


def _onnx(G):
    """(the bytes of an ONNX file or None, what to say of it)."""
    import io
    import logging
    import warnings

    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError:
        return None, "none: pip install onnx onnxscript, and export again"
    inputs, names = example(G, 2), ["z", "labels"]
    batch = torch.export.Dim("batch", min=1, max=100_000)
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = torch.onnx.export(
                G, inputs, dynamo=True, verbose=False, input_names=names[: len(inputs)], output_names=["images"],
                dynamic_shapes=tuple({0: batch} for _ in inputs))  # fmt: skip
    except Exception as error:  # torch's exporter, onnx and onnxscript have to fit each other
        return None, f"none: torch could not make it ({type(error).__name__}: {str(error).splitlines()[0][:160]})"
    finally:
        log.setLevel(level)
    packed = io.BytesIO()
    made.save(packed)
    apart, judge = _apart(G, packed.getvalue())
    if not apart <= PARITY:
        raise RuntimeError(f"the ONNX file draws something else: {apart:.2g} from torch's images by {judge}, at most "
                           f"{PARITY} is expected")  # fmt: skip
    return packed.getvalue(), f"generator.onnx, at most {apart:.1e} from torch's images of 5 inputs ({judge})"


@torch.no_grad()
def _apart(G, content):
    inputs = example(G, 5)
    given = {name: x.numpy() for name, x in zip(("z", "labels"), inputs, strict=False)}
    try:
        import onnxruntime

        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        (found,), judge = session.run(None, given), "onnxruntime"
    except ImportError:
        import onnx
        from onnx.reference import ReferenceEvaluator

        (found,), judge = ReferenceEvaluator(onnx.load_from_string(content)).run(None, given), "onnx's reference"
    return (torch.from_numpy(found) - G(*inputs)).abs().max().item(), judge


FIGURES = ("frechet_distance", "kid", "precision", "recall", "density", "coverage", "inception_score", "class_kl",
           "accuracy", "memorised")  # fmt: skip


def _card(config, metrics, history, files):
    """The model card: YAML that the Hub reads, and prose."""
    found = metrics or next((row for row in reversed(history) if "frechet_distance" in row), {})
    floors = found.get("floors", {"frechet_distance": found.get("floor"),
                                  "inception_score": found.get("real_inception_score")})  # fmt: skip
    rows = [f"| {name} | {found[name]:.4g} | {'-' if floors.get(name) is None else format(floors[name], '.4g')} |"
            for name in FIGURES if name in found]  # fmt: skip
    if rows and metrics:
        sha = f" (SHA-256 {found['sha256'][:12]})" if found.get("sha256") else ""
        under = (
            f"{found['n_fake']:,} fakes ({found['weights']} weights, step {found['step']:,}) and "
            f"{found['n_real']:,} real images of {found['reference']}; features: {found['extractor']}{sha}."
        )
    elif rows:
        under = f"At step {found['step']:,} of the run, by `evaluate_every`: up to 2,000 fakes."
    judged = "\n".join(["| figure | this generator | real images in its place |", "|---|---|---|", *rows, "", under]
                       if rows else ["Not evaluated. `ganlib.evaluate` tells how good it is."])  # fmt: skip
    trained = "\n".join(f"- {name.replace('_', ' ')}: {value}" for name, value in config["trained_on"].items()
                        if value not in (None, False))  # fmt: skip
    classes = f"\n- classes: {', '.join(map(str, config['class_names']))}" if config["class_names"] else ""
    net = ", ".join(f"{key}={value}" for key, value in config["generator"].items() if key != "net")
    asked = ", labels" if config["input"]["labels"] else ""
    labels = f"labels = torch.arange(64) % {config['input']['labels']}\n" if asked else ""
    return f"""---
license: {config["license"]}
library_name: ganlib
tags: [gan, image-generation, synthetic-images]
---

# {config["name"]}

![64 samples](samples.png)

**{config["notice"]}** Say so where you show them; do not use them to deceive or to imitate a person.

## Use

```python
import torch, ganlib
G = ganlib.load_generator(".")
z = torch.randn(64, G.latent_dim)
{labels}ganlib.show(G(z{asked}), generated=True).save("samples.png")
```

Or open `index.html`, which draws in the browser. Files: {", ".join(files)}.

## Training

- generator: {config["generator"]["net"]}({net}); {config["weights"]}
{trained}{classes}
- {config["steps"]:,} steps, {config["images_seen"]:,} images seen, seed {config["seed"]}, {config["precision"]}
- {config["library"]}
- ONNX: {config["onnx"]}

## Figures

{judged}

## Licence and data

Licence: {config["license"]}. A generator can repeat its training images, the more so the fewer there were: the
rights in those images, and in persons that they show, go along.
"""


def _upload(folder, hub):
    try:
        from huggingface_hub import HfApi
    except ImportError:
        raise ImportError(f"hub={hub!r} needs huggingface_hub: pip install huggingface_hub, then log in; the files are "
                          f"in {folder}") from None  # fmt: skip
    api = HfApi()
    api.create_repo(hub, exist_ok=True)
    print(f"uploaded: {api.upload_folder(repo_id=hub, folder_path=str(folder))}")
