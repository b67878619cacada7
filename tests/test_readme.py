"""README is true: its commands, its tree, its code."""

import re
import shutil
import subprocess

import pytest
from conftest import ROOT

README = (ROOT / "README.md").read_text()


def test_the_two_commands_are_one_line_each_and_set_themselves_up():
    for name, last in (
        ("main", "papermill notebooks/01_first_gan.ipynb first_gan.ipynb"),
        ("tests", "python -m pytest -n 2 --dist loadfile"),
    ):
        (command,) = re.findall(rf"<!-- command: {name} -->\n```bash\n(.+)\n```", README)
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install -r requirements.txt")
        assert command.endswith(f".venv/bin/{last}")


def test_it_opens_with_a_picture_that_is_there():
    picture = re.search(r"!\[.+\]\((.+?)\)", README)
    assert README[: picture.start()].count("\n") <= 3 and (ROOT / picture[1]).stat().st_size > 5000


def test_the_tree_has_one_line_for_each_file():
    tree = re.search(r"## The tree\n\n```\n(.+?)```", README, re.DOTALL)[1]
    listed, folder = set(), ""
    for line in tree.splitlines():
        name = line.split()[0]
        folder = "" if not line.startswith(" ") else folder
        listed.add(folder + name)
        if name.endswith("/") and not line.startswith(" "):
            folder = name
    if not (ROOT / ".git").exists():
        pytest.skip("no git checkout: which files belong to the tree is unknown")
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert "README.md" in files
    rooms = {f"ganlib/{path.name}/" for path in (ROOT / "ganlib").iterdir() if path.is_dir()}
    whole = {"tests/", "docs/"} | rooms  # one line for the folder
    missing = [file for file in files if file not in listed and not any(file.startswith(w) for w in whole & listed)]
    assert set(missing) <= {"README.md", ".gitignore", "benchmarks/__init__.py"}
    assert all((ROOT / name).exists() for name in listed)


def test_links_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_its_code_runs(tmp_path, monkeypatch):
    """The loop in README, with fewer steps, and then the lab."""
    blocks = re.findall(r"```python\n(.+?)```", README, re.DOTALL)
    code, (touched,) = blocks[0], [block for block in blocks if "lab.Explorer(" in block]
    monkeypatch.chdir(tmp_path)
    space = {}
    exec(code.replace("10_000", "3"), space)
    assert space["gan"].step == 3 and (tmp_path / "runs" / "mine" / "latest.png").exists()
    film = re.search(r"latent\.mp4\(.+", touched)[0]
    exec(touched if shutil.which("ffmpeg") else touched.replace(film, ""), space)
    assert space["answer"].image.shape == (1, 1, 28, 28) and len(space["found"].rows) == 5
