"""Super-resolution of photographs, and on the command line."""

import io
import subprocess
import sys

import numpy
import pytest
import torch
from conftest import ROOT
from PIL import Image
from player import drawn_by

import ganlib
from ganlib import nets
from ganlib.__main__ import main
from ganlib.games import enlarging, photographs, upscaling

random = torch.Generator().manual_seed


# photographs


def test_patches_share_no_pixel(tmp_path):
    """Each pixel holds its column: those to train on lie left of the held-out ones, or mirrored."""
    Image.fromarray(numpy.tile(numpy.arange(200, dtype=numpy.uint8), (60, 1))).save(
        tmp_path / "columns.png"
    )
    train, held_out = photographs.patches(tmp_path, size=32, n=50)
    assert train.shape == (1, 32, 32) and (len(train), len(held_out)) == (50, 12)
    assert train.images.max() < 150 <= held_out.images.min()
    first = train.images[:, 0, 0].int()
    assert {one.item() for one in (first[:, 1] - first[:, 0])} == {1, -1}  # half are mirrored
    again = photographs.patches(tmp_path / "columns.png", size=32, n=50)
    assert torch.equal(again[0].images, train.images)
    with pytest.raises(ValueError, match="a height of 64 pixels, and a width of 256"):
        photographs.patches(tmp_path, size=64)


def test_the_photograph_of_matplotlib():
    train, held_out = photographs.patches("grace_hopper", 64, n=20)
    assert train.shape == (3, 64, 64) and len(held_out) == 5
    with pytest.raises(ValueError, match="did you mean 'grace_hopper'"):
        photographs.patches("gracehopper")


def test_small_digits_of_scikit_learn():
    try:
        import sklearn  # noqa: F401
    except ImportError:
        with pytest.raises(ImportError, match="pip install scikit-learn"):
            photographs.small_digits()
        return
    digits = photographs.small_digits()
    assert digits.shape == (1, 8, 8) and len(digits) == 1797 and digits.images.max() == 255


# the command line


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "enlarge"
    options = [
        "train",
        "--game",
        "enlarge",
        "--steps",
        "4",
        "--batch-size",
        "8",
        "--device",
        "cpu",
        "--out",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "ganlib", *options, out], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "enlarge-l1" in done.stdout and "enlarge-gan" in done.stdout
    assert done.stdout.count("saved at step 4") == 2 and "invented" in done.stdout
    return out


def test_upscale_a_folder(run, tmp_path, capsys):
    folder, to = tmp_path / "small", tmp_path / "large"
    (folder / "inside").mkdir(parents=True)
    grey = numpy.arange(5 * 9, dtype=numpy.uint8).reshape(5, 9)
    Image.fromarray(grey).save(folder / "a.png")
    Image.fromarray(grey).save(folder / "a.bmp")
    turned = Image.Exif()
    turned[0x0112] = 6  # a quarter to the right
    Image.fromarray(grey).save(folder / "inside" / "turned.jpg", exif=turned)
    clear = Image.fromarray(numpy.stack([grey, grey], 2))
    clear.save(folder / "clear.png")
    Image.fromarray(grey.astype(numpy.uint16) * 1000).save(folder / "deep.png")
    (folder / "notes.txt").write_text("no picture")
    assert main(["upscale", str(folder), str(run), "--to", str(to)]) == 0
    said = capsys.readouterr().out
    assert "invented" in said and "5 pictures, 4 times as large" in said and "notes.txt" in said
    sizes = {}
    for file in to.rglob("*.png"):
        with Image.open(file) as picture:
            sizes[file.relative_to(to).as_posix()] = picture.size
            assert picture.mode == "L" and picture.info["Comment"].startswith("generated")
    assert sizes == {
        "a.png": (36, 20),
        "a.png.png": (36, 20),
        "inside/turned.png": (20, 36),
        "clear.png": (36, 20),
        "deep.png": (36, 20),
    }
    net = enlarging.net_of(run)
    expected = upscaling.enlarged(net, torch.from_numpy(grey)[None])
    with Image.open(to / "a.png.png") as picture:
        assert numpy.array_equal(numpy.asarray(picture), expected[0].numpy())
    at = {alpha: tmp_path / f"at{alpha}" for alpha in (0, 1)}
    for alpha, place in at.items():
        options = ["--to", str(place), "--interpolate", str(alpha)]
        assert main(["upscale", str(folder / "a.png"), str(run), *options]) == 0
    first = upscaling.enlarged(enlarging.net_of(run / "l1"), torch.from_numpy(grey)[None])
    for place, wanted in ((at[0], first), (at[1], expected)):
        with Image.open(place / "a.png") as picture:
            assert numpy.array_equal(numpy.asarray(picture), wanted[0].numpy())


