"""The plan: which jobs and stages there are, what they share, and in which order they come."""

import random

import pytest

from orchestrator.plan.plan import Plan, class_order, deal, make_plan
from orchestrator.spec.load import parse_spec

# random.seed(seed); random.shuffle(order) on list(range(10)), as the public code calls them.
SHUFFLED = {
    0: (7, 8, 1, 5, 3, 4, 2, 0, 9, 6),
    1: (6, 8, 9, 7, 5, 3, 0, 4, 1, 2),
    2: (5, 9, 3, 4, 6, 7, 2, 8, 1, 0),
}


def plan(methods: str, tasks: str = "[5]", seeds: str = "[0]", rest: str = "") -> Plan:
    return make_plan(
        parse_spec(f"name: p\ndataset: digits\nmethods: {methods}\ntasks: {tasks}\nseeds: {seeds}\n{rest}", "s")
    )


def stages(made: Plan, label: str, split: str = "5", seed: int = 0) -> list[str]:
    """The stages of one job, each as `learn 1`, in order."""
    recipes = [made.stages[key].recipe for key in job(made, label, split, seed).stages]
    return [f"{recipe.kind} {recipe.task}" for recipe in recipes]


def job(made: Plan, label: str, split: str = "5", seed: int = 0):
    (found,) = (j for j in made.jobs if (j.entry.label, j.split.label, j.seed) == (label, split, seed))
    return found


def first(made: Plan, label: str, split: str = "5") -> str:
    """Key of what a job's first task trains."""
    return job(made, label, split).learn[0]


# ---- the order of classes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SHUFFLED)
def test_the_class_order_is_the_known_shuffle(seed):
    assert class_order(10, seed) == SHUFFLED[seed]


def test_planning_leaves_the_global_random_numbers_alone():
    random.seed(5)
    expected = random.random()
    random.seed(5)
    plan("[base, abd]", seeds="[0, 1]")
    assert random.random() == expected


def test_tasks_are_consecutive_slices_of_the_order():
    assert deal(SHUFFLED[0], (4, 2, 2, 2)) == ((7, 8, 1, 5), (3, 4), (2, 0), (9, 6))
    made = plan("[base]", "[5, {first: 4, then: 2}]")
    assert job(made, "base").tasks == ((7, 8), (1, 5), (3, 4), (2, 0), (9, 6))
    assert job(made, "base", "4+2").tasks == ((7, 8, 1, 5), (3, 4), (2, 0), (9, 6))


# ---- what a job is made of -------------------------------------------------------------------------------------------


def test_a_chain_without_memory_or_dreams_is_one_learn_a_task():
    made = plan("[base]")
    assert stages(made, "base") == ["learn 1", "learn 2", "learn 3", "learn 4", "learn 5"]


def test_dreaming_and_remembering_open_the_next_task_and_follow_no_last_one():
    made = plan("[abd, rehearsal]")
    for label, kind in (("abd", "dream"), ("rehearsal", "remember")):
        expected = [stage for t in range(1, 5) for stage in (f"learn {t}", f"{kind} {t}")] + ["learn 5"]
        assert stages(made, label) == expected
    assert (made.count("learn"), made.count("dream"), made.count("remember")) == (9, 4, 4)


def test_one_task_alone_neither_dreams_nor_remembers():
    made = plan("[abd, rehearsal]", "[1]")
    assert stages(made, "abd", "1") == stages(made, "rehearsal", "1") == ["learn 1"]


def test_stages_read_what_methods_need():
    made = plan("[abd, rehearsal]")

    def parents(label):
        return {
            f"{r.kind} {r.task}": {role: f"{p.kind} {p.task}" for role, p in _parents(made, r).items()}
            for r in (made.stages[key].recipe for key in job(made, label).stages)
        }

    abd, rehearsal = parents("abd"), parents("rehearsal")
    assert abd["learn 1"] == {}
    assert abd["dream 1"] == {"model": "learn 1"}
    assert abd["dream 2"] == {"model": "learn 2", "generator": "dream 1"}
    assert abd["learn 3"] == {"model": "learn 2", "generator": "dream 2"}
    assert rehearsal["remember 1"] == {}
    assert rehearsal["remember 2"] == {"memory": "remember 1"}
    assert rehearsal["learn 3"] == {"model": "learn 2", "memory": "remember 2"}


def _parents(made: Plan, recipe):
    return {role: made.stages[key].recipe for role, key in recipe.parents.items()}


def test_parents_come_before_children_in_the_plan_and_in_every_job():
    made = plan("[upper-bound, base, lwf, abd, rehearsal]", "[5, 10]", "[0, 1]")
    orders = [list(made.stages), *(list(j.stages) for j in made.jobs)]
    for order in orders:
        place = {key: at for at, key in enumerate(order)}
        assert all(place[parent] < place[key] for key in order for parent in made.stages[key].parents)


