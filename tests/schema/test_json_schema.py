"""JSON Schema of a spec: it takes what the reader takes, and finds what is wrong in one key alone."""

import json

import pytest
from jsonschema import Draft7Validator

from dfcil_core.methods import METHODS
from orchestrator.errors import SpecError
from orchestrator.plan.plan import make_plan
from orchestrator.schema.json_schema import spec_schema
from orchestrator.schema.keys import KEYS
from orchestrator.spec import load
from orchestrator.spec.yaml_document import read_document
from sweeps import SCHEMA, bundled
from tests.support.launched import dfcil

SPEC = "name: s\nmethods: [base, {name: abd, label: mine}]\ntasks: [5]\nseeds: [0]\n"
MODELINE = "# yaml-language-server: $schema=spec.schema.json\n"
PLUGIN = """\
from dataclasses import dataclass
from dfcil_core.methods.base import Method

@dataclass(frozen=True)
class Settings:
    __pydantic_config__ = {"extra": "forbid"}
    gamma: float = 0.25
    \"\"\"Weight of nothing.\"\"\"

class Mine(Method):
    name, summary, source, settings_type = "mine", "a method of one's own", "nowhere", Settings

METHODS = [Mine]
"""


@pytest.fixture(scope="module")
def validator():
    return Draft7Validator(spec_schema())


def data_of(text):
    return read_document(text, "s.yaml", ()).data


def test_it_is_a_schema_and_the_file_of_the_bundled_specs():
    told = spec_schema()
    Draft7Validator.check_schema(told)
    assert json.loads(SCHEMA.read_text()) == told, "write it anew: python -m tests.support.spec_page"


@pytest.mark.parametrize("name", bundled())
def test_a_bundled_spec_is_valid_and_names_it(validator, name):
    text = bundled()[name].read_text()
    assert [error.message for error in validator.iter_errors(data_of(text))] == []
    assert text.startswith(MODELINE) and (bundled()[name].parent / "spec.schema.json") == SCHEMA


RIGHT = {
    "orders": "class_order: [shuffled, {numpy_seed: 1993}, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]\n",
    "an order by names": "class_order: ['9', '8', '7', '6', '5', '4', '3', '2', '1', '0']\n",
    "a named order": "class_order: {name: mine, classes: [1, 0, 2, 3, 4, 5, 6, 7, 8, 9]}\nstop_after: 2\n",
    "folds": "dataset: {name: digits, holdout: {share: 0.2, fold: [0, 4]}}\nexclude: [{fold: 4, seed: 0}]\n",
    "a fold": "dataset: {name: digits, holdout: {share: 0.2, fold: 1}}\n",
    "a split's name": "exclude: [{tasks: '5', seed: 1}]\n",
}


@pytest.mark.parametrize("more", RIGHT.values(), ids=RIGHT)
def test_what_the_reader_takes_is_valid(validator, more):
    text = f"name: s\nmethods: [base]\ntasks: [5, {{sizes: [4, 3, 3]}}, {{first: 4, then: 4, last: smaller}}]\n{more}"
    load.parse_spec(text, "s.yaml")
    assert [error.message for error in validator.iter_errors(data_of(text))] == []


def test_the_line_for_the_editor_changes_no_stage():
    text = bundled()["demo"].read_text()
    with_line, without = (make_plan(load.parse_spec(each, "s.yaml")) for each in (text, text.removeprefix(MODELINE)))
    assert with_line.stages.keys() == without.stages.keys()


def test_every_key_has_a_line_that_explains_it():
    assert KEYS.keys() == load.SECTIONS.keys()


def test_a_key_without_a_line_can_be_anything(monkeypatch, validator):
    monkeypatch.setitem(load.SECTIONS, "budget", None)
    data = data_of(SPEC + "budget: {hours: 3}\n")
    assert Draft7Validator(spec_schema()).is_valid(data) and not validator.is_valid(data)


def test_every_setting_is_explained(validator):
    forms = {"spec": validator.schema, **validator.schema["$defs"]}
    silent = [
        f"{name}.{key}"
        for name, form in forms.items()
        for key, told in form.get("properties", {}).items()
        if not told.get("description")
    ]
    assert silent == []
    assert {f"method-{name}" for name in METHODS} <= forms.keys()


