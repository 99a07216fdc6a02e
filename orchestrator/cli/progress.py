"""What a launch shows: a live display in a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from orchestrator.engine import events
from orchestrator.engine.event_text import failure_text, warning_text
from orchestrator.launch import JobAdvanced, LaunchBegan, LaunchEvent
from orchestrator.plan.plan import Plan
from orchestrator.plan.stage import Stage
from orchestrator.results.estimate import Rates
from orchestrator.results.job_result import JobResult
from orchestrator.status import seconds_until_done
from orchestrator.text import counted, duration, printable

_PLAIN_EVERY = 15.0  # seconds between plain lines that only tell how far a launch is
_ESTIMATE_EVERY = 2.0  # seconds between looks at the time left: of a large plan it takes longer than a redrawing


class Progress:
    """A context manager; `on_event` is called with what happens, from one thread."""

    def __init__(self, plan: Plan, workers: int, console: Console | None = None) -> None:
        self.plan, self.workers = plan, workers
        self.console = console or Console(stderr=False, highlight=False)
        self.left = set(plan.stages)
        self.finals: dict[str, dict[str, float]] = {}
        self.jobs_done: set[str] = set()
        self.failed: set[str] = set()
        self.busy: dict[str, tuple[Stage, dict[str, Any]]] = {}
        self.since: dict[str, float] = {}
        """Key of each stage at work to when it began, in unix seconds."""
        self.rates = Rates()
        self.estimated: tuple[float, float | None] | None = None
        """When the time left was last reckoned, by the monotonic clock, and what it was."""
        self.began = self.told = time.monotonic()
        self.reused = 0
        columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
        self.bar = Bar(*columns, TextColumn("{task.fields[left]}"), console=self.console)
        self.jobs_bar = self.bar.add_task("jobs", total=len(plan.jobs), left="")
        self.stages_bar = self.bar.add_task("stages", total=len(plan.stages), left="")
        self.live = Live(get_renderable=self._display, console=self.console, refresh_per_second=4, transient=True)

    def __enter__(self) -> "Progress":
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.console.is_terminal:
            self.live.stop()

    def reuse(self, records: Mapping[str, Any]) -> None:
        """Note the stages that are in the store before anything runs."""
        self.left -= set(records)
        self.reused = len(records)
        self.rates = Rates.of(self.plan, records)
        self._count_jobs()
        self._say(
            f"{self.plan.spec.name}: {counted(len(self.plan.jobs), 'job')}, "
            f"{counted(len(self.plan.stages), 'stage')}, "
            f"{len(records)} in the store; {self.workers} at a time on {self.plan.device}"
        )

    def on_event(self, event: LaunchEvent) -> None:
        """Show what happens."""
        match event:
            case LaunchBegan():
                self._begin(event)
            case JobAdvanced(result):
                self.result(result)
            case events.StageStarted(stage, worker, began):
                self.busy[worker] = (stage, {})
                self.since[stage.key] = began
            case events.StageProgress(stage, worker, info):
                self.busy[worker] = (stage, info)
                self._say_now_and_then()
            case events.StageFinished(stage, record):
                self._finished(stage, record)
            case events.StageFailed(stage):
                self.failed.add(stage.key)
                self._forget(stage)
                self._say(f"failed   {failure_text(event)}")
            case events.StageOutOfMemory(stage):
                self._forget(stage)
            case events.StageMoved(stage, worker):
                self._forget(stage)
                self._say(f"moved    {stage}: worker {worker} ended; it goes on at another one, from its last save")
            case events.StageRecomputed(stage, aside=None):
                self._say(f"same     {stage}: computed again, as before to the last bit")
            case events.StageDamaged(stage):
                self.left.add(stage.key)
        if not isinstance(event, LaunchBegan | JobAdvanced) and (warning := warning_text(event)):
            self.warn(warning)

    def result(self, result: JobResult) -> None:
        """Show the accuracy of a job so far."""
        finals = self.finals.setdefault(result.job.entry.label, {})
        if result.finished and result.job.name not in finals and result.final is not None:
            finals[result.job.name] = result.final
            self._say(f"job done {result.job.name}: final accuracy {result.final:.1f}%")

    def warn(self, text: str) -> None:
        """A warning, above the display; may be called from any thread."""
        self._print(f"warning: {text}")

    def seconds_left(self) -> float | None:
        """The time left as `status` reckons it; None while no stage of some kind has finished."""
        return seconds_until_done(self.plan, self.left, self.failed, self.rates, self.workers, dict(self.since))

    # ---- inside ------------------------------------------------------------------------------------------------------

    def _begin(self, event: LaunchBegan) -> None:
        if event.changes:
            added, removed = counted(len(event.changes.added), "job"), counted(len(event.changes.removed), "job")
            self._print(
                f"sweep '{self.plan.spec.name}' changes: {added} new or other than before, "
                f"{removed} dropped or replaced (their stages stay in the store)"
            )
        self.reuse(event.records)

    def _finished(self, stage: Stage, record: Mapping[str, Any]) -> None:
        self.left.discard(stage.key)
        self._forget(stage)
        self.rates.add(stage.recipe, record["seconds"])
        self._count_jobs(self.plan.users[stage.key])
        self._say(f"done     {stage} in {record['seconds']:.1f} s{_accuracy(record)}  [{self._stages_done()}]")

    def _forget(self, stage: Stage) -> None:
        self.busy = {worker: at for worker, at in self.busy.items() if at[0].key != stage.key}
        self.since.pop(stage.key, None)

    def _count_jobs(self, positions: Iterable[int] | None = None) -> None:
        for position in range(len(self.plan.jobs)) if positions is None else positions:
            job = self.plan.jobs[position]
            if self.left.isdisjoint(job.stages):
                self.jobs_done.add(job.name)

    def _stages_done(self) -> str:
        return f"{len(self.plan.stages) - len(self.left)}/{len(self.plan.stages)}"

    def _say(self, text: str) -> None:
        """A line: in a terminal only what stays of interest when the display is gone."""
        if not self.console.is_terminal or text.startswith(("failed", "job done")):
            self._print(text)
            self.told = time.monotonic()

    def _print(self, text: str) -> None:
        self.console.print(printable(text), soft_wrap=True, markup=False)

    def _say_now_and_then(self) -> None:
        if time.monotonic() - self.told < _PLAIN_EVERY:
            return
        where = "; ".join(f"{stage} {_place(info)}" for stage, info in self.busy.values())
        self._say(f"running  {where}  [{self._stages_done()}, {self._time_left()}]")

    def _display(self) -> Group:
        self.bar.update(self.jobs_bar, completed=len(self.jobs_done))
        left = self._time_left()
        self.bar.update(self.stages_bar, completed=len(self.plan.stages) - len(self.left), left=left)
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in ("worker", "stage", "at", "loss", "jobs"):
            table.add_column(heading)
        for worker, (stage, info) in sorted(self.busy.items()):
            loss = f"{info['loss']:.4f}" if "loss" in info else ""
            labels = sorted({self.plan.jobs[position].entry.label for position in self.plan.users[stage.key]})
            cells = (worker, str(stage), _place(info), loss, ", ".join(labels))
            table.add_row(*(escape(printable(cell)) for cell in cells))
        return Group(self.bar, table, self._accuracies())

    def _time_left(self) -> str:
        now = time.monotonic()
        if self.estimated is None or now - self.estimated[0] >= _ESTIMATE_EVERY:
            self.estimated = now, self.seconds_left()
        seconds = self.estimated[1]
        return "" if seconds is None else f"about {duration(seconds)} left"

    def _accuracies(self) -> str:
        """The mean final accuracy of each method's finished jobs."""
        means = [
            f"{label} {sum(done.values()) / len(done):.1f}% ({len(done)})"
            for label, done in list(self.finals.items())
            if done
        ]
        return "accuracy so far: " + ", ".join(means) if means else ""


def _place(info: Mapping[str, Any]) -> str:
    for unit in ("epoch", "step"):
        if unit in info:
            return f"{unit} {info[unit]}/{info[unit + 's']}"
    return "starting"


def _accuracy(record: Mapping[str, Any]) -> str:
    evaluation = record.get("evaluation")
    if not evaluation:
        return ""
    return (
        f", {100 * sum(evaluation['correct'].values()) / sum(evaluation['images'].values()):.1f}% of all seen classes"
    )
