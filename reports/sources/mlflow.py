"""A sweep's report from a tracking store, this machine's or somebody else's: the same numbers as from the store.

A run that has ended holds its accuracies in one artifact, to the last digit. Those of one that has not, or whose
artifacts are out of reach, are put together from its metrics, which are as exact.
"""

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

from dfcil_core.methods import METHODS
from orchestrator.results.by_class import ClassCounts, Confusion, Counted
from orchestrator.tracking import describe
from orchestrator.tracking.links import run_address
from orchestrator.tracking.pictures import CLASSES, CONFUSION, DREAMS, MATRIX
from orchestrator.tracking.reading import Run, TrackingStore
from reports.jobs import FAILED, FINISHED, HALF, MISSING, PROVENANCE, JobReport, SweepReport

_AT_ONCE = 8  # artifacts that are fetched at the same time


def read_sweep(uri: str, name: str, commit: str | None = None, experiment: str | None = None) -> SweepReport:
    """The sweep of that name in the tracking store at `uri`; of the runs made at a commit alone, where one is given.

    `commit` is the beginning of its name; `experiment` is by default the sweep's name.
    Raises UserError where there is no such sweep, or the store is out of reach.
    """
    store = TrackingStore(uri)
    with store.reached():
        jobs, parents = _sorted_out(store.runs(name, experiment or name), commit)
        source = _Source(store, name, len({run.data.tags.get(describe.RUNS) for run in jobs}) > 1)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            reports = list(pool.map(source.job, jobs))
            missing = [] if commit else source.missing(parents, reports)
    spec = source.text(parents[-1], "spec.yaml") if parents else None
    shown = name if commit is None else f"{name}@{commit}"
    return SweepReport(shown, shown, spec or "", (), tuple(_in_order(reports + missing)), tuple(source.notes))


def _sorted_out(runs: Iterable[Run], commit: str | None) -> tuple[list[Run], list[Run]]:
    """The runs of jobs and those of sweeps. Of two runs of one job, the one with more in it."""
    jobs: dict[tuple[str | None, str], Run] = {}
    parents: list[Run] = []
    for run in runs:
        tags = run.data.tags
        if tags.get(describe.KIND) == "sweep":
            parents.append(run)
        elif describe.JOB not in tags or not tags.get("commit", "").startswith(commit or ""):
            continue
        elif commit or tags.get(describe.IN_SPEC) != "no":
            key = (tags.get(describe.RUNS), tags[describe.JOB])
            if key not in jobs or _progress(run)[0] > _progress(jobs[key])[0]:
                jobs[key] = run
    return list(jobs.values()), parents


def _progress(run: Run) -> tuple[int, int]:
    """Stages delivered, and stages in all."""
    numbers = re.findall(r"\d+", run.data.tags.get(describe.DELIVERED, ""))
    return (int(numbers[0]), int(numbers[1])) if len(numbers) == 2 else (0, len(_stages(run)))


def _stages(run: Run) -> tuple[str, ...]:
    parts = sorted(name for name in run.data.tags if name.startswith("dfcil.stages."))
    return tuple(stage for name in parts for stage in run.data.tags[name].split())


