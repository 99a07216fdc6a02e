"""The loss terms that methods share, against arithmetic done by hand."""

import math

import pytest
import torch

from dfcil_core import losses


def softmax(values, temperature):
    powers = [math.exp(value / temperature) for value in values]
    return [power / sum(powers) for power in powers]


def test_distillation_is_the_softened_cross_entropy_of_the_chosen_classes():
    student = [[1.0, -2.0, 0.5, 9.0], [0.0, 3.0, -1.0, -9.0]]
    teacher = [[2.0, 0.0, -1.0, 5.0], [1.0, 1.0, 4.0, 7.0]]
    expected = 0.0
    for z, q in zip(student, teacher, strict=True):
        z, q = softmax(z[:3], 2.0), softmax(q[:3], 2.0)
        expected -= sum(target * math.log(output) for target, output in zip(q, z, strict=True)) / 2
    computed = losses.distillation(torch.tensor(student), torch.tensor(teacher), slice(0, 3))
    assert computed.item() == pytest.approx(expected, rel=1e-6)


def test_distillation_has_no_factor_of_temperature():
    # Equal logits, two classes: the entropy of one half, whatever the temperature.
    logits = torch.zeros(3, 2)
    for temperature in (1.0, 2.0, 8.0):
        loss = losses.distillation(logits, logits, slice(0, 2), temperature)
        assert loss.item() == pytest.approx(math.log(2), rel=1e-6)


def test_class_weights_balance_old_and_new():
    weights = losses.new_class_weights(torch.tensor([0, 5, 6, 7]), old=6, seen=8)
    assert weights.tolist() == [0.75, 0.75, 0.25, 0.25]


def test_weighted_cross_entropy_divides_by_the_number_of_images():
    logits = torch.tensor([[0.0, math.log(3.0)], [math.log(4.0), 0.0]])
    # The images' labels have probabilities 1/4 and 4/5.
    expected = (0.75 * math.log(4.0) + 0.25 * math.log(1.25)) / 2
    computed = losses.weighted_cross_entropy(logits, torch.tensor([0, 0]), torch.tensor([0.75, 0.25]))
    assert computed.item() == pytest.approx(expected, rel=1e-6)


def test_feature_distillation_of_a_small_example():
    features = torch.tensor([[1.0, 2.0], [0.0, 1.0]])
    taught = torch.tensor([[0.0, 2.0], [0.0, -1.0]])
    head = torch.tensor([[2.0, 1.0], [1.0, -3.0]])
    # W f - W f_O is (2, 1) for the first image and (2, -6) for the second: squares 5 and 40, mean 22.5, two classes.
    assert losses.feature_distillation(features, taught, head).item() == pytest.approx(11.25)


def test_feature_distillation_ignores_directions_the_old_classes_do_not_look_at():
    head = torch.tensor([[1.0, 1.0]])
    features = torch.tensor([[3.0, -3.0]], requires_grad=True)
    loss = losses.feature_distillation(features, torch.zeros(1, 2), head)
    loss.backward()
    assert loss.item() == 0.0
    assert features.grad.abs().sum().item() == 0.0
