"""Two hosts in network namespaces of the test's own, a Dask cluster over both with TLS, and one of them cut off."""

import os
import re
import secrets
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.clustered import SPEC, STAGES, holders, launcher, need_root, said, table, undisturbed
from tests.support.dasked import running, scheduler_command, worker_command
from tests.support.paths import ROOT
from tests.support.processes import session_members, wait_until
from tests.support.tools import need

pytestmark = pytest.mark.server

_DOCS = ROOT / "docs" / "cluster.md"
_HERE, _THERE = "10.213.77.1", "10.213.77.2"
_SECONDS = "12s"  # after which a connection without an answer is dead; Dask takes no less than 11


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return undisturbed(tmp_path_factory.mktemp("local"))


@pytest.fixture
def hosts():
    """The names of two namespaces with a cable between them; its end in the second has the name `cable`."""
    need("ip", "openssl")
    need_root()
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


@pytest.fixture
def certificates(tmp_path):
    """Made as the documentation says."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    (commands,) = re.findall(r"```sh\n(openssl .*?)```", _DOCS.read_text(), re.DOTALL)
    subprocess.run(["sh", "-ec", commands], cwd=folder, check=True, capture_output=True)
    return [folder / name for name in ("ca.pem", "cert.pem", "key.pem")]


def on(host: str, command: list[str]) -> list[str]:
    return ["ip", "netns", "exec", host, *command]


@pytest.mark.parametrize("files", ["files stay", "files go"])
def test_a_host_that_is_cut_off_costs_the_sweep_nothing(hosts, certificates, expected, tmp_path, files):
    """Its worker still has the runs folder, and may finish its stage there; or it is frozen, as by a lost disk."""
    (tmp_path / "spec.yaml").write_text(SPEC)
    here, there = hosts
    address = f"tls://{_HERE}:8786"
    ca, cert, key = certificates
    tls = ["--tls-ca-file", ca, "--tls-cert", cert, "--tls-key", key]
    lease_timeout = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": _SECONDS}
    commands = {
        "scheduler": on(here, scheduler_command("--protocol", "tls", "--host", _HERE, "--port", 8786, *tls)),
        "near": on(here, worker_command(address, "--name", "near", "--host", _HERE, *tls)),
        "far": on(there, worker_command(address, "--name", "far", "--host", _THERE, *tls)),
    }
    with ExitStack() as stack:
        processes = {
            name: stack.enter_context(running(command, tmp_path / f"{name}.log", **lease_timeout))
            for name, command in commands.items()
        }
        told = ["--scheduler", address, "--tls-ca", ca, "--tls-cert", cert, "--tls-key", key, "--jobs", 2]
        wait_until(lambda: "Scheduler at" in (tmp_path / "scheduler.log").read_text(), 60, "the scheduler")
        process = stack.enter_context(launcher(tmp_path, *told, prefix=on(here, [])))
        far = processes["far"].pid
        wait_until(lambda: _saves(tmp_path, far, process), 120, "a save of the far worker")
        subprocess.run(["ip", "-n", there, "link", "set", "cable", "down"], check=True)
        if files == "files go":
            for pid in session_members(far):
                os.kill(pid, signal.SIGSTOP)
        assert process.wait(200) == 0, said(tmp_path)
    assert "worker far died" in said(tmp_path)
    assert table(tmp_path, tmp_path / "runs") == expected
    assert f"{STAGES}/{STAGES}" in said(tmp_path)


def _saves(folder: Path, session: int, process: subprocess.Popen) -> bool:
    """Whether a worker of that session has saved a stage that it is in the middle of."""
    assert process.poll() is None, said(folder)
    members = session_members(session)
    keys = [key for key, pid in holders(folder).items() if pid in members]
    return any(any((folder / "runs" / "stages" / f".saves-{key}").glob("*")) for key in keys)
