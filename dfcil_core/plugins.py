"""Methods, backbones and data sets from outside the repository: a file given at launch, or a package's entry point.

A plug-in is a Python file in which a subclass of `Method`, a `Backbone` or a `DatasetInfo` stands; docs/add-a-method.md
and docs/plug-ins.md show them. It is registered for this process only, and the SHA-256 of its source is part of the
identity of the stages it computes, so that a changed plug-in never passes for the work of the one before.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, is_dataclass, replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Literal

from dfcil_core.config import Recipe
from dfcil_core.data.catalog import DATASETS, DatasetInfo
from dfcil_core.methods import METHODS, OBJECTIVES
from dfcil_core.methods.base import Method
from dfcil_core.networks.catalog import BACKBONES, Backbone

GROUPS = ("dfcil_sweep.methods", "dfcil_sweep.backbones", "dfcil_sweep.datasets")
"""The entry point groups; an entry point names a class or an object, as `my-method = "my_package.method:MyMethod"`."""

Kind = Literal["method", "backbone", "data set"]
Item = type[Method] | Backbone | DatasetInfo
_REGISTRIES: dict[Kind, Mapping[str, object]] = {"method": OBJECTIVES, "backbone": BACKBONES, "data set": DATASETS}
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


class PluginError(Exception):
    """A plug-in cannot be used. The message says which, why, and what would be right."""


@dataclass(frozen=True)
class Plugin:
    """What a plug-in brings under one name."""

    item: Item
    digest: str
    """SHA-256 of the source file, in hexadecimal."""
    path: Path
    """The source file."""

    @property
    def kind(self) -> Kind:
        if isinstance(self.item, Backbone):
            return "backbone"
        return "method" if isinstance(self.item, type) else "data set"

    @property
    def name(self) -> str:
        return self.item.name


_plugins: dict[tuple[Kind, str], Plugin] = {}


def load_file(path: str | Path) -> list[Plugin]:
    """Run a Python file and register every method, backbone and data set in it. Raises PluginError."""
    path = Path(path).expanduser().resolve()
    try:
        source = path.read_bytes()
    except OSError as error:
        raise PluginError(f"plug-in {path}: cannot be read: {error.strerror}") from None
    digest = hashlib.sha256(source).hexdigest()
    module = _run(path, source, f"dfcil_sweep_plugin_{digest[:16]}")
    items = list(_items(module))
    if not items:
        raise PluginError(
            f"plug-in {path}: there is nothing in it that a sweep can use. It needs a subclass of "
            "dfcil_core.methods.base.Method with a `name`, as docs/add-a-method.md shows, or a Backbone or a "
            "DatasetInfo, as docs/plug-ins.md does"
        )
    return [_register(Plugin(item, digest, path)) for item in items]


def _items(module: ModuleType) -> Iterator[Item]:
    """What a module defines, and not what it imports from us."""
    ours = {id(item) for registry in (BACKBONES, DATASETS) for item in registry.values()}
    for item in vars(module).values():
        if isinstance(item, type):
            if issubclass(item, Method) and item.__module__ == module.__name__ and "name" in vars(item):
                yield item
        elif isinstance(item, Backbone | DatasetInfo) and id(item) not in ours:
            yield item


@cache
def load_entry_points() -> tuple[Plugin, ...]:
    """Register what the installed packages bring, once a process. Raises PluginError."""
    return tuple(_from_entry_point(entry_point) for group in GROUPS for entry_point in entry_points(group=group))


def digest_of(name: str, kind: Kind = "method") -> str | None:
    """The SHA-256 of the source of the plug-in that brings what has this name; None for one of our own."""
    plugin = _plugins.get((kind, name))
    return plugin.digest if plugin else None


def provide(recipe: Recipe, path: str | None) -> None:
    """Have all that a recipe takes from plug-ins registered, from the very sources that it names. Raises PluginError.

    It is looked for among the entry points, and then in the file at `path`, where one is given.
    """
    needed: list[tuple[Kind, str, str | None]] = [
        ("method", recipe.method, recipe.plugin),
        ("backbone", recipe.training.get("backbone", ""), recipe.training.get("backbone_plugin")),
        ("data set", recipe.data.name, recipe.data.options.get("plugin")),
    ]
    for kind, name, digest in needed:
        if digest is not None and digest_of(name, kind) != digest:
            _provide(kind, name, digest, path)


def _provide(kind: Kind, name: str, digest: str, path: str | None) -> None:
    load_entry_points()
    if path is not None and digest_of(name, kind) != digest:
        load_file(path)
    found = digest_of(name, kind)
    if found != digest:
        where = "among the entry points of installed packages" + (f" and in {path}" if path else "")
        what = f"has another source than when the sweep was planned ({found[:16]}...)" if found else "is not there"
        raise PluginError(f"the {kind} {name}, looked for {where}, {what}: the plan says {digest[:16]}...")


def _run(path: Path, source: bytes, name: str) -> ModuleType:
    module = ModuleType(name)
    module.__file__ = str(path)
    # Dataclasses and type hints look their module up by name.
    sys.modules[name] = module
    try:
        exec(compile(source, str(path), "exec"), vars(module))
    except Exception as error:
        del sys.modules[name]
        raise PluginError(f"plug-in {path}: {type(error).__name__}: {error}") from error
    return module


def _from_entry_point(entry_point: EntryPoint) -> Plugin:
    place = f"entry point {entry_point.name} = {entry_point.value}"
    try:
        item = entry_point.load()
    except Exception as error:
        raise PluginError(f"{place}: {type(error).__name__}: {error}") from error
    if not (isinstance(item, Backbone | DatasetInfo) or (isinstance(item, type) and issubclass(item, Method))):
        raise PluginError(f"{place}: {item!r} is no Backbone, no DatasetInfo and no subclass of Method")
    module = item.__module__ if isinstance(item, type) else entry_point.module
    path = Path(str(sys.modules[module].__file__))
    return _register(Plugin(item, hashlib.sha256(path.read_bytes()).hexdigest(), path))


def _register(plugin: Plugin) -> Plugin:
    item, kind = plugin.item, plugin.kind
    place = f"plug-in {plugin.path}: {item.__name__ if isinstance(item, type) else kind}"
    for attribute in ("name", "summary", "source") if kind != "backbone" else ("name",):
        text = getattr(item, attribute, None)
        if not isinstance(text, str) or not text:
            raise PluginError(f"{place} has no `{attribute}`: give it one, as text")
    if not _NAME.fullmatch(item.name):
        raise PluginError(f"{place}: {item.name!r} is no name for a {kind}: use small letters, digits and -")
    if item.name in _REGISTRIES[kind] and (kind, item.name) not in _plugins:
        raise PluginError(f"{place}: there is a {kind} {item.name!r} already: give it another `name`")
    if isinstance(item, Backbone):
        BACKBONES[item.name] = replace(item, plugin=plugin.digest)
    elif isinstance(item, DatasetInfo):
        if not (item.classes >= 2 and item.image_size >= 8):
            raise PluginError(f"{place} {item.name}: it needs at least 2 `classes`, and an `image_size` of at least 8")
        DATASETS[item.name] = replace(item, options={**item.options, "plugin": plugin.digest})
    else:
        if not is_dataclass(item.settings_type):
            raise PluginError(f"{place}: its settings_type is no dataclass")
        METHODS[item.name] = OBJECTIVES[item.name] = item
    _plugins[kind, item.name] = plugin
    return plugin
