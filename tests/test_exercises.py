"""The exercises as a learner meets them: the notebooks' cells and solutions.

Wrong answers are written here.
"""

import math
import re

import nbformat
import pytest
import torch
from conftest import ROOT
from torch.nn.functional import cross_entropy, softplus

from ganlib import exercises
from ganlib.lessons.task import Task

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SPACE = {"torch": torch, "math": math, "softplus": softplus, "cross_entropy": cross_entropy}


def asked():
    """{name: (the stub's code, the solution, the notebook's imports)} of all notebooks."""
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
        for cell, following in zip(cells, cells[1:], strict=False):
            if "exercise" in cell.metadata.get("tags", []):
                stub, call = cell.source.split("\n\n\n")
                name = re.match(r"def (\w+)\(", stub)[1]
                assert call == f"exercises.check({name})" and name not in found
                (solution,) = re.findall(
                    r"```python\n(.+?)\n```", following.source, flags=re.DOTALL
                )
                assert following.source.startswith("<details><summary><b>A solution</b></summary>")
                found[name] = stub, solution, imports
    return found


ASKED = asked()


def function(source, space=None):
    space = dict(space or SPACE)
    exec(source, space)
    return next(value for name, value in space.items() if source.startswith(f"def {name}("))


def said(attempt, capsys):
    capsys.readouterr()
    exercises.check(attempt)
    return capsys.readouterr().out.strip()


def test_each_task_is_asked_once_and_there_are_twenty():
    assert set(ASKED) == set(exercises.TASKS) and len(ASKED) >= 20
    with_some = {path.stem for path in NOTEBOOKS if "exercises.check(" in path.read_text()}
    assert with_some == {path.stem for path in NOTEBOOKS}


@pytest.mark.parametrize("name", ASKED)
def test_the_stub_is_not_done_and_the_solution_is_right(name, capsys):
    stub, solution, imports = ASKED[name]
    assert said(function(stub), capsys) == f"{name}: not done yet"
    space = {}
    exec("\n".join(imports), space)  # what the notebook itself has imported is enough
    assert said(function(solution, space), capsys) == f"{name}: right"


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


def g_move(frozen=False, thawed=True, sign="-", more="pass"):
    return G_MOVE.format(frozen=frozen, thawed=thawed, sign=sign, more=more)


def d_move(detach=".detach()", clear="opt_D.zero_grad()", sign="-", other=""):
    return D_MOVE.format(detach=detach, clear=clear, sign=sign, other=other)


