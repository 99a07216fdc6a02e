"""A Dask cluster that somebody else has brought up. It stays up when we go."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from distributed import Client
from distributed.security import Security

from orchestrator.cluster.base import Workers, closing_last_first, connect, shared_folder_probe
from orchestrator.cluster.select import Scheduler
from orchestrator.errors import UserError
from orchestrator.signals import interrupts_deferred

_CONNECT_SECONDS = 15


@contextmanager
def remote_workers(scheduler: Scheduler, runs: Path) -> Iterator[Workers]:
    """The workers of a scheduler that is up. Raises UserError where none answers, or not to these certificates."""
    with shared_folder_probe(runs) as probe, closing_last_first() as closing:
        with interrupts_deferred():
            client = _connected(scheduler, closing)
        yield Workers(client, probe, queued=True)


def _connected(scheduler: Scheduler, closing: ExitStack) -> Client:
    security = None
    if scheduler.encrypted:
        certificates = {"tls_client_cert": str(scheduler.cert), "tls_client_key": str(scheduler.key)}
        options: dict[str, Any] = {"tls_ca_file": str(scheduler.ca), "require_encryption": True, **certificates}
        security = Security(**options)  # type: ignore[no-untyped-call]  # not annotated by Dask
    try:
        return connect(scheduler.address, closing, security=security, timeout=_CONNECT_SECONDS)
    except (OSError, ValueError) as error:  # ssl's errors are OSErrors, and those of a bad PEM file ValueErrors
        why = error.__cause__ or error
        raise UserError(
            f"--scheduler: no Dask scheduler answers at {scheduler.address} within {_CONNECT_SECONDS} seconds: {why}. "
            "See whether it runs, and whether its certificate and yours are of the same authority (--tls-ca)"
        ) from error
