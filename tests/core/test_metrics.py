"""The measures against an example worked by hand."""

import pytest

from dfcil_core import metrics
from dfcil_core.measures import MEASURES, Scores

# Three tasks. Task 1 gets better at task 2 (90 to 95) before it is forgotten, so its best moment is not its first.
MATRIX = ((90.0,), (95.0, 80.0), (50.0, 60.0, 70.0))
BOUND = ((100.0,), (100.0, 75.0), (90.0, 90.0, 90.0))


def test_mean_accuracy_weighs_tasks_alike():
    assert metrics.mean_accuracy(MATRIX[-1]) == 60.0  # (50 + 60 + 70) / 3
    assert metrics.average_incremental_accuracy(MATRIX) == (90 + 87.5 + 60) / 3


def test_forgetting_is_counted_from_the_best_moment():
    assert metrics.forgetting(MATRIX) == 32.5  # ((95 - 50) + (80 - 60)) / 2
    assert metrics.forgetting(MATRIX, task=3) == 32.5
    assert metrics.forgetting(MATRIX, task=2) == -5.0  # 90 - 95: learning task 2 helped task 1
    assert metrics.forgetting(MATRIX, task=1) is None


def test_backward_transfer_is_counted_from_when_a_task_was_learnt():
    assert metrics.backward_transfer(MATRIX) == -30.0  # ((50 - 90) + (60 - 80)) / 2
    assert metrics.backward_transfer(MATRIX[:1]) is None


def test_learning_accuracy_is_that_of_each_task_when_it_was_learnt():
    assert metrics.learning_accuracy(MATRIX) == 80.0  # (90 + 80 + 70) / 3
    assert metrics.learning_accuracy(()) is None


def test_intransigence_is_what_a_new_task_lacks_of_the_upper_bound():
    assert metrics.intransigence(MATRIX, BOUND) == pytest.approx(25 / 3)  # (100 - 90 + 75 - 80 + 90 - 70) / 3
    assert metrics.intransigence(BOUND, BOUND) == 0.0
    with pytest.raises(ValueError, match="3 tasks does not go with an upper bound of 2"):
        metrics.intransigence(MATRIX, BOUND[:2])


def test_the_measures_by_name_are_these():
    scores = Scores(MATRIX, bound=BOUND)
    found = {name: MEASURES[name].value(scores) for name in ("final", "bwt", "learning", "intransigence")}
    assert found == {"final": 60.0, "bwt": -30.0, "learning": 80.0, "intransigence": pytest.approx(25 / 3)}
    assert MEASURES["intransigence"].value(Scores(MATRIX)) is None  # nothing to compare with


def test_image_weighted_accuracy_weighs_images_alike():
    assert metrics.image_weighted_accuracy((50.0, 100.0), (30, 10)) == 62.5  # 25 of 40 images
    assert metrics.image_weighted_accuracy(MATRIX[-1], (5, 5, 5)) == metrics.mean_accuracy(MATRIX[-1])
    with pytest.raises(ValueError, match="2 accuracies do not go with 3 counts"):
        metrics.image_weighted_accuracy((50.0, 100.0), (30, 10, 5))


def test_omega_is_the_mean_ratio_to_the_upper_bound():
    assert metrics.omega(MATRIX, BOUND) == pytest.approx((90 / 100 + 87.5 / 87.5 + 60 / 90) / 3)
    assert metrics.omega(MATRIX, MATRIX) == 1.0
    with pytest.raises(ValueError, match="3 tasks does not go with an upper bound of 2"):
        metrics.omega(MATRIX, BOUND[:2])


def test_what_needs_a_missing_row_is_a_dash():
    only_last = (None, None, (90.0, 90.0, 90.0))  # the upper bound without `at_every_task`
    assert metrics.average_incremental_accuracy(only_last) is None
    assert metrics.forgetting(only_last) is None
    assert metrics.backward_transfer(only_last) is None
    assert metrics.omega(MATRIX, only_last) is None
    assert metrics.learning_accuracy(only_last) is None
    assert metrics.intransigence(MATRIX, only_last) is None
    assert metrics.forgetting((*MATRIX[:2], None)) is None
    assert metrics.forgetting((*MATRIX[:2], None), task=2) == -5.0
