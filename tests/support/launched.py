"""The command line in processes of its own, on a sweep that takes seconds."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SPEC = """\
name: tiny
dataset: {name: digits, image_size: 8}
methods: [base, abd, rehearsal]
tasks: [2]
seeds: [0]
training: {backbone: resnet8, epochs: 1, batch_size: 64}
dreaming: {steps: 2}
memory: 20
"""
STAGES = 6  # of SPEC: one learn 1, a dream, a remember, three learn 2
PROGRAM = "from orchestrator.cli import main; main()"


@dataclass(frozen=True)
class Launched:
    """A sweep that was launched: its spec file, its runs folder, and what the launch answered."""

    spec: Path
    runs: Path
    answer: subprocess.CompletedProcess


def environment() -> dict[str, str]:
    """Of the command line: nothing that would change where it reads and writes."""
    ours = {name: value for name, value in os.environ.items() if name not in ("DFCIL_RUNS", "MLFLOW_TRACKING_URI")}
    return {**ours, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", "COLUMNS": "120"}


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-c", PROGRAM, *map(str, arguments)]


def dfcil(*arguments: object, folder: Path) -> subprocess.CompletedProcess:
    """Run the command line in `folder`."""
    return subprocess.run(command(*arguments), cwd=folder, env=environment(), capture_output=True, text=True)


def launch(folder: Path, jobs: int) -> Launched:
    """Launch SPEC with a runs folder in `folder`."""
    spec = folder / "tiny.yaml"
    spec.write_text(SPEC)
    runs = folder / "runs"
    answer = dfcil("launch", spec, "--runs", runs, "--jobs", jobs, "--device", "cpu", folder=folder)
    assert answer.returncode == 0, answer.stderr
    return Launched(spec, runs, answer)
