"""The range of values, and the ground under transparent pixels: decided for a set, and said."""

import io

import images
import numpy
import pytest
import torch
from PIL import Image
from test_own import write

import ganlib
from ganlib.data import as_uint8
from ganlib.data.decoding import Unreadable, decode


def load(tmp_path, given, **settings):
    return ganlib.load(given, **({"size": 8, "root": tmp_path / "data"} | settings))


def advice(data):
    return " | ".join(ganlib.preflight(data, seconds=0).advice)


def ramp(low, high, n=4, dtype=numpy.float64):
    """`n` arrays (8, 8), each of a single value, from `low` to `high`."""
    values = numpy.linspace(low, high, n)
    return [numpy.full((8, 8), value).astype(dtype) for value in values]


def levels(data):
    """The value of each image of a set whose images have a single one."""
    assert (data.images == data.images[:, :1, :1, :1]).all()
    return data.images[:, 0, 0, 0].tolist()


INTEGERS = {
    "bits": (ramp(0, 1, 2, numpy.int64), [0, 255], "0 (black) and 1 (white)"),
    "8 in 32": (ramp(0, 255, 4, numpy.int32), [0, 85, 170, 255], "8 bits, 0 to 255"),
    "8 in 64": (ramp(10, 200, 2, numpy.int64), [10, 200], "8 bits, 0 to 255"),
    "8 in 16": (ramp(0, 255, 4, numpy.uint16), [0, 85, 170, 255], "8 bits, 0 to 255"),
    "10": (ramp(0, 1023, 4, numpy.uint16), [0, 85, 170, 255], "10 bits, 0 to 1,023"),
    "12": (ramp(0, 4095, 4, numpy.uint16), [0, 85, 170, 255], "12 bits, 0 to 4,095"),
    "12 in 32": (ramp(0, 4095, 4, numpy.int32), [0, 85, 170, 255], "12 bits, 0 to 4,095"),
    "14": (ramp(0, 16383, 4, numpy.uint16), [0, 85, 170, 255], "14 bits, 0 to 16,383"),
    "16": (ramp(0, 65535, 4, numpy.uint16), [0, 85, 170, 255], "16 bits, 0 to 65,535"),
    "16 in 64": (ramp(0, 65535, 4, numpy.int64), [0, 85, 170, 255], "16 bits, 0 to 65,535"),
    "16 in 8 bytes": (ramp(0, 65535, 4, numpy.uint64), [0, 85, 170, 255], "16 bits"),
}


@pytest.mark.parametrize(
    "case, kind",
    [
        (case, kind)
        for case, (arrays, *_) in INTEGERS.items()
        for kind in ("arrays", "tensors", "pictures")
        if kind != "pictures" or arrays[0].dtype.itemsize < 8  # Pillow has no 64 bits
    ],
)
def test_integers_are_scaled_by_the_largest_of_the_set(tmp_path, case, kind):
    arrays, expected, text = INTEGERS[case]
    given = arrays
    if kind == "tensors":
        given = [torch.from_numpy(array.astype(numpy.int64)) for array in arrays]
    elif kind == "pictures":
        given = [Image.fromarray(array) for array in arrays]
    data = load(tmp_path, given)
    assert levels(data) == expected and text in data.report["values"][0]
    assert bool(data.report["odd"]) == (case[:2] in ("10", "12", "14"))
    # the pictures that are dark stay dark, since the range is that of the set
    assert levels(load(tmp_path, [given[0], given[-1]])) == [expected[0], expected[-1]]


def test_files_of_12_bits_are_seen_and_said(tmp_path):
    draws = numpy.random.default_rng(0)
    arrays = [draws.integers(0, 4096, (20, 20)).astype(numpy.uint16) for _ in range(12)]
    for kind in ("PNG", "TIFF"):
        made = {
            f"{i}.{kind.lower()}": images.packed(Image.fromarray(array), kind)
            for i, array in enumerate(arrays)
        }
        data = load(tmp_path, write(tmp_path / kind, made), size=20)
        expected = numpy.stack(arrays).astype(float) * 255 / 4095
        order = [int(name.split(".")[0]) for name in data.report["names"]]
        assert numpy.abs(data.images[:, 0].numpy() - expected[order]).max() <= 0.51
        assert "integers from" in advice(data) and "12 bits" in advice(data)
        assert data.report["converted"] == {"12 bits to 8": 12}


