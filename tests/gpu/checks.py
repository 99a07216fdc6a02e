"""The checks. Each takes a device (`cuda`, `cpu`) and an empty folder, and raises AssertionError."""

import math
import multiprocessing
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from dfcil_core import capture
from dfcil_core.data.catalog import synthetic_info
from dfcil_core.execution import Execution
from dfcil_core.methods import METHODS
from dfcil_core.supplied import CannotCapture
from orchestrator.plan.plan import Plan
from orchestrator.worker.memory_errors import out_of_memory
from tests.support.helpers import plan_of, run_one, run_plan

METHOD = "abd"
"""It dreams, and has two tasks with a teacher and a generator."""
CAPTURED_STEPS = 50
"""At least as many in a phase, after those that are compared; and as many dreaming steps."""
ADAMS, REDUCED = ("adam", "adamw"), ("bfloat16",)
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
    _stopped_and_gone_on_with(Execution(device), folder)


def a_captured_stage_that_was_stopped_does_too(device: str, folder: Path) -> None:
    """The same, each step being one CUDA graph."""
    _require_graphs(device)
    _stopped_and_gone_on_with(Execution(device, capture="auto"), folder)


def _stopped_and_gone_on_with(way: Execution, folder: Path) -> None:
    plan = planned(way.device)
    undisturbed = run_plan(plan, folder, way)
    for stage in plan.stages.values():
        saves, reports = folder / f"saves-{stage.key}", []
        saves.mkdir()

        def stop(info: dict[str, Any], reports: list[dict[str, Any]] = reports) -> None:
            reports.append(info)
            if len(reports) == 2 or "step" in info:
                raise _Stopped

        try:
            execution = replace(way, saves=saves, save_every=0, report=stop)
            run_one(stage, folder, execution, into=f"stopped-{stage.key}")
        except _Stopped:
            assert any(saves.iterdir()), f"{stage}: nothing was saved"
        else:
            assert not reports, f"{stage} was not stopped"
        record = run_one(stage, folder, replace(way, saves=saves), into=f"resumed-{stage.key}")
        assert record == undisturbed[stage.key], f"{stage}: another record"
        assert contents(folder / f"resumed-{stage.key}") == contents(folder / stage.key), f"{stage}: other tensors"


def captured_steps_have_the_eager_losses(device: str, folder: Path) -> None:
    """Of every method and of dreaming, with Adam, in bfloat16: to 1e-5 over 50 steps; and all of them are captured."""
    _require_graphs(device)
    # Two epochs of 25 batches, so that the learning rate changes once.
    long = {"batch_size": 16, "schedule": "cosine", "lr": 0.01}
    ways: list[tuple[str, dict[str, Any]]] = [(method, {}) for method in METHODS]
    ways += [("base", {"optimizer": name, "lr": 1e-3}) for name in ADAMS]
    ways += [(METHOD, {"precision": precision}) for precision in REDUCED]
    wrong, alike, stages = [], 0, 0
    for number, (method, changes) in enumerate(ways):
        settings = {**long, **changes}
        plan = plan_of(
            method,
            (2, 2),
            synthetic_info(4, train_per_class=200, test_per_class=4),
            settings,
            memory=400,
            steps=CAPTURED_STEPS,
            device=torch.device(device).type,
        )
        eager = run_plan(plan, folder / f"{number}-eager", Execution(device))
        captured = run_plan(plan, folder / f"{number}-captured", Execution(device, capture="auto"))
        for key, record in captured.items():
            what = f"{method} {changes or ''}: {plan.stages[key]}"
            for phase, how in record.get("capture", {}).items():
                if how != capture.how(None):
                    wrong.append(f"{what}, {phase}: {how}")
            if not _near(eager[key].get("curves", {}), record.get("curves", {})):
                wrong.append(f"{what}: {eager[key]['curves']['loss']}, in graphs {record['curves']['loss']}")
            stages += 1
            alike += contents(folder / f"{number}-eager" / key) == contents(folder / f"{number}-captured" / key)
    print(f"{alike} of {stages} stages have the eager numbers to the last bit")
    assert not wrong, "\n".join(wrong)


def _near(eager: Mapping[str, list[float]], captured: Mapping[str, list[float]]) -> bool:
    """Whether losses are apart by no more than 1e-5 of them: epoch by epoch, or point by point of dreaming."""
    pairs = zip(eager.get("loss", []), captured.get("loss", []), strict=True)
    return all(abs(one - other) <= capture.AGREE * abs(one) for one, other in pairs)


def _require_graphs(device: str) -> None:
    try:
        capture.recorder_of(torch.device(device))
    except CannotCapture as reason:
        raise Skipped(str(reason)) from None


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
    captured_steps_have_the_eager_losses,
    a_captured_stage_that_was_stopped_does_too,
    bfloat16_is_near_to_float32,
    a_stage_that_ran_out_of_memory_can_be_done_again,
    several_workers_share_a_device,
)
