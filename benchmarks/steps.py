"""What a training step of each method costs, a dreaming step, and what a stage does beside its steps.

    make bench                            float32 on one thread of this CPU: a table, and bench.json
    python -m benchmarks.steps --device cuda --precision bfloat16 --only abd dream
    python -m benchmarks.steps --profile base dream    where the time of our steps goes, operator by operator

Each beside a plain one, written from the papers in the obvious way (benchmarks/speed/plain_steps.py), timed in turn
with it: ours in a process with a worker's environment, the plain one in a process as Python starts it. Its losses must
be ours, to 1e-4 (float32): otherwise this ends with status 1. `--only` takes methods, `dream` and `parts`.
`benchmarks/compare_steps.py` sets two revisions of this repository beside each other.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

# Before torch: its profiler tells of its starts and stops.
os.environ.setdefault("KINETO_LOG_LEVEL", "99")

from benchmarks.speed import arguments, profiles, report  # noqa: E402
from benchmarks.speed.measure import Effort, everything, stepping  # noqa: E402
from benchmarks.speed.ours import Sizes  # noqa: E402
from dfcil_core.methods import METHODS  # noqa: E402
from orchestrator.cluster.environment import KEEPS_MEMORY  # noqa: E402


def main() -> None:
    parser = arguments.parser(__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=Effort.seconds, help="a line has had enough of them then")
    parser.add_argument("--only", nargs="*", default=[], choices=[*METHODS, "dream", "parts"])
    parser.add_argument("--capture", action="store_true", help="time each step as one CUDA graph too")
    parser.add_argument("--json", type=Path, help="file for all numbers")
    parser.add_argument("--markdown", type=Path, help="file for the table")
    parser.add_argument("--profile", nargs="+", default=[], choices=[*METHODS, "dream"], help="on a CPU, and no table")
    asked = parser.parse_args()
    if asked.profile:
        _with_the_environment_of_a_worker()
    sizes = arguments.sizes(asked)
    started, lines, machine = time.perf_counter(), [], report.machine(sizes)
    if asked.profile:
        print("\n".join(profiled(sizes, asked.profile, machine)))
        return
    for line in everything(sizes, Effort(asked.rounds, asked.seconds), set(asked.only), asked.capture):
        lines.append(line)
        print(f"{line.name}: {1000 * line.ours['median']:.1f} ms", file=sys.stderr, flush=True)
    table = report.as_markdown(sizes, machine, lines)
    print(table)
    if asked.markdown:
        asked.markdown.write_text(table)
    if asked.json:
        asked.json.write_text(json.dumps(report.as_json(sizes, machine, lines), indent=1))
    print(f"measured in {time.perf_counter() - started:.0f} s", file=sys.stderr)
    differing = [line.disagreement for line in lines if line.disagreement]
    if differing:
        sys.exit("\n".join(["another loss, so these cannot be compared:", *differing]))


def _with_the_environment_of_a_worker() -> None:
    """Begin anew with it where it is another: an allocator reads its own when a process starts."""
    if KEEPS_MEMORY.items() <= os.environ.items():
        return
    command = [sys.executable, "-m", "benchmarks.steps", *sys.argv[1:]]
    os.execve(sys.executable, command, {**os.environ, **KEEPS_MEMORY})


def profiled(sizes: Sizes, names: list[str], machine: dict[str, Any]) -> Iterator[str]:
    """A table of each step's operators."""
    product, copied = machine["matrix_product_gflops"][sizes.precision], machine["copy_gb_per_second"]
    for name, step in stepping(sizes, names):
        yield profiles.as_markdown(name, profiles.by_operator(step), product, copied)


if __name__ == "__main__":
    main()
