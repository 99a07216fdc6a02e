"""A process that holds a lease, to be stopped and killed: `python fake_writer.py RUNS NAME [PATIENCE]`.

It writes `ready` when it has its lease and its work folder. A line on its standard input makes it commit; it then
writes `committed`, `late` or `lost`.
"""

import sys
from pathlib import Path

from fake_stages import make_stage

from orchestrator.lease import PATIENCE, LeaseLost
from orchestrator.store import Store


def main(runs: str, name: str, patience: str = str(PATIENCE)) -> None:
    store, stage = Store(Path(runs), float(patience)), make_stage(name)
    lease = store.leases.acquire(stage.key)
    work = store.work(stage, lease)
    (work / "value.txt").write_text("the writer's")
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        print("committed" if store.commit(stage, work, {}, lease) else "late", flush=True)
    except LeaseLost:
        print("lost", flush=True)
    lease.release()


if __name__ == "__main__":
    main(*sys.argv[1:])
