"""Where the stages of a launch run: on this machine, in jobs of a batch system, or on a Dask cluster that is up.

Importing this module loads Dask; only the engine does, and only when there is work.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.batch_profile import Profile
from orchestrator.cluster import Crew, environments, local_client
from orchestrator.elsewhere import Scheduler


@contextmanager
def assembled(
    elsewhere: Profile | Scheduler | None, runs: Path, device: str, workers: int, per_gpu: int
) -> Iterator[Crew]:
    """Workers for so many stages at a time, coming up or soon to come. Raises Mistake as the modules for each say."""
    if elsewhere is None:
        with local_client(environments(device, workers, per_gpu)) as client:
            yield Crew(client)
    elif isinstance(elsewhere, Scheduler):
        from orchestrator.cluster_remote import remote_crew

        with remote_crew(elsewhere, runs) as crew:
            yield crew
    else:
        from orchestrator.cluster_batch import batch_crew

        # A job has one GPU, which its workers share; without one, each of its cores has a worker.
        per_job = min(workers, elsewhere.cores if device == "cpu" else per_gpu)
        with batch_crew(elsewhere, runs, workers, per_job) as crew:
            yield crew
