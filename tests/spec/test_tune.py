"""The `tune:` section: what is read, and every mistake with its place, its value and a way out."""

import subprocess
import sys

import pytest

from orchestrator.errors import SpecError
from orchestrator.spec.load import parse_spec
from orchestrator.spec.model import Choices, Confirm, Range, Tune

HEAD = "name: s\nmethods: [base, abd, {name: rehearsal, label: few, memory: 100}]\ntasks: [5]\nseeds: [0, 1]\n"
SPACE = "space: {mu: {low: 0.01, high: 1, log: true}}"


def tune(*lines, head=HEAD):
    text = head + "tune:\n" + "".join(f"  {line}\n" for line in lines)
    return parse_spec(text, "s.yaml").tune


def messages(*lines, head=HEAD):
    with pytest.raises(SpecError) as caught:
        tune(*lines, head=head)
    return [str(problem) for problem in caught.value.problems]


def test_what_is_not_given_has_a_default():
    assert tune("method: abd", SPACE) == Tune(
        method="abd", space={"mu": Range(0.01, 1.0, log=True)}, confirm=Confirm(3, (2, 3, 4))
    )


@pytest.mark.parametrize("lines", [(SPACE,), ("method:", SPACE)])
def test_of_one_method_the_method_need_not_be_given(lines):
    head = HEAD.replace("base, abd, {name: rehearsal, label: few, memory: 100}", "{name: abd, label: mine}")
    assert tune(*lines, head=head).method == "mine"


def test_everything_given():
    read = tune(
        "method: few",
        "space:",
        "  memory: {low: 20, high: 200, step: 20}",
        "  training.backbone: {choices: [resnet8, resnet32]}",
        "  training.lr: {low: 0.01, high: 0.5}",
        "trials: 7",
        "objective: [final_accuracy, forgetting]",
        "sampler: random",
        "pruner: none",
        "validation: 0.25",
        "seed: 4",
        "confirm: {top: 1, seeds: [7, 8]}",
    )
    assert read.space == {
        "memory": Range(20, 200, step=20, whole=True),
        "training.backbone": Choices(("resnet8", "resnet32")),
        "training.lr": Range(0.01, 0.5),
    }
    assert (read.method, read.trials, read.objective) == ("few", 7, ("final_accuracy", "forgetting"))
    assert (read.sampler, read.pruner, read.validation, read.seed) == ("random", "none", 0.25, 4)
    assert read.confirm == Confirm(1, (7, 8)) and not read.prunes


