"""A spec that is right: what it says, what it leaves to the defaults, and who wins."""

import subprocess
import sys
import time

import pytest

from dfcil_core.config import Dreaming, Training
from dfcil_core.methods import METHODS
from dfcil_core.methods.base import Method
from orchestrator.errors import SpecError, UserError
from orchestrator.plan.fingerprint import canonical
from orchestrator.plan.plan import make_plan
from orchestrator.spec.load import load_spec, parse_spec
from orchestrator.spec.model import Exclusion, matches, settings_of

QUICKSTART = """\
name: quickstart
dataset: digits            # or {name: cifar100, root: ~/data}
methods:
  - base
  - lwf
  - {name: abd, label: abd-light, mu: 0.2}   # same method, other settings, own label
tasks: [5]                 # splits; {first: 50, then: 10} too
seeds: [0, 1, 2]           # or repeats: 3
training: {backbone: resnet32, epochs: 250, milestones: [100, 150, 200], batch_size: 128, lr: 0.1}
dreaming: {steps: 10000, lr: 1e-3, bn_weight: 50, prior_weight: 1e-3, temperature: 1000, ce_weight: 1}
memory: 2000
quirks: none               # or iccv2021: what the public code computes
exclude: [{method: lwf, tasks: 5, seed: 2}]
"""


def sweep(methods="[abd]", more="", overrides=()):
    text = f"name: s\nmethods: {methods}\n{'' if 'tasks:' in more else 'tasks: [5]'}\n{more}"
    return parse_spec(text, "s.yaml", overrides)


def excluded_cells(loaded):
    return sum(
        any(matches(exclusion, entry, split, seed) for exclusion in loaded.exclude)
        for entry in loaded.methods
        for split in loaded.splits
        for seed in loaded.seeds
    )


def test_the_readme_spec_is_the_published_recipe():
    loaded = parse_spec(QUICKSTART, "quickstart.yaml")
    assert loaded.name == "quickstart"
    assert loaded.text == QUICKSTART
    assert loaded.dataset.info.name == "digits" and loaded.dataset.image_size == 32 and loaded.dataset.holdout == 0.0
    assert [entry.label for entry in loaded.methods] == ["base", "lwf", "abd-light"]
    assert [entry.method.name for entry in loaded.methods] == ["base", "lwf", "abd"]
    assert loaded.methods[2].method.settings.mu == 0.2
    assert all(entry.training == Training(milestones=(100, 150, 200)) for entry in loaded.methods)
    assert all(entry.dreaming == Dreaming() for entry in loaded.methods)
    assert all(entry.memory == 2000 and entry.quirks == "none" for entry in loaded.methods)
    assert [(split.label, split.sizes) for split in loaded.splits] == [("5", (2, 2, 2, 2, 2))]
    assert loaded.seeds == (0, 1, 2)
    assert loaded.exclude == (Exclusion("lwf", "5", 2, {}),)
    assert loaded.tune is None
    assert excluded_cells(loaded) == 1


def test_little_need_be_said():
    loaded = sweep("[base]")
    assert loaded.dataset.info.name == "digits"
    assert loaded.seeds == (0, 1, 2)
    assert loaded.exclude == ()
    entry = loaded.methods[0]
    assert (entry.training, entry.dreaming, entry.memory, entry.quirks) == (Training(), Dreaming(), 2000, "none")


def test_empty_sections_are_not_given():
    loaded = sweep("[{name: abd, training: null, dreaming: ~}]", "training:\ndreaming:\nexclude:\ntune:\n")
    assert loaded.methods[0].training == Training() and loaded.exclude == () and loaded.tune is None


@pytest.mark.parametrize(
    ("written", "value"),
    [("1", 1.0), ("1e-3", 0.001), ("1E+1", 10.0), (".5", 0.5), ("1_0", 10.0), ("010", 10.0), ("0x10", 16.0)],
)
def test_every_way_to_write_a_number_gives_a_float_where_one_is_due(written, value):
    lr = sweep(more=f"training: {{lr: {written}}}").methods[0].training.lr
    assert lr == value and type(lr) is float


