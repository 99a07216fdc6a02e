"""What a stage at work says of itself, read by another process while it is written."""

import pytest

from orchestrator.store.store import Store
from orchestrator.worker.progress_file import ProgressFile, ProgressReader, path_of
from tests.support.fabricated import sweep


@pytest.fixture
def path(tmp_path):
    store = Store(tmp_path)
    store.prepare()
    return path_of(store, next(iter(sweep(("base",)).stages.values())))


def epochs(reader):
    return [told["epoch"] for told in reader.new()]


def test_reports_are_read_as_they_come_and_go_with_the_stage(path):
    reader = ProgressReader(path)
    assert epochs(reader) == []
    written = ProgressFile(path)
    written.write({"epoch": 1, "loss": 0.5})
    (first,) = reader.new()
    assert (first["epoch"], first["loss"]) == (1, 0.5) and 0 <= first["seconds"] < 60
    assert epochs(reader) == []
    written.write({"epoch": 2})
    written.write({"epoch": 3})
    written.close(done=True)
    assert not path.exists() and epochs(reader) == [2, 3]  # also of a file that has gone meanwhile


def test_another_attempt_begins_anew(path):
    reader = ProgressReader(path)
    first = ProgressFile(path)
    for epoch in (1, 2, 3):
        first.write({"epoch": epoch})
    first.close(done=False)
    assert epochs(reader) == [1, 2, 3]
    second = ProgressFile(path)
    second.write({"epoch": 3})
    assert epochs(reader) == [3]
    second.close(done=True)


def test_a_line_is_read_when_it_is_whole_and_nonsense_is_passed_over(path):
    reader = ProgressReader(path)
    with path.open("w") as file:
        file.write('no json\n[1]\n{"epoch": 1}\n{"epo')
        file.flush()
        assert epochs(reader) == [1]
        file.write('ch": 2}\n')
        file.flush()
        assert epochs(reader) == [2]


def test_a_stage_goes_on_where_nothing_can_be_written(tmp_path):
    written = ProgressFile(tmp_path / "none" / "x.progress")
    written.write({"epoch": 1})
    written.close(done=True)
    full = ProgressFile.__new__(ProgressFile)
    full.path, full._began, full._file = tmp_path / "x", 0.0, open("/dev/full", "w")  # noqa: SIM115
    full.write({"epoch": 1})
    full.write({"epoch": 2})
    full.close(done=True)
