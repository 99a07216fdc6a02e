"""A runs folder that is moved or copied, with the sqlite file of its tracking store."""

import hashlib
import os
import shutil
import sqlite3

import pytest
from click.testing import CliRunner
from mlflow.tracking import MlflowClient

from orchestrator.cli.ui import ui
from orchestrator.results.job_result import job_results
from orchestrator.store.store import Store
from orchestrator.tracking import tracking_uri
from orchestrator.tracking.delivered import Delivered, runs_id
from orchestrator.tracking.moved import settle
from tests.support.fabricated import finish, sweep
from tests.support.mlflow_views import view
from tests.support.tracked import Tracker


@pytest.fixture
def original(tmp_path, blank, monkeypatch):
    """A runs folder with the first stages of a sweep, tracked; in a folder whose name an address must quote."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "first place" / "runs"
    folder.mkdir(parents=True)
    shutil.copy(blank, folder / "mlflow.db")
    launch(folder, 6)
    return folder


def launch(runs, count=None):
    """A launch that finishes the first `count` stages, or all."""
    plan = sweep(methods=("abd",), seeds=(0,))
    finish(plan, runs, list(plan.stages)[:count])
    with Tracker(plan, runs) as tracker:
        results = job_results(plan, Store(runs).records(plan.stages.values()))
        for result in results:
            tracker.deliver(result)
        assert tracker.finish("FINISHED", results, lambda results: {"results.md": f"after {count}"}) == 0


def contents(folder):
    """All files, with what is in them and when it was written."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    told = {path: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns) for path in files}
    return {str(path.relative_to(folder)): each for path, each in told.items()}


def addresses(runs):
    with sqlite3.connect(runs / "mlflow.db") as connection:
        told = connection.execute("select artifact_location from experiments where name != 'Default'").fetchall()
        return [each for (each,) in told + connection.execute("select artifact_uri from runs").fetchall()]


def all_below(runs):
    return all(each.startswith((runs / "mlartifacts").as_uri()) for each in addresses(runs))


def text(runs, name):
    client = MlflowClient(tracking_uri=tracking_uri(runs, None))
    (run,) = client.search_runs(
        [client.get_experiment_by_name("fab").experiment_id], "tags.`dfcil.kind` = 'sweep'", max_results=5
    )
    (path,) = (runs / "mlartifacts" / run.info.run_id / "artifacts").glob(name)
    return path.read_text()


def test_nothing_is_changed_where_nothing_was_moved(original):
    before = contents(original)
    assert not settle(original) and contents(original) == before
    assert all_below(original)


@pytest.mark.parametrize("old", ["gone", "another runs folder", "a file"])
def test_a_moved_folder_takes_its_artifacts_with_it(original, tmp_path, old):
    before = view(tracking_uri(original, None))
    identity, place = runs_id(original), tmp_path / "second" / "runs"
    place.parent.mkdir()
    original.rename(place)
    if old == "another runs folder":
        original.mkdir()
        runs_id(original)
    elif old == "a file":
        original.parent.rmdir()
        original.parent.write_text("")
    left = contents(tmp_path / "first place")
    launch(place)
    assert all_below(place) and runs_id(place) == identity
    assert contents(tmp_path / "first place") == left
    after = view(tracking_uri(place, None))
    assert {name: run["id"] for name, run in after.items()} == {name: run["id"] for name, run in before.items()}
    assert text(place, "results.md") == "after None"


