"""Commands to go on with, as they work when they are copied."""

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.store import sweep_folder

if TYPE_CHECKING:
    from orchestrator.tuning.session import TuneOutcome


def command(*words: str, runs: str | None, tracking_uri: str | None = None) -> str:
    """`dfcil-sweep` and the words; with `--runs` and `--tracking-uri` where the command would look elsewhere without.

    An address with a password in it is left out: what is shown is kept by terminals and logs.
    """
    from orchestrator.tracking.uri import without_password

    given = ["dfcil-sweep", *words]
    if runs is not None and sweep_folder.runs_folder(runs) != sweep_folder.runs_folder(None):
        given += ["--runs", runs]
    if tracking_uri and without_password(tracking_uri) == tracking_uri:
        given += ["--tracking-uri", tracking_uri]
    return shlex.join(given)


def after_tuning(outcome: "TuneOutcome", spec: str, told: Mapping[str, Any]) -> list[str]:
    """How a search of `spec` is looked at, and its winner launched, a line each; `told` are the options of `tune`."""
    from orchestrator.tracking.uri import without_password

    runs, uri, storage = told["runs"], told["tracking_uri"], told["storage"]
    again = _given(told, "device", "data_root", "plugin")
    # By its name alone nobody runs a plug-in, nor knows a storage's password.
    if told["plugin"] or (storage and without_password(storage) != storage):
        changed = [word for change in told["overrides"] for word in ("--set", change)]
        rehearsed = ["--rehearse"] if told["rehearse"] else []
        trials = command("tune", spec, "--show", *again, *changed, *rehearsed, runs=runs)
        trials += " --storage URL" if storage else ""
    else:
        trials = command("report", outcome.study, runs=runs)
    lines = [f"the trials:    {trials}"]
    if outcome.winner:
        lines.append(f"the winner:    {command('launch', str(outcome.winner), *again, runs=runs)}")
    return [*lines, f"the MLflow UI: {command('ui', outcome.study, runs=runs, tracking_uri=uri)}"]


def _given(told: Mapping[str, Any], *names: str) -> list[str]:
    """Those of the options that are not left at their defaults, as they are typed."""
    given = [(f"--{name.replace('_', '-')}", told[name]) for name in names if told[name] not in (None, "auto")]
    return [str(word) for pair in given for word in pair]
