"""What a launch shows: plain lines where there is no terminal, a live display where there is one."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.cli.progress import Progress
from orchestrator.engine.events import (
    StageDamaged,
    StageFailed,
    StageFinished,
    StageOutOfMemory,
    StageProgress,
    StageRetried,
    StageStarted,
)
from orchestrator.results.job_result import job_result
from orchestrator.status import read_state
from tests.support.fabricated import record, sweep


def plain():
    return Console(file=io.StringIO(), width=60, highlight=False)


def terminal():
    return Console(file=io.StringIO(), width=120, highlight=False, force_terminal=True, record=True)


@pytest.fixture
def plan():
    return sweep(("base", "abd"), seeds=(0,), splits=((5, 5),))


@pytest.fixture
def stages(plan):
    """By kind and task; `learn 2` is base's."""
    found = {}
    for stage in plan.stages.values():
        found.setdefault(f"{stage.recipe.kind} {stage.recipe.task}", stage)
    return found


def finish(progress, plan, stage, records):
    records[stage.key] = record(plan, stage)
    for position in plan.users[stage.key]:
        progress.result(job_result(plan.jobs[position], records))
    progress.on_event(StageFinished(stage, records[stage.key]))


def lines(progress):
    return progress.console.file.getvalue().splitlines()


def shown(progress):
    """The live display as it is now, without the lines above it."""
    console = Console(file=io.StringIO(), width=120, highlight=False)
    console.print(progress._display())
    return console.file.getvalue()


def test_plain_lines_of_a_whole_launch(plan, stages):
    progress, records = Progress(plan, 2, plain()), {}
    with progress:
        progress.reuse({})
        for stage in plan.stages.values():
            progress.on_event(StageStarted(stage, "w0", 0.0))
            finish(progress, plan, stage, records)
    # Lines are not folded to the width of 60, so that they can be searched.
    assert lines(progress) == [
        "fab: 2 jobs, 4 stages, 0 in the store; 2 at a time on cpu",
        "done     learn 1 · cross-entropy · seed 0 in 1.5 s, 100.0% of all seen classes  [1/4]",
        "job done base · 2 tasks · seed 0: final accuracy 77.5%",
        "done     learn 2 · base · seed 0 in 1.5 s, 77.5% of all seen classes  [2/4]",
        "done     dream 1 · deep-inversion · seed 0 in 1.5 s  [3/4]",
        "job done abd · 2 tasks · seed 0: final accuracy 91.2%",
        "done     learn 2 · abd · seed 0 in 1.5 s, 91.2% of all seen classes  [4/4]",
    ]
    assert progress.jobs_done == {job.name for job in plan.jobs}


def test_what_is_in_the_store_counts_from_the_start(plan, stages):
    progress = Progress(plan, 1, plain())
    base = {key: record(plan, plan.stages[key]) for key in plan.jobs[0].stages}
    with progress:
        progress.reuse(base)
        assert progress.jobs_done == {"base · 2 tasks · seed 0"}
        finish(progress, plan, stages["dream 1"], dict(base))
    assert lines(progress)[0] == "fab: 2 jobs, 4 stages, 2 in the store; 1 at a time on cpu"
    assert lines(progress)[-1].endswith("[3/4]")


def test_failures_and_warnings_are_told(plan, stages):
    progress = Progress(plan, 1, plain())
    with progress:
        progress.on_event(StageFailed(stages["learn 2"], "Diverged: nan", "Traceback", Path("/runs/logs/x.log")))
        progress.on_event(StageRetried(stages["dream 1"], "w1", 2))
        progress.on_event(StageOutOfMemory(stages["dream 1"], "w1", 3))
        progress.on_event(StageDamaged(stages["learn 1"], "another SHA-256", Path("/runs/stages/.damaged-x-1")))
        progress.warn("MLflow [red]is[/red] away")
    assert lines(progress) == [
        "failed   learn 2 · base · seed 0: Diverged: nan (log: /runs/logs/x.log)",
        "warning: worker w1 died over dream 1 · deep-inversion · seed 0; started again (attempt 2)",
        "warning: dream 1 · deep-inversion · seed 0 ran out of memory beside others; started again, "
        "3 at a time where w1 is",
        "warning: learn 1 · cross-entropy · seed 0 is damaged (another SHA-256); "
        "put aside as /runs/stages/.damaged-x-1 and done again",
        "warning: MLflow [red]is[/red] away",
    ]


