"""Clips: what they show, the three G's against their docstrings, and the judge on known clips."""

import copy
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy
import pytest
import torch
from conftest import same
from PIL import Image
from torch.nn.functional import avg_pool2d

import ganlib
from ganlib import augment, nets
from ganlib.__main__ import main
from ganlib.data.images import as_float, as_uint8
from ganlib.games import clips
from ganlib.games.clips import judging, moving
from ganlib.keep import onnx
from ganlib.keep.export import rebuild as rebuild_run
from ganlib.keep.sampling import drawing
from ganlib.nets import rebuild
from ganlib.nets.fed.clips import MOTION


@pytest.fixture(scope="module")
def data():
    return clips.gliding(300, seed=2)


# The clips


def test_digits_glide_and_bounce(data):
    """The ink's middle takes equal steps between bounces, and stays near the middle."""
    assert data.images.shape == (300, 1, 8, 28, 28) and len(data.labels) == 300
    middle = judging.middles(data.floats(slice(None))).double()
    steps = middle.diff(dim=1)
    along = steps.abs()  # a bounce turns the sign of one of the two alone
    calm = (along - along[:, :1]).abs().amax((1, 2)) < 0.35
    assert calm.float().mean() > 0.3  # those that bounced between two frames are left out
    speed = steps.norm(dim=2)
    assert speed.max() < 1.5 and 0.5 < speed.median() < 1.2
    assert (middle - 14).abs().max() < moving.REACH + 3  # a digit's own middle is near its frame's
    again = clips.gliding(300, seed=2)
    assert torch.equal(again.images, data.images) and torch.equal(again.labels, data.labels)
    assert not torch.equal(clips.gliding(300, seed=3).images, data.images)


def test_places_are_a_triangle_wave():
    way = moving.places(500, torch.Generator().manual_seed(0), frames=200).double()
    assert way.abs().max() <= moving.REACH + 1e-4
    steps = way.diff(dim=1).abs()
    most = steps.amax(1, keepdim=True)
    assert ((steps - most).abs() < 1e-3).double().mean() > 0.7  # but for frames with a bounce
    assert (most.squeeze(1).norm(dim=1) > 0.49).all() and (most.norm(dim=2) < 1.41).all()


def test_a_shift_by_whole_pixels_is_a_shift():
    images = torch.zeros(1, 1, 28, 28, dtype=torch.uint8)
    images[0, 0, 10:15, 12:14] = 200
    way = torch.tensor([[[0.0, 0.0], [3.0, 0.0], [-2.0, 4.0]]])
    found = moving.moved(images, way)[0, 0]
    for frame, (right, down) in zip(found, way[0].long().tolist(), strict=True):
        assert torch.equal(frame, images[0, 0].roll((down, right), (0, 1)))


def test_held_out_digits_are_others_and_few_are_refused():
    digits = ganlib.load("digits")
    draws = [torch.Generator().manual_seed(0) for _ in range(2)]
    (_, seen), (_, held) = (
        moving._chosen(500, digits, held_out, draw)
        for held_out, draw in zip((False, True), draws, strict=True)
    )
    assert seen.max() < 9000 <= held.min()
    with pytest.raises(ValueError, match="500 digits were given; more than 1,000"):
        clips.gliding(10, digits=digits.subset(slice(0, 500)))


def test_pairs_hold_two_digits_that_move_on_their_own():
    data = clips.pairs(100, seed=1)
    x = data.floats(slice(None))
    left, right = (judging.middles(half) for half in x.split(14, 4))
    steps = [middle.diff(dim=1).flatten() for middle in (left, right)]
    assert abs(torch.corrcoef(torch.stack(steps))[0, 1]) < 0.3
    assert data.images.shape == (100, 1, 8, 28, 28) and data.labels is None


# The nets

SHAPE = (1, 8, 28, 28)
KINDS = (nets.FramesGenerator, nets.MovedGenerator, nets.PathGenerator)


