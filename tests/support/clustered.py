"""A sweep of digits that is run elsewhere and disturbed: what it is, and what the undisturbed one gives."""

import json
import os
import socket
import subprocess
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

from orchestrator.store.lease import Leases
from tests.support.launched import command, dfcil, environment
from tests.support.processes import wait_until
from tests.support.tools import lacking

SPEC = """\
name: clustered
dataset: {name: digits, image_size: 8}
methods: [base, lwf, abd]
tasks: [2]
seeds: [0]
training: {backbone: resnet8, epochs: 16, batch_size: 32}
dreaming: {steps: 50}
"""
STAGES = 5  # of SPEC: a learn 1, a dream, three learn 2


def table(folder: Path, runs: Path) -> dict[str, object]:
    """The final table as it is printed, and every stage's numbers to the last digit."""
    answer = dfcil("report", "clustered", "--runs", runs, "--device", "cpu", "--format", "markdown", folder=folder)
    assert answer.returncode == 0, answer.stderr
    records = [json.loads(path.read_text()) for path in (runs / "stages").glob("*/record.json")]
    assert len(records) == STAGES
    numbers = {record["folder"]: (record.get("evaluation"), record["curves"]) for record in records}
    return {"table": answer.stdout, "numbers": numbers}


def undisturbed(folder: Path) -> dict[str, object]:
    """The table of SPEC, which is left in `folder` as spec.yaml, run on this machine."""
    (folder / "spec.yaml").write_text(SPEC)
    answer = dfcil("launch", "spec.yaml", "--runs", "local", "--jobs", 2, "--device", "cpu", folder=folder)
    assert answer.returncode == 0, answer.stderr
    return table(folder, folder / "local")


@contextmanager
def launcher(folder: Path, *arguments: object, prefix: Sequence[str] = (), **more: str):
    """A launch of spec.yaml in `folder` into its runs folder; its output goes to launch.log there.

    `prefix` is put before its command line, `more` into its environment.
    """
    told = ["launch", "spec.yaml", "--runs", folder / "runs", "--device", "cpu", "--save-every", 0.5, *arguments]
    with (folder / "launch.log").open("w") as log:
        output = {"stdout": log, "stderr": subprocess.STDOUT}
        process = subprocess.Popen([*prefix, *command(*told)], cwd=folder, env={**environment(), **more}, **output)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(60)


def said(folder: Path) -> str:
    return (folder / "launch.log").read_text()


def until_saved(folder: Path, process: subprocess.Popen, seconds: float) -> None:
    """Wait for the first save within a stage: the middle of the sweep."""

    def saved() -> bool:
        assert process.poll() is None, said(folder)
        return any(any(path.iterdir()) for path in (folder / "runs" / "stages").glob(".saves-*"))

    wait_until(saved, seconds, "a save within a stage")


def holders(folder: Path) -> dict[str, int]:
    """The first digits of each stage that is being worked on, to the process that has its lease."""
    found = Leases(folder / "runs" / "stages").holders()
    return {key: holder.pid for key, holder in found.items()}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def need_root() -> None:
    """Skip a test that only root can do; where CI says that all must be done, fail it."""
    if os.geteuid() != 0:
        lacking("needs root")
