"""Every command of README.md, CONTRIBUTING.md and docs/ is run, on a small sweep, or names the test that runs it.

A page's commands run one after the other in a folder of their own, as a reader would type them. Words in capitals are
filled in; a sweep or spec of the page's is there in small. A command of which nothing is known here fails.
"""

import contextlib
import gc
import io
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from orchestrator.cli import cli, main
from sweeps import bundled
from tests.support.documents import PAGES, Typed, plug_ins, typed, within
from tests.support.launched import command, environment
from tests.support.paths import ROOT
from tests.support.processes import wait_until
from tests.support.tools import need
from tests.support.typed import parse

SMALL = """\
name: {name}
dataset: {{name: digits, image_size: 8}}
methods: [base, abd]
tasks: [5]
seeds: {seeds}
training: {{backbone: resnet8, epochs: 1, batch_size: 64}}
dreaming: {{steps: 2}}
"""
# A grid of two points, so that the search ends however many trials are asked for.
SEARCH = SMALL.replace("[base, abd]", "[abd]").replace("[5]", "[2]") + (
    "tune:\n  method: abd\n  space: {{mu: {{choices: [0.05, 0.1]}}}}\n  sampler: grid\n  trials: 2\n"
    "  validation: 0.2\n  confirm: {{top: 1, seeds: [10, 11]}}\n"
)
SWEEPS = ("demo", "more", "first", "my-sweep", "my", "cifar100-fivetask", "digits-methods", "cifar100-small")
SEARCHES = ("tune-mine", "tune-digits")

FILLED_IN = {
    r"(?<=tune )SPEC": "tune-mine.yaml",
    r"SPEC": "demo.yaml",
    r"\[SWEEP\.\.\.\]|SWEEP": "demo",
    r"STUDY": "tune-digits",
    r"(?<=methods )NAME": "abd",
    r"NAME": "demo",
    r"JOB": "abd-5-s0",
    r"(?<=plan )FILE": "demo.yaml",
    r"FILE": "all.tar",
    r"DIR": "runs",
    r"FOLDER": "data",
    r"URI": "sqlite:///runs/mlflow.db",
}
BEFORE = {
    "docs/from-the-public-code.md": ["dfcil-sweep launch cifar100-fivetask.yaml"],
    "docs/store.md": ["dfcil-sweep launch my-sweep.yaml"],
    "docs/tutorial.md": ["dfcil-sweep launch demo.yaml --set name=pictures"],
}
"""What a page takes for done, beside the demo's launch."""

