"""A spec that is wrong: every mistake at once, each with its place, its value, the choices and a way out."""

import pytest

from dfcil_core.methods import METHODS
from dfcil_core.networks.catalog import backbone_names
from orchestrator.errors import SpecError
from orchestrator.spec.load import SECTIONS, parse_spec

# What stands where nothing else is said; a mistake replaces a line of it, or adds one.
RIGHT = {"name": "s", "methods": "[base]", "tasks": "[5]"}

METHOD_NAMES = ", ".join(METHODS)
TOP_KEYS = ", ".join(SECTIONS)
FOLDER_RULE = "Use letters, digits and . _ + = @ -, and begin with a letter or a digit"
SCALED = "Leave the milestones out for 40, 60 and 80% of `epochs`"


def problems(text):
    with pytest.raises(SpecError) as caught:
        parse_spec(text, "s.yaml")
    return caught.value.problems


def messages(text):
    return [str(problem) for problem in problems(text)]


def wrong(key, value):
    """The problems of a spec that is right but for one key."""
    return messages("".join(f"{name}: {line}\n" for name, line in {**RIGHT, key: value}.items()))


# ---- all at once -----------------------------------------------------------------------------------------------------

TEN_MISTAKES = """\
name: my sweep
dataset: {name: cifar10, imagesize: 32}
methods:
  - bse
  - {name: lwf, nu: 3}
  - {name: abd, mu: -1}
tasks: [3, 5]
seeds: [0, 0]
training:
  backbone: resnet33
  epochs: 100
  milestones: [80, 160]
exclude: [{method: lfw}]
"""


def test_every_mistake_is_told_at_once_with_its_place():
    found = problems(TEN_MISTAKES)
    assert [(problem.line, problem.column, problem.path, problem.value) for problem in found] == [
        (1, 7, "name", "my sweep"),
        (2, 26, "dataset.imagesize", 32),
        (4, 5, "methods.0", "bse"),
        (5, 17, "methods.1.nu", 3),
        (6, 21, "methods.2.mu", -1),
        (7, 9, "tasks.0", 3),
        (8, 12, "seeds.1", 0),
        (10, 13, "training.backbone", "resnet33"),
        (12, 20, "training.milestones.1", 160),
        (13, 20, "exclude.0.method", "lfw"),
    ]
    assert {problem.file for problem in found} == {"s.yaml"}


def test_the_message_is_a_list_a_person_can_work_through():
    with pytest.raises(SpecError) as caught:
        parse_spec(TEN_MISTAKES, "s.yaml")
    assert str(caught.value).splitlines() == [
        "10 mistakes in the spec; nothing was started:",
        f"  s.yaml:1:7: name: 'my sweep' cannot name a folder. 'my-sweep' would do. {FOLDER_RULE}",
        "  s.yaml:2:26: dataset.imagesize: unknown key 'imagesize'. "
        "Did you mean 'image_size'? Choices: name, root, image_size, holdout, classes, train_per_class, test_per_class",
        f"  s.yaml:4:5: methods.0: unknown method 'bse'. Did you mean 'base'? Choices: {METHOD_NAMES}",
        "  s.yaml:5:17: methods.1.nu: lwf has no setting 'nu'. "
        "Did you mean 'mu'? Choices: mu, distillation_temperature, name, label, training, quirks",
        "  s.yaml:6:21: methods.2.mu: -1 is too small. It must be at least 0",
        "  s.yaml:7:9: tasks.0: 10 classes cannot be dealt evenly to 3 tasks. The divisors of 10 are 1, 2, 5, 10; "
        "nearly even is {sizes: [4, 3, 3]}",
        "  s.yaml:8:12: seeds.1: 0 is given twice. Equal seeds are the same work",
        "  s.yaml:10:13: training.backbone: 'resnet33' is none of the choices. "
        f"Did you mean 'resnet32'? Choices: {', '.join(backbone_names())}",
        f"  s.yaml:12:20: training.milestones.1: 160 lies beyond the last of 100 epochs. {SCALED}",
        "  s.yaml:13:20: exclude.0.method: 'lfw' is no method or label of this sweep. "
        "Did you mean 'lwf'? Choices: bse, lwf, abd",
    ]


# ---- one at a time ---------------------------------------------------------------------------------------------------

