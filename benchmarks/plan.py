"""How long planning takes: `python benchmarks/plan.py [--profile]`. Target: 10,000 jobs within 5 s.

Two sweeps of 10,000 jobs: five tasks of digits, and, harder, CIFAR-100 in 5, 10 and 20 tasks at once, which is 13
stages a job. From the text of the spec to the plan, as `dfcil-sweep plan` does it before it prints. Wall seconds, and
those of the processor, which tell when the machine is busy with something else.
`--profile` shows where the time of each goes.
"""

import cProfile
import pstats
import sys
import time

from orchestrator.plan.plan import Plan, make_plan
from orchestrator.spec.load import parse_spec

METHODS = "name: many\nmethods: [upper-bound, base, lwf, abd, rehearsal]\n"
SWEEPS = {
    "digits, 5 tasks": METHODS + "dataset: digits\ntasks: [5]\nrepeats: 2000\n",
    "cifar100, 5, 10 and 20 tasks": METHODS + "dataset: cifar100\ntasks: [5, 10, 20]\nrepeats: 667\n",
}
TARGET = 5.0


def planned(text: str) -> Plan:
    return make_plan(parse_spec(text, "benchmark"))


def main(profiled: bool = False) -> None:
    for title, text in SWEEPS.items():
        if profiled:
            profile = cProfile.Profile()
            profile.runcall(planned, text)
            pstats.Stats(profile).sort_stats("tottime").print_stats(15)
            continue
        wall, processor = time.perf_counter(), time.process_time()
        plan = planned(text)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        print(
            f"{title}: {len(plan.jobs)} jobs, {len(plan.stages)} stages in {wall:.2f} s ({processor:.2f} s processor)"
        )
        print(f"  target {TARGET} s: {'met' if wall <= TARGET else 'MISSED'}")


if __name__ == "__main__":
    main("--profile" in sys.argv[1:])
