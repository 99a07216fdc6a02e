"""The first tasks alone: trained on digits, they have the numbers of the whole sweep, and every view says so."""

import pytest

from orchestrator.plan.plan import make_plan
from orchestrator.results.job_result import job_results
from orchestrator.spec.load import parse_spec
from reports.frame import frame
from reports.tables.caption import caption
from reports.tables.layout import layout
from tests.support.helpers import run_plan

SPEC = """\
name: s
dataset: {name: digits, image_size: 8, train_per_class: 20, test_per_class: 10}
methods: [{name: upper-bound, at_every_task: true}, base, rehearsal]
tasks: [{sizes: [2, 3, 5]}]
class_order: natural
seeds: [0]
memory: 20
training: {backbone: resnet8, epochs: 1, batch_size: 16}
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The results of the whole sweep, and of the one that stops after its second task."""
    folder = tmp_path_factory.mktemp("stages")
    whole, part = (make_plan(parse_spec(SPEC + rest, "s.yaml")) for rest in ("", "stop_after: 2\n"))
    assert set(part.stages) < set(whole.stages)
    about = {"seconds": 1.0, "started": 0.0, "ended": 1.0}
    records = {key: {**about, **record} for key, record in run_plan(whole, folder).items()}
    return whole, job_results(whole, records), part, job_results(part, records)


def test_the_numbers_are_those_of_the_whole_sweeps_first_tasks(results):
    _, of_whole, _, of_part = results
    for all_of_it, first in zip(of_whole, of_part, strict=True):
        assert first.finished and len(first.matrix) == 2
        assert first.matrix == all_of_it.matrix[:2] and first.local == all_of_it.local[:2]


def test_a_job_is_judged_after_the_task_it_stops_after(results):
    _, _, part, of_part = results
    told = frame(part.spec, of_part).set_index("label").loc["base"]
    (first,), (second, third) = of_part[1].matrix
    assert told["final"] == pytest.approx((second + third) / 2)
    assert told["average"] == pytest.approx((first + (second + third) / 2) / 2)
    assert told["forgetting"] == pytest.approx(first - second)
    assert told["weighted"] == pytest.approx((2 * second + 3 * third) / 5)  # as many test images of each class
    ((bound_1,), bound_2) = of_part[0].matrix
    assert told["omega"] == pytest.approx((first / bound_1 + (second + third) / sum(bound_2)) / 2)
    assert (told["tasks"], told["split"], told["class_order"]) == (2, "2+3+5@natural@2of3", "natural")


def test_tables_say_so(results):
    whole, of_whole, part, of_part = results
    table = layout(frame(part.spec, of_part))
    assert [column.heading for column in table.columns] == ["after task 2 of 3 (2+3+5, natural order)"]
    assert "no later one was run, and k is T" in caption(table)
    table = layout(frame(whole.spec, of_whole))
    assert [column.heading for column in table.columns] == ["3 tasks (2+3+5, natural order)"]
    assert "no later one was run, and k is T" not in caption(table)
