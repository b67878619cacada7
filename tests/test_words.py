"""The exercises in Chinese: the catalogue holds each sentence, and wrong answers get it."""

import json
import re
import sys
from importlib import import_module

import pytest
import torch
from conftest import ROOT
from test_exercises import ASKED, ERRORS, HELP, SPACE, WRONG, function

from ganlib import exercises
from ganlib.lessons.telling import table
from ganlib.lessons.words import columns

sys.path.insert(0, str(ROOT / "tools"))
import catalogue  # noqa: E402

CHINESE = json.loads((ROOT / "ganlib" / "lessons" / "zh.json").read_text(encoding="utf-8"))
TRANSLATED = {
    name: task
    for lesson in catalogue.TRANSLATED
    for name, task in import_module(f"ganlib.lessons.tasks.{lesson}").TASKS.items()
}
ENGLISH = re.compile(r"[A-Za-z]{2,} [a-z]{2,} [a-z]{2,}")


@pytest.fixture
def chinese(capsys):
    """The exercises speak Chinese; calling it returns what was printed since the last call."""
    exercises.language("zh")
    yield lambda: capsys.readouterr().out
    exercises.language("en")


def test_the_catalogue_holds_each_sentence_and_no_other():
    wrong = catalogue.problems(CHINESE)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "change, told",
    [
        ({"right": None}, 'missing: "right": "",'),
        ({"one number": None}, 'missing: "one number": "",'),
        ({TRANSLATED["d_loss"].hints[0]: None}, 'missing: "Try the function with logits of 40.'),
        ({TRANSLATED["ema"].cases()[0][0]: None}, 'missing: "an average [0, 1], weights'),
        ({"That is wrong.": "那是错的。"}, "unused: 'That is wrong.'"),
        ({"{name}: {told}": "{name}：{said}"}, "other names in braces: '{name}：{said}'"),
        ({"one number": "一个number"}, "a space is missing in '个n'"),
        ({"one number": "一个数,"}, "'数,' has a narrow sign"),
    ],
)
def test_a_catalogue_that_lacks_something_is_told_what(change, told):
    changed = {k: v for k, v in (CHINESE | change).items() if v is not None}
    (problem,) = catalogue.problems(changed)
    assert problem.startswith(told)


def test_every_message_is_a_sentence_of_the_catalogue():
    """Nothing that a learner sees is put together outside `tell`."""
    files = {file.stem: file for file in (ROOT / "ganlib" / "lessons").rglob("*.py")}
    for name in ("check", "telling", "task", *catalogue.TRANSLATED, *catalogue.OTHERS):
        text = files[name].read_text()
        assert not re.search(r"(Unfit|ValueError)\(\s*f?\"", text), name
        for line in re.findall(r"\bprint\((.+)\)", text):
            assert line.startswith("tell(") or line == 'f"  {remark}"', (name, line)


def test_a_language_is_chosen_and_others_are_refused(chinese):
    exercises.hint("d_loss", 1)
    assert chinese() == f"d_loss，提示 1/3：{CHINESE[exercises.TASKS['d_loss'].hints[0]]}\n"
    exercises.language("en")
    exercises.hint("d_loss", 1)
    assert chinese().startswith("d_loss, hint 1 of 3: Try the function")
    with pytest.raises(ValueError, match=r"no language 'klingon'; choose one of \['en', 'zh'\]"):
        exercises.language("klingon")
    exercises.hint("d_loss", 1)
    assert chinese().startswith("d_loss, hint 1 of 3")  # as before


@pytest.mark.parametrize(
    "name, body", [(name, body) for name in WRONG if name in TRANSLATED for body, _ in WRONG[name]]
)
def test_a_wrong_answer_is_told_so_in_chinese(name, body, chinese):
    space = dict(SPACE)
    exec(HELP, space)
    head = ASKED[name].stub.splitlines()[0]
    if name == "pull":
        of = body.replace("PULL", "softplus(-D(x))").replace("FLAT", "D(x)")
        body = (
            f"\n    x = fakes.clone().requires_grad_()\n    return torch.autograd.grad({of}, x)[0]"
        )
    exercises.check(
        function(f"{head}{body}" if body.startswith("\n") else f"{head}\n    return {body}", space)
    )
    told = chinese()
    assert re.match(rf"{name}：还(不对|没有修好)。对于", told), told
    assert not ENGLISH.search(told), told


@pytest.mark.parametrize(
    "head, body", [(head, body) for head, several in ERRORS.items() for body, _ in several]
)
def test_errors_are_told_in_chinese(head, body, chinese):
    if head.partition("(")[0] not in TRANSLATED:
        return
    exercises.check(function(f"def {head}:\n    {body}"))
    told = chinese()
    own = re.sub(r"`.*?`|\w+Error: .+", "", told)  # without code and Python's own words
    assert "还不对" in told and not ENGLISH.search(own), told


@pytest.mark.parametrize("name", TRANSLATED)
def test_whatever_is_asked_answers_in_chinese(name, chinese):
    task = TRANSLATED[name]
    for number in (1, 2, 3):
        exercises.hint(name, number)
    use = ASKED[name].use
    if use == "check":
        exercises.check(function(ASKED[name].stub))
        assert "还没有做" in chinese() or task.faulty is not None
    else:
        ask = exercises.predict if use == "predict" else exercises.answer
        ask(name, ...)
        assert "还没有" in chinese()
        ask(name, object())
        assert "这里要填" in chinese()
        wrong = [wrong for _, wrong in task.slips] + [1e6]
        for guess in wrong if use == "answer" or not task.choices else wrong[:-1]:
            ask(name, sum(guess) / 2 if isinstance(guess, tuple) else guess)
            if use == "predict":
                right = task.right
                exercises.compare(name, sum(right) / 2 if isinstance(right, tuple) else right)
                exercises.predict(name, ...)
            told = re.sub("|".join(map(re.escape, getattr(task, "choices", ()))), "", chinese())
            assert ("这次没猜中" in told) if use == "predict" else ("还不对" in told), told
            assert not ENGLISH.search(told) and ("原因：" in told) == (use == "predict"), told
    assert not ENGLISH.search(chinese())


def test_what_stops_a_notebook_is_said_in_chinese(chinese):
    with pytest.raises(ValueError, match="check 要的是函数本身"):
        exercises.check(3)
    with pytest.raises(ValueError, match="没有名为 'd_los' 的练习；你是不是想写 'd_loss'？"):
        exercises.hint("d_los")
    with pytest.raises(ValueError, match="'d_loss' 不能用 predict：请用 check"):
        exercises.predict("d_loss", 3)
    with pytest.raises(ValueError, match="只有提示 1 到 3"):
        exercises.hint("d_loss", 7)


def test_a_table_stays_straight_where_signs_are_wide(chinese):
    """Each column begins at the same place, two columns for a Chinese sign."""
    rows = [
        ("D's weights", torch.tensor(1.0), torch.tensor(2.0), False),
        ("result", torch.tensor(0.5), torch.tensor(0.5), True),
    ]
    assert table(rows).splitlines() == [
        "            你的  应为",
        "  D 的权重  1     2     <-- 不同",
        "  结果      0.5   0.5",
    ]
    assert columns("D 的权重") == 8