def test_one_and_one_point_nought_are_the_same_work():
    texts = [f"dreaming: {{bn_weight: {weight}}}\ntraining: {{lr: {weight}}}" for weight in ("1", "1.0")]
    one, other = (sweep("[{name: abd, mu: 1}]", text).methods[0] for text in texts)
    assert canonical(settings_of(one)) == canonical(settings_of(other))


def test_yaml_1_1_surprises_are_text():
    loaded = sweep("[{name: base, label: no}, {name: base, label: on}, {name: base, label: 2026-01-05}]")
    assert [entry.label for entry in loaded.methods] == ["no", "on", "2026-01-05"]
    first = "%YAML 1.1\n---\nname: no\nmethods: [base]\ntasks: [05]\n"
    loaded = parse_spec(first, "s.yaml")
    assert loaded.name == "no" and loaded.splits[0].label == "5"


def test_anchors_and_merges_are_read():
    loaded = sweep(
        "[{name: base, training: &short {epochs: 3, lr: 1}}, {name: lwf, training: {<<: *short, lr: 2, momentum: 0}}]"
    )
    assert loaded.methods[0].training == Training(epochs=3, lr=1.0)
    assert loaded.methods[1].training == Training(epochs=3, lr=2.0, momentum=0.0)


def test_splits():
    loaded = sweep("[base]", "dataset: cifar100\ntasks: [1, 20, {first: 50, then: 10}]")
    assert [(split.label, len(split), split.sizes[:2]) for split in loaded.splits] == [
        ("1", 1, (100,)),
        ("20", 20, (5, 5)),
        ("50+10", 6, (50, 10)),
    ]
    assert all(sum(split.sizes) == 100 for split in loaded.splits)


def test_repeats_are_the_first_seeds():
    assert sweep(more="repeats: 4").seeds == (0, 1, 2, 3)
    assert sweep(more="seeds: [7, 3]").seeds == (7, 3)


