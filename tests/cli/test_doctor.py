"""`doctor`: what it finds on this machine, and what it says where something is not right."""

import json
import os
import socket
import stat

import pytest

from dfcil_core.data.catalog import DATASETS
from orchestrator import doctor
from orchestrator.doctor import CHECKS, Asked, examine


@pytest.fixture
def found(tmp_path, monkeypatch):
    """What is found with these variables, by name; no server is asked."""
    for name in ("DFCIL_RUNS", "MLFLOW_TRACKING_URI", "CUDA_VISIBLE_DEVICES", *os.environ):
        if name.lower().endswith("_proxy") or name.startswith(("DFCIL", "MLFLOW", "CUDA")):
            monkeypatch.delenv(name, raising=False)

    def looked(runs="runs", **variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))
        asked = Asked(tmp_path / runs, tmp_path / "data", network=False)
        return {finding.name: finding for finding in examine(asked)}

    return looked


def test_it_looks_at_all_of_it_and_leaves_nothing(found, tmp_path):
    told = found()
    assert {"python", "packages", "device", "cores and memory", "runs folder", "scratch folder", "tracking store"} <= {
        *told
    }
    assert {"batch systems", "ports", "proxies", "variables"} <= {*told} and len(CHECKS) == 11
    assert {f"data {name}" for name, info in DATASETS.items() if info.needs_root and name != "folder"} <= {*told}
    assert [finding for finding in told.values() if finding.state == "problem"] == []
    assert all(finding.remedy for finding in told.values() if finding.state != "ok")
    assert list(tmp_path.iterdir()) == []


def test_for_people_and_for_programs(call, tmp_path):
    status, out, err = call("doctor", "--no-network")
    assert (status, err) == (0, "") and out.endswith("\nready\n") and "\n         -> docs/data.md says" in out
    told = json.loads(call("doctor", "--no-network", "--json")[1])
    assert [each["name"] for each in told][:2] == ["python", "packages"]
    assert all(f"{each['state']:<8} {each['name']}: " in out for each in told)
    assert list(tmp_path.iterdir()) == []


def test_a_runs_folder_that_cannot_be_written_to(call, tmp_path):
    (tmp_path / "file").write_text("")
    status, out, _ = call("doctor", "--no-network", "--runs", tmp_path / "file")
    assert status == 1 and "problem  runs folder: " in out and "--runs or DFCIL_RUNS" in out
    assert out.endswith("\n1 to be mended before a launch\n")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_of_somebody_elses(found, tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs").chmod(stat.S_IRUSR | stat.S_IXUSR)
    assert found("theirs")["runs folder"].state == "problem"


def test_a_tracking_store_that_mlflow_cannot_write_to(found):
    told = found(MLFLOW_TRACKING_URI="ftp://x")["tracking store"]
    assert told.state == "problem" and "ftp://x" in told.found and "unset it" in told.remedy


def test_no_password_is_told(found):
    told = found(MLFLOW_TRACKING_URI="http://me:geheim@here:5000", HTTPS_PROXY="http://me:geheim@proxy:3128")
    assert all("geheim" not in finding.found + finding.remedy for finding in told.values())


def test_a_proxy_between_us_and_ourselves(found):
    told = found(HTTP_PROXY="http://proxy:3128", MLFLOW_TRACKING_URI="http://tracking:5000")["proxies"]
    assert told.state == "note" and "127.0.0.1, tracking would go through it" in told.remedy
    assert "calls to 127.0.0.1 would" in found(MLFLOW_TRACKING_URI="http://127.0.0.1:5000")["proxies"].remedy
    assert found(MLFLOW_TRACKING_URI="http://tracking:5000", NO_PROXY="127.0.0.1,tracking")["proxies"].state == "ok"


def test_a_port_that_is_taken(found):
    with socket.socket() as other:
        try:
            other.bind(("127.0.0.1", 5000))
            other.listen()
        except OSError:
            pass  # another program has it already, which is what is looked for
        told = found()["ports"]
    assert told.state == "ok" and "5000 is taken" in told.found


def test_little_space_and_little_memory(found, monkeypatch):
    monkeypatch.setattr(doctor, "_LITTLE_SPACE", 2**60)
    monkeypatch.setattr(doctor, "_LITTLE_MEMORY", 2**60)
    told = found()
    assert told["runs folder"].state == "note" and "free some space" in told["runs folder"].remedy
    assert told["cores and memory"].remedy == "with ResNet-32 launch with --jobs 1"


def test_the_memory_is_that_of_the_container(found, monkeypatch, tmp_path):
    (tmp_path / "memory.max").write_text(f"{3 * 2**30}\n")
    monkeypatch.setattr(doctor, "_CONTAINER", tmp_path / "memory.max")
    assert "3.0 GiB of memory" in found()["cores and memory"].found


def test_a_package_that_is_too_old_or_not_there(found, monkeypatch):
    monkeypatch.setattr(doctor, "requires", lambda name: ["click>=999", "nobody-has-this", 'else-where; extra == "x"'])
    told = found()["packages"]
    assert told.state == "problem" and told.found.startswith("click is ")
    assert ", and not >=999; nobody-has-this is not installed" in told.found and "else-where" not in told.found


def test_a_batch_system_is_found_by_its_command(found, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "bsub").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "bsub").chmod(0o755)
    told = found(PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}")["batch systems"]
    assert "lsf (bsub)" in told.found and "docs/cluster.md" in told.remedy
