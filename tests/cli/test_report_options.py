"""`report`: several measures in one table, and the choice of a split."""

import pytest
from click.testing import CliRunner

from orchestrator.cli import cli
from orchestrator.errors import UserError
from tests.support.reported import SPEC, launched, output

METRICS = "final, average,forgetting,final"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    launched(folder, text=SPEC.replace("  - abd\n  - rehearsal\n", "").replace("repeats: 3", "repeats: 2"))
    return folder


def test_several_measures_of_the_chosen_split(runs):
    lines = output("report", "demo", "--runs", runs, "--metric", METRICS, "--tasks", "5").splitlines()
    assert lines[1].replace(" ", "") == "┃method┃final┃average┃forgetting┃"
    finals = output("report", "demo", "--runs", runs, "--tasks", "5 tasks").splitlines()
    for label in ("upper-bound", "base"):
        several, one = (next(line for line in text if f" {label} " in line) for text in (lines, finals))
        assert several.split("│")[2].strip() == one.split("│")[2].strip()


def test_which_split_must_be_said_where_there_are_several(runs):
    with pytest.raises(UserError, match=r"of one split, and there are 2: choose one with --tasks 2. Choices: 2, 5"):
        output("report", "demo", "--runs", runs, "--metric", METRICS)
    rows = output("report", "demo", "--runs", runs, "--metric", METRICS, "--format", "csv").splitlines()
    assert len(rows) == 1 + 2 * 2 * 3


def test_a_split_and_a_measure_that_are_not_there(runs):
    with pytest.raises(UserError, match="--tasks 50: no job has this split. Did you mean '5'\\? Choices: 2, 5"):
        output("report", "demo", "--runs", runs, "--tasks", "50")
    told = CliRunner().invoke(cli, ["report", "demo", "--runs", str(runs), "--metric", "final,forgeting"])
    assert told.exit_code == 2
    assert "'forgeting' is no measure. Did you mean 'forgetting'? Choices: final," in " ".join(told.output.split())


def test_the_chosen_split_is_the_only_one_in_every_format(runs):
    for more in (("--format", "json"), ("--format", "csv", "--rows", "jobs"), ("--format", "html")):
        text = output("report", "demo", "--runs", runs, "--tasks", "5", *more)
        assert "5 tasks" in text or ",5,5," in text or '"split": "5"' in text
        assert "2 tasks" not in text and ",2,2," not in text and '"split": "2"' not in text
