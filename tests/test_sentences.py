"""The game of words: sentences, pictures of numbers, its nets and its moves written out."""

import copy
import re
from dataclasses import replace

import pytest
import torch
from conftest import same
from player import drawn_by
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate, softplus

import ganlib
from ganlib import nets
from ganlib.__main__ import main
from ganlib.games import words
from ganlib.games.words import drawing
from ganlib.games.words import handwriting as made
from ganlib.keep import onnx, page
from ganlib.nets import rebuild
from ganlib.nets.fed.words import Sentence


@pytest.fixture(scope="module")
def data():
    return words.numbers(200, seed=3)


def small(data, **settings):
    settings = {"images": 200, "latent_dim": 8} | settings
    recipe = words.recipe(data, **settings)
    changes = {"G": recipe.G.but(widths=(8, 6)), "D": recipe.D.but(widths=(6, 8)), "batch_size": 10}
    return replace(recipe, **changes)


def play(gan, data, recipe, until, **settings):
    return [
        {name: value.clone() for name, value in now.stats.items()}
        for now in ganlib.train(gan, data, recipe, until=until, batch_size=10, **settings)
    ]


# Sentences


def test_numbers_are_spelled_as_people_do():
    assert words.spelled(42) == "forty two" and words.spelled(20) == "twenty"
    assert words.spelled(13) == "thirteen" and words.spelled(99) == "ninety nine"
    assert len({words.spelled(x) for x in words.NUMBERS}) == 90
    for wrong in (9, 100, 4.5, "ten"):
        with pytest.raises(ValueError, match="10 to 99 is expected"):
            words.spelled(wrong)


def test_sentences_are_encoded_and_back():
    known = words.vocabulary(["a red hat", "no Hat"])
    assert known == ("", "a", "hat", "no", "red")
    rows = words.encode(["a red hat", "NO-hat"], known, 3)
    assert rows.tolist() == [[1, 4, 2], [3, 2, 0]] and rows.dtype == torch.int64
    assert words.said(rows, known) == ["a red hat", "no hat"]
    assert words.encode("hat", known, 1).tolist() == [[2]]
    for text, message in (
        ("a read hat", "'read' of 'a read hat' is not known; did you mean 'red'"),
        ("xylophone", "not known: a, hat, no, red are"),
        ("", "has 0 words; 1 to 3 of these are expected"),
        ("a red red hat", "has 4 words"),
    ):
        with pytest.raises(ValueError, match=message):
            words.encode(text, known, 3)
    with pytest.raises(ValueError, match="one word at least"):
        words.vocabulary(["", " "])


def test_the_hidden_numbers_are_new_combinations_of_known_words():
    shown = [x for x in words.NUMBERS if x not in made.HIDDEN]
    assert len(made.HIDDEN) == 18 and min(made.HIDDEN) >= 20 and len(shown) == 72
    seen = {word for x in shown for word in words.spelled(x).split()}
    assert all(set(words.spelled(x).split()) <= seen for x in made.HIDDEN)


