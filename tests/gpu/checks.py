"""The checks. Each takes a device (`cuda`, `cpu`) and an empty folder, and raises AssertionError."""

import math
import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from dfcil_core.execution import Execution
from dfcil_core.methods import METHODS
from orchestrator.plan.plan import Plan
from orchestrator.worker.memory_errors import out_of_memory
from tests.support.helpers import plan_of, run_one, run_plan

METHOD = "abd"
"""It dreams, and has two tasks with a teacher and a generator."""
TOLERANCE = 0.05
"""How far the first loss in bfloat16 may be from that in float32, relatively: its mantissa has 8 bits."""


def planned(device: str, method: str = METHOD, **training: Any) -> Plan:
    """Two tasks of two classes of images made on the spot, two epochs each."""
    return plan_of(method, (2, 2), training=training, memory=20, device=torch.device(device).type)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file under a folder but pictures, by its path."""
    files = [path for path in folder.rglob("*.safetensors") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(files)}


def the_same_numbers_twice(device: str, folder: Path) -> None:
    """Every method, all of its stages: the records and every byte of the tensors."""
    for method in METHODS:
        plan = planned(device, method)
        first, second = (run_plan(plan, folder / method / str(run), Execution(device)) for run in range(2))
        assert first == second, f"{method}: records differ"
        one, other = (contents(folder / method / str(run)) for run in range(2))
        assert one == other, f"{method}: {[name for name in one if one[name] != other.get(name)]} differ"


class _Stopped(Exception):
    pass


def a_stage_that_was_stopped_goes_on_to_the_same_numbers(device: str, folder: Path) -> None:
    """Stopped after its first epoch, or in the midst of dreaming: the save it left is gone on from."""
    plan = planned(device)
    undisturbed = run_plan(plan, folder, Execution(device))
    for stage in plan.stages.values():
        saves, reports = folder / f"saves-{stage.key}", []
        saves.mkdir()

        def stop(info: dict[str, Any], reports: list[dict[str, Any]] = reports) -> None:
            reports.append(info)
            if len(reports) == 2 or "step" in info:
                raise _Stopped

        try:
            execution = Execution(device, saves=saves, save_every=0, report=stop)
            run_one(stage, folder, execution, into=f"stopped-{stage.key}")
        except _Stopped:
            assert any(saves.iterdir()), f"{stage}: nothing was saved"
        else:
            assert not reports, f"{stage} was not stopped"
        record = run_one(stage, folder, Execution(device, saves=saves), into=f"resumed-{stage.key}")
        assert record == undisturbed[stage.key], f"{stage}: another record"
        assert contents(folder / f"resumed-{stage.key}") == contents(folder / stage.key), f"{stage}: other tensors"


def bfloat16_is_near_to_float32(device: str, folder: Path) -> None:
    """The first epoch's loss of the first task, and finite losses of all stages."""
    losses = {}
    for precision in ("float32", "bfloat16"):
        plan = planned(device, precision=precision)
        records = run_plan(plan, folder / precision, Execution(device))
        assert all(math.isfinite(loss) for record in records.values() for loss in record["curves"]["loss"])
        losses[precision] = next(iter(records.values()))["curves"]["loss"][0]
    near = abs(losses["bfloat16"] - losses["float32"]) <= TOLERANCE * losses["float32"]
    assert near, f"the first losses are {losses}"


def a_stage_that_ran_out_of_memory_can_be_done_again(device: str, folder: Path) -> None:
    """With next to none of the GPU's memory it fails as one that ran out of it; then, with all of it, as ever."""
    plan = planned(device)
    stage = next(iter(plan.stages.values()))
    wanted = run_one(stage, folder, Execution(device))
    if torch.device(device).type == "cpu":
        raise Skipped("a CPU's memory is not limited here")
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1e-6)
    try:
        run_one(stage, folder, Execution(device), into="starved")
    except RuntimeError as error:
        assert out_of_memory(error), f"not known as one of memory: {error}"
    else:
        raise AssertionError("a millionth of the memory was enough")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert run_one(stage, folder, Execution(device), into="again") == wanted


def several_workers_share_a_device(device: str, folder: Path) -> None:
    """Three processes at a time, each the whole plan: all have the numbers of one alone."""
    plan = planned(device)
    run_plan(plan, folder / "alone", Execution(device))
    wanted = contents(folder / "alone")
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_worker, args=(device, folder / f"worker-{number}")) for number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    for number in range(3):
        assert contents(folder / f"worker-{number}") == wanted, f"worker {number} has other numbers"


def _worker(device: str, folder: Path) -> None:
    run_plan(planned(device), folder, Execution(device))


class Skipped(Exception):
    """A check that says nothing on this device."""


CHECKS: tuple[Callable[[str, Path], None], ...] = (
    the_same_numbers_twice,
    a_stage_that_was_stopped_goes_on_to_the_same_numbers,
    bfloat16_is_near_to_float32,
    a_stage_that_ran_out_of_memory_can_be_done_again,
    several_workers_share_a_device,
)
