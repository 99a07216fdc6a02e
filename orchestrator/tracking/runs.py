"""Finding and making the runs of a sweep in MLflow: one parent, one child a job, found again by their tags.

Nothing here depends on what an earlier launch remembers: where that is lost or wrong, the tags are searched.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from mlflow.entities import Experiment, Run, ViewType
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from orchestrator.tracking import describe

# Making a new sqlite store logs every table to the terminal, where our progress display is, and a store that fails a
# traceback, beside raising what we tell in a line.
for _name in ("mlflow", "alembic"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)

_PAGE = 1000


@dataclass
class Child:
    """A job's run in MLflow, as far as we know it."""

    run: str
    stages: int
    """Stages of the job that are delivered, in the job's order."""
    state: str
    fresh: bool = False
    """Made just now: nothing of it can be there already."""
    in_spec: bool = True
    """What the run's tag says of whether the sweep's spec still has the job."""
    model: bool = False
    """The run has its model."""
    replaced: str = ""
    """Which results its numbers are those of, where there have been several: the tag `dfcil.replaced`."""
    failure: float | None = None
    """The time of the failure that we sent last, in unix seconds."""


def open_experiment(client: MlflowClient, name: str, artifacts: str | None) -> tuple[str, bool]:
    """The id of the experiment, made where it is missing and restored where somebody deleted it; whether it was that.

    What a restored one has is not what it had when it was deleted: MLflow restores runs that were deleted before, too.
    """
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        # The kind by which MLflow tells experiments with training runs from those with language models.
        kind = {"mlflow.experimentKind": "custom_model_development"}
        return client.create_experiment(name, artifacts, kind), False
    deleted = experiment.lifecycle_stage == "deleted"
    if deleted:
        client.restore_experiment(experiment.experiment_id)
    return experiment.experiment_id, deleted


def known_id(client: MlflowClient, experiment: str, sweep: str, parent: str | None, damaged: bool) -> str | None:
    """The name that a runs folder has in this tracking store (its tag `dfcil.runs`); None where that is not known.

    By the `parent` run that this machine remembers; where the folder's own file of it was `damaged`, so that it has had
    a name, also by the sweep, if all parent runs of that are of one runs folder.
    """
    if remembered := living(client, parent, experiment):
        return remembered.data.tags.get(describe.RUNS)
    if not damaged:
        return None
    found = search(client, experiment, {describe.SWEEP: sweep, describe.KIND: "sweep"})
    names = {run.data.tags.get(describe.RUNS) for run in found}
    return names.pop() if len(names) == 1 else None


def find_experiment(client: MlflowClient, sweep: str, name: str) -> Experiment | None:
    """The experiment of that name, else one that has the sweep: it was launched with --experiment, maybe elsewhere.

    One in the trash, where there is no other.
    """
    found = client.get_experiment_by_name(name)
    if found and found.lifecycle_stage == "active":
        return found
    known = client.search_experiments()
    wanted = f"tags.`{describe.SWEEP}` = {_quoted(sweep)} and tags.`{describe.KIND}` = 'sweep'"
    runs = client.search_runs([entry.experiment_id for entry in known], wanted, max_results=1)
    return client.get_experiment(runs[0].info.experiment_id) if runs else found


def living(client: MlflowClient, run: str | None, experiment: str) -> Run | None:
    """The run of that id, unless it is gone, deleted, or of another experiment."""
    if run is None:
        return None
    try:
        found = client.get_run(run)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    alive = found.info.lifecycle_stage == "active" and found.info.experiment_id == experiment
    return found if alive else None


def search(client: MlflowClient, experiment: str, tags: dict[str, str]) -> list[Run]:
    """All runs of the experiment that have these tags, the oldest first."""
    wanted = " and ".join(f"tags.`{name}` = {_quoted(value)}" for name, value in tags.items())
    found: list[Run] = []
    token = None
    while True:
        page = client.search_runs([experiment], wanted, ViewType.ACTIVE_ONLY, _PAGE, ["start_time ASC"], token)
        found += page
        token = page.token
        if not token:
            return found


def child_of(run: Run) -> Child:
    """What a run's own tags say of it."""
    tags = run.data.tags
    stages = int(tags.get(describe.DELIVERED, "0").split()[0])
    in_spec, replaced = tags.get(describe.IN_SPEC) == "yes", tags.get(describe.REPLACED, "")
    return Child(run.info.run_id, stages, run.info.status, in_spec=in_spec, replaced=replaced)


def by_job(client: MlflowClient, runs: Iterable[Run]) -> dict[str, Child]:
    """Job id to its run. Of two runs of one job, the one with more in it; the other is deleted.

    Two come about when the answer to a `create_run` is lost on its way back.
    """
    children: dict[str, Child] = {}
    for run in runs:
        job, child = run.data.tags[describe.JOB], child_of(run)
        other = children.get(job)
        if other is not None:
            keep, drop = (child, other) if child.stages > other.stages else (other, child)
            client.delete_run(drop.run)
            child = keep
        children[job] = child
    return children


def _quoted(text: str) -> str:
    """Text as MLflow's search syntax takes it, which knows no escapes."""
    return f"'{text}'" if "'" not in text else f'"{text}"'
