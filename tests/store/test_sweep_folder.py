"""The sweep's own folder: what was launched can be looked at by its name, and changes are told."""

import json

import pytest

from orchestrator.errors import UserError
from orchestrator.plan.plan import make_plan
from orchestrator.spec.load import load_spec, parse_spec
from orchestrator.spec.rehearsal import rehearse
from orchestrator.store import sweep_folder

TEXT = "name: s\nmethods: [base, abd]\ntasks: [5]\nseeds: [0, 1]\ntraining: {epochs: 4}\n"


def plan_of(text=TEXT, device="cpu", **how):
    return make_plan(parse_spec(text, "s.yaml", **how), device)


def same(one, other):
    return (list(one.stages), [job.name for job in one.jobs], one.device) == (
        list(other.stages),
        [job.name for job in other.jobs],
        other.device,
    )


def test_what_was_saved_is_loaded(tmp_path):
    plan = plan_of()
    assert not sweep_folder.save(tmp_path, plan)
    assert same(sweep_folder.load(tmp_path, "s"), plan)
    folder = tmp_path / "sweeps" / "s"
    assert (folder / "spec.yaml").read_text() == TEXT
    assert json.loads((folder / "jobs.json").read_text()) == {job.name: list(job.stages) for job in plan.jobs}
    assert sorted(path.name for path in folder.iterdir()) == ["jobs.json", "spec.yaml", "sweep.json"]


def test_the_device_and_what_set_gave_are_kept(tmp_path):
    plan = plan_of(device="cuda", overrides=("training.lr=0.05", "seeds=[7]"))
    sweep_folder.save(tmp_path, plan)
    loaded = sweep_folder.load(tmp_path, "s")
    assert same(loaded, plan) and loaded.device == "cuda"
    assert not same(loaded, plan_of(device="cuda"))
    assert loaded.spec.methods[0].training.lr == 0.05


def test_a_rehearsal_is_loaded_as_one(tmp_path):
    plan = make_plan(rehearse(parse_spec(TEXT, "s.yaml")))
    sweep_folder.save(tmp_path, plan)
    assert sweep_folder.names(tmp_path) == ["s-rehearsal"]
    assert same(sweep_folder.load(tmp_path, "s-rehearsal"), plan)


def test_the_same_again_changes_nothing(tmp_path):
    sweep_folder.save(tmp_path, plan_of())
    assert not sweep_folder.save(tmp_path, plan_of())
    # Nor does a comment.
    assert not sweep_folder.save(tmp_path, plan_of("# a word\n" + TEXT))
    assert (tmp_path / "sweeps" / "s" / "spec.yaml").read_text().startswith("# a word")


def test_another_spec_of_the_same_name_says_what_changes(tmp_path):
    sweep_folder.save(tmp_path, plan_of())
    changes = sweep_folder.save(tmp_path, plan_of(TEXT.replace("[base, abd]", "[base, lwf]")))
    assert changes.added == ("lwf · 5 tasks · seed 0", "lwf · 5 tasks · seed 1")
    assert changes.removed == ("abd · 5 tasks · seed 0", "abd · 5 tasks · seed 1")
    assert [job.entry.label for job in sweep_folder.load(tmp_path, "s").jobs] == ["base", "base", "lwf", "lwf"]


def test_a_job_with_other_settings_is_another_one(tmp_path):
    sweep_folder.save(tmp_path, plan_of())
    changes = sweep_folder.save(tmp_path, plan_of(TEXT.replace("base, abd", "base, {name: abd, mu: 0.5}")))
    assert changes.added == changes.removed == ("abd · 5 tasks · seed 0", "abd · 5 tasks · seed 1")


def test_names_are_of_sweeps_that_were_launched(tmp_path):
    assert sweep_folder.names(tmp_path) == []
    for name in ("zebra", "ant"):
        sweep_folder.save(tmp_path, plan_of(TEXT.replace("name: s", f"name: {name}")))
    (tmp_path / "sweeps" / "empty").mkdir()
    assert sweep_folder.names(tmp_path) == ["ant", "zebra"]


def test_an_unknown_name_gives_the_nearest(tmp_path):
    with pytest.raises(UserError, match="no sweep 'quick' in .* None was launched yet"):
        sweep_folder.load(tmp_path, "quick")
    sweep_folder.save(tmp_path, plan_of(TEXT.replace("name: s", "name: quickstart")))
    with pytest.raises(UserError, match="Did you mean 'quickstart'"):
        sweep_folder.load(tmp_path, "quickstrat")
    assert sorted(path.name for path in (tmp_path / "sweeps").iterdir()) == ["quickstart"]


def test_a_spec_file_stands_for_the_sweep_launched_from_it(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text(TEXT)
    fresh = sweep_folder.find(tmp_path / "runs", str(file), "cpu")
    assert same(fresh, plan_of())
    sweep_folder.save(tmp_path / "runs", make_plan(load_spec(file, overrides=("seeds=[5]",)), "cuda"))
    found = sweep_folder.find(tmp_path / "runs", str(file), "cpu")
    assert [job.seed for job in found.jobs] == [5, 5] and found.device == "cuda"
    # The file has changed since: it stands for itself.
    file.write_text(TEXT.replace("[0, 1]", "[9]"))
    assert [job.seed for job in sweep_folder.find(tmp_path / "runs", str(file), "cpu").jobs] == [9, 9]


def test_the_runs_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DFCIL_RUNS", raising=False)
    assert sweep_folder.runs_folder(None) == tmp_path / "runs"
    monkeypatch.setenv("DFCIL_RUNS", "elsewhere")
    assert sweep_folder.runs_folder(None) == tmp_path / "elsewhere"
    assert sweep_folder.runs_folder("given") == tmp_path / "given"
    monkeypatch.setenv("HOME", "/home/someone")
    assert str(sweep_folder.runs_folder("~/r")) == "/home/someone/r"
