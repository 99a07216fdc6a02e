"""Sending the artifacts of runs: the accuracy matrix, figures, dreamed images."""

import csv
import json
import math
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

from mlflow.tracking import MlflowClient
from PIL import Image

from orchestrator.plan.plan import Plan
from orchestrator.plan.stage import Stage
from orchestrator.results.by_class import Confusion, class_counts, confusion
from orchestrator.results.dreams import picture
from orchestrator.results.job_result import JobResult, images_by_task, top5_by_task
from orchestrator.tracking.figures import Figures
from orchestrator.tracking.points import milliseconds
from orchestrator.tracking.runs import Child

MATRIX = "accuracy_matrix.json"
CLASSES = "classes.csv"
CLASS_COLUMNS = ("after_task", "task", "class", "right", "of")
CONFUSION = "confusion_matrix.json"
DREAMS = "dreams"
"""The key of the dreamed images; MLflow's image grid steps through the images of one key."""


def send_job(client: MlflowClient, run: str, plan: Plan, result: JobResult, runs: Path, figures: Figures) -> None:
    """The accuracy matrix as JSON, right answers by class, the confusion matrix where it is known, and the figures.

    Nothing before the first accuracy. `runs` is the folder of all results.
    """
    if not any(result.matrix):
        return
    about = "percent; row t: after task t, column j: on task j; null: not trained; images: test images of each task"
    told: dict[str, Any] = {"about": about, "class_incremental": result.matrix, "task_incremental": result.local}
    # With these a report from MLflow says what a report from the store says.
    told |= {"images": images_by_task(result), "group": result.job.entry.method.group}
    if top5 := top5_by_task(result):
        told["top5"] = top5
    told["seconds"] = math.fsum(record["seconds"] for record in result.records.values())
    found = confusion(plan, result, runs / "stages")
    files = {MATRIX: json.dumps(told).encode(), CLASSES: _classes_text(plan, result)}
    if found is not None:
        files[CONFUSION] = _confusion_text(found)
    _send_files(client, run, {**files, **figures.of_job(result, found)})


def knows_classes(client: MlflowClient, run: str) -> bool:
    """Whether a job's run has right answers by class: those of older launches do not."""
    return any(file.path == CLASSES for file in client.list_artifacts(run))


def _classes_text(plan: Plan, result: JobResult) -> bytes:
    """Right answers by class as CSV, which the UI shows as a table."""
    found = class_counts(plan.spec.dataset.info, result)
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CLASS_COLUMNS)
    for after, counted in enumerate(found.after, start=1):
        for task, names in enumerate(found.tasks[:after] if counted else (), start=1):
            writer.writerows((after, task, name, *counted[name]) for name in names if counted)
    return text.getvalue().encode()


def _confusion_text(found: Confusion) -> bytes:
    about = "test images after the last task; row: the class that they are of, column: the class they were taken for"
    told = {"about": about, "classes": found.classes, "tasks": found.tasks, "images": found.counts.tolist()}
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode()


def send_comparison(client: MlflowClient, run: str, results: Sequence[JobResult], figures: Figures) -> None:
    """The sweep's figures: the comparison of its methods, over seeds."""
    if pictures := figures.of_sweep(results):
        _send_files(client, run, pictures)


def _send_files(client: MlflowClient, run: str, files: Mapping[str, bytes]) -> None:
    """Artifacts by name, in one call."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        client.log_artifacts(run, folder)


def send_dreams(
    client: MlflowClient,
    child: Child,
    runs: Path,
    stages: Iterable[Stage],
    records: Mapping[str, Mapping[str, Any]],
) -> None:
    """The images dreamed after each task, with the task as step.

    Those that the run has already are left out, and those that somebody took out of the store.
    """
    dreams = [stage for stage in stages if stage.recipe.kind == "dream"]
    if not dreams:
        return
    # A picture is there when its thumbnail is, which MLflow writes last.
    there = set() if child.fresh else {Path(file.path).name for file in client.list_artifacts(child.run, "images")}
    for stage in dreams:
        time, task = milliseconds(records[stage.key]["ended"]), stage.recipe.task
        name = f"{DREAMS}+step+{task}+timestamp+{time}+"
        if any(file.startswith(name) and file.endswith(".webp") for file in there):
            continue
        content = picture(runs / "stages" / stage.folder, records[stage.key])
        if content is None:
            continue
        with Image.open(BytesIO(content)) as image:
            client.log_image(child.run, image, key=DREAMS, step=task, timestamp=time)
