"""Who draws what the runs of a sweep are given to see. Tracking draws nothing itself: it is handed this, as tables are.

Drawing loads matplotlib and takes time: it is asked for in the tracker's thread, once, where a picture is sent.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.results.by_class import Confusion
from orchestrator.results.job_result import JobResult

Pictures = Mapping[str, bytes]
"""File name to the file's content."""


@dataclass(frozen=True)
class Figures:
    """The makers of pictures; each gives no picture where there is nothing to draw yet."""

    of_job: Callable[[JobResult, Confusion | None], Pictures] = lambda result, confusion: {}
    of_sweep: Callable[[Sequence[JobResult]], Pictures] = lambda results: {}
    """From the results of all jobs."""


NO_FIGURES = Figures()
