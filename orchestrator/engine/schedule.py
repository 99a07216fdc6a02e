"""Which stage is next: the stage graph while it is being worked off. Pure: no disk, no clock, no processes."""

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from orchestrator.plan.stage import Stage

WAITING, READY, OUT, DONE, FAILED, BLOCKED = "waiting", "ready", "out", "done", "failed", "blocked"


class Schedule:
    """Hands out stages whose parents are done, the one with the longest chain behind it first.

    That keeps the critical path moving; stages of equal depth come in the plan's order.
    """

    def __init__(
        self, stages: Mapping[str, Stage], done: set[str], length: Callable[[Stage], float] = lambda stage: 1.0
    ) -> None:
        """`stages` parents before children, every parent among them; `done` the keys of those already finished.

        `length`: about how long a stage takes, in any unit; that of its chain is the sum.
        """
        self._length = length
        self._stages: dict[str, Stage] = {}
        self._order: dict[str, int] = {}
        self._children: dict[str, list[str]] = defaultdict(list)
        self._state: dict[str, str] = {}
        self._depth: dict[str, float] = {}
        self._waits: dict[str, set[str]] = {}
        self._ready: list[tuple[float, int, str]] = []
        self._unfinished = 0
        self.add(stages, done)

    def add(self, stages: Mapping[str, Stage], done: set[str]) -> None:
        """Further stages, as in `__init__`; a parent may have been given before. Those known already stay as they are.

        They do not make the chains of earlier stages longer: what was to come first still does.
        """
        new = {key: stage for key, stage in stages.items() if key not in self._state}
        for key, stage in new.items():
            self._stages[key] = stage
            self._order[key] = len(self._order)
            self._state[key] = DONE if key in done else WAITING
            for parent in stage.parents:
                self._children[parent].append(key)
        self._depth |= self._depths(new)
        for key in new:
            if self._state[key] == WAITING:
                self._unfinished += 1
                self._open(key)

    @property
    def unfinished(self) -> int:
        """Stages that are still to be done, those that are out included."""
        return self._unfinished

    def keys(self, state: str) -> set[str]:
        """The stages in one state."""
        return {key for key, now in self._state.items() if now == state}

    def awaited(self, key: str) -> bool:
        """Whether a stage that needs this one is still to be done, has failed, or is blocked."""
        return any(self._state[child] != DONE for child in self._children[key])

    def children(self, key: str) -> list[Stage]:
        """The stages that need this one."""
        return [self._stages[child] for child in self._children[key]]

    def next(self) -> Stage | None:
        """The stage to start next, which is then out; None while there is none."""
        while self._ready:
            key = heapq.heappop(self._ready)[2]
            if self._state[key] == READY:  # it may have been blocked, or its parent reopened, since it came in
                self._state[key] = OUT
                return self._stages[key]
        return None

    def done(self, key: str) -> None:
        """A stage that was out is finished."""
        self._leave(key, DONE)
        for child in self._children[key]:
            waits = self._waits.get(child)
            if waits is not None:
                waits.discard(key)
                self._settle(child)

    def failed(self, key: str) -> None:
        """A stage that was out has failed for good: what needs it is blocked."""
        self._leave(key, FAILED)
        self._block(self._children[key])

    def give_up(self, key: str) -> bool:
        """Count a stage that has not been started as failed. False: it is done, or blocked by another one."""
        if self._state[key] not in (WAITING, READY):
            return False
        self.failed(key)
        return True

    def put_back(self, key: str) -> None:
        """A stage that was out has not been done: it is to be started again."""
        if self._state[key] == OUT:
            self._open(key)

    def reopen(self, key: str, present: Callable[[Stage], bool]) -> None:
        """A stage thought finished is not: it is to be done again, and so are those of its parents not `present`."""
        if self._state[key] != DONE:
            return
        for parent in self._stages[key].parents:
            if self._state[parent] == DONE and not present(self._stages[parent]):
                self.reopen(parent, present)
        self._unfinished += 1
        self._open(key)
        for child in self._children[key]:
            if self._state[child] in (WAITING, READY):
                self._open(child)

    def _open(self, key: str) -> None:
        self._state[key] = WAITING
        self._waits[key] = {parent for parent in self._stages[key].parents if self._state[parent] != DONE}
        if any(self._state[parent] in (FAILED, BLOCKED) for parent in self._waits[key]):
            self._block([key])
        else:
            self._settle(key)

    def _block(self, keys: Iterable[str]) -> None:
        """Block those of the stages that have not been started, and all that needs them."""
        below = list(keys)
        while below:
            key = below.pop()
            if self._state[key] in (WAITING, READY):
                self._leave(key, BLOCKED)
                below.extend(self._children[key])

    def _settle(self, key: str) -> None:
        if self._state[key] == WAITING and not self._waits[key]:
            self._state[key] = READY
            heapq.heappush(self._ready, (-self._depth[key], self._order[key], key))

    def _leave(self, key: str, state: str) -> None:
        self._state[key] = state
        self._unfinished -= 1
        self._waits.pop(key, None)

    def _depths(self, stages: Mapping[str, Stage]) -> dict[str, float]:
        """Length of what is to be done on the longest chain from each of `stages` downwards, itself included."""
        depth: dict[str, float] = {}
        for key in reversed(list(stages)):
            below = max((depth[child] for child in self._children[key]), default=0.0)
            depth[key] = below + (self._length(stages[key]) if self._state[key] != DONE else 0.0)
        return depth
