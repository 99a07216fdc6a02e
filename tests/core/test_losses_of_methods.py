"""Every method's loss of a small batch, against its formula in numpy. dgr and r-dfcil have files of their own."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from dfcil_core import losses
from dfcil_core.context import Batch
from dfcil_core.methods import METHODS
from dfcil_core.networks.correction import Correction

# Two past tasks of three and two classes, three new ones; two of the head's outputs are for the future.
PAST, NEW, WIDTH, FEATURES = (3, 2), 3, 10, 5
OLD, SEEN = sum(PAST), sum(PAST) + NEW
CLASSES = ((9, 2, 5), (0, 4), (7, 1, 3))


class Linear(nn.Module):
    """A network whose features are its (flat) images."""

    def __init__(self, seed):
        super().__init__()
        self.head = nn.Linear(FEATURES, WIDTH)
        for parameter in self.head.parameters():
            nn.init.normal_(parameter, generator=torch.Generator().manual_seed(seed))

    def features(self, images):
        return images.flatten(1)

    def forward(self, images):
        return self.head(self.features(images))


class Moved(Linear):
    """One whose features are not those of the other."""

    def features(self, images):
        return 0.8 * images.flatten(1) + 0.1


def numbers(seed, count):
    return torch.randn(count, FEATURES, generator=torch.Generator().manual_seed(seed))


class Situation:
    """Task 3 with a batch of six images and six dreams; its logits as numpy arrays: `z` student's, `q` teacher's."""

    def __init__(self, quirks="none", task=3):
        self.student, self.teacher = Linear(0), Moved(1)
        self.images, self.dreams = numbers(2, 6), numbers(3, 6)
        # With a memory old classes are in the batch too, but the local cross-entropy of abd has new ones alone.
        self.y = np.array([5, 6, 7, 5, 7, 7])
        self.batch = Batch(self.images, torch.from_numpy(self.y), torch.arange(6), self.dreams)
        both = torch.cat([self.images, self.dreams])
        self.z, self.q = (as_numpy(net(both)) for net in (self.student, self.teacher))
        self.f, self.g = (as_numpy(net.features(both)) for net in (self.student, self.teacher))
        classes = CLASSES[:task]
        self.context = SimpleNamespace(
            n_old=OLD if task == 3 else 0, n_seen=SEEN if task == 3 else 3, n_classes=WIDTH, task=task, quirks=quirks,
            student=self.student, teacher=self.teacher, old_network=self.teacher, modules={},
            recipe=SimpleNamespace(classes=classes),
            teacher_output=self.teach,
        )  # fmt: skip

    def teach(self, images):
        features = self.teacher.features(images)
        return SimpleNamespace(features=features.detach(), logits=self.teacher.head(features).detach())

    def with_old_labels(self):
        self.y = np.array([5, 0, 7, 3, 2, 7])
        self.batch = Batch(self.images, torch.from_numpy(self.y), torch.arange(6), None)
        return self


def as_numpy(tensor):
    return tensor.detach().double().numpy()


def log_softmax(z):
    z = z - z.max(1, keepdims=True)
    return z - np.log(np.exp(z).sum(1, keepdims=True))


def ce_each(z, y):
    return -log_softmax(z)[np.arange(len(y)), y]


def ce(z, y):
    return ce_each(z, y).mean()


def kd(z, q):
    """Of the columns given, temperature 2."""
    return -(np.exp(log_softmax(q / 2)) * log_softmax(z / 2)).sum(1).mean()


def close(value):
    return pytest.approx(value, rel=1e-5)


def method(name, **settings):
    return METHODS[name](METHODS[name].settings_type(**settings))


# ---- by the method ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["upper-bound", "base", "rehearsal"])
def test_cross_entropy_is_over_the_seen_classes(name):
    s = Situation().with_old_labels()
    assert method(name).loss(s.context, s.batch).item() == close(ce(s.z[:6, :SEEN], s.y))


@pytest.mark.parametrize("name", ["lwf", "lwf-coreset"])
def test_lwf(name):
    s = Situation().with_old_labels()
    expected = ce(s.z[:6, :SEEN], s.y) + 0.7 * kd(s.z[:6, :OLD], s.q[:6, :OLD])
    assert method(name, mu=0.7).loss(s.context, s.batch).item() == close(expected)
    assert METHODS[name]().settings.mu == 1.0


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def test_lwf_mc():
    s = Situation()
    p, t = sigmoid(s.z[:6, :SEEN]), np.eye(SEEN)[s.y]
    t[:, :OLD] = sigmoid(s.q[:6, :OLD])
    expected = -(t * np.log(p) + (1 - t) * np.log(1 - p)).sum() / 6
    assert method("lwf-mc").loss(s.context, s.batch).item() == close(expected)


# p (1 - p) of a sigmoid in float32, which the gradient of torch's binary cross-entropy is divided by, but not less than
# 1e-12, before the sigmoid's own gradient multiplies with it.
FAR = (-40.0, -30.0, -27.0, -5.0, 0.0, 5.0, 40.0)


@pytest.mark.parametrize("target", [0, 1])
def test_lwf_mc_under_the_quirk_clamps_logarithms_and_gradients(target):
    logits = torch.tensor([FAR], requires_grad=True)
    labels = torch.tensor([0])  # and the teacher supplies all targets, by logits that are beyond any doubt
    loss = losses.clamped_sigmoid_cross_entropy(logits, labels, torch.full((1, len(FAR)), 200.0 if target else -200.0))
    loss.backward()

    p = (1 / (1 + np.exp(-np.array(FAR)))).astype(np.float32).astype(np.float64)
    with np.errstate(divide="ignore"):
        log = np.maximum(np.log(p if target else 1 - p), -100)
    rest = (1 - p.astype(np.float32)).astype(np.float64)
    expected = (p - target) / np.maximum(p * rest, 1e-12) * p * rest
    assert loss.item() == close(-log.sum())
    np.testing.assert_allclose(logits.grad[0].numpy(), expected, rtol=1e-5, atol=1e-30)
    assert logits.grad[0, -1] == 0  # 1 in float32: nothing is learnt, even where the target is 0
    if target:
        assert -1e-5 < logits.grad[0, 0] < 0, "faded; by its logit alone it were -1"
        plain = torch.tensor([FAR], requires_grad=True)
        losses.sigmoid_cross_entropy(plain, labels, torch.full((1, len(FAR)), 200.0)).backward()
        assert plain.grad[0, 0] == -1


def test_lwf_mc_takes_the_quirk_under_the_quirk_alone_and_in_full_precision():
    for quirks, formula in (
        ("none", losses.sigmoid_cross_entropy),
        ("iccv2021", losses.clamped_sigmoid_cross_entropy),
    ):
        s = Situation(quirks)
        s.student.head.bias.data[:SEEN] = 40.0 * torch.tensor([1.0, -1] * (SEEN // 2))
        logits, taught = s.student(s.images)[:, :SEEN], s.teacher(s.images)[:, :OLD]
        expected = formula(logits, s.batch.labels, taught)
        assert torch.equal(method("lwf-mc").loss(s.context, s.batch), expected)
        other = losses.sigmoid_cross_entropy(logits, s.batch.labels, taught)
        assert torch.equal(other, expected) == (quirks == "none")
    with torch.autocast("cpu", torch.bfloat16):
        loss = method("lwf-mc").loss(s.context, s.batch)
    assert loss.dtype == torch.float32 and loss.isfinite()


def test_lwf_mc_learns_task_one_with_sigmoids_too():
    s = Situation(task=1)
    y = np.array([0, 1, 2, 2, 1, 0])
    p, t = sigmoid(s.z[:6, :3]), np.eye(3)[y]
    expected = -(t * np.log(p) + (1 - t) * np.log(1 - p)).sum() / 6
    batch = Batch(s.images, torch.from_numpy(y), torch.arange(6), None)
    assert method("lwf-mc").loss(s.context, batch).item() == close(expected)
    assert not METHODS["lwf-mc"]().plain_first_task("none")


def test_deep_inversion():
    s = Situation()
    target = np.zeros((6, SEEN))
    target[:, :OLD] = np.exp(log_softmax(s.q[6:, :OLD] / 2))
    dreamed = -(target * log_softmax(s.z[6:, :SEEN] / 2)).sum(1).mean()
    expected = ce(s.z[:6, :SEEN], s.y) + 0.4 * (kd(s.z[:6, :OLD], s.q[:6, :OLD]) + dreamed)
    assert method("deep-inversion", mu=0.4).loss(s.context, s.batch).item() == close(expected)
    assert METHODS["deep-inversion"]().settings.mu == 1.0


def test_lwf_synthetic():
    s = Situation()
    expected = ce(s.z[:6, :SEEN], s.y) + 0.1 * kd(s.z[:, :OLD], s.q[:, :OLD])
    assert method("lwf-synthetic").loss(s.context, s.batch).item() == close(expected)


@pytest.mark.parametrize(("quirks", "outputs"), [("none", SEEN), ("iccv2021", WIDTH)])
def test_abd(quirks, outputs):
    s = Situation(quirks)
    y = np.concatenate([s.y, s.q[6:, :OLD].argmax(1)])
    w = np.where(y < OLD, OLD / SEEN, 1 - OLD / SEEN)
    local = (w[:6] * ce_each(s.z[:6, OLD:SEEN], s.y - OLD)).mean()
    head = (w * ce_each(s.z[:, :outputs], y)).mean()
    moved = (s.f - s.g) @ as_numpy(s.teacher.head.weight)[:OLD].T
    expected = local + head + 0.3 * (moved**2).sum(1).mean() / OLD
    assert method("abd", mu=0.3).loss(s.context, s.batch).item() == close(expected)
    assert METHODS["abd"]().settings.mu == 0.1


@pytest.mark.parametrize(("quirks", "outputs"), [("none", 3), ("iccv2021", WIDTH)])
def test_abds_first_task(quirks, outputs):
    s = Situation(quirks, task=1)
    y = np.array([0, 1, 2, 2, 1, 0])
    batch = Batch(s.images, torch.from_numpy(y), torch.arange(6), None)
    assert method("abd").loss(s.context, batch).item() == close(ce(s.z[:6, :outputs], y))


def by_task(z, q, classes):
    """The past tasks' terms: three classes, then two, each weighed by its share of `classes`."""
    return 3 / classes * kd(z[:, :3], q[:, :3]) + 2 / classes * kd(z[:, 3:5], q[:, 3:5])


