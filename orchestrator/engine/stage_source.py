"""A launch whose stages become more while it runs: a search decides by what is finished what to do next."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from orchestrator.engine.checkpoint_gc import wanted_again
from orchestrator.engine.events import Event, Outcome, StageDamaged, StageFinished, StageRecomputed
from orchestrator.engine.schedule import Schedule
from orchestrator.plan.stage import Stage
from orchestrator.results.estimate import Rates
from orchestrator.store.store import Store

Source = Callable[[], Mapping[str, Stage]]
"""Gives further stages by key, parents before children and every parent among them or given before; empty: none now.

Asked again after every event. The launch ends when all is done and there are none.
"""


class StageSource:
    """The stages of a launch, and which of them is next."""

    def __init__(
        self,
        store: Store,
        source: Source,
        emit: Callable[[Event], None],
        outcome: Outcome,
        recompute: Collection[str] = (),
    ) -> None:
        """`recompute`: keys of the stages that are to be done though they are finished."""
        self.before: dict[str, dict[str, Any]] = {}
        """Key of each of those that is still to be done to its record."""
        self._recompute = recompute
        self.stages: dict[str, Stage] = {}
        self._rates = Rates()
        self.work = Schedule({}, set(), self._rates.weight)
        self._store, self._source, self._emit, self._outcome = store, source, emit, outcome

    def begin(self, stages: Mapping[str, Stage], records: Mapping[str, dict[str, Any]]) -> None:
        """Take the stages that are known from the start. Nothing is told of those in the store: whoever asked knows.

        `records`, by key: those that were just read; a stage without one is looked for in the store.
        """
        if stages.keys() - records.keys() or self._recompute:  # else nothing is to be put in order
            self._rates.know(stages, records)
        self._add(stages, records)

    def grow(self) -> None:
        """Take all that the source has to give. Those of its stages that are in the store are told of as finished."""
        while given := self._source():
            for key, record in self._add(given, {}).items():
                self._emit(StageFinished(self.stages[key], record))

    def settled(self, stage: Stage) -> bool:
        """Whether a stage is finished, with all its files or without those that nothing here needs any more.

        What needs it is looked up in the store, not in the schedule: another launcher may have gone on from it, and
        have freed it then, before this one has asked for either.
        """
        if stage.key in self.before or not self._store.has(stage):
            return False
        return self._store.whole(stage) or all(map(self.settled, self.work.children(stage.key)))

    def compare(self, stage: Stage, record: dict[str, Any], reused: bool) -> None:
        """A stage has been done: tell of what it has replaced, where it was there before."""
        before = self.before.pop(stage.key, None)
        if before is not None:
            aside = None if record == before else self._store.stages / record.get("replaces", "")
            self._emit(StageRecomputed(stage, before, record, aside))
        elif not reused and "replaces" in record:
            aside = self._store.stages / record["replaces"]
            self._emit(StageDamaged(stage, "freed and computed again, it is not what it was", aside))

    def _add(self, stages: Mapping[str, Stage], known: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Records of those that are new here and in the store already; without the freed ones that are wanted again."""
        new = {key: stage for key, stage in stages.items() if key not in self.stages}
        self.stages |= new
        self._rates.know(new)
        records = {key: known[key] for key in new if key in known}
        records |= self._store.records(
            (stage for key, stage in new.items() if key not in known), on_damaged=self._set_aside
        )
        for key in records.keys() & set(self._recompute):
            self.before[key] = records.pop(key)
        for key in wanted_again(new, records, self._store.whole):
            del records[key]
        self.work.add(new, set(records))
        for parent in (parent for key, stage in new.items() if key not in records for parent in stage.parents):
            if parent not in new and not self._store.whole(self.stages[parent]):
                self.work.reopen(parent, self._store.whole)  # freed since it was given
        self._outcome.reused += len(records)
        return records

    def _set_aside(self, stage: Stage, reason: str) -> None:
        aside = self._store.set_aside(stage)
        if aside is not None:
            self._emit(StageDamaged(stage, reason, aside))
