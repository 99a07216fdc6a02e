"""End-to-End Incremental Learning."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Gt

from dfcil_core.artifacts import MEMORY
from dfcil_core.config import LATER
from dfcil_core.lazy import evaluate, functional, losses, memory, networks, torch
from dfcil_core.methods.base import Method

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

    from dfcil_core.context import Batch, Phase, TrainContext
    from dfcil_core.memory import Memory

BALANCED_LR = 0.01
"""The balanced phase's learning rate, as a share of the first one's."""


@dataclass(frozen=True)
class E2eSettings:
    """Settings of End-to-End Incremental Learning."""

    __pydantic_config__ = {"extra": "forbid"}

    mu: Annotated[float, Ge(0)] = 1.0
    """Weight of the distillation terms."""
    distillation_temperature: Annotated[float, Gt(0)] = field(default=2.0, metadata=LATER)
    """Temperature T of the softmaxes that distillation compares."""


class E2e(Method):
    """Every past task is distilled on its own; then the head is tuned on a memory where all classes weigh the same.

    From task 2 on, `|k|` being the classes of a past task k, and KD of temperature T = 2 without a factor T²:
      phase 1, on the new images and the memory, each once an epoch:
        `CE(z[:seen], y) + mu * sum_k |k|/old * KD(z, O(x), k)`;
      then the memory is rebuilt with the new classes in it;
      phase 2, on the memory, the head alone, a hundredth of the learning rate, a new optimiser, the full schedule:
        `CE(z[:seen], y) + mu * sum_k |k|/seen * KD(z, O(x), k) + mu * new/seen * KD(z, P(x), new)`, P the network at
        the end of phase 1. Batch normalisation's statistics move in it, though the weights below the head do not.
    The memory keeps, of each class, the images nearest to its mean feature, without augmentation: ranked once, when the
    class is new, by the network after phase 1 (after task 1: by that task's), and later only truncated.
    Source: Castro et al., End-to-End Incremental Learning, ECCV 2018; as the baseline of Smith et al., ICCV 2021.

    Differs from the paper:
    1. No noise is added to the gradients.
    2. The balanced phase trains the head alone, for a full schedule, and distils the past tasks too.
    3. One head over all classes in the place of one for each task, and the common augmentation.

    Quirks (`quirks: iccv2021`), from task 2 on:
    1. The last term's target is the softmax of the first `new` *old* logits of O; P is not used. With more new classes
       than old ones (where the public code stops with an error) these are the first `new` logits all the same.
    """

    name = "e2e"
    summary = "distils each past task, then tunes the head on a balanced memory"
    source = "Castro et al., End-to-End Incremental Learning, ECCV 2018"
    group = "memory"
    settings_type = E2eSettings
    selection = "nearest-mean"
    selection_needs_model = True

    def quirky(self, task: int) -> bool:
        return task > 1

    def learn_identity(self, task: int, memory: int, quirks: str) -> tuple[str, int, dict[str, Any]]:
        name, version, settings = super().learn_identity(task, memory, quirks)
        # The memory is rebuilt between the phases, to this size.
        return name, version, settings if task == 1 else {**settings, "memory": memory}

    def phases(self, context: TrainContext) -> Iterator[Phase]:
        yield context.phase(pool=self.pool(context), loss=self.loss, name="learn")
        rebuilt = self._rebuilt(context)
        context.outputs[MEMORY] = rebuilt.tensors()
        self._first_phase: nn.Module = networks.fold_batchnorm(context.student)
        head = list(context.student.head.parameters())
        lr = BALANCED_LR * context.recipe.training["lr"]
        yield context.phase(pool=rebuilt.positions, loss=self._balanced, name="balance", parameters=head, lr=lr)

    def _rebuilt(self, context: TrainContext) -> Memory:
        new, images = context.new_images, context.recipe.settings["memory"]
        features = evaluate.plain_features(context.student, context.reader.pixels(new), context.augmentation)
        labelled = memory.Memory(new, context.reader.labels(new))
        return memory.choose_ranked(self.selection, images, context.class_order, context.memory, labelled, features)

    def pool(self, context: TrainContext) -> Tensor:
        return torch.cat([context.new_images, context.memory.positions])

    def loss(self, context: TrainContext, batch: Batch) -> Tensor:
        """Phase 1."""
        logits = context.student(batch.images)
        taught = context.teacher_output(batch.images).logits
        kept = losses.distillation_by_task(
            logits, taught, _past(context), context.n_old, self.settings.distillation_temperature
        )
        return functional.cross_entropy(logits[:, : context.n_seen], batch.labels) + self.settings.mu * kept

    def _balanced(self, context: TrainContext, batch: Batch) -> Tensor:
        """Phase 2."""
        old, seen = context.n_old, context.n_seen
        with torch.no_grad():
            features = context.student.features(batch.images)
        logits = context.student.head(features)
        taught = context.teacher_output(batch.images).logits
        temperature = self.settings.distillation_temperature
        kept = losses.distillation_by_task(logits, taught, _past(context), seen, temperature)
        if context.quirks == "iccv2021":
            targets = taught[:, : seen - old]
        else:
            with torch.no_grad():
                targets = self._first_phase(batch.images)[:, old:seen]
        fresh = losses.distillation(logits[:, old:seen], targets, slice(None), temperature) * (seen - old) / seen
        return functional.cross_entropy(logits[:, :seen], batch.labels) + self.settings.mu * (kept + fresh)


def _past(context: TrainContext) -> list[int]:
    """How many classes each past task has."""
    return [len(task) for task in context.recipe.classes[:-1]]
