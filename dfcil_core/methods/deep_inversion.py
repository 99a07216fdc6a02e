"""DeepInversion."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Gt

from dfcil_core.config import LATER
from dfcil_core.lazy import functional, losses, torch
from dfcil_core.methods.base import Method

if TYPE_CHECKING:
    from torch import Tensor

    from dfcil_core.context import Batch, TrainContext


@dataclass(frozen=True)
class DeepInversionSettings:
    """Settings of DeepInversion."""

    __pydantic_config__ = {"extra": "forbid"}

    mu: Annotated[float, Ge(0)] = 1.0
    """Weight of both distillation terms."""
    distillation_temperature: Annotated[float, Gt(0)] = field(default=2.0, metadata=LATER)
    """Temperature T of the softmaxes that distillation compares."""


class DeepInversion(Method):
    """Cross-entropy on the new images, distillation on them and, over all seen classes, on dreamed ones.

    From task 2 on, over a batch x of real images and one x' of dreamed ones:
    `CE(z(x)[:seen], y) + mu * KD(z(x), O(x), old) + mu * KD(z(x')[:seen], t)`, temperature T = 2, without a factor T²,
    where the target t is `softmax(O(x')[:old] / T)` on the old classes and 0 on the new ones: what is dreamed is no new
    class. x and x' pass through the network together, so that batch normalisation sees both.
    Source: Yin et al., Dreaming to Distill: Data-free Knowledge Transfer via DeepInversion, CVPR 2020, section 4.4; as
    the baseline of Smith et al., ICCV 2021.

    Differs from the paper:
    1. A generator makes the images, trained as for the other dreaming methods, in the place of images optimised one by
       one; it goes on from task to task.
    2. The distillation of dreamed images is a cross-entropy over all seen classes, as in Smith et al.

    Quirks: none of its own, the public code computes the same loss. Its first task is the plain one.
    """

    name = "deep-inversion"
    summary = "dreams old classes; distils old outputs on real and on dreamed images"
    source = "Yin et al., Dreaming to Distill, CVPR 2020"
    settings_type = DeepInversionSettings
    dreams = True

    def loss(self, context: TrainContext, batch: Batch) -> Tensor:
        real, old, seen = len(batch.images), context.n_old, context.n_seen
        images = torch.cat([batch.images, batch.dreamed])
        taught = context.teacher_output(images).logits
        logits = context.student(images)
        new = functional.cross_entropy(logits[:real, :seen], batch.labels)
        temperature = self.settings.distillation_temperature
        kept = losses.distillation(logits[:real], taught[:real], slice(0, old), temperature)
        dreamed = losses.soft_distillation(logits[real:, :seen], taught[real:, :old], temperature)
        return new + self.settings.mu * (kept + dreamed)
