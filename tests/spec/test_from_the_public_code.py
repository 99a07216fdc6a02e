"""docs/from-the-public-code.md: every argument is in its table, what it says is a spec, and the runs are the recipe."""

import re
from dataclasses import replace

import pytest

from dfcil_core.config import Dreaming, Training
from dfcil_core.methods import METHODS
from orchestrator.plan.plan import make_plan
from orchestrator.spec.load import parse_spec
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "from-the-public-code.md").read_text()
ROWS = dict(re.findall(r"^\| `--(\w+)` \| (.*) \|$", PAGE, re.M))
SPEC = re.search(r"```yaml\n(.*?)```", PAGE, re.S).group(1)

# The names that run_dfcil.py declares, in its order.
ARGUMENTS = [
    "gpuid", "log_dir", "model_type", "model_name", "gen_model_type", "gen_model_name", "learner_type",
    "learner_name", "dataroot", "dataset", "load_model_dir", "workers", "validation", "repeat", "overwrite",
    "optimizer", "train_aug", "lr", "momentum", "weight_decay", "schedule", "schedule_type", "batch_size",
    "power_iters", "deep_inv_params", "first_split_size", "other_split_size", "rand_split", "DW", "oracle_flag",
    "max_task", "memory", "temp", "mu", "beta",
]  # fmt: skip
# Its --learner_name, with --memory and --oracle_flag, in each run of its script for five tasks.
LEARNERS = {
    "AlwaysBeDreaming": ["abd"],
    "DeepInversionLWF": ["lwf-synthetic"],
    "DeepInversionGenBN": ["deep-inversion"],
    "NormalNN": ["base", "rehearsal", "upper-bound"],
    "Generative_Replay": ["dgr"],
    "LWF": ["lwf", "lwf-coreset"],
    "LWF_MC": ["lwf-mc"],
    "ETE": ["e2e"],
    "BIC": ["bic"],
}


def test_every_argument_is_in_the_table():
    assert len(ARGUMENTS) == 35 and list(ROWS) == ARGUMENTS


def test_every_learner_is_named():
    for learner, methods in LEARNERS.items():
        assert f"`{learner}`" in ROWS["learner_name"]
        assert all(f"`{method}`" in ROWS["learner_name"] for method in methods)
    assert {name for names in LEARNERS.values() for name in names} == set(METHODS) - {"r-dfcil"}


@pytest.mark.parametrize("argument", ROWS)
def test_what_stands_for_an_argument_is_a_spec(argument):
    said = re.findall(
        r"`((?:training|dreaming|dataset|class_order|tasks|repeats|seeds|memory|stop_after): [^`]+)`", ROWS[argument]
    )
    for text in said:
        rest = {"name": "x", "methods": "[abd, e2e]", "tasks": "[5]", "dataset": "cifar100"}
        rest.pop(text.partition(":")[0], None)
        parse_spec("\n".join([text, *(f"{key}: {value}" for key, value in rest.items())]) + "\n", argument)


def test_the_runs_are_the_published_recipe():
    """The settings that the script passes, written out, are the defaults: the same stages as without them."""
    given = parse_spec(SPEC, "page")
    assert {entry.label for entry in given.methods} == {name for names in LEARNERS.values() for name in names}
    for entry in given.methods:
        own = replace(Training(), **entry.method.recipe.get("training", {}))
        assert entry.training == replace(own, milestones=(100, 150, 200)), entry.label
        assert entry.dreaming == Dreaming() and entry.memory == 2000 and entry.quirks == "iccv2021"
    short = "name: s\ndataset: {name: cifar100, root: data}\ntasks: [5]\nrepeats: 1\nquirks: iccv2021\nmethods: ["
    names = [entry.label for entry in given.methods if entry.label != "upper-bound"]
    short += ", ".join([*names, "{name: upper-bound, at_every_task: true}"]) + "]\n"
    assert make_plan(parse_spec(short, "short")).stages.keys() == make_plan(given).stages.keys()


def test_the_first_task_is_shared_by_as_many_as_it_says():
    plan = make_plan(parse_spec(SPEC, "page"))
    first = max((job.stages[0] for job in plan.jobs), key=lambda key: len(plan.users[key]))
    assert f"the first task of {len(plan.users[first])}" in PAGE.replace("nine", "9")
