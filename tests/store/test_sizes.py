"""`store`: everything in the runs folder is counted, once."""

import os

import pytest

from orchestrator.store.maintenance import OTHER, sizes
from orchestrator.store.store import Store
from tests.support.launched import dfcil


@pytest.fixture
def runs(tmp_path):
    runs = tmp_path / "runs"
    for name, length in {
        "stages/.saves-0123456789abcdef/a": 3,
        "logs/a.log": 5,
        "mlflow.db": 7,
        "mlartifacts/1/run/dreams.png": 11,
        "mlartifacts/2/run/dreams.png": 13,
        ".mlflow.db.lock": 17,
        "sweeps/demo/spec.yaml": 19,
        "thesis.tex": 23,
    }.items():
        (runs / name).parent.mkdir(parents=True, exist_ok=True)
        (runs / name).write_bytes(bytes(length))
    return runs


def told(runs):
    return {kind: (size.count, size.bytes) for kind, size in sizes(Store(runs)).items()}


def test_all_that_lies_there_is_counted_once(runs):
    assert told(runs) == {
        "saves": (1, 3),
        "logs": (1, 5),
        "mlflow.db": (1, 7),
        "mlartifacts": (2, 24),
        OTHER: (1, 17),
        "sweeps": (1, 19),
        "thesis.tex": (1, 23),
    }


def test_links_count_as_links_and_what_goes_meanwhile_as_nothing(runs, monkeypatch):
    (runs / "scratch").symlink_to(runs / "mlartifacts")
    assert told(runs)["scratch"][1] == len(os.readlink(runs / "scratch"))
    before, listdir = told(runs), os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: [*listdir(path), *(["mlflow.db-journal"] if path == runs else [])])
    assert told(runs) == before | {"mlflow.db-journal": (1, 0)}


def test_where_there_is_nothing(tmp_path):
    assert told(tmp_path / "none") == {}


def test_the_table_ends_with_the_sum(runs, tmp_path):
    lines = dfcil("store", "--runs", runs, folder=tmp_path).stdout.splitlines()
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]
    assert ["mlartifacts", "2", "", "24 B"] in rows and rows[-1] == ["all", "", "", "98 B"]