def test_e2es_first_phase():
    s = Situation().with_old_labels()
    expected = ce(s.z[:6, :SEEN], s.y) + 0.7 * by_task(s.z[:6], s.q[:6], OLD)
    assert method("e2e", mu=0.7).loss(s.context, s.batch).item() == close(expected)
    assert METHODS["e2e"]().settings.mu == 1.0


@pytest.mark.parametrize("quirks", ["none", "iccv2021"])
def test_e2es_balanced_phase(quirks):
    s = Situation(quirks).with_old_labels()
    e2e, after_first = method("e2e", mu=0.7), Linear(8)
    e2e._first_phase = after_first
    p = as_numpy(after_first(s.images))
    target = p[:, OLD:SEEN] if quirks == "none" else s.q[:6, :NEW]
    expected = by_task(s.z[:6], s.q[:6], SEEN) + NEW / SEEN * kd(s.z[:6, OLD:SEEN], target)
    expected = ce(s.z[:6, :SEEN], s.y) + 0.7 * expected
    assert e2e._balanced(s.context, s.batch).item() == close(expected)


PAIRS = [(1.0, 0.0), (1.3, -0.4), (0.6, 0.2)]


def bic():
    """With the pairs of `PAIRS`, and the arithmetic of the first two or all of them in numpy."""
    made = method("bic")
    made._correction = Correction([3, 2, 3])
    for pair, values in zip(made._correction.pairs, PAIRS, strict=True):
        pair.data.copy_(torch.tensor(values))
    scale = np.repeat([alpha for alpha, _ in PAIRS], [3, 2, 3])
    shift = np.repeat([beta for _, beta in PAIRS], [3, 2, 3])
    return made, lambda z: scale * z[:, :SEEN] + shift


