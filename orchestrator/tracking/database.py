"""Making MLflow's sqlite file, whole or not at all.

MLflow makes its tables and then migrates them step by step, which takes seconds. Killed in the
middle, it leaves a file that it can neither use nor mend ("table already exists"), and that every later launch would
meet. So the file is made under another name and renamed when it is complete.
"""

from filelock import FileLock
from mlflow.tracking import MlflowClient
from mlflow.tracking._tracking_service import utils

from orchestrator.tracking.uri import sqlite_path, sqlite_uri


def forget_artifact_places() -> None:
    """Have MLflow ask anew where a run's artifacts lie.

    It remembers that by the run's id alone, for the life of the process; but a copy of a runs folder has runs of the
    same ids, and a folder may have been moved between two launches of one program.
    """
    utils._artifact_repos_cache.clear()


def make_sqlite(uri: str) -> None:
    """Make the file of a sqlite address that has none yet; nothing for any other address."""
    path = sqlite_path(uri)
    if path is None or path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    with FileLock(path.with_name(f".{path.name}.lock")):
        if path.exists():  # another process was first
            return
        for left in path.parent.glob(f"{draft.name}*"):  # by a process that was killed, with its journal
            left.unlink()
        draft.touch()  # so that it has the mode that the umask gives: sqlite would keep it from the group
        MlflowClient(tracking_uri=sqlite_uri(draft)).search_experiments(max_results=1)
        draft.rename(path)
