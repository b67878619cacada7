"""Checkpoints: save the whole state of a run in one file, and resume it. The file ends with a
checksum, is read back before it is put in its place in one move, and the file before it is kept.
"""

import hashlib
import io
import os
import pickle
from pathlib import Path

import torch

from ..machine import processes
from ..machine.choices import flag
from ..machine.device import choice
from ..machine.files import replace
from ..machine.folder import path_of
from ..machine.progress import say
from . import claim, strangers
from .content import (
    FORMAT,
    SINCE,
    config_of,
    content_of,
    machine_of,
    not_finite,
    same_optimizers,
)

FILE, FORMER = "checkpoint.pt", "checkpoint.previous.pt"
SEAL = b"\nganlib sha256 "  # ends a file, before 64 digits; torch.load skips both
BROKEN = RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError  # torch.load's errors


def save(folder, gan):
    """Write the whole state of the run `gan` to `folder`/checkpoint.pt; return whether it was
    saved.

    At any moment there is the old file or the new one, whole; the old file becomes
    checkpoint.previous.pt. A state that holds a number that is not finite is not saved, and a line
    says so. Values of other kinds than a checkpoint holds become plain ones (see `plain`): numbers
    of numpy those of Python, times and paths text. Raises ValueError for a value that cannot, with
    its place and type; OSError if the folder cannot be written, its disk is full, or another
    process trains in it. Then what was saved before stays as it was.
    """
    folder = path_of(folder)
    content = content_of(gan)
    if processes.place()[1] == 1 and (used := claim.in_use(folder)):
        raise BlockingIOError(used)
    if bad := not_finite(gan):
        say(
            f"{folder}: step {gan.step:,} is not saved, since {bad} is not finite; what was saved "
            "before is kept"
        )
        return False
    packed = io.BytesIO()  # torch.save to a full disk would not raise OSError
    torch.save(content, packed)
    packed.seek(0)
    try:
        torch.load(packed, map_location="meta", weights_only=True)  # all but the numbers in tensors
        strangers.whole(content, packed.getbuffer().nbytes)  # as `read` asks
    except BROKEN as error:
        raise ValueError(
            f"the state of this run could not be read back ({str(error)[:300]}), so that it is not "
            f"saved in {folder}; what was saved before is as it was"
        ) from error
    packed.seek(0, io.SEEK_END)
    packed.write(SEAL + hashlib.sha256(packed.getbuffer()).hexdigest().encode())
    written, file = packed.getbuffer(), folder / FILE

    def write(out):
        out.write(written)
        out.flush()
        if not _holds(out.name, written):
            raise OSError("what was written reads back as something else: the disk is failing")

    replace(file, write, size=len(written), former=file.with_name(FORMER))
    return True


def _holds(file, content):
    """Whether the content of a file is `content`."""
    with open(file, "rb") as written:
        places = range(0, len(content) + 1, 2**22)
        return all(written.read(2**22) == bytes(content[i : i + 2**22]) for i in places)


def resume(folder, gan, fresh=False):
    """Go on with the run in `folder`: load its state into `gan` and return True; return False if
    there is no run.

    One line says which. If a file is damaged, a line names it, and the file before it is used. If
    `train(folder=...)` had to save elsewhere because the folder had gone, and the run got further
    there, that state is used. On the CPU the number of threads and the matmul precision are set as
    they were, so that the run goes on bit for bit. `fresh=True` starts anew: an earlier run is
    renamed, and the line gives its new name. Raises ValueError if the run has other nets or
    settings, or for a `fresh` that is a text, OSError if none of its files can be read, and for
    `fresh` if another process trains in the folder. What this process trains there, in a loop that
    waits, is saved first.
    """
    folder, fresh = path_of(folder), flag("fresh", fresh)
    if folder.is_file():
        raise ValueError(f"{folder} is a file; give the run's folder, {folder.parent} perhaps")
    claim.rest(folder)
    places = [
        place
        for place in (folder, stand_in(folder))
        if any((place / name).exists() for name in (FILE, FORMER))
    ]
    if fresh and (places or (folder / "pictures").exists()):
        claim.Claim(folder).release()  # raises if another process trains there
        for place in {folder, *places}:
            if place.exists():
                names = (place.with_name(f"{place.name}.{n}") for n in range(1, 10**6))
                aside = next(name for name in names if not name.exists())
                place.rename(aside)
                say(f"{folder}: a fresh start; the earlier run is now {aside}")
        return False
    if not places:
        say(f"{folder}: a fresh start")
        return False
    contents, damage = [], []
    for place in places:
        if processes.place()[0] == 0 and not claim.in_use(place):
            _sweep(place)
        try:
            contents.append((newest(place, gan.device), place))
        except OSError as error:
            damage.append(error)
    if not contents:
        raise damage[0]
    for error in damage:
        say(error)
    content, place = max(contents, key=lambda pair: pair[0]["state"]["step"])
    for name, ours in config_of(gan).items():
        theirs = content["config"].get(name)
        if theirs != ours and (name.rpartition(".")[2] not in SINCE or theirs is not None):
            raise ValueError(
                f"the run in {place} has {name} = {theirs}, this one {name} = {ours}; "
                "use the same, another folder, or start anew with fresh=True (FRESH = True)"
            )
    same_optimizers(gan, content["state"], place)
    wanted = gan.precision
    try:
        gan.load_state_dict(content["state"])
    except Exception as error:  # of any kind: the settings fit, and the rest may be anything
        raise ValueError(
            f"the state of the run in {place} does not fit its settings ({str(error)[:300]}); "
            "start anew with fresh=True (FRESH = True), or in another folder"
        ) from error
    gan.run_id = content.get("run")
    then, today = content["machine"], machine_of(gan)
    names = (name for name in ("device", "torch", "processes") if then[name] != today[name])
    changed = [f"{name} {today[name]} (was {then[name]})" for name in names]
    precision = f", in {gan.precision} as it began" if gan.precision != wanted else ""
    if then["device"] == "cpu" == today["device"]:
        threads, usual = then["threads"], then.get("usual", then["threads"])
        if choice.threads is not None:  # then nothing would go back to the usual number
            threads = usual
        choice.usual = usual, threads
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(then["precision"])
    note = f"; not bit for bit: {', '.join(changed)}" if changed else ""
    note += f"; saved in {place}, while {folder} was away" if place != folder else ""
    say(f"{folder}: going on from step {gan.step:,} ({gan.images_seen:,} images){precision}{note}")
    return True


