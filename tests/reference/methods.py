"""The methods as their papers have them, followed step by step on the batches that ours were given.

One object a run: it keeps its own network, teacher, memory and optimiser from task to task, and is told at each step
only the images, their labels, and what is drawn by chance.
"""

import math
import re

import torch

from tests.reference import plain
from tests.reference.plain import ce, ce_each, kd, log_softmax
from tests.reference.recorded import BATCH, LR, MEMORY, pixels_and_labels

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


class Rehearsal(Reference):
    def pool(self):
        # As many old images as new ones are drawn, with replacement: which, only the batches say.
        new = self.new_positions()
        held = sum(self.memory.values(), [])
        return new + held * len(new)

    def phases(self):
        images = len(self.new_positions()) * (2 if self.task > 1 else 1)
        self.phase("train", self.pool(), self.net.trained.values(), self.loss, images=images)


class Lwf(Reference):
    def loss(self, step):
        z = self.net.logits(step.images, train=True)
        loss = ce(z[:, : self.seen], step.labels)
        if self.task > 1:
            loss = loss + kd(z[:, : self.old], self.teach(step.images)[:, : self.old])
        return loss


class LwfCoreset(Rehearsal):
    loss = Lwf.loss


class LwfMc(Reference):
    def loss(self, step):
        z = self.net.logits(step.images, train=True)[:, : self.seen]
        target = torch.zeros_like(z)
        target[torch.arange(len(z)), step.labels] = 1
        if self.task > 1:
            target[:, : self.old] = 1 / (1 + torch.exp(-self.teach(step.images)[:, : self.old]))
        p = 1 / (1 + torch.exp(-z))
        return -(target * p.log() + (1 - target) * (1 - p).log()).sum() / len(z)


class DeepInversion(Reference):
    def loss(self, step):
        if self.task == 1:
            return super().loss(step)
        images, real, old = self.both(step), len(step.images), self.old
        z, q = self.net.logits(images, train=True), self.teach(images)
        target = torch.zeros(len(z) - real, self.seen)
        target[:, :old] = log_softmax(q[real:, :old] / 2).exp()
        dreamed = -(target * log_softmax(z[real:, : self.seen] / 2)).sum(1).mean()
        return ce(z[:real, : self.seen], step.labels) + kd(z[:real, :old], q[:real, :old]) + dreamed


class LwfSynthetic(Reference):
    def loss(self, step):
        if self.task == 1:
            return super().loss(step)
        images, real = self.both(step), len(step.images)
        z, q = self.net.logits(images, train=True), self.teach(images)
        return ce(z[:real, : self.seen], step.labels) + 0.1 * kd(z[:, : self.old], q[:, : self.old])


class Abd(Reference):
    def loss(self, step):
        outputs = self.width if self.quirks else self.seen
        if self.task == 1:
            return ce(self.net.logits(step.images, train=True)[:, :outputs], step.labels)
        images, real, old, seen = self.both(step), len(step.images), self.old, self.seen
        q = self.teach(images)
        labels = torch.cat([step.labels, q[real:, :old].argmax(1)])
        w = torch.tensor([old / seen if label < old else 1 - old / seen for label in labels.tolist()])
        if self.quirks:
            with torch.no_grad():
                self.net.features(images, train=True)  # once more, before: only the running statistics notice
        f = self.net.features(images, train=True)
        with torch.no_grad():
            g = self.old_net.features(images)
            old_head = self.old_net.trained["head.weight"][:old]
        z = self.net.linear(f, "head")
        local = (w[:real] * ce_each(z[:real, old:seen], step.labels - old)).mean()
        head = (w * ce_each(self.net.linear(f.detach(), "head")[:, :outputs], labels)).mean()
        moved = ((f @ old_head.T - g @ old_head.T) ** 2).sum(1).mean() / old
        return local + head + 0.1 * moved


class Dgr(Reference):
    weight_decay = 0.0

    def phases(self):
        first = self.trace.steps[0].modules["vae"]
        self.old_vae = None if self.task == 1 else self.vae.frozen()
        if self.task == 1:
            self.vae = plain.Vae(first)
        same(self.vae.state(), first, f"task {self.task}: the auto-encoder at the beginning")
        self.vae_optimiser, self.codes = plain.Sgd(self.vae.trained.values(), 0.0), list(self.trace.codes)
        super().phases()
        same(self.vae.state(), self.trace.files["vae"], f"task {self.task}: the auto-encoder")

    def dreamed(self, step):
        with torch.no_grad():
            images = self.old_vae.decoded(self.noises.pop(0)[0])
        same({"replayed": images}, {"replayed": step.dreams}, "replay")
        return images

    def loss(self, step):
        same(self.vae.state(), step.modules["vae"], f"task {self.task}: the auto-encoder's weights before")
        if self.task == 1:
            self.taught = step.images, torch.ones(len(step.images))
            return super().loss(step)
        images, real, old, seen = self.both(step), len(step.images), self.old, self.seen
        q = self.teach(images)
        labels = torch.cat([step.labels, q[real:, :old].argmax(1)])
        w = torch.tensor([old / seen if label < old else 1 - old / seen for label in labels.tolist()])
        self.taught = images, w
        z = self.net.logits(images, train=True)
        return (w * ce_each(z[:, :seen], labels)).mean() + kd(z[real:, :old], q[real:, :old])

    def after_step(self, rate):
        x, w = self.taught
        mean, log_variance = self.vae.encoded(x)
        y = self.vae.decoded(mean + self.codes.pop(0) * torch.exp(log_variance / 2))
        crossed = -(x * y.log() + (1 - x) * (1 - y).log()).mean((1, 2, 3))
        divergence = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(1)
        self.vae_optimiser.step((w * crossed).mean() + divergence.mean() / (3 * 8 * 8), rate)


