"""The numbers of short runs of every component, for `test_golden_numbers.py`.

`python -m tests.golden` writes them anew to golden.json: after a change of results that is meant, has bumped the
component's version, and stands in CHANGELOG.md.
"""

import json
import tempfile
from pathlib import Path

from dfcil_core import config
from dfcil_core.config import Dreaming, Training
from dfcil_core.data import DATASETS
from dfcil_core.methods import METHODS
from dfcil_core.run_stage import Execution, run_stage
from orchestrator.plan import make_plan
from orchestrator.sweep import Dataset, MethodEntry, Split, SweepSpec

FILE = Path(__file__).with_name("golden.json")
COMPONENTS = {
    "data": config.DATA_VERSION,
    "loop": config.LOOP_VERSION,
    "memory": config.MEMORY_VERSION,
    "dream": config.DREAM_VERSION,
}


def versions(method: str) -> dict[str, int]:
    """The versions that vouch for a method's numbers."""
    return {**COMPONENTS, "method": METHODS[method].version}


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
    dataset = Dataset(DATASETS["digits"], image_size=8)
    plan = make_plan(SweepSpec("golden", dataset, (entry,), (Split((2, 2, 6), "2+2+6"),), (0,)))
    measured = {}
    with tempfile.TemporaryDirectory() as folder:
        for key, stage in plan.stages.items():
            recipe, place = stage.recipe, Path(folder) / key
            place.mkdir()
            parents = {role: Path(folder) / parent for role, parent in recipe.parents.items()}
            record = run_stage(recipe, place, parents, Execution())
            name = f"{recipe.kind} {recipe.task}"
            if recipe.kind == "remember":
                from dfcil_core.memory import Memory

                measured[name] = Memory.read(place).positions.tolist()
            else:
                measured[name] = record["curves"]["loss"]
    return measured


def main() -> None:
    """Write golden.json."""
    content = {
        f"{method} {quirks}": {"versions": versions(method), "numbers": numbers(method, quirks)}
        for method in METHODS
        for quirks in ("none", "iccv2021")
    }
    FILE.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
