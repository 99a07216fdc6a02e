"""The nouns of a validated sweep: what `load_spec` gives; the planner takes them, and the tuner. Pure data."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from dfcil_core import measures
from dfcil_core.config import Dreaming, Quirks, Training
from dfcil_core.data.catalog import DatasetInfo
from dfcil_core.methods.base import Method
from orchestrator.spec.label import family_of, title_of
from orchestrator.text import counted

Value = bool | int | float | str

OBJECTIVES = {
    name: "maximize" if measure.higher_is_better else "minimize" for name, measure in measures.objectives().items()
}
"""What a search can look for, in percent, and which way is better."""
Sampler = Literal["tpe", "gp", "cmaes", "random", "grid", "qmc"]
Pruner = Literal["auto", "median", "none"]
SAMPLERS: tuple[Sampler, ...] = get_args(Sampler)
PRUNERS: tuple[Pruner, ...] = get_args(Pruner)


@dataclass(frozen=True)
class Dataset:
    """The data set of a sweep. `root` is where it lies on this machine, and no part of any identity."""

    info: DatasetInfo
    image_size: int
    root: str | None = None
    holdout: float = 0.0
    """Share of each class's training images held out to stand for the test images; 0: the test images."""
    folds: tuple[int, ...] = ()
    """Which parts of 1/`holdout` are held out, one after the other; empty: a part drawn by chance."""


@dataclass(frozen=True)
class ClassOrder:
    """In which order the classes are learnt."""

    name: str = "shuffled"
    """For people, and in labels: `natural`, `numpy-1993`, or the name that the spec gives it."""
    labels: tuple[int, ...] | None = None
    """Every label of the data set in that order; None: shuffled by each job's seed."""


SHUFFLED = ClassOrder()


@dataclass(frozen=True)
class FirstModel:
    """A file with the network after task 1."""

    path: str
    """On this machine, and on every worker's; no part of any identity."""
    sha256: str
    """Of its content, 64 hexadecimal digits."""


@dataclass(frozen=True)
class Split:
    """How the classes are dealt to tasks, in the class order: the first `sizes[0]` to task 1, and so on."""

    sizes: tuple[int, ...]
    tasks: str
    """As the spec's `tasks` gives the sizes: `5`, or `50+10` for `{first: 50, then: 10}`."""
    order: ClassOrder = SHUFFLED
    stop_after: int | None = None
    """How many of the tasks are run, where not all are."""

    def __len__(self) -> int:
        """How many tasks are run."""
        return self.stop_after or len(self.sizes)

    @property
    def label(self) -> str:
        """Unique within a sweep, and read by `split_title`: `5`, `50+10`, `5@natural`, `10@3of10`."""
        order = "" if self.order.labels is None else f"@{self.order.name}"
        stop = f"@{self.stop_after}of{len(self.sizes)}" if self.stop_after else ""
        return f"{self.tasks}{order}{stop}"

    @property
    def title(self) -> str:
        """For people: `5 tasks`, `1 task`, `6 tasks (50+10)`, `after task 3 of 10 (natural order)`."""
        return split_title(self.label, len(self))


STOPPED = re.compile(r"(\d+)of(\d+)")
"""The part of a split's label that says after which task of how many it stops: no class order is named so."""


def split_title(label: str, tasks: int) -> str:
    """A split for people, from its label and the number of tasks that are run; see `Split.title`."""
    dealt, order, stopped = _parts(label)
    told = [] if dealt == (stopped[2] if stopped else str(tasks)) else [dealt]
    told += [f"{order} order"] if order else []
    count = f"after task {stopped[1]} of {stopped[2]}" if stopped else counted(tasks, "task")
    return f"{count} ({', '.join(told)})" if told else count


def run_name(seed: int, fold: int | None) -> str:
    """What tells jobs apart that a table has in one cell: `seed 0`, `seed 0 · fold 1`."""
    return f"seed {seed}" if fold is None else f"seed {seed} · fold {fold}"


def order_name(label: str) -> str:
    """The name of the class order in a split's label."""
    return _parts(label)[1] or SHUFFLED.name


def stops(label: str) -> bool:
    """Whether a split's label says that not all of its tasks are run."""
    return _parts(label)[2] is not None


def _parts(label: str) -> tuple[str, str, re.Match[str] | None]:
    """How the classes are dealt, the class order (empty: shuffled), and where it stops."""
    dealt, *rest = label.split("@")
    stopped = STOPPED.fullmatch(rest[-1]) if rest else None
    return dealt, "".join(rest[:-1] if stopped else rest), stopped


