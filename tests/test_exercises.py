"""The exercises as a learner meets them: the notebooks' cells and solutions.

Wrong answers are written here.
"""

import math
import re
from collections import Counter, namedtuple

import nbformat
import numpy
import pytest
import torch
from conftest import ROOT
from torch.nn.functional import cross_entropy, softplus

import ganlib
from ganlib import exercises
from ganlib.lessons.task import Experiment, Prediction, Task

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
Asked = namedtuple("Asked", "notebook use stub run solution imports")
SPACE = {"torch": torch, "math": math, "softplus": softplus, "cross_entropy": cross_entropy}


def asked():
    """{name: Asked} of all notebooks' exercises."""
    found = {}
    for path in NOTEBOOKS:
        cells = nbformat.read(path, as_version=4).cells
        imports = [
            line
            for cell in cells
            if cell.cell_type == "code"
            for line in cell.source.splitlines()
            if re.match(r"(import|from) (?!ganlib|google)", line)
        ]
        for i, cell in enumerate(cells):
            if "exercise" not in cell.metadata.get("tags", []):
                continue
            *stub, call = cell.source.split("\n\n\n")
            use, name = re.fullmatch(r'exercises\.(\w+)\("?(\w+)"?(?:, \.\.\.)?\)', call).groups()
            assert name not in found and use in ("check", "predict", "answer")
            assert bool(stub) == (use != "predict") and cells[i - 1].cell_type == "markdown"
            runs = use == "predict"
            run = cells[i + 1].source if runs else None
            assert ("exercise-run" in cells[i + 1].metadata.get("tags", [])) == runs
            folded = cells[i + 1 + runs].source
            title = "The answer" if runs else "A solution"
            assert folded.startswith(f"<details><summary><b>{title}</b></summary>")
            (solution,) = re.findall(r"```python\n(.+?)\n```", folded, flags=re.DOTALL)
            found[name] = Asked(path.stem, use, "".join(stub), run, solution, imports)
    return found


ASKED = asked()
FUNCTIONS = [name for name, ask in ASKED.items() if ask.use == "check"]
PREDICTIONS = [name for name, ask in ASKED.items() if ask.use == "predict"]
EXPERIMENTS = [name for name, ask in ASKED.items() if ask.use == "answer"]


def function(source, space=None):
    space = dict(space or SPACE)
    exec(source, space)
    return next(value for name, value in space.items() if source.startswith(f"def {name}("))


def said(attempt, capsys):
    capsys.readouterr()
    exercises.check(attempt)
    return capsys.readouterr().out.strip()


def ran(source, ask, capsys):
    """What a cell prints with nothing but the notebook's imports, ganlib and the exercises."""
    space = {"exercises": exercises, "ganlib": ganlib}
    exec("\n".join(ask.imports), space)
    capsys.readouterr()
    exec(source, space)
    return capsys.readouterr().out.strip()


def test_each_task_is_asked_once_and_each_notebook_has_three_kinds_at_least():
    assert set(ASKED) == set(exercises.TASKS) and len(ASKED) >= 25
    kinds = {"check": Task, "predict": Prediction, "answer": Experiment}
    for name, ask in ASKED.items():
        task = exercises.TASKS[name]
        assert type(task) is kinds[ask.use], name
        assert len(task.hints) == 3 == len(set(task.hints)) and len(task.slips) >= 2, name
        assert (
            all(len(remark) < 220 for remark, _ in task.slips) and max(map(len, task.hints)) < 120
        )
        if ask.use == "check":
            assert len(task.cases()) >= 2, name
    per_notebook = Counter(ask.notebook for ask in ASKED.values())
    assert set(per_notebook) == {path.stem for path in NOTEBOOKS}
    assert min(per_notebook.values()) >= 3
    for path in NOTEBOOKS:
        mine = [name for name, ask in ASKED.items() if ask.notebook == path.stem]
        assert any(name in PREDICTIONS for name in mine), path.stem
        assert any(getattr(exercises.TASKS[name], "faulty", None) for name in mine), path.stem


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_stub_is_not_done_and_the_solution_is_right(name, capsys):
    ask, task = ASKED[name], exercises.TASKS[name]
    space = {}
    exec("\n".join(ask.imports), space)  # what the notebook itself has imported is enough
    told = said(function(ask.stub, space), capsys)
    if task.faulty is None:
        assert told == f"{name}: not done yet"
    else:  # the symptom is told, the fault is not
        assert told.startswith(f"{name}: not repaired yet. For ") and "<-- differs" in told
        assert not any(remark in told for remark, _ in task.slips)
        assert exercises.verdict(task, task.faulty) == told.removeprefix(f"{name}: ")
    assert said(function(ask.solution, space), capsys) == f"{name}: right"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_known_mistake_gets_its_remark(name):
    """Each remark can be earned, unless the mistake does nothing or is the fault to be repaired."""
    task = exercises.TASKS[name]
    assert exercises.verdict(task, task.answer) == "right"
    for remark, slip in task.slips:
        told = exercises.verdict(task, slip)
        silent = told.startswith("not repaired yet") or told == "not done yet"
        assert remark in told or silent, told
        assert told != "right"


