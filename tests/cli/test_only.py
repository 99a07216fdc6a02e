"""`launch --only`: a part of a sweep now, the rest later; the sweep stays what it is."""

import json

import pytest

from orchestrator.status import status
from tests.support.launched import SPEC, STAGES, dfcil
from tests.support.mlflow_views import jobs

NAMES = [f"{label} · 2 tasks · seed 0" for label in ("base", "abd", "rehearsal")]


@pytest.mark.long
def test_a_part_now_and_the_rest_later(tmp_path):
    # Three launches, each a process that loads torch and mlflow anew.
    (tmp_path / "tiny.yaml").write_text(SPEC)

    def launch(*words):
        place = ("--runs", "runs", "--jobs", "1", "--device", "cpu")
        answer = dfcil("launch", "tiny.yaml", *place, *words, folder=tmp_path)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    told = launch("--only", "method=base", "--only", "method=rehearsal,seed=0")
    assert "tiny: 2 jobs, 4 stages, 0 in the store; 1 at a time on cpu" in told
    assert "tiny: 2 of the 2 jobs chosen (of 3) done; 4 stages run, 0 reused" in told
    assert list(json.loads((tmp_path / "runs/sweeps/tiny/jobs.json").read_text())) == NAMES
    state = status("tiny", runs=tmp_path / "runs", device="cpu")
    assert [state.of(job) for job in state.plan.jobs] == ["done", "stopped", "done"]
    uri = f"sqlite:///{tmp_path}/runs/mlflow.db"
    tracked = {name: run["state"] for name, run in jobs(uri, "tiny").items()}
    assert tracked == {NAMES[0]: "FINISHED", NAMES[1]: "KILLED", NAMES[2]: "FINISHED"}

    assert f"tiny: 3 of 3 jobs done; {STAGES - 4} stages run, 4 reused" in launch()
    assert {run["state"] for run in jobs(uri, "tiny").values()} == {"FINISHED"}
    assert "1 job chosen (of 3) done; 0 stages run, 3 reused" in launch("--only", "method=abd")
    assert {run["state"] for run in jobs(uri, "tiny").values()} == {"FINISHED"}


def test_a_wrong_choice_is_told_before_anything_is_written(tmp_path):
    (tmp_path / "tiny.yaml").write_text(SPEC)
    answer = dfcil("launch", "tiny.yaml", "--only", "method=abd,tasks=5", folder=tmp_path)
    assert answer.returncode == 2
    assert "--only method=abd,tasks=5: '5' is no split of this sweep. Choices: 2" in answer.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]
