"""Commands to go on with, as they work when they are copied."""

import shlex

from orchestrator.store import sweep_folder


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