@pytest.mark.parametrize("name", PREDICTIONS)
def test_a_prediction_is_noted_and_compared_with_the_run(name, capsys):
    ask, task = ASKED[name], exercises.TASKS[name]
    exercises.predict(name, ...)
    capsys.readouterr()
    # left out, as by papermill: nothing runs and nothing is given away
    assert ran(ask.stub or f'exercises.predict("{name}", ...)', ask, capsys).startswith(
        f"{name}: no prediction yet"
    )
    told = ran(ask.run, ask, capsys)
    assert told == f"{name}: predict first, in the cell above; then run this cell."
    assert "is noted" in ran(ask.solution, ask, capsys)
    told = ran(ask.run, ask, capsys)
    assert told.startswith(f"{name}: right.") and task.why in told and "changed?" not in told
    for remark, wrong in task.slips:
        exercises.predict(name, sum(wrong) / 2 if isinstance(wrong, tuple) else wrong)
        told = ran(ask.run, ask, capsys)
        assert told.startswith(f"{name}: not this time.") and remark in told and task.why in told
    for odd in ("'?'", "float('nan')", "[1, 2]", "object()"):
        assert "is asked for, not" in ran(f'exercises.predict("{name}", {odd})', ask, capsys)
        assert "predict first" in ran(ask.run, ask, capsys)
    exercises.predict(name, ...)


def test_a_number_that_is_off_is_told_by_how_much(capsys):
    def told(guess, name="saturating_slope"):
        exercises.predict(name, guess)
        capsys.readouterr()
        exercises.compare(name, lambda: -0.0067)
        exercises.predict(name, ...)
        return capsys.readouterr().out

    assert "That is 45 times too large." in told(-0.3)
    assert "The sign is wrong." in told(0.3)
    assert "That is 0.0053 too low." in told(-0.012)
    assert "too small" not in told(-0.0067) and "right." in told(torch.tensor(-0.0067))
    exercises.predict("saturating_slope", -0.3)
    exercises.compare("saturating_slope", 7.0)
    assert "has its cell been changed?" in capsys.readouterr().out
    exercises.compare("saturating_slope", None)
    assert "no result that can be compared" in capsys.readouterr().out
    exercises.predict("forgot_detach", " c ")
    exercises.compare("forgot_detach", "C")
    assert "forgot_detach: right." in capsys.readouterr().out
    for name in ("saturating_slope", "forgot_detach"):
        exercises.predict(name, ...)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_gives_the_number_that_is_right(name, capsys):
    ask, task = ASKED[name], exercises.TASKS[name]
    stub = f'{ask.stub}\n\n\nexercises.answer("{name}", ...)'
    assert ran(stub, ask, capsys) == f"{name}: no answer yet (a number)"
    told = ran(f"{ask.stub}\n\n\n{ask.solution}", ask, capsys)
    assert told.startswith(f"{name}: right, ") and task.why in told
    for remark, wrong in task.slips:
        exercises.answer(name, sum(wrong) / 2 if isinstance(wrong, tuple) else wrong)
        told = capsys.readouterr().out
        assert told.startswith(f"{name}: not yet. ") and remark in told
        assert task.why not in told
    exercises.answer(name, 1e6)
    assert "1,000,000 is too high" in capsys.readouterr().out
    exercises.answer(name, "much")
    assert "a number is asked for, not 'much'" in capsys.readouterr().out


def test_hints_come_one_at_a_time(capsys):
    hints = exercises.TASKS["d_loss"].hints
    exercises.hint("d_loss", 1)
    for number in (2, 3, 3):
        capsys.readouterr()
        exercises.hint("d_loss")
        assert capsys.readouterr().out == f"d_loss, hint {number} of 3: {hints[number - 1]}\n"
    attempt = function("def d_loss(real, fake):\n    ...")
    exercises.check(attempt, hint=2)
    assert capsys.readouterr().out == f"d_loss: not done yet\nd_loss, hint 2 of 3: {hints[1]}\n"
    exercises.hint(attempt, 1)
    assert hints[0] in capsys.readouterr().out
    with pytest.raises(ValueError, match="d_loss has the hints 1 to 3"):
        exercises.hint("d_loss", 4)
    with pytest.raises(ValueError, match="did you mean 'd_loss'"):
        exercises.hint("d_los")
    with pytest.raises(ValueError, match="'floor' is not for check: use answer"):
        exercises.check(function("def floor(n):\n    return 1"))
    with pytest.raises(ValueError, match=r"'d_loss' is not for predict: use check\(function\)"):
        exercises.predict("d_loss", 3)


G_MOVE = """
    for weight in D.parameters():
        weight.requires_grad_({frozen})
    fake = G(noise)
    opt_G.zero_grad()
    softplus({sign}D(fake)).mean().backward()
    opt_G.step()
    for weight in D.parameters():
        weight.requires_grad_({thawed})
    {more}"""
D_MOVE = """
    fake = G(noise){detach}
    {clear}
    (softplus({sign}D(real)) + softplus({other}D(fake))).mean().backward()
    opt_D.step()"""
