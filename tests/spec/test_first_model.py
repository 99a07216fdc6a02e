"""`first_model:` in a spec: which stages it changes, what is refused, and that a sweep is known without the file."""

import json

import pytest
import torch
from safetensors.torch import save_file

from dfcil_core.first_model import sha256
from dfcil_core.networks import build as networks
from orchestrator.errors import SpecError
from orchestrator.launch import launch
from orchestrator.plan.plan import make_plan
from orchestrator.results.job_result import job_settings
from orchestrator.spec.load import parse_spec
from orchestrator.store import sweep_folder

HEAD = """\
name: x
dataset: {name: digits, image_size: 8}
training: {backbone: resnet8, epochs: 1, batch_size: 64}
dreaming: {steps: 2}
"""
REST = "methods: [base, abd, rehearsal, upper-bound]\ntasks: [2]\nseeds: [0]\n"


def saved(path, seed=0, backbone="resnet8", width=10):
    network = networks.build(backbone, width, generator=torch.Generator().manual_seed(seed))
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, path)
    return path


def spec(first_model, rest=REST):
    return parse_spec(f"{HEAD}first_model: {first_model}\n{rest}", "x.yaml")


def told(first_model, rest=REST):
    with pytest.raises(SpecError) as error:
        spec(first_model, rest)
    (line,) = (line.strip() for line in str(error.value).splitlines() if "x.yaml:" in line)
    return line


def recipes(read):
    return [stage.recipe for stage in make_plan(read).stages.values()]


def test_task_one_is_one_stage_of_the_file_and_nothing_else(tmp_path):
    plain = make_plan(parse_spec(HEAD + REST, "x.yaml"))
    read = spec(saved(tmp_path / "first"))
    plan = make_plan(read)
    (first,) = (stage.recipe for stage in plan.stages.values() if stage.recipe.method == "first-model")
    assert first.training == {"backbone": "resnet8"} and first.parents == {} and first.data.augmentation == "none"
    assert first.settings == {"first_model": read.first_models[0].sha256}
    common = [plan.stages[key].recipe for key in plan.stages if key in plain.stages]
    assert [(recipe.kind, recipe.width) for recipe in common if recipe.parents] == []
    # The upper bound is what it was, and a memory drawn by chance after task 1 looks at no network.
    assert sorted(recipe.kind for recipe in common) == ["learn", "remember"]
    for job in plan.jobs:
        chained = job.entry.method.chained
        assert (plan.stages[job.stages[0]].recipe == first) == chained
        assert ("first_model" in job_settings(read, job)) == chained


def test_the_content_is_the_identity_and_the_path_is_not(tmp_path):
    one, copy, other = (saved(tmp_path / name, seed) for name, seed in (("a", 0), ("b", 0), ("c", 1)))
    assert recipes(spec(one)) == recipes(spec(copy)) != recipes(spec(other))


def test_each_seed_has_its_file(tmp_path):
    for seed in (0, 3):
        saved(tmp_path / f"first-{seed}", seed)
    read = spec(tmp_path / "first-{seed}", "methods: [base]\ntasks: [2]\nseeds: [0, 3]\n")
    assert len({file.sha256 for file in read.first_models.values()}) == 2
    assert [recipe.settings["first_model"] for recipe in recipes(read) if recipe.task == 1] == [
        read.first_models[seed].sha256 for seed in (0, 3)
    ]


def test_one_file_serves_several_seeds_of_one_class_order(tmp_path):
    rest = "methods: [base]\ntasks: [2]\nseeds: [0, 1]\nclass_order: natural\n"
    assert len({file.sha256 for file in spec(saved(tmp_path / "first"), rest).first_models.values()}) == 1


