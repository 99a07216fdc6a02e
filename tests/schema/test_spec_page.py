"""docs/spec.md is what the classes say that read a spec, and its examples are specs."""

import pytest
from jsonschema import Draft7Validator

from dfcil_core.config import Dreaming, Training
from dfcil_core.methods import METHODS
from orchestrator.schema.json_schema import spec_schema
from orchestrator.schema.keys import KEYS
from orchestrator.spec.load import parse_spec
from orchestrator.spec.settings import names
from orchestrator.spec.yaml_document import read_document
from tests.support.spec_page import FILE, page

AROUND = {
    "name": "name: s\n",
    "methods": "methods: [base, lwf, abd, {name: abd, label: abd-light, mu: 0.2}]\n",
    "tasks": "tasks: [5]\n",
}


def test_the_page_is_made_of_the_classes():
    assert FILE.read_text() == page(), "write it anew: python -m tests.support.spec_page"


def test_every_key_and_setting_stands_on_it():
    text = FILE.read_text()
    for key in KEYS:
        assert f"\n## `{key}`\n" in text
    for name in (*names(Training), *names(Dreaming)):
        assert f"\n| `{name}` |" in text
    for method in METHODS.values():
        for name in names(method.settings_type):
            assert f"\n| `{method.name}` | `{name}` |" in text


def test_what_acts_on_which_methods_is_the_planners():
    text = FILE.read_text()
    assert "Acts on: `rehearsal`, `lwf-coreset`, `e2e`, `bic`." in text.partition("## `memory`")[2].partition("## ")[0]
    (steps,) = (line for line in text.splitlines() if line.startswith("| `steps` |"))
    assert "| `deep-inversion`, `lwf-synthetic`, `abd`, `r-dfcil` |" in steps


@pytest.fixture(scope="module")
def validator():
    return Draft7Validator(spec_schema())


@pytest.mark.parametrize("name", KEYS)
def test_an_example_is_right(name, validator):
    text = "".join({**AROUND, name: KEYS[name].example + "\n"}.values())
    parse_spec(text, "example", first_models={})  # whose files are not there
    assert validator.is_valid(read_document(text, "example", ()).data)
