"""The figures: what they show, and in which colours."""

import subprocess
import sys

import pytest

from dfcil_core.methods import METHODS
from orchestrator.results.job_result import job_result, job_results
from reports.figures import job_figures, style
from tests.support.fabricated import record, sweep


def results_of(plan, keep=lambda stage: True):
    return job_results(plan, {key: record(plan, stage) for key, stage in plan.stages.items() if keep(stage)})


def test_a_method_looks_the_same_wherever_it_is():
    assert style.style("abd") == (style.VERMILLION, "o")
    # No two methods look alike, whether their looks were chosen or follow from their names.
    assert len({style.style(name) for name in {**METHODS, **style.STYLES}}) == len({**METHODS, **style.STYLES})
    code = "from reports.figures.style import style; print(style('my-plugin'))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert told.strip() == str(style.style("my-plugin"))
    for results in (results_of(sweep(("abd", "base"))), results_of(sweep(("base", "lwf", "abd")))):
        lines = {
            line.get_label().split()[0]: line.get_color() for line in job_figures.comparison(results).axes[0].lines
        }
        assert (lines["abd"], lines["base"]) == (style.VERMILLION, style.BLUE)


def test_the_heat_map_shows_the_matrix():
    result = results_of(sweep(("base",), seeds=(0,)))[0]
    figure = job_figures.accuracy_matrix(result)
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == [f"{value:.0f}" for row in result.matrix for value in row]
    assert figure.axes[0].images[0].get_clim() == (0, 100)


def test_accuracy_over_tasks_has_a_line_a_task_and_the_average():
    result = results_of(sweep(("base",), seeds=(0,)))[0]
    *tasks, average = job_figures.accuracy_over_tasks(result).axes[0].lines
    assert len(tasks) == 5
    assert list(tasks[2].get_xdata()) == [3, 4, 5]
    assert list(tasks[2].get_ydata()) == [row[2] for row in result.matrix[2:]]
    assert list(average.get_ydata()) == [sum(row) / len(row) for row in result.matrix]


def test_the_comparison_has_a_panel_a_split_and_bands_over_seeds():
    plan = sweep(("upper-bound", "base"), seeds=(0, 1), splits=((2,) * 5, (6, 2, 2)))
    figure = job_figures.comparison(results_of(plan))
    assert [axes.get_title() for axes in figure.axes] == ["5 tasks", "3 tasks (6+2)"]
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["upper-bound (2 seeds)", "base (2 seeds)"]
    bound, base = axes.lines[0], axes.lines[-1]
    base = next(line for line in axes.lines if line.get_label().startswith("base"))
    assert list(bound.get_xdata()) == [5]
    # Seed 1 has one right answer in 40 less than seed 0 for each class.
    first, second = results_of(plan)[4].matrix[1], results_of(plan)[5].matrix[1]
    assert base.get_ydata()[1] == pytest.approx((sum(first) + sum(second)) / 4)
    assert len(axes.collections) >= 1


def test_figures_of_what_is_not_finished(tmp_path):
    plan = sweep(("base",), seeds=(0,))
    assert job_figures.comparison(results_of(plan, lambda stage: False)) is None
    partial = results_of(plan, lambda stage: stage.recipe.task <= 2)
    for figure in (
        job_figures.accuracy_matrix(partial[0]),
        job_figures.accuracy_over_tasks(job_result(plan.jobs[0], {})),
        job_figures.comparison(partial),
    ):
        figure.savefig(tmp_path / "figure.png")
        assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_figures_leave_matplotlibs_global_state_alone():
    code = "import sys, reports.figures.job_figures; print('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
