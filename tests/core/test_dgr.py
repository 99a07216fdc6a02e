"""Deep Generative Replay: its losses against numpy, what its VAE learns, what it carries from task to task."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from dfcil_core.checkpoint import load_tensors
from dfcil_core.methods.dgr import Dgr
from dfcil_core.networks.vae import LATENT, build_vae, vae_loss
from dfcil_core.run_stage import Execution, run_stage
from dfcil_core.train import Batch
from orchestrator.plan.plan import make_plan
from orchestrator.spec.load import parse_spec

OLD, SEEN = 3, 4


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def log_softmax(logits):
    logits = logits - logits.max(1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def test_the_classifiers_loss_against_numpy():
    student, teacher = (nn.Sequential(nn.Flatten(), nn.Linear(12, 6)) for _ in range(2))
    learning = SimpleNamespace(old=OLD, seen=SEEN, task=2, student=student, device=torch.device("cpu"))
    learning.teach = lambda images: SimpleNamespace(logits=teacher(images).detach())
    images, dreams = torch.rand(2, 3, 2, 2, generator=rng(1)), torch.rand(5, 3, 2, 2, generator=rng(2))
    batch = Batch(images, torch.tensor([3, 3]), torch.arange(2), dreams)

    z, q = (net(torch.cat([images, dreams])).detach().double().numpy() for net in (student, teacher))
    labels = np.concatenate([[3, 3], q[2:, :OLD].argmax(1)])
    weights = np.where(labels < OLD, 3 / 4, 1 / 4)
    ce = (weights * -log_softmax(z[:, :SEEN])[np.arange(7), labels]).mean()  # not divided by the sum of the weights
    targets = np.exp(log_softmax(q[2:, :OLD] / 2))
    kd = -(targets * log_softmax(z[2:, :OLD] / 2)).sum(1).mean()

    method = Dgr(Dgr.settings_type(mu=0.3))
    assert method.loss(learning, batch).item() == pytest.approx(ce + 0.3 * kd, rel=1e-5)
    # The VAE's step gets the same images and weights.
    assert torch.equal(method._step[0], torch.cat([images, dreams]))
    assert method._step[1].tolist() == weights.tolist()


def test_the_vaes_loss_against_numpy():
    logits, images = torch.randn(4, 3, 8, 8, generator=rng(0)), torch.rand(4, 3, 8, 8, generator=rng(1))
    mean, log_variance = torch.randn(4, 7, generator=rng(2)), torch.randn(4, 7, generator=rng(3))
    weights = torch.tensor([0.25, 0.25, 0.75, 0.75])
    x, t, m, v, w = (tensor.double().numpy() for tensor in (logits, images, mean, log_variance, weights))
    p = 1 / (1 + np.exp(-x))
    crossed = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean((1, 2, 3))
    divergence = -0.5 * (1 + v - m**2 - np.exp(v)).sum(1)
    expected = (w * crossed).mean() + divergence.mean() / (3 * 8 * 8)
    assert vae_loss(logits, images, mean, log_variance, weights).item() == pytest.approx(expected, rel=1e-5)


def test_the_vae_is_as_large_as_counted_by_hand():
    convolutions = (3 * 16 + 1) * 64 + 64 * 16 * 128 + 128 + 128 * 16 * 512 + 512
    linear = 2 * (512 * 16 + 1) * 1024 + (1024 + 1) * 512 * 16
    transposed = 512 * 16 * 256 + 256 + 256 * 16 * 64 + 64 + 64 * 16 * 3 + 3
    assert sum(p.numel() for p in build_vae(32).parameters()) == convolutions + linear + transposed


@pytest.mark.parametrize("size", [8, 32])
def test_the_decoder_is_its_formula_with_nothing_after_the_linear_layer(size):
    vae, codes = build_vae(size, rng=rng()).double(), torch.randn(3, LATENT, generator=rng(1)).double()
    weights = dict(vae.named_parameters())
    x = (codes @ weights["expand.weight"].T + weights["expand.bias"]).reshape(3, 512, size // 8, size // 8)
    assert (x < 0).any()
    for layer in range(3):
        x = x.clamp_min(0) if layer else x
        weight, bias = (weights[f"deconvolutions.{layer}.{name}"] for name in ("weight", "bias"))
        x = functional.conv_transpose2d(x, weight, bias, stride=2, padding=1)
    torch.testing.assert_close(vae.decode(codes), x, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("size", [8, 32, 64])
def test_the_vae_serves_sizes_divisible_by_eight(size):
    vae = build_vae(size, rng=rng())
    images = torch.rand(2, 3, size, size, generator=rng(1))
    mean, log_variance = vae.encode(images)
    assert mean.shape == log_variance.shape == (2, LATENT)
    made = vae.sample(torch.randn(2, LATENT, generator=rng(2)))
    assert made.shape == images.shape and made.min() >= 0 and made.max() <= 1
    with pytest.raises(ValueError, match="divisible by 8, not of 30"):
        build_vae(30)


def test_the_vae_learns_to_make_what_it_is_shown():
    vae, draws = build_vae(8, rng=rng()), rng(1)
    shown = torch.zeros(8, 3, 8, 8)
    shown[:, 0] = 0.9  # red
    optimizer = torch.optim.SGD(vae.parameters(), lr=0.1, momentum=0.9)
    for _ in range(40):
        optimizer.zero_grad()
        vae.loss(shown, torch.ones(8), torch.randn(8, LATENT, generator=draws)).backward()
        optimizer.step()
    made = vae.sample(torch.randn(16, LATENT, generator=draws)).mean((0, 2, 3))
    torch.testing.assert_close(made, torch.tensor([0.9, 0.0, 0.0]), atol=0.1, rtol=0)


# ---- whole stages ----------------------------------------------------------------------------------------------------

SPEC = """\
name: s
dataset: {name: synthetic, classes: 4, train_per_class: 16, test_per_class: 2, image_size: 8}
methods: [dgr]
tasks: [2]
seeds: [0]
training: {backbone: resnet8, batch_size: 16, epochs: 3}
"""


class Killed(Exception):
    pass


def learn(tmp_path, name, kill_at=None):
    """Run both stages, the last one killed after that epoch and started again; records and VAEs."""
    records, vaes = [], []
    for key, stage in make_plan(parse_spec(SPEC, "s.yaml")).stages.items():
        folder = tmp_path / name / key
        folder.mkdir(parents=True)
        saves = tmp_path / name / f"saves-{key}"
        saves.mkdir()
        parents = {role: tmp_path / name / parent for role, parent in stage.recipe.parents.items()}

        def report(news):
            if news["epoch"] == kill_at:
                raise Killed

        if kill_at:
            with pytest.raises(Killed):
                run_stage(stage.recipe, folder, parents, Execution(saves=saves, save_every=0, report=report))
        records.append(run_stage(stage.recipe, folder, parents, Execution(saves=saves)))
        vaes.append(load_tensors(folder / "vae.safetensors"))
    return records, vaes


def test_a_run_that_was_killed_ends_with_the_same_vae(tmp_path):
    records, vaes = learn(tmp_path, "whole")
    again, resumed = learn(tmp_path, "killed", kill_at=2)
    assert [record["curves"] for record in records] == [record["curves"] for record in again]
    for one, other in zip(vaes, resumed, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_vae_of_the_task_before_replays_and_is_carried_on(tmp_path, monkeypatch):
    (_, second) = make_plan(parse_spec(SPEC, "s.yaml")).stages.values()
    first_vae = learn(tmp_path, "whole")[1][0]
    seen, real = {}, Dgr.loss

    def loss(self, learning, batch):
        if not seen:
            seen["replays"] = learning.dream.vae.state_dict()
            seen["starts"] = {name: value.clone() for name, value in learning.modules["vae"].state_dict().items()}
            seen["range"] = batch.images.min().item(), batch.images.max().item()
        return real(self, learning, batch)

    monkeypatch.setattr(Dgr, "loss", loss)
    (tmp_path / "again").mkdir()
    parents = {"model": tmp_path / "whole" / second.recipe.parents["model"]}
    run_stage(second.recipe, tmp_path / "again", parents, Execution())
    for name, value in first_vae.items():
        assert torch.equal(seen["replays"][name], value) and torch.equal(seen["starts"][name], value)
    # Images are in [0, 1], not normalised: the VAE's sigmoid must reach them.
    assert seen["range"][0] >= 0 and 0.5 < seen["range"][1] <= 1
