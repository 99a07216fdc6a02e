"""Which MLflow tracking store, and where its artifacts go."""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from orchestrator.errors import UserError

SCHEMES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks")
DATABASE, ARTIFACTS = "mlflow.db", "mlartifacts"
"""MLflow's sqlite file and the folder of its artifacts, in a runs folder."""
_USER_INFO = re.compile(r"(?<=://)[^/@\s]+@")


def tracking_uri(runs: Path, given: str | None) -> str:
    """The tracking store: `given`, else MLFLOW_TRACKING_URI, else the sqlite file in the runs folder.

    Raises UserError for an address that MLflow cannot keep runs at.
    """
    uri = given or os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        return sqlite_uri(runs.resolve() / DATABASE)
    # `postgresql+psycopg2://` names the driver after a plus sign; `databricks` alone is a valid address.
    scheme = urlsplit(uri).scheme.split("+")[0] or uri
    if scheme not in SCHEMES:
        source = "--tracking-uri" if given else "MLFLOW_TRACKING_URI"
        raise UserError(
            f"{source}: '{without_password(uri)}' is no tracking store that MLflow can write to. Give an address such "
            f"as {sqlite_uri(Path('/data/mlflow.db'))} or http://host:5000; it begins with one of {', '.join(SCHEMES)}"
        )
    return uri


def sqlite_uri(path: Path) -> str:
    """The address of a sqlite file, which must be absolute. Raises UserError for a path that no address can hold."""
    if unfit := sorted(set(str(path)) & set("?#%")):
        raise UserError(
            f"{path}: MLflow's sqlite address cannot hold the character {unfit[0]} of this path. "
            "Use another runs folder (--runs DIR), or another tracking store (--tracking-uri)"
        )
    return f"sqlite:///{path}"


def artifact_root(runs: Path, uri: str) -> str | None:
    """Where the artifacts of a new experiment go; None: where the server says.

    Beside a sqlite file, so that file and artifacts move together; in the runs folder for another database.
    """
    scheme = urlsplit(uri).scheme.split("+")[0]
    if scheme in ("http", "https") or uri.startswith("databricks"):
        return None
    if scheme == "sqlite":
        return (Path(uri.removeprefix("sqlite:///")).resolve().parent / ARTIFACTS).as_uri()
    return (runs.resolve() / ARTIFACTS).as_uri()


def without_password(text: str) -> str:
    """`text` without the user and password of any address in it, fit to be shown or kept."""
    return _USER_INFO.sub("", text)
