import images
import numpy
import pytest
import torch
from PIL import Image
from test_own import write

import ganlib
from ganlib import augment
from ganlib.run.preflight import _lasting, near_duplicates


def photos(n, size=(40, 30), start=0):
    """Files of smooth random pictures, all different."""
    files = []
    for i in range(start, start + n):
        coarse = numpy.random.default_rng(i).integers(0, 256, (6, 8, 3), numpy.uint8)
        files.append(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))
    return files


def load(tmp_path, files, **settings):
    write(
        tmp_path / "set",
        {
            name: content if isinstance(content, bytes) else images.packed(content, "PNG")
            for name, content in files.items()
        },
    )
    return ganlib.load(tmp_path / "set", root=tmp_path / "data", **({"size": 32} | settings))


def test_the_report_of_a_messy_folder(tmp_path, capsys):
    a, b, c, d = photos(4)
    again = b.resize((60, 45))
    files = {
        "cats/1.png": a,
        "cats/2.png": b,
        "dogs/1.jpg": images.packed(again, "JPEG", quality=60),
        "dogs/2.png": c,
        "dogs/3.gif": images.packed(d, "GIF"),
        "dogs/broken.png": b"nothing",
        "dogs/notes.txt": b"x",
    }
    data = load(tmp_path, files)
    capsys.readouterr()
    found = ganlib.preflight(data, seconds=0.5)
    said = capsys.readouterr().out
    assert said == f"{found}\n"
    for text in (
        "set: 5 images of 32 x 32, in colour",
        "7 found, 5 used, 2 skipped",
        "sizes 40 x 30 to 60 x 45, median 40 x 30",
        "the middle is cut out",
        "palette to colours: 1",
        "dogs/broken.png (no image that Pillow knows)",
        "dogs/notes.txt",
        "2 classes: cats 2, dogs 3",
        "1 images look like an earlier one (cats/2.png = ",
        "images/s on this machine",
        "-> 4 images that differ, of 5, are too few",
        "-> 2 of 7 files were skipped",
        "the smallest class has 2 images: too few for a class",
    ):
        assert text in said, text
    assert found.facts["classes"] == [2, 3] and found.facts["minutes"] > 0 and found.batch_size == 2
    bundle, _ = found._repr_mimebundle_()
    assert "image/jpeg" in bundle


@pytest.mark.parametrize(
    "n, text",
    [
        (
            90,
            "90 images are very few: it will memorise them. augment=augment.shift (compare with a "
            "run without) may delay that; ",
        ),
        (500, "500 images are few"),
        (3000, "3,000 images: try"),
    ],
)
def test_advice_goes_by_the_number_of_images(n, text):
    draws = torch.Generator().manual_seed(0)
    data = ganlib.Images(torch.randint(0, 256, (n, 1, 28, 28), dtype=torch.uint8, generator=draws))
    found = ganlib.preflight(data, seconds=0)
    assert found.advice[0].startswith(text) and len(found.advice) == 1
    augmented = ganlib.preflight(data, seconds=0, augment=augment.shift)  # it is there already
    assert [*map(str, augmented.advice)] == [
        "90 images are very few: it will memorise them. Augmentation may delay that; look at "
        "each fake's nearest training image; more images help more than any setting"
    ] * (n == 90)


@pytest.mark.parametrize(
    "n, what, texts",
    [
        (1, "noise", ["there is a single image: nothing varies that a GAN could learn"]),
        (2, "noise", ["2 images are too few: it could only copy them; collect more than a hun"]),
        (20, "noise", ["20 images are very few: it will memorise them"]),
        (30, "alike", ["all 30 images look alike: nothing varies that a GAN could learn"]),
        (
            30,
            "one colour",
            ["all 30 images are blank, of a single colour each", "all 30 images lo"],
        ),
        (30, "colours", ["all 30 images are blank, of a single colour each"]),
    ],
)
def test_sets_of_which_nothing_can_be_learned(n, what, texts):
    """Said at once, in colour and in grey, whatever a run of them would come to."""
    draws = torch.Generator().manual_seed(0)
    for channels in (1, 3):
        shape = {"noise": (n, channels, 32, 32), "alike": (1, channels, 32, 32)}
        shape |= {"one colour": (1, 1, 1, 1), "colours": (n, channels, 1, 1)}
        images = torch.randint(0, 256, shape[what], dtype=torch.uint8, generator=draws)
        images = images.expand(n, channels, 32, 32).contiguous()
        found = ganlib.preflight(ganlib.Images(images, name="x"), seconds=0)
        for advice, text in zip(found.advice, texts, strict=False):
            assert advice.startswith(text), found.advice
        assert what == "colours" or len(found.advice) == len(texts)


