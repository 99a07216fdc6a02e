"""From a sweep to its jobs, and from the jobs to the stage graph they share. Pure: no disk, no clock, no torch."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache, cached_property
from typing import Any, Literal, cast

from dfcil_core import config
from dfcil_core.config import AugmentationChoice, DataRecipe, Recipe
from dfcil_core.methods.base import Method
from dfcil_core.methods.first_model import FirstModel as FirstModelMethod
from dfcil_core.networks.catalog import BACKBONES
from orchestrator.garbage import no_garbage
from orchestrator.plan.fingerprint import fingerprint
from orchestrator.plan.stage import Stage
from orchestrator.spec.model import Dataset, FirstModel, MethodEntry, Split, SweepSpec, matches, run_name

# What of `training` builds the network; the rest acts only while it learns.
_NETWORK_SETTINGS = ("backbone",)
# What of `training` matters to `dream`: the network, the batch of noise, the arithmetic.
_DREAM_TRAINING = ("backbone", "batch_size", "precision")


@dataclass(frozen=True)
class Job:
    """One cell of the sweep: a method, on a split of the classes, with a seed. A chain of stages."""

    entry: MethodEntry
    split: Split
    seed: int
    class_order: tuple[int, ...]
    """The data set's labels in the order they are learnt."""
    learn: tuple[str | None, ...]
    """Key of `learn` for each task; None where the job trains nothing (the upper bound before its last task)."""
    stages: tuple[str, ...]
    """Keys of all stages, parents before children."""
    fold: int | None = None
    """Which part of the training images stands for the test images; None where the sweep lists no folds."""

    @property
    def name(self) -> str:
        """For people: `abd · 5 tasks · seed 0`. Unique within a sweep."""
        return job_name(self.entry, self.split, self.seed, self.fold)

    @cached_property
    def id(self) -> str:
        """What it is found again by: 32 hexadecimal digits over its label, split, seed and all its stages."""
        identity = {"label": self.entry.label, "split": self.split.label, "seed": self.seed, "stages": self.stages}
        return fingerprint(identity)[:32]

    @property
    def slug(self) -> str:
        """For file names and the command line: `abd-5-s0`, `abd-5-s0-f1`."""
        fold = "" if self.fold is None else f"-f{self.fold}"
        return f"{self.entry.label}-{self.split.label}-s{self.seed}{fold}"

    @property
    def tasks(self) -> tuple[tuple[int, ...], ...]:
        """The classes of each task, as labels of the data set."""
        return deal(self.class_order, self.split.sizes[: len(self.split)])


@dataclass(frozen=True)
class Plan:
    """The jobs of a sweep and the stages they share, parents before children."""

    spec: SweepSpec
    jobs: tuple[Job, ...]
    stages: dict[str, Stage]
    unshared: int
    """Stages there would be if every job did all of its own."""
    excluded: int
    """Cells that `exclude:` took out."""
    device: str = "cpu"
    users: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Key of a stage to the positions in `jobs` of the jobs that need it."""

    def jobs_of(self, key: str) -> list[Job]:
        """The jobs that need the stage of that key."""
        return [self.jobs[position] for position in self.users[key]]

    def count(self, kind: str) -> int:
        """How many stages of a kind there are."""
        return sum(stage.recipe.kind == kind for stage in self.stages.values())


def job_name(entry: MethodEntry, split: Split, seed: int, fold: int | None = None) -> str:
    """A job's name for people: `abd · 5 tasks · seed 0`."""
    return f"{entry.title} · {split.title} · {run_name(seed, fold)}"


@cache
def class_order(classes: int, seed: int) -> tuple[int, ...]:
    """The labels 0..classes-1 shuffled: the order of the public code's `random.seed(seed); random.shuffle(...)`."""
    order = list(range(classes))
    random.Random(seed).shuffle(order)
    return tuple(order)


