"""How long a whole plan will take, with one worker and with many: from what its stages took, or from a calibration.

A stage's time is its images (`results/work.py`) times seconds an image. These are taken from the plan's own finished
stages; where there is none of a kind, method and network, a short run of such a stage on made-up images of the same
size is timed, on this machine and device. A calibration leaves nothing behind.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dfcil_core.data.catalog import synthetic_info
from orchestrator.engine.options import Options
from orchestrator.engine.simulate import makespan
from orchestrator.plan.plan import Plan, make_plan
from orchestrator.results.estimate import Rates
from orchestrator.results.work import Like, alike
from orchestrator.spec.model import Dataset, MethodEntry, SweepSpec
from orchestrator.worker.run_task import runner

_EPOCHS, _STEPS = 3, 4  # of a calibration at least: the first epoch, and the first second of steps, are not counted
_MOST_EPOCHS, _MOST_STEPS = 20, 100  # where images are small: one alone would be too short to be timed
_PIXELS = 128 * 32 * 32  # in a batch of a calibration at most, so that it is short with large images too


@dataclass(frozen=True)
class Estimate:
    """Seconds of every stage of a plan, one worker at it."""

    plan: Plan
    seconds: Mapping[str, float]
    recorded: int
    """Kinds of stages whose time is that of finished ones; that of all others is of a calibration."""
    calibrated: int

    def planned(self, workers: int) -> float:
        """Seconds from start to end with so many workers, by the engine's schedule."""
        return makespan(self.plan.stages, self.seconds, workers)

    def alone(self, workers: int) -> float:
        """The same if every job did all of its own stages, one worker at each job, the longest jobs first."""
        jobs = sorted((sum(self.seconds[key] for key in job.stages) for job in self.plan.jobs), reverse=True)
        free = [0.0] * workers
        for job in jobs:
            free.sort()
            free[0] += job
        return max(free)


def estimate(
    plan: Plan,
    records: Mapping[str, Mapping[str, Any]],
    say: Callable[[str], None] = lambda text: None,
) -> Estimate:
    """The time of every stage, finished ones included. `records` are those of the plan's finished stages, by key.

    `say` is told what is calibrated. Loads torch where something must be, and takes up to some minutes then.
    """
    rates = Rates.of(plan, records)
    kinds = {alike(stage.recipe) for stage in plan.stages.values()}
    missing = {kind for kind in kinds if kind not in rates}
    if missing:
        _calibrate(plan, missing, rates, say)
    calibrated = sum(kind in rates for kind in missing)
    # What nothing tells of stays out.
    seconds = {key: rates.seconds(stage) or 0.0 for key, stage in plan.stages.items()}
    return Estimate(plan, seconds, len(kinds) - len(missing), calibrated)


# ---- calibration -----------------------------------------------------------------------------------------------------


def _calibrate(plan: Plan, missing: set[Like], rates: Rates, say: Callable[[str], None]) -> None:
    """Time the missing kinds of stages, and run what they need for it."""
    module, run_stage = runner(Options.runner)
    labels = {job.entry.label for job in plan.jobs}
    short = make_plan(_short(plan.spec, labels), plan.device)
    rates.know(short.stages)
    wanted = {key for key, stage in short.stages.items() if alike(stage.recipe) in missing}
    for key in reversed(list(short.stages)):
        if key in wanted:
            wanted.update(short.stages[key].parents)
    device = "cpu" if plan.device == "cpu" else "cuda:0"
    with tempfile.TemporaryDirectory(prefix="dfcil-sweep-") as folder:
        for key, stage in short.stages.items():
            if key not in wanted:
                continue
            say(f"timing {stage}")
            work = Path(folder, key)
            work.mkdir()
            parents = {role: Path(folder, parent) for role, parent in stage.recipe.parents.items()}
            with _timed(device) as clock:
                run_stage(
                    stage.recipe, work, parents, module.Execution(device, plugin=plan.spec.plugin, report=clock.report)
                )
            if alike(stage.recipe) in missing:
                rates.add(stage.recipe, clock.seconds)


def _short(spec: SweepSpec, labels: Set[str]) -> SweepSpec:
    """These methods on the first two tasks of the first split, one seed, few made-up images of the same size."""
    split, info, pixels = spec.splits[0], spec.dataset.info, spec.dataset.image_size**2
    tasks = min(2, len(split))
    batch = max(2, min(max(entry.training.batch_size for entry in spec.methods), _PIXELS // pixels))
    longer = max(1, _PIXELS // (batch * pixels))
    per_class = max(10, -(-2 * batch // min(split.sizes[:tasks])))
    made_up = synthetic_info(info.classes, per_class, 1)
    made_up = replace(made_up, flips=info.flips, resized_crops=info.resized_crops)
    return replace(
        spec,
        name=f"{spec.name}-calibration",
        dataset=Dataset(made_up, spec.dataset.image_size),
        methods=tuple(
            _short_entry(entry, batch, longer, info.classes) for entry in spec.methods if entry.label in labels
        ),
        splits=(replace(split, stop_after=tasks if tasks < len(split.sizes) else None),),
        seeds=spec.seeds[:1],
        exclude=(),
        first_models={},
        rehearsed=True,
    )


def _short_entry(entry: MethodEntry, batch: int, longer: int, classes: int) -> MethodEntry:
    training = replace(
        entry.training,
        epochs=max(entry.method.fewest_epochs, min(_MOST_EPOCHS, _EPOCHS * longer)),
        milestones=None,
        lr=min(0.01, entry.training.lr),
        batch_size=min(batch, entry.training.batch_size),
    )
    dreaming = replace(entry.dreaming, steps=min(_MOST_STEPS, _STEPS * longer))
    return replace(entry, training=training, dreaming=dreaming, memory=min(4 * classes, entry.memory), as_given=entry)


class _Clock:
    """When a stage has reported, and what that says of the whole of it."""

    def __init__(self, device: str) -> None:
        # A stage on a CPU has one thread: the processor's time is what it takes on a core of its own, however busy the
        # machine is now.
        self._now = time.process_time if device == "cpu" else time.perf_counter
        self._began = self._now()
        self._at: list[tuple[float, int, Any]] = []
        """Of each report: when it came, how many epochs or steps were over, and in which phase."""
        self.seconds = 0.0

    def report(self, told: dict[str, Any]) -> None:
        """An epoch, or some steps, are over."""
        now, dreamed = self._now(), told.get("step", len(self._at) + 1)
        self._at.append((now, dreamed, told.get("phase")))

    def stop(self) -> None:
        """What all epochs, or steps, would have taken without what only the first one waits for."""
        alike = [(at, done) for at, done, phase in self._at if phase == self._at[0][2]]
        if len(alike) < 2:
            self.seconds = self._now() - self._began
            return
        (first, one), (last, most) = alike[0], alike[-1]
        # What came before the first report took as long as the like of it did later.
        self.seconds = one * (last - first) / (most - one) + self._at[-1][0] - first


@contextmanager
def _timed(device: str) -> Iterator[_Clock]:
    clock = _Clock(device)
    yield clock
    clock.stop()
