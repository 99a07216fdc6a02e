"""What the engine tells of a launch: an event for each thing that happens, and the outcome."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.plan.stage import Stage


@dataclass(frozen=True)
class StageStarted:
    stage: Stage
    worker: str
    time: float
    """Unix seconds, of the worker's clock."""


@dataclass(frozen=True)
class StageProgress:
    stage: Stage
    worker: str
    info: dict[str, Any]
    """What the stage reports of itself: phase, epoch, epochs, loss."""


@dataclass(frozen=True)
class StageFinished:
    """The stage is in the store, done here or by another launcher."""

    stage: Stage
    record: dict[str, Any]


@dataclass(frozen=True)
class StageFailed:
    """The stage is given up; what needs it is blocked."""

    stage: Stage
    error: str
    traceback: str
    """Empty where the worker process died."""
    log: Path


@dataclass(frozen=True)
class StageRetried:
    """A warning: the worker process died over the stage, which is started again."""

    stage: Stage
    worker: str
    attempt: int
    """Of the start to come: 2 after the first death."""


@dataclass(frozen=True)
class StageOutOfMemory:
    """A warning: the stage ran out of memory beside others, and is started again where there are fewer."""

    stage: Stage
    worker: str
    most: int
    """Stages at a time that this worker's device, or machine, is given from now on."""


@dataclass(frozen=True)
class StageMoved:
    """The worker ended because its time was over; the stage goes on from its last save, at another one."""

    stage: Stage
    worker: str


@dataclass(frozen=True)
class WorkersAwaited:
    """A warning: a batch system, or a cluster of somebody else's, has no worker for us. We wait."""

    seconds: float


@dataclass(frozen=True)
class StageDamaged:
    """A warning: a finished stage was not what its record says, and is done again."""

    stage: Stage
    reason: str
    aside: Path
    """Where the damaged folder was put."""


@dataclass(frozen=True)
class StageRecomputed:
    """A finished stage was computed again on purpose."""

    stage: Stage
    before: dict[str, Any]
    """Its record until then."""
    record: dict[str, Any]
    aside: Path | None
    """Where the old result was put; None: the new one is the same to the last bit, and the old one has stayed."""


Event = (
    StageStarted
    | StageProgress
    | StageFinished
    | StageFailed
    | StageRetried
    | StageOutOfMemory
    | StageMoved
    | StageDamaged
    | StageRecomputed
    | WorkersAwaited
)


@dataclass
class Outcome:
    """How a launch ended."""

    done: int = 0
    """Stages computed by this launch."""
    reused: int = 0
    """Stages that were in the store, or came there from another launcher."""
    failed: dict[str, StageFailed] = field(default_factory=dict)
    blocked: set[str] = field(default_factory=set)
    """Stages not started, because one that they need has failed."""
    freed: int = 0
    """Stages whose checkpoints were removed, because nothing needs them any more."""
    freed_bytes: int = 0
