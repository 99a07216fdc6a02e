"""A study by its name: `status`, `report` and `ui` know it as they know a sweep."""

import json
import os
import shutil
import time

import pytest

from orchestrator.tuning.studies import called, folder_of, keep
from orchestrator.tuning.study import COMPLETE, Study, open_storage, study_name
from tests.support.fake_tuning import read


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A runs folder with a study of the spec `fake`, whose three trials were told these accuracies."""
    runs = tmp_path_factory.mktemp("tuned") / "runs"
    asked = read("trials: 3\npruner: none", **{"seeds: [0, 1, 2]": "seeds: [0]"})
    folder = folder_of(runs, study_name(asked, "cpu"))
    folder.mkdir(parents=True)
    keep(folder, asked, None, "cpu")
    study = Study(asked, open_storage(runs, None), "cpu")
    for accuracy in (40.0, 50.0, 45.0):
        trial, _ = study.ask()
        study.tell(trial, COMPLETE, [accuracy])
    return runs


def test_what_the_tuner_was_told_is_read_again(tmp_path):
    from orchestrator.spec.load import parse_spec

    asked = parse_spec(read().text, "fake.yaml", ("training.epochs=5",), data_root="data")
    folder = folder_of(tmp_path, "fake-0123456789ab")
    folder.mkdir(parents=True)
    keep(folder, asked, "sqlite:////data/optuna.db", "cuda")
    (kept,) = called(tmp_path, "fake")
    spec, storage, device = kept.told()
    assert (storage, device, spec.tune.trials) == ("sqlite:////data/optuna.db", "cuda", 6)
    assert (spec.overrides, spec.methods[0].training.epochs) == (("training.epochs=5",), 5)


def test_a_password_is_not_kept(tmp_path):
    from orchestrator.errors import UserError

    folder = folder_of(tmp_path, "fake-0123456789ab")
    folder.mkdir(parents=True)
    keep(folder, read(), "postgresql://me:geheim@host/db", "cpu")
    assert "geheim" not in (folder / "study.json").read_text()
    with pytest.raises(UserError, match="has a password, which is not kept"):
        called(tmp_path, "fake")[0].told()


def test_status_tells_of_studies(call, tuned):
    (kept,) = called(tuned, "fake")
    line = f"{kept.name}: 3 complete, 0 pruned, 0 running, 0 failed (asked for: 3)\n"
    assert call("status", "--runs", tuned) == call("status", "fake", "--runs", tuned) == (0, line, "")
    assert call("status", kept.name, "--runs", tuned)[1] == line
    assert json.loads(call("status", "--json", "--runs", tuned)[1]) == {"sweeps": [], "studies": [kept.name]}
    told = json.loads(call("status", "fake", "--json", "--runs", tuned)[1])
    assert told["tuners"] == []
    assert told["trials"] == {"complete": 3, "pruned": 0, "running": 0, "failed": 0}
    values = [trial["values"]["final_accuracy"] for trial in told["best"]]
    assert values == [50, 45, 40] and [trial["published"] for trial in told["best"]] == [False, False, True]


def test_status_tells_of_a_tuner_elsewhere_that_has_fallen_silent(call, tuned, tmp_path):
    runs = shutil.copytree(tuned, tmp_path / "copy")
    (kept,) = called(runs, "fake")
    elsewhere = {"token": "t", "host": "node7", "place": "another machine", "pid": 7, "born": None, "beat": 3}
    lease = kept.folder / "tuners" / ".lease-0123456789abcdef.json"
    lease.parent.mkdir()
    lease.write_text(json.dumps({**elsewhere, "since": 1e9}))
    (lease.parent / ".lease-lead.json").write_text(json.dumps({**elsewhere, "token": "l"}))
    (line,) = call("status", "fake", "--runs", runs)[1].splitlines()[1:]
    assert line.startswith("  tuner: process 7 on node7, since 2001-09-0") and "no sign of life" not in line
    assert json.loads(call("status", "fake", "--json", "--runs", runs)[1])["tuners"] == [
        {"host": "node7", "process": 7, "since": 1e9}
    ]
    long_ago = time.time() - 1800
    os.utime(lease, (long_ago, long_ago))
    told = call("status", "fake", "--runs", runs)[1]
    assert told.endswith("; no sign of life for 30 min: if it is gone, the same `tune` again goes on with its trials\n")


def test_report_tells_the_best_trials(call, tuned, tmp_path):
    status, out, err = call("report", "fake", "--runs", tuned)
    assert (status, err) == (0, "") and "0 (published)" in out and "final_accuracy" in out
    assert "where separate sweeps take 27" in out
    told = json.loads(call("report", "fake", "--format", "json", "--runs", tuned)[1])
    assert f"{told['best'][0]['values']['final_accuracy']:.2f}%" in out
    assert call("report", "fake", "-o", "study.txt", "--runs", tuned)[0] == 0
    assert (tmp_path / "study.txt").read_text() == out
    status, _, err = call("report", "fake", "--format", "latex", "--runs", tuned)
    assert status == 2 and "has no table of methods" in err


@pytest.mark.parametrize("command", ["status", "report"])
def test_a_slip_of_the_pen_is_answered_with_the_study(call, tuned, command):
    status, _, err = call(command, "fkae", "--runs", tuned)
    assert status == 2 and "no sweep 'fkae'" in err and "Did you mean 'fake'?" in err


def confirmed(**changes):
    difference = {
        "objective": "final_accuracy",
        "published": 50.0,
        "found": 52.5,
        "difference": 2.5,
        "low": 1,
        "high": 4,
    }
    candidate = {"trial": 1, "settings": {"mu": 0.2}, "differences": [difference]}
    return json.dumps({"candidates": [candidate], "winner": 1, "seeds": [7, 8], "confidence": 0.95, **changes})


def test_a_confirmation_is_told(call, tuned, tmp_path):
    runs = shutil.copytree(tuned, tmp_path / "runs")
    (called(runs, "fake")[0].folder / "confirmation.json").write_text(confirmed())
    told = json.loads(call("report", "fake", "--format", "json", "--runs", runs)[1])
    assert told["confirmation"] == {**json.loads(confirmed()), "folds": None}
    out = call("report", "fake", "--runs", runs)[1]
    assert "trial 1: mu 0.2; final_accuracy +2.50 points (+1.00 to +4.00)" in " ".join(out.split())


DAMAGED = {
    "empty": "",
    "cut": confirmed()[:40],
    "other JSON": "[]",
    "a wrong kind": confirmed(winner="first"),
    "a winner that is no candidate": confirmed(winner=2),
    "no candidates": json.dumps({"winner": None}),
}


@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_confirmation_costs_a_line(call, tuned, tmp_path, text):
    runs = shutil.copytree(tuned, tmp_path / "runs")
    path = called(runs, "fake")[0].folder / "confirmation.json"
    path.write_text(text)
    for arguments in (("status", "fake", "--json"), ("report", "fake"), ("report", "fake", "--format", "json")):
        status, out, err = call(*arguments, "--runs", runs)
        assert status == 0 and "confirmed" not in out
        assert err.startswith(f"warning: {path} is damaged: ") and err.count("\n") == 1
        assert "writes it anew" in err


@pytest.mark.parametrize("file", ["study.json", "spec.yaml"])
@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"{", b"[1]"])
def test_a_damaged_study_is_a_line_that_names_its_file(call, tuned, tmp_path, file, content):
    runs = shutil.copytree(tuned, tmp_path / "runs")
    path = called(runs, "fake")[0].folder / file
    path.write_bytes(content)
    status, _, err = call("report", "fake", "--runs", runs)
    assert status == 2 and str(path) in err and "Traceback" not in err
    status, _, err = call("status", "--runs", runs)
    assert status == 0 and str(path) in err and "Traceback" not in err
