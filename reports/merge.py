"""Several sweeps as one set of jobs: equal jobs once, and what contradicts told apart and told."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from reports.jobs import FINISHED, HALF, STATES, JobReport, SweepReport

# Where a job stands, not what it is.
_PLACE = ("tasks", "seed", "fold", "dataset", "label")
_SHOWN = 5


def merge(sweeps: Sequence[SweepReport]) -> tuple[list[JobReport], list[str]]:
    """The jobs of all sweeps in order, and notes on duplicates, conflicts, and jobs that are not finished.

    The same job of two sweeps (equal label, split, seed, settings and numbers) counts once. Where two sweeps mean
    different things by a label (other settings), or got different numbers for the same job, the rows of that label are
    kept apart by the name of the sweep: neither is chosen, and nothing is averaged over both.
    """
    notes = [note for sweep in sweeps for note in sweep.notes]
    jobs = [job for sweep in sweeps for job in sweep.jobs]
    contested: set[tuple[str, str]] = set()
    notes += _different_settings(jobs, contested)
    kept, duplicates, conflicts = _once(jobs, contested)
    if duplicates:
        notes.append(f"{duplicates} duplicate job{'s' * (duplicates != 1)} with equal numbers counted once")
    if conflicts:
        count = f"{len(conflicts)} conflicting duplicate{'s' * (len(conflicts) != 1)}, kept apart by sweep: "
        notes.append(count + _listed(conflicts))
    kept = [replace(job, label=f"{job.label} [{job.source}]") if _family(job) in contested else job for job in kept]
    if len({job.dataset for job in kept}) > 1:
        kept = [replace(job, split=f"{job.dataset} {job.split}") for job in kept]
    return kept, notes + unfinished(kept)


def unfinished(jobs: Iterable[JobReport]) -> list[str]:
    """A note for each way in which jobs are not finished, with the jobs in it and the errors of those that failed."""
    notes = []
    for state in STATES:
        found = [job for job in jobs if job.state == state]
        if state == FINISHED or not found:
            continue
        told = {"failed": "failed", "half-finished": "half-finished", "missing": "missing (nothing of it is done)"}
        names = [
            f"{job.name} ({job.done} of {job.asked} stages)" if state == HALF else _with_error(job) for job in found
        ]
        notes.append(f"{len(found)} job{'s' * (len(found) != 1)} {told[state]}: {_listed(names)}")
    return notes


def _different_settings(jobs: Sequence[JobReport], contested: set[tuple[str, str]]) -> list[str]:
    """Adds to `contested` the labels that mean different things in different sweeps; a note for each."""
    notes = []
    meanings: dict[tuple[str, str], dict[str, dict[str, str]]] = {}
    for job in jobs:
        told = {path: value for path, value in job.settings.items() if path not in _PLACE}
        meanings.setdefault(_family(job), {}).setdefault(job.source, told)
    for family, by_source in meanings.items():
        first, *others = by_source.items()
        for source, settings in others:
            paths = sorted(p for p in first[1].keys() | settings.keys() if first[1].get(p) != settings.get(p))
            if paths:
                contested.add(family)
                said = ", ".join(f"{p} {first[1].get(p, '—')} and {settings.get(p, '—')}" for p in paths[:_SHOWN])
                more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
                notes.append(f"{family[1]} differs between {first[0]} and {source}: {said}{more}; kept apart by sweep")
    return notes


def _once(jobs: Sequence[JobReport], contested: set[tuple[str, str]]) -> tuple[list[JobReport], int, list[str]]:
    """Equal jobs once; the number left out; the names of those that conflict, whose labels are added to `contested`."""
    by_cell: dict[tuple[str, str, str, int, int | None, str], list[JobReport]] = {}
    for job in jobs:
        source = job.source if _family(job) in contested else ""
        by_cell.setdefault((*_family(job), job.split, job.seed, job.fold, source), []).append(job)
    conflicts = []
    for group in by_cell.values():
        done = [job for job in group if job.finished]
        if any((job.matrix, job.local) != (done[0].matrix, done[0].local) for job in done):
            contested.add(_family(group[0]))
            conflicts.append(group[0].name)
    kept, duplicates = [], 0
    for group in by_cell.values():
        if _family(group[0]) in contested:
            kept += group
            continue
        # Of equal jobs, the one that got farthest.
        kept.append(max(group, key=lambda job: (job.finished, job.done)))
        duplicates += len(group) - 1
    order = {id(job): position for position, job in enumerate(jobs)}
    return sorted(kept, key=lambda job: order[id(job)]), duplicates, conflicts


def _family(job: JobReport) -> tuple[str, str]:
    return job.dataset, job.label


def _with_error(job: JobReport) -> str:
    return f"{job.name}: {job.error.splitlines()[0]}" if job.error else job.name


def _listed(names: Sequence[str]) -> str:
    more = f"; and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return "; ".join(names[:_SHOWN]) + more
