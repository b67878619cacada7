import os
import pickle
import random
import resource
import subprocess
import sys
import time

import pytest
import torch
from conftest import ROOT, same

import ganlib
from ganlib import nets
from ganlib.keep import checkpoint, export
from ganlib.run.loop import Now


def train(gan, digits, until):
    for _ in ganlib.train(gan, digits, until=until, batch_size=10, record_every=5):
        pass
    return gan


@pytest.mark.parametrize("cut", [1, 7, 15])
def test_cut_and_resumed_equals_uncut(small, digits, tmp_path, cut):
    whole = train(small(), digits, 16)
    ganlib.save(tmp_path, train(small(), digits, cut))
    resumed = small()
    assert ganlib.resume(tmp_path, resumed) is True
    assert (resumed.step, resumed.images_seen) == (cut, 10 * cut)
    assert same(train(resumed, digits, 16).state_dict(), whole.state_dict())


def test_nothing_there_is_a_fresh_start_said_aloud(small, tmp_path, capsys):
    gan = small()
    assert ganlib.resume(tmp_path / "new", gan) is False
    assert "a fresh start" in capsys.readouterr().out and gan.step == 0
    assert not (tmp_path / "new").exists()


def test_fresh_puts_the_earlier_run_aside(small, digits, tmp_path, capsys):
    folder = tmp_path / "run"
    for n in (1, 2):
        ganlib.save(folder, train(small(), digits, n))
        assert ganlib.resume(folder, small(), fresh=True) is False
        assert f"the earlier run is now {folder}.{n}" in capsys.readouterr().out
    assert not folder.exists()
    kept = small()
    assert ganlib.resume(f"{folder}.2", kept) and kept.step == 2


def test_resume_says_where_it_goes_on(small, digits, tmp_path, capsys):
    ganlib.save(tmp_path, train(small(), digits, 3))
    capsys.readouterr()
    ganlib.resume(tmp_path, small())
    assert capsys.readouterr().out == f"{tmp_path}: going on from step 3 (30 images)\n"


def other(**change):
    settings = {
        "G": {"widths": (16, 32)},
        "D": {"widths": (32, 16)},
        "seed": 0,
        "lr": 2e-4,
    } | change
    G, D = nets.MLPGenerator(8, **settings["G"]), nets.MLPDiscriminator(**settings["D"])
    return ganlib.GAN(G, D, seed=settings["seed"], lr=settings["lr"])