TOP = [
    ("epochs", "3", f"4:1: epochs: unknown key 'epochs'. It belongs under `training`. Choices: {TOP_KEYS}"),
    (
        "mu",
        "3",
        f"4:1: mu: unknown key 'mu'. It is a setting of a method, as {{name: lwf, mu: ...}}. Choices: {TOP_KEYS}",
    ),
    ("task", "[5]", f"4:1: task: unknown key 'task'. Did you mean 'tasks'? Choices: {TOP_KEYS}"),
    ("5", "x", f"4:1: 5: unknown key '5'. Choices: {TOP_KEYS}"),
    ("name", "", "1:1: name: the sweep has no name. Give it one, as in `name: my-sweep`"),
    ("name", "''", "1:7: name: '' is empty. It names a folder"),
    ("name", "5", "1:7: name: 5 is not text. Put it in quotes"),
    ("name", "a/b", f"1:7: name: 'a/b' cannot name a folder. 'a-b' would do. {FOLDER_RULE}"),
    ("name", "..", f"1:7: name: '..' cannot name a folder. It names a folder. {FOLDER_RULE}"),
    ("name", "é" * 60, f"1:7: name: '{'é' * 56}... is too long (120 bytes). It must be at most 100 bytes"),
    ("memory", "0", "4:9: memory: 0 is too small. It must be at least 1"),
    ("memory", "true", "4:9: memory: true is not a whole number"),
    ("memory", "2.0", "4:9: memory: 2.0 is not a whole number"),
    ("memory", "'20'", "4:9: memory: '20' is not a whole number. Write it without quotes"),
    ("memory", "1" + "0" * 20, f"4:9: memory: '1{'0' * 20}' is too large for a whole number"),
    ("quirks", "no", "4:9: quirks: 'no' is none of the choices. Did you mean 'none'? Choices: none, iccv2021"),
    ("quirks", "~", "4:9: quirks: null is none of the choices. Did you mean 'none'? Choices: none, iccv2021"),
    ("tune", "3", "4:7: tune: 3 is not a mapping. Write it as {name: ...}"),
]

DATASET = [
    ("cifar-100", "4:10: dataset: unknown data set 'cifar-100'. Did you mean 'cifar100'? Choices: "),
    ("[digits]", "4:10: dataset: unknown data set [\"digits\"]. Did you mean 'digits'? Choices: "),
    ("{root: x}", "4:10: dataset.name: the data set has no name. Choices: "),
    ("{name: mnist}", "4:17: dataset.name: unknown data set 'mnist'. Did you mean 'fashion-mnist'? Choices: "),
    ("{name: digits, root: ''}", "4:31: dataset.root: '' is empty. It is the folder of the data set, as ~/data"),
    ("{name: digits, image_size: 4}", "4:37: dataset.image_size: 4 is too small. It must be at least 8"),
    ("{name: digits, holdout: 0.6}", "4:34: dataset.holdout: 0.6 is too large. It must be at most 0.5"),
    ("{name: digits, holdout: -0.1}", "4:34: dataset.holdout: -0.1 is too small. It must be at least 0"),
]

TRAINING = [
    ("training", "[1]", "4:11: training: [1] is not a mapping. Write it as training: {lr: 0.1}"),
    ("training", "{lr: .nan}", "4:16: training.lr: .nan is not a finite number"),
    ("training", "{lr: -.inf}", "4:16: training.lr: -.inf is not a finite number"),
    ("training", "{lr: 1e999}", "4:16: training.lr: 1e999 is not a finite number"),
    ("training", "{lr: true}", "4:16: training.lr: true is not a number"),
    ("training", "{lr: no}", "4:16: training.lr: 'no' is not a number"),
    ("training", "{lr: '1e-3'}", "4:16: training.lr: '1e-3' is not a number. Write it without quotes"),
    ("training", "{lr: 0}", "4:16: training.lr: 0 is too small. It must be above 0"),
    ("training", "{momentum: 1}", "4:22: training.momentum: 1 is too large. It must be below 1"),
    ("training", "{epochs: 1e2}", "4:20: training.epochs: 100.0 is not a whole number"),
    ("training", "{epochs: ~}", "4:20: training.epochs: null is not a whole number"),
    ("training", "{milestones: 5}", "4:24: training.milestones: 5 is not a list. Write it as [1, 2]"),
    ("training", "{milestones: [1, x]}", "4:28: training.milestones.1: 'x' is not a whole number"),
    ("training", "{milestones: [3, 2]}", "4:28: training.milestones.1: 2 comes after 3. Milestones go up"),
    ("training", "{milestones: [3, 3]}", "4:28: training.milestones.1: 3 comes after 3. Milestones go up"),
    (
        "training",
        "{milestones: [260]}",
        f"4:25: training.milestones.0: 260 lies beyond the last of 250 epochs. {SCALED}",
    ),
    ("training", "{lr: 1, lr: 2}", "4:19: training.lr: the key 'lr' is given twice, first on line 4"),
    ("training", "{lr: !fast 1}", "4:16: training.lr: the tag '!fast' means nothing here. Leave it out"),
    ("training", "{lr: !!float x}", "4:16: training.lr: 'x' cannot be read as float"),
    ("dreaming", "{steps: 0}", "4:19: dreaming.steps: 0 is too small. It must be at least 1"),
    (
        "dreaming",
        "{bnweight: 3}",
        "4:12: dreaming.bnweight: unknown key 'bnweight'. Did you mean 'bn_weight'? "
        "Choices: steps, lr, bn_weight, prior_weight, temperature, ce_weight",
    ),
]