def test_data_set_written_out(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    dataset = sweep("[base]", "dataset: {name: cifar100, root: ~/data, image_size: 30, holdout: 0.1}").dataset
    assert (dataset.info.name, dataset.image_size, dataset.holdout) == ("cifar100", 30, 0.1)
    assert dataset.root == "/home/someone/data"


def test_a_tune_section_changes_nothing_of_the_sweep():
    tune = "tune: {method: abd, space: {mu: {low: 1e-2, high: 1, log: true}}}"
    plain, tuned = sweep("[abd]"), sweep("[abd]", more=tune)
    assert tuned.tune.method == "abd" and make_plan(plain).stages.keys() == make_plan(tuned).stages.keys()


# ---- precedence ------------------------------------------------------------------------------------------------------


class _WithRecipe(Method):
    name = "with-recipe"
    dreams = True
    group = "memory"
    recipe = {
        "training": {"epochs": 200, "milestones": (80, 120), "weight_decay": 5e-4},
        "dreaming": {"steps": 5000},
    }


@pytest.fixture
def with_recipe(monkeypatch):
    monkeypatch.setitem(METHODS, "with-recipe", _WithRecipe)


def test_a_methods_own_recipe_stands_over_the_defaults(with_recipe):
    entry, other = sweep("[with-recipe, base]").methods
    assert entry.training == Training(epochs=200, milestones=(80, 120), weight_decay=5e-4)
    assert entry.dreaming == Dreaming(steps=5000)
    assert other.training == Training() and other.dreaming == Dreaming()


def test_the_spec_stands_over_a_methods_recipe_and_the_entry_over_the_spec(with_recipe):
    shared = "training: {weight_decay: 1e-3, lr: 1}\ndreaming: {steps: 7}\nmemory: 50\nquirks: iccv2021"
    plain, special = sweep(
        "[with-recipe, {name: with-recipe, label: b, training: {lr: 2}, dreaming: {lr: 3}, memory: 9, quirks: none}]",
        shared,
    ).methods
    assert (plain.training.weight_decay, plain.training.lr, plain.training.epochs) == (1e-3, 1.0, 200)
    assert (plain.dreaming.steps, plain.dreaming.lr, plain.memory, plain.quirks) == (7, 1e-3, 50, "iccv2021")
    assert (special.training.weight_decay, special.training.lr) == (1e-3, 2.0)
    assert (special.dreaming.steps, special.dreaming.lr, special.memory, special.quirks) == (7, 3.0, 9, "none")


def test_milestones_of_a_recipe_scale_with_the_epochs_given(with_recipe):
    def milestones(more, entry=""):
        training = sweep(f"[{{name: with-recipe{entry}}}]", more).methods[0].training
        return training.resolved_milestones()

    assert milestones("training: {epochs: 20}") == (8, 12)
    assert milestones("training: {epochs: 20}", ", training: {epochs: 100}") == (40, 60)
    assert milestones("training: {epochs: 20, milestones: [5]}") == (5,)
    assert milestones("training: {epochs: 20, milestones: null}") == (8, 12, 16)


def test_an_entry_can_go_back_to_scaled_milestones():
    training = sweep(
        "[{name: base, training: {epochs: 10, milestones: null}}]", "training: {epochs: 100, milestones: [50]}"
    )
    assert training.methods[0].training.resolved_milestones() == (4, 6, 8)


# ---- overrides -------------------------------------------------------------------------------------------------------


def test_overrides_replace_what_the_text_says():
    overrides = (
        "training.lr=1e-2",
        "methods.lwf.mu=3",
        "methods.abd-light.training.epochs=240",
        "methods.0.label=plain",
        "seeds=[5]",
        "dataset.image_size=16",
        "exclude=",
    )
    loaded = parse_spec(QUICKSTART, "q.yaml", overrides)
    assert [entry.training.lr for entry in loaded.methods] == [0.01, 0.01, 0.01]
    assert [entry.training.epochs for entry in loaded.methods] == [250, 250, 240]
    assert loaded.methods[1].method.settings.mu == 3.0
    assert loaded.methods[0].label == "plain"
    assert loaded.seeds == (5,)
    assert (loaded.dataset.info.name, loaded.dataset.image_size) == ("digits", 16)
    assert loaded.exclude == ()
    assert (loaded.text, loaded.overrides) == (QUICKSTART, overrides)
    assert parse_spec(loaded.text, "q.yaml", loaded.overrides).methods[1].method.settings.mu == 3.0


def test_the_last_override_wins_and_new_sections_appear():
    loaded = sweep(overrides=["dreaming.steps=3", "dreaming.steps=4", "training={epochs: 9}", "training.lr=2"])
    assert loaded.methods[0].dreaming.steps == 4
    assert loaded.methods[0].training == Training(epochs=9, lr=2.0)


def test_an_override_leaves_an_alias_of_its_section_alone():
    methods = "[{name: base, training: &shared {epochs: 3}}, lwf]"
    loaded = sweep(methods, "training: *shared", ["training.epochs=4"])
    assert [entry.training.epochs for entry in loaded.methods] == [3, 4]
    loaded = sweep(methods, "training: *shared", ["methods.base.training.epochs=4"])
    assert [entry.training.epochs for entry in loaded.methods] == [4, 3]


def test_a_value_may_hold_an_equals_sign():
    assert sweep(overrides=["name=a=b"]).name == "a=b"


# ---- exclusions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exclusion", "excluded"),
    [
        ("{method: abd}", 12),
        ("{method: light}", 6),
        ("{tasks: 5}", 9),
        ("{tasks: {first: 4, then: 2}}", 9),
        ("{tasks: 4+2, seed: 1}", 3),
        ("{seed: 2, method: base}", 2),
        ("{mu: 1}", 6),
        ("{training.epochs: 7}", 6),
        ("{training.milestones: [2, 3], seed: 0}", 2),
        ("{quirks: none, tasks: 5, dreaming.steps: 10000}", 6),
    ],
)
def test_exclusions_match_every_field_given(exclusion, excluded):
    methods = "[base, abd, {name: abd, label: light, mu: 1, training: {epochs: 7, milestones: [2, 3]}}]"
    loaded = sweep(methods, f"tasks: [5, {{first: 4, then: 2}}]\nexclude: [{exclusion}]")
    assert excluded_cells(loaded) == excluded


