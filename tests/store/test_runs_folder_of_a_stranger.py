"""A runs folder may come from a stranger: a sweep's plug-in is run where a person names it, and nowhere else."""

import json

import pytest
from click.testing import CliRunner

from dfcil_core import plugins
from dfcil_core.methods import METHODS, OBJECTIVES
from orchestrator.cli import cli
from orchestrator.errors import UserError
from orchestrator.plan.plan import make_plan
from orchestrator.results.job_result import job_settings
from orchestrator.spec.load import parse_spec
from orchestrator.store import recorded_plan, sweep_folder
from orchestrator.store.store import Store
from tests.support.fabricated import finish

pytestmark = pytest.mark.usefixtures("registries")

PLUGIN = """
from dataclasses import dataclass
from pathlib import Path

from dfcil_core.methods.base import Method

Path({mark!r}).touch()


@dataclass(frozen=True)
class Settings:
    __pydantic_config__ = {{"extra": "forbid"}}
    weight: float = 1.0
    scales: tuple[int, ...] = (1, 2)


class Ours(Method):
    name = "ours"
    summary = "a method of our own"
    source = "nowhere"
    settings_type = Settings
    dreams = {dreams}
    group = "{group}"
    selection = {selection!r}
    chained = {chained}
"""
TEXT = """\
name: s
dataset: digits
methods: [base, {name: ours, weight: 0.5}, {name: ours, label: ours-3, weight: 3.0, training: {epochs: 5}}]
tasks: [5, {first: 6, then: 2}]
seeds: [0, 1]
training: {epochs: 3, backbone: resnet8}
"""
KINDS = {
    "plain": {"dreams": False, "group": "data-free", "selection": None, "chained": True},
    "dreaming": {"dreams": True, "group": "data-free", "selection": None, "chained": True},
    "remembering": {"dreams": False, "group": "memory", "selection": "random", "chained": True},
    "from scratch": {"dreams": False, "group": "bound", "selection": None, "chained": False},
}


def forget():
    """As in a new process, to which nobody has named the plug-in."""
    for table in (METHODS, OBJECTIVES, plugins._plugins):
        table.pop("ours", None)


@pytest.fixture(params=KINDS)
def sweep(request, tmp_path):
    """A finished sweep of a plug-in's method, the plug-in's file gone; the plan as it was launched."""
    file, mark = tmp_path / "ours.py", tmp_path / "mark"
    file.write_text(PLUGIN.format(mark=str(mark), **KINDS[request.param]))
    (tmp_path / "s.yaml").write_text(TEXT)
    plan = make_plan(parse_spec(TEXT, "s.yaml", plugin=str(file)))
    sweep_folder.save(tmp_path / "runs", plan)
    finish(plan, tmp_path / "runs")
    file.unlink()
    mark.unlink()
    forget()
    return tmp_path, plan


def command(runs, *words, status=0):
    done = CliRunner().invoke(cli, [*map(str, words)], env={"DFCIL_RUNS": str(runs)}, standalone_mode=False)
    assert done.exception is None or isinstance(done.exception, UserError | SystemExit), done.exc_info
    assert done.exit_code == status or isinstance(done.exception, UserError) and status == 2, (
        done.output,
        done.exception,
    )
    return done.output + (str(done.exception) if status == 2 else "")


def jobs_of(report):
    """The jobs in a report in JSON, which warnings may stand before."""
    return json.loads(report[report.index("{") :])["jobs"]


def test_the_plan_is_read_without_the_plug_in(sweep):
    folder, plan = sweep
    (folder / "runs" / "sweeps" / "s" / "plugin.py").unlink()
    read = sweep_folder.load(folder / "runs", "s")
    assert list(read.stages) == list(plan.stages)
    assert [stage.folder for stage in read.stages.values()] == [stage.folder for stage in plan.stages.values()]
    assert [stage.recipe for stage in read.stages.values()] == [
        type(stage.recipe).from_json(json.loads(json.dumps(stage.recipe.to_json()))) for stage in plan.stages.values()
    ]
    for one, other in zip(read.jobs, plan.jobs, strict=True):
        for name in ("name", "slug", "split", "seed", "class_order", "learn", "stages", "tasks"):
            assert getattr(one, name) == getattr(other, name)
        for name in ("name", "group", "dreams"):
            assert getattr(one.entry.method, name) == getattr(other.entry.method, name)
        assert job_settings(read.spec, one) == job_settings(plan.spec, other)
    assert (read.users, read.device, read.unshared, read.excluded) == (plan.users, "cpu", plan.unshared, 0)


def views(folder):
    """Every command that reads a runs folder, and runs no stage."""
    yield ("status",)
    yield "status", "s"
    yield "status", folder / "s.yaml"
    yield "logs", "ours-5-s0"
    yield ("store",)
    yield "store", "prune", "--dry-run"
    yield "store", "prune", "--unused"
    yield "store", "verify"
    yield "store", "export", folder / "out.tar", "s"
    for form in ("terminal", "html", "csv", "json"):
        yield "report", "s", "--format", form
    yield "compare", "s", "s"


