"""Two revisions of this repository beside each other: how long a step takes in each, and whether it is the same one.

    make bench-compare BASE=main          this working tree beside `main`
    python -m benchmarks.compare_steps main --only abd dream --rounds 20

BASE is checked out beside, with this tree's benchmarks, and both do their steps in turn, each in a process of its own.
"The same" is to the bit: every loss, and the weights at the end, of a chain that begins with the first task.
"""

import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

from benchmarks.speed import arguments, clock
from benchmarks.speed.ours import Sizes
from benchmarks.speed.side import ROOT, Side
from dfcil_core.methods import METHODS

NOT_COUNTED = 2
"""Steps of each before the first that is timed."""


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
            with Side(sizes, tree) as base, Side(sizes) as now:
                compare([base, now], asked.only or [*METHODS, "dream"], asked.rounds, sizes)
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
        by_round = [[side.ask("step") for side in sides] for _ in range(NOT_COUNTED + rounds)]
        steps = list(zip(*by_round, strict=True))
        seconds = [[step[counted] for step in of_side[NOT_COUNTED:]] for of_side in steps]
        losses = [[step["loss"] for step in of_side] for of_side in steps]
        same = losses[0] == losses[1] and len({side.ask("digest")["digest"] for side in sides}) == 1
        base, now = (1000 * statistics.median(each) for each in seconds)
        times = clock.ratio(seconds[1], seconds[0])
        print(f"| {name} | {rounds} | {base:.1f} | {now:.1f} | {times:.2f} | {'yes' if same else 'no'} |", flush=True)


if __name__ == "__main__":
    main()
