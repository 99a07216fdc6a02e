"""What a method sees of the stage that it trains: its batches, phases, networks, and what the old network says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from dfcil_core import optimization
from dfcil_core.augment import Augmentation
from dfcil_core.config import Recipe
from dfcil_core.data.images import ImageData, Reader
from dfcil_core.memory import Memory, drawn_pool
from dfcil_core.networks.network import Network
from dfcil_core.supplied import on_the_host


@dataclass(frozen=True)
class Batch:
    """One step's images: augmented and normalised, (n, channels, s, s), with labels as positions in the class order."""

    images: Tensor
    labels: Tensor
    _positions: Tensor
    dreams: Tensor | None
    """As many synthetic images, for a method that dreams, from task 2 on."""

    @property
    def positions(self) -> Tensor:
        """Where the images stand in the training set, (n,) on the CPU: a step that reads it is not captured."""
        on_the_host("batch.positions")
        return self._positions

    @property
    def dreamed(self) -> Tensor:
        """The synthetic images of a batch that has them; raises ValueError for one that has none."""
        if self.dreams is None:
            raise ValueError("this batch has no synthetic images: none on task 1, nor for a method that does not dream")
        return self.dreams


@dataclass(frozen=True)
class TeacherOutput:
    """What the old network says of a batch: features (n, d) and logits (n, width)."""

    features: Tensor
    logits: Tensor


Loss = Callable[["TrainContext", Batch], Tensor]


class Dreamer(Protocol):
    """Gives a batch of synthetic images, from a random stream that is saved and resumed."""

    rng: torch.Generator

    def __call__(self, count: int) -> Tensor:
        """`count` images of the old classes."""


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
    """Of the schedule `milestones` alone."""
    schedule: str = "milestones"
    """How the learning rate changes by epoch (dfcil_core/optimization.py)."""
    warmup: int = 0
    weight_decay: float = 0.0
    dreams: bool = False
    after_step: Callable[[TrainContext, Batch], object] | None = None
    """Called after the optimiser's step with the same batch; what it returns is ignored."""
    before_epoch: Callable[[TrainContext, float], object] | None = None
    """Called before each epoch, when the student is in train mode, with the epoch's learning rate."""
    keeps_momentum: bool = False
    """The optimiser goes on from that of the phase before, its moments included, for the parameters of both."""


@dataclass
class TrainContext:
    """One `learn` stage under way: the networks, the images it may read, and where they stand in the class order."""

    recipe: Recipe
    data: ImageData
    reader: Reader
    memory: Memory
    student: Network
    teacher: Network | None
    """The frozen network of the task before; None on task 1."""
    dream: Dreamer | None
    """Gives a batch of synthetic images of the old classes."""
    augmentation: Augmentation
    device: torch.device
    modules: dict[str, nn.Module] = field(default_factory=dict)
    """Networks beside the student that a method trains; saved and resumed with it."""
    optimizers: dict[str, torch.optim.Optimizer] = field(default_factory=dict)
    """Optimisers of those networks."""
    streams: dict[str, torch.Generator] = field(default_factory=dict)
    """Random streams of a method's own; saved and resumed like its networks."""
    captured: dict[str, str] = field(default_factory=dict)
    """Phase to `captured`, or why its steps are not; where that was asked for."""
    outputs: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    """Further files of the stage: name to tensors."""
    parents: Mapping[str, Path] = field(default_factory=dict)
    """Role of each stage that this one builds on to the folder of its files."""

    @property
    def task(self) -> int:
        return self.recipe.task

    @property
    def quirks(self) -> str:
        return str(self.recipe.settings.get("quirks", "none"))

    @property
    def n_classes(self) -> int:
        return self.recipe.width

    @cached_property
    def n_seen(self) -> int:
        return sum(len(task) for task in self.recipe.classes)

    @cached_property
    def n_old(self) -> int:
        return self.n_seen - len(self.recipe.classes[-1])

    @cached_property
    def class_order(self) -> tuple[int, ...]:
        """The data set's labels of the seen classes, in class order."""
        return sum(self.recipe.classes, ())

    @cached_property
    def new_images(self) -> Tensor:
        """Positions of the new classes' training images."""
        return self.data.positions(self.recipe.classes[-1])

    def rehearsal_pool(self) -> Tensor:
        """`drawn_pool` of this stage: the new images, and as many drawn from the memory."""
        return drawn_pool(self.new_images, self.memory, self.recipe.seed, self.recipe.stream)

    @cached_property
    def _to_class_index(self) -> Tensor:
        """The data set's label to its position in the class order."""
        index = torch.full((max(self.class_order) + 1,), -1)
        index[torch.tensor(self.class_order)] = torch.arange(self.n_seen)
        return index

    def to_class_index(self, labels: Tensor) -> Tensor:
        """The data set's labels as positions in the class order."""
        return self._to_class_index[labels]

    def labels(self, positions: Tensor) -> Tensor:
        """Labels of training images as positions in the class order, on the CPU."""
        return self.to_class_index(self.reader.labels(positions))

    @property
    def old_network(self) -> Network:
        """The teacher of a task that has one; raises ValueError on task 1."""
        if self.teacher is None:
            raise ValueError("task 1 has no network before it")
        return self.teacher

    @torch.no_grad()
    def teacher_output(self, images: Tensor) -> TeacherOutput:
        """What the network of the task before says of these images; raises ValueError on task 1, which has none."""
        features = self.old_network.features(images)
        return TeacherOutput(features, self.old_network.head(features))

    def optimizer(self, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float) -> torch.optim.Optimizer:
        """A new optimiser of the recipe's kind."""
        return optimization.optimizer(self.recipe.training, parameters, lr, weight_decay)

    def step(self, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        """One step of an optimiser down the gradient of `loss`, clipped where the recipe says so."""
        optimization.step(optimizer, loss, self.recipe.training.get("gradient_clip"))

    def phase(self, **changes: Any) -> Phase:
        """A phase with the recipe's optimiser and schedule, but for `changes`."""
        training = self.recipe.training
        settings = {
            "lr": training["lr"],
            "epochs": training["epochs"],
            "milestones": tuple(training.get("milestones", ())),
            "schedule": training.get("schedule", "milestones"),
            "warmup": training.get("warmup", 0),
            "weight_decay": training["weight_decay"],
            "dreams": self.dream is not None,
        }
        return Phase(**{**settings, **changes})
