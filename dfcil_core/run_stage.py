"""Running one stage: from its recipe and its parents' files to its own files and its record."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dfcil_core import plugins
from dfcil_core.artifacts import LOGITS, MEMORY, NETWORK
from dfcil_core.augment import Augmentation
from dfcil_core.checkpoint import save_tensors
from dfcil_core.config import Recipe
from dfcil_core.context import TrainContext
from dfcil_core.counts import count_right
from dfcil_core.data.images import ImageData, Reader
from dfcil_core.data.open import open_data
from dfcil_core.dream.sample import load_generator, sample
from dfcil_core.dream.train import dream
from dfcil_core.evaluate import plain_features, test_logits
from dfcil_core.execution import Execution
from dfcil_core.first_model import load_first_model
from dfcil_core.memory import Memory, choose_random, choose_ranked, drawn_pool
from dfcil_core.methods import OBJECTIVES
from dfcil_core.methods.base import Method
from dfcil_core.networks.build import build, fold_batchnorm, load, on_device
from dfcil_core.networks.generator import Generator
from dfcil_core.networks.network import Network
from dfcil_core.precision import computed, tf32
from dfcil_core.streams import stream
from dfcil_core.train import train

THREADS = 1
"""Of a stage on a CPU: sums in another order would round differently."""


def run_stage(recipe: Recipe, folder: Path, parents: Mapping[str, Path], execution: Execution) -> dict[str, Any]:
    """Compute a stage: write its files into `folder` (which is empty) and give what its record says of them.

    `parents` maps the roles of `recipe.parents` to the folders of those stages. The numbers depend on the recipe and
    the parents' files alone. Raises what the data sources raise, ForbiddenImage, and Diverged.
    """
    if torch.device(execution.device).type != recipe.device:
        raise ValueError(f"a stage of the device kind {recipe.device} cannot run on {execution.device}")
    plugins.provide(recipe, execution.plugin)
    run = {"learn": learn, "remember": remember, "dream": dream}[recipe.kind]
    with _steady_numbers(recipe.device):
        result = run(recipe, folder, parents, execution)
    if recipe.training.get("precision") == "bfloat16":
        result["precision"] = computed("bfloat16", recipe.device)
    return result


def learn(recipe: Recipe, folder: Path, parents: Mapping[str, Path], execution: Execution) -> dict[str, Any]:
    """Train one task and test on all tasks so far. Writes network.safetensors and logits.safetensors."""
    context = _context(recipe, parents, execution)
    method = _objective(recipe, execution)
    curves = train(context, method.phases(context), execution)

    tested = context.data.test
    of_seen = tested.take(torch.isin(tested.labels, torch.tensor(context.class_order)).nonzero().flatten())
    logits = test_logits(method.eval_model(context), of_seen, context.augmentation, context.n_seen)
    labels = context.to_class_index(of_seen.labels)
    save_tensors(folder / NETWORK, context.student.state_dict())
    save_tensors(folder / LOGITS, {"logits": logits, "labels": labels})
    for name, tensors in context.outputs.items():
        save_tensors(folder / name, tensors)
    told = {"capture": context.captured} if context.captured else {}
    return {
        **told,
        "evaluation": count_right(logits.numpy(), labels.numpy(), recipe.classes),
        "curves": curves,
        # What pixels in [0, 1] are normalised with: without it the network is of no use to anybody else.
        "normalisation": {"mean": list(context.data.mean), "std": list(context.data.std)},
    }


def remember(recipe: Recipe, folder: Path, parents: Mapping[str, Path], execution: Execution) -> dict[str, Any]:
    """Choose the images kept after task t, from its own and the memory before. Writes memory.safetensors.

    By chance, or by the features of the network after the task (parent `model`).
    """
    data = open_data(recipe.data, execution.data_root)
    before = Memory.read(parents["memory"]) if "memory" in parents else Memory.empty()
    if recipe.settings["selection"] == "random":
        memory = _drawn(recipe, data, before)
    elif (parents["model"] / MEMORY).exists():
        # Its `learn` chose the memory between two phases, with the network as it was then (e2e, from task 2 on).
        memory = Memory.read(parents["model"])
    else:
        memory = _ranked(recipe, data, before, parents["model"], torch.device(execution.device))
    memory.write(folder)
    return {"memory": {"images": len(memory.positions), "distinct": len(memory.positions.unique())}}


def _drawn(recipe: Recipe, data: ImageData, before: Memory) -> Memory:
    new = recipe.classes[-1]
    new_images = data.positions(new)
    held = before.positions
    quirks = recipe.settings.get("quirks", "none")
    if quirks == "iccv2021":
        # The public code draws again from the training pool's positions, where an old image can stand many times.
        held = drawn_pool(new_images, before, recipe.seed, recipe.stream)[len(new_images) :]
    reader = Reader(data, torch.cat([new_images, held]), torch.device("cpu"))
    positions = torch.cat([held, new_images])
    candidates = Memory(positions, reader.labels(positions))
    rng = stream(recipe.seed, "memory", recipe.stream)
    return choose_random(recipe.settings["memory"], sum(recipe.classes, ()), new, candidates, rng, quirks)


def _ranked(recipe: Recipe, data: ImageData, before: Memory, model: Path, device: torch.device) -> Memory:
    network = load(model / NETWORK, recipe.training["backbone"], recipe.width, recipe.data.channels).to(device)
    augmentation = Augmentation(recipe.data.augmentation, data.mean, data.std, device)
    positions = data.positions(recipe.classes[-1])
    reader = Reader(data, positions, device)
    new = Memory(positions, reader.labels(positions))
    features = plain_features(network, reader.pixels(positions), augmentation)
    settings = recipe.settings
    return choose_ranked(settings["selection"], settings["memory"], sum(recipe.classes, ()), before, new, features)


def _context(recipe: Recipe, parents: Mapping[str, Path], execution: Execution) -> TrainContext:
    device = torch.device(execution.device)
    data = open_data(recipe.data, execution.data_root)
    memory = Memory.read(parents["memory"]) if "memory" in parents else Memory.empty()
    backbone, width, channels = recipe.training["backbone"], recipe.width, recipe.data.channels
    teacher: Network | None = None
    if "first_model" in recipe.settings:
        student = load_first_model(execution.first_models, recipe.settings["first_model"], backbone, width, channels)
    elif "model" in parents:
        student = load(parents["model"] / NETWORK, backbone, width, channels)
        teacher = on_device(fold_batchnorm(student), device)
    else:
        quirks = recipe.settings.get("quirks", "none")
        student = build(backbone, width, channels, stream(recipe.seed, "init", 0), quirks)
    dreamer = None
    if "generator" in parents:
        dreamer = _Dreamer(load_generator(recipe, parents["generator"], device), recipe)
    return TrainContext(
        recipe=recipe,
        data=data,
        reader=Reader(data, torch.cat([data.positions(recipe.classes[-1]), memory.positions]), device),
        memory=memory,
        student=student.to(device),
        teacher=teacher,
        dream=dreamer,
        augmentation=Augmentation(recipe.data.augmentation, data.mean, data.std, device),
        device=device,
        parents=parents,
    )


def _objective(recipe: Recipe, execution: Execution) -> Method:
    method = OBJECTIVES[recipe.method]
    own_names = {field.name for field in fields(method.settings_type)}
    own = {name: value for name, value in recipe.settings.items() if name in own_names}
    return method(method.settings_type(**own))


class _Dreamer:
    """Gives synthetic images from a trained generator, from a stream of its own."""

    def __init__(self, generator: Generator, recipe: Recipe) -> None:
        self.generator = generator
        self.rng = stream(recipe.seed, "noise", recipe.stream)

    def __call__(self, count: int) -> Tensor:
        return sample(self.generator, count, self.rng)


@contextmanager
def _steady_numbers(device: str) -> Iterator[None]:
    """Arithmetic that depends on nothing but the recipe: one thread on a CPU, deterministic kernels on a GPU."""
    threads = torch.get_num_threads()
    deterministic = torch.get_deterministic_debug_mode()
    filled = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    if device == "cpu":
        torch.set_num_threads(THREADS)
    else:
        # Without it cuBLAS may add up in another order each time; it is read when the first product is asked for.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Not `use_deterministic_algorithms`, which does the same and loads torch.compile for a second.
    torch.set_deterministic_debug_mode("warn")
    # By default new memory is then filled, a pass over each result of a kernel that writes all of it anyway.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        # Torch's own defaults (docs/gpu.md), whatever a plug-in or the environment says, as by
        # TORCH_ALLOW_TF32_CUBLAS_OVERRIDE.
        with tf32(convolutions=True, products=False):
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode(deterministic)
        torch.utils.deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined]


__all__ = ["LOGITS", "NETWORK", "Execution", "ImageData", "run_stage"]
