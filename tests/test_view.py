import base64
import io
import json
import re
from types import SimpleNamespace

import numpy
import pytest
import torch
from PIL import Image

import ganlib
from ganlib.run.training import Now
from ganlib.show import live as live_view
from ganlib.show import timeline
from ganlib.show.live import LiveView
from ganlib.show.looks import compact
from ganlib.show.pictures import mosaic


def pixels(picture):
    return Image.open(io.BytesIO(picture.data))


def test_a_grid_puts_each_image_in_its_place():
    images = torch.arange(5, dtype=torch.uint8).view(5, 1, 1, 1).expand(5, 1, 2, 3) * 50
    grid = mosaic(images, columns=2, gap=1)
    assert grid.shape == (1, 3 * 3 - 1, 2 * 4 - 1)
    for i in range(5):
        row, column = divmod(i, 2)
        cell = grid[0, row * 3 : row * 3 + 2, column * 4 : column * 4 + 3]
        assert (cell == 50 * i).all()
    assert (
        (grid[0, 2] == 176).all()  # grey: seen beside black and beside white images
        and (grid[0, :, 3] == 176).all()
        and (grid[0, 6:, 4:] == 255).all()
    )


@pytest.mark.parametrize("channels, mode", [(1, "L"), (3, "RGB")])
def test_show_is_the_grid_as_a_png(channels, mode):
    images = torch.rand(6, channels, 4, 4) * 2 - 1
    picture = pixels(ganlib.show(images, columns=3, scale=2))
    assert (picture.mode, picture.size) == (mode, (2 * (3 * 5 - 1), 2 * (2 * 5 - 1)))
    first = torch.tensor(picture.getpixel((0, 0)), dtype=torch.uint8).view(-1)
    assert torch.equal(first, ganlib.data.as_uint8(images[0, :, 0, 0]))


def test_show_takes_bytes_and_fewer_images_than_columns(digits):
    assert pixels(ganlib.show(digits.images[:3], columns=8, scale=1)).size == (3 * 29 - 1, 28)


@pytest.mark.parametrize("shape", [(28, 28), (4, 2, 8, 8), (0, 1, 8, 8)])
def test_show_refuses_what_is_no_image(shape):
    with pytest.raises(ValueError, match=re.escape(str(shape))):
        ganlib.show(torch.zeros(shape))


def test_a_picture_shows_itself_in_a_notebook_and_saves_itself(tmp_path, digits):
    picture = ganlib.show(digits.images[:2])
    assert picture._repr_mimebundle_() == (
        {"image/png": base64.b64encode(picture.data).decode(), "text/plain": "<images>"},
        {"image/png": {"width": pixels(picture).width, "alt": "grid: 2 images"}},
    )
    picture.save(tmp_path / "new" / "two.png")
    assert (tmp_path / "new" / "two.png").read_bytes() == picture.data


def test_curves(small, digits):
    gan = small()
    with pytest.raises(ValueError, match="history is empty"):
        ganlib.curves(gan.history)
    for _ in ganlib.train(gan, digits, until=20, batch_size=10, record_every=2):
        pass
    picture = pixels(ganlib.curves(gan.history))
    assert picture.size == (880, 240)
    colours = torch.tensor(
        [colour for _, colour in picture.convert("RGB").getcolors(100_000)]
    ).float()
    lines = torch.tensor(
        [(31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189)]
    ).float()
    assert torch.cdist(lines, colours).min(1).values.max() < 25  # all five are there


@pytest.fixture
def kept(small, digits, tmp_path, monkeypatch):
    monkeypatch.setattr(live_view, "SHARE", 1e9)  # as fast as it goes
    gan = small()
    frames = {0: gan.sample(64)}
    live = LiveView(total=40, folder=tmp_path, every=0, picture_every=10)
    for now in ganlib.train(gan, digits, until=40, view=live, batch_size=10):
        if now.every(10):
            frames[now.step] = gan.sample(64)
    return tmp_path, gan, frames


def test_the_runs_folder(kept):
    folder, gan, frames = kept
    assert json.loads((folder / "history.json").read_text()) == gan.history
    assert (folder / "latest.png").read_bytes() == ganlib.show(gan.sample(64)).data
    assert sorted(path.name for path in (folder / "pictures").iterdir()) == [
        f"{step:07}.png" for step in range(0, 41, 10)
    ]
    for step, images in frames.items():
        assert torch.equal(
            timeline.read_moment(folder / "pictures" / f"{step:07}.png")[0],
            ganlib.data.as_uint8(images),
        )


