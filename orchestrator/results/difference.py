"""What differs between two results of the same stage, computed at different times: for people."""

from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.store.record import same_result

Record = Mapping[str, Any]
_MOST_CLASSES = 8  # that are told one by one
_MACHINE = ("device", "processor", "instructions", "host", "commit")


def differences(before: Record, now: Record) -> list[str]:
    """What differs, one text each: right answers by class, files, curves, and where both were computed.

    Empty where the results are the same to the last bit, wherever they were computed.
    """
    if same_result(before, now):
        return []
    return [*_answers(before, now), *_rest(before, now), *_machines(before, now)]


def _answers(before: Record, now: Record) -> Iterator[str]:
    if "evaluation" not in now or "evaluation" not in before:
        return
    told, old = now["evaluation"], before["evaluation"]
    changed = {label: told["correct"][label] - old["correct"].get(label, 0) for label in told["correct"]}
    changed = {label: by for label, by in changed.items() if by}
    images, right, was = (sum(counts.values()) for counts in (told["images"], told["correct"], old["correct"]))
    if not changed:
        yield f"the same right answers ({right} of {images})"
        return
    classes = ", ".join(f"{label}: {by:+d}" for label, by in list(changed.items())[:_MOST_CLASSES])
    more = f" and {len(changed) - _MOST_CLASSES} more" if len(changed) > _MOST_CLASSES else ""
    share, share_was = 100 * right / images, 100 * was / images
    yield f"{right} of {images} right answers ({share:.2f}%), before {was} ({share_was:.2f}%); by class {classes}{more}"


def _rest(before: Record, now: Record) -> Iterator[str]:
    old, new = before["files"], now["files"]
    files = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    if files:
        yield f"other content of {', '.join(files)}"
    if before.get("curves") != now.get("curves"):
        yield "other curves"


def _machines(before: Record, now: Record) -> Iterator[str]:
    old, new = before["provenance"], now["provenance"]
    for name in _MACHINE:
        if old.get(name) != new.get(name):
            yield f"{name} {new.get(name) or 'not known'}, before {old.get(name) or 'not known'}"
    versions, earlier = new.get("versions", {}), old.get("versions", {})
    for package in sorted(versions.keys() | earlier.keys()):
        if versions.get(package) != earlier.get(package):
            yield f"{package} {versions.get(package, 'missing')}, before {earlier.get(package, 'missing')}"
