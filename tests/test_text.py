"""Text out and in: a line that cannot be printed ends no run, a name that cannot be shown breaks no
page, and a number or truth value that cannot be read is named.
"""

import html.parser
import io
import json
import os
import re
import subprocess
import sys

import numpy
import pytest
import torch
from conftest import ROOT
from PIL import Image
from test_house import CORE, FILES, closure

import ganlib
from ganlib import nets
from ganlib.__main__ import main
from ganlib.keep import checkpoint, page
from ganlib.keep.card import card, plain, yaml
from ganlib.machine.choices import flag, whole
from ganlib.machine.progress import Progress, Tolerant, readable, say
from ganlib.run.until import Rule, length

# Text out


class Odd(io.StringIO):
    """A stdout that fails as `error` says, or takes only what its encoding can say."""

    def __init__(self, error=None, encoding="utf-8"):
        super().__init__()
        self.error, self.coded = error, encoding

    @property
    def encoding(self):
        return self.coded

    def write(self, text):
        if self.error:
            raise self.error
        text.encode(self.coded)
        return super().write(text)


@pytest.mark.parametrize(
    "encoding, expected",
    [
        ("utf-8", "a · b → ∞ é\n"),
        ("latin-1", "a · b -> \\u221e é\n"),
        ("cp932", "a - b -> ∞ \\xe9\n"),
        ("ascii", "a - b -> \\u221e \\xe9\n"),
    ],
)
def test_what_a_terminal_has_not_is_written_otherwise(encoding, expected, monkeypatch):
    monkeypatch.setattr(sys, "stdout", out := Odd(encoding=encoding))
    say("a · b → ∞ é")
    if encoding in ("latin-1", "cp932"):  # one character that is missing costs the plain ones
        expected = expected.replace("·", "-")
    assert out.getvalue() == expected


@pytest.mark.parametrize(
    "error", [BrokenPipeError(32, "Broken pipe"), OSError(28, "No space"), ValueError("closed")]
)
def test_a_stdout_that_fails_ends_no_run(error, monkeypatch, small, digits, tmp_path):
    monkeypatch.setattr(sys, "stdout", Odd(error))
    monkeypatch.setattr(sys, "stderr", Odd(error))
    gan, view = small(), ganlib.LiveView(total=4, every=0)
    for now in ganlib.train(gan, digits, until=4, batch_size=4, folder=tmp_path, view=view):
        pass
    assert gan.step == 4 and checkpoint.newest(tmp_path)["state"]["step"] == 4


def test_without_stdout_and_stderr(monkeypatch, small, digits, tmp_path):
    """As in Windows' pythonw, and after they were closed."""
    for nothing in (None, io.StringIO()):
        if nothing is not None:
            nothing.close()
        monkeypatch.setattr(sys, "stdout", nothing)
        monkeypatch.setattr(sys, "stderr", nothing)
        gan = small()
        for _ in ganlib.train(gan, digits, until=2, batch_size=4, view=ganlib.LiveView(every=0)):
            pass
        say("nowhere")
        Progress().tell(0.5, "nowhere")
        assert gan.step == 2


def run(code, encoding="utf-8", **settings):
    return subprocess.run(
        code,
        capture_output=True,
        cwd=settings.pop("cwd", None),
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding},
        **settings,
    )


def test_the_command_line_where_nobody_reads(tmp_path):
    """`ganlib train | head -n 0`: the run goes to its end, and Python ends in peace."""
    out = tmp_path / "run"
    command = f"{sys.executable} -m ganlib train --steps 60 --batch-size 4 --out {out}"
    done = run(["bash", "-c", f"{command} | head -n 0; exit ${{PIPESTATUS[0]}}"])
    assert done.returncode == 0 and done.stderr == b"", done.stderr
    assert checkpoint.newest(out)["state"]["step"] == 60
    closed = run(["bash", "-c", f"{command.replace('60', '70')} >&- 2>&-; exit $?"])
    assert closed.returncode == 0 and checkpoint.newest(out)["state"]["step"] == 70


