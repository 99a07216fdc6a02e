"""Tracking as `launch` and `sync` set it up: with the figures that reports draw."""

from functools import partial
from typing import Any

from orchestrator import tracking
from reports.artifacts import FIGURES


class Tracker(tracking.Tracker):
    """A tracker that is handed the figures."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{"figures": FIGURES, **options})


sync = partial(tracking.sync, figures=FIGURES)
