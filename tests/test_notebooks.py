"""Notebooks as people meet them: as files, by papermill, again, in a folder with only the wheel."""

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import venv

import nbformat
import papermill
import pytest
import torch
from conftest import ROOT
from milling import (
    FIRST,
    NOTEBOOKS,
    PLANE,
    SHORT,
    TRANSLATED,
    cells,
    mill,
    nbval,
    read,
    run,
)

import ganlib
from ganlib import losses, nets
from ganlib.run.loop import Now

# As files


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_lint(path):
    notebook = read(path)
    nbformat.validate(notebook)
    on_gpu = path != PLANE  # its nets are too small to gain from one
    assert notebook.metadata == {
        **({"accelerator": "GPU"} if on_gpu else {}),
        "colab": {
            **({"gpuType": "T4"} if on_gpu else {}),
            "provenance": [],
            "toc_visible": True,
        },
        "kernelspec": {"display_name": "Python 3", "name": "python3"},
        "language_info": {"name": "python"},
    }
    title, setup, parameters = notebook.cells[:3]
    assert (
        title.cell_type == "markdown"
        and title.source.startswith("# ")
        and "<!-- badge" in title.source
    )
    assert "Time:" in title.source or "*Time:*" in title.source
    assert setup.metadata == {
        "cellView": "form",
        "jupyter": {"source_hidden": True},
        "tags": ["setup"],
    }
    assert setup.source.startswith("# @title ")
    assert parameters.metadata.tags == ["parameters"]
    for line in parameters.source.splitlines():
        assert re.fullmatch(r"[A-Z_]+ = .+  # @param (\{.*\}|\[.*\])", line), line
    assert path.stat().st_size <= 500_000
    text = path.read_text()
    assert not re.search(r"/root/|/home/|/tmp/|/work/|C:\\\\", text), "a path of one machine"
    assert "@@" not in text and "tqdm.notebook" not in text


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_those_of_one_clean_run(path):
    code = [cell for cell in read(path).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    for cell in code:  # a static picture stands beside every widget
        kinds = [kind for output in cell.outputs for kind in output.get("data", {})]
        assert "application/vnd.jupyter.widget-view+json" not in kinds or "image/png" in kinds
    outputs = [output for cell in code for output in cell.outputs]
    assert not [
        output
        for output in outputs
        if output.output_type == "error" or output.get("name") == "stderr"
    ]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 3


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_imports_come_from_the_front_door(path):
    source = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "code")
    used = set(re.findall(r"\bganlib\.(\w+)", source)) - {"ganlib"}
    imported = {
        name.strip()
        for names in re.findall(r"from ganlib import (.+)", source)
        for name in names.split(",")
    }
    assert used | imported <= set(ganlib.__all__)
    assert not re.search(r"(from|import) ganlib\.", source)


def stamp(root, *options):
    return subprocess.run(
        [sys.executable, ROOT / "tools" / "stamp.py", "--root", root, *options],
        capture_output=True,
        text=True,
    )


def test_stamps_are_up_to_date():
    done = stamp(ROOT, "--check")
    assert done.returncode == 0, done.stdout