def test_a_bar_in_a_terminal_of_no_width(monkeypatch):
    out = Odd(encoding="ascii")
    out.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", out)
    monkeypatch.setenv("COLUMNS", "0")
    bar = Progress(bar=True)
    bar.tell(0.25, "step 1 · loss\nD")
    bar.close()
    assert "25%" in out.getvalue() and "step 1 - loss D" in out.getvalue()


def test_the_status_line_is_one_line(small, digits):
    lines = []
    view = ganlib.LiveView(every=0)
    view.screen.draw = lambda picture, status, *_: lines.append(status)
    until = lambda now: "it is\nover \x1b[2J" if now.step == 2 else None  # noqa: E731
    for _ in ganlib.train(small(), digits, until=until, batch_size=4, view=view):
        pass
    assert lines[-1].endswith("it is over \\x1b[2J") and not any("\n" in line for line in lines)


def test_nothing_but_say_prints():
    """All that can print in a run prints by `say`; the core, thin as it is, has lines in ASCII.
    `nets`, which imports no other room, has one guarded print.
    """
    assert FILES["nets.trying"].read_text().count("print(") == 1
    left = {"__main__", "machine.progress", "nets.trying"} | {
        name for name in FILES if "lessons" in name
    }
    for name in set(FILES) - left:
        for line in FILES[name].read_text().splitlines():
            if re.match(r"\s*print\(", line):
                assert name in closure(*CORE), f"{name}: {line.strip()}"
                assert line.isascii()


@pytest.mark.parametrize(
    "name, expected",
    [
        ("cats", "cats"),
        ("日本 é 👩\u200d👧", "日本 é 👩\u200d👧"),
        ("caf\udce9", "caf\\xe9"),
        ("\ud83d", "\\ud83d"),
        ("a\nb\t\x1b[2J\x7f\x85", "a\\nb\\t\\x1b[2J\\x7f\\x85"),
        ("\u202egpj.exe\u2066\u200f", "\\u202egpj.exe\\u2066\\u200f"),
        ("a\u2028b", "a\\u2028b"),
        (7, "7"),
    ],
)
def test_a_name_that_can_be_shown(name, expected):
    shown = readable(name)
    assert shown == expected and shown.encode() and readable(shown) == shown


NAMES = {
    "bytes": "caf\udce9",
    "tag": "<img src=x onerror=alert(1)>",
    "line": "a\n---\nlicense: mit\n\n# owned",
    "turned": "\u202egnp.exe",
    "long": "n" * 200,
    "dollars": "$x_$ ${a}$ @@WEIGHTS@@ [x](javascript:1) | `b`",
}


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """Images in class folders with the names above; a conditional run on them; its export."""
    place = tmp_path_factory.mktemp("named")
    draws = numpy.random.default_rng(0)
    for name in NAMES.values():
        (place / "set\udce9" / name).mkdir(parents=True)
        for i in range(4):
            image = Image.fromarray(draws.integers(0, 256, (28, 28), numpy.uint8))
            image.save(place / "set\udce9" / name / f"{i}.png")
    data = ganlib.load(place / "set\udce9", size=28, root=place / "data")
    made = ganlib.recipe("small", data.shape, classes=len(data.classes))
    gan, view = made.gan(0), ganlib.LiveView(folder=place / "run", every=0, picture_every=1)
    for _ in ganlib.train(gan, data, made, until=2, batch_size=4, folder=place / "run", view=view):
        pass
    ganlib.export(place / "run", place / "out", name="<b>\n@@PROGRAM@@\udce9", license="no: way\n#")
    return place, data, gan


