"""The networks: their shape, their initialisation, and the shortcuts taken for speed."""

import math

import pytest
import torch
from torch.nn import functional

from dfcil_core.networks import build as networks
from dfcil_core.networks import generator as dreaming
from dfcil_core.networks import resnet
from dfcil_core.streams import stream


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def counted_by_hand(depth, width, channels):
    """Weights of every 3 x 3 convolution, two numbers a channel of each batch normalisation, and the head."""
    blocks = (depth - 2) // 6
    sizes = [16] + [size for size in (16, 32, 64) for _ in range(2 * blocks)]
    convolutions = sum(9 * before * after for before, after in zip([channels, *sizes[:-1]], sizes, strict=True))
    return convolutions + 2 * sum(sizes) + 64 * width + width


@pytest.mark.parametrize(("depth", "width", "channels"), [(8, 10, 3), (14, 10, 1), (20, 10, 3), (32, 100, 3)])
def test_parameters_are_as_many_as_counted_by_hand(depth, width, channels):
    network = networks.build(f"resnet{depth}", width, channels)
    assert parameters(network) == counted_by_hand(depth, width, channels)


def test_resnet32_has_the_published_size():
    # He et al., table 6: 0.46 million for 10 classes; 31 convolutions and a head.
    assert parameters(networks.build("resnet32", 10)) == 464_154
    assert parameters(networks.build("resnet32", 100)) == 470_004


@pytest.mark.parametrize("size", [8, 16, 28, 32])
def test_features_and_logits_of_any_image_size(size):
    network = networks.build("resnet8", 7, generator=rng()).eval()
    images = torch.randn(2, 3, size, size, generator=rng())
    features = network.features(images)
    assert features.shape == (2, 64)
    assert network(images).shape == (2, 7)
    torch.testing.assert_close(network(images), functional.linear(features, network.head.weight, network.head.bias))


def test_the_shortcut_takes_every_second_pixel_and_pads_channels_evenly():
    x = torch.arange(32.0).view(1, 2, 4, 4)
    padded = resnet.shortcut(x, 4, 2)
    expected = torch.zeros(1, 4, 2, 2)
    expected[0, 1] = torch.tensor([[0.0, 2.0], [8.0, 10.0]])
    expected[0, 2] = torch.tensor([[16.0, 18.0], [24.0, 26.0]])
    assert torch.equal(padded, expected)
    assert resnet.shortcut(x, 2, 1) is x


def test_relu_comes_after_the_addition():
    block = resnet.Block(2, 2, 1).eval()
    torch.nn.init.zeros_(block.convolution2.weight)
    # Nothing but the shortcut is left, so what leaves the block is its positive part.
    x = torch.randn(1, 2, 4, 4, generator=rng())
    torch.testing.assert_close(block(x), x.clamp_min(0))


def test_weights_are_kaiming_normal_and_biases_zero():
    network = networks.build("resnet32", 100, generator=rng())
    weight = network.backbone.blocks[14].convolution2.weight
    assert weight.std().item() == pytest.approx(math.sqrt(2 / (9 * 64)), rel=0.02)
    assert abs(weight.mean().item()) < 0.002
    assert network.head.weight.std().item() == pytest.approx(math.sqrt(2 / 64), rel=0.03)
    assert not network.head.bias.any()


@pytest.mark.parametrize(
    "build",
    [lambda rng: networks.build("resnet8", 10, generator=rng), lambda rng: dreaming.build_generator(16, rng=rng)],
    ids=["resnet", "generator"],
)
def test_initialisation_draws_from_the_given_generator_alone(build):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = build(rng(5)).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    second = build(rng(5)).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = build(rng(6)).state_dict()
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_without_a_generator_the_weights_are_zeros():
    assert not any(parameter.any() for parameter in networks.build("resnet8", 10).parameters())


def test_bn_momentum_is_the_share_of_the_newest_batch():
    network = networks.build("resnet8", 10, generator=rng())
    networks.set_bn_momentum(network, 0.19)
    images = torch.randn(8, 3, 8, 8, generator=rng())
    inputs = network.backbone.convolution(images)
    network(images)
    expected = 0.19 * inputs.mean((0, 2, 3))
    torch.testing.assert_close(network.backbone.normalisation.running_mean, expected, rtol=1e-4, atol=1e-6)


def test_folding_keeps_the_outputs_and_leaves_the_network_as_it_was():
    network = networks.build("resnet14", 10, generator=rng())
    images = torch.randn(16, 3, 16, 16, generator=rng(1))
    network(images)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5, generator=rng(2))
            torch.nn.init.normal_(layer.bias, generator=rng(3))
    folded = networks.fold_batchnorm(network)
    assert network.training and all(parameter.requires_grad for parameter in network.parameters())
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in folded.modules())
    assert not any(parameter.requires_grad for parameter in folded.parameters())
    expected = network.eval().features(images)
    torch.testing.assert_close(folded.features(images), expected, rtol=1e-5, atol=1e-5 * expected.abs().max().item())


def test_an_impossible_depth_or_size_is_refused():
    with pytest.raises(ValueError, match="6n \\+ 2"):
        resnet.ResNet(18)
    with pytest.raises(ValueError, match="divisible by 4"):
        dreaming.build_generator(30)


@pytest.mark.parametrize("size", [8, 16, 24, 28, 32])
def test_the_generator_makes_normalised_images(size):
    generator = dreaming.build_generator(size, rng=rng())
    images = generator(torch.randn(64, dreaming.NOISE, generator=rng()))
    assert images.shape == (64, 3, size, size)
    torch.testing.assert_close(images.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(images.std((0, 2, 3)), torch.ones(3), atol=1e-2, rtol=0)


def test_the_generators_parameters_are_as_many_as_counted_by_hand():
    linear = (1000 + 1) * 128 * 8 * 8
    convolutions = (128 * 9 + 1) * 128 + (128 * 9 + 1) * 64 + (64 * 9 + 1) * 3
    assert parameters(dreaming.build_generator(32)) == linear + convolutions + 2 * (128 + 128 + 64)


def test_the_upsampled_convolution_is_a_convolution_of_the_upsampled_image():
    convolution = torch.nn.Conv2d(3, 4, 3, padding=1)
    torch.nn.init.normal_(convolution.weight, generator=rng(1))
    torch.nn.init.normal_(convolution.bias, generator=rng(2))
    x = torch.randn(2, 3, 5, 4, generator=rng(3), requires_grad=True)
    plain = convolution(functional.interpolate(x, scale_factor=2.0))
    fast = dreaming.upsampled_convolution(x, convolution)
    torch.testing.assert_close(fast, plain, rtol=1e-5, atol=1e-5)
    weights = torch.randn(plain.shape, generator=rng(4))
    wanted = [x, convolution.weight, convolution.bias]
    of_plain = torch.autograd.grad((plain * weights).sum(), wanted)
    of_fast = torch.autograd.grad((fast * weights).sum(), wanted)
    for computed, expected in zip(of_fast, of_plain, strict=True):
        torch.testing.assert_close(computed, expected, rtol=1e-4, atol=1e-4)


def test_streams_differ_by_seed_name_and_index_and_repeat():
    def numbers(*key):
        return torch.randn(4, generator=stream(*key)).tolist()

    streams = [numbers(*key) for key in ((0, "dream", 0), (1, "dream", 0), (0, "init", 0), (0, "dream", 1))]
    assert len({tuple(values) for values in streams}) == 4
    assert numbers(0, "dream", 0) == streams[0]
