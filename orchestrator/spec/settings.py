"""Settings read from a spec against the dataclass that declares them: the one place that says which there are,
their types and their bounds. pydantic does the checking; what it finds is told in the words of the spec.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Annotated, Any, get_type_hints

from annotated_types import Ge
from pydantic import TypeAdapter, ValidationError

from dfcil_core.config import Dreaming, Quirks, Training
from dfcil_core.methods import METHODS
from orchestrator.errors import choices
from orchestrator.spec.yaml_document import Document, KeyPath, show


@dataclass(frozen=True)
class Common:
    """What every method takes beside `training`, `dreaming` and its own settings."""

    __pydantic_config__ = {"extra": "forbid"}

    memory: Annotated[int, Ge(1)] = 2000
    """Images kept in all, where a method keeps any; the published recipe's."""
    quirks: Quirks = "none"
    """`iccv2021`: compute as the public code of Always Be Dreaming does where the papers say otherwise (methods.md)."""


SECTIONS: dict[str, type] = {"training": Training, "dreaming": Dreaming}

_FOLDER = re.compile(r"\w[\w.+=@-]*")  # what is a folder on every system, and one word in a shell
LONGEST_NAME = 100  # bytes, of the 255 that a folder's name can have

# pydantic's kind of error to what a person reads; in braces, the limit that was passed.
_MESSAGES = {
    "greater_than": ("is too small", "It must be above {gt}"),
    "greater_than_equal": ("is too small", "It must be at least {ge}"),
    "less_than": ("is too large", "It must be below {lt}"),
    "less_than_equal": ("is too large", "It must be at most {le}"),
    "int_type": ("is not a whole number", ""),
    "int_from_float": ("is not a whole number", ""),
    "float_type": ("is not a number", ""),
    "bool_type": ("is neither true nor false", ""),
    "string_type": ("is not text", "Put it in quotes"),
    "tuple_type": ("is not a list", "Write it as [1, 2]"),
    "too_short": ("has too few items", "Give at least {min_length}"),
    "missing": ("is missing", ""),
}
_NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*")


def names(settings_type: type) -> list[str]:
    """The settings that a dataclass declares."""
    return [field.name for field in fields(settings_type)]


def read(document: Document, path: KeyPath, given: Mapping[str, Any], settings_type: type) -> dict[str, Any]:
    """Those of the settings in `given` that are right, converted to their types; problems go to `document`."""
    known = set(names(settings_type))
    for key in given:
        if key not in known:
            unknown(document, (*path, key), given[key], names(settings_type))
    left = {key: value for key, value in given.items() if key in known}
    try:
        return _converted(settings_type, left)
    except ValidationError as error:
        problems = error.errors(include_url=False)
    for problem in problems:
        document.add((*path, *problem["loc"]), *_explain(problem))
    wrong = {problem["loc"][0] if problem["loc"] else "" for problem in problems}
    required = {field.name for field in fields(settings_type) if field.default is field.default_factory is MISSING}
    if wrong & {"", *required}:
        return {}  # without these there is no converting the others
    return _converted(settings_type, {key: value for key, value in left.items() if key not in wrong})


def section(document: Document, path: KeyPath, value: Any, settings_type: type) -> dict[str, Any]:
    """`read` for a whole section, which may be empty (null) and must else be a mapping."""
    return read(document, path, value, settings_type) if mapping(document, path, value) else {}


def read_one(document: Document, path: KeyPath, name: str, value: Any, settings_type: type) -> dict[str, Any]:
    """The setting `name` alone, where `path` leads to its value; empty where that is wrong."""
    declared = get_type_hints(settings_type, include_extras=True)[name]
    try:
        return {name: TypeAdapter(declared).validate_json(json.dumps(value), strict=True)}
    except ValidationError as error:
        for problem in error.errors(include_url=False):
            document.add((*path, *problem["loc"]), *_explain(problem))
    return {}


def mapping(document: Document, path: KeyPath, value: Any) -> bool:
    """Whether there is something to read under `path`: a mapping; anything else but null is a problem."""
    if value is None:
        return False
    if not isinstance(value, dict):
        example = f"{path[-1]}: {{lr: 0.1}}" if path[-1] in SECTIONS else "{name: ...}"
        document.add(path, f"{show(value)} is not a mapping", value, f"Write it as {example}")
        return False
    return True


