"""`launch` and `tune --cluster slurm`, through sbatch to a real Slurm, with a worker's job cancelled in the middle."""

import subprocess
from pathlib import Path

import pytest

from orchestrator.spec.load import load_spec
from orchestrator.tuning import study
from orchestrator.tuning.study import ENDED, Study
from tests.support.clustered import holders, launcher, need_root, said, table, undisturbed, until_saved
from tests.support.launched import command, environment
from tests.support.processes import wait_until
from tests.support.searched import search_spec
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


def test_a_search_through_sbatch_survives_scancel_and_ends_with_the_trials_asked_for(conf, tmp_path):
    trials, at = 4, []
    file, profile, log = (tmp_path / name for name in ("searched.yaml", "slurm.yaml", "tune.log"))
    file.write_text(search_spec("searched", trials, epochs=4, steps=10))
    profile.write_text(PROFILE)
    told = ("tune", file, "--runs", tmp_path / "runs", "--device", "cpu", "--jobs", 2)
    elsewhere = ("--cluster", "slurm", "--profile", profile)
    with log.open("w") as output:
        how = {"cwd": tmp_path, "env": {**environment(), "SLURM_CONF": str(conf)}}
        tuner = subprocess.Popen(command(*told, *elsewhere), stdout=output, stderr=subprocess.STDOUT, **how)
        try:
            wait_until(lambda: " is complete" in log.read_text() or tuner.poll() is not None, 240, "a complete trial")
            wait_until(lambda: at.extend(holders(tmp_path).values()) or at, 60, "a stage under way")
            assert tuner.poll() is None, log.read_text()
            ask(conf, "scancel", job_of(at[0]))
            assert tuner.wait(400) == 0, log.read_text()
        finally:
            tuner.kill()
            tuner.wait()
    found = Study(load_spec(str(file)), study.open_storage(tmp_path / "runs", None), "cpu").trials()
    assert [trial.number for trial in found] == list(range(trials))
    assert all(trial.state in ENDED for trial in found)
    assert len({tuple(trial.params.items()) for trial in found}) == trials
    assert "against the published setting" in log.read_text()
    assert jobs(conf) == []


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
