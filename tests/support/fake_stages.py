"""Stages and plans for the fake runner."""

from types import SimpleNamespace

from dfcil_core.config import DataRecipe, Recipe
from orchestrator.engine.options import Options
from orchestrator.plan.stage import Stage

RUNNER = "tests.support.fake_runner:run_stage"


def make_stage(name: str, *parents: Stage, **settings) -> Stage:
    """A stage that only the fake runner can run. Its first parent is its model, its second its memory."""
    return Stage(
        Recipe(
            kind="learn",
            versions={"loop": 1},
            device="cpu",
            seed=0,
            stream=0,
            data=DataRecipe("fake", "none", 8),
            classes=((0,),),
            width=1,
            training={},
            method="fake",
            settings={"name": name, **settings},
            parents={role: parent.key for role, parent in zip(("model", "memory"), parents, strict=False)},
        )
    )


def make_plan(*stages: Stage) -> SimpleNamespace:
    """What the engine reads of a plan."""
    return SimpleNamespace(stages={stage.key: stage for stage in stages})


def make_options(**changes) -> Options:
    return Options(**{"workers": 2, "runner": RUNNER, **changes})
