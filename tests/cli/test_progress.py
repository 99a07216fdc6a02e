"""What a launch shows: plain lines where there is no terminal, a live display where there is one."""

import io
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.cli.live import display
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
from orchestrator.launch import JobAdvanced, LaunchBegan
from orchestrator.results.job_result import job_result
from orchestrator.status import read_state
from orchestrator.store.sweep_folder import Changes
from tests.support.fabricated import record, sweep


def plain():
    return Console(file=io.StringIO(), width=60, highlight=False)


def terminal(width=120, height=40):
    return Console(
        file=io.StringIO(), width=width, height=height, highlight=False, force_terminal=True, color_system=None
    )


def begun(plan, workers, console, records=()):
    progress = Progress(plan, workers, console)
    progress.on_event(LaunchBegan(plan, workers, dict(records), Changes()))
    return progress


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
        progress.on_event(JobAdvanced(job_result(plan.jobs[position], records)))
    progress.on_event(StageFinished(stage, records[stage.key]))


def lines(progress):
    return progress.console.file.getvalue().splitlines()


def shown(progress, width=120, height=40):
    """The live display as it is now, without the lines above it."""
    console = terminal(width, height)
    console.print(display(progress.standing, console))
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert max(map(len, lines)) <= width and len(lines) <= height
    return "\n".join(lines)


def test_plain_lines_of_a_whole_launch(plan, stages):
    progress, records = begun(plan, 2, plain()), {}
    with progress:
        for stage in plan.stages.values():
            progress.on_event(StageStarted(stage, "w0", 0.0))
            finish(progress, plan, stage, records)
    # Lines are not folded to the width of 60, so that they can be searched.
    assert lines(progress) == [
        "fab: 2 jobs, 4 stages, 0 in the store; 2 at a time on cpu",
        "done     learn 1 · cross-entropy · seed 0 in 2 s: 100.0% after task 1 of 2  "
        "[for 2 methods and splits, 1/4 stages]",
        "done     learn 2 · base · seed 0 in 2 s: 77.5% after task 2 of 2  [base 2/2 tasks, 2/4 stages]",
        "job done base · 2 tasks · seed 0: final accuracy 77.5%",
        "done     dream 1 · deep-inversion · seed 0 in 2 s  [3/4 stages]",
        "done     learn 2 · abd · seed 0 in 2 s: 91.2% after task 2 of 2  [abd 2/2 tasks, 4/4 stages]",
        "job done abd · 2 tasks · seed 0: final accuracy 91.2%",
    ]
    assert progress.standing.jobs == (2, 2)


def test_why_a_stage_was_not_captured_is_told_on_gpus_alone(plan, stages):
    stage = stages["dream 1"]
    for device, told in (("cuda", " (eager: it reads back)"), ("cpu", "")):
        progress = begun(replace(plan, device=device), 1, plain())
        progress.on_event(StageFinished(stage, {**record(plan, stage), "capture": {"dream": "eager: it reads back"}}))
        progress.on_event(StageFinished(stage, {**record(plan, stage), "capture": {"dream": "captured"}}))
        assert [line.partition("  [")[0] for line in lines(progress)[1:]] == [
            f"done     {stage} in 2 s{told}",
            f"done     {stage} in 2 s",
        ]


def test_a_stage_that_splits_share_has_the_accuracy_of_each():
    plan = sweep(("upper-bound",), seeds=(0,), splits=((5, 5), (6, 4)))
    progress = begun(plan, 1, plain())
    (stage,) = plan.stages.values()
    made = record(plan, stage)
    for label, count in zip(plan.jobs[0].tasks[0], (0, 20), strict=False):  # of 40 images each
        made["evaluation"]["correct"][str(label)] = count
    for job in plan.jobs:
        progress.on_event(JobAdvanced(job_result(job, {stage.key: made})))
    progress.on_event(StageFinished(stage, made))
    # The mean over tasks, as everywhere. Tasks of 5 and 5 classes: (70 + 100) / 2; of 6 and 4: (75 + 100) / 2.
    assert ": 85.0% after task 2 of 2, 87.5% after task 2 of 2  [" in lines(progress)[1]