@pytest.mark.parametrize("kind", KINDS)
def test_settings_build_the_same_net(kind):
    torch.manual_seed(0)
    G = kind(20, SHAPE, (6, 4)).eval()
    again = rebuild.build(rebuild.settings(G), "G", G.state_dict())
    again.load_state_dict(G.state_dict())
    z = torch.randn(3, 20)
    assert torch.equal(again.eval()(z), G(z)) and G(z).shape == (3, *SHAPE)
    D = nets.ClipDiscriminator(SHAPE, (4, 6))
    other = rebuild.build(rebuild.settings(D), "D", D.state_dict())
    other.load_state_dict(D.state_dict())
    assert torch.equal(other(G(z)), D(G(z))) and D(G(z)).shape == (3,)


@torch.no_grad()
def test_a_moved_clip_is_one_picture_that_a_map_moves():
    torch.manual_seed(0)
    G = nets.MovedGenerator(20, SHAPE, (6, 4)).eval()
    z = torch.randn(2, 20)
    rest = copy.deepcopy(G)
    for weight in rest.curve.layers[-1].parameters():
        weight.zero_()
    still = rest(z)
    assert torch.allclose(still, still[:, :, :1].expand_as(still), atol=1e-5)
    rest.curve.layers[-1].bias[2] = -2 * 3 / 28  # three pixels to the right, at all times
    shifted = rest(z)
    assert torch.allclose(shifted[..., 3:], still[..., :-3], atol=1e-4)
    assert torch.allclose(shifted[..., :3], torch.full((), -1.0), atol=1e-4)  # black comes in
    slow = G(z, times=torch.tensor([0.0, 0.5, 1.0]))
    assert slow.shape == (2, 1, 3, 28, 28)
    assert torch.allclose(slow[:, :, ::2], G(z)[:, :, :2], atol=1e-5)


@torch.no_grad()
def test_parts_are_pictures_each_on_a_path_of_its_own():
    """Whole pixels: the first part goes right, the second down, and their light adds up."""
    torch.manual_seed(0)
    G = nets.MovedGenerator(20, (3, 8, 28, 28), (6, 4), parts=2).eval()
    z = torch.randn(2, 20)
    for weight in G.curve.layers[-1].parameters():
        weight.zero_()
    a, b = (avg_pool2d(x, 2) for x in (G.layers(z[:, :4]) + 1).split(3, 1))
    still = torch.full((2, 3, 28, 28), -1.0)  # half as large, side by side
    still[..., 7:21, :14] += a
    still[..., 7:21, 14:] += b
    assert torch.allclose(G(z), still[:, :, None].expand(-1, -1, 8, -1, -1), atol=1e-5)
    G.curve.layers[-1].bias[2] = -2 * 2 * 3 / 28
    G.curve.layers[-1].bias[6 + 5] = -2 * 2 * 4 / 28
    expected = torch.full_like(still, -1.0)
    expected[..., 7:21, 3:17] += a
    expected[..., 11:25, 14:] += b
    assert torch.allclose(G(z)[:, :, 5], expected, atol=1e-4)
    again = rebuild.build(rebuild.settings(G), "G", G.state_dict())
    again.load_state_dict(G.state_dict())
    assert torch.equal(again.eval()(z), G(z))
    assert "parts" not in nets.MovedGenerator(20, SHAPE, (6, 4)).settings  # as files before it
    for parts in (0, 1.5, True):
        with pytest.raises(ValueError, match="a whole number of 1 or more"):
            nets.MovedGenerator(20, SHAPE, (6, 4), parts=parts)


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS[1:])
def test_content_and_motion_are_apart(kind):
    torch.manual_seed(0)
    G = kind(20, SHAPE, (6, 4)).eval()
    a, b = torch.randn(2, 20)
    mixed = torch.stack([a, torch.cat([a[:-MOTION], b[-MOTION:]])])
    ways = G.curve(mixed[:, -MOTION:], G.times(mixed))
    assert not torch.allclose(ways[0], ways[1])
    same_motion = torch.stack([a, torch.cat([b[:-MOTION], a[-MOTION:]])])
    ways = G.curve(same_motion[:, -MOTION:], G.times(mixed))
    assert torch.equal(ways[0], ways[1])
    with pytest.raises(ValueError, match="more than 16 is expected"):
        kind(16, SHAPE, (6, 4))


