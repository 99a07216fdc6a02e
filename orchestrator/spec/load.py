"""A spec in YAML to a validated SweepSpec, or to all of its mistakes at once. Nothing is started, nothing written.

Precedence of settings, lowest first: the defaults (the published recipe), the method's own recipe, the spec's
`training`, `dreaming`, `memory` and `quirks`, the method's entry under `methods`. `--set` replaces what the text says.
"""

import difflib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dfcil_core import plugins
from dfcil_core.data.catalog import DatasetInfo
from orchestrator.errors import UserError, choices
from orchestrator.spec.dataset import read_dataset
from orchestrator.spec.exclude import read_exclude
from orchestrator.spec.first_model import read_first_model
from orchestrator.spec.methods import read_methods
from orchestrator.spec.model import FirstModel, SweepSpec
from orchestrator.spec.name import read_name
from orchestrator.spec.reading import Reading
from orchestrator.spec.seeds import read_seeds
from orchestrator.spec.settings import unknown
from orchestrator.spec.tasks import read_tasks
from orchestrator.spec.text_file import read_text
from orchestrator.spec.tune import read_tune
from orchestrator.spec.yaml_document import read_document
from sweeps import bundled

Reader = Callable[[Reading], Any]
SECTIONS: dict[str, Reader | None] = {
    "name": read_name,
    "dataset": read_dataset,
    "methods": read_methods,
    "tasks": read_tasks,
    "class_order": None,
    "stop_after": None,
    "seeds": read_seeds,
    "repeats": None,
    "training": None,
    "dreaming": None,
    "memory": None,
    "quirks": None,
    "exclude": read_exclude,
    "tune": read_tune,
    "first_model": read_first_model,
}
"""The keys of a spec, each with what reads it, in this order; None: it is read with one of the others.

A reader notes problems in the document, and asks of `Reading` what earlier sections said."""


def load_spec(
    source: str | Path,
    *,
    overrides: Sequence[str] = (),
    data_root: str | None = None,
    plugin: str | None = None,
) -> SweepSpec:
    """The sweep of a spec: a file, or the name of a bundled one.

    `overrides` are settings by dotted path with values in YAML, `training.lr=0.05` or `methods.abd.mu=0.2`.
    `data_root` is where the data set lies, in the place of its `root`; `plugin` is a file with further methods.
    Raises SpecError with every mistake in the spec, UserError when there is no such file or it is no text.
    """
    path = Path(os.path.expanduser(source))
    specs = bundled()
    if not os.path.isfile(path) and str(source) in specs:
        path = specs[str(source)]
    try:
        text = read_text(path)
    except FileNotFoundError:
        remedy = _meant(path, specs)
        raise UserError(f"{source}: no such file, and no bundled spec of that name. {remedy}") from None
    return parse_spec(text, str(path), overrides, data_root=data_root, plugin=plugin)


def _meant(path: Path, bundled_specs: Mapping[str, Path]) -> str:
    """What may be meant by the name of a file that is not there: a YAML file of that folder, or a bundled spec."""
    there = {file.stem: str(file) for file in sorted(path.parent.glob("*.y*ml"))}
    near = difflib.get_close_matches(path.stem, [*there, *bundled_specs], n=1, cutoff=0.6)
    if near and near[0] in there:
        return f"Did you mean '{there[near[0]]}'?"
    return choices(str(path), bundled_specs) if bundled_specs else "There are no bundled specs"


def load_plugins(path: str | None = None) -> None:
    """Register the methods of installed packages, and those in the file at `path`. Raises UserError."""
    try:
        plugins.load_entry_points()
        if path is not None:
            plugins.load_file(path)
    except plugins.PluginError as error:
        raise UserError(str(error)) from error


def parse_spec(
    text: str,
    file_name: str,
    overrides: Sequence[str] = (),
    *,
    data_root: str | None = None,
    plugin: str | None = None,
    known: DatasetInfo | None = None,
    first_models: Mapping[int, FirstModel] | None = None,
) -> SweepSpec:
    """The sweep that `text` describes; `file_name` is for messages. Raises SpecError with every mistake.

    `known` is the data set, and `first_models` are the first models, as they were read before: their files are not
    looked at again.
    """
    load_plugins(plugin)
    reading = Reading(read_document(text, file_name, overrides), data_root, known, first_models)
    document, values = reading.document, reading.values
    for key, value in document.data.items():
        if key not in SECTIONS:
            unknown(document, (key,), value, SECTIONS)
    for key, read in SECTIONS.items():
        if read is not None:
            values[key] = read(reading)
    document.check()
    return SweepSpec(
        name=values.pop("name"),
        dataset=values.pop("dataset"),
        methods=values.pop("methods"),
        splits=values.pop("tasks"),
        seeds=values.pop("seeds"),
        exclude=values.pop("exclude"),
        text=text,
        tune=values.pop("tune"),
        overrides=tuple(overrides),
        plugin=plugin and str(Path(plugin).expanduser().absolute()),
        first_models=values.pop("first_model"),
        more=values,
    )
