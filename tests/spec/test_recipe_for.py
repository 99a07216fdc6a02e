"""A method's own defaults can depend on the data set and on the size of its images."""

from dataclasses import replace

import pytest
from click.testing import CliRunner

from dfcil_core.data.catalog import DATASETS
from dfcil_core.methods import METHODS
from orchestrator.cli.methods import methods
from orchestrator.spec.load import parse_spec
from tests.support.helpers import plan_of, stages

SPEC = "name: s\ndataset: {dataset}\nmethods: [{method}]\ntasks: [2]\nseeds: [0]\n"
FOLDER = "{name: folder, root: nowhere, classes: [a, b, c, d], image_size: SIZE}"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Nobody's data sets lie in the home folder."""
    monkeypatch.setenv("HOME", str(tmp_path))


def entry(dataset, method="r-dfcil", more=""):
    (read,) = parse_spec(SPEC.format(dataset=dataset, method=method) + more, "s.yaml").methods
    return read


def told(read):
    training = read.training
    return training.epochs, training.milestones, training.weight_decay, training.batch_size, read.dreaming.steps


CIFAR = (200, (80, 120), 5e-4, 128, 5000)
IMAGENET = (120, (30, 60), 1e-4, 64, 10_000)


@pytest.mark.parametrize(
    ("dataset", "expected", "refinement"),
    [
        ("{name: cifar100, root: nowhere}", CIFAR, 0.2),
        ("digits", CIFAR, 0.2),
        ("{name: tiny-imagenet, root: nowhere}", (*CIFAR[:2], 2e-4, *CIFAR[3:]), 0.2),
        (FOLDER.replace("SIZE", "224"), IMAGENET, 0.25),
        (FOLDER.replace("SIZE", "128"), IMAGENET, 0.25),
        (FOLDER.replace("SIZE", "64"), CIFAR, 0.2),
    ],
)
def test_r_dfcils_recipe_is_the_one_of_its_authors_for_such_images(dataset, expected, refinement):
    read = entry(dataset)
    assert told(read) == expected and read.method.settings.refinement == refinement


def test_a_spec_overrides_it_and_the_milestones_scale():
    folder = FOLDER.replace("SIZE", "224")
    read = entry(folder, "{name: r-dfcil, refinement: 0.1}", "training: {epochs: 60, weight_decay: 1e-3}\n")
    assert told(read) == (60, (15, 30), 1e-3, 64, 10_000) and read.method.settings.refinement == 0.1
    assert entry("digits", more="dreaming: {steps: 7}\n").dreaming.steps == 7


def test_every_other_method_has_one_recipe():
    for name, method in METHODS.items():
        for info in DATASETS.values():
            assert method.recipe_for(info) == method.recipe or name == "r-dfcil"


def test_it_is_asked_with_the_size_of_the_images():
    asked = replace(DATASETS["folder"], image_size=96)
    assert METHODS["r-dfcil"].recipe_for(asked) == METHODS["r-dfcil"].recipe


@pytest.mark.parametrize(("share", "said"), [(0.2, None), (0.25, 0.25), (0.5, 0.5)])
def test_the_share_enters_where_it_is_not_a_fifth(share, said):
    plan = plan_of("r-dfcil", (2, 2), settings={"refinement": share})
    assert [stage.recipe.settings.get("refinement") for stage in stages(plan, "learn")] == [said] * 2


def test_methods_tells_the_other_recipes():
    out = CliRunner().invoke(methods, ["r-dfcil"]).output
    assert "Its own defaults of training: epochs: 200, milestones: [80, 120], weight_decay: 0.0005" in out
    assert "On tiny-imagenet at 64 pixels, of training: epochs: 200, milestones: [80, 120], weight_decay: 0.0002" in out
    assert "On folder at 224 pixels, of its settings: refinement: 0.25" in out
    assert " pixels, of " not in CliRunner().invoke(methods, ["dgr"]).output
