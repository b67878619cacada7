"""Several processes: one is lost, one has other code or data, a port is in use, some never come."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest
import torch
from conftest import ROOT
from test_parallel import torchrun

import ganlib
from ganlib.__main__ import main
from ganlib.machine import launch
from ganlib.machine.several import joining
from ganlib.run import checks, plans

WORKER = """
import os, signal, sys
import torch, ganlib
from ganlib import nets
from ganlib.machine import launch, processes

folder, batch, until, who, at, which = sys.argv[1], *map(int, sys.argv[2:6]), sys.argv[6]
launch.start("cpu")
torch.set_num_threads(1)
rank, world = processes.place()
torch.manual_seed(0)
G, D = nets.MLPGenerator(8, widths=(16, 32)), nets.MLPDiscriminator(widths=(32, 16))
gan = ganlib.GAN(G, D, seed=0)
seen = open(f"{folder}-seen-{world}-{rank}", "a")

def step(gan, batches):
    places = " ".join(str(x) for x in batches.images[0].flatten(1).double().sum(1).tolist())
    print(gan.step, places, file=seen, flush=True)
    if rank == who and gan.step == at:
        ganlib.discriminator_step(gan, batches.images[0])  # the others wait for G's gradients
        os.kill(os.getpid(), getattr(signal, which))
    return ganlib.gan_step(gan, batches)

ganlib.resume(folder, gan)
try:
    for now in ganlib.train(gan, ganlib.load("digits"), step, until=until, batch_size=batch,
                            folder=folder, record_every=5):
        pass
except (OSError, ValueError) as error:
    launch.failed(error)
    raise