def newest(folder, device="cpu"):
    """Return the content of the newest whole checkpoint in `folder`, or raise OSError; a line says
    if the older one had to be used.
    """
    folder, damage = path_of(folder), []
    claim.rest(folder)
    for file in filter(Path.exists, (folder / FILE, folder / FORMER)):
        try:
            content = read(file, device)
        except OSError as error:
            damage.append(error)
            continue
        if damage:
            say(
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
    folder = path_of(folder).absolute()
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:8]
    return Path("runs") / f"{folder.name}-{digest}"


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
        strangers.packed_honestly(raw)
        content = torch.load(io.BytesIO(raw), map_location=device, weights_only=True)
    except Exception as error:  # of any kind: the bytes may be anything
        raise OSError(
            f"{file} cannot be read ({type(error).__name__}: {str(error)[:200]}); it is damaged or "
            "no checkpoint of ganlib. Move it away and run again to start anew"
        ) from error
    saved = content.get("format") if isinstance(content, dict) else None
    if not isinstance(content, dict) or "format" not in content:
        raise ValueError(f"{file} was not written by ganlib; move it away, or give another folder")
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
    try:
        strangers.whole(content, len(raw))
    except ValueError as error:
        raise OSError(
            f"{file} cannot be read ({error}); it is damaged or not written by ganlib. Move it "
            "away and run again to start anew"
        ) from error
    return content


def skim(file):
    """Return the content of a checkpoint, its tensors mapped and not read: a quick look at its
    plain values. The checksum is not compared; a damaged file raises OSError or one of `BROKEN`.
    """
    return torch.load(file, map_location="cpu", weights_only=True, mmap=True)


def not_ours(folder, gan):
    """Return what would be lost if `gan` were saved in `folder`: the step of a checkpoint from
    which it does not go on, or the name of a file that cannot be read. None if nothing would be
    lost.
    """
    for file in filter(Path.exists, (folder / FILE, folder / FORMER)):
        try:
            content = skim(file)
            step, run = content["state"]["step"], content.get("run")
        except (OSError, TypeError, *BROKEN):
            return file.name
        if step and (step > gan.step or run != getattr(gan, "run_id", None)):
            return step
        return None
    return None


def step_of(folder, gan):
    """Return the step of the checkpoint in `folder` if it is of the run `gan`; else None."""
    try:
        content = skim(folder / FILE)
        return content["state"]["step"] if content.get("run") == gan.run_id else None
    except (OSError, TypeError, *BROKEN):
        return None


def put_aside(folder):
    """Rename the checkpoint in `folder`, and the one before it, so that no save replaces them."""
    n = next(n for n in range(1, 10**6) if not (folder / f"checkpoint.kept-{n}.pt").exists())
    for file, kept in (
        (FILE, f"checkpoint.kept-{n}.pt"),
        (FORMER, f"checkpoint.kept-{n}.previous.pt"),
    ):
        if (folder / file).exists():
            (folder / file).rename(folder / kept)


def _sweep(folder):
    """Remove half-written files of killed processes, those of earlier releases included."""
    for left in (*folder.glob(".*.ganlib-*.tmp"), *folder.glob(".checkpoint*.pt.tmp")):
        left.unlink(missing_ok=True)
    for left in (folder / "pictures").glob(".*.ganlib-*.tmp"):
        left.unlink(missing_ok=True)
