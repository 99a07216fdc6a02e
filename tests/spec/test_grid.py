"""A grid over settings: an entry for each value or combination, and where what is wrong with one stands."""

import re

import pytest

from orchestrator.errors import SpecError
from orchestrator.plan.choose import choose
from orchestrator.plan.plan import make_plan
from orchestrator.spec.label import family_of, title_of, varied_by
from orchestrator.spec.load import parse_spec
from orchestrator.spec.model import settings_of
from orchestrator.tuning.export import winner_spec
from tests.support.paths import ROOT

HEAD = "name: s\ndataset: {name: digits, image_size: 8}\ntasks: [2]\nseeds: [0, 1]\nmethods:\n"


def read(*entries, more=""):
    return parse_spec(HEAD + "".join(f"  - {entry}\n" for entry in entries) + more, "s.yaml")


def problems(*entries, more=""):
    with pytest.raises(SpecError) as caught:
        read(*entries, more=more)
    return [(problem.line, problem.column, problem.path, problem.message) for problem in caught.value.problems]


def test_every_value_is_an_entry_under_a_label_of_its_own():
    entries = read("base", "{name: abd, mu: {grid: [0.05, 0.1]}}").methods
    assert [entry.label for entry in entries] == ["base", "abd@mu=0.05", "abd@mu=0.1"]
    assert [entry.title for entry in entries] == ["base", "abd · mu=0.05", "abd · mu=0.1"]
    assert [settings_of(entry).get("mu") for entry in entries] == [None, 0.05, 0.1]


def test_several_grids_are_a_product_and_the_last_one_varies_fastest():
    sections = "training: {lr: {grid: [0.1, 0.05]}, epochs: 5}, dreaming: {steps: {grid: [2, 3]}}"
    entries = read(f"{{name: abd, label: both, {sections}}}").methods
    varied = [{path: settings_of(entry)[path] for path in ("training.lr", "dreaming.steps")} for entry in entries]
    assert varied == [
        {"training.lr": lr, "dreaming.steps": steps} for lr, steps in ((0.1, 2), (0.1, 3), (0.05, 2), (0.05, 3))
    ]
    assert entries[1].label == "both@training.lr=0.1@dreaming.steps=3"
    assert {entry.training.epochs for entry in entries} == {5}


def test_a_cell_has_the_stages_that_the_same_entry_without_a_grid_has():
    grid = make_plan(read("{name: abd, mu: {grid: [0.2, 1]}, training: {milestones: {grid: [[2, 3]]}, epochs: 4}}"))
    plain = make_plan(read("{name: abd, label: x, mu: 0.2, training: {milestones: [2, 3], epochs: 4}}"))
    assert grid.jobs[0].entry.label == "abd@mu=0.2@training.milestones=2+3"
    assert [job.stages for job in grid.jobs[:2]] == [job.stages for job in plain.jobs]


def test_exclude_and_only_mean_a_cell_or_the_whole_grid():
    entries = ("{name: abd, label: a, mu: {grid: [0.1, 0.2]}}", "{name: abd, label: b, mu: {grid: [0.1, 0.3]}}")
    more = "exclude: [{method: a, seed: 1}, {method: b@mu=0.3}, {mu: 0.2, seed: 0}]\n"
    plan = make_plan(read(*entries, more=more))
    assert [job.slug for job in plan.jobs] == ["a@mu=0.1-2-s0", "b@mu=0.1-2-s0", "b@mu=0.1-2-s1"]
    assert len(choose(plan, ["method=abd"]).jobs) == 3
    assert [job.slug for job in choose(plan, ["method=b,seed=0", "method=a@mu=0.1"]).jobs] == [
        "a@mu=0.1-2-s0",
        "b@mu=0.1-2-s0",
    ]


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ("{name: abd, mu: {grid: [0.1, -1]}}", (6, 34, "methods.0.mu.grid.1", "-1 is too small")),
        ("{name: abd, mu: {grid: [0.1, x]}}", (6, 34, "methods.0.mu.grid.1", "'x' is not a number")),
        ("{name: abd, mu: {grid: []}}", (6, 28, "methods.0.mu.grid", "the grid is empty")),
        ("{name: abd, mu: {grid: 3}}", (6, 28, "methods.0.mu.grid", "3 is not a list")),
        ("{name: abd, mu: {grid: [1, 1.0]}}", (6, 32, "methods.0.mu.grid.1", "1.0 is given twice")),
        ("{name: abd, mu: {grid: [1], low: 2}}", (6, 33, "methods.0.mu.low", "unknown key 'low'")),
        ("{name: base, mu: {grid: [1]}}", (6, 18, "methods.0.mu", "base has no setting 'mu'")),
        ("{name: abd, training: {lr: {grid: [a]}}}", (6, 40, "methods.0.training.lr.grid.0", "'a' is not a number")),
        (
            "{name: abd, training: {milestones: {grid: [[2, x]]}}}",
            (6, 52, "methods.0.training.milestones.grid.0.1", "'x' is not a whole number"),
        ),
        ("{name: {grid: [abd]}}", (6, 12, "methods.0.name", 'unknown method {"grid": ["abd"]}')),
    ],
)
def test_what_is_wrong_is_told_at_its_own_place(entry, found):
    assert problems(entry) == [found]


