"""The folder in which jobs leave their marks goes with the launch, though cancelled jobs may be writing in it then."""

import subprocess

import pytest

from orchestrator.cluster.base import shared_folder_probe
from tests.support.processes import wait_until

# As many cancelled jobs do: while there is a folder, and only then, a mark in it.
_MARKING = 'i=0; while [ -d "$1" ]; do i=$((i + 1)); : > "$1/ended-$i"; done 2>/dev/null'


@pytest.mark.parametrize("jobs", [1, 4])
def test_jobs_that_end_while_it_goes(tmp_path, jobs):
    for _ in range(10):
        with shared_folder_probe(tmp_path) as folder:
            told = ["sh", "-c", _MARKING, "sh", str(folder)]
            marking = [subprocess.Popen(told) for _ in range(jobs)]
            wait_until(lambda: any(folder.iterdir()), 30, "a mark")
        for job in marking:
            job.wait(10)
        assert list(tmp_path.iterdir()) == []


def test_it_goes_after_an_error_too(tmp_path):
    with pytest.raises(ZeroDivisionError), shared_folder_probe(tmp_path) as folder:
        (folder / "ended-1").touch()
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_somebody_has_removed_it(tmp_path):
    with shared_folder_probe(tmp_path) as folder:
        folder.rmdir()
    assert list(tmp_path.iterdir()) == []