# ---- files -----------------------------------------------------------------------------------------------------------


def test_load_reads_a_file_with_or_without_a_byte_order_mark(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(QUICKSTART, encoding="utf-8")
    assert load_spec(path).name == load_spec(str(path)).name == "quickstart"
    path.write_text(QUICKSTART, encoding="utf-8-sig")
    assert load_spec(path, overrides=["name=other"]).name == "other"


def test_load_finds_bundled_specs_by_name(tmp_path, monkeypatch):
    (tmp_path / "small.yaml").write_text(QUICKSTART)
    monkeypatch.setattr("orchestrator.spec.load.bundled", lambda: {"small": tmp_path / "small.yaml"})
    assert load_spec("small").name == "quickstart"
    with pytest.raises(UserError) as caught:
        load_spec("smal")
    expected = "smal: no such file, and no bundled spec of that name. Did you mean 'small'? Choices: small"
    assert str(caught.value) == expected


@pytest.mark.parametrize("asked", ["mine", "mine.yml", "mien.yaml"])
def test_a_file_of_nearly_that_name_is_proposed(tmp_path, asked):
    (tmp_path / "mine.yaml").write_text(QUICKSTART)
    with pytest.raises(UserError) as caught:
        load_spec(tmp_path / asked)
    assert str(caught.value).endswith(f"Did you mean '{tmp_path / 'mine.yaml'}'?")


def test_a_mistake_in_a_file_names_the_file(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("name: a\nmethods: [bse]\ntasks: [5]\n")
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    assert str(caught.value).splitlines()[1].startswith(f"  {path}:2:11: methods.0: unknown method 'bse'")


def test_what_is_no_text_file_is_a_mistake(tmp_path):
    (tmp_path / "binary.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(UserError, match=r"binary\.yaml: this is no text in UTF-8 \(byte 6 is not\)\. Save it as UTF-8"):
        load_spec(tmp_path / "binary.yaml")
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        load_spec(tmp_path)


def test_every_bundled_spec_is_right():
    from sweeps import bundled

    for name, path in bundled().items():
        assert load_spec(name).text == path.read_text()


# ---- cost ------------------------------------------------------------------------------------------------------------


def test_ten_thousand_jobs_load_within_half_a_second():
    methods = "".join(f"  - {{name: abd, label: a{index}, mu: {index}}}\n" for index in range(100))
    exclude = ", ".join(f"{{method: a{index}, seed: 3, training.lr: 0.1}}" for index in range(50))
    tasks = "[1, 2, 5, 10, {first: 4, then: 2}]"
    text = f"name: big\nmethods:\n{methods}tasks: {tasks}\nrepeats: 20\nexclude: [{exclude}]\n"
    start = time.process_time()
    loaded = parse_spec(text, "big.yaml")
    assert time.process_time() - start < 0.5
    assert len(loaded.methods) * len(loaded.splits) * len(loaded.seeds) == 10_000


def test_reading_a_spec_loads_no_heavy_module():
    code = (
        "import sys; from orchestrator.spec.load import parse_spec\n"
        "parse_spec('name: a\\nmethods: [abd]\\ntasks: [5]', 'a')\n"
        "print(sorted({'torch', 'torchvision', 'mlflow', 'optuna', 'dask', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
