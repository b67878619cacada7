"""The dial of `pictures`: how far G draws its noise to its training images, after training."""

import dataclasses
import json
import re
from types import SimpleNamespace

import numpy
import pytest
import torch
from conftest import same
from PIL import Image

import ganlib
from ganlib import lab, nets
from ganlib.__main__ import main
from ganlib.games.command.unused import in_its_own_way
from ganlib.nets.rebuild import build, settings


@pytest.fixture(scope="module")
def data():
    draws = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (40, 3, 8, 8), generator=draws, dtype=torch.uint8)
    return ganlib.Images(pictures, name="noise")


def trained(data, **own):
    """A run of `pictures` whose G knows codes of the data: all of it is before D's first step."""
    made = ganlib.recipe("pictures", data.shape, images=200)
    made = dataclasses.replace(made, G=made.G.but(**own)) if own else made
    gan = made.gan(seed=0)
    for _ in ganlib.train(gan, data, made, until=4, batch_size=8):
        pass
    assert gan.G.attraction.filled and gan.G_ema.attraction.filled
    return gan


@pytest.mark.parametrize("tempered", [True, False])
@pytest.mark.parametrize("strength", [0, 0.1, 0.4, 0.7, 1])
def test_noise_goes_that_far_to_the_anchors(strength, tempered, data):
    gan = lab.draw_to(trained(data, tempered=tempered), strength)
    assert gan.G.settings.get("tempered", False) == tempered  # without: as in runs before it was
    with torch.no_grad():
        goes(gan, strength)


def test_the_recipe_is_tempered_and_an_older_G_is_not(data):
    assert ganlib.recipe("pictures", data.shape).gan(seed=0).G.attraction.tempered
    older = {"anchors": 8} | {"latent_dim": 8, "shape": data.shape, "widths": (16, 8)}
    assert not nets.PictureGenerator(**older).attraction.tempered
    assert "tempered" not in nets.PictureGenerator(8, data.shape, tempered=True).settings


def test_the_stronger_the_nearer(data):
    """The mean distance to the nearest anchor falls with the strength, at each tenth."""
    gan = trained(data)
    z, anchors = gan.noise(300, "tried"), gan.G.attraction.anchors[:40]
    apart = []
    for tenth in range(11):
        lab.draw_to(gan, tenth / 10)
        with torch.no_grad():
            apart.append(torch.cdist(gan.G.attraction(z), anchors).amin(1).mean().item())
    assert apart == sorted(apart, reverse=True) and apart[-1] < 0.5 * apart[0]


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("strength", [0.1, 0.15, 0.3, 0.55, 0.8])
@pytest.mark.parametrize("dim, count", [(8, 100), (64, 100), (64, 2000)])
def test_the_strength_is_the_share_of_the_nearest(dim, count, strength, classes):
    """For each label, whatever the set and the width of noise; by 2,000 other draws of noise."""
    draws = torch.Generator().manual_seed(1)
    codes = torch.randn(count, dim, generator=draws)
    codes *= dim**0.5 / codes.norm(dim=1, keepdim=True)
    own = torch.arange(count) % 7 % classes if classes else None  # of label 0 there are more
    layer = nets.PictureGenerator(
        dim, (3, 8, 8), (8, 6), anchors=count, classes=classes, tempered=True
    ).attraction
    layer.fill(codes, own)
    z = torch.randn(2000, dim, generator=draws)
    z *= dim**0.5 / z.norm(dim=1, keepdim=True)
    for label in range(max(classes, 1)):
        some = codes if own is None else codes[own == label]
        shares = (factor_of(layer, strength, label) * z @ some.T).softmax(1).amax(1)
        assert shares.mean() == pytest.approx(strength, abs=0.03)
        labels = torch.full((2000,), label) if classes else None
        means = (factor_of(layer, strength, label) * z @ some.T).softmax(1) @ some
        means *= dim**0.5 / means.norm(dim=1, keepdim=True)
        assert torch.allclose(layer(z, labels, strength), means, atol=1e-3)


