"""The tables: what a cell says, in which order, and that every format says the same."""

import csv
import io
import statistics
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from dfcil_core.measures import MEASURES
from orchestrator.plan.plan import make_plan
from orchestrator.results.job_result import job_results
from orchestrator.spec.model import Exclusion
from reports.frame import COLUMNS, frame
from reports.tables.cells import Cell, cells
from reports.tables.render import render
from tests.support.fabricated import record, sweep

SPLITS = ((2, 2, 2, 2, 2), (6, 2, 2))


def results_of(plan, keep=lambda stage: True):
    return job_results(plan, {key: record(plan, stage) for key, stage in plan.stages.items() if keep(stage)})


def frame_of(plan, keep=lambda stage: True):
    return frame(plan.spec, results_of(plan, keep))


def table(finals, label="abd", group="data-free", split="5", tasks=5):
    """Rows of a frame with these final accuracies by seed; None is not finished."""
    return pd.DataFrame(
        [
            {"label": label, "group": group, "split": split, "tasks": tasks, "seed": seed, "final": final}
            | {"finished": final is not None, "fold": None, "holdout": 0.0}
            for seed, final in enumerate(finals)
        ]
    )


# ---- a cell ----------------------------------------------------------------------------------------------------------


def test_mean_and_deviation_worked_by_hand():
    # Deviations from the mean 20 are -10, 0 and 10: 200 / 2 = 100, and 200 / 3 = 66.67.
    sample, population = (cells(table([10.0, 20.0, 30.0]), ddof=ddof)["abd", "5"] for ddof in (1, 0))
    assert sample == Cell(20.0, 10.0, 3, 3)
    assert population.mean == 20.0 and population.std == pytest.approx(8.16497, abs=1e-5)
    assert (str(sample), str(population)) == ("20.0 ± 10.0 (3)", "20.0 ± 8.2 (3)")


@pytest.mark.parametrize("ddof", [0, 1])
def test_mean_and_deviation_against_other_libraries(ddof):
    values = [31.25, 33.125, 29.75, 40.5, 12.0]
    cell = cells(table(values), ddof=ddof)["abd", "5"]
    assert cell.mean == pytest.approx(statistics.fmean(values), rel=1e-12)
    assert cell.std == pytest.approx(np.std(values, ddof=ddof), rel=1e-12)
    assert cell.std == pytest.approx((statistics.stdev if ddof else statistics.pstdev)(values), rel=1e-12)


def test_a_cell_with_jobs_missing_says_so():
    cell = cells(table([10.0, None, 30.0]))["abd", "5"]
    assert (cell.mean, cell.n, cell.asked, cell.complete) == (20.0, 2, 3, False)
    assert str(cell) == "20.0 ± 14.1 (2 of 3)*"
    assert str(cells(table([None, None]))["abd", "5"]) == "— (0 of 2)*"


def test_one_seed_has_no_sample_deviation():
    assert str(cells(table([12.34]))["abd", "5"]) == "12.3 ± — (1)"
    assert str(cells(table([12.34]), ddof=0)["abd", "5"]) == "12.3 ± 0.0 (1)"


# ---- the frame -------------------------------------------------------------------------------------------------------


def test_a_row_a_job_with_the_documented_columns():
    plan = sweep(("upper-bound", "base", "rehearsal"), seeds=(0, 1), splits=SPLITS)
    rows = frame_of(plan)
    assert list(rows.columns) == list(COLUMNS)
    assert len(rows) == len(plan.jobs) == 12
    assert list(rows["label"].unique()) == ["upper-bound", "base", "rehearsal"]
    assert list(rows["group"].unique()) == ["bound", "data-free", "memory"]
    assert rows["finished"].all()
    assert list(rows["split"].unique()) == ["5", "6+2"] and list(rows["tasks"].unique()) == [5, 3]


def test_the_numbers_of_a_job_worked_by_hand():
    # In the fabricated records, of 40 images a class `base` has right 40 - 18 a task of age, seed 0; never below 0.
    row = frame_of(sweep(("base",), seeds=(0,), splits=((6, 2, 2),))).iloc[0]
    last = [100 * 4 / 40, 100 * 22 / 40, 100.0]
    assert row["final"] == pytest.approx(sum(last) / 3) == pytest.approx(55.0)
    assert row["weighted"] == pytest.approx((6 * 10 + 2 * 55 + 2 * 100) / 10)
    assert row["average"] == pytest.approx((100 + (55 + 100) / 2 + 55) / 3)
    assert row["forgetting"] == pytest.approx(((100 - 10) + (100 - 55)) / 2)
    assert row["bwt"] == pytest.approx(-67.5)
    assert row["learning"] == 100.0  # the newest task is all right, and there is no upper bound to compare with
    assert pd.isna(row["intransigence"])
    assert row["local"] == pytest.approx(95.0)  # 38 of 40 of each class
    assert row["seconds"] == pytest.approx(3 * 1.5)