ENTRIES = [
    ("abd", "2:10: methods: 'abd' is not a list. Write them as [base, {name: abd, mu: 0.2}]. Choices: " + METHOD_NAMES),
    (
        "[]",
        "2:10: methods: the sweep has no methods. Write them as [base, {name: abd, mu: 0.2}]. Choices: " + METHOD_NAMES,
    ),
    ("[abd, 3]", f"2:16: methods.1: unknown method 3. Choices: {METHOD_NAMES}"),
    ("[{mu: 3}]", f"2:11: methods.0.name: the entry has no name. Choices: {METHOD_NAMES}"),
    ("[{abd: {mu: 3}}]", "2:11: methods.0.name: the entry has no name. Write it as {name: abd, ...}"),
    ("[{name: adb}]", f"2:18: methods.0.name: unknown method 'adb'. Did you mean 'abd'? Choices: {METHOD_NAMES}"),
    (
        "[abd, abd]",
        "2:16: methods.1: the label 'abd' is taken by methods.0. Give this one its own, as {name: abd, label: abd-2}",
    ),
    (
        "[abd, {name: lwf, label: abd}]",
        "2:35: methods.1.label: the label 'abd' is taken by methods.0. "
        "Give this one its own, as {name: lwf, label: abd-2}",
    ),
    (
        "[{name: lwf, label: abd}]",
        "2:30: methods.0.label: the label 'abd' is the name of another method. This one is lwf: label it lwf-2, say",
    ),
    ("[{name: abd, label: a b}]", f"2:30: methods.0.label: 'a b' cannot name a folder. 'a-b' would do. {FOLDER_RULE}"),
    ("[{name: abd, label: 3}]", "2:30: methods.0.label: 3 is not text. Put it in quotes"),
    (
        "[{name: base, mu: 3}]",
        "2:24: methods.0.mu: base has no setting 'mu'. Choices: name, label, training, quirks",
    ),
    (
        "[{name: lwf, memory: 3}]",
        "2:23: methods.0.memory: lwf has no setting 'memory'. "
        "Choices: mu, distillation_temperature, name, label, training, quirks",
    ),
    (
        "[{name: lwf, dreaming: {}}]",
        "2:23: methods.0.dreaming: lwf has no setting 'dreaming'. "
        "Did you mean 'training'? Choices: mu, distillation_temperature, name, label, training, quirks",
    ),
    (
        "[{name: abd, epochs: 3}]",
        "2:23: methods.0.epochs: abd has no setting 'epochs'. It belongs under `training`. "
        "Choices: mu, name, label, training, dreaming, quirks",
    ),
    (
        "[{name: abd, lr: 3}]",
        "2:23: methods.0.lr: abd has no setting 'lr'. It belongs under `training` or `dreaming`. "
        "Choices: mu, name, label, training, dreaming, quirks",
    ),
    ("[{name: rehearsal, memory: 0}]", "2:37: methods.0.memory: 0 is too small. It must be at least 1"),
    (
        "[{name: upper-bound, at_every_task: yes}]",
        "2:46: methods.0.at_every_task: 'yes' is neither true nor false. Write true or false",
    ),
    ("[{name: abd, training: 3}]", "2:33: methods.0.training: 3 is not a mapping. Write it as training: {lr: 0.1}"),
    (
        "[{name: abd, training: {milestones: [300]}}]",
        f"2:47: methods.0.training.milestones.0: 300 lies beyond the last of 250 epochs. {SCALED}",
    ),
]

