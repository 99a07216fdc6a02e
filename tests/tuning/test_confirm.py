"""The choice on fresh seeds, and the winner as a spec."""

import json

import pytest

from orchestrator.engine import engine
from orchestrator.spec.load import parse_spec
from orchestrator.spec.model import settings_of
from orchestrator.store.store import Store
from orchestrator.tuning import session, show
from orchestrator.tuning.confirm import Candidate, Verdict, confirm_plan, judge, paired
from orchestrator.tuning.export import winner_spec
from orchestrator.tuning.session import Session, TuningOptions
from tests.support.fake_tuning import SPEC, options, read, search


def test_the_difference_is_paired_seed_by_seed():
    item = paired("final_accuracy", [10.0, 20.0, 30.0], [12.0, 23.0, 31.0], 0.95)
    assert (item.published, item.found, item.difference) == (20, 22, 2)
    # t(0.975, 2) = 4.302653; the differences 2, 3 and 1 have the standard deviation 1.
    assert item.high == pytest.approx(2 + 4.302653 / 3**0.5, abs=1e-5)
    assert item.low == pytest.approx(2 - 4.302653 / 3**0.5, abs=1e-5)


def test_less_forgetting_is_better():
    item = paired("forgetting", [10.0, 12.0], [8.0, 11.0], 0.95)
    assert item.difference == 1.5 and item.found < item.published


def verdict(*differences):
    found = [
        Candidate(number, {"mu": 0.1}, (paired("final_accuracy", [50.0, 50.0, 50.0], [50 + d for d in given], 0.95),))
        for number, given in enumerate(differences, start=1)
    ]
    good = [one for one in found if one.at_least_as_good]
    return Verdict(
        tuple(found), max(good, key=lambda one: one.differences[0].difference, default=None), (7, 8, 9), 0.95
    )


def test_the_tool_says_when_nothing_is_better():
    assert (
        verdict([-1, -2, 1], [-3, 0, 1])
        .text()
        .endswith("Nothing found is better than the published setting: keep that.")
    )


def test_the_tool_says_what_chance_may_give_and_what_not():
    assert "by no more than chance may give" in verdict([9, -2, 1]).text()
    text = verdict([9, -2, 1], [4.0, 4.1, 4.2]).text()
    assert text.endswith("The winner is trial 2; it is better than the published setting.")


def test_the_interval_widens_with_the_number_of_candidates(tmp_path):
    asked = read("confirm: {seeds: [7, 8]}")
    one, three = {1: {"mu": 0.2}}, {n: {"mu": n / 10} for n in (2, 3, 4)}
    for candidates, confidence in ((one, 0.95), (three, 1 - 0.05 / 3)):
        plan = confirm_plan(asked, candidates, "cpu")
        store = Store(tmp_path)
        engine.run(plan, store, options(), lambda event: None)
        found = judge(asked, plan, candidates, store.records(plan.stages.values()))
        assert found.confidence == pytest.approx(confidence)
        assert {job.seed for job in plan.jobs} == {7, 8}
        assert {stage.recipe.data.fold for stage in plan.stages.values()} == {9} and found.folds == 10
        assert [job.entry.label for job in plan.jobs][::2] == ["published", *(f"trial-{n}" for n in candidates)]


# ---- the winner ------------------------------------------------------------------------------------------------------


def test_the_winner_is_a_spec_that_can_be_launched():
    text = SPEC.format(more="trials: 3").replace(
        "methods: [abd]", "methods: [base, {name: abd, label: mine, dreaming: {steps: 9}}]\nmemory: 7"
    )
    asked = parse_spec(text.replace("method: abd", "method: mine"), "s", ["training.epochs=3"])
    written = winner_spec(asked, {"dreaming.lr": 0.002, "mu": 0.25, "training.lr": 0.05}, "found by\ntrial 3")
    assert written.startswith("# found by\n# trial 3\nname: fake-tuned\n")
    launched = parse_spec(written, "winner.yaml")
    published, tuned = launched.methods
    assert (published.label, tuned.label) == ("mine", "mine-tuned") and launched.tune is None
    assert settings_of(published) == settings_of(asked.methods[1])
    assert settings_of(tuned) == settings_of(published) | {"dreaming.lr": 0.002, "mu": 0.25, "training.lr": 0.05}
    assert tuned.training.epochs == 3 and tuned.dreaming.steps == 9
    assert launched.seeds == asked.seeds and launched.dataset == asked.dataset


# ---- a whole session -------------------------------------------------------------------------------------------------


@pytest.fixture
def no_tracking(monkeypatch):
    class Nothing:
        def __init__(self, *_):
            self.endings = []

        def start(self): ...

        def deliver(self, view): ...

        def finish(self, views, ending):
            finished.append((list(views), ending))

    finished = []
    monkeypatch.setattr(session, "StudyTracker", Nothing)
    return finished


@pytest.mark.long
def test_a_session_ends_with_a_verdict_and_its_files(tmp_path, no_tracking):
    asked = read("trials: 6\nconfirm: {top: 2, seeds: [7, 8]}")
    lines = []
    assert Session(asked, TuningOptions(tmp_path, options()), lines.append).run().failed is False
    (folder,) = (tmp_path / "tuning").iterdir()
    told = json.loads((folder / "confirmation.json").read_text())
    assert len(told["candidates"]) == 2 and told["seeds"] == [7, 8] and told["folds"] == 10
    images = "fresh seeds 7, 8 and held-out images that judged no trial (the last of 10 folds)"
    assert any(line.startswith(f"On {images}, against the published setting:") for line in lines)
    assert (told["winner"] is not None) == (folder / "winner.yaml").exists()
    assert any(" trials of 3 seeds, where separate sweeps take 162" in line for line in lines)
    for name in ("history", "slice", "parallel-coordinates", "importance"):
        assert (folder / "plots" / f"{name}.html").stat().st_size in range(5_000, 500_000)
        assert (folder / "plots" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    ((views, ending),) = no_tracking
    assert len(views) == 6 and ending.state == "FINISHED" and ending.best["best.confirmed"] == "yes"
    shown = show.text(show.opened(asked, tmp_path, None, "cpu"))
    assert (
        "0 (published)" in shown
        and "what final_accuracy depends on, by the " in shown
        and f"confirmed on {images}: " in shown
    )


def test_show_says_that_nothing_was_tuned(tmp_path):
    from orchestrator.errors import UserError

    with pytest.raises(UserError, match="nothing was tuned"):
        show.opened(read(), tmp_path, None, "cpu")
    search(read("trials: 1"), tmp_path)
    with pytest.raises(UserError, match="was not tuned yet"):
        show.opened(read("validation: 0.4"), tmp_path, None, "cpu")


@pytest.mark.long
def test_without_plotly_there_are_pictures_and_a_word_how_to_get_more(tmp_path, no_tracking, monkeypatch):
    monkeypatch.setattr("optuna.visualization.is_available", lambda: False)
    lines = []
    outcome = Session(read("trials: 2\nconfirm: {top: 0}"), TuningOptions(tmp_path, options()), lines.append).run()
    assert {path.suffix for path in (outcome.folder / "plots").iterdir()} == {".png"}
    assert lines[-1] == "for plots as HTML, too: pip install 'dfcil-sweep[plots]', and the same command again"
