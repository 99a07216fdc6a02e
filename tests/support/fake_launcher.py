"""A launcher with a process of its own: `python fake_launcher.py RUNS NOTES PAIRS SLEEP [WORKERS [LEASE_TIMEOUT]]`.

Runs so many pairs of stages, `b0` after `a0`, `b1` after `a1` and so on, each sleeping so many seconds, and prints what
became of them as JSON.
"""

import json
import sys
from pathlib import Path

from orchestrator.engine.engine import run
from orchestrator.store.store import Store
from tests.support.fake_stages import make_options, make_plan, make_stage


def pairs(notes: Path, count: int, sleep: float):
    """The plan of `count` pairs."""
    stages = []
    for number in range(count):
        first = make_stage(f"a{number}", notes=str(notes), sleep=sleep)
        stages += [first, make_stage(f"b{number}", first, notes=str(notes), sleep=sleep)]
    return make_plan(*stages)


def main(runs: str, notes: str, count: str, sleep: str, workers: str = "2", lease_timeout: str = "30") -> None:
    plan = pairs(Path(notes), int(count), float(sleep))
    options = make_options(workers=int(workers), lease_timeout=float(lease_timeout))
    try:
        outcome = run(plan, Store(Path(runs)), options, lambda event: None)
    except KeyboardInterrupt:
        sys.exit(130)
    dask = sorted({"distributed", "torch"} & sys.modules.keys())
    print(json.dumps({"done": outcome.done, "reused": outcome.reused, "loaded": dask}))


if __name__ == "__main__":
    main(*sys.argv[1:])