TASKS = [
    ("5", "3:8: tasks: 5 is not a list. Write them as [5, 10] or [{first: 50, then: 10}]"),
    ("[]", "3:8: tasks: the sweep has no task splits. Write them as [5, 10] or [{first: 50, then: 10}]"),
    (
        "[4]",
        "3:9: tasks.0: 10 classes cannot be dealt evenly to 4 tasks. The divisors of 10 are 1, 2, 5, 10; "
        "nearly even is {sizes: [3, 3, 2, 2]}",
    ),
    ("[11]", "3:9: tasks.0: 10 classes cannot be dealt evenly to 11 tasks. The divisors of 10 are 1, 2, 5, 10"),
    ("[0]", "3:9: tasks.0: 0 is too small. It must be at least 1"),
    (
        "[true]",
        "3:9: tasks.0: true is no number of tasks. Write a split as 5, as {first: 50, then: 10}, "
        "or as {sizes: [50, 10, 40]}",
    ),
    (
        "[5.0]",
        "3:9: tasks.0: 5.0 is no number of tasks. Write a split as 5, as {first: 50, then: 10}, "
        "or as {sizes: [50, 10, 40]}",
    ),
    ("[5, 2, 5]", "3:15: tasks.2: 5 is the same split as 5. Give each once"),
    ("[5, {first: 2, then: 2}]", '3:12: tasks.1: {"first": 2, "then": 2} is the same split as 5. Give each once'),
    ("[{first: 5}]", "3:9: tasks.0.then: is missing"),
    ("[{first: 0, then: 2}]", "3:17: tasks.0.first: 0 is too small. It must be at least 1"),
    (
        "[{first: 10, then: 2}]",
        "3:17: tasks.0.first: 10 of 10 classes in the first task leave none for the next. It must be below 10",
    ),
    (
        "[{first: 4, then: 4}]",
        "3:26: tasks.0.then: the 6 classes after the first 4 cannot be dealt 4 at a time. "
        "The divisors of 6 are 1, 2, 3, 6. With `last: smaller` the last task takes what is left",
    ),
    (
        "[{first: 4, then: 2, least: 1}]",
        "3:29: tasks.0.least: unknown key 'least'. Did you mean 'last'? Choices: first, then, last",
    ),
]

SEEDS = [
    ("seeds", "3", "4:8: seeds: 3 is not a list. Write them as [0, 1, 2]"),
    ("seeds", "[]", "4:8: seeds: the sweep has no seeds. Write them as [0, 1, 2]"),
    ("seeds", "[0, -1]", "4:12: seeds.1: -1 is too small. It must be at least 0"),
    ("seeds", "[1, 01]", "4:12: seeds.1: 1 is given twice. Equal seeds are the same work"),
    ("seeds", "[[1]]", "4:9: seeds.0: [1] is not a whole number"),
    ("seeds", "[false]", "4:9: seeds.0: false is not a whole number"),
    ("repeats", "0", "4:10: repeats: 0 is too small. It must be at least 1"),
    ("repeats", "1_000_000_000", "4:10: repeats: 1000000000 is too large. It must be at most 10000"),
    ("repeats", "three", "4:10: repeats: 'three' is not a whole number"),
]

EXCLUDE = [
    (
        "{method: base}",
        '4:10: exclude: {"method": "base"} is not a list. Write it as [{method: lwf, tasks: 5, seed: 2}]',
    ),
    (
        "[base]",
        "4:11: exclude.0: 'base' is not a mapping. Write it as "
        "{method: lwf, tasks: 5, seed: 2}, with any of method, tasks, class_order, seed, fold",
    ),
    (
        "[{}]",
        "4:11: exclude.0: {} names nothing. Write it as "
        "{method: lwf, tasks: 5, seed: 2}, with any of method, tasks, class_order, seed, fold",
    ),
    (
        "[{method: bse}]",
        "4:20: exclude.0.method: 'bse' is no method or label of this sweep. Did you mean 'base'? Choices: base",
    ),
    ("[{method: abd}]", "4:20: exclude.0.method: 'abd' is no method or label of this sweep. Choices: base"),
    ("[{tasks: 2}]", "4:19: exclude.0.tasks: 2 is no split of this sweep. Choices: 5"),
    ("[{tasks: true}]", "4:19: exclude.0.tasks: true is no split of this sweep. Choices: 5"),
    ("[{seed: 3}]", "4:18: exclude.0.seed: 3 is no seed of this sweep. Choices: 0, 1, 2"),
    ("[{seed: true}]", "4:18: exclude.0.seed: true is not a whole number"),
    ("[{training.lr: x}]", "4:25: exclude.0.training.lr: 'x' is not a number"),
    ("[{training.milestones: [0]}]", "4:34: exclude.0.training.milestones.0: 0 is too small. It must be at least 1"),
    (
        "[{training.lrr: 1}]",
        "4:12: exclude.0.training.lrr: no method of this sweep has a setting 'training.lrr'. "
        "Did you mean 'training.lr'? Choices: method, tasks, class_order, seed, fold, training.backbone, ",
    ),
    (
        "[{training.lr: 1}]",
        "4:11: exclude.0: matches no job of this sweep. "
        "Leave it out, or mend it: settings are compared after all defaults and overrides",
    ),
    ("[{tasks: 5}]", "4:10: exclude: leaves no job in the sweep. Exclude less"),
    ("[{seed: 0}, {seed: 1}, {seed: 2}]", "4:10: exclude: leaves no job in the sweep. Exclude less"),
    ("[{training.lr: 0.1}]", "4:10: exclude: leaves no job in the sweep. Exclude less"),
]


