"""Always Be Dreaming."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge

from dfcil_core.lazy import functional, losses, networks, torch
from dfcil_core.methods.base import Method

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from dfcil_core.context import Batch, Phase, TrainContext


@dataclass(frozen=True)
class AbdSettings:
    """Settings of ABD."""

    __pydantic_config__ = {"extra": "forbid"}

    mu: Annotated[float, Ge(0)] = 0.1
    """Weight of the feature distillation."""


class Abd(Method):
    """Local cross-entropy, a head learnt on real and dreamed images, and distillation of the important features.

    From task 2 on, over a batch x of real images and one x' of dreamed ones, each with the class weight `old / seen`
    for an old label and `1 - old / seen` for a new one:
      1. local CE: x, the new classes' logits alone;
      2. head CE: x and x', over the seen classes, through the head alone (the features are detached);
      3. `mu * mean(sum over old (W_O f(x) - W_O f_O(x))^2) / old` on x and x', W_O the frozen old head.
    x and x' pass through the network together, so that batch normalisation sees both. Weighted means are divided by
    the number of images, not by the sum of the weights.
    Source: Smith et al., Always Be Dreaming, ICCV 2021, equations 6 to 10.

    Quirks (`quirks: iccv2021`):
    1. Task 1, and term 2, run over all outputs of the head, those of future classes included.
    2. The student runs twice a step from task 2 on, so batch normalisation's running statistics move twice with the
       same batch. One pass with the momentum 1 - (1 - 0.1)^2 = 0.19 is the same arithmetic, and is what runs here.
    """

    name = "abd"
    summary = "dreams old classes; local cross-entropy, balanced head, feature distillation"
    source = "Smith et al., Always Be Dreaming, ICCV 2021"
    settings_type = AbdSettings
    dreams = True

    def plain_first_task(self, quirks: str) -> bool:
        return quirks == "none"

    def quirky(self, task: int) -> bool:
        return True

    def phases(self, context: TrainContext) -> Iterator[Phase]:
        doubled = context.quirks == "iccv2021" and context.task > 1
        networks.set_bn_momentum(context.student, 0.19 if doubled else 0.1)
        yield from super().phases(context)

    def loss(self, context: TrainContext, batch: Batch) -> Tensor:
        outputs = context.n_classes if context.quirks == "iccv2021" else context.n_seen
        if context.task == 1:
            return functional.cross_entropy(context.student(batch.images)[:, :outputs], batch.labels)

        old, seen, real = context.n_old, context.n_seen, len(batch.images)
        images = torch.cat([batch.images, batch.dreamed])
        taught = context.teacher_output(images)
        labels = torch.cat([batch.labels, taught.logits[real:, :old].argmax(1)])
        weights = losses.new_class_weights(labels, old, seen)

        features = context.student.features(images)
        local = context.student.head(features[:real])[:, old:seen]
        local_ce = losses.weighted_cross_entropy(local, batch.labels - old, weights[:real])
        head_ce = losses.weighted_cross_entropy(context.student.head(features.detach())[:, :outputs], labels, weights)
        distilled = losses.feature_distillation(features, taught.features, context.old_network.head.weight[:old])
        return local_ce + head_ce + self.settings.mu * distilled