def factor_of(layer, strength, label=0):
    """The factor of the products: linear between those that are stored."""
    stored = layer.factors[label].double().numpy()
    return float(numpy.interp(strength, numpy.linspace(0, 1, len(stored)), stored))


def goes(gan, strength):
    """`Attraction` of both nets, written out."""
    z = gan.noise(50, "tried").double()
    anchors = gan.G.attraction.anchors[:40].double()

    def sized(x):
        return x / ((x**2).mean(1, keepdim=True) + 1e-6).sqrt()

    z = sized(z)
    sharp, way = 1, strength
    if gan.G.attraction.tempered:
        sharp, way = factor_of(gan.G.attraction, strength), min(1, 10 * strength)
    mean = sized((sharp * z @ anchors.T).softmax(1) @ anchors)
    expected = sized(way * mean + (1 - way) * z)
    for net in (gan.G, gan.G_ema):
        found = net.double().attraction(z)
        assert torch.allclose(found, expected, atol=1e-5)
        assert net.settings.get("strength", 0.15 if gan.G.attraction.tempered else 0.4) == strength
        net.float()
    drawn = build(settings(gan.G_ema))
    drawn.load_state_dict(gan.G_ema.state_dict())
    noise = gan.noise(5, "drawn")
    assert torch.equal(drawn.eval()(noise), gan.G_ema.eval()(noise))


def test_the_strength_of_a_recipe_is_played_and_saved(data, tmp_path):
    gan = trained(data, strength=0.7)
    assert gan.G.attraction.strength == gan.G_ema.attraction.strength == torch.tensor(0.7)
    ganlib.save(tmp_path, gan)
    with pytest.raises(ValueError, match=r"strength.*0.7"):
        ganlib.resume(tmp_path, ganlib.recipe("pictures", data.shape, images=200).gan(seed=0))
    made = ganlib.recipe("pictures", data.shape, images=200)
    again = dataclasses.replace(made, G=made.G.but(strength=0.7)).gan(seed=0)
    assert ganlib.resume(tmp_path, again)
    assert torch.equal(again.sample(4), gan.sample(4))
    assert "strength" not in lab.draw_to(gan, 0.15).G.settings  # as in runs before it was one


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan"), "0.4", True, None])
def test_strengths_that_are_none(strength, data):
    gan = trained(data)
    before = gan.sample(4)
    with pytest.raises(ValueError, match=r"strength=.* was given; 0 to 1 is expected"):
        lab.draw_to(gan, strength)
    assert torch.equal(gan.sample(4), before)


def test_other_generators_have_no_such_dial(data):
    gan = ganlib.recipe("small", data.shape, images=200).gan(seed=0)
    for source in (gan, gan.G, nets.PictureGenerator(8, data.shape)):
        with pytest.raises(ValueError, match=r'to no training images; the G of recipe\("pictures'):
            lab.draw_to(source, 0.5)
    with pytest.raises(ValueError, match="this G has no anchors"):
        nets.PictureGenerator(8, data.shape, strength=0.5)


def test_a_trade_is_an_evaluation_at_each_strength(data):
    gan = lab.draw_to(trained(data), 0.3)
    found = lab.trade(gan, data, (0.0, 0.9), extractor="pixels")
    assert list(found) == [0.0, 0.9] and gan.G.settings["strength"] == 0.3
    for strength, judged in found.items():
        lab.draw_to(gan, strength)
        expected = ganlib.evaluate(gan, data, extractor="pixels", quiet=True)
        assert same(dict(judged), dict(expected))
        assert judged["strength"] == strength
        assert f"noise drawn to training images by {strength:g}) and 40 real" in str(judged)
    other = ganlib.recipe("small", data.shape, images=200).gan(seed=0)
    assert "strength" not in ganlib.evaluate(other, data, extractor="pixels", quiet=True)
    head, *rows = str(found).splitlines()
    assert head.split() == ["strength", "precision", "recall", "coverage", "copied"]  # 40 images
    assert [row.split()[0] for row in rows] == ["0", "0.9"] and len({*map(len, [head, *rows])}) == 1
    assert float(rows[1].split()[3]) == pytest.approx(found[0.9]["coverage"], abs=1e-3)