def test_integers_with_signs_are_refused_for_the_whole_set(tmp_path):
    """Slices of a tomogram, in Hounsfield units: some of them have no negative value."""
    arrays = [numpy.full((8, 8), value, numpy.int16) for value in (-1000, 40, 300)]
    with pytest.raises(OSError, match="integers from -1,000 to 300; 0 to 65,535 are expected"):
        load(tmp_path, arrays)
    mixed = load(tmp_path, [*arrays, numpy.full((8, 8), 7, numpy.uint8)])
    assert levels(mixed) == [7] and [name for name, _ in mixed.report["skipped"]] == ["0", "1", "2"]
    too_large = load(tmp_path, [numpy.full((8, 8), 70_000), numpy.full((8, 8), 60_000)])
    assert levels(too_large) == [round(60_000 / 257)]


FLOATS = {
    "0..1": (ramp(0, 1), [0, 85, 170, 255], "0 (black) to 1 (white)"),
    "a part of 0..1": (ramp(0.2, 0.8), [51, 102, 153, 204], "0 (black) to 1 (white)"),
    "beyond by rounding": (ramp(0, 1.0000002), [0, 85, 170, 255], "0 (black) to 1 (white)"),
    "-1..1": (ramp(-1, 1), [0, 85, 170, 255], "-1 (black) to 1 (white)"),
    "-1..0": (ramp(-1, 0, 2), [0, 128], "-1 (black) to 1 (white)"),
    "0..255": (ramp(0, 255), [0, 85, 170, 255], "0 (black) to 255 (white)"),
    "parts of 0..255": (ramp(0.5, 200.5, 2), [0, 200], "0 (black) to 255 (white)"),
    "whole and dark": (ramp(0, 9, 2), [0, 9], "0 (black) to 255 (white)"),
}


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("case", FLOATS)
def test_the_range_of_floats_is_that_of_the_set(tmp_path, case, dtype):
    arrays, expected, text = FLOATS[case]
    given = [torch.from_numpy(array).to(getattr(torch, dtype)) for array in arrays]
    given[0].requires_grad_()
    data = load(tmp_path, given)
    tolerance = 1 if dtype == "bfloat16" else 0
    assert max(abs(a - b) for a, b in zip(levels(data), expected, strict=True)) <= tolerance
    assert text in data.report["values"][0] and "floats from" in data.report["values"][0]
    if dtype in ("float64", "float32"):
        assert levels(load(tmp_path, [a.astype(dtype) for a in arrays])) == expected


@pytest.mark.parametrize("low, high", [(-2.1, 2.6), (-0.03, 1.04), (-0.2, 0.9), (0, 1.5), (0, 999)])
def test_floats_of_an_unknown_range_are_refused_whole(tmp_path, low, high):
    arrays = [*ramp(low, high), *ramp(0.3, 0.6)]
    with pytest.raises(OSError, match=rf"floats from {low:g} to {high:g} in the whole set; 0 to 1"):
        load(tmp_path, arrays)


def test_a_bright_picture_of_a_set_in_minus_1_to_1_is_as_bright_as_it_is(tmp_path):
    draws = torch.Generator().manual_seed(0)
    x = torch.rand(10, 3, 12, 12, generator=draws) * 2 - 1
    x[3] = 0.2 + 0.6 * x[3].abs()
    data = load(tmp_path, torch.utils.data.TensorDataset(x), size=12)
    assert len(data) == 10 and (data.images.int() - as_uint8(x).int()).abs().max() <= 1
    plain = load(tmp_path, torch.utils.data.TensorDataset((x + 1) / 2), size=12)
    assert (plain.images.int() - data.images.int()).abs().max() <= 1


