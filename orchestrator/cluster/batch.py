"""A Dask cluster whose workers are jobs of a batch system, by way of dask-jobqueue.

The scheduler runs in the launcher. All that goes over the network is encrypted, with certificates made for this launch
alone; their files lie in a folder of the runs folder that only its owner can read, and go with the launch.
"""

import importlib
import logging
import math
import shlex
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dask_jobqueue.core import Job, JobQueueCluster
from distributed import Status
from ruamel.yaml import YAML

from orchestrator.cluster.base import (
    CLOSE_SECONDS,
    SETTINGS,
    Workers,
    closing_last_first,
    connect,
    shared_folder_probe,
)
from orchestrator.cluster.certificate import certified
from orchestrator.cluster.environment import ONE_THREAD
from orchestrator.cluster.profile import Profile
from orchestrator.cluster.scratch import leave_import_path, scratch
from orchestrator.cluster.systems import BatchSystem
from orchestrator.errors import UserError
from orchestrator.signals import interrupts_deferred

_LOST_SECONDS = 60.0  # without any of a job's workers that had been there, after which the job is replaced
_MOST_FAILURES = 3  # jobs in turn that end before a worker comes up, after which it is no accident
_LOG_LINES = 15
_SCRATCH = "DFCIL_SCRATCH"  # the shell's name in a job for its scratch folder
_DEATH_SECONDS = 60  # that workers look for a launcher that does not answer


@contextmanager
def batch_workers(profile: Profile, runs: Path, workers: int, per_job: int) -> Iterator[Workers]:
    """Jobs for so many workers, `per_job` in each. They are cancelled at the end, however it comes.

    Raises UserError where the batch system's commands are missing here, and later, when looked after, where it refuses
    a job, or jobs end before their workers come up.
    """
    _require_commands(profile)
    logs = runs / "logs" / "jobs"
    with shared_folder_probe(runs) as probe, closing_last_first() as closing:
        with interrupts_deferred():
            folder = closing.enter_context(scratch())
            cluster = open_cluster(profile, probe, logs, per_job, folder)
            closing.callback(cluster.close, timeout=CLOSE_SECONDS)
            client = connect(cluster, closing)
            closing.callback(leave_import_path, folder)
            keeper = _Keeper(cluster, math.ceil(workers / per_job), logs)
            keeper.scale()
        yield Workers(client, probe, keeper.look_after, queued=True)


def open_cluster(profile: Profile, probe: Path, logs: Path, per_job: int, folder: Path) -> JobQueueCluster:
    """The cluster, its scheduler listening, without a job yet. What the scheduler writes goes into `folder`."""
    job: Any = _observed(job_class(profile.system), probe)  # annotated as a job, where its class is meant
    return cluster_class(profile.system)(
        job_cls=job,
        security=certified(probe),
        scheduler_options={
            "dashboard": False,
            "dashboard_address": "127.0.0.1:0",
            "port": 0,
            "local_directory": str(folder),
        },
        silence_logs=logging.CRITICAL,
        **job_options(profile, probe, logs, per_job),
    )


def cluster_class(system: BatchSystem) -> type[JobQueueCluster]:
    """dask-jobqueue's cluster for a batch system."""
    module, _, name = system.cluster.partition(":")
    found: type[JobQueueCluster] = getattr(importlib.import_module(module), name)
    return found


def job_class(system: BatchSystem) -> type[Job]:
    """dask-jobqueue's job for a batch system."""
    cluster: Any = cluster_class(system)
    found: type[Job] = cluster.job_cls
    return found


