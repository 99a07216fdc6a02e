"""The generators and the classifier for 64 x 64 and 224 x 224 images."""

import math

import pytest
import torch

from dfcil_core.methods.abd import Abd
from dfcil_core.methods.dgr import Dgr
from dfcil_core.methods.lwf import Lwf
from dfcil_core.networks import build as networks
from dfcil_core.networks.generator import NOISE, Generator, build_generator
from dfcil_core.networks.vae import build_vae
from tests.support.helpers import plan_of


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("size", [64, 72, 128, 224])
def test_the_generator_makes_normalised_images(size):
    images = build_generator(size, rng=rng())(torch.randn(4, NOISE, generator=rng()))
    assert images.shape == (4, 3, size, size)
    torch.testing.assert_close(images.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    # Before training hardly anything gets through five blocks: beside it the last normalisation's epsilon counts.
    tolerance = 1e-2 if size < 128 else 0.2
    torch.testing.assert_close(images.std((0, 2, 3)), torch.ones(3), atol=tolerance, rtol=0)


def test_the_generators_parameters_are_as_many_as_counted_by_hand():
    # 64: 128 x 8 x 8, blocks to 128, 128 and 64. 224: 64 x 7 x 7, five blocks of 64.
    convolutions = 2 * (128 * 9 + 1) * 128 + (128 * 9 + 1) * 64 + (64 * 9 + 1) * 3
    assert parameters(build_generator(64)) == 1001 * 128 * 64 + convolutions + 2 * (3 * 128 + 64)
    convolutions = 5 * (64 * 9 + 1) * 64 + (64 * 9 + 1) * 3
    assert parameters(build_generator(224)) == 1001 * 64 * 49 + convolutions + 2 * 6 * 64


def test_methods_ask_for_the_sizes_that_their_generators_make():
    for size in range(8, 300):
        for method, make in ((Abd(), lambda size: Generator(size)), (Dgr(), build_vae)):
            if size % method.size_multiple(size):
                with pytest.raises(ValueError, match=f"not of {size}"):
                    make(size)
        assert Lwf().size_multiple(size) == 1
    for size in (8, 60, 64, 120, 128, 288):
        assert size % Abd().size_multiple(size) == 0
        with torch.device("meta"):
            Generator(size)


@pytest.mark.parametrize(("size", "side"), [(64, 2), (224, 7)])
def test_resnet18_gives_512_features(size, side):
    network = networks.build("resnet18", 50, generator=rng()).eval()
    images = torch.randn(2, 3, size, size, generator=rng(1))
    shapes = []
    network.backbone.layer4.register_forward_hook(lambda module, inputs, output: shapes.append(output.shape))
    assert network.features(images).shape == (2, 512) and network(images).shape == (2, 50)
    assert shapes[0] == (2, 512, side, side)


def test_resnet18_is_drawn_from_its_own_stream_and_folds():
    first, again, other = (networks.build("resnet18", 10, generator=rng(seed)) for seed in (0, 0, 1))
    weights = [network.backbone.layer4[1].conv2.weight for network in (first, again, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert weights[0].std().item() == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.01)  # fan out
    images = torch.randn(4, 3, 32, 32, generator=rng(2))
    first.train()(images)  # running statistics other than at the start
    torch.testing.assert_close(networks.fold_batchnorm(first)(images), first.eval()(images), rtol=1e-3, atol=1e-4)


def plainly(network, images):
    """R-DFCIL's ResNet-18 in eval mode, from its weights alone, written apart: four stages, two blocks each."""
    weights = network.state_dict()

    def normalised(x, name):
        mean, variance, scale, shift = (
            weights[f"backbone.{name}.{part}"].view(1, -1, 1, 1)
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (variance + 1e-5).sqrt() * scale + shift

    def convolved(x, name, stride=1, padding=1):
        return torch.nn.functional.conv2d(x, weights[f"backbone.{name}.weight"], stride=stride, padding=padding)

    x = normalised(convolved(images, "convolution"), "normalisation").clamp_min(0)
    x = torch.nn.functional.unfold(x, 3, padding=1, stride=2).view(len(x), 64, 9, -1)  # zeros: ReLU has nothing below
    side = math.isqrt(x.shape[-1])
    x = x.amax(2).view(len(x), 64, side, side)
    for stage in range(4):
        for block in range(2):
            at = f"blocks.{2 * stage + block}"
            stride = 2 if stage > 0 and block == 0 else 1
            y = normalised(convolved(x, f"{at}.convolution1", stride), f"{at}.normalisation1").clamp_min(0)
            y = normalised(convolved(y, f"{at}.convolution2"), f"{at}.normalisation2")
            if stride == 2:
                x = normalised(convolved(x, f"{at}.shortcut.0", 2, 0), f"{at}.shortcut.1")
            x = (x + y).clamp_min(0) if block == 0 else x + y
    return x.mean((2, 3)) @ weights["head.weight"].T


def test_r_dfcils_resnet18_is_its_plain_forward():
    network = networks.build("resnet18-r-dfcil", 10, generator=rng()).double()
    for number, parameter in enumerate(network.parameters()):
        if parameter.ndim == 1 or parameter is network.head.weight:  # else a block is its shortcut, and the head zero
            torch.nn.init.normal_(parameter, 0.5, 0.5, generator=rng(number))
    images = torch.randn(3, 3, 40, 40, generator=rng(1), dtype=torch.float64)
    network.train()(images)  # running statistics other than at the start
    expected = plainly(network, images)
    torch.testing.assert_close(network.eval()(images), expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(networks.fold_batchnorm(network)(images), expected, rtol=1e-8, atol=1e-8)
    assert (network.features(images) < 0).any()


@pytest.mark.parametrize(("size", "side"), [(32, 2), (64, 4), (224, 14)])
def test_r_dfcils_resnet18_keeps_twice_the_side(size, side):
    network = networks.build("resnet18-r-dfcil", 10, generator=rng()).eval()
    shapes = []
    network.backbone.blocks.register_forward_hook(lambda module, inputs, output: shapes.append(output.shape))
    assert network.features(torch.zeros(1, 3, size, size)).shape == (1, 512)
    assert shapes[0] == (1, 512, side, side)


def test_r_dfcils_resnet18_starts_with_blocks_that_are_their_shortcuts():
    network = networks.build("resnet18-r-dfcil", 10, generator=rng())
    blocks = list(network.backbone.blocks)
    assert [bool(block.normalisation2.weight.any()) for block in blocks] == [False] * 8
    assert not network.head.weight.any() and network.head.bias is None
    x = torch.randn(2, 64, 8, 8, generator=rng(1))
    torch.testing.assert_close(blocks[1].eval()(x), x)
    assert blocks[7].convolution2.weight.std().item() == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.01)  # fan out


def test_abds_resnet18_is_three_stages_of_two_blocks():
    network = networks.build("resnet18-abd", 1000, generator=rng())
    blocks = [(block.convolution1.in_channels, block.size) for block in network.backbone.blocks]
    assert blocks == [(16, 16), (16, 16), (16, 32), (32, 32), (32, 64), (64, 64)]
    assert network.head.weight.shape == (1000, 64)
    assert networks.build("resnet18-abd-r-dfcil", 10).head.bias is None


def test_the_new_resnet18_enters_the_stages_that_train_it_and_no_others():
    def versions(method, backbone):
        plan = plan_of(method, (2, 2), training={"backbone": backbone}, memory=4)
        return {stage.recipe.kind: stage.recipe.versions.get("network") for stage in plan.stages.values()}

    assert versions("r-dfcil", "resnet18") == {"learn": 2, "dream": 2}
    for method, backbone in (
        ("r-dfcil", "resnet32"),
        ("abd", "resnet18"),
        ("bic", "resnet18"),
        ("rehearsal", "resnet8"),
    ):
        assert set(versions(method, backbone).values()) == {None}
