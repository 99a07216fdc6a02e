"""`dfcil-sweep tune` killed in the middle, again and again, and started again: as many trials as were asked for."""

import signal
import subprocess

import pytest

from orchestrator.spec.load import load_spec
from orchestrator.tuning import study
from orchestrator.tuning.study import COMPLETE, ENDED, PRUNED, RUNNING, Study
from tests.support.launched import command, dfcil, environment
from tests.support.mlflow_views import view
from tests.support.processes import session_members, wait_until
from tests.support.searched import search_spec

TRIALS = 12
SPEC = search_spec("killed", TRIALS, epochs=1, steps=2)


def killed_after(lines: int, arguments, folder) -> None:
    """Start the tuner, and kill it alone, without warning, when it has printed so many lines."""
    tuner = subprocess.Popen(
        command(*arguments), cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    for _ in range(lines):
        assert tuner.stdout.readline(), "it ended before it was killed"
    assert tuner.poll() is None
    tuner.send_signal(signal.SIGKILL)
    tuner.wait()
    tuner.stdout.close()
    wait_until(lambda: not session_members(tuner.pid), 60, "the killed tuner's workers end")


# A minute or more: each of six tuners loads torch anew, in itself and in two workers.
@pytest.mark.long
def test_a_tuner_killed_five_times_ends_with_the_trials_asked_for(tmp_path):
    file, runs = tmp_path / "killed.yaml", tmp_path / "runs"
    file.write_text(SPEC)
    arguments = ("tune", file, "--runs", runs, "--device", "cpu", "--jobs", 2)
    asked = load_spec(str(file))

    def known() -> Study:
        return Study(asked, study.open_storage(runs, None), "cpu")

    ended = []
    for lines in (2, 4, 7, 11, 13):
        killed_after(lines, arguments, tmp_path)
        ended.append(known().ended())
    assert ended[-1] < TRIALS and ended == sorted(ended)
    left = [trial.number for trial in known().trials(RUNNING)]
    assert left

    last = dfcil(*arguments, folder=tmp_path)
    assert last.returncode == 0, last.stderr
    trials = known().trials()
    assert [trial.number for trial in trials] == list(range(TRIALS))
    assert all(trial.state in ENDED for trial in trials)
    assert len({tuple(trial.params.items()) for trial in trials}) == TRIALS
    went_on = [line for line in last.stdout.splitlines() if " goes on: " in line]
    assert [int(line.split()[1]) for line in went_on] == left

    # The same in MLflow, where `view` fails for a run that is there twice.
    tracked = view(f"sqlite:///{runs}/mlflow.db", "killed")
    states = {COMPLETE: "FINISHED", PRUNED: "KILLED"}
    assert {name: run["state"] for name, run in tracked.items() if name.startswith("trial ")} == {
        f"trial {trial.number}": states[trial.state] for trial in trials
    }

    again = dfcil(*arguments, folder=tmp_path)
    assert again.returncode == 0 and "begins" not in again.stdout and len(known().trials()) == TRIALS
