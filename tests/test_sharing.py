"""What is shared: files come back as they were, page and ONNX draw the same, strangers' files."""

import json
import re
import shutil
import subprocess
import sys
import types

import pytest
import torch
from conftest import ROOT, same
from PIL import Image
from player import drawn_by

import ganlib
from ganlib import nets
from ganlib.keep import page
from ganlib.keep.player import operations
from ganlib.machine.randomness import generator

KINDS = {
    "classic": {},
    "dcgan": {"classes": 10},
    "r3gan": {"shape": (3, 28, 28)},
    "small": {"classes": 10},
    "infogan": {},
}


def data_for(made, digits):
    channels = made.G.keywords["shape"][0] if "shape" in made.G.keywords else 1
    images = digits.images[:200].expand(-1, channels, -1, -1).contiguous()
    return ganlib.Images(images, digits.labels[:200], tuple("0123456789"), "some digits")


@pytest.fixture(scope="module", params=KINDS)
def shared(request, digits, tmp_path_factory):
    """A run of two steps and its export: (gan, folder)."""
    folder = tmp_path_factory.mktemp(request.param)
    made = ganlib.recipe(request.param, **KINDS[request.param])
    gan = made.gan(3)
    for _ in ganlib.train(
        gan, data_for(made, digits), made.step, until=2, batch_size=8, folder=folder / "run"
    ):
        pass
    ganlib.export(folder / "run", folder / "out", name="My GAN", license="cc-by-4.0")
    return gan, folder / "out"


def test_the_generator_comes_back_as_it_was(shared):
    gan, folder = shared
    G = ganlib.load_generator(folder)
    inputs = page.example(gan.G, 6)
    assert same(G.state_dict(), gan.net().state_dict()) and not G.training
    assert torch.allclose(
        G(*inputs), gan.net().eval()(*inputs), rtol=0, atol=1e-5
    )  # weights lie otherwise in memory
    assert (G.latent_dim, G.shape) == (gan.latent_dim, gan.G.shape) and not any(
        w.requires_grad for w in G.parameters()
    )
    assert G.config["steps"] == 2 and G.config["seed"] == 3 and G.config["license"] == "cc-by-4.0"
    assert G.config["trained_on"]["data"].startswith("some digits, 200 of")
    assert G.config["class_names"] == (list("0123456789") if gan.classes else [])


def test_the_folder_holds_what_others_need_and_no_pickle(shared):
    _, folder = shared
    assert {p.name for p in folder.iterdir()} == {
        "README.md",
        "config.json",
        "generator.onnx",
        "generator.safetensors",
        "index.html",
        "samples.png",
    }
    with Image.open(folder / "samples.png") as picture:
        assert picture.info["Comment"].startswith("generated: a synthetic image")
    card = (folder / "README.md").read_text()
    for text in (
        "license: cc-by-4.0\n",
        "# My GAN",
        "Synthetic images",
        "2 steps, 16 images seen, seed 3",
        "Not evaluated",
        "some digits, 200 of",
        "ganlib.load_generator",
        "onnxruntime",
    ):
        assert text in card, text
    assert (
        str(folder.parent)
        not in card + (folder / "config.json").read_text() + (folder / "index.html").read_text()
    )


def test_the_cards_own_lines_work(shared, tmp_path):
    """The Python block of the model card, run as a stranger would, in the folder."""
    _, folder = shared
    there = shutil.copytree(folder, tmp_path / "there")
    code = (there / "README.md").read_text().split("```python\n")[1].split("```")[0]
    (there / "samples.png").unlink()
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"],
        cwd=there,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert Image.open(there / "samples.png").info["Comment"].startswith("generated")


@torch.no_grad()
def test_onnx_draws_the_same_for_any_number_of_images(shared):
    runtime = pytest.importorskip("onnxruntime")
    gan, folder = shared
    session = runtime.InferenceSession((folder / "generator.onnx").read_bytes())
    for n in (1, 7):
        inputs = page.example(gan.G, n)
        given = {
            x.name: value.numpy() for x, value in zip(session.get_inputs(), inputs, strict=True)
        }
        assert list(given) == ["z", "labels"][: len(given)]
        (found,) = session.run(["images"], given)
        assert torch.allclose(torch.from_numpy(found), gan.net().eval()(*inputs), rtol=0, atol=1e-5)


@torch.no_grad()
def test_the_page_draws_what_G_draws(shared):
    """By node, which has the browser's JavaScript: for every kind of net, to 1/256 of the range."""
    _, folder = shared
    G = ganlib.load_generator(folder)
    inputs = page.example(G, 4)
    expected = G(*inputs)
    found = drawn_by(folder / "index.html", inputs).view_as(expected)
    assert (found - expected).abs().max() <= 2 / 256 * max(1.0, expected.abs().max().item())
    assert (
        expected.std() > 0.001
        and torch.corrcoef(torch.stack([found.flatten(), expected.flatten()]))[0, 1] > 0.9999
    )


