"""A sweep over folds in the reports: cells over seeds and folds, pairs that share both, and captions that say so."""

import pytest

from orchestrator.spec.load import parse_spec
from reports import load
from reports.jobs import JobReport
from reports.tables.caption import caption
from reports.tables.cells import standings
from reports.tables.layout import layout
from tests.support.reported import launched, output

SPEC = """\
name: {name}
dataset: {{name: digits, holdout: {{share: 0.1, fold: [3, 0]}}}}
methods: [base, abd]
tasks: [5]
seeds: [0, 1]
training: {{epochs: 3, backbone: resnet8}}
dreaming: {{steps: 40}}
"""


def test_a_cell_is_over_seeds_and_folds(tmp_path):
    launched(tmp_path, text=SPEC)
    frame = load("demo", runs=str(tmp_path))
    assert list(zip(frame["seed"], frame["fold"], frame["holdout"], strict=True))[:4] == [
        (0, 3, 0.1),
        (1, 3, 0.1),
        (0, 0, 0.1),
        (1, 0, 0.1),
    ]
    table = layout(frame)
    (cell,) = (cell for (label, *_), cell in table.cells.items() if label == "abd")
    assert (cell.n, cell.asked) == (4, 4)
    assert cell.mean == pytest.approx(frame[frame["label"] == "abd"]["final"].astype(float).mean())
    assert "over seeds and folds (n)" in caption(table)
    assert "tested on 10% of each class's training images, held out (folds 0, 3), not on the test" in caption(table)
    shown = output("report", "demo", "--runs", tmp_path, "--format", "html")
    assert "0 · fold 3</td>" in shown and "mean of 4 jobs" in shown


def test_jobs_are_compared_within_a_seed_and_a_fold(tmp_path):
    launched(tmp_path, text=SPEC)
    frame = load("demo", runs=str(tmp_path))
    values = {"base": [10, 20, 30, 40], "abd": [15, 25, 35, 45]}  # five more in each seed and fold
    for label, finals in values.items():
        frame.loc[frame["label"] == label, "final"] = finals
    shuffled = frame.iloc[[0, 1, 2, 3, 7, 5, 4, 6]]
    cells = {place[:2]: cell for place, cell in layout(shuffled).cells.items()}
    found = standings(shuffled, "final", cells)
    assert found["abd", "5"].best and found["base", "5"].p == 0.0


def test_two_sweeps_are_compared_within_a_seed_and_a_fold(tmp_path):
    launched(tmp_path, text=SPEC)
    launched(tmp_path, text=SPEC.replace("[3, 0]", "[0, 7]"), name="other")
    told = output("compare", "demo", "other", "--runs", tmp_path)
    assert "paired over seeds and folds" in told and "all 4 jobs in both are identical to the last digit" in told
    assert "4 jobs only in A: base · 5 · seed 0 · fold 3; base · 5 · seed 1 · fold 3; " in " ".join(told.split())


def test_held_out_images_are_told_without_folds_too(tmp_path):
    launched(tmp_path, text=SPEC.replace("{{share: 0.1, fold: [3, 0]}}", "0.2"))
    told = caption(layout(load("demo", runs=str(tmp_path))))
    assert "over seeds (n)" in told
    assert "tested on 20% of each class's training images, held out, not on the test images" in told


def test_a_plan_without_a_holdout_says_nothing_of_it(tmp_path):
    launched(tmp_path)
    frame = load("demo", runs=str(tmp_path))
    assert frame["fold"].isna().all() and "held out" not in caption(layout(frame))
    assert parse_spec(SPEC.format(name="demo"), "s").dataset.folds == (3, 0) and JobReport.fold is None