MISTAKES = [
    (["method: adb", SPACE], "6:11: tune.method: 'adb' is no method or label of this sweep. Did you mean 'abd'? "),
    ([SPACE], "6:3: tune.method: no method is given to tune. Choices: base, abd, few"),
    (["method: abd"], "6:3: tune.space: the space is empty. Write it as "),
    (["method: abd", "space: [mu]"], '7:10: tune.space: ["mu"] is not a mapping. '),
    (["method: abd", SPACE, "trails: 3"], "8:3: tune.trails: unknown key 'trails'. Did you mean 'trials'? "),
    (["method: abd", SPACE, "trials: 0"], "8:11: tune.trials: 0 is too small. It must be at least 1"),
    (["method: abd", SPACE, "validation: 0"], "8:15: tune.validation: 0 is too small. It must be above 0"),
    (["method: abd", SPACE, "validation: 0.6"], "8:15: tune.validation: 0.6 is too large. It must be at most 0.5"),
    (["method: abd", SPACE, "sampler: tpo"], "8:12: tune.sampler: 'tpo' is none of the choices. Did you mean 'tpe'? "),
    (["method: abd", SPACE, "objective: final"], "8:14: tune.objective: 'final' is no objective. "),
    (["method: abd", SPACE, "objective: []"], "8:14: tune.objective: [] is not one objective, or two for a Pareto "),
    (
        ["method: abd", SPACE, "objective: [forgetting, forgetting]"],
        "8:27: tune.objective.1: 'forgetting' is given twice. ",
    ),
    (
        ["method: abd", SPACE, "objective: [forgetting, final_accuracy]", "pruner: median"],
        "9:11: tune.pruner: 'median' needs one objective. ",
    ),
    (
        ["method: abd", "space: {dreaming.bn_weigth: {low: 1, high: 2}}"],
        "7:11: tune.space.dreaming.bn_weigth: abd has no setting 'dreaming.bn_weigth'. "
        "Did you mean 'dreaming.bn_weight'? ",
    ),
    (
        ["method: base", "space: {mu: {low: 1, high: 2}}"],
        "7:11: tune.space.mu: base has no setting 'mu'. ",
    ),
    (["method: abd", "space: {mu: 0.1}"], "7:15: tune.space.mu: 0.1 is no range and no choices. Write it as "),
    (["method: abd", "space: {mu: {low: 0.1}}"], "7:15: tune.space.mu: `high` is missing. "),
    (["method: abd", "space: {mu: {low: -1, high: 1}}"], "7:21: tune.space.mu.low: -1 is too small. "),
    (["method: abd", "space: {mu: {low: 1, high: 0.1}}"], "7:30: tune.space.mu.high: 0.1 is not above low, 1.0. "),
    (["method: abd", "space: {mu: {low: 0, high: 1, log: true}}"], "7:21: tune.space.mu.low: 0.0 has no order of "),
    (["method: abd", "space: {mu: {low: 0.1, high: 1, log: 1}}"], "7:40: tune.space.mu.log: 1 is neither true nor "),
    (["method: abd", "space: {mu: {low: 0.1, high: 1, stop: 1}}"], "7:35: tune.space.mu.stop: unknown key 'stop'. "),
    (["method: abd", "space: {mu: {low: 0.1, high: 1, step: 0.4}}"], "7:41: tune.space.mu.step: steps of 0.4 from "),
    (
        ["method: abd", "space: {mu: {low: 0.2, high: 1}}"],
        "7:15: tune.space.mu: 0.2 to 1 leaves out 0.1, which abd has without tuning. Widen the range: trial 0 is ",
    ),
    (
        ["method: abd", "space: {mu: {choices: [0.2, 0.3]}}"],
        "7:25: tune.space.mu.choices: the choices lack 0.1, which abd has without tuning. Add it: ",
    ),
    (["method: abd", "space: {mu: {choices: [0.1, 0.1]}}"], "7:31: tune.space.mu.choices.1: 0.1 is given twice. "),
    (["method: abd", "space: {mu: {choices: [0.1]}}"], "7:25: tune.space.mu.choices: [0.1] is not a list of two or "),
    (["method: abd", "space: {mu: {choices: [0.1, x]}}"], "7:31: tune.space.mu.choices.1: 'x' is not a number"),
    (
        ["method: abd", "space: {quirks: {low: 0, high: 1}}"],
        "7:19: tune.space.quirks: quirks is no number and has no range. Write it as {choices: [none, iccv2021]}",
    ),
    (
        ["method: abd", "space: {training.milestones: {choices: [[1], [2]]}}"],
        "7:11: tune.space.training.milestones: training.milestones is a list, which is no number and no choice. ",
    ),
    (
        ["method: few", "space: {memory: {low: 20.5, high: 200}}"],
        "7:25: tune.space.memory.low: 20.5 is not a whole number",
    ),
    (["method: abd", SPACE, "sampler: grid"], "7:15: tune.space.mu: a grid needs a finite number of values. "),
    (["method: abd", SPACE, "confirm: {seeds: [1, 5]}"], "8:21: tune.confirm.seeds.0: 1 is a seed that the trials see"),
    (["method: abd", SPACE, "confirm: {seeds: [5]}"], "8:20: tune.confirm.seeds: 1 seeds cannot confirm anything. "),
    (["method: abd", SPACE, "confirm: {top: -1}"], "8:18: tune.confirm.top: -1 is too small. "),
]


@pytest.mark.parametrize(("lines", "start"), MISTAKES, ids=lambda value: str(value)[:40])
def test_a_mistake_is_told_with_its_place_and_a_way_out(lines, start):
    (message,) = messages(*lines)
    assert message.startswith(f"s.yaml:{start}")


def test_mistakes_of_tune_are_told_with_the_others():
    assert len(messages("method: abd", "space: {mu: {low: 2, high: 1}}", "trials: x", head=HEAD + "memry: 3\n")) == 3


def test_a_label_tells_two_entries_of_a_method_apart():
    head = HEAD.replace("base", "abd, {name: abd, label: abd-2, mu: 0.2}").replace("abd, {name: re", "{name: re")
    assert tune("method: abd-2", SPACE, head=head).method == "abd-2"


def test_epochs_are_not_tuned_against_given_milestones():
    head = HEAD + "training: {epochs: 10, milestones: [5]}\n"
    (message,) = messages("method: abd", "space: {training.epochs: {low: 5, high: 20}}", head=head)
    assert message.startswith("s.yaml:8:11: tune.space.training.epochs: milestones are given")


def test_reading_a_tune_section_loads_no_optuna():
    code = "import sys; from orchestrator.spec.load import load_spec; load_spec('tune-digits'); "
    code += "print('optuna' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