def test_the_plan_says_which_jobs_use_a_stage():
    made = plan("[upper-bound, base, abd]", "[5, 10]", "[0, 1]")
    assert made.users.keys() == made.stages.keys()
    for key, positions in made.users.items():
        assert positions == tuple(at for at, j in enumerate(made.jobs) if key in j.stages)
    assert made.unshared == sum(len(j.stages) for j in made.jobs)


def test_jobs_are_methods_by_splits_by_seeds_with_names_of_their_own():
    made = plan("[base, {name: base, label: again}]", "[5, {first: 4, then: 2}]", "[0, 7]")
    assert len({j.name for j in made.jobs}) == len({j.slug for j in made.jobs}) == len(made.jobs) == 8
    assert job(made, "again", "4+2", 7).name == "again · 4 tasks (4+2) · seed 7"
    assert job(made, "base", "5", 0).slug == "base-5-s0"


def test_exclusions_take_out_the_cells_they_match_and_no_other():
    rest = "exclude: [{method: lwf, tasks: 5, seed: 1}, {method: base, training.lr: 0.1, seed: 0}]"
    made = plan("[base, lwf]", "[5, 10]", "[0, 1]", rest)
    assert made.excluded == 3
    cells = [(j.entry.label, j.split.label, j.seed) for j in made.jobs]
    assert cells == [("base", "5", 1), ("base", "10", 1), ("lwf", "5", 0), ("lwf", "10", 0), ("lwf", "10", 1)]


# ---- what jobs share -------------------------------------------------------------------------------------------------


def test_the_first_task_is_shared_by_the_methods_that_begin_with_plain_cross_entropy():
    made = plan("[base, lwf, abd, rehearsal]")
    assert len({first(made, label) for label in ("base", "lwf", "abd", "rehearsal")}) == 1
    assert made.stages[first(made, "abd")].recipe.method == "cross-entropy"
    assert len(made.stages) == made.unshared - 3


def test_with_the_public_codes_quirks_abds_first_task_is_its_own():
    made = plan("[base, lwf, abd, rehearsal]", rest="quirks: iccv2021")
    assert len({first(made, label) for label in ("base", "lwf", "rehearsal")}) == 1
    assert first(made, "abd") != first(made, "base")


def test_quirks_leave_alone_what_they_do_not_change():
    both = "[{0}, {{name: {0}, label: quirky, quirks: iccv2021}}, abd, {{name: abd, label: dq, quirks: iccv2021}}]"
    made = plan(both.format("r-dfcil"))
    assert job(made, "r-dfcil").stages == job(made, "quirky").stages
    # All others start from another network, if nothing else.
    made = plan(both.format("lwf"))
    assert not set(job(made, "lwf").stages) & set(job(made, "quirky").stages)
    assert not set(job(made, "abd").stages) & set(job(made, "dq").stages)


def test_two_abds_that_differ_in_mu_share_the_first_task_and_the_first_dream():
    made = plan("[abd, {name: abd, label: light, mu: 0.2}]")
    one, other = job(made, "abd").stages, job(made, "light").stages
    assert one[:2] == other[:2] and not set(one[2:]) & set(other[2:])


def test_the_first_task_is_not_shared_between_splits_or_seeds():
    made = plan("[base]", "[5, 10]", "[0, 1]")
    assert len(made.stages) == made.unshared == 2 * (5 + 10)


def test_the_last_upper_bound_is_one_stage_for_all_splits():
    made = plan("[upper-bound]", "[2, 5, 10, {first: 4, then: 2}]", "[0, 1]")
    assert len(made.jobs) == 8 and len(made.stages) == 2
    assert job(made, "upper-bound").learn[:4] == (None,) * 4
    (recipe,) = {key: s.recipe for key, s in made.stages.items() if s.recipe.seed == 0}.values()
    assert (recipe.classes, recipe.stream) == ((SHUFFLED[0],), 0)


def test_upper_bounds_at_every_task_share_those_of_equal_classes():
    made = plan("[{name: upper-bound, at_every_task: true}]", "[5, 10]")
    assert None not in job(made, "upper-bound", "10").learn
    # After 1..5 tasks of two classes, and after 1..10 tasks of one.
    assert (made.unshared, len(made.stages)) == (15, 10)
    last = plan("[upper-bound]").stages
    assert last.keys() < made.stages.keys()


def test_one_task_of_everything_is_the_upper_bound():
    made = plan("[base, upper-bound]", "[1]")
    assert first(made, "base", "1") == first(made, "upper-bound", "1")


def test_what_sharing_saves_over_splits_and_methods():
    made = plan("[abd, lwf, base]", "[5, 10]")
    # abd 5 + 4 and 10 + 9, lwf and base 5 and 10 each; the two first tasks once instead of three times.
    assert (made.unshared, len(made.stages)) == (58, 54)
    assert sum(len(users) > 1 for users in made.users.values()) == 2
