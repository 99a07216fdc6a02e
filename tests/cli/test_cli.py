"""The command line, as a person meets it: what it prints, what it writes, and its exit status."""

import dataclasses
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from dfcil_core.methods import METHODS
from orchestrator.cli import _COMMANDS, cli
from orchestrator.store.store import Store
from tests.support.launched import SPEC, STAGES, command, dfcil, environment
from tests.support.processes import session_members, wait_until

COMMANDS = tuple(_COMMANDS)


@pytest.fixture
def runs(tiny, tmp_path):
    """A copy of the tiny sweep's runs, to be launched into."""
    return shutil.copytree(tiny.runs, tmp_path / "runs")


@pytest.fixture
def spec(tmp_path):
    def write(text=SPEC):
        (tmp_path / "s.yaml").write_text(text)
        return tmp_path / "s.yaml"

    return write


# ---- help ------------------------------------------------------------------------------------------------------------


def test_the_commands(call):
    status, out, _ = call("--help")
    assert status == 0
    listed = re.findall(r"^  ([\w-]+) ", out.partition("Commands:")[2], re.MULTILINE)
    assert sorted(listed) == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(call, name):
    status, out, _ = call(name, "--help")
    assert status == 0 and out.startswith(f"Usage: dfcil-sweep {name}")
    found = cli.get_command(None, name)
    for option in found.params:
        if option.param_type_name == "option":
            assert option.help, f"{name} {option.name} says nothing of itself"
    assert found.get_short_help_str(200).endswith(".")


def test_unknown_commands_and_options_are_a_persons_mistake(call):
    status, _, err = call("launch", "demo", "--jbos", "2")
    assert status == 2 and "--jobs" in err
    status, _, err = call("launch", "demo", "--jobs", "0")
    assert status == 2 and "--jobs" in err


# ---- plan ------------------------------------------------------------------------------------------------------------


def test_plan_in_words(call, spec, tmp_path):
    text = SPEC.replace("seeds: [0]", "seeds: [0, 1]\nexclude: [{method: abd, seed: 1}]")
    status, out, _ = call("plan", spec(text))
    assert status == 0
    assert out.splitlines() == [
        "tiny: 5 jobs, 1 excluded, on cpu",
        "  base: 2 jobs (2 tasks; seeds 0, 1)",
        "  abd: 1 job (2 tasks; seeds 0, 1)",
        "  rehearsal: 2 jobs (2 tasks; seeds 0, 1)",
        "10 stages (7 learn, 2 remember, 1 dream); sharing 2 of them between jobs saves 3",
        f"0 in the store ({tmp_path / 'runs'}), 10 to run",
    ]


def test_plan_as_json(call, spec):
    status, out, _ = call("plan", spec(), "--json")
    told = json.loads(out)
    assert status == 0
    listed = told.pop("job_list")
    assert told == {
        "sweep": "tiny",
        "device": "cpu",
        "jobs": 3,
        "jobs_of_sweep": 3,
        "excluded": 0,
        "stages": {"learn": 4, "remember": 1, "dream": 1},
        "without_sharing": 8,
        "shared": 1,
        "in_store": 0,
        "estimated_hours": None,
        "estimated_hours_without_sharing": None,
        "estimated_hours_to_run": None,
        "missing_files": None,
    }
    assert [job["slug"] for job in listed] == ["base-2-s0", "abd-2-s0", "rehearsal-2-s0"]
    assert len({key for job in listed for key in job["stages"]}) == STAGES


def test_plan_counts_what_is_in_the_store(call, tiny):
    assert json.loads(call("plan", tiny.spec, "--json", "--runs", tiny.runs)[1])["in_store"] == STAGES
    other = call("plan", tiny.spec, "--json", "--runs", tiny.runs, "--set", "seeds=[0, 1]")[1]
    assert json.loads(other)["in_store"] == STAGES
    told = call("plan", tiny.spec, "--runs", tiny.runs, "--set", "seeds=[0, 1]")[1].splitlines()[-1]
    assert re.fullmatch(rf"6 in the store \({tiny.runs}\), 6 to run, about \d+ (s|min) of that work", told)
    status, out, _ = call("plan", tiny.spec, "--runs", tiny.runs)
    assert out.splitlines()[-1] == f"6 in the store ({tiny.runs}), 0 to run"
    assert re.fullmatch(
        r"about \d+ (s|min) of work for one worker, by what stages like these took; without sharing about \d+ (s|min)",
        out.splitlines()[-2],
    )


