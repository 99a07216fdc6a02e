"""Whole jobs as public scripts run them: each does all of its own tasks, one job after another in one process.

    python -m benchmarks.speed.plain_jobs SPEC.yaml THREADS

Of digits, and of the steps that plain_steps.py has: images come out of a DataLoader through Pillow, and torch spreads
each operation over its threads. Nothing is kept from job to job: each trains its own first task and its own generator.
Prints the final accuracy of each job, in percent by label, as JSON.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from benchmarks.speed import plain_data, plain_networks
from benchmarks.speed.plain_steps import DreamStep, Formulas
from dfcil_core.context import Batch
from dfcil_core.memory import RANKINGS
from dfcil_core.networks.build import build
from dfcil_core.networks.generator import build_generator
from dfcil_core.streams import stream
from orchestrator.plan.plan import Job, Plan, make_plan
from orchestrator.spec.load import load_spec
from tests.reference.methods import REFERENCES
from tests.reference.recorded import LR

CHANNELS = 3
TESTED = 256


class PlainJob:
    """A job. What it trains on what, its method's reference says (tests/reference), with networks of torch's layers."""

    def __init__(self, job: Job, plan: Plan) -> None:
        self.job, self.training, self.tasks = job, job.entry.training, job.tasks
        data = next(plan.stages[key].recipe.data for key in job.learn if key)
        train, test, mean, std = plain_data.opened(data.image_size)
        augmented = plain_data.augmentation(data.augmentation, data.image_size, mean, std)
        self.plainly, self.size = plain_data.tested(mean, std), data.image_size
        # Labels are positions in the class order from here on.
        place = job.class_order.index
        self.train_images = plain_data.PillowImages(train[0], map(place, train[1]), augmented)
        self.test_images = plain_data.PillowImages(test[0], map(place, test[1]), self.plainly)
        name, self.quirks = job.entry.method.name, job.entry.quirks
        reference = type(name, (_WholeTasks, REFERENCES[name], _ByChance), {})
        self.method: Any = reference(self.quirks)
        self.method.begin_job(self, len(job.class_order))
        self._dreaming: DreamStep | None = None

    def run(self) -> float:
        """All of its tasks; the final accuracy in percent, the mean over tasks."""
        method = self.method
        while method.task < len(self.tasks):
            method.begin_task(len(self.tasks[method.task]))
            method.phases()
            row = self.accuracies()
            if method.task < len(self.tasks):
                method.old_net = method.net.frozen().watched()
                if self.job.entry.method.selection:
                    method.choose()
                if self.job.entry.method.dreams:
                    self._dream()
        return statistics.mean(row)

    def network(self, width: int) -> plain_networks.Net:
        """A fresh one."""
        backbone, rng = self.training.backbone, stream(self.job.seed, "init", 0)
        state = build(backbone, width, CHANNELS, rng, self.quirks).state_dict()
        return plain_networks.network(backbone, state, CHANNELS, "cpu")

    def train(self, pool: list[int], trained: Iterable[Tensor], loss: Callable[[Batch], Tensor], lr: float) -> None:
        """All epochs over these images."""
        told = self.training
        optimizer = torch.optim.SGD(list(trained), lr=lr, momentum=told.momentum, weight_decay=told.weight_decay)
        schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, list(told.resolved_milestones()))
        images = self.train_images.only(pool)
        loader = DataLoader(images, told.batch_size, shuffle=True, drop_last=len(images) >= told.batch_size)
        for _ in range(told.epochs):
            for pixels, labels in loader:
                value = loss(Batch(pixels, labels, labels, None))
                optimizer.zero_grad()
                value.backward()
                optimizer.step()
            schedule.step()

    def accuracies(self) -> list[float]:
        """On the test images of each task so far, in percent."""
        method, images = self.method, self.test_images
        seen = [place for place, label in enumerate(images.labels) if label < method.seen]
        task_of = {label: task for task, labels in enumerate(method.tasks) for label in labels}
        right: list[list[int]] = [[] for _ in method.tasks]
        with torch.no_grad():
            for pixels, labels in DataLoader(images.only(seen), TESTED):
                for answer, label in zip(method.tested(pixels).argmax(1).tolist(), labels.tolist(), strict=True):
                    right[task_of[label]].append(answer == label)
        return [100 * statistics.mean(of_task) for of_task in right]

    def _dream(self) -> None:
        """Train the generator, which goes on from task to task, against the network as it is now."""
        method, dreaming, seed = self.method, self.job.entry.dreaming, self.job.seed
        if self._dreaming is None:
            ours = build_generator(self.size, CHANNELS, stream(seed, "generator", 0), self.quirks)
            method.generator = plain_networks.generator(ours, CHANNELS, "cpu")
            size, rng = self.training.batch_size, stream(seed, "dream", 0)
            self._dreaming = DreamStep(method.generator, dreaming, size, rng, torch.device("cpu"))
        method.generator.train()
        self._dreaming.against(method.old_net, method.seen)
        for _ in range(dreaming.steps):
            self._dreaming.step()
        method.generator.eval()


class _WholeTasks(Formulas):
    """What a reference follows of a trace of ours, done here."""

    def begin_job(self: Any, job: PlainJob, width: int) -> None:
        self.job, self.width, self.task, self.tasks, self.seen = job, width, 0, (), 0
        self.images_kept, self.share = job.job.entry.memory, getattr(job.job.entry.method.settings, "held_out", 0.0)
        self.train_labels = torch.tensor(job.train_images.labels)
        self.rng = stream(job.job.seed, "noise", 0)

    def begin_task(self: Any, new: int) -> None:
        self.old, self.new, self.seen = self.seen, new, self.seen + new
        self.task, self.tasks = self.task + 1, (*self.tasks, tuple(range(self.old, self.seen)))
        self.order = list(range(self.seen))
        if self.task == 1:
            self.net = self.job.network(self.width)

    def phase(self: Any, name: str, pool: Any, trained: Any, loss: Any, lr: float = LR, **told: Any) -> None:
        images, new = told.get("images") or len(pool), self.new_positions()
        if images < len(pool):  # the old images in it are those that so many are drawn from
            pool = new + random.choices(pool[len(new) :], k=images - len(new))
        self.job.train(pool, trained, loss, self.job.training.lr * lr / LR)

    def ranking(self: Any, features: Tensor) -> list[int]:
        selection = self.job.job.entry.method.selection
        return list(RANKINGS[selection](features, len(features)).tolist())

    def features_of(self: Any, positions: list[int]) -> Tensor:
        images = self.job.train_images.only(positions, self.job.plainly)
        with torch.no_grad():
            return torch.cat([self.net.features(pixels) for pixels, _ in DataLoader(images, TESTED)])

    def compare_pairs(self) -> None:
        """There is nothing to compare them with."""


class _ByChance:
    """The memory of a method that does not rank."""

    def choose(self: Any) -> None:
        each, rest = divmod(self.images_kept, self.seen)
        for label in self.order:
            known = self.memory.get(label) or self.of_class(label)
            quota = each + (label >= self.seen - rest)
            self.memory[label] = random.sample(known, min(quota, len(known)))


def main(spec: str, threads: str) -> None:
    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    random.seed(0)
    plan = make_plan(load_spec(spec))
    print(json.dumps({job.entry.label: PlainJob(job, plan).run() for job in plan.jobs}))


if __name__ == "__main__":
    main(*sys.argv[1:])
