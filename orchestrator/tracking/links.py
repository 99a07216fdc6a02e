"""Addresses of runs in the MLflow UI. Without mlflow: what this machine remembers of its deliveries is enough."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

from orchestrator.tracking.delivered import Delivered, experiment_name
from orchestrator.tracking.ui import TRAINING, is_server
from orchestrator.tracking.uri import without_password

LOCAL = "http://127.0.0.1:5000"
"""Where `dfcil-sweep ui` serves a database by default."""


def base(uri: str) -> str:
    """Where a tracking store is looked at: a server at its own address, a database where `dfcil-sweep ui` serves it."""
    return without_password(uri).rstrip("/") if is_server(uri) and "://" in uri else LOCAL


def run_address(uri: str, run: str, experiment: str | None = None) -> str:
    """The page of a run; with its experiment's id, in MLflow's mode for training."""
    place = f"experiments/{experiment}/runs/{run}?{urlencode(TRAINING)}" if experiment else f"runs/{run}"
    return f"{base(uri)}/#/{place}"


def links(runs: Path, sweep: str, uri: str) -> Callable[[str], str | None]:
    """A function from a job's id to the page of its run; None for a job that was not delivered from here."""
    delivered = Delivered(runs, sweep, uri, experiment_name(runs, sweep, None))

    def link(job: str) -> str | None:
        child = delivered.jobs.get(job)
        return run_address(uri, child["run"], delivered.experiment) if child else None

    return link
