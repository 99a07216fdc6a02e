"""A stage as a worker of a sweep does it: lease, parents checked, run, commit."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.speed.ours import Stages
from dfcil_core.data.open import open_data
from orchestrator.plan.stage import Stage
from orchestrator.store.store import Store
from orchestrator.worker import messages
from orchestrator.worker.run_task import StageTask, run_task


class WholeStage:
    """A method's second task in a store of its own; `run` does it anew each time."""

    def __init__(self, stages: Stages, method: str, folder: Path) -> None:
        self.stage = stages.learn(method)
        self.store = Store(folder / "runs")
        self.store.prepare()
        self._device = stages.sizes.device
        self._stages = stages.plan.stages
        for key in self.stage.recipe.parents.values():
            self._do(self._stages[key])
        images = len(open_data(self.stage.recipe.data, None).positions(self.stage.recipe.classes[-1]))
        training = self.stage.recipe.training
        self.steps = training["epochs"] * (images // training["batch_size"])

    def run(self) -> None:
        """Once more; raises RuntimeError where it fails."""
        shutil.rmtree(self.store.folder(self.stage), ignore_errors=True)
        self._do(self.stage)

    def _do(self, stage: Stage) -> None:
        for key in stage.recipe.parents.values():
            if not self.store.has(self._stages[key]):
                self._do(self._stages[key])
        task = StageTask(
            recipe=stage.recipe.to_json(),
            key=stage.key,
            folders={role: self._stages[key].folder for role, key in stage.recipe.parents.items()},
            runs=str(self.store.runs),
            attempt=1,
            again=False,
            recompute=False,
            device=self._device,
            data_root=None,
            plugin=None,
            first_models={},
            save_every=60.0,
            lease_timeout=60.0,
            runner="dfcil_core.run_stage:run_stage",
            stale=None,
            topic="",
            attempt_id="",
        )
        ended = run_task(task, lambda message: None)
        if not isinstance(ended, messages.Done):
            raise RuntimeError(f"{stage} did not end well: {ended}")
