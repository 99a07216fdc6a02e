"""`plan`."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli import options
from orchestrator.cli.terminal import say
from orchestrator.text import counted, duration

if TYPE_CHECKING:
    from orchestrator.estimate import Estimate
    from orchestrator.plan.plan import Plan
    from orchestrator.preview import Preview
    from orchestrator.spec.model import FirstModel, Split

_KINDS = ("learn", "remember", "dream")
_WORKERS = (1, 2, 8, 64)
_MOST_SEEDS = 10  # that are listed one by one


@click.command()
@options.sweep
@options.only
@click.option("--classes", is_flag=True, help="The classes of each task, too.")
@click.option(
    "--estimate",
    is_flag=True,
    help="The time of the whole with 1, 2, 8 and 64 workers, by finished stages or, for some minutes, a timing.",
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def plan(spec: str, classes: bool, estimate: bool, as_json: bool, **told: Any) -> None:
    """Print SPEC's jobs and stages, how many are shared, and how many are in the store already."""
    from orchestrator.preview import plan as planned

    preview = planned(spec, **told)
    found = _estimate(preview) if estimate else None
    if as_json:
        dealt = _dealt(preview.plan) if classes else {}
        say(json.dumps(_facts(preview) | _estimate_facts(found) | dealt, indent=1))
    else:
        print_plan(preview)
        if classes:
            _print_classes(preview.plan)
        if found is not None:
            _print_estimate(found)


def _facts(preview: "Preview") -> dict[str, Any]:
    from orchestrator.spec.dataset import missing_files

    plan = preview.plan
    files = [{"path": file.path, "sha256": file.sha256, "seeds": seeds} for file, seeds in _files(plan).items()]
    return {
        "sweep": plan.spec.name,
        "device": plan.device,
        "jobs": len(plan.jobs),
        "jobs_of_sweep": preview.jobs_of_sweep,
        "excluded": plan.excluded,
        "stages": {kind: plan.count(kind) for kind in _KINDS},
        "without_sharing": plan.unshared,
        "shared": preview.shared,
        "in_store": len(preview.in_store),
        **({"first_models": files} if files else {}),
        "missing_files": missing_files(plan.spec.dataset) or None,
        # Of one worker, by what stages like these took; null where one has none like it in the store.
        "estimated_hours": _hours(preview.seconds),
        "estimated_hours_without_sharing": _hours(preview.seconds_without_sharing),
        "estimated_hours_to_run": _hours(preview.seconds_to_run),
        "job_list": [{"name": job.name, "slug": job.slug, "stages": list(job.stages)} for job in plan.jobs],
    }


def _hours(seconds: float | None) -> float | None:
    return None if seconds is None else seconds / 3600


def _estimate(preview: "Preview") -> "Estimate":
    from orchestrator.estimate import estimate

    return estimate(preview.plan, preview.records, lambda text: say(text, err=True))


def _estimate_facts(estimate: "Estimate | None") -> dict[str, Any]:
    if estimate is None:
        return {}
    hours = {
        str(n): {"planned": estimate.planned(n) / 3600, "each_job_alone": estimate.alone(n) / 3600} for n in _WORKERS
    }
    return {"hours_by_workers": hours, "kinds_recorded": estimate.recorded, "kinds_timed": estimate.calibrated}


def _print_estimate(estimate: "Estimate") -> None:
    from orchestrator.cli.tables import print_table

    say(
        f"the whole, from the beginning: {counted(estimate.recorded, 'kind')} of stages by finished ones, "
        f"{estimate.calibrated} timed now"
    )
    rows = [(str(n), duration(estimate.planned(n)), duration(estimate.alone(n))) for n in _WORKERS]
    print_table(("workers", "as planned", "each job alone"), rows)


