"""The product's own steps, one at a time: what a worker does in a stage, on the stages of a small sweep of digits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from dfcil_core import capture as capturing
from dfcil_core import run_stage as core
from dfcil_core import train as loop
from dfcil_core.context import Batch, TrainContext
from dfcil_core.data import open as opening
from dfcil_core.dream import losses as dreaming_losses
from dfcil_core.dream import train as dreaming
from dfcil_core.evaluate import test_logits
from dfcil_core.execution import Execution
from dfcil_core.methods import METHODS
from orchestrator.plan.plan import make_plan
from orchestrator.plan.stage import Stage
from orchestrator.spec.load import parse_spec

SPEC = """\
name: steps
dataset: {{name: digits, image_size: {image_size}}}
quirks: iccv2021
methods: {methods}
tasks: [5]
seeds: [0]
training: {{backbone: {backbone}, epochs: {epochs}, batch_size: {batch_size}, precision: {precision}}}
dreaming: {{steps: 2}}
memory: 100
"""
"""The quirks are those of the published recipe, with which ABD's student passes twice."""
TASK = 2
PARTS = ("augmentation", "evaluation", "opening")


@dataclass(frozen=True)
class Sizes:
    """What is timed."""

    backbone: str = "resnet32"
    image_size: int = 32
    batch_size: int = 32
    precision: str = "float32"
    device: str = "cpu"
    epochs: int = 1

    @property
    def kind(self) -> str:
        return torch.device(self.device).type


class Stages:
    """The stages of all methods' first task under a folder, run on demand, and those of the second one, to be timed."""

    def __init__(self, sizes: Sizes, folder: Path) -> None:
        self.sizes, self.folder = sizes, folder
        methods = [f"{{name: {name}, at_every_task: true}}" if name == "upper-bound" else name for name in METHODS]
        text = SPEC.format(methods=f"[{', '.join(methods)}]", **vars(sizes))
        self.plan = make_plan(parse_spec(text, "benchmark"), sizes.kind)
        self.execution = Execution(device=sizes.device)

    def learn(self, method: str, task: int = TASK) -> Stage:
        """A method's stage of this task."""
        (job,) = [job for job in self.plan.jobs if job.entry.label == method]
        key = job.learn[task - 1]
        assert key is not None
        return self.plan.stages[key]

    def dream(self) -> Stage:
        """The dream stage that most methods share, after the first task."""
        parent = self.learn("abd").recipe.parents["generator"]
        return self.plan.stages[parent]

    def parents(self, stage: Stage) -> dict[str, Path]:
        """The folders of a stage's parents, which are run where they have not been."""
        return {role: self._done(key) for role, key in stage.recipe.parents.items()}

    def _done(self, key: str) -> Path:
        place, stage = self.folder / key, self.plan.stages[key]
        if not place.exists():
            parents = self.parents(stage)
            place.mkdir(parents=True)
            core.run_stage(stage.recipe, place, parents, self.execution)
        return place


@contextmanager
def as_in_a_stage(device: str) -> Iterator[None]:
    """One thread on a CPU, and whatever else holds for the arithmetic of a stage."""
    with core._steady_numbers(torch.device(device).type):
        yield


