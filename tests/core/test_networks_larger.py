"""The generators and the classifier for 64 x 64 and 224 x 224 images."""

import pytest
import torch

from dfcil_core.methods.abd import Abd
from dfcil_core.methods.dgr import Dgr
from dfcil_core.methods.lwf import Lwf
from dfcil_core.networks import build as networks
from dfcil_core.networks.generator import NOISE, Generator, build_generator
from dfcil_core.networks.vae import build_vae


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


def test_r_dfcils_resnet18_has_a_head_without_biases():
    assert networks.build("resnet18-r-dfcil", 10, generator=rng()).head.bias is None
