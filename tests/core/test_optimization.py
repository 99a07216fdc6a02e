"""Optimisers, schedules and clipping by hand; and what methods with phases of their own make of them."""

import math

import pytest
import torch

from dfcil_core import optimization
from dfcil_core.execution import Execution
from tests.core.test_method_contract import Killed, assert_same, tensors
from tests.support.helpers import plan_of, run_one

ADAMS = {"optimizer": "adam", "schedule": "cosine", "warmup": 1, "gradient_clip": 0.5, "lr": 0.01}


def shares(schedule, epochs, **more):
    return [optimization.scheduled(schedule, epoch, epochs, **more) for epoch in range(epochs)]


def trained(training, gradients, start=(3.0, -4.0), lr=0.1, weight_decay=0.0, clip=None):
    """Two weights after a step for each gradient."""
    weights = torch.nn.Parameter(torch.tensor(start, dtype=torch.float64))
    optimizer = optimization.optimizer(training, [weights], lr, weight_decay)
    for gradient in gradients:
        optimization.step(optimizer, (weights * torch.tensor(gradient, dtype=torch.float64)).sum(), clip)
    return weights.tolist()


# ---- schedules -------------------------------------------------------------------------------------------------------


def test_milestones_divide_by_ten():
    assert shares("milestones", 5, milestones=(2, 4)) == pytest.approx([1, 1, 0.1, 0.1, 0.01])


def test_a_cosine_falls_from_one_towards_zero():
    # cos of 0, 45, 90 and 135 degrees.
    assert shares("cosine", 4) == pytest.approx([1, 0.5 + 0.25 * math.sqrt(2), 0.5, 0.5 - 0.25 * math.sqrt(2)])


def test_a_warm_up_climbs_by_equal_steps_and_the_schedule_begins_after_it():
    assert shares("constant", 4, warmup=2) == pytest.approx([1 / 3, 2 / 3, 1, 1])
    assert shares("cosine", 4, warmup=2) == pytest.approx([1 / 3, 2 / 3, 1, 0.5])
    assert shares("milestones", 4, milestones=(1, 3), warmup=2) == pytest.approx([1 / 3, 0.2 / 3, 0.1, 0.01])


# ---- steps -----------------------------------------------------------------------------------------------------------


def test_sgd_gathers_momentum():
    # By 1, then by 0.5 * 1 + 2, in steps of a tenth.
    assert trained({"momentum": 0.5}, [(1.0, 0.0), (2.0, 0.0)]) == pytest.approx([3 - 0.1 - 0.25, -4])


def test_adam_divides_by_the_root_of_the_mean_square():
    # After one step the corrected moments are g and g^2: a step of lr, whatever g. Then g = 3: the moments are
    # (0.09 * 1 + 0.1 * 3) / (1 - 0.81) and (0.000999 * 1 + 0.001 * 9) / (1 - 0.998001).
    second = (0.39 / 0.19) / math.sqrt(0.009999 / 0.001999)
    after = trained({"optimizer": "adam"}, [(1.0, -7.0), (3.0, 0.0)])
    assert after[0] == pytest.approx(3 - 0.1 - 0.1 * second, rel=1e-6)
    assert trained({"optimizer": "adam"}, [(1.0, -7.0)]) == pytest.approx([2.9, -3.9], rel=1e-6)


def test_weight_decay_is_part_of_adams_gradient_and_not_of_adamws():
    # Without a gradient Adam steps by the sign of the decay; AdamW takes a tenth times a half of each weight.
    still = [(0.0, 0.0)]
    assert trained({"optimizer": "adam"}, still, weight_decay=0.5) == pytest.approx([2.9, -3.9], rel=1e-6)
    assert trained({"optimizer": "adamw"}, still, weight_decay=0.5) == pytest.approx([0.95 * 3, -0.95 * 4])


def test_a_gradient_that_is_too_long_is_shortened_as_a_whole():
    plain = {"momentum": 0.0}
    # (6, 8) is 10 long: clipped to 5 it is (3, 4). (0.6, 0.8) is short enough.
    assert trained(plain, [(6.0, 8.0)], clip=5.0) == pytest.approx([3 - 0.3, -4 - 0.4], rel=1e-5)
    assert trained(plain, [(0.6, 0.8)], clip=5.0) == pytest.approx([3 - 0.06, -4 - 0.08])
    assert trained(plain, [(6.0, 8.0)]) == pytest.approx([3 - 0.6, -4 - 0.8])


# ---- phases ----------------------------------------------------------------------------------------------------------


def last_record(name, tmp_path, training, execution=None, into=None):
    plan = plan_of(name, (2, 2), training={"epochs": 3, **training}, memory=24)
    *before, last = plan.stages.values()
    for stage in before:
        if not (tmp_path / stage.key).exists():
            run_one(stage, tmp_path)
    return run_one(last, tmp_path, execution, into=into)


@pytest.mark.parametrize("name", ["e2e", "bic"])
def test_a_second_phase_has_the_whole_schedule_at_its_own_rate(name, tmp_path):
    rates = last_record(name, tmp_path, {"schedule": "cosine", "warmup": 1, "lr": 0.1})["curves"]["lr"]
    assert rates == pytest.approx([0.05, 0.1, 0.05, 0.0005, 0.001, 0.0005])


def test_r_dfcils_refinement_stays_constant(tmp_path):
    rates = last_record("r-dfcil", tmp_path, {"schedule": "cosine", "warmup": 1, "lr": 0.1})["curves"]["lr"]
    assert rates == pytest.approx([0.05, 0.1, 0.005])


@pytest.mark.parametrize(
    ("name", "training"),
    [
        ("r-dfcil", ADAMS),
        pytest.param("dgr", {**ADAMS, "optimizer": "adamw"}, marks=pytest.mark.long),
        pytest.param("bic", ADAMS, marks=pytest.mark.long),
    ],
)
def test_a_killed_stage_resumes_to_the_same_numbers(name, training, tmp_path):
    reports = []
    expected = last_record(name, tmp_path, training, Execution(report=reports.append), "whole")
    for at in sorted({2, len(reports)}):
        saves, left = tmp_path / f"saves-{at}", [at]
        saves.mkdir()

        def report(news, left=left):
            left[0] -= 1
            if not left[0]:
                raise Killed

        with pytest.raises(Killed):
            last_record(name, tmp_path, training, Execution(saves=saves, save_every=0, report=report), f"killed-{at}")
        again = []
        execution = Execution(saves=saves, save_every=0, report=again.append)
        assert last_record(name, tmp_path, training, execution, f"resumed-{at}") == expected
        assert len(again) < len(reports)
        assert_same(tensors(tmp_path / f"resumed-{at}"), tensors(tmp_path / "whole"))


def test_an_optimiser_that_goes_on_keeps_adams_moments(tmp_path, monkeypatch):
    from dfcil_core.train import _PhaseRun

    kept, adopt = [], _PhaseRun._adopt

    def watched(self, before):
        adopt(self, before)
        kept.append([sorted(self.optimizer.state[one]) for one in self.optimizer.param_groups[0]["params"]])

    monkeypatch.setattr(_PhaseRun, "_adopt", watched)
    last_record("r-dfcil", tmp_path, ADAMS)
    assert kept == [[["exp_avg", "exp_avg_sq", "step"]]]  # r-dfcil refines its head, which has no biases
