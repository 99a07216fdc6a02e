"""Learning without Forgetting, on real and dreamed images."""

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
class LwfSyntheticSettings:
    """Settings of LwF with synthetic images."""

    __pydantic_config__ = {"extra": "forbid"}

    mu: Annotated[float, Ge(0)] = 0.1
    """Weight of the distillation term."""
    distillation_temperature: Annotated[float, Gt(0)] = field(default=2.0, metadata=LATER)
    """Temperature T of the softmaxes that distillation compares."""


class LwfSynthetic(Method):
    """Cross-entropy on the new images, and distillation of the old network's outputs on them and on dreamed ones.

    From task 2 on, over a batch x of real images and one x' of dreamed ones:
    `CE(z(x)[:seen], y) + mu * KD(z([x; x']), O([x; x']), old)`, temperature T = 2, without a factor T², the mean over
    both. x and x' pass through the network together, so that batch normalisation sees both.
    Source: Smith et al., Always Be Dreaming, ICCV 2021, "LwF - Synthetic".

    Differs from the paper:
    1. Nothing known.

    Quirks: none of its own, the public code computes the same loss. Its first task is the plain one.
    """

    name = "lwf-synthetic"
    summary = "dreams old classes; LwF's distillation on real and dreamed images"
    source = "Smith et al., Always Be Dreaming, ICCV 2021"
    settings_type = LwfSyntheticSettings
    dreams = True

    def loss(self, context: TrainContext, batch: Batch) -> Tensor:
        images = torch.cat([batch.images, batch.dreamed])
        logits = context.student(images)
        new = functional.cross_entropy(logits[: len(batch.images), : context.n_seen], batch.labels)
        taught = context.teacher_output(images).logits
        kept = losses.distillation(logits, taught, slice(0, context.n_old), self.settings.distillation_temperature)
        return new + self.settings.mu * kept