def test_what_is_in_the_store_counts_from_the_start(plan, stages):
    base = {key: record(plan, plan.stages[key]) for key in plan.jobs[0].stages}
    progress = begun(plan, 1, plain(), base)
    with progress:
        assert progress.standing.jobs == (1, 2) and "base    2/2    1/1   100.0 77.5" in shown(progress)
        finish(progress, plan, stages["dream 1"], dict(base))
    assert lines(progress)[0] == "fab: 2 jobs, 4 stages, 2 in the store; 1 at a time on cpu"
    assert lines(progress)[-1].endswith("[3/4 stages]")


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
    assert "base    0/2    0/1, 1 failed" in shown(progress)


def test_a_damaged_stage_is_to_do_again(plan, stages):
    progress = begun(plan, 1, plain(), {key: record(plan, stage) for key, stage in plan.stages.items()})
    progress.on_event(StageDamaged(stages["learn 1"], "gone", Path("/x")))
    assert progress.standing.left == {stages["learn 1"].key}


def test_a_long_stage_gives_a_sign_of_life_now_and_then(plan, stages, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("orchestrator.cli.progress.time.monotonic", lambda: now[0])
    monkeypatch.setattr("orchestrator.cli.progress.time.time", lambda: now[0])
    progress = begun(plan, 1, plain())
    progress.on_event(StageStarted(stages["learn 1"], "w0", 100.0))
    for epoch in range(1, 41):
        now[0] += 1
        progress.on_event(StageProgress(stages["learn 1"], "w0", {"phase": "learn", "epoch": epoch, "epochs": 40}))
    assert [line for line in lines(progress) if line.startswith("running")] == [
        "running  learn 1 · cross-entropy · seed 0 epoch 15/40 for 15 s  [0/4 stages, elapsed 15 s]",
        "running  learn 1 · cross-entropy · seed 0 epoch 30/40 for 30 s  [0/4 stages, elapsed 30 s]",
    ]


def test_the_time_left_is_reckoned_by_stages_like_those_left(plan, stages):
    standing = begun(plan, 2, plain()).standing

    def left():
        standing._estimated = None  # it is kept for a while
        return standing.seconds_left()

    assert left() is None
    learn, dream = record(plan, stages["learn 1"]), record(plan, stages["dream 1"])
    standing.note(StageFinished(stages["learn 1"], {**learn, "seconds": 10.0}))
    assert left() is None  # of the dream nothing is known yet
    standing.note(StageFinished(stages["dream 1"], {**dream, "seconds": 100.0}))
    assert left() == pytest.approx(10.0)
    standing.note(StageFailed(stages["learn 2"], "x", "", Path("x")))
    # The other one takes its time, however many are idle.
    assert left() == pytest.approx(10.0)


def test_the_time_left_is_the_one_that_status_tells(plan, stages, tmp_path):
    standing, records = begun(plan, 1, plain()).standing, {}
    for name, seconds in (("learn 1", 10.0), ("dream 1", 100.0)):
        records[stages[name].key] = {**record(plan, stages[name]), "seconds": seconds}
        standing.note(StageFinished(stages[name], records[stages[name].key]))
        standing._estimated = None
        assert standing.seconds_left() == read_state(tmp_path, plan, records).seconds_left
    assert standing.seconds_left() == pytest.approx(20.0)


@pytest.mark.parametrize("width", [80, 200])
def test_the_display_reads_well(plan, stages, width):
    progress, records = begun(plan, 2, terminal(width)), {}
    finish(progress, plan, stages["learn 1"], records)
    finish(progress, plan, stages["learn 2"], records)
    progress.on_event(StageStarted(stages["dream 1"], "1", time.time() - 12))
    assert "1       dream 1 · deep-inversion · seed 0  starting        12 s" in shown(progress, width)
    progress.on_event(StageProgress(stages["dream 1"], "1", {"phase": "loading torch"}))
    assert "dream 1 · deep-inversion · seed 0  loading torch        12 s" in shown(progress, width)
    info = {"phase": "dream", "step": 20, "steps": 40, "loss": 1.25}
    progress.on_event(StageProgress(stages["dream 1"], "1", info))
    rows = shown(progress, width).splitlines()
    assert [row.split()[-1] for row in rows[:1]] == ["1/2"] and " 2/4 elapsed 0 s" in rows[1]
    assert rows[3:6] == [
        "method  tasks  jobs  accuracy after each task, %",
        "base    2/2    1/1   100.0 77.5",
        "abd     1/2    0/1   100.0",
    ]
    wide = ("  methods", "  abd") if width == 200 else ("", "")
    assert rows[7:] == [
        f"worker  works on                           at          loss    for {wide[0]}".rstrip(),
        f"1       dream 1 · deep-inversion · seed 0  step 20/40  1.2500  12 s{wide[1]}",
    ]
    finish(progress, plan, stages["dream 1"], records)
    progress.standing._estimated = None
    assert ", about 2 s left" in shown(progress, width) and "dream 1" not in shown(progress, width)


def test_what_does_not_fit_is_cut_and_never_folded():
    methods = ("base", "lwf", "lwf-mc", "dgr", "deep-inversion", "lwf-synthetic", "abd", "rehearsal")
    plan = sweep(methods, seeds=(0, 1), splits=((1,) * 10, (5, 5), (6, 4)))
    progress, records = begun(plan, 64, terminal(60, 16)), {}
    stages = [stage for stage in plan.stages.values() if stage.recipe.kind == "learn" and stage.recipe.method == "lwf"]
    for stage in stages[:9]:
        finish(progress, plan, stage, records)
    for number, stage in enumerate(list(plan.stages.values())[-64:]):
        progress.on_event(StageStarted(stage, str(number), 0.0))
    display = shown(progress, 60, 16)  # asserts that nothing is wider or longer
    assert " more" in display and display.count("methods more") == 1 and "workers more" in display
    assert any(line.startswith("lwf") and "… " in line for line in shown(progress, 60, 60).splitlines())


def test_in_a_terminal_stays_the_accuracy_of_each_task(plan, stages):
    progress, records = begun(plan, 2, terminal(80)), {}
    with progress:
        finish(progress, plan, stages["learn 1"], records)
        finish(progress, plan, stages["dream 1"], records)
        finish(progress, plan, stages["learn 2"], records)
    text = progress.console.file.getvalue()
    assert "done     learn 2 · base · seed 0 in 2 s: 77.5% after task 2 of 2\n" in text
    assert "job done base · 2 tasks · seed 0: final accuracy 77.5%\n" in text
    assert "done     dream 1" not in text


def test_a_finished_stage_leaves_the_display(plan, stages):
    progress = Progress(plan, 2, terminal())
    progress.on_event(StageStarted(stages["dream 1"], "w1", 0.0))
    progress.on_event(StageStarted(stages["learn 2"], "w0", 0.0))
    progress.on_event(StageFailed(stages["learn 2"], "x", "", Path("x")))
    assert "dream 1" in shown(progress) and "learn 2" not in shown(progress)
    progress.on_event(StageFinished(stages["dream 1"], record(plan, stages["dream 1"])))
    assert "dream 1" not in shown(progress)


def test_a_display_that_is_drawn_before_the_launch_begins_does_not_forget_what_the_store_knows(plan, stages):
    records = {}
    for stage in ("learn 1", "dream 1"):
        records[stages[stage].key] = record(plan, stages[stage])
    early = Progress(plan, 2, terminal())
    assert early.standing.seconds_left() is None and len(early.standing.groups()) == 2
    early.on_event(LaunchBegan(plan, 2, dict(records), Changes()))
    expected = begun(plan, 2, terminal(), records).standing
    assert early.standing.seconds_left() == pytest.approx(expected.seconds_left()) and expected.seconds_left()
    assert [group.curve for group in early.standing.groups()] == [group.curve for group in expected.groups()]