def test_one_command_stamps_address_and_release(tmp_path):
    for name in ("README.md", "README.zh.md", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(
        ROOT / "notebooks", tmp_path / "notebooks", ignore=shutil.ignore_patterns("runs")
    )
    (tmp_path / "ganlib").mkdir()
    (tmp_path / "ganlib" / "__init__.py").write_text('__version__ = "7.8.9"\n')
    project = tmp_path / "pyproject.toml"
    lines = [line for line in project.read_text().splitlines() if "Repository = " not in line]
    place = lines.index("[project.urls]") + 1
    project.write_text(
        "\n".join(
            [*lines[:place], 'Repository = "https://github.com/some-one/ganlib"', *lines[place:]]
        )
    )
    assert stamp(tmp_path, "--check").returncode == 1
    assert stamp(tmp_path).returncode == 0 and stamp(tmp_path, "--check").returncode == 0
    paths = list((tmp_path / "notebooks").rglob("*.ipynb"))
    assert len(paths) == len(NOTEBOOKS) + len(TRANSLATED)
    for path in paths:
        notebook, place = read(path), path.relative_to(tmp_path).as_posix()
        target = f"https://colab.research.google.com/github/some-one/ganlib/blob/v7.8.9/{place}"
        page = "README.zh.md" if path.parent.name == "zh" else "README.md"
        assert f'<a href="{target}">' in notebook.cells[0].source
        assert (
            'REPOSITORY, RELEASE = "https://github.com/some-one/ganlib", "7.8.9"'
            in notebook.cells[1].source
        )
        assert f'<a href="{target}">' in (tmp_path / page).read_text()
        compile(notebook.cells[1].source, path.name, "exec")


def test_every_notebook_has_the_same_setup_cell():
    assert len({read(path).cells[1].source for path in NOTEBOOKS + TRANSLATED}) == 1


# Run by papermill


@pytest.fixture(scope="module")
def milled(tmp_path_factory):
    """The first notebook, short, from the repository's root."""
    folder = tmp_path_factory.mktemp("milled")
    done = mill(FIRST.relative_to(ROOT), folder / "out.ipynb", ROOT, RUN=folder / "run", **SHORT)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, done


def assert_milled(path, steps):
    notebook = read(path)
    assert not [
        o for cell in notebook.cells for o in cell.get("outputs", []) if o.output_type == "error"
    ]
    (training,) = cells(path, "training")
    pictures = [o for o in training.outputs if "image/png" in o.get("data", {})]
    lines = [o for o in training.outputs if "text/html" in o.get("data", {})]
    assert len(pictures) == len(lines) == 1 and pictures[0].data["text/plain"] == "<live samples>"
    assert f"step {steps} / {steps}" in lines[0].data["text/plain"]
    return lines[0].data["text/plain"]


def test_from_the_root(milled):
    folder, done = milled
    assert "60 steps" in assert_milled(folder / "out.ipynb", 60)
    assert {"checkpoint.pt", "history.json", "latest.png", "pictures"} == {
        p.name for p in (folder / "run").iterdir()
    }
    assert "unknown parameter" not in done.stderr.lower()


def test_parameters_are_seen_and_injected_behind_the_tagged_cell(milled):
    assert set(papermill.inspect_notebook(str(FIRST))) == {
        "SEED",
        "STEPS",
        "MINUTES",
        "QUICK",
        "BATCH",
        "LEARNING_RATE",
        "DATA",
        "RUN",
        "FRESH",
        "PRECISION",
        "LANGUAGE",
    }
    tags = [cell.metadata.get("tags", []) for cell in read(milled[0] / "out.ipynb").cells]
    assert tags[2:4] == [["parameters"], ["injected-parameters"]]


def test_text_outputs_are_the_same_in_a_second_run(milled):
    """nbval reruns the fresh output, in a fresh run folder, and compares what each cell printed."""
    folder, _ = milled
    shutil.rmtree(folder / "run")
    nbval(folder)


def test_running_a_finished_notebook_again_says_so_and_draws_the_picture(milled, tmp_path):
    """Now from the notebooks' folder."""
    folder, _ = milled
    done = mill(FIRST.name, tmp_path / "again.ipynb", FIRST.parent, RUN=folder / "run", **SHORT)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "this run is finished: 60 steps" in assert_milled(tmp_path / "again.ipynb", 60)
    text = (tmp_path / "again.ipynb").read_text()
    assert "going on from step 60" in text and "To go on, raise `until` above 60" in text


def test_a_run_of_another_seed_in_the_folder_is_refused(milled, tmp_path):
    done = mill(FIRST, tmp_path / "no.ipynb", ROOT, RUN=milled[0] / "run", SEED=1, **SHORT)
    assert (
        done.returncode != 0
        and "has seed = 5, this one seed = 1" in done.stderr
        and "FRESH = True" in done.stderr
    )


@pytest.mark.slow
def test_fresh_starts_anew(milled, tmp_path):
    folder, _ = milled
    run_folder = tmp_path / "run"
    shutil.copytree(folder / "run", run_folder)
    done = mill(FIRST, tmp_path / "yes.ipynb", ROOT, RUN=run_folder, SEED=1, FRESH=True, **SHORT)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "run.1" / "checkpoint.pt").exists()


