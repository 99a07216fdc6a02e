"""The measures of class-incremental learning, from the accuracy matrix. Plain Python, percent in and percent out.

The matrix has one row a task t: `matrix[t-1][j-1]` is `a[t,j]`, the accuracy in percent on the test images of task j
after learning task t, for j <= t. A row is None where that task was not trained (the upper bound before its last task).
A measure that needs a missing row is None, which tables show as a dash.
"""

from collections.abc import Sequence

Row = Sequence[float]
Matrix = Sequence[Row | None]

FORMULAS = {
    "final": "A(T) = mean over j = 1..T of a(T,j)",
    "average": "mean over t = 1..T of A(t), where A(t) = mean over j = 1..t of a(t,j)",
    "forgetting": "mean over j = 1..T-1 of (max over s = j..T-1 of a(s,j)) - a(T,j)",
    "bwt": "mean over j = 1..T-1 of a(T,j) - a(j,j)",
    "omega": "mean over t = 1..T of A(t) / A(t) of the upper bound, where A(t) = mean over j = 1..t of a(t,j)",
    "local": "mean over j = 1..T of a(T,j), where only the classes of task j compete",
    "weighted": "(sum over j = 1..T of n(j) a(T,j)) / (sum of n(j)), where n(j) are the test images of task j",
}
"""Each measure in a line, to stand beside tables; `a(t,j)` is the accuracy on task j after task t of T."""


def average_accuracy(row: Row) -> float:
    """`A_t`: the mean over the tasks seen so far, each task weighing the same. `row` is `a[t, 1..t]`.

    After the last task this is the final accuracy of the published tables (Smith et al., ICCV 2021, A_{1:N}).
    """
    if not row:
        raise ValueError("the average accuracy of no tasks is not defined")
    return sum(row) / len(row)


def average_incremental_accuracy(matrix: Matrix) -> float | None:
    """`mean_t A_t`: the average accuracy, averaged over the ends of all tasks (Rebuffi et al., CVPR 2017)."""
    if not _known(matrix):
        return None
    return sum(average_accuracy(row) for row in matrix) / len(matrix)


def forgetting(matrix: Matrix, task: int | None = None) -> float | None:
    """`mean_{j<t} (max_{j<=s<t} a[s,j] - a[t,j])`: what was lost since each old task's best moment.

    `task` is t, 1-based; by default the last. None after task 1, where there is nothing to forget. Negative where
    learning on improved the old tasks (Chaudhry et al., ECCV 2018, equation 3, for the average over old tasks).
    """
    last = len(matrix) if task is None else task
    rows = matrix[:last]
    if last < 2 or not _known(rows):
        return None
    *before, now = rows
    lost = [max(row[old] for row in before[old:]) - now[old] for old in range(last - 1)]
    return sum(lost) / len(lost)


def backward_transfer(matrix: Matrix) -> float | None:
    """`mean_{j<T} (a[T,j] - a[j,j])`: the change since each task was learnt (Lopez-Paz and Ranzato, NeurIPS 2017)."""
    last = len(matrix)
    if last < 2 or not _known(matrix):
        return None
    return sum(matrix[-1][old] - matrix[old][old] for old in range(last - 1)) / (last - 1)


def image_weighted_accuracy(row: Row, images: Sequence[int]) -> float:
    """The accuracy over all test images of the tasks seen, each image weighing the same; `images` counts them by task.

    It differs from `average_accuracy` where tasks have unequal numbers of test images. Raises ValueError where the
    lengths differ or there are no images.
    """
    if len(row) != len(images) or not sum(images):
        raise ValueError(f"{len(row)} accuracies do not go with {len(images)} counts of {sum(images)} images")
    return sum(accuracy * count for accuracy, count in zip(row, images, strict=True)) / sum(images)


def omega(matrix: Matrix, bound: Matrix) -> float | None:
    """`mean_t A_t / A_t(upper bound)`, a ratio, 1 for a method as good as the upper bound of the same seed and split.

    It needs the upper bound at every task. Raises ValueError where the two have different numbers of tasks.
    """
    if len(matrix) != len(bound):
        raise ValueError(f"a matrix of {len(matrix)} tasks does not go with an upper bound of {len(bound)}")
    if not (_known(matrix) and _known(bound)):
        return None
    pairs = [(average_accuracy(row), average_accuracy(best)) for row, best in zip(matrix, bound, strict=True)]
    if any(best == 0 for _, best in pairs):
        return None
    return sum(mine / best for mine, best in pairs) / len(pairs)


def _known(rows: Matrix) -> bool:
    return bool(rows) and all(row is not None for row in rows)
