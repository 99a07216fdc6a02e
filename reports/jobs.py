"""What a report knows of a job and of a sweep, whether it comes from the store or from a tracking store."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.results.by_class import ClassCounts, Confusion
from orchestrator.spec.label import title_of, varied_by
from orchestrator.spec.model import Value, order_name, run_name, split_title

Rows = tuple[tuple[float, ...] | None, ...]
FINISHED, FAILED, HALF, MISSING = "finished", "failed", "half-finished", "missing"
STATES = (FINISHED, FAILED, HALF, MISSING)
PROVENANCE = ("commit", "versions", "device", "host", "processor", "instructions")
"""What is told of where numbers come from; older records lack the last two."""


def no_dreams() -> list[tuple[int, bytes]]:
    """Of a job that dreams nothing."""
    return []


def not_known() -> None:
    """Of a job whose source does not tell."""


@dataclass(frozen=True)
class JobReport:
    """A job as a report sees it. Accuracies are in percent, times in seconds (`started`, `ended`: since 1970)."""

    sweep: str
    source: str
    """The sweep, told apart from another one of the same name."""
    id: str
    """Equal for equal label, split, seed and stages."""
    label: str
    method: str
    group: str
    """bound, data-free or memory; empty where nobody knows (a plug-in's run that has not ended)."""
    dataset: str
    split: str
    tasks: int
    seed: int
    settings: Mapping[str, str]
    """Every resolved setting by its dotted path."""
    matrix: Rows
    local: Rows
    images: tuple[int, ...] | None
    """Test images of each task."""
    state: str
    """One of STATES."""
    error: str
    done: int
    asked: int
    """Stages that are done, and those that there are to do."""
    seconds: float
    """Of its stages, those shared with other jobs included."""
    started: float | None
    ended: float | None
    provenance: Mapping[str, tuple[str, ...]]
    """`commit`, `versions`, `device`, `host`, `processor`, `instructions`: every value that its stages have."""
    stages: tuple[str, ...]
    """Folders of its stages in the store; each ends in the first 16 digits of the stage's key."""
    run: str | None = None
    """Address of its MLflow run, where it is known."""
    times: Mapping[str, float] = field(default_factory=dict, compare=False)
    """Seconds of each of its finished stages, by folder, where they are known."""
    top5: tuple[float, ...] | None = None
    """Top-5 accuracy after the last task, by task; None where it was not counted."""
    fold: int | None = None
    """Which part of the training images was held out, where the sweep lists folds."""
    dreams: Callable[[], list[tuple[int, bytes]]] = field(default=no_dreams, compare=False, repr=False)
    """Task and picture (a file's content) of what was dreamed, read when asked for."""

    counts: Callable[[], ClassCounts | None] = field(default=not_known, compare=False, repr=False)
    """Right answers by class after each task; None where the source does not know them."""
    confusion: Callable[[], Confusion | None] = field(default=not_known, compare=False, repr=False)
    """Which class was taken for which after the last task; None where that is not known."""

    @property
    def title(self) -> str:
        """The split, for people: `5 tasks`, `6 tasks (50+10)`."""
        return split_title(self.split, self.tasks)

    @property
    def holdout(self) -> float:
        """Share of the training images that was held out to stand for the test images; 0: the test images."""
        return float(self.settings.get("holdout", 0))

    @property
    def class_order(self) -> str:
        """The name of its class order."""
        return order_name(self.split)

    @property
    def name(self) -> str:
        """For people: `abd · 5 tasks · seed 0`."""
        return f"{title_of(self.label)} · {self.title} · {run_name(self.seed, self.fold)}"

    @property
    def varied(self) -> dict[str, Value]:
        """The settings that vary over the grid it is a cell of, by dotted path; empty where there is no grid."""
        return {path: value_of(self.settings[path]) for path in varied_by(self.label) if path in self.settings}

    @property
    def finished(self) -> bool:
        """Whether all of it is done."""
        return self.state == FINISHED


@dataclass(frozen=True)
class SweepReport:
    """A sweep as a report sees it."""

    name: str
    source: str
    spec: str
    """The YAML as given; empty where it is not known."""
    overrides: tuple[str, ...]
    jobs: tuple[JobReport, ...]
    notes: tuple[str, ...] = ()
    """What a reader of its tables must know."""


def value_of(setting: str) -> Value:
    """The value of a setting from its text: a number, true or false, else the text itself."""
    if setting in ("True", "False"):
        return setting == "True"
    for number in (int, float):
        try:
            return number(setting)
        except ValueError:
            continue
    return setting


def machines(jobs: Iterable[JobReport]) -> list[str]:
    """Every device that jobs were computed on, and every kind of instructions on a CPU: `cpu (AMD EPYC), AVX2`.

    In order of appearance. Where a job names several of either, all of them stand in one text.
    """
    found: dict[str, None] = {}
    for job in jobs:
        devices, instructions = (job.provenance.get(name, ()) for name in ("device", "instructions"))
        if devices:
            # A GPU's numbers do not depend on what stands beside it.
            cpu = any(device.startswith("cpu") for device in devices)
            found[", ".join([" and ".join(devices), *(instructions if cpu else ())])] = None
    return list(found)


def told_apart(a: Sequence[JobReport], b: Sequence[JobReport]) -> bool:
    """Whether the jobs of two sides are known to have been computed on different devices or instructions."""
    for name in ("device", "instructions"):
        one, other = ({value for job in jobs for value in job.provenance.get(name, ())} for jobs in (a, b))
        if one and other and one != other:
            return True
    return False
