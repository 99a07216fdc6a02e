"""How large a sweep may be: told before it is expanded, which of a slip of the pen would take all memory."""

from collections.abc import Sequence

from orchestrator.spec.model import MethodEntry, Split
from orchestrator.spec.reading import Reading
from orchestrator.spec.yaml_document import Document, KeyPath

MOST_STAGES = 1_000_000
_MOST_LABELS = 200_000_000  # classes that all stages name together: each is in a recipe, and hashed
_MOST_COMPARISONS = 2_000_000  # of a job with an exclusion


def check_size(reading: Reading, seeds: Sequence[int]) -> None:
    """Note what has the sweep too large to be planned: its stages, by what they would be without sharing."""
    document, entries, splits = reading.document, reading.methods, reading.splits
    if not (entries and splits and seeds and document.sound("methods", "tasks", "seeds", "repeats")):
        return
    folds = max(1, len(reading.dataset.folds)) if reading.dataset else 1
    stages = len(seeds) * folds * sum(_stages(entry, split) for entry in entries for split in splits)
    labels = stages * max(sum(split.sizes) for split in splits)
    jobs = len(entries) * len(splits) * len(seeds) * folds
    path, remedy = _largest(entries, splits, seeds), "Make several sweeps of it: they share what they have in common"
    if stages > MOST_STAGES:
        message = f"{jobs} jobs with about {stages} stages are too large a sweep: at most {MOST_STAGES} stages"
        document.add(path, message, jobs, remedy)
    elif labels > _MOST_LABELS:
        most = _MOST_LABELS // max(sum(split.sizes) for split in splits)
        message = f"{jobs} jobs with about {stages} stages are too large a sweep with so many classes: at most {most}"
        document.add(path, f"{message} stages", jobs, remedy)
    _check_exclusions(document, jobs)


def _check_exclusions(document: Document, jobs: int) -> None:
    exclude = document.data.get("exclude")
    if isinstance(exclude, list) and len(exclude) * jobs > _MOST_COMPARISONS:
        message = f"{len(exclude)} exclusions from {jobs} jobs are too many"
        document.add(("exclude",), message, len(exclude), "Make several sweeps of it, with fewer exclusions each")


def _stages(entry: MethodEntry, split: Split) -> int:
    """About the stages of one job: never fewer than it has."""
    if not entry.method.chained:
        return len(split)
    return len(split) + (len(split) - 1) * (bool(entry.method.selection) + entry.method.dreams)


def _largest(entries: Sequence[MethodEntry], splits: Sequence[Split], seeds: Sequence[int]) -> KeyPath:
    """The section that says most: where a slip of the pen is likeliest."""
    sizes = {"methods": len(entries), "tasks": max(len(splits), *map(len, splits)), "seeds": len(seeds)}
    return (max(sizes, key=lambda name: sizes[name]),)
