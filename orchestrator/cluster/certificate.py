"""The certificate of one launch: whoever can read its key may talk to the launch's scheduler, workers and nannies.

Dask runs what it is sent. So nobody without the key may get a word in, on the network or from this very machine, where
every user reaches the loopback interface.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from distributed.security import Security

from orchestrator.files import create_private

_DAYS = 3650
"""How long it is good: a launch lasts for weeks, and takes its key with it when it ends."""


def certified(folder: Path) -> Security:
    """Who may talk to the scheduler: whoever can read the key in `folder`, which is for its owner alone (mode 0700).

    One certificate serves all roles and is its own authority. Raises OSError where it cannot be written.
    """
    certificate, key = _made()
    files = {"cert": folder / "certificate.pem", "key": folder / "key.pem"}
    create_private(files["cert"], certificate)
    create_private(files["key"], key)
    roles = ("client", "scheduler", "worker")
    named = {f"tls_{role}_{name}": str(path) for role in roles for name, path in files.items()}
    options: dict[str, Any] = {"require_encryption": True, "tls_ca_file": str(files["cert"]), **named}
    return Security(**options)  # type: ignore[no-untyped-call]  # not annotated by Dask


def _made() -> tuple[bytes, bytes]:
    """A certificate and its key, in PEM. On an elliptic curve: an RSA key takes up to half a second to find."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "dfcil-sweep")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # the clocks of a cluster's machines differ
        .not_valid_after(now + timedelta(days=_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(pem), private
