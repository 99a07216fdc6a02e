"""What a worker does with one stage: lease, check the parents, run, commit. Knows the store, not the plan.

Nothing here imports torch: the runner that the task names does, once a worker, and stays warm between stages.
"""

import faulthandler
import gc
import importlib
import json
import os
import shutil
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from dfcil_core.config import Recipe
from orchestrator.plan.stage import Stage
from orchestrator.store.lease import Held, Holder, Lease, LeaseLost
from orchestrator.store.stage_folder import DamagedStage, check
from orchestrator.store.store import Store
from orchestrator.worker import messages
from orchestrator.worker.memory_errors import out_of_memory
from orchestrator.worker.progress_file import ProgressFile, path_of
from orchestrator.worker.provenance import provenance
from orchestrator.worker.usage import Usage

_REPORT_SECONDS = 0.25  # more news than this in a second is more than an eye can follow
_OURS = {"key", "kind", "task", "folder", "files", "replaces"}
_OURS |= {"started", "ended", "seconds", "attempt", "provenance", "usage"}

Send = Callable[[messages.StageMessage], None]
"""Tells the launcher."""


@dataclass(frozen=True)
class StageTask:
    """One attempt at one stage, as it travels to a worker."""

    recipe: dict[str, Any]
    key: str
    folders: dict[str, str]
    """Role of each parent to the name of its folder in the store."""
    runs: str
    attempt: int
    """1 for the first attempt of this launch."""
    again: bool
    """Whether the stage is in the store, was freed, and is to get its files back."""
    recompute: bool
    """Whether it is computed though it is in the store, and compared."""
    device: str
    """`cpu`, or `cuda:0`: a worker sees one device only."""
    data_root: str | None
    plugin: str | None
    first_models: dict[str, str]
    save_every: float
    """Seconds between saves within the stage."""
    lease_timeout: float
    """Seconds without a heartbeat after which a lease may be taken over."""
    runner: str
    """`module:function`; the module has an `Execution` too."""
    stale: Holder | None
    """A holder of the lease that the launcher has given up on."""
    topic: str
    """Where the launcher listens."""
    attempt_id: str
    """Which attempt a message belongs to."""
    capture: str = "off"
    """`auto` or `off`: whether steps are captured as CUDA graphs, where that can be."""
    probe: str | None = None
    """A folder that the launcher has made in the runs folder: a worker that does not see it is in another one."""


def execute(task: StageTask) -> None:
    """Do one stage on a Dask worker. All that the launcher must know goes over the task's topic, failures too."""
    from distributed import get_worker

    worker = get_worker()

    def send(message: messages.StageMessage) -> None:
        worker.log_event(task.topic, messages.to_wire(messages.FromWorker(task.attempt_id, str(worker.name), message)))

    try:
        message = run_task(task, send)
    except Exception as error:
        message = _failure(error)
    if task.device != "cpu" or (isinstance(message, messages.Failed) and message.memory):
        _give_memory_back()
    send(message)


def run_task(task: StageTask, send: Send) -> messages.StageMessage:
    """Do one stage in this process; the message that says how it ended."""
    if task.probe is not None and not Path(task.probe).is_dir():
        return messages.WrongRunsFolder(socket.gethostname())
    store = Store(Path(task.runs), task.lease_timeout)
    stage = Stage(Recipe.from_json(task.recipe))
    if stage.key != task.key:
        raise RuntimeError(f"the recipe of {task.key[:16]} has become {stage.key[:16]} on its way to the worker")
    try:
        lease = store.leases.acquire(stage.key, task.stale)
    except Held:
        return messages.Held()
    with lease:
        if not task.recompute and (store.whole(stage) or (store.has(stage) and not task.again)):
            return messages.Done(reused=True)
        return _do(task, store, stage, lease, send)


def _do(task: StageTask, store: Store, stage: Stage, lease: Lease, send: Send) -> messages.StageMessage:
    parents = {role: store.stages / name for role, name in task.folders.items()}
    work = store.work(stage, lease)
    progress, done = ProgressFile(path_of(store, stage)), False
    try:
        with _output_to(store.log(stage)):
            send(messages.Started(time.time(), _place(task.device)))
            print(f"--- {stage}, attempt {task.attempt}, {time.strftime('%F %T %z')}, process {os.getpid()} ---")
            try:
                damage = _damaged(stage, parents)
                if damage is not None:
                    return damage
                record = _run(task, stage, work, parents, store.saves(stage), _Reporter(send, lease, progress))
                first = store.commit(stage, work, record, lease, recomputed=task.recompute)
                done = True
                return messages.Done(reused=not first)
            except (Exception, SystemExit) as error:
                traceback.print_exc()
                # Another launcher may have taken the stage over and removed our work, or set a parent aside under our
                # hands: then the failure is none of this stage's.
                if not lease.held():
                    return messages.Held()
                return _damaged(stage, parents) or _failure(error)
    finally:
        progress.close(done)
        shutil.rmtree(work, ignore_errors=True)


