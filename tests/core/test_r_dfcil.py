"""R-DFCIL's losses against numpy, its network against what the paper's code builds, its second stage against SGD."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from dfcil_core import losses
from dfcil_core.checkpoint import load_tensors
from dfcil_core.context import Batch
from dfcil_core.execution import Execution
from dfcil_core.methods.r_dfcil import RDfcil, RDfcilSettings, _draw_head, scales
from dfcil_core.networks import build as networks
from dfcil_core.networks import resnet
from dfcil_core.run_stage import _context, run_stage
from dfcil_core.train import train
from orchestrator.plan.plan import make_plan
from orchestrator.spec.load import parse_spec

OLD, NEW, FEATURES = 4, 2, 3


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


class Linear(nn.Module):
    """A network whose features are its (flat) images."""

    def __init__(self, seed):
        super().__init__()
        self.head = nn.Linear(FEATURES, OLD + NEW, bias=False)
        nn.init.normal_(self.head.weight, generator=rng(seed))

    def features(self, images):
        return images.flatten(1)

    def forward(self, images):
        return self.head(self.features(images))


def situation(seed=0):
    """A learning task of four old and two new classes, its batch, and the same as numpy arrays."""
    student, teacher = Linear(seed), Linear(seed + 1)
    embed = nn.ModuleDict({name: nn.Linear(FEATURES, 5, bias=False) for name in ("student", "teacher")})
    modules = {"embed": embed, "seen": losses.ClassCounts(OLD + NEW)}
    context = SimpleNamespace(n_old=OLD, n_seen=OLD + NEW, task=2, student=student, teacher=teacher, modules=modules)
    context.teacher_output = lambda images: SimpleNamespace(features=images.flatten(1), logits=teacher(images).detach())
    images, dreams = (torch.randn(count, FEATURES, generator=rng(seed + 2 + count)) for count in (4, 3))
    labels = torch.tensor([4, 5, 5, 4])
    arrays = SimpleNamespace(
        student=student.head.weight.detach().double().numpy(),
        teacher=teacher.head.weight.detach().double().numpy(),
        embed={name: layer.weight.detach().double().numpy() for name, layer in embed.items()},
        images=images.double().numpy(),
        dreams=dreams.double().numpy(),
        labels=labels.numpy(),
    )
    return context, Batch(images, labels, torch.arange(4), dreams), arrays


def cross_entropies(logits, labels):
    logits = logits - logits.max(1, keepdims=True)
    return np.log(np.exp(logits).sum(1)) - logits[np.arange(len(labels)), labels]


def cosines(points):
    """By the definition, one triple at a time."""
    n = len(points)
    found = np.zeros((n, n, n))
    for i in range(n):
        for j in range(n):
            for k in range(n):
                a, b = points[j] - points[i], points[k] - points[i]
                if j != i and k != i:
                    found[i, j, k] = a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
    return found


def test_scales_by_hand():
    assert scales(old=54, new=6) == (2.0, 3.0)  # log2(6/2 + 1), sqrt(54/6)


def test_stage_one_against_numpy():
    context, batch, a = situation()
    alpha, beta = math.log2(NEW / 2 + 1), math.sqrt(OLD / NEW)
    local = cross_entropies(a.images @ a.student[OLD:].T, a.labels - OLD).mean()
    hard = np.abs(a.dreams @ a.student[:OLD].T - a.dreams @ a.teacher[:OLD].T).mean()
    before, after = (cosines(a.images @ a.embed[name].T) for name in ("teacher", "student"))
    expected = 0.5 * (1 + 1 / alpha) / beta * local
    expected += 0.15 * alpha * beta * hard + 0.5 * alpha * beta * np.abs(after - before).mean()
    assert RDfcil().loss(context, batch).item() == pytest.approx(expected, rel=1e-5)


def test_the_relations_gradient_is_finite_where_two_images_are_one():
    same = torch.ones(3, 4, requires_grad=True)
    losses.relational_distillation(same, torch.randn(3, 4, generator=rng())).backward()
    assert torch.isfinite(same.grad).all()


def test_angles_do_not_change_when_a_picture_is_moved_turned_and_enlarged():
    points = torch.randn(6, 3, generator=rng()).double()
    turn = torch.linalg.qr(torch.randn(3, 3, generator=rng(1)).double())[0]
    assert losses.relational_distillation(points, 2.5 * points @ turn + 7).item() == pytest.approx(0, abs=1e-7)


def test_stage_two_divides_by_the_sum_of_the_weights():
    context, batch, a = situation(5)
    context.modules["seen"].counts.copy_(torch.tensor([8, 4, 2, 0, 16, 1]))
    context.modules["seen"].renew()
    alpha, beta = math.log2(NEW / 2 + 1), math.sqrt(OLD / NEW)
    weights = 16 / np.array([8, 4, 2, 1, 16, 1])  # a class never seen counts as seen once; the smallest weight is 1
    taught = a.dreams @ a.teacher[:OLD].T
    labels = np.concatenate([a.labels, taught.argmax(1)])
    logits = np.concatenate([a.images, a.dreams]) @ a.student.T
    ce = (weights[labels] * cross_entropies(logits, labels)).sum() / weights[labels].sum()
    hard = np.abs(logits[4:, :OLD] - taught).mean()
    expected = 0.5 * ce + 0.15 * alpha * beta * hard
    assert RDfcil()._refined(context, batch).item() == pytest.approx(expected, rel=1e-5)
    counted = context.modules["seen"].counts - torch.tensor([8, 4, 2, 0, 16, 1])
    assert counted.tolist() == np.bincount(labels, minlength=6).tolist()


def test_the_network_is_the_papers():
    network = networks.build("resnet8-r-dfcil", 100, generator=rng())
    assert network.head.bias is None and not network.head.weight.any()
    blocks = [module for module in network.modules() if isinstance(module, resnet.Block)]
    assert len(blocks) == 3 and all(not block.normalisation2.weight.any() for block in blocks)
    # Fan out: 64 outputs of 3 x 3 weights.
    assert blocks[2].convolution2.weight.std().item() == pytest.approx(math.sqrt(2 / (64 * 9)), rel=0.02)
    # Each block starts as its shortcut, no ReLU after it: the stem's 16 channels come through, zeros after them.
    images = torch.randn(2, 3, 16, 16, generator=rng(1))
    stem = torch.relu(network.backbone.normalisation(network.backbone.convolution(images)))
    features = network.features(images)
    torch.testing.assert_close(features[:, :16], stem[:, :, ::4, ::4].mean((2, 3)))
    assert not features[:, 16:].any()
    negative = torch.full((1, 16, 4, 4), -1.0)
    torch.testing.assert_close(blocks[0](negative), negative)


def test_the_heads_new_rows_are_drawn_task_by_task():
    student = Linear(0)
    before = student.head.weight.clone()
    recipe = SimpleNamespace(seed=0, stream=1)
    context = SimpleNamespace(recipe=recipe, n_old=OLD, n_seen=OLD + 1, student=student)
    _draw_head(context)
    assert torch.equal(student.head.weight[:OLD], before[:OLD])
    assert torch.equal(student.head.weight[OLD + 1 :], before[OLD + 1 :])
    row = student.head.weight[OLD].clone()
    assert 0 < row.abs().max() < 5e-3
    recipe.stream = 2
    _draw_head(context)
    assert not torch.equal(student.head.weight[OLD], row)


# ---- whole stages ----------------------------------------------------------------------------------------------------

SPEC = """\
name: s
dataset: {name: synthetic, classes: 4, train_per_class: 20, test_per_class: 2, image_size: 8}
methods: [r-dfcil]
tasks: [2]
seeds: [0]
training: {backbone: resnet8, batch_size: 16, epochs: 5}
dreaming: {steps: 2}
"""


class Killed(Exception):
    pass


def learn(tmp_path, name, stages=None, kill=None):
    """Run the sweep's stages; `kill` stops the last one at that phase and epoch, once, and starts it again."""
    plan = make_plan(parse_spec(SPEC, "s.yaml"))
    for position, (key, stage) in enumerate(plan.stages.items()):
        folder = tmp_path / name / key
        folder.mkdir(parents=True)
        saves = tmp_path / name / "saves"
        saves.mkdir(exist_ok=True)
        parents = {role: tmp_path / name / parent for role, parent in stage.recipe.parents.items()}
        last = position == len(plan.stages) - 1

        def report(news):
            if kill and (news.get("phase"), news.get("epoch")) == kill:
                raise Killed

        if last and kill:
            with pytest.raises(Killed):
                run_stage(stage.recipe, folder, parents, Execution(saves=saves, save_every=0, report=report))
        record = run_stage(stage.recipe, folder, parents, Execution(saves=saves if last else None, save_every=0))
    return record, load_tensors(folder / "network.safetensors")