def test_the_doctor_names_the_dial_where_there_is_one():
    rows = [
        {
            **dict.fromkeys(("d_loss", "d_real", "d_fake", "grad_norm_g"), 1.0),
            **dict.fromkeys(("variety", "real_variety", "diversity", "real_diversity"), 1.0),
            **{"step": 50 * i, "precision": 0.6, "copied": 0.4},
        }
        for i in range(1, 40)
    ]
    assert "draw_to" not in str(ganlib.diagnose(rows))
    said = str(ganlib.diagnose(rows, {"strength": 0.4}))
    assert (
        "memorising: 40 %" in said and "Next: lab.draw_to(gan, 0.2), or --strength 0.2 of" in said
    )


def test_the_commands_take_it(data, tmp_path, capsys):
    (tmp_path / "own").mkdir()
    for i, picture in enumerate(data.images):
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(tmp_path / "own" / f"{i:02}.png")
    own = ganlib.load(str(tmp_path / "own"), size=8)
    gan, run = trained(own), str(tmp_path / "run")
    ganlib.save(run, gan)
    to = str(tmp_path / "images.npy")
    assert main(["sample", run, "--n", "5", "--strength", "0.9", "--out", to]) == 0
    assert "by 0.9" in capsys.readouterr().out
    assert main(["sample", run, "--n", "5", "--out", str(tmp_path / "other.npy")]) == 0
    found, other = numpy.load(to), numpy.load(tmp_path / "other.npy")
    lab.draw_to(gan, 0.9)
    assert main(["evaluate", run, "--extractor", "pixels", "--strength", "0.9"]) == 0
    judged = ganlib.evaluate(gan, own, extractor="pixels", quiet=True)
    printed = capsys.readouterr().out
    assert all(re.search(rf"^{x} +{judged[x]:.4g} ", printed, re.M) for x in ("kid", "coverage"))
    assert main(["export", run, "--to", str(tmp_path / "out"), "--strength", "0.9"]) == 0
    G = ganlib.load_generator(str(tmp_path / "out"))
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["generator"]["strength"] == 0.9
    noise = gan.noise(5, "fixed")
    with torch.no_grad():
        assert torch.allclose(G(noise), gan.net().eval()(noise), atol=1e-6)
    assert found.shape == other.shape and (found != other).any()
    for place, own in ((run, ["--strength", "0.9"]), (str(tmp_path / "out"), [])):
        drawn = str(tmp_path / f"{len(own)}.npy")
        assert main(["sample", place, "--n", "5", "--seed", "3", "--out", drawn, *own]) == 0
        found, other = numpy.load(drawn).astype(int), found
    assert abs(found - other).max() <= 1
    for strength in ("1.5", "-1"):
        assert main(["sample", run, "--strength", strength, "--out", to]) == 1
        assert "0 to 1 is expected" in capsys.readouterr().err
    assert main(["sample", "digits", "--strength", "0.5", "--out", to]) == 1
    assert "draws its noise to no training images" in capsys.readouterr().err


def test_figures_of_another_strength_are_not_exported(data, tmp_path):
    gan = trained(data)
    gan.history.append({"step": 4, "coverage": 0.125, "n_fake": 40})
    ganlib.save(tmp_path / "run", gan)
    for strength, shown in ((None, True), (0.9, False)):
        ganlib.export(tmp_path / "run", tmp_path / "out", strength=strength)
        assert ("0.125" in (tmp_path / "out" / "README.md").read_text()) == shown


def test_runs_of_other_games_refuse_it():
    options = SimpleNamespace(command="evaluate", folder="a run", strength=0.5)
    with pytest.raises(ValueError, match="--strength was given, and the run in a run is not one"):
        in_its_own_way(options, main)