def test_values_that_are_not_finite_cost_one_picture(tmp_path):
    arrays = ramp(0, 1)
    arrays[1][2, 2], arrays[2][3, 3] = numpy.nan, numpy.inf
    data = load(tmp_path, arrays)
    assert levels(data) == [0, 255]
    assert [why for _, why in data.report["skipped"]] == ["values that are not finite"] * 2


@pytest.mark.parametrize("dtype", [numpy.uint8, numpy.uint16, numpy.float32, bool])
def test_colours_in_either_order_of_the_axes(tmp_path, dtype):
    top = {"uint8": 255, "uint16": 65535, "float32": 1, "bool": 1}[numpy.dtype(dtype).name]
    picture = numpy.zeros((9, 12, 3), dtype)
    picture[..., 0] = top
    first = picture.transpose(2, 0, 1)
    for given in (picture, first, torch.from_numpy(first.copy()), torch.from_numpy(picture)):
        assert load(tmp_path, [given]).images[0, :, 4, 4].tolist() == [255, 0, 0]


def test_one_picture_is_decoded_as_a_set_of_its_own():
    deep = numpy.full((32, 32), 60, numpy.int32)
    deep[:, 16:] = 200
    for source in (Image.fromarray(deep), images.packed(Image.fromarray(deep), "TIFF"), deep):
        assert decode(source, 32).pixels[0, 5, [3, 28]].tolist() == [60, 200]
    with pytest.raises(Unreadable, match="floats from -0.1"):
        decode(numpy.full((8, 8), -0.1), 8)


# transparent pixels


def icons(colour, n=6, ground=(255, 255, 255, 0)):
    """Icons: a bar of a colour on a transparent ground."""
    for i in range(n):
        icon = Image.new("RGBA", (16, 16), ground)
        icon.paste((*colour, 255), (i, 4, i + 6, 12))
        yield icon


def test_white_icons_lie_on_black_and_it_is_said(tmp_path, capsys):
    data = load(tmp_path, list(icons((255, 255, 255))), size=16)
    assert data.images[0, 0, 8, 3] == 255 and data.images[0, 0, 0, 0] == 0
    assert "6 of 6 transparent pictures are nearly white" in capsys.readouterr().out
    assert "transparent pixels are black" in advice(data)
    assert data.report["converted"] == {"transparency put on black": 6}
    assert data.report["background"] == "black" and "labels" not in advice(data)
    white = load(tmp_path, list(icons((255, 255, 255))), size=16, background="white")
    assert white.images.unique().tolist() == [255]
    assert "6 of 6 transparent pictures cannot be seen on white" in advice(white)
    assert "all 6 images are blank" in advice(white)


@pytest.mark.parametrize(
    "colours, ground",
    [
        ([(0, 0, 0)] * 6, 255),
        ([(200, 30, 30)] * 6, 255),
        ([(250, 250, 250)] * 6, 0),
        ([(255, 255, 255), (0, 0, 0)] * 3, 128),
        ([(255, 255, 255)] + 11 * [(9, 90, 9)], 255),  # a few are no reason to change all
    ],
)
def test_the_ground_is_one_on_which_they_are_seen(tmp_path, colours, ground):
    given = [next(icons(colour, 1)) for colour in colours]
    data = load(tmp_path, given, size=16)
    assert (data.images[:, :, 0, 15] == ground).all()
    assert bool(data.report["odd"]) == (ground != 255 or (255, 255, 255) in colours)


def test_padding_has_the_ground_of_the_transparent_pictures(tmp_path):
    given = [*icons((255, 255, 255), 3), Image.new("RGB", (16, 8), (40, 50, 60))]
    data = load(tmp_path, given, size=16, fit="pad")
    assert data.report["background"] == "black"
    assert (data.images[3, :, :4] == 0).all() and (data.images[3, :, 12:] == 0).all()
    assert data.images[3, :, 4, 0].tolist() == data.images[3, :, 11, 15].tolist() == [40, 50, 60]
    alone = load(tmp_path, given[3:], size=16, fit="pad")
    assert (alone.images[0, :, :4] == 255).all()


