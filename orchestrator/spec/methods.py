"""The `methods:` section: each entry, with every setting resolved on top of what the spec says for all."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dfcil_core import plugins
from dfcil_core.config import Dreaming, Training
from dfcil_core.methods import METHODS
from dfcil_core.methods.base import Method
from dfcil_core.networks.catalog import BACKBONES, backbone_names
from orchestrator.errors import choices
from orchestrator.spec import grid, settings
from orchestrator.spec.label import cell_label
from orchestrator.spec.model import Dataset, MethodEntry
from orchestrator.spec.reading import Reading
from orchestrator.spec.settings import Common, folder, unknown
from orchestrator.spec.training import ADAM_LR, check_together, check_warmup
from orchestrator.spec.yaml_document import Document, KeyPath, show


def read_methods(reading: Reading) -> tuple[MethodEntry, ...]:
    """The entries that are right; `training`, `dreaming`, `memory` and `quirks` are read with them."""
    entries = tuple(_Entries(reading.document, reading.dataset).read())
    if reading.dataset:
        _check_size(reading.document, reading.dataset.image_size, entries)
    return entries


def _check_size(document: Document, size: int, entries: Sequence[MethodEntry]) -> None:
    """A generator of images doubles its size a few times, and cannot make every size."""
    for entry in entries:
        multiple = entry.method.size_multiple(size)
        if size % multiple:
            verb = "dreams" if entry.method.dreams else "makes"
            message = f"{size} is not divisible by {multiple}, as images that {entry.label} {verb} must be"
            below = size // multiple * multiple
            near = f"{below} or {below + multiple} would do" if below else f"{multiple} would do"
            document.add(("dataset", "image_size"), message, size, near)
            return


class _Entries:
    """Reads `methods:`, each entry on top of what the spec says for all."""

    def __init__(self, document: Document, dataset: Dataset | None) -> None:
        self.document = document
        self.info = replace(dataset.info, image_size=dataset.image_size) if dataset else None
        """The data set, at the size of its images, which a method's own recipe can depend on."""
        data = document.data
        self.common = {key: data[key] for key in settings.names(Common) if key in data}
        self.common = settings.read(document, (), self.common, Common)
        self.training = settings.section(document, ("training",), data.get("training"), Training)
        self.dreaming = settings.section(document, ("dreaming",), data.get("dreaming"), Dreaming)
        self.labels: dict[str, str | int] = {}
        """To the position of the entry that has it."""

    def read(self) -> list[MethodEntry]:
        """The entries that are right."""
        together = replace(Training(), **self.training)
        check_together(self.document, ("training",), self.training, together)
        if {"epochs", "milestones"} <= self.training.keys():
            self._check_milestones(together, (), {})
        given = self.document.data.get("methods")
        if not isinstance(given, list) or not given:
            message = "the sweep has no methods" if given in (None, []) else f"{show(given)} is not a list"
            remedy = f"Write them as [base, {{name: abd, mu: 0.2}}]. {choices('', METHODS)}"
            self.document.add(("methods",), message, given, remedy)
            return []
        read: list[MethodEntry] = []
        for index, item in enumerate(given):
            path: KeyPath = ("methods", index)
            for cell in grid.cells(self.document, path, item):
                with self.document.elsewhere(cell.moved):
                    read += self._entry(path, cell)
        return read

    def _entry(self, path: KeyPath, cell: grid.Cell) -> list[MethodEntry]:
        """The entry; nothing where it is wrong."""
        document, item, before = self.document, cell.given, len(self.document.problems)
        given = item if isinstance(item, dict) else {"name": item}
        at_name = (*path, "name") if isinstance(item, dict) else path
        name = given.get("name")
        if not isinstance(name, str) or name not in METHODS:
            message = "the entry has no name" if name is None else f"unknown method {show(name)}"
            remedy = choices("" if name is None else str(name), METHODS)
            if "name" not in given and len(given) == 1 and set(given) <= set(METHODS):
                remedy = f"Write it as {{name: {next(iter(given))}, ...}}"
            document.add(at_name, message, name, remedy)
            return []
        method_type = METHODS[name]
        label = self._label(path, given, name, cell)

        shared = [key for key in ("memory", "quirks") if key in given and key in takes(method_type)]
        common = settings.read(document, path, {key: given[key] for key in shared}, Common)
        own_training = self._section(path, given, method_type, "training", Training)
        dreaming = self._section(path, given, method_type, "dreaming", Dreaming)
        recipe = method_type.recipe_for(self.info) if self.info else method_type.recipe
        own = {**recipe.get("settings", {}), **self._own(path, given, method_type)}
        training = self._training(dict(recipe.get("training", {})), own_training, path)
        self._check_variant(method_type, training.backbone, at_name)
        if len(document.problems) > before:
            return []
        entry = MethodEntry(
            label=label,
            method=method_type(method_type.settings_type(**own)),
            training=training,
            dreaming=replace(Dreaming(), **{**recipe.get("dreaming", {}), **self.dreaming, **dreaming}),
            plugin=plugins.digest_of(name),
            **{"memory": Common.memory, "quirks": Common.quirks, **self.common, **common},
        )
        return [entry]

    def _check_variant(self, method_type: type[Method], backbone: str, at_name: KeyPath) -> None:
        """Note a method that trains a variant of the backbone where that has none: one of a plug-in."""
        variant = method_type.network_variant
        if variant and f"{backbone}-{variant}" not in BACKBONES:
            able = [name for name in backbone_names() if f"{name}-{variant}" in BACKBONES]
            message = f"{method_type.name} trains a variant of the backbone, and {backbone} has no {variant} one"
            remedy = f"Give it `training: {{backbone: ...}}` with one of {', '.join(able)}"
            self.document.add(at_name, message, method_type.name, remedy)

    def _section(
        self, path: KeyPath, given: dict[str, Any], method_type: type[Method], name: str, settings_type: type
    ) -> dict[str, Any]:
        if name not in takes(method_type):
            return {}
        return settings.section(self.document, (*path, name), given.get(name), settings_type)

    def _own(self, path: KeyPath, given: dict[str, Any], method_type: type[Method]) -> dict[str, Any]:
        """The method's own settings; a key that is none of them, nor one of those all have, is a problem."""
        own = settings.names(method_type.settings_type)
        valid = [*own, *takes(method_type)]
        for key, value in given.items():
            if key not in valid:
                unknown(self.document, (*path, key), value, valid, owner=method_type.name)
        mine = {key: value for key, value in given.items() if key in own}
        return settings.read(self.document, path, mine, method_type.settings_type)

    def _label(self, path: KeyPath, given: dict[str, Any], name: str, cell: grid.Cell) -> Any:
        """The label of the entry, of a cell of a grid with its values; checked."""
        where, own = (*path, "label") if "label" in given else path, given.get("label", name)
        label = cell_label(own, cell.varied) if cell.varied and isinstance(own, str) and own else own
        folder(self.document, where, label)
        if not isinstance(label, str):
            return label
        if label in self.labels:
            message = f"the label '{label}' is taken by methods.{self.labels[label]}"
            self.document.add(where, message, label, f"Give this one its own, as {{name: {name}, label: {label}-2}}")
        elif own in METHODS and own != name:
            message = f"the label '{own}' is the name of another method"
            self.document.add(where, message, own, f"This one is {name}: label it {name}-2, say")
        self.labels.setdefault(label, path[-1])
        return label

    def _training(self, recipe: dict[str, Any], entry: dict[str, Any], path: KeyPath) -> Training:
        """`recipe` is the method's own, which what the spec and the entry say overrides."""
        told = {**self.training, **entry}
        if "milestones" in recipe and "epochs" in told:
            # Milestones that nobody gave scale with the epochs, and so do those of a method's recipe.
            before = recipe.get("epochs", Training.epochs)
            recipe["milestones"] = tuple(
                sorted({max(1, milestone * told["epochs"] // before) for milestone in recipe["milestones"]})
            )
        if told.get("optimizer", "sgd") != "sgd":
            recipe = {"lr": ADAM_LR, **recipe}
        training = replace(Training(), **{**recipe, **told})
        check_together(self.document, (*path, "training"), entry, training)
        check_warmup(self.document, (*path, "training"), entry, training)
        if training.schedule != "milestones":
            return replace(training, milestones=None)
        self._check_milestones(training, path, entry)
        return training

    def _check_milestones(self, training: Training, path: KeyPath, entry: dict[str, Any]) -> None:
        milestones = training.milestones or ()
        if "epochs" in entry and "milestones" not in entry:
            beyond = [str(milestone) for milestone in milestones if milestone > training.epochs]
            if beyond:
                message = f"{training.epochs} epochs end before the milestones {', '.join(beyond)} of `training`"
                remedy = "Give this entry its own milestones, or `milestones: null` for 40, 60 and 80% of its epochs"
                self.document.add((*path, "training", "epochs"), message, training.epochs, remedy)
            return
        where = (*path, "training", "milestones") if "milestones" in entry else ("training", "milestones")
        for index, milestone in enumerate(milestones):
            if milestone > training.epochs:
                message = f"{milestone} lies beyond the last of {training.epochs} epochs"
                remedy = "Leave the milestones out for 40, 60 and 80% of `epochs`"
                self.document.add((*where, index), message, milestone, remedy)
            elif index and milestone <= milestones[index - 1]:
                message = f"{milestone} comes after {milestones[index - 1]}"
                self.document.add((*where, index), message, milestone, "Milestones go up")


def takes(method_type: type[Method]) -> list[str]:
    """What an entry of the method can hold, beside the method's own settings."""
    dreaming = ["dreaming"] if method_type.dreams else []
    memory = ["memory"] if method_type.group == "memory" else []
    return ["name", "label", "training", *dreaming, *memory, "quirks"]
