"""What a launch would run: what `dfcil-sweep plan` calls, and what `import orchestrator` offers as `plan`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.plan.choose import Only, choose
from orchestrator.plan.plan import Plan
from orchestrator.spec.given import Spec, read_spec
from orchestrator.spec.model import SweepSpec
from orchestrator.store import sweep_folder
from orchestrator.store.store import Store


@dataclass(frozen=True)
class Preview:
    """A plan, and how much of it is in the store."""

    plan: Plan
    """Of all jobs, or of those that `only` chooses."""
    jobs_of_sweep: int
    runs: Path
    in_store: frozenset[str]
    """Keys of the stages that need not run."""
    records: Mapping[str, Mapping[str, Any]]
    """Key of each finished stage to its record, those included that are to run again."""
    seconds: float | None
    """Of work for one worker in all, by what stages like these took; None where the store has none like one of them."""
    seconds_without_sharing: float | None
    """The same if every job did all of its own stages."""
    seconds_to_run: float | None
    """The same of what is not in the store."""

    @property
    def shared(self) -> int:
        """How many stages serve several jobs."""
        return sum(len(users) > 1 for users in self.plan.users.values())

    @property
    def to_run(self) -> int:
        """How many stages a launch would run."""
        return len(self.plan.stages) - len(self.in_store)


def plan(
    spec: Spec,
    *,
    runs: str | Path | None = None,
    device: str = "auto",
    overrides: Sequence[str] = (),
    data_root: str | Path | None = None,
    plugin: str | Path | None = None,
    rehearse: bool = False,
    only: Sequence[Only] = (),
    recompute: bool = False,
    elsewhere: bool = False,
) -> Preview:
    """What `launch` would run if it were given the same (`recompute`: from its beginning). Writes nothing.

    `elsewhere`: the launch would be on other machines, whose `device` cannot be asked for from here and must be given.
    Raises UserError (SpecError with every mistake of a spec).
    """
    from orchestrator.engine.checkpoint_gc import wanted_again
    from orchestrator.results.estimate import Rates

    whole = plan_of(read_spec(spec, overrides, data_root, plugin, rehearse), device, elsewhere)
    planned = choose(whole, only)
    folder = runs_folder(runs)
    store, stages = Store(folder), planned.stages
    records = store.records(stages.values(), on_damaged=lambda stage, why: None)
    rates = Rates.of(planned, records, store)
    present = store.finished(stages.values())
    present -= present if recompute else wanted_again(stages, present, store.whole)
    seconds = rates.total(stages.values())
    without = rates.total(stages[key] for job in planned.jobs for key in job.stages)
    to_run = rates.total(stage for key, stage in stages.items() if key not in present)
    return Preview(planned, len(whole.jobs), folder, frozenset(present), records, seconds, without, to_run)


def plan_of(read: SweepSpec, device: str, elsewhere: bool) -> Plan:
    """The plan of a sweep; what it computes on is this machine's to say, or (`elsewhere`) as given."""
    from orchestrator.cluster.device import device_elsewhere, device_kind
    from orchestrator.plan.plan import make_plan

    return make_plan(read, device_elsewhere(device) if elsewhere else device_kind(device))


def runs_folder(given: str | Path | None) -> Path:
    """The runs folder: the one given, else DFCIL_RUNS, else `./runs`; absolute."""
    return sweep_folder.runs_folder(None if given is None else str(given))
