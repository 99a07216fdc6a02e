"""Whether a tracking store tells all there is of a sweep, found out without mlflow, which takes seconds to load.

Only where this machine remembers to have delivered it all, to a sqlite file: that is asked whether it has the sweep's
run still, as the writer asks before it trusts what is remembered. Whatever is not plainly so counts as not up to date,
and mlflow is loaded and looks.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from orchestrator.files import Unreadable
from orchestrator.plan.plan import Plan
from orchestrator.results.job_result import JobResult
from orchestrator.tracking import describe
from orchestrator.tracking.delivered import Delivered, keep_experiment
from orchestrator.tracking.moved import lies_elsewhere
from orchestrator.tracking.points import finished_in_order
from orchestrator.tracking.uri import sqlite_path

_RUN = """
    select tags.value from runs join experiments using (experiment_id) join tags using (run_uuid)
    where run_uuid = ? and experiment_id = ? and runs.status = 'FINISHED' and runs.lifecycle_stage = 'active'
    and experiments.name = ? and experiments.lifecycle_stage = 'active' and tags.key = ?
"""


class Remembered:
    """What this machine remembers of a sweep's deliveries to a tracking store, asked before mlflow is loaded."""

    def __init__(self, plan: Plan, runs: Path, uri: str, experiment: str) -> None:
        self._plan, self._runs, self._uri, self._experiment = plan, runs, uri, experiment
        self._delivered = Delivered(runs, plan.spec.name, uri, experiment)

    def has(self, result: JobResult) -> bool:
        """Whether all that is known of a job was delivered; nothing is asked of the tracking store."""
        told = self._delivered.jobs.get(result.job.id)
        if told is None:
            return not result.records
        replaced = describe.replaced(result) <= set(str(told.get("replaced", "")).split())
        return replaced and told["stages"] >= finished_in_order(result)

    def all_finished(self, results: Sequence[JobResult], with_texts: bool, with_models: bool) -> bool:
        """Whether the tracking store tells of every job of the sweep that it is finished, and has all of it.

        `results` are those of all jobs. Notes which experiment the sweep is in, as the writer does.
        """
        jobs = self._delivered.jobs
        current = {result.job.id for result in results if result.finished and self.has(result)}
        if len(current) < len(self._plan.jobs):
            return False
        for identity, told in jobs.items():
            if told.get("in_spec", True) != (identity in current):
                return False
            if identity in current and (told.get("state") != "FINISHED" or (with_models and not told.get("model"))):
                return False
        if self._delivered.shown != describe.shown(self._plan, results, with_texts) or not self._is_there():
            return False
        keep_experiment(self._runs, self._plan.spec.name, self._experiment)
        return True

    def _is_there(self) -> bool:
        """Whether the sqlite file has the sweep's run, finished, as that of this runs folder, where the folder lies."""
        path = sqlite_path(self._uri)
        if path is None:
            return False
        sought = (self._delivered.parent, self._delivered.experiment, self._experiment, describe.RUNS)
        try:
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=0)) as connection:
                found = connection.execute(_RUN, sought).fetchall()
            return found == [((self._runs / "id").read_text().strip(),)] and not lies_elsewhere(self._runs)
        except (sqlite3.Error, OSError, UnicodeDecodeError, Unreadable):
            return False
