"""The statistics of tables against scipy and against values worked by hand."""

import random
import statistics

import pandas as pd
import pytest
from scipy import stats

from reports.statistics import against_best, half_width, holm, paired
from reports.tables.cells import NOT_WORSE, UNTESTED, cells, standings
from reports.tables.render import render

SEEDS = 5


def numbers(seed, around=50.0):
    luck = random.Random(seed)
    return [luck.gauss(around, 3.0) for _ in range(SEEDS)]


def rows(label, finals, group="data-free", split="5"):
    return [
        {"label": label, "group": group, "split": split, "tasks": 5, "seed": seed, "final": value, "forgetting": value}
        | {"finished": value is not None, "fold": None, "holdout": 0.0}
        for seed, value in enumerate(finals)
    ]


@pytest.mark.parametrize("case", range(5))
def test_the_paired_test_is_scipys(case):
    a, b = numbers(case), numbers(100 + case, 48.0)
    found = paired([x - y for x, y in zip(a, b, strict=True)])
    expected = stats.ttest_rel(a, b)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-9)
    interval = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-9)


@pytest.mark.parametrize("n", [2, 3, 10])
def test_the_interval_of_a_mean_is_scipys(n):
    values = [random.Random(n + i).uniform(0, 100) for i in range(n)]
    low, high = stats.t.interval(0.95, n - 1, statistics.fmean(values), stats.sem(values))
    assert half_width(values) == pytest.approx((high - low) / 2, rel=1e-9)
    assert cells(pd.DataFrame(rows("a", values)), ci=True)["a", "5"].std == pytest.approx((high - low) / 2, rel=1e-9)


def test_the_paired_test_worked_by_hand():
    # Differences 1, 2, 3: mean 2, deviation 1, t = 2 sqrt(3) with 2 degrees of freedom, whose distribution is
    # 1/2 + t / (2 sqrt(2 + t^2)): p = 1 - sqrt(12/14).
    found = paired([1.0, 2.0, 3.0])
    assert (found.n, found.mean) == (3, 2.0)
    assert found.p == pytest.approx(1 - (12 / 14) ** 0.5, rel=1e-12)


def test_pairs_that_say_nothing_of_chance():
    assert paired([0.0, 0.0]).p == 1.0 and paired([1.5, 1.5]).p == 0.0
    one = paired([2.0])
    assert (one.mean, one.low, one.high, one.p) == (2.0, None, None, None)
    assert half_width([1.0]) is None
    with pytest.raises(ValueError, match="no pairs"):
        paired([])


def test_holm_worked_by_hand():
    # In order: 0.01 * 4, 0.02 * 3, 0.03 * 2 held up by the one before it, 0.5 * 1.
    assert holm({"c": 0.03, "a": 0.01, "d": 0.5, "b": 0.02}) == pytest.approx(
        {"a": 0.04, "b": 0.06, "c": 0.06, "d": 0.5}
    )
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


def test_the_best_of_a_group_is_tested_against_each_other_of_it():
    best, far = numbers(1, 60.0), numbers(3, 30.0)
    close = [value - less for value, less in zip(best, (0.5, -0.4, 0.3, -0.2, 0.6), strict=True)]
    frame = pd.DataFrame([*rows("best", best), *rows("close", close), *rows("far", far), *rows("m", best, "memory")])
    found = standings(frame, "final", cells(frame))
    raw = {"close": stats.ttest_rel(best, close).pvalue, "far": stats.ttest_rel(best, far).pvalue}
    # far is the smaller: times two; close is times one, and no smaller than that.
    assert found["far", "5"].p == pytest.approx(2 * raw["far"], rel=1e-9)
    assert found["close", "5"].p == pytest.approx(max(raw["close"], 2 * raw["far"]), rel=1e-9)
    assert found["best", "5"].best and ("m", "5") not in found  # alone in its group
    assert (found["close", "5"].mark, found["far", "5"].mark) == (NOT_WORSE, "")
    text = render(frame, "markdown", best=True)
    assert f"| best | **{cells(frame)['best', '5']}** |" in text
    assert f"| close | {cells(frame)['close', '5']}{NOT_WORSE} |" in text
    assert f"{NOT_WORSE} not distinguishable from the best (paired t test over the seeds, Holm-corrected" in text


def test_less_is_better_of_forgetting_and_an_incomplete_cell_is_never_the_best():
    frame = pd.DataFrame([*rows("low", [1.0, 2.0]), *rows("high", [8.0, 9.5]), *rows("part", [0.0, None])])
    assert standings(frame, "forgetting", cells(frame, "forgetting"))["low", "5"].best
    assert standings(frame, "final", cells(frame))["high", "5"].best
    part = standings(frame, "forgetting", cells(frame, "forgetting"))["part", "5"]
    assert not part.best and part.mark == UNTESTED  # one seed in common with the best


def test_only_seeds_that_both_have_are_paired():
    a, b = {0: 1.0, 1: 2.5, 2: 4.0, 3: 9.0}, {1: 2.0, 2: 3.0, 3: 4.0, 7: 100.0}
    expected = stats.ttest_rel([2.5, 4.0, 9.0], [2.0, 3.0, 4.0]).pvalue
    assert against_best({"a": a, "b": b}, "a")["b"] == pytest.approx(expected, rel=1e-9)
    assert against_best({"a": a, "b": {9: 1.0}}, "a") == {"b": None}
