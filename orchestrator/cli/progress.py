"""What a launch shows: a live display in a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from orchestrator.engine import events
from orchestrator.plan.plan import Plan
from orchestrator.plan.stage import Stage
from orchestrator.results.job_result import JobResult
from orchestrator.text import counted

_PLAIN_EVERY = 15.0  # seconds between plain lines that only tell how far a launch is


class Progress:
    """A context manager; `on_event` and `result` are called with what happens, from one thread."""

    def __init__(self, plan: Plan, workers: int, console: Console | None = None) -> None:
        self.plan, self.workers = plan, workers
        self.console = console or Console(stderr=False, highlight=False)
        self.left = set(plan.stages)
        self.finals: dict[str, dict[str, float]] = {}
        self.jobs_done: set[str] = set()
        self.failed: set[str] = set()
        self.busy: dict[str, tuple[Stage, dict[str, Any]]] = {}
        self.durations: dict[str, list[float]] = {}
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
        self._count_jobs()
        self._say(
            f"{self.plan.spec.name}: {counted(len(self.plan.jobs), 'job')}, "
            f"{counted(len(self.plan.stages), 'stage')}, "
            f"{len(records)} in the store; {self.workers} at a time on {self.plan.device}"
        )

    def on_event(self, event: events.Event) -> None:
        """Show what the engine tells."""
        match event:
            case events.StageStarted(stage, worker):
                self.busy[worker] = (stage, {})
            case events.StageProgress(stage, worker, info):
                self.busy[worker] = (stage, info)
                self._say_now_and_then()
            case events.StageFinished(stage, record):
                self._finished(stage, record)
            case events.StageFailed(stage, error, _, log):
                self.failed.add(stage.key)
                self._forget(stage)
                self._say(f"failed   {stage}: {error} (log: {log})")
            case events.StageRetried(stage, worker, attempt):
                self.warn(f"worker {worker} died over {stage}; started again (attempt {attempt})")
            case events.StageOutOfMemory(stage, worker, most):
                self._forget(stage)
                self.warn(f"{stage} ran out of memory beside others; started again, {most} at a time where {worker} is")
            case events.StageMoved(stage, worker):
                self._forget(stage)
                self._say(f"moved    {stage}: worker {worker} ended; it goes on at another one, from its last save")
            case events.WorkersAwaited(seconds):
                self.warn(f"no worker has been there for {seconds:.0f} seconds; waiting for one")
            case events.StageDamaged(stage, reason, aside):
                self.left.add(stage.key)
                self.warn(f"{stage} is damaged ({reason}); put aside as {aside} and done again")

    def result(self, result: JobResult) -> None:
        """Show the accuracy of a job so far."""
        finals = self.finals.setdefault(result.job.entry.label, {})
        if result.finished and result.job.name not in finals and result.final is not None:
            finals[result.job.name] = result.final
            self._say(f"job done {result.job.name}: final accuracy {result.final:.1f}%")

    def warn(self, text: str) -> None:
        """A warning, above the display; may be called from any thread."""
        self.console.print(f"warning: {text}", soft_wrap=True, markup=False)

    def seconds_left(self) -> float | None:
        """An estimate: what is left, at the mean duration of the finished stages of its kind."""
        if not self.durations:
            return None
        means = {kind: sum(spent) / len(spent) for kind, spent in list(self.durations.items())}
        any_kind = sum(means.values()) / len(means)
        work = sum(means.get(self.plan.stages[key].recipe.kind, any_kind) for key in self.left - self.failed)
        return work / self.workers

    # ---- inside ------------------------------------------------------------------------------------------------------

    def _finished(self, stage: Stage, record: Mapping[str, Any]) -> None:
        self.left.discard(stage.key)
        self._forget(stage)
        self.durations.setdefault(stage.recipe.kind, []).append(record["seconds"])
        self._count_jobs(self.plan.users[stage.key])
        self._say(f"done     {stage} in {record['seconds']:.1f} s{_accuracy(record)}  [{self._stages_done()}]")

    def _forget(self, stage: Stage) -> None:
        self.busy = {worker: at for worker, at in self.busy.items() if at[0].key != stage.key}

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
            self.console.print(text, soft_wrap=True, markup=False)
            self.told = time.monotonic()

    def _say_now_and_then(self) -> None:
        if time.monotonic() - self.told < _PLAIN_EVERY:
            return
        where = "; ".join(f"{stage} {_place(info)}" for stage, info in self.busy.values())
        self._say(f"running  {where}  [{self._stages_done()}, {_time(self.seconds_left())}]")

    def _display(self) -> Group:
        self.bar.update(self.jobs_bar, completed=len(self.jobs_done))
        left = _time(self.seconds_left())
        self.bar.update(self.stages_bar, completed=len(self.plan.stages) - len(self.left), left=left)
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in ("worker", "stage", "at", "loss", "jobs"):
            table.add_column(heading)
        for worker, (stage, info) in sorted(self.busy.items()):
            loss = f"{info['loss']:.4f}" if "loss" in info else ""
            labels = sorted({self.plan.jobs[position].entry.label for position in self.plan.users[stage.key]})
            table.add_row(worker, str(stage), _place(info), loss, ", ".join(labels))
        return Group(self.bar, table, self._accuracies())

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


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 90:
        return f"about {seconds:.0f} s left"
    if seconds < 5400:
        return f"about {seconds / 60:.0f} min left"
    return f"about {seconds / 3600:.1f} h left"
