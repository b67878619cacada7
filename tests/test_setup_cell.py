"""The set-up cell, run as it stands in imitations of Colab: fake module, session list and pip."""

import http.server
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import types
from urllib.parse import quote

import pytest
from conftest import ROOT

CELL = (ROOT / "tools" / "setup_cell.py").read_text()
HERE = "https://github.com/some-one/my.ganlib"
WHEEL = "ganlib-0.1.0-py3-none-any.whl"


def sessions(*files):
    return json.dumps([{"path": f"fileId={quote(file)}"} for file in files])


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder on a machine without ganlib, and a pip that only notes what it is given.

    `place.run(...)` runs the cell and returns the sources that pip was given.
    """
    place = types.SimpleNamespace(folder=tmp_path, asked=[], uploads={}, uploaded=0)
    monkeypatch.chdir(tmp_path)
    for name in ("COLAB_JUPYTER_IP", "KMP_TARGET_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p not in ("", str(ROOT))])
    for name in [n for n in sys.modules if n.partition(".")[0] == "ganlib"]:
        monkeypatch.delitem(sys.modules, name)

    def pip(command, check=False, env=None):
        assert command[:6] == [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        assert check and env["GIT_TERMINAL_PROMPT"] == "0"
        place.asked += command[6:]
        if command[6] not in place.good:
            raise subprocess.CalledProcessError(1, command)
        (tmp_path / "site" / "ganlib").mkdir(parents=True)
        (tmp_path / "site" / "ganlib" / "__init__.py").write_text("installed = True")

    def upload():
        place.uploaded += 1
        for name, content in place.uploads.items():
            (tmp_path / name).write_bytes(content)
        return place.uploads

    def run(*good, colab=True, repository="", answer=None):
        place.good = good
        if colab:
            files = types.SimpleNamespace(upload=upload)
            module = types.ModuleType("google.colab")
            module.files = files
            monkeypatch.setitem(sys.modules, "google.colab", module)
        if answer is not None:
            monkeypatch.setenv("COLAB_JUPYTER_IP", "127.0.0.1")
            monkeypatch.setenv("KMP_TARGET_PORT", str(answer))
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        code = CELL.replace('REPOSITORY, RELEASE = ""', f'REPOSITORY, RELEASE = "{repository}"')
        space = {}
        exec(compile(code, "set-up", "exec"), space)
        place.ganlib = space["ganlib"]
        return place.asked

    monkeypatch.setattr(subprocess, "run", pip)
    place.run = run
    return place


@pytest.fixture
def colab():
    """Start a server that answers as Colab's session list is said to; returns its port."""
    servers = []

    def start(text, status=200, wait=0.0):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                time.sleep(wait)
                self.send_response(status if self.path == "/api/sessions" else 404)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads, server.block_on_close = True, False
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return server.server_port

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_the_wheel_beside_it_is_installed_that_of_the_release_first(place):
    for name in ("ganlib-0.0.9-py3-none-any.whl", WHEEL, "ganlib-9.9.9-py3-none-any.whl"):
        (place.folder / name).touch()
    assert place.run(WHEEL, colab=False) == [WHEEL] and place.ganlib.installed


def test_a_checkout_and_an_installed_ganlib_are_used_without_pip(place, monkeypatch):
    (place.folder / "ganlib").mkdir()
    (place.folder / "ganlib" / "__init__.py").write_text("checkout = True")
    assert place.run(colab=False) == [] and place.ganlib.checkout
    for part in ("ganlib/__init__.py", "ganlib"):
        path = place.folder / part
        path.unlink() if path.is_file() else shutil.rmtree(path)
    monkeypatch.delitem(sys.modules, "ganlib")
    (place.folder / "site" / "ganlib").mkdir(parents=True)
    (place.folder / "site" / "ganlib" / "__init__.py").write_text("before = True")
    assert place.run(colab=False) == [] and place.ganlib.before


@pytest.mark.parametrize("depth", ["notebooks", "notebooks/zh"])
def test_a_checkout_is_found_from_the_folders_of_its_notebooks(place, monkeypatch, depth):
    (place.folder / "ganlib").mkdir()
    (place.folder / "ganlib" / "__init__.py").write_text("checkout = True")
    (place.folder / depth).mkdir(parents=True)
    monkeypatch.chdir(place.folder / depth)
    assert place.run(colab=False) == [] and place.ganlib.checkout


def test_an_empty_folder_named_ganlib_is_no_ganlib(place):
    (place.folder / "site" / "ganlib").mkdir(parents=True)
    with pytest.raises(ModuleNotFoundError, match="ganlib is not here"):
        place.run(colab=False)


def test_without_anything_it_says_what_to_do(place):
    with pytest.raises(ModuleNotFoundError, match=f"Put its wheel, {WHEEL}, next to this"):
        place.run(colab=False)
    assert place.asked == []


@pytest.mark.parametrize("branch", ["main", "v0.1.0", "fix/set-up", "5b1c2d3"])
def test_colab_installs_the_repository_from_which_it_opened_the_notebook(place, colab, branch):
    right = f"ganlib @ git+{HERE}@{branch}"
    port = colab(sessions(f"{HERE}/blob/{branch}/notebooks/01_first_gan.ipynb"))
    assert place.run(right, answer=port, repository="https://github.com/o/ganlib") == [right]
    assert place.ganlib.installed and place.uploaded == 0


