"""Learning without Forgetting."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Gt

from dfcil_core.config import LATER
from dfcil_core.lazy import functional, losses
from dfcil_core.methods.base import Method

if TYPE_CHECKING:
    from torch import Tensor

    from dfcil_core.context import Batch, TrainContext


@dataclass(frozen=True)
class LwfSettings:
    """Settings of LwF."""

    __pydantic_config__ = {"extra": "forbid"}

    mu: Annotated[float, Ge(0)] = 1.0
    """Weight of the distillation term."""
    distillation_temperature: Annotated[float, Gt(0)] = field(default=2.0, metadata=LATER)
    """Temperature T of the softmaxes that distillation compares."""


class Lwf(Method):
    """Cross-entropy on the new images, and distillation of the old network's outputs on them.

    `CE(z[:seen], y) + mu * KD(z, O(x), old)`, temperature T = 2, without a factor T².
    Source: Li and Hoiem, Learning without Forgetting, ECCV 2016; settings of Smith et al., ICCV 2021.

    Differs from the paper:
    1. One head over all classes in the place of one for each task, and so one distillation over all old classes.
    2. The new classes' part of the head is not trained by itself first.

    Quirks: none of its own, the public code computes the same loss. Its first task is the plain one.
    """

    name = "lwf"
    summary = "distils the old network's outputs on the new images"
    source = "Li and Hoiem, Learning without Forgetting, ECCV 2016"
    settings_type = LwfSettings

    def loss(self, context: TrainContext, batch: Batch) -> Tensor:
        logits = context.student(batch.images)
        new = functional.cross_entropy(logits[:, : context.n_seen], batch.labels)
        taught = context.teacher_output(batch.images)
        kept = losses.distillation(
            logits, taught.logits, slice(0, context.n_old), self.settings.distillation_temperature
        )
        return new + self.settings.mu * kept