@pytest.mark.parametrize(
    "change, message",
    [
        ({"seed": 1}, "has seed = 0, this one seed = 1"),
        ({"lr": 1e-3}, "has lr = 0.0002, this one lr = 0.001"),
        ({"G": {"widths": (16, 64)}}, r"has G = .*\(16, 32\).*this one G = .*\(16, 64\)"),
        ({"D": {"widths": (32, 16), "dropout": 0.5}}, "has D = .*0.3.*this one D = .*0.5"),
        ({"G": {"widths": (16, 32), "shape": (3, 32, 32)}}, "has G = .*28.*this one G = .*32"),
    ],
)
def test_another_gan_is_refused_by_name_and_both_values(small, digits, tmp_path, change, message):
    ganlib.save(tmp_path, train(small(), digits, 2))
    gan = other(**change)
    before = {name: value.clone() for name, value in gan.G.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        ganlib.resume(tmp_path, gan)
    assert same(before, gan.G.state_dict()) and gan.step == 0


@pytest.mark.parametrize("version", [0, 1, 2, 3, 5, None])
def test_another_format_is_refused(small, tmp_path, version):
    ganlib.save(tmp_path, small())
    file = tmp_path / checkpoint.FILE
    torch.save(torch.load(file, weights_only=True) | {"format": version}, file)
    with pytest.raises(ValueError, match=f"has format {version}; this ganlib reads format 4"):
        ganlib.resume(tmp_path, small())


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_truncated_file_is_named(small, tmp_path, share):
    ganlib.save(tmp_path, small())
    file = tmp_path / checkpoint.FILE
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(OSError, match=r"checkpoint.pt cannot be read.*start anew"):
        ganlib.resume(tmp_path, small())


def test_a_strangers_file_runs_no_code(small, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)

    for content in (pickle.dumps(Evil()), None):
        file = tmp_path / checkpoint.FILE
        file.write_bytes(content) if content else torch.save({"format": 4, "state": Evil()}, file)
        with pytest.raises(OSError, match="cannot be read"):
            ganlib.resume(tmp_path, small())
    assert not (tmp_path / "owned").exists()


def test_a_failed_write_leaves_the_old_checkpoint_and_no_litter(small, digits, tmp_path):
    ganlib.save(tmp_path, train(small(), digits, 2))
    before = (tmp_path / checkpoint.FILE).read_bytes()

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    gan = train(small(), digits, 3)
    try:
        resource.setrlimit(
            resource.RLIMIT_FSIZE, (len(before) // 2, limits[1])
        )  # a disk that is full half-way
        with pytest.raises(OSError, match=r"cannot write .*checkpoint.pt .*as it was"):
            ganlib.save(tmp_path, gan)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / checkpoint.FILE).read_bytes() == before
    assert os.listdir(tmp_path) == [checkpoint.FILE]


def test_an_unwritable_folder(small, tmp_path):
    (tmp_path / "runs").write_text("a file where a folder should be")
    with pytest.raises(OSError, match=r"cannot write .*choose a folder"):
        ganlib.save(tmp_path / "runs" / "first", small())
    with pytest.raises(OSError, match=r"cannot write .*choose a folder"):
        ganlib.LiveView(folder=tmp_path / "runs" / "first").update(Now(small()), force=True)


def test_threads_and_precision_come_back(small, tmp_path):
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    try:
        torch.set_num_threads(1)
        torch.set_float32_matmul_precision("high")
        ganlib.save(tmp_path, small())
        torch.set_num_threads(2)
        torch.set_float32_matmul_precision("highest")
        ganlib.resume(tmp_path, small())
        assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == (1, "high")
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(precision)


@pytest.mark.parametrize("moments", [5, pytest.param(100, marks=pytest.mark.slow)])
def test_a_killed_process_leaves_a_loadable_checkpoint(small, digits, tmp_path, moments):
    """SIGKILL at several moments of a process that saves all the time.

    What it left goes on, and equals a run uncut.
    """
    code = (
        "import sys\nfrom conftest import ganlib, nets, torch\n"
        "torch.manual_seed(1)\n"
        "gan = ganlib.GAN(nets.MLPGenerator(8, widths=(16, 32)), "
        "nets.MLPDiscriminator(widths=(32, 16)), seed=0)\n"
        "ganlib.resume(sys.argv[1], gan)\n"
        "for now in ganlib.train(gan, ganlib.load('digits'), until=10**9, batch_size=10):\n"
        "    ganlib.save(sys.argv[1], gan)\n    print(gan.step, flush=True)\n"
    )
    reached, when = 0, random.Random(0)
    for _ in range(moments):
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)],
            cwd=ROOT / "tests",
            stdout=subprocess.PIPE,
            text=True,
        )
        for line in process.stdout:
            if line.strip().isdigit():
                break
        time.sleep(when.uniform(0, 0.4))
        process.kill()
        process.communicate()
        gan = small()
        assert ganlib.resume(tmp_path, gan) and gan.step > reached
        reached = gan.step
    assert {p.name for p in tmp_path.iterdir()} <= {
        checkpoint.FILE,
        checkpoint.FORMER,
    }  # killed between two moves: one
    whole = small()
    for _ in ganlib.train(whole, digits, until=reached, batch_size=10):
        pass
    assert same(gan.state_dict(), whole.state_dict())


def test_a_run_goes_on_in_the_precision_it_began_with(small, digits, tmp_path, capsys):
    ganlib.save(tmp_path, train(small(precision="bf16"), digits, 2))
    gan = small()
    assert ganlib.resume(tmp_path, gan) and gan.precision == "bf16"
    assert "going on from step 2 (20 images), in bf16 as it began" in capsys.readouterr().out


def test_nets_of_ones_own_are_told_apart_by_their_text(tmp_path, digits):
    class Mine(nets.MLPGenerator):
        pass

    gan = ganlib.GAN(Mine(8, widths=(16, 32)), nets.MLPDiscriminator(widths=(32, 16)))
    ganlib.save(tmp_path, gan)
    assert ganlib.resume(tmp_path, gan)
    with pytest.raises(ValueError, match="G of .* is your own net"):
        export.rebuild(tmp_path)


def test_fresh_leaves_a_folder_alone_that_is_no_run(small, tmp_path):
    (tmp_path / "drive").mkdir()
    (tmp_path / "drive" / "thesis.txt").write_text("years of work")
    assert ganlib.resume(f"{tmp_path}/drive/", small(), fresh=True) is False
    assert (tmp_path / "drive" / "thesis.txt").exists()


def test_the_gan_is_rebuilt_from_its_file(small, digits, tmp_path):
    gan = train(small(seed=9), digits, 3)
    ganlib.save(tmp_path, gan)
    built = export.rebuild(tmp_path)
    assert torch.equal(built.sample(4), gan.sample(4)) and built.seed == 9
