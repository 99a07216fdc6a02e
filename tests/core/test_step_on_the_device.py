"""A step stays on the device: on a CUDA device as torch pretends it (fake tensors), nothing goes from or to the CPU.

A copy there would end the capture of the step. Fake tensors have a device and a shape and no numbers, and no backward
pass: that has no tensors but those of the forward pass and of parameters.
"""

from contextlib import contextmanager

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from dfcil_core import run_stage as core
from dfcil_core import supplied
from dfcil_core import train as loop
from dfcil_core.dream import losses
from dfcil_core.dream import train as dreaming
from dfcil_core.execution import Execution
from dfcil_core.methods import METHODS
from tests.support.helpers import plan_of, run_one, stages

CUDA = torch.device("cuda:0")

# torch.compile, which fake tensors load, takes seconds.
pytestmark = pytest.mark.long


class Crossings(TorchDispatchMode):
    """Notes the operators that take tensors of both devices, or make one of the other."""

    def __init__(self):
        super().__init__()
        self.noting, self.operators, self.found = False, 0, []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if self.noting:
            self.operators += 1
            both = [one for one in tree_flatten((args, kwargs, result))[0] if isinstance(one, torch.Tensor)]
            if len({one.device.type for one in both}) > 1:
                self.found.append(str(function))
        return result

    @contextmanager
    def step(self):
        self.noting = True
        yield
        self.noting = False


@pytest.fixture
def crossings(monkeypatch):
    """While it is there tensors are fake ones, and a module that is moved gets new parameters."""
    monkeypatch.setattr(supplied, "_copy", lambda made, buffer: None)  # before the step, from pinned memory
    monkeypatch.setattr(torch.Tensor, "backward", lambda loss: None)
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    yield Crossings()
    torch.__future__.set_overwrite_module_params_on_conversion(before)


def phases_of(stage, folder):
    """The phases of a stage under way on the CPU, and their context and objective."""
    parents = {role: folder / key for role, key in stage.recipe.parents.items()}
    context = core._context(stage.recipe, parents, Execution())
    objective = core._objective(stage.recipe, Execution())
    runs = [loop._PhaseRun(context, phase, 0, None) for phase in objective.phases(context)]
    for run in runs:
        run.slots = next(run._batches())
    return runs, context, objective


def moved(context, objective):
    """All that a worker has on the device."""
    networks = [context.student, context.teacher, *context.modules.values(), getattr(objective, "_first_phase", None)]
    networks += [getattr(context.dream, name, None) for name in ("generator", "vae")]
    for network in networks:
        if network is not None:
            network.to(CUDA)
    context.reader._pixels = context.reader._pixels.to(CUDA)
    context.augmentation.mean, context.augmentation.std = (
        tensor.to(CUDA) for tensor in (context.augmentation.mean, context.augmentation.std)
    )
    context.device = CUDA


def stepped(run, crossings):
    """Two steps as they are captured: the first asks the host, the second is looked at."""
    run.totals, supplies = torch.zeros(1, device=CUDA), supplied.Supplies()
    with supplies.handed_out():
        run._step()
    supplies.fill()
    with crossings.step(), supplies.handed_out():
        run._step()


@pytest.mark.parametrize("quirks", ["none", "iccv2021"])
@pytest.mark.parametrize("method", METHODS)
def test_every_methods_step_stays_there(method, quirks, crossings, tmp_path):
    plan = plan_of(method, (2, 2), memory=40, quirks=quirks)
    *before, stage = plan.stages.values()
    for one in before:
        run_one(one, tmp_path)
    runs, context, objective = phases_of(stage, tmp_path)
    with FakeTensorMode(allow_non_fake_inputs=True), crossings:
        moved(context, objective)
        context.step = lambda optimizer, loss: None  # its backward pass, and an optimiser with the old parameters
        for run in runs:
            stepped(run, crossings)
    assert crossings.operators > 200 and crossings.found == []


def test_dreaming_stays_there(crossings, tmp_path):
    plan = plan_of("abd", (2, 2))
    (first, *_), (stage,) = stages(plan, "learn"), stages(plan, "dream")
    run_one(first, tmp_path)
    run = dreaming._Run(stage.recipe, {"model": tmp_path / first.key}, torch.device("cpu"))
    run.generator.train()
    run.optimizer.step = lambda: None
    with FakeTensorMode(allow_non_fake_inputs=True), crossings:
        run.generator.to(CUDA), run.teacher.to(CUDA)
        run.totals, supplies = run.totals.to(CUDA), supplied.Supplies()
        with losses.BatchNormStatistics(run.teacher) as statistics:
            with supplies.handed_out():
                run.compute(statistics)
            with crossings.step(), supplies.handed_out():
                run.compute(statistics)
    assert crossings.operators > 200 and crossings.found == []


@pytest.mark.parametrize(
    ("loss", "found"),
    [
        (lambda images: torch.where(images > 0, images, torch.tensor(0.25)).mean(), ["aten.where.self"]),
        (lambda images: images.mean() + torch.ones(2).to(CUDA).sum(), ["aten._to_copy.default"]),
        (lambda images: images.mean().cpu(), ["aten._to_copy.default"]),
        (lambda images: images.mean() * 2.0, []),
    ],
)
def test_what_does_not_stay_is_seen(loss, found, crossings):
    with FakeTensorMode(), crossings:
        images = torch.zeros(2, device=CUDA)
        with crossings.step():
            loss(images)
    assert crossings.found == found