def test_plan_of_many_seeds_does_not_list_them_all(call, spec):
    out = call("plan", spec(SPEC.replace("seeds: [0]", "repeats: 500")))[1]
    assert "  base: 500 jobs (2 tasks; seeds 0, 1, 2, ... 499: 500 of them)" in out.splitlines()


def test_a_dry_run_is_the_plan_and_writes_nothing(call, spec, tmp_path):
    path = spec()
    planned, dry = call("plan", path), call("launch", path, "--dry-run")
    assert dry == planned and dry[0] == 0
    assert list(tmp_path.iterdir()) == [path]


def test_a_bundled_spec_goes_by_its_name(call):
    status, out, _ = call("plan", "demo")
    assert status == 0 and out.startswith("demo: 15 jobs")


# ---- mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["launch", "plan"])
def test_every_mistake_of_a_spec_at_once_and_nothing_written(call, spec, tmp_path, name):
    path = spec(SPEC.replace("abd", "adb").replace("tasks: [2]", "tasks: [3]").replace("steps: 2", "steps: none"))
    status, out, err = call(name, path)
    assert (status, out) == (2, "")
    assert err.startswith("Error: 3 mistakes in the spec; nothing was started:")
    assert f"{path}:3:17: methods.1" in err and "Did you mean 'abd'?" in err
    assert "10 classes cannot be dealt evenly to 3 tasks" in err and "1, 2, 5, 10" in err
    assert "dreaming.steps" in err and "'none' is not a whole number" in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == [path]


def test_a_spec_that_is_not_there(call, tmp_path):
    status, _, err = call("launch", "quikstart")
    assert status == 2 and "Did you mean 'quickstart'?" in err and "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "wrong",
    [
        ("--device", "gpu"),
        ("--set", "training.lr"),
        ("--set", "training.rl=1"),
        ("--plugin", "nowhere.py"),
        ("--tracking-uri", "ftp://x"),
    ],
    ids=" ".join,
)
def test_a_wrong_option_writes_nothing(call, spec, tmp_path, wrong):
    path = spec()
    status, _, err = call("launch", path, *wrong)
    assert status == 2 and err.startswith("Error: ") and "Traceback" not in err
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["report", "status", "sync", "ui"])
def test_an_unknown_sweep_gives_the_nearest_name(call, tiny, name):
    status, _, err = call(name, "tinny", "--runs", tiny.runs)
    assert status == 2 and "no sweep 'tinny'" in err and "Did you mean 'tiny'?" in err


@pytest.mark.parametrize("name", ["report", "status", "sync", "ui"])
def test_looking_where_nothing_was_launched(call, tmp_path, name):
    status, _, err = call(name, "tiny")
    assert status == 2 and str(tmp_path / "runs") in err and "--runs" in err
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_method(call):
    status, _, err = call("methods", "adb")
    assert status == 2 and "Did you mean 'abd'?" in err


# ---- looking ---------------------------------------------------------------------------------------------------------


def test_methods_and_data_sets_are_listed(call):
    from dfcil_core.data.catalog import DATASETS

    listed = call("methods")[1]
    assert all(name in listed for name in METHODS)
    listed = call("datasets")[1]
    assert all(name in listed for name in DATASETS)
    status, out, _ = call("methods", "abd")
    assert status == 0 and "mu: 0.1\n      Weight of the feature distillation." in out and "Smith et al." in out


