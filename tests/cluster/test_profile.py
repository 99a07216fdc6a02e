"""Profiles of batch systems: what is refused, and the job script that each of the five is given."""

import os
import shlex
import subprocess

import pytest
from distributed.security import Security

from orchestrator.cluster.batch import _observed, _require_commands, job_class, job_options
from orchestrator.cluster.profile import load_profile
from orchestrator.cluster.systems import BATCH_SYSTEMS, BatchSystem
from orchestrator.errors import UserError

BASE = 'walltime: "04:00:00"\ncores: 4\nmemory: 16GB\n'


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "profile.yaml"
        path.write_text(text)
        return path

    return write


def load(path, kind):
    return load_profile(path, BATCH_SYSTEMS[kind])


def script(profile, folder):
    """The job script, as dask-jobqueue writes it for two workers a job."""
    job = job_class(profile.system)
    security = Security(tls_ca_file="/ca.pem", tls_worker_cert="/c.pem", tls_worker_key="/k.pem")
    told = {"scheduler": "tls://10.0.0.1:8786", "name": "w0", "protocol": "tls", "security": security}
    return job(**told, **job_options(profile, folder, folder / "logs", 2)).job_script()


MORE = {
    "slurm": ("partition: gpu\naccount: lab\ngres: gpu:a100:1\njob_extra: [--constraint=big]\n",),
    "pbs": ("queue: gpu\naccount: lab\nresource_spec: select=1:ncpus=4:mem=16gb\n",),
    "sge": ("queue: gpu\naccount: lab\nresource_spec: h_vmem=16G\njob_extra: [-pe smp 4]\n",),
    "lsf": ("queue: gpu\naccount: lab\njob_extra: ['-gpu num=1']\n",),
    "htcondor": ("disk: 10GB\njob_extra: {request_gpus: 1}\n",),
}
LINES = {
    "slurm": [
        "#SBATCH -p gpu",
        "#SBATCH -A lab",
        "#SBATCH --cpus-per-task=4",
        "#SBATCH --mem=15G",
        "#SBATCH -t 04:00:00",
        "#SBATCH --gres=gpu:a100:1",
        "#SBATCH --constraint=big",
    ],
    "pbs": ["#PBS -q gpu", "#PBS -A lab", "#PBS -l select=1:ncpus=4:mem=16gb", "#PBS -l walltime=04:00:00"],
    "sge": ["#$ -q gpu", "#$ -P lab", "#$ -l h_vmem=16G", "#$ -l h_rt=04:00:00", "#$ -pe smp 4"],
    "lsf": ["#BSUB -q gpu", '#BSUB -P "lab"', "#BSUB -n 4", "#BSUB -W 04:00", "#BSUB -gpu num=1"],
    "htcondor": ["allowed_job_duration = 14400", "request_gpus = 1", "MY.DaskWorkerCores = 4", "Queue"],
}


@pytest.mark.parametrize("kind", BATCH_SYSTEMS)
def test_the_job_script_asks_for_what_the_profile_says_and_starts_encrypted_workers(kind, written, tmp_path):
    text = BASE + "".join(MORE[kind]) + "prologue: [module load cuda]\nscratch: /scratch\npython: /env/bin/python\n"
    job = script(load(written(text), kind), tmp_path)
    assert set(LINES[kind]) <= set(map(str.strip, job.splitlines())), job
    (command,) = [line for line in job.splitlines() if "dask_worker" in line]
    for told in (
        "/env/bin/python -m distributed.cli.dask_worker tls://10.0.0.1:8786",
        "--nworkers 2",
        '--local-directory "$DFCIL_SCRATCH"' if kind != "htcondor" else '--local-directory ""$DFCIL_SCRATCH""',
        "--lifetime 13500s --lifetime-stagger 300s",
        "--protocol tls",
        "--tls-ca-file /ca.pem --tls-cert /c.pem --tls-key /k.pem",
    ):
        assert told in command
    # Of an option given twice the last counts.
    assert command.rindex("--nthreads 1") > command.index("--nworkers")
    scratch = "DFCIL_SCRATCH=`mktemp -d /scratch/dfcil-sweep-XXXXXXXXXX`"
    for line in (scratch, "export OMP_NUM_THREADS=1", f"export DASK_CONFIG={tmp_path}", "module load cuda"):
        assert line in job and job.index(line) < job.index("dask_worker")


