"""The pixel faces, the reader of their attributes, and their sentences."""

import re

import pytest
import torch
from conftest import same
from player import drawn_by
from test_picture_nets import shaken

import ganlib
from ganlib import games, nets
from ganlib.__main__ import main
from ganlib.data.shipped.faces import ATTRIBUTES, faces
from ganlib.games.faces import commands
from ganlib.keep import onnx, page
from ganlib.nets import rebuild


@pytest.fixture(scope="module")
def known():
    return games.faces.reader()


def test_faces_ship_with_their_attributes():
    data, (images, attributes) = ganlib.load("faces"), faces()
    assert len(data) == 10_000 and data.shape == (3, 16, 16) and len(data.classes) == 10
    assert torch.equal(data.images, images) and len(images.flatten(1).unique(dim=0)) == 10_000
    for i, values in enumerate(ATTRIBUTES.values()):
        shares = attributes[:, i].bincount() / 10_000
        assert len(shares) == len(values) and shares.min() > 0.08
    first = data.classes[data.labels[0]]
    length, hair = (list(ATTRIBUTES.values())[i][attributes[0, i]] for i in (0, 1))
    assert first == f"{length} {hair} hair"
    with pytest.raises(ValueError, match='"faces" has no test images'):
        ganlib.load("faces", split="test")


def test_the_paper_and_the_skin_are_where_they_should_be():
    """By the colour of pixels: the corners are paper, and skin gets darker from light to dark."""
    images, attributes = faces()
    corner = images[:, :, 0, 0]
    for value in range(4):
        assert len(corner[attributes[:, 5] == value].unique(dim=0)) <= 8
        common = corner[attributes[:, 5] == value].mode(0).values
        assert (corner[attributes[:, 5] == value] == common).all(1).float().mean() > 0.9
    neck = images[:, :, 12, 7].float().mean(1)
    tones = [neck[attributes[:, 2] == value].mean().item() for value in range(4)]
    assert tones == sorted(tones, reverse=True)


def test_the_reader_reads_faces_that_it_was_not_trained_on(known):
    """99 % or more of each attribute, through noise too: a checker that may judge fakes."""
    images, attributes = faces()
    x = ganlib.Images(images[9000:], name="others").floats(slice(None))
    for noise in (0, 0.05, 0.1):
        seen = x + noise * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
        right = (known.read(seen) == attributes[9000:]).double().mean(0)
        assert (right >= 0.99).all(), (noise, right)
    with pytest.raises(ValueError, match="face-reader.* reads float \\(N, 3, 16, 16\\)"):
        known.read(torch.zeros(2, 1, 28, 28))


def test_shares_and_kl(known):
    """Real faces have their own shares; of light skin alone the divergence is -log of its share."""
    images, attributes = faces()
    x = ganlib.Images(images, name="all").floats(slice(None))
    judged = games.faces.judge_attributes(x[:3000], attributes[:3000], known)
    assert all(row["kl"] < 0.003 and row["asked"] > 0.99 for row in judged.values())
    assert "as asked" in str(judged) and "light" in str(judged)
    light = attributes[:, 2] == 0
    judged = games.faces.judge_attributes(x[light], known=known)
    share = light.double().mean()
    assert judged["skin"]["kl"] == pytest.approx(-share.log().item(), abs=0.01)
    assert judged["skin"]["shares"]["light"][0] > 0.99 and "asked" not in judged["skin"]
    asked = torch.full((500, 6), -1)
    asked[:, 3] = 1 - attributes[:500, 3]
    judged = games.faces.judge_attributes(x[:500], asked, known)
    assert judged["glasses"]["asked"] < 0.01 and "asked" not in judged["hat"]


def test_sentences_say_what_a_face_has():
    data, hidden = games.faces.captions()
    assert hidden.shape == (32, 6) and (hidden[:, 5] == -1).all()
    said = games.words.said(data.labels, data.classes)
    assert data.labels.shape == (len(data), 7) and len(data.classes) == 1 + 2 + 5 + 4 + 4
    never = set(games.faces.spoken(hidden))
    assert not never & set(said) and {w for s in never for w in s.split()} <= set(data.classes)
    images, attributes = faces()
    every = games.faces.spoken(attributes)
    shown = [i for i, sentence in enumerate(every) if sentence not in never]
    assert len(shown) == len(data) > 7500
    assert torch.equal(data.images, images[shown]) and said == [every[i] for i in shown]
    assert "dark face long red hair glasses hat" in {*every, *never}
    everything, none = games.faces.captions(hidden=0)
    assert len(everything) == 10_000 and len(none) == 0
    with pytest.raises(ValueError, match="hidden=0.6 was given; a share from 0 to 0.5"):
        games.faces.captions(hidden=0.6)


