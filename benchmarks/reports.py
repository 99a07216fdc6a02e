"""How long a report takes: `python benchmarks/reports.py`. Targets: 5 s from the store, 30 s from MLflow on sqlite.

1,000 jobs of 20 tasks, fabricated (nothing is trained): ten methods on CIFAR-100's classes, 100 seeds, to one HTML
page, each in a process of its own, from the command to the file. Making the store and the tracking store, minutes, is
not counted. Of the tracking store's runs only the pictures are left out: but for the dreams, no report reads them.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "tests")]

from PIL import Image  # noqa: E402

from benchmarks.environment import environment  # noqa: E402
from benchmarks.stores import fabricate  # noqa: E402
from dfcil_core.artifacts import DREAMS  # noqa: E402
from orchestrator.results.job_result import job_results  # noqa: E402

SPEC = """\
name: many
dataset: cifar100
methods: [upper-bound, base, lwf, lwf-mc, abd, deep-inversion, dgr, r-dfcil, rehearsal, bic]
tasks: [20]
repeats: {repeats}
training: {{epochs: 3}}
dreaming: {{steps: 40}}
"""
TARGETS = {"store": 5.0, "MLflow": 30.0}


def picture(folder: Path) -> None:
    """A sheet of dreams."""
    Image.effect_noise((264, 264), 80).convert("RGB").save(folder / DREAMS, compress_level=1)


def deliver(runs: Path, plan, records) -> None:
    """All of it into a new sqlite tracking store, by the program's own writer, without the pictures."""
    from orchestrator.tracking.environment import prepare_client

    prepare_client()
    from orchestrator.store.failures import Failures
    from orchestrator.tracking import uri
    from orchestrator.tracking.writer import Writer

    writer = Writer(plan, runs, uri.tracking_uri(runs, None), plan.spec.name, Failures(runs, plan.spec.name))
    writer.open(live=False)
    for result in job_results(plan, records):
        writer.deliver(result)
    writer.close("FINISHED", job_results(plan, records))
    writer.release()


def timed(runs: Path, *options: str) -> float:
    """Wall seconds of the command."""
    command = [sys.executable, "-c", "from orchestrator.cli import main; main()", "report", "many", "--runs", str(runs)]
    start = time.perf_counter()
    page = ["--format", "html", "--best-bold", "--output", str(runs / "page.html")]
    subprocess.run([*command, *page, *options], check=True, env=environment())
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--store-only", action="store_true")
    parser.add_argument("--keep", type=Path, help="folder for the fabricated results; reused if it is there")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        runs = asked.keep or Path(scratch) / "runs"
        if not runs.exists():
            plan, records = fabricate(runs, SPEC.format(repeats=asked.repeats), picture)
            print(f"{len(plan.jobs)} jobs of 20 tasks, {len(plan.stages)} stages", flush=True)
            if not asked.store_only:
                deliver(runs, plan, records)
        sources = {"store": ()} if asked.store_only else {"store": (), "MLflow": _address(runs)}
        for source, options in sources.items():
            seconds = timed(runs, *options)
            verdict = "met" if seconds <= TARGETS[source] else "MISSED"
            print(f"from the {source}: {seconds:.1f} s; target {TARGETS[source]:.0f} s: {verdict}", flush=True)


def _address(runs: Path) -> tuple[str, str]:
    return "--tracking-uri", f"sqlite:///{(runs / 'mlflow.db').resolve()}"


if __name__ == "__main__":
    main()
