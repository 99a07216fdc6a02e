"""`dfcil-sweep tune` several times at once on one study, two of them stopped: as many trials as were asked for."""

import re
import signal
import socket
import subprocess
from contextlib import ExitStack, contextmanager

import pytest

from orchestrator.spec.load import load_spec
from orchestrator.tuning import study
from orchestrator.tuning.study import COMPLETE, ENDED, PRUNED, Study
from tests.support.launched import command, dfcil, environment
from tests.support.mlflow_views import view
from tests.support.processes import session_members, wait_until
from tests.support.searched import search_spec

# Each tuner loads torch anew, in itself and in its worker, before it begins with a trial.
pytestmark = pytest.mark.long
LATEST = 300  # seconds


class Tuner:
    """A tuner in a process of its own, with one trial at a time."""

    def __init__(self, folder, log):
        told = ("tune", folder / "several.yaml", "--runs", folder / "runs", "--device", "cpu", "--jobs", 1)
        output = {"stdout": log.open("w"), "stderr": subprocess.STDOUT}
        self.log = log
        self.process = subprocess.Popen(command(*told), cwd=folder, env=environment(), start_new_session=True, **output)

    def said(self):
        return self.log.read_text()

    def until_trial(self):
        """Wait until it works on a trial: has reported on one, and is at that or another one."""
        wait_until(lambda: self.at() and " task 1: " in self.said() or self.ended(), LATEST, "a trial under way")
        assert not self.ended(), self.said()

    def ended(self):
        return self.process.poll() is not None

    def at(self):
        """The numbers of the trials that it has begun, or taken over, and not ended."""
        taken = re.findall(r"^trial (\d+) (?:begins|goes on): ", self.said(), re.MULTILINE)
        ended = re.findall(r"^trial (\d+) (?:is complete|is pruned|has failed)", self.said(), re.MULTILINE)
        return [number for number in taken if number not in ended]

    def stop(self, number):
        self.process.send_signal(number)
        return self.code()

    def code(self):
        """Its exit status, when its workers have ended too."""
        code = self.process.wait(LATEST)
        wait_until(lambda: not session_members(self.process.pid), 60, "its workers end")
        return code


@contextmanager
def tuners(folder, trials):
    """A function that starts another one on the study."""
    (folder / "several.yaml").write_text(search_spec("several", trials, epochs=1, steps=2))
    with ExitStack() as stack:

        def start():
            tuner = Tuner(folder, folder / f"tuner-{len(started)}.log")
            started.append(tuner)
            stack.callback(tuner.stop, signal.SIGKILL)
            return tuner

        started = []
        yield start


def ended_study(folder, trials):
    """The study, which must have so many trials, all ended and no two alike, and be so in MLflow."""
    runs = folder / "runs"
    found = Study(load_spec(str(folder / "several.yaml")), study.open_storage(runs, None), "cpu").trials()
    assert [trial.number for trial in found] == list(range(trials))
    assert all(trial.state in ENDED for trial in found)
    assert len({tuple(trial.params.items()) for trial in found}) == trials
    tracked = view(f"sqlite:///{runs}/mlflow.db", "several")  # which fails for a run that is there twice
    states = {COMPLETE: "FINISHED", PRUNED: "KILLED"}
    expected = {f"trial {trial.number}": states[trial.state] for trial in found}
    (parent,) = [name for name in tracked if name.startswith("tune ")]
    assert {name: run["state"] for name, run in tracked.items()} == {**expected, parent: "FINISHED"}
    assert tracked[parent]["params"]["best.confirmed"] == "yes"


def test_two_at_once_share_the_trials_and_one_of_them_ends_the_study(tmp_path):
    with tuners(tmp_path, 6) as start:
        both = [start(), start()]
        assert [one.process.wait(LATEST) for one in both] == [0, 0], [one.said() for one in both]
    said = [one.said() for one in both]
    assert all(" begins: " in text for text in said) and not any(" goes on: " in text for text in said)
    assert sorted("against the published setting" in text for text in said) == [False, True]
    (helped,) = [text for text in said if "against the published setting" not in text]
    assert re.search(r"beside the tuner of process \d+ on ", helped)
    assert re.search(r"^the tuner of process \d+ on .* ends the study: ", helped, re.MULTILINE)
    ended_study(tmp_path, 6)


def test_one_killed_and_one_interrupted_cost_the_study_no_trial(tmp_path):
    with tuners(tmp_path, 6) as start:
        killed = start()
        killed.until_trial()  # alone, so that it leads
        interrupted, last = start(), start()
        interrupted.until_trial()
        assert killed.stop(signal.SIGKILL) == -signal.SIGKILL
        interrupted.until_trial()
        assert interrupted.stop(signal.SIGINT) == 130, interrupted.said()
        assert last.process.wait(LATEST) == 0, last.said()
    others = interrupted.said() + last.said()
    assert all(f"trial {number} goes on: " in others for number in killed.at())
    assert all(f"trial {number} goes on: " in last.said() for number in interrupted.at())
    assert "against the published setting" in last.said()
    ended_study(tmp_path, 6)


def test_cancel_asks_every_tuner_of_a_study_and_costs_no_trial(tmp_path):
    def cancel():
        return dfcil("cancel", "several", "--runs", tmp_path / "runs", folder=tmp_path)

    with tuners(tmp_path, 4) as start:
        both = [start(), start()]
        for one in both:
            one.until_trial()
        told = dfcil("status", "several", "--runs", tmp_path / "runs", folder=tmp_path).stdout
        for one in both:
            assert f"\n  tuner: process {one.process.pid} on {socket.gethostname()}, since " in told
        told = cancel()
        assert told.returncode == 0, told.stderr
        for one in both:
            assert f"process {one.process.pid} on {socket.gethostname()} has stopped\n" in told.stdout
            assert one.code() == 130 and "Traceback" not in one.said()
        again = cancel()
        assert again.returncode == 2 and "no tuner is at work on 'several'" in again.stderr
        last = start()
        assert last.process.wait(LATEST) == 0, last.said()
    assert all(f"trial {number} goes on: " in last.said() for one in both for number in one.at())
    assert list((tmp_path / "runs" / "tuning").glob("*/tuners/cancel-*")) == []
    ended_study(tmp_path, 4)
