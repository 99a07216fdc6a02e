"""Where the stages of a launch run: on this machine, in jobs of a batch system, or on a Dask cluster that is up.

Importing this module loads Dask; only the engine does, and only when there is work.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from orchestrator.cluster.base import Workers
from orchestrator.cluster.profile import Profile
from orchestrator.cluster.select import Scheduler


@contextmanager
def open_workers(
    elsewhere: Profile | Scheduler | None,
    runs: Path,
    device: str,
    workers: int,
    per_gpu: int,
    gpus: Sequence[str] | None = None,
) -> Iterator[Workers]:
    """Workers for so many stages at a time, coming up or soon to come. Raises UserError as the modules for each say."""
    if elsewhere is None:
        from orchestrator.cluster.local import environments, local_client

        with local_client(environments(device, workers, per_gpu, gpus)) as client:
            yield Workers(client)
    elif isinstance(elsewhere, Scheduler):
        from orchestrator.cluster.remote import remote_workers

        with remote_workers(elsewhere, runs) as pool:
            yield pool
    else:
        from orchestrator.cluster.batch import batch_workers

        # A job has one GPU, which its workers share; without one, each of its cores has a worker.
        per_job = min(workers, elsewhere.cores if device == "cpu" else per_gpu)
        with batch_workers(elsewhere, runs, workers, per_job) as pool:
            yield pool
