"""Checkpoints: save the whole state of a run in one file, and resume it. The file ends with a
checksum, is replaced in one move, and the file before it is kept.
"""

import hashlib
import io
import pickle
import platform
from importlib import import_module
from pathlib import Path

import torch

from ..machine import processes
from ..machine.files import replace, temporary
from ..machine.values import text
from ..nets.rebuild import settings

FORMAT = 4
FILE, FORMER = "checkpoint.pt", "checkpoint.previous.pt"
SEAL = b"\nganlib sha256 "  # ends a file, before 64 digits; torch.load skips both


def save(folder, gan):
    """Write the whole state of the run `gan` to `folder`/checkpoint.pt; return whether it was
    saved.

    At any moment there is the old file or the new one, whole; the old file becomes
    checkpoint.previous.pt. A state that holds a number that is not finite is not saved, and a line
    says so. Raises OSError if the folder cannot be written or its disk is full; what was saved
    before stays as it was.
    """
    state = gan.state_dict()
    if bad := _not_finite(gan):
        print(
            f"{folder}: step {gan.step:,} is not saved, since {bad} is not finite; what was saved "
            "before is kept"
        )
        return False
    packed = io.BytesIO()  # torch.save to a full disk would not raise OSError
    torch.save(
        {"format": FORMAT, "config": _config(gan), "machine": _machine(gan), "state": state}, packed
    )
    packed.write(SEAL + hashlib.sha256(packed.getbuffer()).hexdigest().encode())
    content, file = packed.getbuffer(), Path(folder) / FILE
    replace(file, lambda out: out.write(content), size=len(content), former=file.with_name(FORMER))
    return True


def resume(folder, gan, fresh=False):
    """Go on with the run in `folder`: load its state into `gan` and return True; return False if
    there is no run.

    One line says which. If a file is damaged, a line names it, and the file before it is used. If
    `train(folder=...)` had to save elsewhere because the folder had gone, and the run got further
    there, that state is used. On the CPU the number of threads and the matmul precision are set as
    they were, so that the run goes on bit for bit. `fresh=True` starts anew: an earlier run is
    renamed, and the line gives its new name. Raises ValueError if the run has other nets or
    settings, OSError if none of its files can be read.
    """
    folder = Path(folder)
    places = [
        place
        for place in (folder, stand_in(folder))
        if any((place / name).exists() for name in (FILE, FORMER))
    ]
    if fresh and (places or (folder / "pictures").exists()):
        for place in {folder, *places}:
            if place.exists():
                names = (place.with_name(f"{place.name}.{n}") for n in range(1, 10**6))
                aside = next(name for name in names if not name.exists())
                place.rename(aside)
                print(f"{folder}: a fresh start; the earlier run is now {aside}")
        return False
    if not places:
        print(f"{folder}: a fresh start")
        return False
    contents, damage = [], []
    for place in places:
        if processes.place()[0] == 0:
            for name in (FILE, FORMER):
                temporary(place / name).unlink(missing_ok=True)  # left by a killed process
        try:
            contents.append((newest(place, gan.device), place))
        except OSError as error:
            damage.append(error)
    if not contents:
        raise damage[0]
    for error in damage:
        print(error)
    content, place = max(contents, key=lambda pair: pair[0]["state"]["step"])
    for name, ours in _config(gan).items():
        theirs = content["config"].get(name)
        if theirs != ours:
            raise ValueError(
                f"the run in {place} has {name} = {theirs}, this one {name} = {ours}; "
                "use the same, another folder, or start anew with fresh=True (FRESH = True)"
            )
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
    note += f"; saved in {place}, while {folder} was away" if place != folder else ""
    print(
        f"{folder}: going on from step {gan.step:,} ({gan.images_seen:,} images){precision}{note}"
    )
    return True