def test_colour_pictures_are_timed_with_their_recipe_and_augmentation(monkeypatch, capsys):
    timed = []
    monkeypatch.setattr("ganlib.run.preflight.rate", lambda chosen, *_: timed.append(chosen) or 100)
    images = torch.randint(0, 256, (300, 3, 32, 32), dtype=torch.uint8)
    ganlib.preflight(ganlib.Images(images), augment=augment.ada)
    assert "recipe pictures, batch 32: 100 images/s" in capsys.readouterr().out
    ganlib.preflight(ganlib.Images(images[:, :1]))
    assert "recipe small, batch 50: 100 images/s" in capsys.readouterr().out
    assert [(made.name, made.augment) for made in timed] == [
        ("pictures", augment.ada),
        ("small", None),
    ]


def test_ten_thousand_digits_need_no_advice(digits):
    found = ganlib.preflight(digits, seconds=0)
    assert found.advice == [] and found.facts["classes"] == torch.bincount(digits.labels).tolist()


def test_shapes_that_lose_their_ends_and_small_images_are_named(tmp_path):
    long = {f"{i:03}.png": picture for i, picture in enumerate(photos(20, (90, 20)))}
    data = load(tmp_path, long, size=28)
    advice = " | ".join(ganlib.preflight(data, seconds=0).advice)
    assert (
        '20 images are more than 1.5 times as long as wide, and lose their ends: fit="pad"'
        in advice
    )
    assert "20 of 20 images are smaller than 28 pixels" in advice
    padded = load(tmp_path, long, size=28, fit="pad")
    assert "lose their ends" not in " ".join(ganlib.preflight(padded, seconds=0).advice)


def test_a_size_that_no_net_draws_is_said(tmp_path, capsys):
    data = load(tmp_path, {f"{i}.png": picture for i, picture in enumerate(photos(12))}, size=30)
    ganlib.preflight(data)
    assert "recipe pictures cannot be used: shape=(3, 30, 30) was given" in capsys.readouterr().out


def test_near_duplicates_are_found_and_others_are_not(digits):
    """Brighter, scaled or compressed copies are found; of 10,000 digits 1 % at most look alike."""
    pictures = photos(60, (64, 64))
    changed = [p.resize((50, 50)).resize((64, 64)) for p in pictures[:10]]
    changed += [p.point(lambda v: min(255, v + 4)) for p in pictures[10:20]]
    pixels = numpy.stack([numpy.asarray(p).transpose(2, 0, 1) for p in pictures + changed])
    pairs = near_duplicates(ganlib.Images(torch.from_numpy(pixels)))
    assert pairs == [(i, 60 + i) for i in range(20)]
    assert len(near_duplicates(digits)) < 100
    plain = torch.tensor([0, 0, 100, 101, 200]).byte().view(5, 1, 1, 1).expand(5, 1, 16, 16)
    assert near_duplicates(ganlib.Images(plain)) == [(0, 1), (2, 3)]
    double = ganlib.Images(torch.cat([digits.images[:500], digits.images[:500]]))
    assert {j for _, j in near_duplicates(double)} >= set(range(500, 1000))


@pytest.mark.parametrize(
    "seconds, said",
    [
        (0.4, "0 s"),
        (44, "44 s"),
        (98, "98 s"),
        (99, "1.6 min"),
        (599, "10.0 min"),
        (2280, "38 min"),
    ],
)
def test_a_time_is_said_with_two_digits(seconds, said):
    """44 s were "about 1 min" before, which is a third too much."""
    assert _lasting(seconds) == said