def test_folders_with_any_names_are_loaded_trained_looked_at_and_exported(named):
    place, data, gan = named
    assert set(data.classes) == set(map(readable, NAMES.values()))
    assert data.name == "set\\xe9" and len(set(data.labels.tolist())) == len(NAMES)
    again = ganlib.load(place / "set\udce9", size=28, root=place / "data")  # prepared before
    assert again.classes == data.classes and again.name == data.name
    report = str(ganlib.preflight(data, seconds=0))
    assert report.encode() and "caf\\xe9 4" in report and "\x1b" not in report
    assert ganlib.resume(place / "run", again := ganlib.recipe("small", classes=6).gan(0))
    assert again.trained_on["classes"] == list(data.classes)
    json.loads((place / "run" / "history.json").read_text())
    assert ganlib.curves(gan.history).data and ganlib.timeline(place / "run").data
    assert ganlib.show(gan.class_grid(), columns=data.classes, title="$x_$\udce9"[:4]).data


class Tags(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text = [], {}

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text.setdefault(self.tags[-1] if self.tags else "", data)


def test_no_name_breaks_the_page(named):
    place, data, _ = named
    text = (place / "out" / "index.html").read_text("utf-8")
    read = Tags()
    read.feed(text)
    assert "img" not in read.tags and read.tags.count("script") == 3
    assert read.text["title"] == "<b>\\n@@PROGRAM@@\\xe9" == read.text["h1"]
    program = json.loads(re.search(r'application/json">(.*?)</script>', text, re.S)[1])
    assert program["classes"] == list(data.classes)
    shown = page.page(nets.MLPGenerator(4, widths=(4,)), "@@WEIGHTS@@", "n")
    assert shown.count("<title>@@WEIGHTS@@</title>") == 1


def test_no_name_breaks_the_card(named):
    place, data, _ = named
    text = (place / "out" / "README.md").read_text("utf-8")
    _, front, body = text.split("---\n", 2)
    keys = [line.partition(":")[0] for line in front.splitlines()]
    assert keys == ["license", "library_name", "tags"]
    assert front.splitlines()[0] == 'license: "no: way\\\\n#"'
    heads = re.findall(r"^#+ .*", body, re.M)
    assert heads[0] == "# &lt;b&gt;\\\\n&#64;&#64;PROGRAM&#64;&#64;\\\\xe9"
    assert heads[1:] == ["## Use", "## Training", "## Figures", "## Licence and data"]
    assert "<" not in re.sub(r"```.*?```", "", body, flags=re.S)
    line = next(line for line in body.splitlines() if line.startswith("- classes: "))
    assert "&lt;img src=x onerror=alert(1)&gt;" in line and "\\[x\\](javascript:1)" in line
    assert body.count("\n---") == 0 and "\u202e" not in text


@pytest.mark.parametrize(
    "text, expected",
    [
        ("My cats, 200 of (1, 28, 28)", "My cats, 200 of (1, 28, 28)"),
        ("</script><b>", "&lt;/script&gt;&lt;b&gt;"),
        ("a_b *c* `d` [e](f) #g ~h~ |", r"a\_b \*c\* \`d\` \[e\](f) \#g \~h\~ \|"),
        ("- item", "&#45; item"),
        ("1. one", "&#49;. one"),
        ("---", "&#45;--"),
        ("https://a.b @c www.d", "https&#58;//a.b &#64;c www&#46;d"),
        ("&lt;", "&amp;lt;"),
        (" \n ", r"\\n"),
        ("", "(no name)"),
    ],
)
def test_markdown_shows_a_name_as_it_is(text, expected):
    assert plain(text) == expected


@pytest.mark.parametrize("text", ["mit", "no", "1.0", "null", "a: b", "#", "it's", '"', "2026-1-1"])
def test_yaml_reads_a_name_back(text):
    """By PyYAML where it is there; without, by hand: bare is only what cannot be anything else."""
    written = yaml(text)
    assert written == text if text == "mit" else json.loads(written) == text
    if (reader := pytest.importorskip("yaml")) is not None:
        assert reader.safe_load(f"a: {written}\nb: 1") == {"a": text, "b": 1}


def test_a_card_without_classes_or_figures():
    config = json.loads(json.dumps(CONFIG))
    assert "Not evaluated" in card(config, None, [], ["a"])


CONFIG = {
    "name": "x",
    "license": "mit",
    "notice": "Synthetic.",
    "generator": {"net": "MLPGenerator", "latent_dim": 4},
    "class_names": [],
    "trained_on": {"data": "a\n- b", "batch_size": 4},
    "input": {"z": [4], "labels": None},
    **{"steps": 1, "images_seen": 4, "seed": 0, "precision": "float32"},
    **{"weights": "G", "library": "ganlib", "onnx": "none: `<b>`"},
}


# Text in


@pytest.mark.parametrize(
    "text, expected",
    [
        *[(text, None) for text in ("1,5k images", "0,5h", "2,5M images", "1,5", "12,34 images")],
        *[
            (text, None)
            for text in ("1,500k", "0,500 h", "1.500 images", "2.5 steps", "1__0 steps")
        ],
        *[(text, None) for text in ("nan", "inf", "-5", "-5 images", "1e5", "true", "5 apples")],
        *[(x, None) for x in (float("nan"), float("inf"), 1.5, -1, -1.0, True, False, None, [3])],
        ("1,500,000 images", (1_500_000, "image")),
        ("1,500 images", (1500, "image")),
        ("1,500.5 s", (1500.5, "second")),
        ("1.5k images", (1500, "image")),
        ("1.001k images", (1001, "image")),
        ("0.5 epochs", (250, "image")),
        ("  7  steps ", (7, "step")),
        ("٣ images", (3, "image")),
        ("60000.0 images", (60_000, "image")),  # f"{IMAGES} images" with IMAGES = 6e4
        (1e4, (10_000, "step")),
        (numpy.int64(5), (5, "step")),
        (torch.tensor(5), (5, "step")),
        ("0 images", (0, "image")),
    ],
)
def test_lengths(text, expected):
    assert length(text, 500) == expected


def test_a_length_that_cannot_be_read_is_named():
    with pytest.raises(ValueError, match=r"until='1,5k images' was given; .*with a point"):
        Rule("1,5k images", 500)
    assert Rule("1.5k images", 500).goal == 1500 and Rule("0.5h", 500).goal == 1800


@pytest.mark.parametrize(
    "value", ["false", "no", "0", "", "True", "yes", None, 2, 0.5, [], "False"]
)
def test_fresh_is_true_or_false(value, small, digits, tmp_path):
    for _ in ganlib.train(small(), digits, until=2, batch_size=4, folder=tmp_path / "run"):
        pass
    with pytest.raises(ValueError, match=r"fresh=.* was given; True or False"):
        ganlib.resume(tmp_path / "run", small(), fresh=value)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert ganlib.resume(tmp_path / "run", small(), fresh=numpy.bool_(False))


def test_flags_and_whole_numbers():
    assert flag("x", True) is True and flag("x", 0) is False and flag("x", numpy.True_) is True
    for value in (3, 3.0, numpy.int32(3), numpy.float64(3), torch.tensor(3)):
        assert whole("x", value) == 3 and type(whole("x", value)) is int
    for value in ("3", 2.5, float("nan"), float("inf"), True, None, [3], 0, -3, "٣"):
        with pytest.raises(ValueError, match=r"^x=.* was given; a whole number of at least 1 is"):
            whole("x", value)


@pytest.mark.parametrize("seed", [1.5, "5", "", None, float("nan"), 10**30, [1]])
def test_a_seed_that_is_none_is_refused_before_a_run_begins(seed):
    before = torch.initial_seed()
    with pytest.raises(ValueError, match=r"seed=.* was given; a 64-bit integer is expected"):
        ganlib.setup(seed)
    assert torch.initial_seed() == before


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda d: ganlib.recipe("small", images="100000"), "images='100000' was given; a plan"),
        (lambda d: ganlib.recipe("small", images=1e5 + 0.5), "images=100000.5 was given"),
        (lambda d: ganlib.recipe("small", images=float("nan")), "images=nan was given"),
        (lambda d: ganlib.load("./x", size="32"), "size='32' was given"),
        (lambda d: ganlib.load("./x", size=True), "size=True was given"),
        (lambda d: ganlib.load("./x", size=32.5), "size=32.5 was given"),
        (lambda d: ganlib.evaluate(made(), d, "200"), "n='200' was given; a whole number"),
        (lambda d: ganlib.evaluate(made(), d, 200.5), "n=200.5 was given; a whole number"),
        (lambda d: made(lr="2e-4"), "lr='2e-4' was given; a learning rate is above 0"),
        (lambda d: made(lr=float("nan")), "lr=nan was given"),
        (lambda d: made(betas=("0", 0.9)), r"betas=\('0', 0.9\) was given"),
        (lambda d: made(ema="1000"), "ema='1000' was given; a half-life"),
    ],
)
def test_numbers_as_a_parameter_file_may_give_them(call, message, digits):
    """YAML reads 2e-4 as a text, and papermill's -r gives texts: each error names the parameter."""
    with pytest.raises(ValueError, match=message):
        call(digits)