class Ranked(Reference):
    """With a memory that is ranked by the features of the network as it is then."""

    def remember(self, trace):
        if self.ranked_at != self.task:
            self.rank()
        kept = trace.files["memory"]
        for label, positions in self.memory.items():
            assert kept["positions"][kept["labels"] == label].tolist() == positions

    ranked_at = 0

    def rank(self):
        self.ranked_at = self.task
        each, rest = divmod(MEMORY, self.seen)
        for place, label in enumerate(self.order):
            quota = each + (1 if place >= self.seen - rest else 0)
            if label in self.tasks[-1]:
                positions = self.of_class(label)
                with torch.no_grad():
                    features = self.net.features((self.train_pixels[positions] - self.mean) / self.std)
                self.memory[label] = [positions[row] for row in self.ranking(features)]
            self.memory[label] = self.memory[label][:quota]

    def held(self):
        return sum(self.memory.values(), [])


class E2e(Ranked):
    def ranking(self, features):
        distances = ((features - features.mean(0)) ** 2).sum(1).tolist()
        return sorted(range(len(features)), key=distances.__getitem__)

    def phases(self):
        if self.task == 1:
            super().phases()
            return
        pool = self.new_positions() + self.held()
        self.phase("learn", pool, self.net.trained.values(), lambda step: self.balanced(step, self.old))
        self.rank()
        self.after_first = self.net.frozen()
        head = [self.net.trained["head.weight"], self.net.trained["head.bias"]]
        self.phase("balance", self.held(), head, self.second, lr=LR / 100)

    def balanced(self, step, share):
        z, q = self.net.logits(step.images, train=True), self.teach(step.images)
        loss, start = ce(z[:, : self.seen], step.labels), 0
        for task in self.tasks[:-1]:
            stop = start + len(task)
            loss = loss + len(task) / share * kd(z[:, start:stop], q[:, start:stop])
            start = stop
        self.z, self.q = z, q
        return loss

    def second(self, step):
        loss = self.balanced(step, self.seen)
        with torch.no_grad():
            target = self.after_first.logits(step.images)[:, self.old : self.seen]
        if self.quirks:
            target = self.q[:, : self.new]
        return loss + self.new / self.seen * kd(self.z[:, self.old : self.seen], target)


class Bic(Ranked):
    share = 0.3
    """Of the memory, held out; the papers' 0.1 of so small a memory were none."""

    def __init__(self, quirks="none", epochs=2):
        super().__init__(quirks, epochs)
        self.pairs = []

    def ranking(self, features):
        chosen, mean = [], features.mean(0)
        while len(chosen) < len(features):
            left = [row for row in range(len(features)) if row not in chosen]
            chosen.append(min(left, key=lambda row: (features[[*chosen, row]].mean(0) - mean).norm().item()))
        return chosen

    def corrected(self, z):
        parts, start = [], 0
        for pair, task in zip(self.pairs, self.tasks, strict=True):
            parts.append(pair[0] * z[:, start : start + len(task)] + pair[1])
            start += len(task)
        return torch.cat(parts, 1)

    def phases(self):
        self.pairs.append(torch.tensor([1.0, 0.0]))
        if self.task == 1:
            super().phases()
            return
        each = int(int(self.share * len(self.held())) / self.old)
        assert each > 0
        classes = [*self.memory.values(), *(self.of_class(label) for label in self.tasks[-1])]
        pool = sum((positions[each:] for positions in classes), [])
        held = sum((positions[:each] for positions in classes), [])
        self.phase("learn", pool, self.net.trained.values(), self.loss)
        pair = self.pairs[-1].requires_grad_(True)
        self.phase("correct", held, [pair], self.correcting, lr=LR / 100)
        self.pairs[-1] = pair.detach()
        stored = self.trace.files["bias"]
        same({f"pairs.{task}": pair for task, pair in enumerate(self.pairs)}, stored, f"task {self.task}: pairs")
        assert not torch.equal(self.pairs[-1], torch.tensor([1.0, 0.0]))

    def loss(self, step):
        if self.task == 1:
            return super().loss(step)
        r = self.old / self.seen
        z, q = self.corrected(self.net.logits(step.images, train=True)), self.corrected(self.teach(step.images))
        return (1 - r) * ce(z, step.labels) + r * kd(z[:, : self.old], q[:, : self.old])

    def correcting(self, step):
        with torch.no_grad():
            z = self.net.logits(step.images, train=True)
        return ce(self.corrected(z), step.labels)

    def tested(self, images):
        z = super().tested(images)
        return z if self.quirks else self.corrected(z)