@torch.no_grad()
def test_a_path_draws_each_frame_from_a_point_of_it():
    torch.manual_seed(0)
    G = nets.PathGenerator(20, SHAPE, (6, 4)).eval()
    z = torch.randn(2, 20)
    found, way = G(z), G.curve(z[:, 4:], G.times(z))
    for t in (0, 5):
        frame = G.layers(torch.cat([z[:, :4], way[:, t]], 1))
        assert torch.allclose(found[:, :, t], frame, atol=1e-5)


# The game


def small(data, kind="moved"):
    recipe = clips.recipe(data, kind, images=200, latent_dim=20)
    G, D = recipe.G.but(widths=(6, 4)), recipe.D.but(widths=(4, 6))
    return replace(recipe, G=G, D=D, batch_size=10)


@pytest.mark.parametrize("kind", ["frames", "moved", "parts", "path"])
def test_a_run_of_clips_goes_on_bit_for_bit(data, kind, tmp_path):
    recipe = small(data, kind)
    torch.manual_seed(0)
    whole, first, second = (recipe.gan(0) for _ in range(3))
    for one in (first, second):
        one.load_state_dict(copy.deepcopy(whole.state_dict()))

    def play(gan, until, **settings):
        for _ in ganlib.train(gan, data, recipe, until=until, batch_size=10, **settings):
            pass

    play(whole, 4)
    play(first, 2, folder=tmp_path)
    assert ganlib.resume(tmp_path, second)
    play(second, 4, folder=tmp_path)
    here, there = second.state_dict(), whole.state_dict()
    assert same({**here, "trained_on": 0, "history": 0}, {**there, "trained_on": 0, "history": 0})
    look = recipe.look(second)
    assert look.images.shape == (48, 1, 28, 28) and look.columns == 8


def test_other_images_and_kinds_are_refused(data):
    with pytest.raises(ValueError, match="clips \\(C, T, H, W\\) are expected"):
        clips.recipe(ganlib.load("digits"))
    with pytest.raises(ValueError, match="unknown kind 'path3'"):
        clips.recipe(data, "path3")


def test_the_judge_on_clips_that_are_known():
    """Real ones; real ones at rest; with their frames shuffled; with another digit each frame."""

    class Known:  # what is asked of a GAN
        def __init__(self, kind):
            pool = clips.gliding(750, seed=7, held_out=True)
            x = as_float(pool.images)
            if kind == "still":
                x = x[:, :, :1].expand(-1, -1, 8, -1, -1)
            elif kind == "shuffled":
                x = x[:, :, [3, 0, 6, 1, 7, 4, 2, 5]]
            elif kind == "others":
                x = torch.stack([x[:, :, t].roll(t, 0) for t in range(8)], 2)
            self.clips = x

        def sample(self, n, stream):
            start = 250 * int(stream.rpartition("/")[2])
            return self.clips[start : start + n]

    found = {
        kind: clips.judge_clips(Known(kind), n=750)
        for kind in ("real", "still", "shuffled", "others")
    }
    real = found["real"]
    assert real["frames"] < 2 and real["motion"] < 2.5 and real["same"] > 0.97
    assert abs(real["speed"] - real["real"]["speed"]) < 0.05
    assert found["still"]["speed"] < 1e-3 and found["still"]["motion"] > 20
    assert found["shuffled"]["bend"] > 2 * real["bend"] and found["shuffled"]["motion"] > 5
    assert found["others"]["same"] < 0.6 and found["others"]["frames"] < 2
    assert "same" in str(real)


