"""Checkpoints: one file per run, replaced in one move, with everything in it to go on bit for bit."""

import io
import pickle
from pathlib import Path

import torch

from . import nets
from .files import replace
from .parallel import place
from .schedules import text

FORMAT = 3
FILE = "checkpoint.pt"


def save(folder, gan):
    """Write the run's whole state to `folder`/checkpoint.pt: at any moment there is the old file or the new one.

    Raises OSError where the folder cannot be written; what was saved before stays as it was.
    """
    content = {"format": FORMAT, "config": _config(gan), "machine": _machine(gan), "state": gan.state_dict()}
    packed = io.BytesIO()  # torch.save into a full disk raises something else than OSError
    torch.save(content, packed)
    replace(Path(folder) / FILE, lambda file: file.write(packed.getbuffer()))


def resume(folder, gan, fresh=False):
    """Go on with the run in `folder`: put its state into `gan` and return True; False where there is none.

    Says which in one line. On the CPU it sets threads and matmul precision as they were, so that the run goes on
    bit for bit. `fresh=True` starts anew: an earlier run is put aside under a name that the line gives.
    Raises ValueError where the run is one of other nets or settings, OSError where its file cannot be read.
    """
    folder = Path(folder)
    file = folder / FILE
    if fresh and (file.exists() or (folder / "pictures").exists()):
        aside = next(p for n in range(1, 10**6) if not (p := folder.with_name(f"{folder.name}.{n}")).exists())
        folder.rename(aside)
        print(f"{folder}: a fresh start; the earlier run is now {aside}")
        return False
    if not file.exists():
        print(f"{folder}: a fresh start")
        return False
    content = read(file, gan.device)
    for name, ours in _config(gan).items():
        theirs = content["config"].get(name)
        if theirs != ours:
            raise ValueError(f"the run in {folder} has {name} = {theirs}, this one {name} = {ours}; "
                             "use the same, another folder, or start anew with fresh=True (FRESH = True)")  # fmt: skip
    wanted = gan.precision
    gan.load_state_dict(content["state"])
    then, today = content["machine"], _machine(gan)
    names = (name for name in ("device", "torch", "processes") if then[name] != today[name])
    changed = [f"{name} {today[name]} (was {then[name]})" for name in names]
    precision = f", in {gan.precision} as it began" if gan.precision != wanted else ""
    if then["device"] == "cpu" == today["device"]:
        torch.set_num_threads(then["threads"])
        torch.set_float32_matmul_precision(then["precision"])
    note = f"; not bit for bit: {', '.join(changed)}" if changed else ""
    print(f"{folder}: going on from step {gan.step:,} ({gan.images_seen:,} images){precision}{note}")
    return True


def read(file, device="cpu"):
    """Read a checkpoint as tensors and plain values; code in the file is never run."""
    try:
        content = torch.load(file, map_location=device, weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
        raise OSError(f"{file} cannot be read ({type(error).__name__}: {str(error)[:200]}); it is damaged or no "
                      "checkpoint of ganlib. Move it away and run again to start anew") from error  # fmt: skip
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT:
        raise ValueError(f"{file} has format {found}; this ganlib reads format {FORMAT}: use the release that wrote it")
    return content


def _config(gan):
    """What must agree between a run and a GAN that goes on with it. A net of ours can be built again from it."""
    nets = {name: _describe(getattr(gan, name)) for name in ("G", "D")}
    betas = [text(beta) for beta in gan.betas]
    return nets | {"seed": gan.seed, "lr": text(gan.lr), "ema": text(gan.ema), "betas": betas}


def _describe(net):
    if getattr(nets, type(net).__name__, None) is type(net):
        return {"net": type(net).__name__, **net.settings}
    return str(net)


def _machine(gan):
    """What decides the low bits of a run."""
    return {
        "torch": torch.__version__.split("+")[0],
        "device": gan.device.type,
        "processes": place()[1],
        "threads": torch.get_num_threads(),
        "precision": torch.get_float32_matmul_precision(),
    }