GRADIENT = """
    x = x.clone().requires_grad_()
    norm = torch.autograd.grad(D(x).sum(), x, create_graph={graph})[0].square().sum(1).sqrt()
    return {of_norm}"""


LAYER = """
    for kernel, stride, padding in layers:
        size = {}
    return size"""
WAVE = "end + (start - end) * (1 + math.cos({} * math.pi)) / 2"
ARC = """
    angle = {}
    return (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / angle.sin()"""


def g_move(frozen=False, thawed=True, sign="-", more="pass"):
    return G_MOVE.format(frozen=frozen, thawed=thawed, sign=sign, more=more)


def d_move(detach=".detach()", clear="opt_D.zero_grad()", sign="-", other=""):
    return D_MOVE.format(detach=detach, clear=clear, sign=sign, other=other)


WRONG = {  # what people write, and what they should be told
    "d_loss": [
        ("-real_logits.sigmoid().log() - (1 - fake_logits.sigmoid()).log()", "inf"),
        (
            "-(real_logits.sigmoid() + 1e-8).log() - (1 - fake_logits.sigmoid() + 1e-8).log()",
            "A small number inside the logarithm",
        ),
        (
            "softplus(-real_logits.clamp(-10, 10)) + softplus(fake_logits.clamp(-10, 10))",
            "Cutting the logits off",
        ),
        ("softplus(fake_logits)", "the fakes' half alone"),
        ("softplus(-real_logits)", "the reals' half alone"),
        ("softplus(real_logits) + softplus(-fake_logits)", "signs are exchanged"),
        (
            "(softplus(-real_logits) + softplus(fake_logits)).mean()",
            "one number; a tensor of shape (3,) is expected",
        ),
        (
            "softplus(-real_logits)[:, None] + softplus(fake_logits)",
            "A tensor of (3, 1) met one of (3,), and made all pairs: D returns (N,)",
        ),
        (
            "softplus(-real_logits[:, None]) + softplus(fake_logits[:, None])",
            "D returns (N,), not (N, 1)",
        ),
    ],
    "g_slope": [
        ("1 / (1 + fake_logits.exp())", "sign is missing"),
        ("-fake_logits.sigmoid()", "saturating"),
        ("softplus(-fake_logits)", "the loss itself"),
    ],
    "d_move": [
        (d_move(detach=""), "G was left with a gradient"),
        (d_move(clear="pass"), "Old gradients were added"),
        (d_move(clear="pass") + "\n    opt_D.zero_grad()", "not after the step"),
        (d_move(sign="", other="-"), "wrong way"),
        (d_move().replace("opt_D.step()", "pass"), "D has moved (1: yes)        0 "),
        (d_move().replace(".backward()", ".div(2).backward()"), "half a step"),
        (d_move().replace(".mean()", ".sum()"), "not sum()"),
    ],
    "g_move": [
        (g_move(sign=""), "wrong way"),
        (g_move().replace("opt_G.step()", "pass"), "is opt_G.step() there"),
        (g_move().replace("    opt_G.zero_grad()\n", ""), "<-- differs"),
        (g_move().replace("softplus(-D(fake))", "(1 - D(fake).sigmoid()).log()"), "saturating"),
        (g_move().replace(".mean()", ".sum()"), "not sum()"),
        ("\n    softplus(-D(G(noise))).mean()", "is backward() there"),
        (g_move(thawed=False, frozen=True), "D can learn afterwards (1: yes)  0 "),
        (
            g_move(
                frozen=True,
                more="[w.data.sub_(0.5 * w.grad) for w in D.parameters()]; D.zero_grad()",
            ),
            "D moved, too",
        ),
        (
            "\n    softplus(-D(G(noise).detach())).mean().backward()\n    opt_G.step()",
            "without detach()",
        ),
    ],
    "parameters": [
        ("sum(sizes[i] * sizes[i + 1] for i in range(len(sizes) - 1))", "leaves out the biases"),
        ("sum((b + 1) * a for a, b in zip(sizes, sizes[1:]))", "a bias for each input"),
        ("sum(a * b for a, b in zip(sizes, sizes[1:])) + sum(sizes)", "no bias of their own"),
    ],
    "modes_found": [
        ("len(set(torch.cdist(fakes, centres).argmin(1).tolist()))", "nearest, however far"),
        ("(torch.cdist(fakes, centres) <= reach).any(1).sum()", "number of good fakes"),
        ("(torch.cdist(fakes, centres) <= reach).any(0).sum()", "One fake is not enough"),
        (
            "((torch.cdist(fakes, centres) <= reach).sum(0) >= len(fakes) / len(centres)).sum()",
            "a whole fair share",
        ),
        (
            "((torch.cdist(fakes, centres) <= reach).sum(0) >= len(fakes) / 5).sum()",
            "a fifth of all fakes",
        ),
    ],
    "best_logit": [
        ("p / (p + q)", "D's probability"),
        ("q.log() - p.log()", "sign is wrong"),
        ("p / q", "ratio itself"),
    ],
    "pull": [
        ("PULL.sum()", "sign is wrong"),
        ("-PULL.mean()", "with a mean over the fakes"),
        ("FLAT.sum()", "slope of D's logit"),
    ],
    "wgan_gp": [
        (GRADIENT.format(graph=False, of_norm="(norm - 1) ** 2"), "create_graph=True"),
        (
            GRADIENT.format(graph=True, of_norm="((norm.mean() - 1) ** 2).expand(len(x))"),
            "before the square",
        ),
        (GRADIENT.format(graph=True, of_norm="norm ** 2 - 1"), "norm less 1, squared"),
        (GRADIENT.format(graph=True, of_norm="norm ** 2"), "The 1 is missing"),
        (
            GRADIENT.format(graph=True, of_norm="((norm - 1) ** 2).mean()"),
            "one number; a tensor of (4,)",
        ),
        (
            GRADIENT.format(graph=True, of_norm="((norm - 1) ** 2)[:, None]"),
            "a tensor of shape (4, 1); a tensor of",
        ),
    ],
    "r1": [
        (GRADIENT.format(graph=True, of_norm="gamma * norm ** 2"), "half is missing"),
        (GRADIENT.format(graph=True, of_norm="gamma / 2 * norm"), "to be squared"),
        (
            GRADIENT.format(graph=False, of_norm="gamma / 2 * norm ** 2"),
            "gradient in D's first layer  0 ",
        ),
    ],
    "ema": [
        ("average + 0.5 ** (n / half_life) * (weights - average)", "exchanged"),
        ("weights + math.exp(-n / half_life) * (average - weights)", "1/e"),
        ("average + n / half_life * (weights - average)", "straight line"),
        ("0.999 * average + 0.001 * weights", "0.999 is fixed"),
    ],
    "upsampled": [
        (LAYER.format("(size + 2 * padding - kernel) // stride + 1"), "ordinary convolution"),
        (LAYER.format("size * stride"), "some kernels only"),
        (LAYER.format("(size - 1) * stride + kernel"), "padding is missing"),
        (LAYER.format("(size - 1) * stride + kernel - padding"), "cut off once"),
    ],
    "cosine": [
        (WAVE.format("seen % total / total"), "jumps back to the start"),
        (WAVE.format("max(seen / total, 1)"), "which of the two"),
        ("start + (end - start) * min(seen / total, 1)", "straight line"),
        (
            "start + (end - start) * (1 + math.cos(min(seen / total, 1) * math.pi)) / 2",
            "begins at the end's value",
        ),
        (
            "end + (start - end) * math.cos(min(seen / total, 1) * math.pi / 2)",
            "quarter of a wave",
        ),
    ],
    "projection": [
        ("h.mv(w)", "plays no part"),
        ("(h * v[y]).sum(1)", "label's term alone"),
        ("(h @ w)[:, None] + v[y] * h", "is expected"),
        ("h @ w + (h @ v[y].T).sum(1)", "differs"),
    ],
    "slerp": [
        ("a + t * (b - a)", "straight line"),
        (
            "((t * W(a, b)).sin() * a + ((1 - t) * W(a, b)).sin() * b) / W(a, b).sin()",
            "ends are exchanged",
        ),
        (ARC.format("(a @ b / a.norm()).acos()"), "two lengths"),
        (ARC.format("(a @ b).clamp(-0.999, 0.999).acos()"), "Clamping hides the nan"),
        (
            "\n    a, b = a / a.norm(), b / b.norm()" + ARC.format("(a @ b).acos()"),
            "brought to length 1",
        ),
    ],
    "purity": [
        ("sum(torch.bincount(c[d == k]).max() for k in d.unique()) / len(c)", "other way round"),
        (
            "torch.stack([torch.bincount(d[c == k]).max() / (c == k).sum() "
            "for k in c.unique()]).mean()",
            "a rare code as much weight",
        ),
        ("(c == d).float().mean()", "need not have its own number"),
        ("len(c.unique())", "how many codes are used"),
    ],
    "frechet_1d": [
        ("(m1 - m2) ** 2 + s1**2 + s2**2 - 2 * (s1 * s2) ** 0.5", "8.101  1 "),
        ("(m1 - m2) ** 2 + s1**2 + s2**2 - s1 * s2", "no factor 2"),
        ("(m1 - m2) ** 2", "spread is missing"),
        ("(m1 - m2) ** 2 + (s1 * s1 - s2 * s2) ** 2", "variances' difference"),
        ("((m1 - m2) ** 2 + (s1 - s2) ** 2) ** 0.5", "square root"),
    ],
    "recall": [
        ("(near <= radii).any(0).float().mean()", "recall asks the reals"),
        ("(near <= radii).float().mean()", "share of pairs"),
        ("(near <= radii).all(1).float().mean()", "all fakes be near"),
    ],
    "class_score": [
        (
            "(-(p.mean(0) * p.mean(0).log()).sum() + (p * p.log()).sum(1).mean()).exp()",
            "0 * log(0) is nan",
        ),
        ("H(p.mean(0)) - H(p).mean()", "exponential is missing"),
        ("(H(p).mean() - H(p.mean(0))).exp()", "exchanged"),
        ("H(p.mean(0)).exp()", "variety alone"),
    ],
    "half_width": [
        ("(share * (1 - share) / n) ** 0.5", "one standard error"),
        ("1.96 * (share * (1 - share)) ** 0.5", "number of images is missing"),
        ("1.96 * share * (1 - share) / n", "square root is missing"),
    ],
    "to_floats": [
        ("pixels / 255", "runs from 0 to 1"),
        ("pixels / 128 - 1", "exactly 1"),
        ("2 * (pixels // 255).float() - 1", "rounded"),
    ],
    "noise_at": [
        ("torch.randn(4)", "drawn before"),
        (
            "torch.randn(4, generator=torch.Generator().manual_seed(step + seed))",
            "a sum of the two",
        ),
        (
            "torch.randn(4, generator=torch.Generator().manual_seed(7 * seed))",
            "the step has to play a part",
        ),
        (
            "torch.rand(4, generator=torch.Generator().manual_seed(10_007 * seed + step))",
            "<-- differs",
        ),
        (
            "torch.rand(4, generator=torch.Generator().manual_seed(1_000_003 * seed + step))",
            "randn, not rand",
        ),
        (
            "torch.randn(4, generator=torch.Generator().manual_seed(seed * step))",
            "A product of the two",
        ),
        ("torch.tensor([seed, step])", "a tensor of shape (2,); a tensor of (4,) is expected"),
        ("[0.1, 0.2, 0.3, 0.4]", "gives a list; a tensor is expected"),
    ],
    "copied": [
        ("(to_training > to_kept_back).float().mean()", "nearer to images kept back"),
        ("to_training.mean() < to_kept_back.mean()", "compares the means"),
        ("(to_kept_back - to_training).mean()", "how much nearer"),
    ],
    "kept_apart": [
        ("groups % every == every - 1", "as if they ran 0, 1, 2"),
        (
            "(torch.arange(len(groups)) % every == every - 1)[torch.randperm(len(groups), "
            "generator=torch.Generator().manual_seed(0))]",
            "a group still falls apart",
        ),
        ("torch.zeros(len(groups), dtype=torch.bool)", "Nothing is kept back"),
        ("groups.unique()", "one yes or no for each image is expected"),
    ],
    "cycle_error": [
        ("(there(back(pictures)) - pictures).abs().mean()", "The order is wrong"),
        ("(there(pictures) - pictures).abs().mean()", "nothing comes back"),
        ("(back(there(pictures)) - pictures).square().mean()", "the absolute one is asked for"),
        ("(back(there(pictures)) - pictures).mean()", "errors of both signs cancel"),
    ],
    "decibels": [
        ("10 * torch.log10(2 / (image - true).square().mean())", "it counts squared"),
        ("10 * torch.log10(255**2 / (image - true).square().mean())", "The peak is 255 for bytes"),
        ("10 * torch.log(4 / (image - true).square().mean())", "The logarithm of base 10"),
    ],
    "mixed": [
        ("{k: alpha * first[k] + (1 - alpha) * second[k] for k in first}", "shares are exchanged"),
        ("{k: first[k] + alpha * second[k] for k in first}", "have to add up to 1"),
        (
            "\n    for k in first:\n        first[k].mul_(1 - alpha).add_(second[k] * alpha)"
            "\n    return first",
            "changed in place",
        ),
        ("list(first.values())", "gives no dict; one with"),
    ],
    "swapped": [
        ("sentences.roll(1, 0)", "the picture before"),
        ("sentences.roll(-1, 1)", "The order of the words"),
        ("sentences.flip(0)", "turns the order around"),
        ("sentences[1:]", "is expected"),
    ],
    "quiet": [
        ("loud * vectors / vectors.norm(dim=1, keepdim=True)", "root of the *mean* square"),
        ("loud * vectors / vectors.square().mean().sqrt()", "the mean of each row"),
        ("loud * vectors", "multiplied only"),
        ("loud * vectors / vectors.square().mean(1, keepdim=True)", "The root is missing"),
    ],
    "variety": [
        ("torch.cdist(pictures, pictures).mean()", "distance to itself"),
        (
            "torch.cdist(pictures, pictures).square().sum() / len(pictures) / (len(pictures) - 1)",
            "the squared distance",
        ),
        ("pictures.std(0).mean()", "the spread of the pixels"),
    ],
    "bend": [
        ("(paths[:, 1:] - paths[:, :-1]).norm(dim=-1).mean()", "That is the speed"),
        ("paths.diff(dim=1).norm(dim=2).diff(dim=1).abs().mean()", "a turn at constant speed"),
        ("paths.diff(n=2, dim=1).abs().mean()", "take its length"),
        ("paths.diff(n=2, dim=0).norm(dim=2).nan_to_num().sum() / 304", "time is the second axis"),
    ],
    "loudness": [
        ("styles.square() @ weights.square().T", "The root is missing"),
        ("(styles @ weights.T).abs()", "two signs cancel"),
        ("weights.norm(dim=1).expand(len(styles), -1)", "The styles are left out"),
        ("(styles.abs() @ weights.square().T).sqrt()", "squared as well"),
    ],
    "by_layer": [
        ("torch.stack([a if i >= coarse else b for i in range(layers)])", "are exchanged"),
        ("torch.stack([a if i <= coarse else b for i in range(layers)])", "One layer too many"),
        ("torch.stack([a if i < coarse - 1 else b for i in range(layers)])", "One layer too few"),
    ],
    "towards": [
        ("psi * w", "towards 0"),
        ("center + (1 - psi) * (w - center)", "the wrong way round"),
        ("w.mean(0) + psi * (w - w.mean(0))", "The mean of these few"),
    ],
    "divergence": [
        ("(p * (p / q).log()).sum()", "log 0 times 0 is NaN"),
        ("torch.special.xlogy(p, p / q).sum() / math.log(2)", "in bits"),
        ("torch.special.xlogy(p, p / q).mean()", "The mean over the values"),
    ],
    "on_the_way": [
        (
            "t.view(-1, 1, 1, 1) * noise + (1 - t.view(-1, 1, 1, 1)) * images, images - noise",
            "Time runs the other way",
        ),
        (
            "(1 - t.view(-1, 1, 1, 1)) * noise + t.view(-1, 1, 1, 1) * images, noise - images",
            "wrong sign",
        ),
        (
            "(1 - t.view(-1, 1, 1, 1)) * noise + t.view(-1, 1, 1, 1) * images, "
            "(1 - t.view(-1, 1, 1, 1)) * (images - noise)",
            "what is left of the way",
        ),
    ],
    "euler": [
        (
            "\n    for i in range(steps):"
            "\n        x = x + velocity(x, (i + 1) / steps) / steps\n    return x",
            "at the end of the step",
        ),
        (
            "\n    for i in range(steps):\n        x = x + velocity(x, i / steps)\n    return x",
            "divide by the steps",
        ),
        (
            "\n    for i in range(steps):\n        x = x + velocity(x, 0) / steps\n    return x",
            "differs",
        ),
    ],
    "heun_step": [
        ("x + h * velocity(x, t)", "Euler's step"),
        ("x + h * (velocity(x, t) + velocity(x + h * velocity(x, t), t + h))", "not averaged"),
        ("x + h * (velocity(x, t) + velocity(x, t + h)) / 2", "where the step begins"),
        ("x + h * (velocity(x, t) + velocity(x + h * velocity(x, t), t)) / 2", "the old time"),
    ],
    "to_velocity": [
        ("guess - place", "how much time is there"),
        ("(guess - place) / t.view(-1, 1, 1, 1).clamp(min=1e-3)", "1 - t is left"),
        ("(place - guess) / (1 - t.view(-1, 1, 1, 1))", "away from the picture"),
    ],
}
HELP = """
def H(p):
    return torch.special.entr(p).sum(-1)
def V(a, b):
    return (a * b).sum().acos()
def W(a, b):
    return V(a / a.norm(), b / b.norm())
"""


