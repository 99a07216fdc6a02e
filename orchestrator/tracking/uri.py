"""Which MLflow tracking store, and where its artifacts go."""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from orchestrator.errors import UserError

SCHEMES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks")
DATABASE, ARTIFACTS = "mlflow.db", "mlartifacts"
"""MLflow's sqlite file and the folder of its artifacts, in a runs folder."""
_ADDRESS = re.compile(r"(?<=://)(?:(?!\s|[A-Za-z][\w+.-]*://).)+")
_WHOLE = re.compile(r"\s*[A-Za-z][\w+.-]*://.*@", re.DOTALL)
# `?password=x` of an address, and of a database's own words; a driver's options in one (odbc_connect) go whole.
_SECRET = re.compile(
    r"((?:^|[?&;,\s])[\w.-]*(?:passw(?:or)?d|passwort|passphrase|passcode|pwd|token|secret|credentials?|signature|"
    r"api[_-]?key|access[_-]?key|odbc_connect|service[_-]?account|sas|sig|auth)[\w-]*\s?=)[^&\s]*?(?=['\"),.;\]]*(?:[&\s]|$))",
    re.IGNORECASE,
)


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


def sqlite_path(uri: str) -> Path | None:
    """The file of a sqlite address that names an absolute path; None for any other address."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:////") else None


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
    """`text` without the user and password of any address in it, and the secrets of its query, fit to be shown or kept.

    Passwords hold `@` and `/` where nobody has escaped them: all before an address's last `@` goes. Rather too much is
    hidden than too little.
    """
    if _WHOLE.match(text) and "\n" not in text.strip():  # an address and nothing else: its password may hold spaces
        scheme, _, rest = text.partition("://")
        spaced = _without_user(rest)
        text = f"{scheme}://{spaced}" if " " in rest and len(text.split("://")) == 2 else text
    return _SECRET.sub(r"\1***", _ADDRESS.sub(lambda found: _without_user(found[0]), text))


def _without_user(address: str) -> str:
    """What follows `://`, without its user and password."""
    before, at, after = address.rpartition("@")
    authority = re.split(r"[/?#]", address, maxsplit=1)[0]
    # `host/path@x`: a password begins after a colon, and there is none before the path.
    return after if at and ("@" in authority or ":" in authority) else address
