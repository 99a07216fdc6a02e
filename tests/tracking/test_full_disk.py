"""A tracking store on a disk that is really full costs warnings: the sweep ends, and `sync` delivers it later."""

import shutil
import subprocess

import pytest

from tests.support.launched import command, environment
from tests.support.mlflow_views import jobs
from tests.support.mounts import in_own_mounts

pytestmark = pytest.mark.long

# What is said in $1: the disk full, a launch; the disk larger, a sync; and the store, which goes with its mount, kept.
SCRIPT = """
disk=$1 size=$2 kept=$3; shift 3
mount -t tmpfs -o size=$size tmpfs "$disk" || exit 9
"$@" launch "$spec" $options; echo "launch: $?"
mount -o remount,size=64m "$disk" || exit 9
"$@" sync tiny $options; echo "sync: $?"
cp "$disk"/mlflow.db "$kept"
"""


@pytest.mark.parametrize("size", ["64k", "600k", "1000k"], ids=["empty", "within its tables", "within the sweep"])
def test_a_full_disk_under_the_tracking_store(tiny, tmp_path, size):
    runs, disk, kept = shutil.copytree(tiny.runs, tmp_path / "runs"), tmp_path / "disk", tmp_path / "kept.db"
    disk.mkdir()
    options = f"--runs {runs} --tracking-uri sqlite:///{disk}/mlflow.db"
    done = subprocess.run(
        in_own_mounts(SCRIPT, disk, size, kept, *command()),
        cwd=tmp_path,
        env={**environment(), "spec": str(tiny.spec), "options": options},
        capture_output=True,
        text=True,
        timeout=300,
    )
    told = done.stdout + done.stderr
    assert "launch: 0" in told and "sync: 0" in told, told
    assert "Traceback" not in told
    assert "3 of 3 jobs done; 0 stages run" in told
    assert "takes no results now, training goes on" in told and "disk" in told
    found = jobs(f"sqlite:///{kept}", "tiny")
    assert len(found) == 3 and {run["state"] for run in found.values()} == {"FINISHED"}
