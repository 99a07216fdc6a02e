"""The batch systems that a launch can run in, each a record: the one place that knows how they differ.

Another one is another record in BATCH_SYSTEMS, for a cluster of dask-jobqueue. Nothing here imports Dask.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


def hours_minutes_seconds(seconds: int) -> str:
    """A duration as most batch systems write it: `04:00:00`."""
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def hours_minutes(seconds: int) -> str:
    """A duration without its seconds: `04:00`."""
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}"


@dataclass(frozen=True)
class BatchSystem:
    """What a batch system's profile may say, and what dask-jobqueue calls it."""

    name: str
    """As `--cluster` takes it."""
    cluster: str
    """`module:class` of dask-jobqueue's cluster."""
    options: Mapping[str, str]
    """Keys of a profile beyond those that all have, each with the option of the cluster that it is given as. Of two
    for the same option a profile has one."""
    required: Mapping[str, str] = field(default_factory=dict)
    """Those of the keys that must be given, each with an example."""
    directives: Mapping[str, str] = field(default_factory=dict)
    """Further keys, each with the directive that it becomes: `{}` is its value."""
    walltime: Callable[[int], str] | None = hours_minutes_seconds
    """Writes the walltime, in seconds, for the cluster; None: a submit command says it."""
    submit_commands: bool = False
    """Whether `job_extra` is a mapping of submit commands to values, not a list of directives."""
    walltime_command: str | None = None
    """The submit command that takes the walltime, in seconds."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of its profile beyond those that all have."""
        return (*self.options, *self.directives)


_RESOURCES = {"queue": "queue", "account": "account", "resource_spec": "resource_spec"}
_SYSTEMS = (
    BatchSystem(
        "slurm",
        "dask_jobqueue:SLURMCluster",
        {"queue": "queue", "partition": "queue", "account": "account"},
        directives={"gres": "--gres={}"},
    ),
    BatchSystem("pbs", "dask_jobqueue:PBSCluster", _RESOURCES),
    BatchSystem("sge", "dask_jobqueue:SGECluster", {**_RESOURCES, "account": "project"}),
    BatchSystem("lsf", "dask_jobqueue:LSFCluster", {"queue": "queue", "account": "project"}, walltime=hours_minutes),
    BatchSystem(
        "htcondor",
        "dask_jobqueue:HTCondorCluster",
        {"disk": "disk"},
        required={"disk": "10GB"},
        walltime=None,
        submit_commands=True,
        walltime_command="allowed_job_duration",
    ),
)
BATCH_SYSTEMS: dict[str, BatchSystem] = {system.name: system for system in _SYSTEMS}
"""By name, in the order in which they are listed to people."""
