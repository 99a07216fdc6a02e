"""The checks of `make test-gpu`, on the CPU: what they ask is right, whatever a GPU answers."""

import subprocess
import sys

import pytest

from tests.gpu import checks
from tests.gpu.checks import CHECKS, Skipped
from tests.support.paths import ROOT

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