class _Source:
    """Reads the runs of one sweep. Called from several threads: it changes nothing but its notes."""

    def __init__(self, store: TrackingStore, sweep: str, shared: bool) -> None:
        self.store, self.sweep, self.shared = store, sweep, shared
        self.notes: list[str] = []

    def job(self, run: Run) -> JobReport:
        """What a report sees of a job's run."""
        tags, params = run.data.tags, run.data.params
        done, asked = _progress(run)
        ended = run.info.status == "FINISHED" and done == asked
        state = FINISHED if ended else FAILED if run.info.status == "FAILED" else HALF if done else MISSING
        told = self._matrix(run, len(_learnt(run))) if done else _nothing(len(_learnt(run)))
        method = tags["method"]
        return JobReport(
            sweep=self.sweep,
            source=f"{self.sweep} of {tags.get(describe.RUNS, '')[:6]}" if self.shared else self.sweep,
            id=tags[describe.JOB],
            label=tags["label"],
            method=method,
            group=told.get("group") or (METHODS[method].group if method in METHODS else ""),
            dataset=tags["dataset"],
            split=tags["tasks"],
            tasks=len(told["class_incremental"]),
            seed=int(tags["seed"]),
            settings=params,
            matrix=_rows(told["class_incremental"]),
            local=_rows(told["task_incremental"]),
            images=tuple(told["images"]) if told.get("images") else None,
            top5=tuple(told["top5"]) if told.get("top5") else None,
            fold=int(tags["fold"]) if "fold" in tags else None,
            state=state,
            error=tags.get(describe.ERROR, "") if state == FAILED else "",
            done=done,
            asked=asked,
            seconds=told["seconds"],
            started=run.info.start_time / 1000 if run.info.start_time else None,
            ended=run.info.end_time / 1000 if run.info.end_time else None,
            provenance=_provenance(tags),
            stages=_stages(run),
            run=run_address(self.store.uri, run.info.run_id, run.info.experiment_id),
            dreams=partial(self._dreams, run),
            counts=partial(self._counts, run),
            confusion=partial(self._confusion, run),
        )

    def text(self, run: Run, path: str) -> str | None:
        """The text of an artifact of a run; None where there is none."""
        content = self.store.content(run, path)
        return content.decode() if content is not None else None

    def missing(self, parents: Sequence[Run], known: Sequence[JobReport]) -> list[JobReport]:
        """The jobs that the sweep asked for and that have no run: nothing of them was done."""
        plan = self.text(parents[-1], "plan.json") if parents else None
        if plan is None:
            asked = re.search(r"of (\d+)", parents[-1].data.tags.get("dfcil.jobs", "")) if parents else None
            if asked and int(asked[1]) > len(known):
                self.notes.append(
                    f"{self.sweep}: {int(asked[1]) - len(known)} more jobs were asked for and have no run: "
                    "which, the tracking store does not say"
                )
            return []
        present = {job.id for job in known}
        return [_never_begun(self.sweep, job, known) for job in json.loads(plan)["jobs"] if job["id"] not in present]

    def _matrix(self, run: Run, tasks: int) -> dict[str, Any]:
        content = self.store.content(run, MATRIX) if run.info.status != "RUNNING" else None
        told = json.loads(content) if content is not None else {}
        if "seconds" in told:
            return told
        seconds = [
            point.value
            for kind in ("learn", "remember", "dream")
            for point in self.store.points(run, f"seconds/{kind}")
        ]
        for name, prefix in (("class_incremental", "accuracy"), ("task_incremental", "accuracy/local")):
            told.setdefault(name, self._from_metrics(run, prefix, tasks))
        return {**told, "seconds": math.fsum(seconds)}

    def _from_metrics(self, run: Run, prefix: str, tasks: int) -> list[list[float] | None]:
        """The accuracy matrix from the metrics `<prefix>/task_<j>`, whose step is the task learnt last."""
        keys = sorted(key for key in run.data.metrics if re.fullmatch(rf"{prefix}/task_\d+", key))
        cells = {
            (point.step, int(key.rpartition("_")[2])): point.value
            for key in keys
            for point in self.store.points(run, key)
        }
        tasks = max([tasks, *(step for step, _ in cells)])
        known = {step for step, _ in cells}
        return [[cells[t, j] for j in range(1, t + 1)] if t in known else None for t in range(1, tasks + 1)]

    def _counts(self, run: Run) -> ClassCounts | None:
        text = self.text(run, CLASSES)
        if text is None:
            return None
        tasks: dict[int, dict[str, None]] = {}
        after: dict[int, dict[str, Counted]] = {}
        for row in csv.DictReader(io.StringIO(text)):
            tasks.setdefault(int(row["task"]), {})[row["class"]] = None
            after.setdefault(int(row["after_task"]), {})[row["class"]] = int(row["right"]), int(row["of"])
        names = tuple(tuple(tasks.get(task, ())) for task in range(1, max(tasks, default=0) + 1))
        return ClassCounts(names, tuple(after.get(task) for task in range(1, len(names) + 1)))

    def _confusion(self, run: Run) -> Confusion | None:
        text = self.text(run, CONFUSION)
        if text is None:
            return None
        import numpy as np

        told = json.loads(text)
        return Confusion(tuple(told["classes"]), tuple(told["tasks"]), np.array(told["images"]))

    def _dreams(self, run: Run) -> list[tuple[int, bytes]]:
        found: dict[int, bytes] = {}
        for path in self.store.artifacts(run, "images"):
            step = re.match(rf"images/{DREAMS}\+step\+(\d+)\+.*\.png$", path)
            if step and (content := self.store.content(run, path)) is not None:
                found[int(step[1])] = content
        return sorted(found.items())


