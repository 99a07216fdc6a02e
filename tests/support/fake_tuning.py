"""A search without learning: the stages of real plans, with answers made up from their identities.

Run as a program, it is a tuner that can be killed: `python fake_tuning.py SPEC RUNS [STORAGE]` prints a line for each
thing that happens.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dfcil_core.config import Recipe
from dfcil_core.execution import Execution as Execution
from orchestrator.engine import engine
from orchestrator.engine.options import Options
from orchestrator.plan.plan import Plan
from orchestrator.plan.stage import Stage
from orchestrator.spec.load import load_spec, parse_spec
from orchestrator.spec.model import SweepSpec
from orchestrator.store.store import Store
from tests.support import sound_records

SPEC = """\
name: fake
methods: [abd]
tasks: [5]
seeds: [0, 1, 2]
dataset: {{name: digits, image_size: 8}}
tune:
  method: abd
  space:
    dreaming.lr: {{low: 1e-4, high: 1e-2, log: true}}
    mu: {{low: 0.01, high: 1, log: true}}
  {more}
"""


def read(more: str = "trials: 6", **replaced: str) -> SweepSpec:
    """A spec with `more` in its `tune:` section; `replaced`: text to text."""
    text = SPEC.format(more=more.replace("\n", "\n  "))
    for before, after in replaced.items():
        text = text.replace(before, after)
    return parse_spec(text, "fake.yaml")


def run_stage(recipe: Recipe, folder: Path, parents: Mapping[str, Path], execution: Execution) -> dict[str, Any]:
    (folder / "nothing").write_text("")
    if recipe.kind != "learn":
        return sound_records.result(recipe)
    chance = int(Stage(recipe).key[:8], 16) / 2**32  # of this very stage
    if recipe.settings.get("mu") == 0.95:
        raise ValueError("diverged")
    seen = [label for task in recipe.classes for label in task]
    right = 100 if recipe.task == 1 else round(100 * (0.5 + 0.5 * chance) / recipe.task)
    counts = {str(label): right for label in seen}
    return {"evaluation": {"images": dict.fromkeys(counts, 100), "correct": counts, "correct_local": {}}, "curves": {}}


def options(**changes: Any) -> Options:
    return Options(**{"workers": 2, "runner": "tests.support.fake_tuning:run_stage", **changes})


def search(read_spec: SweepSpec, runs: Path, say=lambda text: None, storage: str | None = None, **changes: Any):
    """Search to the end; the study and the tuner."""
    from orchestrator.tuning import study
    from orchestrator.tuning.tuner import Tuner
    from orchestrator.tuning.tuners import Tuners

    found = study.Study(read_spec, study.open_storage(runs, storage), "cpu")
    how = options(**changes)
    with Tuners(found, runs / "tuning") as tuners:
        tuner = Tuner(read_spec, found, tuners, "cpu", how.workers, say)
        engine.run(Plan(read_spec, (), {}, 0, 0), Store(runs), how, tuner.on_event, source=tuner.source)
    return found, tuner


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    search(load_spec(sys.argv[1]), Path(sys.argv[2]), say, *sys.argv[3:4])
