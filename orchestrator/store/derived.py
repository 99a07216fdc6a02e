"""Counts derived from a stage's test logits, kept beside its record: `derived.json`, with a SHA-256 of its own."""

from pathlib import Path
from typing import Any, NotRequired

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from orchestrator.plan.fingerprint import fingerprint
from orchestrator.store.our_files import Count, ignored, read_or, write_json

FILE = "derived.json"


class _Derived(TypedDict):
    correct_local: dict[str, Count]
    sha256: NotRequired[str]


_DERIVED = TypeAdapter(_Derived)
_HAPPENS = "What it says is counted anew, and it is written again"


def of(folder: Path) -> dict[str, int]:
    """Right answers by group of classes, as a stage's folder keeps them; none where they cannot be relied upon.

    A file that is damaged is ignored, with a warning; one without a SHA-256 of its own, an older one, silently.
    """
    path = folder / FILE
    told = read_or(path, _DERIVED, None, _HAPPENS)
    if told is None or "sha256" not in told:
        return {}
    if told["sha256"] != fingerprint({"correct_local": told["correct_local"]}):
        ignored(f"{path} is damaged: its content is not what its sha256 says. {_HAPPENS}")
        return {}
    return told["correct_local"]


def keep(folder: Path, correct_local: dict[str, int]) -> None:
    """Write them. Another launcher may derive the same: whoever renames last leaves numbers as right as the first's."""
    content: dict[str, Any] = {"correct_local": correct_local}
    write_json(folder / FILE, {**content, "sha256": fingerprint(content)})