def test_the_judge_on_pairs_that_are_known():
    """Real ones; the left and the right digit of the same way; the halves of other clips."""

    class Known:
        trained_on = {"loaded": {"drawn": "pairs"}}

        def __init__(self, kind):
            x = as_float(clips.pairs(250, seed=7, held_out=True).images)
            left, right = x.split(14, 4)
            if kind == "shared":  # the right digit goes the left one's way
                draws = torch.Generator().manual_seed(7)
                digits = ganlib.load("digits")
                way = moving.places(250, draws) * torch.tensor([0.6, 1.5])
                images = digits.images[torch.randint(9000, 10_000, (2, 250), generator=draws)]
                left, right = (
                    as_float(moving.moved(image, way + torch.tensor([at, 0.0]), zoom=2.0))
                    for image, at in zip(images, (-6.5, 6.5), strict=True)
                )
                self.clips = torch.maximum(left, right)
            elif kind == "still":
                self.clips = x[:, :, :1].expand(-1, -1, 8, -1, -1)
            else:
                self.clips = torch.cat([left, right.roll(1, 0)], 4) if kind == "other" else x

        def sample(self, n, stream):
            start = 250 * int(stream.rpartition("/")[2])
            return self.clips[start : start + n]

    kinds = "real", "other", "shared", "still"
    found = {kind: clips.judge_clips(Known(kind), n=250) for kind in kinds}
    for kind in ("real", "other"):  # halves that never met are no worse: they know of no other
        assert found[kind]["frames"] < 1.5 and found[kind]["motion"] < 1.5
        assert abs(found[kind]["together"]) < 0.15 and found[kind]["same"] > 0.95
    assert found["shared"]["together"] > 0.9 and found["shared"]["motion"] > 3
    assert found["shared"]["frames"] < 1.5 and abs(found["still"]["speed"]) < 1e-3
    assert "together" in str(found["real"]) and abs(found["real"]["real"]["together"]) < 0.15


def test_a_film_shows_the_frames_one_after_another(data, tmp_path):
    picture = clips.film(data.floats(slice(0, 6)), columns=3, scale=2)
    picture.save(tmp_path / "clips.gif")
    with Image.open(tmp_path / "clips.gif") as film:
        assert film.n_frames == 8 and film.size[0] >= 3 * 2 * 28
        seen = []
        for i in range(8):
            film.seek(i)
            seen.append(torch.from_numpy(numpy.asarray(film.convert("L")).copy()))
    x = data.images[0, 0, 5].repeat_interleave(2, 0).repeat_interleave(2, 1)
    drawn = seen[5][:56, :56]
    assert (drawn.float() - x.float()).abs().mean() < 3  # of 16 greys
    assert not picture.generated and b"generated" not in picture.data.lower()


def test_other_times_are_slow_motion_and_say_that_they_are_generated(data):
    gan = small(data).gan(0)
    noise, times = gan.noise(3), torch.tensor([0.0, 0.5, 1.0, 12.0])
    found = clips.at(gan, noise, times)
    assert found.shape == (3, 1, 4, 28, 28)
    assert torch.allclose(found[:, :, [0, 2]], gan.sample(noise=noise)[:, :, :2], atol=1e-5)
    assert b"enerated" in clips.film(found).data
    with pytest.raises(ValueError, match="FramesGenerator draws its frames all at once"):
        clips.at(small(data, "frames").gan(0), noise, times)


@pytest.mark.parametrize("size", [16, 32])
def test_other_sizes_and_what_is_refused(size, tmp_path):
    images = torch.randint(0, 256, (20, 3, 4, size, size), dtype=torch.uint8)
    data = ganlib.Images(images, name="noise")
    for kind in ("frames", "moved", "parts", "path"):
        gan = clips.recipe(data, kind, images=100).gan(0)
        assert gan.sample(2).shape == (2, 3, 4, size, size) and gan.D(gan.sample(2)).shape == (2,)
    digits = ganlib.Images(images[:, :, 0], name="colour")
    with pytest.raises(ValueError, match="\\(1, 28, 28\\) is expected"):
        clips.gliding(2, digits=digits)
    augmented = replace(clips.recipe(data, images=100), augment=augment.colour_translation)
    with pytest.raises(ValueError, match="clips cannot be augmented"):
        next(iter(ganlib.train(augmented.gan(0), data, augmented, until=1, batch_size=10)))


