"""Another user's try to get an answer from Dask's ports: `python intruder.py FOLDER PORT...`, as root.

Prints as JSON, first as root and then as a user who is nobody here, for each port, what answered: over a plain
connection, over TLS with a certificate of one's own making, over TLS with the key in FOLDER where it can be read (as
the launch itself), and over HTTP.
"""

import asyncio
import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

from distributed import Client
from distributed.core import connect
from distributed.security import Security

from tests.support.second_user import become_nobody

_SECONDS = 2


def _security(folder: str) -> Security | None:
    files = {"cert": f"{folder}/certificate.pem", "key": f"{folder}/key.pem"}
    try:
        for file in files.values():
            Path(file).read_bytes()
    except OSError:
        return None
    roles = {f"tls_client_{name}": file for name, file in files.items()}
    return Security(require_encryption=True, tls_ca_file=files["cert"], **roles)


async def _asked(address: str, security: Security | None) -> str | None:
    """The kind of server that answers a comm; None: nobody."""
    told = (security or Security()).get_connection_args("client")
    try:
        async with asyncio.timeout(_SECONDS):
            comm = await connect(address, timeout=_SECONDS, **told)
            await comm.write({"op": "identity", "reply": True})
            return (await comm.read())["type"]
    except (OSError, ValueError, TimeoutError, RuntimeError):
        return None


async def _ran(address: str, security: Security | None) -> object:
    """What a function sent to the workers returns; None where it does not run."""
    try:
        async with (
            asyncio.timeout(2 * _SECONDS),
            Client(address, security=security, timeout=_SECONDS, asynchronous=True) as client,
        ):
            return await client.run(os.getuid)
    except (OSError, ValueError, TimeoutError, RuntimeError):
        return None


def _http(port: int) -> list[str]:
    found = []
    for path in ("/", "/health", "/metrics", "/json/identity.json", "/info/main/workers.html", "/sitemap.json"):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=_SECONDS) as answer:
                found.append(f"{path}: {answer.read().decode()}")
        except (OSError, ValueError, urllib.error.URLError):
            continue
    return found


async def _port(port: int, folder: str) -> dict[str, object]:
    own, launch = Security.temporary(), _security(folder)
    plain, tls = f"tcp://127.0.0.1:{port}", f"tls://127.0.0.1:{port}"
    tries = {
        "plain": _asked(plain, None),
        "plain client": _ran(plain, None),
        "own certificate": _asked(tls, own),
        "own certificate, client": _ran(tls, own),
        "http": asyncio.to_thread(_http, port),
    }
    if launch is not None:
        tries["with the key"] = _asked(tls, launch)
    return dict(zip(tries, await asyncio.gather(*tries.values()), strict=True))


async def _all(folder: str, ports: list[int]) -> list[dict[str, object]]:
    return await asyncio.gather(*(_port(port, folder) for port in ports))


def main(folder: str, *ports: str) -> None:
    told = []
    for user in ("root", "nobody"):
        if user == "nobody":
            become_nobody()  # only now: the interpreter itself may lie where nobody else can read
        answers = asyncio.run(_all(folder, [int(port) for port in ports]))
        told.append(dict(zip(ports, answers, strict=True)))
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
