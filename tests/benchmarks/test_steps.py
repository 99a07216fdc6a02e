"""What `make bench` measures is the same step twice: the product's, and a plain one with the same loss."""

import sys

import pytest
import torch

from benchmarks import steps
from benchmarks.speed import clock, measure, report
from benchmarks.speed.in_a_sweep import WholeStage
from benchmarks.speed.measure import Effort, Measured, everything
from benchmarks.speed.ours import Sizes, Stages, make
from benchmarks.speed.side import Side
from dfcil_core import capture
from dfcil_core.methods import METHODS
from tests.support.recorded_operators import RecordedOperators

SMALL = Sizes(backbone="resnet8", image_size=8, batch_size=16)
BRIEF = Effort(rounds=2, seconds=0.0)
MACHINE = {
    "processor": "a processor",
    "cores": 2,
    "instructions": "AVX512",
    "load": 0.5,
    "device": "cpu",
    "python": "3.11",
    "versions": {"torch": "2.9"},
    "date": "2026-01-02",
    "matrix_product_gflops": {"float32": 100.0, "bfloat16": 200.0},
    "copy_gb_per_second": 20.0,
}


@pytest.mark.long
def test_a_method_and_dreaming_are_measured_beside_plain_steps_of_the_same_loss():
    lines = list(everything(SMALL, BRIEF, {"lwf-synthetic", "dream"}))
    assert [line.name for line in lines] == ["lwf-synthetic", "dream"]
    for line in lines:
        assert line.ours["n"] == line.plain["n"] == 2
        assert line.flops > 0 and line.more["ours_mib"] > 0
    table = report.as_markdown(SMALL, MACHINE, lines)
    assert "| lwf-synthetic | 2 |" in table and "| dream | 2 |" in table


@pytest.mark.long  # a first task and a dream of digits, whose operators are noted
@pytest.mark.parametrize("name", ["abd", "dream"])
def test_a_captured_step_is_the_eager_one(name, tmp_path, monkeypatch):
    monkeypatch.setattr(capture, "recorder_of", lambda device: RecordedOperators())
    monkeypatch.setattr(capture, "_refusals", {})
    monkeypatch.setattr(capture, "COMPARED", 5)
    stages = Stages(SMALL, tmp_path)
    eager, captured = make(stages, name), make(stages, name)
    assert captured.capture() == "captured"
    for _ in range(capture.WARM_UP + 1):
        eager.step()
    assert captured.captured_step() == eager.step()
    assert captured.step() == eager.step()
    assert captured.captured_step() == eager.step() and captured.digest() == eager.digest()


def test_a_captured_step_has_columns_of_its_own():
    times = {"n": 5, "median": 0.010, "quartile_1": 0.009, "quartile_3": 0.011}
    peaks = {"ours_mib": 1, "plain_mib": 2}
    faster = {
        "how": "captured",
        "captured": {**times, "median": 0.004},
        "times_faster_captured": 2.5,
        "graph_mib": 324.4,
    }
    refused = {"how": "eager: it reads back"}
    told = {"lwf": faster, "e2e": refused}
    lines = [Measured(name, times, times, 1.0, more={**more, **peaks}) for name, more in told.items()]
    table = report.as_markdown(SMALL, MACHINE, lines).splitlines()
    head, under, one, other = (line for line in table if line.startswith("|"))
    assert head.endswith("| captured: ms | quartiles | times faster than eager | its graph, MiB |")
    assert one.endswith("| 4.0 | 9.0 to 11.0 | 2.50 | 324 |") and other.endswith("| eager: it reads back | | | |")
    assert len({line.count("|") for line in (head, under, one, other)}) == 1


@pytest.mark.long  # a process of its own
def test_without_a_device_the_reason_stands_in_the_table():
    (line,) = everything(SMALL, BRIEF, {"base"}, capture=True)
    assert line.more["how"] == "eager: there is no CUDA device"


def test_a_whole_stage_is_what_a_worker_does(tmp_path):
    stages = Stages(SMALL, tmp_path / "parents")
    whole = WholeStage(stages, "base", tmp_path)
    first, second = (whole.run() or whole.store.record(whole.stage) for _ in range(2))
    assert whole.steps == 288 // 16 and first["started"] < second["started"]
    assert first["files"] == second["files"]


@pytest.mark.long  # a first task each, and whole stages: half a minute
def test_every_plain_step_has_our_loss():
    lines = list(everything(SMALL, BRIEF, set()))
    parts = ["augmentation", "evaluation", "opening", "stage"]
    assert [line.name for line in lines] == [*METHODS, "dream", *parts]
    assert lines[-1].more["steps"] == 3 * (288 // 16)


@pytest.mark.long
def test_another_loss_is_told(monkeypatch):
    from tests.reference import data_free

    right = data_free.Lwf.loss
    monkeypatch.setattr(data_free.Lwf, "loss", lambda self, step: right(self, step) * (1 + 3e-4))
    (line,) = everything(SMALL, BRIEF, {"lwf"})
    assert line.disagreement.startswith("lwf, step 1: ours has the loss")
    with pytest.raises(measure._Disagreement):
        measure._agree(1.0, float("nan"), "no number")


def test_then_the_command_shows_the_table_and_fails(monkeypatch, capsys):
    times = {"n": 5, "median": 0.010, "quartile_1": 0.009, "quartile_3": 0.011}
    line = Measured("lwf", times, times, 1.0, more={"ours_mib": 1, "plain_mib": 2}, disagreement="lwf, step 1: ours")
    monkeypatch.setattr(steps, "everything", lambda *asked: iter([line]))
    monkeypatch.setattr(steps.report, "machine", lambda sizes: MACHINE)
    monkeypatch.setattr(sys, "argv", ["steps"])
    with pytest.raises(SystemExit, match="cannot be compared:\nlwf, step 1: ours"):
        steps.main()
    assert "| lwf | 5 |" in capsys.readouterr().out


@pytest.mark.long  # a process that loads torch
def test_the_side_finds_what_this_process_finds(tmp_path, monkeypatch):
    seen = tmp_path / "seen"
    (tmp_path / "sitecustomize.py").write_text(f"open({str(seen)!r}, 'w').close()")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Side(SMALL) as side:
        assert side.ask("nothing") == {}
    assert seen.exists()


def test_operations_are_two_a_multiplication():
    left, right = torch.ones(4, 5), torch.ones(5, 6)
    assert clock.flops(lambda: left @ right) == 2 * 4 * 5 * 6


def test_a_peak_is_what_was_held_at_one_time():
    def act():
        first = torch.ones(2**18)  # 1 MiB
        del first
        second = torch.ones(2**18)
        return second + 1

    assert clock.peak_bytes(act, "cpu") == pytest.approx(2 * 2**20, rel=0.01)


def test_how_many_times_faster_is_the_median_over_rounds():
    # 2, 4 and 5 times: the median over rounds, not of the medians (20 / 4 = 5).
    assert clock.ratio([10.0, 1.0, 4.0], [20.0, 4.0, 20.0]) == 4.0
