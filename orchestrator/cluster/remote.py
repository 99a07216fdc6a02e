"""A Dask cluster that somebody else has brought up. It stays up when we go."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distributed import Client
from distributed.security import Security

from orchestrator.cluster.local import CLOSE_SECONDS, Workers, closing_last_first, interrupts_deferred
from orchestrator.cluster.select import Scheduler
from orchestrator.errors import UserError

_CONNECT_SECONDS = 15


@contextmanager
def shared_folder_probe(runs: Path) -> Iterator[Path]:
    """A folder that only we have made, for the workers to prove that they see the same runs folder."""
    with tempfile.TemporaryDirectory(prefix=".cluster-", dir=runs) as folder:
        yield Path(folder).absolute()


@contextmanager
def remote_workers(scheduler: Scheduler, runs: Path) -> Iterator[Workers]:
    """The workers of a scheduler that is up. Raises UserError where none answers, or not to these certificates."""
    with shared_folder_probe(runs) as probe, closing_last_first() as closing:
        with interrupts_deferred():
            client = _connected(scheduler)
            closing.callback(client.close, timeout=CLOSE_SECONDS)
        yield Workers(client, probe, queued=True)


def _connected(scheduler: Scheduler) -> Client:
    security = None
    if scheduler.encrypted:
        certificates = {"tls_client_cert": str(scheduler.cert), "tls_client_key": str(scheduler.key)}
        security = Security(tls_ca_file=str(scheduler.ca), require_encryption=True, **certificates)
    try:
        return Client(scheduler.address, security=security, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:  # ssl's errors are OSErrors, and those of a bad PEM file ValueErrors
        why = error.__cause__ or error
        raise UserError(
            f"--scheduler: no Dask scheduler answers at {scheduler.address} within {_CONNECT_SECONDS} seconds: {why}. "
            "See whether it runs, and whether its certificate and yours are of the same authority (--tls-ca)"
        ) from error
