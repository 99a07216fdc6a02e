"""Whose a trial is, where several tuners are at one study, and which of them leads."""

import os
import socket
from contextlib import ExitStack

import pytest

from orchestrator.errors import UserError
from orchestrator.tuning import study
from orchestrator.tuning.study import COMPLETE, ENDED, PRUNED, RUNNING, Study, is_published
from orchestrator.tuning.tuners import TrialLost, Tuners, alone
from tests.support.fake_tuning import read
from tests.support.processes import wait_until

ONE = {"seeds: [0, 1, 2]": "seeds: [0]"}
POINTS = {
    "{low: 1e-4, high: 1e-2, log: true}": "{choices: [1e-3, 1e-2]}",
    "{low: 0.01, high: 1, log: true}": "{low: 0.1, high: 0.3, step: 0.1}",
}


@pytest.fixture
def at_work(tmp_path):
    """Begins a tuner of a process of its own, as far as the study knows; all end with the test."""
    with ExitStack() as stack:

        def begin(more="trials: 5", lease_timeout=30.0, storage=None, **replaced):
            found = Study(read(more, **ONE, **replaced), study.open_storage(tmp_path, storage), "cpu")
            return found, stack.enter_context(Tuners(found, tmp_path, lease_timeout))

        yield begin


def stop_heart(lease):
    """As on a host that is cut off."""
    lease._stop.set()
    lease._heart.join()


@pytest.mark.parametrize("sampler", ["tpe", "gp", "grid"])
def test_two_tuners_begin_as_many_trials_as_are_wanted_and_each_once(at_work, sampler):
    both = [at_work(f"trials: 5\nsampler: {sampler}", **POINTS) for _ in range(2)]
    begun = []
    while found := [one for _, tuners in both if (one := tuners.next_trial(5))]:
        begun += found
    assert [trial.number for trial, _, _ in begun] == [0, 1, 2, 3, 4]
    assert {verb for _, _, verb in begun} == {"begins"}
    assert len({tuple(settings.items()) for _, settings, _ in begun[1:]}) == 4 or sampler != "grid"
    (first,) = [trial for trial in both[0][0].trials() if is_published(trial)]
    assert first.number == 0
    assert [both[n % 2][1].id for n in range(5)] == list(both[0][0].owners().values())
    both[0][0].tell(begun[0][0], COMPLETE, [50.0])
    both[1][0].tell(begun[1][0], PRUNED)
    assert all(tuners.next_trial(5) is None for _, tuners in both)


def test_nothing_is_begun_while_another_tuner_chooses(at_work, tmp_path):
    found, tuners = at_work()
    with alone(tmp_path):
        assert tuners.next_trial(5) is None
    assert found.trials() == [] and tuners.next_trial(5)


def test_a_living_tuners_trial_is_left_alone_and_one_that_is_handed_back_goes_on(at_work):
    found, first = at_work("trials: 1")
    trial, settings, _ = first.next_trial(1)
    _, second = at_work("trials: 1")
    assert second.next_trial(1) is None and first.next_trial(1) is None
    first.hand_back()
    taken, same, verb = second.next_trial(1)
    assert (taken.number, same, verb) == (trial.number, settings, "goes on")
    assert found.owners() == {0: second.id} and second.next_trial(1) is None


def test_a_silent_tuners_trial_is_taken_over_and_not_its_own_any_more(at_work):
    found, frozen = at_work("trials: 2", lease_timeout=0.2)
    trial, settings, _ = frozen.next_trial(2)
    with frozen.holding(trial.number):
        found.report(trial, 60.0, 1)
    stop_heart(frozen._lease)
    _, other = at_work("trials: 2", lease_timeout=0.2)
    other.next_trial(2)
    taken = []
    wait_until(lambda: taken.append(other.next_trial(2)) or taken[-1], 30, "the trial is taken over")
    assert taken[-1][1:] == (settings, "goes on")
    with pytest.raises(TrialLost), frozen.holding(trial.number):
        pytest.fail("it is another tuner's")
    with other.holding(trial.number):
        found.tell(taken[-1][0], COMPLETE, [61.0])
    with pytest.raises(TrialLost), frozen.holding(trial.number):
        pytest.fail("it has ended")
    assert [one.state for one in found.trials()] == [COMPLETE, RUNNING]


def test_one_leads_and_another_when_it_is_gone(at_work):
    _, first = at_work()
    _, second = at_work()
    assert first.leads(5) and not second.leads(5) and first.leads(5)
    assert second.lead.startswith("the tuner of process ")
    first.__exit__()
    assert second.leads(5)


def test_what_the_lead_has_ended_is_not_ended_again_but_by_whoever_wants_more_or_comes_later(at_work):
    _, first = at_work()
    _, second = at_work()
    _, more = at_work()
    assert first.leads(5) and not second.leads(5) and not more.leads(8)
    first.note_ended(5)
    first.__exit__()
    assert not second.leads(5)
    assert more.leads(8)
    more.__exit__()
    _, later = at_work()
    assert later.leads(5)


def test_a_lead_that_stood_still_neither_leads_nor_ends_what_another_has_ended(at_work):
    _, frozen = at_work(lease_timeout=0.2)
    _, other = at_work(lease_timeout=0.2)
    assert frozen.leads(5) and not other.leads(5)
    stop_heart(frozen._leading)
    wait_until(lambda: other.leads(5), 30, "another one leads")
    assert not frozen.leads(5)
    other.note_ended(5)
    other.__exit__()
    assert not frozen.leads(5) and frozen.lead == f"the tuner of process {os.getpid()} on {socket.gethostname()}"


def test_a_line_that_a_killed_tuner_has_torn_does_no_harm_to_those_at_work(at_work, tmp_path):
    found, tuners = at_work()
    tuners.next_trial(5)
    with (tmp_path / study.JOURNAL).open("a") as journal:
        journal.write('{"op_code": 8, "worker_id"')
    trial, _, _ = tuners.next_trial(5)
    other, _ = at_work()
    assert [one.number for one in other.trials()] == [0, 1] == [one.number for one in found.trials()]
    found.tell(trial, COMPLETE, [50.0])
    assert [one.state in ENDED for one in other.trials()] == [False, True]


def test_a_database_does_as_well(at_work, tmp_path):
    url = f"sqlite:///{tmp_path}/optuna.db"
    (found, first), (_, second) = (at_work("trials: 3", storage=url) for _ in range(2))
    begun = [tuners.next_trial(3) for tuners in (first, second, first, second)]
    assert [one and one[0].number for one in begun] == [0, 1, 2, None]
    first.hand_back()
    assert [second.next_trial(3)[0].number for _ in range(2)] == [0, 2] and second.next_trial(3) is None
    assert set(found.owners().values()) == {second.id}


def test_a_database_is_not_tuned_from_two_runs_folders_at_once(at_work, tmp_path):
    found, tuners = at_work("trials: 1", storage=f"sqlite:///{tmp_path}/optuna.db")
    found.tune_from("one")
    trial, _, _ = tuners.next_trial(1)
    found.tune_from("one")
    with pytest.raises(UserError, match="is tuned from another runs folder, with trials under way: 0"):
        found.tune_from("another")
    found.tell(trial, COMPLETE, [50.0])
    found.tune_from("another")
