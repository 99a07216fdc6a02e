"""A small sweep made by hand, and records of its stages that no training made: what the views of the store are fed."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

from dfcil_core.artifacts import LOGITS
from dfcil_core.config import Dreaming, Training
from dfcil_core.data.catalog import DATASETS
from dfcil_core.methods import METHODS
from orchestrator.plan.plan import Plan, make_plan
from orchestrator.plan.stage import Stage
from orchestrator.results.job_result import group_name
from orchestrator.spec.model import Dataset, MethodEntry, Split, SweepSpec
from orchestrator.store.store import Store

EPOCHS = 3
START = 1_700_000_000.25  # when the first stage began, in unix seconds


def sweep(methods: Iterable[str] = ("base", "abd"), seeds=(0, 1), splits=((2, 2, 2, 2, 2),), name="fab") -> Plan:
    """A plan on digits; each of `splits` lists the sizes of its tasks."""
    training = Training(backbone="resnet8", epochs=EPOCHS)
    dreaming = Dreaming(steps=40)
    entries = tuple(MethodEntry(m, METHODS[m](), training, dreaming, 100, "none") for m in methods)
    named = tuple(Split(sizes, str(len(sizes)) if len(set(sizes)) == 1 else "6+2") for sizes in splits)
    dataset = Dataset(DATASETS["digits"], image_size=8)
    return make_plan(SweepSpec(name, dataset, entries, named, tuple(seeds), text=f"name: {name}\n"))


def record(plan: Plan, stage: Stage, place: int | None = None) -> dict:
    """The record of a stage as a worker would write it, at a time that the stage's place in the plan gives."""
    place = list(plan.stages).index(stage.key) if place is None else place
    made = {
        "started": START + 2 * place,
        "ended": START + 2 * place + 1.5,
        "seconds": 1.5,
        "attempt": 1,
        "provenance": {"commit": "c0ffee", "versions": {"torch": "2.9.0"}, "device": "cpu", "host": "here"},
    }
    if stage.recipe.kind == "learn":
        made["evaluation"] = _evaluation(plan, stage)
        made["curves"] = {"loss": [1.0 / (e + 1) for e in range(EPOCHS)], "lr": [0.1] * EPOCHS}
    elif stage.recipe.kind == "dream":
        steps = [10, 20, 30, 40]
        made["curves"] = {"step": steps, "loss": [50.0 / s for s in steps], "ce": [1.0 / s for s in steps]}
    else:
        made["memory"] = {"images": 100, "distinct": 100}
    return made


def finish(plan: Plan, runs: Path, stages: Iterable[str] | None = None, made=record) -> Store:
    """Put stages (by key; by default all) into the store, as if they had been trained; `made` gives their records."""
    store = Store(runs)
    store.prepare()
    for key in plan.stages if stages is None else stages:
        stage = plan.stages[key]
        if store.has(stage):
            continue
        work = store.stages / f".work-{key[:16]}-test"
        work.mkdir()
        if stage.recipe.kind == "dream":
            noise = np.random.default_rng(stage.recipe.task).integers(0, 255, (66, 66, 3), dtype=np.uint8)
            Image.fromarray(noise).save(work / "dreams.png")
        store.commit(stage, work, made(plan, stage))
    return store


def with_logits(runs: Path, made=record):
    """What `made` gives, with test logits beside it, of two images a class: the one is taken for its own class, the
    other for the class that was learnt last."""

    def told(plan: Plan, stage: Stage) -> dict:
        if stage.recipe.kind == "learn":
            seen = sum(map(len, stage.recipe.classes))
            logits = np.zeros((2 * seen, seen), dtype=np.float32)
            logits[np.arange(0, 2 * seen, 2), np.arange(seen)] = 1
            logits[1::2, -1] = 1
            (work,) = (runs / "stages").glob(f".work-{stage.key[:16]}-*")
            save_file({"logits": logits, "labels": np.repeat(np.arange(seen), 2)}, work / LOGITS)
        return made(plan, stage)

    return told


def _evaluation(plan: Plan, stage: Stage) -> dict:
    """40 images a class. Right answers: all of the latest task, fewer the older, fewer still for `base`."""
    tasks = stage.recipe.classes
    images, correct, local = {}, {}, {}
    for j, classes in enumerate(tasks):
        age = len(tasks) - 1 - j
        for label in classes:
            images[str(label)] = 40
            correct[str(label)] = max(0, 40 - age * (18 if stage.recipe.method == "base" else 7) - stage.recipe.seed)
    for job in plan.jobs:
        if job.seed == stage.recipe.seed:
            local |= {group_name(c): 38 * len(c) for c in job.tasks if all(str(x) in images for x in c)}
    return {"images": images, "correct": correct, "correct_local": local}