def _learnt(run: Run) -> list[str]:
    return [stage for stage in _stages(run) if "-learn-" in stage]


def _nothing(tasks: int) -> dict[str, Any]:
    return {"class_incremental": [None] * tasks, "task_incremental": [None] * tasks, "seconds": 0.0}


def _rows(matrix: Sequence[Sequence[float] | None]) -> tuple[tuple[float, ...] | None, ...]:
    return tuple(None if row is None else tuple(row) for row in matrix)


def _provenance(tags: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """As the run's tags have it: of the stage that was finished last."""
    versions = tuple(
        f"{name.removeprefix('version.')} {value}" for name, value in tags.items() if name.startswith("version.")
    )
    named = {name: (tags[name],) if name in tags else () for name in PROVENANCE if name != "versions"}
    return {**named, "versions": versions}


def _never_begun(sweep: str, planned: Mapping[str, Any], known: Sequence[JobReport]) -> JobReport:
    """A job of the plan that has no run, as far as its name and the other jobs tell of it."""
    label, split, seed, fold = _place(planned)
    kin = next((job for job in known if job.label == label), None)
    of_split = next((job for job in known if job.split == split), None)
    tasks = of_split.tasks if of_split else sum("-learn-" in stage for stage in planned["stages"])
    return JobReport(
        sweep=sweep,
        source=sweep,
        id=planned["id"],
        label=label,
        method=kin.method if kin else label,
        group=kin.group if kin else METHODS[label].group if label in METHODS else "",
        dataset=known[0].dataset if known else "",
        split=split,
        tasks=tasks,
        seed=seed,
        settings=kin.settings if kin else {},
        matrix=(None,) * tasks,
        local=(None,) * tasks,
        images=None,
        state=MISSING,
        error="",
        done=0,
        asked=len(set(planned["stages"])),
        seconds=0.0,
        started=None,
        ended=None,
        provenance={},
        stages=tuple(planned["stages"]),
        fold=fold,
    )


def _place(planned: Mapping[str, Any]) -> tuple[str, str, int, int | None]:
    """Label, split, seed and fold of a job of the plan; what was tracked at first says them in its name alone."""
    if "label" in planned:
        return planned["label"], planned["tasks"], planned["seed"], planned["fold"]
    label, _, seed = planned["name"].split(" · ")
    split = planned["slug"].removeprefix(f"{label}-").rpartition("-s")[0]
    return label, split, int(seed.removeprefix("seed ")), None


def _in_order(jobs: Sequence[JobReport]) -> list[JobReport]:
    """As a plan orders them: by method in the order of first appearance in time, by split, by seed.

    A job whose number of tasks its own run cannot tell (the upper bound trains one stage) has that of its split.
    """
    known: dict[str, int] = {}
    for job in jobs:
        known[job.split] = max(known.get(job.split, 0), job.tasks)
    jobs = [
        job if job.tasks == known[job.split] or any(job.matrix) else replace(job, tasks=known[job.split])
        for job in jobs
    ]
    return sorted(
        jobs,
        key=lambda job: (
            list(METHODS).index(job.method) if job.method in METHODS else 99,
            job.label,
            job.tasks,
            job.split,
            -1 if job.fold is None else job.fold,
            job.seed,
        ),
    )
