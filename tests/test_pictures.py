"""Pictures that explain themselves: names, gaps, bars, verdicts, strips, and words for each."""

import copy
import io

import nbformat
import numpy
import pytest
import torch
from nbconvert import HTMLExporter
from PIL import Image

import ganlib
from ganlib import lab, plane
from ganlib.lab.board import _shades
from ganlib.show.pictures import Picture
from ganlib.show.timeline import _short


def pixels(picture):
    return Image.open(io.BytesIO(picture.data)).convert("RGB")


def test_blocks_have_a_wider_gap_between_them():
    images = torch.full((8, 1, 4, 4), 100, dtype=torch.uint8)
    plain, apart = (
        pixels(ganlib.show(images, 8, 1, blocks=n)).convert("L").crop((0, 0, 60, 1)) for n in (0, 3)
    )
    assert plain.crop((0, 0, 39, 1)).tobytes() == bytes(([100] * 4 + [176]) * 8)[:-1]
    block = [100] * 4 + [176]
    assert apart.crop((0, 0, 49, 1)).tobytes() == bytes(
        (block * 3 + [255] * 5 + block * 3 + [255] * 5 + block * 2)[:49]
    )


def test_the_name_of_a_column_stands_above_it_behind_a_gap():
    images = torch.full((6, 1, 28, 28), 100, dtype=torch.uint8)
    picture = pixels(ganlib.show(images, ["", "", "", "", "", "X"], 1, blocks=2)).convert("L")
    dark = [
        x for x in range(picture.width) if any(picture.getpixel((x, y)) < 128 for y in range(18))
    ]
    assert abs((dark[0] + dark[-1]) / 2 - (5.5 * 29 + 2 * 5)) <= 2


def test_a_page_has_the_words_of_every_picture(small, digits, tmp_path):
    """PNG, JPEG and film, in HTML by nbconvert's `classic` template (its `lab` ignores them)."""
    gan = small()
    live = ganlib.LiveView(folder=tmp_path, every=0, picture_every=2)
    for _ in ganlib.train(gan, digits, until=6, batch_size=10, record_every=2, view=live):
        pass
    shapes = plane.Points(plane.ring())
    flat = ganlib.GAN(
        ganlib.nets.MLPGenerator(2, (2,), widths=(8,)),
        ganlib.nets.MLPDiscriminator((2,), widths=(8,), dropout=0.0),
    )
    frames = [plane.frame(flat, shapes, side=60)] * 2
    board = lab.Stepper(copy.deepcopy(gan), digits, n=10)
    pictures = {
        "Digits: 4 images; rows: a, b": ganlib.show(
            digits.images[:4], columns=2, rows="ab", title="Digits"
        ),
        "curves over the steps 1 to 6: losses": ganlib.curves(gan.history),
        "what G draws at ": ganlib.timeline(tmp_path),
        "film of what G draws from the same noise": ganlib.timeline(tmp_path, animated=True),
        "map of the six steps of a GAN": ganlib.six_steps(2),
        "16 numbered pictures, half of them": lab.BeD(gan, digits).picture(),
        "an image that G draws, and the nearest": lab.Explorer(gan, digits).draw(),
        "film: G draws on the way": lab.Explorer(gan).walk(between=2),
        "to the right: direction 1": lab.Explorer(gan).grid(side=3),
        "a board of 16 x 16 cells": lab.Painter("heart").picture(),
        "board of a training step": board.noise(),
        "landscape over the plane, 300 real": frames[0].lossy(),
        "film of 2 frames; the last": plane.film(frames),
        "ring; rows: one; columns: 5 steps, 1,000 steps": plane.strips(
            {"one": frames}, [5, 1000], "ring"
        ),
        "bars: shares: 0 0.25, 1 0.75; expected: 0.5": ganlib.bars(
            [0.25, 0.75], expected=0.5, title="shares"
        ),
        "one: y against x, logarithmic: a (1, 100), b (20, 3)": ganlib.scatter(
            {"a": (1, 100), "b": (20, 3)}, "one", best=1
        ),
        "shapes on the way through G: ": ganlib.shapes(
            {"G": gan.G}, {"G": torch.randn(2, gan.latent_dim)}
        ),
        "before: reals: mean 0.750; before: fakes: mean 0.250": ganlib.verdicts(
            ("before", torch.tensor([0.5, 1.0]), torch.tensor([0.25]))
        ),
        "&lt;script&gt;": Picture(Image.new("L", (4, 4)), alt="<script>"),
    }
    notebook = nbformat.v4.new_notebook()
    for picture in pictures.values():
        data, metadata = picture._repr_mimebundle_()
        output = nbformat.v4.new_output("display_data", data, metadata=metadata)
        notebook.cells.append(nbformat.v4.new_code_cell("", outputs=[output]))
    page = HTMLExporter(template_name="classic").from_notebook_node(notebook)[0]
    words = [part.partition('"')[0] for part in page.split('alt="')[1:]]
    for said in pictures:
        plain = said.replace("'", "&#39;")
        assert any(plain in alt or said in alt for alt in words), said


