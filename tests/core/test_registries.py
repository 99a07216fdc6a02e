"""A method, a data set, a backbone: each is one entry, and runs from a spec to accuracies."""

import torch
from torch import nn

from dfcil_core.data.catalog import DATASETS, DatasetInfo
from dfcil_core.data.images import Images
from dfcil_core.methods import METHODS, OBJECTIVES
from dfcil_core.methods.base import Method
from dfcil_core.networks.catalog import BACKBONES, Backbone
from dfcil_core.networks.network import Network
from orchestrator.plan.plan import make_plan
from orchestrator.spec.load import parse_spec
from reports.figures.style import style
from tests.support.helpers import result, run_plan

SPEC = """\
name: toys
dataset: {dataset}
methods: [{method}]
tasks: [2]
seeds: [0]
training: {{backbone: {backbone}, epochs: 1, batch_size: 16, lr: 0.05}}
"""


def finals(folder, dataset="{name: digits, image_size: 8}", method="base", backbone="resnet8") -> float:
    """The final accuracy, in percent, of the only job of a sweep that is run here."""
    plan = make_plan(parse_spec(SPEC.format(dataset=dataset, method=method, backbone=backbone), "toys.yaml"))
    final = result(plan, run_plan(plan, folder), method).final
    assert final is not None
    return final


class Frozen(Method):
    """Learns its first task and then nothing."""

    name = "frozen"
    summary = "never forgets, never learns"
    source = "this test"

    def loss(self, context, batch):
        return super().loss(context, batch) * (context.task == 1)


def test_a_method_is_its_class_and_a_line_in_the_registry(tmp_path, monkeypatch):
    monkeypatch.setitem(METHODS, "frozen", Frozen)
    monkeypatch.setitem(OBJECTIVES, "frozen", Frozen)
    assert 0 < finals(tmp_path, method="frozen") <= 60  # of two tasks at most the first
    assert style("frozen") == style("frozen")  # a colour of its own, without a line anywhere


def stripes(recipe, root):
    """Two classes that a line tells apart."""

    def part(count):
        pixels = torch.zeros(2 * count, 3, 8, 8, dtype=torch.uint8)
        pixels[::2, :, 4] = 255
        return Images(pixels, torch.arange(2).repeat(count))

    return part(40), part(5)


def test_a_data_set_is_one_entry(tmp_path, monkeypatch):
    info = DatasetInfo(
        name="stripes",
        opens="tests.core.test_registries:stripes",
        summary="lines",
        classes=2,
        train_images=80,
        test_images=10,
        image_size=8,
        native_size=8,
        digest="sha256:0",
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        flips=False,
        needs_root=False,
        source="this test",
    )
    monkeypatch.setitem(DATASETS, "stripes", info)
    assert finals(tmp_path, dataset="stripes") == 50.0  # fine-tuned on the second of two classes


class Flat(nn.Module):
    def forward(self, images):
        return images.flatten(1)


def flat(n_classes, channels):
    return Network(Flat(), channels * 64, n_classes)


def draw(network, generator):
    nn.init.normal_(network.head.weight, std=0.01, generator=generator)
    nn.init.zeros_(network.head.bias)


def test_a_backbone_is_one_entry(tmp_path, monkeypatch):
    made = Backbone("tests.core.test_registries:flat", "tests.core.test_registries:draw")
    monkeypatch.setitem(BACKBONES, "flat", made)
    assert finals(tmp_path, backbone="flat") > 10