def _table():
    yield from TOP
    yield from TRAINING
    yield from SEEDS
    for key, rows in {"dataset": DATASET, "methods": ENTRIES, "tasks": TASKS, "exclude": EXCLUDE}.items():
        yield from ((key, value, message) for value, message in rows)


@pytest.mark.parametrize(("key", "value", "message"), list(_table()))
def test_mistake(key, value, message):
    (found,) = wrong(key, value)
    if message.endswith(("Choices: ", ", ")):  # the start of a list that grows with the product
        assert found.startswith(f"s.yaml:{message}")
    else:
        assert found == f"s.yaml:{message}"


# ---- mistakes that take two places -----------------------------------------------------------------------------------


def test_seeds_and_repeats_exclude_each_other():
    assert messages("name: s\nmethods: [base]\ntasks: [5]\nseeds: [1]\nrepeats: 1") == [
        "s.yaml:5:1: repeats: `seeds` and `repeats` are both given. Leave one out: repeats: 3 is seeds: [0, 1, 2]"
    ]


def test_an_entrys_epochs_against_the_milestones_of_all():
    text = """\
name: s
methods: [base, {name: lwf, training: {epochs: 50}}, {name: abd, training: {epochs: 50, milestones: [20]}}]
tasks: [5]
training: {milestones: [40, 80, 160]}
"""
    assert messages(text) == [
        "s.yaml:2:48: methods.1.training.epochs: 50 epochs end before the milestones 80, 160 of `training`. "
        "Give this entry its own milestones, or `milestones: null` for 40, 60 and 80% of its epochs"
    ]


def test_a_mistake_for_all_methods_is_told_once():
    text = "name: s\nmethods: [base, lwf, abd]\ntasks: [5]\ntraining: {epochs: 9, milestones: [10]}\nmemory: 0\n"
    assert messages(text) == [
        f"s.yaml:4:36: training.milestones.0: 10 lies beyond the last of 9 epochs. {SCALED}",
        "s.yaml:5:9: memory: 0 is too small. It must be at least 1",
    ]


def test_the_dreaming_methods_bind_the_image_size():
    text = "name: s\nmethods: [{}]\ntasks: [5]\ndataset: {{name: digits, image_size: 30}}\n"
    assert parse_spec(text.format("base"), "s.yaml").dataset.image_size == 30
    assert messages(text.format("abd")) == [
        "s.yaml:4:37: dataset.image_size: 30 is not divisible by 4, as images that abd dreams must be. "
        "28 or 32 would do"
    ]


def test_a_faulty_section_is_not_held_against_what_names_it():
    text = """\
name: s
dataset: cifar11
methods: [bse, {name: abd, label: mine, mu: -1}]
tasks: [{first: 4, then: 2}, 7]
seeds: [x, 1]
exclude: [{method: bse}, {method: mine, tasks: 4+2}, {tasks: {first: 4, then: 2}}, {tasks: 7, seed: 5}, {mu: 1}]
"""
    assert [problem.path for problem in problems(text)] == ["dataset", "methods.0", "methods.1.mu", "seeds.0"]


def test_missing_keys_are_all_told():
    assert [problem.path for problem in problems("exclude: []\n")] == ["name", "methods", "tasks"]


def test_a_long_value_is_cut():
    (message,) = wrong("tune", "[" + ", ".join(["long"] * 50) + "]")
    assert message == (
        's.yaml:4:7: tune: ["long", "long", "long", "long", "long", "long", "long", ... is not a mapping. '
        "Write it as {name: ...}"
    )
