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
from benchmarks.speed.ours import Dreamer, Learner, Sizes, Stages, as_in_a_stage
from dfcil_core.data import open as opening
from dfcil_core.evaluate import test_logits
from dfcil_core.methods import METHODS

AGREE, STEPS_COMPARED = 1e-4, 3
COMPARED_LR = 1e-4
"""Of the steps whose losses are compared: with the published 0.1, a fresh ResNet-32 makes thousandths of rounding."""
DREAMERS = ("abd", "deep-inversion", "lwf-synthetic", "r-dfcil")
TARGETS = {**dict.fromkeys(DREAMERS, 2.5), **dict.fromkeys(("base", "lwf", "lwf-mc", "rehearsal"), 1.3), "dream": 1.6}
"""How many times faster than the plain step, in float32 on one CPU thread."""
Action = Callable[[], object]


class Disagreement(Exception):
    """The plain step computes another loss: the two cannot be compared."""


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


@dataclass(frozen=True)
class Effort:
    """How long is measured: rounds, and seconds after which one line has had enough of them."""

    rounds: int = 15
    seconds: float = 16.0


def everything(sizes: Sizes, effort: Effort, only: set[str]) -> Iterator[Measured]:
    """All lines, as they are done. Raises Disagreement."""
    with tempfile.TemporaryDirectory() as folder, as_in_a_stage(sizes.device):
        stages = Stages(sizes, Path(folder))
        for method in METHODS:
            if not only or method in only:
                yield _step(stages, method, effort)
        if not only or "dream" in only:
            yield _dream(stages, effort)
        if not only or "parts" in only:
            yield from _parts(stages, effort)


def stepping(sizes: Sizes, names: Iterable[str]) -> Iterator[tuple[str, Action]]:
    """Our step alone, of each method or `dream` that is named."""
    with tempfile.TemporaryDirectory() as folder, as_in_a_stage(sizes.device):
        stages = Stages(sizes, Path(folder))
        for name in names:
            made = Dreamer(stages) if name == "dream" else Learner(stages, name)
            yield name, made.step


def _step(stages: Stages, method: str, effort: Effort) -> Measured:
    ours = Learner(stages, method)
    plain = plain_steps.Step(ours, method)
    if stages.sizes.precision == "float32":
        for side in (ours, plain):
            side.set_lr(COMPARED_LR)
        for number in range(STEPS_COMPARED):
            loss = ours.step()
            _agree(loss, plain.on(ours.last[0]), f"{method}, step {number + 1}")
        for side in (ours, plain):
            side.set_lr(ours.schedule.lr)
    return _beside(method, ours.step, plain.step, effort, stages.sizes)


def _dream(stages: Stages, effort: Effort) -> Measured:
    ours = Dreamer(stages)
    plain = plain_steps.DreamStep(ours)
    try:
        if stages.sizes.precision == "float32":
            for number in range(STEPS_COMPARED):
                _agree(ours.step(), plain.step(), f"dreaming, step {number + 1}")
        return _beside("dream", ours.step, plain.step, effort, stages.sizes)
    finally:
        ours.close()


def _agree(ours: float, plain: float, what: str) -> None:
    # Also where one of them is no number.
    if not abs(ours - plain) <= AGREE * max(1.0, abs(ours)):
        raise Disagreement(f"{what}: ours has the loss {ours}, the plain one {plain}")


def _beside(name: str, ours: Action, plain: Action, effort: Effort, sizes: Sizes) -> Measured:
    device = sizes.device
    times = clock.in_turn({"ours": ours, "plain": plain}, effort.rounds, effort.seconds, device)
    both = [times[side].of(device) for side in ("ours", "plain")]
    return Measured(
        name,
        times["ours"].summary(device),
        times["plain"].summary(device),
        clock.ratio(*both),
        TARGETS.get(name),
        clock.flops(ours),
        {
            f"{side}_mib": clock.peak_bytes(action, device) / 2**20
            for side, action in (("ours", ours), ("plain", plain))
        },
    )


# ---- what a stage does beside its steps ------------------------------------------------------------------------------


def _parts(stages: Stages, effort: Effort) -> Iterator[Measured]:
    ours = Learner(stages, "base")
    plain = plain_steps.Step(ours, "base")
    recipe, size = ours.context.recipe, stages.sizes.batch_size
    rng = torch.Generator().manual_seed(0)
    yield _beside("augmentation", lambda: ours.batch(size, rng), lambda: next(plain.batches), effort, stages.sizes)

    context = ours.context
    images = context.data.test
    test = plain_data.PillowImages(images.pixels, images.labels, plain_data.tested(context.data.mean, context.data.std))
    module = plain.formulas.net.module
    if stages.sizes.precision == "float32":
        module.load_state_dict(context.student.state_dict())
        some = context.augmentation.normalise(images.pixels[:32].to(context.device))
        with torch.no_grad():
            difference = context.student.eval()(some) - plain_steps.evaluated(module, some)
        _agree(0.0, float(difference.abs().max()), "logits of test images")

    def evaluate_plain() -> None:
        for batch, _ in torch.utils.data.DataLoader(test, 256):
            plain_steps.evaluated(module, batch.to(context.device)).cpu()

    def evaluate() -> None:
        test_logits(context.student, images, context.augmentation, context.n_seen)

    yield _beside("evaluation", evaluate, evaluate_plain, effort, stages.sizes)

    def open_anew() -> None:
        opening._opened.cache_clear()
        opening.open_data(recipe.data, None)

    open_plainly = partial(plain_data.opened, recipe.data.image_size)
    yield _beside("opening", open_anew, open_plainly, effort, stages.sizes)
    yield _stage(stages)


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
        times = clock.in_turn({"stage": whole.run, "bare": bare}, clock.FEWEST, 0.0, device)
    stage, steps = times["stage"].of(device), times["bare"].of(device)
    ratio = 1 / clock.ratio(stage, steps)
    fixed = sorted(one - other for one, other in zip(stage, steps, strict=True))[len(stage) // 2]
    more = {"steps": whole.steps, "fixed_seconds": fixed, "step_in_stage_over_bare_step": ratio, "bound": 1.1}
    return Measured("stage", times["stage"].summary(device), more=more)
