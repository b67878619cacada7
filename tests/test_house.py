"""The house: rooms on floors, and sizes that a reader can hold. No exceptions are listed here."""

import ast
import functools
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
from conftest import ROOT

import ganlib

HOUSE = ROOT / "ganlib"
FLOORS = {
    "machine": 1,
    "nets": 1,
    "lessons": 1,
    "data": 2,
    "game": 2,
    "judge": 3,
    "show": 4,
    "keep": 5,
    "lab": 5,
    "run": 6,
    "games": 7,
}
FILES = {
    ".".join(file.relative_to(HOUSE).with_suffix("").parts): file
    for file in sorted(HOUSE.rglob("*.py"))
}
CORE = (
    "game.game",
    "game.gan",
    "game.moves",
    "run.loop",
    "data.images",
    "nets.mlp",
    "show.pictures",
    "machine.device",
)


def room(module):
    return module.partition(".")[0] if "." in module else "front door"


def imports(module):
    """The modules that a file of ganlib imports, wherever in the file."""
    package = module.split(".")[:-1]
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = (
                [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else [name.name for name in node.names]
            )
            assert getattr(node, "level", 0) or not any(
                re.match(r"ganlib\b", name) for name in names
            ), f"{module}: import relatively within ganlib"
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1] + (
                node.module.split(".") if node.module else []
            )
            for name in node.names:
                places = (
                    ".".join([*base, name.name]),
                    ".".join([*base, name.name, "__init__"]),
                    ".".join(base),
                )
                yield next(
                    (place for place in places if place in FILES), ".".join([*base, "__init__"])
                )


GRAPH = {module: set(imports(module)) for module in FILES}


def closure(*modules):
    """These modules, and all that they import, and so on."""
    seen, left = set(), list(modules)
    while left:
        module = left.pop()
        if module not in seen:
            seen.add(module)
            left += GRAPH[module]
    return seen


def lines(modules):
    return sum(len(FILES[module].read_text().splitlines()) for module in modules)


@pytest.mark.parametrize("module", [module for module in FILES if "." in module])
def test_a_file_imports_its_own_room_or_a_lower_floor(module):
    for other in GRAPH[module]:
        assert room(other) == room(module) or FLOORS[room(other)] < FLOORS[room(module)], (
            f"{module} imports {other}"
        )
        assert room(module) not in ("nets", "lessons") or room(other) == room(module)


def test_the_loop_and_the_core_are_thin():
    """With all that they import, also within functions.

    The loop knows nothing of judge, keep, show and lab.
    """
    loop, core = closure("run.loop"), closure(*CORE)
    assert {room(module) for module in loop} <= {"run", "game", "data", "nets", "machine"}
    assert lines(loop) <= 1500, lines(loop)
    assert lines(core) <= 2200, {module: lines([module]) for module in sorted(core)}


def test_the_formatter_decides_everywhere():
    for file in (
        file
        for folder in ("ganlib", "tests", "tools", "benchmarks")
        for file in (ROOT / folder).rglob("*.py")
    ):
        assert "fmt: " + "skip" not in file.read_text(), file


def test_files_and_folders_are_small_and_chains_short():
    folders = {}
    for module, file in FILES.items():
        if not module.endswith("__init__"):
            folders.setdefault(file.parent, []).append(module)
    for folder, files in folders.items():
        assert folder == HOUSE or len(files) <= 12, (folder, files)
    assert set(map(room, FILES)) == {*FLOORS, "front door"}
    long = {module: lines([module]) for module in FILES if lines([module]) > 300}
    assert not long, long

    @functools.cache
    def chain(module):
        return [module, *max(map(chain, GRAPH[module] - {module}), key=len, default=[])]

    longest = max(map(chain, FILES), key=len)
    assert len(longest) <= 10, longest


