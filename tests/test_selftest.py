"""The self-test: it passes here, finds what is broken, and refuses a device that is not there."""

import re
import subprocess
import sys
import warnings
from types import SimpleNamespace

import pytest
import torch
from conftest import ROOT
from test_compiled import captured  # noqa: F401

import ganlib
from ganlib import nets
from ganlib.__main__ import main
from ganlib.game import player
from ganlib.game.gan import GAN
from ganlib.games.selftest import checks, commands, games, playing, report
from ganlib.run.cuda import graph

CPU = torch.device("cpu")


def test_the_quick_one_passes_here_and_writes_a_row_for_each_check(tmp_path, capsys):
    out = tmp_path / "reports" / "cpu.md"
    assert main(["selftest", "--device", "cpu", "--quick", "--out", str(out)]) == 0
    lines, text = capsys.readouterr().out.splitlines(), out.read_text()
    count = len(commands.CHECKS)
    tried = sum(quick for _, _, quick in commands.CHECKS) - 5  # those are for CUDA
    assert lines[-1] == f"{tried} passed, 0 failed, {count - tried} not tried"
    assert f"**{lines[-1]}**" in text and "cut off" not in text
    for line, (name, _, quick) in zip(lines[-count - 1 :], commands.CHECKS, strict=False):
        kind = re.fullmatch(re.escape(name) + r" +\d+\.\d s  (passed|not tried)(: .+)?", line)[1]
        assert re.search(rf"^\| {re.escape(name)} \| [\d.]+ \| {kind} \|", text, re.MULTILINE)
        assert quick or line.endswith("not tried: --quick leaves it out")
    assert "captured step small               0.0 s  not tried: CUDA graphs need CUDA" in lines
    for fact in ("device", "driver", "CUDA", "torch", "Python", "precision"):
        assert re.search(rf"^\| {fact} \| .+ \|$", text, re.MULTILINE)
    assert torch.__version__ in text


def test_each_recipe_and_game_has_a_check():
    names = [name for name, _, _ in commands.CHECKS]
    assert len(set(names)) == len(names)
    for name in ganlib.run.recipes.RECIPES:
        assert f"recipe {name}" in names
    for name in ("words", "faces in words", "translation cycle", "enlarging gan", "clips moved"):
        assert f"game {name}" in names


def test_one_that_fails_is_named_and_the_others_still_run(monkeypatch, capsys, tmp_path):
    def breaks(device):
        raise RuntimeError("a | of\nmany lines")

    chosen = [row for row in commands.CHECKS if row[0] in ("recipe classic", "average of G")]
    monkeypatch.setattr(commands, "CHECKS", [("broken", breaks, True), *chosen])
    monkeypatch.setattr(GAN, "average", lambda gan, n: None)  # G_ema stays what it was
    assert main(["selftest", "--device", "cpu", "--out", str(tmp_path / "a.md")]) == 1
    *_, first, second, third, last = capsys.readouterr().out.splitlines()
    assert first.startswith("broken ") and first.endswith(" s  FAILED: RuntimeError: a | of")
    assert second.startswith("recipe classic ") and "passed" in second
    assert re.match(r"average of G .+ FAILED: .+ of G_ema is .+ from the average by hand", third)
    assert last == "1 passed, 2 failed, 0 not tried"
    assert "| broken | 0.0 | FAILED | RuntimeError: a \\| of |" in (tmp_path / "a.md").read_text()


def test_a_device_that_is_not_there_is_refused(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda **_: None)
    assert main(["selftest", "--device", "cuda", "--out", str(tmp_path / "a.md")]) == 1
    said = capsys.readouterr()
    assert said.err.startswith("error: device='cuda' was given, but this machine offers cpu only")
    assert not said.out and not (tmp_path / "a.md").exists()