def unknown(document: Document, path: KeyPath, value: Any, valid: Iterable[str], owner: str = "") -> None:
    """Note a key that is not there: whose it may be, the nearest one, and all."""
    key = str(path[-1])
    subject = f"{owner} has no setting '{key}'" if owner else f"unknown key '{key}'"
    remedy = choices(key, valid)
    place = _belongs(key, path)
    document.add(path, subject, value, f"{place}. {remedy}" if place else remedy, at_key=True)


def _belongs(key: str, path: KeyPath) -> str:
    """Where a key that is wrong here would be right."""
    outside = path[-2] if len(path) > 1 else None
    homes = [name for name, settings_type in SECTIONS.items() if key in names(settings_type) and name != outside]
    if homes:
        return f"It belongs under `{'` or `'.join(homes)}`"
    owners = [method.name for method in METHODS.values() if key in names(method.settings_type)]
    if owners and (len(path) == 1 or outside in SECTIONS):
        return f"It is a setting of a method, as {{name: {owners[0]}, {key}: ...}}"
    return ""


def folder(document: Document, path: KeyPath, value: Any) -> None:
    """Note what keeps `value`, a name or a label, from naming a folder."""
    if not isinstance(value, str):
        document.add(path, f"{show(value)} is not text", value, "Put it in quotes")
    elif not value:
        document.add(path, "'' is empty", value, "It names a folder")
    elif not _FOLDER.fullmatch(value):
        near = re.sub(r"[^\w.+=@-]+", "-", value).strip(".+=@-")
        hint = f"'{near}' would do" if near else "It names a folder"
        rule = "Use letters, digits and . _ + = @ -, and begin with a letter or a digit"
        document.add(path, f"{show(value)} cannot name a folder", value, f"{hint}. {rule}")
    elif len(value.encode()) > LONGEST_NAME:
        remedy = f"It must be at most {LONGEST_NAME} bytes"
        document.add(path, f"{show(value)} is too long ({len(value.encode())} bytes)", value, remedy)


@cache
def _adapter(settings_type: type) -> TypeAdapter[Any]:
    return TypeAdapter(settings_type)


def _converted(settings_type: type, given: Mapping[str, Any]) -> dict[str, Any]:
    # By way of JSON: only there does pydantic's strict mode, which takes no "3" and no `true` for a number, still take
    # a list for a tuple and a mapping for a dataclass. It makes 1.0 of a 1 where a float is due.
    settings = _adapter(settings_type).validate_json(json.dumps(given), strict=True)
    return {key: getattr(settings, key) for key in given}


def _explain(problem: Mapping[str, Any]) -> tuple[str, object, str]:
    """The message, value and remedy for one of pydantic's errors."""
    kind, value, bounds = problem["type"], problem["input"], problem.get("ctx", {})
    if kind == "missing":
        return _MESSAGES[kind][0], None, ""
    if kind == "literal_error":
        return (
            f"{show(value)} is none of the choices",
            value,
            choices(value, re.findall("'([^']*)'", bounds["expected"])),
        )
    if kind not in _MESSAGES:
        return f"{show(value)}: {problem['msg']}", value, ""
    message, remedy = _MESSAGES[kind]
    if isinstance(value, dict) and "grid" in value:
        return (
            f"{show(value)} {message}",
            value,
            "A grid stands in an entry of `methods`, as {name: abd, mu: {grid: [0.1]}}",
        )
    if kind in ("int_type", "float_type") and isinstance(value, str) and _NUMBER.fullmatch(value):
        remedy = "Write it without quotes"
    elif kind == "bool_type":
        remedy = "Write true or false"
    return f"{show(value)} {message}", value, remedy.format(**{name: _limit(limit) for name, limit in bounds.items()})


def _limit(limit: Any) -> str:
    """A bound as a person writes it: `1` and not `1.0`, `1000000` and not `1e+06`."""
    return str(int(limit)) if isinstance(limit, int | float) and limit == int(limit) else f"{limit}"
