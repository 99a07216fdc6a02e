"""Showing a sweep in the MLflow UI: the command of a server on this machine, and the addresses of its pages."""

import os
import re
import socket
import sys
import tempfile
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from orchestrator.errors import UserError
from orchestrator.tracking import views
from orchestrator.tracking.describe import KIND, SWEEP
from orchestrator.tracking.environment import prepare_client
from orchestrator.tracking.uri import artifact_root, without_password

if TYPE_CHECKING:
    from mlflow.entities import Experiment
    from mlflow.tracking import MlflowClient

LOOPBACK = "127.0.0.1"
EXPERIMENTS = "experiments"
"""Title of the page of all experiments, the one page where a sweep has none of its own."""

# MLflow's mode for training, which it does not choose by itself.
TRAINING = {"workflowType": "machine_learning"}
_CHARTS = {"compareRunsMode": "CHART"}
_JOBS, _TRIALS = f'tags.`{KIND}` = "job"', f'tags.`{KIND}` = "trial"'


@dataclass(frozen=True)
class Page:
    """A page of the UI."""

    title: str
    address: str


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


def log_file(runs: Path, port: int) -> Path:
    """Where that server's log goes: into the runs folder, or to other scratch files where nothing can be written."""
    in_runs = runs / f"ui-{port}.log"
    return in_runs if os.access(runs, os.W_OK) else Path(tempfile.mkdtemp(prefix="dfcil-ui-")) / in_runs.name


def answers(port: int) -> bool:
    """Whether the server on that port of this machine answers by now."""
    # A proxy that the environment names is for other machines.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"http://{LOOPBACK}:{port}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def ui_command(runs: Path, uri: str, port: int) -> list[str]:
    """The command that serves a database's UI, to this machine alone; run it with `server_environment(uri)`.

    The address, which may hold a password, is not in it: every user of the machine can read a command line.
    """
    command = [sys.executable, "-m", "mlflow", "server"]
    command += ["--host", LOOPBACK, "--port", str(port), "--workers", "1"]
    if root := artifact_root(runs, uri):
        command += ["--artifacts-destination", root]
    return command


def ui_pages(uri: str, port: int, sweep: str | None, experiment: str | None = None) -> list[Page]:
    """Where a browser finds the numbers of that sweep, or study, the best page first; the list of all where there are
    none.

    `experiment` is by default the sweep's name; of one that several sweeps may share, the sweep's jobs alone are shown.
    The saved views that the pages are made of are written where they are lacking; where the store does not take them,
    or its UI does not know them, there is the page of all jobs, the best first. Raises UserError where the store cannot
    be read.
    """
    prepare_client()
    from orchestrator.tracking.faults import STORE_ERRORS, told

    try:
        return _pages(uri, port, sweep, experiment)
    except STORE_ERRORS as error:
        raise UserError(f"the tracking store {without_password(uri)} cannot be read: {told(error, uri)}") from error


def _pages(uri: str, port: int, sweep: str | None, experiment: str | None) -> list[Page]:
    from mlflow.tracking import MlflowClient

    from orchestrator.tracking.runs import find_experiment

    base = without_password(uri).rstrip("/") if is_server(uri) else f"http://{LOOPBACK}:{port}"
    client = MlflowClient(tracking_uri=uri)
    found = find_experiment(client, sweep, experiment or sweep) if sweep else None
    if sweep is None or found is None or found.lifecycle_stage != "active":
        return [Page(EXPERIMENTS, f"{base}/#/experiments")]
    place = [found.experiment_id]
    # A study's experiment has trials and no jobs: by the jobs' filter its page would be empty.
    searched = not client.search_runs(place, _JOBS, max_results=1) and client.search_runs(place, _TRIALS, max_results=1)
    pages = _study_pages(found.name) if searched else _sweep_pages(sweep, found.name)
    runs = f"{base}/#/experiments/{found.experiment_id}/runs?"
    if _ui_version(uri) >= views.KNOWN_FROM and _written(client, found, pages, sweep):
        queries = {title: {"viewStateShareKey": view.key, **mode} for title, view, mode in pages}
    else:
        title, view, _ = pages[0]
        queries = {title: view.filtered}
    return [Page(title, runs + urlencode({**TRAINING, **query}, quote_via=quote)) for title, query in queries.items()]


_Pages = Sequence[tuple[str, views.View, Mapping[str, str]]]
"""Title, view, and what the address says beside the view."""


def _sweep_pages(sweep: str, experiment: str) -> _Pages:
    known = views.sweep_views(sweep, experiment)
    return (
        ("by method and split", known.methods, {}),
        ("their curves", known.methods, _CHARTS),
        ("each seed", known.seeds, {}),
        ("dreams", known.dreams, _CHARTS),
    )


def _study_pages(study: str) -> _Pages:
    return (("trials", views.study_view(study, (), ()), {}),)


def _written(client: "MlflowClient", found: "Experiment", pages: _Pages, sweep: str) -> bool:
    """Whether the experiment has the pages' views; where one is lacking, all are made of what its runs say."""
    from orchestrator.tracking.faults import STORE_ERRORS

    if all(views.has(found.tags, view) for _, view, _ in pages):
        return True
    runs = client.search_runs([found.experiment_id], f'{_JOBS} and tags.`{SWEEP}` = "{sweep}"', max_results=1000)
    made: Sequence[views.View]
    if runs:
        groups = {(run.data.tags["label"], run.data.tags["tasks"]) for run in runs}
        made = views.sweep_views(sweep, found.name, sorted(groups)).all
    else:
        trials = client.search_runs([found.experiment_id], _TRIALS, max_results=1000)
        made = [views.view_of_trials(found.name, [run.data for run in trials])]
    try:
        views.write(client, found.experiment_id, made)
    except STORE_ERRORS:
        return False  # whoever looks may read alone
    return True


def _ui_version(uri: str) -> tuple[int, ...]:
    """The version of MLflow whose UI is looked at: the server's, or the one installed; (0,) where it is not told."""
    import mlflow
    from mlflow.exceptions import MlflowException
    from mlflow.utils import credentials, rest_utils

    told = mlflow.__version__
    ask: Any = rest_utils.http_request  # of these MLflow gives no types
    credentials_of: Any = credentials.get_default_host_creds
    if is_server(uri):
        try:
            answer = ask(credentials_of(uri), "/version", "GET", timeout=10)
        except MlflowException:
            return (0,)
        told = answer.text if answer.ok else ""
    numbers = re.match(r"(\d+)\.(\d+)", told)
    return (int(numbers[1]), int(numbers[2])) if numbers else (0,)
