"""`training:` beyond the published recipe: what enters which stage, what is refused, and what it computes."""

from dataclasses import replace

import pytest

from dfcil_core.config import Training
from orchestrator.errors import SpecError
from orchestrator.plan.plan import make_plan
from orchestrator.results.job_result import job_settings
from orchestrator.spec.load import parse_spec
from orchestrator.spec.rehearsal import rehearse
from tests.support.helpers import DIGITS, plan_of, run_one

DEFAULTS = "optimizer: sgd, schedule: milestones, warmup: 0, augmentation: published, gradient_clip: null"


def spec(training, methods="[base]"):
    text = f"name: x\ndataset: {{name: digits, image_size: 8}}\ntraining: {{{training}}}\n"
    return parse_spec(f"{text}methods: {methods}\ntasks: [2]\nseeds: [0]\n", "x.yaml")


def first(training, methods="[base]"):
    return next(iter(make_plan(spec(training, methods)).stages.values())).recipe


def told(training, methods="[base]"):
    with pytest.raises(SpecError) as error:
        spec(training, methods)
    return [line.strip() for line in str(error.value).splitlines() if "x.yaml:" in line]


def test_what_is_the_default_is_not_said():
    assert first(DEFAULTS) == first("")
    assert set(first("").training) == {
        "backbone", "epochs", "milestones", "batch_size", "lr", "momentum", "weight_decay", "precision",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("training", "more", "less"),
    [
        ("optimizer: adam", {"optimizer": "adam", "lr": 0.001}, {"momentum"}),
        ("optimizer: adamw, lr: 0.01", {"optimizer": "adamw", "lr": 0.01}, {"momentum"}),
        ("schedule: cosine", {"schedule": "cosine"}, {"milestones"}),
        ("schedule: constant", {"schedule": "constant"}, {"milestones"}),
        ("warmup: 5", {"warmup": 5}, set()),
        ("gradient_clip: 1", {"gradient_clip": 1.0}, set()),
    ],
)
def test_what_acts_is_in_the_recipe_and_nothing_else(training, more, less):
    before, after = first(""), first(training)
    expected = {name: value for name, value in before.training.items() if name not in less} | more
    assert after == replace(before, training=expected)


@pytest.mark.parametrize(
    ("dataset", "size", "chosen", "name"),
    [
        ("digits", 8, "crop-flip", "crop"),
        ("cifar100", 32, "crop-flip", "crop-flip"),
        ("tiny-imagenet", 64, "crop-flip", "crop-flip-4"),
        ("cifar100", 32, "none", "none"),
        ("cifar100", 32, "published", "jitter-flip-crop"),
    ],
)
def test_augmentation_is_the_datas_part_of_the_recipe(dataset, size, chosen, name):
    from dfcil_core.data.catalog import DATASETS
    from dfcil_core.methods import METHODS
    from orchestrator.plan.plan import data_recipe
    from orchestrator.spec.model import Dataset

    own = data_recipe(Dataset(DATASETS[dataset], size), METHODS["base"]())
    data = data_recipe(Dataset(DATASETS[dataset], size), METHODS["base"](), chosen)
    assert data == replace(own, augmentation=name)


def test_learning_alone_is_told_of_it():
    plain, other = (make_plan(spec(text, "[rehearsal]")) for text in ("", "optimizer: adam, gradient_clip: 1"))
    kinds = {key: stage.recipe.kind for plan in (plain, other) for key, stage in plan.stages.items()}
    assert [kinds[key] for key in plain.stages if key in other.stages] == ["remember"]


def test_an_entry_overrides_and_a_method_keeps_what_acts():
    methods = "[{name: base, training: {optimizer: sgd, schedule: milestones}}, r-dfcil]"
    base, other = spec("optimizer: adamw, schedule: cosine", methods).methods
    assert (base.training.optimizer, base.training.lr) == ("sgd", 0.1)
    assert (other.training.lr, other.training.milestones) == (0.001, None)
    assert "momentum" not in other.training.in_recipe() and "milestones" not in other.training.in_recipe()


def test_results_name_what_acts():
    plan = make_plan(spec("optimizer: adam, schedule: cosine"))
    settings = job_settings(plan.spec, plan.jobs[0])
    assert settings["training.optimizer"] == "adam" and settings["training.lr"] == "0.001"
    assert not {"training.momentum", "training.milestones"} & settings.keys()


def test_a_rehearsal_has_no_warm_up():
    rehearsed = rehearse(spec("warmup: 20, optimizer: adam"))
    assert rehearsed.methods[0].training == Training(
        epochs=1, batch_size=32, lr=0.001, optimizer="adam", backbone="resnet32"
    )


# ---- mistakes --------------------------------------------------------------------------------------------------------


def test_what_is_no_choice_or_out_of_bounds():
    assert told("optimizer: rmsprop, schedule: step, warmup: -1, gradient_clip: 0, augmentation: crops") == [
        "x.yaml:3:23: training.optimizer: 'rmsprop' is none of the choices. Choices: sgd, adam, adamw",
        "x.yaml:3:42: training.schedule: 'step' is none of the choices. Choices: milestones, cosine, constant",
        "x.yaml:3:56: training.warmup: -1 is too small. It must be at least 0",
        "x.yaml:3:75: training.gradient_clip: 0 is too small. It must be above 0",
        "x.yaml:3:92: training.augmentation: 'crops' is none of the choices. Did you mean 'crop-flip'? "
        "Choices: published, crop-flip, none",
    ]


def test_what_cannot_act_together():
    assert told("optimizer: adam, momentum: 0.5, schedule: cosine, milestones: [2], epochs: 5, warmup: 5") == [
        "x.yaml:3:39: training.momentum: adam takes no momentum. Leave it out, or train with `optimizer: sgd`",
        "x.yaml:3:74: training.milestones: the schedule cosine has no milestones. Leave one of the two out",
        "x.yaml:3:98: training.warmup: 5 epochs of warm-up leave none of 5. Warm up for 4 at most",
    ]


def test_what_cannot_act_together_in_an_entry():
    methods = "[{name: base, training: {momentum: 0.5}}, {name: lwf, training: {milestones: [2], epochs: 3}}]"
    assert told("optimizer: adam, schedule: constant, warmup: 3", methods) == [
        "x.yaml:4:45: methods.0.training.momentum: adam takes no momentum. "
        "Leave it out, or train with `optimizer: sgd`",
        "x.yaml:4:87: methods.1.training.milestones: the schedule constant has no milestones. Leave one of the two out",
        "x.yaml:4:100: methods.1.training.epochs: 3 epochs of warm-up leave none of 3. Warm up for 2 at most",
    ]
    assert spec("momentum: 0.5, milestones: [9]", "[{name: base, training: {optimizer: adam, schedule: cosine}}]")


# ---- digits ----------------------------------------------------------------------------------------------------------


def test_adam_with_all_of_it_learns_digits(tmp_path):
    training = {"optimizer": "adamw", "schedule": "cosine", "warmup": 1, "lr": 0.01, "gradient_clip": 1.0}
    plan = plan_of("base", (5, 5), dataset=DIGITS, training={**training, "augmentation": "none", "batch_size": 32})
    record = run_one(next(iter(plan.stages.values())), tmp_path)
    assert record["curves"]["lr"] == pytest.approx([0.005, 0.01])
    assert sum(record["evaluation"]["correct"].values()) > 0.6 * sum(record["evaluation"]["images"].values())