def test_a_reader_judges_a_run(known):
    """`evaluate` takes it as an extractor; the words' recipe takes the sentences."""
    data = ganlib.load("faces")
    gan = ganlib.recipe("style", data.shape, classes=10).gan(0)
    found = ganlib.evaluate(
        gan, data, 200, known, held_out=data.subset(torch.arange(200)), quiet=True
    )
    assert found["coverage"] <= 1 and found["frechet_distance"] > 1
    captioned, _ = games.faces.captions()
    made = games.words.recipe(captioned, images=320)
    told = made.gan(0)
    for _ in ganlib.train(told, captioned, made, until=2, batch_size=10):
        pass
    assert told.sample(labels=captioned.labels[:3], n=3).shape == (3, 3, 16, 16)


# The nets that are asked in words, in colour

ASKED = {"words": 9, "length": 3}


@torch.no_grad()
def test_the_sentence_goes_to_the_mapping_net():
    """As loud as the noise, and behind it."""
    torch.manual_seed(0)
    G = nets.WordsStyleGenerator(12, (3, 16, 16), said=5, **ASKED).eval()
    z, rows = torch.randn(4, 12), torch.tensor([[1, 2, 0], [3, 4, 5], [1, 2, 0], [8, 0, 0]])
    vector = G.sentence(rows)
    assert torch.allclose(vector.square().mean(1).sqrt(), torch.ones(4), atol=1e-3)
    plain = nets.StyleGenerator(17, (3, 16, 16)).eval()
    weights = {k: x for k, x in G.state_dict().items() if not k.startswith("sentence.")}
    plain.load_state_dict(weights)
    assert torch.allclose(G(z, rows), plain(torch.cat([z, vector], 1)), atol=1e-5)
    assert not hasattr(G, "classes") and G.latent_dim == 12 and G.length == 3


@torch.no_grad()
def test_d_in_colour_adds_the_sentence_to_its_logit():
    torch.manual_seed(0)
    D = nets.WordsPictureDiscriminator((3, 16, 16), words=9)
    plain = nets.PictureDiscriminator((3, 16, 16))
    weights = {k: x for k, x in D.state_dict().items() if not k.startswith("sentence.")}
    plain.load_state_dict(weights)
    x, rows = torch.randn(4, 3, 16, 16), torch.tensor([[1, 2, 0], [3, 4, 5], [1, 2, 0], [8, 0, 0]])
    seen = plain.layers(x).permute(0, 2, 3, 1).flatten(1)
    assert torch.allclose(D(x, rows), plain(x) + (D.sentence(rows) * seen).sum(1), atol=1e-5)


@torch.no_grad()
def test_they_are_built_again_drawn_by_the_page_and_by_onnx(tmp_path):
    torch.manual_seed(0)
    G = shaken(nets.WordsStyleGenerator(12, (3, 16, 16), said=5, level=True, **ASKED))
    D = nets.WordsPictureDiscriminator((3, 16, 16), words=9)
    for net, player in ((G, "G"), (D, "D")):
        settings = rebuild.settings(net)
        again = rebuild.build(settings, player, net.state_dict())
        assert type(again) is type(net) and rebuild.settings(again) == settings
    inputs = page.example(G, 3)
    words = ("", *"abcdefgh")
    (tmp_path / "page.html").write_text(page.page(G, "told", "notice", words))
    expected = G(*inputs)
    found = drawn_by(tmp_path / "page.html", inputs).view_as(expected)
    assert (found - expected).abs().max() < 4e-3 * expected.abs().max()
    runtime = pytest.importorskip("onnxruntime")
    content, said = onnx.onnx_file(G)
    assert content is not None, said
    session = runtime.InferenceSession(content)
    names = [x.name for x in session.get_inputs()]
    for n in (1, 7):
        inputs = page.example(G, n)
        (images,) = session.run(None, dict(zip(names, (x.numpy() for x in inputs), strict=True)))
        assert torch.allclose(torch.from_numpy(images), G(*inputs), rtol=1e-4, atol=1e-4)


def test_a_run_in_words_and_colour_is_the_same_when_it_is_cut(tmp_path):
    data, _ = games.faces.captions()
    data = data.subset(torch.arange(200))
    made = games.words.recipe(data, images=640)
    assert made.warm == 192 and "WordsStyleGenerator" in repr(made.G)

    def fresh():
        torch.manual_seed(2)
        return made.gan(4)

    def play(gan, until, **settings):
        for _ in ganlib.train(gan, data, made, until=until, batch_size=32, **settings):
            pass
        return gan

    whole = play(fresh(), 9)  # six steps of G alone, then three of the game
    play(fresh(), 7, folder=tmp_path)
    again = made.gan(4)
    assert ganlib.resume(tmp_path, again)
    play(again, 9, folder=tmp_path)
    assert again.step == 9 and same(whole.G.state_dict(), again.G.state_dict())
    assert same(whole.D.state_dict(), again.D.state_dict())