# In a folder that holds nothing else


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory):
    """A Python that sees the packages installed here; the set-up cell may install into it."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=True, symlinks=True)
    python = folder / "bin" / "python"
    site = run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], folder
    ).stdout.strip()
    with open(f"{site}/packages-of-the-tests.pth", "w") as file:
        file.write(sysconfig.get_path("purelib") + "\n")
    return python


def test_without_ganlib_the_setup_cell_says_what_to_do(bare_python, tmp_path):
    shutil.copy(FIRST, tmp_path)
    done = mill(FIRST.name, "out.ipynb", tmp_path, bare_python, **SHORT)
    assert done.returncode != 0
    assert (
        "ganlib is not here. Put its wheel" in done.stderr
        and "python3 -m pip wheel --no-deps ." in done.stderr
    )


def test_with_the_wheel_beside_it_the_notebook_runs(bare_python, tmp_path):
    source = tmp_path / "source"
    for name in ("ganlib", "LICENSE", "README.md", "pyproject.toml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        source.mkdir(exist_ok=True)
        copy(ROOT / name, source / name)
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        tmp_path,
        ".",
    ]
    done = run(build, source)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(source)
    shutil.copy(FIRST, tmp_path)
    done = mill(FIRST.name, "out.ipynb", tmp_path, bare_python, **SHORT)
    assert done.returncode == 0, done.stderr[-3000:]
    assert_milled(tmp_path / "out.ipynb", 60)
    where = run(
        [
            bare_python,
            "-c",
            "import ganlib; print(ganlib.__file__); print(len(ganlib.load('digits')))",
        ],
        tmp_path,
    )
    assert where.stdout.split()[1] == "10000" and str(bare_python.parents[1]) in where.stdout, (
        where.stderr
    )


# What its cells say


def test_the_moves_of_the_first_notebook_are_those_of_the_library(small, digits):
    """The cells as they stand against `discriminator_step` and `generator_step`, in float64."""
    gan, hand = small(dtype=torch.float64), small(dtype=torch.float64)
    space = {
        "torch": torch,
        "softplus": torch.nn.functional.softplus,
        "copy": __import__("copy"),
        "LEARNING_RATE": 2e-4,
    }
    space |= {"G": hand.G, "D": hand.D}
    move_cells = cells(FIRST, "move")
    assert len(move_cells) == 2
    whole = next(cell.source for cell in read(FIRST).cells if "def my_step(" in cell.source)
    space["losses"] = losses
    for cell in move_cells:
        exec(cell.source, space)
    G, D = space["G_copy"], space["D_copy"]
    gan.D.eval()
    D.eval()
    for step in range(5):
        real = digits.batches(0, step, dtype=torch.float64).images[0]
        figures = space["move_D"](G, D, space["opt_D"], real, gan.noise(100, "D0", step))
        figures |= space["move_G"](G, D, space["opt_G"], gan.noise(100, "G", step))
        stats = ganlib.gan_step(gan, digits.batches(0, step, dtype=torch.float64))
        for name in ("d_loss", "g_loss", "d_real", "d_fake", "p_real", "p_fake"):
            assert figures[name].item() == pytest.approx(stats[name].item(), abs=1e-12), name
    for ours, theirs in zip(
        [*gan.G.parameters(), *gan.D.parameters()], [*G.parameters(), *D.parameters()], strict=True
    ):
        assert torch.allclose(ours, theirs, rtol=0, atol=1e-12)
    exec(whole[: whole.index("\n\n\ndef start")], space)  # a step of both trains
    gan = small()
    for _ in ganlib.train(gan, digits, space["my_step"], until=2, batch_size=10):
        pass
    assert gan.step == 2 and gan.history[-1]["absolute"] == 1.0


def test_the_first_notebook_notices_a_stuck_run(digits):
    """D is given a game it cannot lose: the rule ends the run."""
    source = next(cell.source for cell in read(FIRST).cells if "def stuck(now)" in cell.source)
    space = {}
    exec(source[: source.index("\n\n\nif not STEPS")], space)

    class Silent(nets.MLPGenerator):
        def forward(self, z, labels=None):
            return super().forward(0 * z)

    torch.manual_seed(0)
    gan = ganlib.GAN(
        Silent(8, widths=(16, 32)),
        nets.MLPDiscriminator(widths=(32, 16), dropout=0.0),
        lr=1e-2,
        seed=3,
    )
    gan.opt_G.param_groups[0]["lr"] = 0.0
    for now in ganlib.train(gan, digits, until=[4000, space["stuck"]], batch_size=10):
        pass
    assert 2000 <= now.step < 4000
    assert now.reason.startswith(f"stuck at step {now.step:,}")


def test_a_stuck_run_is_given_another_start_in_a_folder_of_its_own(digits, tmp_path):
    """The training cell as it stands: two more seeds where all get stuck, none where it learned."""
    (training,) = cells(FIRST, "training")
    my_step = next(cell.source for cell in read(FIRST).cells if "def my_step(" in cell.source)
    names = {"ganlib": ganlib, "nets": nets, "losses": losses, "digits": digits, "torch": torch}
    names |= {"device": "cpu", "LEARNING_RATE": 2e-4, "softplus": torch.nn.functional.softplus}
    names |= {"copy": __import__("copy"), "G": nets.MLPGenerator(), "D": nets.MLPDiscriminator()}
    for cell in cells(FIRST, "move"):
        exec(cell.source, names)
    exec(my_step, names)
    names |= {"SEED": 5, "STEPS": 2, "BATCH": 10, "FRESH": False, "stuck": lambda now: None}
    run = str(tmp_path / "run")
    for verdicts, seed in (([False], 5), ([True, False], 6), ([True] * 3, 7)):
        answers = iter(verdicts)
        space = names | {"RUN": run, "hopeless": lambda history: next(answers)}  # noqa: B023
        exec(training.source, space)
        assert space["gan"].seed == seed and space["gan"].step == 2
        assert space["folder"] == run + ("" if seed == 5 else f"-seed-{seed}")
    assert {path.name for path in tmp_path.iterdir()} == {"run", "run-seed-6", "run-seed-7"}


def test_a_healthy_run_is_not_called_stuck():
    """The history of a run that learned (seed 0, 10,000 steps), and it with a D that never errs."""
    source = next(cell.source for cell in read(FIRST).cells if "def stuck(now)" in cell.source)
    space = {"SEED": 0}
    exec(source[: source.index("\n\n\nif not STEPS")], space)
    rows = json.loads((ROOT / "tests" / "healthy_history.json").read_text())

    def verdicts(rows):
        now = Now(ganlib.GAN(nets.MLPGenerator(), nets.MLPDiscriminator()))
        for i, row in enumerate(rows):
            now.gan.step, now.gan.history = row["step"], rows[: i + 1]
            yield space["stuck"](now)

    assert not any(verdicts(rows))
    won = [row | {"d_loss": 0.001, "diversity": 0.0} for row in rows]
    assert any(verdicts(won)) and not any(verdicts([row | {"diversity": 0.25} for row in won]))


def test_the_losses_by_hand_are_checked_in_the_notebook():
    source = "\n".join(cell.source for cell in read(FIRST).cells)
    assert "losses.non_saturating.d_loss" in source and "losses.non_saturating.g_loss" in source
    assert losses.non_saturating
