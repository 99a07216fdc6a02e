"""SIGHUP is SIGTERM, unless nohup has it ignored; what must not be interrupted is not."""

import os
import signal

import pytest

from orchestrator.signals import interrupts_deferred, terminable, terminating
from orchestrator.tracking.figures import NO_FIGURES
from orchestrator.tracking.tracker import Tracker
from tests.support.fabricated import finish, sweep

pytestmark = pytest.mark.usefixtures("heard")
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_process_is_asked_to_stop(number):
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), terminable():
        os.kill(os.getpid(), number)
        signal.pause()
    assert signal.getsignal(number) == before


def test_a_hangup_that_nohup_has_ignored_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert signal.SIGHUP not in terminating()
        with terminable():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", SIGNALS)
def test_an_interrupt_waits_for_the_end(number):
    done = []
    with pytest.raises(KeyboardInterrupt), terminable(), interrupts_deferred():
        os.kill(os.getpid(), number)
        done.append("the rest")
    assert done == ["the rest"]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_second_signal_does_not_cut_the_deliveries_short(tmp_path, monkeypatch, number):
    plan = sweep(("base",), seeds=(0,))
    finish(plan, tmp_path)
    tracker = Tracker(plan, tmp_path, f"sqlite:///{tmp_path}/x.db", figures=NO_FIGURES)
    ended = []

    def slow(writer):
        os.kill(os.getpid(), number)  # while the main thread waits for us
        ended.append(tracker._ending[0])

    monkeypatch.setattr(tracker, "_live", lambda writer: _wait(tracker))
    monkeypatch.setattr(tracker, "_end", slow)
    with pytest.raises(KeyboardInterrupt), terminable(), tracker:
        raise KeyboardInterrupt("the first")
    assert ended == ["KILLED"] and not tracker._thread.is_alive()


def _wait(tracker):
    with tracker._changed:
        tracker._changed.wait_for(lambda: tracker._ending is not None)
