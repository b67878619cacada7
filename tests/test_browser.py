"""The live picture and the lab in a browser: JupyterLab in Debian's chromium, by Playwright."""

import json
import os
import re
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from contextlib import contextmanager

import nbformat
import pytest
from conftest import ROOT

pytest.importorskip("jupyterlab", reason="jupyterlab is not installed")


@contextmanager
def jupyterlab(tmp_path):
    """JupyterLab on a folder, with all cells kept in the page: its address."""
    import matplotlib.font_manager  # noqa: F401 builds its cache now, not with a warning in a cell

    settings = tmp_path / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    (settings / "tracker.jupyterlab-settings").write_text(json.dumps({"windowingMode": "none"}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--allow-root",
        "--no-browser",
        f"--port={port}",
        "--ip=127.0.0.1",
        "--IdentityProvider.token=",
        f"--LabApp.user_settings_dir={tmp_path / 'settings'}",
        f"--LabApp.workspaces_dir={tmp_path / 'workspaces'}",
        "--LabApp.news_url=",
    ]
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "JUPYTER_CONFIG_DIR": str(tmp_path / "config"),
    }
    with open(tmp_path / "lab.log", "w") as log:
        server = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{address}/api", timeout=5)
                break
            except OSError:
                time.sleep(0.5)
        else:
            pytest.fail((tmp_path / "lab.log").read_text()[-2000:])
        yield f"{address}/lab/tree"
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture
def lab(tmp_path):
    with jupyterlab(tmp_path) as address:
        yield address, tmp_path


