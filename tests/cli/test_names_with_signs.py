"""A sweep whose name has +, = or @: found by its name, though `NAME@COMMIT` chooses a commit, and tracked by MLflow."""

import json

import pytest

from orchestrator.store import sweep_folder
from tests.support.launched import SPEC, dfcil

NAME = "lr=0.1+b@2"


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("signs")
    (folder / "s.yaml").write_text(SPEC.replace("base, abd, rehearsal", "base"))
    return folder, dfcil("launch", "s.yaml", "--device", "cpu", "--set", f"name={NAME}", folder=folder)


def test_it_is_tracked(launched):
    folder, done = launched
    assert (done.returncode, done.stderr) == (0, "")
    told = dfcil("report", NAME, "--format", "json", folder=folder)
    tracked = ("--tracking-uri", f"sqlite:///{folder}/runs/mlflow.db")
    from_mlflow = dfcil("report", NAME, "--format", "json", *tracked, folder=folder)
    assert told.returncode == from_mlflow.returncode == 0, told.stderr + from_mlflow.stderr
    assert json.loads(told.stdout)["cells"] == json.loads(from_mlflow.stdout)["cells"] != []


def test_status_and_cancel_find_it(launched):
    folder, _ = launched
    told = dfcil("status", NAME, folder=folder)
    assert told.returncode == 0 and told.stdout.startswith(f"{NAME}: 1 of 1 job done")
    told = dfcil("cancel", NAME, folder=folder)
    assert told.returncode == 2 and f"no launcher is at work on '{NAME}'" in told.stderr


def test_what_follows_the_last_at_is_a_commit_where_no_sweep_is_called_so(launched):
    runs = launched[0] / "runs"
    assert sweep_folder.name_and_commit(runs, NAME) == (NAME, "")
    assert sweep_folder.name_and_commit(runs, f"{NAME}@abc") == (NAME, "abc")
    assert sweep_folder.name_and_commit(runs, "demo@abc") == ("demo", "abc")
    assert sweep_folder.name_and_commit(runs, "demo") == ("demo", "")
