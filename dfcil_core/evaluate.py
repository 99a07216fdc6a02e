"""Testing a network on all classes seen so far, and counting what it got right."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dfcil_core.augment import Augmentation
from dfcil_core.data.images import Images

BATCH = 256


@torch.no_grad()
def test_logits(network: torch.nn.Module, images: Images, augmentation: Augmentation, seen: int) -> Tensor:
    """Logits of the seen classes, (n, seen) float32 on the CPU; the network is left in eval mode."""
    network.eval()
    device = next(network.parameters()).device
    batches = [
        network(augmentation.normalise(pixels.to(device)))[:, :seen].float().cpu() for pixels in images.pixels.split(BATCH)
    ]
    return torch.cat(batches)


def count_right(logits: Tensor, labels: Tensor, tasks: tuple[tuple[int, ...], ...]) -> dict[str, Any]:
    """Counts from which every accuracy is derived, keyed by the data set's label as text.

    `labels` are positions in the class order, the order of `logits`' columns. `images` and `correct` (argmax over all
    seen classes) are by class; `correct_local` (argmax within the task's own classes) by task, `3-7` for labels 3, 7.
    """
    order = sum(tasks, ())
    right = logits.argmax(1) == labels
    counts: dict[str, Any] = {"images": {}, "correct": {}, "correct_local": {}}
    for position, label in enumerate(order):
        of_class = labels == position
        counts["images"][str(label)] = int(of_class.sum())
        counts["correct"][str(label)] = int(right[of_class].sum())
    counts["correct_local"] = count_right_locally(logits, labels, tasks)
    return counts


def count_right_locally(logits: Tensor, labels: Tensor, tasks: tuple[tuple[int, ...], ...]) -> dict[str, int]:
    """Right answers when the task is known: argmax within the classes of the image's own task."""
    counts, start = {}, 0
    for task in tasks:
        stop = start + len(task)
        of_task = (labels >= start) & (labels < stop)
        right = logits[of_task, start:stop].argmax(1) + start == labels[of_task]
        counts["-".join(map(str, task))] = int(right.sum())
        start = stop
    return counts
