"""The one training loop. A method supplies phases and losses; everything else of learning a task is here."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from dfcil_core.augment import Augmentation
from dfcil_core.checkpoint import read_state, write_state
from dfcil_core.config import Recipe
from dfcil_core.data.images import ImageData, Reader
from dfcil_core.memory import Memory
from dfcil_core.streams import stream

if TYPE_CHECKING:
    from dfcil_core.run_stage import Execution

SAVE = "learn.pt"


class Diverged(Exception):
    """The loss is no longer a finite number; the message says where."""


# ---- what a method sees ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Batch:
    """One step's images: augmented and normalised, (n, channels, s, s), with labels as positions in the class order."""

    images: Tensor
    labels: Tensor
    positions: Tensor
    """Where the images stand in the training set, (n,) on the CPU."""
    dreams: Tensor | None
    """As many synthetic images, for a method that dreams, from task 2 on."""


@dataclass(frozen=True)
class Taught:
    """What the old network says of a batch: features (n, d) and logits (n, width)."""

    features: Tensor
    logits: Tensor


Loss = Callable[["Learning", Batch], Tensor]


@dataclass
class Phase:
    """A stretch of training with one pool, loss, optimiser and schedule."""

    pool: Tensor
    """Positions in the training set that an epoch goes over."""
    loss: Loss
    name: str = "train"
    parameters: list[nn.Parameter] | None = None
    """What is optimised; None: every parameter of the student."""
    lr: float = 0.1
    epochs: int = 1
    milestones: tuple[int, ...] = ()
    weight_decay: float = 0.0
    dreams: bool = False
    after_step: Callable[[Learning, Batch], object] | None = None
    """Called after the optimiser's step with the same batch; what it returns is ignored."""
    before_epoch: Callable[[Learning, float], object] | None = None
    """Called before each epoch, when the student is in train mode, with the epoch's learning rate."""
    keeps_momentum: bool = False
    """The optimiser goes on from that of the phase before, its momentum included, for the parameters of both."""


@dataclass
class Learning:
    """One `learn` stage under way: the networks, the images it may read, and where they stand in the class order."""

    recipe: Recipe
    data: ImageData
    reader: Reader
    memory: Memory
    student: nn.Module
    teacher: nn.Module | None
    dream: Callable[[int], Tensor] | None
    """Gives a batch of synthetic images of the old classes."""
    augmentation: Augmentation
    device: torch.device
    modules: dict[str, nn.Module] = field(default_factory=dict)
    """Networks beside the student that a method trains; saved and resumed with it."""
    optimizers: dict[str, torch.optim.Optimizer] = field(default_factory=dict)
    """Optimisers of those networks."""
    streams: dict[str, torch.Generator] = field(default_factory=dict)
    """Random streams of a method's own; saved and resumed like its networks."""
    outputs: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    """Further files of the stage: name to tensors."""
    parents: Mapping[str, Path] = field(default_factory=dict)
    """Role of each stage that this one builds on to the folder of its files."""

    @property
    def task(self) -> int:
        return self.recipe.task

    @property
    def quirks(self) -> str:
        return self.recipe.settings.get("quirks", "none")

    @property
    def width(self) -> int:
        return self.recipe.width

    @cached_property
    def seen(self) -> int:
        return sum(len(task) for task in self.recipe.classes)

    @cached_property
    def old(self) -> int:
        return self.seen - len(self.recipe.classes[-1])

    @cached_property
    def order(self) -> tuple[int, ...]:
        """The data set's labels of the seen classes, in class order."""
        return sum(self.recipe.classes, ())

    @cached_property
    def new_images(self) -> Tensor:
        """Positions of the new classes' training images."""
        return self.data.positions(self.recipe.classes[-1])

    @cached_property
    def _place(self) -> Tensor:
        """The data set's label to its position in the class order."""
        place = torch.full((max(self.order) + 1,), -1)
        place[torch.tensor(self.order)] = torch.arange(self.seen)
        return place

    def place(self, labels: Tensor) -> Tensor:
        """The data set's labels as positions in the class order."""
        return self._place[labels]

    def labels(self, positions: Tensor) -> Tensor:
        """Labels of training images as positions in the class order, on the CPU."""
        return self.place(self.reader.labels(positions))

    @torch.no_grad()
    def teach(self, images: Tensor) -> Taught:
        """What the network of the task before says of these images; raises TypeError on task 1, which has none."""
        features = self.teacher.features(images)
        return Taught(features, self.teacher.head(features))

    def phase(self, **changes: Any) -> Phase:
        """A phase with the recipe's optimiser and schedule, but for `changes`."""
        training = self.recipe.training
        settings = {
            "lr": training["lr"],
            "epochs": training["epochs"],
            "milestones": tuple(training["milestones"]),
            "weight_decay": training["weight_decay"],
            "dreams": self.dream is not None,
        }
        return Phase(**{**settings, **changes})


# ---- the loop --------------------------------------------------------------------------------------------------------