def test_both_stages_are_trained_and_resumed_to_the_same_numbers(tmp_path):
    record, whole = learn(tmp_path, "whole")
    assert record["curves"]["lr"] == [0.1] * 2 + [pytest.approx(0.01)] + [pytest.approx(0.001)] + [0.005]
    for where in (("learn", 3), ("refine", 1)):
        again, resumed = learn(tmp_path, where[0], kill=where)
        assert again["curves"] == record["curves"]
        assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_the_refinement_moves_the_head_alone(tmp_path, monkeypatch):
    entered = {}

    def remember(context, lr):
        context.student.eval()
        entered.update({name: value.clone() for name, value in context.student.state_dict().items()})

    monkeypatch.setattr("dfcil_core.methods.r_dfcil._prepare_refinement", remember)
    after = learn(tmp_path, "whole")[1]
    moved = {name for name in after if not torch.equal(after[name], entered[name])}
    assert moved == {"head.weight"}


def test_a_phase_that_keeps_momentum_goes_on_with_it(tmp_path):
    (stage,) = list(make_plan(parse_spec(SPEC, "s.yaml")).stages.values())[:1]
    context = _context(stage.recipe, {}, Execution())
    head = context.student.head.weight
    before = head.detach().clone()

    def pull(context, batch):
        return context.student.head.weight.sum()

    def rest(context, batch):
        return 0 * context.student.head.weight.sum()

    pool = context.new_images[:16]  # one step an epoch
    first = context.phase(pool=pool, loss=pull, lr=0.1, milestones=(), weight_decay=0.0, parameters=[head])
    first.epochs = 1
    second = context.phase(pool=pool, loss=rest, lr=0.5, milestones=(), weight_decay=0.0, parameters=[head])
    second.epochs, second.keeps_momentum = 2, True
    train(context, iter([first, second]), Execution())
    # The gradient of the sum is 1: a step of 0.1, then momentum alone, 0.5 * 0.9 and 0.5 * 0.81.
    torch.testing.assert_close(head.detach(), before - 0.1 - 0.5 * (0.9 + 0.81))


@pytest.mark.parametrize(
    ("epochs", "share", "expected"),
    [(200, 0.2, [160, 40]), (120, 0.25, [90, 30]), (100, 0.29, [71, 29]), (2, 0.95, [1, 1]), (1, 0.2, [1])],
)
def test_the_refinement_takes_its_share_of_the_epochs(epochs, share, expected):
    context = SimpleNamespace(
        task=2, new_images=torch.arange(4), n_seen=4, n_old=2, modules={}, device=torch.device("cpu"),
        recipe=SimpleNamespace(seed=0, stream=1, training={"epochs": epochs}),
        student=networks.build("resnet8-r-dfcil", 4, generator=rng()),
        phase=lambda **told: told,
    )  # fmt: skip
    method = RDfcil(RDfcilSettings(refinement=share))
    assert [phase["epochs"] for phase in method.phases(context)] == expected