def job_options(profile: Profile, probe: Path, logs: Path, per_job: int) -> dict[str, Any]:
    """What dask-jobqueue is told of a job."""
    _write_settings(probe)
    stagger = min(profile.margin / 2, profile.lifetime / 10)
    # The workers serve their health over HTTP, which nobody needs to see from outside. Of an option given twice the
    # last counts: a stage computes with one thread, however many cores a worker has to itself.
    arguments = ["--nthreads", 1, "--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
    arguments += ["--lifetime", f"{profile.lifetime - stagger:.0f}s", "--lifetime-stagger", f"{stagger:.0f}s"]
    exports = [f"export {name}={value}" for name, value in ONE_THREAD.items()]
    exports.append(f"export DASK_CONFIG={shlex.quote(str(probe))}")
    extra = profile.job_extra
    options: dict[str, Any] = {
        **profile.options,
        "cores": profile.cores,
        "memory": profile.memory,
        "processes": per_job,
        "interface": profile.interface,
        "python": shlex.quote(profile.python) if profile.python else None,
        "local_directory": f'"${_SCRATCH}"',
        "death_timeout": _DEATH_SECONDS,
        "worker_extra_args": arguments,
        "job_name": "dfcil-sweep",
        "job_script_prologue": [*exports, *profile.prologue, *_scratch_made(profile)],
        "log_directory": str(logs),
        "job_extra_directives": extra if isinstance(extra, dict) else list(extra),
    }
    if profile.system.walltime is not None:
        options["walltime"] = profile.system.walltime(profile.walltime)
    return options


def _scratch_made(profile: Profile) -> list[str]:
    """Shell commands that make the job's scratch folder: its own, as in `scratch`, below the profile's or TMPDIR.

    In backquotes, as HTCondor takes the other brackets for a macro of its own.
    """
    below = shlex.quote(profile.scratch) if profile.scratch else '"${TMPDIR:-/tmp}"'
    return [f"{_SCRATCH}=`mktemp -d {below}/dfcil-sweep-XXXXXXXXXX` || exit 1"]


def _write_settings(probe: Path) -> None:
    """The settings of Dask that the workers need as well, where DASK_CONFIG has them look."""
    nested: dict[str, Any] = {}
    for name, value in SETTINGS.items():
        *path, last = name.split(".")
        place = nested
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    with (probe / "dask.yaml").open("w") as file:
        YAML(typ="safe").dump(nested, file)


def _require_commands(profile: Profile) -> None:
    job, name = job_class(profile.system), profile.system.name
    for command in (job.submit_command, job.cancel_command):
        if command is None or shutil.which(command) is None:
            raise UserError(
                f"--cluster: '{command}' is not installed here. Launch on a machine that submits jobs to {name}"
            )


def _observed(job: type[Job], probe: Path) -> type[Job]:
    """The batch system's kind of job, which lets us know when it ends and when it is refused."""

    class Observed(job):  # type: ignore[misc, valid-type]  # a base class known at run time only
        def __init__(self, *arguments: Any, **options: Any) -> None:
            # A job that takes another's place has its name: it is told from it by a token.
            self.ended = probe / f"ended-{uuid.uuid4().hex[:12]}"
            self.refused: str | None = None
            # Empty at first: the batch system may hand on the submitter's environment, and nothing of that may go.
            # Of a launch that is over the folder is gone: nobody asks then.
            mark = f"[ ! -d {shlex.quote(str(probe))} ] || touch {shlex.quote(str(self.ended))}"
            over = f'rm -rf "${_SCRATCH}"; {mark}'
            first = [f"{_SCRATCH}=", f"trap {shlex.quote(over)} EXIT"]
            options["job_script_prologue"] = [*first, *options["job_script_prologue"]]
            super().__init__(*arguments, **options)

        async def start(self) -> None:
            try:
                await super().start()
            except (RuntimeError, ValueError, OSError) as error:
                # Raised here, it would end up in Dask's log; the keeper raises it where it is seen.
                self.refused = str(error)
                self.status = Status.running  # what Dask takes for a start that went well

        async def close(self) -> None:
            await super().close()
            self.status = Status.closed  # dask-jobqueue leaves it as it was, and Dask minds

    return Observed


class _Keeper:
    """Keeps as many jobs queued or running as were asked for."""

    def __init__(self, cluster: JobQueueCluster, jobs: int, logs: Path) -> None:
        self._cluster, self._jobs, self._logs = cluster, jobs, logs
        self._seen: dict[Path, float] = {}
        self._failures = 0

    def scale(self) -> None:
        """Submit what is missing of the jobs."""
        self._cluster.scale(jobs=self._jobs)  # type: ignore[no-untyped-call]  # not annotated by Dask

    def look_after(self) -> None:
        """Replace jobs that have ended. Raises UserError where that would be in vain."""
        gone = self._cluster.sync(self._remove_ended)  # type: ignore[no-untyped-call]  # not annotated by Dask
        if gone:
            self.scale()

    async def _remove_ended(self) -> int:
        cluster, now = self._cluster, time.monotonic()
        names = {str(worker["name"]) for worker in cluster.scheduler_info["workers"].values()}
        gone = 0
        for name, job in list(cluster.workers.items()):
            if job.refused is not None:
                raise UserError(f"--cluster: the batch system refuses a job: {_brief(job.refused)}")
            # Of several workers in a job each has a number after the job's name.
            if str(name) in names or any(worker.startswith(f"{name}-") for worker in names):
                self._seen[job.ended] = now
                self._failures = 0
            ended, seen = job.ended.exists(), self._seen.get(job.ended)
            if ended and seen is None:
                self._failures += 1
            if ended or (seen is not None and now - seen > _LOST_SECONDS):
                gone += 1
                self._seen.pop(job.ended, None)
                job.ended.unlink(missing_ok=True)
                del cluster.workers[name]
                await job.close()
        if self._failures >= _MOST_FAILURES:
            raise UserError(
                f"--cluster: {self._failures} jobs in turn ended before a worker came up. See the logs in "
                f"{self._logs}; the last lines of the newest:\n{_newest_log(self._logs)}"
            )
        return gone


def _brief(text: str) -> str:
    """What the command printed, of dask-jobqueue's long message."""
    said = text.partition("stderr:")[2].strip() or text.strip()
    return said.splitlines()[-1] if said else text


def _newest_log(logs: Path) -> str:
    files = sorted((path for path in logs.iterdir() if path.stat().st_size), key=lambda path: path.stat().st_mtime)
    if not files:
        return "  (none has anything in it)"
    lines = files[-1].read_text(errors="replace").splitlines()[-_LOG_LINES:]
    return "\n".join(f"  {line}" for line in lines)
