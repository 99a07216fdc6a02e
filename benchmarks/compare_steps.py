"""Two revisions of this repository beside each other: how long a step takes in each, and whether it is the same one.

    make bench-compare BASE=main          this working tree beside `main`
    python -m benchmarks.compare_steps main --only abd dream --rounds 20

BASE is checked out beside, with this tree's benchmarks, and both do their steps in turn, each in a process of its own.
"The same" is to the bit: every loss, and the weights at the end, of a chain that begins with the first task.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.speed import arguments, clock
from benchmarks.speed.ours import Sizes
from dfcil_core.methods import METHODS

ROOT = Path(__file__).parents[1]
NOT_COUNTED = 2
"""Steps of each before the first that is timed."""


class Side:
    """One revision, in a process of its own."""

    def __init__(self, tree: Path, sizes: Sizes) -> None:
        command = [sys.executable, "-m", "benchmarks.speed.serve", json.dumps(asdict(sizes))]
        environment = {**os.environ, "PYTHONPATH": str(tree)}
        self._process = subprocess.Popen(
            command, cwd=tree, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.steps: list[dict[str, float]] = []

    def ask(self, request: str) -> dict[str, Any]:
        """The answer; raises RuntimeError where the process has ended."""
        assert self._process.stdin and self._process.stdout
        print(request, file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the side in {self._process.args!r} ended with status {self._process.wait()}")
        found: dict[str, Any] = json.loads(answer)
        return found

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def main() -> None:
    parser = arguments.parser(__doc__.split("\n")[0])
    parser.add_argument("base", help="a revision: a branch, a tag, a commit")
    parser.add_argument("--only", nargs="*", default=[], choices=[*METHODS, "dream"])
    asked = parser.parse_args()
    sizes = arguments.sizes(asked)
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "base"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", str(tree), asked.base], cwd=ROOT, check=True)
        try:
            for shared in ("benchmarks", "tests"):
                shutil.rmtree(tree / shared, ignore_errors=True)
                shutil.copytree(ROOT / shared, tree / shared, ignore=shutil.ignore_patterns("__pycache__"))
            compare([Side(tree, sizes), Side(ROOT, sizes)], asked.only or [*METHODS, "dream"], asked.rounds, sizes)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, check=True)


def compare(sides: list[Side], names: list[str], rounds: int, sizes: Sizes) -> None:
    """Print a row for each name."""
    counted = "cpu" if sizes.kind == "cpu" else "wall"
    what = "CPU ms of one thread" if counted == "cpu" else "ms"
    print(f"| step | n | base: {what}, median | now | times faster | the same to the bit |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    for name in names:
        for side in sides:
            side.ask(f"make {name}")
            side.steps = []
        for _ in range(NOT_COUNTED + rounds):
            for side in sides:
                side.steps.append(side.ask("step"))
        seconds = [[step[counted] for step in side.steps[NOT_COUNTED:]] for side in sides]
        losses = [[step["loss"] for step in side.steps] for side in sides]
        same = losses[0] == losses[1] and len({side.ask("digest")["digest"] for side in sides}) == 1
        base, now = (1000 * statistics.median(each) for each in seconds)
        times = clock.ratio(seconds[1], seconds[0])
        print(f"| {name} | {rounds} | {base:.1f} | {now:.1f} | {times:.2f} | {'yes' if same else 'no'} |", flush=True)
    for side in sides:
        side.close()


if __name__ == "__main__":
    main()
