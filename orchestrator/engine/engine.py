"""The engine: works a plan off on a Dask cluster, and tells what happens.

The ready queue is ours. A worker is given one stage at a time, by its address, so that a worker that dies takes no
other stage with it, and the stage it had is the one to be counted. Workers answer over an event topic; Dask carries the
messages and keeps the processes alive, no more.
"""

import queue
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.engine import schedule
from orchestrator.engine.attempt import Attempt
from orchestrator.engine.checkpoint_gc import CheckpointGC
from orchestrator.engine.events import (
    Event,
    Outcome,
    StageDamaged,
    StageFailed,
    StageFinished,
    StageMoved,
    StageOutOfMemory,
    StageProgress,
    StageRetried,
    StageStarted,
    WorkersAwaited,
)
from orchestrator.engine.held_stages import HeldStages
from orchestrator.engine.memory_limits import MemoryLimits
from orchestrator.engine.options import Options
from orchestrator.engine.stage_source import Source, StageSource
from orchestrator.engine.worker_monitor import EVERY_SECONDS, WorkerMonitor
from orchestrator.errors import UserError
from orchestrator.plan.plan import Plan
from orchestrator.plan.stage import Stage
from orchestrator.signals import interrupts_deferred, terminable
from orchestrator.store.stage_folder import DamagedStage
from orchestrator.store.store import Store
from orchestrator.worker import messages
from orchestrator.worker.run_task import StageTask, execute

if TYPE_CHECKING:
    from distributed import Future

    from orchestrator.cluster.base import Workers

_HELD_SECONDS = 0.25  # between looks at stages that another launcher holds
_TEND_SECONDS = 5.0  # between looks of the cluster at its workers
_RELEASE_TOGETHER = 32  # finished tasks, which Dask remembers until then
_DAMAGE_REPORTS = 10  # of one stage, after which it is given up: this disk does not keep it


def run(
    plan: Plan,
    store: Store,
    options: Options,
    on_event: Callable[[Event], None],
    given_up: Mapping[str, StageFailed] | None = None,
    source: Source = dict,
    recompute: Collection[str] = (),
    known: Mapping[str, dict[str, Any]] | None = None,
) -> Outcome:
    """Do what the store lacks of a plan. `on_event` and `source`, which gives stages beyond it, run in this thread.

    `given_up`, by key: stages that failed before and are not to be started again; they count as failed. `recompute`:
    keys of finished stages that are done again, and compared. `known`, by key: records that the caller has just read.

    Raises KeyboardInterrupt on Ctrl-C and, in the main thread, on SIGTERM, when all workers are gone; RuntimeError if
    the cluster fails; UserError if workers elsewhere cannot be used. Whatever is raised, finished stages are stored.
    """
    store.prepare()
    outcome = Outcome()
    stages = StageSource(store, source, on_event, outcome, recompute)
    stages.begin(plan.stages, known or {})
    for key, failure in (given_up or {}).items():
        if stages.work.give_up(key):
            outcome.failed[key] = failure
    stages.grow()
    work = stages.work
    if work.unfinished:
        # Dask takes half a second to import and one to start. A launch that grows will want all its workers.
        with interrupts_deferred():  # what an import leaves that was stopped half way, other threads cannot import
            from orchestrator.cluster.workers import open_workers

        workers = options.workers if source is not dict else min(options.workers, work.unfinished)
        gc = CheckpointGC(plan, store, work) if options.free else None
        place = (options.elsewhere, store.runs, options.device, workers, options.per_gpu, options.gpus)
        with terminable(), open_workers(*place) as pool:
            _Run(stages, store, options, on_event, outcome, pool, gc).to_the_end()
        if gc is not None:
            gc.finish()
            outcome.freed, outcome.freed_bytes = gc.count, gc.bytes
    outcome.blocked = work.keys(schedule.BLOCKED)
    return outcome


