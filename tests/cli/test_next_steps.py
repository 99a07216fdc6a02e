"""Commands that the command line gives to go on with work when they are copied."""

import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.cli.next_steps import after_tuning, command
from tests.support.typed import parse


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DFCIL_RUNS", raising=False)


def test_the_runs_folder_is_named_only_where_it_is_not_the_one_that_is_looked_at_anyway(tmp_path, monkeypatch):
    assert command("report", "demo", runs=None) == "dfcil-sweep report demo"
    assert command("report", "demo", runs="./runs") == "dfcil-sweep report demo"
    assert command("report", "demo", runs="other runs") == "dfcil-sweep report demo --runs 'other runs'"
    monkeypatch.setenv("DFCIL_RUNS", str(tmp_path / "mine"))
    assert command("report", "demo", runs=str(tmp_path / "mine")) == "dfcil-sweep report demo"
    assert command("report", "demo", runs="runs") == "dfcil-sweep report demo --runs runs"


def test_a_name_that_a_shell_would_read_otherwise_is_quoted():
    words = command("ui", "my sweep; rm -r .", runs=None)
    assert shlex.split(words) == ["dfcil-sweep", "ui", "my sweep; rm -r ."]


def test_the_tracking_store_is_named_but_no_password():
    assert command("ui", "x", runs=None, tracking_uri="http://h:5000").endswith(" --tracking-uri http://h:5000")
    assert "cr3t" not in command("ui", "x", runs=None, tracking_uri="postgresql://u:cr3t@h/db")


TOLD = {"runs": None, "tracking_uri": None, "storage": None, "plugin": None, "overrides": (), "rehearse": False}


def after(winner=Path("runs/tuning/t-0123456789ab/winner.yaml"), **told):
    outcome = SimpleNamespace(study="t-0123456789ab", winner=winner)
    lines = after_tuning(outcome, "my t.yaml", {**TOLD, "device": "auto", "data_root": None, **told})
    for line in lines:
        parse(line.partition(":")[2].strip())
    return lines


def test_after_a_search_its_trials_its_winner_and_the_ui_are_a_command_each():
    assert after() == [
        "the trials:    dfcil-sweep report t-0123456789ab",
        "the winner:    dfcil-sweep launch runs/tuning/t-0123456789ab/winner.yaml",
        "the MLflow UI: dfcil-sweep ui t-0123456789ab",
    ]
    assert [line.split()[1] for line in after(winner=None)] == ["trials:", "MLflow"]
    assert after(runs="there", device="cpu")[1].endswith("/winner.yaml --device cpu --runs there")


def test_a_study_that_cannot_be_read_by_its_name_is_shown_with_its_spec():
    told = after(plugin="p.py", overrides=("seeds=[0, 1]",), device="cpu")
    assert told[0] == (
        "the trials:    dfcil-sweep tune 'my t.yaml' --show --device cpu --plugin p.py --set 'seeds=[0, 1]'"
    )
    assert " --device cpu --plugin p.py" in told[1]
    shown = after(storage="postgresql+psycopg://u:cr3t@h/db")[0]
    assert shown == "the trials:    dfcil-sweep tune 'my t.yaml' --show --storage URL"
