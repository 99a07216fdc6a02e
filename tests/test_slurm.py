"""`launch --cluster slurm`, through sbatch to a real Slurm, with a worker's job cancelled in the middle."""

import json

import pytest
from clustered import STAGES, launcher, need_root, said, table, undisturbed, until_saved
from processes import wait_until
from slurm import ask, slurm
from tools import need

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
        busy = _job_at_work(conf)
        ask(conf, "scancel", busy)
        wait_until(lambda: set(jobs(conf)) - set(before) or process.poll() is not None, 60, "a job in its place")
        assert process.wait(240) == 0, said(tmp_path)
    assert table(tmp_path, tmp_path / "runs") == expected
    assert set(jobs(conf)) == set()
    records = [json.loads(path.read_text()) for path in (tmp_path / "runs" / "stages").glob("*/record.json")]
    assert len(records) == STAGES
    logs = [path.read_text() for path in (tmp_path / "runs" / "logs").glob("*.log")]
    assert sum(text.count("--- ") for text in logs) > STAGES, "no stage was started twice"
    assert list((tmp_path / "runs").glob(".cluster-*")) == []


def _job_at_work(conf) -> str:
    """The job that has the first stage: while one is run, only one of the two has work."""
    names = ask(conf, "squeue", "--noheader", "--states", "RUNNING", "--format=%i").split()
    assert names
    return min(names, key=int)


def test_a_profile_that_slurm_refuses_is_answered_with_what_slurm_says(conf, tmp_path):
    (tmp_path / "spec.yaml").write_text("name: clustered\ndataset: digits\nmethods: [base]\ntasks: [2]\nseeds: [0]\n")
    profile = tmp_path / "slurm.yaml"
    profile.write_text(PROFILE.replace("digits", "gpu"))
    with launcher(tmp_path, "--cluster", "slurm", "--profile", profile, "--jobs", 2, SLURM_CONF=str(conf)) as process:
        assert process.wait(90) == 2, said(tmp_path)
    assert "the batch system refuses a job" in said(tmp_path) and "partition" in said(tmp_path)
    assert jobs(conf) == []