def test_a_damaged_stage_is_to_do_again(plan, stages):
    progress = Progress(plan, 1, plain())
    progress.reuse({key: record(plan, stage) for key, stage in plan.stages.items()})
    progress.on_event(StageDamaged(stages["learn 1"], "gone", Path("/x")))
    assert progress.left == {stages["learn 1"].key}


def test_a_long_stage_gives_a_sign_of_life_now_and_then(plan, stages, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("orchestrator.cli.progress.time.monotonic", lambda: now[0])
    progress = Progress(plan, 1, plain())
    progress.reuse({})
    for epoch in range(1, 41):
        now[0] += 1
        progress.on_event(StageProgress(stages["learn 1"], "w0", {"phase": "learn", "epoch": epoch, "epochs": 40}))
    assert [line for line in lines(progress) if line.startswith("running")] == [
        "running  learn 1 · cross-entropy · seed 0 epoch 15/40  [0/4, ]",
        "running  learn 1 · cross-entropy · seed 0 epoch 30/40  [0/4, ]",
    ]


def test_the_time_left_is_reckoned_by_stages_like_those_left(plan, stages):
    progress = Progress(plan, 2, plain())
    progress.reuse({})
    assert progress.seconds_left() is None
    learn, dream = record(plan, stages["learn 1"]), record(plan, stages["dream 1"])
    progress.on_event(StageFinished(stages["learn 1"], {**learn, "seconds": 10.0}))
    assert progress.seconds_left() is None  # of the dream nothing is known yet
    progress.on_event(StageFinished(stages["dream 1"], {**dream, "seconds": 100.0}))
    assert progress.seconds_left() == pytest.approx(10.0)
    progress.on_event(StageFailed(stages["learn 2"], "x", "", Path("x")))
    # The other one takes its time, however many are idle.
    assert progress.seconds_left() == pytest.approx(10.0)


def test_the_time_left_is_the_one_that_status_tells(plan, stages, tmp_path):
    progress, records = Progress(plan, 1, plain()), {}
    progress.reuse({})
    for name, seconds in (("learn 1", 10.0), ("dream 1", 100.0)):
        records[stages[name].key] = {**record(plan, stages[name]), "seconds": seconds}
        progress.on_event(StageFinished(stages[name], records[stages[name].key]))
        assert progress.seconds_left() == read_state(tmp_path, plan, records).seconds_left
    assert progress.seconds_left() == pytest.approx(20.0)


def test_the_terminal_display(plan, stages):
    progress, records = Progress(plan, 2, terminal()), {}
    with progress:
        progress.reuse({})
        finish(progress, plan, stages["learn 1"], records)
        finish(progress, plan, stages["learn 2"], records)
        progress.on_event(StageStarted(stages["dream 1"], "w1", 0.0))
        assert "starting" in shown(progress)
        info = {"phase": "dream", "step": 20, "steps": 40, "loss": 1.25}
        progress.on_event(StageProgress(stages["dream 1"], "w1", info))
        display = shown(progress)
        progress.live.refresh()
    rows = [line.split() for line in display.splitlines()]
    assert [row for row in rows if row[:1] == ["jobs"]][0][-2:-1] == ["1/2"]
    stages_row = next(line for line in display.splitlines() if line.startswith("stages"))
    assert "2/4" in stages_row and "left" not in stages_row
    assert "w1      dream 1 · deep-inversion · seed 0  step 20/40  1.2500  abd" in display
    assert "accuracy so far: base 77.5% (1)" in display
    text = progress.console.export_text()
    # What stays above the display when it is gone: results, and no line a stage.
    assert "job done base · 2 tasks · seed 0: final accuracy 77.5%" in text
    assert "done     learn 1" not in text
    assert "step 20/40" in text
    finish(progress, plan, stages["dream 1"], records)
    progress.estimated = None
    assert "about 2 s left" in shown(progress)


def test_a_finished_stage_leaves_the_display(plan, stages):
    progress = Progress(plan, 2, terminal())
    progress.on_event(StageStarted(stages["dream 1"], "w1", 0.0))
    progress.on_event(StageStarted(stages["learn 2"], "w0", 0.0))
    progress.on_event(StageFailed(stages["learn 2"], "x", "", Path("x")))
    assert "dream 1" in shown(progress) and "learn 2" not in shown(progress)
    progress.on_event(StageFinished(stages["dream 1"], record(plan, stages["dream 1"])))
    assert "dream 1" not in shown(progress)
