"""The plan of a sweep whose methods come from a plug-in, written down: `runs/sweeps/<name>/plan.json`.

Which stages such a sweep has, only its plug-in's code can say, and a runs folder may come from a stranger: its code is
run by a launch that names the plug-in, and by nothing else. All other commands read here what was launched.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, make_dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, MinLen
from pydantic import Strict, StringConstraints, TypeAdapter, ValidationError

from dfcil_core.config import Dreaming, Quirks, Recipe, Training
from dfcil_core.data.catalog import DATASETS, DatasetInfo
from dfcil_core.methods import METHODS
from dfcil_core.methods.base import Method
from dfcil_core.networks.catalog import BACKBONES
from orchestrator.errors import UserError
from orchestrator.plan.plan import Job, Plan, users_of
from orchestrator.plan.stage import FOLDER, Stage
from orchestrator.spec.model import SHUFFLED, ClassOrder, Dataset, MethodEntry, Split, SweepSpec
from orchestrator.store.our_files import Count, Key, Nonsense, first_problem, read

FILE = "plan.json"
REMEDY = "Launch the sweep again with --plugin, and it is written anew; or remove the sweep's folder"

_Name = Annotated[str, StringConstraints(pattern=r"^\w[\w.+=@-]*$", max_length=200)]
_Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=200)]
_Label = Annotated[int, Strict(), Ge(0)]
_Size = Annotated[int, Strict(), Ge(1)]


class Recorded(Method):
    """Stands for a method whose code is not run: what was written down of it."""

    @classmethod
    def of(cls, told: "ToldMethod") -> Method:
        """A method that says what `told` does."""
        settings = {name: _frozen(value) for name, value in told.settings.items()}
        settings_type = make_dataclass("Settings", list(settings), frozen=True)
        about = {name: getattr(told, name) for name in ("name", "group", "dreams", "summary", "source")}
        made: type[Method] = type("Recorded", (cls,), {**about, "settings_type": settings_type})
        return made(settings_type(**settings))


@dataclass(frozen=True)
class ToldMethod:
    """What a method says of itself."""

    name: _Name
    group: Literal["bound", "data-free", "memory"]
    dreams: bool
    settings: dict[_Identifier, Any]
    summary: str = ""
    source: str = ""


@dataclass(frozen=True)
class ToldTraining(Training):
    """How a network was trained, with a backbone that may be a plug-in's."""

    backbone: _Name = Training.backbone


@dataclass(frozen=True)
class ToldEntry:
    """One line of `methods:`, with every setting resolved."""

    label: _Name
    method: ToldMethod
    training: ToldTraining
    dreaming: Dreaming
    memory: Count
    quirks: Quirks
    plugin: Key | None = None


@dataclass(frozen=True)
class ToldSplit:
    """A split of the classes."""

    sizes: Annotated[tuple[_Size, ...], MinLen(1)]
    label: _Name
    """Without its class order and where it stops."""
    order: _Name = SHUFFLED.name
    labels: tuple[_Label, ...] | None = None
    """The data set's labels in the order they are learnt; None: by seed, in `ToldPlan.orders`."""
    stop_after: _Size | None = None


@dataclass(frozen=True)
class ToldJob:
    """A job: its entry and its split by their positions."""

    entry: Count
    split: Count
    seed: Annotated[int, Strict()]
    learn: tuple[Key | None, ...]
    stages: Annotated[tuple[Key, ...], MinLen(1)]
    fold: Count | None = None


@dataclass(frozen=True)
class ToldPlan:
    """All of a plan that a reader of results asks for."""

    name: _Name
    device: str
    dataset: dict[str, Any]
    image_size: _Size
    methods: tuple[ToldEntry, ...]
    splits: tuple[ToldSplit, ...]
    orders: dict[int, tuple[_Label, ...]]
    """The data set's labels in the order they are learnt, by seed, where it is the seed that shuffles them."""
    jobs: tuple[ToldJob, ...]
    stages: dict[Key, Recipe]
    """Parents before children."""
    holdout: float = 0.0
    folds: tuple[Count, ...] = ()
    unshared: Count = 0
    excluded: Count = 0


_INFO = TypeAdapter(DatasetInfo)


