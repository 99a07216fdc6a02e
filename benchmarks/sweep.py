"""A whole sweep: `dfcil-sweep launch` with two workers beside the same jobs as public scripts run them.

    python -m benchmarks.sweep                        six methods, digits at 32 x 32, ResNet-32: a line, and a table
    python -m benchmarks.sweep --precision bfloat16   ours in bfloat16; the others stay in float32
    python -m benchmarks.sweep --rounds 3 --json sweep.json

Wall seconds from command to exit, in turn: the launch in a fresh runs folder, with its MLflow; the others one after
another in one process with two threads, each job doing all of its tasks itself (benchmarks/speed/plain_jobs.py, of the
steps whose losses benchmarks/steps.py shows to be ours to 1e-4). Their random numbers are others, and so accuracies
differ as they do between seeds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.startup import PROGRAM, untracked  # noqa: E402
from dfcil_core import processor  # noqa: E402

METHODS = ("base", "lwf", "rehearsal", "bic", "e2e", "abd")
SPEC = """\
name: sweep
dataset: {{name: digits, image_size: {image_size}}}
quirks: iccv2021
methods: [{methods}]
tasks: [5]
stop_after: {tasks}
seeds: [0]
training: {{backbone: {backbone}, epochs: {epochs}, batch_size: {batch_size}, precision: {precision}}}
dreaming: {{steps: {steps}}}
memory: 100
"""
TARGETS = {"float32": 3.0, "bfloat16": 5.0}
"""How many times faster the launch is to be, with two workers beside two threads."""


@dataclass
class Sides:
    """Wall seconds of each round, and the final accuracies of the last one in percent."""

    ours: list[float] = field(default_factory=list)
    plain: list[float] = field(default_factory=list)
    accuracies: dict[str, tuple[float, float]] = field(default_factory=dict)
    """By method: ours, and that of the plain job."""

    @property
    def ratio(self) -> float:
        """How many times longer the plain jobs took: the median over the rounds."""
        return statistics.median(plain / ours for ours, plain in zip(self.ours, self.plain, strict=True))


def measured(sizes: dict[str, Any], workers: int, rounds: int) -> Sides:
    """Both sides, in turn."""
    sides = Sides()
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            spec, plain = Path(folder, "sweep.yaml"), Path(folder, "plain.yaml")
            spec.write_text(SPEC.format(**sizes))
            plain.write_text(SPEC.format(**{**sizes, "precision": "float32"}))
            runs = ("--runs", f"{folder}/runs")
            launch = ("-c", PROGRAM, "launch", str(spec), "--jobs", str(workers), "--device", "cpu", *runs)
            sides.ours.append(_seconds(folder, *launch)[0])
            seconds, told = _seconds(folder, "-m", "benchmarks.speed.plain_jobs", str(plain), str(workers))
            sides.plain.append(seconds)
            _, report = _seconds(folder, "-c", PROGRAM, "report", "sweep", *runs, "--format", "json")
            of_plain = json.loads(told)
            sides.accuracies = {row["label"]: (row["final"], of_plain[row["label"]]) for row in _rows(report)}
    return sides


def _rows(report: str) -> list[dict[str, Any]]:
    return list(json.loads(report)["jobs"])


def _seconds(folder: str, *words: str) -> tuple[float, str]:
    """Wall seconds of a process, and what it printed."""
    began = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, *words], cwd=folder, env=untracked(), stdout=subprocess.PIPE, check=True, text=True
    )
    return time.perf_counter() - began, ended.stdout


def as_text(sides: Sides, sizes: dict[str, Any], workers: int, load: float) -> str:
    """The line, and the final accuracies side by side."""
    ours, plain = statistics.median(sides.ours), statistics.median(sides.plain)
    target = TARGETS[sizes["precision"]]
    met = "met" if sides.ratio >= target else "MISSED"
    lines = [
        f"{processor.model()}, {os.cpu_count()} cores, load {load:.1f} before; n = {len(sides.ours)}",
        f"launch, {workers} workers, {sizes['precision']}: {ours:.1f} s; jobs one after another, {workers} threads, "
        f"float32: {plain:.1f} s; {sides.ratio:.2f} times; target {target:g}: {met}",
        "",
        "| method | final accuracy | of the plain job |",
        "| --- | ---: | ---: |",
        *(f"| {label} | {one:.1f} | {other:.1f} |" for label, (one, other) in sides.accuracies.items()),
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--precision", default="float32", choices=list(TARGETS))
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--backbone", default="resnet32")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--tasks", type=int, default=5, help="how many of the five")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=50, help="of dreaming")
    parser.add_argument("--workers", type=int, default=2, help="and threads of the jobs one after another")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", type=Path, help="file for all numbers")
    asked = vars(parser.parse_args())
    file, rounds, workers, load = asked.pop("json"), asked.pop("rounds"), asked.pop("workers"), os.getloadavg()[0]
    sizes = {**asked, "methods": ", ".join(asked["methods"])}
    sides = measured(sizes, workers, rounds)
    print(as_text(sides, sizes, workers, load))
    if file:
        told = {"sizes": sizes, "workers": workers, "processor": processor.model(), "load": load, "ratio": sides.ratio}
        file.write_text(json.dumps({**told, **vars(sides)}, indent=1))


if __name__ == "__main__":
    main()
