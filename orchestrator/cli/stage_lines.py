"""A stage in lines: its epochs or steps with their losses, and what came of it, as records and workers tell it."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

from dfcil_core.metrics import mean_accuracy
from orchestrator.plan.stage import Stage
from orchestrator.results.job_result import JobResult
from orchestrator.text import exact_duration

_UNITS = {"learn": "epoch", "dream": "step"}
_FIRST = ("loss", "lr")
_NOT_VALUES = {"phase", "seconds", "epoch", "epochs", "step", "steps"}


class Live:
    """The reports of a stage at work, in lines."""

    def __init__(self) -> None:
        self.place = 0
        """How many epochs, over all phases, or steps were told of."""
        self._phase: Any = None
        self._earlier = 0
        self._length = 0

    def line(self, info: Mapping[str, Any]) -> str | None:
        """`epoch 3/20  loss 0.7765  lr 0.1  12.3 s`; None for a report that says nothing of that kind."""
        unit = next((unit for unit in _UNITS.values() if f"{unit}s" in info and unit in info), None)
        if unit is None:
            return None
        if info.get("phase") != self._phase:
            self._earlier, self._phase = self._earlier + self._length, info.get("phase")
        self._length = info[f"{unit}s"]
        self.place = self._earlier + info[unit]
        values = {name: value for name, value in info.items() if name not in _NOT_VALUES}
        told = _line(unit, info[unit], self._length, values)
        return f"{told}  {exact_duration(info['seconds'])}" if "seconds" in info else told


def curve_lines(stage: Stage, record: Mapping[str, Any], after: int = 0) -> Iterator[str]:
    """A line for each epoch, or each point of dreaming's curves, of a finished stage; those `after` a place alone."""
    curves = record.get("curves", {})
    names = [name for name in curves if name != "step"]
    unit = _UNITS.get(stage.recipe.kind, "")
    length = max((len(values) for values in curves.values()), default=0)
    steps = curves.get("step") or range(1, length + 1)
    for position, step in enumerate(steps):
        if step > after:
            values = {name: curves[name][position] for name in names if position < len(curves[name])}
            yield _line(unit, step, steps[-1], values)


def result_lines(stage: Stage, record: Mapping[str, Any], result: JobResult) -> Iterator[str]:
    """What came of a finished stage: the accuracies of the job, the images kept, how long it took and where."""
    if stage.recipe.kind == "learn":
        task = result.job.learn.index(stage.key)
        row = result.matrix[task]
        if row is not None:
            each = ", ".join(f"task {number} {value:.1f}" for number, value in enumerate(row, start=1))
            yield f"accuracy after task {task + 1} of {len(result.matrix)}: {mean_accuracy(row):.1f}% ({each})"
    if "memory" in record:
        yield f"memory: {record['memory']['images']} images, {record['memory']['distinct']} different ones"
    made = record["provenance"]
    where = ", ".join(made[name] for name in ("device", "host") if made.get(name))
    ended = time.strftime("%F %T", time.localtime(record["ended"]))
    if used := record.get("usage"):
        gpu = f", {used['gpu_memory_mib']:.0f} MiB of the GPU's" if "gpu_memory_mib" in used else ""
        yield f"used {used['cpu_percent']:.0f}% of a core, {used['memory_mib']:.0f} MiB of memory at most{gpu}"
    yield f"took {exact_duration(record['seconds'])}{_an_epoch(stage, record)}, until {ended}; {where}"


def _an_epoch(stage: Stage, record: Mapping[str, Any]) -> str:
    epochs = len(record["curves"]["loss"]) if stage.recipe.kind == "learn" else 0
    return f" ({record['seconds'] / epochs:.2f} s an epoch)" if epochs else ""


def _line(unit: str, number: int, of: int, values: Mapping[str, Any]) -> str:
    told = [f"{unit} {number:>{len(str(of))}}/{of}"]
    ordered = sorted(values, key=lambda name: (name not in _FIRST, name))  # "loss" comes before "lr" by itself
    told += [f"{name.removesuffix('_train')} {_number(name, values[name])}" for name in ordered]
    return "  ".join(told)


def _number(name: str, value: Any) -> str:
    if not isinstance(value, int | float):
        return str(value)
    return f"{value:g}" if name == "lr" else f"{value:.4f}"
