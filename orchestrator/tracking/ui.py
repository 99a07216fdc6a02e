"""Showing a sweep in the MLflow UI: the command of a server on this machine, and the address of the experiment."""

import socket
import sys
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

from orchestrator.errors import UserError
from orchestrator.tracking.describe import IN_SPEC, KIND, SWEEP
from orchestrator.tracking.environment import prepare_client
from orchestrator.tracking.uri import artifact_root, without_password

LOOPBACK = "127.0.0.1"

# The page that answers most: the jobs that the spec has, and them alone, the best first. Sorted by a metric, MLflow
# lists them side by side; by default it folds them away under their sweep, where its charts do not see them.
# `workflowType` is its mode for training, which it does not choose by itself.
_JOBS = f'tags.`{KIND}` = "job" and tags.`{IN_SPEC}` = "yes"'
_TRIALS = f'tags.`{KIND}` = "trial"'
_VIEW = {
    "workflowType": "machine_learning",
    "orderByKey": "metrics.`final_accuracy`",
    "orderByAsc": "false",
}


def is_server(uri: str) -> bool:
    """Whether the tracking store is a server already, which has its own UI."""
    return urlsplit(uri).scheme in ("http", "https")


def free_port(wanted: int = 5000) -> int:
    """`wanted` if it is free on loopback, else one that is."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                if port == 0:
                    raise
                continue
            return int(probe.getsockname()[1])
    raise AssertionError("unreachable: port 0 binds or raises")


def ui_command(runs: Path, uri: str, port: int) -> list[str]:
    """The command that serves a database's UI, to this machine alone; run it with `server_environment(uri)`.

    The address, which may hold a password, is not in it: every user of the machine can read a command line.
    """
    command = [sys.executable, "-m", "mlflow", "server"]
    command += ["--host", LOOPBACK, "--port", str(port), "--workers", "1"]
    if root := artifact_root(runs, uri):
        command += ["--artifacts-destination", root]
    return command


def ui_address(uri: str, port: int, sweep: str | None, experiment: str | None = None) -> str:
    """Where a browser finds the jobs of that sweep, or of a study the trials; the list of all where there is neither.

    `experiment` is by default the sweep's name; of one that several sweeps may share, the sweep's jobs alone are shown.
    Raises UserError where the store cannot be read.
    """
    prepare_client()
    from orchestrator.tracking.faults import STORE_ERRORS, told

    try:
        return _address(uri, port, sweep, experiment)
    except STORE_ERRORS as error:
        raise UserError(f"the tracking store {without_password(uri)} cannot be read: {told(error, uri)}") from error


def _address(uri: str, port: int, sweep: str | None, experiment: str | None) -> str:
    from mlflow.tracking import MlflowClient

    from orchestrator.tracking.runs import find_experiment

    base = without_password(uri).rstrip("/") if is_server(uri) else f"http://{LOOPBACK}:{port}"
    client = MlflowClient(tracking_uri=uri)
    found = find_experiment(client, sweep, experiment or sweep) if sweep else None
    if found is None or found.lifecycle_stage != "active":
        return f"{base}/#/experiments"
    # A study's experiment has trials and no jobs: by the jobs' filter its page would be empty.
    searched = bool(client.search_runs([found.experiment_id], _TRIALS, max_results=1))
    launched = bool(client.search_runs([found.experiment_id], _JOBS, max_results=1))
    shown = _TRIALS if searched and not launched else _JOBS
    if found.name != sweep:
        shown += f' and tags.`{SWEEP}` = "{sweep}"'
    view = urlencode(_VIEW | {"searchFilter": shown}, quote_via=quote)
    return f"{base}/#/experiments/{found.experiment_id}/runs?{view}"
