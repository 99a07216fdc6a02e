"""Sweeps with fabricated results, in a store and in a tracking store, as reports see them."""

import gc
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from click.testing import CliRunner

from orchestrator.cli import cli
from orchestrator.plan.plan import Job, Plan, make_plan
from orchestrator.results.job_result import job_results
from orchestrator.spec.load import parse_spec
from orchestrator.store import sweep_folder
from reports.jobs import JobReport
from tests.support.fabricated import finish, record
from tests.support.tracked import Tracker

SPEC = """\
name: {name}
dataset: digits
methods:
  - {{name: upper-bound, at_every_task: true}}
  - base
  - abd
  - rehearsal
tasks: [2, 5]
repeats: 3
training: {{epochs: 3, backbone: resnet8}}
dreaming: {{steps: 40}}
"""
ERROR = "the loss is not a number after epoch 2 of task 2"


def noisy(salt: str = "", only: str = "", commit: str = "c0ffee") -> Callable:
    """Records whose right answers vary with the stage and, for the stages of the method `only`, with `salt`."""

    def made(plan, stage):
        told = record(plan, stage)
        told["provenance"]["commit"] = commit
        if stage.recipe.kind == "learn":
            luck = random.Random(f"{stage.key}{salt if stage.recipe.method == only else ''}")
            right = told["evaluation"]["correct"]
            for label in right:
                right[label] = max(0, right[label] - luck.randint(0, 6))
        return told

    return made


AS_EVER = noisy()


def launched(
    runs: Path,
    name: str = "demo",
    text: str = SPEC,
    left_out: Callable[[Job], int] = lambda job: 0,
    failed: Callable[[Job], bool] = lambda job: False,
    made: Callable = AS_EVER,
    tracked: bool = False,
) -> Plan:
    """A launch: of each job all stages but the last `left_out`; `failed` jobs with ERROR. `tracked`: in MLflow too."""
    plan = make_plan(parse_spec(text.format(name=name), "a test"))
    sweep_folder.save(runs, plan)
    missing = {key for job in plan.jobs if (last := left_out(job)) for key in job.stages[-last:]}
    store = finish(plan, runs, [key for key in plan.stages if key not in missing], made)
    broken = [job for job in plan.jobs if failed(job)]
    if not tracked:
        tracker = Tracker(plan, runs)
        for job in broken:
            tracker.job_failed(job, ERROR, "Traceback")
        return plan
    results = job_results(plan, store.records(plan.stages.values()))
    with Tracker(plan, runs) as tracker:
        for result in results:
            if result.records:
                tracker.deliver(result)
        for job in broken:
            tracker.job_failed(job, ERROR, "Traceback")
        assert tracker.finish("FAILED" if broken else "FINISHED", results) == 0
    return plan


def output(*arguments: object) -> str:
    """What a command prints. It must succeed."""
    done = CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)
    gc.enable()  # `report` looks for no garbage, as its process is about to end
    assert done.exit_code == 0, done.output
    return done.stdout


def job(label="abd", seed=0, final=40.0, **changed) -> JobReport:
    """A job on CIFAR-100 with one accuracy everywhere."""
    matrix = tuple((final,) * t for t in range(1, 6))
    names = ("dataset", "cifar100"), ("group", "data-free"), ("state", "finished"), ("error", "")
    about = {"sweep": "s", "source": "s", "id": "", "label": label, "method": label, "split": "5", "tasks": 5}
    numbers = {"seed": seed, "images": (2000,) * 5, "done": 5, "asked": 5, "seconds": 1.0, "started": 0.0, "ended": 1.0}
    more = {"settings": {"quirks": "iccv2021"}, "provenance": {}, "stages": (), "matrix": matrix, "local": matrix}
    return JobReport(**{**dict(names), **about, **numbers, **more, **changed})


def on_cifar(splits=(5, 10, 20)) -> list[JobReport]:
    """Four methods with three seeds on each split; accuracies that get less."""
    return [
        replace(
            job(label, seed, method=label, split=str(split), tasks=split),
            matrix=tuple(tuple(80.0 - t - seed * j / 7 for j in range(t)) for t in range(1, split + 1)),
            local=tuple((90.0,) * t for t in range(1, split + 1)),
            images=(100,) * split,
            group="bound" if label == "upper-bound" else "memory" if label == "lwf-coreset" else "data-free",
        )
        for split in splits
        for label in ("upper-bound", "abd", "r-dfcil", "lwf-coreset")
        for seed in (0, 1, 2)
    ]