def deal(order: tuple[int, ...], sizes: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Consecutive slices of `order` with the given sizes."""
    tasks, start = [], 0
    for size in sizes:
        tasks.append(order[start : start + size])
        start += size
    return tuple(tasks)


def make_plan(spec: SweepSpec, device: str = "cpu", launched: Mapping[str, Sequence[str]] | None = None) -> Plan:
    """Expand a sweep to jobs and to the de-duplicated graph of the stages they need.

    `launched`: job's name to the keys its stages had when it was launched. They are taken as they are: it is what was
    computed, also where a later version of the program would give the stages other identities.
    """
    jobs: list[Job] = []
    stages: dict[str, Stage] = {}
    unshared = excluded = 0
    with no_garbage():
        for entry, split, seed, common in _cells(spec, device):
            fold = common.data.fold
            if any(matches(exclusion, entry, split, seed, fold) for exclusion in spec.exclude):
                excluded += 1
                continue
            known = launched.get(job_name(entry, split, seed, fold), ()) if launched else ()
            chain = _Chain(entry, split, seed, common, known, entry.first_model(spec.first_models, seed))
            for stage in chain.stages:
                stages.setdefault(stage.key, stage)
            unshared += len(chain.stages)
            jobs.append(chain.job())
        users = users_of(jobs)
    return Plan(spec, tuple(jobs), stages, unshared, excluded, device, users)


def users_of(jobs: Sequence[Job]) -> dict[str, tuple[int, ...]]:
    """Key of each stage to the positions of the jobs that need it."""
    users: dict[str, list[int]] = {}
    for position, job in enumerate(jobs):
        for key in job.stages:
            users.setdefault(key, []).append(position)
    return {key: tuple(where) for key, where in users.items()}


def data_recipe(
    dataset: Dataset, method: Method, augmentation: AugmentationChoice = "published", fold: int | None = None
) -> DataRecipe:
    """The images of a sweep as a method augments and normalises them, or as `training.augmentation` says.

    `fold` is held out, where there are folds.
    """
    info = replace(dataset.info, image_size=dataset.image_size)
    named = {
        "published": method.augmentation(info),
        "crop-flip": info.sized("crop-flip" if info.flips else "crop"),
        "none": "none",
    }
    mean, std = method.normalisation(info) or (None, None)
    return DataRecipe(
        name=dataset.info.name,
        digest=dataset.info.digest,
        image_size=dataset.image_size,
        augmentation=named[augmentation],
        holdout=dataset.holdout,
        fold=fold,
        mean=mean,
        std=std,
        options=dataset.info.options,
    )


@dataclass(frozen=True)
class _Common:
    """What all stages of a method's entry are told alike."""

    device: Literal["cpu", "cuda"]
    data: DataRecipe
    training: dict[str, Any]
    dreaming: dict[str, Any]

    @classmethod
    def of(cls, entry: MethodEntry, dataset: Dataset, device: str, fold: int | None) -> "_Common":
        training = entry.training.in_recipe()
        training["backbone"] = entry.backbone
        kind = cast(Literal["cpu", "cuda"], device)  # what a launch computes on, as cluster/device.py names it
        data = data_recipe(dataset, entry.method, entry.training.augmentation, fold)
        return cls(kind, data, training, asdict(entry.dreaming))


def _cells(spec: SweepSpec, device: str) -> Iterator[tuple[MethodEntry, Split, int, _Common]]:
    for entry in spec.methods:
        commons = [_Common.of(entry, spec.dataset, device, fold) for fold in spec.dataset.folds or (None,)]
        for split in spec.splits:
            for common in commons:
                for seed in spec.seeds:
                    yield entry, split, seed, common


class _Chain:
    """The stages of one job, in order."""

    def __init__(
        self,
        entry: MethodEntry,
        split: Split,
        seed: int,
        common: _Common,
        launched: Sequence[str] = (),
        first_model: FirstModel | None = None,
    ) -> None:
        self.first_model = first_model
        self.entry, self.split, self.seed, self.common, self.launched = entry, split, seed, common, launched
        # All classes, also where not all tasks are run: the head is as wide as the whole sweep's.
        self.order = split.order.labels or class_order(sum(split.sizes), seed)
        self.tasks = deal(self.order, split.sizes[: len(split)])
        self.stages: list[Stage] = []
        self.learnt: list[str | None] = []
        build = self._chained if entry.method.chained else self._from_scratch
        for _ in build():
            pass

    def job(self) -> Job:
        keys = tuple(stage.key for stage in self.stages)
        return Job(self.entry, self.split, self.seed, self.order, tuple(self.learnt), keys, self.common.data.fold)

    def _chained(self) -> Iterator[None]:
        method = self.entry.method
        parents: dict[str, str] = {}
        for task in range(1, len(self.tasks) + 1):
            if task == 1 and self.first_model is not None:
                parents["model"] = self._take(self.first_model)
            else:
                parents["model"] = self._learn(task, self.tasks[:task], task - 1, parents)
            if task < len(self.tasks):
                # Dreaming and remembering open the next task: nothing of either after the last one.
                if method.selection:
                    parents["memory"] = self._remember(task, parents)
                if method.dreams:
                    parents["generator"] = self._dream(task, parents)
            yield

    def _from_scratch(self) -> Iterator[None]:
        last = len(self.tasks)
        for task in range(1, last + 1):
            if task < last and not self.entry.method.trains_task(task, last):
                self.learnt.append(None)
            else:
                # One task of all classes so far: the same stage whatever the split, and stream 0 always.
                self._learn(task, (sum(self.tasks[:task], ()),), 0, {})
            yield

    def _learn(self, task: int, classes: tuple[tuple[int, ...], ...], stream: int, parents: dict[str, str]) -> str:
        name, version, settings = self.entry.method.learn_identity(task, self.entry.memory, self.entry.quirks)
        plugin = self.entry.plugin if name == self.entry.method.name else None
        versions = {"data": config.DATA_VERSION, "loop": config.LOOP_VERSION, "method": version}
        key = self._add("learn", classes, stream, self.common.training, name, versions, settings, parents, plugin)
        self.learnt.append(key)
        return key

    def _take(self, file: FirstModel) -> str:
        """`learn` of task 1, whose network is that of a file. It is tested alone: of no method, nor of its schedule."""
        versions = {"data": config.DATA_VERSION, "loop": config.LOOP_VERSION, "method": FirstModelMethod.version}
        training = {name: self.common.training[name] for name in _NETWORK_SETTINGS}
        settings = {"first_model": file.sha256}
        data = replace(self.common.data, augmentation="none")
        name = FirstModelMethod.name
        key = self._add("learn", self.tasks[:1], 0, training, name, versions, settings, {}, data=data)
        self.learnt.append(key)
        return key

    def _remember(self, task: int, parents: dict[str, str]) -> str:
        roles = ("model", "memory") if self.entry.method.selection_needs_model else ("memory",)
        settings = self.entry.method.remember_identity(task, self.entry.memory, self.entry.quirks)
        training = {name: self.common.training[name] for name in _NETWORK_SETTINGS} if "model" in roles else {}
        return self._add(
            "remember",
            self.tasks[:task],
            task - 1,
            training,
            settings["selection"],
            {"data": config.DATA_VERSION, "memory": config.MEMORY_VERSION},
            settings,
            {role: parents[role] for role in roles if role in parents},
        )

    def _dream(self, task: int, parents: dict[str, str]) -> str:
        method = self.entry.method
        roles = ("model", "generator") if method.continues_generator else ("model",)
        fresh = "generator" not in parents or not method.continues_generator
        return self._add(
            "dream",
            self.tasks[:task],
            task - 1,
            {name: self.common.training[name] for name in _DREAM_TRAINING},
            "deep-inversion",
            {"dream": config.DREAM_VERSION},
            {**self.common.dreaming, **(method.start_identity(self.entry.quirks) if fresh else {})},
            {role: parents[role] for role in roles if role in parents},
        )

    def _add(
        self,
        kind: Literal["learn", "remember", "dream"],
        classes: tuple[tuple[int, ...], ...],
        stream: int,
        training: dict[str, Any],
        method: str,
        versions: dict[str, int],
        settings: dict[str, Any],
        parents: Mapping[str, str],
        plugin: str | None = None,
        data: DataRecipe | None = None,
    ) -> str:
        backbone = BACKBONES.get(training.get("backbone", ""))
        if backbone and backbone.version > 1:
            versions = {**versions, "network": backbone.version}
        if backbone and backbone.plugin:
            training = {**training, "backbone_plugin": backbone.plugin}
        if settings.get("quirks") == "iccv2021":
            versions = {**versions, "quirks": config.QUIRKS_VERSION}
        if training.get("precision") == "bfloat16":
            versions = {**versions, "bfloat16": config.BFLOAT16_VERSION}
        if self.common.device == "cuda" and training.get("optimizer", "sgd") != "sgd":
            versions = {**versions, "gpu_adam": config.GPU_ADAM_VERSION}
        stage = Stage(
            Recipe(
                kind=kind,
                versions=versions,
                device=self.common.device,
                seed=self.seed,
                stream=stream,
                data=data or self.common.data,
                classes=classes,
                width=len(self.order),
                training=training,
                method=method,
                settings=settings,
                plugin=plugin,
                parents=dict(parents),
            )
        )
        if len(self.stages) < len(self.launched):
            # `key` is a cached property: what is put in its place is what everybody sees.
            stage.__dict__["key"] = self.launched[len(self.stages)]
        self.stages.append(stage)
        return stage.key