def train(learning: Learning, phases: Iterator[Phase], execution: Execution) -> dict[str, list[float]]:
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
            _restore(learning, entered[index + 1])
            continue
        run = _PhaseRun(learning, phase, index, run)
        if save and index == resume_at:
            _restore(learning, save["networks"])
            run.restore(save["run"])
        elif len(entered) == index:
            entered.append(_snapshot(learning))
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
            execution.report({"phase": phase.name, "epoch": run.epoch, "epochs": phase.epochs, "loss": loss})
            due = time.monotonic() - saved_at >= execution.save_every
            if execution.saves is not None and due and run.epoch < phase.epochs:
                state = {"phase": index, "entered": entered, "curves": curves}
                write_state(execution.saves / SAVE, state | {"networks": _snapshot(learning), "run": run.state()})
                saved_at = time.monotonic()
    return curves


class _PhaseRun:
    """A phase under way: its optimiser and random streams."""

    def __init__(self, learning: Learning, phase: Phase, index: int, before: _PhaseRun | None) -> None:
        recipe = learning.recipe
        self.learning, self.phase = learning, phase
        self.batch_size = recipe.training["batch_size"]
        learning.reader.check(phase.pool)
        self.labels = learning.labels(phase.pool)
        self.precision = recipe.training["precision"]
        parameters = list(learning.student.parameters()) if phase.parameters is None else phase.parameters
        self.optimizer = torch.optim.SGD(
            parameters, lr=phase.lr, momentum=recipe.training["momentum"], weight_decay=phase.weight_decay
        )
        if phase.keeps_momentum and before is not None:
            # A resumed phase has none before it: its optimiser comes from the save.
            self._adopt(before.optimizer)
        suffix = "" if index == 0 else f"/{index}"
        self.streams = {name: stream(recipe.seed, name + suffix, recipe.stream) for name in ("order", "augment")}
        self.epoch = 0

    def _adopt(self, before: torch.optim.SGD) -> None:
        for parameter in self.optimizer.param_groups[0]["params"]:
            if parameter in before.state:
                self.optimizer.state[parameter] = before.state[parameter]

    @property
    def lr(self) -> float:
        """The learning rate of the coming epoch: a tenth after each milestone, counted in full epochs."""
        return self.phase.lr * 0.1 ** sum(self.epoch >= milestone for milestone in self.phase.milestones)

    def one_epoch(self) -> float:
        """Train one epoch and give its mean loss, the only number that is fetched from the device."""
        learning, phase = self.learning, self.phase
        learning.student.train()
        self.optimizer.param_groups[0]["lr"] = self.lr
        if phase.before_epoch is not None:
            phase.before_epoch(learning, self.lr)
        total, steps = torch.zeros((), device=learning.device), 0
        for slots in batches(len(phase.pool), self.batch_size, self.streams["order"]):
            batch = self._batch(slots)
            with torch.autocast(learning.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
                loss = phase.loss(learning, batch)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            if phase.after_step is not None:
                phase.after_step(learning, batch)
            total += loss.detach()
            steps += 1
        self.epoch += 1
        return float(total) / steps

    def _batch(self, slots: Tensor) -> Batch:
        learning, positions = self.learning, self.phase.pool[slots]
        images = learning.augmentation(learning.reader.pixels(positions), self.streams["augment"])
        dreams = learning.dream(len(slots)) if self.phase.dreams else None
        return Batch(images, self.labels[slots].to(learning.device), positions, dreams)

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


def batches(images: int, batch_size: int, rng: torch.Generator) -> Iterator[Tensor]:
    """An epoch's batches in random order, as slots of the pool; the last is dropped if incomplete, unless it is all."""
    order = torch.randperm(images, generator=rng)
    whole = images - images % batch_size
    yield from order[: whole or images].split(batch_size)


# ---- saving and resuming ---------------------------------------------------------------------------------------------


def _snapshot(learning: Learning) -> dict[str, Any]:
    """A copy of every trained network, of a method's own optimisers and streams, and of the dreaming stream."""
    networks = {"student": learning.student, **learning.modules}
    state: dict[str, Any] = {
        "networks": {name: _copied(network.state_dict()) for name, network in networks.items()},
        "optimizers": {name: _optimizer_state(optimizer) for name, optimizer in learning.optimizers.items()},
        "streams": {name: rng.get_state() for name, rng in learning.streams.items()},
    }
    if learning.dream is not None:
        state["dream"] = learning.dream.rng.get_state()
    return state


def _restore(learning: Learning, state: dict[str, Any]) -> None:
    for name, network in {"student": learning.student, **learning.modules}.items():
        network.load_state_dict(state["networks"][name])
    for name, optimizer in learning.optimizers.items():
        optimizer.load_state_dict(copy.deepcopy(state["optimizers"][name]))
    for name, rng in learning.streams.items():
        rng.set_state(state["streams"][name])
    if learning.dream is not None:
        learning.dream.rng.set_state(state["dream"])


def _optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    # A copy: the optimiser goes on to change its tensors in place.
    return copy.deepcopy(optimizer.state_dict())


def _copied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}
