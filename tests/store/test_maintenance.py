"""`status`, `logs`, `cancel`, `store`, `launch --retry-failed`: on a small sweep that was launched for real."""

import json
import os
import shutil
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from orchestrator.store.launchers import announced, living
from orchestrator.store.store import Store
from orchestrator.store.sweep_folder import load, save, sweep_folder
from tests.support.launched import SPEC, command, dfcil, environment
from tests.support.processes import session_members, wait_until

WILD = SPEC.replace("rehearsal]", "{name: lwf, label: wild, training: {lr: 1.0e+30}}]")


@pytest.fixture
def runs(tiny, tmp_path):
    return shutil.copytree(tiny.runs, tmp_path / "runs")


@pytest.mark.long
def test_a_failed_job_is_failed_everywhere_and_is_begun_again_only_when_asked(runs, tmp_path):
    spec = tmp_path / "wild.yaml"
    spec.write_text(WILD)
    arguments = ("launch", spec, "--runs", runs, "--device", "cpu")
    first = dfcil(*arguments, folder=tmp_path)
    assert first.returncode == 1
    told = dfcil("status", "tiny", "--runs", runs, folder=tmp_path).stdout
    assert "jobs: 2 done, 1 failed" in told.splitlines()
    assert "failed: learn 1 · cross-entropy · seed 0: " in told and "needed by: wild · 2 tasks · seed 0" in told
    (log,) = [line.split(": ")[1] for line in told.splitlines() if line.startswith("  log: ")]
    assert "Diverged" in Path(log).read_text()
    assert [line for line in told.splitlines() if "wild · 2 tasks" in line and "│ failed" in line]
    begun = Path(log).read_text().count("attempt 1")

    again = dfcil(*arguments, folder=tmp_path)
    assert again.returncode == 1 and "--retry-failed" in again.stderr
    assert Path(log).read_text().count("attempt 1") == begun == 1
    third = dfcil(*arguments, "--retry-failed", folder=tmp_path)
    assert third.returncode == 1 and Path(log).read_text().count("attempt 1") == 2

    printed = dfcil("logs", "wild-2-s0", "--runs", runs, "--tail", 2, folder=tmp_path).stdout
    assert "Diverged" in printed and "nothing was printed here" in printed
    with sqlite3.connect(runs / "mlflow.db") as database:
        query = "select t.value from tags t join runs r using (run_uuid) where t.key = 'dfcil.log'"
        assert database.execute(query).fetchall() == [(log,)]