def made(**settings):
    G, D = nets.MLPGenerator(4, widths=(4,)), nets.MLPDiscriminator(widths=(4,))
    return ganlib.GAN(G, D, seed=0, **settings)


def test_whole_floats_are_numbers_too(tmp_path):
    assert ganlib.recipe("small", images=1e5).images == 100_000
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    assert ganlib.load(str(tmp_path), size=8.0, root=tmp_path / "r").shape == (1, 8, 8)


@pytest.mark.parametrize("name", ["phtos", "digits"])
def test_a_folder_that_is_no_path_is_explained(name, tmp_path, monkeypatch):
    """Who is told to leave the size out must not train on the embedded digits for it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    with pytest.raises(ValueError) as error:
        ganlib.load(name, size=28)
    if name == "digits":
        assert "leave it out, or give the path of a folder of your own images, as './digits'" in (
            str(error.value)
        )
    else:
        assert "unknown data set 'phtos'" in str(error.value) and "none of that name is here" in (
            str(error.value)
        )


@pytest.mark.parametrize(
    "options, message",
    [
        ("train --batch-size 0", "--batch-size 0 was given; at least 1 image"),
        ("train --batch-size -3", "--batch-size -3 was given"),
        ("train --size 0", "--size 0 was given; at least 1 pixel"),
        ("train --evaluate-every -1", "--evaluate-every -1 was given"),
        ("train --seed 99999999999999999999", "seed=99999999999999999999 was given"),
        ("train --until 1,5k", "until='1,5k' was given"),
        ("train --recipe small --until 1,5k", "until='1,5k' was given; a length is expected"),
        ("train --recipe small --steps -1", "until=-1 was given"),
        ("train --save-seconds nan", "save_seconds=nan was given"),
        ("bench --seconds nan", "--seconds nan was given"),
        ("bench --seconds inf", "--seconds inf was given"),
        ("sample . --n -1", "--n -1 was given; at least 1 image"),
        ("evaluate . --size -1", "--size -1 was given"),
    ],
)
def test_the_command_line_names_the_option(options, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(options.split()) == 1
    assert message in capsys.readouterr().err and list(tmp_path.iterdir()) == []


def test_a_stream_that_is_tolerant_is_a_stream():
    out = Odd(encoding="ascii")
    stream = Tolerant(out)
    assert stream.write("é") == 1 and out.getvalue() == "\\xe9" and stream.encoding == "ascii"
    assert Tolerant(None).write("x") == 1 and Tolerant(None).flush() is None