def test_three_wrong_answers_are_known_for_each():
    assert set(WRONG) == set(FUNCTIONS) and all(len(answers) >= 3 for answers in WRONG.values())


@pytest.mark.parametrize(
    "name, body, hint", [(name, *answer) for name, answers in WRONG.items() for answer in answers]
)
def test_a_wrong_answer_is_told_what_is_wrong_with_a_number(name, body, hint, capsys):
    head = ASKED[name].stub.splitlines()[0]
    if name == "purity":
        head = head.replace("codes, digits", "c, d")
    if name == "pull":  # D(fakes) with a graph, and what its gradient is taken of
        of = body.replace("PULL", "softplus(-D(x))").replace("FLAT", "D(x)")
        body = (
            f"\n    x = fakes.clone().requires_grad_()\n    return torch.autograd.grad({of}, x)[0]"
        )
    space = dict(SPACE)
    exec(HELP, space)
    told = said(
        function(f"{head}{body}" if body.startswith("\n") else f"{head}\n    return {body}", space),
        capsys,
    )
    assert re.match(rf"{name}: not (repaired )?yet. For ", told) and hint in told, told
    assert "is expected" in told or ("yours" in told and "<-- differs" in told)
    assert len(told) < 900 and max(map(len, told.splitlines())) < 230


