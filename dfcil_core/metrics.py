"""The measures of class-incremental learning, from the accuracy matrix. Plain Python, percent in and percent out.

The matrix has one row a task t: `matrix[t-1][j-1]` is `a[t,j]`, the accuracy in percent on the test images of task j
after learning task t, for j <= t. A row is None where that task was not trained (the upper bound before its last task).
A measure that needs a missing row is None, which tables show as a dash. How each measure is named, spoken of and logged
says measures.py.
"""

from collections.abc import Sequence

Row = Sequence[float]
Matrix = Sequence[Row | None]


def mean_accuracy(row: Row) -> float:
    """`A_t`: the mean over the tasks seen so far, each task weighing the same. `row` is `a[t, 1..t]`.

    After the last task this is the final accuracy of the published tables (Smith et al., ICCV 2021, A_{1:N}).
    """
    if not row:
        raise ValueError("the mean accuracy of no tasks is not defined")
    return sum(row) / len(row)


def average_incremental_accuracy(matrix: Matrix) -> float | None:
    """`mean_t A_t`: the mean accuracy, averaged over the ends of all tasks (Rebuffi et al., CVPR 2017)."""
    rows = _known(matrix)
    return sum(mean_accuracy(row) for row in rows) / len(rows) if rows else None


def lost_by_task(matrix: Matrix, task: int | None = None) -> list[float] | None:
    """`max_{j<=s<t} a[s,j] - a[t,j]` for each old task j < t, in percent: what it lost since its best moment.

    `task` is t, 1-based; by default the last. None after task 1, where there is nothing to forget.
    """
    last = len(matrix) if task is None else task
    rows = _known(matrix[:last])
    if last < 2 or not rows:
        return None
    *before, now = rows
    return [max(row[old] for row in before[old:]) - now[old] for old in range(last - 1)]


def forgetting(matrix: Matrix, task: int | None = None) -> float | None:
    """`mean_{j<t} (max_{j<=s<t} a[s,j] - a[t,j])`: the mean of `lost_by_task`.

    Negative where learning on improved the old tasks (Chaudhry et al., ECCV 2018, equation 3, for the average over old
    tasks).
    """
    lost = lost_by_task(matrix, task)
    return None if lost is None else sum(lost) / len(lost)


def backward_transfer(matrix: Matrix) -> float | None:
    """`mean_{j<T} (a[T,j] - a[j,j])`: the change since each task was learnt (Lopez-Paz and Ranzato, NeurIPS 2017)."""
    last = len(matrix)
    rows = _known(matrix)
    if last < 2 or not rows:
        return None
    return sum(rows[-1][old] - rows[old][old] for old in range(last - 1)) / (last - 1)


def learning_accuracy(matrix: Matrix) -> float | None:
    """`mean_j a[j,j]`: the accuracy on each task right after it was learnt (Riemer et al., ICLR 2019)."""
    rows = _known(matrix)
    return sum(row[-1] for row in rows) / len(rows) if rows else None


def intransigence(matrix: Matrix, bound: Matrix) -> float | None:
    """`mean_j (a*[j,j] - a[j,j])`, a* the upper bound of the same seed and split: what each new task lacks of what
    training on all images so far gives it.

    Chaudhry et al., ECCV 2018, define it for one task; this is its mean over tasks. Negative where the new task is
    known better than the upper bound knows it. It needs the upper bound at every task. Raises ValueError where the two
    have different numbers of tasks.
    """
    _require_same_tasks(matrix, bound)
    own, best = learning_accuracy(matrix), learning_accuracy(bound)
    return None if own is None or best is None else best - own


def image_weighted_accuracy(row: Row, images: Sequence[int]) -> float:
    """The accuracy over all test images of the tasks seen, each image weighing the same; `images` counts them by task.

    It differs from `mean_accuracy` where tasks have unequal numbers of test images. Raises ValueError where the
    lengths differ or there are no images.
    """
    if len(row) != len(images) or not sum(images):
        raise ValueError(f"{len(row)} accuracies do not go with {len(images)} counts of {sum(images)} images")
    return sum(accuracy * count for accuracy, count in zip(row, images, strict=True)) / sum(images)


def omega(matrix: Matrix, bound: Matrix) -> float | None:
    """`mean_t A_t / A_t(upper bound)`, a ratio, 1 for a method as good as the upper bound of the same seed and split.

    It needs the upper bound at every task. Raises ValueError where the two have different numbers of tasks.
    """
    _require_same_tasks(matrix, bound)
    own, best = _known(matrix), _known(bound)
    if not (own and best):
        return None
    pairs = [(mean_accuracy(row), mean_accuracy(above)) for row, above in zip(own, best, strict=True)]
    if any(above == 0 for _, above in pairs):
        return None
    return sum(mine / above for mine, above in pairs) / len(pairs)


def _require_same_tasks(matrix: Matrix, bound: Matrix) -> None:
    if len(matrix) != len(bound):
        raise ValueError(f"a matrix of {len(matrix)} tasks does not go with an upper bound of {len(bound)}")


def _known(rows: Matrix) -> list[Row]:
    """The rows, where there are all of them; else none."""
    known = [row for row in rows if row is not None]
    return known if len(known) == len(rows) else []
