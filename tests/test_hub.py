"""Generators by their names on the Hub, and apps for its Spaces, against local imitations."""

import io
import json
import os
import pickle
import runpy
import subprocess
import sys
import types
from pathlib import Path

import numpy
import pytest
import torch
from conftest import ROOT
from hub import Hub
from PIL import Image

import ganlib
from ganlib import nets
from ganlib.__main__ import main
from ganlib.keep.sharing import hub

FIRST, SECOND = "a" * 40, "b" * 40


@pytest.fixture
def exported(tmp_path, monkeypatch):
    """Export a run of a small net, with ONNX's seconds left out; return a function."""
    monkeypatch.setitem(sys.modules, "onnxscript", None)

    def make(to, G=None, D=None, classes=("one", "two", "three"), **given):
        torch.manual_seed(0)
        G = G or nets.CompactGenerator(12, (1, 8, 8), widths=(8,), classes=3)
        D = D or nets.CompactDiscriminator((1, 8, 8), widths=(8,), classes=3)
        gan = ganlib.GAN(G, D, seed=5)
        gan.trained_on = {"data": "dots", "classes": list(classes)}
        if hasattr(G, "sentence"):
            gan.examples = torch.tensor([[1, 2], [3, 0]])
        ganlib.save(tmp_path / "run", gan)
        ganlib.export(tmp_path / "run", tmp_path / to, license="mit", **given)
        return tmp_path / to

    return make


class Evil:
    def __reduce__(self):
        return os.mkdir, ("owned",)


def repository(folder):
    """Return the files of an export, and others that could run code."""
    files = {name: (folder / name).read_bytes() for name in hub.FILES}
    evil = pickle.dumps(Evil())
    return files | {"pytorch_model.bin": evil, "hubconf.py": b"1 / 0", "other.safetensors": evil}


def imitated(monkeypatch, *, fetch=None, missing=False):
    """Put a module in the place of `huggingface_hub`."""
    module = None if missing else types.SimpleNamespace(snapshot_download=fetch)
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)


def test_it_asks_for_two_files_and_says_which_commit_it_is(exported, monkeypatch, capsys, tmp_path):
    folder, calls = exported(f"cache/snapshots/{FIRST}"), []
    imitated(monkeypatch, fetch=lambda name, **given: calls.append((name, given)) or str(folder))
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    G = ganlib.load_generator("me/gan")
    said = capsys.readouterr().out
    assert G.config["seed"] == 5 and G.revision == FIRST
    assert said == f'me/gan: commit {FIRST}; revision="{FIRST}" takes the same next time\n'
    ganlib.load_generator("me/gan", revision="v1")
    assert capsys.readouterr().out == ""
    files = ["generator.safetensors", "config.json"]
    assert calls == [
        ("me/gan", {"revision": revision, "allow_patterns": files}) for revision in (None, "v1")
    ]
    assert main(["sample", "me/gan", "--n", "9", "--out", "a.png", "--revision", "v1"]) == 0
    assert calls[2:] == calls[1:2] and Image.open("a.png").info["Comment"]


def test_a_folder_here_comes_first(exported, monkeypatch, tmp_path):
    exported("me/gan")
    imitated(monkeypatch, missing=True)
    monkeypatch.chdir(tmp_path)
    G = ganlib.load_generator("me/gan")
    assert G.config["seed"] == 5 and G.revision is None
    with pytest.raises(ValueError, match="revision='v1' was given with 'me/gan', a folder"):
        ganlib.load_generator("me/gan", revision="v1")
    with pytest.raises(ValueError, match="revision='v1' was given with 'digits'"):
        ganlib.load_generator("digits", "v1")


