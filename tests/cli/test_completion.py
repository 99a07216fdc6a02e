"""Tab: what the shell is offered, by click's own protocol, in a real bash, and how little is loaded for it."""

import os
import subprocess
import sys

import pytest
from click.shell_completion import ShellComplete

from dfcil_core.methods import METHODS
from orchestrator.cli import cli
from sweeps import bundled
from tests.support.launched import PROGRAM, environment
from tests.support.tools import need
from tests.test_imports import HEAVY


@pytest.fixture
def tab(tmp_path, monkeypatch):
    """What is offered for the last of these words, in an empty folder; of the shell's own completion its kind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DFCIL_RUNS", raising=False)

    def tabbed(*words):
        *before, incomplete = map(str, words)
        items = ShellComplete(cli, {}, "dfcil-sweep", "_X").get_completions(before, incomplete)
        return [item.value if item.type == "plain" else item.type for item in items]

    return tabbed


def test_commands_and_options(tab):
    assert tab("la") == ["launch"]
    assert tab("store", "ex") == ["export"]
    assert "--runs" in tab("launch", "demo", "--ru")
    assert tab("report", "demo", "--format", "j") == ["json"]
    assert tab("launch", "demo", "--device", "c") == ["cpu", "cuda"]


def test_specs_are_the_bundled_ones_and_the_files_here(tab, tmp_path):
    (tmp_path / "mine.yaml").write_text("")
    (tmp_path / "notes.txt").write_text("")
    assert tab("launch", "") == [*bundled(), "mine.yaml"]
    assert tab("plan", "m") == ["mine.yaml"] and tab("tune", "tune-d") == ["tune-digits"]
    assert tab("launch", "../") == ["file"]


@pytest.mark.long
def test_sweeps_and_jobs_of_the_runs_folder(tab, tiny, monkeypatch):
    assert tab("status", "--runs", tiny.runs, "") == ["tiny"]
    assert tab("report", "--runs", tiny.runs, "t") == tab("ui", "--runs", tiny.runs, "t") == ["tiny"]
    assert tab("cancel", "--runs", tiny.runs, "") == tab("logs", "--runs", tiny.runs, "--sweep", "") == ["tiny"]
    assert tab("logs", "--runs", tiny.runs, "") == ["base-2-s0", "abd-2-s0", "rehearsal-2-s0"]
    monkeypatch.setenv("DFCIL_RUNS", str(tiny.runs))
    assert tab("logs", "a") == ["abd-2-s0"] and tab("sync", "") == ["tiny"]


def test_studies_and_methods(tab, tmp_path):
    study = tmp_path / "runs" / "tuning" / "mine-0123456789ab"
    study.mkdir(parents=True)
    (study / "spec.yaml").write_text("")
    assert tab("report", "m") == tab("status", "m") == ["mine"]
    assert tab("methods", "") == list(METHODS)


def test_files_and_folders_are_the_shells(tab):
    for option in ("--runs", "--data-root"):
        assert tab("launch", "demo", option, "/") == ["dir"]
    for words in (["launch", "demo", "--plugin"], ["launch", "demo", "--profile"], ["report", "demo", "-o"]):
        assert tab(*words, "x") == ["file"]
    assert tab("store", "import", "") == ["file"]


def test_what_is_wrong_is_not_told_in_the_middle_of_a_line(tab, tmp_path, capsys):
    broken = tmp_path / "runs" / "sweeps" / "broken"
    broken.mkdir(parents=True)
    (broken / "jobs.json").write_text("{")
    assert tab("status", "") == ["broken"] and tab("logs", "") == []
    assert capsys.readouterr() == ("", "")


def test_in_bash(tmp_path):
    need("bash")
    program = tmp_path / "bin" / "dfcil-sweep"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{PROGRAM}" "$@"\n')
    program.chmod(0o755)
    script = """
        eval "$(_DFCIL_SWEEP_COMPLETE=bash_source dfcil-sweep)"
        COMP_WORDS=(dfcil-sweep launch tune-); COMP_CWORD=2
        _dfcil_sweep_completion dfcil-sweep
        echo "${COMPREPLY[*]}"
        complete -p dfcil-sweep
    """
    found = {**environment(), "PATH": f"{program.parent}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=found, capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "tune-cifar100 tune-digits",
        "complete -o nosort -F _dfcil_sweep_completion dfcil-sweep",
    ]
    assert done.stderr == "" and os.listdir(tmp_path) == ["bin"]


def test_it_loads_little(tmp_path):
    told = f"print(sorted({HEAVY | {'pandas'}!r} & sys.modules.keys()))"
    code = f"import sys\ntry:\n    exec({PROGRAM!r})\nfinally:\n    {told}"
    asked = {"_DFCIL_SWEEP_COMPLETE": "bash_complete", "COMP_WORDS": "dfcil-sweep report d", "COMP_CWORD": "2"}
    found = {**environment(), **asked}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=found, capture_output=True, text=True)
    assert (done.stdout.splitlines()[-1], done.stderr) == ("[]", "")