def newest(folder, device="cpu"):
    """Return the content of the newest whole checkpoint in `folder`, or raise OSError; a line says
    if the older one had to be used.
    """
    folder, damage = Path(folder), []
    for file in filter(Path.exists, (folder / FILE, folder / FORMER)):
        try:
            content = read(file, device)
        except OSError as error:
            damage.append(error)
            continue
        if damage:
            print(
                f"{damage[0]}\n{folder}: taking the one before, {file.name}, of step "
                f"{content['state']['step']:,}"
            )
        return content
    if not damage:
        raise OSError(
            f"{folder} holds no run: there is no {FILE} in it; train one with "
            f"python -m ganlib train --out {folder}"
        )
    raise damage[0]


def stand_in(folder):
    """Return where `train(folder=...)` saves while `folder` cannot be written: a folder in `runs`,
    on this machine's disk.
    """
    digest = hashlib.sha256(str(Path(folder).absolute()).encode()).hexdigest()[:8]
    return Path("runs") / f"{Path(folder).name}-{digest}"


def read(file, device="cpu"):
    """Return the content of a checkpoint: tensors and plain values. Compares its checksum; code in
    the file is never run. Raises OSError if it is damaged, ValueError if it has another format.
    """
    raw = Path(file).read_bytes()
    body, seal, digits = raw[: -len(SEAL) - 64], raw[-len(SEAL) - 64 : -64], raw[-64:]
    broken = seal == SEAL and hashlib.sha256(body).hexdigest().encode() != digits
    try:
        if broken:
            raise EOFError("its content has another SHA-256 than it should have")
        content = torch.load(io.BytesIO(raw), map_location=device, weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
        raise OSError(
            f"{file} cannot be read ({type(error).__name__}: {str(error)[:200]}); it is damaged or "
            "no checkpoint of ganlib. Move it away and run again to start anew"
        ) from error
    saved = content.get("format") if isinstance(content, dict) else None
    if saved != FORMAT:
        raise ValueError(
            f"{file} has format {saved}; this ganlib reads format {FORMAT}: use the release that "
            "wrote it"
        )
    if seal != SEAL:
        raise OSError(
            f"{file} cannot be read (it ends without its checksum); it is damaged or not written "
            "by ganlib. Move it away and run again to start anew"
        )
    return content


def _not_finite(run):
    """Return the name of the first tensor not all finite, or None. Reads from the device once."""
    named = [
        (f"{name}.{part}.{key}".lstrip("."), x)
        for name, gan in run.gans.items()
        for part, net in (("G", gan.G), ("D", gan.D), ("G_ema", gan.G_ema))
        if net is not None
        for key, x in net.state_dict().items()
        if x.is_floating_point()
    ]
    finite = torch.stack([x.isfinite().all() for _, x in named]).tolist()
    return next((name for (name, _), good in zip(named, finite, strict=True) if not good), None)


def _config(run):
    """Return the settings that a run and one that resumes it must share; nets of ganlib can be
    built again from them.
    """
    config = {}
    for name, gan in run.gans.items():
        config |= {f"{name}.{key}".lstrip("."): value for key, value in _config_of(gan).items()}
    return config


def _config_of(gan):
    """Return the settings of one GAN of the run."""
    G, D = gan.players["G"], gan.players["D"]
    config = {"G": settings(G.net), "D": settings(D.net), "seed": gan.seed, "ema": text(G.ema)}
    lr, betas = ([_settings(player)[name] for player in (G, D)] for name in ("lr", "betas"))
    # one value if both players have the same
    config |= {
        "lr": lr[0] if lr[0] == lr[1] else lr,
        "betas": betas[0] if betas[0] == betas[1] else betas,
    }
    config |= {
        f"optimizer_{which}": text(player.own)
        for which, player in (("G", G), ("D", D))
        if player.own
    }
    return config | ({"source": gan.source.name} if gan.source.name else {})


def _settings(player):
    return {"lr": text(player.lr), "betas": player.betas and [text(beta) for beta in player.betas]}


def _machine(gan):
    """Return what decides the low bits of a run's numbers, and the versions that wrote it."""
    return {
        "ganlib": import_module("ganlib").__version__,
        "python": platform.python_version(),
        "torch": torch.__version__.split("+")[0],
        "device": gan.device.type,
        "processes": processes.place()[1],
        "threads": torch.get_num_threads(),
        "precision": torch.get_float32_matmul_precision(),
    }
