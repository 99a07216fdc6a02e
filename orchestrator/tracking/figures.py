"""Who makes what the runs of a sweep are given to see: figures and tables. Tracking makes none itself.

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

Texts = Callable[[Sequence[JobResult]], Mapping[str, str]]
"""Makes tables and the like of the results of all jobs: by file name, for the sweep's run. `results.md` is shown on the
run's page too. Asked for where the run does not have them yet."""


def no_texts(results: Sequence[JobResult]) -> dict[str, str]:
    """None."""
    return {}
