"""Where stages run if not here: a batch system by its profile, or a Dask scheduler that is up by its address."""

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.cluster.profile import Profile, load_profile
from orchestrator.cluster.systems import BATCH_SYSTEMS
from orchestrator.errors import UserError

_ADDRESS = re.compile(r"(?P<protocol>[a-z]+)://(?P<host>\[[0-9a-fA-F:.]+\]|[^\s/:\[\]]+):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True)
class Scheduler:
    """A Dask scheduler, and with `tls://` who it and we are."""

    address: str
    ca: Path | None = None
    """Certificate of the authority that signed the scheduler's and the workers' certificates."""
    cert: Path | None = None
    key: Path | None = None

    @property
    def encrypted(self) -> bool:
        """Whether the address is `tls://`."""
        return self.address.startswith("tls://")


def chosen(given: dict[str, Any], device: str, jobs: int | None) -> Profile | Scheduler | None:
    """What the options of `launch` say: `cluster`, `profile`, `scheduler`, `tls_ca`, `tls_cert`, `tls_key`.

    None: on this machine. Raises UserError for options that do not go together, and as the profile and `scheduler` do.
    """
    kind, profile, address = given["cluster"], given["profile"], given["scheduler"]
    certificates = {f"--{name.replace('_', '-')}": given[name] for name in ("tls_ca", "tls_cert", "tls_key")}
    if kind and address:
        raise UserError("--cluster and --scheduler: give one of them")
    if profile and not kind:
        raise UserError(f"--profile: {profile} is of no use without --cluster {'|'.join(BATCH_SYSTEMS)}")
    if kind and not profile:
        raise UserError(f"--cluster {kind} needs --profile FILE, which says what a job asks for; see docs/cluster.md")
    if not address and (named := [option for option, file in certificates.items() if file]):
        raise UserError(f"{named[0]}: is of no use without --scheduler tls://HOST:PORT")
    if not (kind or address):
        return None
    where = f"--cluster {kind}" if kind else "--scheduler"
    if device == "auto":
        raise UserError(f"{where}: say --device cpu or --device cuda: 'auto' can only look at this machine")
    if jobs is None:
        raise UserError(f"{where}: say with --jobs N how many stages to run at a time, in all")
    return load_profile(profile, BATCH_SYSTEMS[kind]) if kind else scheduler(address, *certificates.values())


def scheduler(address: str, ca: str | None, cert: str | None, key: str | None) -> Scheduler:
    """The scheduler that the options of `launch` name.

    Raises UserError for an address that is none, for one that is neither encrypted nor of this machine, and for
    certificates that are missing, cannot be read, or have no use.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None or found["protocol"] not in ("tls", "tcp") or not 0 < int(found["port"]) < 65536:
        raise UserError(f"--scheduler: '{address}' is no address of a Dask scheduler. Give tls://HOST:PORT")
    files = {"--tls-ca": ca, "--tls-cert": cert, "--tls-key": key}
    if found["protocol"] == "tcp":
        if not _loopback(found["host"].strip("[]")):
            raise UserError(
                f"--scheduler: '{address}' is not encrypted and not on this machine: whoever reaches that port can run "
                "programs as you. Start the scheduler and the workers with --tls-ca-file, --tls-cert and --tls-key, "
                f"and give tls://{found['host']}:{found['port']} with --tls-ca, --tls-cert and --tls-key here"
            )
        if given := [option for option, file in files.items() if file]:
            raise UserError(f"{given[0]}: has no use with tcp://. Give --scheduler tls://...")
        return Scheduler(address)
    paths: list[Path] = []
    for option, file in files.items():
        if not file:
            raise UserError(f"--scheduler: '{address}' needs {option} FILE too; docs/cluster.md says how to make them")
        path = Path(file).expanduser()
        _require_pem(option, path)
        paths.append(path.absolute())
    return Scheduler(address, *paths)


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _require_pem(option: str, file: Path) -> None:
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UserError(f"{option}: {file} cannot be read: {why}. Give a PEM file") from None
    if "-----BEGIN " not in text:
        raise UserError(f"{option}: {file} is no PEM file: it has no line -----BEGIN ...-----")