# What runs a command where this does not: a file, and where it is one of tests, the test.
ELSEWHERE = {
    # Pages whose blocks run whole, on data of their own.
    r"docs/reports\.md: dfcil-sweep (report|compare) \S": "tests/reports/test_docs.py::test_a_command",
    r"docs/tutorial\.md: dfcil-sweep (plan|launch|status|report) ": "tests/cli/test_tutorial.py::test_the_tutorial",
    # Machines that are not here: a cluster, several hosts, GPUs.
    r".*dfcil-sweep tune .*--cluster slurm": (
        "tests/cluster/test_slurm.py::test_a_search_through_sbatch_survives_scancel_and_ends_with_the_trials_asked_for"
    ),
    r".*--cluster slurm": "tests/cluster/test_slurm.py::test_a_sweep_through_sbatch_survives_scancel_of_a_worker",
    r".*--scheduler tls|.*: openssl |.*: (\S+=\S+ )*dask ": (
        "tests/cluster/test_namespaces.py::test_a_host_that_is_cut_off_costs_the_sweep_nothing"
    ),
    r".*: dfcil-sweep tune SPEC --runs /shared/runs --jobs": (
        "tests/tuning/test_two_hosts.py::test_a_tuner_on_a_host_that_stands_still_loses_its_trial_to_another"
    ),
    r".*--gpus 3,1": "tests/cluster/test_device.py::test_gpus_are_chosen_among_those_that_may_be_used",
    r".*: make (test|bench)-gpu": "tests/gpu/test_checks.py::test_it_holds_on_the_cpu",
    # A network that the public code saved, and a shell that completes.
    r".*: dfcil-sweep convert-model models/": "tests/core/test_first_model.py::test_the_command",
    r".*_DFCIL_SWEEP_COMPLETE=": "tests/cli/test_completion.py::test_in_bash",
    # A launch that is at work.
    r".*: dfcil-sweep cancel SWEEP": (
        "tests/store/test_maintenance.py::test_cancel_stops_the_launcher_and_its_jobs_are_killed"
    ),
    r".*: dfcil-sweep cancel STUDY": (
        "tests/tuning/test_several_tuners.py::test_cancel_asks_every_tuner_of_a_study_and_costs_no_trial"
    ),
    # What sets an environment up, and what the whole check calls.
    r".*: make demo": "tests/cli/test_readme.py::test_the_demo_ends_with_what_to_try_next",
    r".*: make (lint|test|test-all)$": ".ci/run",
    r".*: make (test-slurm|soak)": ".ci/steps/slurm",
    r".*: make rehearse": "tests/spec/test_bundled_specs.py::test_one_of_its_jobs_rehearsed",
    r".*: source": "tests/cli/test_readme.py::test_the_demo_ends_with_what_to_try_next",
    r".*: pip install \.": ".ci/steps/wheel",
    r".*: pip install '": ".ci/steps/wheel",
    r".*: pre-commit install": "tests/test_release.py::test_hooks_are_the_linters_of_make_lint",
    # What is timed takes minutes of a quiet machine; its parts are tested.
    r".*: make bench(-compare)?\b": "tests/benchmarks/test_steps.py",
    r".*: python -m benchmarks\.": "tests/benchmarks/test_commands.py::test_they_are_understood",
    # A program of its own, which reads what Optuna wrote.
    r".*optuna-dashboard": "tests/tuning/test_study.py::test_a_database_does_as_well",
    # What writes into the repository.
    r".*: python -m tests\.golden\.golden": ".ci/steps/golden",
    r".*: python -m tests\.support\.spec_page": "tests/schema/test_spec_page.py::test_the_page_is_made_of_the_classes",
}
ALL = [one for page in PAGES for one in typed(page)]


def elsewhere(one: Typed) -> list[str]:
    return [pattern for pattern in ELSEWHERE if re.match(pattern, f"{one.page}: {one.text}")]


def filled_in(one: Typed) -> str:
    """The command with its capitals filled in; the help of a command that a sentence only names."""
    text = one.text
    for pattern, value in FILLED_IN.items():
        text = re.sub(rf"(?<![\w-]){pattern}(?![\w-])", value, text)
    words = shlex.split(text)
    if one.within and words[0] == "dfcil-sweep" and not any(word.startswith("-") for word in words):
        try:
            parse(text)
        except click.UsageError:
            return f"{text} --help"
    return text


HERE = [one for one in ALL if not elsewhere(one)]


def test_every_command_is_run_here_or_names_what_runs_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for file in ("results.tar", "all.tar"):
        (tmp_path / file).touch()
    for one in HERE:
        text = filled_in(one)
        assert text.startswith("dfcil-sweep "), f"{one.page}: {one.text}: run it, or say in ELSEWHERE what does"
        gap = re.search(r"\b[A-Z]{3,}\b", text)
        assert gap is None, f"{one.page}: {one.text}: say in FILLED_IN what {gap[0]} stands for"
        if not text.endswith("--help"):
            parse(text)
    assert len(HERE) > 80 and len(ALL) > 150


def test_what_runs_the_others_is_there():
    used = {pattern for one in ALL for pattern in elsewhere(one)}
    assert set(ELSEWHERE) - used == set(), "no command needs them any more"
    for proof in ELSEWHERE.values():
        file, _, test = proof.partition("::")
        assert (ROOT / file).is_file(), proof
        assert not test or f"\ndef {test}(" in (ROOT / file).read_text(), proof