def _run(
    task: StageTask, stage: Stage, work: Path, parents: dict[str, Path], saves: Path, report: "_Reporter"
) -> dict[str, Any]:
    """Run the stage; its record but for what the store adds."""
    if task.runner.startswith("dfcil_core.") and "torch" not in sys.modules:
        report({"phase": "loading torch"})  # some seconds, once a worker
        runner(task.runner)
        report({"phase": "starting"})
    module, run = runner(task.runner)
    options: dict[str, Any] = {
        "device": task.device,
        "data_root": task.data_root,
        "saves": saves,
        "save_every": task.save_every,
    }
    if task.capture != "off":
        options["capture"] = task.capture
    if task.plugin is not None:
        options["plugin"] = task.plugin
    if task.first_models:
        options["first_models"] = task.first_models
    started, clock = time.time(), time.perf_counter()
    with Usage(task.device) as usage:
        result = run(stage.recipe, work, parents, module.Execution(**options, report=report))
    seconds = time.perf_counter() - clock
    clashes = sorted(_OURS & result.keys())
    if clashes:
        raise ValueError(f"{task.runner} gave {', '.join(clashes)}, which the store writes itself")
    timing = {"started": started, "ended": time.time(), "seconds": seconds, "attempt": task.attempt}
    return {**timing, "provenance": provenance(task.device), "usage": usage.told(seconds), **result}


class _Reporter:
    """Writes progress down, passes it on to the launcher, not too often, and ends a stage whose lease is lost."""

    def __init__(self, send: Send, lease: Lease, progress: ProgressFile) -> None:
        self._send, self._lease, self._progress = send, lease, progress
        self._phase: Any = None
        self._next = 0.0

    def __call__(self, info: dict[str, Any]) -> None:
        if self._lease.lost:
            raise LeaseLost(f"the lease on {self._lease.key[:16]} was taken over")
        info = json.loads(json.dumps(info))  # plain data, or an error here
        self._progress.write(info)
        now = time.monotonic()
        if now < self._next and info.get("phase") == self._phase:
            return
        self._phase, self._next = info.get("phase"), now + _REPORT_SECONDS
        self._send(messages.Progress(info))


def _damaged(stage: Stage, parents: dict[str, Path]) -> messages.DamagedParent | None:
    """The message that names a parent that is not what its record says, if there is one."""
    for role, folder in parents.items():
        key = stage.recipe.parents[role]
        try:
            check(folder, key, whole=True)
        except DamagedStage as damage:
            print(damage)
            return messages.DamagedParent(key, damage.reason)
    return None


def _failure(error: BaseException) -> messages.Failed:
    text = "".join(traceback.format_exception_only(error)).strip()
    return messages.Failed(text, "".join(traceback.format_exception(error)), out_of_memory(error))


def _place(device: str) -> str:
    """The memory that this worker shares with others."""
    gpu = "" if device == "cpu" else f"GPU {os.environ.get('CUDA_VISIBLE_DEVICES', '0')} of "
    return f"{gpu}{socket.gethostname()}"


def _give_memory_back() -> None:
    """Torch keeps what a stage has had for the next one, and the neighbours on a GPU want it meanwhile."""
    gc.collect()
    if "torch" in sys.modules and sys.modules["torch"].cuda.is_initialized():
        sys.modules["torch"].cuda.empty_cache()


@cache
def runner(name: str) -> tuple[ModuleType, Callable[..., dict[str, Any]]]:
    """The module and the function that `module:function` names; torch, if they brought it, keeps to one thread."""
    module_name, _, function = name.partition(":")
    module = importlib.import_module(module_name)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    return module, getattr(module, function)


@contextmanager
def _output_to(path: Path) -> Iterator[None]:
    """Append what this process prints to a file, what libraries print below Python included, and crashes too."""
    sys.stdout.flush(), sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(file, 1), os.dup2(file, 2)
    os.close(file)
    faulthandler.enable(file=2)
    try:
        yield
    finally:
        sys.stdout.flush(), sys.stderr.flush()
        for number, before in enumerate(kept, start=1):
            os.dup2(before, number)
            os.close(before)