def test_timeline_shows_the_same_noise_over_the_run(kept):
    folder, _, frames = kept
    strip = pixels(ganlib.timeline(folder, columns=5, rows=3))
    assert strip.size == (max(5 * 29 - 1, strip.width), 36 + 3 * 29 - 1)
    for column, step in enumerate(sorted(frames)):
        for row in range(3):
            box = strip.crop((29 * column, 36 + 29 * row, 29 * column + 28, 36 + 29 * row + 28))
            assert box.tobytes() == ganlib.data.as_uint8(frames[step][row]).numpy().tobytes()


def test_the_film_of_a_run(kept):
    folder, _, _ = kept
    picture = ganlib.timeline(folder, columns=5, rows=2, animated=True)
    film = pixels(picture)
    assert (film.format, film.n_frames, film.size, film.info["loop"]) == (
        "GIF",
        5,
        (8 * 56, 18 + 2 * 56),
        0,
    )
    words = pixels(ganlib.timeline(folder, columns=5, animated=True, scale=1)).convert("L")
    low, high = words.crop((0, 0, 224, 18)).getextrema()  # of the step above the frame
    assert words.size == (8 * 28, 18 + 5 * 28) and low < 64 and high == 255
    bundle, _ = picture._repr_mimebundle_()
    assert (
        bundle["text/html"]
        == f'<img src="data:image/gif;base64,{base64.b64encode(picture.data).decode()}" '
        'width="448" alt="film of what G draws from the same noise at 5 steps from 0 to 40">'
    )
    picture.save(folder / "run.gif")
    assert (folder / "run.gif").read_bytes() == picture.data
    with pytest.raises(ValueError, match="run.png.* for a GIF"):
        picture.save(folder / "run.png")


def test_a_folder_without_pictures(tmp_path):
    with pytest.raises(ValueError, match="holds no pictures of a run; train with view=LiveView"):
        ganlib.timeline(tmp_path)


class Clock:
    """A clock that the test moves."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Screen:
    def __init__(self):
        self.drawn, self.closed = [], None

    def open(self):
        pass

    def draw(self, picture, status, progress, verdict):
        self.drawn.append((status, progress))

    def close(self, reason):
        self.closed = reason


@pytest.fixture
def watched(small, monkeypatch):
    """A view with the test's own clock and screen, and a run that takes `step_seconds` per step."""
    clock, screen = Clock(), Screen()
    monkeypatch.setattr(live_view.time, "monotonic", clock)
    monkeypatch.setattr(live_view, "drawn", lambda look: None)

    def watch(steps, step_seconds, draw_seconds=0.0, **settings):
        gan = small()

        def slow(*args, **kwargs):
            clock.now += draw_seconds

        gan.look = slow
        live = LiveView(**settings)
        live.screen = screen
        now = Now(gan)
        now.progress = 0.0
        live.update(now, force=True)
        for gan.step in range(1, steps + 1):
            clock.now += step_seconds
            gan.images_seen = 100 * gan.step
            now.stats = {
                name: torch.tensor(0.5) for name in ("d_loss", "g_loss", "p_real", "p_fake")
            }
            now.progress = gan.step / steps
            live.update(now, force=gan.step == steps)
        live.close(now)
        return screen.drawn

    return watch


def test_updates_are_a_second_apart(watched):
    assert 88 <= len(watched(steps=1000, step_seconds=0.1)) <= 102


def test_updates_take_one_percent_at_most(watched):
    """Pictures of 1 s each and 2,000 s of steps: at most one each 100 s."""
    assert 18 <= len(watched(steps=2000, step_seconds=1.0, draw_seconds=1.0)) <= 22


def test_updates_are_800_at_most_and_last_until_the_end(watched):
    drawn = watched(steps=20_000, step_seconds=0.5, total=20_000)
    assert 700 <= len(drawn) <= 801
    assert drawn[-1][0].startswith("step 20,000 / 20,000")
    assert drawn[-2][1] > 0.99  # still live near the end


def test_the_status_line(watched):
    drawn = watched(steps=100, step_seconds=1.0, total=100)
    assert drawn[0][0] == "step 0 / 100"
    expected = (
        "step 50 / 100 · D(real) 0.50 · D(fake) 0.50 · loss D 0.500 · loss G 0.500 · "
        "100 images/s · 0:50 left"
    )
    assert expected in [status for status, _ in drawn]


