"""Running a plan's stages in this process, and looking at what they left."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dfcil_core.config import Dreaming, Training
from dfcil_core.data.catalog import DATASETS, DatasetInfo, synthetic_info
from dfcil_core.execution import Execution
from dfcil_core.first_model import sha256
from dfcil_core.methods import METHODS
from dfcil_core.run_stage import run_stage
from orchestrator.plan.plan import Plan, make_plan
from orchestrator.plan.stage import Stage
from orchestrator.results.job_result import JobResult, job_result
from orchestrator.spec.model import Dataset, FirstModel, MethodEntry, Split, SweepSpec

DIGITS = DATASETS["digits"]


def plan_of(
    methods: str | list[str],
    sizes: tuple[int, ...],
    dataset: DatasetInfo | None = None,
    training: Mapping[str, Any] | None = None,
    memory: int = 10,
    quirks: str = "none",
    settings: Mapping[str, Any] | None = None,
    steps: int = 3,
    image_size: int = 8,
    first_model: Path | None = None,
    device: str = "cpu",
) -> Plan:
    """A sweep over tasks of so many classes each, seed 0, on 8x8 images of as many classes made on the spot.

    The network is resnet8; `training` says what of the schedule is not two epochs of batches of 16.
    """
    given = {"backbone": "resnet8", "epochs": 2, "batch_size": 16, "lr": 0.05, **(training or {})}
    entries = [
        MethodEntry(
            label=name,
            method=METHODS[name](METHODS[name].settings_type(**(settings or {}))),
            training=replace(Training(**METHODS[name].recipe.get("training", {})), milestones=None, **given),
            dreaming=Dreaming(steps=steps),
            memory=memory,
            quirks=quirks,
        )
        for name in ([methods] if isinstance(methods, str) else methods)
    ]
    info = dataset or synthetic_info(sum(sizes), train_per_class=20, test_per_class=4)
    split = Split(sizes, "+".join(map(str, sizes)))
    first = {0: FirstModel(str(first_model), sha256(first_model))} if first_model else {}
    spec = SweepSpec("test", Dataset(info, image_size), tuple(entries), (split,), (0,), first_models=first)
    return make_plan(spec, device)


def run_plan(plan: Plan, folder: Path, execution: Execution | None = None) -> dict[str, dict[str, Any]]:
    """Run every stage of the plan, each in the folder of its key under `folder`; the records by key."""
    return {key: run_one(stage, folder, execution) for key, stage in plan.stages.items()}


def run_one(stage: Stage, folder: Path, execution: Execution | None = None, into: str | None = None) -> dict[str, Any]:
    """Run a stage whose parents' files are under `folder`; `into` names another folder there than its key's."""
    place = folder / (into or stage.key)
    place.mkdir(parents=True)
    parents = {role: folder / key for role, key in stage.recipe.parents.items()}
    return run_stage(stage.recipe, place, parents, execution or Execution())


def stages(plan: Plan, kind: str) -> list[Stage]:
    """The plan's stages of one kind, parents before children."""
    return [stage for stage in plan.stages.values() if stage.recipe.kind == kind]


def result(plan: Plan, records: Mapping[str, dict[str, Any]], label: str) -> JobResult:
    """The result of the plan's only job with this label."""
    (job,) = [job for job in plan.jobs if job.entry.label == label]
    return job_result(job, records)
