"""A thread imports MLflow, be it while a cluster ends, whose servers take their folders off the import path."""

import importlib
import sys
import threading
from contextlib import contextmanager

import pytest

from orchestrator.cluster.batch import batch_workers
from orchestrator.cluster.local import environments, local_client
from orchestrator.cluster.profile import load_profile
from orchestrator.cluster.systems import BATCH_SYSTEMS
from tests.support.processes import wait_until


@contextmanager
def a_local_cluster(folder, monkeypatch):
    with local_client(environments("cpu", 2, 1)) as client:
        client.wait_for_workers(2, timeout=60)
        yield


@contextmanager
def a_batch_systems_cluster(folder, monkeypatch):
    """With stand-ins for its commands, and a job that never starts."""
    for name in ("sbatch", "scancel"):
        (folder / name).write_text('#!/bin/sh\necho "Submitted batch job 1"\n')
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    (folder / "profile.yaml").write_text('walltime: "01:00:00"\ncores: 1\nmemory: 1GB\n')
    with batch_workers(load_profile(folder / "profile.yaml", BATCH_SYSTEMS["slurm"]), folder, 1, 1):
        yield


@pytest.mark.parametrize("cluster", [a_local_cluster, a_batch_systems_cluster])
def test_a_thread_that_imports_while_a_cluster_ends_finds_its_module(cluster, tmp_path, monkeypatch):
    gate, modules = tmp_path / "gate", tmp_path / "modules"
    modules.mkdir()
    (modules / "found_at_last.py").write_text("")
    at_the_gate, opened = threading.Event(), threading.Event()

    class Gate:
        """Where the thread waits in the midst of its look along the list, and finds nothing."""

        def __init__(self, entry):
            if entry != str(gate):
                raise ImportError

        def find_spec(self, name, target=None):
            if name == "found_at_last":
                at_the_gate.set()
                assert opened.wait(60)

    monkeypatch.setattr(sys, "path", [*sys.path, str(gate), str(modules)])
    monkeypatch.setattr(sys, "path_hooks", [Gate, *sys.path_hooks])
    before = list(sys.path)
    found = []

    def look():
        try:
            found.append(importlib.import_module("found_at_last"))
        except ImportError as error:
            found.append(error)

    importing = threading.Thread(target=look, daemon=True)
    try:
        with cluster(tmp_path, monkeypatch):
            wait_until(lambda: len(sys.path) > len(before), 30, "Dask's folders on the import path")
            importing.start()
            assert at_the_gate.wait(30)
    finally:
        opened.set()
    importing.join()
    assert found == [sys.modules.pop("found_at_last", None)] and found[0] is not None
    assert sys.path == before