def test_targets_of_make_are_there():
    need("make")
    targets = sorted({one.text for one in ALL if one.text.startswith("make ")})
    assert len(targets) > 8
    for text in targets:
        done = subprocess.run([*shlex.split(text), "-n"], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_options_named_with_a_command_are_there():
    """`launch --keep all` in a sentence: the command without the program's name."""
    seen = 0
    for page in PAGES:
        for code in within(page):
            name, *words = code.split()
            if name not in cli.list_commands(None) or not any(word.startswith("--") for word in words):
                continue
            found = cli.get_command(None, name)
            while isinstance(found, click.Group) and not words[0].startswith("-"):
                found = found.get_command(None, words.pop(0))
            known = {option for parameter in found.params for option in parameter.opts}
            assert {word for word in words if word.startswith("--")} <= known, f"{page}: {code}"
            seen += 1
    assert seen > 8


def run(*words: str) -> str:
    """The command in this process; what it printed. It must succeed."""
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["dfcil-sweep", *words])
        with pytest.raises(SystemExit) as ended:
            main()
    gc.enable()  # `report` looks for no garbage, as its process is about to end
    assert not ended.value.code, f"status {ended.value.code} of {shlex.join(words)}:\n{told.getvalue()}"
    return told.getvalue()


def run_apart(*words: str) -> None:
    """The same in a process of its own: a plug-in stays in the process that has loaded it."""
    done = subprocess.run(command(*words), env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, f"{shlex.join(words)}:\n{done.stdout}{done.stderr}"


def serve(*words: str) -> None:
    """A command that serves until Ctrl-C."""
    with open("served.txt", "w+") as output:
        server = subprocess.Popen(command(*words), env=environment(), stdout=output, stderr=output)
        try:
            up = "Ctrl-C stops"
            wait_until(lambda: up in Path("served.txt").read_text() or server.poll() is not None, 60, "an answer")
            server.send_signal(signal.SIGINT)
            assert server.wait(timeout=30) in (0, 130), Path("served.txt").read_text()
        finally:
            server.kill()
    assert "http://127.0.0.1:" in Path("served.txt").read_text()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder with every spec that a page names, in small, and the runs of a finished sweep."""
    folder = tmp_path_factory.mktemp("prepared")
    for name in SWEEPS:
        seeds = "[0, 1, 2]" if name == "more" else "[0, 1]"
        text = SMALL.format(name=name, seeds=seeds)
        (folder / f"{name}.yaml").write_text(text)
        if name in bundled():  # its name alone is then this file
            (folder / name).write_text(text)
    for name in SEARCHES:
        (folder / f"{name}.yaml").write_text(SEARCH.format(name=name, seeds="[0]"))
    (folder / "sweeps").mkdir()
    shutil.move(folder / "tune-digits.yaml", folder / "tune-digits")
    shutil.copy(folder / "demo.yaml", folder / "sweeps")
    # What a reader has of their own: a browser, and what hears of the end of a launch.
    (folder / "bin").mkdir()
    for name in ("xdg-open", "curl", "jq", "mail"):
        (folder / "bin" / name).write_text("#!/bin/sh\nexec cat\n")
        (folder / "bin" / name).chmod(0o755)
    done = subprocess.run(command("launch", "demo"), cwd=folder, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def served():
    """What was served for an earlier page: ten seconds each."""
    return set()


@pytest.fixture
def place(prepared, tmp_path, monkeypatch):
    folder = tmp_path / "mine"
    shutil.copytree(prepared, folder)
    monkeypatch.chdir(folder)
    for name in ("DFCIL_RUNS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", os.pathsep.join([str(folder / "bin"), os.environ["PATH"]]))
    monkeypatch.setenv("COLUMNS", "120")
    return folder


@pytest.mark.long
@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("page", dict.fromkeys(one.page for one in HERE))
def test_the_commands_of(page, place, served):
    for file, text in plug_ins(page).items():
        (place / file).write_text(text.replace("epochs: 5", "epochs: 1"))
    for text in BEFORE.get(page, []) + [filled_in(one) for one in HERE if one.page == page]:
        if text == "dfcil-sweep init":  # as a reader's first, where no spec is yet
            (place / "first.yaml").unlink()
        words = shlex.split(text)[1:]
        if words[0] == "ui" and "--help" not in words:
            if text not in served:
                serve(*words)
            served.add(text)
        elif "plugin" in text:
            run_apart(*words)
        else:
            run(*words)
        if text == "dfcil-sweep init":
            (place / "first.yaml").write_text(SMALL.format(name="first", seeds="[0]"))