def test_what_upscale_refuses_before_it_writes(run, tmp_path, capsys):
    folder, to = tmp_path / "small", tmp_path / "large"
    folder.mkdir()

    def refused(*options):
        assert main(["upscale", *map(str, options), "--to", str(to)]) == 1
        assert not to.exists()
        return capsys.readouterr().err

    assert "holds no picture" in refused(folder, run)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    assert "no image that Pillow knows" in refused(tmp_path / "broken.png", run)
    assert "there is no folder" in refused(tmp_path / "nothing", run)
    Image.new("RGB", (8, 8), "red").save(folder / "red.png")
    assert "these are in colour: red.png" in refused(folder, run)
    assert "holds no run" in refused(folder, tmp_path)
    assert "alpha=2.0 was given" in refused(folder, run, "--interpolate", 2)
    assert "has no folder l1" in refused(folder, run / "l1", "--interpolate", 0.5)
    other = tmp_path / "other"
    gan = ganlib.GAN(nets.MLPGenerator(8, widths=(8,)), nets.MLPDiscriminator(widths=(8,)))
    ganlib.save(other, gan)
    assert "its G is MLPGenerator" in refused(folder, other)


def test_what_train_refuses_before_it_writes(tmp_path, capsys):
    out = tmp_path / "run"
    for options, said in (
        (["--scale", "8"], "28 x 28 were given, and a scale of 8"),
        (["--scale", "3"], "scale"),
        (["--recipe", "small"], "--recipe was given with --game enlarge"),
        (["--data", str(tmp_path)], "no"),
    ):
        command = ["train", "--game", "enlarge", "--steps", "1", "--out", str(out), *options]
        assert main(command) == 1, options
        assert said in capsys.readouterr().err
        assert not out.exists()


def test_evaluate_and_sample_of_such_a_run(run, capsys):
    assert main(["evaluate", str(run), "--n", "200"]) == 0
    table = capsys.readouterr().out
    assert "| L1 alone |" in table and "| 0.5 between |" in table and "| bicubic |" in table
    assert main(["sample", str(run)]) == 1
    assert "upscale PICTURES" in capsys.readouterr().err


def test_export_for_others(run, tmp_path):
    """The page and ONNX (which `export` compares) enlarge as the net does; others load it."""
    to = tmp_path / "exported"
    assert main(["export", str(run), "--to", str(to)]) == 0
    G, small = ganlib.load_generator(to), torch.rand(2, 1, 7, 7, generator=random(0)) * 2 - 1
    net = enlarging.net_of(run)
    assert torch.equal(G.enlarge(small), net.enlarge(small)) and (to / "generator.onnx").exists()
    assert G.config["input"] == {"pictures": [1, 7, 7], "labels": None}
    assert (
        "invented" in (to / "README.md").read_text()
        and "G.enlarge(small)" in (to / "README.md").read_text()
    )
    found = drawn_by(to / "index.html", (small.flatten(1),)).view(2, 1, 28, 28)
    assert (found - G.enlarge(small)).abs().max() < 0.01
    with Image.open(to / "samples.png") as picture:
        assert picture.info["Comment"].startswith("generated")
    Image.fromarray(numpy.zeros((5, 6), numpy.uint8)).save(tmp_path / "black.png")
    large = str(tmp_path / "large")
    assert main(["upscale", str(tmp_path / "black.png"), str(to), "--to", large]) == 0
    with Image.open(tmp_path / "large" / "black.png") as picture:
        assert picture.size == (24, 20)