def test_what_a_job_does_not_have_is_missing():
    rows = frame_of(sweep(("upper-bound", "base"), seeds=(0,)), lambda stage: stage.recipe.method != "base").set_index(
        "label"
    )
    bound, base = rows.loc["upper-bound"], rows.loc["base"]
    # It is trained after the last task only: no average over tasks, no forgetting.
    assert bound["finished"] and bound["final"] == 100.0
    assert pd.isna(bound["average"]) and pd.isna(bound["forgetting"]) and pd.isna(bound["bwt"])
    assert not base["finished"] and pd.isna(base["final"])


# ---- the formats -----------------------------------------------------------------------------------------------------


def whole():
    return frame_of(sweep(("rehearsal", "base", "upper-bound", "abd"), seeds=(0, 1), splits=SPLITS))


def incomplete():
    plan = sweep(("upper-bound", "base"), seeds=(0, 1))
    return frame_of(plan, lambda stage: stage.recipe.seed == 0 or stage.recipe.method == "cross-entropy")


# Of 40 images a class, seed 1 has one right answer fewer than seed 0, where there are any. Over five tasks abd has 40,
# 33, 26, 19 and 12 right, 65.0% and 62.5%: 63.75 ± 2.5 / sqrt(2). base has 40, 22, 4, 0 and 0, 33.0% and 31.5%.
GOLDEN = """\
┏━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━┓
┃ method        ┃        5 tasks ┃  3 tasks (6+2) ┃
┡━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━┩
│ Bounds        │                │                │
│   upper-bound │ 98.8 ± 1.8 (2) │ 98.8 ± 1.8 (2) │
├───────────────┼────────────────┼────────────────┤
│ Data-free     │                │                │
│   base        │ 32.2 ± 1.1 (2) │ 53.8 ± 1.8 (2) │
│   abd         │ 63.8 ± 1.8 (2) │ 81.2 ± 1.8 (2) │
├───────────────┼────────────────┼────────────────┤
│ With memory   │                │                │
│   rehearsal   │ 63.8 ± 1.8 (2) │ 81.2 ± 1.8 (2) │
└───────────────┴────────────────┴────────────────┘
final accuracy in percent: mean ± sample standard deviation (n - 1) over seeds (n); \
final accuracy = A(T) = mean over j = 1..T of a(T,j); a(t,j): accuracy on task j after task t of T
"""


def test_the_terminal_table():
    assert render(whole(), "terminal") == GOLDEN


def test_markdown_reads_back():
    lines = render(whole(), "markdown").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert rows[0] == ["method", "5 tasks", "3 tasks (6+2)"]
    assert rows[1] == ["---", "---:", "---:"]
    assert {len(row) for row in rows} == {3}
    assert [row[0] for row in rows[2:]] == [
        "**Bounds**",
        "upper-bound",
        "**Data-free**",
        "base",
        "abd",
        "**With memory**",
        "rehearsal",
    ]
    values = cells(whole())
    assert {row[0]: row[1:] for row in rows if not row[0].startswith("*")}["abd"] == [
        str(values["abd", "5"]),
        str(values["abd", "6+2"]),
    ]
    assert lines[-1] == GOLDEN.splitlines()[-1]


def test_csv_reads_back_unrounded():
    rows = list(csv.DictReader(io.StringIO(render(whole(), "csv", ddof=0))))
    values = cells(whole(), ddof=0)
    assert len(rows) == len(values) == 8
    for row in rows:
        cell = values[row["method"], row["split"]]
        assert (float(row["mean"]), float(row["std"])) == (cell.mean, cell.std)
        assert (row["n"], row["asked"], row["ddof"], row["metric"]) == ("2", "2", "0", "final")
    assert {row["method"]: row["group"] for row in rows}["rehearsal"] == "memory"


@pytest.mark.parametrize("form", ["terminal", "markdown"])
def test_incomplete_cells_are_marked_and_explained(form):
    text = render(incomplete(), form)
    star = "*" if form == "terminal" else r"\*"
    assert f"(1 of 2){star}" in text and "98.8 ± 1.8 (2)" in text
    assert f"{star} incomplete: some jobs of the cell are not finished" in text
    assert "incomplete" not in render(whole(), form)


