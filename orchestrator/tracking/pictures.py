"""The artifacts of runs: the accuracy matrix and its figures, dreamed images, the comparison of methods."""

import json
import math
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow.tracking import MlflowClient
from PIL import Image

from dfcil_core import artifacts
from orchestrator.plan.stage import Stage
from orchestrator.results.job_result import JobResult, images_by_task
from orchestrator.tracking.points import milliseconds
from orchestrator.tracking.runs import Child

MATRIX = "accuracy_matrix.json"
DREAMS = "dreams"
"""The key of the dreamed images; MLflow's image grid steps through the images of one key."""


def send_job(client: MlflowClient, run: str, result: JobResult) -> None:
    """The accuracy matrix as JSON and as a heat map, and accuracy over tasks. Nothing before the first accuracy."""
    if not any(result.matrix):
        return
    from reports.figures import job_figures  # matplotlib: a launch with nothing to draw does without it

    about = "percent; row t: after task t, column j: on task j; null: not trained; images: test images of each task"
    told = {"about": about, "class_incremental": result.matrix, "task_incremental": result.local}
    # With these a report from MLflow says what a report from the store says.
    told |= {"images": images_by_task(result), "group": result.job.entry.method.group}
    told["seconds"] = math.fsum(record["seconds"] for record in result.records.values())
    files = {
        MATRIX: json.dumps(told).encode(),
        "accuracy_matrix.png": job_figures.png(job_figures.accuracy_matrix(result)),
        "accuracy_over_tasks.png": job_figures.png(job_figures.accuracy_over_tasks(result)),
    }
    _send_files(client, run, files)


def send_comparison(client: MlflowClient, run: str, results: Sequence[JobResult]) -> None:
    """The comparison of the sweep's methods, over seeds."""
    from reports.figures import job_figures

    if (figure := job_figures.comparison(results)) is not None:
        _send_files(client, run, {"comparison.png": job_figures.png(figure)})


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
        path = runs / "stages" / stage.folder / artifacts.DREAMS
        if any(file.startswith(name) and file.endswith(".webp") for file in there) or not path.exists():
            continue
        with Image.open(path) as image:
            client.log_image(child.run, image, key=DREAMS, step=task, timestamp=time)