@pytest.mark.parametrize("name", METHODS)
def test_a_method_in_full_has_its_needs_source_and_explained_settings(call, name):
    status, out, err = call("methods", name)
    assert (status, err) == (0, "")
    needs = {"bound": "the images of all tasks", "memory": "a memory of old images", "data-free": "data-free"}
    assert f"\nNeeds: {needs[METHODS[name].group]}" in out and "\nSource: " in out
    settings = out.partition("\nSettings, with their defaults:\n")[2].splitlines()
    for field in dataclasses.fields(METHODS[name].settings_type):
        (at,) = (i for i, line in enumerate(settings) if line.startswith(f"  {field.name}: "))
        assert settings[at + 1].startswith("      ") and settings[at + 1].endswith(".")


def test_status_of_all_and_of_one(call, tiny, tmp_path):
    assert call("status") == (0, f"no sweep was launched in {tmp_path / 'runs'} yet\n", "")
    assert call("status", "--runs", tiny.runs)[1] == "tiny: 3 of 3 jobs done, 6 of 6 stages\n"
    status, out, _ = call("status", "tiny", "--runs", tiny.runs)
    assert status == 0 and out.startswith("tiny: 3 of 3 jobs done, 6 of 6 stages\n")
    row = next(line for line in out.splitlines() if "abd · 2 tasks · seed 0" in line)
    assert "done" in row and "3/3" in row and re.search(r"\d+\.\d% after task 2", row)


def test_report_prints_the_table_in_every_format(call, tiny):
    status, out, err = call("report", "tiny", "--runs", tiny.runs)
    assert (status, err) == (0, "")
    assert [label for label in ("base", "abd", "rehearsal") if label not in out] == []
    assert "2 tasks" in out and "± — (1)" in out and "incomplete" not in out
    by_file = call("report", tiny.spec, "--runs", tiny.runs)[1]
    assert by_file == out
    assert call("report", "tiny", "--runs", tiny.runs, "--format", "markdown")[1].startswith("| method | 2 tasks |")
    rows = call("report", "tiny", "--runs", tiny.runs, "--format", "csv", "--ddof", "0")[1].splitlines()
    assert len(rows) == 4 and rows[0].startswith("method,group,split,metric,mean,std,ddof")


def test_the_table_is_of_the_records(call, tiny):
    """By hand, from the logits that `base` kept: its final accuracy."""
    from safetensors.numpy import load_file

    (folder,) = (tiny.runs / "stages").glob("digits-s0-learn-02-base-*")
    tensors = load_file(folder / "logits.safetensors")
    right = tensors["logits"].argmax(1) == tensors["labels"]
    tasks = tensors["labels"] // 5
    final = sum(right[tasks == task].mean() for task in (0, 1)) / 2 * 100
    rows = call("report", "tiny", "--runs", tiny.runs, "--format", "csv")[1].splitlines()
    assert float(rows[1].split(",")[4]) == pytest.approx(final)
    assert rows[1].startswith("base,data-free,2,final,")


# ---- launching -------------------------------------------------------------------------------------------------------


def test_a_launch_tells_its_stages_its_jobs_and_what_to_do_next(tiny):
    out = tiny.answer.stdout.splitlines()
    assert out[0] == "tiny: 3 jobs, 6 stages, 0 in the store; 2 at a time on cpu"
    assert sum(line.startswith("done ") for line in out) == STAGES
    assert sum(line.startswith("job done ") for line in out) == 3
    assert "tiny: 3 of 3 jobs done; 6 stages run, 0 reused" in out
    assert tiny.answer.stderr == ""


def test_a_launch_ends_with_its_table_and_commands_that_work_when_copied(tiny, call, tmp_path, monkeypatch):
    out = tiny.answer.stdout
    told = dict(line.split(":", 1) for line in out.splitlines()[-3:])
    assert list(told) == ["the table", "a page of it", "the MLflow UI"]
    table, page, ui = (shlex.split(line) for line in told.values())
    monkeypatch.chdir(tiny.spec.parent)  # where it was launched, ./runs is its folder
    shown = call(*table[1:])[1]
    assert shown in out and "│" in shown
    assert page[-2:] == ["--output", "tiny.html"]
    assert call(*page[1:-1], tmp_path / "tiny.html")[0] == 0
    assert (tmp_path / "tiny.html").stat().st_size > 1000
    assert ui == ["dfcil-sweep", "ui", "tiny"]


