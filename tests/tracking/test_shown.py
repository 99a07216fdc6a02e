"""Whether a sweep's run has the newest tables is known without making them."""

from dataclasses import replace

from orchestrator.results.job_result import job_results
from orchestrator.store.store import Store
from orchestrator.tracking.describe import shown
from orchestrator.tracking.tracker import Tracker
from tests.support.fabricated import finish, record, sweep


def of(plan, runs, with_texts=True):
    return shown(plan, job_results(plan, Store(runs).records(plan.stages.values())), with_texts)


def test_it_is_the_same_for_the_same_records_alone(tmp_path):
    plan = sweep(methods=("base",), seeds=(0,))
    finish(plan, tmp_path / "one")
    finish(plan, tmp_path / "half", list(plan.stages)[:2])
    finish(plan, tmp_path / "slower", made=lambda *told: {**record(*told), "seconds": 1.75})
    known = of(plan, tmp_path / "one")
    assert of(plan, tmp_path / "one") == known
    assert len({known, of(plan, tmp_path / "half"), of(plan, tmp_path / "slower")}) == 3
    assert of(plan, tmp_path / "one", with_texts=False) != known
    assert of(replace(plan, spec=replace(plan.spec, text="name: fab # more\n")), tmp_path / "one") != known


def test_tables_are_made_when_the_run_lacks_them(tmp_path):
    plan = sweep(methods=("base",), seeds=(0,))
    asked = []

    def texts(results):
        asked.append(sum(len(result.records) for result in results))
        return {"results.md": "| base |"}

    for count in (2, 2, 5):
        finish(plan, tmp_path, list(plan.stages)[:count])
        with Tracker(plan, tmp_path) as tracker:
            results = job_results(plan, Store(tmp_path).records(plan.stages.values()))
            assert tracker.finish("KILLED", results, texts) == 0
    assert asked == [2, 5]