def test_maps_are_exact_under_autocast():
    torch.manual_seed(0)
    G = nets.MovedGenerator(20, SHAPE, (6, 4)).eval()
    with torch.no_grad():
        G.curve.layers[-1].weight.normal_(std=0.2)
        z = torch.randn(4, 20)
        with torch.autocast("cpu", torch.bfloat16):
            coarse = G(z)
    assert coarse.dtype == torch.float32 and (coarse - G(z)).abs().mean() < 0.02


# The command line


@pytest.fixture
def commands(monkeypatch, tmp_path):
    """The commands on a small set and with small nets; the present folder is a scratch one."""
    from ganlib.games.clips import commands as of_clips

    monkeypatch.chdir(tmp_path)
    makers = {"digits": moving.gliding, "pairs": moving.pairs}
    monkeypatch.setattr(of_clips, "DATA", {k: partial(v, 120) for k, v in makers.items()})
    made = of_clips.recipe

    def few(data, kind, images):
        found = made(data, kind, images, latent_dim=20)
        return replace(found, G=found.G.but(widths=(6, 4)), D=found.D.but(widths=(4, 6)))

    monkeypatch.setattr(of_clips, "recipe", few)
    return of_clips


def test_clips_are_trained_drawn_and_judged_by_commands(commands, tmp_path, capsys, monkeypatch):
    start = ["train", "--game", "clips", "--out", "run", "--batch-size", "10", "--device", "cpu"]
    assert main([*start, "--recipe", "path", "--steps", "3"]) == 0
    assert main([*start, "--steps", "5", "--evaluate-every", "5"]) == 0  # goes on with its own kind
    gan = rebuild_run("run")
    assert gan.step == 5 and type(gan.G) is nets.PathGenerator and "motion" in gan.history[-1]
    assert main(["sample", "run", "--n", "6", "--out", "six.npy"]) == 0
    six = numpy.load("six.npy")
    assert six.shape == (6, 1, 8, 28, 28) and six.dtype == numpy.uint8
    assert numpy.array_equal(six, as_uint8(gan.sample(6, stream="film/0")).numpy())
    assert main(["sample", "run", "--n", "6", "--out", "six.gif"]) == 0
    with Image.open("six.gif") as gif:
        assert gif.n_frames == 8 and b"generated" in gif.info["comment"]
    assert main(["sample", "run", "--n", "2", "--out", "two.png"]) == 0
    capsys.readouterr()
    monkeypatch.setattr(commands, "judge_clips", lambda gan, n: f"judged {n}")
    assert main(["evaluate", "run", "--n", "150"]) == 0 and "judged 150" in capsys.readouterr().out
    assert main(["export", "run", "--to", "shared"]) == 0
    assert ganlib.load_generator("shared")(torch.randn(2, 20)).shape == (2, 1, 8, 28, 28)
    assert "function roll()" in Path("shared", "index.html").read_text()
    assert main(["sample", "shared", "--n", "3", "--out", "three.npy"]) == 0
    three = numpy.load("three.npy")
    parts = [images for images, _ in drawing.draw(ganlib.load_generator("shared"), 3)]
    assert numpy.array_equal(three, as_uint8(torch.cat(parts)).numpy()) and three.std() > 0
    assert main(["sample", "shared", "--n", "3", "--out", "three.gif"]) == 0
    with Image.open("three.gif") as gif:
        assert gif.n_frames == 8
    assert "3 clips of 8 frames drawn by the generator in shared" in capsys.readouterr().out


