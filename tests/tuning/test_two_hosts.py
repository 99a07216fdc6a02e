"""A search on two hosts, one of which is cut off in the middle: as many trials as were asked for."""

import os
import signal
import subprocess
from contextlib import ExitStack

import pytest

from orchestrator.spec.load import load_spec
from orchestrator.tuning import study
from orchestrator.tuning.study import ENDED, Study
from tests.support.clustered import holders, need_root
from tests.support.launched import command, environment
from tests.support.processes import session_members, wait_until
from tests.support.searched import search_spec
from tests.support.tools import need
from tests.support.two_hosts import two_hosts

pytestmark = pytest.mark.server
TRIALS = 5
SPEC = search_spec("apart", TRIALS, epochs=4, steps=10)


def all_ended(file, runs):
    """As many trials as were asked for, no two alike."""
    trials = Study(load_spec(str(file)), study.open_storage(runs, None), "cpu").trials()
    assert [trial.number for trial in trials] == list(range(TRIALS))
    assert all(trial.state in ENDED for trial in trials)
    assert len({tuple(trial.params.items()) for trial in trials}) == TRIALS


def test_a_host_that_is_cut_off_costs_the_search_no_trial(tmp_path):
    file, runs, log = tmp_path / "apart.yaml", tmp_path / "runs", tmp_path / "tune.log"
    file.write_text(SPEC)
    with two_hosts(tmp_path) as hosts, log.open("w") as output:
        line = command("tune", file, "--runs", runs, "--device", "cpu", *hosts.told)
        told = {"stdout": output, "stderr": subprocess.STDOUT, "cwd": tmp_path, "env": environment()}
        tuner = subprocess.Popen([*hosts.on_here(), *line], **told)

        def in_the_middle() -> bool:
            assert tuner.poll() is None, log.read_text()
            far = session_members(hosts.far)
            return " is complete" in log.read_text() and any(pid in far for pid in holders(tmp_path).values())

        try:
            wait_until(in_the_middle, 180, "a complete trial, and the far worker at the next one")
            hosts.cut_off(freeze=True)
            assert tuner.wait(400) == 0, log.read_text()
        finally:
            tuner.kill()
            tuner.wait()
    assert "worker far died" in log.read_text()
    all_ended(file, runs)
    assert "against the published setting" in log.read_text()


def test_a_tuner_on_a_host_that_stands_still_loses_its_trial_to_another(tmp_path):
    """Each has a machine of its own, of which the other sees the files alone."""
    need("unshare")
    need_root()
    file, runs = tmp_path / "apart.yaml", tmp_path / "runs"
    file.write_text(SPEC)
    line = command("tune", file, "--runs", runs, "--device", "cpu", "--jobs", 1)
    namespaces = ["unshare", "--fork", "--pid", "--mount-proc", "--uts", "sh", "-c"]

    with ExitStack() as stack:

        def start(host: str) -> subprocess.Popen:
            output = stack.enter_context((tmp_path / host).open("w"))
            told = {"stdout": output, "stderr": subprocess.STDOUT, "cwd": tmp_path, "env": environment()}
            script = f'hostname {host} && exec "$@"'
            started = subprocess.Popen([*namespaces, script, "sh", *line], start_new_session=True, **told)
            stack.callback(started.wait)
            stack.callback(signalled, started, signal.SIGKILL)
            return started

        def signalled(tuner: subprocess.Popen, number: int) -> None:
            for pid in session_members(tuner.pid):
                os.kill(pid, number)

        def said(host: str) -> str:
            return (tmp_path / host).read_text()

        still = start("still")
        wait_until(lambda: " begins: " in said("still"), 120, "its first trial")
        other = start("other")
        wait_until(lambda: " begins: " in said("other"), 120, "the other one's first trial")
        signalled(still, signal.SIGSTOP)
        assert "complete" not in said("still")
        assert other.wait(400) == 0, said("other")
        ended = said("other")
        signalled(still, signal.SIGCONT)
        assert still.wait(120) == 0, said("still")
    assert "beside the tuner of process" in ended and "on still" in ended
    assert "trial 0 goes on: " in ended and "against the published setting" in ended
    assert "trial 0 was taken over by another tuner" in said("still")
    assert "against the published setting" not in said("still")
    all_ended(file, runs)
