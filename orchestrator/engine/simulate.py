"""How long a plan would take so many workers, by the engine's own schedule. Pure: nothing is run, no clock is read."""

import heapq
from collections.abc import Callable, Mapping

from orchestrator.engine.schedule import Schedule
from orchestrator.plan.stage import Stage


def makespan(
    stages: Mapping[str, Stage],
    seconds: Mapping[str, float],
    workers: int,
    length: Callable[[Stage], float] | None = None,
) -> float:
    """Seconds from the first stage's start to the last one's end.

    `stages` parents before children, every parent among them; `seconds` by key, of one worker. No worker waits while a
    stage is ready, and a stage takes as long whatever runs beside it. `length`: what the schedule believes of it, by
    default the truth.
    """
    work = Schedule(stages, set(), length or (lambda stage: seconds[stage.key]))
    running: list[tuple[float, str]] = []
    now = 0.0
    while work.unfinished:
        while len(running) < workers and (stage := work.next()) is not None:
            heapq.heappush(running, (now + seconds[stage.key], stage.key))
        now, finished = heapq.heappop(running)
        work.done(finished)
    return now


def shortest(stages: Mapping[str, Stage], seconds: Mapping[str, float], workers: int) -> float:
    """What no schedule can stay below: all the work shared out evenly, or the longest chain where that is more."""
    ends: dict[str, float] = {}
    for key, stage in stages.items():
        ends[key] = seconds[key] + max((ends[parent] for parent in stage.parents), default=0.0)
    return max(sum(seconds[key] for key in stages) / workers, max(ends.values(), default=0.0))
