"""docs/tutorial.md: each of its commands works, one after the other, in an empty folder; and so does the notebook."""

import json
import os
import sys

import pytest

from tests.support.launched import PROGRAM, environment
from tests.support.paths import ROOT
from tests.support.tutorial import do


@pytest.fixture
def places(tmp_path):
    """What a terminal with the environment activated has: the command, and this Python."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, what in (("dfcil-sweep", f'-c "{PROGRAM}" "$@"'), ("python3", '"$@"')):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {what}\n')
        (programs / name).chmod(0o755)
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    return {**environment(), "PYTHONPATH": str(ROOT), "PATH": path}


@pytest.mark.long
def test_the_tutorial(tmp_path, places, monkeypatch):
    for name, value in places.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("DFCIL_RUNS", raising=False)
    folder = tmp_path / "mine"
    folder.mkdir()
    printed = do(folder)
    assert "6 of 6 jobs done" in printed
    assert "9 of 9 jobs done" in printed, "the last launch ran the third seed alone"
    names = ("pictures.html", "pictures.tex", "pictures.csv")
    assert all((folder / name).stat().st_size > 300 for name in names)
    assert "\\begin{tabular}" in (folder / "pictures.tex").read_text()
    assert len((folder / "pictures.csv").read_text().splitlines()) == 1 + 6
    assert list((folder / "figures").glob("*.pdf"))


@pytest.mark.long
def test_the_notebook(tmp_path, places, monkeypatch):
    import nbformat
    from nbclient import NotebookClient

    for name, value in places.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("DFCIL_RUNS", raising=False)
    notebook = nbformat.read(ROOT / "docs" / "tour.ipynb", as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    text = json.dumps([cell.get("outputs", []) for cell in notebook.cells])
    assert "4 jobs, 29 stages to run" in text or "stages run, 0 reused" in text
    assert "image/png" in text and "'complete': 2" in text


def test_the_notebook_is_kept_without_its_outputs():
    cells = json.loads((ROOT / "docs" / "tour.ipynb").read_text())["cells"]
    assert [cell["outputs"] for cell in cells if cell["cell_type"] == "code" and cell["outputs"]] == []