def test_all_mistakes_of_a_grid_are_told_at_once_and_each_once():
    found = problems("{name: abd, mu: {grid: [-1, 0.1]}, training: {lr: {grid: [0.1, 0.2, no]}}}")
    assert [path for _, _, path, _ in found] == ["methods.0.mu.grid.0", "methods.0.training.lr.grid.2"]


def test_labels_of_cells_are_labels_like_others():
    taken = "the label 'abd@mu=0.1' is taken by methods.0"
    assert problems("{name: abd, mu: {grid: [0.1]}}", "{name: abd, mu: {grid: [0.1]}}")[0][3] == taken
    other = "the label 'lwf' is the name of another method"
    assert problems("{name: abd, label: lwf, mu: {grid: [0.1]}}")[0][3] == other


def test_a_grid_outside_an_entry_is_answered_with_where_it_belongs():
    with pytest.raises(SpecError, match="A grid stands in an entry of `methods`"):
        read("base", more="training: {lr: {grid: [0.1, 0.2]}}\n")


def test_a_grid_beyond_all_measure_is_refused_soon():
    values = f"{{grid: [{', '.join(map(str, range(1, 1001)))}]}}"
    sections = f"training: {{epochs: {values}}}, dreaming: {{steps: {values}}}, mu: {values}"
    assert problems(f"{{name: abd, {sections}}}") == [(6, 5, "methods.0", "1000000000 combinations are too many")]


def test_what_a_search_tunes_is_an_entry_without_a_grid():
    tune = "tune: {{method: {}, space: {{mu: {{low: 0.1, high: 1}}}}, confirm: {{top: 1, seeds: [7, 8]}}}}\n"
    cells = "{name: lwf, label: l, training: {lr: {grid: [0.1, 0.2]}}}"
    told = problems(cells, "{name: abd, mu: {grid: [0.1]}}", more=tune.format("abd@mu=0.1"))
    assert told[0][2:] == ("tune.method", "'abd@mu=0.1' is one cell of a grid, and a search needs an entry without one")
    spec = read(cells, "{name: abd, mu: 0.4}", more=tune.format("abd"))
    winner = parse_spec(winner_spec(spec, {"mu": 0.3}, ""), "winner.yaml")
    assert [entry.label for entry in winner.methods] == ["abd", "abd-tuned"]


def test_only_a_label_made_of_settings_is_a_cells():
    assert (title_of("a@b"), family_of("a@b"), varied_by("a@b")) == ("a@b", "a@b", ())
    assert family_of("x@training.lr=0.1@mu=1e-05") == "x"
    assert varied_by("x@training.lr=0.1@mu=1e-05") == ("training.lr", "mu")


def test_the_example_in_the_docs_is_a_spec():
    text = re.search(r"```yaml\n(.*?)```", (ROOT / "docs" / "sweep.md").read_text(), re.S).group(1)
    labels = [entry.label for entry in parse_spec(text, "sweep.md").methods]
    assert labels[:2] == ["base", "abd@mu=0.05"] and "dreams@dreaming.steps=20@training.lr=0.1" in labels
    assert len(labels) == 8