def test_the_page_takes_a_picture_in_a_browser(run, tmp_path, browser):
    """A file is given to the page, as a drop would; then a stroke is drawn. It shows what the net
    makes of the picture, shrunk.
    """
    assert main(["export", str(run), "--to", str(tmp_path / "exported")]) == 0
    digit = ganlib.load("digits").images[7]
    Image.fromarray(digit[0].numpy()).save(tmp_path / "digit.png")
    tab = browser.new_page()
    errors = []
    tab.on("pageerror", lambda error: errors.append(error))
    tab.goto((tmp_path / "exported" / "index.html").as_uri())
    tab.set_input_files("#file", str(tmp_path / "digit.png"))
    code = """() => { const grid = document.getElementById("grid"), d = grid.getContext("2d")
        .getImageData(0, 0, grid.width, grid.height).data;
        return [grid.width, Array.from(d).filter((_, i) => i % 4 === 0)]; }"""
    tab.wait_for_timeout(300)
    width, values = tab.evaluate(code)
    seen = torch.tensor(values).view(-1, width)
    given, large, own = (seen[:, 29 * i : 29 * i + 28] for i in range(3))
    assert torch.equal(own, digit[0].long())
    net, true = enlarging.net_of(run), ganlib.data.as_float(digit[None])
    assert (large - ganlib.data.as_uint8(net(true))[0, 0].int()).abs().max() <= 2
    assert (given[::4, ::4] - ganlib.data.as_uint8(net.shrink(true))[0, 0].int()).abs().max() <= 1
    tab.click("#clear")
    box = tab.locator("#pad").bounding_box()
    tab.mouse.move(box["x"] + 20, box["y"] + 20)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 90, box["y"] + 90)
    tab.mouse.up()
    drawn = torch.tensor(tab.evaluate(code)[1]).view(-1, width)[:, 58:]
    assert drawn.max() == 255 and drawn.float().mean() < 60 and not errors


def test_a_run_on_photographs_in_colour(tmp_path, capsys):
    """Patches of a folder; their feature net is kept with the run, which goes on with it."""
    folder, out = tmp_path / "photographs", str(tmp_path / "run")
    folder.mkdir()
    draws = numpy.random.default_rng(0)
    Image.fromarray(draws.integers(0, 256, (40, 80, 3), numpy.uint8)).save(folder / "a.png")
    options = ["train", "--game", "enlarge", "--data", str(folder), "--size", "16"]
    options += ["--batch-size", "4", "--device", "cpu", "--scale", "2", "--out", out]
    options += ["--objective", "relativistic_average"]
    assert main([*options, "--steps", "2"]) == 0
    said = capsys.readouterr().out
    assert "turned" in said and said.count("saved at step 2") == 2
    assert main([*options, "--steps", "3"]) == 0
    said = capsys.readouterr().out
    assert "right of" not in said and said.count("going on from step 2") == 2
    assert main([*options[:-2], "--steps", "4"]) == 1
    assert "losses.relativistic_average" in capsys.readouterr().err
    assert main(["upscale", str(folder), out, "--to", str(tmp_path / "large")]) == 0
    with Image.open(tmp_path / "large" / "a.png") as picture:
        assert picture.size == (160, 80) and picture.mode == "RGB"
    grey = io.BytesIO()
    Image.new("L", (7, 5), 90).save(grey, "png")
    (folder / "a.png").write_bytes(grey.getvalue())
    assert main(["upscale", str(folder), out, "--to", str(tmp_path / "grey")]) == 0
    with Image.open(tmp_path / "grey" / "a.png") as picture:
        assert picture.size == (14, 10) and picture.mode == "L"
