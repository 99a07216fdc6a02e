"""Timing actions in turn, and what the processor or the GPU can do at all."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch.profiler import ProfilerActivity, profile

from dfcil_core.precision import tf32

FEWEST = 5
"""Rounds that are timed however long they take."""


@dataclass(frozen=True)
class Timing:
    """Seconds of one action, once: of the clock, and of its process's CPU."""

    wall: float
    cpu: float


@dataclass
class Times:
    """Seconds of one action, round by round: of the clock, and of its process's CPU."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def of(self, device: str) -> list[float]:
        """What counts: CPU seconds, which other work on a shared machine moves least; on a GPU those of the clock."""
        return self.cpu if device == "cpu" else self.wall

    def summary(self, device: str) -> dict[str, float]:
        """How many, the median and the quartiles of what counts, and the median of the clock; seconds."""
        seconds = self.of(device)
        low, middle, high = statistics.quantiles(seconds, n=4, method="inclusive")
        return {
            "n": len(seconds),
            "median": middle,
            "quartile_1": low,
            "quartile_3": high,
            "wall_median": statistics.median(self.wall),
        }


def timed(action: Callable[[], object], device: str) -> Timing:
    """Do it once, in this process."""
    synchronise(device)
    wall, cpu = time.perf_counter(), time.process_time()
    action()
    synchronise(device)
    return Timing(time.perf_counter() - wall, time.process_time() - cpu)


def in_turn(actions: Mapping[str, Callable[[], Timing]], rounds: int, seconds: float) -> dict[str, Times]:
    """Do each action once a round, one after the other, so that what slows the machine down slows all of them.

    One round before is not counted. Ends after `rounds`, or after `seconds` once there are FEWEST.
    """
    times = {name: Times() for name in actions}
    for action in actions.values():
        action()
    end = time.perf_counter() + seconds
    for done in range(rounds):
        if done >= FEWEST and time.perf_counter() > end:
            break
        for name, action in actions.items():
            timing = action()
            times[name].wall.append(timing.wall)
            times[name].cpu.append(timing.cpu)
    return times


def synchronise(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def ratio(ours: list[float], theirs: list[float]) -> float:
    """How many times longer theirs took: the median over the rounds of both."""
    return statistics.median(their / our for our, their in zip(ours, theirs, strict=True))


# ---- what the machine can do -----------------------------------------------------------------------------------------


def matrix_product(dtype: torch.dtype, device: str) -> float:
    """GFLOP/s of the product of two square matrices: the median of eleven.

    They are of 1024 rows; on a GPU of 8192, and in the precision that its convolutions have (float32: TF32).
    """
    size = 1024 if device == "cpu" else 8192
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    rounded = torch.backends.cudnn.allow_tf32
    with tf32(convolutions=rounded, products=rounded):
        times = in_turn({"product": lambda: timed(lambda: left @ right, device)}, 11, 5.0)["product"]
    return 2 * size**3 / statistics.median(times.of(device)) / 1e9


def bandwidth(device: str, mebibytes: int = 256) -> float:
    """GB/s of copying a tensor that no cache holds, what is read and what is written both counted."""
    source = torch.ones(mebibytes * 2**18, device=device)
    target = torch.zeros_like(source)
    times = in_turn({"copy": lambda: timed(lambda: target.copy_(source), device)}, 11, 5.0)["copy"]
    return 2 * source.numel() * source.element_size() / statistics.median(times.of(device)) / 1e9


def flops(action: Callable[[], object]) -> int:
    """Operations of the convolutions and matrix products in an action, forward and backward: two a multiplication."""
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with counter:
        action()
    return int(counter.get_total_flops())


def peak_bytes(action: Callable[[], object], device: str) -> int:
    """The most that tensors took at one time during an action, beyond what they took before it."""
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        action()
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        action()
    results = profiled.profiler.kineto_results if profiled.profiler else None
    assert results is not None
    changes = [(event.start_ns(), event.nbytes()) for event in results.events() if event.name() == "[memory]"]
    held = most = 0
    for _, change in sorted(changes, key=lambda change: change[0]):
        held += change
        most = max(most, held)
    return most
