"""Dreaming: training a generator to make images that the frozen network takes for its old classes.

It reads no image, only the network after task t and the generator of task t - 1.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dfcil_core import capture
from dfcil_core.artifacts import DREAMS, GENERATOR, NETWORK, OPTIMIZER
from dfcil_core.checkpoint import load_tensors, read_state, save_tensors, write_state
from dfcil_core.config import Dreaming, Recipe
from dfcil_core.dream import losses
from dfcil_core.dream.picture import dream_sheet
from dfcil_core.dream.sample import noise
from dfcil_core.eager import Adam
from dfcil_core.errors import Diverged
from dfcil_core.execution import Execution
from dfcil_core.networks import build as networks
from dfcil_core.networks.generator import Generator, build_generator
from dfcil_core.optimization import set_capturable
from dfcil_core.precision import of_networks, reduced
from dfcil_core.streams import stream
from dfcil_core.supplied import CannotCapture

SAVE = "dream.save"
CURVES = ("loss", "ce", "bn", "prior", "diversity")
_MOMENTS = ("exp_avg", "exp_avg_sq")
REPORT_EVERY = 1.0
"""Seconds between reports of progress."""


def dream(recipe: Recipe, folder: Path, parents: Mapping[str, Path], execution: Execution) -> dict[str, Any]:
    """Train the generator against the network after task t. Writes the generator, its Adam state, and dreams.png.

    `parents` holds the folders of the network (`model`) and, after task 2, of the generator to go on from
    (`generator`). Resumes from the save in `execution.saves`, if there is one, to the numbers of an undisturbed run.
    Gives the curves: losses at `step`, each the mean over the steps since the point before; `loss` is the weighted sum
    and the terms stand as they are before weighting. Raises Diverged when the loss is not finite.
    """
    run = _Run(recipe, parents, torch.device(execution.device))
    save = None if execution.saves is None else read_state(execution.saves / SAVE)
    if save:
        run.restore(save)
    run.train(execution)
    save_tensors(folder / GENERATOR, run.generator.state_dict())
    save_tensors(folder / OPTIMIZER, _adam_tensors(run.optimizer, run.generator))
    dream_sheet(recipe, run.generator, run.teacher).save(folder / DREAMS)
    told = {"capture": {"dream": run.how}} if execution.capture == "auto" else {}
    return {"curves": run.curves, **told}


class _Run:
    """A dream stage under way."""

    def __init__(self, recipe: Recipe, parents: Mapping[str, Path], device: torch.device) -> None:
        # Beside the settings of dreaming, a recipe that makes a fresh generator may say how that starts.
        quirks = recipe.settings.get("quirks", "none")
        self.settings = Dreaming(**{name: value for name, value in recipe.settings.items() if name != "quirks"})
        self.training = recipe.training
        self.old = sum(len(task) for task in recipe.classes)
        self.teacher = _teacher(recipe, parents["model"], device)
        rng = stream(recipe.seed, "generator", recipe.stream)
        self.generator = build_generator(recipe.data.image_size, recipe.data.channels, rng, quirks)
        networks.on_device(self.generator, device)
        self.optimizer = Adam(self.generator.parameters(), lr=self.settings.lr, fused=True)
        if "generator" in parents:
            self.generator.load_state_dict(load_tensors(parents["generator"] / GENERATOR))
            _restore_adam(self.optimizer, self.generator, load_tensors(parents["generator"] / OPTIMIZER))
        self.noise = stream(recipe.seed, "dream", recipe.stream, device.type)
        self.step = 0
        self.curves: dict[str, list[float]] = {name: [] for name in (*CURVES, "step")}
        self.totals = torch.zeros(len(CURVES), device=device)
        # A point of the curves every 50 steps, and not fewer than twenty points in a short run.
        self.interval = max(1, min(50, self.settings.steps // 20))
        self.how = ""
        """What the record says of it, where steps were to be captured."""
        data = recipe.data.image_size, recipe.data.channels
        told = [self.training[name] for name in ("backbone", "batch_size", "precision")]
        self._kind = ("dream", *told, *data)

    def train(self, execution: Execution) -> None:
        """Steps until there have been enough; losses stay on the device but for the curves and the reports."""
        self.generator.train()
        reported = saved = time.monotonic()
        with losses.BatchNormStatistics(self.teacher) as statistics:
            static = self.captured(statistics) if execution.capture == "auto" else None
            while self.step < self.settings.steps:
                static() if static else self.compute(statistics)
                self.step += 1
                now = time.monotonic()
                if now - reported >= REPORT_EVERY or self.step == self.settings.steps:
                    means = dict(zip(CURVES, self._means(), strict=True))
                    execution.report({"phase": "dream", "step": self.step, "steps": self.settings.steps, **means})
                    reported = now
                if self.step % self.interval == 0 or self.step == self.settings.steps:
                    self._close_point()
                if execution.saves is not None and now - saved >= execution.save_every:
                    write_state(execution.saves / SAVE, self.state())
                    saved = time.monotonic()
            if static is not None:
                self.how = capture.how(static.refused)
                static.close()

    def captured(self, statistics: losses.BatchNormStatistics) -> capture.StaticStep | None:
        """The step, to be captured; None where it cannot be, and `how` says why."""
        step = capture.Step(
            kind=self._kind,
            compute=lambda: self.compute(statistics),
            totals=self.totals,
            inputs=_nothing,
            optimizers=lambda: [self.optimizer],
            state=lambda: copy.deepcopy(self.state()),
            restore=lambda state: self.restore(copy.deepcopy(state)),
        )
        try:
            return capture.captured(step, self.totals.device)
        except CannotCapture as refusal:
            self.how = capture.how(str(refusal))
            return None

    def compute(self, statistics: losses.BatchNormStatistics) -> None:
        """A step. Its Python runs but once where it is captured."""
        settings, device = self.settings, self.totals.device
        with reduced(self.training["precision"], device.type):
            with of_networks(device.type):
                images = self.generator(noise(self.training["batch_size"], self.noise, self.generator))
            images = images.to(self.totals.dtype)
            logits = self.teacher(images)[:, : self.old]
        ce = losses.confidence(logits, settings.temperature)
        bn = statistics.divergence()
        prior = losses.image_prior(images)
        diversity = losses.diversity(logits)
        loss = settings.ce_weight * ce + diversity + settings.bn_weight * bn + settings.prior_weight * prior
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.totals += torch.stack([loss, ce, bn, prior, diversity]).detach()

    def _means(self) -> list[float]:
        """The losses' means since the last point of the curves."""
        done = self.curves["step"][-1] if self.curves["step"] else 0
        return (self.totals / (self.step - done)).tolist()

    def _close_point(self) -> None:
        means = dict(zip(CURVES, self._means(), strict=True))
        if not math.isfinite(means["loss"]):
            terms = ", ".join(f"{name} {value:g}" for name, value in means.items())
            raise Diverged(
                f"dreaming's loss is no longer finite at step {self.step} of {self.settings.steps} ({terms}): lower "
                f"dreaming.lr ({self.settings.lr:g}), or the weight of the term that grew"
            )
        for name, value in {**means, "step": self.step}.items():
            self.curves[name].append(value)
        self.totals.zero_()

    def state(self) -> dict[str, Any]:
        """All that changes from step to step."""
        return {
            "generator": self.generator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "noise": self.noise.get_state(),
            "step": self.step,
            "curves": self.curves,
            "totals": self.totals,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave, in this process or another."""
        self.generator.load_state_dict(state["generator"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.noise.set_state(state["noise"])
        self.step, self.curves = state["step"], state["curves"]
        self.totals.copy_(state["totals"])
        set_capturable(self.optimizer, False)  # it may have been saved by a captured run


def _nothing() -> Iterator[None]:
    """What a step is computed on is noise alone, which it asks for itself."""
    while True:
        yield


def _teacher(recipe: Recipe, folder: Path, device: torch.device) -> networks.Network:
    path = folder / NETWORK
    network = networks.load(path, recipe.training["backbone"], recipe.width, recipe.data.channels)
    return networks.freeze(networks.on_device(network, device))


def _adam_tensors(optimizer: torch.optim.Adam, generator: Generator) -> dict[str, Tensor]:
    """Adam's state as named tensors: `linear.weight.exp_avg`, and so on."""
    return {
        f"{name}.{slot}": value
        for name, parameter in generator.named_parameters()
        for slot, value in optimizer.state[parameter].items()
    }


def _restore_adam(optimizer: torch.optim.Adam, generator: Generator, tensors: dict[str, Tensor]) -> None:
    """The inverse of `_adam_tensors`; the learning rate stays the optimiser's own."""
    state = {}
    for index, (name, parameter) in enumerate(generator.named_parameters()):
        # The fused kernel walks through parameter and moments side by side: they must lie in memory alike.
        state[index] = {slot: torch.empty_like(parameter).copy_(tensors[f"{name}.{slot}"]) for slot in _MOMENTS}
        state[index]["step"] = tensors[f"{name}.step"]
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
