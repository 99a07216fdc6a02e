"""docs/mlflow.md names what is logged, all of it, and nothing else."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from dfcil_core.methods import METHODS
from orchestrator.cli.options import experiment
from orchestrator.plan.plan import make_plan
from orchestrator.results.job_result import job_results
from orchestrator.spec.load import parse_spec
from orchestrator.spec.model import FirstModel
from orchestrator.store.store import Store
from tests.support.fabricated import finish, record, sweep
from tests.support.launched import dfcil
from tests.support.mlflow_views import view
from tests.support.paths import ROOT
from tests.support.tracked import Tracker

pytestmark = pytest.mark.long

TEXT = (ROOT / "docs/mlflow.md").read_text()
# Every method, and tasks of unequal sizes.
SPEC = """\
name: every
dataset: {name: digits, image_size: 8}
methods: [METHODS]
tasks: [{first: 6, then: 4}]
seeds: [0]
training: {backbone: resnet8, epochs: 1, batch_size: 64}
dreaming: {steps: 2}
memory: 20
""".replace("METHODS", ", ".join(METHODS))
HELD = """\
name: held
dataset: {name: digits, image_size: 8, holdout: {share: 0.2, fold: 0}}
methods: [base]
tasks: [2]
seeds: [0]
"""
RECOMPUTED = {"dfcil.replaced"}  # of a job whose stages were computed again, which none here was
# What stands in the place of many names.
SHORT = (
    (r"task_\d\d$", "task_01"),
    (r"^version\..+", "version.PACKAGE"),
    (r"^dfcil\.launch\..+", "dfcil.launch.TIME"),
    (r"^images/dreams\+step\+\d.*", "images/dreams"),
)


def short(name: str) -> str:
    for pattern, replacement in SHORT:
        name = re.sub(pattern, replacement, name)
    return name


def documented(section: str) -> set[str]:
    """The names in the first cells of the section's table."""
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", TEXT, re.S | re.M)
    cells = re.findall(r"^\| (`.*?) \|", text, re.M)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def with_top5(plan, stage):
    told = record(plan, stage)
    told["evaluation"]["correct_top5"] = told["evaluation"]["images"]
    return told


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """Runs of a real small sweep, and of a job that failed."""
    from mlflow.tracking import MlflowClient

    folder = tmp_path_factory.mktemp("documented")
    (folder / "every.yaml").write_text(SPEC)
    answer = dfcil("launch", "every.yaml", "--runs", folder / "runs", folder=folder)
    assert answer.returncode == 0, answer.stderr
    plan = sweep(("base",), seeds=(0,), splits=((5, 5),))
    finish(plan, folder / "runs", plan.jobs[0].stages[:1])
    uri = f"sqlite:///{folder}/runs/mlflow.db"
    with Tracker(plan, folder / "runs", uri) as tracker:
        tracker.job_failed(plan.jobs[0], "RuntimeError: boom", "Traceback", log="/a/log")
        tracker.finish("FAILED", job_results(plan, Store(folder / "runs").records(plan.stages.values())))
    # What is logged from 50 classes on.
    plan = sweep(("base",), seeds=(0,), splits=((5, 5),), name="wide")
    store = finish(plan, folder / "runs", made=with_top5)
    with Tracker(plan, folder / "runs", uri) as tracker:
        tracker.finish("FINISHED", job_results(plan, store.records(plan.stages.values())))
    # What is logged of a fold of the training images, and of a first model from a file.
    first = {0: FirstModel("first.safetensors", "0" * 64)}
    plan = make_plan(replace(parse_spec(HELD, "held.yaml"), first_models=first), "cpu")
    store = finish(plan, folder / "runs")
    with Tracker(plan, folder / "runs", uri) as tracker:
        tracker.finish("FINISHED", job_results(plan, store.records(plan.stages.values())))
    client, names = MlflowClient(uri), ("every", "fab", "wide", "held")
    whole = [client.get_run(run["id"]) for name in names for run in view(uri, name).values()]
    files = [path for name in names for run in view(uri, name).values() for path in run["artifacts"]]
    return {
        "Metrics": {short(name) for run in whole for name in run.data.metrics},
        "Parameters": {short(name) for run in whole for name in run.data.params},
        "Tags": {short(name) for run in whole for name in run.data.tags if not name.startswith("mlflow.")},
        "Artifacts": {short(path) for path in files},
    }


@pytest.mark.parametrize("section", ["Metrics", "Parameters", "Tags", "Artifacts"])
def test_what_is_documented_is_what_is_logged(section, logged):
    assert documented(section) - RECOMPUTED == logged[section]


def test_where_it_goes_is_what_the_options_say():
    help_of = experiment(lambda: None).__click_params__[0].help
    assert "MLFLOW_EXPERIMENT_NAME, else as the last time, else the sweep's name" in help_of
    assert "`MLFLOW_EXPERIMENT_NAME` | as the last time, else the sweep's name |" in TEXT


def test_the_python_reads_the_demo(tmp_path, monkeypatch, capsys):
    plan = sweep(("base", "abd"), seeds=(0, 1), splits=((5, 5),), name="demo")
    finish(plan, tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    with Tracker(plan, tmp_path) as tracker:
        tracker.finish("FINISHED", job_results(plan, Store(tmp_path).records(plan.stages.values())))
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.S)
    exec(code, {})
    told = capsys.readouterr().out
    assert re.search(r"^abd +\d+\.\d+ +\d+\.\d+ +2$", told, re.M), told


def test_every_picture_is_small_and_shown():
    folder = ROOT / "docs/images"
    pages = "".join(path.read_text() for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")))
    shown = {Path(path).name for path in re.findall(r"!\[[^]]+\]\((?:docs/)?images/([^)]+\.png)\)", pages)}
    assert shown == {path.name for path in folder.glob("*.png")}
    assert [path.name for path in folder.iterdir() if path.stat().st_size > 200_000] == []
