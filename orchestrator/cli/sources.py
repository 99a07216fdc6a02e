"""Where `report` and `compare` take a sweep from."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli.terminal import say

if TYPE_CHECKING:
    from reports.jobs import SweepReport


def read(runs: str | None, names: Iterable[str], device: str, uri: str | None) -> "list[SweepReport]":
    """The reports of these sweeps: from the tracking store at `uri` where one is given, else from the runs folder.

    A name may end in `@COMMIT`, the beginning of a commit's name: then only what was computed at that commit counts.
    """
    from orchestrator.store import sweep_folder

    folder = sweep_folder.runs_folder(runs)
    if uri:
        return [_from_tracking(uri, folder, name) for name in names]
    return [_from_store(folder, name, device) for name in names]


def _from_tracking(uri: str, folder: Path, name: str) -> "SweepReport":
    from orchestrator.store.sweep_folder import name_and_commit
    from orchestrator.tracking.delivered import experiment_name
    from orchestrator.tracking.environment import prepare_client
    from orchestrator.tracking.uri import tracking_uri

    address = tracking_uri(folder, uri)
    prepare_client()
    from reports.sources.mlflow import read_sweep

    sweep, commit = name_and_commit(folder, name)
    return read_sweep(address, sweep, commit or None, experiment_name(folder, sweep, None))


def _from_store(folder: Path, name: str, device: str) -> "SweepReport":
    from orchestrator.cluster.device import device_of_results
    from orchestrator.errors import UserError
    from orchestrator.files import Unreadable
    from orchestrator.store import sweep_folder
    from orchestrator.tracking.links import links
    from orchestrator.tracking.uri import tracking_uri
    from reports.sources.store import at_commit, read_sweep

    commit = ""
    if not sweep_folder.looks_like_a_file(name):
        name, commit = sweep_folder.name_and_commit(folder, name)
    plan = sweep_folder.find(folder, name, device_of_results(device), as_launched=True)
    try:
        link = links(folder, plan.spec.name, tracking_uri(folder, None))
    except UserError as why:
        # A tracking store that cannot be written to has no runs to link to; the numbers do not depend on it.
        link = lambda job: None  # noqa: E731
        if isinstance(why, Unreadable):
            say(f"warning: without links to MLflow: {why}", err=True)
    sweep = read_sweep(folder, plan, link)
    return at_commit(sweep, commit) if commit else sweep


def warn_of_damage(sweeps: "Iterable[SweepReport]") -> None:
    """Damaged stages are told on the terminal as well: a report to a file would hide them."""
    for sweep in sweeps:
        for note in sweep.notes:
            say(f"warning: {note}", err=True)
