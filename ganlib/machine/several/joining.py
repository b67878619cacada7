"""Connect this process to the others of its run, and compare what they run. Where they meet is read
from environment variables, which torchrun or the user sets.
"""

import hashlib
import os
import platform
import socket
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path

import torch
from torch import distributed

WAIT = 300.0  # seconds for which a process waits for the others
PATIENCE = timedelta(minutes=30)  # for a message: the first one may download, or train, meanwhile
NAMES = "RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"
PATHS = "data", "to", "out", "run"  # may differ: paths; and `run`, the command, is no option


@dataclass(frozen=True)
class Place:
    """Process `rank` of `world`, and where they meet: `host`:`port`. `attempt` counts restarts."""

    rank: int
    world: int
    host: str
    port: int
    attempt: str = "0"

    def answers(self):
        """Whether a server listens at `host`:`port`. Ask before using the store: where it is gone,
        torch prints forty lines of errors.
        """
        try:
            socket.create_connection((self.host, self.port), 3.0).close()
        except OSError:
            return False
        return True

    def store(self, wait, serve=False):
        """Return a connection to the store, a table of texts that all processes read and write.
        With `serve` this process holds the table. Raises ConnectionError with the reason.
        """
        wanted = f"{self.host}:{self.port}"
        try:
            store = distributed.TCPStore(
                self.host,
                self.port,
                is_master=serve,
                wait_for_workers=False,
                timeout=timedelta(seconds=wait),
            )
        except RuntimeError as error:  # torch's DistNetworkError and DistStoreError are such
            if serve and "EADDRINUSE" in str(error):
                raise ConnectionError(
                    f"port {self.port} is in use by another program, so that the processes cannot "
                    "meet there; give another one: MASTER_PORT (torchrun --master-port), or use "
                    "torchrun --standalone, which finds a free one. Nothing was begun"
                ) from error
            if serve:
                raise ConnectionError(
                    f"the processes cannot meet at {wanted} ({str(error)[:200]}); MASTER_ADDR is "
                    "the name of the machine of process 0"
                ) from error
            raise ConnectionError(
                f"process {self.rank} of {self.world} found nobody at {wanted} within {wait:.0f} s:"
                " process 0 was not started, has ended (it says why), or MASTER_ADDR and "
                "MASTER_PORT are those of another one"
            ) from error
        return distributed.PrefixStore(f"ganlib/{self.attempt}", store)


def from_environment():
    """Return the `Place` that environment variables name, or None for a single process.

    torchrun sets RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT, and so do accelerate's launcher and
    others; a user sets the same. Raises ValueError if some are missing, or are not numbers.
    """
    values = {name: os.environ[name] for name in NAMES if os.environ.get(name)}
    alone = "RANK" not in values or values.get("WORLD_SIZE", "1") == "1"
    if alone and "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    if missing := [name for name in NAMES if name not in values]:
        raise ValueError(
            f"{', '.join(values)} are set, and {', '.join(missing)} not: start the processes with "
            "torchrun, or set all of them; unset RANK for a run in one process"
        )
    try:
        rank, world, port = (int(values[name]) for name in ("RANK", "WORLD_SIZE", "MASTER_PORT"))
        assert 0 <= rank < world and 0 < port < 2**16
    except (ValueError, AssertionError):
        text = ", ".join(f"{name}={values[name]}" for name in NAMES if name != "MASTER_ADDR")
        raise ValueError(
            f"{text} are set; a RANK from 0 to WORLD_SIZE - 1, and a port below 65536, are expected"
        ) from None
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return Place(rank, world, values["MASTER_ADDR"], port, attempt)


def join(place, cuda, wait=WAIT):
    """Join the other processes of the run; raise ConnectionError where they do not come within
    `wait` seconds, naming those that are missing.
    """
    served = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"  # by torchrun itself
    store = place.store(wait, serve=place.rank == 0 and not served)
    keys = [f"come/{rank}" for rank in range(place.world)]
    try:
        twice = store.add(keys[place.rank], 1) > 1
        if not twice:
            store.wait(keys, timedelta(seconds=wait))
    except RuntimeError as error:
        raise ConnectionError(_missing(store, keys, place, wait)) from error
    if twice:
        raise ConnectionError(
            f"there is another process {place.rank} at {place.host}:{place.port}: each needs a "
            "RANK of its own, and two runs at once a MASTER_PORT each"
        )
    if cuda:
        # a lost process is noticed by messages between the CPUs, and by `watching`; torch's own
        # watchdog would end this process before it can save
        os.environ.setdefault("TORCH_NCCL_ASYNC_ERROR_HANDLING", "0")
    distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if cuda else "gloo",
        store=distributed.PrefixStore("group", store),
        rank=place.rank,
        world_size=place.world,
        timeout=PATIENCE,
    )


def _missing(store, keys, place, wait):
    """Return a sentence that names the processes which have not joined."""
    try:
        missing = [key.rpartition("/")[2] for key in keys if not store.check([key])]
    except RuntimeError:
        return (
            f"process {place.rank} of {place.world} waited for the others, and process 0 has ended;"
            " it says why"
        )
    return (
        f"process {place.rank} of {place.world} waited {wait:.0f} s for the others at "
        f"{place.host}:{place.port}, and {', '.join(missing) or 'one'} did not come: start as many "
        "as WORLD_SIZE says, all with the same MASTER_ADDR and MASTER_PORT. Nothing was begun"
    )


@cache
def code():
    """Return the versions that a run depends on, and a digest of ganlib's files."""
    root = Path(__file__).parents[2]
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        digest.update(f"{file.relative_to(root).as_posix()}\n".encode() + file.read_bytes())
    return {"torch": torch.__version__.split("+")[0], "ganlib's files": digest.hexdigest()[:16]}


def who():
    """Return text that names this process: its process id and its machine."""
    return f"process {os.getpid()} on {platform.node() or 'this machine'}"


def compare(mine):
    """Compare the dict `mine` of all processes, which must all call this. Raises ValueError, in
    each of them, if they differ; the sentence names what differs.
    """
    world = distributed.get_world_size()
    all_of_them = [None] * world
    distributed.all_gather_object(all_of_them, (who(), mine))
    (_, first), *others = all_of_them
    differing = []
    for rank, (name, one) in enumerate(others, 1):
        names = dict.fromkeys([*first, *one])
        if names := [name for name in names if first.get(name) != one.get(name)]:
            said = (
                f"{key} = {_short(one.get(key))}, not {_short(first.get(key))}" for key in names
            )
            differing.append(f"process {rank} of {world} ({name}) has {', '.join(said)}")
    if differing:
        raise ValueError(
            f"not all processes do the same as process 0: {'; '.join(differing)}. Give all of them "
            "the same code, data and options; nothing was trained or saved, and the same command "
            "goes on then"
        )


def _short(value):
    text = str(value)
    return text if len(text) <= 120 else f"{text[:120]}..."


def chosen(options):
    """Return the options of a command that all processes must share, as texts."""
    named = vars(options).items()
    return {f"--{name.replace('_', '-')}": repr(x) for name, x in named if name not in PATHS}
