"""The bundled specs: each is read and planned, says what it costs and what was published, and can be rehearsed."""

import csv
import re

import pytest

from dfcil_core.execution import Execution
from dfcil_core.run_stage import run_stage
from orchestrator.plan.plan import make_plan
from orchestrator.results.job_result import job_result
from orchestrator.spec.load import load_spec
from orchestrator.spec.rehearsal import rehearse
from sweeps import bundled
from tests.support.paths import ROOT

PUBLISHED = ROOT / "reports" / "published" / "cifar100.csv"
CIFAR100 = ("cifar100-data-free", "cifar100-coreset")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Nobody's data sets lie in the home folder."""
    monkeypatch.setenv("HOME", str(tmp_path))


def header(name):
    lines = bundled()[name].read_text().splitlines()
    return "\n".join(line for line in lines if line.startswith("#"))


def test_there_are_the_sweeps_of_the_field():
    assert {
        *CIFAR100,
        "cifar10",
        "cifar100-small",
        "tiny-imagenet",
        "imagenet-50",
        "demo",
        "digits-methods",
    } <= bundled().keys()


@pytest.mark.parametrize("name", bundled())
def test_it_is_planned_without_its_data_and_named_after_its_file(name):
    read = load_spec(name)
    plan = make_plan(read)
    assert (
        read.name == name and len(plan.jobs) == len(read.methods) * len(read.splits) * len(read.seeds) - plan.excluded
    )
    assert re.search("^# Reproduces", header(name), re.MULTILINE)


@pytest.mark.parametrize("name", bundled())
def test_its_cost_is_the_plans(name):
    plan = make_plan(load_spec(name))
    kinds = ", ".join(f"{plan.count(kind):,} {kind}" for kind in ("learn", "remember", "dream") if plan.count(kind))
    expected = (
        f"# Cost: {len(plan.jobs)} jobs, {len(plan.stages):,} stages ({kinds}), of {plan.unshared:,} without sharing."
    )
    assert expected in header(name)


@pytest.mark.parametrize("name", CIFAR100)
def test_its_published_figures_are_those_of_the_table(name):
    with PUBLISHED.open() as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    methods = {entry.method.name for entry in load_spec(name).methods}
    for method in methods & {row["method"] for row in rows}:
        figures = [f"{float(row['mean']):.1f} ± {float(row['std']):.1f}" for row in rows if row["method"] == method]
        line = re.search(rf"^#   {re.escape(method)} +(.*)$", header(name), re.MULTILINE)[1]
        assert re.split(r"\s{2,}", line) == figures
    assert "not measured here" in header(name)


def test_the_cifar_tables_use_the_public_codes_arithmetic_and_abd_the_papers_too():
    for name in CIFAR100:
        read = load_spec(name)
        assert {entry.quirks for entry in read.methods if entry.label != "abd-paper"} == {"iccv2021"}
    quirks = {entry.label: entry.quirks for entry in load_spec(CIFAR100[0]).methods}
    assert (quirks["abd"], quirks["abd-paper"]) == ("iccv2021", "none")


@pytest.mark.parametrize(("name", "label"), [(CIFAR100[0], "abd"), (CIFAR100[1], "rehearsal")])
@pytest.mark.long
def test_one_of_its_jobs_rehearsed(name, label, tmp_path):
    read = rehearse(load_spec(name, overrides=["tasks=[5]", "seeds=[0]", "training.backbone=resnet8"]))
    plan = make_plan(read)
    (job,) = (job for job in plan.jobs if job.entry.label == label)
    records = {}
    for key in job.stages:
        stage, folder = plan.stages[key], tmp_path / key
        folder.mkdir()
        parents = {role: tmp_path / parent for role, parent in stage.recipe.parents.items()}
        records[key] = run_stage(stage.recipe, folder, parents, Execution())
    assert [len(row) for row in job_result(job, records).matrix] == [1, 2, 3, 4, 5]


def test_the_small_cifar_sweep_has_every_method():
    read = load_spec("cifar100-small")
    assert {entry.method.name for entry in read.methods} >= {
        entry.method.name for entry in load_spec("cifar10").methods
    }
    assert {entry.quirks for entry in read.methods} == {"iccv2021"}
    assert (read.dataset.info.classes, read.dataset.info.train_images) == (20, 2000)


@pytest.mark.parametrize("name", ["tiny-imagenet", "imagenet-50", "cifar100-small"])
def test_launching_without_the_images_is_a_persons_mistake(name, monkeypatch):
    from orchestrator.errors import UserError
    from orchestrator.spec.dataset import require_files

    def unreachable(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    with pytest.raises(UserError, match="--data-root"):
        require_files(load_spec(name).dataset)
