"""What several test files share."""

import os
import signal
import sys

import pytest

from tests.support.launched import Launched, launch
from tests.support.paths import ROOT

# Programs that tests start import from here too, whatever folder they stand in.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))

# They decide where every later test reads and writes.
STEERING = ("DFCIL_RUNS", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Launched:
    """The tiny sweep, launched once with two workers. To be read only: copy `runs` to change it."""
    return launch(tmp_path_factory.mktemp("tiny"), jobs=2)


@pytest.fixture(scope="session")
def blank(tmp_path_factory):
    """A tracking store with its tables and nothing in them: making them takes seconds, copying them none."""
    from mlflow.tracking import MlflowClient

    path = tmp_path_factory.mktemp("blank") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(autouse=True)
def environment_is_left_as_it_was():
    """A test that leaves one of these behind breaks another one, far from the cause: mlflow itself sets them."""
    before = {name: os.environ.get(name) for name in STEERING}
    yield
    assert {name: os.environ.get(name) for name in STEERING} == before


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """Call the console script's function in this process; exit status, output, errors."""
    from orchestrator.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DFCIL_RUNS", raising=False)
    monkeypatch.setenv("COLUMNS", "120")

    def called(*arguments):
        monkeypatch.setattr(sys, "argv", ["dfcil-sweep", *map(str, arguments)])
        try:
            main()
            status = 0
        except SystemExit as stop:
            status = stop.code or 0
        told = capsys.readouterr()
        return status, told.out, told.err

    return called


@pytest.fixture
def registries():
    """What a test registers is gone after it: methods, objectives, backbones, data sets and plug-ins."""
    from dfcil_core import plugins
    from dfcil_core.data.catalog import DATASETS
    from dfcil_core.methods import METHODS, OBJECTIVES
    from dfcil_core.networks.catalog import BACKBONES

    tables = (METHODS, OBJECTIVES, BACKBONES, DATASETS, plugins._plugins)
    kept = [(table, dict(table)) for table in tables]
    yield
    for table, content in kept:
        table.clear()
        table.update(content)


@pytest.fixture
def heard():
    """Hear every signal, also where the tests run under nohup or behind an `&`, which have some ignored."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
