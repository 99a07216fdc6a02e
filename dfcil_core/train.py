"""The one training loop. A method supplies phases and losses; everything else of learning a task is here."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from dfcil_core import capture
from dfcil_core.checkpoint import read_state, write_state
from dfcil_core.context import Batch, Phase, TrainContext
from dfcil_core.errors import Diverged
from dfcil_core.execution import Execution
from dfcil_core.optimization import scheduled, set_capturable
from dfcil_core.precision import reduced
from dfcil_core.streams import stream
from dfcil_core.supplied import CannotCapture, supplied

SAVE = "learn.pt"


def train(context: TrainContext, phases: Iterator[Phase], execution: Execution) -> dict[str, list[float]]:
    """Train the student through its phases; gives the loss and the learning rate of every epoch.

    Resumes from the save in `execution.saves`, if there is one, to the numbers of an undisturbed run. A method's code
    between two phases runs again then, and finds the student as it was: a save keeps it as each phase was entered.
    Raises Diverged when a loss is not finite.
    """
    curves: dict[str, list[float]] = {"loss": [], "lr": []}
    save = None if execution.saves is None else read_state(execution.saves / SAVE)
    entered: list[dict[str, Any]] = save["entered"] if save else []
    resume_at = save["phase"] if save else 0
    run = None
    if save:
        curves = save["curves"]

    for index, phase in enumerate(phases):
        if index < resume_at:
            _restore(context, entered[index + 1])
            continue
        run = _PhaseRun(context, phase, index, run)
        if save and index == resume_at:
            _restore(context, save["networks"])
            run.restore(save["run"])
        elif len(entered) == index:
            entered.append(_snapshot(context))
        if execution.capture == "auto":
            run.capture()
        saved_at = time.monotonic()
        while run.epoch < phase.epochs:
            lr, loss = run.lr, run.one_epoch()
            if not math.isfinite(loss):
                raise Diverged(
                    f"the loss became {loss} in epoch {run.epoch} of {phase.epochs} (phase {phase.name}, lr {lr:g}): "
                    "lower training.lr, or the weight of the term that grew"
                )
            curves["loss"].append(loss)
            curves["lr"].append(lr)
            told = {"phase": phase.name, "epoch": run.epoch, "epochs": phase.epochs, "loss": loss, "lr": lr}
            execution.report(told)
            due = time.monotonic() - saved_at >= execution.save_every
            if execution.saves is not None and due and run.epoch < phase.epochs:
                state = {"phase": index, "entered": entered, "curves": curves}
                write_state(execution.saves / SAVE, state | {"networks": _snapshot(context), "run": run.state()})
                saved_at = time.monotonic()
        if execution.capture == "auto":
            context.captured[phase.name] = run.how
            run.close()
    return curves


class _PhaseRun:
    """A phase under way: its optimiser and random streams."""

    def __init__(self, context: TrainContext, phase: Phase, index: int, before: _PhaseRun | None) -> None:
        recipe = context.recipe
        self.context, self.phase = context, phase
        self.batch_size = recipe.training["batch_size"]
        context.reader.check(phase.pool)
        self.labels = context.labels(phase.pool)
        self.precision = recipe.training["precision"]
        parameters = list(context.student.parameters()) if phase.parameters is None else phase.parameters
        self.optimizer = context.optimizer(parameters, phase.lr, phase.weight_decay)
        if phase.keeps_momentum and before is not None:
            # A resumed phase has none before it: its optimiser comes from the save.
            self._adopt(before.optimizer)
        suffix = "" if index == 0 else f"/{index}"
        self.streams = {name: stream(recipe.seed, name + suffix, recipe.stream) for name in ("order", "augment")}
        self.epoch = 0
        self.totals = torch.zeros(1, device=context.device)
        self.slots = torch.empty(0, dtype=torch.int64)
        """Of the step's images, in the pool, on the CPU."""
        self.static: capture.StaticStep | None = None
        """What takes the place of `_step`, where steps are captured."""
        self._refusal: str | None = None

    def _adopt(self, before: torch.optim.Optimizer) -> None:
        for parameter in self.optimizer.param_groups[0]["params"]:
            if parameter in before.state:
                self.optimizer.state[parameter] = before.state[parameter]

    @property
    def lr(self) -> float:
        """The learning rate of the coming epoch."""
        phase = self.phase
        return phase.lr * scheduled(phase.schedule, self.epoch, phase.epochs, phase.milestones, phase.warmup)

    def one_epoch(self) -> float:
        """Train one epoch and give its mean loss, the only number that is fetched from the device."""
        self._begin_epoch()
        self.totals.zero_()
        step, steps = self.static or self._step, 0
        for slots in self._batches():
            self.slots = slots
            step()
            steps += 1
        self.epoch += 1
        return float(self.totals) / steps

    def _begin_epoch(self) -> None:
        context, phase = self.context, self.phase
        context.student.train()
        self.optimizer.param_groups[0]["lr"] = self.lr
        if phase.before_epoch is not None:
            phase.before_epoch(context, self.lr)

    def _batches(self) -> Iterator[Tensor]:
        return batches(len(self.phase.pool), self.batch_size, self.streams["order"])

    def _step(self) -> None:
        """A step on the images at `slots`. Its Python runs but once where it is captured."""
        context, phase = self.context, self.phase
        batch = self._batch()
        with reduced(self.precision, context.device.type):
            loss = phase.loss(context, batch)
        context.step(self.optimizer, loss)
        if phase.after_step is not None:
            phase.after_step(context, batch)
        self.totals += loss.detach()

    def _batch(self) -> Batch:
        context, device = self.context, self.context.device
        images = self._images() if context.augmentation.static else supplied(self._images, device)
        labels = supplied(lambda: self.labels[self.slots], device)
        dreams = context.dream(len(self.slots)) if self.phase.dreams and context.dream else None
        return Batch(images, labels, self.phase.pool[self.slots], dreams)

    def _images(self) -> Tensor:
        context, pool = self.context, self.phase.pool
        rows = supplied(lambda: context.reader.rows(pool[self.slots]), context.device)
        return context.augmentation(context.reader.at(rows), self.streams["augment"])

    # ---- captured ----------------------------------------------------------------------------------------------------

    @property
    def how(self) -> str:
        """What the record says of it, where steps were to be captured."""
        return capture.how(self._refusal if self.static is None else self.static.refused)

    def capture(self) -> None:
        """Have the steps to come captured, where they can be."""
        step = capture.Step(
            self._kind(), self._step, self.totals, self._inputs, self._optimizers, self._copied_state, self._put_back
        )
        try:
            self.static = capture.captured(step, self.context.device)
        except CannotCapture as refusal:
            self._refusal = str(refusal)
            self._count_on_the_host()

    def close(self) -> None:
        """Give back the memory of what was captured."""
        if self.static is not None:
            self.static.close()

    def _kind(self) -> tuple[object, ...]:
        recipe, training = self.context.recipe, self.context.recipe.training
        told = [training.get(name) for name in ("backbone", "batch_size", "precision", "optimizer", "gradient_clip")]
        data = recipe.data.image_size, recipe.data.channels, recipe.data.augmentation
        return recipe.method, self.context.quirks, self.phase.name, recipe.task > 1, *told, *data

    def _inputs(self) -> Iterator[None]:
        self._begin_epoch()
        while True:
            for slots in self._batches():
                self.slots = slots
                yield

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        return [self.optimizer, *self.context.optimizers.values()]

    def _copied_state(self) -> dict[str, Any]:
        return {"networks": _snapshot(self.context), "run": copy.deepcopy(self.state())}

    def _put_back(self, state: dict[str, Any]) -> None:
        _restore(self.context, state["networks"])
        self.restore(copy.deepcopy(state["run"]))

    # ---- saved -------------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        return {
            "epoch": self.epoch,
            "optimizer": self.optimizer.state_dict(),
            "streams": {name: rng.get_state() for name, rng in self.streams.items()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.epoch = state["epoch"]
        self.optimizer.load_state_dict(state["optimizer"])
        for name, rng in self.streams.items():
            rng.set_state(state["streams"][name])
        self._count_on_the_host()

    def _count_on_the_host(self) -> None:
        """As optimisers do where steps are not captured; a phase before, or the run that was saved, may have been."""
        for optimizer in self._optimizers():
            set_capturable(optimizer, False)


def batches(images: int, batch_size: int, rng: torch.Generator) -> Iterator[Tensor]:
    """An epoch's batches in random order, as slots of the pool; the last is dropped if incomplete, unless it is all."""
    order = torch.randperm(images, generator=rng)
    whole = images - images % batch_size
    yield from order[: whole or images].split(batch_size)


# ---- saving and resuming ---------------------------------------------------------------------------------------------


def _snapshot(context: TrainContext) -> dict[str, Any]:
    """A copy of every trained network, of a method's own optimisers and streams, and of the dreaming stream."""
    networks = {"student": context.student, **context.modules}
    state: dict[str, Any] = {
        "networks": {name: _copied(network.state_dict()) for name, network in networks.items()},
        "optimizers": {name: _optimizer_state(optimizer) for name, optimizer in context.optimizers.items()},
        "streams": {name: rng.get_state() for name, rng in context.streams.items()},
    }
    if context.dream is not None:
        state["dream"] = context.dream.rng.get_state()
    return state


def _restore(context: TrainContext, state: dict[str, Any]) -> None:
    for name, network in {"student": context.student, **context.modules}.items():
        network.load_state_dict(state["networks"][name])
    for name, optimizer in context.optimizers.items():
        optimizer.load_state_dict(copy.deepcopy(state["optimizers"][name]))
    for name, rng in context.streams.items():
        rng.set_state(state["streams"][name])
    if context.dream is not None:
        context.dream.rng.set_state(state["dream"])


def _optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    # A copy: the optimiser goes on to change its tensors in place.
    return copy.deepcopy(optimizer.state_dict())


def _copied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}
