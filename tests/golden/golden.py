"""The numbers of short runs of every component, for `test_golden_numbers.py`.

They are computed in double precision, networks and images, so that what processors, threads and versions of torch round
differently stays far below the bound. `python -m tests.golden` writes them anew to golden.json: after a change of
results that is meant, has bumped the component's version, and stands in CHANGELOG.md. `python -m tests.golden --check`
compares them, with DFCIL_GOLDEN_THREADS threads.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from dfcil_core import config
from dfcil_core import run_stage as core
from dfcil_core.config import Dreaming, Training
from dfcil_core.data import DATASETS
from dfcil_core.methods import METHODS
from orchestrator.plan.plan import make_plan
from orchestrator.spec.model import Dataset, MethodEntry, Split, SweepSpec

FILE = Path(__file__).with_name("golden.json")
BOUND = 1e-7
"""How far a number may be from the expected one, relatively. Rounding was seen to move them by 5e-10 at most, over
three levels of instructions, one thread and two; the smallest change that means anything moves them by 1e-5."""
COMPONENTS = {
    "data": config.DATA_VERSION,
    "loop": config.LOOP_VERSION,
    "memory": config.MEMORY_VERSION,
    "dream": config.DREAM_VERSION,
}
QUIRKS = {"none": {}, "iccv2021": {"quirks": config.QUIRKS_VERSION}}


@contextmanager
def double_precision() -> Iterator[None]:
    """Networks, images and random numbers as float64, and as many threads as DFCIL_GOLDEN_THREADS says (1)."""
    threads, core.THREADS = core.THREADS, int(os.environ.get("DFCIL_GOLDEN_THREADS", "1"))
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)
        core.THREADS = threads


def versions(method: str, quirks: str) -> dict[str, int]:
    """The versions that vouch for a method's numbers."""
    return {**COMPONENTS, **QUIRKS[quirks], "method": METHODS[method].version}


def numbers(method: str, quirks: str) -> dict[str, list[float]]:
    """Loss curves of every stage of a short run over two tasks, by stage; a memory's positions where it keeps one."""
    # A small learning rate: rounding, which differs between processors, must not have grown by the end.
    entry = MethodEntry(
        label=method,
        method=METHODS[method](),
        training=Training(backbone="resnet8", epochs=2, batch_size=32, lr=0.01, milestones=(1,)),
        dreaming=Dreaming(steps=4),
        memory=20,
        quirks=quirks,
    )
    # Half of the images: as much is proved in half the time.
    dataset = Dataset(DATASETS["digits"], image_size=8, holdout=0.5)
    plan = make_plan(SweepSpec("golden", dataset, (entry,), (Split((2, 2, 6), "2+2+6"),), (0,)))
    measured = {}
    with double_precision(), tempfile.TemporaryDirectory() as folder:
        for key, stage in plan.stages.items():
            recipe, place = stage.recipe, Path(folder) / key
            place.mkdir()
            parents = {role: Path(folder) / parent for role, parent in recipe.parents.items()}
            record = core.run_stage(recipe, place, parents, core.Execution())
            name = f"{recipe.kind} {recipe.task}"
            if recipe.kind == "remember":
                from dfcil_core.memory import Memory

                measured[name] = Memory.read(place).positions.tolist()
            else:
                measured[name] = record["curves"]["loss"]
    return measured


def deviation(measured: dict[str, list[float]], expected: dict[str, list[float]]) -> float:
    """The largest difference between two runs' numbers, relative to the larger of the expected one and 1e-2."""
    assert measured.keys() == expected.keys(), f"stages {sorted(measured)} instead of {sorted(expected)}"
    largest = 0.0
    for stage, values in expected.items():
        assert len(measured[stage]) == len(values), f"{stage}: {len(measured[stage])} numbers instead of {len(values)}"
        for own, value in zip(measured[stage], values, strict=True):
            largest = max(largest, abs(own - value) / max(abs(value), 1e-2))
    return largest


def check() -> int:
    """Compare every method's numbers with golden.json, and print the largest deviation of each; 1 where one is off."""
    expected, failed = json.loads(FILE.read_text()), 0
    print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}")
    for name, entry in expected.items():
        method, quirks = name.split(" ")
        off = deviation(numbers(method, quirks), entry["numbers"])
        failed += off > BOUND
        print(f"{name}: {off:.1e}{'' if off <= BOUND else f', more than {BOUND:g}'}")
    print(f"{len(expected) - failed} passed, {failed} failed")
    return 1 if failed else 0


def main() -> None:
    """Write golden.json."""
    content = {
        f"{method} {quirks}": {"versions": versions(method, quirks), "numbers": numbers(method, quirks)}
        for method in METHODS
        for quirks in ("none", "iccv2021")
    }
    FILE.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(check()) if sys.argv[1:] == ["--check"] else main()
