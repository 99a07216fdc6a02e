"""The loss terms of dreaming, against closed forms and plain loops."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from dfcil_core.dream import losses as inversion


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_confidence_is_cross_entropy_with_the_argmax():
    logits = torch.tensor([[3.0, 1.0], [0.0, 2.0]])
    # Both rows put a gap of 2 between their classes: -log(1 / (1 + exp(-2 / T))).
    for temperature in (1.0, 10.0):
        expected = math.log(1 + math.exp(-2 / temperature))
        assert inversion.confidence(logits, temperature).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("old", [2, 5, 90])
def test_diversity_is_zero_for_equally_frequent_classes_and_one_for_a_single_one(old):
    one_each = torch.eye(old) * 1000
    assert inversion.diversity(one_each).item() == pytest.approx(0.0, abs=1e-6)
    all_alike = one_each[:1].expand(4, old).clone().requires_grad_()
    loss = inversion.diversity(all_alike)
    loss.backward()
    assert loss.item() == pytest.approx(1.0, abs=1e-6)
    assert all_alike.grad.isfinite().all()


def test_diversity_of_known_frequencies():
    # One image, probabilities 1/2, 1/4, 1/4: entropy 1.5 ln 2.
    logits = torch.tensor([[0.5, 0.25, 0.25]]).log()
    assert inversion.diversity(logits).item() == pytest.approx(1 - 1.5 * math.log(2) / math.log(3), rel=1e-5)


def test_diversity_of_a_single_class_is_zero():
    assert inversion.diversity(torch.randn(4, 1, generator=rng())).item() == 0.0


def test_gaussian_divergence_is_the_integral_it_stands_for():
    mean, variance, running_mean, running_variance = 0.3, 2.5, -0.4, 0.7
    x = np.linspace(-15, 15, 200_001)
    p = np.exp(-((x - running_mean) ** 2) / (2 * running_variance)) / math.sqrt(2 * math.pi * running_variance)
    log_p = -((x - running_mean) ** 2) / (2 * running_variance) - 0.5 * math.log(2 * math.pi * running_variance)
    log_q = -((x - mean) ** 2) / (2 * variance) - 0.5 * math.log(2 * math.pi * variance)
    integral = float(np.sum(p * (log_p - log_q)) * (x[1] - x[0]))
    values = (torch.tensor([value]) for value in (mean, variance, running_mean, running_variance))
    assert inversion.gaussian_divergence(*values).item() == pytest.approx(integral, rel=1e-4)


def test_gaussian_divergence_is_zero_where_equal_and_finite_without_spread():
    ones = torch.ones(3)
    assert inversion.gaussian_divergence(ones, ones, ones, ones).abs().max().item() < 1e-6
    assert inversion.gaussian_divergence(ones, 0 * ones, ones, ones).isfinite().all()


def blurred_by_loops(images):
    kernel = np.array([[math.exp(-(((i - 2) / 2) ** 2) - ((j - 2) / 2) ** 2) for j in range(5)] for i in range(5)])
    kernel /= kernel.sum()
    padded = np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2)), mode="reflect")
    result = np.zeros_like(images)
    for row in range(images.shape[2]):
        for column in range(images.shape[3]):
            window = padded[:, :, row : row + 5, column : column + 5]
            result[:, :, row, column] = (window * kernel).sum((2, 3))
    return result


@pytest.mark.parametrize("size", [8, 13])
def test_blur_and_prior_are_those_of_the_explicit_kernel(size):
    images = torch.randn(2, 3, size, size, generator=rng())
    expected = blurred_by_loops(images.double().numpy())
    np.testing.assert_allclose(inversion.blur(images).numpy(), expected, atol=1e-6)
    prior = ((images.double().numpy() - expected) ** 2).mean()
    assert inversion.image_prior(images).item() == pytest.approx(prior, rel=1e-5)


def test_a_flat_image_costs_nothing():
    assert inversion.image_prior(torch.full((1, 3, 8, 8), 0.7)).item() == pytest.approx(0.0, abs=1e-12)


def two_layers():
    network = nn.Sequential(nn.BatchNorm2d(2), nn.ReLU(), nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3)).eval()
    for layer, seed in ((network[0], 1), (network[3], 2)):
        layer.running_mean.normal_(generator=rng(seed))
        layer.running_var.uniform_(0.5, 2, generator=rng(seed))
    return network


def test_statistics_are_those_of_each_layers_input():
    network = two_layers()
    images = torch.randn(4, 2, 6, 5, generator=rng()) * 3 + 1
    with inversion.BatchNormStatistics(network) as statistics:
        network(images)
        moments = statistics.moments
        divergence = statistics.divergence()
    inputs = [images, network[:3](images)]
    by_layer = []
    for layer, values, (mean, variance) in zip((network[0], network[3]), inputs, moments, strict=True):
        array = values.detach().double().numpy()
        np.testing.assert_allclose(mean.detach().numpy(), array.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(variance.detach().numpy(), array.var((0, 2, 3)), rtol=1e-4)
        m, v = array.mean((0, 2, 3)), array.var((0, 2, 3)) + 1e-8
        rm, rv = layer.running_mean.double().numpy(), layer.running_var.double().numpy() + 1e-8
        by_layer.append(np.mean(np.log(np.sqrt(v) / np.sqrt(rv)) - 0.5 * (1 - (rv + (rm - m) ** 2) / v)))
    assert divergence.item() == pytest.approx(np.mean(by_layer), rel=1e-5)


def test_the_gradient_of_the_statistics_is_that_of_var_mean():
    network = two_layers()
    images = (torch.randn(4, 2, 6, 5, generator=rng()) * 3 + 1).requires_grad_()
    with inversion.BatchNormStatistics(network) as statistics:
        network(images)
        (computed,) = torch.autograd.grad(statistics.divergence(), images)
    total = 0
    for layer, values in ((network[0], images), (network[3], network[:3](images))):
        variance, mean = torch.var_mean(values, (0, 2, 3), correction=0)
        total = total + inversion.gaussian_divergence(mean, variance, layer.running_mean, layer.running_var).mean() / 2
    (expected,) = torch.autograd.grad(total, images)
    torch.testing.assert_close(computed, expected, rtol=1e-4, atol=1e-7)


def test_nothing_is_recorded_outside_the_context():
    network = two_layers()
    statistics = inversion.BatchNormStatistics(network)
    with statistics:
        network(torch.randn(2, 2, 4, 4, generator=rng()))
    network(torch.randn(2, 2, 4, 4, generator=rng()))
    assert not network[0]._forward_pre_hooks
    with pytest.raises(KeyError):
        _ = statistics.moments