@pytest.mark.long
def test_cancel_stops_the_launcher_and_its_jobs_are_killed(tmp_path):
    spec, runs = tmp_path / "s.yaml", tmp_path / "runs"
    spec.write_text(SPEC.replace("base, abd, rehearsal", "base").replace("epochs: 1", "epochs: 500"))
    stream = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    arguments = ("launch", spec, "--runs", runs, "--device", "cpu", "--jobs", 1, "--set", "training.epochs=500")
    launcher = subprocess.Popen(command(*arguments), cwd=tmp_path, env=environment(), start_new_session=True, **stream)
    try:
        store = Store(runs)
        wait_until(lambda: store.leases.holders(), 60, "a stage at work")
        told = dfcil("status", "tiny", "--runs", runs, folder=tmp_path).stdout
        assert "jobs: 1 running" in told.splitlines()
        (holder,) = store.leases.holders().values()
        assert f"running: learn 1 · cross-entropy · seed 0 on {holder.host} (process {holder.pid}) since " in told
        assert f"launcher: process {launcher.pid} on " in told and "1 stage at a time" in told
        pruned = dfcil("store", "--runs", runs, "prune", folder=tmp_path)
        assert pruned.returncode == 2 and "is at work on 'tiny'" in pruned.stderr
        done = dfcil("cancel", "tiny", "--runs", runs, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        assert f"process {launcher.pid} on {holder.host} has stopped" in done.stdout
        _, errors = launcher.communicate(timeout=30)
    finally:
        for pid in session_members(launcher.pid):
            os.kill(pid, 9)
    assert launcher.returncode == 130 and "Stopped." in errors and "Traceback" not in errors
    assert (
        session_members(launcher.pid) == []
        and store.leases.holders() == {}
        or next(iter(store.leases.holders().values())).dead()
    )
    assert list((sweep_folder(runs, "tiny") / "launches").glob("*-*")) == []
    with sqlite3.connect(runs / "mlflow.db") as database:
        assert {status for (status,) in database.execute("select status from runs")} == {"KILLED"}
    again = dfcil("cancel", "tiny", "--runs", runs, folder=tmp_path)
    assert again.returncode == 2 and "no launcher is at work on 'tiny'" in again.stderr
    assert "jobs: 1 stopped" in dfcil("status", "tiny", "--runs", runs, folder=tmp_path).stdout


def test_a_launcher_is_seen_while_it_works_and_stops_when_asked(tmp_path):
    with pytest.raises(KeyboardInterrupt), announced(tmp_path, 3):
        (launcher,) = living(tmp_path)
        assert launcher.workers == 3 and launcher.holder.pid == os.getpid() and not launcher.gone()
        launcher.ask_to_stop()
        wait_until(launcher.gone, 30, "asked to stop")
    assert launcher.gone() and living(tmp_path) == []


def test_what_sharing_saved(tiny, tmp_path):
    told = dfcil("status", "tiny", "--runs", tiny.runs, "--watch", folder=tmp_path)
    assert told.returncode == 0 and told.stdout.count("tiny: 3 of 3 jobs done") == 1, "a watch of what is over ends"
    assert [line for line in told.stdout.splitlines() if line.startswith("sharing has saved 2 stages, ")]


def test_the_store_is_measured_verified_and_mended(runs, tmp_path):
    told = dfcil("store", "--runs", runs, folder=tmp_path).stdout
    assert [line for line in told.splitlines() if "learn" in line and "4" in line]
    assert dfcil("store", "--runs", runs, "verify", folder=tmp_path).stdout == "6 stages read, 0 damaged\n"
    (harmed,) = (runs / "stages").glob("digits-s0-learn-02-base-*")
    with open(harmed / "logits.safetensors", "r+b") as file:
        file.truncate(100)
    found = dfcil("store", "--runs", runs, "verify", "--set-aside", folder=tmp_path)
    assert found.returncode == 1 and f"damaged: {harmed.name}: logits.safetensors is not as" in found.stdout
    assert not harmed.exists()
    assert dfcil("store", "--runs", runs, "verify", folder=tmp_path).stdout == "5 stages read, 0 damaged\n"
    dry = dfcil("store", "--runs", runs, "prune", "--dry-run", folder=tmp_path).stdout
    assert f".damaged-{harmed.name}-1" in dry and "1 thing" in dry
    assert dfcil("store", "--runs", runs, "prune", folder=tmp_path).returncode == 0
    assert list((runs / "stages").glob(".damaged*")) == []


def test_prune_removes_only_what_no_launched_sweep_has(runs, tmp_path):
    settings = sweep_folder(runs, "tiny") / "spec.yaml"
    settings.write_text(SPEC.replace("base, abd, rehearsal", "base"))
    save(runs, load(runs, "tiny"))  # as a launch of that spec does
    assert dfcil("store", "--runs", runs, "prune", folder=tmp_path).stdout == "0 things, 0 B\n"
    told = dfcil("store", "--runs", runs, "prune", "--unused", folder=tmp_path)
    assert told.returncode == 0, told.stderr
    names = {path.name for path in (runs / "stages").glob("[!.]*")}
    assert names == {stage.folder for stage in load(runs, "tiny").stages.values()}
    assert len(names) == 2 and len(list((runs / "logs").iterdir())) == 2


def test_results_are_carried_to_another_machine(tiny, tmp_path):
    file, there = tmp_path / "tiny.tar", tmp_path / "there"
    assert "6 stages in" in dfcil("store", "--runs", tiny.runs, "export", file, "tiny", folder=tmp_path).stdout
    assert "6 stages imported" in dfcil("store", "--runs", there, "import", file, folder=tmp_path).stdout
    tables = [
        dfcil("report", tiny.spec, "--runs", runs, "--device", "cpu", "--format", "csv", folder=tmp_path).stdout
        for runs in (tiny.runs, there)
    ]
    assert tables[0] == tables[1] != ""
    refused = dfcil("store", "--runs", there, "import", tiny.spec, folder=tmp_path)
    assert (
        refused.returncode == 2
        and "Traceback" not in refused.stderr
        and "no archive of `dfcil-sweep store export`" in refused.stderr
    )


def test_a_report_without_the_logits_it_needs_says_which_and_what_to_do(runs, tmp_path):
    for path in (runs / "stages").glob("*-learn-*"):
        (path / "logits.safetensors").unlink()
        record = json.loads((path / "record.json").read_text())
        record["evaluation"]["correct_local"] = {}
        record.pop("sha256")
        (path / "record.json").write_text(json.dumps(record))
    told = dfcil("report", "tiny", "--runs", runs, folder=tmp_path)
    assert told.returncode == 2 and "Traceback" not in told.stderr
    assert "logits.safetensors" in told.stderr and "store verify --set-aside" in told.stderr


def test_status_tells_of_a_launcher_elsewhere_that_has_fallen_silent(runs, tmp_path):
    launches = sweep_folder(runs, "tiny") / "launches"
    launches.mkdir(exist_ok=True)
    elsewhere = {"token": "t", "host": "node7", "place": "another machine", "pid": 7, "born": None, "beat": 3}
    lease = launches / ".lease-0123456789abcdef.json"
    lease.write_text(json.dumps({**elsewhere, "since": time.time() - 4000}))

    def told():
        (line,) = [
            line
            for line in dfcil("status", "tiny", "--runs", runs, folder=tmp_path).stdout.splitlines()
            if line.startswith("launcher: process 7 on node7")
        ]
        return line

    assert "no sign of life" not in told()
    long_ago = time.time() - 1800
    os.utime(lease, (long_ago, long_ago))
    assert told().endswith("no sign of life for 30 min: if it is gone, launch again to go on without it")
