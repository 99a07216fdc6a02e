"""A sweep's report from the store."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.errors import UserError
from orchestrator.plan.plan import Plan
from orchestrator.plan.stage import Stage
from orchestrator.results.by_class import class_counts, confusion
from orchestrator.results.dreams import picture
from orchestrator.results.job_result import JobResult, images_by_task, job_settings, top5_by_task
from orchestrator.results.read import read_results
from orchestrator.spec.model import SweepSpec
from orchestrator.store.failures import Failures
from orchestrator.store.store import Store
from reports.jobs import FAILED, FINISHED, HALF, MISSING, PROVENANCE, JobReport, SweepReport, no_dreams, not_known


def read_sweep(runs: Path, plan: Plan, links: Callable[[str], str | None] = lambda job: None) -> SweepReport:
    """All that the store knows of a sweep's jobs, as they were launched where `plan` is so.

    `links` gives the address of a job's MLflow run by the job's id.
    Stages whose record cannot be read count as not done, and are told in the notes.
    """
    store = Store(runs)
    notes: list[str] = []
    if _other_now(plan):
        notes.append(
            f"{plan.spec.name} is read as it was launched: the program has changed since, and would compute stages anew"
        )
    read = read_results(plan, store, lambda stage, why: notes.append(f"left out, damaged: {stage.folder}: {why}"))
    failures = Failures(runs, plan.spec.name).jobs
    jobs = []
    for result in read.of_jobs():
        report = job_report(plan.spec, result, plan, failures, store.stages)
        jobs.append(replace(report, run=links(report.id)))
    name = plan.spec.name
    return SweepReport(name, name, plan.spec.text, plan.spec.overrides, tuple(jobs), tuple(notes))


def job_report(
    spec: SweepSpec,
    result: JobResult,
    plan: Plan | None = None,
    failures: Mapping[str, Mapping[str, Any]] | None = None,
    stages: Path | None = None,
) -> JobReport:
    """What a report sees of a result. Without `plan` and `stages` it knows no stage folders and no dreams."""
    job, records = result.job, result.records.values()
    identity = job.id
    failure = (failures or {}).get(identity)
    state = FINISHED if result.finished else FAILED if failure else HALF if result.records else MISSING
    return JobReport(
        sweep=spec.name,
        source=spec.name,
        id=identity,
        label=job.entry.label,
        method=job.entry.method.name,
        group=job.entry.method.group,
        dataset=spec.dataset.info.title,
        split=job.split.label,
        tasks=len(job.split),
        seed=job.seed,
        settings=job_settings(spec, job),
        matrix=result.matrix,
        local=result.local,
        images=images_by_task(result),
        top5=top5_by_task(result),
        fold=job.fold,
        state=state,
        error=failure["error"] if failure and state == FAILED else "",
        done=len(result.records),
        asked=len(set(job.stages)),
        seconds=math.fsum(record["seconds"] for record in records),
        started=min((record["started"] for record in records), default=None),
        ended=max((record["ended"] for record in records), default=None),
        provenance=provenance(records),
        stages=tuple(plan.stages[key].folder for key in job.stages) if plan else (),
        times={plan.stages[key].folder: record["seconds"] for key, record in result.records.items()} if plan else {},
        dreams=partial(_dreams, plan, result, stages) if plan and stages else no_dreams,
        counts=partial(class_counts, spec.dataset.info, result),
        confusion=partial(confusion, plan, result, stages) if plan and stages else not_known,
    )


def at_commit(sweep: SweepReport, commit: str) -> SweepReport:
    """The jobs of a sweep all of whose stages were computed at one commit, given by the beginning of its name."""
    jobs = tuple(
        job
        for job in sweep.jobs
        if job.provenance["commit"] and all(c.startswith(commit) for c in job.provenance["commit"])
    )
    if not jobs:
        known = sorted({c for job in sweep.jobs for c in job.provenance["commit"]})
        raise UserError(f"no job of '{sweep.name}' was computed at commit {commit} alone. Commits: {', '.join(known)}")
    return replace(sweep, source=f"{sweep.name}@{commit}", jobs=jobs)


def provenance(records: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Every value of PROVENANCE that the records name, in order of appearance."""
    found: dict[str, dict[str, None]] = {name: {} for name in PROVENANCE}
    for record in records:
        made = record.get("provenance", {})
        for name in PROVENANCE:
            if made.get(name) and name != "versions":
                found[name][made[name]] = None
        for package, version in made.get("versions", {}).items():
            found["versions"][f"{package} {version}"] = None
    return {name: tuple(values) for name, values in found.items()}


def _other_now(plan: Plan) -> bool:
    """Whether the program would name stages otherwise than they were launched, by the first job of each cell."""
    cells = {(job.entry.label, job.split.label): job for job in reversed(plan.jobs)}
    stages = {key: plan.stages[key] for job in cells.values() for key in job.stages}
    return any(Stage(stage.recipe).key != key for key, stage in stages.items())


def _dreams(plan: Plan, result: JobResult, stages: Path) -> list[tuple[int, bytes]]:
    pictures = []
    for key in result.job.stages:
        stage = plan.stages[key]
        if stage.recipe.kind != "dream" or key not in result.records:
            continue
        content = picture(stages / stage.folder, result.records[key])
        if content is not None:
            pictures.append((stage.recipe.task, content))
    return pictures