def test_empty_pictures_decide_nothing(tmp_path):
    empty = [Image.new("RGBA", (16, 16), (0, 0, 0, 0))] * 5
    data = load(tmp_path, [*empty, *icons((0, 0, 200), 1)], size=16)
    assert data.report["background"] == "white" and (data.images[0] == 255).all()
    assert "5 of 6 images are blank" in advice(data)


GROUNDS = {
    "white": (255, 255, 255),
    "black": (0, 0, 0),
    "grey": (128, 128, 128),
    "red": (255, 0, 0),
    "#0a0b0c": (10, 11, 12),
    (1, 2, 3): (1, 2, 3),
    77: (77, 77, 77),
}


@pytest.mark.parametrize("background", GROUNDS)
def test_a_background_that_was_asked_for(tmp_path, background):
    red, green, blue = GROUNDS[background]
    for fit in ("crop", "pad"):
        given = [Image.new("RGBA", (16, 8), (9, 9, 9, 0)), Image.new("RGB", (16, 8), (50, 60, 70))]
        data = load(tmp_path, given, fit=fit, background=background, channels=3)
        assert data.images[0, :, 4, 4].tolist() == [red, green, blue]
        corner = [red, green, blue] if fit == "pad" else [50, 60, 70]
        assert data.images[1, :, 0, 0].tolist() == corner
        assert data.images[1, :, 4, 4].tolist() == [50, 60, 70]


@pytest.mark.parametrize("background", ["nocolour", (1, 2), 256, -1, 0.5, (1, 2, 300), [None] * 3])
def test_what_is_no_background_is_refused(tmp_path, background):
    with pytest.raises(ValueError, match="background=.* was given; 'white', 'black', 'grey'"):
        load(tmp_path, [Image.new("RGB", (8, 8))], background=background)


def test_another_background_is_another_prepared_set(tmp_path):
    folder = write(tmp_path / "set", {"a.png": images.packed(next(icons((255, 0, 0))), "PNG")})
    for _ in range(2):
        for background, level in (("black", 0), ("white", 255), (None, 255)):
            data = load(tmp_path, folder, background=background)
            assert data.images[0, 2, 0, 0] == level
            assert data.loaded.get("background") == background
    assert len(list((tmp_path / "data" / "prepared").iterdir())) == 3


@pytest.mark.parametrize("bits", [8, 16])
def test_grey_with_a_transparent_key(tmp_path, bits):
    """PNG's tRNS names one grey that is not seen: of 8 bits, and of 16."""
    factor = 257 if bits == 16 else 1
    values = numpy.full((16, 16), 60 * factor, numpy.uint16 if bits == 16 else numpy.uint8)
    values[:, 8:] = 200 * factor
    content = images.packed(Image.fromarray(values), "PNG", transparency=200 * factor)
    assert Image.open(io.BytesIO(content)).info["transparency"] == 200 * factor
    bright = images.packed(Image.fromarray(numpy.full((16, 16), 65535, numpy.uint16)), "PNG")
    folder = write(tmp_path / "set", {"a.png": content, "b.png": bright})
    for background, level in ((None, 255), ("black", 0)):
        data = load(tmp_path, folder, size=16, background=background)
        assert data.images[0, 0, 0, [2, 13]].tolist() == [60, level]
        assert any("transparency" in note for note in data.report["converted"])


def test_half_transparent_pixels_are_mixed_with_the_ground(tmp_path):
    half = Image.new("RGBA", (8, 8), (200, 100, 0, 128))
    for background, mixed in (("black", (100, 50, 0)), ("white", (227, 177, 127))):
        data = load(tmp_path, [half], background=background)
        away = (data.images[0, :, 4, 4].int() - torch.tensor(mixed)).abs().max()
        assert away <= 2


# padding


