"""How many stages may share a device's memory: fewer, once one of them has run out of it beside others."""

import math

from orchestrator.worker.memory_errors import processes_killed_for_memory


class MemoryLimits:
    """Which workers are at work on which device, and how many of them it has proved to hold.

    A place is one memory: a GPU, or for workers without one their machine. It is learnt from a worker's first stage.
    """

    def __init__(self) -> None:
        self._places: dict[str, str] = {}
        self._limits: dict[str, dict[str, int]] = {}
        self._sharing: dict[str, int] = {}
        self._killed = processes_killed_for_memory()

    def has_room(self, worker: str) -> bool:
        """Whether one more stage may start where this worker is.

        A worker that has not said where it is may be at any of the places that hold only so many: it is most likely
        the one that has come up instead of a worker killed there.
        """
        at = self._places.get(worker)
        unknown = sum(each not in self._places for each in self._sharing)
        places = self._limits if at is None else [at]
        return all(len(self._at_work(place)) + unknown < self._most(place) for place in places)

    def begin(self, worker: str) -> None:
        """The worker is given a stage."""
        self._sharing[worker] = 1
        self._count_sharing(worker)

    def learn(self, worker: str, place: str) -> None:
        """The worker has said where it is."""
        if self._places.get(worker) != place:
            self._places[worker] = place
            self._count_sharing(worker)

    def end(self, worker: str) -> int:
        """Its stage has ended, or the worker has: the most stages that shared its place meanwhile, its own included."""
        return self._sharing.pop(worker, 1)

    def lower(self, worker: str, sharing: int, key: str) -> int:
        """`sharing` stages, `key` among them, are too many for this worker's place; how many it is given now."""
        place = self._places[worker]
        limits = self._limits.setdefault(place, {})
        limits[key] = min(limits.get(key, sharing), max(1, sharing - 1))
        return int(self._most(place))

    def forget(self, key: str) -> None:
        """A stage has failed alone as well: what it ran out of says nothing about how many others fit."""
        for limits in self._limits.values():
            limits.pop(key, None)

    def killed_for_memory(self) -> bool:
        """Whether the kernel of this machine has killed a process for memory since this was last asked."""
        before, self._killed = self._killed, processes_killed_for_memory()
        return self._killed > before

    def _most(self, place: str) -> float:
        return min(self._limits.get(place, {}).values(), default=math.inf)

    def _at_work(self, place: str) -> list[str]:
        return [worker for worker in self._sharing if self._places.get(worker) == place]

    def _count_sharing(self, worker: str) -> None:
        place = self._places.get(worker)
        if place is None or worker not in self._sharing:
            return
        together = self._at_work(place)
        for each in together:
            self._sharing[each] = max(self._sharing[each], len(together))