@pytest.mark.parametrize("name", ["./me/gan", "me/you/gan", "me", "../gan", "me/", "/me", "me/.."])
def test_other_paths_are_no_names(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert not hub.named(name) and not hub.named(Path("me/gan"))
    with pytest.raises(OSError, match="holds no generator"):
        ganlib.load_generator(name)


def test_without_the_package_it_says_what_to_install(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    imitated(monkeypatch, missing=True)
    with pytest.raises(
        ImportError, match="no folder 'me/gan' here; .*: pip install huggingface_hub"
    ):
        ganlib.load_generator("me/gan")
    assert main(["sample", "me/gan", "--out", "a.npy"]) == 1
    assert "pip install huggingface_hub" in capsys.readouterr().err


@pytest.mark.parametrize(
    "kind, message",
    [
        ("RepositoryNotFoundError", "no model of that name on the Hugging Face Hub"),
        ("RevisionNotFoundError", "has no revision 'v1': give a commit or tag"),
        ("ConnectTimeout", r"could not be fetched .*\(ConnectTimeout: no\\n route\); look at the"),
    ],
)
def test_what_fails_is_a_sentence(kind, message, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def fail(*_, **__):
        raise type(kind, (Exception,), {})("no\n route")

    imitated(monkeypatch, fetch=fail)
    with pytest.raises(OSError, match=message):
        ganlib.load_generator("me/gan", revision="v1")


def test_another_repository_is_no_generator(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / FIRST).mkdir()
    (tmp_path / FIRST / "config.json").write_text("{}")
    imitated(monkeypatch, fetch=lambda *_, **__: str(tmp_path / FIRST))
    with pytest.raises(OSError, match="no generator of ganlib: it has no generator.safetensors;"):
        ganlib.load_generator("me/gan")


CHILD = """
import json, sys, ganlib
found = []
for name, revision in json.loads(sys.argv[1]):
    try:
        found.append(ganlib.load_generator(name, revision).revision)
    except Exception as error:
        found.append(f"{type(error).__name__}: {error}")
print(json.dumps(found))
"""


def test_the_real_package_fetches_from_a_local_hub(exported, tmp_path):
    """Two files alone, the commit that is asked for, each failure; and offline from the cache."""
    pytest.importorskip("huggingface_hub")
    first, second = repository(exported("one")), repository(exported("two", name="Second"))
    versions = {FIRST: first, SECOND: second}
    others = {"me/bert": {FIRST: {"model.safetensors": b"x", "config.json": b"{}"}}}
    served = Hub({"me/gan": versions, **others})
    environment = os.environ | {"HF_ENDPOINT": served.address, "HF_HOME": str(tmp_path / "cache")}
    environment |= {"PYTHONPATH": str(ROOT), "HF_HUB_DISABLE_TELEMETRY": "1"}
    environment |= {"HF_HUB_DOWNLOAD_TIMEOUT": "2", "HF_HUB_ETAG_TIMEOUT": "2"}

    def child(*asked, **more):
        command = [sys.executable, "-c", CHILD, json.dumps(asked)]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, env=environment | more
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    with served:
        names = ("me/gan", None), ("me/gan", FIRST), ("me/gan", "v1"), ("me/gan", "v9")
        found = child(*names, ("me/bert", None), ("me/none", None))
    assert found[:3] == [SECOND, FIRST, FIRST]
    assert "me/gan on the Hugging Face Hub has no revision 'v9'" in found[3]
    assert "it has no generator.safetensors;" in found[4]
    assert "no model of that name on the Hugging Face Hub" in found[5]
    fetched = {path.rsplit("/", 1)[1] for path in served.asked if "/resolve/" in path}
    assert fetched == {"generator.safetensors", "config.json"}
    assert not (tmp_path / "owned").exists() and not list(tmp_path.rglob("hubconf.py"))
    found = child(("me/gan", None), ("me/gan", FIRST), ("me/none", None))  # the server is gone
    assert found[:2] == [SECOND, FIRST] and "could not be fetched" in found[2]
    assert child(("me/gan", FIRST), HF_HUB_OFFLINE="1") == [FIRST]


class Part:
    """A part of an imitated interface, which records what it was made of."""

    made = []

    def __init__(self, *given, **named):
        self.given, self.named, self.calls = given, named, []
        Part.made.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def click(self, *given):
        self.calls.append(given)

    load = launch = click


GRADIO = ("Blocks", "Markdown", "Slider", "Dropdown", "Textbox", "Image", "Button")


@pytest.fixture
def gradio(monkeypatch):
    """An imitation of Gradio: a module whose parts are recorded by their kind."""
    monkeypatch.setattr(Part, "made", [])
    kinds = {kind: type(kind, (Part,), {}) for kind in GRADIO}
    module = types.SimpleNamespace(**kinds, Error=type("Error", (Exception,), {}))
    monkeypatch.setitem(sys.modules, "gradio", module)
    return module


def played(folder):
    """Run an app.py, and return (its globals, its inputs, the function that draws)."""
    Part.made.clear()
    space = runpy.run_path(str(folder / "app.py"))
    (function, inputs, _), *_ = next(x.calls for x in Part.made if type(x).__name__ == "Button")
    assert space["app"].calls == [(function, inputs, space["app"].calls[0][2])]
    return space, inputs, function


def test_an_app_draws_what_its_sliders_say(exported, gradio):
    folder = exported("out", app=True, name="Dots: <b>one</b>")
    space, inputs, draw = played(folder / "space")
    labels = [part.named["label"] for part in inputs]
    assert labels == ["seed", "images", "class"]
    choices = [("each in turn", -1), ("one", 0), ("two", 1), ("three", 2)]
    assert inputs[2].given == (choices,)
    G = ganlib.load_generator(folder)
    for seed, count, label in ((0, 16, -1), (3, 5, 2), (3.0, 5.0, None), (1, 10**9, 0)):
        picture = draw(seed, count, label)
        count = min(64, int(count))
        pairs = ganlib.draw(G, count, None if label in (-1, None) else label, seed=int(seed))
        shown = ganlib.show(torch.cat([x for x, _ in pairs]), scale=14)
        expected = Image.open(io.BytesIO(shown.data))
        assert picture.size == expected.size and picture.tobytes() == expected.tobytes()
        assert picture.info["Comment"].startswith("generated")
    said = " ".join(part.given[0] for part in Part.made if type(part).__name__ == "Markdown")
    assert "# Dots: &lt;b&gt;one" in said and "<b>" not in said
    assert "Synthetic images" in said and "Do not use them to deceive" in said


def test_what_a_space_needs_is_there(exported, tmp_path):
    """Its front matter, the generator, a copy of ganlib; and it runs from that folder alone."""
    folder = exported("out", app=True, name="Dots: #1")
    space = folder / "space"
    _, front, text = (space / "README.md").read_text().split("---\n", 2)
    assert 'title: "Dots: #1"\nsdk: gradio\n' in front and "app_file: app.py\n" in front
    assert "license: mit\n" in front and "hf upload" in text and "Synthetic images" in text
    assert "torch>=2.10\n" in (space / "requirements.txt").read_text()
    assert "library_name: ganlib" in (folder / "README.md").read_text()  # the model card
    assert (space / "ganlib" / "LICENSE").exists() and not (space / "ganlib" / "assets").exists()
    space.rename(tmp_path / "moved")
    stub = "\n".join(
        [
            "class Part:",
            "    def __init__(self, *_, **__): pass",
            "    __enter__ = lambda self: self",
            "    def __exit__(self, *_): pass",
            "    def click(self, function, inputs, picture): Part.draw = function",
            "    def load(self, *_): pass",
            "    def launch(self):",
            "        import sys, ganlib",
            "        print(Part.draw(1, 9, 2).info['Comment'], ganlib.__file__)",
            "        print({'torchvision', 'matplotlib'} & set(sys.modules))",
            *(f"{kind} = Part" for kind in GRADIO),
        ]
    )
    (tmp_path / "stubs").mkdir()
    (tmp_path / "stubs" / "gradio.py").write_text(stub)
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=tmp_path / "moved",
        env=os.environ | {"PYTHONPATH": str(tmp_path / "stubs")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "generated: a synthetic image" in done.stdout and "set()" in done.stdout
    assert str(tmp_path / "moved" / "ganlib") in done.stdout


def test_an_app_of_styles_has_a_truncation(exported, gradio):
    G = nets.StyleGenerator(12, (1, 8, 8), widths=(8, 8), classes=3)
    folder = exported("out", G, app=True)
    _, inputs, draw = played(folder / "space")
    assert inputs[-1].named["label"].startswith("truncation")
    spread = []
    for truncation in (0, 0.5, 0.99, 1):
        pixels = numpy.pad(numpy.asarray(draw(0, 64, 1, truncation), float), (0, 14))
        cells = pixels.reshape(8, 126, 8, 126).transpose(0, 2, 1, 3)[:, :, :112, :112]
        spread.append(cells.reshape(64, -1).std(0).mean())
    assert spread[0] == 0 < spread[1] < 0.8 * spread[3] and spread[3] > 1
    assert spread[2] == pytest.approx(spread[3], rel=0.05)


def test_an_app_of_words_takes_words(exported, gradio, monkeypatch):
    from ganlib.nets.fed.words import WordsDiscriminator, WordsGenerator

    G = WordsGenerator(12, (1, 8, 8), words=4, length=2, widths=(8,))
    D = WordsDiscriminator((1, 8, 8), widths=(8,), words=4)
    folder = exported("out", G, D, ("", "dot", "red", "blue"), app=True)
    _, inputs, draw = played(folder / "space")
    assert [part.named["label"] for part in inputs] == ["seed", "images", "words"]
    assert draw(0, 4, "red dot").tobytes() != draw(0, 4, "blue dot").tobytes()
    with pytest.raises(gradio.Error, match="the word 'read' of 'read dot' is not known"):
        draw(0, 4, "read dot")


def test_with_a_name_on_the_hub_the_app_fetches_it_from_there(
    exported, gradio, monkeypatch, capsys
):
    """The model is uploaded without the app; the app has the commit of the upload."""
    calls, oid = [], type("Info", (str,), {"oid": FIRST})
    api = types.SimpleNamespace(
        create_repo=lambda *a, **k: None, upload_folder=lambda **k: calls.append(k) or oid("there")
    )
    module = types.SimpleNamespace(HfApi=lambda: api)
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    folder = exported("out", app=True, hub="me/gan")
    assert (
        calls[0]["ignore_patterns"] == ["space/*"] and "uploaded: there" in capsys.readouterr().out
    )
    space = folder / "space"
    assert not (space / "generator.safetensors").exists()
    assert "models: [" in (space / "README.md").read_text()
    assert played(space)[0]["G"].revision is None  # it lies in the folder above
    space.rename(folder.parent / "moved")
    fetched = []
    module.snapshot_download = lambda name, **k: fetched.append((name, k["revision"])) or folder
    assert played(folder.parent / "moved")[0]["G"].config["seed"] == 5
    assert fetched == [("me/gan", FIRST)]


def test_no_app_for_what_is_fed_pictures_or_draws_clips(exported, tmp_path, capsys):
    from ganlib.nets.fed.clips import ClipDiscriminator, FramesGenerator

    G, D = (
        FramesGenerator(8, (1, 2, 8, 8), widths=(8,)),
        ClipDiscriminator((1, 2, 8, 8), widths=(8,)),
    )
    with pytest.raises(
        ValueError, match="an app is for a generator that draws pictures from noise"
    ):
        exported("out", G, D, app=True)
    assert not (tmp_path / "out").exists()


def test_the_command_line_writes_an_app(exported, tmp_path, capsys, monkeypatch):
    exported("first")
    out = tmp_path / "out"
    assert main(["export", str(tmp_path / "run"), "--to", str(out), "--app"]) == 0
    assert (out / "space" / "app.py").exists() and "an app for a Space" in capsys.readouterr().out
    assert main(["export", str(tmp_path / "run"), "--to", str(out)]) == 0
    assert "of an earlier export; app=True (--app) writes it anew" in capsys.readouterr().out
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(ImportError, match="pip install gradio"):
        runpy.run_path(str(out / "space" / "app.py"))
