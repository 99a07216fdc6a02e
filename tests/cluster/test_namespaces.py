"""A sweep on two hosts, a Dask cluster over both with TLS, and one of them cut off."""

import subprocess
from pathlib import Path

import pytest

from tests.support.clustered import SPEC, STAGES, holders, launcher, said, table, undisturbed
from tests.support.processes import session_members, wait_until
from tests.support.two_hosts import two_hosts

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return undisturbed(tmp_path_factory.mktemp("local"))


@pytest.mark.parametrize("files", ["files stay", "files go"])
def test_a_host_that_is_cut_off_costs_the_sweep_nothing(expected, tmp_path, files):
    """Its worker still has the runs folder, and may finish its stage there; or it is frozen, as by a lost disk."""
    (tmp_path / "spec.yaml").write_text(SPEC)
    with two_hosts(tmp_path) as hosts, launcher(tmp_path, *hosts.told, prefix=hosts.on_here()) as process:
        wait_until(lambda: _saves(tmp_path, hosts.far, process), 120, "a save of the far worker")
        hosts.cut_off(freeze=files == "files go")
        assert process.wait(200) == 0, said(tmp_path)
    assert "worker far died" in said(tmp_path)
    assert table(tmp_path, tmp_path / "runs") == expected
    assert f"{STAGES}/{STAGES}" in said(tmp_path)


def _saves(folder: Path, session: int, process: subprocess.Popen) -> bool:
    """Whether a worker of that session has saved a stage that it is in the middle of."""
    assert process.poll() is None, said(folder)
    members = session_members(session)
    keys = [key for key, pid in holders(folder).items() if pid in members]
    return any(any((folder / "runs" / "stages" / f".saves-{key}").glob("*")) for key in keys)
