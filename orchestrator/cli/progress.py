"""What a launch shows: a live display in a terminal with the lines that stay above it, plain lines elsewhere."""

import threading
import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console, RenderableType
from rich.live import Live

from dfcil_core.metrics import mean_accuracy
from orchestrator.cli.live import display, times
from orchestrator.cli.standing import Standing
from orchestrator.engine import events
from orchestrator.engine.event_text import failure_text, warning_text
from orchestrator.launch import JobAdvanced, LaunchBegan, LaunchEvent
from orchestrator.plan.plan import Plan
from orchestrator.plan.stage import Stage
from orchestrator.results.job_result import JobResult
from orchestrator.text import counted, duration, printable

_PLAIN_EVERY = 15.0  # seconds between plain lines that only tell how far a launch is


class Progress:
    """A context manager; `on_event` is called with what happens, from one thread."""

    def __init__(self, plan: Plan, workers: int, console: Console | None = None) -> None:
        self.plan = plan
        self.console = console or Console(stderr=False, highlight=False)
        self.standing = Standing(plan, workers)
        self._told = time.monotonic()
        self._changing = threading.Lock()  # the display is drawn by a thread of its own
        self._live: Live | None = None

    def __enter__(self) -> "Progress":
        if self.console.is_terminal:  # elsewhere not even made: it would look at every job at once
            self._live = Live(get_renderable=self._display, console=self.console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def on_event(self, event: LaunchEvent) -> None:
        """Show what happens."""
        if isinstance(event, LaunchBegan):
            self._begin(event)
            return
        with self._changing:
            self.standing.note(event)
        match event:
            case JobAdvanced():
                return
            case events.StageProgress():
                self._say_now_and_then()
            case events.StageFinished(stage, record):
                self._finished(stage, record)
            case events.StageFailed():
                self._print(f"failed   {failure_text(event)}")
            case events.StageMoved(stage, worker):
                self._say(f"moved    {stage}: worker {worker} ended; it goes on at another one, from its last save")
            case events.StageRecomputed(stage, aside=None):
                self._say(f"same     {stage}: computed again, as before to the last bit")
        if warning := warning_text(event):
            self.warn(warning)

    def warn(self, text: str) -> None:
        """A warning, above the display; may be called from any thread."""
        self._print(f"warning: {text}")

    # ---- inside ------------------------------------------------------------------------------------------------------

    def _begin(self, event: LaunchBegan) -> None:
        if event.changes:
            added, removed = counted(len(event.changes.added), "job"), counted(len(event.changes.removed), "job")
            self._print(
                f"sweep '{self.plan.spec.name}' changes: {added} new or other than before, "
                f"{removed} dropped or replaced (their stages stay in the store)"
            )
        with self._changing:
            self.standing.reuse(event.records)
        self._print(
            f"{self.plan.spec.name}: {counted(len(self.plan.jobs), 'job')}, "
            f"{counted(len(self.plan.stages), 'stage')}, "
            f"{len(event.records)} in the store; {self.standing.workers} at a time on {self.plan.device}"
        )

    def _finished(self, stage: Stage, record: Mapping[str, Any]) -> None:
        done = f"done     {stage} in {duration(record['seconds'])}{self._not_captured(record)}"
        if stage.recipe.kind != "learn":
            self._say(f"{done}  [{self._counted()}]")
            return
        results = self.standing.results_of(stage)
        told = f"{done}{_accuracy(stage, results)}"
        # In a terminal the display counts, and the line is to fit.
        self._print(told if self.console.is_terminal else f"{told}  [{self._tasks(stage)}{self._counted()}]")
        for result in results:
            if result.finished and result.final is not None and result.job.learn[-1] == stage.key:
                self._print(f"job done {result.job.name}: final accuracy {result.final:.1f}%")

    def _not_captured(self, record: Mapping[str, Any]) -> str:
        """Why not, of a stage whose steps were to be captured; on a CPU that was said of all at the beginning."""
        reasons = {how: None for how in record.get("capture", {}).values() if how.startswith("eager: ")}
        return f" ({'; '.join(reasons)})" if reasons and self.plan.device != "cpu" else ""

    def _tasks(self, stage: Stage) -> str:
        groups = self.standing.of_stage(stage)
        if len(groups) > 1:
            return f"for {len(groups)} methods and splits, "
        return f"{groups[0].label} {groups[0].tasks[0]}/{groups[0].tasks[1]} tasks, "

    def _counted(self) -> str:
        done, of = self.standing.stages
        return f"{done}/{of} stages"

    def _say(self, text: str) -> None:
        """A line that is of no interest when it is over: none in a terminal, where the display says as much."""
        if not self.console.is_terminal:
            self._print(text)

    def _print(self, text: str) -> None:
        self._told = time.monotonic()
        self.console.print(printable(text), soft_wrap=True, markup=False)

    def _say_now_and_then(self) -> None:
        if time.monotonic() - self._told < _PLAIN_EVERY:
            return
        now = time.time()
        where = "; ".join(
            f"{work.stage} {work.place} for {duration(max(0.0, now - work.began))}"
            for work in self.standing.busy.values()
        )
        self._say(f"running  {where}  [{self._counted()}, {times(self.standing)}]")

    def _display(self) -> RenderableType:
        with self._changing:
            return display(self.standing, self.console)


def _accuracy(stage: Stage, results: list[JobResult]) -> str:
    """The average accuracy after the task; the jobs that share the stage have the same of it, if their splits do."""
    found: dict[str, None] = {}
    for result in results:
        task = result.job.learn.index(stage.key)
        row = result.matrix[task]
        if row is not None:
            found[f"{mean_accuracy(row):.1f}% after task {task + 1} of {len(result.matrix)}"] = None
    return ": " + ", ".join(found) if found else ""