class RDfcil(Reference):
    network_type = plain.LinearResNet8
    weight_decay = 5e-4
    fresh_generator = True

    def begin(self, first):
        super().begin(first)
        if self.task > 1:
            # The new classes' rows are drawn by chance; the rest is what the task before left.
            with torch.no_grad():
                head = self.net.trained["head.weight"]
                head[self.old : self.seen] = first.student["head.weight"][self.old : self.seen]

    def phases(self):
        learn, refine = self.epochs * 4 // 5, self.epochs // 5
        if self.task == 1:
            self.phase("learn", self.pool(), self.net.trained.values(), self.plain_loss, epochs=learn)
            return
        first = self.trace.steps[0].modules["embed"]
        self.embed = {name: first[f"{name}.weight"].clone().requires_grad_(True) for name in ("student", "teacher")}
        self.counts, self.refining = [0] * self.seen, False
        trained = [*self.net.trained.values(), *self.embed.values()]
        optimiser = self.phase("learn", self.pool(), trained, self.loss, epochs=learn)
        self.refining = True
        # The optimiser goes on with the head alone, momentum included.
        optimiser.tensors = [self.net.trained["head.weight"]]
        self.phase("refine", self.pool(), None, self.refined, 0.005, refine, (), optimiser)

    def plain_loss(self, step):
        return super().loss(step)

    def before_step(self, number, each):
        if self.task > 1 and self.refining and number % each == 0:
            seen = [max(count, 1) for count in self.counts]
            self.class_weights = torch.tensor([max(seen) / count for count in seen])

    def count(self, labels):
        for label in labels.tolist():
            self.counts[label] += 1

    def loss(self, step):
        for name, weight in self.embed.items():
            same({name: weight.detach()}, {name: step.modules["embed"][f"{name}.weight"]}, "embeddings before")
        x, dreams, old, new = step.images, self.dreamed(step), self.old, self.new
        alpha, beta = math.log2(new / 2 + 1), math.sqrt(old / new)
        q = self.teach(dreams)[:, :old]
        self.count(torch.cat([step.labels, q.argmax(1)]))
        f = self.net.features(x, train=True)
        local = ce(self.net.linear(f, "head")[:, old : self.seen], step.labels - old)
        hard = (self.net.logits(dreams, train=True)[:, :old] - q).abs().mean()
        with torch.no_grad():
            g = self.old_net.features(x)
        relations = (cosines(f @ self.embed["student"].T) - cosines(g @ self.embed["teacher"].T)).abs().mean()
        return 0.5 * (1 + 1 / alpha) / beta * local + 0.15 * alpha * beta * hard + 0.5 * alpha * beta * relations

    def refined(self, step):
        dreams, old, new = self.dreamed(step), self.old, self.new
        alpha, beta = math.log2(new / 2 + 1), math.sqrt(old / new)
        q = self.teach(dreams)[:, :old]
        labels = torch.cat([step.labels, q.argmax(1)])
        self.count(labels)
        with torch.no_grad():
            f = self.net.features(torch.cat([step.images, dreams]))
        z = self.net.linear(f, "head")[:, : self.seen]
        w = self.class_weights[labels]
        weighted = (w * ce_each(z, labels)).sum() / w.sum()
        return 0.5 * weighted + 0.15 * alpha * beta * (z[len(step.images) :, :old] - q).abs().mean()


def cosines(e):
    """Of the angles at every image between every two others."""
    difference = e[None] - e[:, None]
    squares = (difference**2).sum(2)
    length = torch.where(squares > 0, squares, 1.0).sqrt()
    units = difference / length[:, :, None]
    return torch.einsum("ijd,ikd->ijk", units, units)


REFERENCES = {
    "upper-bound": Reference,
    "base": Reference,
    "lwf": Lwf,
    "lwf-mc": LwfMc,
    "dgr": Dgr,
    "deep-inversion": DeepInversion,
    "lwf-synthetic": LwfSynthetic,
    "abd": Abd,
    "r-dfcil": RDfcil,
    "rehearsal": Rehearsal,
    "lwf-coreset": LwfCoreset,
    "e2e": E2e,
    "bic": Bic,
}