def test_colab_opens_the_chinese_notebooks_from_their_folder(place, colab):
    right = f"ganlib @ git+{HERE}@main"
    port = colab(sessions(f"{HERE}/blob/main/notebooks/zh/01_first_gan.ipynb"))
    assert place.run(right, answer=port) == [right]


NOTEBOOK = "notebooks/01_first_gan.ipynb"


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "no JSON",
        "null",
        "[]",
        "{}",
        "[3]",
        '[{"path": 3}]',
        '[{"name": "01_first_gan.ipynb"}]',
        '[{"path": "work/01_first_gan.ipynb"}]',
        sessions("1a2B3c4D5e6F"),  # Google Drive
        sessions(f"https://gitlab.com/some-one/ganlib/blob/main/{NOTEBOOK}"),
        sessions(f"https://github.com.evil.org/some-one/ganlib/blob/main/{NOTEBOOK}"),
        sessions(f"http://github.com/some-one/ganlib/blob/main/{NOTEBOOK}"),
        sessions(f"https://github.com/ganlib/blob/main/{NOTEBOOK}"),
        sessions(f"{HERE}/blob/main/01_first_gan.ipynb"),  # not as ganlib lays its notebooks out
        sessions(f"{HERE}/blob/main/notebooks/zh/more/01_first_gan.ipynb"),
        sessions(f"{HERE}/blob/main;rm/{NOTEBOOK}"),
        sessions(f"{HERE}/blob/main#egg=x/{NOTEBOOK}"),
        sessions(f"{HERE}/blob/main/{NOTEBOOK}", f"https://github.com/b/b/blob/main/{NOTEBOOK}"),
        sessions(f"{HERE}/blob/main/{NOTEBOOK}", "1a2B3c4D5e6F"),
    ],
)
def test_no_other_repository_is_ever_installed(place, colab, answer):
    with pytest.raises(ModuleNotFoundError):
        place.run(answer=colab(answer))
    assert place.asked == [] and place.uploaded == 1


def test_a_list_that_fails_hangs_or_is_absent_costs_seconds(place, colab):
    stamped = "ganlib @ git+https://github.com/o/ganlib@v0.1.0"
    right = sessions(f"{HERE}/blob/main/{NOTEBOOK}")
    for port in (colab(right, status=500), colab(right, wait=20), 1):
        place.asked, start = [], time.monotonic()
        with pytest.raises(ModuleNotFoundError):
            place.run(answer=port, repository="https://github.com/o/ganlib")
        assert place.asked == [stamped] and time.monotonic() - start < 5


def test_colab_takes_the_stamped_address_where_the_list_says_nothing(place):
    stamped = "ganlib @ git+https://github.com/o/ganlib@v0.1.0"
    assert place.run(stamped, repository="https://github.com/o/ganlib") == [stamped]
    assert place.uploaded == 0


def test_what_pip_refuses_is_said_and_the_next_is_tried(place, colab, capsys):
    opened = f"ganlib @ git+{HERE}@main"
    stamped = "ganlib @ git+https://github.com/o/ganlib@v0.1.0"
    port = colab(sessions(f"{HERE}/blob/main/{NOTEBOOK}"))
    found = place.run(stamped, answer=port, repository="https://github.com/o/ganlib")
    assert found == [opened, stamped] and place.ganlib.installed
    assert f"pip could not install {opened}" in capsys.readouterr().out


@pytest.mark.parametrize("name", [WHEEL, WHEEL.replace(".whl", " (1).whl")])
def test_colab_asks_for_the_wheel(place, capsys, name):
    place.uploads = {name: b"a wheel"}
    assert place.run(WHEEL) == [WHEEL] and place.ganlib.installed and place.uploaded == 1
    assert f"Choose the file {WHEEL} on your computer" in capsys.readouterr().out


def test_outside_colab_no_address_is_asked(place):
    with pytest.raises(ModuleNotFoundError):
        place.run(colab=False, repository="https://github.com/o/ganlib")
    assert place.asked == []


@pytest.mark.parametrize("version", ["2.9.1+cu126", "1.13.0", "2.10.0a0"])
def test_an_old_torch_is_said_in_a_sentence(place, monkeypatch, version):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version)
    (place.folder / WHEEL).touch()
    if version.startswith("2.10"):
        assert place.run(WHEEL, colab=False) == [WHEEL]
        return
    with pytest.raises(ImportError, match=r"torch .* is installed, and ganlib needs 2.10 or newer"):
        place.run(WHEEL, colab=False)
    assert place.asked == []


def test_stamp_says_which_notebook_has_another_cell(tmp_path):
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    (tmp_path / "ganlib").mkdir()
    for name in ("README.md", "pyproject.toml", "ganlib/__init__.py"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    path = tmp_path / "notebooks" / "03_modern_gan.ipynb"
    notebook = json.loads(path.read_text())
    notebook["cells"][1]["source"].insert(3, "import antigravity\n")
    path.write_text(json.dumps(notebook))
    command = [sys.executable, ROOT / "tools" / "stamp.py", "--root", tmp_path]
    check = subprocess.run([*command, "--check"], capture_output=True, text=True, env=os.environ)
    assert check.returncode == 1 and check.stdout.rstrip().endswith(
        ": notebooks/03_modern_gan.ipynb"
    )
    assert subprocess.run(command, capture_output=True).returncode == 0
    cells = json.loads(path.read_text())["cells"]
    assert cells[1]["metadata"] == {
        "cellView": "form",
        "jupyter": {"source_hidden": True},
        "tags": ["setup"],
    }
    assert "".join(cells[1]["source"]) == CELL.rstrip("\n")
