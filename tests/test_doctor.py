import gzip
import json
import math

import pytest
import torch
from conftest import ROOT

import ganlib
from benchmarks.doctor import HISTORIES, ILL, runs
from benchmarks.doctor_runs import right
from ganlib.judge import doctor

FINE = {
    "objective": "losses.non_saturating",
    "d_loss": 1.2,
    "d_real": 0.5,
    "d_fake": -0.5,
    "grad_norm_g": 1.0,
    "update_d": 0.01,
    "update_g": 0.01,
    "diversity": 0.35,
    "real_diversity": 0.36,
    "variety": 12.0,
    "real_variety": 13.0,
}


def history(n=30, **changes):
    """Rows like those of a healthy run, with some columns changed.

    A column is changed to a value, or to a function of the row's number.
    """
    rows = [{"step": 50 * (i + 1)} | FINE for i in range(n)]
    for name, value in changes.items():
        for i, row in enumerate(rows):
            row[name] = value(i) if callable(value) else value
    return rows


def evaluated(*distances, **more):
    rows = history()
    for row, value in zip(rows[-len(distances) :], distances, strict=True):
        row |= {"frechet_distance": value, "floor": 0.5} | more
    return rows


@pytest.mark.parametrize(
    "rows, name, number",
    [
        (history(), "healthy", f"{100 * 12 / 13:.3g} %"),
        (history(5), "undertrained", "only 5 rows"),
        (
            [
                row | {"step": i, "grad_norm_g": 0.004, "d_loss": 1.386}
                for i, row in enumerate(history(9))
            ],
            "undertrained",
            "only 9 rows",
        ),  # eight steps: nobody has learned anything
        (history(variety=5.2), "undertrained", "40 %"),
        (history(variety=lambda i: 0.5 + 0.5 * i), "undertrained", "%"),
        (history(d_loss=0.05), "d_wins", f"{100 * 0.05 / (2 * math.log(2)):.3g} %"),
        (history(d_loss=0.01, grad_norm_g=3e-7), "vanishing_gradients", "3e-07"),
        (history(grad_norm_g=0.0), "vanishing_gradients", "0"),
        (history(d_loss=3.0, d_real=-1.0, d_fake=1.0, variety=2.6), "g_wins", "100 %"),
        (history(d_loss=2 * math.log(2), grad_norm_g=0.004), "g_wins", "0.004"),
        (history(diversity=0.001, variety=0.01), "total_collapse", "0.278 %"),
        (history(diversity=0.03, variety=1.5), "total_collapse", "8.33 %"),
        (history(diversity=0.03, variety=1.5, d_loss=0.01), "d_wins", "%"),
        (history(variety=0.13), "partial_collapse", "1 %"),
        (
            history(
                variety=lambda i: 0.01 if i > 26 else 3.0,
                diversity=lambda i: 0.001 if i > 26 else 0.2,
            ),
            "total_collapse",
            "0.278 %",
        ),  # it hops from one picture to the next, and was between two of them for most of the rows
        (
            history(d_loss=lambda i: 1.4 + math.sin(i), d_real=lambda i: -1 - 2 * math.sin(i)),
            "oscillation",
            "%",
        ),
        (
            history(
                d_loss=lambda i: 1.2 + math.sin(i), d_real=lambda i: 1 - 2 * math.sin(i), d_fake=0.0
            ),
            "healthy",
            "%",
        ),  # small batches: now and then D errs by chance, but on the whole it leads
        (history(update_d=lambda i: 0.9 if i == 3 else 0.01, variety=0.5), "lr_too_high", "90 %"),
        (history(update_d=lambda i: 0.9 if i == 0 else 0.01), "healthy", "%"),  # it came to nothing
        (evaluated(9.0, update_d=0.9), "healthy", "%"),  # and an evaluation does not object
        (evaluated(90.0, update_d=0.9), "lr_too_high", "90 %"),  # various, but 180 floors away
        (evaluated(9.0, memorised=0.93, precision=0.6), "memorising", "93 %"),
        (
            evaluated(90.0, memorised=0.93, precision=0.01),
            "unlike",
            "180 floors",
        ),  # static has a nearest image too
        (evaluated(9.0, copied=0.4, real_copied=0.1, precision=0.6), "memorising", "40 % of the"),
        (evaluated(9.0, copied=0.4, real_copied=0.3, precision=0.6), "healthy", "%"),
        (evaluated(9.0, copied=0.9, precision=0.01), "healthy", "%"),
        (
            [
                {key: x for key, x in row.items() if key != "frechet_distance"}
                for row in evaluated(9.0, kid=0.1, copied=0.9)
            ],
            "memorising",
            "90 % of the fakes are copies",
        ),  # a small set has no distance
        (evaluated(9.0, 7.0, 5.0, 4.1, 4.0, 4.2, 4.1, 4.0), "done", "between 4 and 4.2"),
        (evaluated(9.0, 7.0, 5.0), "undertrained", "from 7 to 5"),
        # an evaluation that failed outweighs all that would be fine
        (evaluated(9.0, recall=0.0, coverage=0.01), "unlike", "recall 0 and coverage 0.01 at the"),
        (evaluated(9.0, recall=0.0, coverage=0.5), "unlike", "recall 0 at"),
        (evaluated(9.0, recall=0.5, coverage=0.01), "unlike", "coverage 0.01 at"),
        (evaluated(9.0, recall=0.01, coverage=0.02), "healthy", "%"),
        (evaluated(9.0, 7.0, 5.0, recall=0.0), "unlike", "it is getting nearer"),
        (evaluated(9.0, 7.0, 5.0, 4.1, 4.0, 4.2, 4.1, 4.0, recall=0.0), "unlike", "recall 0"),
        (evaluated(9.0, recall=0.0)[-3:], "unlike", "recall 0"),
        (
            [row | {"d_loss": 0.05} for row in evaluated(9.0, recall=0.0)],
            "d_wins",
            "%",
        ),  # what is ill has its own name
        # four pictures in all colours
        (history(forms=0.02, real_forms=0.5), "partial_collapse", "in other colours, at 4 %"),
        (history(forms=0.2, real_forms=0.5), "healthy", "%"),
        # a G that saturates, beside data of which 60 % are white paper, and beside black on white
        (history(between=0.01, real_between=0.4), "vanishing_gradients", "ends of the range"),
        (history(between=0.1, real_between=0.4), "healthy", "%"),
        (history(between=0.0, real_between=0.0), "healthy", "%"),
        (
            history()
            + [FINE | {"step": 9, "not_finite": "at step 8, in the output of G.layers.2 (Linear)"}],
            "not_finite",
            "at step 8, in the output of G.layers.2",
        ),
    ],
)
def test_each_diagnosis_names_its_number(rows, name, number):
    found = ganlib.diagnose(rows)
    assert (found.name, number in found.evidence) == (name, True), found
    assert (
        str(found) == f"{doctor.TITLES[name]}: {found.evidence}.\nNext: {found.advice}."
        and found.advice
    )