@cache
def _told() -> TypeAdapter[ToldPlan]:
    # Made when there is such a plan: it is the largest of all schemas, and most commands never meet one.
    return TypeAdapter(ToldPlan)


def of_plugin(plan: Plan) -> bool:
    """Whether a method, a backbone or the data set is not ours, so that the plan's stages are to be written down."""
    if "plugin" in plan.spec.dataset.info.options or any(entry.plugin for entry in plan.spec.methods):
        return True
    return any("backbone_plugin" in stage.recipe.training for stage in plan.stages.values())


def require_own_methods(plan: Plan) -> None:
    """Raise UserError where the networks of a plan's jobs are known only to the code of a plug-in that is not run."""
    labels = [
        entry.label
        for entry in plan.spec.methods
        if isinstance(entry.method, Recorded) or entry.training.backbone not in BACKBONES
    ]
    if labels:
        raise UserError(
            f"--log-models: what {', '.join(labels)} tested only the code of its plug-in knows, which no command runs "
            "but a launch that names it: dfcil-sweep launch SPEC --plugin FILE --log-models"
        )


def to_json(plan: Plan) -> dict[str, Any]:
    """What is written down of a plan, as plain JSON data."""
    spec = plan.spec
    entries, splits = [entry.label for entry in spec.methods], list(spec.splits)
    return {
        "name": spec.name,
        "device": plan.device,
        "dataset": {name: value for name, value in asdict(spec.dataset.info).items() if name != "opens"},
        "image_size": spec.dataset.image_size,
        "holdout": spec.dataset.holdout,
        "folds": spec.dataset.folds,
        "methods": [_entry_to_json(entry) for entry in spec.methods],
        "splits": [
            {
                "sizes": split.sizes,
                "label": split.tasks,
                "order": split.order.name,
                "labels": split.order.labels,
                "stop_after": split.stop_after,
            }
            for split in spec.splits
        ],
        "orders": {str(job.seed): job.class_order for job in plan.jobs if job.split.order == SHUFFLED},
        "jobs": [
            {
                "entry": entries.index(job.entry.label),
                "split": splits.index(job.split),
                "seed": job.seed,
                "learn": job.learn,
                "stages": job.stages,
                "fold": job.fold,
            }
            for job in plan.jobs
        ],
        "stages": {key: stage.recipe.to_json() for key, stage in plan.stages.items()},
        "unshared": plan.unshared,
        "excluded": plan.excluded,
    }


def load(path: Path, text: str, overrides: tuple[str, ...], rehearsed: bool) -> Plan:
    """The plan that a file tells, of the sweep whose spec is `text`. Raises FileNotFoundError and Nonsense."""
    return _from_told(read(path, _told(), REMEDY), path, text, overrides, rehearsed)


def _from_told(told: ToldPlan, path: Path, text: str, overrides: tuple[str, ...], rehearsed: bool) -> Plan:
    """The plan; `path` is where it was told, for messages. Raises Nonsense where its parts do not fit together."""
    problem = _problem(told)
    if problem:
        raise Nonsense(path, problem, REMEDY)
    info = dataset_info(told.dataset, path)
    entries = tuple(_entry(entry) for entry in told.methods)
    splits = tuple(
        Split(split.sizes, split.label, ClassOrder(split.order, split.labels), split.stop_after)
        for split in told.splits
    )
    spec = SweepSpec(
        name=told.name,
        dataset=Dataset(info, told.image_size, None, told.holdout, told.folds),
        methods=entries,
        splits=splits,
        seeds=tuple(dict.fromkeys(job.seed for job in told.jobs)),
        text=text,
        overrides=overrides,
        rehearsed=rehearsed,
    )
    stages = {key: _stage(key, recipe) for key, recipe in told.stages.items()}
    jobs = []
    for job in told.jobs:
        split = splits[job.split]
        order = split.order.labels or told.orders[job.seed]
        jobs.append(Job(entries[job.entry], split, job.seed, order, job.learn, job.stages, job.fold))
    return Plan(spec, tuple(jobs), stages, told.unshared, told.excluded, told.device, users_of(jobs))