class _Run:
    """One launch, from the first message to the last."""

    def __init__(
        self,
        stages: StageSource,
        store: Store,
        options: Options,
        on_event: Callable[[Event], None],
        outcome: Outcome,
        workers: "Workers",
        gc: CheckpointGC | None,
    ) -> None:
        self._source, self._work, self._store, self._options = stages, stages.work, store, options
        self._emit, self._outcome, self._gc = on_event, outcome, gc
        self._pool, self._client = workers, workers.client
        self._launch = uuid.uuid4().hex[:12]
        self._topic = f"dfcil-sweep-{self._launch}"
        self._inbox: queue.SimpleQueue[messages.Message] = queue.SimpleQueue()
        self._workers: dict[str, Attempt | None] = {}
        self._leaving: set[str] = set()
        self._attempts: dict[str, Attempt] = {}
        self._spent: list[Attempt] = []
        self._starts = 0
        self._memory = MemoryLimits()
        self._deaths: Counter[str] = Counter()
        self._damages: Counter[str] = Counter()
        self._held = HeldStages(store.leases, options.lease_timeout)
        self._monitor = WorkerMonitor(workers.client.nthreads, workers.queued)
        self._tended = time.monotonic()

    def to_the_end(self) -> None:
        self._listen()
        while True:
            self._source.grow()
            self._tend()
            self._hand_out()
            if not self._work.unfinished:
                self._source.grow()  # handing out finishes stages too: those that others have done
                if not self._work.unfinished:
                    return
                continue
            try:
                # Held stages and the health of the cluster are looked after in the pauses.
                message = self._inbox.get(timeout=_HELD_SECONDS if self._held else EVERY_SECONDS)
            except queue.Empty:
                self._look_after()
                continue
            self._answer(message)
            if self._held and self._inbox.empty():
                self._look_at_held()

    # ---- to the workers ----------------------------------------------------------------------------------------------

    def _hand_out(self) -> None:
        for address, attempt in self._workers.items():
            if len(self._attempts) >= self._options.workers:  # a cluster of somebody else's may have more
                return
            stage = self._next() if attempt is None and self._memory.has_room(address) else None
            if stage is not None:
                self._start(stage, address)

    def _next(self) -> Stage | None:
        while (stage := self._work.next()) is not None:
            if not self._source.settled(stage):
                return stage
            self._finished(stage, reused=True)  # another launcher was quicker
        return None

    def _start(self, stage: Stage, address: str) -> None:
        self._starts += 1
        attempt_id = f"{stage.folder}-{self._launch}-{self._starts}"
        task = StageTask(
            recipe=stage.recipe.to_json(),
            key=stage.key,
            folders={role: self._source.stages[key].folder for role, key in stage.recipe.parents.items()},
            runs=str(self._store.runs),
            attempt=self._deaths[stage.key] + 1,
            again=self._store.has(stage),
            recompute=stage.key in self._source.before,
            stale=self._held.take_stale(stage.key),
            probe=None if self._pool.probe is None else str(self._pool.probe),
            topic=self._topic,
            attempt_id=attempt_id,
            **self._options.told_to_workers(),
        )
        future = self._client.submit(execute, task, key=attempt_id, workers=[address], allow_other_workers=False)
        future.add_done_callback(self._on_future)  # type: ignore[no-untyped-call]  # not annotated by Dask
        self._workers[address] = self._attempts[attempt_id] = Attempt(stage, address, attempt_id, future)
        self._memory.begin(address)

    def _over(self, attempt: Attempt) -> int:
        """An attempt has ended: its worker, if it is still there, is free. How many stages shared its memory."""
        sharing = self._memory.end(attempt.worker)
        del self._attempts[attempt.attempt_id]
        if self._workers.get(attempt.worker) is attempt:
            self._workers[attempt.worker] = None
        # Dask's client sends at most every 10 ms: a release for each stage would hold up the next stage by as much.
        self._spent.append(attempt)
        if len(self._spent) >= _RELEASE_TOGETHER:
            for spent in self._spent:
                spent.release()
            self._spent.clear()
        return sharing

    # ---- from the workers --------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        handlers = {self._topic: self._on_worker_event, "all": self._on_scheduler_event}
        for topic, handler in handlers.items():
            self._client.subscribe_topic(topic, handler)  # type: ignore[no-untyped-call]  # not annotated by Dask
        self._count_workers()

    # Handlers run in Dask's thread: they only pass on.

    def _on_worker_event(self, event: tuple[float, dict[str, Any]]) -> None:
        self._inbox.put(messages.from_wire(event[1]))

    def _on_scheduler_event(self, event: tuple[float, dict[str, Any]]) -> None:
        message = messages.from_scheduler(event[1])
        if message is not None:
            self._inbox.put(message)

    def _on_future(self, future: "Future[None]") -> None:
        if future.status == "error":
            error = future.exception()  # type: ignore[no-untyped-call]  # not annotated by Dask
            self._inbox.put(messages.TaskBroken(str(future.key), error))

    def _answer(self, message: messages.Message) -> None:
        match message:
            case messages.WorkerJoined(address):
                self._workers.setdefault(address, None)
            case messages.WorkerLost(address, retired):
                self._lost(address, retired)
            case messages.WorkersLeaving(addresses):
                self._leaving.update(addresses)
            case messages.FromWorker(attempt_id, worker_name, said):
                if attempt_id in self._attempts:  # else of an attempt given up on
                    attempt = self._attempts[attempt_id]
                    attempt.worker_name = worker_name
                    self._answer_worker(attempt, said)
            case messages.TaskBroken(attempt_id, error):
                if attempt_id in self._attempts:
                    self._broken(self._attempts[attempt_id], error)

    def _answer_worker(self, attempt: Attempt, message: messages.StageMessage) -> None:
        match message:
            case messages.Started(began, place):
                self._memory.learn(attempt.worker, place)
                self._emit(StageStarted(attempt.stage, attempt.worker_name, began))
            case messages.Progress(info):
                self._emit(StageProgress(attempt.stage, attempt.worker_name, info))
            case messages.Done(reused):
                self._over(attempt)
                self._finished(attempt.stage, reused)
            case messages.Held():
                self._over(attempt)
                self._held.add(attempt.stage)
            case messages.Failed():
                self._failed(attempt, message)
            case messages.DamagedParent(parent, reason):
                self._over(attempt)
                self._redo(self._source.stages[parent], reason)
                self._work.put_back(attempt.stage.key)
            case messages.WrongRunsFolder(host):
                raise UserError(
                    f"the worker {attempt.worker_name} on {host} does not see the runs folder {self._store.runs}. Give "
                    "with --runs a folder of a file system that this machine and the workers share, under the same path"
                )

    def _failed(self, attempt: Attempt, failure: messages.Failed) -> None:
        sharing = self._over(attempt)
        if failure.memory and sharing > 1:
            self._retry_with_fewer(attempt, sharing)
        else:
            alone = ", with no other stage beside it: a smaller batch_size needs less" if failure.memory else ""
            self._give_up(attempt.stage, failure.error + alone, failure.traceback)

    def _broken(self, attempt: Attempt, error: BaseException) -> None:
        if self._pool.probe is not None:
            raise UserError(
                f"the worker at {attempt.worker} cannot take a stage: {error!r}. Its Python must have the "
                "same version of dfcil-sweep, and of what it needs, as this one"
            ) from error
        raise RuntimeError(f"{attempt.stage} could not be handed to a worker") from error

    # ---- what follows ------------------------------------------------------------------------------------------------

    def _finished(self, stage: Stage, reused: bool) -> None:
        """A stage that was out is in the store."""
        try:
            record = self._store.record(stage)
        except DamagedStage as damage:
            self._work.done(stage.key)
            self._redo(stage, damage.reason)
            return
        if record is None:  # set aside by another launcher since
            self._work.put_back(stage.key)
            return
        self._work.done(stage.key)
        if reused:
            self._outcome.reused += 1
        else:
            self._outcome.done += 1
        self._source.compare(stage, record, reused)
        self._emit(StageFinished(stage, record))
        if self._gc is not None:
            self._gc.after(stage)

    def _retry_with_fewer(self, attempt: Attempt, sharing: int) -> None:
        """Memory did not suffice for so many stages: this one is tried again with fewer neighbours."""
        most = self._memory.lower(attempt.worker, sharing, attempt.stage.key)
        self._emit(StageOutOfMemory(attempt.stage, attempt.worker_name, most))
        self._work.put_back(attempt.stage.key)

    def _give_up(self, stage: Stage, error: str, traceback: str) -> None:
        self._memory.forget(stage.key)
        failure = StageFailed(stage, error, traceback, self._store.log(stage))
        self._outcome.failed[stage.key] = failure
        self._work.failed(stage.key)
        self._emit(failure)

    def _redo(self, stage: Stage, reason: str) -> None:
        """A stage thought finished is damaged or gone."""
        aside = self._store.set_aside(stage)
        if aside is not None:
            self._emit(StageDamaged(stage, reason, aside))
        self._damages[stage.key] += 1
        if self._damages[stage.key] >= _DAMAGE_REPORTS:
            self._work.reopen(stage.key, self._store.whole)
            self._give_up(stage, f"damaged {_DAMAGE_REPORTS} times, the last time: {reason}", "")
        elif not self._store.whole(stage):  # else another launcher has done it anew
            self._work.reopen(stage.key, self._store.whole)

    def _lost(self, address: str, retired: bool = False) -> None:
        """A worker is gone. Its stage, if it had one, is the only one to suffer.

        One that was `retired` has ended of itself, as its walltime neared: that tells nothing against its stage.
        """
        retired = retired or address in self._leaving
        self._leaving.discard(address)
        attempt = self._workers.pop(address, None)
        if attempt is None:
            return
        sharing = self._over(attempt)
        attempt.release()  # at once, or a new worker at the same address would be given it
        if self._memory.killed_for_memory() and sharing > 1:
            self._retry_with_fewer(attempt, sharing)
            return
        key = attempt.stage.key
        if retired:
            self._emit(StageMoved(attempt.stage, attempt.worker_name))
            self._work.put_back(key)
            return
        self._deaths[key] += 1
        if self._deaths[key] < self._options.attempts:
            self._emit(StageRetried(attempt.stage, attempt.worker_name, self._deaths[key] + 1))
            self._work.put_back(key)
            return
        times = "once" if self._deaths[key] == 1 else f"{self._deaths[key]} times"
        error = f"the worker process died {times} over this stage: it was killed, ran out of memory, or crashed"
        self._give_up(attempt.stage, error, "")

    # ---- now and then ------------------------------------------------------------------------------------------------

    def _tend(self) -> None:
        """Let the cluster see to its workers, however busy we are."""
        if time.monotonic() - self._tended >= _TEND_SECONDS:
            self._pool.look_after()
            self._tended = time.monotonic()

    def _look_after(self) -> None:
        self._look_at_held()
        if self._client.status != "running":
            raise RuntimeError("the connection to the Dask scheduler is gone")
        if self._monitor.due():
            self._count_workers()

    def _count_workers(self) -> None:
        """Learn of workers that came or went unnoticed; there must be some, sooner or later."""
        present, gone = self._monitor.check(set(self._workers))
        for address in present:
            self._workers.setdefault(address, None)
        for address in gone:
            self._lost(address)
        awaited = self._monitor.awaited()
        if awaited is not None:
            self._emit(WorkersAwaited(awaited))

    def _look_at_held(self) -> None:
        """See which stages of other launchers are finished by now, and which have been abandoned."""
        for stage in self._held.take_settled(self._source.settled):
            self._finished(stage, reused=True)
        for stage in self._held.take_abandoned():
            self._work.put_back(stage.key)
