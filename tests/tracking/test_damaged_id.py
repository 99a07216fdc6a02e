"""The name of a runs folder, lost or damaged: no run is there twice."""

import warnings

import pytest
from mlflow.tracking import MlflowClient

from orchestrator.store import sweep_folder
from orchestrator.store.our_files import FileIgnored
from orchestrator.tracking import sync
from orchestrator.tracking.delivered import runs_id
from tests.support.fabricated import finish, sweep


def runs_of(uri):
    client = MlflowClient(tracking_uri=uri)
    experiments = [each.experiment_id for each in client.search_experiments()]
    return client.search_runs(experiments, max_results=1000)


@pytest.mark.parametrize("content", [b"", b"\0" * 33, b"{}", b"\xff\xfe", b"0123", None])
def test_a_damaged_id_is_written_again(tmp_path, content):
    name = runs_id(tmp_path)
    assert runs_id(tmp_path) == name and len(name) == 32
    if content is None:
        (tmp_path / "id").unlink()
        assert runs_id(tmp_path, lambda damaged: None if damaged else name) == name
        return
    (tmp_path / "id").write_bytes(content)
    with pytest.warns(FileIgnored, match="id is damaged"):
        assert runs_id(tmp_path, lambda damaged: name if damaged else None) == name
    (tmp_path / "id").write_bytes(content)
    with pytest.warns(FileIgnored, match="a new name"):
        assert runs_id(tmp_path) not in ("", name)


def test_the_tracking_store_knows_the_name_that_the_folder_forgot(tmp_path):
    plan = sweep(("base",), seeds=(0,))
    sweep_folder.sweep_folder(tmp_path, "fab").mkdir(parents=True)
    finish(plan, tmp_path)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert sync(plan, tmp_path, uri) == 1
    before, name = len(runs_of(uri)), (tmp_path / "id").read_text()
    for forgotten in ((), tuple(sweep_folder.sweep_folder(tmp_path, "fab").glob("delivered-*.json"))):
        for path in forgotten:
            path.unlink()
        (tmp_path / "id").write_text("")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FileIgnored)
            assert sync(plan, tmp_path, uri) == 1
        assert (tmp_path / "id").read_text() == name and len(runs_of(uri)) == before