launch.end()
"""
BATCH = 12  # over all processes: 1, 2, 3 and 4 can share it


@pytest.fixture
def worker(tmp_path):
    (tmp_path / "worker.py").write_text(WORKER)
    return tmp_path / "worker.py"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def by_hand(n, *command, port=None, ranks=None, others=None, cwd=ROOT):
    """Start processes with variables set by hand; return (exit status, stdout, stderr) of each.

    others: the command of the last rank, where it is another one; a dict: its variables.
    """
    port, started = port or free_port(), []
    for rank in range(n) if ranks is None else ranks:
        bare = {k: v for k, v in os.environ.items() if not k.startswith("TORCHELASTIC")}
        place = {"RANK": rank, "WORLD_SIZE": n, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        bare |= {name: str(value) for name, value in place.items()} | {"PYTHONPATH": str(ROOT)}
        last = rank == n - 1
        mine = others if last and isinstance(others, tuple) else command
        bare |= others if last and isinstance(others, dict) else {}
        arguments = [sys.executable, *map(str, mine)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(arguments, cwd=cwd, env=bare, **pipes))
    return started


def ended(started, timeout=120):
    end = time.monotonic() + timeout
    try:
        said = [one.communicate(timeout=end - time.monotonic()) for one in started]
    finally:
        for one in started:
            one.kill()
    return [(one.returncode, *text) for one, text in zip(started, said, strict=True)]


def saved(folder):
    return torch.load(folder / "checkpoint.pt", weights_only=True)["state"]["step"]


def goes_on(worker, folder, worlds=(1, 2, 3), until=20):
    """From one checkpoint, with other numbers of processes: the same images in the same order."""
    start, digits = saved(folder), ganlib.load("digits")
    for world in worlds:
        place = folder.with_name(f"{folder.name}-{world}")
        place.mkdir()
        (place / "checkpoint.pt").write_bytes((folder / "checkpoint.pt").read_bytes())
        arguments = worker, place, BATCH // world, until, -1, 0, "SIGKILL"
        if world == 1:
            found = [
                subprocess.run(
                    [sys.executable, *map(str, arguments)],
                    env=os.environ | {"PYTHONPATH": str(ROOT)},
                    cwd=ROOT,
                ).returncode
            ]
        else:
            found = [status for status, *_ in ended(by_hand(world, *arguments))]
        assert set(found) == {0} and saved(place) == until
        parts = [
            [
                line.split()
                for line in place.with_name(f"{place.name}-seen-{world}-{rank}")
                .read_text()
                .splitlines()
            ]
            for rank in range(world)
        ]
        for i, step in enumerate(range(start, until)):
            assert {part[i][0] for part in parts} == {str(step)}
            seen = [float(x) for part in parts for x in part[i][1:]]
            images = digits.batches(0, step, 1, BATCH).images[0]
            assert seen == images.flatten(1).double().sum(1).tolist()


def told(said, lost, world, rank):
    """Whether what a process printed says, in one line, who was lost, and what is saved."""
    (line,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert f"process {lost} of {world} is lost (" in line and f"share {BATCH} images" in line, line
    assert line.endswith(f"[process {rank} of {world}]") and "saved at step" in line, line
    assert "Traceback" not in said and "frame #" not in said, said


def test_the_first_is_killed_in_a_step_and_the_other_saves(worker, tmp_path):
    """Started by hand; rank 0 holds the folder, and the place where they met."""
    folder = tmp_path / "run"
    first, second = ended(by_hand(2, worker, folder, BATCH // 2, 100, 0, 17, "SIGKILL"))
    assert first[0] == -signal.SIGKILL and second[0] == 1
    told(second[2], 0, 2, 1)
    assert saved(folder) == 15  # its last row: step 17 was half done
    assert [file.name for file in folder.iterdir()] == ["checkpoint.pt"]
    goes_on(worker, folder, worlds=(1,))


@pytest.mark.slow
@pytest.mark.parametrize("lost, world", [(1, 2), (0, 3), (2, 3)])
def test_one_of_torchruns_processes_is_killed(lost, world, worker, tmp_path):
    """torchrun ends the others by SIGTERM while they save."""
    folder = tmp_path / "run"
    done = torchrun(
        world,
        worker,
        folder,
        BATCH // world,
        100,
        lost,
        17,
        "SIGKILL",
        PYTHONPATH=str(ROOT),
    )
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == world - 1
    assert all(f"process {lost} of {world} is lost" in line for line in lines), lines
    assert saved(folder) == 15
    goes_on(worker, folder)


@pytest.mark.slow
@pytest.mark.parametrize("lost", [0, 1])
def test_one_freezes(lost, worker, tmp_path):
    """Its connections stay, and so no message fails: its silence is noticed."""
    folder = tmp_path / "run"
    arguments = worker, folder, BATCH // 2, 100, lost, 17, "SIGSTOP"
    started = by_hand(2, *arguments, cwd=tmp_path)
    other = started[1 - lost]
    try:
        _, said = other.communicate(timeout=120)
    finally:
        frozen = started[lost]
        frozen.kill()
        frozen.communicate()
        other.kill()
    assert other.returncode == 1 and "silent for 15 s" in said, said
    told(said, lost, 2, 1 - lost)
    if lost == 1:
        assert saved(folder) == 15
        goes_on(worker, folder, worlds=(2,))
    else:
        assert "is still held by the lost process: saved at step 15 in runs" in said
        (place,) = (tmp_path / "runs").iterdir()
        assert saved(place) == 15


@pytest.mark.slow
def test_all_are_stopped_for_a_while_and_go_on(worker, tmp_path):
    """As by Ctrl-Z: nobody takes the others' silence for their end."""
    text = worker.read_text().replace("def step(", "import time\n\ndef step(")
    worker.write_text(text.replace("    places =", "    time.sleep(0.1)\n    places ="))
    arguments = worker, tmp_path / "run", 6, 80, -1, 0, "SIGKILL"
    started, seen = by_hand(2, *arguments), tmp_path / "run-seen-2-0"
    while not (seen.exists() and len(seen.read_text().splitlines()) > 10):
        assert started[0].poll() is None
        time.sleep(0.1)
    for which in (signal.SIGSTOP, signal.SIGCONT):
        for one in started:
            one.send_signal(which)
        time.sleep(17 if which == signal.SIGSTOP else 0)
    assert [status for status, *_ in ended(started)] == [0, 0]
    assert saved(tmp_path / "run") == 80


SMALL = ("-m", "ganlib", "train", "--device", "cpu", "--recipe", "small", "--steps", "3")


def test_a_rank_with_other_options_or_other_code(tmp_path):
    """A sentence in each process; then the same command, as it should be, goes on."""
    command = (*SMALL, "--batch-size", "4", "--out", tmp_path / "run")
    for status, _, said in ended(by_hand(2, *command, others=(*command, "--seed", "3"))):
        assert status == 1 and "process 1 of 2 (process " in said, said
        assert "has --seed = 3, not 0. Give all of them the same code" in said
        assert "Traceback" not in said
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_rank_with_other_files_or_images(tmp_path, worker):
    """Another ganlib; and images under the same name that differ in one pixel."""
    shutil.copytree(ROOT / "ganlib", tmp_path / "other" / "ganlib")
    with open(tmp_path / "other" / "ganlib" / "game" / "losses.py", "a") as file:
        file.write("# another release\n")
    command = (*SMALL, "--batch-size", "4", "--out", tmp_path / "run")
    others = {"PYTHONPATH": str(tmp_path / "other")}
    for status, _, said in ended(by_hand(2, *command, others=others, cwd=tmp_path)):
        assert status == 1 and "has ganlib's files = " in said, said
    text = worker.read_text().replace('ganlib.load("digits"), step', "changed(rank), step")
    worker.write_text(
        text.replace(
            "def step(",
            "def changed(rank):\n"
            '    digits = ganlib.load("digits")\n'
            "    digits.images[7, 0, 14, 14] += 100 * rank\n"
            "    return digits\n\n"
            "def step(",
        )
    )
    arguments = worker, tmp_path / "mine", 6, 5, -1, 0, "SIGKILL"
    for status, _, said in ended(by_hand(2, *arguments)):
        assert status == 1 and "has pixels = sha256:" in said, said
    assert not list((tmp_path / "mine").glob("*.pt"))
    found = ended(by_hand(2, *command))
    assert [status for status, *_ in found] == [0, 0] and saved(tmp_path / "run") == 3


