"""Looking at what is in a tracking store, for tests."""

import base64
import json
import re
import zlib

from mlflow.tracking import MlflowClient

UNSTABLE = ("mlflow.parentRunId", "dfcil.launch", "dfcil.runs", "mlflow.log-model")


def view(uri: str, experiment: str = "fab") -> dict[str, dict]:
    """Run name to all that is in the run: state, times, parameters, tags, every metric point, artifacts."""
    client = MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return {}  # a tracker's thread has not made it yet
    runs = client.search_runs([found.experiment_id], max_results=1000)
    names = [run.info.run_name for run in runs]
    assert len(names) == len(set(names)), f"a run twice: {sorted(names)}"
    return {run.info.run_name: _run(client, run) for run in runs}


def jobs(uri: str, experiment: str = "fab") -> dict[str, dict]:
    """The same of the jobs' runs alone."""
    return {name: run for name, run in view(uri, experiment).items() if run["tags"]["dfcil.kind"] == "job"}


def saved_views(uri: str, experiment: str = "fab") -> dict[str, dict]:
    """Key of each view that the UI has in its menu for the experiment to its state, and its `name`."""
    start, found = "mlflow.sharedViewState.", {}
    for key, value in MlflowClient(uri).get_experiment_by_name(experiment).tags.items():
        if key.startswith(start):
            told = json.loads(value)
            packed = told["state"].removeprefix("deflate;")
            found[key.removeprefix(start)] = {
                "name": told["name"],
                **json.loads(zlib.decompress(base64.b64decode(packed))),
            }
    return found


def _run(client, run) -> dict:
    identity = run.info.run_id
    return {
        "id": identity,
        "state": run.info.status,
        "times": (run.info.start_time, run.info.end_time),
        "params": run.data.params,
        "tags": {key: value for key, value in run.data.tags.items() if not key.startswith(UNSTABLE)},
        "parent": run.data.tags.get("mlflow.parentRunId"),
        "points": sorted(
            (point.key, point.step, point.value, point.timestamp)
            for key in run.data.metrics
            for point in client.get_metric_history(identity, key)
        ),
        "datasets": [(entry.dataset.name, entry.dataset.digest) for entry in run.inputs.dataset_inputs],
        "artifacts": sorted(re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "UUID", path) for path in _files(client, identity)),
    }


def _files(client, run: str, folder: str | None = None) -> list[str]:
    found = []
    for file in client.list_artifacts(run, folder):
        found += _files(client, run, file.path) if file.is_dir else [file.path]
    return found


def stable(runs: dict[str, dict]) -> dict[str, dict]:
    """What must be the same of two tracking stores that hold the same sweep."""
    return {name: {k: v for k, v in run.items() if k not in ("id", "parent")} for name, run in runs.items()}
