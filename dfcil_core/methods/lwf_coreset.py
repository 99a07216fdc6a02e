"""Learning without Forgetting, with a memory of old images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dfcil_core.methods.lwf import Lwf

if TYPE_CHECKING:
    from torch import Tensor

    from dfcil_core.context import TrainContext


class LwfCoreset(Lwf):
    """The loss of LwF on the images of naive rehearsal.

    `CE(z[:seen], y) + mu * KD(z, O(x), old)`, temperature T = 2, without a factor T², on the new images and as many
    drawn, with replacement, from the memory. The memory holds `memory // seen` images of each class, chosen at
    random; the remainder goes to the latest classes. After task 1 it is rehearsal's own, and the stage is shared.
    Source: Smith et al., Always Be Dreaming, ICCV 2021, table 2, "LwF" with memory.

    Differs from the paper:
    1. Li and Hoiem's LwF keeps no images: this is the published table's combination of it with a memory.

    Quirks (`quirks: iccv2021`):
    1. Old images are drawn again from the positions of the training pool, where an image of the memory can stand many
       times: duplicates accumulate, and fewer distinct images are kept than the memory's size says.
    2. The remainder of `memory // seen` goes, one image each, to the latest classes that have a candidate for one more.
       Otherwise it goes to the latest classes, and what they have no candidate for is not kept.
    Both act in the `remember` stages: the first from task 2 on, the second from task 1 on.
    """

    name = "lwf-coreset"
    summary = "LwF on the new images and on a memory of old ones"
    source = "Smith et al., Always Be Dreaming, ICCV 2021, table 2"
    group = "memory"
    selection = "random"

    def pool(self, context: TrainContext) -> Tensor:
        return context.rehearsal_pool()
