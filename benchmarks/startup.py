"""How soon the command line answers: `python benchmarks/startup.py [RUNS]`. Target: `--help` within 0.5 s.

Each command is started RUNS times (default 15) as a process of its own, after one run that warms the disk's cache. Wall
seconds, median and extremes.
"""

import statistics
import subprocess
import sys
import tempfile
import time

COMMANDS = (["--help"], ["launch", "--help"], ["methods"], ["plan", "demo"])
PROGRAM = "from orchestrator.cli import main; main()"
TARGET = 0.5


def seconds(command: list[str], folder: str) -> float:
    """The time from the start of the process to its end."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", PROGRAM, *command], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main(runs: int = 15) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for command in COMMANDS:
            seconds(command, folder)
            times = [seconds(command, folder) for _ in range(runs)]
            median = statistics.median(times)
            spread = f"{min(times):.3f} to {max(times):.3f}"
            print(f"dfcil-sweep {' '.join(command):15} median {median:.3f} s of {runs} ({spread} s)")
            if command == ["--help"]:
                print(f"  target {TARGET} s: {'met' if median <= TARGET else 'MISSED'}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
