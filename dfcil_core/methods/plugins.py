"""Methods from outside the repository: a file given at launch, or a package's entry point.

A plug-in is a Python file in which a subclass of `Method` stands; docs/add-a-method.md shows one. It is registered for
this process only, and the SHA-256 of its source is part of the identity of the stages it computes, so that a changed
plug-in never passes for the work of the one before.
"""

from __future__ import annotations

import hashlib
import re
import sys
from dataclasses import dataclass, is_dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from dfcil_core.methods import METHODS, OBJECTIVES
from dfcil_core.methods.base import Method

GROUP = "dfcil_sweep.methods"
"""The entry point group; an entry point names a subclass of `Method`, as `my-method = "my_package.method:MyMethod"`."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


class PluginError(Exception):
    """A plug-in cannot be used. The message says which, why, and what would be right."""


@dataclass(frozen=True)
class Plugin:
    """A registered plug-in."""

    method: type[Method]
    digest: str
    """SHA-256 of the source file, in hexadecimal."""
    path: Path
    """The source file."""


_plugins: dict[str, Plugin] = {}


def load_file(path: str | Path) -> list[Plugin]:
    """Run a Python file and register every method in it. Raises PluginError."""
    path = Path(path).expanduser().resolve()
    try:
        source = path.read_bytes()
    except OSError as error:
        raise PluginError(f"plug-in {path}: cannot be read: {error.strerror}") from None
    digest = hashlib.sha256(source).hexdigest()
    module = _run(path, source, f"dfcil_sweep_plugin_{digest[:16]}")
    methods = [
        item
        for item in vars(module).values()
        if isinstance(item, type) and issubclass(item, Method) and item.__module__ == module.__name__
    ]
    methods = [method for method in methods if "name" in vars(method)]
    if not methods:
        raise PluginError(
            f"plug-in {path}: there is no method in it. It needs a subclass of dfcil_core.methods.base.Method with a "
            "`name`, as docs/add-a-method.md shows"
        )
    return [_register(Plugin(method, digest, path)) for method in methods]


@cache
def load_entry_points() -> tuple[Plugin, ...]:
    """Register the methods of the installed packages, once a process. Raises PluginError."""
    return tuple(_from_entry_point(entry_point) for entry_point in entry_points(group=GROUP))


def digest_of(name: str) -> str | None:
    """The SHA-256 of the source of the plug-in that supplies this method; None for one of our own."""
    return _plugins[name].digest if name in _plugins else None


def provide(name: str, digest: str, path: str | None) -> None:
    """Have the method `name` registered, from the very source that a recipe names. Raises PluginError.

    It is looked for among the entry points, and then in the file at `path`, where one is given.
    """
    if digest_of(name) == digest:
        return
    load_entry_points()
    if path is not None and digest_of(name) != digest:
        load_file(path)
    found = digest_of(name)
    if found != digest:
        where = f"among the entry points of {GROUP}" + (f" and in {path}" if path else "")
        what = f"has another source than when the sweep was planned ({found[:16]}...)" if found else "is not there"
        raise PluginError(f"the method {name}, looked for {where}, {what}: the plan says {digest[:16]}...")


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
        method = entry_point.load()
    except Exception as error:
        raise PluginError(f"{place}: {type(error).__name__}: {error}") from error
    if not (isinstance(method, type) and issubclass(method, Method)):
        raise PluginError(f"{place}: {method!r} is no subclass of dfcil_core.methods.base.Method")
    path = Path(str(sys.modules[method.__module__].__file__))
    return _register(Plugin(method, hashlib.sha256(path.read_bytes()).hexdigest(), path))


def _register(plugin: Plugin) -> Plugin:
    method, place = plugin.method, f"plug-in {plugin.path}: {plugin.method.__name__}"
    for attribute in ("name", "summary", "source"):
        if not isinstance(getattr(method, attribute, None), str):
            raise PluginError(f"{place} has no `{attribute}`: give it one, as text")
    if not _NAME.fullmatch(method.name):
        raise PluginError(f"{place}: {method.name!r} is no name for a method: use small letters, digits and -")
    if method.name in OBJECTIVES and method.name not in _plugins:
        raise PluginError(f"{place}: there is a method {method.name!r} already: give it another `name`")
    if not is_dataclass(method.settings_type):
        raise PluginError(f"{place}: its settings_type is no dataclass")
    _plugins[method.name] = plugin
    METHODS[method.name] = OBJECTIVES[method.name] = method
    return plugin