def test_bars_are_as_high_as_their_values():
    picture = pixels(ganlib.bars([1.0, 2.0], ["a", "b"]))
    blue = [
        [
            y
            for y in range(picture.height)
            if picture.getpixel((x, y))[2] > 150 > picture.getpixel((x, y))[0]
        ]
        for x in (picture.width * 2 // 5, picture.width * 4 // 5)
    ]
    assert len(blue[1]) == pytest.approx(2 * len(blue[0]), rel=0.05)
    dashed = ganlib.bars(torch.tensor([[1, 2]]), expected=[1, 3])
    assert dashed.alt == "bars: values: 0 1, 1 2; expected: 1, 3"
    for wrong in (
        {"values": []},
        {"values": [1, 2], "names": ["a"]},
        {"values": [1, 2], "expected": [1, 2, 3]},
    ):
        with pytest.raises(ValueError, match="as many names as values are expected"):
            ganlib.bars(**wrong)
    with pytest.raises(ValueError, match="finite values are expected"):
        ganlib.bars([1.0, float("nan")])


def test_points_stand_where_they_are_on_logarithmic_axes():
    """Ten times the value is as far above one as it is above a tenth."""
    picture = pixels(ganlib.scatter({"": (1, 1), " ": (10, 100), "  ": (100, 10)}))
    colours = numpy.asarray(picture.convert("RGB")).astype(int)
    y, x = numpy.nonzero(numpy.abs(colours - (31, 119, 180)).max(2) < 30)  # tab:blue
    order = numpy.argsort(x, kind="stable")
    groups = numpy.split(order, numpy.nonzero(numpy.diff(x[order]) > 5)[0] + 1)
    (x1, y1), (x2, y2), (x3, y3) = [(x[g].mean(), y[g].mean()) for g in groups]
    assert x2 - x1 == pytest.approx(x3 - x2, abs=2)
    assert y1 - y3 == pytest.approx(y3 - y2, abs=2) and y1 > y3 > y2
    for wrong in ({}, {"a": (0, 1)}, {"a": (1, -1)}, {"a": (1, float("nan"))}):
        with pytest.raises(ValueError, match="finite and above 0 are expected"):
            ganlib.scatter(wrong)


def test_shapes_are_those_that_the_net_makes():
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3, padding=1), torch.nn.BatchNorm2d(3), torch.nn.Flatten()
    )
    net.train()
    mean = net[1].running_mean.clone()
    drawn = ganlib.shapes({"D": net}, {"D": torch.randn(2, 1, 6, 6)})
    assert drawn.alt == "shapes on the way through D: 1x6x6, 3x6x6, 108"
    assert repr(drawn) == "<shapes>" and net[1].training
    assert torch.equal(net[1].running_mean, mean) and not net[0]._forward_hooks
    of_numbers = ganlib.shapes({"G": torch.nn.Linear(2, 3)}, {"G": torch.ones(1, 2)})
    assert of_numbers.alt.endswith("G: 2, 3")
    with pytest.raises(ValueError, match="no nets were given"):
        ganlib.shapes({}, {})


def test_verdicts_outside_the_axis_are_counted_at_its_ends():
    low, inside = (
        ganlib.verdicts(("t", torch.tensor(reals), torch.tensor([0.5])), low=0.4, high=0.6)
        for reals in ([0.0, 0.1], [0.4001, 0.4002])
    )
    apart = [
        numpy.asarray(pixels(picture).crop((0, 0, 200, 170)), int) for picture in (low, inside)
    ]
    assert numpy.abs(apart[0] - apart[1]).max() <= 16  # the palettes differ a little
    assert "mean 0.050" in low.alt
    for wrong, said in (((), "0 panels"), ((("t", torch.tensor([]), torch.ones(1)),), "of reals")):
        with pytest.raises(ValueError, match=said):
            ganlib.verdicts(*wrong)