def test_plan_says_which_file_it_is(tmp_path, call):
    first = saved(tmp_path / "first")
    (tmp_path / "x.yaml").write_text(f"{HEAD}first_model: {first}\n{REST}")
    digest = sha256(first)
    status, out, _ = call("plan", tmp_path / "x.yaml")
    assert status == 0 and f"task 1 is {first} (SHA-256 {digest[:16]}...; seeds 0)" in out
    _, out, _ = call("plan", tmp_path / "x.yaml", "--json")
    assert json.loads(out)["first_models"] == [{"path": str(first), "sha256": digest, "seeds": [0]}]


# ---- mistakes --------------------------------------------------------------------------------------------------------


def test_what_does_not_fit_is_told_by_name(tmp_path):
    narrow = saved(tmp_path / "narrow", width=5)
    assert told(narrow) == (
        f"x.yaml:5:14: first_model: {narrow} is not of resnet8 with 10 outputs, the network of base: of another shape: "
        "head.weight is 5 x 64 in the place of 10 x 64, head.bias is 5 in the place of 10. "
        "`dfcil-sweep convert-model` makes a file of the public code's class.pth"
    )
    first = saved(tmp_path / "first")
    network = "resnet8-r-dfcil with 10 outputs, the network of r-dfcil"
    assert told(first, "methods: [base, r-dfcil]\ntasks: [2]\nseeds: [0]\n").startswith(
        f"x.yaml:5:14: first_model: {first} is not of {network}: it has what the network has not: head.bias."
    )


def test_what_is_no_file_of_tensors(tmp_path):
    text = tmp_path / "text"
    text.write_text("no tensors")
    assert "it is no safetensors file" in told(text)
    assert told(tmp_path / "none").startswith(f"x.yaml:5:14: first_model: {tmp_path}/none cannot be read: No such file")
    assert told("/dev/zero") == "x.yaml:5:14: first_model: /dev/zero is no file. Give the path of a safetensors file"
    assert told("[a, b]").startswith('x.yaml:5:14: first_model: ["a", "b"] is no file\'s name.')


def test_what_cannot_start_from_one_network(tmp_path):
    first = saved(tmp_path / "first")
    assert "dgr learns more than a network in its first task" in told(first, "methods: [dgr]\ntasks: [2]\nseeds: [0]\n")
    assert "one network for several seeds" in told(first, "methods: [base]\ntasks: [2]\nseeds: [0, 1]\n")
    assert "begin with different classes" in told(first, "methods: [base]\ntasks: [2, 5]\nseeds: [0]\n")


TUNE = """\
methods: [base]
tasks: [2]
seeds: [0]
tune: {method: base, space: {SPACE}, confirm: {top: 1, seeds: [7, 8]}}
"""


def test_a_search_needs_the_files_of_the_seeds_that_confirm_it(tmp_path):
    rest = TUNE.replace("SPACE", "training.lr: {low: 0.01, high: 0.1}")
    saved(tmp_path / "first-0")
    assert f"{tmp_path}/first-7 cannot be read" in told(tmp_path / "first-{seed}", rest)
    saved(tmp_path / "first-7", 7), saved(tmp_path / "first-8", 8)
    assert list(spec(tmp_path / "first-{seed}", rest).first_models) == [0, 7, 8]
    rest = TUNE.replace("SPACE", "training.backbone: {choices: [resnet8, resnet14]}")
    assert "a search over training.backbone" in told(tmp_path / "first-{seed}", rest)


# ---- digits ----------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_a_sweep_runs_from_it_and_is_known_without_it(tmp_path):
    first = saved(tmp_path / "first")
    text = f"{HEAD}first_model: {first}\nmethods: [base]\ntasks: [2]\nseeds: [0]\n"
    done = launch(text, runs=tmp_path / "runs", jobs=1)
    assert done.ok and done.stages_run == 2 and done.results["final"].notna().all()
    first.unlink()
    plan = sweep_folder.load(tmp_path / "runs", "x")
    assert list(plan.stages) == list(done.plan.stages)
    with pytest.raises(SpecError, match="cannot be read"):
        launch(text, runs=tmp_path / "runs", jobs=1)
