"""A process that holds a lease, to be stopped and killed: `python fake_writer.py RUNS NAME [LEASE_TIMEOUT]`.

It writes `ready` when it has its lease and its work folder. A line on its standard input makes it commit; it then
writes `committed`, `late` or `lost`.
"""

import sys
from pathlib import Path

from orchestrator.store.lease import LEASE_TIMEOUT, LeaseLost
from orchestrator.store.store import Store
from tests.support.fake_stages import make_stage
from tests.support.sound_records import told


def main(runs: str, name: str, lease_timeout: str = str(LEASE_TIMEOUT)) -> None:
    store, stage = Store(Path(runs), float(lease_timeout)), make_stage(name)
    lease = store.leases.acquire(stage.key)
    work = store.work(stage, lease)
    (work / "value.txt").write_text("the writer's")
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        print("committed" if store.commit(stage, work, told(stage.recipe), lease) else "late", flush=True)
    except LeaseLost:
        print("lost", flush=True)
    lease.release()


if __name__ == "__main__":
    main(*sys.argv[1:])