@pytest.mark.parametrize(
    "given, said",
    [
        (["--data", "mnist"], "set of clips (--data)"),
        (["--recipe", "small"], "G of clips (--recipe)"),
        (["--conditional"], "--conditional was given with --game clips"),
        (["--to", "printed"], "--to was given with --game clips"),
    ],
)
def test_what_clips_cannot_do_is_a_sentence(commands, given, said, capsys):
    start = ["train", "--game", "clips", "--out", "run", "--batch-size", "10", "--steps", "2"]
    assert main([*start, "--device", "cpu", *given]) == 1
    assert said in capsys.readouterr().err


def test_other_endings_and_other_clips_are_sentences(commands, capsys):
    start = ["train", "--game", "clips", "--out", "run", "--batch-size", "10", "--device", "cpu"]
    assert main([*start, "--data", "pairs", "--steps", "2"]) == 0
    gan = rebuild_run("run")
    gan.trained_on["loaded"]["drawn"] = "squares"
    with pytest.raises(ValueError, match="clips of 'squares' were given; nothing here judges"):
        clips.judge_clips(gan)
    for given, said in (
        (["sample", "run", "--out", "x.tar"], "a name that ends in .gif, .mp4, .png, .npy"),
        (["sample", "run", "--label", "3", "--out", "x.gif"], "and no --label"),
        (["sample", "run", "--seed", "3", "--out", "x.gif"], "--seed was given"),
        (["evaluate", "run", "--extractor", "digits"], "--extractor was given"),
    ):
        assert main(given) == 1
        assert said in capsys.readouterr().err


FFMPEG = """#!/bin/sh
for last; do :; done
echo "$@" > asked.txt
cat > given.raw
if [ -n "$FAIL" ]; then echo "Unknown encoder 'libx264'" >&2; exit 1; fi
cp given.raw "$last"
"""


def test_a_film_is_written_by_ffmpeg(monkeypatch, tmp_path):
    """An imitation of ffmpeg gets the frames as they are, five times over."""
    monkeypatch.chdir(tmp_path)
    draws = torch.Generator().manual_seed(0)
    found = torch.rand(3, 1, 8, 28, 28, generator=draws) * 2 - 1
    found.generated = True
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="apt install ffmpeg.*a GIF needs nothing"):
        clips.movie(found, "clips.mp4")
    (tmp_path / "ffmpeg").write_text(FFMPEG)
    (tmp_path / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    clips.movie(found, "clips.mp4", columns=3, scale=2, milliseconds=100)
    asked = Path("asked.txt").read_text()
    width, height = re.search(r"-s (\d+)x(\d+)", asked).groups()
    assert "-framerate 10 " in asked and "generated: a synthetic image" in asked
    raw = numpy.frombuffer(Path("clips.mp4").read_bytes(), numpy.uint8)
    raw = raw.reshape(5, 8, int(height), int(width), 3)
    assert (raw == raw[:1]).all() and clips.film(found, 3, 2).width == int(width)
    grey = as_uint8(found[0, 0, 3]).numpy().repeat(2, 0).repeat(2, 1)
    assert (raw[0, 3, :56, :56] == grey[:, :, None]).all()
    monkeypatch.setenv("FAIL", "1")
    with pytest.raises(RuntimeError, match="could not write other.mp4; it said: Unknown encoder"):
        clips.movie(found, "other.mp4")
    assert not Path("other.mp4").exists()
    with pytest.raises(ValueError, match="ends in .mp4"):
        clips.movie(found, "other.avi")


@pytest.mark.parametrize("kind", KINDS)
def test_onnx_draws_any_number_of_clips(kind):
    runtime = pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    G = kind(20, SHAPE, (6, 4)).eval()
    content, said = onnx.onnx_file(G)
    assert content is not None, said
    (found,) = runtime.InferenceSession(content).run(None, {"z": torch.randn(3, 20).numpy()})
    assert found.shape == (3, *SHAPE)
