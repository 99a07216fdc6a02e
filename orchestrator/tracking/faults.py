"""What a tracking store's failures look like, and what to tell of one.

Imports what MLflow imports, and so takes a second.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from alembic.util import CommandError
from filelock import Timeout
from mlflow.exceptions import MlflowException
from mlflow.store.db import utils
from requests.utils import should_bypass_proxies
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.tracking.uri import without_password

STORE_ERRORS = (MlflowException, OSError, SQLAlchemyError, sqlite3.Error, CommandError)
"""What MLflow lets through of a server, a database, its migrations and a disk."""

# MLflow tries to open a database ten times in a minute and a half. Whoever asks here tries again later by himself.
utils.MAX_RETRY_COUNT = 1

_SHOWN = 300  # characters of an error in a message
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")


class Unavailable(Exception):
    """The tracking store did not take what it was given; it may later."""


@contextmanager
def reaching(uri: str, failed: Callable[[Exception], None]) -> Iterator[None]:
    """Turn what a failure of the store at `uri` looks like into Unavailable, after a call of `failed` with it.

    Our own bugs pass.
    """
    try:
        yield
    except Timeout as error:
        raise Unavailable("another process is delivering this sweep at the moment") from error
    except STORE_ERRORS as error:
        failed(error)
        raise Unavailable(told(error, uri)) from error


def told(error: BaseException, uri: str) -> str:
    """One line for people about a failure of the store at `uri`: its own words, without secrets, and a remedy."""
    text = (without_password(str(error)).strip() or type(error).__name__).splitlines()[0][:_SHOWN]
    remedy = _remedy(text, uri)
    return f"{text}. {remedy}" if remedy else text


def _remedy(text: str, uri: str) -> str:
    address = urlsplit(uri)
    if address.scheme.startswith("sqlite"):
        if "locked" in text:
            return "Another program holds the file"
        if "is full" in text or "No space" in text:
            return "Make room on its disk"
        file = uri.partition(":///")[2]
        return f"Unless that is a matter of rights, move {file} away, and `dfcil-sweep sync` makes it anew"
    host = address.hostname or ""
    if address.scheme in ("http", "https") and _is_loopback(host) and not should_bypass_proxies(uri, None):
        named = next((name for name in _PROXIES if os.environ.get(name) or os.environ.get(name.upper())), None)
        if named:
            return f"{named} is set, and asked for {host}: add {host} to NO_PROXY"
    return ""


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")
