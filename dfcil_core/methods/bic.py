"""Bias Correction."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from annotated_types import Gt, Lt

from dfcil_core.artifacts import BIAS
from dfcil_core.config import LATER
from dfcil_core.lazy import checkpoint, correction, functional, losses, torch
from dfcil_core.methods.base import Method

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor, nn

    from dfcil_core.config import Recipe
    from dfcil_core.context import Batch, Phase, TrainContext

CORRECTION_LR = 0.01
"""The second phase's learning rate, as a share of the first one's."""


@dataclass(frozen=True)
class BicSettings:
    """Settings of Bias Correction."""

    __pydantic_config__ = {"extra": "forbid"}

    held_out: Annotated[float, Gt(0), Lt(1)] = 0.1
    """Share of the memory held out to learn the correction from, and as many images a class of the new classes."""
    distillation_temperature: Annotated[float, Gt(0)] = field(default=2.0, metadata=LATER)
    """Temperature T of the softmaxes that distillation compares."""


class Bic(Method):
    """Two numbers for each task, learnt on images held out, take away the head's preference for the newest classes.

    From task 2 on, with `r = old / seen`, on the new images and the memory, each once an epoch but for
    `k = int(int(held_out * images in the memory) / old)` of every class, old and new alike, which are held out (the
    first in the data set's order of a new class, the first chosen of an old one):
      phase 1: `(1 - r) * CE(z'[:seen], y) + r * KD(z', O'(x), old)`, temperature T = 2, without a factor T², z' and O'
        being the logits with the pairs of the tasks before applied, fixed;
      phase 2, on what was held out: CE over the seen classes, the new task's logits becoming `alpha * z + beta`, which
        two numbers alone are trained, with a hundredth of the learning rate, a new optimiser, the full schedule.
        Batch normalisation's statistics move in it, though the network's weights do not.
    All pairs stay applied: in training, in the teacher, and at test. They lie beside the network, in bias.safetensors.
    Where k is 0 there is no phase 2, and the pair stays (1, 0); a class never gives up its last image.
    The memory keeps images by herding: the next is that which brings the mean of the chosen features nearest to the
    class's mean. They are ranked once, when the class is new, by the network after that task, and later only truncated.
    Source: Wu et al., Large Scale Incremental Learning, CVPR 2019; herding: Rebuffi et al., iCaRL, CVPR 2017.

    Differs from the papers:
    1. What is held out of the new classes is as much a class as of the old ones, as in the papers, but the share is of
       the memory alone.
    2. Features are not scaled to length 1 before herding, as in the public code of Smith et al., ICCV 2021.
    3. Weight decay acts on alpha and beta as on everything trained; the papers do not say.

    Quirks (`quirks: iccv2021`), from task 2 on:
    1. At test the raw logits are used: no pair is applied.
    """

    name = "bic"
    summary = "corrects the head's preference for new classes with two numbers a task"
    source = "Wu et al., Large Scale Incremental Learning, CVPR 2019"
    group = "memory"
    settings_type = BicSettings
    selection = "herding"
    selection_needs_model = True

    def quirky(self, task: int) -> bool:
        return task > 1

    def phases(self, context: TrainContext) -> Iterator[Phase]:
        self._correction: nn.Module = correction.Correction([len(task) for task in context.recipe.classes])
        if context.task > 2:  # The first task, which is shared, has no pair.
            self._correction.load_past(checkpoint.load_tensors(context.parents["model"] / BIAS))
        context.modules["bias"] = self._correction.to(context.device)
        pool, held = _divided(context, self.settings.held_out)
        newest = self._correction.pairs[-1]
        yield context.phase(pool=pool, loss=self.loss, name="learn")
        if len(held):
            newest.requires_grad_(True)
            lr = CORRECTION_LR * context.recipe.training["lr"]
            yield context.phase(pool=held, loss=self._correcting, name="correct", parameters=[newest], lr=lr)
        context.outputs[BIAS] = self._correction.state_dict()

    def eval_model(self, context: TrainContext) -> nn.Module:
        if context.quirks == "iccv2021":
            return context.student
        return torch.nn.Sequential(context.student, self._correction)

    def load_eval_model(self, network: nn.Module, folder: Path, recipe: Recipe) -> nn.Module:
        if recipe.settings.get("quirks") == "iccv2021":
            return network
        pairs = correction.Correction([len(task) for task in recipe.classes])
        pairs.load_state_dict(checkpoint.load_tensors(folder / BIAS))
        return torch.nn.Sequential(network, pairs)

    def loss(self, context: TrainContext, batch: Batch) -> Tensor:
        """Phase 1; the new task's pair is still (1, 0)."""
        old = context.n_old
        share = old / context.n_seen
        logits = self._correction(context.student(batch.images))
        taught = self._correction(context.teacher_output(batch.images).logits)
        new = functional.cross_entropy(logits, batch.labels)
        temperature = self.settings.distillation_temperature
        return (1 - share) * new + share * losses.distillation(logits, taught, slice(0, old), temperature)

    def _correcting(self, context: TrainContext, batch: Batch) -> Tensor:
        """Phase 2."""
        with torch.no_grad():
            logits = context.student(batch.images)
        return functional.cross_entropy(self._correction(logits), batch.labels)


def _divided(context: TrainContext, share: float) -> tuple[Tensor, Tensor]:
    """Positions to train on, and those held out to learn the correction from."""
    each = int(int(share * len(context.memory.positions)) / context.n_old)
    classes = [context.memory.of(label) for label in context.class_order[: context.n_old]]
    classes += [context.data.positions((label,)) for label in context.recipe.classes[-1]]
    held = [positions[: max(0, min(each, len(positions) - 1))] for positions in classes]
    rest = [positions[len(part) :] for positions, part in zip(classes, held, strict=True)]
    return torch.cat(rest), torch.cat(held)
