"""The methods without a memory; see base.py."""

import math

import torch

from tests.reference import plain
from tests.reference.base import Reference, same
from tests.reference.plain import ce, ce_each, kd, log_softmax


class Lwf(Reference):
    def loss(self, step):
        z = self.net.logits(step.images, train=True)
        loss = ce(z[:, : self.seen], step.labels)
        if self.task > 1:
            loss = loss + kd(z[:, : self.old], self.teach(step.images)[:, : self.old])
        return loss


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
        target = torch.zeros_like(z[real:, : self.seen])
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
        w = class_weights(labels, old, seen)
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

    def compare_modules(self, step):
        same(self.vae.state(), step.modules["vae"], f"task {self.task}: the auto-encoder's weights before")

    def dreamed(self, step):
        with torch.no_grad():
            images = self.old_vae.decoded(self.noises.pop(0)[0])
        same({"replayed": images}, {"replayed": step.dreams}, "replay")
        return images

    def loss(self, step):
        if self.task == 1:
            self.taught = step.images, torch.ones(len(step.images))
            return super().loss(step)
        images, real, old, seen = self.both(step), len(step.images), self.old, self.seen
        q = self.teach(images)
        labels = torch.cat([step.labels, q[real:, :old].argmax(1)])
        w = class_weights(labels, old, seen)
        self.taught = images, w
        z = self.net.logits(images, train=True)
        return (w * ce_each(z[:, :seen], labels)).mean() + kd(z[real:, :old], q[real:, :old])

    def after_step(self, rate):
        x, w = self.taught
        mean, log_variance = self.vae.encoded(x)
        y = self.vae.decoded(mean + self.codes.pop(0) * torch.exp(log_variance / 2))
        crossed = -(x * y.log() + (1 - x) * (1 - y).log()).mean((1, 2, 3))
        divergence = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(1)
        self.vae_optimiser.step((w * crossed).mean() + divergence.mean() / x[0].numel(), rate)


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

    def compare_modules(self, step):
        if self.task > 1:
            for name, weight in self.embed.items():
                same({name: weight.detach()}, {name: step.modules["embed"][f"{name}.weight"]}, "embeddings before")

    def loss(self, step):
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


def class_weights(labels, old, seen):
    """Of each image: as much as there are old classes, or new ones."""
    return torch.tensor([old / seen if label < old else 1 - old / seen for label in labels.tolist()]).to(labels.device)


def cosines(e):
    """Of the angles at every image between every two others."""
    difference = e[None] - e[:, None]
    squares = (difference**2).sum(2)
    length = torch.where(squares > 0, squares, 1.0).sqrt()
    units = difference / length[:, :, None]
    return torch.einsum("ijd,ikd->ijk", units, units)