def test_what_is_no_number_and_what_stops_is_told(capsys):
    assert "gives a str; numbers are expected" in said(
        function("def d_loss(a, b):\n    return 'x'"), capsys
    )
    with pytest.raises(ValueError, match="no exercise 'd_los'; did you mean 'd_loss'"):
        exercises.check(function("def d_los():\n    ..."))


ERRORS = {  # code, and what its author is told in place of torch's words
    "d_loss(a, b)": [
        ("return a + undefined", "the name 'undefined' is not defined: is it spelled as above"),
        ("return a.mean()[3] + b", "at its line 2: IndexError: "),
        ("return math.log(a)", "several numbers was used as one number: use torch's function"),
        ("return softplus(-2.0) + b", "given a plain Python float"),
        ("return a if a > 0 else b", "`if` needs one truth value"),
        ("return a + torch.ones(7)", "two shapes do not fit: a side of 3 meets one of 7"),
        ("return a.sum().item().sqrt()", "a plain Python number has no .sqrt()"),
        (
            "from torch.nn.functional import binary_cross_entropy_with_logits as bce\n"
            "    return bce(a, torch.ones(len(a), 1), reduction='none')",
            "the labels have shape [3, 1], D's logits [3]: D returns (N,), so make labels",
        ),
    ],
    "d_loss(a)": [
        ("return a", "it takes 1 argument (a); the exercise calls it with 2 (real, fake)"),
    ],
    "g_slope()": [
        ("return 1.0", "it takes no argument; the exercise calls it with 1 (fake)"),
    ],
    "g_move(G, D, opt_G, noise)": [
        (
            "with torch.no_grad():\n        loss = softplus(-D(G(noise))).mean()\n"
            "    loss.backward()",
            "at its line 4: there is nothing to differentiate: the loss was computed under "
            "torch.no_grad()",
        ),
        ("softplus(-D(G(noise))).backward()", "backward() needs one number: take the mean"),
        (
            "loss = softplus(-D(G(noise))).mean()\n    loss.backward()\n    loss.backward()",
            "backward() was called twice on the same result",
        ),
        ("softplus(-D(noise)).mean().backward()", "a matrix product do not fit: 4x2 meets 3x1"),
        (
            "opt_G.zero_grad()\n    for w in G.parameters():\n        w -= 0.5 * w",
            "was changed in place",
        ),
        ("D.weight", "has no attribute 'weight'"),
    ],
    "pull(D, fakes)": [
        (
            "loss = softplus(-D(fakes)).sum()\n    loss.backward()\n    return -fakes.grad",
            "something is None where a value is needed. A gradient (.grad) is None until",
        ),
        (
            "loss = softplus(-D(fakes)).sum()\n    return -torch.autograd.grad(loss, fakes)[0]",
            "call .requires_grad_(True) on a copy of it, before the net is applied",
        ),
        (
            "x = fakes.clone().requires_grad_()\n"
            "    return torch.autograd.grad(D(fakes).sum(), x)[0]",
            "the gradient is None: the loss does not depend on the tensor",
        ),
    ],
    "recall(near, radii)": [
        ("return (near <= radii).any(1).mean()", "whole numbers were used where floats are needed"),
    ],
}