def run_all(browser, address):
    """A page with this notebook, all of whose cells were sent to the kernel."""
    page = browser.new_page(viewport={"width": 1200, "height": 1400})
    page.goto(address)
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=90_000)
    page.get_by_text(re.compile(r"\| Idle")).first.wait_for(timeout=90_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    return page


def test_the_picture_changes_is_never_missing_and_the_stop_button_works(browser, lab):
    """The first notebook, training for longer than the test looks."""
    address, folder = lab
    notebook = nbformat.read(ROOT / "notebooks" / "01_first_gan.ipynb", as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            cell.source = re.sub(r"^STEPS = \d+", "STEPS = 50000", cell.source, flags=re.MULTILINE)
            cell.source = re.sub(r"^QUICK = \d+", "QUICK = 500", cell.source, flags=re.MULTILINE)
    nbformat.write(notebook, folder / "first.ipynb")
    page = run_all(browser, f"{address}/first.ipynb")
    training = page.locator(".jp-CodeCell", has_text="until = [STEPS, stuck]").first
    picture, line = (
        training.locator(".jp-OutputArea-output img"),
        training.locator(".jp-OutputArea-output pre", has_text="D(real)"),
    )
    picture.first.wait_for(timeout=120_000)
    training.scroll_into_view_if_needed()

    seen, missing, end = [], 0, time.monotonic() + 120
    while len(set(seen)) < 5 and time.monotonic() < end:
        source = page.evaluate(
            "(cell) => { const i = cell.querySelector('.jp-OutputArea-output img');"
            "return i && i.complete && i.naturalWidth ? i.src : null; }",
            training.element_handle(),
        )
        missing += source is None
        seen.append(source)
        time.sleep(0.02)
    assert len(set(seen)) >= 4, (
        f"{len(set(seen))} different pictures"
    )  # it changed at least three times
    assert missing == 0, f"{missing} of {len(seen)} looks found no picture"
    assert picture.count() == 1 and "D(real)" in line.first.inner_text()

    page.get_by_title("Interrupt the kernel").first.click()
    page.wait_for_function(
        "(cell) => /interrupted at step [\\d,]+; run again to go on/.test(cell.innerText)",
        arg=training.element_handle(),
        timeout=30_000,
    )
    # the next cells run: the timeline appears, and no cell ends in an error
    after = page.locator(".jp-CodeCell", has_text="ganlib.timeline(folder, columns").first
    after.locator(".jp-OutputArea-output img").first.wait_for(timeout=60_000)
    assert (
        page.locator(
            ".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']"
        ).count()
        == 0
    )
    assert (folder / "runs" / "first" / "checkpoint.pt").exists()

    # running the cell again goes on where it stopped
    step = int(re.search(r"step ([\d,]+) /", line.first.inner_text())[1].replace(",", ""))
    training.locator(".jp-InputArea-editor").click()
    page.keyboard.press("Control+Enter")
    page.wait_for_function(
        "([cell, step]) => { const m = /step ([\\d,]+) \\/.*left/.exec(cell.innerText);"
        "return m && Number(m[1].replaceAll(',', '')) > step; }",
        arg=[training.element_handle(), step],
        timeout=60_000,
    )
    page.get_by_title("Interrupt the kernel").first.click()
    page.wait_for_function(
        "(cell) => /interrupted at step/.test(cell.innerText)",
        arg=training.element_handle(),
        timeout=30_000,
    )
    if shots := os.environ.get("GANLIB_SCREENSHOTS"):
        training.scroll_into_view_if_needed()
        page.screenshot(path=os.path.join(shots, "lab.png"))


LAB = """
import copy, sys
import torch
import ganlib
from functools import partial
from ganlib import lab, losses, nets, plane
device = ganlib.setup(seed=0, threads=1)
digits = ganlib.load("digits")
torch.manual_seed(0)
G, D = nets.MLPGenerator(), nets.MLPDiscriminator()
gan, RUN, LEARNING_RATE, SEED, BATCH = ganlib.recipe("small", classes=10).gan(0), ".", 2e-4, 0, 100
"""
LEARN = """
data = plane.Points(plane.painted(painter.mask))
torch.manual_seed(0)
pair = nets.MLPGenerator(2, (2,), (32, 32)), nets.MLPDiscriminator((2,), (32, 32), dropout=0.0)
toy = ganlib.GAN(*pair, lr=2e-3, betas=(0.5, 0.99), seed=0)
step = partial(ganlib.gan_step, objective=losses.relativistic, penalty=losses.r1_r2(0.05))
for now in ganlib.train(toy, data, step, until=1000, batch_size=64):
    pass
good = plane.coverage(toy.sample(500), data.distribution).share
print("cells on:", sum(map(sum, painter.mask)), "|", round(good, 2))
"""


def wiped(page, painter):
    """Wait until no cell of the board is seen as on: the kernel takes a while to clear it."""
    on = painter.locator("button.widget-toggle-button.mod-active")
    end = time.monotonic() + 20
    while on.count() and time.monotonic() < end:
        page.wait_for_timeout(50)
    assert on.count() == 0


def cell_of(notebook, tag):
    """The source of the one cell with this tag, as it stands in the notebook."""
    cells = nbformat.read(ROOT / "notebooks" / f"{notebook}.ipynb", as_version=4).cells
    (found,) = [cell.source for cell in cells if tag in cell.metadata.get("tags", [])]
    return found


def test_every_control_of_the_lab_answers(browser, lab):
    """Cells of notebooks 01, 02, 04 with controls: each is driven and changes what it should."""
    address, folder = lab
    first = [
        cell.source
        for cell in nbformat.read(ROOT / "notebooks/01_first_gan.ipynb", as_version=4).cells
        if "board = lab.Stepper(" in cell.source
    ]
    sources = [
        LAB,
        first[0].partition("board.noise()")[0],
        cell_of("01_first_gan", "stepper"),
        cell_of("04_choose_the_digit", "explorer"),
        cell_of("04_choose_the_digit", "explorer-grid"),
        cell_of("02_two_dimensions", "painter"),
    ]
    notebook = nbformat.v4.new_notebook()
    learn = "if 'painted' in globals():\n" + textwrap.indent(LEARN, "    ")
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in [*sources, learn]]
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "name": "python3"},
        "language_info": {"name": "python"},
    }
    nbformat.write(notebook, folder / "lab.ipynb")
    page = run_all(browser, f"{address}/lab.ipynb")
    cells = page.locator(".jp-CodeCell")

    def picture(cell):
        return cell.evaluate(
            "(cell) => { const all = cell.querySelectorAll('img.widget-image');"
            "return all.length ? all[all.length - 1].src : null; }"
        )

    def changes(cell, act, what):
        before = picture(cell)
        act()
        end = time.monotonic() + 20
        while picture(cell) == before and time.monotonic() < end:
            time.sleep(0.02)
        assert picture(cell) != before, what

    def slider(cell, name):
        box = cell.locator(".widget-hslider", has=page.locator(f".widget-label:text-is('{name}')"))
        return box.locator(".noUi-handle").first

    stepper, explorer, grid, painter, later = (cells.nth(i) for i in range(2, 7))
    stepper.locator("img.widget-image").wait_for(timeout=120_000)
    for label in ("noise", "fake", "judge", "losses", "D move", "G move", "both x10"):
        changes(stepper, stepper.get_by_role("button", name=label, exact=True).click, label)
    explorer.locator("img.widget-image").wait_for(timeout=60_000)
    names = ["sample", "label", "direction 1", "direction 5", "mix", "truncation"]
    for name in names:
        key = "ArrowLeft" if name == "truncation" else "ArrowRight"
        changes(
            explorer,
            lambda name=name, key=key: [slider(explorer, name).press(key) for _ in range(4)],
            name,
        )
    changes(explorer, explorer.get_by_label("spherical").click, "spherical")
    changes(explorer, explorer.get_by_role("button", name="walk as GIF").click, "walk as GIF")
    explorer.get_by_text("written: walk.gif").wait_for(timeout=20_000)
    assert (folder / "walk.gif").exists()
    grid.locator("img.widget-image").wait_for(timeout=60_000)
    for name in ("x", "y", "reach"):
        changes(grid, lambda name=name: slider(grid, name).press("ArrowRight"), name)
    changes(grid, lambda: grid.locator("select").first.select_option("direction 4"), "across")

    # the board is wiped, a block is painted, and learned
    painter.get_by_role("button", name="clear").click()
    wiped(page, painter)  # a cell that is still on would be turned off by a click
    for row in (2, 3, 4, 5):
        for column in (11, 12, 13, 14):
            painter.locator(f"button[title='row {row}, column {column}']").click()
    later.locator(".jp-InputArea-editor").click()
    page.keyboard.press("Control+Home")
    page.keyboard.type("painted = True\n")
    page.keyboard.press("Control+Enter")
    said = later.locator(".jp-OutputArea-output pre", has_text="cells on:")
    said.wait_for(timeout=60_000)
    on, good = re.search(r"cells on: (\d+) \| ([\d.]+)", said.inner_text()).groups()
    assert int(on) == 16 and float(good) > 0.7, said.inner_text()
    assert (
        page.locator(
            ".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']"
        ).count()
        == 0
    )
    if shots := os.environ.get("GANLIB_SCREENSHOTS"):
        for name, cell in (
            ("stepper", stepper),
            ("explorer", explorer),
            ("grid", grid),
            ("painter", painter),
        ):
            cell.scroll_into_view_if_needed()
            cell.screenshot(path=os.path.join(shots, f"{name}.png"))