@pytest.mark.parametrize(
    "objective, guess", [("relativistic", math.log(2)), ("hinge", 2), ("least_squares", 0.5)]
)
def test_each_objective_is_read_in_its_own_scale(objective, guess):
    for share, name in ((0.8, "healthy"), (0.05, "d_wins")):
        rows = history(d_loss=share * guess, objective=f"losses.{objective}")
        assert ganlib.diagnose(rows).name == name
        assert f"{100 * share:.3g} %" in ganlib.diagnose(rows).evidence


@pytest.mark.parametrize("objective", ["losses.wasserstein", "a step of your own", "losses.mine"])
def test_a_critic_is_no_probability(objective):
    """D's loss has no scale: -50 and 0.001 mean nothing by themselves."""
    for loss in (-50.0, 0.001, 7.0):
        found = ganlib.diagnose(history(d_loss=loss, objective=objective, d_real=50.0, d_fake=0.0))
        assert found.name == "healthy" and "guess" not in found.evidence


def test_healthy_never_stands_beside_a_failed_evaluation():
    """Whatever the history is: `diagnose` with what `evaluate` returned, as the command does."""
    stored = json.loads(gzip.decompress(HISTORIES.read_bytes()))
    failed = {"recall": 0.0, "coverage": 0.04, "frechet_distance": 172.0, "floor": 24.0, "step": 7}
    for rows in (history(), history(3), history(variety=5.2), *stored.values()):
        found = ganlib.diagnose(rows, failed)
        assert "healthy" not in found.line and not found.line.startswith("done"), found
        assert "step" not in rows[-1] or rows[-1]["step"] != 7  # the history is as it was


