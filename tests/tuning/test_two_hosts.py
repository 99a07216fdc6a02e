"""A search on two hosts, one of which is cut off in the middle: as many trials as were asked for."""

import subprocess

import pytest

from orchestrator.spec.load import load_spec
from orchestrator.tuning import study
from orchestrator.tuning.study import ENDED, Study
from tests.support.clustered import holders
from tests.support.launched import command, environment
from tests.support.processes import session_members, wait_until
from tests.support.searched import search_spec
from tests.support.two_hosts import two_hosts

pytestmark = pytest.mark.server
TRIALS = 5
SPEC = search_spec("apart", TRIALS, epochs=4, steps=10)


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
    trials = Study(load_spec(str(file)), study.open_storage(runs, None), "cpu").trials()
    assert [trial.number for trial in trials] == list(range(TRIALS))
    assert all(trial.state in ENDED for trial in trials)
    assert len({tuple(trial.params.items()) for trial in trials}) == TRIALS
    assert "against the published setting" in log.read_text()
