"""What MLflow is told of a sweep and of its jobs beside their numbers. Pure."""

import getpass
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from orchestrator.plan.fingerprint import fingerprint
from orchestrator.plan.plan import Job, Plan
from orchestrator.results.job_result import JobResult, job_settings
from orchestrator.store.record import SEAL

SWEEP, JOB, KIND, RUNS = "dfcil.sweep", "dfcil.job", "dfcil.kind", "dfcil.runs"
DELIVERED, ERROR, LOG = "dfcil.delivered", "dfcil.error", "dfcil.log"
IN_SPEC = "dfcil.in_spec"
REPLACED = "dfcil.replaced"
PARENT = "mlflow.parentRunId"

# MLflow's limit is 8,000 characters since 2.14 and was 5,000 before; a server may be older than the client.
TAG_LIMIT = 5000


def job_params(plan: Plan, job: Job) -> dict[str, str]:
    """Every resolved setting of a job, as text."""
    return job_settings(plan.spec, job)


def job_tags(plan: Plan, job: Job, runs_id: str, parent: str) -> dict[str, str]:
    """The tags that a job's run is made with, and found again by."""
    return {
        # MLflow's UI shows them in the order in which they are given.
        "label": job.entry.label,
        "tasks": job.split.label,
        "seed": str(job.seed),
        **({} if job.fold is None else {"fold": str(job.fold)}),
        "method": job.entry.method.name,
        "dataset": plan.spec.dataset.info.title,
        SWEEP: plan.spec.name,
        RUNS: runs_id,
        KIND: "job",
        JOB: job.id,
        IN_SPEC: "yes",
        PARENT: parent,
        **_stage_tags(plan, job),
        **_source_tags(),
    }


def sweep_tags(plan: Plan, runs_id: str) -> dict[str, str]:
    """The tags that a sweep's parent run is made with, and found again by."""
    return {
        SWEEP: plan.spec.name,
        RUNS: runs_id,
        KIND: "sweep",
        "dataset": plan.spec.dataset.info.title,
        **_source_tags(),
    }


def provenance_tags(result: JobResult) -> dict[str, str]:
    """Commit, device, processor, host, system and versions of the stage that finished last; empty where none did."""
    if not result.records:
        return {}
    made: dict[str, Any] = max(result.records.values(), key=lambda record: record["ended"])["provenance"]
    tags = {f"version.{name}": version for name, version in made.get("versions", {}).items()}
    tags |= {name: made[name] for name in ("device", "host", "processor", "instructions") if made.get(name)}
    tags |= {f"system.{name}": value for name, value in made.get("system", {}).items()}
    if made.get("commit"):
        # The second name is the one that MLflow's table of runs shows as "Version".
        tags |= {"commit": made["commit"], "mlflow.source.git.commit": made["commit"]}
    return {name: str(value) for name, value in tags.items()}


def replaced(result: JobResult) -> frozenset[str]:
    """What of a job was computed more than once with different results: `<hash16>-<n>` for each that was put aside."""
    names = (record["replaces"] for record in result.records.values() if "replaces" in record)
    return frozenset("-".join(name.rsplit("-", 2)[1:]) for name in names)


def launch_tag(started: str, state: str) -> tuple[str, str]:
    """The tag that notes one launch in the parent run; `started` is ISO 8601, with no colons (tags take none)."""
    return f"dfcil.launch.{started}", f"{state} on {platform.node()}"


def _stage_tags(plan: Plan, job: Job) -> dict[str, str]:
    """The names of the job's stage folders in the store, in as many tags as their length needs."""
    tags: dict[str, str] = {}
    part = ""
    for key in job.stages:
        name = plan.stages[key].folder
        if part and len(part) + 1 + len(name) > TAG_LIMIT:
            tags[f"dfcil.stages.{len(tags) + 1:02d}"], part = part, ""
        part = f"{part} {name}".strip()
    tags[f"dfcil.stages.{len(tags) + 1:02d}"] = part
    return tags


def plan_artifact(plan: Plan) -> dict[str, Any]:
    """The plan as JSON: its jobs with their stages, and its stages with their parents."""
    jobs = [
        {
            "name": job.name,
            "slug": job.slug,
            "id": job.id,
            "label": job.entry.label,
            "tasks": job.split.label,
            "seed": job.seed,
            "fold": job.fold,
            "stages": [plan.stages[key].folder for key in job.stages],
        }
        for job in plan.jobs
    ]
    stages = {
        stage.folder: {
            "kind": stage.recipe.kind,
            "task": stage.recipe.task,
            "key": key,
            "parents": {role: plan.stages[parent].folder for role, parent in stage.recipe.parents.items()},
            "jobs": len(plan.users[key]),
        }
        for key, stage in plan.stages.items()
    }
    return {"sweep": plan.spec.name, "device": plan.device, "excluded": plan.excluded, "jobs": jobs, "stages": stages}


def shown(plan: Plan, results: Sequence[JobResult], with_texts: bool) -> str:
    """A fingerprint of all that the tables and the comparison of a sweep are made from, without making them.

    That is the spec, the records (by the SHA-256 of each that has one) and the program.
    """
    records = [
        [result.job.name, [record.get(SEAL, record) for record in result.records.values()]] for result in results
    ]
    return fingerprint([version("dfcil-sweep"), with_texts, plan.spec.text, plan.spec.overrides, records])


def _source_tags() -> dict[str, str]:
    return {"mlflow.user": _user(), "mlflow.source.name": "dfcil-sweep", "mlflow.source.type": "LOCAL"}


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that has no name
        return f"user {os.getuid()}"