@pytest.mark.parametrize("size", [(5000, 20), (20, 5000), (2000, 1), (1, 300)])
@pytest.mark.parametrize("mode", ["RGB", "L", "I;16", "RGBA"])
def test_thin_pictures_keep_a_line_of_one_pixel(tmp_path, size, mode):
    colour = {"RGB": (200, 30, 9), "L": 90, "I;16": 90 * 257, "RGBA": (200, 30, 9, 255)}[mode]
    picture = Image.new(mode, size, colour)
    data = load(tmp_path, [picture], size=64, fit="pad")
    line = data.images[0] if size[0] > size[1] else data.images[0].transpose(1, 2)
    rows = (line != 255).any(0).any(1)
    assert rows.sum() == 1 and rows[31:33].any()
    channel = line[0, rows][0]
    assert (channel == {"L": 90, "I;16": 90}.get(mode, 200)).all()
    assert "blank" not in advice(data)


def test_padding_is_said_with_its_colour(tmp_path, capsys):
    wide = [Image.new("RGB", (16, 8), (1, 2, 3))]
    for background, called in ((None, "white"), ("grey", "grey"), ("red", "(255, 0, 0)")):
        ganlib.preflight(load(tmp_path, wide, fit="pad", background=background), seconds=0)
        assert "padded with " in (said := capsys.readouterr().out) and called in said


# show


def shown(given, **settings):
    return numpy.asarray(Image.open(io.BytesIO(ganlib.show(given, scale=1, **settings).data)))


GRID = torch.arange(64).view(1, 1, 8, 8) * 4


@pytest.mark.parametrize(
    "given",
    [
        GRID,
        GRID.int(),
        GRID.short(),
        GRID.byte(),
        GRID.to(torch.uint16),
        GRID.numpy(),
        GRID.numpy().astype(numpy.uint16),
        GRID.byte().numpy(),
        GRID.float() / 127.5 - 1,
        (GRID.float() / 127.5 - 1).numpy(),
    ],
    ids=lambda given: f"{type(given).__name__} {given.dtype}",
)
def test_show_draws_numbers_of_every_type(given):
    assert numpy.array_equal(shown(given), GRID[0, 0].numpy())


def test_show_draws_bools_as_black_and_white():
    assert numpy.array_equal(shown(GRID > 100), 255 * (GRID[0, 0] > 100).numpy())


@pytest.mark.parametrize(
    "given, message",
    [
        (GRID.float(), "floats from 0 to 252 were given; -1 to 1 is expected: give 0 to 255"),
        (GRID.double().numpy() / 3, "floats from 0 to 84 were given"),
        (GRID + 10, "integers from 10 to 262 are not in 0..255"),
        (GRID - 1, "integers from -1 to 251 are not in 0..255"),
        (GRID.numpy().astype(numpy.uint16) * 257, "integers from 0 to 64764"),
    ],
)
def test_show_refuses_what_it_would_draw_wrongly(given, message):
    with pytest.raises(ValueError, match=message):
        ganlib.show(given)


def test_show_says_that_0_to_1_are_drawn_as_minus_1_to_1(small, capsys):
    x = torch.linspace(0, 1, 64).view(1, 1, 8, 8)
    assert shown(x).min() == 128 and "floats from 0 to 1 are drawn with -1 as black" in (
        capsys.readouterr().out
    )
    for quiet in (x * 2 - 1, torch.zeros(2, 3, 8, 8), small().sample(4), x * 3 - 1.5):
        ganlib.show(quiet)
    ganlib.show(9 * x, generated=True)  # a G without tanh is drawn, and never ends a run
    assert capsys.readouterr().out == ""


def test_a_dark_set_is_said():
    draws = torch.Generator().manual_seed(0)
    x = torch.randint(0, 2, (300, 1, 8, 8), dtype=torch.uint8, generator=draws)
    assert "the set is dark: the brightest value is 1 of 255" in advice(ganlib.Images(x))
    assert "dark" not in advice(ganlib.Images(x * 255))
