"""The final network as an MLflow model: what is loaded gives the logits that the store has."""

import numpy as np
import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from safetensors.numpy import load_file

from dfcil_core.data.open import open_data
from dfcil_core.execution import Execution
from dfcil_core.networks.build import build
from dfcil_core.networks.catalog import BACKBONES
from dfcil_core.run_stage import run_stage
from dfcil_core.streams import stream
from orchestrator.results.job_result import job_results
from orchestrator.store.store import Store
from orchestrator.tracking import models, patient, tracking_uri, writer
from tests.support.fabricated import sweep
from tests.support.mlflow_views import jobs
from tests.support.tracked import Tracker, sync


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished sweep of one job that was really trained: two tasks of digits, one epoch each."""
    runs = tmp_path_factory.mktemp("models") / "my runs"
    plan = sweep(("base",), seeds=(0,), splits=((5, 5),))
    store = Store(runs)
    store.prepare()
    for number, (key, stage) in enumerate(plan.stages.items()):
        work = store.stages / f".work-{key[:16]}-test"
        work.mkdir()
        parents = {role: store.folder(plan.stages[parent]) for role, parent in stage.recipe.parents.items()}
        made = run_stage(stage.recipe, work, parents, Execution())
        times = {"started": 1.7e9 + number, "ended": 1.7e9 + number + 1, "seconds": 1.0, "attempt": 1}
        store.commit(stage, work, {**times, "provenance": {"versions": {}}, **made})
    return plan, runs


@pytest.fixture
def uri(trained, tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for remembered in (trained[1] / "sweeps").rglob("delivered-*"):
        remembered.unlink()
    return tracking_uri(tmp_path, None)


def logged(uri: str) -> list:
    client = MlflowClient(uri)
    return client.search_logged_models([client.get_experiment_by_name("fab").experiment_id])


def launch(trained, uri: str, warnings: list | None = None, **options) -> None:
    plan, runs = trained
    results = job_results(plan, Store(runs).records(plan.stages.values()))
    with Tracker(plan, runs, uri, warn=(warnings if warnings is not None else []).append, **options) as tracker:
        tracker.deliver(results[0])
        assert tracker.finish("FINISHED", results) == 0


def test_the_model_that_is_loaded_gives_the_logits_of_the_store(trained, uri, tmp_path, monkeypatch):
    import mlflow.pytorch
    import torch

    plan, runs = trained
    launch(trained, uri, log_models=True)
    (model,) = logged(uri)
    run = jobs(uri)["base · 2 tasks · seed 0"]
    assert (model.name, model.source_run_id, model.status.name) == ("network", run["id"], "READY")
    assert model.params == {"method": "base", "label": "base", "tasks": "2", "seed": "0"}
    assert [output.model_id for output in MlflowClient(uri).get_run(run["id"]).outputs.model_outputs] == [
        model.model_id
    ]

    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    stage = plan.stages[plan.jobs[0].stages[-1]]
    tensors = load_file(Store(runs).folder(stage) / "logits.safetensors")
    images = open_data(stage.recipe.data, None).test
    for address in (f"models:/{model.model_id}", f"runs:/{run['id']}/network"):
        network = mlflow.pytorch.load_model(address)
        with torch.no_grad():
            logits = network(images.pixels.float())
        assert logits.shape == (len(images.labels), 10)
        np.testing.assert_allclose(logits, tensors["logits"], atol=1e-3)
    about = mlflow.models.get_model_info(f"models:/{model.model_id}")
    assert about.signature.inputs.inputs[0].shape == (-1, 3, 8, 8)
    assert about.signature.outputs.inputs[0].shape == (-1, 10)
    assert about.metadata["classes"] == list(plan.jobs[0].class_order)
    assert list(tmp_path.rglob("model.pt2"))
    assert not [name for name in ("pickle_module_info.txt", "model.pth") if list(tmp_path.rglob(name))]


def test_models_are_off_by_default_and_logged_once(trained, uri, monkeypatch):
    launch(trained, uri)
    assert logged(uri) == []

    class Killed(BaseException):
        pass

    # Killed between any two calls, and launched again: one model.
    for victim in ("create_logged_model", "log_model_artifacts", "log_outputs", "finalize_logged_model"):
        real = getattr(MlflowClient, victim)

        def die(self, *args, real=real, **kwargs):
            real(self, *args, **kwargs)
            raise Killed

        monkeypatch.setattr(MlflowClient, victim, die)
        with pytest.raises(Killed):
            launch(trained, uri, log_models=True)
        monkeypatch.setattr(MlflowClient, victim, real)
    launch(trained, uri, log_models=True)
    (once,) = logged(uri)
    plan, runs = trained
    sync(plan, runs, uri, log_models=True)
    launch(trained, uri, log_models=True)
    assert [model.model_id for model in logged(uri)] == [once.model_id]


VICTIMS = ("create_logged_model", "log_outputs", "finalize_logged_model", "log_model_artifacts", "search_logged_models")


@pytest.mark.parametrize("lost", ["the call", "the answer"])
def test_every_call_of_a_model_is_made_again_over_a_lossy_network(trained, uri, monkeypatch, lost):
    failed = []

    class Lossy:
        """Each call of a model fails once, before or after it is made."""

        def __init__(self, client):
            self._client = client

        def __getattr__(self, name):
            found = getattr(self._client, name)
            if name not in VICTIMS or name in failed:
                return found

            def call(*arguments, **options):
                if name in failed:
                    return found(*arguments, **options)
                failed.append(name)
                if lost == "the answer":
                    found(*arguments, **options)
                raise MlflowException("API request failed: too many 503 error responses")

            # What uploads is many requests, each made again by itself (test_faults): here it is one.
            return patient._again(call) if name in patient.COMPOSITE else call

    monkeypatch.setattr(patient, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(writer, "patient_client", lambda uri: patient._Patient(Lossy(MlflowClient(tracking_uri=uri))))
    warnings = []
    launch(trained, uri, warnings, log_models=True)
    assert (sorted(failed), warnings) == (sorted(VICTIMS), [])
    (model,) = logged(uri)
    assert model.status == "READY"
    run = MlflowClient(uri).get_run(model.source_run_id)
    assert [output.model_id for output in run.outputs.model_outputs] == [model.model_id]


def test_a_network_that_is_not_as_it_was_written_is_not_logged(trained, uri):
    plan, runs = trained
    file = Store(runs).folder(plan.stages[plan.jobs[0].stages[-1]]) / "network.safetensors"
    sound = file.read_bytes()
    file.write_bytes(sound[:-4] + b"\x00\x00\x80\x3f")
    warnings = []
    launch(trained, uri, warnings, log_models=True)
    assert logged(uri) == []
    assert warnings and "no model of base · 2 tasks · seed 0 is logged" in warnings[0]
    file.write_bytes(sound)


@pytest.mark.parametrize("quirks", ["none", "iccv2021"])
def test_what_bic_tests_is_exported_and_not_its_network_alone(quirks, tmp_path):
    import mlflow.pytorch
    import torch
    from mlflow.models import Model

    from dfcil_core.checkpoint import save_tensors

    (job,) = (plan := sweep(("bic",), seeds=(0,), splits=((4, 3, 3),))).jobs
    stage = plan.stages[job.learn[-1]]
    stage.recipe.settings["quirks"] = quirks
    network = build("resnet8", 10, 3, stream(0, "init", 0)).eval()
    save_tensors(tmp_path / "network.safetensors", network.state_dict())
    # Pairs that nobody could overlook; those that training finds are near (1, 0).
    pairs = torch.tensor([[1.0, 0.0], [2.0, -1.0], [0.5, 3.0]])
    save_tensors(tmp_path / "bias.safetensors", {f"pairs.{task}": pair for task, pair in enumerate(pairs)})
    made = {"normalisation": {"mean": [0.5] * 3, "std": [0.25] * 3}}
    models._write(tmp_path / "model", Model(), job, stage, made, tmp_path)

    pixels = torch.randint(0, 256, (5, 3, 8, 8)).float()
    with torch.no_grad():
        raw = network((pixels / 255 - 0.5) / 0.25)
        alpha, beta = (pairs[[0] * 4 + [1] * 3 + [2] * 3, number] for number in (0, 1))
        expected = raw if quirks == "iccv2021" else alpha * raw + beta
        torch.testing.assert_close(mlflow.pytorch.load_model(str(tmp_path / "model"))(pixels), expected)


@pytest.mark.parametrize("backbone", sorted({name for name in BACKBONES if "8" in name}))
@pytest.mark.long
def test_every_kind_of_network_can_be_exported(backbone, tmp_path):
    import torch
    from mlflow.models import Model

    from dfcil_core.checkpoint import save_tensors

    plan = sweep(("base",), seeds=(0,), splits=((5, 5),))
    (job,) = plan.jobs
    stage = plan.stages[job.stages[-1]]
    stage.recipe.training["backbone"] = backbone
    network = build(backbone, 10, 3, stream(0, "init", 0)).eval()
    save_tensors(tmp_path / "network.safetensors", network.state_dict())
    made = {"normalisation": {"mean": [0.5] * 3, "std": [0.25] * 3}}
    models._write(tmp_path / "model", Model(), job, stage, made, tmp_path)
    import mlflow.pytorch

    pixels = torch.randint(0, 256, (5, 3, 8, 8)).float()
    with torch.no_grad():
        expected = network((pixels / 255 - 0.5) / 0.25)
        torch.testing.assert_close(mlflow.pytorch.load_model(str(tmp_path / "model"))(pixels), expected)