def test_incomplete_cells_in_csv():
    rows = {row["method"]: row for row in csv.DictReader(io.StringIO(render(incomplete(), "csv")))}
    assert (rows["base"]["n"], rows["base"]["asked"], rows["base"]["std"]) == ("1", "2", "")
    assert (rows["upper-bound"]["n"], rows["upper-bound"]["asked"]) == ("2", "2")


@pytest.mark.parametrize(("ddof", "words"), [(1, "sample standard deviation (n - 1)"), (0, "population standard")])
@pytest.mark.parametrize("form", ["terminal", "markdown"])
def test_every_table_says_which_deviation_it_shows(form, ddof, words):
    assert words in render(whole(), form, "final", ddof)


@pytest.mark.parametrize("metric", MEASURES)
def test_every_table_has_its_measures_formula(metric):
    rows = frame_of(sweep(("base", "abd"), seeds=(0, 1)))
    for form in ("terminal", "markdown"):
        assert MEASURES[metric].formula in render(rows, form, metric)
    assert MEASURES[metric].latex in render(rows, "latex", metric)


def test_another_metric():
    text = render(whole(), "markdown", "forgetting")
    assert "forgetting in percent" in text
    # The upper bound is trained once, and forgets nothing that is known.
    assert "| upper-bound | n/a | n/a |" in text and "n/a: the jobs do not have this measure" in text
    assert "incomplete" not in text


def test_several_measures_are_columns_of_one_split():
    rows = frame_of(sweep(("upper-bound", "base"), seeds=(0, 1)))
    lines = render(rows, "markdown", ("final", "average", "omega", "bwt")).splitlines()
    assert lines[0] == "| method | final | average | Omega | backward transfer |"
    # Over time A(t) of base is 100, 77.5, 55, 41.25 and 33 for seed 0, in the mean 61.35; 59.175 for seed 1. Since they
    # were learnt the old tasks lost 100, 100, 90 and 45, in the mean 83.75; for seed 1, which begins at 97.5, 82.5.
    assert lines[5] == "| base | 32.2 ± 1.1 (2) | 60.3 ± 1.5 (2) | n/a | -83.1 ± 0.9 (2) |"
    assert lines[3] == "| upper-bound | 98.8 ± 1.8 (2) | n/a | n/a | n/a |"
    told = lines[-1]
    assert told.startswith(
        "5 tasks, in percent: mean ± sample standard deviation (n - 1) over seeds (n); n/a: the jobs do"
    )
    assert "; final: final accuracy = A(T) = mean over" in told and "; backward transfer = mean over" in told
    assert (
        "; Omega, as a ratio to the upper bound = mean over" in told and told.count("a(t,j): accuracy on task j") == 1
    )


def test_several_measures_of_several_splits_are_for_programs():
    rows = list(csv.DictReader(io.StringIO(render(whole(), "csv", ("final", "bwt")))))
    assert {(row["split"], row["metric"]) for row in rows} == {(s, m) for s in ("5", "6+2") for m in ("final", "bwt")}
    assert len(rows) == 4 * 2 * 2
    assert {row["mean"] for row in rows if (row["method"], row["metric"]) == ("upper-bound", "bwt")} == {""}
    with pytest.raises(ValueError, match="several splits"):
        render(whole(), "latex", ("final", "bwt"))


def test_the_best_of_each_measure_by_its_own_direction():
    lines = render(frame_of(sweep(("base", "abd"), seeds=(0, 1))), "markdown", ("final", "forgetting"), best=True)
    (abd,) = [line for line in lines.splitlines() if line.startswith("| abd")]
    assert abd.count("**") == 4  # higher accuracy, less forgetting


def test_a_cell_that_was_never_asked_for_is_a_dash():
    plan = sweep(("base", "abd"), seeds=(0,), splits=SPLITS)
    plan = make_plan(replace(plan.spec, exclude=(Exclusion(method="abd", tasks="6+2"),)))
    text = render(frame_of(plan), "markdown")
    assert text.splitlines()[4].endswith("| — |")
    assert "incomplete" not in text


@pytest.mark.parametrize("form", ["terminal", "markdown", "csv"])
def test_a_sweep_of_no_jobs_has_an_empty_table(form):
    plan = make_plan(replace(sweep(("base",)).spec, exclude=(Exclusion(),)))
    assert plan.jobs == ()
    assert "base" not in render(frame_of(plan), form)
