"""The pixel faces, the reader of their attributes, and their sentences."""

import pytest
import torch

import ganlib
from ganlib import games
from ganlib.data.shipped.faces import ATTRIBUTES, faces


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