@pytest.mark.parametrize("where", ["scratch", "with blank", "TMPDIR"])
def test_a_job_works_in_a_folder_of_its_own_which_goes_with_it(written, tmp_path, where):
    """The script in a shell, with a stand-in for Python; what a submitter calls DFCIL_SCRATCH is not the job's."""
    base, mine = tmp_path / where, tmp_path / "mine"
    base.mkdir()
    mine.mkdir()
    python = tmp_path / "python"
    python.write_text(f"""#!/bin/sh
while [ "$1" != --local-directory ]; do shift; done; stat -c '%a %n' "$2" > {shlex.quote(str(tmp_path))}/told""")
    python.chmod(0o755)
    more = "" if where == "TMPDIR" else f"scratch: '{base}'\n"
    profile = load(written(f"{BASE}python: {python}\n{more}"), "slurm")
    (tmp_path / "a probe").mkdir()
    job = _observed(job_class(profile.system), tmp_path / "a probe")
    told = {"scheduler": "tls://10.0.0.1:8786", "name": "w0", "protocol": "tls", "security": None}
    observed = job(**told, **job_options(profile, tmp_path, tmp_path / "logs", 1))
    given = {**os.environ, "TMPDIR": str(base), "DFCIL_SCRATCH": str(mine)}
    done = subprocess.run(["bash", "-c", observed.job_script()], env=given, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
    assert (tmp_path / "told").read_text().startswith(f"700 {base}/dfcil-sweep-")
    assert list(base.iterdir()) == [] and mine.is_dir() and observed.ended.exists()
    (base / "gone").write_text("")
    failing = observed.job_script().replace("mktemp", "false")
    done = subprocess.run(["bash", "-c", failing], env=given, capture_output=True, text=True)
    assert done.returncode == 1 and mine.is_dir() and (base / "gone").exists()


@pytest.mark.filterwarnings("ignore:OAR Job memory")
def test_another_batch_system_is_one_registration(written, tmp_path, monkeypatch):
    """OAR, which dask-jobqueue has and we do not offer, with a directive of its own."""
    oar = BatchSystem(
        "oar",
        "dask_jobqueue:OARCluster",
        {"queue": "queue", "account": "project"},
        required={"queue": "besteffort"},
        directives={"container": "-t inner={}"},
    )
    monkeypatch.setitem(BATCH_SYSTEMS, oar.name, oar)
    job = script(load(written(BASE + "queue: gpu\naccount: lab\ncontainer: '7'\n"), "oar"), tmp_path)
    lines = {"#OAR -q gpu", "#OAR --project lab", "#OAR -l /nodes=1/core=4,walltime=04:00:00", "#OAR -t inner=7"}
    assert lines <= set(map(str.strip, job.splitlines())), job
    with pytest.raises(UserError, match="queue: is missing. Say, for example, queue: besteffort"):
        load(written(BASE), "oar")
    with pytest.raises(UserError, match="'gres' is no key of a oar profile"):
        load(written(BASE + "queue: gpu\ngres: gpu:1\n"), "oar")
    with pytest.raises(UserError, match="--cluster: 'oarsub' is not installed here.* submits jobs to oar"):
        _require_commands(load(written(BASE + "queue: gpu\n"), "oar"))


def test_the_workers_have_our_settings_of_dask(written, tmp_path):
    job_options(load(written(BASE), "slurm"), tmp_path, tmp_path, 1)
    assert "work-stealing: false" in (tmp_path / "dask.yaml").read_text()


@pytest.mark.parametrize(
    ("walltime", "margin", "seconds", "lifetime"),
    [
        ('"04:00:00"', None, 14400, 13800),
        ('"2-00:00:00"', None, 172800, 172200),
        ('"00:05:00"', None, 300, 240),
        ('"00:02:30"', 30, 150, 120),
    ],
)
def test_workers_end_before_the_walltime(written, walltime, margin, seconds, lifetime):
    text = f"walltime: {walltime}\ncores: 1\nmemory: 1GB\n" + (f"margin: {margin}\n" if margin else "")
    profile = load(written(text), "slurm")
    assert (profile.walltime, profile.lifetime) == (seconds, lifetime)


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        ("slurm", "cores: 1\nmemory: 1GB\n", 'walltime: is missing. Say, for example, walltime: "04:00:00"'),
        ("slurm", BASE + "partitoin: gpu\n", "profile.yaml:4:1: partitoin: 'partitoin' is no key of a slurm profile."),
        ("slurm", BASE + "partitoin: gpu\n", "Did you mean 'partition'?"),
        ("lsf", BASE + "gres: gpu:1\n", "'gres' is no key of a lsf profile"),
        ("slurm", BASE + "queue: a\npartition: b\n", "partition: is the same as 'queue': give one of them"),
        ("slurm", 'walltime: "4h"\ncores: 1\nmemory: 1GB\n', "is no duration. Write hours, minutes and seconds"),
        ("slurm", 'walltime: "00:01:00"\ncores: 1\nmemory: 1GB\n', "leaves 0 seconds of work"),
        ("slurm", BASE.replace("4\n", "0\n"), "0 is no number of cores"),
        ("slurm", BASE.replace("16GB", "16"), "is no amount of memory. Write it with its unit: 16GB"),
        ("slurm", BASE + 'account: "a\\n#SBATCH --uid=0"\n', "is not one line of text"),
        ("slurm", BASE + "job_extra: --exclusive\n", "is not a list of lines. Write, for example, job_extra: ["),
        ("slurm", BASE + "margin: soon\n", "is no number of seconds"),
        ("slurm", BASE + "interface: nowhere0\n", "this machine has no network interface 'nowhere0'"),
        ("htcondor", BASE, "disk: is missing. Say, for example, disk: 10GB"),
        ("htcondor", BASE + "disk: 1GB\njob_extra: [a]\n", "is not a mapping of submit commands to values"),
        ("slurm", "- a\n", "is no YAML mapping of keys to values"),
        ("slurm", "", "is no YAML mapping of keys to values"),
    ],
)
def test_a_wrong_profile_is_refused_with_place_and_remedy(written, kind, text, told):
    with pytest.raises(UserError) as refused:
        load(written(text), kind)
    assert told in str(refused.value)


def test_all_the_mistakes_of_a_profile_are_told_at_once(written):
    with pytest.raises(UserError, match="3 mistakes in the profile; nothing was started"):
        load(written('walltime: "1"\ncores: no\nmemory: much\n'), "slurm")


def test_a_profile_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="--profile: .*nowhere.yaml cannot be read: No such file"):
        load(tmp_path / "nowhere.yaml", "slurm")
