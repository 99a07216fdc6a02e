"""Stores in which nothing was trained: every stage of a sweep finished, with a made-up record, as a worker seals it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

from orchestrator.plan.plan import Plan, make_plan
from orchestrator.results.job_result import job_results
from orchestrator.spec.load import parse_spec
from orchestrator.store import sweep_folder
from orchestrator.store.record import dumps
from orchestrator.store.stage_folder import RECORD
from orchestrator.store.store import Store
from tests.support.fabricated import record


def fabricate(runs: Path, text: str, of_dream: Callable[[Path], None] = lambda folder: None):
    """The plan of the spec in `text`, and the records of its stages by key. Nothing is forced to the disk.

    `of_dream` is given the folder of every `dream` stage.
    """
    plan = make_plan(parse_spec(text, "benchmark"))
    sweep_folder.save(runs, plan)
    store = Store(runs)
    store.prepare()
    records = {}
    for place, (key, stage) in enumerate(plan.stages.items()):
        folder = store.folder(stage)
        folder.mkdir()
        names = {"key": key, "kind": stage.recipe.kind, "task": stage.recipe.task, "folder": folder.name, "files": {}}
        # A record looks at the jobs of its seed: those that need the stage are enough.
        records[key] = {**record(SimpleNamespace(jobs=plan.jobs_of(key)), stage, place), **names}
        if stage.recipe.kind == "dream":
            of_dream(folder)
        (folder / RECORD).write_text(dumps(records[key], stage.recipe))
    return plan, records


def remember_delivered(runs: Path, plan: Plan) -> None:
    """Have this machine believe that MLflow has all of a fabricated sweep: sending it would take an hour."""
    from orchestrator.tracking.environment import prepare_client

    prepare_client()
    from orchestrator.store.failures import Failures
    from orchestrator.tracking import uri
    from orchestrator.tracking.writer import Writer
    from reports.artifacts import result_tables

    writer = Writer(plan, runs, uri.tracking_uri(runs, None), plan.spec.name, Failures(runs, plan.spec.name))
    writer.open(live=False)
    for job in plan.jobs:
        told = {"run": "0" * 32, "stages": len(job.stages), "state": "FINISHED", "in_spec": True, "model": False}
        writer.delivered.jobs[job.id] = told
    results = job_results(plan, Store(runs).records(plan.stages.values()))
    writer.close("FINISHED", results, partial(result_tables, plan.spec))
    writer.release()
