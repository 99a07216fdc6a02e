"""What is no spec at all, mistakes in `--set`, and whatever else a file can hold: a message, never a traceback."""

import copy
import json

import pytest

from dfcil_core.methods import METHODS
from orchestrator.errors import SpecError
from orchestrator.spec.load import parse_spec


def problems(text, overrides=()):
    with pytest.raises(SpecError) as caught:
        parse_spec(text, "s.yaml", overrides)
    return caught.value.problems


def messages(text, overrides=()):
    return [str(problem) for problem in problems(text, overrides)]


# ---- no YAML, or no mapping ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1:1: spec: the file is empty. Begin with `name: my-sweep`"),
        ("# nothing yet\n", "1:1: spec: the file is empty. Begin with `name: my-sweep`"),
        ("- a\n", "1:1: spec: a spec is a mapping of keys to values, not a list. Begin with `name: my-sweep`"),
        ("base", "1:1: spec: a spec is a mapping of keys to values, not 'base'. Begin with `name: my-sweep`"),
        (
            "tasks: [5\nname: b",
            "2:5: spec: this is not YAML: while parsing a flow sequence, expected ',' or ']', but got ':'",
        ),
        (
            "training:\n\tlr: 1",
            "2:1: spec: this is not YAML: while scanning for the next token, "
            "found character '\\t' that cannot start any token. Indent with spaces",
        ),
        ("name: a: b", "1:8: spec: this is not YAML: mapping values are not allowed here"),
        ("name: *a", "1:7: spec: this is not YAML: found undefined alias 'a'"),
        (
            "name: a\n---\nname: b",
            "2:1: spec: this is not YAML: expected a single document in the stream, but found another document",
        ),
        ("name: a\nb: c\x07", "2:5: spec: the character U+0007 cannot stand in YAML"),
        ("name: &a [*a]", "1:1: spec: is nested too deeply, or an alias contains itself"),
        ("[" * 5000, "1:1: spec: is nested too deeply, or an alias contains itself"),
    ],
)
def test_not_a_spec_at_all(text, message):
    assert messages(text) == [f"s.yaml:{message}"]


def test_a_key_that_is_a_list():
    text = "? [1]\n: 2\nname: s\nmethods: [base]\ntasks: [5]\n"
    assert messages(text) == ["s.yaml:1:1: spec: has a key that is a list or a mapping. Keys are text"]


# ---- overrides -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.lr=x", "training.lr: 'x' is not a number"),
        ("methods.abd.mu=-1", "methods.1.mu: -1 is too small. It must be at least 0"),
        (
            "methods={}",
            "methods: {} is not a list. Write them as [base, {name: abd, mu: 0.2}]. Choices: " + ", ".join(METHODS),
        ),
        ("methods.lwf.mu=1", "methods: 'lwf' is no item of `methods`. Choices: base, abd"),
        ("methods.abc.mu=1", "methods: 'abc' is no item of `methods`. Did you mean 'abd'? Choices: base, abd"),
        ("methods.9.mu=1", "methods: '9' is no item of `methods`. Choices: base, abd"),
        ("training.lr", "spec: 'training.lr' does not set anything. Write it as --set training.lr=0.05"),
        ("=3", "spec: '=3' does not set anything. Write it as --set training.lr=0.05"),
        ("training..lr=3", "spec: 'training..lr=3' does not set anything. Write it as --set training.lr=0.05"),
    ],
)
def test_a_mistake_in_an_override_names_the_override(override, message):
    (found,) = problems("name: s\nmethods: [base, abd]\ntasks: [5]\n", [override])
    assert str(found) == f"--set {override}: {message}"
    assert found.line is None and found.column is None


def test_an_override_that_is_not_yaml():
    (found,) = problems("name: s\nmethods: [base]\ntasks: [5]\n", ["name={"])
    assert (found.file, found.path) == ("--set name={", "spec")
    assert found.message.startswith("this is not YAML: while parsing a flow node")


# ---- anything anywhere -----------------------------------------------------------------------------------------------

FULL = {
    "name": "s",
    "dataset": {"name": "digits", "root": "data", "image_size": 16, "holdout": {"share": 0.1, "fold": [0, 3]}},
    "methods": [
        "base",
        {"name": "abd", "label": "x", "mu": 0.2, "training": {"epochs": 5, "milestones": [1, 2]}, "quirks": "none"},
        {"name": "rehearsal", "memory": 100},
    ],
    "tasks": [5, {"first": 4, "then": 2}, {"first": 4, "then": 4, "last": "smaller"}, {"sizes": [3, 5, 2]}],
    "class_order": ["shuffled", {"numpy_seed": 3}, [*range(9, -1, -1)], {"name": "o", "classes": [*range(1, 10), "0"]}],
    "stop_after": 2,
    "seeds": [0, 1],
    "training": {"lr": 1, "milestones": [1]},
    "dreaming": {"lr": 1e-3},
    "memory": 3,
    "quirks": "iccv2021",
    "exclude": [
        {"method": "x", "tasks": {"first": 4, "then": 2}, "seed": 1, "training.lr": 1, "mu": 0.2},
        {"class_order": "o", "fold": 3},
    ],
}
ODD = [None, True, "", "5", -1, 1.5, 10**30, [], {}, [[]], [{}], {"a": {}}, [None], "a/b", {"name": []}, {"label": []}]


def _paths(value, path=()):
    if path:
        yield path
    # Of a long list, which has items alike, the first ones.
    for key in value if isinstance(value, dict) else range(min(4, len(value))) if isinstance(value, list) else ():
        yield from _paths(value[key], (*path, key))


@pytest.mark.parametrize("path", list(_paths(FULL)), ids=lambda path: ".".join(map(str, path)))
def test_whatever_stands_wherever_there_is_a_message_and_no_traceback(path):
    assert parse_spec(json.dumps(FULL), "s.yaml").name == "s"
    refused = 0
    for odd in ODD:
        given = copy.deepcopy(FULL)
        parent = given
        for part in path[:-1]:
            parent = parent[part]
        parent[path[-1]] = odd
        try:
            parse_spec(json.dumps(given), "s.yaml")
        except SpecError as error:
            refused += 1
            assert all(problem.message and problem.line == 1 for problem in error.problems)
    assert refused >= len(ODD) // 2