def test_the_judge_of_captions_knows_right_from_wrong(known):
    """Real faces of their sentences, faces of other ones, and faces with other hair alone."""
    data, hidden = games.faces.captions()
    images, attributes = faces()
    x = ganlib.Images(images, name="all").floats(slice(None))
    at = {}
    for i, sentence in enumerate(games.faces.spoken(attributes)):
        at.setdefault(sentence, []).append(i)

    class Real:
        device, trained_on = "cpu", {"loaded": data.loaded}

        def __init__(self, change):
            self.change = change

        def sample(self, n, labels, stream):
            asked = games.words.said(labels, data.classes)
            found = []
            for i, sentence in enumerate(asked):
                rows = at[sentence]
                found.append(self.change(rows[i % len(rows)]))
            return x[found]

    judged = games.faces.judge_captions(Real(lambda i: i), 640, known)
    assert all(row["all"] > 0.97 and row["hair"] > 0.98 for row in judged.values())
    assert judged["hidden"]["interval"][1] > judged["hidden"]["all"] and "hidden" in str(judged)
    other = {}  # a face that differs in hair alone
    for i, row in enumerate(attributes[:, [0, 2, 3, 4]].tolist()):
        other.setdefault(tuple(row), []).append(i)

    def bleached(i):
        group = other[tuple(attributes[i, [0, 2, 3, 4]].tolist())]
        return next(j for j in group if attributes[j, 1] != attributes[i, 1])

    judged = games.faces.judge_captions(Real(bleached), 640, known)
    for row in judged.values():
        assert row["hair"] < 0.02 and row["all"] < 0.02 and row["skin"] > 0.98


def test_the_command_line_draws_faces_from_words(tmp_path, capsys):
    run, out = str(tmp_path / "run"), str(tmp_path / "out.png")
    train = ["train", "--game", "words", "--data", "faces", "--until", "96 images", "--out", run]
    assert main([*train, "--device", "cpu"]) == 0
    said = "dark face long red hair glasses"
    assert main(["sample", run, "--say", said, "--n", "8", "--out", out]) == 0
    assert main(["sample", run, "--say", "forty two", "--out", out]) == 1
    assert "'forty'" in capsys.readouterr().err
    assert main(["evaluate", run, "--n", "64"]) == 0
    assert re.search(r"hidden +[\d.]+%", capsys.readouterr().out)
    assert main(["export", run, "--to", str(tmp_path / "shared")]) == 0
    G = ganlib.load_generator(tmp_path / "shared")
    asked = games.words.encode(said, G.config["class_names"], G.length)
    assert G(torch.randn(1, G.latent_dim), asked).shape == (1, 3, 16, 16)


def test_wrong_input_to_the_judges_is_named(known):
    images = ganlib.Images(faces()[0][:20], name="some").floats(slice(None))
    for wrong in (images[:0], images * float("nan")):
        with pytest.raises(ValueError, match="one or more, all finite, are expected"):
            games.faces.judge_attributes(wrong, known=known)
    with pytest.raises(ValueError, match="int64 \\(20, 6\\) is expected"):
        games.faces.judge_attributes(images, torch.zeros(20, 5), known)
    assert games.faces.judge_attributes(images.double(), known=known)["hat"]["kl"] < 1
    with pytest.raises(ValueError, match="32 sentences are hidden: 32 faces"):
        games.faces.judge_captions(None, 31, known)
    with pytest.raises(ValueError, match="10 images or more"):
        games.words.recipe(games.faces.captions()[0], images=5)


# The command line


def test_a_run_on_faces_is_judged_by_their_reader(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    start = ["train", "--data", "faces", "--recipe", "style", "--device", "cpu"]
    assert main([*start, "--batch-size", "10", "--steps", "2", "--out", "run"]) == 0
    capsys.readouterr()
    assert main(["evaluate", "run", "--n", "150"]) == 0
    said = capsys.readouterr().out
    sha256 = games.faces.reader().sha256[:12]
    assert f"features: face-reader.safetensors, SHA-256 {sha256}" in said
    for name in ATTRIBUTES:
        (line,) = [line for line in said.splitlines() if line.split()[:1] == [name]]
        assert "KL" in line
    assert main(["evaluate", "run", "--n", "150", "--extractor", "pixels"]) == 0
    said = capsys.readouterr().out
    assert "features: pixels" in said and "KL" not in said
    ganlib.save("other", ganlib.recipe("small").gan(0))
    assert not commands.plays("other") and not commands.plays("nothing")
