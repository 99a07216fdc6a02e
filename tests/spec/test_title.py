"""Images of one's own have a title and class names: in tables, the page, MLflow and dreams, and in no identity."""

import pytest
from PIL import Image

import reports
from orchestrator.errors import SpecError
from orchestrator.plan.plan import make_plan
from orchestrator.spec.load import parse_spec
from orchestrator.store import sweep_folder
from orchestrator.tracking import describe
from reports.figures.files import learnt
from reports.sources.store import read_sweep
from tests.support.fabricated import finish
from tests.support.reported import output

SPEC = """\
name: mine
dataset: {{name: folder, {title}root: {root}, image_size: 16}}
methods: [base, abd]
tasks: [2]
seeds: [0]
training: {{backbone: resnet8, epochs: 3}}
dreaming: {{steps: 40}}
"""
CLASSES = ("lily", "rose", "tulip", "iris")


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("DFCIL_CACHE", str(tmp_path / "cache"))
    for part in ("train", "test"):
        for number, name in enumerate(CLASSES):
            place = tmp_path / "images" / part / name
            place.mkdir(parents=True)
            Image.new("RGB", (16, 16), (60 * number, 0, 0)).save(place / "1.png")
    return tmp_path / "images"


def plan(root, title=""):
    return make_plan(parse_spec(SPEC.format(title=title and f"title: {title}, ", root=root), "a test"))


def test_a_title_is_no_part_of_any_identity(root):
    named, unnamed = plan(root, "flowers"), plan(root)
    assert named.spec.dataset.info.title == "flowers" and unnamed.spec.dataset.info.title == "folder"
    assert list(named.stages) == list(unnamed.stages)


def test_tables_the_page_mlflow_and_dreams_have_it_and_the_class_names(root, tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    runs, made = tmp_path / "runs", plan(root, "flowers")
    sweep_folder.save(runs, made)
    finish(made, runs)
    assert set(reports.load("mine", runs=str(runs))["dataset"]) == {"flowers"}
    assert set(reports.classes("mine", runs=str(runs))["class"]) == set(CLASSES)
    assert describe.job_tags(made, made.jobs[0], "runs", "parent")["dataset"] == "flowers"
    assert describe.job_params(made, made.jobs[0])["dataset"] == "flowers"
    assert "\nflowers, final accuracy in percent: mean" in output("report", "mine", "--runs", runs)
    page = output("report", "mine", "--runs", runs, "--format", "html")
    assert "flowers, 16 pixels wide and high" in page
    job = read_sweep(runs, sweep_folder.load(runs, "mine", as_launched=True)).jobs[1]
    first, second = learnt(job)
    assert {*first.split(", "), *second.split(", ")} == set(CLASSES)
    assert f"after task 1: {first}" in page


@pytest.mark.parametrize(
    ("title", "told"),
    [
        ("cifar100", "title: 'cifar100' is taken. cifar100 is another data set"),
        ("''", "title: '' is no title. Give 1 to 60 characters in one line"),
        (f"'{'x' * 61}'", "is no title"),
        ("[a]", "title:"),
    ],
)
def test_what_is_no_title_is_refused_with_its_place(root, title, told):
    with pytest.raises(SpecError) as refused:
        plan(root, title)
    assert told in str(refused.value) and "a test:2:" in str(refused.value)


def test_only_images_of_ones_own_have_a_title(root):
    text = SPEC.format(title="title: flowers, ", root=root).replace("name: folder", "name: digits")
    with pytest.raises(SpecError, match="title: unknown key"):
        parse_spec(text, "a test")