JOIN = "import sys\nfrom ganlib.machine import launch\nlaunch.start('cpu', wait=3)"


def test_ports_in_use_and_ranks_that_never_come():
    with socket.socket() as used:
        used.bind(("", 0))
        used.listen()
        started = by_hand(2, *SMALL, ranks=[0], port=used.getsockname()[1])
        started += by_hand(3, "-c", JOIN, ranks=[0, 2]) + by_hand(3, "-c", JOIN, ranks=[1])
        (status, _, said), *some = ended(started)
    assert status == 1 and "is in use by another program" in said and "Traceback" not in said
    first, third, second = (said.splitlines()[-1] for _, _, said in some)
    for rank, line in ((0, first), (2, third)):
        assert f"process {rank} of 3 waited" in line, line
        missing = "3 s for the others" in line and ", and 1 did not come: " in line
        assert missing or (rank and "process 0 has ended; it says why" in line), line
    assert "process 1 of 3 found nobody at 127.0.0.1:" in second and "within 3 s" in second


def test_what_the_environment_says(monkeypatch):
    for name in (*joining.NAMES, "TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT"):
        monkeypatch.delenv(name, raising=False)
    assert joining.from_environment() is None
    monkeypatch.setenv("MASTER_ADDR", "here")  # as accelerate's launcher does for one process
    monkeypatch.setenv("MASTER_PORT", "29500")
    assert joining.from_environment() is None
    monkeypatch.setenv("RANK", "1")
    assert joining.from_environment() is None  # of one
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert joining.from_environment() == joining.Place(1, 2, "here", 29500)
    monkeypatch.setenv("RANK", "2")
    with pytest.raises(ValueError, match="RANK=2, WORLD_SIZE=2, MASTER_PORT=29500 are set; a RANK"):
        joining.from_environment()
    monkeypatch.delenv("MASTER_ADDR")
    with pytest.raises(ValueError, match="MASTER_ADDR not: start the processes with torchrun"):
        joining.from_environment()


@pytest.mark.parametrize("arguments", [["sample", "run"], ["convert", "a", "b", "--size", "8"]])
def test_commands_of_one_process_are_refused_in_several(arguments, tmp_path, monkeypatch, capsys):
    """They would write the same files, and one that ends makes torchrun end the others."""
    monkeypatch.chdir(tmp_path)
    place = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    for name, value in place.items():
        monkeypatch.setenv(name, value)
    assert main(arguments) == 1
    said = f"error: process 1 of 2 was started for {arguments[0]}, which works in one process"
    assert capsys.readouterr().err.startswith(said) and not list(tmp_path.iterdir())
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setenv("RANK", "0")
    assert main(arguments) == 1 and "process 0" not in capsys.readouterr().err


def test_more_processes_than_gpus(monkeypatch):
    place = {"RANK": "3", "WORLD_SIZE": "4", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    for name, value in (place | {"LOCAL_RANK": "3"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ValueError, match="number 3 on this machine, which has 2 GPUs: start one"):
        launch.start("cuda")


def test_a_run_is_shared_out_anew_by_another_number_of_processes(
    small, digits, tmp_path, monkeypatch
):
    made = ganlib.recipe("classic")
    gan = made.gan(seed=0)
    for _ in ganlib.train(gan, digits, made, until=1, batch_size=12, folder=tmp_path):
        pass
    for world, size in ((1, 12), (2, 6), (3, 4), (5, 12)):
        monkeypatch.setattr(plans.processes, "place", lambda world=world: (0, world))
        assert plans.kept(tmp_path)["batch_size"] == size
    with pytest.raises(
        ValueError, match="5 processes cannot share 12 images evenly: start one of "
    ):
        checks.same({"batch_size": 12}, {"batch_size": 15})
    monkeypatch.setattr(plans.processes, "place", lambda: (0, 3))
    with pytest.raises(ValueError, match="--batch-size 4, or leave it out"):
        checks.same({"batch_size": 12}, {"batch_size": 36})