def print_plan(preview: "Preview") -> None:
    """Print a plan for people."""
    from orchestrator.spec.dataset import missing_files

    plan, seconds, without = preview.plan, preview.seconds, preview.seconds_without_sharing
    kinds = ", ".join(f"{plan.count(kind)} {kind}" for kind in _KINDS if plan.count(kind))
    left_out = f", {plan.excluded} excluded" if plan.excluded else ""
    chosen = "" if len(plan.jobs) == preview.jobs_of_sweep else f" chosen of {preview.jobs_of_sweep}"
    say(f"{plan.spec.name}: {counted(len(plan.jobs), 'job')}{chosen}{left_out}, on {plan.device}")
    for entry in plan.spec.methods:
        jobs = [job for job in plan.jobs if job.entry.label == entry.label]
        splits, seeds = plan.spec.splits, plan.spec.seeds
        if chosen:
            splits = tuple(dict.fromkeys(job.split for job in jobs))
            seeds = tuple(dict.fromkeys(job.seed for job in jobs))
        folds = list(dict.fromkeys(job.fold for job in jobs if job.fold is not None))
        repeated = f"seeds {_listed(seeds)}" + (f"; folds {', '.join(map(str, folds))}" if folds else "")
        if jobs or not chosen:
            say(f"  {entry.title}: {counted(len(jobs), 'job')} ({_splits(splits)}; {repeated})")
    for file, with_seeds in _files(plan).items():
        say(f"task 1 is {file.path} (SHA-256 {file.sha256[:16]}...; seeds {_listed(with_seeds)})")
    shared = f"sharing {preview.shared} of them between jobs saves {plan.unshared - len(plan.stages)}"
    say(f"{counted(len(plan.stages), 'stage')} ({kinds}); {shared if preview.shared else 'none is shared'}")
    if seconds is not None and without is not None:
        saved = f"; without sharing about {duration(without)}" if preview.shared else ""
        say(f"about {duration(seconds)} of work for one worker, by what stages like these took{saved}")
    if missing := missing_files(plan.spec.dataset):
        say(f"before a launch: {missing}")
    left = preview.seconds_to_run if preview.in_store and preview.to_run else None
    of_it = "" if left is None else f", about {duration(left)} of that work"
    say(f"{len(preview.in_store)} in the store ({preview.runs}), {preview.to_run} to run{of_it}")


def _files(plan: "Plan") -> "dict[FirstModel, tuple[int, ...]]":
    """Each file with a network after task 1, and the seeds that start from it."""
    seeds: dict[FirstModel, tuple[int, ...]] = {}
    for seed, file in plan.spec.first_models.items():
        if seed in plan.spec.seeds:
            seeds[file] = (*seeds.get(file, ()), seed)
    return seeds


def _splits(splits: Sequence["Split"]) -> str:
    """The splits, and their class orders where they are not only shuffled."""
    from orchestrator.spec.model import SHUFFLED

    titles = dict.fromkeys(replace(split, order=SHUFFLED).title for split in splits)
    orders = list(dict.fromkeys(split.order.name for split in splits))
    told = f"; class order{'s' * (len(orders) > 1)} {', '.join(orders)}" if orders != [SHUFFLED.name] else ""
    return f"{', '.join(titles)}{told}"


def _print_classes(plan: "Plan") -> None:
    """Print the classes of each task by name, of each split and, where it is the seed that shuffles them, each seed."""
    for title, tasks in _dealt(plan)["classes"].items():
        say(f"classes, {title}")
        for number, names in enumerate(tasks, start=1):
            say(f"  task {number}: {', '.join(names)}")


def _dealt(plan: "Plan") -> dict[str, Any]:
    """The names of the classes of each task; labels where a data set has no names."""
    from orchestrator.spec.model import SHUFFLED

    names, dealt = plan.spec.dataset.info.class_names, {}
    for job in plan.jobs:
        title = job.split.title + (f", seed {job.seed}" if job.split.order == SHUFFLED else "")
        dealt[title] = [[names[label] if names else str(label) for label in task] for task in job.tasks]
    return {"classes": dealt}


def _listed(seeds: tuple[int, ...]) -> str:
    """The seeds, or of many the first and the last."""
    if len(seeds) <= _MOST_SEEDS:
        return ", ".join(map(str, seeds))
    return f"{seeds[0]}, {seeds[1]}, {seeds[2]}, ... {seeds[-1]}: {len(seeds)} of them"
