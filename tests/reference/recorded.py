"""Running a method through its stages in double precision, and noting every batch, loss and weight on the way."""

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from dfcil_core import run_stage as core
from dfcil_core import train as loop
from dfcil_core.checkpoint import load_tensors
from dfcil_core.data.catalog import synthetic_info
from dfcil_core.dream import sample as sampling
from dfcil_core.dream import train as dreaming
from dfcil_core.networks.vae import Vae
from tests.golden.golden import double_precision
from tests.support.helpers import plan_of, run_one

SIZES = (3, 2, 2)
PER_CLASS, BATCH, LR, MEMORY, DREAM_STEPS = 8, 8, 0.05, 20, 4


@dataclass
class Step:
    """One batch as a loss was given it, the weights before it, and the loss."""

    phase: str
    images: Any
    labels: Any
    positions: Any
    dreams: Any
    student: dict
    modules: dict
    loss: float = 0.0


@dataclass
class Trace:
    """What a stage did."""

    recipe: Any
    steps: list = field(default_factory=list)
    noises: list = field(default_factory=list)
    """Every draw of noise that images were made from, with the weights of what made them, at that moment."""
    codes: list = field(default_factory=list)
    """Every draw of noise that DGR's auto-encoder learnt with."""
    files: dict = field(default_factory=dict)
    record: dict = field(default_factory=dict)

    def of(self, phase):
        return [step for step in self.steps if step.phase == phase]


def copied(module):
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


@contextmanager
def noting(trace):
    """Note what is trained meanwhile; nothing that is computed changes."""
    start, draw, dream_draw = loop._PhaseRun.__init__, sampling.noise, dreaming.noise
    learn, replay = Vae.loss, Vae.sample

    def started(self, context, phase, index, before):
        def loss(context, batch):
            dreams = None if batch.dreams is None else batch.dreams.clone()
            modules = {name: copied(module) for name, module in context.modules.items()}
            images, positions = batch.images.clone(), batch.positions.clone()
            step = Step(phase.name, images, batch.labels, positions, dreams, copied(context.student), modules)
            trace.steps.append(step)
            value = phase.loss(context, batch)
            step.loss = value.item()
            return value

        start(self, context, replace(phase, loss=loss), index, before)

    def drawn(count, rng, generator):
        trace.noises.append((draw(count, rng, generator), copied(generator)))
        return trace.noises[-1][0]

    def learnt(self, images, weights, noise):
        trace.codes.append(noise)
        return learn(self, images, weights, noise)

    def replayed(self, noise):
        trace.noises.append((noise, copied(self)))
        return replay(self, noise)

    loop._PhaseRun.__init__, Vae.loss, Vae.sample = started, learnt, replayed
    # In a dream stage the training's draws alone: the picture's are the sampler's.
    if trace.recipe.kind == "dream":
        dreaming.noise = drawn
    else:
        sampling.noise = drawn
    try:
        yield
    finally:
        loop._PhaseRun.__init__, Vae.loss, Vae.sample = start, learn, replay
        sampling.noise, dreaming.noise = draw, dream_draw


def stages(method, quirks, folder, epochs=2, per_class=PER_CLASS, **settings):
    """Run a sweep of this method over tasks of three, two and two classes; yields a trace a stage, parents first."""
    info = synthetic_info(sum(SIZES), per_class, 2)
    training = {"epochs": epochs, "batch_size": BATCH, "lr": LR}
    plan = plan_of(method, SIZES, info, training, MEMORY, quirks, settings, DREAM_STEPS)
    for stage in plan.stages.values():
        trace = Trace(stage.recipe)
        with double_precision():
            with noting(trace):
                trace.record = run_one(stage, folder)
            for file in (folder / stage.key).glob("*.safetensors"):
                trace.files[file.name.removesuffix(".safetensors")] = load_tensors(file)
            yield trace


def pixels_and_labels(recipe):
    """Training pixels, scaled to [0, 1], and labels; the same of the test images; mean and deviation."""
    data = core.open_data(recipe.data, None)
    parts = [(part.pixels.to(torch.float64) / 255, part.labels) for part in (data.train, data.test)]
    mean, std = (torch.tensor(values, dtype=torch.float64).view(1, -1, 1, 1) for values in (data.mean, data.std))
    return *parts, mean, std