class Learner:
    """A method's training step in the product's own loop, each on the same batch's images, augmented anew.

    The loop's epochs are of one batch: shuffling it is all that they add to the step.
    """

    def __init__(self, stages: Stages, method: str) -> None:
        stage = stages.learn(method)
        self.context: TrainContext = core._context(stage.recipe, stages.parents(stage), stages.execution)
        self.objective = core._objective(stage.recipe, stages.execution)
        self._phases = self.objective.phases(self.context)
        phase = next(self._phases)
        self.pool = phase.pool
        self.parameters = phase.parameters
        self.schedule = phase
        self.last: tuple[Batch, Tensor]
        size = stage.recipe.training["batch_size"]
        some = torch.randperm(len(phase.pool), generator=torch.Generator().manual_seed(0))[:size]
        if len(some) < size:
            raise ValueError(f"{method}'s pool has {len(some)} images, and a batch {size}")

        def loss(context: TrainContext, batch: Batch) -> Tensor:
            value = phase.loss(context, batch)
            self.last = batch, value.detach()
            return value

        self._run = loop._PhaseRun(
            self.context, replace(phase, pool=phase.pool[some], milestones=(), loss=loss), 0, None
        )

    def set_lr(self, lr: float) -> None:
        """The learning rate of the steps to come."""
        self._run.phase.lr = lr

    def step(self) -> float:
        """One step; its loss."""
        return self._run.one_epoch()

    def capture(self) -> str:
        """Have `captured_step` be one CUDA graph; how it is, as a record says it."""
        self._run.capture()
        if self._run.static is None:
            return self._run.how
        self._static, self._run.static = self._run.static, None
        return _captured_now(self._static, self.captured_step)

    def captured_step(self) -> float:
        """The same step, captured; its loss."""
        self._run.static = self._static
        try:
            return self.step()
        finally:
            self._run.static = None

    def digest(self) -> str:
        return _digest(self.context.student)

    def batch(self, count: int, rng: torch.Generator) -> Tensor:
        """`count` images of the pool, augmented: what a step does before the network sees anything."""
        positions = self.pool[torch.randint(len(self.pool), (count,), generator=rng)]
        return self.context.augmentation(self.context.reader.pixels(positions), rng)


class Dreamer:
    """The product's dreaming step."""

    def __init__(self, stages: Stages) -> None:
        stage = stages.dream()
        self.recipe, self.model = stage.recipe, stages.parents(stage)["model"]
        self.run = dreaming._Run(stage.recipe, stages.parents(stage), torch.device(stages.sizes.device))
        self.run.generator.train()
        self._statistics = dreaming_losses.BatchNormStatistics(self.run.teacher)
        self._statistics.__enter__()

    def step(self) -> float:
        """One step; its loss."""
        self.run.totals.zero_()
        self.run.compute(self._statistics)
        return float(self.run.totals[0])

    def capture(self) -> str:
        """Have `captured_step` be one CUDA graph; how it is, as a record says it."""
        self._static = self.run.captured(self._statistics)
        if self._static is None:
            return self.run.how
        return _captured_now(self._static, self.captured_step)

    def captured_step(self) -> float:
        """The same step, captured; its loss."""
        assert self._static is not None, "it is not captured"
        self.run.totals.zero_()
        self._static()
        return float(self.run.totals[0])

    def close(self) -> None:
        self._statistics.__exit__(None, None, None)

    def digest(self) -> str:
        return _digest(self.run.generator)


def _captured_now(static: capturing.StaticStep, step: Callable[[], float]) -> str:
    """Take steps until one is captured, now and not in the midst of eager ones; how it is, as a record says it."""
    for _ in range(capturing.WARM_UP + 1):
        step()
    return capturing.how(static.refused)


class Part:
    """A part of a stage beside its training steps; `step` does it once, and has no loss."""

    def __init__(self, action: Callable[[], object], module: torch.nn.Module) -> None:
        self._action, self._module = action, module

    def step(self) -> float:
        self._action()
        return 0.0

    def digest(self) -> str:
        return _digest(self._module)


class Made(Protocol):
    """What is done step by step."""

    def step(self) -> float:
        """Once; its loss."""

    def digest(self) -> str:
        """Equal where every bit of what was trained is."""


def make(stages: Stages, name: str) -> Made:
    """The step of a method, the dreaming step, or one of PARTS."""
    if name == "dream":
        return Dreamer(stages)
    if name not in PARTS:
        return Learner(stages, name)
    learner = Learner(stages, "base")
    context, size, rng = learner.context, stages.sizes.batch_size, torch.Generator().manual_seed(0)

    def open_anew() -> None:
        opening.forget()
        opening.open_data(context.recipe.data, None)

    actions: dict[str, Callable[[], object]] = {
        "augmentation": lambda: learner.batch(size, rng),
        "evaluation": lambda: test_logits(context.student, context.data.test, context.augmentation, context.n_seen),
        "opening": open_anew,
    }
    return Part(actions[name], context.student)


def _digest(module: torch.nn.Module) -> str:
    """SHA-256 of all its tensors: equal where every bit is."""
    total = hashlib.sha256()
    for tensor in module.state_dict().values():
        total.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()
