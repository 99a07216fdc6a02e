"""A top-level key is one registration: it is read, refused with its place, and named among the choices."""

import pytest

from orchestrator.errors import SpecError
from orchestrator.spec import load

SPEC = "name: s\nmethods: [base]\ntasks: [5]\n"


def read_budget(reading):
    """`budget: 3`, hours a seed; none where it is not given. A section's reader as any in orchestrator/spec."""
    given = reading.document.data.get("budget")
    if given is None:
        return None
    if type(given) is not int:
        reading.document.add(("budget",), f"'{given}' is no number of hours", given, "Write it as `budget: 3`")
        return None
    return given * len(reading.seeds)


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setitem(load.SECTIONS, "budget", read_budget)


def test_a_key_of_ones_own_is_read_after_the_sections_it_asks_for(registered):
    assert load.parse_spec(SPEC + "seeds: [0, 1]\nbudget: 3\n", "s.yaml").more == {"budget": 6}
    assert load.parse_spec(SPEC, "s.yaml").more == {"budget": None}


def test_where_it_is_wrong_it_is_told_with_all_that_is(registered):
    with pytest.raises(SpecError) as error:
        load.parse_spec(SPEC + "seeds: [-1]\nbudget: much\nbudgets: 3\n", "s.yaml")
    messages = list(map(str, error.value.problems))
    assert messages[:2] == [
        "s.yaml:4:9: seeds.0: -1 is too small. It must be at least 0",
        "s.yaml:5:9: budget: 'much' is no number of hours. Write it as `budget: 3`",
    ]
    assert messages[2].startswith("s.yaml:6:1: budgets: unknown key 'budgets'. Did you mean 'budget'?")


def test_without_its_registration_it_is_unknown():
    assert load.parse_spec(SPEC, "s.yaml").more == {}
    with pytest.raises(SpecError, match="s.yaml:4:1: budget: unknown key 'budget'"):
        load.parse_spec(SPEC + "budget: 3\n", "s.yaml")
