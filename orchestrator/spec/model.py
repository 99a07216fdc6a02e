"""The nouns of a validated sweep: what `spec.load` gives and the planner takes. Pure data."""

from dataclasses import asdict, dataclass, field

from dfcil_core.config import Dreaming, Quirks, Training
from dfcil_core.data.catalog import DatasetInfo
from dfcil_core.methods.base import Method
from orchestrator.spec.tune_model import Tune
from orchestrator.text import counted


@dataclass(frozen=True)
class Dataset:
    """The data set of a sweep. `root` is where it lies on this machine, and no part of any identity."""

    info: DatasetInfo
    image_size: int
    root: str | None = None
    holdout: float = 0.0
    """Share of each class's training images held out to stand for the test images (tuning); 0: the test images."""


@dataclass(frozen=True)
class Split:
    """How the classes are dealt to tasks, in the class order: the first `sizes[0]` to task 1, and so on."""

    sizes: tuple[int, ...]
    label: str
    """As the spec gives it: `5`, or `50+10` for `{first: 50, then: 10}`."""

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def title(self) -> str:
        """For people: `5 tasks`, `1 task`, `6 tasks (50+10)`."""
        return split_title(self.label, len(self))


def split_title(label: str, tasks: int) -> str:
    """A split for people: `5 tasks`, `1 task`, `6 tasks (50+10)`."""
    count = counted(tasks, "task")
    return count if label == str(tasks) else f"{count} ({label})"


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


@dataclass(frozen=True)
class Exclusion:
    """Jobs left out: those that match every field given. `settings` are dotted paths, as `training.lr`."""

    method: str | None = None
    tasks: str | None = None
    seed: int | None = None
    settings: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class SweepSpec:
    """A sweep as the person meant it: methods x splits x seeds, less the exclusions."""

    name: str
    dataset: Dataset
    methods: tuple[MethodEntry, ...]
    splits: tuple[Split, ...]
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


def matches(exclusion: Exclusion, entry: MethodEntry, split: Split, seed: int) -> bool:
    """Whether every field that the exclusion gives is that of this cell; `method` is a method's name or label."""
    if exclusion.method is not None and exclusion.method not in (entry.label, entry.method.name):
        return False
    if exclusion.tasks is not None and exclusion.tasks != split.label:
        return False
    if exclusion.seed is not None and exclusion.seed != seed:
        return False
    if not exclusion.settings:
        return True
    resolved = settings_of(entry.as_given or entry)
    return all(resolved.get(path) == value for path, value in exclusion.settings.items())


def settings_of(entry: MethodEntry) -> dict[str, object]:
    """Every setting of a method's entry by its dotted path (`training.lr`, `dreaming.steps`, `mu`, `memory`)."""
    flat: dict[str, object] = dict(asdict(entry.method.settings))
    flat |= {f"training.{name}": value for name, value in asdict(entry.training).items()}
    if entry.method.dreams:
        flat |= {f"dreaming.{name}": value for name, value in asdict(entry.dreaming).items()}
    if entry.method.group == "memory":
        flat["memory"] = entry.memory
    flat["quirks"] = entry.quirks
    return flat
