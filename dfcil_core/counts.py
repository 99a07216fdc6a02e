"""Counting right answers, from a stage's test logits. Without torch, so that the launcher can count again.

Every accuracy is derived from these counts, and those of another split of the same classes from the same logits.
"""

from typing import Any

import numpy as np

Tasks = tuple[tuple[int, ...], ...]


def count_right(logits: np.ndarray, labels: np.ndarray, tasks: Tasks) -> dict[str, Any]:
    """Counts keyed by the data set's labels as text.

    `logits` are (n, seen), `labels` (n,) positions in the class order, which is that of the columns. `images` and
    `correct` (argmax over all seen classes: class-incremental) are by class; `correct_local` as `count_right_locally`.
    """
    right = logits.argmax(1) == labels
    images: dict[str, int] = {}
    correct: dict[str, int] = {}
    for position, label in enumerate(sum(tasks, ())):
        of_class = labels == position
        images[str(label)] = int(of_class.sum())
        correct[str(label)] = int(right[of_class].sum())
    return {"images": images, "correct": correct, "correct_local": count_right_locally(logits, labels, tasks)}


def count_right_locally(logits: np.ndarray, labels: np.ndarray, tasks: Tasks) -> dict[str, int]:
    """Right answers when the task is known: argmax within the classes of the image's own task (task-incremental).

    Keyed by the task's classes, as `group_name` writes them.
    """
    counts, start = {}, 0
    for task in tasks:
        stop = start + len(task)
        of_task = (labels >= start) & (labels < stop)
        right = logits[of_task, start:stop].argmax(1) + start == labels[of_task]
        counts[group_name(task)] = int(right.sum())
        start = stop
    return counts


def group_name(classes: tuple[int, ...]) -> str:
    """The name of a task's classes in a record: `3-7-1`."""
    return "-".join(map(str, classes))