def test_neither_ganlib_nor_its_help_loads_it():
    code = (
        "import contextlib, sys\nfrom ganlib.__main__ import main\n"
        "with contextlib.suppress(SystemExit): main(['--help'])\n"
        "print([name for name in sys.modules if 'selftest' in name])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "selftest" in done.stdout and done.stdout.splitlines()[-1] == "[]", done.stderr


# each check finds what it is there for


def test_a_tensor_elsewhere_or_not_finite_is_named():
    run, data, game = checks.made("small")
    playing.look_over(run, data, game, {}, CPU)
    with pytest.raises(playing.Fault, match="^batch 0 is on cpu, not on meta$"):
        playing.look_over(run, data, game, {}, torch.device("meta"))
    with pytest.raises(playing.Fault, match="^figure d_loss is not finite$"):
        playing.look_over(run, data, game, {"d_loss": torch.tensor(torch.nan)}, CPU)
    run.adaptive = torch.zeros(2, device="meta")
    with pytest.raises(playing.Fault, match="^p of augmentation is on meta, not on cpu$"):
        playing.look_over(run, data, game, {}, CPU)
    assert not playing.on(torch.zeros(1), torch.device("cuda"))
    assert playing.on(torch.zeros(1), CPU)


def test_a_player_that_stands_still_is_named(monkeypatch):
    move = GAN.move
    monkeypatch.setattr(GAN, "move", lambda gan, which: which == "G" or move(gan, which))
    with pytest.raises(playing.Fault, match="no weight of G has changed"):
        checks.each_recipe("classic", CPU)


def test_a_state_that_is_not_whole_is_found(monkeypatch):
    load = GAN.load_state_dict

    def forgets(gan, state):
        load(gan, state | {"images_seen": 0, "opt_G": gan.opt_G.state_dict()})

    monkeypatch.setattr(GAN, "load_state_dict", forgets)
    with pytest.raises(playing.Fault, match="apart after resuming, while two runs at once agree"):
        checks.resuming("small", CPU)


def test_figures_that_differ_are_found(monkeypatch):
    draws = torch.Generator().manual_seed(0)  # another noise at each call, as on another device
    own = checks.Noise.draw
    monkeypatch.setattr(checks.SameNoise, "draw", lambda one, n, _, like: own(one, n, draws, like))
    with pytest.raises(playing.Fault, match="is .+, on the CPU "):
        checks.evaluating(CPU)


def test_another_generator_is_found(monkeypatch):
    def worn(folder):
        G = ganlib.load_generator(folder)
        next(G.parameters()).data *= 1.01
        return G

    monkeypatch.setattr(checks, "load_generator", worn)
    with pytest.raises(playing.Fault, match="apart from the run's, 0.0001 at most"):
        checks.exporting("classic", CPU)


def test_a_captured_step_is_compared(captured, monkeypatch):  # noqa: F811
    assert "apart after a way of" in playing.replayed(checks.recipe_for("classic"), CPU)
    monkeypatch.setattr(graph.Compiled, "_compare", lambda *_: None)
    monkeypatch.setattr(graph.Compiled, "_seed", lambda *_: None)  # the same noise
    with pytest.raises(playing.Fault, match="apart after a way of"):
        playing.replayed(checks.recipe_for("classic"), CPU)
    monkeypatch.setattr(graph, "unfit", lambda device: "no graphs today")
    with pytest.raises(playing.Fault, match="step: eager, as it is; no graphs today"):
        playing.replayed(checks.recipe_for("classic"), CPU)


class Card:
    """A GPU's memory, as far as the check asks for it; nets take 100 images where it is limited."""

    limited = False

    def __getattr__(self, name):
        if name == "get_device_properties":
            return lambda card: SimpleNamespace(total_memory=100e6)
        return lambda *_: 50e6 if name == "max_memory_reserved" else 0

    def set_per_process_memory_fraction(self, share, card):
        assert share == 1 or share == pytest.approx(0.3)
        self.limited = share < 1


def test_too_large_a_batch_is_halved_or_refused(monkeypatch):
    card, forward = Card(), nets.MLPGenerator.forward

    def limited(net, z, labels=None):
        if card.limited and len(z) > 100:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return forward(net, z, labels)

    monkeypatch.setattr(nets.MLPGenerator, "forward", limited)
    found = checks.with_little(CPU, card, images=300)
    assert found == "50 MB wanted, 30 allowed: played in 4 parts" and not card.limited
    monkeypatch.setattr(player, "_why_whole", lambda *_: "it is one")
    assert checks.with_little(CPU, card, images=300).endswith("allowed: refused in a sentence")
    monkeypatch.setattr(nets.MLPGenerator, "forward", forward)
    with pytest.raises(playing.Fault, match="it was played as a whole"):
        checks.with_little(CPU, card, images=300)
    with pytest.raises(playing.NotTried, match="only the memory of CUDA"):
        checks.short_of_memory(CPU)


def test_a_step_that_falls_back_to_the_cpu_has_failed():
    def falls(device):
        warnings.warn("'aten::x' will fall back to run on the CPU.", stacklevel=1)

    found = report.tried("falls", falls, CPU)
    assert found.kind == "FAILED" and "fall back" in found.remark


def test_an_interrupt_ends_it_all(monkeypatch):
    ended = SimpleNamespace(reason="interrupted at step 2; run again to go on", step=2)
    monkeypatch.setattr(playing, "train", lambda *_, **__: iter([ended]))
    with pytest.raises(KeyboardInterrupt):
        report.tried("words", games.CHECKS[0][1], CPU)
