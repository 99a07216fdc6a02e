"""Splits whose sizes are written out, a smaller last task, and the first tasks alone (`stop_after`)."""

import pytest

from orchestrator.errors import SpecError
from orchestrator.plan.plan import make_plan
from orchestrator.spec.load import parse_spec

SPEC = "name: s\ndataset: {name: cifar100}\nmethods: [upper-bound, base, abd, rehearsal]\nseeds: [0]\n"


def read(tasks, rest=""):
    return parse_spec(f"{SPEC}tasks: {tasks}\n{rest}", "s.yaml")


def labels(*items):
    return {split.label: split.sizes for split in read(f"[{', '.join(items)}]").splits}


def test_sizes_are_written_out():
    assert labels("{sizes: [50, 10, 10, 30]}") == {"50+10+10+30": (50, 10, 10, 30)}


def test_a_last_task_takes_what_is_left():
    assert labels("{first: 50, then: 20, last: smaller}") == {"50+20+20+10": (50, 20, 20, 10)}
    assert labels("{first: 40, then: 7, last: smaller}") == {"40+7x8+4": (40, *(7,) * 8, 4)}


def test_a_split_has_one_name_however_it_is_given():
    assert labels("{first: 50, then: 10, last: smaller}") == labels("{first: 50, then: 10}")
    assert labels("{sizes: [50, 10, 10, 10, 10, 10]}") == labels("{first: 50, then: 10}")
    assert labels("{sizes: [20, 20, 20, 20, 20]}") == labels("5")


def test_a_name_that_would_be_too_long_is_a_digest():
    sizes = [*range(1, 13), 22]
    (label,) = labels(f"{{sizes: {sizes[::-1]}}}")
    assert label == "22+12+11+10+9+8+7+6+5+4+3+2+1"
    alternating = [1, 2] * 33 + [1]
    (label,) = labels(f"{{sizes: {alternating}}}")
    assert label.startswith("67-") and len(label) == 9


def test_a_split_is_excluded_by_its_form_or_by_its_name():
    for tasks in ("{sizes: [50, 10, 10, 30]}", "50+10+10+30", '"50+10+10+30"'):
        spec = read("[5, {sizes: [50, 10, 10, 30]}]", f"exclude: [{{tasks: {tasks}, method: abd}}]\n")
        assert sorted({job.split.label for job in make_plan(spec).jobs if job.entry.label == "abd"}) == ["5"]


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        (
            "[{sizes: [50, 10, 30]}]",
            "5:17: tasks.0.sizes: the sizes add up to 90, and there are 100 classes. They must",
        ),
        ("[{sizes: []}]", "5:17: tasks.0.sizes: [] has too few items. Give at least 1"),
        ("[{sizes: [100, 0]}]", "5:23: tasks.0.sizes.1: 0 is too small. It must be at least 1"),
        ("[{sizes: 5}]", "5:17: tasks.0.sizes: 5 is not a list"),
        ("[{sizes: [100], first: 2}]", "5:24: tasks.0.first: unknown key 'first'. Choices: sizes"),
        (
            "[{first: 50, then: 20}]",
            "5:27: tasks.0.then: the 50 classes after the first 50 cannot be dealt 20 at a time",
        ),
        ("[{first: 50, then: 20, last: larger}]", "5:37: tasks.0.last: 'larger' is none of the choices"),
        ("[{first: 50, then: 0, last: smaller}]", "5:27: tasks.0.then: 0 is too small"),
        ("[5, {sizes: [20, 20, 20, 20, 20]}]", 'tasks.1: {"sizes": [20, 20, 20, 20, 20]} is the same split as 5.'),
        ("[5]\nstop_after: 0", "6:13: stop_after: 0 is too small. It must be at least 1"),
        ("[5]\nstop_after: two", "6:13: stop_after: 'two' is not a whole number"),
        (
            "[10, 5]\nstop_after: 6",
            "6:13: stop_after: 6 is too large: a split of this sweep has 5 tasks. It must be at",
        ),
    ],
)
def test_a_wrong_split_is_told_with_its_place(tasks, message):
    with pytest.raises(SpecError) as caught:
        read(tasks)
    assert any(message in str(problem) for problem in caught.value.problems), list(map(str, caught.value.problems))


# ---- the first tasks alone -------------------------------------------------------------------------------------------


def test_what_is_run_is_a_prefix_of_the_whole_sweep():
    whole, part = make_plan(read("[10]")), make_plan(read("[10]", "stop_after: 3\n"))
    assert [job.name for job in part.jobs][1] == "base · after task 3 of 10 · seed 0"
    for job, all_of_it in zip(part.jobs[1:], whole.jobs[1:], strict=True):
        assert job.stages == all_of_it.stages[: len(job.stages)]
        assert job.tasks == all_of_it.tasks[:3] and len(job.learn) == 3
        # Of dreaming and remembering nothing after the last task that is run.
        assert part.stages[job.stages[-1]].recipe.kind == "learn"
    assert all(stage.recipe.width == 100 for stage in part.stages.values())


def test_the_upper_bound_is_that_of_the_classes_seen():
    part = make_plan(read("[10]", "stop_after: 3\n"))
    every = make_plan(
        parse_spec(f"{SPEC.replace('upper-bound', '{name: upper-bound, at_every_task: true}')}tasks: [10]", "s")
    )
    bound = part.jobs[0]
    assert bound.learn == (None, None, every.jobs[0].learn[2])
    assert len(part.stages[bound.learn[2]].recipe.classes[0]) == 30


def test_to_stop_after_the_last_task_is_not_to_stop():
    whole, stopped = (make_plan(read("[5]", rest)) for rest in ("", "stop_after: 5\n"))
    assert [(job.name, job.stages) for job in whole.jobs] == [(job.name, job.stages) for job in stopped.jobs]
