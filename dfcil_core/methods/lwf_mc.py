"""Learning without Forgetting for many classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dfcil_core.lazy import losses
from dfcil_core.methods.base import Method

if TYPE_CHECKING:
    from torch import Tensor

    from dfcil_core.context import Batch, TrainContext


class LwfMc(Method):
    """A sigmoid for every class: the new ones learn their labels, the old ones what the old network says.

    Binary cross-entropy on the sigmoids of the seen classes' logits, summed over the classes, mean over the batch. The
    target is one-hot for the new classes, and `sigmoid(O(x))` for the old ones. Task 1, where all classes are new, is
    learnt so too, and is its own.
    Source: Rebuffi et al., iCaRL: Incremental Classifier and Representation Learning, CVPR 2017, "LwF.MC".

    Differs from the paper:
    1. The published optimiser, schedule and augmentation of Smith et al., ICCV 2021, as for every method here.

    Quirks (`quirks: iccv2021`):
    1. The cross-entropy is computed from the sigmoids p in the place of the logits: its logarithms are clamped at -100,
       and its gradient is divided by `max(p (1 - p), 1e-12)`, so that it fades for logits beyond about 28 either way.
    """

    name = "lwf-mc"
    summary = "a sigmoid for every class; the old network's are the old classes' targets"
    source = "Rebuffi et al., iCaRL, CVPR 2017"

    def plain_first_task(self, quirks: str) -> bool:
        return False

    def quirky(self, task: int) -> bool:
        return True

    def learn_identity(self, task: int, memory: int, quirks: str) -> tuple[str, int, dict[str, Any]]:
        name, version, settings = super().learn_identity(task, memory, quirks)
        # `none` stays unsaid, as before there was a quirk: those stages keep their keys.
        return name, version, {at: value for at, value in settings.items() if (at, value) != ("quirks", "none")}

    def loss(self, context: TrainContext, batch: Batch) -> Tensor:
        logits = context.student(batch.images)[:, : context.n_seen]
        taught = context.teacher_output(batch.images).logits[:, : context.n_old] if context.task > 1 else None
        if context.quirks == "iccv2021":
            return losses.clamped_sigmoid_cross_entropy(logits, batch.labels, taught)
        return losses.sigmoid_cross_entropy(logits, batch.labels, taught)
