"""The search: as many trials as asked for, whatever happens to the tuner; no more stages than they need."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.cli import options
from orchestrator.cli.launch import launch as launch_command
from orchestrator.cli.tune import tune as tune_command
from orchestrator.errors import UserError
from orchestrator.spec.load import parse_spec
from orchestrator.store.store import Store
from orchestrator.tune import tune
from orchestrator.tuning import study, summary
from orchestrator.tuning.study import COMPLETE, ENDED, FAILED, PRUNED, RUNNING, Study
from tests.support import fake_tuning
from tests.support.fake_tuning import read, search
from tests.support.paths import ROOT, SUPPORT

ONE = {"seeds: [0, 1, 2]": "seeds: [0]"}
SEPARATE = 27  # stages of one trial on its own: three seeds of five learn and four dream


def finished_stages(runs: Path) -> int:
    return sum(not path.name.startswith(".") for path in Store(runs).stages.iterdir())


def test_trial_0_is_the_published_setting_and_as_many_end_as_were_asked_for(tmp_path):
    found, tuner = search(read("trials: 6"), tmp_path)
    trials = found.trials()
    assert trials[0].params == {"dreaming.lr": 1e-3, "mu": 0.1} and trials[0].state == COMPLETE
    assert [trial.state in ENDED for trial in trials] == [True] * 6 and not tuner.failed
    assert len({tuple(trial.params.items()) for trial in trials}) == 6


@pytest.mark.long
def test_trials_share_the_first_task_and_stopped_ones_cost_little(tmp_path):
    lines = []
    found, _ = search(read("trials: 20\nsampler: random"), tmp_path, lines.append)
    pruned = found.trials(PRUNED)
    assert pruned and {study.last_step(trial) for trial in pruned} <= {3, 4}
    cost = summary.cost(found, "cpu")
    assert cost.separate == 20 * SEPARATE
    assert cost.searched == finished_stages(tmp_path)  # what is counted is what was done
    assert cost.searched <= 0.75 * cost.separate  # a pruned trial has done three of its five tasks
    assert sum("learn-01" in path.name for path in Store(tmp_path).stages.iterdir()) == 3  # one a seed


@pytest.mark.long
def test_without_a_pruner_every_trial_is_complete(tmp_path):
    found, _ = search(read("trials: 7\npruner: none\nsampler: random", **{"seeds: [0, 1, 2]": "seeds: [0]"}), tmp_path)
    assert len(found.trials(COMPLETE)) == 7
    assert summary.cost(found, "cpu").searched == 1 + 7 * 8


def test_the_same_command_adds_the_trials_that_are_missing(tmp_path):
    search(read("trials: 3"), tmp_path)
    stages = finished_stages(tmp_path)
    again, _ = search(read("trials: 3"), tmp_path)
    assert again.ended() == 3 and finished_stages(tmp_path) == stages
    more, _ = search(read("trials: 5"), tmp_path)
    assert more.ended() == 5 and len(more.trials()) == 5


def test_another_schedule_is_another_study(tmp_path):
    names = {study.study_name(read(), "cpu"), study.study_name(read(**{"tasks: [5]": "tasks: [2]"}), "cpu")}
    names.add(study.study_name(read("trials: 6\nvalidation: 0.2"), "cpu"))
    assert len(names) == 3
    assert study.study_name(read("trials: 99\nsampler: gp"), "cpu") in names


@pytest.mark.long
def test_a_tuner_killed_five_times_loses_and_repeats_nothing(tmp_path):
    spec_file = tmp_path / "spec.yaml"
    spec_file.write_text(fake_tuning.SPEC.format(more="trials: 12"))
    asked = read("trials: 12")
    here = SUPPORT
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(here / "fake_tuning.py"), str(spec_file), str(tmp_path / "runs")]
    begun = set()
    for lines_until_the_end in (1, 4, 13, 9, 22):
        tuner = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(lines_until_the_end):
            line = tuner.stdout.readline()
            if " begins" in line:
                begun.add(line.strip())
        tuner.send_signal(signal.SIGKILL)
        tuner.wait()
        tuner.stdout.close()
    left = Study(asked, study.open_storage(tmp_path / "runs", None), "cpu")
    running = len(left.trials(RUNNING))
    assert running and left.ended() < 12
    last = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=True)
    found = Study(asked, study.open_storage(tmp_path / "runs", None), "cpu")
    trials = found.trials()
    assert [trial.state in ENDED for trial in trials] == [True] * 12
    assert [trial.number for trial in trials] == list(range(12))
    assert len({tuple(trial.params.items()) for trial in trials}) == 12
    goes_on = [line for line in last.stdout.splitlines() if " goes on" in line]
    assert len(goes_on) == running
    # No stage was done that no trial needed, but for those that were under way when the tuner was killed.
    assert summary.cost(found, "cpu").searched == finished_stages(tmp_path / "runs")
    # A trial that went on kept its setting.
    for line in begun:
        number, settings = line.split(" begins: ")[0].removeprefix("trial "), line.rpartition("mu ")[2]
        assert f"{trials[int(number)].params['mu']:.4g}" == settings


@pytest.mark.long
def test_a_trial_killed_while_its_settings_are_chosen_gets_the_rest(tmp_path):
    asked = read("trials: 3")
    found = Study(asked, study.open_storage(tmp_path, None), "cpu")
    found.ask()
    half = found.optuna.ask()
    chosen = half.suggest_float("dreaming.lr", 1e-4, 1e-2, log=True)
    done, _ = search(asked, tmp_path)
    assert done.ended() == 3 and done.trials()[1].params["dreaming.lr"] == chosen
    assert set(done.trials()[1].params) == {"dreaming.lr", "mu"}


def test_a_setting_that_cannot_be_trained_is_replaced(tmp_path):
    text = fake_tuning.SPEC.format(more="trials: 4\n  sampler: grid")
    text = text.replace("{low: 0.01, high: 1, log: true}", "{choices: [0.1, 0.95, 0.2, 0.3]}")
    text = text.replace("    dreaming.lr: {low: 1e-4, high: 1e-2, log: true}\n", "")
    found, tuner = search(parse_spec(text, "s"), tmp_path)
    assert len(tuner.failed) == 1 and len(found.trials(FAILED)) == 1 and found.ended() == 4
    assert "diverged" in found.trials(FAILED)[0].user_attrs["error"]


def test_a_published_setting_that_cannot_be_trained_ends_the_search(tmp_path):
    found, tuner = search(read("trials: 4", **{"methods: [abd]": "methods: [{name: abd, mu: 0.95}]"}), tmp_path)
    assert tuner.gave_up.startswith("the published setting cannot be trained: ValueError: diverged")
    assert found.ended() < 4 and not found.trials(RUNNING)


@pytest.mark.parametrize("sampler", ["tpe", "gp", "cmaes", "random", "qmc"])
def test_every_sampler_stays_in_the_space_and_repeats_nothing_after_a_restart(tmp_path, sampler):
    asked = read(f"trials: 12\nsampler: {sampler}", **ONE)
    for _ in range(3):  # launches
        found = Study(asked, study.open_storage(tmp_path, None), "cpu")
        for _ in range(4):
            trial, settings = found.ask()
            found.tell(trial, COMPLETE, [100 - 50 * settings["mu"]])
    settings = [trial.params for trial in found.trials()]
    assert all(1e-4 <= given["dreaming.lr"] <= 1e-2 and 0.01 <= given["mu"] <= 1 for given in settings)
    assert len({tuple(given.items()) for given in settings}) == len(settings) == 12


def test_what_is_asked_does_not_depend_on_restarts(tmp_path):
    asked = read("trials: 12", **ONE)
    chosen = []
    for launches, folder in ((1, tmp_path / "one"), (12, tmp_path / "many")):
        for _ in range(launches):
            found = Study(asked, study.open_storage(folder, None), "cpu")
            for _ in range(12 // launches):
                trial, settings = found.ask()
                found.tell(trial, COMPLETE, [100 - 50 * settings["mu"]])
        chosen.append([trial.params for trial in found.trials()])
    assert chosen[0] == chosen[1]


def test_a_line_torn_by_a_kill_does_no_harm(tmp_path):
    asked = read("trials: 3", **ONE)
    Study(asked, study.open_storage(tmp_path, None), "cpu").ask()
    with (tmp_path / study.JOURNAL).open("a") as journal:
        journal.write('{"op_code": 8, "worker_id"')
    found = Study(asked, study.open_storage(tmp_path, None), "cpu")
    found.ask()
    again = Study(asked, study.open_storage(tmp_path, None), "cpu")
    assert [trial.state for trial in again.trials()] == [RUNNING, RUNNING]


def test_a_grid_ends_when_it_is_done(tmp_path):
    text = fake_tuning.SPEC.format(more="trials: 50\n  sampler: grid\n  pruner: none").replace("[0, 1, 2]", "[0]")
    text = text.replace("{low: 1e-4, high: 1e-2, log: true}", "{choices: [1e-3, 1e-2]}")
    text = text.replace("{low: 0.01, high: 1, log: true}", "{low: 0.1, high: 0.3, step: 0.1}")
    found, _ = search(parse_spec(text, "s"), tmp_path)
    settings = {(trial.params["dreaming.lr"], round(trial.params["mu"], 6)) for trial in found.trials()}
    assert settings == {(lr, mu) for lr in (1e-3, 1e-2) for mu in (0.1, 0.2, 0.3)} and found.ended() == 7


@pytest.mark.long
@pytest.mark.parametrize("before", ["tpe", "random", "qmc"])
def test_a_grid_after_another_sampler_tries_every_point(tmp_path, before):
    text = fake_tuning.SPEC.replace("[0, 1, 2]", "[0]")
    text = text.replace("{{low: 1e-4, high: 1e-2, log: true}}", "{{choices: [1e-3, 1e-2]}}")
    text = text.replace("{{low: 0.01, high: 1, log: true}}", "{{low: 0.1, high: 0.3, step: 0.1}}")
    search(parse_spec(text.format(more=f"trials: 8\n  sampler: {before}\n  pruner: none"), "s"), tmp_path)
    found, tuner = search(parse_spec(text.format(more="trials: 50\n  sampler: grid\n  pruner: none"), "s"), tmp_path)
    settings = {(trial.params["dreaming.lr"], round(trial.params["mu"], 6)) for trial in found.trials(COMPLETE)}
    assert settings >= {(lr, mu) for lr in (1e-3, 1e-2) for mu in (0.1, 0.2, 0.3)}
    assert found.ended() == tuner.wanted == 7 and len(found.trials()) == 8 + 6


@pytest.mark.long
def test_two_objectives_give_a_front_and_stop_nothing(tmp_path):
    asked = read("trials: 6\nobjective: [final_accuracy, forgetting]", **ONE)
    found, _ = search(asked, tmp_path)
    assert len(found.trials(COMPLETE)) == 6
    front = found.ranked()
    assert 1 <= len(front) <= 6
    for one in front:
        better = [t for t in found.trials() if t.values[0] > one.values[0] and t.values[1] < one.values[1]]
        assert better == []
    assert summary.cost(found, "cpu").searched == finished_stages(tmp_path)


def test_a_deadline_begins_nothing_new(tmp_path):
    from orchestrator.engine import engine
    from orchestrator.plan.plan import Plan
    from orchestrator.tuning.tuner import Tuner
    from orchestrator.tuning.tuners import Tuners

    asked = read("trials: 6")
    found = Study(asked, study.open_storage(tmp_path, None), "cpu")
    with Tuners(found, tmp_path / "tuning") as tuners:
        tuner = Tuner(asked, found, tuners, "cpu", 2, lambda text: None, deadline=0.0)
        how = fake_tuning.options()
        engine.run(Plan(asked, (), {}, 0, 0), Store(tmp_path), how, tuner.on_event, source=tuner.source)
    assert found.ended() == 0 and not found.trials(RUNNING)


def test_a_storage_that_is_none_is_a_mistake_without_its_password(tmp_path):
    for url in ("nonsense", "postgresql+psycopg://me:secret@127.0.0.1:1/x"):
        with pytest.raises(UserError) as caught:
            study.open_storage(tmp_path, url)
        assert str(caught.value).startswith("--storage: ") and "secret" not in str(caught.value)


def test_a_database_does_as_well(tmp_path):
    url = f"sqlite:///{tmp_path}/optuna.db"
    for _ in range(2):
        found = Study(read("trials: 3", **ONE), study.open_storage(tmp_path, url), "cpu")
        found.ask()
    assert len(found.trials(RUNNING)) == 2 and not (tmp_path / study.JOURNAL).exists()


def test_options_of_workers_elsewhere_are_those_of_launch(tmp_path):
    launched, tuned = (
        {parameter.name for parameter in command.params if parameter.name in options.ELSEWHERE}
        for command in (launch_command, tune_command)
    )
    assert launched == tuned == set(options.ELSEWHERE)
    for given, told in (
        ({"scheduler": "tcp://127.0.0.1:1"}, "--scheduler: say --device cpu or --device cuda"),
        ({"cluster": "slurm", "device": "cpu"}, "--cluster slurm needs --profile FILE"),
        ({"scheduler": "tcp://127.0.0.1:1", "device": "cpu"}, "say with --jobs N"),
        ({"scheduler": "tcp://127.0.0.1:1", "device": "cpu", "jobs": 1, "gpus": "0"}, "--gpus 0: chooses devices of"),
    ):
        with pytest.raises(UserError, match=re.escape(told)):
            tune("tune-digits", runs=tmp_path / "runs", **given)
    assert not (tmp_path / "runs").exists()