def test_metrics_are_compared_with_the_first_row():
    rows = {"real": {"a": 2.0, "b": 0.5}, "fake": {"a": 1.0, "b": 1.0}}
    picture = ganlib.compare(rows, "both", columns=2)
    assert picture.alt == "both: a: real 2, fake 1; b: real 0.5, fake 1"
    colours = numpy.asarray(pixels(picture), int)[:, : picture.width // 2]
    green = (colours[..., 1] > colours[..., 0] + 60) & (colours[..., 1] > colours[..., 2] + 60)
    blue = (colours[..., 2] > colours[..., 0] + 60) & (colours[..., 2] > colours[..., 1] + 30)
    assert green.sum(1).max() == pytest.approx(2 * blue.sum(1).max(), rel=0.05)  # the longest rows
    assert green.any(1).argmax() < blue.any(1).argmax()  # the first row is above
    for wrong in ({}, {"real": {}}, {"real": {"a": 1.0}, "fake": {"b": 1.0}}):
        with pytest.raises(ValueError, match="each with the same metrics"):
            ganlib.compare(wrong)
    with pytest.raises(ValueError, match="'fake' has the values .* finite ones are expected"):
        ganlib.compare({"real": {"a": 1.0}, "fake": {"a": float("nan")}})


def test_a_trend_has_a_mean_at_each_place():
    picture = ganlib.trend([10, 100], {"real": [[1.0, 3.0], [0.5]]}, "falls", "N", "distance")
    assert picture.alt == "falls, at 10, 100: real: 2, 0.5"
    for wrong in ([[1.0]], [[1.0], []], [[1.0], [0.0]]):
        with pytest.raises(ValueError, match="one list for each place is expected"):
            ganlib.trend([10, 100], {"real": wrong})


def square(colour, side=40):
    return Picture(Image.new("RGB", (side, side), colour))


def test_strips_put_each_frame_in_its_row_and_column():
    rows = {"one": [square("red"), square("green")], "two": [square("blue")]}
    picture = pixels(plane.strips(rows, [1, "end"], title="all"))
    right, bottom = picture.width - 20, picture.height - 20
    centres = [
        picture.getpixel((right - 48 * (1 - j), bottom - 48 * (1 - i)))
        for i in range(2)
        for j in range(2)
    ]
    assert centres == [(255, 0, 0), (0, 128, 0), (0, 0, 255), (255, 255, 255)]
    assert pixels(plane.strips([[square("red", 420)] * 5])).width <= 960
    for wrong in ([], [[square("red"), square("red", 41)]]):
        with pytest.raises(ValueError, match="one size is expected"):
            plane.strips(wrong)


def test_nearly_grey_images_are_stretched_on_the_board_and_others_are_not():
    grey = torch.linspace(-0.02, 0.02, 784).view(1, 1, 28, 28)
    low, high = _shades(grey)
    assert 124 <= low < high <= 131
    assert _shades(torch.linspace(-1, 1, 784).view(1, 1, 28, 28)) == (0, 255)
    assert _shades(torch.zeros(1, 1, 28, 28))[1] > _shades(torch.zeros(1, 1, 28, 28))[0]


@pytest.mark.parametrize(
    "step, text",
    [(0, "0"), (999, "999"), (1000, "1k"), (2116, "2.1k"), (9960, "10k"), (12345, "12k")],
)
def test_steps_are_short_above_a_column(step, text):
    assert _short(step) == text


def test_the_painter_starts_from_a_heart():
    mask = torch.tensor(lab.Painter("heart").mask)
    assert mask.shape == (16, 16) and torch.equal(mask, mask.flip(1))
    assert 100 <= mask.sum() <= 160 and not mask[0].any() and not mask[-1].any()
    first = int(mask.any(1).nonzero()[0])
    assert not mask[first : first + 3, 7:9].any(), "the notch"
    last = int(mask.any(1).nonzero()[-1])
    assert mask[last].sum() == 2 and plane.painted(mask)
    with pytest.raises(ValueError, match="'hart' was given; rows or"):
        lab.Painter("hart")