WRONG = {  # what people write, and what they should be told
    "d_loss": [
        ("softplus(fake_logits)", "the fakes' half alone"),
        ("-torch.sigmoid(real_logits).log()", "the reals' half alone"),
        ("softplus(real_logits) + softplus(-fake_logits)", "signs are exchanged"),
        (
            "(softplus(-real_logits) + softplus(fake_logits)).mean()",
            "one number; a tensor of (3,) is expected",
        ),
    ],
    "g_loss": [
        ("(1 - fake_logits.sigmoid()).log()", "saturating"),
        ("softplus(fake_logits)", "what D wants of fakes"),
        ("-fake_logits", "a critic's loss"),
        ("softplus(-fake_logits).mean()", "without a mean"),
    ],
    "g_slope": [
        ("1 / (1 + fake_logits.exp())", "sign is missing"),
        ("-fake_logits.sigmoid()", "saturating"),
        ("softplus(-fake_logits)", "the loss itself"),
    ],
    "d_move": [
        (d_move(detach=""), "G was left with"),
        (d_move(clear="pass"), "zero_grad"),
        (d_move(sign="", other="-"), "wrong way"),
        (d_move().replace("opt_D.step()", "pass"), "D has not moved (the second number)"),
        (d_move().replace(".backward()", ".div(2).backward()"), "half a step"),
        (d_move().replace(".mean()", ".sum()"), "not the sum"),
    ],
    "g_move": [
        (g_move(sign=""), "wrong way"),
        (g_move().replace("opt_G.step()", "pass"), "is opt_G.step() there"),
        (g_move().replace("    opt_G.zero_grad()\n", ""), "is expected"),
        (g_move().replace(".mean()", ".sum()"), "not the sum"),
        ("\n    softplus(-D(G(noise))).mean()", "is backward() there"),
        (g_move(thawed=False), "stayed frozen"),
        (
            g_move(
                frozen=True,
                more="[w.data.sub_(0.5 * w.grad) for w in D.parameters()]; D.zero_grad()",
            ),
            "how far D moved",
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
        ("((fakes[:, None] - centres[None]).abs() <= reach).all(2).any(0).sum()", "a square"),
    ],
    "best_logit": [
        ("p / (p + q)", "D's probability"),
        ("q.log() - p.log()", "sign is wrong"),
        ("p / q", "ratio itself"),
    ],
    "pull": [
        ("PULL.sum()", "sign is wrong"),
        ("-PULL.mean()", "a quarter"),
        ("FLAT.sum()", "slope of D's logit"),
    ],
    "wgan_gp": [
        (GRADIENT.format(graph=False, of_norm="(norm - 1) ** 2"), "create_graph=True"),
        (GRADIENT.format(graph=True, of_norm="norm ** 2 - 1"), "norm less 1, squared"),
        (GRADIENT.format(graph=True, of_norm="norm ** 2"), "The 1 is missing"),
        (
            GRADIENT.format(graph=True, of_norm="((norm - 1) ** 2).mean()"),
            "one number; a tensor of (4,)",
        ),
        (
            GRADIENT.format(graph=True, of_norm="((norm - 1) ** 2)[:, None]"),
            "a tensor of (4, 1); a tensor of",
        ),
    ],
    "r1": [
        (GRADIENT.format(graph=True, of_norm="gamma * norm ** 2"), "half is missing"),
        (GRADIENT.format(graph=True, of_norm="gamma / 2 * norm"), "to be squared"),
        (GRADIENT.format(graph=False, of_norm="gamma / 2 * norm ** 2"), "create_graph=True"),
    ],
    "relativistic_g": [
        ("softplus(fake_logits - real_logits)", "sign is that of D's loss"),
        ("softplus(-fake_logits)", "plays no part"),
        ("real_logits - fake_logits", "without softplus"),
    ],
    "ema": [
        ("average + 0.5 ** (n / half_life) * (weights - average)", "exchanged"),
        ("weights + math.exp(-n / half_life) * (average - weights)", "1/e"),
        ("average + n / half_life * (weights - average)", "straight line"),
    ],
    "upsampled": [
        ("(size + 2 * padding - kernel) // stride + 1", "ordinary convolution"),
        ("size * stride", "some kernels only"),
        ("(size - 1) * stride + kernel", "padding is missing"),
    ],
    "cosine": [
        ("(1 - at) * start + at * end", "straight line"),
        ("start + (end - start) * (1 + math.cos(at * math.pi)) / 2", "begins at the end's value"),
        ("end + (start - end) * math.cos(at * math.pi / 2)", "quarter of a wave"),
    ],
    "projection": [
        ("h.mv(w)", "plays no part"),
        ("(h * v[y]).sum(1)", "label's term alone"),
        ("h @ w + (h @ v.T).sum(1)", "v[y] picks one"),
        ("(h @ w)[:, None] + v[y] * h", "is expected"),
    ],
    "slerp": [
        ("a + t * (b - a)", "straight line"),
        (
            "((t * W(a, b)).sin() * a + ((1 - t) * W(a, b)).sin() * b) / W(a, b).sin()",
            "ends are exchanged",
        ),
        (
            "(((1 - t) * V(a, b)).sin() * a + (t * V(a, b)).sin() * b) / V(a, b).sin()",
            "angle is wrong",
        ),
    ],
    "information": [
        ("cross_entropy(guess, codes)", "cross-entropy alone"),
        ("math.log2(guess.shape[1]) - cross_entropy(guess, codes) / math.log(2)", "in bits"),
        ("cross_entropy(guess, codes) - math.log(guess.shape[1])", "sign is wrong"),
    ],
    "frechet_1d": [
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
        ("2 * pixels / 255 - 1", "wrap around"),
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
            "is expected",
        ),
        (
            "torch.rand(4, generator=torch.Generator().manual_seed(1_000_003 * seed + step))",
            "randn, not rand",
        ),
        ("torch.tensor([seed, step])", "a tensor of (2,); a tensor of (4,) is expected"),
    ],
    "copied": [
        ("(to_training > to_kept_back).float().mean()", "nearer to images kept back"),
        ("to_training.mean() < to_kept_back.mean()", "compares the means"),
        ("(to_kept_back - to_training).mean()", "how much nearer"),
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
    assert set(WRONG) == set(exercises.TASKS) and all(
        len(answers) >= 3 for answers in WRONG.values()
    )


@pytest.mark.parametrize(
    "name, body, hint", [(name, *answer) for name, answers in WRONG.items() for answer in answers]
)
def test_a_wrong_answer_is_told_what_is_wrong_with_a_number(name, body, hint, capsys):
    head = ASKED[name][0].splitlines()[0]
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
    assert told.startswith(f"{name}: not yet. For ") and hint in told, told
    assert re.search(r"\d|one number", told.split("; ")[0]) and "is expected" in told
    assert len(told) < 500


def test_what_is_no_number_and_what_stops_is_told(capsys):
    assert "gives a str; numbers are expected: [0.1755," in said(
        function("def d_loss(a, b):\n    return 'x'"), capsys
    )
    told = said(function("def d_loss(a, b):\n    return a + undefined"), capsys)
    assert "stopped with NameError: name 'undefined' is not defined" in told
    assert "stopped with TypeError" in said(function("def d_loss(a):\n    return a"), capsys)
    with pytest.raises(ValueError, match="no exercise 'd_los'; did you mean 'd_loss'"):
        exercises.check(function("def d_los():\n    ..."))


def test_arguments_and_the_random_state_cannot_be_spoilt(capsys):
    """A function that changes its arguments in place is judged by what it returns.

    Each call has the same start.
    """
    given = torch.tensor([1.0, -2.0])
    task = Task(
        lambda: [("two", (given,)), ("the same", (given,))],
        lambda x: 2 * x,
        (("a hint", lambda x: 3 * x),),
    )
    assert exercises.verdict(task, lambda x: x.mul_(2)) == "right" and given.tolist() == [1, -2]
    assert exercises.verdict(task, lambda x: x.mul_(3)).endswith("[2, -4] is expected. a hint")
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
        ("raise NotImplementedError", "stopped with NotImplementedError"),
        ("return real * float('nan')", "[nan, nan, nan]"),
        ("return real / 0", "[inf, -inf, inf]"),
        ("pass", "not done yet"),
        ("'Words.'", "not done yet"),
        ("return ...", "not done yet"),
        ("x = softplus(-real) + softplus(fake)", "it returns nothing: is `return` missing?"),
        ("print('seen')\n    return real", "is expected"),
    ):
        text = said(function(f"def d_loss(real, fake):\n    {body}"), capsys)
        assert told in text, text
        assert text.count("seen") <= 1
