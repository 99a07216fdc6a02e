"""What the engine costs, with stages that do nothing.

    python -m benchmarks.engine relaunch [JOBS]   a finished sweep launched again. Target: 1,000 jobs within 5 s
    python -m benchmarks.engine dispatch [JOBS]   a sweep planned and dispatched. Target: at most 20 ms a stage, leases
                                                  and commit included, and no memory that grows with what is done

Wall seconds; two workers. Everything is written to a temporary folder.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from orchestrator.engine import engine
from orchestrator.engine.engine import Options
from orchestrator.engine.events import StageFinished
from orchestrator.plan.plan import Plan, make_plan
from orchestrator.spec.load import parse_spec
from orchestrator.store.store import Store

RELAUNCH = "name: many\ndataset: digits\nmethods: [base, lwf]\ntasks: [5]\nrepeats: {repeats}\n"
DISPATCH = "name: many\ndataset: digits\nmethods: [base, lwf]\ntasks: [2]\nrepeats: {repeats}\n"
OPTIONS = Options(workers=2, runner="benchmarks.noop:run_stage")
RELAUNCH_TARGET, STAGE_TARGET = 5.0, 0.020  # seconds


def resident() -> float:
    """MiB of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20


def dispatched(plan: Plan, runs: Path) -> tuple[float, list[float]]:
    """Run every stage; seconds, and MiB held after each tenth of the stages."""
    held, done = [], 0
    tenth = max(1, len(plan.stages) // 10)

    def listen(event) -> None:
        nonlocal done
        if isinstance(event, StageFinished):
            done += 1
            if done % tenth == 0:
                held.append(resident())

    start = time.perf_counter()
    outcome = engine.run(plan, Store(runs), OPTIONS, listen)
    assert outcome.done == len(plan.stages) and not outcome.failed
    return time.perf_counter() - start, held


def dispatch(jobs: str = "10000") -> None:
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        plan = make_plan(parse_spec(DISPATCH.format(repeats=int(jobs) // 2), "benchmark"), "cpu")
        print(f"{len(plan.jobs)} jobs, {len(plan.stages)} stages planned in {time.perf_counter() - start:.2f} s")
        planned = resident()
        seconds, held = dispatched(plan, Path(folder))
    each = seconds / len(plan.stages)
    print(f"dispatched in {seconds:.1f} s, {1000 * each:.1f} ms a stage: {verdict(each, STAGE_TARGET)}")
    print(f"MiB held: {planned:.0f} planned; after each tenth: {', '.join(f'{mib:.0f}' for mib in held)}")


def relaunch(jobs: str = "1000") -> None:
    text = RELAUNCH.format(repeats=int(jobs) // 2)
    with tempfile.TemporaryDirectory() as folder:
        path, runs = Path(folder) / "many.yaml", Path(folder) / "runs"
        path.write_text(text)
        plan = make_plan(parse_spec(text, "benchmark"), "cpu")
        seconds, _ = dispatched(plan, runs)
        print(f"{len(plan.jobs)} jobs, {len(plan.stages)} stages computed in {seconds:.1f} s")
        print(f"launched, all delivered to MLflow: {launched(path, runs):.1f} s")
        seconds = min(launched(path, runs) for _ in range(3))
        print(f"launched again: {seconds:.2f} s: {verdict(seconds, RELAUNCH_TARGET)}")


def launched(path: Path, runs: Path) -> float:
    """Seconds of `dfcil-sweep launch`, from the start of its process to its end."""
    program = "from orchestrator.cli import main; main()"
    command = [sys.executable, "-c", program, "launch", str(path), "--runs", str(runs), "--device", "cpu"]
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    start = time.perf_counter()
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def verdict(seconds: float, target: float) -> str:
    return f"target {target} s {'met' if seconds <= target else 'MISSED'}"


if __name__ == "__main__":
    {"relaunch": relaunch, "dispatch": dispatch}[sys.argv[1]](*sys.argv[2:])
