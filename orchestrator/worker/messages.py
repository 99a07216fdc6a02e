"""What the launcher is told while stages run: by workers of their stages, and by Dask of the workers.

What a worker says travels over a topic of Dask, which takes plain data only: `to_wire` on the one side, `from_wire` on
the other.
"""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Started:
    """The worker has the lease and begins."""

    time: float
    """Unix seconds, of the worker's clock."""
    place: str
    """The memory that this worker shares with others: a GPU of a host, or a host."""


@dataclass(frozen=True)
class Progress:
    info: dict[str, Any]
    """What the stage reports of itself: phase, epoch, epochs, loss. Plain data."""


@dataclass(frozen=True)
class Done:
    """The stage is in the store."""

    reused: bool
    """Whether it is another's result: the stage was there before, or another launcher was quicker."""


@dataclass(frozen=True)
class Held:
    """Another launcher holds the lease on the stage, or has taken it over."""


@dataclass(frozen=True)
class Failed:
    error: str
    traceback: str
    memory: bool
    """Whether it ran out of memory."""


@dataclass(frozen=True)
class DamagedParent:
    """A parent is not what its record says."""

    parent: str
    """Its key."""
    reason: str


@dataclass(frozen=True)
class WrongRunsFolder:
    """The worker does not see the launcher's runs folder."""

    host: str


StageMessage = Started | Progress | Done | Held | Failed | DamagedParent | WrongRunsFolder
"""What a worker says of its stage."""


@dataclass(frozen=True)
class FromWorker:
    """A message of a worker, and of which attempt it is."""

    attempt_id: str
    worker_name: str
    """For people."""
    message: StageMessage


@dataclass(frozen=True)
class WorkerJoined:
    address: str


@dataclass(frozen=True)
class WorkerLost:
    address: str
    retired: bool
    """Whether it ended of itself, as its time was over."""


@dataclass(frozen=True)
class WorkersLeaving:
    """These are retired, though no other worker could take over the results that they have: they will be lost."""

    addresses: tuple[str, ...]


@dataclass(frozen=True)
class TaskBroken:
    """Dask could not run an attempt, or what its worker says is not understood: no matter of the stage."""

    attempt_id: str
    error: BaseException


Message = FromWorker | WorkerJoined | WorkerLost | WorkersLeaving | TaskBroken
"""What the launcher is told."""

_BY_NAME: dict[str, type[StageMessage]] = {
    kind.__name__: kind for kind in (Started, Progress, Done, Held, Failed, DamagedParent, WrongRunsFolder)
}


def to_wire(told: FromWorker) -> dict[str, Any]:
    """A worker's message as plain data: what Dask's topics carry."""
    # Dask puts the worker's address under the key `worker`, in the place of whatever is there.
    head = {"attempt_id": told.attempt_id, "worker_name": told.worker_name}
    return {**head, "message": type(told.message).__name__, "fields": asdict(told.message)}


def from_wire(wire: dict[str, Any]) -> FromWorker | TaskBroken:
    """The message that `to_wire` made this of; TaskBroken where it was that of another version."""
    try:
        message = _BY_NAME[wire["message"]](**wire["fields"])
        return FromWorker(wire["attempt_id"], wire["worker_name"], message)
    except (KeyError, TypeError):
        return TaskBroken(wire.get("attempt_id", ""), ValueError(f"it says what nobody here understands: {wire}"))


def from_scheduler(event: dict[str, Any]) -> Message | None:
    """What an event of Dask's scheduler, under its topic `all`, says of the workers; None: nothing of that."""
    match event:
        case {"action": "add-worker", "worker": address}:
            return WorkerJoined(address)
        case {"action": "remove-worker", "worker": address}:
            return WorkerLost(address, retired=event.get("expected", False))
        case {"action": "retire-workers", "could-not-retire": addresses}:
            return WorkersLeaving(tuple(addresses))
    return None