@pytest.mark.parametrize(
    "head, body, told", [(head, *one) for head, several in ERRORS.items() for one in several]
)
def test_errors_are_told_in_the_learners_terms(head, body, told, capsys):
    text = said(function(f"def {head}:\n    {body}"), capsys)
    assert told in text and text.startswith(f"{head.partition('(')[0]}: not yet"), text
    assert "Traceback" not in text and "RuntimeError" not in text
    assert len(text.splitlines()) == 1 and len(text) < 400


def test_check_takes_a_function(capsys):
    for odd in ("d_loss", 3.0, None, torch.zeros(3)):
        with pytest.raises(ValueError, match="check takes the function itself"):
            exercises.check(odd)


RIGHT = {  # other ways than the notebooks'
    "d_loss": [
        "-LOG(real_logits) - LOG(-fake_logits)",
        "BCE(real_logits, torch.ones_like(real_logits), reduction='none')"
        " + BCE(fake_logits, torch.zeros_like(fake_logits), reduction='none')",
        "torch.logaddexp(torch.zeros(1), -real_logits) + (1 + fake_logits.double().exp()).log()",
    ],
    "g_slope": ["fake_logits.sigmoid() - 1", "-1 / (1 + fake_logits.exp())"],
    "parameters": ["sum((a + 1) * b for a, b in zip(sizes[:-1], sizes[1:]))"],
    "d_move": [
        "\n    opt_D.zero_grad()\n    with torch.no_grad():\n        fake = G(noise)"
        "\n    softplus(torch.cat([-D(real), D(fake)])).mean().mul(2).backward()"
        "\n    opt_D.step()",
        d_move(),
        d_move(clear="for w in D.parameters(): w.grad = None"),
    ],
    "g_move": [
        g_move(),
        g_move(frozen=True),
        "\n    opt_G.zero_grad()\n    loss = BCE(D(G(noise)), torch.ones(len(noise)))"
        "\n    loss.backward()\n    opt_G.step()\n    opt_G.zero_grad()\n    D.zero_grad()",
    ],
    "best_logit": ["p.log() - q.log()", "(p / (p + q)).logit()"],
    "modes_found": [
        "((torch.cdist(fakes, centres) <= reach).float().mean(0) * len(centres) >= 0.2).sum()",
        "sum(5 * len(centres) * n >= len(fakes)"
        " for n in (torch.cdist(fakes, centres) <= reach).sum(0).tolist())",
    ],
    "wgan_gp": [GRADIENT.format(graph=True, of_norm="(1 - norm) ** 2")],
    "r1": [GRADIENT.format(graph=True, of_norm="0.5 * gamma * norm ** 2")],
    "ema": ["torch.lerp(weights, average, 2 ** (-n / half_life))"],
    "cosine": [WAVE.format("(seen if seen < total else total) / total")],
    "projection": ["h @ w + torch.einsum('nd,nd->n', h, v[y])", "((w + v[y]) * h).sum(1)"],
    "slerp": [ARC.format("torch.nn.functional.cosine_similarity(a, b, dim=0).acos()")],
    "purity": [
        "sum(int((d[c == k] == d[c == k].mode()[0]).sum()) for k in set(c.tolist())) / len(c)"
    ],
    "frechet_1d": ["(m1 - m2) ** 2 + s1**2 + s2**2 - 2 * math.sqrt(s1**2 * s2**2)"],
    "recall": [
        "(near <= radii[None]).amax(1).double().mean()",
        "((near <= radii).sum(1) > 0).numpy().mean()",
    ],
    "class_score": ["(torch.xlogy(p, p) - torch.xlogy(p, p.mean(0))).sum(1).mean().exp()"],
    "half_width": ["1.96 * (share / n * (1 - share)) ** 0.5"],
    "to_floats": ["(pixels.double() - 127.5) / 127.5", "pixels / 127.5 - 1"],
    "noise_at": [
        "torch.from_numpy(numpy.random.default_rng([seed, step]).standard_normal(4))",
        "torch.randn(4, generator=torch.Generator().manual_seed(hash((seed, step)) % 2**60))",
    ],
    "kept_apart": [
        "torch.tensor([sorted(set(groups.tolist())).index(g) % every == every - 1"
        " for g in groups.tolist()], dtype=torch.bool)",
    ],
    "copied": ["sum(to_training < to_kept_back) / len(to_training)"],
    "cycle_error": ["torch.nn.functional.l1_loss(back(there(pictures)), pictures)"],
    "decibels": ["20 * math.log10(2) - 10 * math.log10(((image - true) ** 2).mean())"],
    "swapped": ["torch.roll(sentences, -1, dims=0)", "sentences[[*range(1, len(sentences)), 0]]"],
    "quiet": ["loud * vectors * vectors.shape[1] ** 0.5 / vectors.norm(dim=1, keepdim=True)"],
    "variety": ["torch.nn.functional.pdist(pictures).mean()"],
    "bend": ["(paths[:, 2:] - 2 * paths[:, 1:-1] + paths[:, :-2]).square().sum(2).sqrt().mean()"],
    "mixed": ["{k: torch.lerp(first[k], second[k], alpha) for k in first}"],
}


