"""Counting right answers, from a stage's test logits. Without torch, so that the launcher can count again.

Every accuracy is derived from these counts, and those of another split of the same classes from the same logits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

Tasks = tuple[tuple[int, ...], ...]
TOP, TOP_FROM = 5, 50
"""Right answers among the five likeliest classes are counted too, where there are so many classes or more."""


def count_right(logits: np.ndarray, labels: np.ndarray, tasks: Tasks) -> dict[str, Any]:
    """Counts keyed by the data set's labels as text.

    `logits` are (n, seen), `labels` (n,) positions in the class order, which is that of the columns. `images` and
    `correct` (argmax over all seen classes: class-incremental) are by class; `correct_local` as `count_right_locally`.
    From 50 seen classes on there is `correct_top5`, by class: the right one is among the five of the largest logits.
    """
    right = logits.argmax(1) == labels
    images: dict[str, int] = {}
    correct: dict[str, int] = {}
    for position, label in enumerate(sum(tasks, ())):
        of_class = labels == position
        images[str(label)] = int(of_class.sum())
        correct[str(label)] = int(right[of_class].sum())
    counted = {"images": images, "correct": correct, "correct_local": count_right_locally(logits, labels, tasks)}
    if len(images) < TOP_FROM:
        return counted
    near = _among_largest(logits, labels)
    at = enumerate(sum(tasks, ()))
    return {**counted, "correct_top5": {str(label): int(near[labels == position].sum()) for position, label in at}}


def _among_largest(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether each label's logit is one of the five largest; of equal ones the first come first, as argmax has it."""
    import numpy as np

    own = logits[np.arange(len(labels)), labels][:, None]
    before = np.arange(logits.shape[1]) < labels[:, None]
    return (((logits > own) | ((logits == own) & before)).sum(1) < TOP) & ~np.isnan(own[:, 0])


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


def confusion(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(seen, seen) counts of images: the row says what they are, the column which class argmax takes them for.

    `logits` are (n, seen), `labels` (n,) positions in the class order, which is that of rows and columns.
    """
    import numpy as np

    seen = logits.shape[1]
    return np.bincount(labels.astype(np.int64) * seen + logits.argmax(1), minlength=seen * seen).reshape(seen, seen)


def group_name(classes: tuple[int, ...]) -> str:
    """The name of a task's classes in a record: `3-7-1`."""
    return "-".join(map(str, classes))