WRONG = {
    "unknown": "budget: 3\n",
    "training": "training: {lr: 0}\n",
    "training.momentum": "training: {momentum: 1}\n",
    "training.backbone": "training: {backbone: resnet9}\n",
    "training.epochs": "training: {epochs: 1.5}\n",
    "training.setting": "training: {rate: 1}\n",
    "dreaming": "dreaming: {steps: '3'}\n",
    "memory": "memory: 0\n",
    "quirks": "quirks: iccv\n",
    "dataset": "dataset: mnist\n",
    "dataset.size": "dataset: {name: digits, image_size: 4}\n",
    "dataset.classes": "dataset: {name: digits, classes: [a, b]}\n",
    "seeds and repeats": "repeats: 3\n",
    "exclude": "exclude: [{methods: base}]\n",
    "exclude nothing": "exclude: [{}]\n",
    "tune": "tune: {method: mine, space: {mu: {low: 1}}}\n",
    "tune.space": "tune: {method: mine, space: {nu: {low: 1, high: 2}}}\n",
    "tune.objective": "tune: {method: mine, space: {mu: {low: 0.1, high: 2}}, objective: loss}\n",
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_wrong_key_is_wrong_for_the_reader_too(validator, wrong):
    assert validator.is_valid(data_of(SPEC)) and load.parse_spec(SPEC, "s.yaml")
    assert not validator.is_valid(data_of(SPEC + wrong))
    with pytest.raises(SpecError):
        load.parse_spec(SPEC + wrong, "s.yaml")


@pytest.mark.parametrize(
    ("entry", "right"),
    [
        ("{name: abd, mu: {grid: [0.1, 0.2]}, memory: 3}", False),
        ("{name: abd, mu: {grid: [0.1, 0.2]}}", True),
        ("{name: abd, mu: {grid: []}}", False),
        ("{name: abd, mu: {grid: [a]}}", False),
        ("{name: abd, mu: {grid: [0.1], low: 3}}", False),
        ("{name: bic, memory: {grid: [10, 20]}, quirks: {grid: [none, iccv2021]}}", True),
        ("{name: abd, training: {lr: {grid: [0.1, 0.2]}}, dreaming: {steps: {grid: [2]}}}", True),
        ("{name: abd, training: {lr: {grid: [0]}}}", False),
        ("{name: abd, training: {grid: [{lr: 0.1}]}}", False),
        ("{name: abd, label: {grid: [a, b]}}", False),
    ],
)
def test_a_grid_is_right_where_it_is_for_the_reader(validator, entry, right):
    text = SPEC.replace("base,", f"{entry},")
    assert validator.is_valid(data_of(text)) is right
    if right:
        assert load.parse_spec(text, "s.yaml")
    else:
        with pytest.raises(SpecError):
            load.parse_spec(text, "s.yaml")


def test_a_grid_outside_an_entry_is_wrong(validator):
    assert not validator.is_valid(data_of(SPEC + "training: {lr: {grid: [0.1]}}\n"))


@pytest.mark.parametrize("entry", ["adb", "{name: base, mu: 1}", "{label: mine}", "{name: lwf, dreaming: {steps: 3}}"])
def test_a_wrong_entry_is_wrong_for_the_reader_too(validator, entry):
    text = SPEC.replace("base,", f"{entry},")
    assert not validator.is_valid(data_of(text))
    with pytest.raises(SpecError):
        load.parse_spec(text, "s.yaml")


def test_the_command_prints_it(call):
    assert call("schema") == (0, SCHEMA.read_text(), "")


def test_the_command_writes_it_with_the_methods_of_a_plug_in(tmp_path):
    (tmp_path / "mine.py").write_text(PLUGIN)
    told = dfcil("schema", "--plugin", "mine.py", "-o", "here.json", folder=tmp_path)
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "written: here.json\n")
    schema = json.loads((tmp_path / "here.json").read_text())
    gamma = schema["$defs"]["method-mine"]["properties"]["gamma"]
    value = gamma.pop("anyOf")[0]
    assert {**gamma, **value} == {"default": 0.25, "description": "Weight of nothing.", "type": "number"}


def test_nothing_but_descriptions_stands_beside_a_reference():
    """Where a draft 7 validator would not look."""

    def beside(part):
        if isinstance(part, dict):
            yield from part.keys() - {"$ref", "description"} if "$ref" in part else ()
            for each in part.values():
                yield from beside(each)
        elif isinstance(part, list):
            for each in part:
                yield from beside(each)

    assert set(beside(spec_schema())) == set()
