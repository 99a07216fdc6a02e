"""`logs`: epochs with their losses, accuracies, durations; of a job at work, as they come."""

import subprocess

import pytest

from orchestrator.cli.logs import _follow, _Job
from orchestrator.cli.stage_lines import Live, curve_lines, result_lines
from orchestrator.results.job_result import job_result
from orchestrator.worker.progress_file import ProgressFile, path_of
from tests.support.fabricated import finish, record, sweep
from tests.support.launched import command, dfcil, environment

SPEC = """\
name: followed
dataset: {name: digits, image_size: 8}
methods: [abd]
tasks: [2]
seeds: [0]
training: {backbone: resnet8, epochs: 4, batch_size: 16}
dreaming: {steps: 40}
"""


@pytest.fixture
def plan():
    return sweep(("abd",), seeds=(0,), splits=((5, 5),))


def test_a_finished_stage_tells_its_epochs_and_what_came_of_it(plan):
    records = {stage.key: record(plan, stage) for stage in plan.stages.values()}
    learn, dream, last = (plan.stages[key] for key in plan.jobs[0].stages)
    assert list(curve_lines(last, records[last.key])) == [
        "epoch 1/3  loss 1.0000  lr 0.1",
        "epoch 2/3  loss 0.5000  lr 0.1",
        "epoch 3/3  loss 0.3333  lr 0.1",
    ]
    assert list(curve_lines(dream, records[dream.key], after=20)) == [
        "step 30/40  loss 1.6667  ce 0.0333",
        "step 40/40  loss 1.2500  ce 0.0250",
    ]
    accuracy, took = result_lines(last, records[last.key], job_result(plan.jobs[0], records))
    assert accuracy == "accuracy after task 2 of 2: 91.2% (task 1 82.5, task 2 100.0)"
    assert took.startswith("took 1.5 s (0.50 s an epoch), until 2023-11-14 ") and took.endswith("; cpu, here")
    assert len(list(curve_lines(learn, records[learn.key], after=3))) == 0


def test_what_a_worker_reports_is_told_alike_and_counted_over_phases():
    live = Live()
    assert live.line({"phase": "loading torch", "seconds": 0.1}) is None
    told = {"phase": "learn", "epoch": 3, "epochs": 20, "loss": 0.77654, "lr": 0.1, "seconds": 12.34}
    assert live.line(told) == "epoch  3/20  loss 0.7765  lr 0.1  12.3 s"
    assert live.line({"phase": "bias", "epoch": 1, "epochs": 2, "loss": 0.5}) == "epoch 1/2  loss 0.5000"
    assert live.place == 21
    dream = {"phase": "dream", "step": 500, "steps": 10000, "loss": 3.0, "ce": 1.5, "bn": 0.25}
    assert Live().line(dream) == "step   500/10000  loss 3.0000  bn 0.2500  ce 1.5000"


def test_a_stage_at_work_tells_what_it_has_reported_so_far(tmp_path, plan, capsys):
    keys = list(plan.jobs[0].stages)
    store = finish(plan, tmp_path, keys[:1])
    progress = ProgressFile(path_of(store, plan.stages[keys[1]]))
    progress.write({"phase": "dream", "step": 20, "steps": 40, "loss": 2.5})
    shown = _Job(plan, plan.jobs[0], store, None)
    shown.look()
    shown.show()
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("epoch", "step"))]
    assert lines[:3] == [f"epoch {epoch}/3  loss {1 / epoch:.4f}  lr 0.1" for epoch in (1, 2, 3)]
    assert len(lines) == 4 and lines[3].startswith("step 20/40  loss 2.5000  0.")
    # What comes later is told once, and of a stage that has finished meanwhile what it had not reported.
    progress.write({"phase": "dream", "step": 30, "steps": 40, "loss": 2.0})
    shown.show()
    finish(plan, tmp_path)
    assert _follow(tmp_path, shown) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("epoch", "step"))]
    assert [line.split()[1] for line in lines] == ["30/40", "40/40", "1/3", "2/3", "3/3"]


def test_following_ends_where_no_launcher_is_at_work(tmp_path, plan, capsys):
    store = finish(plan, tmp_path, plan.jobs[0].stages[:1])
    assert _follow(tmp_path, _Job(plan, plan.jobs[0], store, tail=1)) == 1
    told = capsys.readouterr()
    assert told.out.splitlines()[1].startswith("took 1.5 s") and "no launcher is at work on it" in told.err


@pytest.mark.long
def test_a_job_at_work_is_followed_to_its_end(tmp_path):
    (tmp_path / "s.yaml").write_text(SPEC)
    with subprocess.Popen(
        command("launch", "s.yaml", "--device", "cpu"),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as launch:
        assert launch.stdout.readline().startswith("followed: 1 job")
        followed = dfcil("logs", "abd-2-s0", "--follow", folder=tmp_path)
        launch.communicate()
    assert (launch.returncode, followed.returncode) == (0, 0), followed.stderr
    lines = followed.stdout.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("epoch")] == 2 * ["1/4", "2/4", "3/4", "4/4"]
    assert sum(line.startswith("accuracy after task") for line in lines) == 2
    assert any(line.startswith("step 40/40  loss ") for line in lines)
    assert not list((tmp_path / "runs" / "logs").glob("*.progress"))
