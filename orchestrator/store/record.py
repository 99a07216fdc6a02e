"""What a stage's `record.json` says, in one schema: asked when it is written, when it is read, and on import.

The record carries the SHA-256 of its own canonical JSON (plan/fingerprint.py), the field `sha256` apart, so that a
number that changed on the disk is known. It is written as that very text with the field at its end: whoever reads
hashes the bytes, and only where they were written otherwise is the canonical text made again.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal, NotRequired

from annotated_types import Ge, Le
from pydantic import ConfigDict, Strict, StringConstraints, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic reads that of `typing` from Python 3.12 on

from dfcil_core.config import Recipe
from orchestrator.plan.fingerprint import canonical
from orchestrator.store.our_files import Count, first_problem

SEAL = "sha256"
_SEALED = b',"sha256":"'
_TAIL = len(_SEALED) + 64 + len(b'"}\n')

_FINITE = 1e308
_Real = Annotated[float, Strict(), Ge(-_FINITE), Le(_FINITE)]
_Number = Annotated[int, Strict()] | _Real  # an int stays one: steps are counted
_Time = Annotated[int, Strict(), Ge(0), Le(253_402_300_799)] | Annotated[float, Strict(), Ge(0), Le(253_402_300_799)]
"""Unix seconds, until the year 9999."""
_Seconds = Annotated[int, Strict(), Ge(0), Le(10**9)] | Annotated[float, Strict(), Ge(0), Le(10**9)]
_Measured = Annotated[float, Ge(0), Le(_FINITE)]
_Images = Annotated[int, Strict(), Ge(1)]
_File = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)*$")]


class _Provenance(TypedDict):
    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    versions: dict[str, str]
    commit: NotRequired[str | None]
    device: NotRequired[str]
    host: NotRequired[str]
    system: NotRequired[dict[str, str]]


class _Usage(TypedDict):
    """Records from before it was measured lack it."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    cpu_seconds: _Measured
    cpu_percent: _Measured
    memory_mib: _Measured
    gpu_memory_mib: NotRequired[_Measured]


class _Evaluation(TypedDict):
    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    images: dict[str, _Images]
    correct: dict[str, Count]
    correct_local: dict[str, Count]
    correct_top5: NotRequired[dict[str, Count]]


class _Normalisation(TypedDict):
    mean: list[_Real]
    std: list[_Real]


class _Written(TypedDict):
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    bytes: Count


class _Record(TypedDict):
    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    key: str
    kind: Literal["learn", "remember", "dream"]
    task: Annotated[int, Strict(), Ge(1)]
    folder: str
    started: _Time
    ended: _Time
    seconds: _Seconds
    attempt: Annotated[int, Strict(), Ge(1)]
    provenance: _Provenance
    usage: NotRequired[_Usage]
    files: dict[_File, _Written]
    evaluation: NotRequired[_Evaluation]
    curves: NotRequired[dict[str, list[_Number]]]
    normalisation: NotRequired[_Normalisation]
    capture: NotRequired[dict[str, str]]
    replaces: NotRequired[str]


_RECORD = TypeAdapter(_Record)


_CIRCUMSTANCES = ("started", "ended", "seconds", "attempt", "provenance", "usage", "capture", "replaces", SEAL)
"""What a record says of when, where and how a stage was computed."""


def same_result(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two records of a stage tell the same result to the last bit, wherever and whenever it was computed."""
    bare = ({name: part for name, part in record.items() if name not in _CIRCUMSTANCES} for record in (one, other))
    return next(bare) == next(bare)


class Unsound(ValueError):
    """A record is not one. The message begins with the place."""


def dumps(record: Mapping[str, Any], recipe: Recipe) -> str:
    """The text of a record's file, sealed. Raises Unsound (a ValueError) for a record that reading would refuse.

    Raises ValueError for NaN and infinities, which JSON has not.
    """
    text = canonical({name: value for name, value in record.items() if name != SEAL})
    sealed = f'{text[:-1]},"{SEAL}":"{hashlib.sha256(text.encode()).hexdigest()}"}}\n'
    loads(sealed.encode(), recipe)
    return sealed


def loads(data: bytes, recipe: Recipe | None = None) -> dict[str, Any]:
    """The record in a file; compared with the recipe of its stage, where that is given. Raises Unsound."""
    try:
        record: Any = _RECORD.validate_json(data)
    except ValidationError as error:
        raise Unsound(_reason(error)) from None
    if sealed(data, record) is False:
        raise Unsound("its content is not what its sha256 says")
    problem = _problem(record, recipe)
    if problem:
        raise Unsound(problem)
    return record  # type: ignore[no-any-return]


def sealed(data: bytes, record: Mapping[str, Any]) -> bool | None:
    """Whether a record is as it was written, by its own SHA-256; None: an older one, which has none."""
    if data[-_TAIL : -_TAIL + len(_SEALED)] == _SEALED:
        digest = hashlib.sha256(data[:-_TAIL])
        digest.update(b"}")
        if digest.hexdigest().encode() == data[-_TAIL + len(_SEALED) : -3]:
            return True
    if SEAL not in record:
        return None
    whole = json.loads(data)
    told = whole.pop(SEAL)
    return bool(told == hashlib.sha256(canonical(whole).encode()).hexdigest())


def _reason(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return f"it is no JSON: {first['msg']}" if first["type"] == "json_invalid" else first_problem(error)


def _problem(record: Mapping[str, Any], recipe: Recipe | None) -> str | None:
    """What the schema cannot say: which parts a kind of stage has, and what must fit together."""
    kind = record["kind"]
    if recipe is not None and (kind, record["task"]) != (recipe.kind, recipe.task):
        return f"kind, task: it is of {kind} {record['task']}, the recipe of {recipe.kind} {recipe.task}"
    if kind != "remember" and "curves" not in record:
        return "curves: Field required"
    if kind == "dream":
        curves = record["curves"]
        if curves and "step" not in curves:
            return "curves.step: Field required"
        if len({len(values) for values in curves.values()}) > 1:
            return "curves: they should be of equal length"
    if kind != "learn":
        return None
    if "evaluation" not in record:
        return "evaluation: Field required"
    return _evaluation_problem(record["evaluation"], recipe)


def _evaluation_problem(evaluation: Mapping[str, Any], recipe: Recipe | None) -> str | None:
    images = evaluation["images"]
    labels = images.keys() if recipe is None else _labels(recipe.classes)
    for name in ("images", "correct", "correct_top5"):  # the last of them only where there are many classes
        missing = set(labels).difference(evaluation.get(name, labels))
        if missing:
            return f"evaluation.{name}: class {min(missing)} is missing"
    for name in ("correct", "correct_top5"):
        for label, count in evaluation.get(name, {}).items():
            if count > images.get(label, 0):
                return f"evaluation.{name}.{label}: {count} right answers of {images.get(label, 0)} images"
    for group, count in evaluation["correct_local"].items():
        of = sum(map(images.get, group.split("-"), (0,) * (group.count("-") + 1)))
        if count > of:
            return f"evaluation.correct_local.{group}: {count} right answers of {of} images"
    return None


@lru_cache(maxsize=4096)
def _labels(classes: tuple[tuple[int, ...], ...]) -> frozenset[str]:
    return frozenset(str(label) for task in classes for label in task)
