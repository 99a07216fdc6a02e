"""The final network of a job as an MLflow model: pixels in, logits out, with a signature.

What is logged is an exported graph and its weights (`torch.export`, MLflow's serialization format `pt2`): no pickled
Python object, and nothing of this package is needed to load it. `mlflow.pytorch.load_model` gives it back.
It is what was tested: a method that tests more than its network (bic) logs more.
"""

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mlflow.entities import LoggedModelOutput, LoggedModelStatus
from mlflow.models import Model, ModelSignature
from mlflow.pytorch import save_model
from mlflow.tracking import MlflowClient
from mlflow.types import Schema, TensorSpec
from torch import Tensor, nn

from dfcil_core.artifacts import NETWORK
from dfcil_core.config import Recipe
from dfcil_core.networks.build import load
from orchestrator.plan.plan import Job
from orchestrator.plan.stage import Stage
from orchestrator.tracking import describe

NAME = "network"


class OfPixels(nn.Module):
    """A network with the normalisation that it was trained behind."""

    def __init__(self, network: nn.Module, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.mean: Tensor
        self.std: Tensor
        self.network = network
        self.register_buffer("mean", 255 * torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(std).view(1, -1, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """(n, channels, size, size) pixels of 0 to 255 to (n, classes) logits, columns in the class order."""
        logits: Tensor = self.network((pixels - self.mean) / self.std)
        return logits


def send(client: MlflowClient, experiment: str, run: str, job: Job, stage: Stage, record: Any, folder: Path) -> None:
    """Log the network of `stage`, whose files lie in `folder`, as the model of a run; not if the run has it already.

    A model that is not READY was left by a writer that was killed: it is deleted, and sent again.
    """
    for found in client.search_logged_models([experiment], f"source_run_id = '{run}' AND name = '{NAME}'"):
        if found.status == LoggedModelStatus.READY:
            return
        client.delete_logged_model(found.model_id)
    tags = {describe.JOB: job.id, "dfcil.stage": stage.folder}
    params = {"method": job.entry.method.name, "label": job.entry.label, "tasks": job.split.label, "seed": job.seed}
    made = client.create_logged_model(
        experiment, NAME, run, tags, {name: str(value) for name, value in params.items()}, "classifier"
    )
    with tempfile.TemporaryDirectory() as beside:
        path = Path(beside) / NAME
        _write(path, Model(run_id=run, model_id=made.model_id), job, stage, record, folder)
        client.log_model_artifacts(made.model_id, str(path))
    client.log_outputs(run, [LoggedModelOutput(made.model_id, len(job.tasks))])
    client.finalize_logged_model(made.model_id, LoggedModelStatus.READY)


def _write(path: Path, model: Model, job: Job, stage: Stage, record: Any, folder: Path) -> None:
    """Write the model in MLflow's layout."""
    recipe = stage.recipe
    network: nn.Module = load(folder / NETWORK, recipe.training["backbone"], recipe.width, recipe.data.channels)
    if recipe.method == job.entry.method.name:  # not where it shares a stage of plain cross-entropy
        network = job.entry.method.load_eval_model(network, folder, recipe)
    normalisation = {name: tuple(record["normalisation"][name]) for name in ("mean", "std")}
    with warnings.catch_warnings():
        # torch warns of its own archive's bookkeeping, into our progress display.
        warnings.filterwarnings("ignore", "No complete tensor found", UserWarning)
        _save(path, model, job, recipe, OfPixels(network, **normalisation).eval())


def _save(path: Path, model: Model, job: Job, recipe: Recipe, network: OfPixels) -> None:
    shape = (recipe.data.channels, recipe.data.image_size, recipe.data.image_size)
    save_model(
        network,
        str(path),
        mlflow_model=model,
        signature=ModelSignature(
            inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, *shape), "pixels")]),
            outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, recipe.width))]),
        ),
        # Two images: a batch of one would be exported as the only size there is.
        input_example=np.zeros((2, *shape), np.float32),
        # Told, because to infer them MLflow loads the model in a process of its own, which takes seconds.
        pip_requirements=[f"torch=={torch.__version__.partition('+')[0]}", "mlflow"],
        metadata={
            "input": "pixels of 0 to 255, not normalised",
            "output": "logits; column i is of the class with the label classes[i]",
            "classes": list(job.class_order),
        },
        serialization_format="pt2",
    )
