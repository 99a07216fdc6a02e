"""The methods with a memory of old images; see base.py."""

import torch

from tests.reference.base import Reference, same
from tests.reference.data_free import Lwf
from tests.reference.plain import ce, kd
from tests.reference.recorded import LR, MEMORY


class Rehearsal(Reference):
    def pool(self):
        # As many old images as new ones are drawn, with replacement: which, only the batches say.
        new = self.new_positions()
        held = sum(self.memory.values(), [])
        return new + held * len(new)

    def phases(self):
        images = len(self.new_positions()) * (2 if self.task > 1 else 1)
        self.phase("train", self.pool(), self.net.trained.values(), self.loss, images=images)


class LwfCoreset(Rehearsal):
    loss = Lwf.loss


class Ranked(Reference):
    """With a memory that is ranked by the features of the network as it is then."""

    images_kept = MEMORY

    def remember(self, trace):
        self.choose()
        kept = trace.files["memory"]
        for label, positions in self.memory.items():
            assert kept["positions"][kept["labels"] == label].tolist() == positions

    ranked_at = 0

    def choose(self):
        """What is kept after the task, unless it was chosen between two of its phases."""
        if self.ranked_at != self.task:
            self.rank()

    def rank(self):
        self.ranked_at = self.task
        each, rest = divmod(self.images_kept, self.seen)
        for place, label in enumerate(self.order):
            quota = each + (1 if place >= self.seen - rest else 0)
            if label in self.tasks[-1]:
                positions = self.of_class(label)
                self.memory[label] = [positions[row] for row in self.ranking(self.features_of(positions))]
            self.memory[label] = self.memory[label][:quota]

    def features_of(self, positions):
        with torch.no_grad():
            return self.net.features((self.train_pixels[positions] - self.mean) / self.std)

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
        self.compare_pairs()

    def compare_pairs(self):
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
