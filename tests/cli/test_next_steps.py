"""Commands that the command line gives to go on with work when they are copied."""

import shlex

import pytest

from orchestrator.cli.next_steps import command


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