@pytest.mark.parametrize("name, body", [(name, one) for name in RIGHT for one in RIGHT[name]])
def test_another_right_answer_is_right(name, body, capsys):
    head = ASKED[name].stub.splitlines()[0]
    head = head.replace("codes, digits", "c, d") if name == "purity" else head
    space = SPACE | {
        "LOG": torch.nn.functional.logsigmoid,
        "BCE": torch.nn.functional.binary_cross_entropy_with_logits,
        "numpy": numpy,
    }
    attempt = f"{head}{body}" if body.startswith("\n") else f"{head}\n    return {body}"
    assert said(function(attempt, space), capsys) == f"{name}: right"


def test_the_line_of_an_error_is_quoted_where_its_source_is_known(capsys):
    def d_loss(real, fake):
        total = softplus(fake)
        return total + nowhere  # noqa: F821

    assert "it stops at its line 3, `return total + nowhere  # noqa" in said(d_loss, capsys)


def test_arguments_and_the_random_state_cannot_be_spoilt(capsys):
    """A function that changes its arguments in place is judged by what it returns.

    Each call has the same start.
    """
    given = torch.tensor([1.0, -2.0])
    task = Task(
        lambda: [("two", (given,)), ("the same", (given,))],
        lambda x: 2 * x,
        (("a remark", lambda x: 3 * x),),
        ("one", "two", "three"),
    )
    assert exercises.verdict(task, lambda x: x.mul_(2)) == "right" and given.tolist() == [1, -2]
    assert exercises.verdict(task, lambda x: x.mul_(3)).endswith(
        "  result  [3, -6]  [2, -4]   <-- differs\n  a remark"
    )
    torch.manual_seed(5)
    state = torch.get_rng_state()
    said(
        function(
            "def noise_at(seed, step):\n"
            "    torch.manual_seed(1_000_003 * seed + step)\n    return torch.randn(4)"
        ),
        capsys,
    )
    assert torch.equal(state, torch.get_rng_state())


def test_nothing_that_a_function_does_stops_the_notebook(capsys):
    for body, told in (
        ("raise NotImplementedError", "raises NotImplementedError: the placeholder is still there"),
        ("return real * float('nan')", "[nan, nan, nan]"),
        ("return real / 0", "[inf, -inf, inf]"),
        ("pass", "not done yet"),
        ("'Words.'", "not done yet"),
        ("return ...", "not done yet"),
        ("x = softplus(-real) + softplus(fake)", "it returns nothing: is `return` missing?"),
        ("print('seen')\n    return real", "<-- differs"),
        ("return NotImplemented", "it returns NotImplemented: fill it in"),
        ("return ... if len(real) else 0", "it returns Ellipsis: fill it in"),
        ("torch.set_grad_enabled(False)\n    return real", "<-- differs"),
    ):
        text = said(function(f"def d_loss(real, fake):\n    {body}"), capsys)
        assert told in text, text
        assert text.count("seen") <= 1
    assert torch.is_grad_enabled()
