"""Where reports come from: the store, a tracking store, several sweeps; and what they say of what is not whole."""

import io
import json
import re

import pandas as pd
import pytest
from scipy import stats

import reports
from orchestrator.cli import sources
from orchestrator.errors import UserError
from reports.compare import compare
from reports.frame import COLUMNS, frame_of
from reports.merge import merge
from reports.tables.cells import cells
from tests.support.reported import AS_EVER, ERROR, SPEC, launched, noisy, output

SMALL = SPEC.replace("  - rehearsal\n", "").replace("tasks: [2, 5]", "tasks: [2]")
# What a tracking store knows otherwise: the address of a run, and of the stages only the one that ended last.
ELSEWHERE = {"run", "host", "device", "commit"}
METRICS = ("final", "average", "forgetting", "bwt", "omega", "local", "weighted", "learning", "intransigence")


def broken(job):
    return job.entry.label == "abd" and job.seed == 1


def left_out(job):
    """abd fails at seed 1, base is half-finished at seed 2, r-dfcil, which shares no stage, has nothing of seed 0."""
    if broken(job):
        return 1
    if job.entry.label == "base" and job.seed == 2:
        return 1
    return len(job.stages) if job.entry.label == "r-dfcil" and job.seed == 0 else 0


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A sweep with jobs of every state, in the store and in MLflow."""
    runs = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        launched(runs, text=SPEC.replace("rehearsal", "r-dfcil"), left_out=left_out, failed=broken, tracked=True)
    return runs


@pytest.fixture(autouse=True)
def no_tracking_uri(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def read(runs, *names, uri=None):
    return sources.read(str(runs), names, "cpu", uri)


def in_order(sweep):
    frame = frame_of(sorted(sweep.jobs, key=lambda job: (job.label, job.split, job.seed)))
    return frame.drop(columns=list(ELSEWHERE))


# ---- store and tracking store ----------------------------------------------------------------------------------------


def test_mlflow_gives_the_same_table_as_the_store_to_the_last_digit(whole):
    uri = f"sqlite:///{whole / 'mlflow.db'}"
    (store,), (mlflow,) = read(whole, "demo"), read(whole, "demo", uri=uri)
    ours, theirs = in_order(store), in_order(mlflow)
    assert ours["final"].notna().sum() >= 12 and ours["omega"].notna().any()
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True, check_dtype=False)
    for metric in METRICS:
        for ddof in (0, 1):
            asked = ("report", "demo", "--runs", whole, "--metric", metric, "--ddof", ddof, "--format", "csv")
            assert output(*asked) == output(*asked, "--tracking-uri", uri)


def test_mlflow_without_its_artifacts_gives_the_same_table(whole, tmp_path):
    # Somebody else's database, whose artifact folder is not on this machine: the metrics alone are left.
    import sqlite3

    copy = tmp_path / "theirs.db"
    with sqlite3.connect(whole / "mlflow.db") as old, sqlite3.connect(copy) as new:
        old.backup(new)
        new.execute("UPDATE runs SET artifact_uri = replace(artifact_uri, 'mlartifacts', 'nowhere')")
    asked = ("report", "demo", "--runs", whole, "--format", "csv", "--metric", "average")
    ours, theirs = (
        pd.read_csv(io.StringIO(output(*asked, *more))) for more in ((), ("--tracking-uri", f"sqlite:///{copy}"))
    )
    finished = ours[ours["n"] > 0].reset_index(drop=True)
    theirs = theirs[theirs["n"] > 0].reset_index(drop=True)
    shown = ["method", "split", "mean", "std", "n"]
    pd.testing.assert_frame_equal(finished[shown], theirs[shown], check_exact=True)


def test_an_unknown_sweep_of_a_tracking_store(whole):
    with pytest.raises(UserError, match="no sweep 'dem' in the tracking store"):
        read(whole, "dem", uri=f"sqlite:///{whole / 'mlflow.db'}")


def test_every_job_is_linked_to_its_run(whole):
    jobs = frame_of(read(whole, "demo")[0].jobs)
    begun = jobs[jobs["done"] > 0]
    assert begun["run"].str.match(r"http://127\.0\.0\.1:5000/#/experiments/\d+/runs/[0-9a-f]{32}").all()
    assert begun["run"].is_unique


# ---- what is not whole -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["terminal", "markdown", "latex", "json", "html"])
def test_a_table_says_what_failed_is_missing_and_half_finished(whole, form):
    text = output("report", "demo", "--runs", whole, "--format", form)
    assert "2 jobs failed: " in text and ERROR in text
    assert "half-finished: " in text and "missing (nothing of it is done): " in text
    assert ("2 of 3" in text) if form != "json" else ('"n": 2' in text and '"asked": 3' in text)


def test_the_states_of_jobs(whole):
    frame = frame_of(read(whole, "demo")[0].jobs).set_index(["label", "split", "seed"])
    assert frame.loc[("abd", "5", 1), "state"] == "failed" and frame.loc[("abd", "5", 1), "error"] == ERROR
    assert frame.loc[("base", "5", 2), "state"] == "half-finished"
    assert frame.loc[("r-dfcil", "2", 0), "state"] == "missing"
    assert frame.loc[("upper-bound", "2", 0), "state"] == "finished"
    assert frame.loc[frame["state"] != "finished", "final"].isna().all()


def test_a_damaged_stage_counts_as_not_done_and_is_told(tmp_path):
    plan = launched(tmp_path, text=SMALL)
    stage = plan.stages[next(job for job in plan.jobs if job.entry.label == "base").stages[-1]]
    (tmp_path / "stages" / stage.folder / "record.json").write_text("{")
    (sweep,) = read(tmp_path, "demo")
    assert [note for note in sweep.notes if stage.folder in note and "damaged" in note]
    assert "left out, damaged" in output("report", "demo", "--runs", tmp_path)
    assert cells(frame_of(sweep.jobs))["base", "2"].n == 2


# ---- several sweeps --------------------------------------------------------------------------------------------------


def test_equal_jobs_of_two_sweeps_count_once(tmp_path):
    launched(tmp_path, "one", SMALL)
    launched(tmp_path, "two", SMALL.replace("repeats: 3", "repeats: 4"))
    jobs, notes = merge(read(tmp_path, "one", "two"))
    assert len(jobs) == 3 * 4
    assert notes == ["9 duplicate jobs with equal numbers counted once"]
    assert cells(frame_of(jobs))["abd", "2"].n == 4


def test_conflicting_duplicates_are_told_and_kept_apart(tmp_path):
    launched(tmp_path / "a", "one", SMALL)
    launched(tmp_path / "b", "two", SMALL, made=noisy("other", "abd"))
    sweeps = read(tmp_path / "a", "one") + read(tmp_path / "b", "two")
    jobs, notes = merge(sweeps)
    told = "3 conflicting duplicates, kept apart by sweep: abd · 2 tasks · seed 0"
    assert any(note.startswith(told) for note in notes)
    frame = frame_of(jobs)
    assert set(frame["label"]) == {"upper-bound", "base", "abd [one]", "abd [two]"}
    table = cells(frame)
    assert table["abd [one]", "2"].n == table["abd [two]", "2"].n == 3
    assert table["abd [one]", "2"].mean == cells(frame_of(sweeps[0].jobs))["abd", "2"].mean


def test_a_label_that_means_two_things_is_told_and_kept_apart(tmp_path):
    launched(tmp_path, "one", SMALL)
    launched(tmp_path, "two", SMALL.replace("steps: 40", "steps: 50"))
    jobs, notes = merge(read(tmp_path, "one", "two"))
    assert any("abd differs between one and two: dreaming.steps 40 and 50" in note for note in notes)
    assert {"abd [one]", "abd [two]"} <= {job.label for job in jobs}


# ---- compare ---------------------------------------------------------------------------------------------------------


def test_compare_pairs_jobs_over_seeds(tmp_path):
    launched(tmp_path / "a", "one", SMALL)
    launched(tmp_path / "b", "two", SMALL, made=noisy("other", "abd"), left_out=lambda job: job.entry.label == "base")
    (a,), (b,) = read(tmp_path / "a", "one"), read(tmp_path / "b", "two")
    found = compare(a.jobs, b.jobs)
    ours, theirs = (frame_of(sweep.jobs).query("label == 'abd'")["final"].tolist() for sweep in (a, b))
    abd = found.cells["abd", "2"]
    assert abd.p == pytest.approx(stats.ttest_rel(theirs, ours).pvalue, rel=1e-9)
    assert abd.mean == pytest.approx(sum(theirs) / 3 - sum(ours) / 3)
    same = found.jobs.set_index("label")["identical"]
    assert same["upper-bound"].all() and not same["abd"].any() and "base" not in same
    assert not found.identical and "3 jobs with no number in B" in found.notes[0]


def test_the_compare_command(tmp_path):
    launched(tmp_path / "a", "one", SMALL)
    launched(tmp_path / "b", "one", SMALL, made=noisy("other", "abd", commit="decade"))
    both = ("compare", "one", "one", "--runs", tmp_path / "a", "--runs-b")
    assert "all 9 jobs in both are identical to the last digit" in output(*both, tmp_path / "a", "--exit-code")
    assert "6 of 9 jobs in both are identical" in output(*both, tmp_path / "b")
    assert len(output(*both, tmp_path / "b", "--format", "csv").splitlines()) == 1 + 9
    told = json.loads(output(*both, tmp_path / "b", "--format", "json"))
    assert {cell["method"]: cell["n"] for cell in told["cells"]} == {"upper-bound": 3, "base": 3, "abd": 3}
    by_commit = ("compare", "one@c0ff", "one@dec", "--runs", tmp_path / "a", "--runs-b", tmp_path / "b")
    assert "6 of 9 jobs" in output(*by_commit)
    with pytest.raises(UserError, match="computed at commit beef alone. Commits: c0ffee"):
        read(tmp_path / "a", "one@beef")


# ---- pandas ----------------------------------------------------------------------------------------------------------


def test_load_gives_the_documented_frame(whole, monkeypatch):
    frame = reports.load("demo", runs=str(whole))
    assert list(frame.columns) == list(COLUMNS)
    assert len(frame) == 4 * 2 * 3
    assert any("jobs failed" in note for note in frame.attrs["notes"])
    monkeypatch.setenv("DFCIL_RUNS", str(whole))
    pd.testing.assert_frame_equal(reports.load("demo").drop(columns="run"), frame.drop(columns="run"))
    with pytest.raises(UserError, match="no sweep 'dem'"):
        reports.load("dem")
    with pytest.raises(UserError, match="no sweep was named"):
        reports.load()


def test_csv_of_jobs_is_that_frame(whole):
    text = output("report", "demo", "--runs", whole, "--format", "csv", "--rows", "jobs")
    read_back = pd.read_csv(io.StringIO(text), dtype={"split": str})
    frame = reports.load("demo", runs=str(whole))
    assert read_back["final"].tolist() == pytest.approx(frame["final"].tolist(), nan_ok=True, abs=0)
    assert read_back["split"].tolist() == frame["split"].tolist()


def test_what_a_sweep_that_was_launched_by_another_version_computed_is_still_read(tmp_path):
    # The stages' names in jobs.json are those of the launch; a program that names stages otherwise reads them still.
    launched(tmp_path, text=SMALL)
    before = reports.load("demo", runs=str(tmp_path))
    jobs = json.loads((tmp_path / "sweeps/demo/jobs.json").read_text())
    key = next(keys[-1] for name, keys in jobs.items() if name.startswith("base"))
    other = "0" * 64
    (folder,) = (tmp_path / "stages").glob(f"*-{key[:16]}")
    record = json.loads((folder / "record.json").read_text())
    record.pop("sha256")
    (folder / "record.json").write_text(json.dumps({**record, "key": other}))
    folder.rename(folder.with_name(re.sub(key[:16], other[:16], folder.name)))
    changed = (tmp_path / "sweeps/demo/jobs.json").read_text().replace(key, other)
    (tmp_path / "sweeps/demo/jobs.json").write_text(changed)
    after = reports.load("demo", runs=str(tmp_path))
    assert after["final"].tolist() == before["final"].tolist() and after["finished"].all()
    assert any("is read as it was launched" in note for note in after.attrs["notes"])


def test_mlflow_gives_top_5_accuracy_where_it_was_counted(tmp_path):
    def with_top5(plan, stage):
        told = AS_EVER(plan, stage)
        if "evaluation" in told:
            told["evaluation"]["correct_top5"] = dict.fromkeys(told["evaluation"]["correct"], 37)
        return told

    launched(tmp_path, text=SMALL.replace("repeats: 3", "seeds: [0]"), made=with_top5, tracked=True)
    (store,), (mlflow,) = read(tmp_path, "demo"), read(tmp_path, "demo", uri=f"sqlite:///{tmp_path}/mlflow.db")
    for sweep in (store, mlflow):
        assert set(frame_of(sweep.jobs)["top5"]) == {92.5}
