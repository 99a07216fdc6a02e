"""A Slurm of one node on the loopback interface, with its own munged: in the folder of a test, and while it lasts."""

import os
import secrets
import socket
import subprocess
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.clustered import free_port
from tests.support.processes import wait_until

_CONF = """\
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
KillWait=3
SchedulerParameters=sched_interval=2
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=4000 State=UNKNOWN
PartitionName=digits Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def ask(conf: Path, *arguments: str) -> str:
    """What a command of Slurm's prints."""
    told = {**os.environ, "SLURM_CONF": str(conf)}
    return subprocess.run(arguments, env=told, capture_output=True, text=True, check=True).stdout


@contextmanager
def slurm(folder: Path):
    """The path of slurm.conf, once the node is idle. Its one partition, `digits`, has two cores."""
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    conf, key = folder / "slurm.conf", folder / "munge.key"
    conf.write_text(_CONF.format(host=socket.gethostname(), folder=folder, controller=free_port(), daemon=free_port()))
    key.touch(0o600)
    key.write_bytes(secrets.token_bytes(128))
    own = {name: f"{folder}/munge.{name}" for name in ("socket", "pid", "seed", "log")}
    files = [f"--socket={own['socket']}", f"--pid-file={own['pid']}", f"--log-file={own['log']}"]
    # --force: as root and in a folder of root's own, munged would rather not.
    daemons = [
        ["munged", "--foreground", "--force", f"--key-file={key}", f"--seed-file={own['seed']}", *files],
        ["slurmctld", "-D", "-f", str(conf)],
        ["slurmd", "-D", "-f", str(conf)],
    ]
    with ExitStack() as stack:
        output = stack.enter_context((folder / "daemons.log").open("w"))
        for daemon in daemons:
            told = {"env": {**os.environ, "SLURM_CONF": str(conf)}, "stdout": output, "stderr": output}
            process = subprocess.Popen(daemon, start_new_session=True, **told)
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
            if daemon[0] == "munged":
                wait_until(Path(own["socket"]).exists, 30, "munged's socket")
        wait_until(lambda: _state(conf) == "idle", 60, f"an idle node (see {folder})")
        yield conf


def _state(conf: Path) -> str:
    try:
        return ask(conf, "sinfo", "--noheader", "--format=%T").strip()
    except subprocess.CalledProcessError:  # the controller is not up yet
        return ""
