"""The measures by name: one entry says everything about a measure, and all that shows or logs measures follows.

`report --metric` and its help, tables and their captions, the page, the columns of csv and pandas, what a finished
job's run in MLflow has, what a search can look for: each goes through MEASURES. To add a measure, `register` it here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dfcil_core import metrics
from dfcil_core.metrics import Matrix

PERCENT = "in percent"
_BOUND_LACKING = "the upper bound was not trained at every task on the same seed and split"


@dataclass(frozen=True)
class Scores:
    """What a measure is computed from: the accuracies of a job in percent, as metrics.py lays them out."""

    matrix: Matrix
    """Over all classes seen so far."""
    local: Matrix = ()
    """Within each task's own classes."""
    images: Sequence[int] | None = None
    """Test images of each task."""
    bound: Matrix | None = None
    """The upper bound's, at every task, of the same images, split and seed."""
    top5: Sequence[float] | None = None
    """After the last task, by task, with five answers an image; None where they were not counted."""


@dataclass(frozen=True)
class Measure:
    """A measure of a job. `value` gives its number, or None for a job that does not have it."""

    name: str
    """As `report --metric` and the columns of csv and pandas name it."""
    title: str
    formula: str
    """In a line, to stand beside tables; `a(t,j)` is the accuracy on task j after task t of T."""
    value: Callable[[Scores], float | None]
    brief: str
    """In a few words, for the help of `report --metric`."""
    column: str
    """What a column of its numbers has."""
    latex: str = ""
    """The formula as LaTeX text; empty: `formula` stands there as it is."""
    source: str = ""
    """The publication."""
    unit: str = PERCENT
    digits: int = 1
    """Decimals that tables show."""
    higher_is_better: bool = True
    lacking: str = "the jobs do not have this measure"
    """Why a finished job may be without it; empty: every finished job has it."""
    heading: str = ""
    """Its column in the page's table of jobs; empty: it has none there."""
    logged: str = ""
    """Its key in MLflow, in a finished job's run; empty: it is not logged."""
    logged_where_sizes_differ: bool = False
    """Whether it is logged only for splits into tasks of unequal size: it says nothing new of the others."""
    objective: str = ""
    """Its name in `tune:`; empty: no search can look for it."""
    before: float | None = None
    """What a search takes for it after task 1, where it is not defined yet."""

    @property
    def short(self) -> str:
        """What its column is called where measures stand side by side."""
        return self.heading or self.title


MEASURES: dict[str, Measure] = {}
"""By name, in the order in which they are shown."""


def register(measure: Measure) -> Measure:
    """Add a measure. Raises ValueError for a name, MLflow key or objective that is taken."""
    for other in MEASURES.values():
        for kind in ("name", "logged", "objective"):
            if getattr(measure, kind) and getattr(measure, kind) == getattr(other, kind):
                raise ValueError(f"{getattr(measure, kind)} is the {kind} of another measure, {other.title}")
    MEASURES[measure.name] = measure
    return measure


def objectives() -> dict[str, Measure]:
    """The measures that a search can look for, by their names in `tune:`."""
    return {measure.objective: measure for measure in MEASURES.values() if measure.objective}


def _final(scores: Scores) -> float | None:
    return _of_last_row(scores.matrix)


def _of_last_row(matrix: Matrix) -> float | None:
    last = matrix[-1] if matrix else None
    return None if last is None else metrics.mean_accuracy(last)


def _weighted(scores: Scores) -> float | None:
    last = scores.matrix[-1] if scores.matrix else None
    return metrics.image_weighted_accuracy(last, scores.images) if last is not None and scores.images else None