def test_an_empty_history(small):
    for nothing in ([], small()):
        with pytest.raises(ValueError, match="the history is empty"):
            ganlib.diagnose(nothing)


def test_a_run_may_be_given_for_its_history(small, digits):
    gan = small()
    for _ in ganlib.train(gan, digits, until=3, batch_size=10, record_every=1):
        pass
    assert ganlib.diagnose(gan) == ganlib.diagnose(gan.history)


def test_the_labelled_runs():
    """What benchmarks/LOG.md reports; a rule that is changed must not lose it."""
    stored = json.loads(gzip.decompress(HISTORIES.read_bytes()))
    said = {name: ganlib.diagnose(rows).name for name, rows in stored.items()}
    labelled = runs()
    assert {run.name for run in labelled} == set(said) and len(labelled) >= 120
    sound = ("healthy", "undertrained", "done")
    assert sum(run.kind in sound for run in labelled) >= len(labelled) / 3
    for colour, most in ((False, 0.03), (True, 0.11)):
        part = [run for run in labelled if bool(run.data) == colour]
        wrong = [run.name for run in part if said[run.name] not in right(run, stored[run.name])]
        assert len(part) > 100 and len(wrong) <= most * len(part), wrong
    # two of the third half, which no rule has been changed for; benchmarks/LOG.md tells of them
    ill = {run.name for run in labelled if run.kind in sound and said[run.name] in ILL}
    assert ill <= {
        "third colour undertrained/dcgan-29-animals-32",
        "third colour done/pictures-39-shapes-32",
    }
    assert {name for run in labelled for name in run.answers} | {"unread"} == set(doctor.TITLES)


def test_points_and_clips_get_no_diagnosis():
    """But for figures that are not finite: the thresholds were set on images."""
    row = {"step": 500, "axes": 1, "d_loss": 0.01}
    found = ganlib.diagnose([row] * 30)
    assert (
        found.name == "unread"
        and "no diagnosis: these are no images, but have 1 axes each" in str(found)
    )
    assert ganlib.diagnose([row, row | {"not_finite": "at step 3"}]).name == "not_finite"


def test_of_several_gans_the_worst_is_said_with_its_name():
    healthy = history()
    sick = [row | {"d_loss": 0.001, "grad_norm_g": 1e-6, "variety": 0.1} for row in healthy]
    rows = []
    for pair in zip(healthy, sick, strict=True):
        named = [
            {f"{name}.{key}": x for key, x in row.items() if key != "step"}
            for name, row in zip("ab", pair, strict=True)
        ]
        rows.append({"step": pair[0]["step"]} | named[0] | named[1])
    alone, both = ganlib.diagnose(sick), ganlib.diagnose(rows)
    assert both.name == alone.name != "healthy" and both.evidence == f"b: {alone.evidence}"


def test_the_live_view_shows_the_verdict(small, digits, capsys):
    for _ in ganlib.train(
        small(), digits, until=40, batch_size=10, record_every=2, view=ganlib.LiveView(every=0)
    ):
        pass
    lines = capsys.readouterr().out.splitlines()
    verdicts = [
        line
        for line in lines
        if any(line.startswith(f"   {title}:") for title in doctor.TITLES.values())
    ]
    assert verdicts and lines[-1] == "ended: 40 steps"


def test_the_runs_can_be_played_again():
    """One short run as by `python -m benchmarks.doctor play`: its stored history's numbers."""
    from benchmarks.doctor import play

    precision = torch.get_float32_matmul_precision()
    name, rows = play(("undertrained/mlp-r1", None))
    torch.set_float32_matmul_precision(precision)
    stored = json.loads(gzip.decompress(HISTORIES.read_bytes()))[name]
    assert [row["step"] for row in rows] == [row["step"] for row in stored]
    assert rows[0]["d_loss"] == pytest.approx(stored[0]["d_loss"], rel=0.01), (
        "the first step, before machines differ"
    )
    assert (ROOT / "benchmarks" / "LOG.md").exists()
