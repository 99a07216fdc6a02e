"""How soon the program answers: `python -m benchmarks.startup [RUNS]`.

    commands     `--help` within 0.5 s, and others
    first epoch  from the start of `launch demo` to the end of the first epoch that a worker trains: 4 s
    status       of a finished sweep of 20,000 stages: 2 s
    launch       of that sweep again, with nothing left to do: 4 s

Each is started RUNS times (default 15; the last three at most 5) as a process of its own, after one run that warms the
disk's cache. Wall seconds, median and extremes; and those of the processor, which tell when the machine is busy with
something else.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.environment import environment
from benchmarks.stores import fabricate, remember_delivered

COMMANDS = (["--help"], ["launch", "--help"], ["methods"], ["plan", "demo"])
PROGRAM = "from orchestrator.cli import main; main()"
LARGE = "name: many\ndataset: digits\nmethods: [base, lwf, abd, rehearsal]\ntasks: [5]\nrepeats: 800\n"  # 20,000 stages
HELP, FIRST_EPOCH, STATUS, LAUNCH = 0.5, 4.0, 2.0, 4.0  # targets, seconds
MOST = 5

FIRST = """
import os, sys
from orchestrator.engine.events import StageProgress
from orchestrator.launch import launch

def trained(event):
    if isinstance(event, StageProgress) and event.info.get("epoch"):
        os.write(1, b"epoch")
        raise KeyboardInterrupt

if __name__ == "__main__":
    try:
        launch("demo", runs=sys.argv[1], on_event=trained)
    except KeyboardInterrupt:
        pass
"""


def processor() -> float:
    """Seconds of the processor that finished processes of ours, and theirs, have had."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def untracked() -> dict[str, str]:
    """Ours, without another tracking store."""
    return {name: value for name, value in environment().items() if name != "MLFLOW_TRACKING_URI"}


def command(*words: str) -> Callable[[], float]:
    """What runs `dfcil-sweep` with these words, and gives the wall seconds until it ends."""

    def run() -> float:
        start = time.perf_counter()
        line = [sys.executable, "-c", PROGRAM, *words]
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(line, cwd=folder, check=True, stdout=subprocess.DEVNULL, env=untracked())
        return time.perf_counter() - start

    return run


def first_epoch() -> float:
    """Wall seconds from the start of a launch in an empty folder to the end of its first epoch."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "first.py")
        program.write_text(FIRST)
        start = time.perf_counter()
        line = [sys.executable, str(program), f"{folder}/runs"]
        with subprocess.Popen(line, cwd=folder, stdout=subprocess.PIPE, env=untracked()) as launched:
            assert launched.stdout is not None and launched.stdout.read(5) == b"epoch"
            seconds = time.perf_counter() - start
            launched.wait()
    return seconds


def measure(title: str, run: Callable[[], float], runs: int, target: float | None = None) -> None:
    """Print what so many runs took, after one more."""
    run()
    before = processor()
    times = [run() for _ in range(runs)]
    used = (processor() - before) / runs
    median = statistics.median(times)
    spread = f"{min(times):.3f} to {max(times):.3f} s; {used:.3f} s processor"
    met = "" if target is None else f"; target {target} s: {'met' if median <= target else 'MISSED'}"
    print(f"{title:35} median {median:.3f} s of {runs} ({spread}){met}", flush=True)


def main(runs: int) -> None:
    for words in COMMANDS:
        measure(f"dfcil-sweep {' '.join(words)}", command(*words), runs, HELP if words == ["--help"] else None)
    few = min(runs, MOST)
    measure("launch demo, to the first epoch", first_epoch, few, FIRST_EPOCH)
    with tempfile.TemporaryDirectory() as folder:
        runs_folder, spec = Path(folder, "runs"), Path(folder, "many.yaml")
        spec.write_text(LARGE)
        plan, _ = fabricate(runs_folder, LARGE)
        remember_delivered(runs_folder, plan)
        told = f"{len(plan.stages)} stages, {len(plan.jobs)} jobs"
        place = ("--runs", str(runs_folder))
        measure(f"status, {told}", command("status", "many", *place), few, STATUS)
        again = command("launch", str(spec), "--device", "cpu", *place)
        measure(f"launch again, {told}", again, few, LAUNCH)


def parser() -> argparse.ArgumentParser:
    """Of how often each is started."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("runs", type=int, nargs="?", default=15)
    return made


if __name__ == "__main__":
    main(parser().parse_args().runs)