def test_numbers_are_two_digits_side_by_side(data):
    digits = ganlib.load("digits")
    assert data.images.shape == (200, 1, 28, 28) and data.labels.shape == (200, 2)
    narrow = adaptive_avg_pool2d(digits.images.float(), (28, 14)).round().to(torch.uint8).flatten(1)
    asked = made.number_of(data.labels)
    assert not set(asked.tolist()) & set(made.HIDDEN) and len(set(asked.tolist())) > 50
    for i in range(20):
        for part, digit in ((0, asked[i] // 10), (1, asked[i] % 10)):
            half = data.images[i, :, :, 14 * part : 14 * part + 14].flatten()
            found = (narrow == half).all(1).nonzero().flatten()
            assert (digits.labels[found] == digit).all() and len(found) >= 1
    again = words.numbers(200, seed=3)
    assert torch.equal(again.images, data.images) and torch.equal(again.labels, data.labels)
    assert not torch.equal(words.numbers(200, seed=4).images, data.images)
    only = words.numbers(50, hidden=(), only=[42])
    assert set(made.number_of(only.labels).tolist()) == {42}
    with pytest.raises(ValueError, match="all numbers are hidden"):
        words.numbers(5, hidden=words.NUMBERS)


def test_pictures_of_numbers_are_read():
    data = words.numbers(400, seed=5, hidden=())
    found, seen = words.read(data.floats(slice(None)))
    assert (found == made.number_of(data.labels)).double().mean() > 0.96
    assert seen.shape == (400, 2, 64)
    left = interpolate(data.floats(slice(0, 9))[..., :14], (28, 28), mode="bilinear")
    net = ganlib.features.digit_classifier()
    assert torch.allclose(seen[:9, 0], net(left), atol=1e-4)
    assert made.number_of(torch.tensor([[1, 1], [0, 0]])).tolist() == [-1, -1]


# Nets


def test_the_reader_is_a_gated_recurrent_net():
    """Against torch's GRU with the same weights, on sentences of each length."""
    torch.manual_seed(0)
    ours, gru = Sentence(9, 5, loud=0.25, dim=4, hidden=6).double(), nn.GRU(4, 6, batch_first=True)
    gru = gru.double()
    with torch.no_grad():
        gru.weight_ih_l0.copy_(ours.input.weight)
        gru.bias_ih_l0.copy_(ours.input.bias)
        gru.weight_hh_l0.copy_(ours.state.weight)
        gru.bias_hh_l0.copy_(ours.state.bias)
    for sentence in ([3, 8, 1], [5, 2], [7]):
        last = gru(ours.word(torch.tensor([sentence])))[1][0]
        vector = ours.out(last)
        expected = 0.25 * vector / (vector.square().mean() + 1e-6).sqrt()
        padded = torch.tensor([sentence + [0] * (4 - len(sentence))])
        assert torch.allclose(ours(padded), expected, atol=1e-12)
        loud, ours.loud = ours.loud, None
        assert torch.allclose(ours(padded), vector, atol=1e-12)
        ours.loud = loud


def test_nets_are_built_again_from_their_settings(data):
    recipe = small(data)
    for net, player in ((recipe.G(), "G"), (recipe.D(), "D")):
        again = rebuild.build(rebuild.settings(net), player, net.state_dict())
        again.load_state_dict(net.state_dict())
        assert type(again) is type(net)
        x = torch.randn(4, 8) if player == "G" else torch.rand(4, 1, 28, 28)
        assert torch.equal(again.eval()(x, data.labels[:4]), net.eval()(x, data.labels[:4]))


def test_d_adds_whether_picture_and_sentence_fit(data):
    torch.manual_seed(0)
    D = small(data).D().double()
    x, rows = torch.rand(4, 1, 28, 28, dtype=torch.float64), data.labels[:4]
    h = D.layers(x).permute(0, 2, 3, 1).flatten(1)
    expected = D.verdict.linear(h)[:, 0] + (D.sentence(rows) * h).sum(1)
    assert torch.allclose(D(x, rows), expected, atol=1e-12)
    assert not torch.allclose(D(x, rows), D(x, rows.flip(0)))


# The game


def test_wrong_sentences_are_those_of_other_pictures():
    real, fake = torch.arange(6.0).view(6, 1, 1, 1), -torch.ones(6, 1, 1, 1)
    rows = torch.tensor([[1, 2], [1, 2], [3, 0], [1, 2], [3, 0], [4, 0]])
    mixed = drawing.mismatched(fake, real, rows, 4).flatten().tolist()
    assert mixed == [2, 2, 3, 4, -1, -1]  # the next image that says something else
    alike = torch.ones(6, 2, dtype=torch.int64)
    assert torch.equal(drawing.mismatched(fake, real, alike, 4), fake)
    assert torch.equal(drawing.mismatched(fake, real, rows, 0), fake)
    ends = drawing.mismatched(fake, real, rows, 6).flatten().tolist()
    assert ends == [2, 2, 3, 4, 5, 0]  # around the end


def test_d_is_shown_real_pictures_under_wrong_sentences(data):
    """Its loss, written out: relativistic, against fakes of which two of ten are real pictures."""
    recipe = replace(small(data), penalty=None, wrong=0.2)
    torch.manual_seed(0)
    gan = recipe.gan(0).to(dtype=torch.float64)
    gan.check(data)
    batches = data.batches(0, 0, 2, 10, torch.float64)
    G, D = copy.deepcopy(gan.G), copy.deepcopy(gan.D)
    real, rows = batches.images[0], batches.labels[0]
    fake = G(gan.noise_now(10, "D0"), rows)
    fake = drawing.mismatched(fake, real, rows, 2)
    loss = softplus(D(fake, rows) - D(real, rows)).mean()
    assert recipe.step(gan, batches)["d_loss"].item() == pytest.approx(loss.item(), abs=1e-9)
    assert (real[:, None] == fake[:2]).flatten(2).all(2).any(0).all()


def test_a_run_of_words_goes_on_bit_for_bit(data, tmp_path):
    recipe = small(data)
    torch.manual_seed(0)
    whole, first, second = (recipe.gan(0) for _ in range(3))
    for one in (first, second):
        one.load_state_dict(copy.deepcopy(whole.state_dict()))
    play(whole, data, recipe, 6)
    play(first, data, recipe, 3, folder=tmp_path)
    assert ganlib.resume(tmp_path, second)
    play(second, data, recipe, 6, folder=tmp_path)
    here, there = second.state_dict(), whole.state_dict()
    assert same({**here, "trained_on": 0, "history": 0}, {**there, "trained_on": 0, "history": 0})
    with pytest.raises(ValueError, match="wrong"):
        play(second, data, replace(recipe, wrong=0.5), 8)


def test_the_live_picture_names_its_sentences(data):
    recipe = small(data)
    gan = recipe.gan(0)
    play(gan, data, recipe, 2)
    look = recipe.look(gan)
    assert look.images.shape == (48, 1, 28, 28) and len(look.rows) == 6
    assert all(text in {words.spelled(x) for x in words.NUMBERS} for text in look.rows)
    assert torch.equal(look.images, recipe.look(gan).images)
    with pytest.raises(ValueError, match="2 labels were given for 64 images; give as many"):
        gan.sample(labels=data.labels[:2])


def test_sets_without_sentences_are_refused():
    digits = ganlib.load("digits")
    for data in (digits, ganlib.Images(digits.images)):
        with pytest.raises(ValueError, match="has no sentences: labels int64"):
            words.recipe(data)


def test_judging_says_right_and_diverse(data):
    """G's that are known: real pictures, one of them for each number, and pictures of others."""

    class Known:  # what is asked of a GAN
        device = "cpu"

        def __init__(self, kind):
            self.kind = kind

        def sample(self, labels, n, stream):
            asked = made.number_of(labels)
            pool = words.numbers(6000, 77, ())
            of = made.number_of(pool.labels)
            picks = []
            for i, x in enumerate(asked.tolist()):
                x = 10 + (x - 10 + 1) % 90 if self.kind == "others" else x
                found = (of == x).nonzero().flatten()
                picks.append(found[0 if self.kind == "one each" else i % len(found)])
            return pool.floats(torch.stack(picks))

    for kind, right, diverse in (("real", 0.96, 0.9), ("one each", 0.9, 0.0), ("others", 0.0, 0.9)):
        found = words.judge_words(Known(kind), n=300)
        for row in (found["shown"], found["hidden"]):
            if kind == "others":
                assert row["right"] < 0.02
            else:
                assert row["right"] > right - 0.05
            assert row["diversity"] < 0.05 if diverse == 0 else row["diversity"] > diverse - 0.1
            assert row["real"]["right"] > 0.95 and 0.9 < row["real"]["diversity"] < 1.1
        assert "hidden" in str(found) and "real shown" in str(found)


# Its files for others, and the command line


@torch.no_grad()
def test_the_page_and_onnx_draw_what_g_draws(data, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    G = small(data).G()
    for weight in G.parameters():  # no bias is 0, and the sentence matters
        weight += 0.1 * torch.randn(weight.shape)
    G.eval()
    z, rows = (
        torch.randn(4, 8),
        words.encode(["forty two", "ten", "nine ninety", "six"], data.classes, 2),
    )
    expected = G(z, rows)
    assert (expected[0] - G(z[:1], rows[1:2])).abs().max() > 0.1 * expected.std()
    (tmp_path / "page.html").write_text(page.page(G, "numbers", "notice", data.classes))
    found = drawn_by(tmp_path / "page.html", (z, rows)).view_as(expected)
    assert (found - expected).abs().max() < 0.01 * expected.std()
    content, _ = onnx.onnx_file(G)
    session = runtime.InferenceSession(content)
    (found,) = session.run(["images"], {"z": z.numpy(), "labels": rows.numpy()})
    assert torch.allclose(torch.from_numpy(found), expected, atol=1e-4)
    with pytest.raises(page.NoPage, match="2 words were given, and G knows 28"):
        page.page(G, "numbers", "notice", ("", "ten"))


def test_the_command_line_trains_says_judges_and_exports(tmp_path, capsys):
    run = str(tmp_path / "run")
    train = ["train", "--game", "words", "--until", "200 images", "--out", run, "--device", "cpu"]
    assert main(train) == 0 and main(train) == 0  # again: it is finished
    out = str(tmp_path / "out.png")
    assert main(["sample", run, "--say", "forty two", "--n", "8", "--out", out]) == 0
    assert main(["sample", run, "--say", "forty tow", "--out", out]) == 1
    assert "did you mean 'two'" in capsys.readouterr().err
    assert main(["sample", run, "--label", "3", "--out", out]) == 1
    assert 'asked in words, --say "forty two"' in capsys.readouterr().err
    assert main(["evaluate", run, "--n", "128"]) == 1
    assert "72 numbers are shown: 144 pictures" in capsys.readouterr().err
    assert main(["evaluate", run, "--n", "144"]) == 0
    assert re.search(r"hidden +\d", capsys.readouterr().out)
    assert main(["export", run, "--to", str(tmp_path / "shared")]) == 0
    G = ganlib.load_generator(tmp_path / "shared")
    asked = words.encode("forty two", G.config["class_names"], G.length)
    assert G(torch.randn(1, G.latent_dim), asked).shape == (1, 1, 28, 28)
    shared, drawn = str(tmp_path / "shared"), tmp_path / "drawn.png"
    say_ten = ["--say", "ten", "--n", "2", "--out", str(drawn)]
    assert main(["sample", shared, *say_ten]) == 0
    ten = words.encode(["ten"] * 2, G.config["class_names"], G.length)
    images = next(ganlib.draw(G, 2, ten))[0]
    assert drawn.read_bytes() == ganlib.show(images, generated=True, title="ten").data
    capsys.readouterr()
    assert main(["sample", shared, "--out", out]) == 1
    assert "asked in words, and none were given" in capsys.readouterr().err
    card = (tmp_path / "shared" / "README.md").read_text()
    assert "words.encode(['twenty two'] * 64" in card and "- words: " in card
    for option in (["--data", "mnist"], ["--recipe", "small"], ["--to", "printed"]):
        assert main([*train, *option]) == 1
        assert "--game words" in capsys.readouterr().err
    other = ["train", "--steps", "2", "--out", str(tmp_path / "other"), "--device", "cpu"]
    assert main(other) == 0
    assert main(["sample", str(tmp_path / "other"), "--say", "ten", "--out", out]) == 1
    assert "knows no words" in capsys.readouterr().err


def test_one_types_into_the_page_and_it_draws(data, tmp_path, browser):
    """In a real browser: the picture follows what is typed, and what is not known is said."""
    G = small(data).G().eval()
    (tmp_path / "page.html").write_text(page.page(G, "numbers", "notice", data.classes))
    tab = browser.new_page()
    tab.goto((tmp_path / "page.html").as_uri())

    def typed(text, said):
        tab.fill("#sentence", text)
        tab.wait_for_function(f"document.getElementById('said').textContent.includes({said!r})")
        return tab.evaluate("document.getElementById('grid').toDataURL()")

    assert tab.input_value("#sentence") == "twenty two" and not tab.is_visible("#label")
    first = typed("forty two", "48 images in")
    assert typed("forty tow", '"tow" is not known; these are: eight') == first
    assert typed("one two three", "1 to 2 words, please") == first
    other = typed("forty three", "48 images in")
    assert other != first and typed("FORTY-two", "48 images in") == first
    tab.close()


def test_other_labels_than_sentences_are_refused(data):
    recipe = small(data)
    gan = recipe.gan(0)
    rows = data.labels[:3].clone()
    with pytest.raises(ValueError, match="labels none were given; sentences, int64"):
        gan.sample(3)
    gan.check(data)
    assert gan.sample(3, rows).shape == (3, 1, 28, 28)
    for wrong in (rows + 50, rows.float(), rows[0], -rows):
        with pytest.raises(ValueError, match="sentences, int64 \\(N, L\\) from 0 to 27, are exp"):
            gan.sample(3, wrong)
    for other in (ganlib.load("digits"), ganlib.Images(data.images)):
        with pytest.raises(ValueError, match="sentences, int64"):
            next(iter(ganlib.train(gan, other, recipe, until=2, batch_size=10)))
    for share in (1.5, -0.1):
        with pytest.raises(ValueError, match="a share from 0 to 1"):
            replace(recipe, wrong=share)
    for only in ([5], [100], [3.5]):
        with pytest.raises(ValueError, match="10 to 99 is expected"):
            words.numbers(2, only=only)
    assert words.vocabulary("a red hat") == ("", "a", "hat", "red")


def test_how_loud_a_sentence_is_is_a_setting(data):
    recipe = small(data)
    loud = replace(recipe, G=recipe.G.but(loud=None))
    gan = loud.gan(0)
    play(gan, data, loud, 2)
    again = rebuild.build(rebuild.settings(gan.G), "G", gan.G.state_dict())
    assert again.sentence.loud is None and gan.G_ema.sentence.loud is None


def test_the_judge_knows_what_the_run_was_not_shown():
    data = words.numbers(300, hidden=range(40, 60))
    recipe = small(data)
    gan = recipe.gan(0)
    play(gan, data, recipe, 1)
    judged = words.judge_words(gan, n=140)
    assert set(judged) == {"shown", "hidden"}
    with pytest.raises(ValueError, match="n=39 was given, and 70 numbers are shown"):
        words.judge_words(gan, n=39)


def test_a_strangers_sentence_or_clip_is_of_bounded_length(data):
    G = small(data).G()
    settings, weights = rebuild.settings(G), G.state_dict()
    with pytest.raises(ValueError, match="at most 256 words"):
        rebuild.build(settings | {"length": 2**20}, "G", weights)
    G = nets.MovedGenerator(20, (1, 8, 28, 28), (6, 4))
    clip, weights = rebuild.settings(G), G.state_dict()
    with pytest.raises(ValueError, match="at most 256 words, and as many frames"):
        rebuild.build(clip | {"shape": (1, 2**16, 28, 28)}, "G", weights)