def loaded(code):
    """The modules of ganlib that are loaded after a code was run in a process of its own."""
    code += "\nimport json, sys; print(json.dumps([m for m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    modules = json.loads(done.stdout.splitlines()[-1])
    assert not {"torchvision", "matplotlib", "IPython", "PIL"} & set(modules) or "PIL" in code
    names = [module.removeprefix("ganlib.") for module in modules if module.startswith("ganlib.")]
    return {f"{name}.__init__" if f"{name}.__init__" in FILES else name for name in names}


def test_what_is_loaded_is_what_is_measured():
    """The loop by itself, its package's front door left shut; and what importing ganlib loads."""
    shut = (
        "import sys, types; p = types.ModuleType('ganlib'); "
        "p.__path__ = ['ganlib']; sys.modules['ganlib'] = p\n"
    )
    packages = {module for module in FILES if module.endswith("__init__")}
    assert loaded(shut + "import ganlib.run.loop") - packages == closure("run.loop") - packages
    core = loaded("import ganlib")
    assert core - packages <= closure(*CORE)
    assert not {"judge", "keep", "lab", "lessons"} & set(map(room, core))
    steps = loaded(
        "import ganlib\nfor _ in ganlib.train(ganlib.GAN(ganlib.nets.MLPGenerator(), "
        "ganlib.nets.MLPDiscriminator(), seed=0), ganlib.load('digits'), until=1): pass"
    )
    assert not {"judge", "keep", "show", "lab", "lessons"} & (
        set(map(room, steps - packages - core))
    )


def test_the_front_door_opens_to_every_public_name():
    for name in ganlib.__all__:
        assert getattr(ganlib, name).__doc__, f"{name} has no docstring"
        assert name in dir(ganlib)
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        ganlib.nonsense  # noqa: B018
    with pytest.raises(AttributeError, match="has no attribute 'MLP'; MLPGenerator"):
        ganlib.nets.MLP  # noqa: B018
    with pytest.raises(AttributeError, match="has no attribute 'r3'"):
        ganlib.losses.r3  # noqa: B018
    assert ganlib.losses.r1(1.0).name == "r1(1.0)" and not hasattr(ganlib.losses, "import_module_")
    public = {name for name in ganlib.__all__ if name[0].isupper()}
    assert public == {"GAN", "Game", "Games", "Images", "LiveView", "Player", "Several", "Together"}


def test_docstrings_that_list_names_list_all():
    """What a table can grow by, a docstring that a user reads must not fall behind of."""
    from ganlib.data.loading import LOADERS
    from ganlib.judge.features import EXTRACTORS
    from ganlib.judge.figures import FIGURES
    from ganlib.run.recipes import RECIPES

    lists = {
        ganlib.recipe: RECIPES,
        ganlib.load: LOADERS,
        ganlib.evaluate: FIGURES,
        ganlib.features.extractor: EXTRACTORS,
    }
    for function, names in lists.items():
        lacking = [name for name in names if not re.search(rf"\b{name}\b", function.__doc__)]
        assert names and not lacking, (function.__name__, lacking)
    guide = (ROOT / "docs" / "recipes.md").read_text()
    lacking = [name for name in RECIPES if not re.search(rf"\b{name}\b", guide)]
    assert not lacking, lacking


BESIDE = [ROOT / name for name in ("benchmarks", "tools", "notebooks")]
BESIDE = [
    file
    for folder in BESIDE
    for file in sorted(folder.glob("*.py")) + sorted(folder.glob("*.ipynb"))
]


@pytest.mark.parametrize("file", BESIDE, ids=lambda file: file.name)
def test_benchmarks_tools_and_notebooks_use_names_that_ganlib_has(file):
    """They run by hand, or seldom: what they import, and each `ganlib.name`, is looked up here."""
    code = file.read_text()
    if file.suffix == ".ipynb":
        cells = [cell for cell in json.loads(code)["cells"] if cell["cell_type"] == "code"]
        lines = [line for cell in cells for line in "".join(cell["source"]).splitlines()]
        code = "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and re.match(r"ganlib\b", node.module or ""):
            module = importlib.import_module(node.module)
            for name in node.names:
                known = hasattr(module, name.name) or importlib.util.find_spec(
                    f"{node.module}.{name.name}"
                )
                assert known, f"{file.name}: from {node.module} import {name.name}"
        elif (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "ganlib"
        ):
            assert node.attr.startswith("__") or hasattr(ganlib, node.attr), (
                f"{file.name}: ganlib.{node.attr}"
            )


