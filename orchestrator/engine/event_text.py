"""What happens in a launch, in words: said alike by `launch` and by `tune`."""

from orchestrator.engine.events import (
    Event,
    StageDamaged,
    StageFailed,
    StageOutOfMemory,
    StageRecomputed,
    StageRetried,
    WorkersAwaited,
)
from orchestrator.results.difference import differences


def failure_text(failure: StageFailed) -> str:
    """What failed, why, and where to read more."""
    return f"{failure.stage}: {failure.error} (log: {failure.log})"


def warning_text(event: Event) -> str | None:
    """The warning that an event is; None where it is none."""
    match event:
        case StageRetried(stage, worker, attempt):
            return f"worker {worker} died over {stage}; started again (attempt {attempt})"
        case StageOutOfMemory(stage, worker, most):
            return f"{stage} ran out of memory beside others; started again, {most} at a time where {worker} is"
        case StageDamaged(stage, reason, aside):
            return f"{stage} is damaged ({reason}); put aside as {aside} and done again"
        case StageRecomputed(stage, before, record, aside) if aside is not None:
            told = "; ".join(differences(before, record))
            return f"{stage} computed again is not what it was: {told}. The old result is in {aside}"
        case WorkersAwaited(seconds):
            return f"no worker has been there for {seconds:.0f} seconds; waiting for one"
    return None
