"""What tools/refresh.py keeps of a notebook that was run, and what it drops."""

import base64
import io
import sys

import numpy
from conftest import ROOT
from PIL import Image

sys.path.insert(0, str(ROOT / "tools"))
from refresh import clean, shrink  # noqa: E402

WIDGET = "application/vnd.jupyter.widget-view+json"


def cell(metadata, *bundles):
    outputs = [{"output_type": "display_data", "data": data, "metadata": {}} for data in bundles]
    return {"cell_type": "code", "metadata": metadata, "source": [], "outputs": outputs}


def cleaned(*cells):
    return clean({"cells": list(cells), "metadata": {"papermill": {}, "colab": {}}})["cells"]


def test_the_form_and_tags_stay_and_what_papermill_adds_goes():
    (setup, plain) = cleaned(
        cell(
            {
                "cellView": "form",
                "jupyter": {"source_hidden": True},
                "tags": ["setup"],
                "papermill": {"duration": 1},
            }
        ),
        cell({"tags": ["papermill-error-cell-tag"], "execution": {}}),
        cell({"tags": ["injected-parameters"]}),
    )
    assert (
        setup["metadata"]
        == {"cellView": "form", "jupyter": {"source_hidden": True}, "tags": ["setup"]}
        and plain["metadata"] == {}
    )


def test_controls_beside_a_picture_print_as_controls():
    controls = {WIDGET: {"model_id": "1"}, "text/plain": ["VBox(children=(HBox(children=..."]}
    picture = {"image/jpeg": "", "text/plain": ["<board>"]}
    beside, alone = cleaned(cell({}, picture, dict(controls)), cell({}, dict(controls)))
    assert [output["data"]["text/plain"] for output in beside["outputs"]] == [
        ["<board>"],
        ["<controls>"],
    ]
    assert beside["outputs"][1]["data"][WIDGET] == {"model_id": "1"}
    assert alone["outputs"][0]["data"] == controls


def shrunk(picture):
    """What `shrink` makes of a Pillow image: the image, and how many bytes it saved."""
    file = io.BytesIO()
    picture.save(file, "png")
    output = {"data": {"image/png": base64.b64encode(file.getvalue()).decode()}}
    shrink(output)
    small = base64.b64decode(output["data"]["image/png"])
    return Image.open(io.BytesIO(small)), len(file.getvalue()) - len(small)


def test_pictures_of_many_colours_get_a_palette_if_it_looks_the_same():
    draws = numpy.random.default_rng(0)
    flat = draws.integers(0, 255, (8, 8, 3)).repeat(16, 0).repeat(16, 1)
    near = (flat + draws.integers(-2, 3, flat.shape)).clip(0, 255).astype(numpy.uint8)
    noise = draws.integers(0, 255, flat.shape).astype(numpy.uint8)
    small, saved = shrunk(Image.fromarray(near))
    assert small.mode == "P" and saved > 0
    apart = numpy.asarray(small.convert("RGB"), int) - near
    assert abs(apart).mean() < 3
    small, saved = shrunk(Image.fromarray(noise))
    assert small.mode == "RGB" and saved == 0


def test_thin_lines_of_a_plot_keep_their_colours():
    """Five lines with soft edges, and a lot of grey type: each line stays what it was."""
    picture = Image.new("RGB", (200, 120), "white")
    for x in range(200):
        for y in range(60, 120):
            picture.putpixel((x, y), ((7 * x + y) % 256,) * 3)
    colours = [(214, 39, 40), (255, 127, 14), (44, 160, 44), (31, 119, 180), (148, 103, 189)]
    for i, colour in enumerate(colours):
        for x in range(120):
            picture.putpixel((x, 10 * i), colour)
            for soft in range(1, 8):  # from the line's colour to white
                blend = tuple(c + (255 - c) * soft // 8 for c in colour)
                picture.putpixel((x + 20, 10 * i + soft), blend)
    file = io.BytesIO()
    picture.save(file, "png", compress_level=0)
    output = {"data": {"image/png": base64.b64encode(file.getvalue()).decode()}}
    shrink(output)
    with Image.open(io.BytesIO(base64.b64decode(output["data"]["image/png"]))) as small:
        assert small.mode == "P"
        found = [small.convert("RGB").getpixel((5, 10 * i)) for i in range(5)]
    for colour, shown in zip(colours, found, strict=True):
        assert max(abs(a - b) for a, b in zip(colour, shown, strict=True)) <= 16, (colour, shown)


def test_soft_areas_of_a_plot_do_not_become_bands():
    """A landscape from blue to orange, paler downwards: no channel moves by more than a shade."""
    ends = numpy.array([[30, 90, 214], [255, 255, 255], [236, 120, 40]])
    x = numpy.linspace(0, 2, 180)
    row = numpy.stack([numpy.interp(x, [0, 1, 2], ends[:, i]) for i in range(3)], 1)
    pale = numpy.linspace(0, 0.6, 5).repeat(16)[:, None, None]
    landscape = (row + pale * (255 - row)).round().astype(numpy.uint8)
    file = io.BytesIO()
    Image.fromarray(landscape).save(file, "png", compress_level=0)
    output = {"data": {"image/png": base64.b64encode(file.getvalue()).decode()}}
    shrink(output)
    with Image.open(io.BytesIO(base64.b64decode(output["data"]["image/png"]))) as small:
        assert small.mode == "P"
        apart = numpy.abs(numpy.asarray(small.convert("RGB")).astype(int) - landscape)
    assert apart.mean((0, 1)).max() < 1.5 and apart.max() <= 5