def test_a_notebook_cell_is_updated_in_place(small, digits, monkeypatch):
    shown, updates, kinds = [], [], []

    class Handle:
        def update(self, bundle, metadata, raw):
            updates.append(bundle)
            kinds.append(metadata)

    def display(bundle, metadata, raw, display_id):
        shown.append((bundle, display_id))
        kinds.append(metadata)
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    live = LiveView(total=5, every=0)
    live.screen = live_view._Cell()
    for _ in ganlib.train(small(), digits, until=5, view=live, batch_size=10):
        pass
    (picture, first), (status, second) = shown
    assert (
        picture["text/plain"] == "<live samples>"
        and "image/png" in picture
        and first is second is True
    )
    assert status["text/plain"] == "step 0 / 5" and status["text/html"] == "<pre>step 0 / 5</pre>"
    assert len(updates) >= 2 and updates[-1]["text/plain"].startswith("step 5 / 5 · D(real)")
    assert updates[-1]["text/plain"].endswith(" · 5 steps")
    said = "what G draws from the same noise at each time; grid: 64 images"
    assert [kind["image/png"]["alt"] for kind in kinds[::2]] == [said] * (len(kinds) // 2)


def test_several_runs_share_one_picture_where_the_view_stays(small, digits, monkeypatch):
    def shown(stay):
        made = []
        monkeypatch.setattr(
            "IPython.display.display", lambda *args, **settings: made.append(settings) or Handle()
        )
        live = LiveView(every=0, stay=stay)
        live.screen = live_view._Cell()
        for _ in range(2):
            for _ in ganlib.train(small(), digits, until=2, view=live, batch_size=10):
                pass
        return len(made)

    class Handle:
        def update(self, *args, **settings):
            pass

    assert shown(stay=True) == 2 and shown(stay=False) == 4  # a picture and a line each


def test_lines_where_there_is_no_notebook_and_no_terminal(small, digits, capsys):
    live = LiveView(total=40, every=0)
    assert isinstance(live.screen, live_view.Lines)
    for _ in ganlib.train(small(), digits, until=40, view=live, batch_size=10):
        pass
    lines = capsys.readouterr().out.splitlines()
    assert (
        lines[0] == "step 0 / 40"
        and lines[-2].startswith("step 40 / 40")
        and lines[-1] == "ended: 40 steps"
    )
    assert 3 <= len(lines) <= 13


def test_a_bar_in_a_terminal(small, digits, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    live = LiveView(every=0)
    assert isinstance(live.screen, live_view.Bar)
    for _ in ganlib.train(small(), digits, until=20, view=live, batch_size=10):
        pass
    bar = capsys.readouterr().err
    assert "100%" in bar and "step 20 · D(real)" in bar


def test_of_a_conditional_g_each_column_is_a_class(digits, tmp_path):
    torch.manual_seed(0)
    G, D = (
        ganlib.nets.ConvGenerator(8, widths=(8, 8), classes=10),
        ganlib.nets.ConvDiscriminator(widths=(8, 8), classes=10),
    )
    gan = ganlib.GAN(G, D, seed=0)
    live = ganlib.LiveView(folder=tmp_path, every=0, picture_every=1)
    for _ in ganlib.train(gan, digits, until=2, batch_size=10, view=live):
        pass
    images, columns = timeline.read_moment(tmp_path / "pictures" / "0000002.png")
    assert columns == 10 and torch.equal(images, ganlib.data.as_uint8(gan.class_grid()))
    assert ganlib.timeline(tmp_path, animated=True).data and ganlib.timeline(tmp_path).data


def test_what_is_generated_says_so_in_its_file(small, digits, tmp_path):
    """PNG and GIF, of `sample`, the live view and the timeline; real images do not."""
    gan = small()
    ganlib.show(gan.sample(4)).save(tmp_path / "fakes.png")
    ganlib.show(digits.images[:4]).save(tmp_path / "reals.png")
    view = ganlib.LiveView(folder=tmp_path / "run", picture_every=1, every=0)
    for _ in ganlib.train(gan, digits, until=2, batch_size=4, view=view):
        pass
    ganlib.timeline(tmp_path / "run").save(tmp_path / "time.png")
    ganlib.timeline(tmp_path / "run", animated=True).save(tmp_path / "time.gif")
    fakes = [
        tmp_path / "fakes.png",
        tmp_path / "run" / "latest.png",
        tmp_path / "time.png",
        tmp_path / "time.gif",
    ]
    for file in [*fakes, *(tmp_path / "run" / "pictures").iterdir()]:
        with Image.open(file) as picture:
            note = picture.info.get("Comment") or picture.info["comment"].decode()
            assert note.startswith("generated"), file
    with Image.open(tmp_path / "reals.png") as picture:
        assert "Comment" not in picture.info


def test_a_live_picture_in_colour_is_a_jpeg_and_a_grey_one_a_png():
    """A saved notebook holds each: a JPEG is a third as large, and nobody counts its pixels."""
    smooth = torch.linspace(-1, 1, 32).expand(64, 3, 32, 32) * torch.linspace(-1, 1, 64).view(
        64, 1, 1, 1
    )
    colour, grey = ganlib.show(smooth, scale=2), ganlib.show(smooth[:, :1], scale=2)
    bundle, size = colour.lossy()._repr_mimebundle_()
    assert set(bundle) == {"image/jpeg", "text/plain"} and size == {
        "image/jpeg": {"width": colour.width, "alt": "grid: 64 images"}
    }
    with (
        Image.open(io.BytesIO(colour.lossy().data)) as ours,
        Image.open(io.BytesIO(colour.data)) as exact,
    ):
        apart = numpy.abs(numpy.asarray(ours, int) - numpy.asarray(exact, int))
        assert ours.size == exact.size and apart.mean() < 3
    assert grey.lossy() is grey
    said = ganlib.show(smooth, generated=True).lossy()
    assert Image.open(io.BytesIO(said.data)).info["comment"].decode().startswith("generated")


def test_a_live_picture_takes_the_smaller_of_two_forms():
    """Flat colours are smaller with a palette, noise as a JPEG; grey pictures stay."""
    draws = torch.Generator().manual_seed(0)
    flat = torch.randint(0, 3, (40, 3, 4, 4), generator=draws) / 2  # 27 colours
    flat = flat.repeat_interleave(7, 2).repeat_interleave(7, 3)
    noise = torch.rand(40, 3, 28, 28, generator=draws)
    for images, kind in ((flat, "png"), (noise, "jpeg")):
        exact = ganlib.show(2 * images - 1, generated=True, title="a set")
        small = compact(exact)
        assert small.mime == f"image/{kind}" and len(small.data) <= len(exact.lossy().data)
        assert (small.width, small.alt, small.generated) == (exact.width, exact.alt, True)
    grey = ganlib.show(2 * flat[:, :1] - 1)
    assert compact(grey) is grey


def test_the_map_of_the_six_steps_marks_the_step_where_one_is():
    whole, third = ganlib.six_steps(), ganlib.six_steps(3)
    assert repr(whole) == "<map of the six steps>"
    assert repr(third) == "<map: step 3, D judges real and fake>"

    def reds(picture):
        with pixels(picture) as opened:
            rgb = torch.from_numpy(numpy.array(opened.convert("RGB"))).int()
        red = (rgb[..., 0] > 190) & (rgb[..., 1] < 80) & (rgb[..., 2] < 80)
        return red.sum().item()

    assert reds(third) > reds(whole) + 150  # the disc with the number
    assert len({ganlib.six_steps(i).data for i in (None, *range(1, 7))}) == 7
    with pytest.raises(ValueError, match="step=7 was given; 1 to 6"):
        ganlib.six_steps(7)


def test_speed_and_time_left_are_those_of_the_last_minute(small, monkeypatch):
    """100 steps of 10 images at 2 a second, then the machine becomes four times as slow."""
    lines, clock, gan = [], 1000.0, small()
    monkeypatch.setattr(live_view.time, "monotonic", lambda: clock)
    live = LiveView(every=0, share=1e9, draw=lambda gan: None)
    screen = {"open": int, "draw": lambda *given: lines.append(given[1]), "close": lambda _: None}
    live.screen = SimpleNamespace(**screen)
    live.update(Now(gan, progress=0.0))
    for step in range(1, 101):
        clock += 0.5 if step <= 50 else 2.0
        gan.step, gan.images_seen = step, 10 * step
        live.update(Now(gan, progress=step / 200))
        if step == 50:
            assert lines[-1] == "step 50 · 20 images/s · 1:15 left"
    assert lines[-1] == "step 100 · 5 images/s · 3:20 left"
    live.close(Now(gan, progress=0.5, reason="stopped"))
    assert lines[-1] == "step 100 · 8 images/s · stopped"  # 1,000 images in 125 s