def test_a_launch_writes_only_under_its_runs_folder(tiny):
    assert sorted(path.name for path in tiny.spec.parent.iterdir()) == ["runs", "tiny.yaml"]


def test_the_same_launch_again_runs_no_stage(tiny, runs, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in (runs / "stages").rglob("record.json")}
    again = dfcil("launch", tiny.spec, "--runs", runs, folder=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "tiny: 3 of 3 jobs done; 0 stages run, 6 reused" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in (runs / "stages").rglob("record.json")} == before
    assert len(before) == STAGES


def test_the_same_name_with_another_spec_says_what_changes(call, spec, runs, tmp_path):
    path = spec(SPEC.replace("abd, rehearsal", "{name: abd, label: dreams}"))
    told = dfcil("launch", path, "--runs", runs, folder=tmp_path)
    assert told.returncode == 0, told.stderr
    assert told.stdout.splitlines()[0] == (
        "sweep 'tiny' changes: 1 job new or other than before, "
        "2 jobs dropped or replaced (their stages stay in the store)"
    )
    assert "0 stages run, 4 reused" in told.stdout
    table = call("report", "tiny", "--runs", runs)[1]
    assert "dreams" in table and "rehearsal" not in table


def test_a_failing_job_leaves_the_others_alone(call, spec, runs, tmp_path):
    # The launch loads torch once, for the one stage that is not in the store and fails.
    path = spec(SPEC.replace("rehearsal]", "{name: lwf, label: wild, training: {lr: 1.0e+30}}]"))
    told = dfcil("launch", path, "--runs", runs, "--device", "cpu", folder=tmp_path)
    assert told.returncode == 1
    assert "tiny: 2 of 3 jobs done; 0 stages run, 4 reused" in told.stdout
    assert "failed: learn 1 · cross-entropy · seed 0: " in told.stderr and "Diverged" in told.stderr
    assert "needed by: wild · 2 tasks · seed 0" in told.stderr
    log = Path(re.search(r"log: (\S+\.log)", told.stderr)[1])
    assert "Diverged" in log.read_text()
    assert "Traceback" not in told.stdout + told.stderr
    table = call("report", "tiny", "--runs", runs)[1]
    assert re.search(r"wild\s+│ +— \(0 of 1\)\*", table) and "incomplete" in table
    row = next(line for line in call("status", "tiny", "--runs", runs)[1].splitlines() if "│ wild" in line)
    assert "failed" in row and "0/2" in row


# Two launches, each of which loads torch anew: with both processors busy that can take more than 20 seconds.
@pytest.mark.long
def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(spec, tmp_path):
    path, runs = spec(SPEC.replace("base, abd, rehearsal", "base").replace("epochs: 1", "epochs: 8")), tmp_path / "runs"
    arguments = ("launch", path, "--runs", runs, "--device", "cpu")
    stream = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    launcher = subprocess.Popen(
        command(*arguments, "--jobs", 1), cwd=tmp_path, env=environment(), start_new_session=True, **stream
    )
    try:
        line = next(line for line in launcher.stdout if line.startswith("done"))
        assert "1/2 stages]" in line
        # As from a terminal: every process of the group is told, the workers too.
        os.killpg(launcher.pid, signal.SIGINT)
        _, errors = launcher.communicate(timeout=60)
    finally:
        if launcher.poll() is None:
            os.killpg(launcher.pid, signal.SIGKILL)
            launcher.wait()
    assert launcher.returncode == 130
    assert f"Stopped. What is finished is in {runs}; the same command goes on from there." in errors
    assert "Traceback" not in errors
    wait_until(lambda: session_members(launcher.pid) == [], 30, "processes of the launch outlive it")
    names = os.listdir(Store(runs).stages)
    assert sum(not name.startswith(".") for name in names) == 1

    again = dfcil(*arguments, folder=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "tiny: 1 of 1 job done; 1 stage run, 1 reused" in again.stdout
