"""A launcher whose disk is full: `python fake_full_disk.py RUNS`, where RUNS is a file system of 2 MiB of its own.

It runs a stage that wants 8 MiB and two that want little; then the disk is made larger, and it runs them again.
"""

import json
import subprocess
import sys
from pathlib import Path

from orchestrator.engine.engine import run
from orchestrator.store.stage_folder import check
from orchestrator.store.store import Store
from tests.support.fake_stages import make_options, make_plan, make_stage


def main(runs: str) -> None:
    fat, thin = make_stage("fat", fill=8 << 20), make_stage("thin")
    below, store = make_stage("below", fat), Store(Path(runs))
    plan = make_plan(fat, thin, below)
    # One at a time: beside the fat one, the thin one may meet the full disk as well.
    full = run(plan, store, make_options(workers=1), lambda event: None)
    errors = [failure.error for failure in full.failed.values()]
    left = [path.name for path in store.stages.iterdir() if path.name.startswith((".work", ".lease"))]
    subprocess.run(["mount", "-o", "remount,size=64m", runs], check=True)
    roomy = run(plan, store, make_options(), lambda event: None)
    for stage in plan.stages.values():
        check(store.folder(stage), stage.key)
    first = {"done": full.done, "errors": errors, "blocked": len(full.blocked), "left": left}
    print(json.dumps({"full": first, "roomy": {"done": roomy.done, "reused": roomy.reused}}))


if __name__ == "__main__":
    main(*sys.argv[1:])
