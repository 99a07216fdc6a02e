"""How many stages may share a device's memory: fewer, once one of them has run out of it beside others."""

import re
from pathlib import Path

_VMSTAT = Path("/proc/vmstat")


class Crowding:
    """Which workers are at work on which device, and how many of them it has proved to hold.

    A place is one memory: a GPU, or for workers without one their machine. It is learnt from a worker's first stage.
    """

    def __init__(self) -> None:
        self._places: dict[str, str] = {}
        self._most: dict[str, int] = {}
        self._crowds: dict[str, int] = {}
        self._killed = processes_killed_for_memory()

    def room(self, worker: str) -> bool:
        """Whether one more stage may start where this worker is."""
        place = self._places.get(worker)
        return place is None or len(self._at_work(place)) < self._most.get(place, len(self._crowds) + 1)

    def begin(self, worker: str) -> None:
        """The worker is given a stage."""
        self._crowds[worker] = 1
        self._meet(worker)

    def learn(self, worker: str, place: str) -> None:
        """The worker has said where it is."""
        if self._places.get(worker) != place:
            self._places[worker] = place
            self._meet(worker)

    def end(self, worker: str) -> int:
        """Its stage has ended, or the worker has: the most stages that shared its place meanwhile, its own included."""
        return self._crowds.pop(worker, 1)

    def thin(self, worker: str, crowd: int) -> int:
        """`crowd` stages are too many for this worker's place; how many it is given from now on."""
        place = self._places[worker]
        self._most[place] = min(self._most.get(place, crowd), max(1, crowd - 1))
        return self._most[place]

    def killed_for_memory(self) -> bool:
        """Whether the kernel of this machine has killed a process for memory since this was last asked."""
        before, self._killed = self._killed, processes_killed_for_memory()
        return self._killed > before

    def _at_work(self, place: str) -> list[str]:
        return [worker for worker in self._crowds if self._places.get(worker) == place]

    def _meet(self, worker: str) -> None:
        place = self._places.get(worker)
        if place is None or worker not in self._crowds:
            return
        together = self._at_work(place)
        for each in together:
            self._crowds[each] = max(self._crowds[each], len(together))


def processes_killed_for_memory() -> int:
    """So many since this machine was started; 0 where the system does not count them."""
    try:
        found = re.search(r"^oom_kill (\d+)$", _VMSTAT.read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory, a GPU's or the machine's, did not suffice. Needs no torch."""
    if isinstance(error, MemoryError) or any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__):
        return True
    # What is not allocated by torch itself has no exception of its own: cuDNN, cuBLAS, and torch on a CPU.
    wordings = ("out of memory", "can't allocate memory", "ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(wording in str(error) for wording in wordings)