def test_a_copy_never_touches_the_original(original, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(original, copy)
    Delivered(copy, "fab", "http://server", "fab").save(now=True)
    before, names = contents(original), view(tracking_uri(original, None)).keys()
    launch(copy)
    assert contents(original) == before
    assert all_below(copy) and all_below(original) and runs_id(copy) != runs_id(original)
    assert view(tracking_uri(copy, None)).keys() == names  # the same runs go on, none is there twice
    assert text(copy, "results.md") == "after None" and text(original, "results.md") == "after 6"
    assert not Delivered(copy, "fab", "http://server", "fab").path.exists()

    there, here = contents(copy), runs_id(copy)
    launch(original)  # and the other way round
    assert contents(copy) == there and text(original, "results.md") == "after None"
    launch(copy)
    assert runs_id(copy) == here


def test_a_copy_of_a_copy_and_one_that_moves(original, tmp_path):
    copy, second = tmp_path / "copy", tmp_path / "second"
    shutil.copytree(original, copy)
    shutil.copytree(copy, second)  # before anything has looked at the first
    copy.rename(tmp_path / "elsewhere")
    copy = tmp_path / "elsewhere"
    assert settle(copy) and settle(second) and not settle(copy) and not settle(second)
    assert len({runs_id(each) for each in (original, copy, second)}) == 3
    assert all(all_below(each) for each in (original, copy, second))


class Killed:
    def __iter__(self):
        raise KeyboardInterrupt


def test_a_copy_that_is_killed_in_the_middle_is_completed(original, tmp_path, monkeypatch):
    copy = tmp_path / "copy"
    shutil.copytree(original, copy)

    monkeypatch.setattr("orchestrator.tracking.moved._TAGS", Killed())
    with pytest.raises(KeyboardInterrupt):  # it has its id, and the database is as it was
        settle(copy)
    monkeypatch.undo()
    assert runs_id(copy) != runs_id(original) and not all_below(copy)
    names = view(tracking_uri(original, None)).keys()
    launch(copy)
    assert all_below(copy) and view(tracking_uri(copy, None)).keys() == names


def test_another_way_to_the_folder_is_no_move(original, tmp_path):
    (tmp_path / "link").symlink_to(original)
    before = contents(original)
    assert not settle(tmp_path / "link") and contents(original) == before


def test_a_persons_own_experiment_stays_where_it_is(original, tmp_path):
    client = MlflowClient(tracking_uri=tracking_uri(original, None))
    theirs = (tmp_path / "theirs" / "mlartifacts").as_uri()
    client.create_run(client.create_experiment("own", theirs))
    original.rename(tmp_path / "moved")
    settle(tmp_path / "moved")
    assert client is not None and theirs in addresses(tmp_path / "moved")
    assert sum(each.startswith(theirs) for each in addresses(tmp_path / "moved")) == 2


def test_a_logged_model_moves_too(original, tmp_path):
    client = MlflowClient(tracking_uri=tracking_uri(original, None))
    experiment = client.get_experiment_by_name("fab").experiment_id
    model = client.create_logged_model(experiment, name="network")
    assert model.artifact_location.startswith((original / "mlartifacts").as_uri())
    place = tmp_path / "moved"
    original.rename(place)
    settle(place)
    found = MlflowClient(tracking_uri=tracking_uri(place, None)).get_logged_model(model.model_id)
    assert found.artifact_location.startswith((place / "mlartifacts").as_uri())


def test_a_place_that_cannot_be_looked_at_is_neither_gone_nor_there(original, tmp_path, monkeypatch):
    place = tmp_path / "moved"
    original.rename(place)
    before = contents(place)

    def fail(*paths):
        raise PermissionError(13, "Permission denied", str(paths[0]))

    monkeypatch.setattr(os.path, "samefile", fail)
    with pytest.raises(OSError, match="Permission denied"):
        settle(place)
    assert contents(place) == before


def test_a_folder_without_a_sqlite_file_is_left_alone(tmp_path):
    assert not settle(tmp_path) and list(tmp_path.iterdir()) == []


def test_the_ui_shows_a_moved_folder_with_its_artifacts(original, tmp_path, monkeypatch):
    place = tmp_path / "moved"
    original.rename(place)
    served = []
    monkeypatch.setattr("orchestrator.cli.ui._serve", lambda command, *rest: served.append(all_below(place)))
    done = CliRunner().invoke(ui, ["fab", "--runs", str(place), "--no-open"])
    assert done.exit_code == 0, done.output
    assert served == [True]