FINAL = register(
    Measure(
        name="final",
        title="final accuracy",
        formula="A(T) = mean over j = 1..T of a(T,j)",
        latex=r"$A_T = \frac{1}{T}\sum_{j=1}^{T} a_{T,j}$",
        value=_final,
        brief="accuracy after the last task",
        column="final accuracy A_T, percent, mean over tasks",
        lacking="",
        heading="final",
        logged="final_accuracy",
        objective="final_accuracy",
    )
)
register(
    Measure(
        name="average",
        title="average incremental accuracy",
        formula="mean over t = 1..T of A(t), where A(t) = mean over j = 1..t of a(t,j)",
        latex=r"$\frac{1}{T}\sum_{t=1}^{T} A_t$, where $A_t = \frac{1}{t}\sum_{j=1}^{t} a_{t,j}$",
        value=lambda scores: metrics.average_incremental_accuracy(scores.matrix),
        brief="its mean over all tasks",
        column="average incremental accuracy, mean over t of A_t, percent",
        source="Rebuffi et al., CVPR 2017",
        heading="average",
        logged="average_accuracy",
        objective="average_accuracy",
    )
)
register(
    Measure(
        name="forgetting",
        title="forgetting",
        formula="mean over j = 1..T-1 of (max over s = j..T-1 of a(s,j)) - a(T,j)",
        latex=r"$\frac{1}{T-1}\sum_{j=1}^{T-1} \bigl(\max_{j \le s < T} a_{s,j} - a_{T,j}\bigr)$",
        value=lambda scores: metrics.forgetting(scores.matrix),
        brief="what was lost since",
        column="mean over old tasks of best accuracy before the last task minus final accuracy, percent",
        source="Chaudhry et al., ECCV 2018",
        higher_is_better=False,
        heading="forgetting",
        logged="final_forgetting",
        objective="forgetting",
        before=0.0,
    )
)
register(
    Measure(
        name="bwt",
        title="backward transfer",
        formula="mean over j = 1..T-1 of a(T,j) - a(j,j)",
        latex=r"$\frac{1}{T-1}\sum_{j=1}^{T-1} (a_{T,j} - a_{j,j})$",
        value=lambda scores: metrics.backward_transfer(scores.matrix),
        brief="backward transfer",
        column="backward transfer: mean over old tasks of final accuracy minus accuracy when learnt, percent",
        source="Lopez-Paz and Ranzato, NeurIPS 2017",
    )
)
register(
    Measure(
        name="omega",
        title="Omega",
        formula="mean over t = 1..T of A(t) / A(t) of the upper bound, where A(t) = mean over j = 1..t of a(t,j)",
        latex=r"$\frac{1}{T}\sum_t A_t / A_t^{*}$, $A_t = \frac{1}{t}\sum_j a_{t,j}$, $A_t^{*}$ of the upper bound",
        value=lambda scores: None if scores.bound is None else metrics.omega(scores.matrix, scores.bound),
        brief="ratio to an upper bound trained at every task",
        column="mean over t of A_t as a ratio to the upper bound's, of the same seed and split (at_every_task)",
        unit="as a ratio to the upper bound",
        digits=3,
        lacking=_BOUND_LACKING,
        heading="Omega",
    )
)
register(
    Measure(
        name="local",
        title="final task-incremental accuracy",
        formula="mean over j = 1..T of a(T,j), where only the classes of task j compete",
        latex=r"$\frac{1}{T}\sum_{j=1}^{T} a_{T,j}$, where only the classes of task $j$ compete",
        value=lambda scores: _of_last_row(scores.local),
        brief="accuracy within each task's own classes",
        column="final task-incremental accuracy, percent, mean over tasks",
        heading="local",
    )
)
register(
    Measure(
        name="weighted",
        title="final accuracy over images",
        formula="(sum over j = 1..T of n(j) a(T,j)) / (sum of n(j)), where n(j) are the test images of task j",
        latex=r"$\sum_{j=1}^{T} n_j a_{T,j} / \sum_{j=1}^{T} n_j$, where $n_j$ are the test images of task $j$",
        value=_weighted,
        brief="each test image weighing the same",
        column="final accuracy, percent, each test image weighing the same",
        logged="final_accuracy_image_weighted",
        logged_where_sizes_differ=True,
    )
)
register(
    Measure(
        name="top5",
        title="final top-5 accuracy",
        formula="mean over j = 1..T of a(T,j), where an answer is right if the class is among the five likeliest",
        latex=r"$\frac{1}{T}\sum_{j=1}^{T} a_{T,j}$, where an answer is right if the class is among the five likeliest",
        value=lambda scores: metrics.mean_accuracy(scores.top5) if scores.top5 else None,
        brief="the class among the five likeliest, from 50 classes on",
        column="final top-5 accuracy, percent, mean over tasks; from 50 classes on",
        lacking="the jobs have fewer than 50 classes, or were computed before it was counted",
        logged="final_accuracy_top5",
    )
)
register(
    Measure(
        name="learning",
        title="learning accuracy",
        formula="mean over j = 1..T of a(j,j)",
        latex=r"$\frac{1}{T}\sum_{j=1}^{T} a_{j,j}$",
        value=lambda scores: metrics.learning_accuracy(scores.matrix),
        brief="accuracy on each task right after it was learnt",
        column="learning accuracy: mean over tasks of the accuracy right after the task was learnt, percent",
        source="Riemer et al., ICLR 2019",
    )
)
register(
    Measure(
        name="intransigence",
        title="intransigence",
        formula="mean over j = 1..T of a(j,j) of the upper bound - a(j,j)",
        latex=r"$\frac{1}{T}\sum_{j=1}^{T} (a_{j,j}^{*} - a_{j,j})$, $a_{j,j}^{*}$ that of the upper bound",
        value=lambda scores: None if scores.bound is None else metrics.intransigence(scores.matrix, scores.bound),
        brief="what a new task lacks of an upper bound trained at every task",
        column="mean over j of a(j,j) of the upper bound, of the same seed and split, minus a(j,j), percent",
        source="Chaudhry et al., ECCV 2018",
        higher_is_better=False,
        lacking=_BOUND_LACKING,
    )
)
