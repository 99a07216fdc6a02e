"""What is measured, one after another: each action of ours beside the plain one, and what the two have in common."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.speed import clock, plain_data, plain_steps
from benchmarks.speed.ours import PARTS, Dreamer, Learner, Sizes, Stages, as_in_a_stage, make
from benchmarks.speed.side import Side
from dfcil_core import capture as capturing
from dfcil_core.methods import METHODS
from dfcil_core.precision import tf32

AGREE, STEPS_COMPARED = 1e-4, 3
COMPARED_LR = 1e-4
"""Of the steps whose losses are compared: with the published 0.1, a fresh ResNet-32 makes thousandths of rounding."""
DREAMERS = ("abd", "deep-inversion", "lwf-synthetic", "r-dfcil")
TARGETS = {**dict.fromkeys(DREAMERS, 2.5), **dict.fromkeys(("base", "lwf", "lwf-mc", "rehearsal"), 1.3), "dream": 1.6}
"""How many times faster than the plain step, in float32 on one CPU thread."""
Action = Callable[[], object]


class _Disagreement(Exception):
    """The plain step computes another loss."""


@dataclass
class Measured:
    """One line of the table."""

    name: str
    ours: dict[str, float]
    plain: dict[str, float] | None = None
    ratio: float | None = None
    """How many times longer the plain one took."""
    target: float | None = None
    flops: int | None = None
    more: dict[str, Any] = field(default_factory=dict)
    disagreement: str | None = None
    """What differs, where the plain step computes another loss."""


@dataclass(frozen=True)
class Effort:
    """How long is measured: rounds, and seconds after which one line has had enough of them."""

    rounds: int = 15
    seconds: float = 16.0


def everything(sizes: Sizes, effort: Effort, only: set[str], capture: bool = False) -> Iterator[Measured]:
    """All lines, as they are done: our steps timed as a worker does them (side.py).

    Where the plain step computes another loss, `disagreement` of a line says so: the two cannot be compared.

    With `capture` each step is timed as one CUDA graph too, in turn with the others.
    """
    with tempfile.TemporaryDirectory() as folder, Side(sizes) as side, as_in_a_stage(sizes.device):
        both = _Both(Stages(sizes, Path(folder)), side, effort, capture)
        for method in METHODS:
            if not only or method in only:
                yield _step(both, method)
        if not only or "dream" in only:
            yield _dream(both)
        if not only or "parts" in only:
            yield from _parts(both)
            yield _stage(both.stages)


def stepping(sizes: Sizes, names: Iterable[str]) -> Iterator[tuple[str, Action]]:
    """Our step alone, of each method or `dream` that is named."""
    with tempfile.TemporaryDirectory() as folder, as_in_a_stage(sizes.device):
        stages = Stages(sizes, Path(folder))
        for name in names:
            yield name, make(stages, name).step


@dataclass(frozen=True)
class _Both:
    """Our steps in the process of a worker, and the same ones here, where the plain ones are."""

    stages: Stages
    side: Side
    effort: Effort
    capture: bool

    def disagreement(self, compare: Action) -> str | None:
        """What `compare` finds to differ, in float32; in bfloat16 it is not asked."""
        if self.stages.sizes.precision != "float32":
            return None
        try:
            with tf32(convolutions=False, products=False):
                compare()
        except _Disagreement as difference:
            return str(difference)
        return None

    def beside(self, name: str, ours: Action, plain: Action, disagreement: str | None = None) -> Measured:
        """The line of what `side` was asked to make; `ours` is the same here, for all but its time."""
        device = self.stages.sizes.device
        actions = {"ours": self.side.once, "plain": partial(clock.timed, plain, device)}
        more: dict[str, Any] = {}
        if self.capture and name not in PARTS:
            more = self.side.ask("capture")
            if more["how"] == capturing.how(None):
                actions["captured"] = partial(self.side.once, "captured")
        times = clock.in_turn(actions, self.effort.rounds, self.effort.seconds)
        seconds = {side: times[side].of(device) for side in actions}
        if "captured" in seconds:
            more["captured"] = times["captured"].summary(device)
            more["times_faster_captured"] = clock.ratio(seconds["captured"], seconds["ours"])
        peaks = {"ours_mib": clock.peak_bytes(ours, device), "plain_mib": clock.peak_bytes(plain, device)}
        return Measured(
            name,
            times["ours"].summary(device),
            times["plain"].summary(device),
            clock.ratio(seconds["ours"], seconds["plain"]),
            TARGETS.get(name),
            clock.flops(ours),
            {**more, **{side: peak / 2**20 for side, peak in peaks.items()}},
            disagreement,
        )


def _step(both: _Both, method: str) -> Measured:
    both.side.ask(f"make {method}")
    ours = Learner(both.stages, method)
    plain = plain_steps.Step(ours, method)
    lr = ours.schedule.lr

    def compare() -> None:
        for side in (ours, plain):
            side.set_lr(COMPARED_LR)
        for number in range(STEPS_COMPARED):
            loss = ours.step()
            _agree(loss, plain.on(ours.last[0]), f"{method}, step {number + 1}")

    disagreement = both.disagreement(compare)
    for side in (ours, plain):
        side.set_lr(lr)
    return both.beside(method, ours.step, plain.step, disagreement)


def _dream(both: _Both) -> Measured:
    both.side.ask("make dream")
    ours = Dreamer(both.stages)
    plain = plain_steps.DreamStep.beside(ours)

    def compare() -> None:
        for number in range(STEPS_COMPARED):
            _agree(ours.step(), plain.step(), f"dreaming, step {number + 1}")

    try:
        return both.beside("dream", ours.step, plain.step, both.disagreement(compare))
    finally:
        ours.close()


def _agree(ours: float, plain: float, what: str) -> None:
    # Also where one of them is no number.
    if not abs(ours - plain) <= AGREE * max(1.0, abs(ours)):
        raise _Disagreement(f"{what}: ours has the loss {ours}, the plain one {plain}")


# ---- what a stage does beside its steps ------------------------------------------------------------------------------


def _parts(both: _Both) -> Iterator[Measured]:
    ours = Learner(both.stages, "base")
    plain = plain_steps.Step(ours, "base")
    context = ours.context
    images = context.data.test
    test = plain_data.PillowImages.of_pixels(
        images.pixels, images.labels, plain_data.tested(context.data.mean, context.data.std)
    )
    module = plain.formulas.net.module

    def compare() -> None:
        module.load_state_dict(context.student.state_dict())
        some = context.augmentation.normalise(images.pixels[:32].to(context.device))
        with torch.no_grad():
            difference = context.student.eval()(some) - plain_steps.evaluated(module, some)
        _agree(0.0, float(difference.abs().max()), "logits of test images")

    disagreement = both.disagreement(compare)

    def evaluate_plain() -> None:
        for batch, _ in torch.utils.data.DataLoader(test, 256):
            plain_steps.evaluated(module, batch.to(context.device)).cpu()

    plainly: dict[str, Action] = {
        "augmentation": lambda: next(plain.batches),
        "evaluation": evaluate_plain,
        "opening": partial(plain_data.opened, context.recipe.data.image_size),
    }
    for name in PARTS:
        both.side.ask(f"make {name}")
        ours_does = make(both.stages, name).step
        yield both.beside(name, ours_does, plainly[name], disagreement if name == "evaluation" else None)


def _stage(stages: Stages) -> Measured:
    """A whole stage of three epochs as a worker does it, lease and commit included, beside as many bare steps."""
    from benchmarks.speed.in_a_sweep import WholeStage

    with tempfile.TemporaryDirectory() as folder:
        longer = Stages(Sizes(**{**asdict(stages.sizes), "epochs": 3}), Path(folder) / "parents")
        whole, ours = WholeStage(longer, "base", Path(folder)), Learner(longer, "base")

        def bare() -> None:
            for _ in range(whole.steps):
                ours.step()

        device = stages.sizes.device
        actions = {
            name: partial(clock.timed, action, device) for name, action in (("stage", whole.run), ("bare", bare))
        }
        times = clock.in_turn(actions, clock.FEWEST, 0.0)
    stage, steps = times["stage"].of(device), times["bare"].of(device)
    ratio = 1 / clock.ratio(stage, steps)
    fixed = sorted(one - other for one, other in zip(stage, steps, strict=True))[len(stage) // 2]
    more = {"steps": whole.steps, "fixed_seconds": fixed, "step_in_stage_over_bare_step": ratio, "bound": 1.1}
    return Measured("stage", times["stage"].summary(device), more=more)
