"""What reports make of a grid: a column for each setting that varies, and a curve over its values."""

import statistics

import pytest

import reports
from reports.figures.grid_figures import over_values
from reports.jobs import value_of
from reports.sources.store import read_sweep
from tests.support.reported import launched, output

SPEC = """\
name: {name}
dataset: digits
methods:
  - base
  - {{name: abd, mu: {{grid: [0.05, 0.1, 1]}}}}
  - {{name: abd, label: two, mu: {{grid: [0.2]}}, training: {{lr: {{grid: [0.1, 0.05]}}}}}}
tasks: [2, 5]
repeats: 2
training: {{epochs: 3, backbone: resnet8}}
dreaming: {{steps: 40}}
"""


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    runs = tmp_path_factory.mktemp("grid") / "runs"
    return launched(runs, "grid", SPEC, left_out=lambda job: job.slug == "abd@mu=1-5-s1"), runs


def test_the_frame_has_a_column_for_each_varied_setting(grid):
    frame = reports.load("grid", runs=str(grid[1]))
    assert list(frame.columns[-2:]) == ["mu", "training.lr"]
    varied = frame.drop_duplicates("label").set_index("label")[["mu", "training.lr"]]
    assert varied.loc["abd@mu=0.05"].tolist() == [0.05, 0.1]
    assert varied.loc["two@mu=0.2@training.lr=0.05"].tolist() == [0.2, 0.05]
    assert varied.loc["base"].isna().tolist() == [True, False]
    assert frame.groupby("mu")["seed"].count().to_dict() == {0.05: 4, 0.1: 4, 0.2: 8, 1.0: 4}


def test_tables_show_titles_and_the_csv_has_the_columns(grid):
    shown = output("report", "grid", "--runs", grid[1], "--format", "markdown")
    assert "| abd · mu=0.05 |" in shown and "| two · mu=0.2 · training.lr=0.1 |" in shown
    first, *lines = output("report", "grid", "--runs", grid[1], "--format", "csv").splitlines()
    assert first.startswith("method,group,mu,training.lr,split,")
    assert lines[0].startswith("base,data-free,,0.1,2,")
    assert lines[2].startswith("abd@mu=0.05,data-free,0.05,0.1,2,")


def test_the_curve_is_the_mean_over_seeds_at_each_value_of_the_one_setting_that_varies(grid):
    plan, runs = grid
    jobs = read_sweep(runs, plan).jobs
    (figure,) = [over_values(jobs)["mu"]]
    assert list(over_values(jobs)) == ["mu"]
    left, right = figure.axes
    assert (left.get_title(), right.get_title()) == ("2 tasks", "5 tasks")
    for axes, split, seeds in ((left, "2", "2 seeds"), (right, "5", "1 to 2 seeds")):
        (line,), (legend,) = axes.lines[:1], axes.get_legend().get_texts()
        assert legend.get_text() == f"abd ({seeds})"
        frame = reports.load("grid", runs=str(runs)).query(f"split == '{split}' and finished")
        means = [statistics.fmean(frame.query(f"label == 'abd@mu={mu}'")["final"]) for mu in ("0.05", "0.1", "1")]
        assert line.get_xdata().tolist() == [0.05, 0.1, 1.0]
        assert line.get_ydata().tolist() == pytest.approx(means)
        assert axes.get_xscale() == "log" and axes.get_xlabel() == "mu"


def test_one_value_makes_no_curve(grid):
    plan, runs = grid
    jobs = [job for job in read_sweep(runs, plan).jobs if job.label != "abd@mu=0.1" and job.label != "abd@mu=1"]
    assert over_values(jobs) == {}


def test_settings_as_text_are_values_again():
    assert [value_of(text) for text in ("3", "0.5", "1e-05", "True", "iccv2021", "[2, 3]")] == [
        3,
        0.5,
        1e-05,
        True,
        "iccv2021",
        "[2, 3]",
    ]
