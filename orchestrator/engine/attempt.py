"""A stage at a worker: what the engine remembers of it until it has ended."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.plan.stage import Stage

if TYPE_CHECKING:
    from distributed import Future


@dataclass
class Attempt:
    """One try at a stage."""

    stage: Stage
    worker: str
    """Its address."""
    attempt_id: str
    """What the messages about it carry."""
    future: "Future[None]"
    """Kept because Dask forgets a task that nobody holds."""
    worker_name: str = "?"
    """For people; known from the worker's first message."""

    def release(self) -> None:
        """Let Dask forget the task."""
        self.future.release()  # type: ignore[no-untyped-call]  # not annotated by Dask
