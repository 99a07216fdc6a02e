"""`launch --cluster slurm`, through sbatch to a real Slurm, with a worker's job cancelled in the middle."""

from pathlib import Path

import pytest

from tests.support.clustered import holders, launcher, need_root, said, table, undisturbed, until_saved
from tests.support.processes import wait_until
from tests.support.slurm import ask, slurm
from tests.support.tools import need

pytestmark = pytest.mark.server

PROFILE = """\
partition: digits
walltime: "00:30:00"
cores: 1
memory: 1GB
interface: lo
"""


@pytest.fixture
def conf(tmp_path):
    need("munged", "slurmctld", "slurmd", "sbatch", "scancel", "squeue")
    need_root()
    with slurm(tmp_path / "slurm") as conf:
        yield conf
        left = ask(conf, "squeue", "--noheader", "--format=%i").split()
        if left:
            ask(conf, "scancel", *left)


def jobs(conf, state=None):
    wanted = ["--states", state] if state else []
    return ask(conf, "squeue", "--noheader", "--format=%i", *wanted).split()


def test_a_sweep_through_sbatch_survives_scancel_of_a_worker(conf, tmp_path):
    expected = undisturbed(tmp_path)
    profile = tmp_path / "slurm.yaml"
    profile.write_text(PROFILE)
    with launcher(tmp_path, "--cluster", "slurm", "--profile", profile, "--jobs", 2, SLURM_CONF=str(conf)) as process:
        until_saved(tmp_path, process, 90)
        before = jobs(conf)
        ask(conf, "scancel", job_of(next(iter(holders(tmp_path).values()))))
        wait_until(lambda: set(jobs(conf)) - set(before), 60, "a job in its place")
        assert process.wait(200) == 0, said(tmp_path)
    assert "started again" in said(tmp_path)
    assert table(tmp_path, tmp_path / "runs") == expected
    assert jobs(conf) == []
    assert list((tmp_path / "runs").glob(".cluster-*")) == []


def job_of(pid: int) -> str:
    """The job that a process belongs to."""
    variables = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return dict(variable.partition("=")[::2] for variable in variables)["SLURM_JOB_ID"]


def test_a_profile_that_slurm_refuses_is_answered_with_what_slurm_says(conf, tmp_path):
    (tmp_path / "spec.yaml").write_text("name: clustered\ndataset: digits\nmethods: [base]\ntasks: [2]\nseeds: [0]\n")
    profile = tmp_path / "slurm.yaml"
    profile.write_text(PROFILE.replace("digits", "gpu"))
    with launcher(tmp_path, "--cluster", "slurm", "--profile", profile, "--jobs", 2, SLURM_CONF=str(conf)) as process:
        assert process.wait(90) == 2, said(tmp_path)
    assert "the batch system refuses a job" in said(tmp_path) and "partition" in said(tmp_path)
    assert jobs(conf) == []
