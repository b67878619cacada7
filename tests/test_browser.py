"""The live picture in a real browser: JupyterLab, driven by Playwright, in Debian's chromium."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest
from conftest import ROOT

pytest.importorskip("jupyterlab", reason="jupyterlab is not installed")


@pytest.fixture
def lab(tmp_path):
    """JupyterLab on the first notebook, training for longer than the test looks, with all cells kept in the page."""
    notebook = nbformat.read(ROOT / "notebooks" / "01_first_gan.ipynb", as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            cell.source = re.sub(r"^STEPS = \d+", "STEPS = 50000", cell.source, flags=re.MULTILINE)
    nbformat.write(notebook, tmp_path / "first.ipynb")
    import matplotlib.font_manager  # noqa: F401 builds its cache now, not with a warning in a cell

    settings = tmp_path / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    (settings / "tracker.jupyterlab-settings").write_text(json.dumps({"windowingMode": "none"}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--allow-root", "--no-browser", f"--port={port}", "--ip=127.0.0.1",
               "--IdentityProvider.token=", f"--LabApp.user_settings_dir={tmp_path / 'settings'}",
               f"--LabApp.workspaces_dir={tmp_path / 'workspaces'}", "--LabApp.news_url="]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JUPYTER_CONFIG_DIR": str(tmp_path / "config")}
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
        yield f"{address}/lab/tree/first.ipynb", tmp_path
    finally:
        server.terminate()
        server.wait(30)


def test_the_picture_changes_is_never_missing_and_the_stop_button_works(browser, lab):
    address, folder = lab
    page = browser.new_page(viewport={"width": 1200, "height": 1400})
    page.goto(address)
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=90_000)
    page.get_by_text(re.compile(r"\| Idle")).first.wait_for(timeout=90_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    training = page.locator(".jp-CodeCell", has_text="for now in ganlib.train(gan").first
    picture, line = training.locator(".jp-OutputArea-output img"), training.locator(".jp-OutputArea-output pre")
    picture.first.wait_for(timeout=120_000)
    training.scroll_into_view_if_needed()

    seen, missing, end = [], 0, time.monotonic() + 120
    while len(set(seen)) < 5 and time.monotonic() < end:
        source = page.evaluate("(cell) => { const i = cell.querySelector('.jp-OutputArea-output img');"
                               "return i && i.complete && i.naturalWidth ? i.src : null; }",
                               training.element_handle())  # fmt: skip
        missing += source is None
        seen.append(source)
        time.sleep(0.02)
    assert len(set(seen)) >= 4, f"{len(set(seen))} different pictures"  # it changed at least three times
    assert missing == 0, f"{missing} of {len(seen)} looks found no picture"
    assert picture.count() == 1 and "D(real)" in line.first.inner_text()

    page.get_by_title("Interrupt the kernel").first.click()
    page.wait_for_function("(cell) => /interrupted at step [\\d,]+; run again to go on/.test(cell.innerText)",
                           arg=training.element_handle(), timeout=30_000)  # fmt: skip
    # the next cells run: the timeline appears, and no cell ends in an error
    after = page.locator(".jp-CodeCell", has_text="ganlib.timeline(RUN, columns").first
    after.locator(".jp-OutputArea-output img").first.wait_for(timeout=60_000)
    assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    assert (folder / "runs" / "first" / "checkpoint.pt").exists()

    # running the cell again goes on where it stopped
    step = int(re.search(r"step ([\d,]+) /", line.first.inner_text())[1].replace(",", ""))
    training.locator(".jp-InputArea-editor").click()
    page.keyboard.press("Control+Enter")
    page.wait_for_function(
        "([cell, step]) => { const m = /step ([\\d,]+) \\/.*left/.exec(cell.innerText);"
        "return m && Number(m[1].replaceAll(',', '')) > step; }",
        arg=[training.element_handle(), step], timeout=60_000)  # fmt: skip
    page.get_by_title("Interrupt the kernel").first.click()
    page.wait_for_function("(cell) => /interrupted at step/.test(cell.innerText)",
                           arg=training.element_handle(), timeout=30_000)  # fmt: skip
    if shots := os.environ.get("GANLIB_SCREENSHOTS"):
        training.scroll_into_view_if_needed()
        page.screenshot(path=os.path.join(shots, "lab.png"))
