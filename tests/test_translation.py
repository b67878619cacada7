"""Translation without pairs: nets, ties, the pool of past fakes, runs, and their measures."""

import copy
import math

import pytest
import torch
from conftest import ROOT, same
from test_parallel import torchrun
from torch.nn.functional import cosine_similarity, pixel_unshuffle

import ganlib
from ganlib import features, games, nets
from ganlib.games import ties
from ganlib.games.pool import Pool
from ganlib.games.readers import shapes
from ganlib.machine.randomness import generator
from ganlib.nets import rebuild

SMALL = {"batch_size": 8, "pool": 12}


@pytest.fixture(scope="module")
def domains():
    """Handwritten and printed digits, few of each."""
    digits = ganlib.load("digits")
    a = digits.subset(slice(0, 200))
    return a, games.printed(150, seed=1)


def train(made, until, **settings):
    run, data, game = made
    for _ in ganlib.train(
        run, data, game, until=until, batch_size=game.batch_size, record_every=2, **settings
    ):
        pass
    return run


# nets


@pytest.mark.parametrize(
    "shape, channels",
    [((1, 28, 28), None), ((3, 32, 32), 1), ((1, 32, 32), 3), ((3, 20, 36), 3), ((3, 256, 256), 3)],
)
def test_the_nets_keep_the_size_and_learn(shape, channels):
    torch.manual_seed(0)
    G, D = nets.TranslationGenerator(shape, channels), nets.PatchDiscriminator(shape)
    x = torch.rand(2, *shape) * 2 - 1
    y = G(x)
    assert y.shape == (2, channels or shape[0], *shape[1:]) and G.shape == y.shape[1:]
    logits = D(x)
    assert logits.shape == (2, shape[1] // 4, shape[2] // 4)
    (y.square().mean() + logits.mean()).backward()
    assert all(w.grad is not None and w.grad.abs().sum() > 0 for w in G.parameters())
    assert all(w.grad is not None for w in D.parameters())
    kept = x if channels in (None, shape[0]) else x.mean(1, keepdim=True).expand_as(y)
    assert (y - torch.tanh(1.5 * kept)).abs().mean() < 0.15  # it begins near the identity


def test_an_image_does_not_depend_on_the_others_of_its_batch():
    G, x = nets.TranslationGenerator().double(), torch.rand(3, 1, 28, 28).double()
    assert torch.allclose(G(x)[:1], G(x[:1]), atol=1e-12)


def test_a_logit_judges_a_patch_of_28_pixels():
    """Its gradient is 0 outside of it."""
    D, x = nets.PatchDiscriminator((1, 64, 64)), torch.rand(1, 1, 64, 64, requires_grad=True)
    D(x)[0, 8, 8].backward()
    rows = x.grad[0, 0].abs().sum(1).nonzero().flatten()
    assert rows[-1] - rows[0] + 1 == 28 and rows[0] == 8 * 4 - 12


def test_the_nets_are_built_again_from_their_settings():
    for net in (
        nets.TranslationGenerator((3, 32, 32), 1, (8, 12), 2),
        nets.PatchDiscriminator((3, 16, 16), (8, 8, 8)),
    ):
        again = rebuild.build(rebuild.settings(net), net.player, net.state_dict())
        assert rebuild.settings(again) == rebuild.settings(net)
    with pytest.raises(ValueError, match="a whole number .* is expected as channels"):
        settings = {"net": "TranslationGenerator", "channels": "3"}
        rebuild.build(settings, "G", nets.TranslationGenerator().state_dict())
    with pytest.raises(ValueError, match=r"shape=\(1, 30, 28\) .* divisible by 4"):
        nets.TranslationGenerator((1, 30, 28))
    with pytest.raises(ValueError, match="two are expected"):
        nets.TranslationGenerator(widths=(8,))


# ties


def test_patch_nce_is_that_of_a_plain_loop():
    """Park et al. 2020, equation 3, query by query."""
    torch.manual_seed(0)
    q, k = (torch.nn.functional.normalize(torch.randn(2, 5, 4).double(), dim=-1) for _ in "qk")
    found = ties.patch_nce(q, k, 0.07)
    for n in range(2):
        total = 0.0
        for s in range(5):
            sims = [math.exp(cosine_similarity(q[n, s], k[n, j], 0) / 0.07) for j in range(5)]
            total -= math.log(sims[s] / sum(sims))
        assert found[n].item() == pytest.approx(total / 5)


def test_the_contrastive_tie_by_hand(domains):
    """All places, both terms; keys have no gradient, and the heads learn with G."""
    run, data, game = games.translation("contrastive", *domains, 1000, seed=0, **SMALL)
    run.to(dtype=torch.float64)
    heads = run.players["heads"].net
    tie = ties.contrastive(run, patches=1000)
    sources = run.noise_now(3, "G")
    fakes = run.G(sources)
    found = tie.loss(fakes, sources)

    def nce(fakes, sources):
        total = 0.0
        squares = (pixel_unshuffle(x, 2) for x in (fakes, sources))  # of 2 x 2 pixels
        features = zip(run.G.encode(fakes), run.G.encode(sources), strict=True)
        for i, (q, k) in enumerate([tuple(squares), *features]):
            q, k = (heads(i, x.flatten(2).transpose(1, 2)) for x in (q, k))
            total = total + ties.patch_nce(q, k.detach()) / 3
        return total

    b = run.target_now(3)
    assert torch.allclose(found, (nce(fakes, sources) + nce(run.G(b), b)) / 2, atol=1e-12)
    before = [w.clone() for w in heads.parameters()]
    train((run, data, game), 4)
    moved = [(a - b).abs().max() for a, b in zip(before, heads.parameters(), strict=True)]
    assert min(moved) > 0
    assert {"grad_norm_heads", "update_heads"} <= run.history[-1].keys()


def test_the_ties_of_a_cycle_by_hand(domains):
    """|back(there(a)) - a| + 0.5 |there(b) - b|, and the gradient reaches both G's."""
    run, _, game = games.translation("cycle", *domains, 1000, seed=0, **SMALL)
    run.to(dtype=torch.float64)
    there, back = run.there, run.back
    tie, sources = game.games["there"].tie, there.noise_now(4, "G")
    fakes = there.G(sources)
    found = tie.loss(fakes, sources)
    b = there.target_now(4)
    cycle = (back.G(fakes) - sources).abs().flatten(1).mean(1)
    identity = (there.G(b) - b).abs().flatten(1).mean(1)
    assert tie.name == "cycle(3.0) + identity(1.5)" and tie.weight == 1.0
    assert torch.allclose(found, 3 * cycle + 1.5 * identity, atol=1e-12)
    found.sum().backward()
    assert all(w.grad.abs().sum() > 0 for G in (there.G, back.G) for w in G.parameters())


def test_the_semantic_tie_reads_the_same_before_and_after(domains):
    classifier = features.digit_classifier()
    x = domains[0].floats(slice(0, 16))
    said = classifier.logits(classifier(x)).argmax(1)
    other = domains[0].floats(slice(16, 32))
    logits = classifier.logits(classifier(other))
    expected = -logits.log_softmax(1)[torch.arange(16), said]
    assert torch.allclose(ties.semantic(classifier).loss(other, x), expected, atol=1e-6)


def test_a_reader_with_views_of_its_own_reads_fakes_in_them(domains):
    """The same in each step, other ones in the next; sources are read as they are."""
    classifier = copy.deepcopy(features.digit_classifier())
    classifier.vary = shapes.varied
    run = games.translation("semantic", *domains, 400, seed=0, classifier=classifier, **SMALL)[0]
    tie = ties.semantic(classifier, 2.0, run)
    assert tie.name == "semantic(2.0, varied)" and tie.weight == 2.0
    x, other = (domains[0].floats(slice(i, i + 16)) for i in (0, 16))
    said = classifier.logits(classifier(x)).argmax(1)
    found = []
    for step in (0, 0, 1):
        run.step = step
        draws = generator("cpu", run.seed, step, run.prefix + "semantic")
        logits = classifier.logits(classifier(shapes.varied(other, draws)))
        found.append(tie.loss(other, x))
        expected = -logits.log_softmax(1)[torch.arange(16), said]
        assert torch.allclose(found[-1], expected, atol=1e-5)
    assert torch.equal(found[0], found[1]) and not torch.allclose(found[0], found[2])


# the pool of past fakes


def test_the_pool_is_a_transcription_of_its_rule():
    """Zhu et al. 2017: with probability 1/2 D is shown a past fake, which the new one replaces."""
    pool, size, past = Pool(), 5, []
    for step in range(12):
        fakes = torch.arange(3.0)[:, None] + 10 * step
        draws = torch.Generator().manual_seed(step)
        shown = pool.swap(fakes, size, torch.Generator().manual_seed(step))
        if (free := size - len(past)) > 0:
            past += fakes[:free].tolist()
            expected = fakes.tolist()
        else:
            place = torch.randperm(size, generator=draws)[:3].tolist()
            coins, expected = torch.rand(3, generator=draws).tolist(), []
            for fake, where, coin in zip(fakes.tolist(), place, coins, strict=True):
                expected.append(past[where] if coin < 0.5 else fake)
                if coin < 0.5:
                    past[where] = fake
        assert shown.tolist() == expected and pool.images.tolist() == past
    assert pool.images.shape == (5, 1)


def test_a_batch_larger_than_the_pool_and_half_of_the_fakes_are_past_ones():
    pool, draws = Pool(), torch.Generator().manual_seed(0)
    pool.swap(torch.zeros(4, 1), 4, draws)
    shown = pool.swap(torch.ones(6, 1), 4, draws)
    assert shown[4:].tolist() == [[1.0], [1.0]]
    count = 0
    for step in range(2, 202):
        count += (pool.swap(torch.full((4, 1), float(step)), 4, draws) < step).sum().item()
    assert 340 < count < 460  # of 800; 400 are expected, 14 is a standard deviation


def test_d_is_shown_the_pool(domains):
    """The figures of D's move are those of the fakes that the pool gave."""
    run, data, game = games.translation("none", *domains, 1000, seed=0, **SMALL)
    train((run, data, game), 3)
    fakes = run.fake(8, "D0").detach()
    draws = ganlib.machine.randomness.generator("cpu", 0, run.step, "pool/0")
    pool = Pool()
    pool.load_state_dict(run.pool.state_dict())
    shown = pool.swap(fakes, 12, draws)
    expected = run.judge(shown, "D0").mean().item()
    figures, _ = game.d_moves(run, data.batches(0, run.step, 2, 8))
    assert figures["d_fake"].item() == pytest.approx(expected, abs=1e-5)
    assert torch.equal(run.pool.images, pool.images) and len(pool.images) == 12


# runs

KINDS = ("none", "contrastive", "cycle_semantic")


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_cut_and_resumed_equals_one_uncut(kind, domains, tmp_path):
    def make():
        torch.manual_seed(0)
        return games.translation(kind, *domains, 400, seed=0, **SMALL)

    train(make(), 5, folder=tmp_path)
    cut, whole = make(), make()
    assert ganlib.resume(tmp_path, cut[0])
    assert same(train(cut, 9).state_dict(), train(whole, 9).state_dict())
    history = whole[0].history
    assert str(ganlib.diagnose(history)) and not any("guess" in key for key in history[-1])
    with pytest.raises(ValueError, match="this run was trained with .*pool = 12"):
        other = games.translation(kind, *domains, 400, seed=0, **SMALL | {"pool": 5})
        ganlib.resume(tmp_path, other[0])
        train(other, 9)


def test_a_killed_run_goes_on_bit_for_bit(tmp_path):
    import signal
    import subprocess
    import sys

    code = (
        "import sys, torch, ganlib\nfrom ganlib import games\ntorch.set_num_threads(1)\n"
        "def make():\n"
        "    a = ganlib.load('digits').subset(slice(0, 200))\n"
        "    torch.manual_seed(0)\n"
        "    return games.translation('contrastive', a, games.printed(150), 400, seed=0,\n"
        "                             batch_size=8, pool=12)\n"
        "if __name__ == '__main__':\n"
        "    run, data, game = make()\n"
        "    for now in ganlib.train(run, data, game, until=10**6, batch_size=8, record_every=2):\n"
        "        ganlib.save(sys.argv[1], run)\n        print(run.step, flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, text=True, stdout=subprocess.PIPE
    )
    for line in process.stdout:
        if line.strip() == "6":
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    space = {"__name__": "made"}
    exec(code, space)
    cut, whole = space["make"](), space["make"]()
    assert ganlib.resume(tmp_path, cut[0]) and (reached := cut[0].step) >= 6
    assert same(train(cut, reached + 3).state_dict(), train(whole, reached + 3).state_dict())


WORKER = """
import sys
import torch, ganlib
from ganlib import games
from ganlib.machine import launch, processes

launch.start()
torch.set_num_threads(1)
rank, world = processes.place()
a, b = ganlib.load("digits").subset(slice(0, 200)), games.printed(150)
for kind in sys.argv[2:]:
    torch.manual_seed(rank)  # other weights in each process: the first one's are shared
    run, data, game = games.translation(
        kind, a, b, 400, seed=0, batch_size=8 // world, pool=9,
        classifier=ganlib.features.digit_classifier().double() if "semantic" in kind else None)
    run.to(dtype=torch.float64)
    if world == 1:  # one process, the double batch: what both ranks draw, one after the other
        def both(draw):
            return lambda n, *stream: torch.cat([draw(n // 2, rank, *stream) for rank in (0, 1)])
        for gan in run.gans.values():
            gan.noise_now = both(lambda n, rank, stream, gan=gan:
                gan.noise(n, stream, gan.step, rank))
            gan.target_now = both(lambda n, rank, gan=gan: gan.target.draw(n,
                ganlib.machine.randomness.generator("cpu", 0, gan.step,
                                                    gan.prefix + "noise/target", rank),
                next(gan.G.parameters())))
    for _ in ganlib.train(run, data, game, until=4, batch_size=game.batch_size):
        pass
    state = [(gan.pool.images, [w for player in gan.players.values()
                                for w in player.net.parameters()]) for gan in run.gans.values()]
    torch.save(state, f"{sys.argv[1]}/{kind}-{world}-{rank}.pt")
launch.end()
"""


def test_two_processes_give_the_same_as_one(tmp_path):
    """Pools, heads and nets; without D's penalty's noise, which each rank draws for itself."""
    (tmp_path / "worker.py").write_text(WORKER.replace("400, seed", "400, gamma=0.0, seed"))
    kinds = ("cycle_semantic", "contrastive")
    for n in (2, 1):
        done = torchrun(n, tmp_path / "worker.py", tmp_path, *kinds, PYTHONPATH=str(ROOT))
        assert done.returncode == 0, done.stderr[-3000:]
    for kind in kinds:
        first, second, one = (
            torch.load(tmp_path / f"{kind}-{which}.pt") for which in ("2-0", "2-1", "1-0")
        )
        assert same(first, second)
        for (pool, weights), (pool_1, weights_1) in zip(first, one, strict=True):
            assert len(pool) == 9
            assert torch.allclose(pool, pool_1, rtol=0, atol=1e-8), kind
            assert all(
                torch.allclose(a, b, rtol=0, atol=1e-8)
                for a, b in zip(weights, weights_1, strict=True)
            ), kind


def test_a_run_that_is_planned_for_a_time_ends_where_its_schedules_end(domains):
    images = round(games.rate(*games.translation("none", *domains, seed=0, **SMALL), 0.3) * 1.0)
    made = games.translation("none", *domains, max(16, images), seed=0, until="1s", **SMALL)
    run = train(made, "1s")
    assert images > 8 and run.images_seen >= made[2].images > run.images_seen - 8
    assert run.opt_G.param_groups[0]["lr"] < 1e-3