def test_bics_first_phase_corrects_student_and_teacher():
    s = Situation().with_old_labels()
    made, corrected = bic()
    z, q, r = corrected(s.z[:6]), corrected(s.q[:6]), OLD / SEEN
    expected = (1 - r) * ce(z, s.y) + r * kd(z[:, :OLD], q[:, :OLD])
    assert made.loss(s.context, s.batch).item() == close(expected)


def test_bics_second_phase_moves_the_newest_pair_alone():
    s = Situation().with_old_labels()
    made, corrected = bic()
    newest = made._correction.pairs[-1].requires_grad_(True)
    loss = made._correcting(s.context, s.batch)
    loss.backward()
    z = corrected(s.z[:6])
    assert loss.item() == close(ce(z, s.y))
    # By hand: the gradient of CE to a logit is the probability, less one at the label.
    gradient = (np.exp(log_softmax(z)) - np.eye(SEEN)[s.y]) / 6
    expected = [(gradient[:, OLD:] * s.z[:6, OLD:SEEN]).sum(), gradient[:, OLD:].sum()]
    assert newest.grad.tolist() == close(expected)
    assert all(pair.grad is None for pair in made._correction.pairs[:-1])
    assert all(parameter.grad is None for parameter in s.student.parameters())


# ---- what the losses share -------------------------------------------------------------------------------------------


def test_a_task_of_one_class_has_nothing_to_distil():
    z, q = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)), torch.zeros(4, 3)
    assert losses.distillation_by_task(z, q, [1, 1, 1], 3).item() == 0


def test_distillation_by_task_of_one_task_is_the_ordinary_one():
    z, q = numbers(0, 4), numbers(1, 4)
    assert losses.distillation_by_task(z, q, [4], 4) == losses.distillation(z, q, slice(0, 4))


def test_sigmoids_by_hand():
    # Sigmoids of 1/4 and 2/3; targets 1/2 (the teacher's logit is 0) and 1.
    logits = torch.tensor([[-np.log(3.0), np.log(2.0)]])
    expected = -(0.5 * np.log(1 / 4) + 0.5 * np.log(3 / 4) + np.log(2 / 3))
    assert losses.sigmoid_cross_entropy(logits, torch.tensor([1]), torch.zeros(1, 1)).item() == close(expected)


def test_a_dreamed_image_that_looks_new_costs():
    taught = torch.tensor([[3.0, -3.0]])
    old, new = torch.tensor([[3.0, -3.0, -9.0]]), torch.tensor([[3.0, -3.0, 9.0]])
    assert losses.soft_distillation(new, taught) > losses.soft_distillation(old, taught) + 2


def test_a_correction_starts_as_nothing_and_leaves_out_the_future():
    logits = numbers(0, 4)
    assert torch.equal(Correction([1, 2])(logits), logits[:, :3])
