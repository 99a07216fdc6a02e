"""Top-5 accuracy is counted from 50 classes on."""

import json

import numpy as np
import pytest
import torch

from dfcil_core.counts import count_right


def counts(classes, images=400):
    rng = np.random.default_rng(classes)
    order = tuple(rng.permutation(classes).tolist())
    logits, labels = rng.standard_normal((images, classes)).astype(np.float32), rng.integers(0, classes, images)
    return count_right(logits, labels, (order[: classes // 2], order[classes // 2 :])), logits, labels, order


@pytest.mark.parametrize("classes", [2, 20, 49])
def test_below_fifty_classes_a_record_is_as_it_was(classes):
    assert counts(classes)[0].keys() == {"images", "correct", "correct_local"}


@pytest.mark.parametrize("classes", [50, 51, 200])
def test_from_fifty_classes_on_the_five_likeliest_are_counted_by_class(classes):
    counted, logits, labels, order = counts(classes)
    five = torch.from_numpy(logits).topk(5).indices.numpy()
    for position, label in enumerate(order):
        of_class = labels == position
        assert counted["correct_top5"][str(label)] == (five[of_class] == position).any(1).sum()
        assert counted["correct"][str(label)] <= counted["correct_top5"][str(label)] <= counted["images"][str(label)]
    json.dumps(counted)


def test_of_equal_logits_the_first_come_first():
    counted = count_right(np.zeros((50, 50)), np.arange(50), (tuple(range(50)),))
    assert [label for label, right in counted["correct_top5"].items() if right] == ["0", "1", "2", "3", "4"]
    assert [label for label, right in counted["correct"].items() if right] == ["0"]
    nothing = count_right(np.full((50, 50), np.nan), np.arange(50), (tuple(range(50)),))
    assert not any(nothing["correct_top5"].values())