@dataclass(frozen=True)
class MethodEntry:
    """One line of `methods:`, with every setting resolved."""

    label: str
    method: Method
    """With its own settings in `method.settings`."""
    training: Training
    dreaming: Dreaming
    memory: int
    """Images kept in all, where the method keeps any."""
    quirks: Quirks
    plugin: str | None = None
    """SHA-256 of the source of the plug-in that the method comes from."""
    as_given: "MethodEntry | None" = None
    """In a rehearsal, the entry before its schedule was shortened: `exclude` speaks of that one."""

    @property
    def title(self) -> str:
        """For people: `abd`, or `abd · mu=0.05` of a cell of a grid."""
        return title_of(self.label)

    @property
    def names(self) -> tuple[str, ...]:
        """What it is called by: its label, its method's name and, of a cell of a grid, the label of the whole grid."""
        return self.label, family_of(self.label), self.method.name

    @property
    def backbone(self) -> str:
        """The network that it trains, by its name in `dfcil_core.networks.catalog.BACKBONES`."""
        variant = self.method.network_variant
        return f"{self.training.backbone}-{variant}" if variant else self.training.backbone

    def first_model(self, files: Mapping[int, FirstModel], seed: int) -> FirstModel | None:
        """The file that its job with this seed takes the network after task 1 from; None: it trains task 1."""
        return files.get(seed) if self.method.chained else None


@dataclass(frozen=True)
class Exclusion:
    """Jobs left out: those that match every field given. `settings` are dotted paths, as `training.lr`."""

    method: str | None = None
    tasks: str | None = None
    seed: int | None = None
    settings: dict[str, object] = field(default_factory=dict)
    class_order: str | None = None
    """Its name."""
    fold: int | None = None


@dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`, both included."""

    low: float
    high: float
    log: bool = False
    """Whether the search goes by orders of magnitude."""
    step: float | None = None
    whole: bool = False
    """Whether the setting is a whole number."""


@dataclass(frozen=True)
class Choices:
    """One of these values."""

    values: tuple[Value, ...]


@dataclass(frozen=True)
class Confirm:
    """The best `top` settings are run again on `seeds`, none of which any trial has seen. 0: no confirmation."""

    top: int = 3
    seeds: tuple[int, ...] = ()


@dataclass(frozen=True)
class Tune:
    """What to tune, how, and how long."""

    method: str
    """Label of the entry under `methods:` whose setting is the published one: trial 0."""
    space: dict[str, Range | Choices]
    """By dotted path, as `dreaming.lr`."""
    trials: int = 50
    """Completed or pruned trials in all, over all launches of the tuner."""
    objective: tuple[str, ...] = ("final_accuracy",)
    sampler: Sampler = "tpe"
    pruner: Pruner = "auto"
    validation: float = 0.1
    """Share of each class's training images that is held out to judge trials by."""
    seed: int = 0
    """Of the sampler."""
    confirm: Confirm = field(default_factory=Confirm)

    @property
    def prunes(self) -> bool:
        """Whether trials may be stopped early. With two objectives there is no order of worse and better."""
        return self.pruner != "none" and len(self.objective) == 1


@dataclass(frozen=True)
class SweepSpec:
    """A sweep as the person meant it: methods x splits x folds x seeds, less the exclusions."""

    name: str
    dataset: Dataset
    methods: tuple[MethodEntry, ...]
    splits: tuple[Split, ...]
    """Task splits x class orders."""
    seeds: tuple[int, ...]
    exclude: tuple[Exclusion, ...] = ()
    text: str = ""
    """The YAML as given."""
    tune: Tune | None = None
    """The `tune:` section; `launch` ignores it."""
    overrides: tuple[str, ...] = ()
    """What `--set` gave, as `training.lr=0.05`: `text` and these together are the whole of what the person said."""
    rehearsed: bool = False
    """Whether this is the rehearsal of the spec in `text` (rehearse.py)."""
    plugin: str | None = None
    """The file of the plug-in that was given, on this machine."""
    first_models: Mapping[int, FirstModel] = field(default_factory=dict)
    """The file with the network after task 1, by seed; empty: task 1 is trained."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """What the readers of further top-level keys gave, by key."""


def matches(exclusion: Exclusion, entry: MethodEntry, split: Split, seed: int, fold: int | None = None) -> bool:
    """Whether every field that the exclusion gives is that of this cell; `method` is one of the entry's names."""
    if exclusion.method is not None and exclusion.method not in entry.names:
        return False
    if exclusion.tasks is not None and exclusion.tasks != split.tasks:
        return False
    if exclusion.class_order is not None and exclusion.class_order != split.order.name:
        return False
    if exclusion.seed is not None and exclusion.seed != seed:
        return False
    if exclusion.fold is not None and exclusion.fold != fold:
        return False
    if not exclusion.settings:
        return True
    resolved = settings_of(entry.as_given or entry)
    return all(resolved.get(path) == value for path, value in exclusion.settings.items())


def settings_of(entry: MethodEntry) -> dict[str, object]:
    """Every setting of an entry that acts, by its dotted path (`training.lr`, `dreaming.steps`, `mu`, `memory`)."""
    flat: dict[str, object] = dict(asdict(entry.method.settings))
    flat |= {f"training.{name}": value for name, value in entry.training.acting().items()}
    if entry.method.dreams:
        flat |= {f"dreaming.{name}": value for name, value in asdict(entry.dreaming).items()}
    if entry.method.group == "memory":
        flat["memory"] = entry.memory
    flat["quirks"] = entry.quirks
    return flat
