"""`distillation_temperature` of each method that distils with one: its loss by hand, and which stages it is in."""

from dataclasses import fields

import numpy as np
import pytest

from dfcil_core.methods import METHODS
from orchestrator.errors import SpecError
from orchestrator.spec.load import parse_spec
from tests.core.test_losses_of_methods import NEW, OLD, SEEN, Linear, Situation, as_numpy, bic, ce, close, log_softmax
from tests.support.helpers import DIGITS, plan_of, result, run_plan

HAVE_ONE = ["lwf", "dgr", "deep-inversion", "lwf-synthetic", "lwf-coreset", "e2e", "bic"]
T = 5.0


def kd(z, q):
    return -(np.exp(log_softmax(q / T)) * log_softmax(z / T)).sum(1).mean()


def method(name):
    return METHODS[name](METHODS[name].settings_type(distillation_temperature=T))


def test_it_is_a_setting_of_the_methods_that_distil_softened_outputs_and_2_as_published():
    have = {
        name: field.default
        for name, declared in METHODS.items()
        for field in fields(declared.settings_type)
        if field.name == "distillation_temperature"
    }
    assert have == dict.fromkeys(HAVE_ONE, 2.0)


@pytest.mark.parametrize("name", ["lwf", "lwf-coreset"])
def test_lwf(name):
    s = Situation().with_old_labels()
    expected = ce(s.z[:6, :SEEN], s.y) + kd(s.z[:6, :OLD], s.q[:6, :OLD])
    assert method(name).loss(s.context, s.batch).item() == close(expected)


def test_lwf_synthetic():
    s = Situation()
    expected = ce(s.z[:6, :SEEN], s.y) + 0.1 * kd(s.z[:, :OLD], s.q[:, :OLD])
    assert method("lwf-synthetic").loss(s.context, s.batch).item() == close(expected)


def test_deep_inversion():
    s = Situation()
    target = np.zeros((6, SEEN))
    target[:, :OLD] = np.exp(log_softmax(s.q[6:, :OLD] / T))
    dreamed = -(target * log_softmax(s.z[6:, :SEEN] / T)).sum(1).mean()
    expected = ce(s.z[:6, :SEEN], s.y) + kd(s.z[:6, :OLD], s.q[:6, :OLD]) + dreamed
    assert method("deep-inversion").loss(s.context, s.batch).item() == close(expected)


def test_dgr():
    s = Situation()
    y = np.concatenate([s.y, s.q[6:, :OLD].argmax(1)])
    w = np.where(y < OLD, OLD / SEEN, 1 - OLD / SEEN)
    learnt = -(w * log_softmax(s.z[:, :SEEN])[np.arange(12), y]).mean()
    expected = learnt + kd(s.z[6:, :OLD], s.q[6:, :OLD])
    assert method("dgr").loss(s.context, s.batch).item() == close(expected)


def test_e2e_in_both_phases():
    s = Situation().with_old_labels()
    e2e, after_first = method("e2e"), Linear(8)
    z, q, seen = s.z[:6], s.q[:6], ce(s.z[:6, :SEEN], s.y)
    past = 3 * kd(z[:, :3], q[:, :3]) + 2 * kd(z[:, 3:5], q[:, 3:5])
    assert e2e.loss(s.context, s.batch).item() == close(seen + past / OLD)
    e2e._first_phase = after_first
    fresh = NEW * kd(z[:, OLD:SEEN], as_numpy(after_first(s.images))[:, OLD:SEEN])
    assert e2e._balanced(s.context, s.batch).item() == close(seen + (past + fresh) / SEEN)


def test_bic():
    s = Situation().with_old_labels()
    made, corrected = bic()
    made.settings = method("bic").settings
    z, q, r = corrected(s.z[:6]), corrected(s.q[:6]), OLD / SEEN
    expected = (1 - r) * ce(z, s.y) + r * kd(z[:, :OLD], q[:, :OLD])
    assert made.loss(s.context, s.batch).item() == close(expected)


@pytest.mark.parametrize("name", HAVE_ONE)
def test_it_is_in_the_identity_where_it_is_changed_and_acts(name):
    said = METHODS[name](METHODS[name].settings_type(distillation_temperature=2.0))
    for task in (1, 2):
        assert "distillation_temperature" not in said.learn_identity(task, 10, "none")[2]
        changed = method(name).learn_identity(task, 10, "none")[2]
        assert changed.get("distillation_temperature") == (None if task == 1 else T)


def test_a_run_of_digits_differs_from_task_2_on(tmp_path):
    training = {"epochs": 1, "batch_size": 64}
    plain = plan_of("lwf", (5, 5), DIGITS, training)
    softer = plan_of("lwf", (5, 5), DIGITS, training, settings={"distillation_temperature": T})
    assert list(plain.stages)[0] == list(softer.stages)[0] and list(plain.stages)[1] != list(softer.stages)[1]
    records = {place: run_plan(plan, tmp_path / place) for place, plan in (("plain", plain), ("softer", softer))}
    losses = {
        place: records[place][list(plan.stages)[1]]["curves"]["loss"]
        for place, plan in (("plain", plain), ("softer", softer))
    }
    assert losses["plain"] != losses["softer"]
    assert result(softer, records["softer"], "lwf").final is not None


def test_wrong_ones_are_refused_at_their_places():
    entries = "{name: lwf, distillation_temperature: 0}, {name: abd, distillation_temperature: 3}"
    with pytest.raises(SpecError) as error:
        parse_spec(f"name: x\nmethods: [{entries}]\ntasks: [5]\n", "x.yaml")
    assert "x.yaml:2:49: methods.0.distillation_temperature: 0 is too small. It must be above 0" in str(error.value)
    assert "x.yaml:2:65: methods.1.distillation_temperature: abd has no setting" in str(error.value)
