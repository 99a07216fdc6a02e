"""The checks of `make test-gpu`, on the CPU: what they ask is right, whatever a GPU answers."""

import subprocess
import sys

import pytest

from dfcil_core import capture
from tests.gpu import checks
from tests.gpu.checks import CHECKS, Skipped
from tests.support.paths import ROOT
from tests.support.recorded_operators import RecordedOperators

NOT_NEEDED = ("click", "dask", "distributed", "jinja2", "matplotlib", "mlflow", "optuna", "pandas", "pytest", "rich")
"""Packages of the launcher, the tracking and the reports."""


# Each runs whole plans, most of them several: half a minute.
@pytest.mark.long
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_it_holds_on_the_cpu(check, tmp_path):
    try:
        check("cpu", tmp_path)
    except Skipped as reason:
        pytest.skip(str(reason))


# Two plans of every method with fifty steps a phase, of whose operators each is noted: minutes.
@pytest.mark.long
@pytest.mark.parametrize(
    "check", [checks.captured_steps_have_the_eager_losses, checks.a_captured_stage_that_was_stopped_does_too]
)
def test_with_noted_operators_for_graphs_they_hold_too(check, tmp_path, monkeypatch):
    monkeypatch.setattr(capture, "recorder_of", lambda device: RecordedOperators())
    monkeypatch.setattr(capture, "_refusals", {})
    monkeypatch.setattr(capture, "COMPARED", 6)
    monkeypatch.setattr(checks, "ADAMS", ())  # on a CPU they read back how many steps they have taken
    check("cpu", tmp_path)


@pytest.mark.long  # a hundred steps, of whose operators each is noted
def test_other_losses_of_graphs_are_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(capture, "recorder_of", lambda device: RecordedOperators())
    monkeypatch.setattr(capture, "COMPARED", 6)
    run = checks.run_plan

    def drifting(plan, folder, execution):
        records = run(plan, folder, execution)
        if execution.capture == "auto":
            next(iter(records.values()))["curves"]["loss"][0] *= 1 + 2e-5
        return records

    monkeypatch.setattr(checks, "run_plan", drifting)
    monkeypatch.setattr(checks, "METHODS", ["base"])
    monkeypatch.setattr(checks, "ADAMS", ())
    monkeypatch.setattr(checks, "REDUCED", ())
    with pytest.raises(AssertionError, match="base : learn 1 .* in graphs"):
        checks.captured_steps_have_the_eager_losses("cpu", tmp_path)


def test_other_numbers_are_seen(tmp_path, monkeypatch):
    run, calls = checks.run_plan, []

    def drifting(*arguments):
        calls.append(arguments)
        records = run(*arguments)
        next(iter(records.values()))["curves"]["loss"][0] += 1e-7 * len(calls)
        return records

    monkeypatch.setattr(checks, "run_plan", drifting)
    monkeypatch.setattr(checks, "METHODS", ["base"])
    with pytest.raises(AssertionError, match="base: records differ"):
        checks.the_same_numbers_twice("cpu", tmp_path)


@pytest.mark.long  # a process of its own that loads torch
def test_neither_they_nor_the_benchmark_need_more_than_the_core_and_the_planner():
    code = f"import sys; sys.modules.update(dict.fromkeys({NOT_NEEDED!r})); import tests.gpu.__main__, benchmarks.steps"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
