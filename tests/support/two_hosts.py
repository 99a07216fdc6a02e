"""Two hosts in network namespaces of a test's own, a Dask cluster over both with TLS, and one of them cut off."""

import os
import re
import secrets
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.clustered import need_root
from tests.support.dasked import running, scheduler_command, worker_command
from tests.support.paths import ROOT
from tests.support.processes import session_members, wait_until
from tests.support.tools import need

DOCS = ROOT / "docs" / "cluster.md"
_HERE, _THERE = "10.213.77.1", "10.213.77.2"
_SECONDS = "12s"  # after which a connection without an answer is dead; Dask takes no less than 11


@dataclass(frozen=True)
class TwoHosts:
    """A scheduler and a worker `near`, and a worker `far` on the other host."""

    here: str
    there: str
    told: list[object]
    """The options with which a launch runs there."""
    far: int
    """The session of the far worker."""

    def on_here(self) -> list[str]:
        """What is put before a command line to run it on the near host."""
        return _on(self.here, [])

    def cut_off(self, freeze: bool = False) -> None:
        """Take the far host off the network; `freeze`: its worker stops as by a lost disk."""
        subprocess.run(["ip", "-n", self.there, "link", "set", "cable", "down"], check=True)
        for pid in session_members(self.far) if freeze else ():
            os.kill(pid, signal.SIGSTOP)


@contextmanager
def two_hosts(folder: Path) -> Iterator[TwoHosts]:
    """The cluster; certificates and logs lie in `folder`. Skips the test where it cannot be made."""
    need("ip", "openssl")
    need_root()
    ca, cert, key = _certificates(folder / "certificates")
    address = f"tls://{_HERE}:8786"
    tls = ["--tls-ca-file", ca, "--tls-cert", cert, "--tls-key", key]
    with ExitStack() as stack:
        here, there = stack.enter_context(_namespaces())
        commands = {
            "scheduler": _on(here, scheduler_command("--protocol", "tls", "--host", _HERE, "--port", 8786, *tls)),
            "near": _on(here, worker_command(address, "--name", "near", "--host", _HERE, *tls)),
            "far": _on(there, worker_command(address, "--name", "far", "--host", _THERE, *tls)),
        }
        processes = {
            name: stack.enter_context(
                running(command, folder / f"{name}.log", DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP=_SECONDS)
            )
            for name, command in commands.items()
        }
        wait_until(lambda: "Scheduler at" in (folder / "scheduler.log").read_text(), 60, "the scheduler")
        told = ["--scheduler", address, "--tls-ca", ca, "--tls-cert", cert, "--tls-key", key, "--jobs", 2]
        yield TwoHosts(here, there, told, processes["far"].pid)


@contextmanager
def _namespaces() -> Iterator[tuple[str, str]]:
    """The names of two namespaces with a cable between them; its end in the second has the name `cable`."""
    mark = secrets.token_hex(3)
    here, there = f"dfcil-{mark}-a", f"dfcil-{mark}-b"

    def ip(*arguments: str) -> None:
        subprocess.run(["ip", *arguments], check=True)

    with ExitStack() as stack:
        for name in (here, there):
            ip("netns", "add", name)
            stack.callback(ip, "netns", "delete", name)
        ip("-n", here, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", there)
        for name, address in ((here, _HERE), (there, _THERE)):
            ip("-n", name, "address", "add", f"{address}/30", "dev", "cable")
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "link", "set", "cable", "up")
        yield here, there


def _certificates(folder: Path) -> list[Path]:
    """Made as the documentation says."""
    folder.mkdir()
    (commands,) = re.findall(r"```sh\n(openssl .*?)```", DOCS.read_text(), re.DOTALL)
    subprocess.run(["sh", "-ec", commands], cwd=folder, check=True, capture_output=True)
    return [folder / name for name in ("ca.pem", "cert.pem", "key.pem")]


def _on(host: str, command: list[str]) -> list[str]:
    return ["ip", "netns", "exec", host, *command]
