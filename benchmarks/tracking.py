"""What MLflow costs: a share of a sweep's wall time, the number of calls, and how long `sync` takes.

    python -m benchmarks.tracking share [SWEEP]       a digits sweep launched anew, with MLflow's calls timed
    python -m benchmarks.tracking without [SWEEP]     the same launch with nothing delivered
    python -m benchmarks.tracking sync [JOBS]         fabricated 5-task jobs delivered to a new sqlite store

The figures in docs/mlflow.md are made with these. Everything is written to a temporary folder.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from orchestrator.plan.plan import Plan
from orchestrator.tracking.environment import prepare_client

WATCHED = (
    "create_run", "log_inputs", "log_batch", "log_image", "log_text", "log_artifacts", "set_tag",
    "delete_tag", "set_terminated", "update_run", "get_run", "search_runs", "get_experiment_by_name",
    "create_experiment", "list_artifacts",
)  # fmt: skip
"""All calls that a launch or `sync` makes of MLflow's client."""


class Calls:
    """Counts the calls to MLflow's client and the time in them: wall seconds, and seconds of the calling thread's CPU.

    A call inside another (`log_artifacts` within a helper of MLflow's own) counts once.
    """

    def __init__(self) -> None:
        from mlflow.tracking import MlflowClient

        self.count: Counter[str] = Counter()
        self.wall: Counter[str] = Counter()
        self.cpu = 0.0
        self._inside = False
        for name in WATCHED:
            setattr(MlflowClient, name, self._watched(name, getattr(MlflowClient, name)))

    def _watched(self, name: str, call):
        def watched(*args, **kwargs):
            if self._inside:
                return call(*args, **kwargs)
            self._inside = True
            wall, cpu = time.perf_counter(), time.thread_time()
            try:
                return call(*args, **kwargs)
            finally:
                self._inside = False
                self.count[name] += 1
                self.wall[name] += time.perf_counter() - wall
                self.cpu += time.thread_time() - cpu

        return watched

    def print(self) -> None:
        for name, count in self.count.most_common():
            print(f"  {name:24s} {count:6d} calls {self.wall[name]:8.2f} s")
        print(f"  {'all':24s} {self.count.total():6d} calls {self.wall.total():8.2f} s, {self.cpu:.2f} s of CPU")


def _launch(sweep: str) -> float:
    """Launch a sweep into an empty folder, in this process; seconds of wall time."""
    from orchestrator.cli import cli

    with tempfile.TemporaryDirectory() as folder:
        before = time.perf_counter()
        try:
            cli.main(["launch", sweep, "--runs", folder], standalone_mode=False)
        except SystemExit as stop:
            if stop.code:
                raise
        return time.perf_counter() - before


def without(sweep: str = "demo") -> None:
    """The same launch with nothing delivered to MLflow: its wall time, to compare with that of `share`."""
    from orchestrator.tracking.tracker import Tracker

    Tracker._run = lambda self: None
    print(f"launch without MLflow: {_launch(sweep):.1f} s of wall time")


def share(sweep: str = "demo") -> None:
    """Launch a sweep into an empty folder, and tell what of its wall time the tracking thread took of the CPUs.

    Training goes on while the thread waits for the disk, so what it costs a sweep is its CPU time, which is taken from
    the workers', and what `launch` waits for after the last stage. Both are told.
    """
    import threading

    from orchestrator.tracking.tracker import Tracker

    spent: dict[str, float] = {}
    run, finish = Tracker._run, Tracker.finish

    def timed_run(self):
        before = time.thread_time()
        run(self)
        spent["thread"] = time.thread_time() - before

    def timed_finish(self, *args):
        before = time.perf_counter()
        try:
            return finish(self, *args)
        finally:
            spent["waited"] = time.perf_counter() - before

    Tracker._run, Tracker.finish = timed_run, timed_finish
    prepare_client()
    calls = Calls()
    assert threading.current_thread() is threading.main_thread()
    wall = _launch(sweep)
    calls.print()
    print(f"launch: {wall:.1f} s of wall time")
    print(f"tracking thread: {spent['thread']:.2f} s of CPU, {100 * spent['thread'] / wall:.2f}% of one core")
    print(
        f"waited for MLflow at the end: {spent['waited']:.2f} s, {100 * spent['waited'] / wall:.2f}% of the wall time"
    )


def sync(jobs: str = "1000") -> None:
    """Deliver so many fabricated jobs of 5 tasks to a new sqlite store, pictures apart, and then once more."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from orchestrator.tracking import pictures
    from orchestrator.tracking import sync as deliver
    from tests.support.fabricated import finish, sweep

    plan: Plan = sweep(("base", "abd"), seeds=range(int(jobs) // 2))
    for name in ("send_job", "send_dreams", "send_comparison"):
        setattr(pictures, name, lambda *_: None)
    prepare_client()
    calls = Calls()
    with tempfile.TemporaryDirectory() as folder:
        print(f"{len(plan.jobs)} jobs, {len(plan.stages)} stages")
        finish(plan, Path(folder))
        for attempt in ("into an empty store", "again, with nothing missing"):
            before = time.perf_counter()
            deliver(plan, Path(folder), f"sqlite:///{folder}/mlflow.db")
            print(f"sync {attempt}: {time.perf_counter() - before:.1f} s")
            calls.print()


def parser() -> argparse.ArgumentParser:
    """Of what is to be measured."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("what", choices=("share", "without", "sync"))
    made.add_argument("of", nargs="?", help="SWEEP (demo), or for sync JOBS (1000)")
    return made


if __name__ == "__main__":
    asked = parser().parse_args()
    measure = {"share": share, "without": without, "sync": sync}[asked.what]
    measure() if asked.of is None else measure(asked.of)