def test_no_command_but_a_launch_that_names_it_runs_a_plug_in(sweep):
    folder, plan = sweep
    runs, mark = folder / "runs", folder / "mark"
    kept = (runs / "sweeps" / "s" / "plugin.py").read_text()
    for words in views(folder):
        command(runs, *words)
        assert not mark.exists(), words
    for words in (("cancel", "s"), ("sync", "s", "--log-models"), ("plan", folder / "s.yaml")):
        command(runs, *words, status=2)
        assert not mark.exists(), words
    assert len(Store(runs).names() & {stage.folder for stage in plan.stages.values()}) == len(plan.stages)
    (folder / "ours.py").write_text(kept)
    command(runs, "plan", folder / "s.yaml", "--plugin", folder / "ours.py")
    assert mark.exists()


def test_what_is_said_is_the_same_with_and_without_the_plug_in(sweep):
    folder, _ = sweep
    runs = folder / "runs"
    (runs / "sweeps" / "s" / "plugin.py").unlink()
    assert "12 of 12 jobs done" in command(runs, "status")
    jobs = jobs_of(command(runs, "report", "s", "--format", "json"))
    assert {job["label"] for job in jobs} == {"base", "ours", "ours-3"}
    assert "0 things" in command(runs, "store", "prune", "--unused")


@pytest.mark.long
@pytest.mark.parametrize("sweep", ["dreaming"], indirect=True)
def test_it_is_delivered_without_the_plug_in(sweep):
    folder, _ = sweep
    assert "12 jobs are in the tracking store" in command(folder / "runs", "sync", "s")
    assert not (folder / "mark").exists()


def test_a_plug_ins_sweep_without_its_plan_tells_how_to_have_it_again(sweep):
    folder, _ = sweep
    runs = folder / "runs"
    (runs / "sweeps" / "s" / "plan.json").unlink()
    output = command(runs, "status")
    assert "plan.json is missing. Launch the sweep again with --plugin" in " ".join(output.split())
    command(runs, "report", "s", status=2)
    assert not (folder / "mark").exists()
    kept = runs / "sweeps" / "s" / "plugin.py"
    sweep_folder.save(runs, make_plan(parse_spec(TEXT, "s.yaml", plugin=str(kept))))
    assert "12 of 12 jobs done" in command(runs, "status")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda told: told.update(name="../../elsewhere"), "name"),
        (lambda told: told["dataset"].update(name="elsewhere"), "no data set"),
        (lambda told: told["methods"][1]["method"].update(name="../x"), "methods.1.method.name"),
        (lambda told: told["methods"][1]["method"]["settings"].update({"a b": 1}), "settings"),
        (lambda told: told["jobs"][0].update(entry=77), "no such entry"),
        (lambda told: told["jobs"][0].update(stages=["x"]), "jobs.0.stages.0"),
        (lambda told: told["jobs"][0].update(learn=[None] * 5), "learn does not name"),
        (lambda told: told["jobs"].append(told["jobs"][0]), "there twice"),
        (lambda told: told["orders"].update({"0": [0] * 10}), "class order"),
        (lambda told: told["stages"].popitem(), "not those of the jobs"),
        (lambda told: next(iter(told["stages"].values())).update(method="../../x"), "no name of a stage"),
        (lambda told: next(iter(told["stages"].values())).update(classes=[]), "no classes"),
        (lambda told: next(iter(told["stages"].values())).update(kind="remember"), "settings.memory"),
        (lambda told: next(iter(told["stages"].values())).update(kind="dream"), "settings.steps"),
        (
            lambda told: next(iter(told["stages"].values())).update(kind="dream", settings={"steps": 1}, training={}),
            "training.batch_size",
        ),
    ],
)
def test_a_plan_that_was_altered_is_refused(change, reason, tmp_path):
    file = tmp_path / "ours.py"
    file.write_text(PLUGIN.format(mark=str(tmp_path / "mark"), **KINDS["plain"]))
    plan = make_plan(parse_spec(TEXT, "s.yaml", plugin=str(file)))
    sweep_folder.save(tmp_path, plan)
    path = tmp_path / "sweeps" / "s" / recorded_plan.FILE
    told = json.loads(path.read_text())
    change(told)
    path.write_text(json.dumps(told))
    with pytest.raises(UserError, match=reason) as refused:
        sweep_folder.load(tmp_path, "s")
    assert str(path) in str(refused.value) and "remove the sweep's folder" in str(refused.value)
    output = command(tmp_path, "status")
    assert "sweep 's' is left out" in output


def test_a_relaunch_without_a_plug_in_leaves_no_plan_behind(tmp_path):
    file = tmp_path / "ours.py"
    file.write_text(PLUGIN.format(mark=str(tmp_path / "mark"), **KINDS["plain"]))
    sweep_folder.save(tmp_path, make_plan(parse_spec(TEXT, "s.yaml", plugin=str(file))))
    plain = make_plan(parse_spec("name: s\ndataset: digits\nmethods: [base]\ntasks: [5]\nseeds: [0]\n", "s.yaml"))
    sweep_folder.save(tmp_path, plain)
    assert not (tmp_path / "sweeps" / "s" / "plan.json").exists()
    forget()
    assert [job.name for job in sweep_folder.load(tmp_path, "s").jobs] == ["base · 5 tasks · seed 0"]