@torch.no_grad()
@pytest.mark.parametrize("bits, most, bytes_each", [(8, 0.02, 1.1), (4, 0.3, 0.6)])
def test_a_page_of_small_weights_draws_nearly_the_same(bits, most, bytes_each, tmp_path):
    """By node: unpacked as they were packed; the images are those of G with rounded weights."""
    torch.manual_seed(0)
    G = ganlib.nets.CompactGenerator(classes=10).eval()
    text = page.page(G, "small", "notice", bits=bits)
    (tmp_path / "page.html").write_text(text)
    weights = re.search(r'id="weights" type="text/plain">(.*?)<', text)[1]
    assert len(weights) < 4 / 3 * bytes_each * sum(w.numel() for w in G.parameters()) + 4000
    inputs = page.example(G, 4)
    expected = G(*inputs)
    drawn = drawn_by(tmp_path / "page.html", inputs).view_as(expected)
    assert 1e-5 < (drawn - expected).abs().max() < most
    assert torch.corrcoef(torch.stack([drawn.flatten(), expected.flatten()]))[0, 1] > (
        0.999 if bits == 8 else 0.95
    )


def test_packed_weights_are_within_half_a_step_of_their_block():
    weight = torch.randn(7, 13, generator=torch.Generator().manual_seed(0))
    for bits, top in ((8, 127), (4, 7)):
        raw, blocks = page.pack(weight, bits), -(-weight.numel() // page.BLOCK)
        scale = torch.frombuffer(bytearray(raw[: 2 * blocks]), dtype=torch.float16).float()
        whole = torch.frombuffer(bytearray(raw[2 * blocks :]), dtype=torch.uint8).int()
        if bits == 8:
            whole = whole - 256 * (whole > 127)
        else:
            whole = torch.stack([whole & 15, whole >> 4], 1).flatten() - 8
        unpacked = (whole.view(blocks, -1) * scale[:, None]).flatten()[: weight.numel()]
        off = (unpacked - weight.flatten()).abs()
        assert (off <= 0.51 * scale.repeat_interleave(page.BLOCK)[: weight.numel()]).all()
        assert scale.max() * top == pytest.approx(weight.abs().max().item(), rel=1e-3)
    with pytest.raises(ValueError, match="bits=3 was given; 16, 8 or 4"):
        page.pack(weight, 3)


def test_the_generator_that_ships_draws_what_it_is_asked_for(tmp_path, monkeypatch):
    """As the classifier reads it, which was trained apart from it; a folder of that name is read
    first.
    """
    G, read = ganlib.load_generator("digits"), ganlib.features.digit_classifier()
    asked = torch.arange(10).repeat(30)
    with torch.no_grad():
        images = G(torch.randn(300, G.latent_dim, generator=generator("cpu", 0, 0, "x")), asked)
        right = (read.logits(read(images)).argmax(1) == asked).float().mean()
    assert right > 0.95 and G.config["class_names"] == list("0123456789")
    assert len(ganlib.embed(G, bits=4).text) < 200_000
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    with pytest.raises(OSError, match="digits holds no generator"):
        ganlib.load_generator("digits")


def test_a_generator_in_a_cell_draws_in_a_real_browser(browser, tmp_path):
    """The cell's output as HTML, in a page of its own, offline: it draws, and takes a class."""
    gan = ganlib.GAN(
        ganlib.nets.CompactGenerator(classes=3, widths=(16, 16)),
        ganlib.nets.CompactDiscriminator(classes=3, widths=(16, 16)),
        seed=0,
    )
    made = ganlib.embed(gan, ["a<b", '"b"', "c"], bits=4)
    (tmp_path / "cell.html").write_text(
        f"<!doctype html><meta charset=utf-8><p>before</p>{made._repr_html_()}"
    )
    context = browser.new_context(offline=True)
    tab, wrong = context.new_page(), []
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.goto((tmp_path / "cell.html").as_uri())
    inner = tab.frame_locator("iframe")
    inner.locator("#said", has_text="images in").wait_for(timeout=60_000)
    frame = tab.frames[1]
    first = frame.evaluate("document.getElementById('grid').toDataURL()")
    assert frame.evaluate("[...document.getElementById('label').options].map(o => o.text)") == [
        "each in turn",
        "a<b",
        '"b"',
        "c",
    ]
    assert not inner.locator(".notice").is_visible()
    box, note = (tab.locator(name).bounding_box() for name in ("div", "div > p"))
    assert note["y"] >= box["y"] + box["height"] == box["y"] + 420  # cut off, below the frame
    inner.locator("#label").select_option("c")
    tab.wait_for_timeout(300)
    inner.locator("#said", has_text="images in").wait_for(timeout=60_000)
    assert frame.evaluate("document.getElementById('grid').toDataURL()") != first and wrong == []
    tab.evaluate("document.querySelector('iframe').remove()")  # as where HTML is not trusted
    box, note = (tab.locator(name).bounding_box() for name in ("div", "div > p"))
    assert note["y"] + note["height"] <= box["y"] + box["height"] < box["y"] + 100
    assert "Trust Notebook" in tab.locator("div > p").inner_text()
    context.close()


def test_the_page_in_a_real_browser(browser, digits, tmp_path):
    """From a file, offline: the same for the same seed, others at a click, a class by its name."""
    made = ganlib.recipe("small", classes=10)
    gan = made.gan(0)
    for _ in ganlib.train(gan, digits, made.step, until=60, batch_size=20, folder=tmp_path / "run"):
        pass
    ganlib.export(tmp_path / "run", tmp_path / "out", name="Digits <by class>")
    context = browser.new_context(offline=True)
    tab, wrong, asked = context.new_page(), [], []
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto((tmp_path / "out" / "index.html").as_uri())

    def drawn():
        tab.wait_for_function(
            "document.getElementById('said').textContent.includes('images in')", timeout=60_000
        )
        return tab.evaluate("document.getElementById('grid').toDataURL()")

    first = drawn()
    assert tab.title() == "Digits <by class>" and "Synthetic images" in tab.inner_text(".notice")
    tab.click("#more")
    second = drawn()
    assert second != first and tab.input_value("#seed") == "1"
    tab.fill("#seed", "0")
    tab.press("#seed", "Enter")
    tab.wait_for_timeout(300)
    assert drawn() == first
    tab.select_option("#label", "7")
    tab.wait_for_timeout(300)
    assert drawn() not in (first, second)
    inputs = page.example(gan.G, 3)
    for z, label, image in zip(*inputs, gan.net().eval()(*inputs).detach(), strict=True):
        found = tab.evaluate(
            "([z, label]) => Array.from(generate(Float32Array.from(z), label))",
            [z.tolist(), label.item()],
        )
        assert (torch.tensor(found).view(1, 28, 28) - image).abs().max() < 2 / 256
    assert wrong == [] and len(asked) == 1, (wrong, asked)
    tab.screenshot(path=tmp_path / "page.png", full_page=True)
    context.close()


def test_a_net_that_the_page_does_not_know_gets_none_and_says_why(
    digits, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(operations, "SAME", operations.SAME - {"unflatten"})
    made = ganlib.recipe("classic")
    gan = made.gan(0)
    ganlib.save(tmp_path / "run", gan)
    ganlib.export(tmp_path / "run", tmp_path / "out")
    assert (
        "page: none: the operation aten.unflatten.int is unknown to the page"
        in capsys.readouterr().out
    )
    assert not (tmp_path / "out" / "index.html").exists() and ganlib.load_generator(
        tmp_path / "out"
    )


@pytest.fixture
def plain(tmp_path, small):
    ganlib.save(tmp_path / "run", small())
    return tmp_path / "run", tmp_path / "out"


def test_without_onnx_it_says_what_to_install(plain, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    ganlib.export(*plain)
    assert "onnx: none: pip install onnx onnxscript" in capsys.readouterr().out
    assert not (plain[1] / "generator.onnx").exists()


def test_an_export_leaves_nothing_of_an_earlier_one(plain, monkeypatch):
    ganlib.export(*plain)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    monkeypatch.setattr(operations, "SAME", operations.SAME - {"unflatten"})
    ganlib.export(*plain)
    assert not (plain[1] / "generator.onnx").exists() and not (plain[1] / "index.html").exists()


def test_an_exporter_that_fails_costs_the_onnx_file_alone(plain, monkeypatch, capsys):
    pytest.importorskip("onnxscript")

    def fail(*_, **__):
        raise RuntimeError("opset 99\nmore")

    monkeypatch.setattr(torch.onnx, "export", fail)
    ganlib.export(*plain)
    assert "onnx: none: torch could not make it (RuntimeError: opset 99)" in capsys.readouterr().out
    assert ganlib.load_generator(plain[1])


def test_onnx_that_draws_something_else_is_not_written(plain, monkeypatch):
    pytest.importorskip("onnxscript")
    monkeypatch.setattr("ganlib.keep.onnx._apart", lambda G, content: (0.3, "a test"))
    with pytest.raises(
        RuntimeError, match="draws something else: 0.3 from torch's images by a test"
    ):
        ganlib.export(*plain)
    assert not plain[1].exists()


def test_figures_come_with_their_conditions(digits, tmp_path):
    made = ganlib.recipe("classic")
    gan = made.gan(0)
    for _ in ganlib.train(
        gan, digits, made.step, until=4, evaluate_every=4, folder=tmp_path / "run"
    ):
        pass
    ganlib.export(tmp_path / "run", tmp_path / "a")
    card = (tmp_path / "a" / "README.md").read_text()
    assert (
        f"| frechet_distance | {gan.history[-1]['frechet_distance']:.4g} |" in card
        and "At step 4 of the run" in card
    )
    found = ganlib.evaluate(gan, digits, 500, quiet=True)
    ganlib.export(tmp_path / "run", tmp_path / "b", metrics=found)
    card = (tmp_path / "b" / "README.md").read_text()
    assert (
        f"| {found['frechet_distance']:.4g} | {found['floors']['frechet_distance']:.4g} |" in card
    )
    assert "500 fakes (raw weights, step 4) and 500 real images of MNIST's test digits" in card
    assert f"features: {found['extractor']} (SHA-256" in card
    assert found["sha256"][:12] in card


def test_it_is_uploaded_where_it_was_asked_for(plain, monkeypatch, capsys):
    calls = []
    api = types.SimpleNamespace(
        create_repo=lambda *a, **k: calls.append((a, k)),
        upload_folder=lambda **k: calls.append(k) or "https://example.org/me/gan",
    )
    monkeypatch.setitem(sys.modules, "huggingface_hub", types.SimpleNamespace(HfApi=lambda: api))
    ganlib.export(*plain, hub="me/gan")
    assert calls[0] == (("me/gan",), {"exist_ok": True}) and calls[1]["repo_id"] == "me/gan"
    assert (
        calls[1]["folder_path"] == str(plain[1])
        and "uploaded: https://example.org/me/gan" in capsys.readouterr().out
    )
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(
        ImportError, match="pip install huggingface_hub, then log in; the files are in"
    ):
        ganlib.export(*plain, hub="me/gan")


def change(folder, **new):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | new))


def flip(folder):
    raw = bytearray((folder / "generator.safetensors").read_bytes())
    raw[-5] ^= 4  # in a weight: safetensors itself does not notice
    (folder / "generator.safetensors").write_bytes(raw)


@pytest.mark.parametrize(
    "harm, error, message",
    [
        (
            lambda folder: (folder / "config.json").unlink(),
            OSError,
            "holds no generator that can be read",
        ),
        (
            lambda folder: (folder / "config.json").write_text("{"),
            OSError,
            "holds no generator that can be read",
        ),
        (
            lambda folder: (folder / "generator.safetensors").write_bytes(b"\x80\x04evil"),
            OSError,
            "can be read",
        ),
        (flip, OSError, "generator.safetensors is damaged: its SHA-256 is"),
        (
            lambda folder: change(folder, format=99),
            ValueError,
            "has format 99; this ganlib reads format 1",
        ),
        (
            lambda folder: change(folder, generator={"net": "torch.hub.load"}),
            ValueError,
            "asks for the net",
        ),
        (
            lambda folder: change(folder, generator={"net": "MLPDiscriminator"}),
            ValueError,
            "MLPGenerator.* are known",
        ),
        (
            lambda folder: change(folder, generator={"net": "MLPGenerator", "x": 1}),
            ValueError,
            "does not fit config",
        ),
        (
            lambda folder: change(folder, generator={"net": "MLPGenerator"}),
            ValueError,
            "does not fit config.json",
        ),
    ],
)
def test_a_strangers_folder_is_read_with_care(plain, harm, error, message):
    ganlib.export(*plain)
    harm(plain[1])
    with pytest.raises(error, match=message):
        ganlib.load_generator(plain[1])


def test_nets_of_ones_own_and_empty_folders_are_refused(tmp_path):
    class Mine(nets.MLPGenerator):
        pass

    ganlib.save(tmp_path / "mine", ganlib.GAN(Mine(8), nets.MLPDiscriminator()))
    with pytest.raises(ValueError, match="is your own net"):
        ganlib.export(tmp_path / "mine", tmp_path / "out")
    with pytest.raises(OSError, match="holds no run"):
        ganlib.export(tmp_path / "nothing", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_line(plain, capsys):
    from ganlib.__main__ import main

    run, out = map(str, plain)
    assert main(["export", run, "--to", out, "--name", "Mine", "--license", "mit"]) == 0
    assert (
        "index.html" in capsys.readouterr().out
        and ganlib.load_generator(out).config["name"] == "Mine"
    )
    assert main(["export", out, "--to", run]) == 1
    assert "holds no run" in capsys.readouterr().err
