"""`status --json` and `report --format json --rows`: the same numbers as for people, for programs."""

import json

import pytest


def test_status_of_one_sweep(call, tiny):
    status, out, _ = call("status", "tiny", "--json", "--runs", tiny.runs)
    told = json.loads(out)
    assert status == 0 and told["sweep"] == "tiny" and told["over"] is True
    assert told["stages"] == {"done": 6, "total": 6} and told["states"]["done"] == 3
    assert [job["job"] for job in told["jobs"]] == ["base-2-s0", "abd-2-s0", "rehearsal-2-s0"]
    assert told["launchers"] == told["running"] == told["failed"] == [] and told["damaged"] == {}
    assert told["saved_by_sharing"]["stages"] == 2
    shown = call("status", "tiny", "--runs", tiny.runs)[1]
    for job in told["jobs"]:
        assert (job["state"], job["stages"], job["after_task"]) == ("done", {"done": 3, "total": 3}, 2) or (
            job["stages"] == {"done": 2, "total": 2}
        )
        assert f"{job['accuracy']:.1f}% after task 2" in shown


def test_status_of_all(call, tiny, tmp_path):
    told = json.loads(call("status", "--json", "--runs", tiny.runs)[1])
    assert told == {
        "sweeps": [{"sweep": "tiny", "jobs": {"done": 3, "total": 3}, "stages": {"done": 6, "total": 6}}],
        "studies": [],
    }
    assert json.loads(call("status", "--json")[1]) == {"sweeps": [], "studies": []}
    assert list(tmp_path.iterdir()) == []


def test_watching_is_for_people(call, tiny):
    status, _, err = call("status", "tiny", "--json", "--watch", "--runs", tiny.runs)
    assert status == 2 and "leave --json out" in err


def test_rows_of_a_report_as_json(call, tiny, tmp_path):
    asked = ("report", "tiny", "--runs", tiny.runs, "--format", "json")
    whole = json.loads(call(*asked)[1])
    assert json.loads(call(*asked, "--rows", "jobs")[1]) == whole["jobs"]
    assert json.loads(call(*asked, "--rows", "cells")[1]) == whole["cells"]
    assert [job["label"] for job in whole["jobs"]] == ["base", "abd", "rehearsal"]
    assert call(*asked, "--rows", "jobs", "-o", "rows.json")[1] == ""
    assert json.loads((tmp_path / "rows.json").read_text()) == whole["jobs"]


@pytest.mark.parametrize("form", ["terminal", "html", "latex"])
def test_rows_go_with_formats_that_have_rows(call, tiny, form):
    status, _, err = call("report", "tiny", "--runs", tiny.runs, "--format", form, "--rows", "jobs")
    assert status == 2 and "--format csv or json" in err