def _problem(told: ToldPlan) -> str | None:
    """What does not fit together; the first such thing."""
    for key, recipe in told.stages.items():
        name = _stage(key, recipe).folder
        if not FOLDER.fullmatch(name) or not set(name) <= _FOLDER_SIGNS:
            return f"stages.{key[:16]}: {name!r} is no name of a stage's folder"
        if not recipe.classes or not all(recipe.classes):
            return f"stages.{key[:16]}: it has no classes"
        if recipe.kind == "dream" and type(recipe.settings.get("steps")) is not int:
            return f"stages.{key[:16]}: settings.steps is no number of steps"
        if recipe.kind == "dream" and type(recipe.training.get("batch_size")) is not int:
            return f"stages.{key[:16]}: training.batch_size is no number of images"
        if recipe.kind == "remember" and type(recipe.settings.get("memory")) is not int:
            return f"stages.{key[:16]}: settings.memory is no number of images"
        if recipe.kind == "learn" and type(recipe.training.get("epochs", 1)) is not int:
            return f"stages.{key[:16]}: training.epochs is no number of epochs"
    if set().union(*(job.stages for job in told.jobs)) != told.stages.keys():
        return "the stages are not those of the jobs"
    names = set()
    for number, job in enumerate(told.jobs):
        if job.entry >= len(told.methods) or job.split >= len(told.splits):
            return f"jobs.{number}: there is no such entry or split"
        split = told.splits[job.split]
        order = split.labels or told.orders.get(job.seed, ())
        tasks = split.stop_after or len(split.sizes)
        if sum(split.sizes) != len(order) or len(set(order)) != len(order):
            return f"jobs.{number}: the class order is none of {sum(split.sizes)} classes"
        if tasks > len(split.sizes):
            return f"jobs.{number}: there is no task {tasks} to stop after"
        if len(job.learn) != tasks or job.learn[-1] is None or not set(job.stages) >= {*job.learn} - {None}:
            return f"jobs.{number}: learn does not name the stages of {tasks} tasks"
        names.add((job.entry, job.split, job.seed, job.fold))
    return None if len(names) == len(told.jobs) else "a job is there twice"


_FOLDER_SIGNS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-")


def _stage(key: str, recipe: Recipe) -> Stage:
    stage = Stage(recipe)
    # `key` is a cached property: what is put in its place is what everybody sees.
    stage.__dict__["key"] = key
    return stage


def _entry_to_json(entry: MethodEntry) -> dict[str, Any]:
    method = entry.method
    about = {name: getattr(method, name) for name in ("name", "group", "dreams", "summary", "source")}
    return {
        "label": entry.label,
        "method": {**about, "settings": asdict(method.settings)},
        "training": asdict(entry.training),
        "dreaming": asdict(entry.dreaming),
        "memory": entry.memory,
        "quirks": entry.quirks,
        "plugin": entry.plugin,
    }


def _entry(told: ToldEntry) -> MethodEntry:
    return MethodEntry(
        label=told.label,
        method=_ours(told) or Recorded.of(told.method),
        training=Training(**vars(told.training)),
        dreaming=told.dreaming,
        memory=told.memory,
        quirks=told.quirks,
        plugin=told.plugin,
    )


def _ours(told: ToldEntry) -> Method | None:
    """One of our own methods, with its own code; None for a plug-in's, and for one that has changed since."""
    if told.plugin is not None or told.method.name not in METHODS:
        return None
    method = METHODS[told.method.name]
    if not method.__module__.startswith("dfcil_core."):
        return None
    try:
        return method(TypeAdapter(method.settings_type).validate_python(told.method.settings))
    except ValidationError:
        return None


def _frozen(value: Any) -> Any:
    """JSON's lists as tuples."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def dataset_info(told: Mapping[str, Any], path: Path) -> DatasetInfo:
    """The data set as it was launched. Which function opens it is ours to say, never a file's. Raises Nonsense."""
    name = told.get("name")
    options = told.get("options")
    of_plugin = isinstance(options, dict) and "plugin" in options
    if not isinstance(name, str) or not (name in DATASETS or of_plugin):
        raise Nonsense(path, f"dataset: {name!r} is no data set of this program", REMEDY)
    try:
        return _INFO.validate_python({**told, "opens": "" if of_plugin else DATASETS[name].opens})
    except ValidationError as error:
        raise Nonsense(path, f"dataset.{first_problem(error)}", REMEDY) from None
