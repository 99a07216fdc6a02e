"""A stage at a worker: what the engine remembers of it until it has ended."""

from dataclasses import dataclass
from typing import Any

from orchestrator.plan.stage import Stage


@dataclass
class Attempt:
    """One try at a stage."""

    stage: Stage
    worker: str
    """Its address."""
    attempt_id: str
    """What the messages about it carry."""
    future: Any
    """Kept because Dask forgets a task that nobody holds."""
    name: str = "?"
    """Of the worker, for people; known once the stage has started."""
