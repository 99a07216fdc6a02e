"""How a plan is run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from dfcil_core.execution import Capture
from orchestrator.cluster.profile import Profile
from orchestrator.cluster.select import Scheduler
from orchestrator.store.lease import LEASE_TIMEOUT

CAPTURE = get_args(Capture)


@dataclass(frozen=True)
class Options:
    """How a plan is run: no part of any identity."""

    workers: int
    """Stages at a time; on CUDA of this machine at most `per_gpu` a device."""
    device: str = "cpu"
    """`cpu` or `cuda`."""
    data_root: str | None = None
    per_gpu: int = 1
    gpus: tuple[str, ...] | None = None
    """The CUDA devices of this machine that are used, as CUDA_VISIBLE_DEVICES names them; None: all that it allows."""
    save_every: float = 60.0
    """Seconds between saves within a stage."""
    capture: str = "off"
    """`auto` or `off`: whether steps are captured as CUDA graphs, where that can be."""
    attempts: int = 2
    """How often a stage is started in all when its worker process dies. An exception is final at once."""
    plugin: str | None = None
    """Path of the plug-in's source."""
    first_models: Mapping[str, str] = field(default_factory=dict)
    """Paths of the files with a network for task 1, by their SHA-256."""
    lease_timeout: float = LEASE_TIMEOUT
    """Seconds without a heartbeat after which another launcher's stage is taken over."""
    free: bool = False
    """Whether checkpoints that nothing needs any more are removed on the way."""
    runner: str = "dfcil_core.run_stage:run_stage"
    """What computes a stage, `module:function`, as `dfcil_core.run_stage` documents it."""
    elsewhere: Profile | Scheduler | None = None
    """Where the workers are; None: on this machine."""

    def told_to_workers(self) -> dict[str, Any]:
        """What a worker is told of it with each stage: fields of a StageTask."""
        return {
            # A worker sees one device only.
            "device": "cpu" if self.device == "cpu" else "cuda:0",
            "data_root": self.data_root,
            "plugin": self.plugin,
            "first_models": dict(self.first_models),
            "save_every": self.save_every,
            "capture": self.capture,
            "lease_timeout": self.lease_timeout,
            "runner": self.runner,
        }
