"""Files of a data set that are not there are told by `plan`, stop a launch before it starts, and are no failure."""

import json
import os

import pytest
from click.testing import CliRunner

from dfcil_core.data.cifar_files import ARCHIVES, FASHION_MNIST_FILES
from orchestrator.cli import cli
from orchestrator.errors import UserError
from orchestrator.launch import launch
from orchestrator.spec import dataset
from orchestrator.spec.load import parse_spec
from orchestrator.store import sweep_folder
from orchestrator.tune import tune
from tests.support.second_user import as_nobody, open_folder

NAMES = ("cifar10", "cifar100", "fashion-mnist")


def spec(name, root):
    return f"name: s\ndataset: {{name: {name}, root: {root}}}\nmethods: [base]\ntasks: [5]\nseeds: [0]\n"


def put(name, root):
    if name in ARCHIVES:
        (root / ARCHIVES[name].file).write_bytes(b"x")
        return
    (root / "FashionMNIST" / "raw").mkdir(parents=True)
    for file in FASHION_MNIST_FILES:
        (root / "FashionMNIST" / "raw" / f"{file}.gz").write_bytes(b"x")


@pytest.mark.parametrize("name", NAMES)
def test_plan_says_which_file_to_put_where(tmp_path, name):
    (tmp_path / "s.yaml").write_text(spec(name, tmp_path))
    asked = ["plan", str(tmp_path / "s.yaml"), "--runs", str(tmp_path / "runs")]
    done = CliRunner().invoke(cli, asked, catch_exceptions=False)
    file = ARCHIVES[name].file if name in ARCHIVES else "train-images-idx3-ubyte.gz"
    (told,) = [line for line in done.stdout.splitlines() if line.startswith("before a launch: ")]
    assert f"{name} is not in {tmp_path}" in told and file in told and "stages" in done.stdout
    facts = json.loads(CliRunner().invoke(cli, [*asked, "--json"], catch_exceptions=False).stdout)
    assert file in facts["missing_files"]
    put(name, tmp_path)
    assert "before a launch" not in CliRunner().invoke(cli, asked, catch_exceptions=False).stdout


@pytest.mark.parametrize("name", NAMES)
def test_a_launch_stops_before_it_starts(tmp_path, monkeypatch, name):
    monkeypatch.setattr(dataset, "answers", lambda address, seconds: False)
    with pytest.raises(UserError, match=f"{name} is not in .*It cannot be downloaded either"):
        launch(spec(name, tmp_path), runs=tmp_path / "runs", device="cpu")
    assert not (tmp_path / "runs").exists()
    monkeypatch.setattr(dataset, "answers", lambda address, seconds: True)
    dataset.require_files(parse_spec(spec(name, tmp_path), "s").dataset)
    monkeypatch.setattr(dataset, "answers", lambda address, seconds: pytest.fail("asked a network for what is there"))
    put(name, tmp_path)
    dataset.require_files(parse_spec(spec(name, tmp_path), "s").dataset)


def test_data_that_a_worker_did_not_find_is_no_remembered_failure(monkeypatch):
    from types import SimpleNamespace

    from orchestrator import launch as module

    failed = {
        "a": SimpleNamespace(error="dfcil_core.errors.MissingData: cifar10 is not in /x", traceback="Traceback"),
        "b": SimpleNamespace(error="ValueError: MissingData: no", traceback="Traceback"),
        "c": SimpleNamespace(error="the worker died", traceback=""),
    }
    monkeypatch.setattr(module, "stages_failed", lambda runs, plan: failed)
    begun = module._Launch.__new__(module._Launch)
    begun._runs = begun._chosen = None
    assert set(begun._given_up()) == {"b"}


@pytest.mark.parametrize("where", ["a file", "below a file", "/proc/x", "\0", "too long"])
def test_a_runs_folder_that_cannot_be_is_told_in_a_line(tmp_path, where):
    (tmp_path / "file").write_text("x")
    places = {
        "a file": tmp_path / "file",
        "below a file": tmp_path / "file" / "runs",
        "too long": tmp_path / ("x" * 300),
    }
    text = "name: s\ndataset: digits\nmethods: [base]\ntasks: [5]\nseeds: [0]\n"
    with pytest.raises(UserError, match="^the runs folder .* cannot be written to: .*--runs"):
        launch(text, runs=places.get(where, where), device="cpu")


def test_a_runs_folder_without_the_right_to_write():
    def ask():
        with pytest.raises(UserError, match="cannot be written to: Permission denied"):
            sweep_folder.require_writable(folder)
        return "refused"

    with open_folder() as folder:
        folder.chmod(0o555)  # root writes everywhere: another user asks
        assert (as_nobody(ask) if os.geteuid() == 0 else ask()) == "refused"


def test_a_wrong_tracking_address_leaves_no_runs_folder(tmp_path):
    text = "name: s\ndataset: digits\nmethods: [abd]\ntasks: [5]\nseeds: [0]\n"
    tuned = f"{text}tune: {{method: abd, trials: 2, space: {{mu: {{low: 0.1, high: 1}}}}}}\n"
    for run, given in ((launch, text), (tune, tuned)):
        with pytest.raises(UserError, match="^--tracking-uri: 'ftp://x' is no tracking store"):
            run(given, runs=tmp_path / "runs", device="cpu", tracking_uri="ftp://x")
    assert list(tmp_path.iterdir()) == []
