"""What a stage uses of the machine that runs it: measured beside it, and no part of what it computes."""

import sys
import threading
from types import TracebackType

import psutil

_EVERY = 0.5  # seconds between looks at the memory
_MIB = 2**20


class Usage:
    """Measures this process while it is entered. `device` is `cpu`, or a CUDA device such as `cuda:0`."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._process = psutil.Process()
        self._memory = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="usage", daemon=True)

    def __enter__(self) -> "Usage":
        self._cpu = self._cpu_seconds()
        torch = sys.modules.get("torch")
        if self._device != "cpu" and torch is not None and torch.cuda.is_initialized():
            torch.cuda.reset_peak_memory_stats(self._device)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._look_once()
        self._cpu = self._cpu_seconds() - self._cpu

    def told(self, seconds: float) -> dict[str, float]:
        """What a record says of it, of a stage that took so many seconds.

        `cpu_seconds` of this process, `cpu_percent` (100: one core all the time), `memory_mib`: the most of the
        machine's memory that the process held, all its libraries included; on a GPU `gpu_memory_mib`: the most that its
        tensors took there.
        """
        told = {"cpu_seconds": self._cpu, "cpu_percent": 100 * self._cpu / seconds, "memory_mib": self._memory / _MIB}
        if self._device != "cpu":
            told["gpu_memory_mib"] = sys.modules["torch"].cuda.max_memory_allocated(self._device) / _MIB
        return {name: round(value, 3) for name, value in told.items()}

    def _cpu_seconds(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def _look(self) -> None:
        while not self._over.wait(_EVERY):
            self._look_once()

    def _look_once(self) -> None:
        self._memory = max(self._memory, self._process.memory_info().rss)