def test_a_wheel_has_every_file(tmp_path):
    """Built from the tree, as CI does in full; each public module imports there without it."""
    source = tmp_path / "source"
    shutil.copytree(HOUSE, source / "ganlib", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("LICENSE", "README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, source)
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        tmp_path,
        source,
    ]
    done = subprocess.run(list(map(str, build)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(source)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
        assert "ganlib = ganlib.__main__:main" in next(
            packed.read(name).decode() for name in names if name.endswith("entry_points.txt")
        )
        packed.extractall(tmp_path / "site")
    assert {f"ganlib/{file.relative_to(HOUSE)}" for file in FILES.values()} <= names
    assets = [file for file in (HOUSE / "assets").rglob("*") if file.is_file()]
    assets += (HOUSE / "lessons").glob("*.json")
    assert {f"ganlib/{file.relative_to(HOUSE).as_posix()}" for file in assets} <= names
    assert "ganlib/lessons/zh.json" in names
    modules = [
        f"ganlib.{module}".removesuffix(".__init__") for module in FILES if module != "__main__"
    ]
    code = (
        f"import importlib\nfor name in {modules}: importlib.import_module(name)\n"
        "import ganlib; print(ganlib.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "site", capture_output=True, text=True
    )
    assert done.returncode == 0 and str(tmp_path / "site") in done.stdout, done.stderr


def test_no_host_read_in_a_step():
    """The functions of a training step read nothing back from the device."""
    reads = re.compile(r"\.(item|tolist|cpu|numpy)\(|float\(|bool\(")
    step = {module for module in FILES if room(module) == "nets"} | {
        "game.terms",
        "game.moves",
        "game.source",
        "game.player",
        "data.augment",
    }
    for module in step - {"nets.rebuild", "nets.__init__"}:
        assert not reads.search(FILES[module].read_text()), module
    for name in ("game.game", "game.several"):
        tree = ast.parse(FILES[name].read_text())
        steps = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef) and node.name in ("step", "d_moves")
        ]
        assert steps and not any(reads.search(ast.unparse(node)) for node in steps), name


def test_the_drawing_of_the_rooms_is_that_of_the_files():
    command = [sys.executable, ROOT / "tools" / "architecture.py", "--check"]
    check = subprocess.run(command, capture_output=True, text=True)
    assert check.returncode == 0, check.stdout + check.stderr
    drawn = (ROOT / "docs" / "architecture.svg").read_text()
    for folder in FLOORS:
        count = sum(room(module) == folder and not module.endswith("__init__") for module in FILES)
        assert re.search(rf">{folder}/</text>\n<text[^>]*>{count} files<", drawn), folder
    assert "<title>run to keep: " in drawn and "<title>keep to run" not in drawn


def test_the_page_of_the_rooms_has_a_paragraph_for_each_and_names_its_folders():
    page = (ROOT / "docs" / "architecture.md").read_text()
    paragraphs = dict(re.findall(r"^\*\*(\w+)/\*\*(.*?)\n\n", page, re.DOTALL | re.MULTILINE))
    assert set(paragraphs) == set(FLOORS)
    for file in FILES.values():
        parts = file.relative_to(HOUSE).parts[:-1]
        if len(parts) > 1:
            assert f"`{parts[1]}/`" in paragraphs[parts[0]], "/".join(parts)
    for name in re.findall(r"`([\w/]+\.py)`", "".join(paragraphs.values())):
        assert any(str(file).endswith(f"/{name}") for file in FILES.values()), name
