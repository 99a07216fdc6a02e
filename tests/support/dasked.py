"""A Dask scheduler and workers as a person starts them, each a process of its own."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.paths import ROOT

PATHS = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))


def environment(**more: str) -> dict[str, str]:
    """Of a scheduler or a worker; `fake_runner` can be imported there."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": PATHS, **more}


def scheduler_command(*arguments: object) -> list[str]:
    common = ["--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
    return [sys.executable, "-m", "distributed.cli.dask_scheduler", *common, *map(str, arguments)]


def worker_command(*arguments: object) -> list[str]:
    common = ["--nthreads", "1", "--memory-limit", "0", "--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
    return [sys.executable, "-m", "distributed.cli.dask_worker", *map(str, arguments), *common]


@contextmanager
def running(command: list[str], log: Path, **more: str):
    """A process with a session of its own, all of which is killed at the end."""
    with log.open("w") as output:
        told = {"stdout": output, "stderr": output, "start_new_session": True, "env": environment(**more)}
        process = subprocess.Popen(command, cwd=log.parent, **told)
        try:
            yield process
        finally:
            # One that has ended may have left processes of its session behind.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)
