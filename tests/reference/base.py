"""The methods as their papers have them, followed step by step on the batches that ours were given.

One object a run: it keeps its own network, teacher, memory and optimiser from task to task, and is told at each step
only the images, their labels, and what is drawn by chance.
"""

import re

import torch

from tests.reference import plain
from tests.reference.plain import ce
from tests.reference.recorded import BATCH, LR, pixels_and_labels

BOUND = 1e-10
MILESTONES = {2: (1,), 10: (4, 6, 8)}
"""40, 60 and 80% of the epochs."""


VANISHING = re.compile(r"convolutions\.\d\.bias|normalisations\.\d\.running_mean")
"""Of the generator. Its batch normalisations take away what these biases add, and so their gradient is nothing but
rounding, which Adam divides by 1e-8; the running means follow them. They are compared to 1e-8 and then taken over."""


def same(own, theirs, what):
    """Raise AssertionError unless two dicts of tensors, or two numbers, agree within BOUND."""
    if not isinstance(own, dict):
        assert abs(own - theirs) <= BOUND, f"{what}: {own} instead of {theirs}"
        return
    for name, tensor in own.items():
        difference = (tensor - theirs[name]).abs().max().item()
        bound = 100 * BOUND if VANISHING.fullmatch(name) and "normalisation.weight" in own else BOUND
        assert difference <= bound, f"{what}: {name} is {difference:.1e} off"


class Reference:
    """Fine-tuning; what others do otherwise, they override."""

    network_type = plain.ResNet8
    weight_decay = 2e-4
    keeps_memory = False

    def __init__(self, quirks="none", epochs=2):
        self.quirks, self.epochs = quirks == "iccv2021", epochs
        self.net = self.old_net = self.generator = None
        self.memory = {}
        """Label to positions, best first."""

    # ---- a task ------------------------------------------------------------------------------------------------------

    def learn(self, trace):
        """Follow a `learn` stage, and compare all that it computed."""
        self.trace, self.tasks = trace, trace.recipe.classes
        (self.train_pixels, self.train_labels), (self.test_pixels, _), self.mean, self.std = pixels_and_labels(
            trace.recipe
        )
        self.order = [label for task in self.tasks for label in task]
        self.task, self.seen = len(self.tasks), len(self.order)
        self.new = len(self.tasks[-1])
        self.old, self.width = self.seen - self.new, trace.recipe.width
        self.begin(trace.steps[0])
        self.noises = list(trace.noises)
        self.phases()
        same(self.net.state(), trace.files["network"], "the network at the end")
        self.check_test()

    def begin(self, first):
        """A fresh network on task 1; later the one before goes on, and its copy teaches."""
        if self.task == 1:
            self.net, self.old_net = self.network_type(first.student), None
        else:
            self.old_net = self.net.frozen()

    def phases(self):
        self.phase("train", self.pool(), self.net.trained.values(), self.loss)

    def phase(self, name, pool, trained, loss, lr=LR, epochs=None, milestones=None, optimiser=None, images=None):
        """Follow one phase: its pool, its schedule, each loss, and the weights that each step starts from."""
        steps, epochs = self.trace.of(name), epochs or self.epochs
        milestones = MILESTONES[self.epochs] if milestones is None else milestones
        each = max(1, (images or len(pool)) // BATCH)
        assert len(steps) == epochs * each, f"{name}: {len(steps)} steps instead of {epochs} times {each}"
        optimiser = optimiser or plain.Sgd(trained, self.weight_decay)
        for number, step in enumerate(steps):
            what = f"task {self.task}, {name}, step {number + 1}"
            self.check_batch(step, pool, steps[number - number % each : number])
            self.before_step(number, each)
            same(self.net.state(), step.student, f"{what}: weights before")
            self.compare_modules(step)
            value = loss(step)
            same(value.item(), step.loss, f"{what}: loss")
            rate = lr * 0.1 ** sum(number // each >= milestone for milestone in milestones)
            optimiser.step(value, rate)
            self.after_step(rate)
        return optimiser

    def check_batch(self, step, pool, before):
        """Labels are those of the positions, and an epoch takes nothing from its pool more often than it is there."""
        positions = step.positions.tolist()
        assert step.labels.tolist() == [self.order.index(int(self.train_labels[position])) for position in positions]
        taken = sum((earlier.positions.tolist() for earlier in before), positions)
        assert all(taken.count(position) <= pool.count(position) for position in set(taken))

    def before_step(self, number, each):
        pass

    def compare_modules(self, step):
        """Networks beside the classifier, before the step."""

    def after_step(self, rate):
        pass

    def tested(self, images):
        return self.net.logits(images)[:, : self.seen]

    def check_test(self):
        with torch.no_grad():
            of_seen = [label in self.order for label in pixels_and_labels(self.trace.recipe)[1][1].tolist()]
            logits = self.tested((self.test_pixels[of_seen] - self.mean) / self.std)
        same({"logits": logits}, self.trace.files["logits"], f"task {self.task}, test")

    # ---- images ------------------------------------------------------------------------------------------------------

    def of_class(self, label):
        return (self.train_labels == label).nonzero().flatten().tolist()

    def new_positions(self):
        return [at for at in range(len(self.train_labels)) if int(self.train_labels[at]) in self.tasks[-1]]

    def pool(self):
        return self.new_positions()

    def teach(self, images):
        with torch.no_grad():
            return self.old_net.logits(images)

    def dreamed(self, step):
        """Our own generator's images of the noise that was drawn; they are what ours were."""
        noise, _ = self.noises.pop(0)
        with torch.no_grad():
            images = self.generator.images(noise, train=False)
        same({"dreams": images}, {"dreams": step.dreams}, "dreams")
        return images

    def both(self, step):
        return torch.cat([step.images, self.dreamed(step)])

    # ---- the other stages --------------------------------------------------------------------------------------------

    def dream(self, trace):
        """Follow a `dream` stage: a generator that goes on, or a fresh one, and Adam."""
        if self.generator is None or self.fresh_generator:
            self.generator = plain.Generator(trace.noises[0][1])
            self.adam = plain.Adam(self.generator.trained.values())
        network = self.net.frozen()
        for number, (noise, weights) in enumerate(trace.noises):
            what = f"dreaming after task {self.task}, step {number + 1}"
            self.same_generator(weights, f"{what}: weights before")
            images = self.generator.images(noise, train=True)
            ce, bn, prior, diversity = plain.dreaming_terms(network, images, self.seen, 1000)
            loss = ce + diversity + 50 * bn + 1e-3 * prior
            for name, value in (("loss", loss), ("ce", ce), ("bn", bn), ("prior", prior), ("diversity", diversity)):
                same(value.item(), trace.record["curves"][name][number], f"{what}: {name}")
            self.adam.step(loss, 1e-3)
        self.same_generator(trace.files["generator"], "the generator at the end")

    def same_generator(self, theirs, what):
        same(self.generator.state(), theirs, what)
        with torch.no_grad():
            for name, tensor in self.generator.state().items():
                if VANISHING.fullmatch(name):
                    tensor.copy_(theirs[name])

    fresh_generator = False

    def remember(self, trace):
        """Follow a `remember` stage: chosen by chance, so the choice is taken as it is."""
        kept = trace.files["memory"]
        self.memory = {label: kept["positions"][kept["labels"] == label].tolist() for label in self.order}

    def loss(self, step):
        return ce(self.net.logits(step.images, train=True)[:, : self.seen], step.labels)
