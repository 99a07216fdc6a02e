"""Our steps in a process of its own, with the environment of a worker: what a sweep's steps have."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.environment import ROOT, environment
from benchmarks.speed.clock import Timing
from benchmarks.speed.ours import Sizes
from orchestrator.cluster.environment import KEEPS_MEMORY


class Side:
    """A process that does what it is asked for (serve.py), of this tree or of another revision's."""

    def __init__(self, sizes: Sizes, tree: Path = ROOT) -> None:
        command = [sys.executable, "-m", "benchmarks.speed.serve", json.dumps(asdict(sizes))]
        self._process = subprocess.Popen(
            command,
            cwd=tree,
            env={**environment(tree), **KEEPS_MEMORY},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, request: str) -> dict[str, Any]:
        """The answer; raises RuntimeError where the process has ended."""
        assert self._process.stdin and self._process.stdout
        print(request, file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the side in {self._process.args!r} ended with status {self._process.wait()}")
        found: dict[str, Any] = json.loads(answer)
        return found

    def once(self, request: str = "step") -> Timing:
        """What was made last, once more; `captured`: as one CUDA graph."""
        answer = self.ask(request)
        return Timing(answer["wall"], answer["cpu"])

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def __enter__(self) -> Side:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
