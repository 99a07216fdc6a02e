"""A file of ours is replaced whole or not at all, and others may read it as far as the umask lets them."""

import json
import os

import pytest

from dfcil_core import checkpoint
from orchestrator import files


@pytest.fixture
def umask():
    before = os.umask(0o027)
    yield 0o640
    os.umask(before)


@pytest.mark.parametrize("sync", [True, False])
def test_a_file_is_replaced_and_nothing_lies_beside_it(tmp_path, umask, sync):
    path = tmp_path / "told.json"
    files.write_json(path, {"a": 1}, sync=sync)
    files.write_json(path, {"a": "é"}, indent=1, end="\n", sync=sync)
    assert json.loads(path.read_text()) == {"a": "é"} and path.read_bytes().endswith(b"}\n")
    files.write_text(path, "é", sync=sync)
    assert path.read_bytes() == "é".encode()
    assert path.stat().st_mode & 0o777 == umask
    assert list(tmp_path.iterdir()) == [path]


def test_what_fails_half_way_leaves_the_old_file(tmp_path):
    path = tmp_path / "told.json"
    files.write_text(path, "old")
    with pytest.raises(OSError, match="no space"), files.replacing(path) as file:
        file.write(b"ne")
        raise OSError("no space")
    with pytest.raises(ValueError):
        files.write_json(path, float("nan"))
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_save_within_a_stage_has_the_mode_of_the_umask_too(tmp_path, umask):
    path = tmp_path / "state"
    checkpoint.write_state(path, {"epoch": 1})
    assert checkpoint.read_state(path) == {"epoch": 1}
    assert path.stat().st_mode & 0o777 == umask and list(tmp_path.iterdir()) == [path]
